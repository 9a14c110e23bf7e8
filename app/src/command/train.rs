//! Commands of Train mode: the form, the queue, the job.

use std::path::{Path, PathBuf};

use engine::event::Stage;

use super::action::List;
use super::{Command, FileCommand, dispatch as carry_out};
use crate::state::train::{CohortState, Column, Form, Queued, Results, Running, TrainPage};
use crate::state::{Intent, Mode, PathPurpose, Request, Severity, State};
use crate::worker::train::{assess, cohort, evaluate, queue, run, workspace};
use crate::worker::{Jobs, segment};

/// How many runs of each stage the palette lists: the newest.
const LISTED: usize = 12;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainCommand {
    /// Shows a page in the centre.
    ShowPage(TrainPage),
    /// Shows the page before it again.
    Back,
    /// Looks at a folder as the cohort of the next job.
    UseCohort(PathBuf),
    /// The same with the folder that is open in Review.
    UseOpenFolder,
    /// The same with the sample study.
    UseSample,
    /// Looks at the cohort again.
    LookAgain,
    /// Opens a file that something is wrong with.
    OpenProblem(usize),
    /// The form as the user left it.
    Edit(Box<Form>),
    /// Fills the form in for a fine-tuning from a pre-trained run; from random weights without one.
    FinetuneFrom(Option<PathBuf>),
    /// Starts the job of the form, or lets it wait for its turn.
    Start,
    /// Takes a waiting job away.
    Remove(u64),
    /// Puts a job that waited when the program was closed last into the queue; all of them without a number.
    TakeUp(Option<u64>),
    /// Lets a waiting job start earlier.
    Sooner(u64),
    /// Saves a checkpoint after this step and waits.
    Pause,
    /// Goes on after a pause.
    GoOn,
    /// Saves a checkpoint after this step and stops; the run can be resumed.
    Stop,
    /// Goes on with a run that stopped.
    Resume(PathBuf),
    /// Does not offer an unfinished run any more, in this session.
    PutAside(PathBuf),
    /// Segments the open case with a fine-tuned run.
    SegmentWith(PathBuf),
    /// Segments and measures the patients that a run holds out.
    Evaluate(PathBuf),
    /// Shows the stored measures of a run, or makes them.
    ShowResults(PathBuf),
    /// Sorts the table of measures.
    SortResults(Column),
    /// Opens a patient of the table at its worst slice.
    OpenPatient(usize),
    /// Shows the table that a patient was opened from again.
    BackToResults,
    /// Shows whose measures there are to look at.
    ChooseResults,
    /// How many threads compute; 0 leaves one core to the window.
    SetThreads(usize),
    /// Where runs are kept.
    SetWorkspace(PathBuf),
}

/// Carries out a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: TrainCommand) {
    match command {
        TrainCommand::ShowPage(page) => show_page(state, jobs, page),
        TrainCommand::Back => back(state, jobs),
        TrainCommand::UseCohort(folder) => cohort::start(state, jobs, &folder),
        TrainCommand::UseOpenFolder => match state.cases.root.clone() {
            Some(folder) => cohort::start(state, jobs, &folder),
            None => state.error("No folder is open", "open a folder of patients in Review first"),
        },
        TrainCommand::UseSample => match crate::sample::folder() {
            Some(folder) => cohort::start(state, jobs, &folder),
            None => state.error("No sample study", "assets/sample was not found beside the program nor here"),
        },
        TrainCommand::LookAgain => {
            if let Some(folder) = state.train.cohort.folder() {
                cohort::start(state, jobs, &folder);
            }
        }
        TrainCommand::OpenProblem(at) => open_problem(state, jobs, at),
        TrainCommand::Edit(form) => edit(state, jobs, *form),
        TrainCommand::FinetuneFrom(run) => finetune_from(state, jobs, run),
        TrainCommand::Start => start(state, jobs),
        TrainCommand::Remove(id) => {
            state.train.queue.retain(|job| job.id != id);
            state.train.left.retain(|job| job.id != id);
        }
        TrainCommand::TakeUp(id) => queue::take_up(state, jobs, id),
        TrainCommand::Sooner(id) => {
            let queue = &mut state.train.queue;
            if let Some(at) = queue.iter().position(|job| job.id == id).filter(|at| *at > 0) {
                queue.swap(at, at - 1);
            }
        }
        TrainCommand::Pause => run::pause(state, jobs),
        TrainCommand::GoOn => run::go_on(state, jobs),
        TrainCommand::Stop => run::stop(state, jobs),
        TrainCommand::Resume(path) => resume(state, jobs, &path),
        TrainCommand::PutAside(path) => state.train.put_aside.push(path),
        TrainCommand::SegmentWith(path) => segment_with(state, jobs, &path),
        TrainCommand::Evaluate(path) => show_results(state, jobs, path, true),
        TrainCommand::ShowResults(path) => show_results(state, jobs, path, false),
        TrainCommand::SortResults(column) => state.train.results.sort(column),
        TrainCommand::OpenPatient(at) => open_patient(state, jobs, at),
        TrainCommand::BackToResults => {
            state.train.visiting = false;
            state.mode = Mode::Train;
            show_page(state, jobs, TrainPage::Results);
        }
        TrainCommand::ChooseResults => {
            jobs.cancel_slot(evaluate::SLOT);
            state.train.results = Results::default();
            show_page(state, jobs, TrainPage::Results);
        }
        TrainCommand::SetThreads(threads) => state.settings.threads = threads,
        TrainCommand::SetWorkspace(path) => {
            queue::leave(state, jobs);
            state.settings.workspace = Some(path);
            (state.train.runs, state.train.unfinished) = (None, Vec::new());
            workspace::start(state, jobs);
        }
    }
}

