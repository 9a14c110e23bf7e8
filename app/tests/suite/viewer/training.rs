//! Train mode: starting, pausing, resuming, stopping and queueing jobs.

mod setup;

use std::path::{Path, PathBuf};

use amlp_viewer::Args;
use amlp_viewer::args::ModeArg;
use amlp_viewer::command::{Command, TimelineCommand, TrainCommand};
use amlp_viewer::state::train::{CohortState, Estimate, Form, JobOutcome, Phase, RunningJob, TrainPage};
use amlp_viewer::state::{Intent, Request, State};
use amlp_viewer::worker::train::run;
use amlp_viewer::worker::{Failure, JobHandle, Spec};
use egui::Key;
use egui_kittest::kittest::Queryable as _;
use engine::cohort::ImageFile;
use engine::device::DeviceChoice;
use engine::preprocess::Spacing;
use engine::run::RunFolder;
use engine::volume::nifti;
use tempfile::TempDir;

use super::segmentation::patient;
use crate::window::*;

/// Number of patients in the cohort: 6 for training, 1 for validation, 2 for testing.
const PATIENTS: usize = 9;

/// A cohort of small patients, and a workspace.
pub struct TrainingFixture(TempDir);

impl TrainingFixture {
    pub fn new() -> Self {
        let fixture = Self(tempfile::tempdir().unwrap());
        for number in 0..PATIENTS {
            let folder = fixture.cohort().join(format!("P{number}"));
            std::fs::create_dir_all(&folder).unwrap();
            let (image, label) = patient(number);
            nifti::write_volume(&folder.join("pet.nii.gz"), &image).unwrap();
            nifti::write_label(&folder.join("seg.nii.gz"), &label, &image).unwrap();
        }
        fixture
    }

    pub fn cohort(&self) -> PathBuf {
        self.0.path().join("cohort")
    }

    pub fn runs(&self) -> PathBuf {
        self.0.path().join("runs")
    }

    /// A window in Train mode on the cohort.
    pub fn window(&self) -> Window {
        let mut window = start(&self.args(), SIZE, None);
        // The slow estimate of the paper's settings is irrelevant here.
        wait_for(&mut window, |app| matches!(app.state().cache.train.cohort, CohortState::Ready(_)));
        change(&mut window, tiny);
        settle(&mut window);
        window
    }

    pub fn args(&self) -> Args {
        let (paths, workspace) = (vec![self.cohort()], Some(self.runs()));
        Args { mode: ModeArg::Train, paths, workspace, ..Args::default() }
    }
}

/// Settings for a very short training.
fn tiny(form: &mut Form) {
    for config in [&mut form.pretrain, &mut form.finetune] {
        config.device = DeviceChoice::Cpu.into();
        (config.preprocess.size, config.preprocess.spacing) = (32, Spacing::Native);
        (config.network.width, config.network.depth) = (4, 2);
        (config.training.epochs, config.training.batch, config.training.lr) = (2, 8, 1e-2);
        config.training.min_steps = 0;
        config.method.grid = 4;
    }
}

/// Changes the form as a user's edit does.
pub fn change(window: &mut Window, change: impl FnOnce(&mut Form)) {
    let mut form = state(window).session.train.form.clone();
    change(&mut form);
    window.state_mut().dispatch(Command::Train(TrainCommand::Edit(Box::new(form))));
    window.step();
}

/// Sends a command of Train mode without waiting for jobs.
pub fn order(window: &mut Window, command: TrainCommand) {
    window.state_mut().dispatch(Command::Train(command));
    window.step();
}

/// Presses a control by its name at any scroll position, without waiting for jobs.
pub fn use_control(window: &mut Window, label: &str) {
    window.get_by_label(label).click_accesskit();
    window.run_steps(3);
}

/// Types a number into a field.
fn enter(window: &mut Window, label: &str, text: &str) {
    window.get_by_label(label).focus();
    window.run_steps(2);
    window.get_by_label(label).type_text(text);
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(2);
}

/// Starts a job with this many epochs and waits until it trains.
pub fn train(window: &mut Window, epochs: usize) {
    change(window, |form| form.config_mut().training.epochs = epochs);
    order(window, TrainCommand::Start);
    wait_for(window, |app| {
        let running = app.state().training.running.as_ref();
        running.is_some_and(|job| job.phase == Phase::Training && job.steps_done() > 0)
    });
}

/// Queues short jobs of these names behind the one that trains.
pub fn queue_up(window: &mut Window, names: &[&str]) {
    for name in names {
        change(window, |form| {
            form.pretrain.training.epochs = 1;
            form.name = (*name).into();
        });
        use_control(window, "Add to the queue");
    }
}

