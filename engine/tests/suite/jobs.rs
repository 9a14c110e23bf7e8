//! Jobs as started by the window: resumed from stored state, paused and cancelled during preparation, ended by an error.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{assert_same, cohort, finetune, finetune_config, fingerprint, pretrain, pretrain_config};
use engine::cohort::split::Split;
use engine::config::Config;
use engine::device::Compute;
use engine::event::{Control, Event, Signal, Stage};
use engine::jobs::{FinetuneJob, PretrainJob, Start, stored_config};
use engine::probe::{self, Pin};
use engine::run::RunFolder;
use engine::run::checkpoint::load;
use engine::run::workspace::{EntryState, RunEntry, list, unfinished};
use engine::{ErrorKind, Result};

/// Prepares a job of the configured stage and returns the outcome.
fn prepare(
    config: &Config,
    out: &Path,
    resume: bool,
    control: &Control,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let start = Start { resume, ..Start::default() };
    match config.stage {
        Stage::Pretrain => PretrainJob::prepare(config.clone(), out, start, control, progress).map(|_| ()),
        Stage::Finetune => FinetuneJob::prepare(config.clone(), out, start, control, progress).map(|_| ()),
    }
}

fn both(root: &Path) -> [Config; 2] {
    let mut fine = finetune_config(root, None);
    fine.labels.labels = "all".into();
    fine.labels.validate_every = 1;
    [pretrain_config(root), fine]
}

fn entry(workspace: &Path, run: &Path) -> RunEntry {
    list(workspace).unwrap().into_iter().find(|entry| entry.path == run).unwrap()
}

#[test]
fn a_run_is_resumed_with_its_stored_configuration() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let workspace = temp.path().join("runs");
    for (name, config) in ["pre", "fine"].into_iter().zip(both(&root)) {
        let (whole, cut) = (temp.path().join(name), workspace.join(name));
        let run = |config: &Config, out: &Path, resume, stop| match config.stage {
            Stage::Pretrain => pretrain(config, out, resume, stop),
            Stage::Finetune => finetune(config, out, resume, stop),
        };
        run(&config, &whole, false, 0).unwrap();
        run(&config, &cut, false, 2).unwrap_err();
        let stopped = unfinished(&workspace).unwrap();
        assert_eq!(stopped.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), [name]);
        let stored = stored_config(&stopped[0].path).unwrap();
        assert_eq!(stored, Config { data: stored.data.clone(), ..config.clone() });
        run(&stored, &stopped[0].path, true, 0).unwrap();
        assert_same(&whole, &cut);
        assert_eq!((unfinished(&workspace).unwrap().len(), entry(&workspace, &cut).state), (0, EntryState::Finished));
    }
    assert!(stored_config(&workspace).is_err());
}

#[test]
fn cancelling_while_patients_are_prepared_leaves_no_run() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 16);
    for config in both(&root) {
        let out = temp.path().join("run");
        let control = Control::default();
        let mut heard = 0;
        let mut cancel = |_: usize, _: usize| {
            heard += 1;
            control.set(Signal::Cancel);
        };
        let error = prepare(&config, &out, false, &control, &mut cancel).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
        assert_eq!(heard, 1, "no further patient is prepared");
        assert!(!out.exists(), "a run that has not trained leaves no files");
        // Before anything: the cohort's masks are not read for the split either.
        let error = prepare(&config, &out, false, &control, &mut |_, _| {}).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Cancelled) && !out.exists(), "{error}");
        prepare(&config, &out, false, &Control::default(), &mut |_, _| {}).unwrap();
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_run_that_has_trained_survives_a_cancelled_resume() {
    let temp = tempfile::tempdir().unwrap();
    let config = pretrain_config(&cohort(temp.path(), 8));
    let run = temp.path().join("run");
    pretrain(&config, &run, false, 2).unwrap_err();
    let before = fingerprint(&run);
    let control = Control::default();
    control.set(Signal::Cancel);
    prepare(&config, &run, true, &control, &mut |_, _| {}).unwrap_err();
    assert!(fingerprint(&run) == before);
    pretrain(&config, &run, true, 0).unwrap();
}

