//! Commands of Train mode: the pages, the form, the queue, the job.

use std::path::{Path, PathBuf};

use engine::cohort::ImageFile;
use engine::event::Stage;
use engine::predict::Choice;

use super::action::ActionList;
use super::{Command, FileCommand, dispatch as carry_out};
use crate::state::runs::RunList;
use crate::state::train::{CohortState, Column, Form, QueuedJob, Results, RunningJob, TrainExport, TrainPage};
use crate::state::{Intent, Mode, PathPurpose, Request, Severity, State};
use crate::worker::export;
use crate::worker::train::retrain::ReadRetraining;
use crate::worker::train::start_from::{ConfigPurpose, ReadRunConfig, offer_latest};
use crate::worker::train::{cohort, evaluate, form, queue, run};
use crate::worker::{Jobs, name_of, runs, segment, study};

/// Maximum number of runs of each stage in the palette, newest first.
const LISTED: usize = 12;

/// A command of Train mode.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainCommand {
    /// Shows a page of Train mode.
    ShowPage(TrainPage),
    /// Returns to the previous page.
    Back,
    /// Reads a folder as the cohort of the next job.
    UseCohort(PathBuf),
    /// Uses the folder that is open in Review as the cohort.
    UseOpenFolder,
    /// Uses the sample study as the cohort.
    UseSample,
    /// Checks the cohort again.
    ReadCohortAgain,
    /// Opens the files of a problem of the cohort, by its place in the list.
    OpenProblem(usize),
    /// Replaces the form.
    Edit(Box<Form>),
    /// Sets up a fine-tuning run from a pre-trained run, or from random weights.
    FinetuneFrom(Option<PathBuf>),
    /// Sets up the continuation of a fine-tuning run with the corrected masks. `None`: the run selected for segmentation.
    Retrain(Option<PathBuf>),
    /// Copies the settings of a run into the form.
    SetUpLike(PathBuf),
    /// Applies the paper's settings to both stages.
    UsePaperSettings,
    /// Queues the job described by the form. It starts at once if none is running.
    Start,
    /// Removes a waiting job.
    Remove(u64),
    /// Queues a job left from the last session, or all.
    TakeUp(Option<u64>),
    /// Moves a waiting job up the queue.
    MoveUp(u64),
    /// Saves a checkpoint after this step and waits.
    Pause,
    /// Resumes after a pause.
    Unpause,
    /// Saves a checkpoint after this step and stops. The run can be resumed.
    Stop,
    /// Resumes a run that stopped.
    Resume(PathBuf),
    /// Stops offering an interrupted run, in this session.
    Dismiss(PathBuf),
    /// Segments the open case with a fine-tuned run.
    SegmentWith(PathBuf),
    /// Segments and measures a run's held-out patients, even if results are stored.
    Evaluate(PathBuf),
    /// Shows the results of a run, and computes them if none are stored.
    ShowResults(PathBuf),
    /// Selects the network of a run to segment with and evaluate: the last, or the best by validation.
    ChooseNetwork(Choice),
    /// Sorts the table of results.
    SortResults(Column),
    /// Opens a patient of the results at its worst slice.
    OpenPatient(usize),
    /// Returns from a patient to the results or to the study.
    BackToResults,
    /// Shows the list of runs that have results.
    ChooseResults,
    /// Sets the number of CPU threads for training; 0 leaves one core to the window.
    SetThreads(usize),
    /// Sets whether runs also write TensorBoard event files.
    SetTensorBoard(bool),
    /// Sets the folder of runs.
    SetWorkspace(PathBuf),
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: TrainCommand) {
    use TrainCommand as Do;
    match command {
        Do::ShowPage(page) => show_page(state, jobs, page),
        Do::Back => {
            state.session.train.go_back();
            runs::list_if_shown(state, jobs);
            study::refresh_if_shown(state, jobs);
        }
        Do::UseCohort(folder) => cohort::start(state, jobs, &folder),
        Do::UseOpenFolder => match state.cases.root.clone() {
            Some(folder) => cohort::start(state, jobs, &folder),
            None => state.error("No folder is open", "Open a folder of patients in Review first."),
        },
        Do::UseSample => match crate::sample::folder() {
            Some(folder) => cohort::start(state, jobs, &folder),
            None => state
                .error("No sample study", "assets/sample was not found beside the program or in the current folder."),
        },
        Do::ReadCohortAgain => {
            if let Some(folder) = state.cache.train.cohort.folder() {
                cohort::start(state, jobs, &folder);
            }
        }
        Do::OpenProblem(at) => open_problem(state, jobs, at),
        Do::Edit(form) => {
            let is_new_stage = form.stage == Stage::Finetune && state.session.train.form.stage != form.stage;
            form::edit(state, jobs, *form);
            if is_new_stage {
                offer_latest(state, jobs);
            }
        }
        Do::FinetuneFrom(run) => finetune_from(state, jobs, run),
        Do::Retrain(run) => retrain(state, jobs, run),
        Do::SetUpLike(run) => set_up_from(state, jobs, run, ConfigPurpose::SetUpLike),
        Do::UsePaperSettings => {
            let form = state.session.train.form.clone().with_paper_settings();
            form::edit(state, jobs, form);
        }
        Do::Start => start(state, jobs),
        Do::Remove(id) => queue::remove(state, jobs, id),
        Do::TakeUp(id) => queue::take_up(state, jobs, id),
        Do::MoveUp(id) => queue::move_up(state, jobs, id),
        Do::Pause => run::pause(state, jobs),
        Do::Unpause => run::resume(state, jobs),
        Do::Stop => run::stop(state, jobs),
        Do::Resume(path) => resume(state, jobs, &path),
        Do::Dismiss(path) => state.training.dismissed.push(path),
        Do::SegmentWith(path) => segment_with(state, jobs, &path),
        Do::Evaluate(path) => show_results(state, jobs, path, true),
        Do::ShowResults(path) => show_results(state, jobs, path, false),
        Do::ChooseNetwork(network) => choose_network(state, jobs, network),
        Do::SortResults(column) => state.cache.results.sort(column),
        Do::OpenPatient(at) => open_patient(state, jobs, at),
        Do::BackToResults => {
            let of_study = state.document.as_ref().is_some_and(|document| document.study.is_some());
            state.session.train.visiting = false;
            state.session.mode = Mode::Train;
            show_page(state, jobs, if of_study { TrainPage::Studies } else { TrainPage::Results });
        }
        Do::ChooseResults => {
            jobs.cancel_slot(evaluate::SLOT);
            (state.session.runs.results, state.cache.results) = (None, Results::default());
            show_page(state, jobs, TrainPage::Results);
        }
        Do::SetThreads(threads) => state.session.settings.threads = threads,
        Do::SetTensorBoard(on) => state.session.settings.tensorboard = on,
        Do::SetWorkspace(path) => {
            queue::leave(state, jobs);
            state.session.settings.workspace = Some(path);
            state.cache.runs = RunList::default();
            runs::list(state, jobs);
            state.cache.study.listed = None;
            study::refresh_if_shown(state, jobs);
        }
    }
}

