//! A fine-tuned run evaluated patient by patient.

use std::path::{Path, PathBuf};

use crate::common::{cohort, finetune, finetune_config, pretrain, pretrain_config};
use engine::ErrorKind;
use engine::cohort::split::Split;
use engine::device::Compute;
use engine::evaluate::{Target, evaluate_files};
use engine::event::{Control, Event, Signal};
use engine::jobs::evaluation::{RunEvaluation, evaluate_run, stored_evaluation};
use engine::metrics::Options;
use engine::predict::Choice;
use engine::run::workspace::{EntryState, list};
use engine::run::{RunFolder, lock};
use engine::volume::{LabelVolume, MaskOptions};

/// A run that was fine-tuned for `epochs` on a small cohort.
fn tuned(folder: &Path, epochs: usize) -> PathBuf {
    let mut config = finetune_config(&cohort(folder, 10), None);
    config.training.epochs = epochs;
    let run = folder.join("fine");
    finetune(&config, &run, false, 0).unwrap();
    run
}

fn evaluate(run: &Path) -> RunEvaluation {
    evaluate_run(run, Choice::Last, &Compute::cpu(), &Control::default(), &mut |_, _, _| {}).unwrap()
}

/// The slice along the file's third axis (S-I) with the lowest Dice, computed voxel by voxel. Ties go to the slice with more
/// wrong voxels, then to the lower one.
fn worst(mask: &LabelVolume, truth: &LabelVolume) -> Option<(usize, f64)> {
    let [nx, ny, nz] = mask.shape();
    let mut worst: Option<(f64, f64, usize)> = None;
    for k in 0..nz {
        let voxels = k * nx * ny..(k + 1) * nx * ny;
        let count = |of: &dyn Fn(usize) -> bool| voxels.clone().filter(|&at| of(at)).count() as f64;
        let (found, true_) = (count(&|at| mask.get(at) > 0), count(&|at| truth.get(at) > 0));
        let both = count(&|at| mask.get(at) > 0 && truth.get(at) > 0);
        if found + true_ > 0.0 {
            let slice = (2.0 * both / (found + true_), 2.0 * both - found - true_, k);
            if worst.is_none_or(|lowest| slice < lowest) {
                worst = Some(slice);
            }
        }
    }
    worst.map(|(dice, _, k)| (k, dice))
}

#[test]
fn every_held_out_patient_has_a_mask_measures_and_a_worst_slice() {
    let temp = tempfile::tempdir().unwrap();
    let run = tuned(temp.path(), 40);
    assert_eq!(stored_evaluation(&run, Choice::Last).unwrap(), None);
    let mut heard = Vec::new();
    let mut hear = |done, all, who: &str| heard.push((done, all, who.to_owned()));
    let found = evaluate_run(&run, Choice::Last, &Compute::cpu(), &Control::default(), &mut hear).unwrap();
    let split: Split = RunFolder::open(&run).unwrap().read_split().unwrap();
    let names: Vec<&String> = found.patients.iter().map(|row| &row.case).collect();
    assert_eq!((found.part.as_str(), found.epoch, names), ("test", 40, split.test.iter().collect()));
    let mut expected: Vec<_> = split.test.iter().enumerate().map(|(n, id)| (n, split.test.len(), id.clone())).collect();
    expected.push((split.test.len(), split.test.len(), String::new()));
    assert_eq!(heard, expected);

    let mut sum = 0.0;
    for row in &found.patients {
        assert!(row.mask.starts_with(&run) && row.images["pet"].is_file());
        let truth = row.truth.as_ref().unwrap();
        let measured = evaluate_files(
            &row.mask,
            std::slice::from_ref(truth),
            &[Target::Any],
            &Options::default(),
            &MaskOptions::default(),
        )
        .unwrap()
        .remove(0);
        assert_eq!(row.measures.as_ref(), Some(&measured));
        let (mask, truth) = (LabelVolume::read(&row.mask).unwrap(), LabelVolume::read(truth).unwrap());
        let (slice, dice) = worst(&mask, &truth).unwrap();
        assert_eq!(row.worst_slice, Some(slice), "{row:?}");
        assert!((row.worst_dice.unwrap() - dice).abs() < 1e-12, "{row:?}");
        sum += measured.dsc;
    }
    let mean = found.mean.unwrap();
    assert_eq!(mean.cases, split.test.len());
    assert!((mean.dsc - sum / split.test.len() as f64).abs() < 1e-12);

    assert_eq!(stored_evaluation(&run, Choice::Last).unwrap().unwrap(), found);
    let runs = list(temp.path()).unwrap();
    let entry = runs.iter().find(|entry| entry.path == run).unwrap();
    assert_eq!((entry.dice, &entry.state), (Some(mean.dsc), &EntryState::Finished));
    assert!(lock::held_by(&run).is_none());

    // The masks go with the run.
    let moved = temp.path().join("moved");
    std::fs::rename(&run, &moved).unwrap();
    let stored = stored_evaluation(&moved, Choice::Last).unwrap().unwrap();
    assert!(stored.patients.iter().all(|row| row.mask.starts_with(&moved) && row.mask.is_file()));
}

