//! From a pre-trained run to results: fine-tuning with labelled patients selected by name, the table of results,
//! segmentation.

use amlp_viewer::command::TrainCommand;
use amlp_viewer::state::train::{Column, JobOutcome, TrainExport, TrainPage};
use amlp_viewer::state::{Mode, PathPurpose};
use egui::Key;
use egui_kittest::kittest::Queryable as _;
use engine::event::Stage;
use engine::predict::Choice;

use super::training::{TrainingFixture, change, endings, has_checkpoint, order, run_of, stop, train, use_control};
use crate::window::*;

#[test]
fn a_run_is_finetuned_evaluated_and_its_worst_slice_opened() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    click(&mut window, "Start pre-training");
    assert_eq!(endings(&window), [JobOutcome::Finished]);
    let pretrained = state(&window).training.ended[0].run.clone().unwrap();

    use_control(&mut window, "Fine-tune from amlp-pet");
    settle(&mut window);
    let form = &state(&window).session.train.form;
    assert_eq!((form.stage, &form.finetune.labels.from), (Stage::Finetune, &pretrained));
    assert_eq!((form.finetune.preprocess.size, form.finetune.network.width), (32, 4), "as the run has them");
    assert_eq!(form.name, "finetune-amlp-pet");

    // By name: only patients of the training part are offered.
    use_control(&mut window, "Labelled");
    use_control(&mut window, "By name");
    assert!(state(&window).training_obstacle().is_some_and(|why| why.contains("select at least one")));
    let split = state(&window).cache.train.split.clone().unwrap().unwrap();
    for id in split.test.iter().chain(&split.val) {
        assert!(!has(&window, &format!("Patient {id}")), "{id} does not train");
    }
    for id in &split.train[..3] {
        use_control(&mut window, &format!("Patient {id}"));
    }
    let wanted = format!("patients:{}", split.train[..3].join(","));
    assert_eq!(state(&window).session.train.form.finetune.labels.labels, wanted);
    change(&mut window, |form| (form.finetune.training.epochs, form.finetune.labels.validate_every) = (12, 4));
    settle(&mut window);
    click(&mut window, "Start fine-tuning");
    assert_eq!((errors(&window), &endings(&window)[0]), (Vec::new(), &JobOutcome::Finished));
    let run = fixture.runs().join("finetune-amlp-pet");
    assert!(has_checkpoint(&run));

    click(&mut window, "Results of finetune-amlp-pet");
    assert_eq!((errors(&window), state(&window).session.train.page), (Vec::new(), TrainPage::Results));
    let results = &state(&window).cache.results;
    let evaluation = results.evaluation.clone().unwrap();
    let cases: Vec<&str> = evaluation.patients.iter().map(|row| row.case.as_str()).collect();
    assert_eq!((evaluation.part.as_str(), cases), ("test", split.test.iter().map(String::as_str).collect()));
    let mean = evaluation.mean.as_ref().unwrap().dsc;
    assert!((results.spread(Column::Dice).unwrap().mean - mean).abs() < 1e-12, "the engine's own mean");
    let exported = |window: &mut Window, kind: TrainExport| {
        let file = fixture.runs().join(format!("results.{}", kind.extension()));
        type_path(window, PathPurpose::TrainExport(kind), &file);
        std::fs::read_to_string(&file).unwrap()
    };
    let csv = exported(&mut window, TrainExport::ResultsTable);
    let head = "patient,dice,sensitivity,precision,hd95_mm,boundary_iou,reference_ml,segmentation_ml,lesions_hit";
    assert!(csv.starts_with(head) && csv.lines().count() == 1 + split.test.len(), "{csv}");
    let latex = exported(&mut window, TrainExport::ResultsLatex);
    assert!(latex.contains("\\toprule") && latex.contains(&format!("Mean (SD) & {mean:.3}")), "{latex}");
    // The best network by validation has a separate evaluation.
    order(&mut window, TrainCommand::ChooseNetwork(Choice::Best));
    settle(&mut window);
    let best = state(&window).cache.results.evaluation.clone().unwrap();
    assert_eq!((best.checkpoint, best.patients.len()), (Choice::Best, split.test.len()));
    assert!(run.join("evaluation-best").is_dir() && run.join("evaluation").is_dir(), "both are kept");
    order(&mut window, TrainCommand::ChooseNetwork(Choice::Last));
    settle(&mut window);
    assert_eq!(state(&window).cache.results.evaluation.as_ref(), Some(&evaluation));
    // The same by the palette, which had neither.
    by_palette(&mut window, "best validation");
    assert_eq!(state(&window).session.runs.network, Choice::Best);
    assert_eq!(state(&window).cache.results.evaluation.as_ref().map(|e| e.checkpoint), Some(Choice::Best));
    by_palette(&mut window, "with the last network");
    assert_eq!(state(&window).cache.results.evaluation.as_ref(), Some(&evaluation));
    std::fs::remove_dir_all(run.join("evaluation")).unwrap();
    by_palette(&mut window, "Evaluate finetune-amlp-pet again");
    assert!(run.join("evaluation").is_dir(), "evaluated once more");
    let again = state(&window).cache.results.evaluation.clone().unwrap();
    assert_eq!((again.checkpoint, again.mean, again.patients.len()), (Choice::Last, evaluation.mean, split.test.len()));
    click(&mut window, "Sort by Patient");
    let listed: Vec<String> = state(&window).cache.results.rows().map(|(_, row)| row.case.clone()).collect();
    assert_eq!(listed, split.test);

    // The worst slice of a patient, with both masks. The list of cases stays, and one press goes back.
    let listed = state(&window).cases.cases.len();
    assert!(listed > 2, "the cohort is open in Review");
    let (case, slice) = (&evaluation.patients[0].case, evaluation.patients[0].worst_slice.unwrap());
    click(&mut window, &format!("Open {case} at its worst slice"));
    assert_eq!((state(&window).session.mode, errors(&window)), (Mode::Review, Vec::new()));
    let document = document(&window);
    assert!(document.segmentation().is_some() && document.reference().is_some() && !document.is_unsaved());
    assert_eq!(&document.title, case);
    // Stored with x to the left and z upwards: the file's own slice is the shown one.
    assert_eq!(slices(&window)[0], slice + 1);
    let crosshair = state(&window).session.view.crosshair;
    assert_eq!(document.mark_in_axial(slice), Some(crosshair), "on the lesion, not in the middle of the slice");
    assert_eq!(report(&window).metrics.map(|m| m.dsc), evaluation.patients[0].measures.as_ref().map(|m| m.dsc));

    let cases = &state(&window).cases;
    assert_eq!((cases.cases.len(), cases.chosen().map(|case| &case.name)), (listed, Some(case)));
    click(&mut window, "Back to results");
    assert_eq!((state(&window).session.mode, state(&window).session.train.page), (Mode::Train, TrainPage::Results));
    assert!(state(&window).cache.results.evaluation.is_some());

    // One click from the run to a segmentation with it.
    click(&mut window, "Segment with this run");
    assert_eq!((state(&window).session.mode, errors(&window)), (Mode::Review, Vec::new()));
    assert_eq!(state(&window).session.runs.segment.as_ref(), Some(&run));
    assert!(crate::window::document(&window).is_unsaved(), "the open case was segmented");
}

