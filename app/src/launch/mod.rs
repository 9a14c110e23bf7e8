//! Opens a window or writes a report. Without a display, the demo runs in the terminal.

mod headless;
mod report;
pub mod restart;
mod window;

use std::process::ExitCode;

use crate::args::Args;

/// Name of the window and its settings in the system.
const APP_ID: &str = "amlp-viewer";
/// Size of a new window in points.
const SIZE: [f32; 2] = [1280.0, 800.0];
/// Frames that are drawn after the last job ended, so that layout, thumbnails and letters have settled.
const SETTLING_FRAMES: usize = 4;

/// Runs the program; the exit code is 1 if an error is shown in a report, 2 if nothing can be shown at all.
pub fn run(args: &Args) -> ExitCode {
    engine::log::log_to_stderr("RUST_LOG", "warn,wgpu_hal=off,egui_wgpu=error");
    if args.is_report() && !has_display() {
        return headless::run(args);
    }
    match window::run(args) {
        Ok(code) => code,
        Err(_) if args.is_report() => headless::run(args),
        Err(why) => without_window(args, &why),
    }
}

/// Whether a window may open. A missing display can be detected only where the environment names displays.
fn has_display() -> bool {
    let named = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(all(unix, not(target_os = "macos"))) || named("DISPLAY") || named("WAYLAND_DISPLAY")
}

/// Without a window, runs the demo in the terminal, or reports which displays were tried.
fn without_window(args: &Args, why: &str) -> ExitCode {
    let why = why.lines().next().unwrap_or("unknown reason");
    if args.demo {
        tracing::warn!("no window ({why}): running the demo in the terminal (amlp demo)");
        return engine::cli::run_with(["amlp", "demo"]);
    }
    let tried = ["WAYLAND_DISPLAY", "DISPLAY"].map(|name| match std::env::var(name) {
        Ok(value) if !value.is_empty() => format!("{name}={value}"),
        _ => format!("{name} is not set"),
    });
    tracing::error!(
        "no window could be opened: {why}. Tried {}, with Vulkan, Metal, DirectX 12 or OpenGL. Without a display, \
         use the command line, such as amlp segment or amlp demo, or amlp-viewer with --screenshot or --state",
        tried.join(", ")
    );
    ExitCode::from(2)
}
