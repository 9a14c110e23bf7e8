//! The form of the next run, set up by the names of its fields.

use amlp_viewer::Args;
use amlp_viewer::args::ModeArg;
use amlp_viewer::command::{TrainCommand, WindowCommand};
use amlp_viewer::state::train::{CohortState, Estimate, JobOutcome, Labels, TrainPage};
use amlp_viewer::state::{Intent, Mode, PathPurpose, Session, Settings};
use egui::Key;
use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::config::Family;
use engine::preprocess::Spacing;

use super::{TrainingFixture, change, endings, enter, has_checkpoint, order, tiny, use_control};
use crate::window::*;

#[test]
fn a_cohort_on_the_command_line_is_checked() {
    let fixture = TrainingFixture::new();
    std::fs::write(fixture.cohort().join("P3/pet.nii.gz"), b"no scan").unwrap();
    let mut window = fixture.window();
    assert_eq!((state(&window).session.mode, state(&window).session.train.page), (Mode::Train, TrainPage::Setup));
    for fact in ["Patients 9", "With reference 9", "Modalities pet", "Cohort cohort"] {
        assert!(has(&window, fact), "{fact}");
    }
    assert!(has(&window, "Spacing 2.00 \u{d7} 2.00 \u{d7} 4.00 mm"));
    // What is wrong leads to the file.
    use_control(&mut window, "Problems in this cohort");
    use_control(&mut window, "Open problem 1");
    settle(&mut window);
    assert_eq!(state(&window).session.mode, Mode::Review);
    assert!(errors(&window).iter().any(|message| message.contains("P3") && message.contains("pet.nii.gz")));
}

#[test]
fn a_folder_that_is_not_a_cohort_is_reported_and_another_can_be_chosen() {
    let fixture = TrainingFixture::new();
    let empty = fixture.cohort().parent().unwrap().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let mut window = open(&Args { workspace: Some(fixture.runs()), mode: ModeArg::Train, ..Args::default() });
    assert!(has(&window, "Choose cohort…") && has(&window, "Use the sample study"));
    type_path(&mut window, PathPurpose::Cohort, &empty);
    assert!(matches!(state(&window).cache.train.cohort, CohortState::Failed(..)));
    assert!(errors(&window).iter().any(|message| message.contains("empty")), "{:?}", errors(&window));
    window.state_mut().dispatch(Intent::UsePaths(PathPurpose::Cohort.into(), vec![fixture.cohort()]));
    wait_for(&mut window, |app| app.state().cache.train.cohort.card().is_some());
    assert_eq!(state(&window).session.train.form.config().data.modality, ["pet"]);
}

