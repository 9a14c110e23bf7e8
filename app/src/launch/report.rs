//! Writes the requested output: the picture and the numbers.

use std::path::Path;
use std::process::ExitCode;

use crate::app::App;
use crate::args::Args;
use crate::gpu::offscreen::to_png;
use crate::state::report::Report;

/// Writes the report; the exit code is 1 if an error is shown or a file cannot be written.
pub fn write(app: &App, args: &Args, picture: Option<&egui::ColorImage>) -> ExitCode {
    let report = Report::of(app.state());
    let mut failed = app.state().shows_error();
    let mut put = |path: &Path, bytes: Result<Vec<u8>, String>| {
        let written = bytes.and_then(|bytes| std::fs::write(path, bytes).map_err(|e| e.to_string()));
        if let Err(why) = written {
            tracing::error!("{}: {why}", path.display());
            failed = true;
        }
    };
    if let Some(path) = &args.state {
        put(path, report.to_json().map(String::into_bytes).map_err(|e| e.to_string()));
    }
    if let Some(path) = &args.screenshot {
        put(path, picture.map_or_else(|| Err("not drawn: no graphics adapter".into()), to_png));
    }
    for error in report.errors {
        tracing::error!("{error}");
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
