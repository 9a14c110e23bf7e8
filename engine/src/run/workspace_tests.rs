//! Tests of listing, trashing and naming the runs of a workspace.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::event::{EpochSummary, Event, EventSink};
use crate::run::checkpoint::{CheckpointData, Slot};
use crate::run::log::EventLog;

fn config(stage: Stage) -> Config {
    let mut config = if stage == Stage::Pretrain { Config::default() } else { Config::finetune() };
    config.data.modality = vec!["flair".into()];
    config.data.cohort = "some/cohort".into();
    config.training.epochs = 5;
    config
}

/// A run with `done` logged epochs and, if `finished`, its end. Its lock is held.
fn run(root: &Path, stage: Stage, done: usize, finished: bool) -> RunFolder {
    let run = RunFolder::create(root, &config(stage).to_toml().unwrap()).unwrap();
    let mut log = EventLog::create(&run.events_path()).unwrap();
    let mut emit = |event: &Event| log.event(event).unwrap();
    emit(&Event::Started {
        stage,
        epochs: 5,
        steps_per_epoch: 1,
        slices: 3,
        parameters: 7,
        device: "cpu".into(),
        first_epoch: 1,
    });
    for epoch in 1..=done {
        let loss = 1.0 / epoch as f64;
        if stage == Stage::Finetune {
            emit(&Event::Validation { epoch, dice: if epoch == 2 { 0.75 } else { 0.5 }, best: epoch < 3 });
        }
        emit(&Event::Epoch(Box::new(EpochSummary { epoch, loss, ..EpochSummary::default() })));
    }
    if finished {
        emit(&Event::Finished { stage, epochs: 5 });
    }
    run
}

fn save(run: &RunFolder, epoch: usize) {
    let data = CheckpointData { epoch, step: 0, parts: vec![("model.safetensors".into(), vec![1; 8])] };
    checkpoint::save(run, Slot::Last, &data).unwrap();
}

fn by_name<'a>(runs: &'a [RunEntry], name: &str) -> &'a RunEntry {
    runs.iter().find(|run| run.name == name).unwrap_or_else(|| panic!("{name} is not among {runs:?}"))
}

#[test]
fn every_state_of_a_run_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    assert_eq!(list(&path("absent")).unwrap(), []);
    drop(run(&path("done"), Stage::Pretrain, 5, true));
    let stopped = run(&path("set/stopped"), Stage::Finetune, 3, false);
    save(&stopped, 3);
    drop(stopped);
    drop(run(&path("early"), Stage::Pretrain, 0, false));
    let failed = run(&path("failed"), Stage::Pretrain, 1, false);
    failure::write(&failed, "the loss is NaN").unwrap();
    drop(failed);
    fs::create_dir(path("cut")).unwrap();
    fs::write(path("cut").join("config.toml"), "version = 1\n").unwrap();
    fs::create_dir_all(path("thesis/a/b")).unwrap();
    let passed_on = RunFolder::create(&path("model"), &config(Stage::Finetune).to_toml().unwrap()).unwrap();
    save(&passed_on, 4);
    drop(passed_on);
    let _at_work = run(&path("at-work"), Stage::Pretrain, 2, false);

    let runs = list(folder.path()).unwrap();
    assert_eq!(runs.len(), 7, "{runs:?}");
    assert!(runs.is_sorted_by(|a, b| a.changed >= b.changed) && runs.iter().all(|run| run.changed > 1e9));
    let done = by_name(&runs, "done");
    assert_eq!((&done.state, done.epochs_done, done.epochs, done.loss), (&EntryState::Finished, 5, 5, Some(0.2)));
    assert_eq!((done.stage, done.preset.as_str(), done.device.as_str()), (Stage::Pretrain, "amlp", "cpu"));
    assert_eq!((done.labels.as_deref(), done.dice, &done.modality), (None, None, &vec!["flair".to_owned()]));
    let stopped = by_name(&runs, "set/stopped");
    assert_eq!((&stopped.state, stopped.epochs_done, stopped.dice), (&EntryState::Stopped, 3, Some(0.75)));
    assert_eq!((stopped.labels.as_deref(), &stopped.from), (Some("5%"), &None));
    assert_eq!((stopped.checkpoint, stopped.dice_of), (true, DiceSource::Validation));
    assert!(!by_name(&runs, "early").checkpoint);
    assert_eq!(by_name(&runs, "early").state, EntryState::Stopped);
    assert_eq!(by_name(&runs, "failed").state, EntryState::Failed("the loss is NaN".into()));
    let EntryState::Broken(why) = &by_name(&runs, "cut").state else { panic!("{runs:?}") };
    assert!(why.contains("incomplete"), "{why}");
    let model = by_name(&runs, "model");
    assert_eq!((&model.state, model.epochs_done), (&EntryState::Finished, 4));
    assert!(matches!(by_name(&runs, "at-work").state, EntryState::Training { .. }));

    let names: Vec<String> = unfinished(folder.path()).unwrap().into_iter().map(|run| run.name).collect();
    assert_eq!(names, ["set/stopped"], "a run without a checkpoint cannot be resumed");
}