/// The folder of the running job.
pub fn run_of(window: &Window) -> PathBuf {
    state(window).training.running.as_ref().unwrap().run.clone().unwrap()
}

/// Stops the running job and waits until everything is over.
pub fn stop(window: &mut Window) {
    order(window, TrainCommand::Stop);
    settle(window);
    assert!(state(window).training.running.is_none());
}

pub fn has_checkpoint(run: &Path) -> bool {
    run.join("checkpoints/last").is_dir()
}

pub fn endings(window: &Window) -> Vec<JobOutcome> {
    state(window).training.ended.iter().map(|job| job.how.clone()).collect()
}

#[test]
fn a_failed_run_is_reported_under_its_numbered_name() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    let taken = fixture.runs().join("amlp-pet");
    RunFolder::create(&taken, "version = 1").unwrap();
    std::fs::rename(fixture.cohort(), fixture.cohort().with_file_name("moved")).unwrap();
    order(&mut window, TrainCommand::Start);
    settle(&mut window);
    let ended = &state(&window).training.ended[0];
    assert!(matches!(ended.how, JobOutcome::Failed(_)), "{:?}", ended.how);
    assert_eq!(ended.name, "amlp-pet-2");
    let titles: Vec<&str> = state(&window).notices.iter().map(|notice| notice.title.as_str()).collect();
    assert!(titles.iter().any(|title| title.contains("amlp-pet-2")), "{titles:?}");
}

#[test]
fn a_slice_can_be_pinned_before_the_first_run() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    let image = fixture.cohort().join("P0/pet.nii.gz");
    let request = Request { images: vec![(None, ImageFile::new(image))], ..Request::default() };
    send(&mut window, Intent::Open(Box::new(request)));
    settle(&mut window);
    assert!(state(&window).watched_run().is_none());
    send(&mut window, Command::Timeline(TimelineCommand::Pin));
    settle(&mut window);
    let wanted: Vec<String> = state(&window).pins().iter().map(ToString::to_string).collect();
    assert!(wanted.len() == 1 && wanted[0].starts_with("P0:"), "{wanted:?}");
    // It has the number that the view shows, whatever the number of the prepared slice.
    let shown = report(&window).panes[0].slice.unwrap();
    assert_eq!(state(&window).pin_name(&state(&window).pins()[0]), format!("P0 slice {shown}"));
    order(&mut window, TrainCommand::Start);
    assert_eq!(state(&window).pins().len(), 1, "it is listed while the patients are prepared");
    stop(&mut window);
}

#[test]
fn training_can_be_paused_resumed_and_stopped() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    train(&mut window, 2000);
    let run = run_of(&window);
    use_control(&mut window, "Pause");
    wait_for(&mut window, |app| app.state().training.running.as_ref().is_some_and(|job| job.phase == Phase::Paused));
    assert!(has_checkpoint(&run), "a pause saves");
    let steps = |window: &Window| state(window).training.running.as_ref().unwrap().steps_done();
    let before = steps(&window);
    for _ in 0..20 {
        window.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(steps(&window), before);
    assert!(!window.state().is_idle(), "a paused run is not over");
    use_control(&mut window, "Resume");
    wait_for(&mut window, |app| app.state().training.running.as_ref().is_some_and(|job| job.steps_done() > before));
    use_control(&mut window, "Stop");
    settle(&mut window);
    assert_eq!((errors(&window), endings(&window)), (Vec::new(), vec![JobOutcome::Stopped]));
    assert_eq!(window.state().jobs().threads(), 0);

    // It continues where it was.
    let done = state(&window).cache.runs.unfinished().next().unwrap().epochs_done;
    use_control(&mut window, "Resume amlp-pet");
    wait_for(&mut window, |app| app.state().training.running.as_ref().is_some_and(|job| job.epoch > done));
    assert_eq!(run_of(&window), run);
    stop(&mut window);
    assert_eq!(endings(&window), [JobOutcome::Stopped], "one run is listed once");
}

#[test]
fn the_same_settings_can_be_queued_again_under_another_number() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    train(&mut window, 2000);
    for _ in 0..2 {
        use_control(&mut window, "Add to the queue");
    }
    let queued: Vec<&str> = state(&window).training.queue.iter().map(|job| job.name.as_str()).collect();
    assert_eq!((queued, errors(&window)), (vec!["amlp-pet-2", "amlp-pet-3"], Vec::new()));
    for name in ["amlp-pet-2", "amlp-pet-3"] {
        use_control(&mut window, &format!("Remove {name} from the queue"));
    }
    stop(&mut window);
    assert!(state(&window).training.queue.is_empty());
}