#[test]
fn pre_training_is_set_up_in_the_form_and_finishes() {
    let fixture = TrainingFixture::new();
    let mut window = start(&fixture.args(), SIZE, None);
    wait_for(&mut window, |app| app.state().cache.train.cohort.card().is_some());
    window.run_steps(2);
    for section in ["Preprocessing", "Network", "Patches and masks"] {
        use_control(&mut window, section);
    }
    for (field, text) in [("Crop", "32"), ("Epochs", "2"), ("Batch", "8"), ("Width", "4"), ("Depth", "2")] {
        enter(&mut window, field, text);
    }
    // 16 patches do not divide 40 pixels: shown at the field, and as the reason for the disabled button.
    enter(&mut window, "Crop", "40");
    assert!(state(&window).cache.train.problems.iter().any(|(field, _)| field == "method.grid"));
    assert!(window.query_all_by_label_contains("the crop's side, 40").next().is_some());
    assert!(state(&window).training_obstacle().is_some_and(|why| why.starts_with("Grid")));
    enter(&mut window, "Crop", "32");
    enter(&mut window, "Grid", "4");
    use_control(&mut window, "Spacing");
    use_control(&mut window, "As acquired");
    let form = &state(&window).session.train.form;
    assert_eq!((form.pretrain.preprocess.spacing, form.name.as_str()), (Spacing::Native, "amlp-pet"));
    // A custom size per axis.
    use_control(&mut window, "Spacing");
    use_control(&mut window, "Custom");
    for (field, text) in [("Spacing R-L", "2"), ("Spacing A-P", "2,5"), ("Spacing S-I", "4")] {
        enter(&mut window, field, text);
    }
    let spacing = |window: &Window| state(window).session.train.form.pretrain.preprocess.spacing;
    assert_eq!(spacing(&window), Spacing::Millimetres([2.0, 2.5, 4.0]));
    enter(&mut window, "Spacing S-I", "0");
    assert_eq!(spacing(&window), Spacing::Millimetres([2.0, 2.5, 4.0]), "no voxel is that thin");
    assert!(
        state(&window).training_obstacle().is_some_and(|why| why.starts_with("Spacing S-I")),
        "and the button says so"
    );
    enter(&mut window, "Spacing S-I", "4");
    window.key_press(Key::Escape);
    window.run_steps(2);
    settle(&mut window);
    let Estimate::Known(estimate) = &state(&window).cache.train.estimate else {
        panic!("{:?}", state(&window).cache.train.estimate)
    };
    assert_eq!((estimate.epochs, estimate.patients), (2, 6));
    assert!(window.query_all_by_label_contains("parameters").next().is_some());

    assert!(!state(&window).session.settings.tensorboard);
    use_control(&mut window, "TensorBoard files");
    click(&mut window, "Start pre-training");
    assert_eq!((errors(&window), endings(&window)), (Vec::new(), vec![JobOutcome::Finished]));
    let run = fixture.runs().join("amlp-pet");
    assert_eq!(std::fs::read_dir(run.join("tensorboard")).unwrap().count(), 1, "the window writes them too");
    assert!(has_checkpoint(&run) && run.join("report.json").is_file());
    let stored = engine::jobs::stored_config(&run).unwrap();
    assert_eq!(stored.preprocess.spacing, Spacing::Millimetres([2.0, 2.5, 4.0]));
    // The same settings again give another run.
    click(&mut window, "Start pre-training");
    assert!(has_checkpoint(&fixture.runs().join("amlp-pet-2")));
    assert!(has(&window, "Fine-tune from amlp-pet") && has(&window, "Fine-tune from amlp-pet-2"));
}

#[test]
fn a_tiny_learning_rate_keeps_its_digits() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    enter(&mut window, "Learning rate", "2.5e-6");
    assert_eq!(state(&window).session.train.form.pretrain.training.lr, 2.5e-6);
    let shown = window.get_by_label("Learning rate").accesskit_node().value();
    assert_eq!(shown.as_deref(), Some("2.50e-6"));
}

#[test]
fn presets_are_listed_by_family_and_their_parameters_can_be_set() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    change(&mut window, |form| form.pretrain.network.depth = 4);
    use_control(&mut window, "Preset");
    let top = |window: &Window, label: &str| window.get_by_role_and_label(Role::ListBoxOption, label).rect().top();
    for family in Family::ALL {
        let title = window.get_by_label(family.title()).rect().top();
        for preset in family.presets() {
            assert!(top(&window, preset.name) > title, "{} stands below {}", preset.name, family.title());
        }
    }
    window.get_by_role_and_label(Role::ListBoxOption, "simclr").click_accesskit();
    window.run_steps(3);
    let method = |window: &Window| state(window).session.train.form.pretrain.method.clone();
    assert_eq!(method(&window).numbers.get("temperature"), Some(&0.1));
    assert!(has(&window, "Temperature") && has(&window, "Neighbours"), "its numbers are fields");
    // Settings of AMLP only are not offered: the engine refuses them.
    assert!(!has(&window, "Patches and masks") && !has(&window, "Losses and labels"));
    enter(&mut window, "Temperature", "0.25");
    assert_eq!(method(&window).numbers.get("temperature"), Some(&0.25));
    enter(&mut window, "Temperature", "99");
    assert!(state(&window).training_obstacle().is_some_and(|why| why.contains("0.01 to 10")));
    // A field that is no longer shown does not block anything.
    use_control(&mut window, "Preset");
    window.get_by_role_and_label(Role::ListBoxOption, "simmim").click_accesskit();
    window.run_steps(3);
    assert!(has(&window, "This method has no parameters.") && !has(&window, "Temperature"));
    settle(&mut window);
    assert_eq!(state(&window).training_obstacle(), None);
    // Each can be trained without a change.
    for preset in engine::config::PRESETS {
        change(&mut window, |form| form.pretrain.preset = preset.name.into());
        assert_eq!(state(&window).cache.train.problems, [], "{}", preset.name);
    }
}

