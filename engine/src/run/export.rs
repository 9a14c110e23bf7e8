//! Exporting a run: configuration, split and one checkpoint as a new run folder.

use std::fs;
use std::path::Path;

use super::RunFolder;
use super::checkpoint::{CheckpointData, Slot};
use super::folder::{CHECKPOINTS, COHORT, SPLIT};
use super::manifest::{exists, remove_folder, write_folder};
use super::text;
use crate::disk::RUN_CONFIG;
use crate::disk::atomic::{rename, sync_folder, write_new};
use crate::{Error, Result};

/// Creates the run folder `to` with this configuration, the split of `run` if it has one, and `data` as its `last`
/// checkpoint.
///
/// The folder appears complete or not at all. Its parent must exist.
///
/// # Errors
/// If `to` exists or cannot be written.
pub fn export_run(run: &RunFolder, config_toml: &str, data: &CheckpointData, to: &Path) -> Result<()> {
    if exists(to) {
        return Err(Error::file(to, "already exists. Choose a new name"));
    }
    let Some(name) = to.file_name() else { return Err(Error::file(to, "does not name a folder")) };
    let staged = to.with_file_name(format!(".{}.{}.0.tmp", name.to_string_lossy(), std::process::id()));
    remove_folder(&staged)?;
    let outcome =
        fill(run, config_toml, data, &staged).and_then(|()| rename(&staged, to).map_err(Error::io("write", to)));
    if outcome.is_err() {
        // Best effort. The first error is returned.
        let _ = remove_folder(&staged);
    }
    outcome
}

fn fill(run: &RunFolder, config_toml: &str, data: &CheckpointData, staged: &Path) -> Result<()> {
    let make = |folder: &Path| fs::create_dir(folder).map_err(Error::io("create", folder));
    let write = |name: &str, bytes: &[u8]| {
        let path = staged.join(name);
        write_new(&path, bytes).map_err(Error::io("write", &path))
    };
    make(staged)?;
    write(RUN_CONFIG, config_toml.as_bytes())?;
    if exists(&run.split_path()) {
        write(SPLIT, text::read_text(&run.split_path())?.as_bytes())?;
    }
    let cohort = run.root().join(COHORT);
    if exists(&cohort) {
        write(COHORT, text::read_text(&cohort)?.as_bytes())?;
    }
    let checkpoints = staged.join(CHECKPOINTS);
    make(&checkpoints)?;
    write_folder(&checkpoints.join(Slot::Last.name()), data)?;
    for folder in [&checkpoints, staged] {
        sync_folder(folder).map_err(Error::io("write", folder))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::run::checkpoint::load;

    fn data() -> CheckpointData {
        CheckpointData { epoch: 3, step: 0, parts: vec![("model.bin".into(), vec![7; 100])] }
    }

    #[test]
    fn an_exported_run_opens_and_holds_nothing_else() {
        let keep = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&keep.path().join("run"), "version = 1\n").unwrap();
        let (bare, whole) = (keep.path().join("bare"), keep.path().join("whole"));
        export_run(&run, "version = 1\nsmall = true\n", &data(), &bare).unwrap();
        assert!(!exists(&bare.join(SPLIT)), "a run without a split has none to pass on");
        run.write_split(&["a", "b"]).unwrap();
        export_run(&run, "version = 1\nsmall = true\n", &data(), &whole).unwrap();
        let opened = RunFolder::open(&whole).unwrap();
        assert_eq!(load(&opened).unwrap(), (data(), Vec::new()));
        assert_eq!(opened.config_text().unwrap(), "version = 1\nsmall = true\n");
        assert_eq!(opened.read_split::<Vec<String>>().unwrap(), ["a", "b"]);
        let mut names: Vec<String> =
            fs::read_dir(&whole).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, [CHECKPOINTS, RUN_CONFIG, SPLIT]);
    }

    #[test]
    fn an_existing_folder_is_not_overwritten_and_a_failure_leaves_nothing() {
        let keep = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&keep.path().join("run"), "version = 1\n").unwrap();
        let text = export_run(&run, "", &data(), run.root()).unwrap_err().to_string();
        assert!(text.contains("already exists"), "{text}");
        let bad = CheckpointData { parts: vec![("../x".into(), Vec::new())], ..data() };
        assert!(export_run(&run, "", &bad, &keep.path().join("new")).is_err());
        assert!(export_run(&run, "", &data(), &keep.path().join("absent/new")).is_err());
        assert_eq!(fs::read_dir(keep.path()).unwrap().count(), 1);
    }
}