fn show_page(state: &mut State, jobs: &mut Jobs, page: TrainPage) {
    state.session.train.go_to(page);
    runs::list_if_shown(state, jobs);
    study::refresh_if_shown(state, jobs);
}

fn show_results(state: &mut State, jobs: &mut Jobs, run: PathBuf, again: bool) {
    state.session.train.go_to(TrainPage::Results);
    evaluate::start(state, jobs, run, again);
}

fn finetune_from(state: &mut State, jobs: &mut Jobs, run: Option<PathBuf>) {
    if let Some(run) = run {
        return set_up_from(state, jobs, run, ConfigPurpose::StartFrom);
    }
    state.session.mode = Mode::Train;
    state.session.train.go_to(TrainPage::Setup);
    let mut form = state.session.train.form.clone();
    form.stage = Stage::Finetune;
    form.offered = state.latest_pretraining().map(|run| run.path.clone());
    form.start_from(PathBuf::new());
    form::edit(state, jobs, form);
}

/// Why fine-tuning cannot continue from the sample model.
pub const NO_RUN: &str = "The sample model has no cohort to continue on. Choose a fine-tuned run as the model first.";

fn retrain(state: &mut State, jobs: &mut Jobs, run: Option<PathBuf>) {
    let Some(run) = run.or_else(|| state.session.runs.segment.clone()) else {
        return state.error("Nothing to continue", NO_RUN);
    };
    state.session.mode = Mode::Train;
    state.session.train.go_to(TrainPage::Setup);
    let (folder, best) = (state.cases.root.clone(), state.network_of(&run) == Choice::Best);
    jobs.start(ReadRetraining { run, folder, best });
}