#[test]
fn jobs_run_one_after_the_other() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    train(&mut window, 2000);
    queue_up(&mut window, &["second", "third", "fourth"]);
    let names = |window: &Window| state(window).training.queue.iter().map(|job| job.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&window), ["second", "third", "fourth"]);
    change(&mut window, |form| form.name = "second".into());
    order(&mut window, TrainCommand::Start);
    assert_eq!(names(&window).len(), 3, "a run waits once");
    assert!(errors(&window)[0].contains("second is already in the queue"), "{:?}", errors(&window));
    assert_eq!(state(&window).cache.train.estimate, Estimate::Waiting, "nothing is measured during a run");
    // The whole panel can be scrolled above the fixed buttons.
    assert!(names(&window).iter().all(|name| {
        let row = window.get_by_label(&format!("Waiting: {name}")).rect();
        row.height() == amlp_viewer::theme::size::ROW_TALL
    }));
    // The panel scrolls over several frames, and an epoch that ends meanwhile adds rows above the pins.
    let visible = (0..20).any(|_| {
        window.get_by_label("Pin this slice").scroll_to_me();
        window.run_steps(20);
        let [pin, pause] = ["Pin this slice", "Pause"].map(|name| window.get_by_label(name).rect());
        pin.top() > 40.0 && pin.bottom() < pause.top() && pause.bottom() < 800.0
    });
    assert!(visible, "the pins stay below the buttons");
    use_control(&mut window, "Remove third from the queue");
    use_control(&mut window, "Start fourth sooner");
    assert_eq!(names(&window), ["fourth", "second"]);
    stop(&mut window);
    let ended: Vec<_> = state(&window).training.ended.iter().map(|job| (job.name.as_str(), &job.how)).collect();
    let expected =
        [("second", &JobOutcome::Finished), ("fourth", &JobOutcome::Finished), ("amlp-pet", &JobOutcome::Stopped)];
    assert_eq!(ended, expected);
}

#[test]
fn the_table_of_runs_follows_the_job() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    train(&mut window, 2000);
    let run = run_of(&window);
    order(&mut window, TrainCommand::ShowPage(TrainPage::Runs));
    let row = |state: &State| {
        let rows = state.run_rows();
        let row = rows.iter().find(|row| row.run.path == run)?;
        Some((row.status.name(), row.run.epochs_done, row.run.loss.is_some(), row.can_resume()))
    };
    wait_for(&mut window, |app| row(app.state()).is_some_and(|(_, done, loss, _)| done > 1 && loss));
    let (word, before, ..) = row(state(&window)).unwrap();
    assert_eq!((word, has(&window, "running")), ("running", true));
    wait_for(&mut window, |app| row(app.state()).is_some_and(|(_, done, ..)| done > before + 1));
    use_control(&mut window, "Pause");
    wait_for(&mut window, |app| row(app.state()).is_some_and(|(word, ..)| word == "paused"));
    stop(&mut window);
    let (word, done, _, can_resume) = row(state(&window)).unwrap();
    assert!(word == "stopped" && done > before && can_resume, "{word} after {done}");
    use_control(&mut window, "Resume amlp-pet");
    wait_for(&mut window, |app| row(app.state()).is_some_and(|(word, now, ..)| word == "running" && now > done));
    stop(&mut window);
    assert!(errors(&window).is_empty());
}

#[test]
fn preparation_is_shown_in_the_panel_on_the_page_and_on_the_timeline() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    let preparing = |handle: &JobHandle| -> Result<(), Failure> {
        handle.progress(Some(0.3), "Patient 3 of 9");
        loop {
            handle.check()?;
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    };
    let (_, jobs) = window.state_mut().parts();
    let job = jobs.start_with(Spec::new(run::SLOT, "Pre-training mine"), preparing, |_, _, state, _| {
        state.training.running = None;
    });
    let name = "mine".to_owned();
    window.state_mut().parts().0.training.running = Some(RunningJob { id: 1, job, name, ..RunningJob::default() });
    order(&mut window, TrainCommand::ShowPage(TrainPage::Watch));
    wait_for(&mut window, |app| app.state().preparing().is_some_and(|preparing| preparing.fraction.is_some()));
    window.run_steps(2);
    assert!(has(&window, "Job mine: Pre-training: Preparing") && has(&window, "Patient 3 of 9"));
    let labels = window.query_all_by_label("Preparing mine. Patient 3 of 9");
    let (page, track): (Vec<_>, Vec<_>) = labels.map(|node| node.rect().top()).partition(|top| *top < 680.0);
    assert!(!page.is_empty() && track.len() == 1, "{page:?} {track:?}");
    stop(&mut window);
    assert!(state(&window).preparing().is_none());
}