#[test]
fn an_entry_says_which_patients_its_dice_was_measured_on() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    drop(run(&root, Stage::Finetune, 2, true));
    fs::create_dir(root.join("evaluation")).unwrap();
    for (part, of) in [("test", DiceSource::Test), ("val", DiceSource::HeldOut)] {
        let document = format!(r#"{{"part": "{part}", "mean": {{"dsc": 0.25}}}}"#);
        fs::write(root.join("evaluation/evaluation.json"), document).unwrap();
        let entry = &list(folder.path()).unwrap()[0];
        assert_eq!((entry.dice, entry.dice_of), (Some(0.25), of));
    }
    fs::write(root.join("evaluation/evaluation.json"), "{").unwrap();
    let entry = &list(folder.path()).unwrap()[0];
    assert_eq!((entry.dice, entry.dice_of), (Some(0.75), DiceSource::Validation));
}

#[test]
fn a_damaged_log_is_named_and_hides_no_other_run() {
    let folder = tempfile::tempdir().unwrap();
    drop(run(&folder.path().join("good"), Stage::Pretrain, 2, false));
    drop(run(&folder.path().join("bad"), Stage::Pretrain, 2, false));
    let log = folder.path().join("bad/events.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replacen("{\"seq\":2", "{\"sequence\":2", 1)).unwrap();
    let runs = list(folder.path()).unwrap();
    let EntryState::Broken(why) = &by_name(&runs, "bad").state else { panic!("{runs:?}") };
    assert!(why.contains("events.jsonl: line 2"), "{why}");
    assert_eq!(by_name(&runs, "good").state, EntryState::Stopped);
    fs::remove_file(folder.path().join("good/config.toml")).unwrap();
    assert!(matches!(by_name(&list(folder.path()).unwrap(), "good").state, EntryState::Broken(_)));
}

#[test]
fn a_deleted_run_is_in_the_trash_and_can_be_restored() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for number in 1..=2 {
        drop(run(&path("run"), Stage::Pretrain, number, false));
        let moved = trash(folder.path(), &path("run")).unwrap();
        assert!(moved.ends_with(format!(".trash/run-{number}")) && RunFolder::is_run(&moved));
        assert!(!path("run").exists() && list(folder.path()).unwrap().is_empty(), "the trash is not listed");
        let text = trash(folder.path(), &moved).unwrap_err().to_string();
        assert!(text.contains("is not in the workspace"), "{text}");
    }
    // The newer run is restored, so the older one can no longer be.
    restore(&path(".trash/run-2"), &path("run")).unwrap();
    assert_eq!(list(folder.path()).unwrap()[0].epochs_done, 2);
    let text = restore(&path(".trash/run-1"), &path("run")).unwrap_err().to_string();
    assert!(text.contains("already exists") && RunFolder::is_run(&path(".trash/run-1")), "{text}");
    assert!(restore(&path("run"), &path("moved")).is_err(), "it does not lie in a trash");
    trash(folder.path(), &path("run")).unwrap();
    let live = run(&path("live"), Stage::Pretrain, 1, false);
    let error = trash(folder.path(), &path("live")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error}");
    drop(live);
    let elsewhere = tempfile::tempdir().unwrap();
    drop(run(&elsewhere.path().join("other"), Stage::Pretrain, 1, false));
    fs::create_dir(path("thesis")).unwrap();
    let outside = path("live").join("../../").join(elsewhere.path().file_name().unwrap()).join("other");
    for refused in
        [elsewhere.path().join("other"), outside, folder.path().to_path_buf(), path("thesis"), path("absent")]
    {
        assert!(trash(folder.path(), &refused).is_err(), "{}", refused.display());
    }
    assert!(RunFolder::is_run(&elsewhere.path().join("other")) && path("thesis").is_dir());
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_workspace_is_not_followed_to_the_trash() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(run(&elsewhere.path().join("other"), Stage::Pretrain, 1, false));
    std::os::unix::fs::symlink(elsewhere.path().join("other"), folder.path().join("linked")).unwrap();
    assert!(trash(folder.path(), &folder.path().join("linked")).is_err());
    assert!(RunFolder::is_run(&elsewhere.path().join("other")));
}

#[test]
fn notes_can_be_written_while_the_run_is_training() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let live = run(&root, Stage::Pretrain, 1, false);
    set_notes(&root, "zwölf Schichten").unwrap();
    assert_eq!(list(folder.path()).unwrap()[0].notes, "zwölf Schichten");
    assert!(set_notes(&root, &"x".repeat(65_537)).unwrap_err().to_string().contains("65537 bytes"));
    set_notes(&root, &"x".repeat(65_536)).unwrap();
    assert_eq!(list(folder.path()).unwrap()[0].notes.len(), 65_536);
    drop(live);
    assert!(set_notes(folder.path(), "x").is_err(), "not a run");
    assert!(RunFolder::resume(&root).unwrap().warnings().is_empty());
}

#[test]
fn a_fresh_name_is_unused() {
    let folder = tempfile::tempdir().unwrap();
    let next = |stem: &str| fresh(folder.path(), stem).file_name().unwrap().to_string_lossy().into_owned();
    for expected in ["pre", "pre-2", "pre-3"] {
        assert_eq!(next("pre"), expected);
        fs::create_dir(folder.path().join(expected)).unwrap();
    }
    assert_eq!([next("../up"), next("a/b"), next(" "), next("..")], ["up", "a-b", "run", "run"].map(String::from));
}
