//! The built program on a virtual display: a real window, real drag and drop, and a display without graphics. Without
//! `Xvfb`, these tests are skipped with a message; with `AMLP_REQUIRE_GPU=1`, its absence is a failure.

mod drop;
mod edits;
mod xvfb;

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::common;
use crate::phantom::Files;
use xvfb::Xvfb;

const TIMEOUT: Duration = Duration::from_mins(1);

/// The program on a display, with its own settings folder.
fn program(display: &Xvfb, home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amlp-viewer"));
    for name in ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("DISPLAY", display.name()).env("WGPU_BACKEND", "vulkan");
    command.env("HOME", home).env("XDG_DATA_HOME", home).env("XDG_RUNTIME_DIR", home);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Waits for the end; a program that does not end is a failure.
fn end(child: &mut Child) -> ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begin.elapsed() > TIMEOUT {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn without_graphics_the_error_names_the_display_and_the_tried_apis() {
    let Some(display) = Xvfb::start() else { return };
    let files = Files::new();
    let mut command = program(&display, files.folder.path());
    command.env("VK_DRIVER_FILES", "/nonexistent").env("VK_ICD_FILENAMES", "/nonexistent");
    let mut child = command.arg(&files.scan).spawn().unwrap();
    let status = end(&mut child);
    let text = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(status.code(), Some(2), "{text}");
    let display = format!("DISPLAY={}", display.name());
    for part in ["no window could be opened", &display, "Vulkan", "amlp segment", "--state"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_real_window_writes_a_screenshot_and_its_state() {
    let Some(display) = Xvfb::start() else { return };
    if common::offscreen().is_none() {
        return;
    }
    let files = Files::new();
    let (picture, numbers) = (files.path("shown.png"), files.path("shown.json"));
    let mut command = program(&display, files.folder.path());
    command.arg(&files.scan).arg("--mask").arg(&files.prediction).args(["--size", "900x600"]);
    command.arg("--screenshot").arg(&picture).arg("--state").arg(&numbers);
    let mut child = command.spawn().unwrap();
    let status = end(&mut child);
    let text = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(status.code(), Some(0), "{text}");
    let drawn = image::open(&picture).unwrap().to_rgb8();
    assert_eq!((drawn.width(), drawn.height()), (900, 600));
    let colours: std::collections::HashSet<[u8; 3]> = drawn.pixels().map(|p| p.0).collect();
    assert!(colours.len() > 100, "{} colours", colours.len());
    let shown: serde_json::Value = serde_json::from_slice(&std::fs::read(&numbers).unwrap()).unwrap();
    assert_eq!(shown["file"], files.scan.display().to_string());
    assert!(!shown["findings"].as_array().unwrap().is_empty() && shown["errors"].as_array().unwrap().is_empty());
}

#[test]
fn the_window_size_on_the_command_line_overrides_that_of_the_last_session() {
    let Some(display) = Xvfb::start() else { return };
    if common::offscreen().is_none() {
        return;
    }
    let files = Files::new();
    let settings = files.path("amlp-viewer");
    std::fs::create_dir_all(&settings).unwrap();
    let geometry = "(normal_geometry:(outer_position_pixels:Some((x:0.0,y:0.0)),scale_factor:1.0,\
                    inner_size_points:(x:1200.0,y:800.0)),fullscreen:false,maximized:false)";
    std::fs::write(settings.join("app.ron"), format!("{{\"window\": {geometry:?}}}")).unwrap();
    let picture = files.path("shown.png");
    let mut command = program(&display, files.folder.path());
    command.args(["--size", "900x600", "--screenshot"]).arg(&picture);
    let mut child = command.spawn().unwrap();
    let status = end(&mut child);
    let text = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(status.code(), Some(0), "{text}");
    let drawn = image::open(&picture).unwrap();
    assert_eq!((drawn.width(), drawn.height()), (900, 600));
}

#[test]
fn files_dropped_on_a_real_window_are_opened() {
    let Some(display) = Xvfb::start() else { return };
    if common::offscreen().is_none() {
        return;
    }
    let files = Files::new();
    let mut child = program(&display, files.folder.path()).spawn().unwrap();
    let client = drop::DisplayClient::new(&display);
    let window = client.wait_for_title("AMLP", &mut child);
    client.drop_on(window, &[&files.scan]);
    let title = format!("{} - AMLP", files.scan.file_name().unwrap().to_string_lossy().trim_end_matches(".nii.gz"));
    client.wait_for_title(&title, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
}
