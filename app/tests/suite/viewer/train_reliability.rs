//! Reliability when a run fails or is interrupted at a bad moment.

use amlp_viewer::command::{TrainCommand, WindowCommand};
use amlp_viewer::state::Dialog;
use amlp_viewer::state::train::{JobOutcome, Phase};
use amlp_viewer::worker::{self, Failure, JobHandle, Spec};
use engine::run::RunFolder;
use engine::volume::nifti;

use super::segmentation::patient;
use super::training::{
    TrainingFixture, change, endings, has_checkpoint, order, queue_up, run_of, stop, train, use_control,
};
use crate::window::*;

#[test]
fn starting_and_stopping_runs_leaves_no_thread() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    change(&mut window, |form| form.pretrain.training.epochs = 1000);
    for round in 0..20 {
        order(&mut window, TrainCommand::Start);
        // At a different moment each time: during preparation, at the first step, later.
        for _ in 0..round {
            window.step();
            std::thread::sleep(std::time::Duration::from_millis(8));
        }
        order(&mut window, TrainCommand::Stop);
        wait_for(&mut window, |app| app.state().training.running.is_none());
    }
    wait_for(&mut window, |app| app.jobs().threads() == 0);
    assert_eq!(errors(&window), [""; 0]);
    assert!(endings(&window).iter().all(|how| *how == JobOutcome::Stopped));
    // A run without a step leaves nothing behind.
    for run in std::fs::read_dir(fixture.runs()).unwrap().flatten() {
        assert!(has_checkpoint(&run.path()), "{}", run.path().display());
    }
}

#[test]
fn closing_during_training_saves_a_checkpoint_and_offers_to_resume() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    train(&mut window, 2000);
    let run = run_of(&window);
    window.state_mut().dispatch(WindowCommand::Quit);
    window.run_steps(2);
    assert_eq!(state(&window).dialog, Some(Dialog::Close));
    use_control(&mut window, "Keep open");
    assert!(!state(&window).quit && state(&window).training.running.is_some());

    window.state_mut().dispatch(WindowCommand::Quit);
    window.run_steps(2);
    use_control(&mut window, "Save and close");
    wait_for(&mut window, |app| app.state().quit);
    assert!(has_checkpoint(&run));
    wait_for(&mut window, |app| app.jobs().threads() == 0);
    drop(window);

    // Killed instead, the process would have left its lock behind.
    std::fs::write(run.join("lock"), "4711\n").unwrap();
    let mut window = fixture.window();
    let offered: Vec<_> = state(&window).cache.runs.unfinished().collect();
    assert_eq!(offered.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>(), std::slice::from_ref(&run));
    use_control(&mut window, "Resume amlp-pet");
    wait_for(&mut window, |app| app.state().training.running.as_ref().is_some_and(|job| job.phase == Phase::Training));
    assert_eq!(run_of(&window), run);
    stop(&mut window);
    use_control(&mut window, "Hide amlp-pet");
    assert!(!has(&window, "Hide amlp-pet"));
}

#[test]
fn an_idle_or_paused_train_mode_draws_no_frames() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    let longest_wait = |window: &mut Window| {
        window.state_mut().dispatch(WindowCommand::DismissAll);
        let waits = (0..300).map(|_| {
            window.step();
            window.output().viewport_output[&egui::ViewportId::ROOT].repaint_delay
        });
        waits.max().unwrap().as_secs_f64()
    };
    // The runs are looked for every two seconds.
    assert!(longest_wait(&mut window) > 1.5);
    train(&mut window, 2000);
    use_control(&mut window, "Pause");
    wait_for(&mut window, |app| app.state().training.running.as_ref().is_some_and(|job| job.phase == Phase::Paused));
    assert!(longest_wait(&mut window) > 1.5);
    stop(&mut window);
}

#[test]
fn a_panic_of_a_training_job_is_reported_and_the_next_one_runs() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    let work = |_: &JobHandle| -> Result<(), Failure> { panic!("index 7") };
    let spec = Spec::new(worker::train::run::SLOT, "Pre-training x");
    window.state_mut().parts().1.start_with(spec, work, |result, spec, state, _| {
        result.unwrap_err().report(&spec.title, state);
    });
    settle(&mut window);
    let messages = errors(&window);
    assert!(
        messages.len() == 1 && messages[0].contains("Pre-training x") && messages[0].contains("index 7"),
        "{messages:?}"
    );
    window.state_mut().dispatch(WindowCommand::DismissAll);
    click(&mut window, "Start pre-training");
    assert_eq!(endings(&window), [JobOutcome::Finished]);
}

#[test]
fn a_run_cannot_be_resumed_with_other_settings_or_data() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    change(&mut window, |form| form.name = "mine".into());
    train(&mut window, 2000);
    let run = run_of(&window);
    stop(&mut window);
    change(&mut window, |form| form.pretrain.training.lr = 0.5);
    order(&mut window, TrainCommand::Start);
    settle(&mut window);
    // The field shows the reason before anything starts.
    assert_eq!(state(&window).run_name_problem().as_deref(), Some("A run \"mine\" exists. Choose another name."));
    assert!(state(&window).cache.train.name_conflict.iter().any(|line| line.contains("training.lr")));
    let messages = errors(&window);
    assert!(messages.len() == 1 && messages[0].contains("A run \"mine\" exists"), "{messages:?}");
    assert_eq!(endings(&window), [JobOutcome::Stopped], "it was not started");
    // A run's name of one stage does not affect the other.
    change(&mut window, |form| form.stage = engine::event::Stage::Finetune);
    assert_eq!(state(&window).session.train.form.name, "supervised-pet");
    change(&mut window, |form| form.stage = engine::event::Stage::Pretrain);
    assert_eq!(state(&window).session.train.form.name, "mine");
    change(&mut window, |form| form.pretrain.training.lr = 1e-2);
    settle(&mut window);
    assert_eq!(state(&window).training_obstacle(), None, "with the same settings it can be resumed");

    for number in 0..9 {
        let to = fixture.cohort().join(format!("P{number}/pet.nii.gz"));
        nifti::write_volume(&to, &patient(number + 1).0).unwrap();
    }
    order(&mut window, TrainCommand::Resume(run));
    settle(&mut window);
    let messages = errors(&window);
    assert!(messages.len() == 2 && messages[1].contains("not those that the run was trained on"), "{messages:?}");
}