/// Shows the results of the other network.
fn choose_network(state: &mut State, jobs: &mut Jobs, network: Choice) {
    state.session.runs.network = network;
    if let Some(run) = state.session.runs.results.clone() {
        evaluate::start(state, jobs, run, false);
    }
}

fn set_up_from(state: &mut State, jobs: &mut Jobs, run: PathBuf, purpose: ConfigPurpose) {
    state.session.mode = Mode::Train;
    state.session.train.go_to(TrainPage::Setup);
    jobs.start(ReadRunConfig { run, purpose });
}

fn start(state: &mut State, jobs: &mut Jobs) {
    if let Some(why) = state.training_obstacle() {
        return state.error("The run cannot start", why);
    }
    let form = &state.session.train.form;
    let (name, stage, config) = (state.next_run_name(), form.stage, Some(Box::new(form.config().clone())));
    // A name typed by the user means exactly that folder: an existing run with these settings is resumed.
    let folder = form.named.then(|| state.session.settings.workspace().join(&name));
    let id = state.training.new_id();
    queue::add(state, jobs, QueuedJob { id, name, stage, config, folder });
}

fn resume(state: &mut State, jobs: &mut Jobs, path: &Path) {
    if state.training.is_taken(path) {
        let what = path.display().to_string();
        return state.notice(Severity::Info, "This run is already training or in the queue", what);
    }
    let stage = state.cache.runs.run(path).map_or(Stage::Pretrain, |run| run.stage);
    let (id, folder) = (state.training.new_id(), Some(path.to_path_buf()));
    queue::add(state, jobs, QueuedJob { id, name: name_of(path), stage, config: None, folder });
}

fn open_problem(state: &mut State, jobs: &mut Jobs, at: usize) {
    let Some(card) = state.cache.train.cohort.card() else { return };
    let Some(problem) = card.fingerprint.problems.get(at) else { return };
    let case = problem.case.as_ref().and_then(|id| card.cohort.case(id));
    let paths = match (&problem.file, case) {
        (Some(file), _) => vec![PathBuf::from(file)],
        (None, Some(case)) => case.image_paths().into_values().collect(),
        (None, None) => return,
    };
    state.session.mode = Mode::Review;
    // As a separate image, so that the mismatch is visible.
    let images = paths.into_iter().map(|path| (None, ImageFile::new(path))).collect();
    carry_out(state, jobs, Intent::Open(Box::new(Request { images, ..Request::default() })));
}

fn open_patient(state: &mut State, jobs: &mut Jobs, at: usize) {
    let row = state.cache.results.evaluation.as_ref().and_then(|e| e.patients.get(at)).cloned();
    let Some(row) = row else { return };
    state.session.mode = Mode::Review;
    let frames = row.frames.clone();
    let image = |(modality, path): (String, PathBuf)| {
        let frame = frames.get(&modality).copied();
        (Some(modality), ImageFile { path, frame })
    };
    let request = Request {
        reference: row.reference(),
        title: Some(row.case),
        images: row.images.into_iter().map(image).collect(),
        segmentation: Some(row.mask),
        slice: row.worst_slice,
        ..Request::default()
    };
    carry_out(state, jobs, Intent::Visit(Box::new(request)));
}