#[test]
fn too_many_labelled_patients_are_reported_at_the_field() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    use_control(&mut window, "Fine-tune");
    change(&mut window, |form| (form.labels, form.count) = (Labels::Count, 9));
    window.run_steps(3);
    assert!(has(&window, "Only 6 training patients have a reference. Choose 1 to 6."));
    assert!(state(&window).training_obstacle().is_some_and(|why| why.starts_with("Patients: Only 6")));
    assert_eq!(state(&window).cache.train.estimate, Estimate::None, "nothing is estimated for it");
    change(&mut window, |form| form.count = 6);
    settle(&mut window);
    assert_eq!(state(&window).training_obstacle(), None);
}

#[test]
fn the_split_is_listed_by_name_before_the_start() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    use_control(&mut window, "Fine-tune");
    use_control(&mut window, "Split");
    settle(&mut window);
    let split = state(&window).cache.train.split.clone().unwrap().unwrap();
    for (part, patients) in [("Train", &split.train), ("Validation", &split.val), ("Test", &split.test)] {
        assert!(has(&window, &format!("{part}: {}", patients.join(", "))), "{part}");
    }
    assert!(window.query_by_label_contains("Labelled: P").is_some());
    // The split of a run on another cohort need not name all patients.
    let (state, _) = window.state_mut().parts();
    let Some(Ok(split)) = &mut state.cache.train.split else { panic!("the split is known") };
    let dropped = split.test.pop().unwrap();
    settle(&mut window);
    assert!(has(&window, &format!("Unused: {dropped}")));
}

#[test]
fn one_button_applies_the_papers_settings_to_both_stages() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    use_control(&mut window, "Paper's settings");
    let form = &state(&window).session.train.form;
    assert_eq!((form.pretrain.training.epochs, form.finetune.training.epochs), (800, 70));
    assert_eq!((form.pretrain.preprocess.size, form.pretrain.method.grid), (160, 16));
    assert_eq!(form.pretrain.data.modality, ["pet"], "the data stay");
    stop_estimate(&mut window);
}

/// Ends the estimate of a large network.
fn stop_estimate(window: &mut Window) {
    change(window, tiny);
    settle(window);
}

#[test]
fn form_and_cohort_are_restored_at_the_next_start() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    change(&mut window, |form| {
        (form.pretrain.method.lambda, form.labels) = (0.25, Labels::Picked);
        form.picked.insert("P1".into());
    });
    settle(&mut window);
    let kept = window.state().settings().unwrap();
    assert!(!kept.contains("\"P1\"") && !kept.contains("patients:"), "no patient is named: {kept}");
    let settings = Session::from_json(&kept).unwrap().settings;
    let args = Args { mode: ModeArg::Train, workspace: Some(fixture.runs()), ..Args::default() };
    let mut next = start_with(&args, settings);
    wait_for(&mut next, |app| app.state().cache.train.cohort.card().is_some());
    assert_eq!(state(&next).cache.train.cohort.folder(), Some(fixture.cohort()));
    assert_eq!(state(&next).session.train.form.pretrain, state(&window).session.train.form.pretrain);
    settle(&mut next);
    // A form of another version does not cost the settings.
    let broken = Settings { training: Some("no form".into()), threads: 3, ..Settings::default() };
    let next = start_with(&args, broken);
    assert_eq!(state(&next).session.settings.threads, 3);
    assert!(state(&next).notices.iter().any(|notice| notice.title.contains("form")));
}

