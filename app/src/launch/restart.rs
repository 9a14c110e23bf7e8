//! Starts the program anew with the same view: as far as the command line can say it by arguments, the rest by a file
//! beside the settings that the new start takes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use engine::run::atomic::write_atomic;

use crate::args::Args;
use crate::state::State;
use crate::state::kept::KeptView;

/// The folder of the settings.
pub fn folder() -> Option<PathBuf> {
    eframe::storage_dir(super::APP_ID)
}

/// Writes the view into `folder` and gives the arguments of a start that shows it. What a start without the file would
/// show is the most that arguments can say: they alone are given where it cannot be written.
pub fn prepare(state: &State, folder: Option<&Path>) -> Vec<OsString> {
    let mut args = Args::of(state);
    if let Some(folder) = folder {
        let path = folder.join(format!("view-{}.json", std::process::id()));
        match keep(&KeptView::of(state), &path) {
            Ok(()) => args.view = Some(path),
            Err(why) => tracing::error!("the view cannot be kept as a whole: {why}"),
        }
    }
    args.to_line()
}

fn keep(view: &KeptView, path: &Path) -> Result<(), String> {
    let text = view.to_json().map_err(|e| format!("{}: {e}", path.display()))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: cannot create: {e}", folder.display()))?;
    }
    write_atomic(path, text.as_bytes()).map(|_| ()).map_err(|e| e.to_string())
}

/// Reads a view that was written for this start, once: it is of no use to a later one, and names files of a patient.
///
/// # Errors
/// A file that is not there, or is not such a view of this version of the program.
pub fn take(path: &Path) -> Result<KeptView, String> {
    let wrong = |why: String| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!("{}: cannot be removed: {error}", path.display());
    }
    KeptView::from_json(&text).map_err(wrong)
}

/// Starts the program, which goes its own way from then on.
///
/// # Errors
/// A program that cannot be found any more, or cannot be started.
pub fn spawn(line: &[OsString]) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| format!("the program's own file is not known: {e}"))?;
    let started = Command::new(&program).args(line).spawn();
    started.map(|_| ()).map_err(|e| format!("{}: cannot be started: {e}", program.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_taken_once_and_what_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings").join("view.json");
        let kept = KeptView::of(&State::default());
        keep(&kept, &path).unwrap();
        assert_eq!(take(&path).unwrap(), kept);
        assert!(take(&path).is_err_and(|why| why.contains("view.json")), "it is gone");
        std::fs::write(&path, "{").unwrap();
        assert!(take(&path).is_err_and(|why| why.contains("view.json")));
        assert!(!path.exists());
    }
}