/// Types a part of an action's name into the palette and selects the first match.
fn by_palette(window: &mut Window, words: &str) {
    press_with(window, CTRL, Key::K);
    window.get_by_label("Search actions").type_text(words);
    settle(window);
    press(window, Key::Enter);
    settle(window);
    assert_eq!((state(window).dialog.as_ref(), errors(window)), (None, Vec::new()), "{words}");
}

#[test]
fn a_run_that_cannot_be_evaluated_says_why() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    order(&mut window, TrainCommand::ShowResults(fixture.runs().join("no-run")));
    settle(&mut window);
    assert!(state(&window).cache.results.why.as_deref().is_some_and(|why| why.contains("no-run")));
    assert!(window.query_by_label("no-run has no results").is_some() && has(&window, "Evaluate"));
    assert!(has(&window, "Choose another run") && has(&window, "Back to Set up"));
}

#[test]
fn fine_tuning_from_random_weights_can_set_every_option() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    use_control(&mut window, "Fine-tune");
    change(&mut window, |form| form.finetune.labels.validate_every = 0);
    assert_eq!(state(&window).session.train.form.name, "supervised-pet");
    train(&mut window, 500);
    assert!(run_of(&window).ends_with("supervised-pet"));
    stop(&mut window);
    assert_eq!(endings(&window), [JobOutcome::Stopped]);
}