fn show_page(state: &mut State, jobs: &mut Jobs, page: TrainPage) {
    state.train.go_to(page);
    list_runs(state, jobs);
}

fn back(state: &mut State, jobs: &mut Jobs) {
    state.train.go_back();
    list_runs(state, jobs);
}

fn show_results(state: &mut State, jobs: &mut Jobs, run: PathBuf, anew: bool) {
    state.train.go_to(TrainPage::Results);
    state.train.results = Results::awaited(run);
    evaluate::start(state, jobs, anew);
}

/// Some pages offer the runs of the workspace.
fn list_runs(state: &mut State, jobs: &mut Jobs) {
    let page = state.train.page;
    if matches!(page, TrainPage::Setup | TrainPage::Results) && state.train.runs.is_none() {
        workspace::start(state, jobs);
    }
}

/// Takes the form over, made consistent, and whatever follows from it.
fn edit(state: &mut State, jobs: &mut Jobs, form: Form) {
    let before = std::mem::take(&mut state.train.form);
    state.train.form = form.settled(&before, &state.devices);
    crate::worker::train::follow_form(state, jobs, &before);
}

fn finetune_from(state: &mut State, jobs: &mut Jobs, run: Option<PathBuf>) {
    state.mode = Mode::Train;
    state.train.go_to(TrainPage::Setup);
    let Some(run) = run else {
        let mut form = state.train.form.clone();
        form.stage = Stage::Finetune;
        form.finetune.labels.from = PathBuf::new();
        return edit(state, jobs, form);
    };
    // Its slices and its network's shape are the run's to say.
    workspace::read_config(jobs, &run);
}

fn start(state: &mut State, jobs: &mut Jobs) {
    if let Some(why) = state.train.obstacle() {
        return state.error("The training cannot start", why);
    }
    let form = &state.train.form;
    let (name, stage, config) = (form.name.trim().to_owned(), form.stage, form.config().clone());
    // A name that was given means that very folder: a run that is there is gone on with, if its settings are these.
    let goes_on = form.named.then(|| state.settings.workspace().join(&name));
    enqueue(state, jobs, name, stage, Some(Box::new(config)), goes_on);
}

fn resume(state: &mut State, jobs: &mut Jobs, path: &Path) {
    if state.train.is_taken(path) {
        let what = path.display().to_string();
        return state.notice(Severity::Info, "This run is under way or waits already", what);
    }
    let known = state.train.runs.iter().flatten().chain(&state.train.unfinished).find(|run| run.path == path);
    let stage = known.map_or(Stage::Pretrain, |run| run.stage);
    let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    enqueue(state, jobs, name, stage, None, Some(path.to_path_buf()));
}

/// Puts a job at the end of the queue; it starts at once if nothing is under way.
fn enqueue(
    state: &mut State,
    jobs: &mut Jobs,
    name: String,
    stage: Stage,
    config: Option<Box<engine::config::Config>>,
    goes_on: Option<PathBuf>,
) {
    if goes_on.is_some() {
        // It has not ended any more.
        state.train.ended.retain(|job| job.run != goes_on);
    }
    state.train.jobs += 1;
    let id = state.train.jobs;
    state.train.queue.push(Queued { id, name, stage, config, goes_on });
    // An estimate beside it would take its processor.
    jobs.cancel_slot(assess::SLOT);
    run::start_next(state, jobs);
}

