//! A researcher's workflow on the sample study in one session: masking, a pre-training run that is paused, resumed and
//! cancelled, one that finishes, fine-tuning, segmentation, measures.

use amlp_viewer::state::Mode;
use amlp_viewer::state::train::{CohortState, Column, JobOutcome, Labels, Phase, TrainPage};
use amlp_viewer::{Args, sample};
use egui::Key;
use engine::config::Config;
use engine::demo::configs;
use engine::event::Stage;
use engine::inspect::MaskReport;
use engine::pretrain::amlp::mps::Order;

use super::masking::{expected, set};
use super::training::{change, endings, has_checkpoint, run_of, train, use_control};
use crate::window::*;

/// The window's report of the shown slice, after comparison with the engine's.
fn masked(window: &Window) -> MaskReport {
    let shown = report(window).masking.unwrap();
    let case = sample::folder().unwrap().join(&state(window).cases.chosen().unwrap().name);
    let (scan, truth) = (case.join("pet.nii.gz"), case.join("seg.nii.gz"));
    assert_eq!(shown, expected(window, &scan, Some(&truth), shown.slice));
    shown
}

/// Uses the demo's settings, with runs of this many steps.
fn steps(window: &mut Window, count: usize) {
    let (pretrain, finetune) = configs(&sample::folder().unwrap(), 1, count, count).unwrap();
    change(window, |form| {
        let device = form.pretrain.device.clone();
        form.pretrain = Config { device, ..pretrain };
        form.finetune.training = finetune.training;
    });
}

#[test]
fn the_sample_study_is_masked_pretrained_finetuned_segmented_and_evaluated() {
    let workspace = tempfile::tempdir().unwrap();
    let mut window = start(&Args { workspace: Some(workspace.path().into()), ..Args::default() }, SIZE, None);
    window.run_steps(2);
    click(&mut window, "Open sample study");
    assert!(state(&window).document.is_some());

    press(&mut window, Key::F2);
    let before = masked(&window);
    set(&mut window, |controls| {
        controls.grid = 8;
        controls.order = Order::Random;
    });
    let after = masked(&window);
    assert_eq!((before.grid, after.grid), (16, 8));
    assert_ne!(before.labels, after.labels);

    press(&mut window, Key::F3);
    if matches!(state(&window).cache.train.cohort, CohortState::None) {
        click(&mut window, "Use the sample study");
    }
    wait_for(&mut window, |app| app.state().cache.train.cohort.card().is_some());
    steps(&mut window, 4000);
    let epochs = state(&window).session.train.form.pretrain.training.epochs;
    train(&mut window, epochs);
    let cancelled = run_of(&window);
    wait_for(&mut window, |app| {
        app.state().cache.timeline.pretrain.as_ref().is_some_and(|run| !run.history.relabels.is_empty())
    });
    use_control(&mut window, "Pause");
    wait_for(&mut window, |app| app.state().training.running.as_ref().is_some_and(|job| job.phase == Phase::Paused));
    let done = state(&window).training.running.as_ref().unwrap().steps_done();
    use_control(&mut window, "Resume");
    wait_for(&mut window, |app| app.state().training.running.as_ref().is_some_and(|job| job.steps_done() > done));
    use_control(&mut window, "Stop");
    settle(&mut window);
    assert_eq!((errors(&window), endings(&window)), (Vec::new(), vec![JobOutcome::Stopped]));
    assert!(has_checkpoint(&cancelled));

    steps(&mut window, 20);
    use_control(&mut window, "Set up");
    click(&mut window, "Start pre-training");
    assert_eq!((errors(&window), &endings(&window)[0]), (Vec::new(), &JobOutcome::Finished));
    let pretrained = state(&window).training.ended[0].run.clone().unwrap();
    assert_ne!(pretrained, cancelled);
    let name = pretrained.file_name().unwrap().to_string_lossy().into_owned();

    use_control(&mut window, &format!("Fine-tune from {name}"));
    settle(&mut window);
    steps(&mut window, 60);
    change(&mut window, |form| {
        (form.labels, form.count) = (Labels::Count, 3);
        form.finetune.labels.validate_every = 1;
    });
    settle(&mut window);
    assert_eq!(state(&window).session.train.form.stage, Stage::Finetune);
    click(&mut window, "Start fine-tuning");
    assert_eq!((errors(&window), &endings(&window)[0]), (Vec::new(), &JobOutcome::Finished));
    let finetuned = state(&window).training.ended[0].run.clone().unwrap();
    let seen = state(&window).cache.timeline.finetune.as_ref().unwrap();
    assert!(!seen.history.validations.is_empty(), "a Dice was seen while it trained");

    let name = finetuned.file_name().unwrap().to_string_lossy().into_owned();
    click(&mut window, &format!("Results of {name}"));
    assert_eq!((errors(&window), state(&window).session.train.page), (Vec::new(), TrainPage::Results));
    let results = &state(&window).cache.results;
    let mean = results.evaluation.as_ref().unwrap().mean.as_ref().unwrap().dsc;
    assert!(mean > 0.0 && mean <= 1.0 && results.spread(Column::Dice).is_some());
    click(&mut window, "Segment with this run");
    assert_eq!((errors(&window), state(&window).session.mode), (Vec::new(), Mode::Review));
    assert!(document(&window).segmentation().is_some() && document(&window).is_unsaved());
    assert!(report(&window).metrics.is_some_and(|m| (0.0..=1.0).contains(&m.dsc)));
}
