//! Tests of making, opening, checking and comparing run folders.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::ErrorKind;

const TEXT: &str = "version = 1\n[pretrain]\nlr = 0.0001\n";

fn new_root() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/run");
    (folder, root)
}

#[test]
fn a_run_folder_is_created_written_and_read_again() {
    let (_keep, root) = new_root();
    let run = RunFolder::create(&root, TEXT).unwrap();
    run.write_split(&["a", "b"]).unwrap();
    run.write_report(&serde_json::json!({"dsc": 0.5})).unwrap();
    drop(run);

    let run = RunFolder::open(&root).unwrap();
    assert_eq!(run.config_text().unwrap(), TEXT);
    assert_eq!(run.read_split::<Vec<String>>().unwrap(), ["a", "b"]);
    assert_eq!(run.read_report::<serde_json::Value>().unwrap()["dsc"], 0.5);
    assert!(!run.holds_lock());
    for error in [run.write_split("x").unwrap_err(), run.write_report("x").unwrap_err()] {
        assert!(error.to_string().contains("reading only"), "{error}");
    }
    assert!(RunFolder::resume(&root).unwrap().warnings().is_empty());
}

#[test]
fn an_existing_run_or_foreign_files_are_refused() {
    let (_keep, root) = new_root();
    RunFolder::create(&root, TEXT).unwrap();
    let text = RunFolder::create(&root, "other = 1").unwrap_err().to_string();
    assert!(text.contains("Resume it"), "{text}");
    assert_eq!(fs::read_to_string(root.join(RUN_CONFIG)).unwrap(), TEXT);

    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("thesis.docx"), "x").unwrap();
    let text = RunFolder::create(other.path(), TEXT).unwrap_err().to_string();
    assert!(text.contains("thesis.docx"), "{text}");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1, "the refused run leaves nothing");
    for error in [RunFolder::open(other.path()).unwrap_err(), RunFolder::resume(other.path()).unwrap_err()] {
        assert!(error.to_string().contains("not a run folder"), "{error}");
    }
    let absent = RunFolder::open(&other.path().join("absent")).unwrap_err();
    assert!(matches!(absent.kind(), ErrorKind::Io { .. }), "{absent}");
}

#[test]
fn a_killed_create_can_be_repeated() {
    let (_keep, root) = new_root();
    fs::create_dir_all(root.join(CHECKPOINTS)).unwrap();
    fs::write(root.join(lock::NAME), "99999\n").unwrap();
    fs::write(root.join(".config.toml.99999.0.tmp"), "vers").unwrap();
    RunFolder::create(&root, TEXT).unwrap();
    assert!(!root.join(".config.toml.99999.0.tmp").exists());
}

#[test]
fn leftovers_are_cleaned_and_foreign_files_kept() {
    let (_keep, root) = new_root();
    drop(RunFolder::create(&root, TEXT).unwrap());
    let leftovers = [".config.toml.1.2.tmp", "checkpoints/.x.3.4.tmp"].map(|name| root.join(name));
    let foreign = ["notes.txt", ".hidden.tmp"].map(|name| root.join(name));
    for path in leftovers.iter().chain(&foreign) {
        fs::write(path, "x").unwrap();
    }
    fs::write(root.join(lock::NAME), "4711\n").unwrap();
    let run = RunFolder::resume(&root).unwrap();
    assert!(run.warnings()[0].contains("process 4711"), "{:?}", run.warnings());
    assert!(leftovers.iter().all(|path| !path.exists()));
    assert!(foreign.iter().all(|path| path.exists()));
}

#[test]
fn a_file_in_place_of_the_run_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for (root, why) in [(file.clone(), "is a file. Choose a folder"), (file.join("run"), "cannot create")] {
        let error = RunFolder::create(&root, TEXT).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"x");
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_refused_before_the_first_epoch() {
    use std::os::unix::fs::PermissionsExt;
    let (_keep, root) = new_root();
    drop(RunFolder::create(&root, TEXT).unwrap());
    for name in ["", CHECKPOINTS] {
        let folder = root.join(name);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
        let may_write = fs::write(folder.join("may-write"), "").is_ok();
        let outcome = RunFolder::resume(&root);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        if may_write {
            eprintln!("skipped: this user (root) may write to read-only folders");
            return;
        }
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains("ermission denied"), "{text}");
    }
}

#[test]
fn a_file_in_place_of_the_checkpoints_is_refused() {
    let (_keep, root) = new_root();
    drop(RunFolder::create(&root, TEXT).unwrap());
    fs::remove_dir(root.join(CHECKPOINTS)).unwrap();
    fs::write(root.join(CHECKPOINTS), "x").unwrap();
    let text = RunFolder::resume(&root).unwrap_err().to_string();
    assert!(text.contains(CHECKPOINTS), "{text}");
}

#[test]
fn a_vanished_run_folder_is_not_recreated() {
    let (_keep, root) = new_root();
    let run = RunFolder::create(&root, TEXT).unwrap();
    fs::remove_dir_all(&root).unwrap();
    let text = run.write_split("x").unwrap_err().to_string();
    assert!(text.contains("no longer exists"), "{text}");
    assert!(!root.exists());
}

#[test]
fn a_second_process_cannot_lock_the_run() {
    let (_keep, root) = new_root();
    let run = RunFolder::create(&root, TEXT).unwrap();
    let error = RunFolder::resume(&root).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error}");
    RunFolder::open(&root).unwrap();
    drop(run);
    RunFolder::resume(&root).unwrap();
}

#[test]
fn diff_config_names_every_differing_setting() {
    let old = toml::from_str("version = 1\nname = \"a\"\n[pretrain]\nlr = 0.0001\nsteps = [1, 2]").unwrap();
    let new = toml::from_str("version = 1\n[pretrain]\nlr = 0.003\nsteps = [1, 2]\nseed = 7").unwrap();
    let expected = ["name: \"a\" -> absent", "pretrain.lr: 0.0001 -> 0.003", "pretrain.seed: absent -> 7"];
    assert_eq!(diff_config(&old, &new), expected);
    assert!(diff_config(&old, &old).is_empty());
}