fn open_problem(state: &mut State, jobs: &mut Jobs, at: usize) {
    let Some(card) = state.train.cohort.card() else { return };
    let Some(problem) = card.fingerprint.problems.get(at) else { return };
    let case = problem.case.as_ref().and_then(|id| card.cohort.case(id));
    let paths = match (&problem.file, case) {
        (Some(file), _) => vec![PathBuf::from(file)],
        (None, Some(case)) => case.images.values().cloned().collect(),
        (None, None) => return,
    };
    show_in_review(state);
    // As an image of its own, whatever it is: what is wrong with it should be seen.
    let images = paths.into_iter().map(|path| (None, path)).collect();
    carry_out(state, jobs, Intent::Open(Box::new(Request { images, ..Request::default() })));
}

fn open_patient(state: &mut State, jobs: &mut Jobs, at: usize) {
    let row = state.train.results.evaluation.as_ref().and_then(|e| e.patients.get(at)).cloned();
    let Some(row) = row else { return };
    show_in_review(state);
    let request = Request {
        title: Some(row.case),
        images: row.images.into_iter().map(|(modality, path)| (Some(modality), path)).collect(),
        mask: Some(row.mask),
        truth: row.truth,
        slice: row.worst_slice,
        ..Request::default()
    };
    carry_out(state, jobs, Intent::Visit(Box::new(request)));
}

fn show_in_review(state: &mut State) {
    state.mode = Mode::Review;
}

fn segment_with(state: &mut State, jobs: &mut Jobs, run: &Path) {
    segment::choose_model(state, run);
    show_in_review(state);
    if state.document.is_some() {
        carry_out(state, jobs, Intent::Segment);
    } else {
        let name = run.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let what = format!("Open a scan, then press Segment now: {name} is chosen as the model");
        state.notice(Severity::Info, "The model is chosen", what);
    }
}

/// What the palette offers.
pub fn actions(list: &mut List, state: &State) {
    let group = "Train";
    let train = &state.train;
    let add = |list: &mut List, on: bool, label: &str, key: &'static str, command: TrainCommand| {
        list.add_if(on, group, label, key, Command::Train(command));
    };
    for page in TrainPage::ALL {
        let here = state.mode == Mode::Train && train.page != page;
        add(list, here, &format!("Page: {}", page.name()), "", TrainCommand::ShowPage(page));
    }
    if let Some((label, command)) = super::back::way(state) {
        list.add(group, label, "", command);
    }
    add(list, train.visiting, "Back to the results", "", TrainCommand::BackToResults);
    add(list, train.results.run.is_some(), "Results of another run", "", TrainCommand::ChooseResults);
    list.add(group, "Choose cohort…", "", Command::Intent(Intent::Ask(PathPurpose::Cohort)));
    list.add(group, "Type the cohort's path…", "", Command::File(FileCommand::TypePath(PathPurpose::Cohort)));
    add(list, true, "Use the sample study", "", TrainCommand::UseSample);
    add(list, state.cases.root.is_some(), "Use the open folder", "", TrainCommand::UseOpenFolder);
    let looked = !matches!(train.cohort, CohortState::None);
    add(list, looked, "Look at the cohort again", "", TrainCommand::LookAgain);
    list.add(group, "Choose workspace…", "", Command::Intent(Intent::Ask(PathPurpose::Workspace)));
    let ready = state.mode == Mode::Train && train.obstacle().is_none();
    add(list, ready, "Start training", "F5", TrainCommand::Start);
    let running = train.running.as_ref();
    let paused = running.is_some_and(Running::can_go_on);
    add(list, running.is_some_and(Running::can_pause), "Pause training", "F6", TrainCommand::Pause);
    add(list, paused, "Resume training", "F7", TrainCommand::GoOn);
    add(list, running.is_some(), "Stop training", "Shift+F5", TrainCommand::Stop);
    for run in train.offered() {
        add(list, true, &format!("Resume {}", run.name), "", TrainCommand::Resume(run.path.clone()));
    }
    for job in train.left.iter().take(LISTED) {
        add(list, true, &format!("Start {}, which waited", job.name), "", TrainCommand::TakeUp(Some(job.id)));
    }
    for run in train.pretrained().take(LISTED) {
        let command = TrainCommand::FinetuneFrom(Some(run.path.clone()));
        add(list, true, &format!("Fine-tune from {}", run.name), "", command);
    }
    for run in train.finetuned().take(LISTED) {
        add(list, true, &format!("Results of {}", run.name), "", TrainCommand::ShowResults(run.path.clone()));
        add(list, true, &format!("Segment with {}", run.name), "", TrainCommand::SegmentWith(run.path.clone()));
    }
}
