//! Tests of checkpoint rotation, fallback and repair. Kills by the operating system: `tests/run_folder_faults.rs`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::*;

fn data(epoch: usize) -> CheckpointData {
    let weights = (0..300).map(|i| (i * epoch) as u8).collect();
    let state = format!("{{\"epoch\": {epoch}}}").into_bytes();
    CheckpointData { epoch, step: 0, parts: vec![("model.safetensors".into(), weights), ("state.json".into(), state)] }
}

/// The epoch in each folder.
type Places = &'static [(&'static str, usize)];

fn run() -> (tempfile::TempDir, RunFolder) {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), "version = 1\n").unwrap();
    (folder, run)
}

/// A run after saving these epochs in turn.
fn run_with(epochs: std::ops::RangeInclusive<usize>) -> (tempfile::TempDir, RunFolder) {
    let (keep, run) = run();
    epochs.for_each(|epoch| save(&run, Slot::Last, &data(epoch)).unwrap());
    (keep, run)
}

fn names(run: &RunFolder) -> BTreeSet<String> {
    let entries = fs::read_dir(run.checkpoints_path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

fn load_slot(run: &RunFolder, slot: Slot) -> Result<CheckpointData> {
    Ok(first_good(run, &[slot], read_folder)?.content)
}

/// The error only said that there is no checkpoint `best`.
#[test]
fn a_run_without_validation_says_why_it_has_no_best_network() {
    let (_keep, run) = run();
    save(&run, Slot::Last, &data(1)).unwrap();
    let error = load_slot(&run, Slot::Best).unwrap_err().to_string();
    assert!(error.contains("no checkpoint best, because no validation chose one. Use the last network"), "{error}");
}

#[test]
fn the_last_two_and_the_best_are_kept() {
    let (_keep, run) = run();
    assert!(!has_checkpoint(&run));
    assert!(load(&run).unwrap_err().to_string().contains("has no checkpoint last or previous"));
    for epoch in 1..=4 {
        save(&run, Slot::Last, &data(epoch)).unwrap();
        if epoch < 3 {
            save(&run, Slot::Best, &data(epoch)).unwrap();
        }
        assert_eq!(load(&run).unwrap(), (data(epoch), Vec::new()));
    }
    assert!(has_checkpoint(&run));
    assert_eq!(names(&run), set(["last", "previous", "best"]));
    for (slot, epoch) in [(Slot::Last, 4), (Slot::Previous, 3), (Slot::Best, 2)] {
        assert_eq!(load_slot(&run, slot).unwrap(), data(epoch));
        assert_eq!(manifest(&run, slot).unwrap().epoch, epoch);
    }
    let error = save(&run, Slot::Previous, &data(9)).unwrap_err();
    assert!(error.to_string().contains("cannot be saved itself"), "{error}");
}

#[test]
fn a_single_part_can_be_loaded_for_prediction() {
    let (_keep, run) = run_with(1..=2);
    let reader = RunFolder::open(run.root()).unwrap();
    let both = [Slot::Best, Slot::Last];
    let result = load_part(&reader, &both, "model.safetensors").unwrap();
    assert_eq!((result.slot, &result.content), (Slot::Last, &data(2).parts[0].1));
    assert!(result.warnings.is_empty(), "{:?}", result.warnings);
    save(&run, Slot::Best, &data(1)).unwrap();
    assert_eq!(load_part(&reader, &both, "state.json").unwrap().slot, Slot::Best);
    let text = load_part(&reader, &both, "../../x").unwrap_err().to_string();
    assert!(text.contains("model.safetensors, state.json"), "{text}");
    assert!(save(&reader, Slot::Last, &data(3)).unwrap_err().to_string().contains("reading only"));
    let mut taken = data(5);
    assert_eq!(taken.take("state.json").unwrap(), b"{\"epoch\": 5}");
    assert!(taken.take("state.json").is_err());
}

#[test]
fn a_damaged_last_checkpoint_is_set_aside_and_the_previous_one_used() {
    let (_keep, run) = run_with(1..=2);
    let file = run.checkpoints_path().join("last/model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    bytes[17] ^= 4;
    fs::write(&file, &bytes).unwrap();

    let reader = RunFolder::open(run.root()).unwrap();
    assert_eq!(load(&reader).unwrap().0, data(1));
    assert_eq!(names(&run), set(["last", "previous"]), "a reader changes nothing");

    let (result, warnings) = load(&run).unwrap();
    assert_eq!(result, data(1));
    let recorded = crate::disk::atomic::sha256(&data(2).parts[0].1);
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    for part in ["model.safetensors", "checksum is", &recorded, "previous is used instead"] {
        assert!(warning.contains(part), "{warning}");
    }
    assert_eq!(names(&run), set(["damaged", "previous"]));
    save(&run, Slot::Last, &data(2)).unwrap();
    assert_eq!(load_slot(&run, Slot::Previous).unwrap(), data(1), "the good one was not replaced by the damaged one");
    assert_eq!(load(&run).unwrap(), (data(2), Vec::new()));
}

#[test]
fn two_damaged_checkpoints_are_an_error_that_names_the_last() {
    let (_keep, run) = run_with(1..=2);
    for slot in ["last", "previous"] {
        fs::write(run.checkpoints_path().join(slot).join("state.json"), "{\"epoch\": 7}").unwrap();
    }
    let error = load(&run).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Checksum { .. }), "{error}");
    assert!(error.to_string().contains("last"), "{error}");
    assert_eq!(names(&run), set(["last", "previous"]));
}

#[test]
fn another_format_version_is_refused_without_falling_back() {
    let (_keep, run) = run_with(1..=2);
    let path = run.checkpoints_path().join("last/manifest.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"version\": 1", "\"version\": 2");
    fs::write(&path, text).unwrap();
    let error = load(&run).unwrap_err();
    assert!(error.to_string().contains("format version 2, but this program reads 1"), "{error}");
    assert_eq!(names(&run), set(["last", "previous"]));
}

#[test]
fn a_missing_last_checkpoint_is_a_warning() {
    let (_keep, run) = run_with(1..=2);
    fs::remove_dir_all(run.checkpoints_path().join("last")).unwrap();
    let (result, warnings) = load(&run).unwrap();
    assert_eq!(result, data(1));
    assert!(warnings[0].contains("last is missing"), "{warnings:?}");
}

/// Every state between two steps of a save: what a reader finds, and the state after resuming.
#[test]
fn every_state_between_two_renames_is_repaired() {
    // (epoch in each folder; 1 is the oldest), epochs that a reader finds as last and previous, then after resuming.
    let states: [(Places, [Option<usize>; 2]); 8] = [
        (&[("previous", 1), ("last", 2), (".last.new.tmp", 3)], [Some(2), Some(1)]),
        (&[(".previous.old.tmp", 1), ("last", 2), (".last.new.tmp", 3)], [Some(2), Some(1)]),
        (&[(".previous.old.tmp", 1), ("previous", 2), (".last.new.tmp", 3)], [Some(3), Some(2)]),
        (&[(".previous.old.tmp", 1), ("previous", 2), ("last", 3)], [Some(3), Some(2)]),
        (&[(".last.new.tmp", 1)], [Some(1), None]),
        (&[("last", 1), (".last.new.tmp", 2)], [Some(1), None]),
        (&[("previous", 1), (".last.new.tmp", 2)], [Some(2), Some(1)]),
        (&[(".previous.old.tmp", 1)], [None, Some(1)]),
    ];
    for (folders, expected) in states {
        let (_keep, run) = run();
        for (name, epoch) in folders {
            write_folder(&run.checkpoints_path().join(name), &data(*epoch)).unwrap();
        }
        let root = run.root().to_path_buf();
        drop(run);
        let epochs =
            |run: &RunFolder| [Slot::Last, Slot::Previous].map(|slot| load_slot(run, slot).ok().map(|d| d.epoch));
        assert_eq!(epochs(&RunFolder::open(&root).unwrap()), expected, "reading {folders:?}");
        let run = RunFolder::resume(&root).unwrap();
        assert_eq!(epochs(&run), expected, "after resume of {folders:?}");
        assert!(names(&run).is_subset(&set(["last", "previous"])), "{:?}", names(&run));
        let newest = expected[0].or(expected[1]).unwrap();
        assert_eq!(load(&run).unwrap().0, data(newest));
        save(&run, Slot::Last, &data(newest + 1)).unwrap();
        assert_eq!(epochs(&run), [Some(newest + 1), Some(newest)], "after the next save of {folders:?}");
    }
}

#[test]
fn an_interrupted_save_of_best_is_repaired() {
    let states: [(Places, usize); 4] = [
        (&[("best", 1), (".best.new.tmp", 2)], 1),
        (&[(".best.old.tmp", 1), (".best.new.tmp", 2)], 2),
        (&[(".best.old.tmp", 1), ("best", 2)], 2),
        (&[(".best.old.tmp", 1)], 1),
    ];
    for (folders, expected) in states {
        let (_keep, run) = run();
        for (name, epoch) in folders {
            write_folder(&run.checkpoints_path().join(name), &data(*epoch)).unwrap();
        }
        let root = run.root().to_path_buf();
        drop(run);
        assert_eq!(load_slot(&RunFolder::open(&root).unwrap(), Slot::Best).unwrap(), data(expected));
        let run = RunFolder::resume(&root).unwrap();
        assert_eq!(load_slot(&run, Slot::Best).unwrap(), data(expected));
        assert_eq!(names(&run), set(["best"]));
    }
}

#[test]
fn half_written_checkpoints_and_junk_are_removed() {
    let (_keep, run) = run_with(1..=2);
    let checkpoints = run.checkpoints_path();
    let root = run.root().to_path_buf();
    drop(run);
    fs::create_dir(checkpoints.join(".last.new.tmp")).unwrap();
    fs::write(checkpoints.join(".last.new.tmp/model.safetensors"), "half").unwrap();
    fs::write(checkpoints.join(".best.new.tmp"), "a file where a folder belongs").unwrap();
    fs::create_dir(checkpoints.join(".previous.old.tmp")).unwrap();
    let run = RunFolder::resume(&root).unwrap();
    assert_eq!(names(&run), set(["last", "previous"]));
    assert_eq!(load(&run).unwrap(), (data(2), Vec::new()));
}

#[test]
fn a_failed_save_changes_nothing() {
    let (_keep, run) = run_with(1..=2);
    let bad = CheckpointData { parts: vec![("../x".into(), Vec::new())], ..data(3) };
    assert!(save(&run, Slot::Last, &bad).is_err());
    assert_eq!(names(&run), set(["last", "previous"]));
    assert_eq!(load(&run).unwrap(), (data(2), Vec::new()));
}

#[test]
fn a_vanished_run_folder_is_an_error_and_is_not_made_again() {
    let (keep, run) = run_with(1..=2);
    fs::remove_dir_all(run.root()).unwrap();
    let text = save(&run, Slot::Last, &data(3)).unwrap_err().to_string();
    assert!(text.contains("the run folder no longer exists"), "{text}");
    assert!(!run.root().exists());
    assert_eq!(fs::read_dir(keep.path()).unwrap().count(), 0);
}

/// The `number`-th file of a checkpoint, in a fixed order.
fn file_of(run: &RunFolder, slot: Slot, number: usize) -> PathBuf {
    let names = ["manifest.json", "model.safetensors", "state.json"];
    run.checkpoints_path().join(slot.name()).join(names[number])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Truncates a file of the last checkpoint at any position.
    #[test]
    fn a_truncated_checkpoint_is_replaced_by_the_previous_one(number in 0..3_usize, share in 0.0..1.0_f64) {
        let (_keep, run) = run_with(1..=2);
        let path = file_of(&run, Slot::Last, number);
        let length = fs::metadata(&path).unwrap().len();
        fs::File::options().write(true).open(&path).unwrap().set_len((share * length as f64) as u64).unwrap();
        let (result, warnings) = load(&run).unwrap();
        prop_assert_eq!(result, data(1));
        prop_assert!(warnings.len() == 1 && warnings[0].contains("previous is used instead"), "{:?}", warnings);
    }

    /// A flipped bit in the version number reads as another version.
    #[test]
    fn a_flipped_bit_is_always_detected(number in 0..3_usize, share in 0.0..1.0_f64, bit in 0..8) {
        let (_keep, run) = run_with(1..=2);
        let path = file_of(&run, Slot::Last, number);
        let mut bytes = fs::read(&path).unwrap();
        let offset = (share * bytes.len() as f64) as usize;
        bytes[offset] ^= 1_u8 << bit;
        fs::write(&path, &bytes).unwrap();
        match load(&run) {
            Ok((found, warnings)) => {
                prop_assert_eq!(found, data(1));
                prop_assert_eq!(warnings.len(), 1);
            }
            Err(error) => prop_assert!(matches!(error.kind(), ErrorKind::Version { .. }), "{}", error),
        }
    }

    /// The result is an error or the previous checkpoint.
    #[test]
    fn no_manifest_causes_a_panic(text in "[\\[\\]{}:,\" a-z0-9./-]{0,200}", version in any::<bool>()) {
        let (_keep, run) = run_with(1..=2);
        let text = if version { format!("{{\"version\": 1, {text}") } else { text };
        fs::write(file_of(&run, Slot::Last, 0), text).unwrap();
        if let Ok((found, _)) = load(&run) {
            prop_assert_eq!(found, data(1));
        }
    }
}
