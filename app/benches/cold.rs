//! Cold start: from starting the program to a written picture of the first slice of a 240x240x155 int16 `.nii.gz`.
//!
//! ```sh
//! cargo bench -p app --bench cold
//! ```
//! With `AMLP_PEER_PYTHON` set (see `engine/benches/torch_peer/setup.sh`), nibabel and matplotlib draw the same slice in turn
//! with the viewer. Every run is a new process and is timed until it has ended, with the picture on disk. The file is in
//! the system's file cache. With a display (`xvfb-run` makes one), the viewer opens its window and the picture is a frame
//! of it. Without one, the same frame is drawn into memory.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and panics on errors")]

#[path = "../../engine/benches/common/scan.rs"]
mod scan;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

const TURNS: usize = 5;

/// Runs a program and returns the seconds until it has ended. It must leave a picture.
fn seconds(command: &mut Command, picture: &Path) -> f64 {
    if picture.exists() {
        std::fs::remove_file(picture).unwrap();
    }
    let begin = Instant::now();
    let output = command.output().unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    assert!(output.status.success() && picture.exists(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    seconds
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let [file, picture] = ["scan.nii.gz", "picture.png"].map(|name| folder.path().join(name));
    scan::write_scan(&file).unwrap();
    let viewer = |file: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_amlp-viewer"));
        command.args(file).arg("--screenshot").arg(&picture).env("RUST_LOG", "off");
        command
    };
    let mut programs = vec![("AMLP, this scan", viewer(Some(&file))), ("AMLP, empty window", viewer(None))];
    if let Some(python) = std::env::var_os("AMLP_PEER_PYTHON") {
        let mut command = Command::new(python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/cold_peer.py")).args([&file, &picture]);
        programs.push(("nibabel and matplotlib, this scan", command));
    } else {
        println!("no comparison: AMLP_PEER_PYTHON is not set");
    }
    // Not timed: the first runs fill the file cache and build the shaders and the list of fonts.
    for (_, command) in &mut programs {
        seconds(command, &picture);
    }
    let mut times = vec![Vec::new(); programs.len()];
    for _ in 0..TURNS {
        for ((_, command), times) in programs.iter_mut().zip(&mut times) {
            times.push(seconds(command, &picture));
        }
    }
    let display =
        ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    let place = if display { "with a window" } else { "without a display, drawn into memory" };
    println!("{:?} int16 .nii.gz, {place}, medians of {TURNS} alternating turns", scan::SHAPE);
    println!(
        "AMLP: starts, reads the whole file, draws three planes and the projection at 1280 x 800, writes the picture"
    );
    println!(
        "peer: starts, reads the whole file, draws the middle axial slice at 1280 x 800 without a window, writes the picture"
    );
    let mut first = f64::NAN;
    for ((name, _), mut times) in programs.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let median = times[TURNS / 2];
        first = if first.is_nan() { median } else { first };
        println!(
            "{name}: {median:.2} s ({:.2} to {:.2}), {:.2} times AMLP",
            times[0],
            times[TURNS - 1],
            median / first
        );
    }
}