fn segment_with(state: &mut State, jobs: &mut Jobs, run: &Path) {
    segment::choose_model(state, run);
    state.session.mode = Mode::Review;
    if state.document.is_some() {
        carry_out(state, jobs, Intent::Segment);
    } else {
        let what = format!("Open a scan, then press Segment now to use {}.", name_of(run));
        state.notice(Severity::Info, "Model selected", what);
    }
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let group = "Train";
    let (train, training, runs) = (&state.session.train, &state.training, &state.cache.runs);
    let add = |list: &mut ActionList, on: bool, label: &str, key: &'static str, command: TrainCommand| {
        list.add_if(on, group, label, key, Command::Train(command));
    };
    for page in TrainPage::ALL {
        let here = state.session.mode == Mode::Train && train.page != page;
        add(list, here, &format!("Page: {}", page.name()), "", TrainCommand::ShowPage(page));
    }
    if let Some((label, command)) = super::back::destination(state) {
        list.add(group, label, "", command);
    }
    add(list, train.visiting, "Back to the results", "", TrainCommand::BackToResults);
    let results = state.session.runs.results.is_some();
    add(list, results, "Results of another run", "", TrainCommand::ChooseResults);
    if let Some(run) = &state.session.runs.results {
        add(list, true, &format!("Evaluate {} again", name_of(run)), "", TrainCommand::Evaluate(run.clone()));
    }
    let chosen = &state.session.runs;
    let has_best = chosen.results.iter().chain(&chosen.segment).any(|run| state.has_best(run));
    for (network, name) in [(Choice::Last, "last network"), (Choice::Best, "network of the best validation")] {
        let other = has_best && chosen.network != network;
        add(list, other, &format!("Segment and evaluate with the {name}"), "", TrainCommand::ChooseNetwork(network));
    }
    list.add(group, "Choose cohort…", "", Command::Intent(Intent::Ask(PathPurpose::Cohort)));
    list.add(group, "Choose cohort by path…", "", Command::File(FileCommand::TypePath(PathPurpose::Cohort)));
    add(list, true, "Use the sample study", "", TrainCommand::UseSample);
    add(list, state.cases.root.is_some(), "Use the open folder", "", TrainCommand::UseOpenFolder);
    let chosen = !matches!(state.cache.train.cohort, CohortState::None);
    add(list, chosen, "Check the cohort again", "", TrainCommand::ReadCohortAgain);
    let board = state.session.settings.tensorboard;
    let label = if board { "Do not write TensorBoard files" } else { "Write TensorBoard files" };
    add(list, true, label, "", TrainCommand::SetTensorBoard(!board));
    list.add(group, "Choose workspace…", "", Command::Intent(Intent::Ask(PathPurpose::Workspace)));
    add(list, true, "Use the paper's settings", "", TrainCommand::UsePaperSettings);
    let ready = state.session.mode == Mode::Train && state.training_obstacle().is_none();
    add(list, ready, "Start training", "F5", TrainCommand::Start);
    let running = training.running.as_ref();
    let paused = running.is_some_and(RunningJob::can_resume);
    add(list, running.is_some_and(RunningJob::can_pause), "Pause training", "F6", TrainCommand::Pause);
    add(list, paused, "Resume training", "F7", TrainCommand::Unpause);
    add(list, running.is_some(), "Stop training", "Shift+F5", TrainCommand::Stop);
    for run in state.resumable_runs() {
        add(list, true, &format!("Resume {}", run.name), "", TrainCommand::Resume(run.path.clone()));
    }
    for job in training.left.iter().take(LISTED) {
        add(
            list,
            true,
            &format!("Start {}, queued in an earlier session", job.name),
            "",
            TrainCommand::TakeUp(Some(job.id)),
        );
    }
    for kind in TrainExport::ALL {
        let ask = Command::Intent(Intent::Ask(PathPurpose::TrainExport(kind)));
        list.add_if(export::is_ready(state, kind), group, format!("{}\u{2026}", kind.name()), "", ask);
    }
    for run in runs.pretrained().take(LISTED) {
        let command = TrainCommand::FinetuneFrom(Some(run.path.clone()));
        add(list, true, &format!("Fine-tune from {}", run.name), "", command);
    }
    for run in runs.all().iter().take(LISTED) {
        let command = TrainCommand::SetUpLike(run.path.clone());
        add(list, true, &format!("Set up like {}", run.name), "", command);
    }
    for run in runs.finetuned().take(LISTED) {
        add(list, true, &format!("Results of {}", run.name), "", TrainCommand::ShowResults(run.path.clone()));
        add(list, true, &format!("Segment with {}", run.name), "", TrainCommand::SegmentWith(run.path.clone()));
        let command = TrainCommand::Retrain(Some(run.path.clone()));
        add(list, true, &format!("Continue {} with corrected masks", run.name), "", command);
    }
}
