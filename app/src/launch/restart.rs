//! Restarts the program, passing the session in a file that the new process reads once.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use engine::disk::atomic::write_atomic;

use crate::state::{Session, State};

/// Candidate folders for the session: the settings' folder, then the temporary folder.
pub fn folders() -> Vec<PathBuf> {
    eframe::storage_dir(super::APP_ID).into_iter().chain([std::env::temp_dir()]).collect()
}

/// Saves the session in the first writable folder, and returns the command line to restore it.
///
/// # Errors
/// If it cannot be saved in any of them.
pub fn prepare(state: &State, folders: &[PathBuf]) -> Result<Vec<OsString>, String> {
    let text = Session::of(state).to_json().map_err(|e| e.to_string())?;
    let mut errors = Vec::new();
    for folder in folders {
        let path = folder.join(format!("amlp-session-{}.json", std::process::id()));
        match save(&text, &path) {
            Ok(()) => {
                let mut argument = OsString::from("--session=");
                argument.push(path);
                return Ok(vec![argument]);
            }
            Err(why) => errors.push(why),
        }
    }
    Err(errors.join("; "))
}

fn save(text: &str, path: &Path) -> Result<(), String> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: cannot create: {e}", folder.display()))?;
    }
    write_atomic(path, text.as_bytes()).map(|_| ()).map_err(|e| e.to_string())
}

/// Reads a saved session and removes its file, which names files of a patient.
///
/// # Errors
/// A missing file, or one without a session of this version.
pub fn take(path: &Path) -> Result<Session, String> {
    let wrong = |why: String| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!("{}: cannot remove: {error}", path.display());
    }
    Session::from_json(&text).map_err(wrong)
}

/// Starts the program again as a separate process.
///
/// # Errors
/// A missing executable, or one that cannot be started.
pub fn spawn(line: &[OsString]) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| format!("cannot find the program's own file: {e}"))?;
    let started = Command::new(&program).args(line).spawn();
    started.map(|_| ()).map_err(|e| format!("{}: cannot start: {e}", program.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_once_and_a_bad_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings").join("session.json");
        let session = Session::of(&State::default());
        save(&session.to_json().unwrap(), &path).unwrap();
        assert_eq!(take(&path).unwrap(), session);
        assert!(take(&path).is_err_and(|why| why.contains("session.json")), "it is gone");
        std::fs::write(&path, "{").unwrap();
        assert!(take(&path).is_err_and(|why| why.contains("session.json")));
        assert!(!path.exists());
    }

    #[test]
    fn folders_that_cannot_be_written_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let bad = file.join("below");
        let line = prepare(&State::default(), &[bad.clone(), folder.path().to_path_buf()]).unwrap();
        assert!(line[0].to_string_lossy().starts_with("--session="));
        assert!(prepare(&State::default(), &[bad]).is_err_and(|why| why.contains("below")));
    }
}