#[test]
fn entered_epochs_replace_the_steps_of_a_run() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    assert!(!has(&window, "Steps"));
    change(&mut window, |form| form.pretrain.training.steps = 200);
    window.run_steps(2);
    assert!(has(&window, "Steps") && window.query_by_label_contains("200 steps are set").is_some());
    enter(&mut window, "Epochs", "3");
    let training = &state(&window).session.train.form.pretrain.training;
    assert_eq!((training.epochs, training.steps), (3, 0));
    window.run_steps(2);
    assert!(!has(&window, "Steps"));
}

#[test]
fn a_name_outside_the_workspace_is_refused() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    for name in ["../bad/name", "/elsewhere", ".hidden", ""] {
        change(&mut window, |form| form.name = name.into());
        assert!(state(&window).training_obstacle().is_some_and(|why| why.starts_with("Name: ")), "{name}");
        order(&mut window, TrainCommand::Start);
        assert!(state(&window).training.running.is_none() && state(&window).training.queue.is_empty(), "{name}");
    }
    assert_eq!(errors(&window).len(), 4);
    change(&mut window, |form| form.name = "../bad/name".into());
    window.run_steps(2);
    assert!(window.query_all_by_label_contains("a name, not a path").next().is_some(), "a message at the field");
    settle(&mut window);
    assert!(!fixture.runs().exists() && !fixture.runs().with_file_name("bad").exists());
    use_control(&mut window, "Use the suggested name");
    assert_eq!(
        (state(&window).session.train.form.name.as_str(), state(&window).training_obstacle()),
        ("amlp-pet", None)
    );
}

#[test]
fn invalid_numbers_prevent_the_start() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    assert_eq!(state(&window).training_obstacle(), None);
    for (field, text, why) in
        [("Batch", "abc", "Batch: Not a number"), ("Learning rate", "-1", "Learning rate: 0 to 1")]
    {
        enter(&mut window, field, text);
        assert_eq!(state(&window).training_obstacle().as_deref(), Some(why));
        assert_eq!(state(&window).cache.train.estimate, Estimate::None, "nothing is estimated for other settings");
        order(&mut window, TrainCommand::Start);
        assert!(state(&window).training.running.is_none() && state(&window).training.queue.is_empty());
        // Out of sight it is not forgotten.
        for shown in [false, true] {
            use_control(&mut window, "Schedule");
            window.run_steps(20);
            assert_eq!((has(&window, field), state(&window).training_obstacle().as_deref()), (shown, Some(why)));
        }
        enter(&mut window, field, if field == "Batch" { "8" } else { "0.01" });
        assert_eq!(state(&window).training_obstacle(), None);
    }
    settle(&mut window);
    assert!(matches!(state(&window).cache.train.estimate, Estimate::Known(_)));
}

#[test]
fn the_estimate_wraps_in_a_narrow_window() {
    let fixture = TrainingFixture::new();
    let mut window = start(&fixture.args(), [900.0, 700.0], None);
    wait_for(&mut window, |app| matches!(app.state().cache.train.cohort, CohortState::Ready(_)));
    change(&mut window, tiny);
    wait_for(&mut window, |app| app.state().cache.train.estimate == Estimate::Running);
    window.run_steps(1);
    assert!(has(&window, "Estimating time and memory\u{2026}"));
    settle(&mut window);
    window.state_mut().dispatch(WindowCommand::DismissAll);
    window.run_steps(3);
    let text = window.get_by_label_contains("steps of").rect();
    let button = window.get_by_label("Start pre-training").rect();
    assert!(text.height() > 20.0, "{text:?}: it wraps");
    assert!(text.right() < button.left(), "{text:?} {button:?}");
    let first = window.get_by_label_contains("of memory, on cpu").rect();
    assert!(first.bottom() <= text.top() && first.top() < button.bottom(), "{first:?} {text:?}");
}