#[test]
fn a_run_locked_by_another_process_is_refused() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    train(&mut window, 2000);
    let run = run_of(&window);
    stop(&mut window);
    let held = RunFolder::resume(&run).unwrap();
    order(&mut window, TrainCommand::Resume(run.clone()));
    settle(&mut window);
    let messages = errors(&window);
    let pid = format!("process {}", std::process::id());
    assert!(
        messages.len() == 1 && messages[0].contains("locked") && (cfg!(windows) || messages[0].contains(&pid)),
        "{messages:?}"
    );
    drop(held);
    order(&mut window, TrainCommand::Resume(run));
    wait_for(&mut window, |app| app.state().training.running.as_ref().is_some_and(|job| job.phase == Phase::Training));
    stop(&mut window);
}

#[test]
fn a_non_finite_loss_stops_the_run_and_names_the_batch() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    change(&mut window, |form| form.pretrain.training.lr = 1e30);
    order(&mut window, TrainCommand::Start);
    settle(&mut window);
    let messages = errors(&window);
    assert!(messages.len() == 1 && messages[0].contains("epoch 1") && messages[0].contains("slices P"), "{messages:?}");
    assert!(matches!(&endings(&window)[0], JobOutcome::Failed(_)));
    assert_eq!(window.state().jobs().threads(), 0);
}

/// The names of the jobs that an earlier session left.
fn left(window: &Window) -> Vec<String> {
    state(window).training.left.iter().map(|job| job.name.clone()).collect()
}

/// Closes the program during a run, as the dialog offers.
fn save_and_close(mut window: Window) {
    window.state_mut().dispatch(WindowCommand::Quit);
    window.run_steps(2);
    use_control(&mut window, "Save and close");
    wait_for(&mut window, |app| app.state().quit);
    wait_for(&mut window, |app| app.jobs().threads() == 0);
}

#[test]
fn queued_jobs_are_offered_at_the_next_start() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    train(&mut window, 2000);
    queue_up(&mut window, &["second", "third", "fourth"]);
    save_and_close(window);

    let mut window = fixture.window();
    assert_eq!(left(&window), ["second", "third", "fourth"]);
    assert!(
        state(&window).training.queue.is_empty() && state(&window).training.running.is_none(),
        "nothing starts automatically"
    );
    use_control(&mut window, "Remove third");
    click(&mut window, "Start second");
    assert_eq!((errors(&window), endings(&window)), (Vec::new(), vec![JobOutcome::Finished]));
    assert!(has_checkpoint(&fixture.runs().join("second")));
    // Killed now: its state is already on disk.
    drop(window);
    let mut window = fixture.window();
    assert_eq!(left(&window), ["fourth"]);
    click(&mut window, "Start fourth");
    assert_eq!(endings(&window), [JobOutcome::Finished]);
    drop(window);
    assert_eq!(left(&fixture.window()), [""; 0]);
}

#[test]
fn an_unreadable_queue_is_reported() {
    let fixture = TrainingFixture::new();
    std::fs::create_dir_all(fixture.runs()).unwrap();
    std::fs::write(fixture.runs().join(".queue.json"), "{").unwrap();
    let window = fixture.window();
    assert!(state(&window).notices.iter().any(|notice| notice.detail.contains(".queue.json")));
    assert_eq!((left(&window), errors(&window)), (Vec::new(), Vec::new()));
}

/// Starts a named job with a slow estimate, and waits until its folder exists.
fn begin_slowly(window: &mut Window, fixture: &TrainingFixture) -> std::path::PathBuf {
    change(window, |form| {
        (form.pretrain.network.width, form.pretrain.network.depth) = (64, 4);
        form.name = "mine".into();
    });
    order(window, TrainCommand::Start);
    let run = fixture.runs().join("mine");
    wait_for(window, |_| RunFolder::is_run(&run));
    run
}

#[test]
fn a_run_stopped_before_its_first_step_leaves_no_folder() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    let run = begin_slowly(&mut window, &fixture);
    stop(&mut window);
    assert_eq!((errors(&window), endings(&window)), (Vec::new(), vec![JobOutcome::Stopped]));
    assert!(!run.exists(), "{:?}", std::fs::read_dir(&run).unwrap().collect::<Vec<_>>());
    let messages: Vec<_> = state(&window).notices.iter().map(|notice| notice.detail.as_str()).collect();
    assert_eq!(messages, ["mine was stopped before its first step. Nothing was kept."]);
}

#[test]
fn a_run_that_has_not_begun_at_closing_returns_to_the_queue() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    let run = begin_slowly(&mut window, &fixture);
    save_and_close(window);
    assert!(!run.exists());
    assert_eq!(left(&fixture.window()), ["mine"]);
}