#[test]
fn pausing_while_patients_are_prepared_waits_between_two_of_them() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 16);
    for (name, config) in ["pre", "fine"].into_iter().zip(both(&root)) {
        let (control, released) = (Control::default(), AtomicBool::new(false));
        let mut progress = Vec::new();
        std::thread::scope(|scope| {
            let mut pause = |done: usize, _: usize| {
                progress.push((done, released.load(Ordering::SeqCst)));
                if progress.len() == 1 {
                    control.set(Signal::Pause);
                    scope.spawn(|| {
                        std::thread::sleep(std::time::Duration::from_millis(100));
                        released.store(true, Ordering::SeqCst);
                        control.set(Signal::Run);
                    });
                }
            };
            prepare(&config, &temp.path().join(name), false, &control, &mut pause).unwrap();
        });
        assert!(progress.len() > 1 && !progress[0].1, "{progress:?}");
        assert!(progress[1..].iter().all(|(_, released)| *released), "continued while paused: {progress:?}");
    }
}

#[test]
fn slices_pinned_while_fine_tuning_are_recorded_from_then_on() {
    let temp = tempfile::tempdir().unwrap();
    let config = finetune_config(&cohort(temp.path(), 8), None);
    let run = temp.path().join("fine");
    let control = Control::default();
    let mut job = FinetuneJob::prepare(config, &run, Start::default(), &control, &mut |_, _| {}).unwrap();
    let pins = Arc::clone(&job.pins);
    let split: Split = job.run.read_split().unwrap();
    let [seen, unseen] = [&split.train[0], &split.test[0]].map(|id| Pin::new(id.clone(), 3));
    let mut sink = |event: &Event| {
        match event {
            Event::Step { epoch: 2, step: 1, .. } => assert!(pins.add(unseen.clone()) && pins.add(seen.clone())),
            Event::Step { epoch: 4, step: 1, .. } => assert!(pins.remove(&seen)),
            _ => {}
        }
        Ok(())
    };
    job.train(&Compute::cpu(), &mut sink, &control).unwrap();
    assert_eq!(probe::epochs(&run, &seen, Stage::Finetune), [2, 3]);
    assert_eq!(probe::epochs(&run, &unseen, Stage::Finetune), [2, 3, 4]);
    assert_eq!(probe::pins(&run).unwrap(), [unseen]);
}

/// The second job on a run gets an error that names the process of the first.
#[test]
fn two_jobs_do_not_share_a_run() {
    let temp = tempfile::tempdir().unwrap();
    let config = pretrain_config(&cohort(temp.path(), 8));
    let run = temp.path().join("run");
    let control = Control::default();
    let first = PretrainJob::prepare(config.clone(), &run, Start::default(), &control, &mut |_, _| {}).unwrap();
    let error = prepare(&config, &run, true, &control, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error}");
    assert!(matches!(entry(temp.path(), &run).state, EntryState::Training { .. }));
    drop(first);
    prepare(&config, &run, true, &control, &mut |_, _| {}).unwrap();
    assert_eq!(entry(temp.path(), &run).state, EntryState::Stopped);
}

/// The run records why it ended, and its last checkpoint has finite numbers only.
#[test]
fn a_loss_that_explodes_leaves_finite_weights_and_the_reason() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    // One step per epoch, so that there is a checkpoint between the exploding step and the loss that shows it.
    (config.training.lr, config.training.batch) = (1e30, 1000);
    let run = temp.path().join("run");
    let error = pretrain(&config, &run, false, 0).unwrap_err();
    let why = error.to_string();
    let EntryState::Failed(reason) = entry(temp.path(), &run).state else { panic!("{:?}", entry(temp.path(), &run)) };
    assert_eq!(reason, why);
    let folder = RunFolder::open(&run).unwrap();
    let mut checkpoint = load(&folder).unwrap().0;
    let weights = checkpoint.take("model.safetensors").unwrap();
    let file = safetensors::SafeTensors::deserialize(&weights).unwrap();
    for (name, tensor) in file.tensors() {
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        assert!(values.into_iter().all(f32::is_finite), "{name}");
    }
    // Resuming clears the reason; here it recurs.
    prepare(&config, &run, true, &Control::default(), &mut |_, _| {}).unwrap();
    assert_eq!(entry(temp.path(), &run).state, EntryState::Stopped);
}