/// The table of runs, Results and Segment must not mix the two networks.
#[test]
fn the_last_and_the_best_network_are_evaluated_side_by_side() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = finetune_config(&cohort(temp.path(), 10), None);
    (config.training.epochs, config.labels.validate_every) = (12, 1);
    let run = temp.path().join("fine");
    let events = finetune(&config, &run, false, 0).unwrap();
    let validations: Vec<(usize, f64)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Validation { epoch, dice, .. } => Some((*epoch, *dice)),
            _ => None,
        })
        .collect();
    let highest = validations.iter().map(|row| row.1).fold(0.0, f64::max);
    let best = *validations.iter().find(|row| row.1 >= highest).unwrap();

    let evaluate =
        |choice| evaluate_run(&run, choice, &Compute::cpu(), &Control::default(), &mut |_, _, _| {}).unwrap();
    let of_best = evaluate(Choice::Best);
    assert_eq!(
        stored_evaluation(&run, Choice::Last).unwrap(),
        None,
        "the evaluation of one network is not shown as that of the other"
    );
    let of_last = evaluate(Choice::Last);
    assert_eq!((of_best.checkpoint, of_best.epoch), (Choice::Best, best.0));
    assert_eq!((of_last.checkpoint, of_last.epoch), (Choice::Last, 12));
    for evaluation in [&of_best, &of_last] {
        assert_eq!(stored_evaluation(&run, evaluation.checkpoint).unwrap().as_ref(), Some(evaluation));
        assert!(evaluation.patients.iter().all(|row| row.mask.is_file()));
    }
    let entry = list(temp.path()).unwrap().into_iter().find(|entry| entry.path == run).unwrap();
    assert_eq!((entry.best_validation, entry.last_validation), (Some(best), validations.last().copied()));
    let mean = |evaluation: &RunEvaluation| evaluation.mean.as_ref().map(|mean| mean.dsc);
    assert_eq!((entry.evaluated_last, entry.evaluated_best), (mean(&of_last), mean(&of_best)));
    let report: serde_json::Value = RunFolder::open(&run).unwrap().read_report().unwrap();
    assert_eq!((report["best_epoch"].as_u64(), report["best_dice"].as_f64()), (Some(best.0 as u64), Some(best.1)));

    // An evaluation of an earlier version does not say which network it used: it was the last.
    let path = run.join("evaluation/evaluation.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"checkpoint\": \"last\""), "{text}");
    std::fs::write(&path, text.replace("\"checkpoint\": \"last\",", "")).unwrap();
    assert_eq!(stored_evaluation(&run, Choice::Last).unwrap(), Some(of_last));
}

#[test]
fn an_evaluation_that_is_cancelled_leaves_the_earlier_one() {
    let temp = tempfile::tempdir().unwrap();
    let run = tuned(temp.path(), 2);
    let first = evaluate(&run);
    let files = || {
        let mut files: Vec<_> =
            std::fs::read_dir(run.join("evaluation")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        files
    };
    let before = files();
    let control = Control::default();
    let mut cancel = |done: usize, _: usize, _: &str| {
        if done == 1 {
            control.set(Signal::Cancel);
        }
    };
    let error = evaluate_run(&run, Choice::Last, &Compute::cpu(), &control, &mut cancel).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
    assert_eq!((stored_evaluation(&run, Choice::Last).unwrap().unwrap(), files()), (first, before));
    assert!(!run.join(".evaluation.new.tmp").exists());
}

#[test]
fn a_run_that_cannot_be_evaluated_is_refused_with_the_reason() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let pre = temp.path().join("pre");
    let mut config = pretrain_config(&root);
    config.training.epochs = 1;
    pretrain(&config, &pre, false, 0).unwrap();
    let why = |run: &Path| {
        evaluate_run(run, Choice::Last, &Compute::cpu(), &Control::default(), &mut |_, _, _| {})
            .unwrap_err()
            .to_string()
    };
    assert!(why(&pre).contains("a pre-training run"));
    let mut config = finetune_config(&root, None);
    config.training.epochs = 1;
    let fine = temp.path().join("fine");
    finetune(&config, &fine, false, 0).unwrap();
    let held = RunFolder::resume(&fine).unwrap();
    assert!(why(&fine).contains("locked by process"));
    drop(held);
    std::fs::create_dir(fine.join("evaluation")).unwrap();
    std::fs::write(fine.join("evaluation/evaluation.json"), "{}").unwrap();
    assert!(stored_evaluation(&fine, Choice::Last).unwrap_err().to_string().contains("evaluation.json"));
    evaluate(&fine);
    assert!(stored_evaluation(&fine, Choice::Last).unwrap().is_some(), "a damaged one is replaced");
    let split: Split = RunFolder::open(&fine).unwrap().read_split().unwrap();
    std::fs::remove_dir_all(root.join(&split.test[0])).unwrap();
    let rest = evaluate(&fine);
    assert_eq!((rest.patients.len(), &rest.left_out[0].case), (split.test.len() - 1, &split.test[0]));
    split.test[1..].iter().for_each(|id| std::fs::remove_dir_all(root.join(id)).unwrap());
    assert!(why(&fine).contains("the cohort does not have this patient"));
}
