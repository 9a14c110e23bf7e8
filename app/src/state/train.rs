//! Train mode: the form of the next job, the queue, and the running job.

pub mod export;
pub mod form;
pub mod job;
pub mod results;

use std::path::{Path, PathBuf};

use engine::assess::Assessment;
use engine::cohort::split::Split;
use engine::cohort::{Cohort, Fingerprint};
use engine::config::Config;
use engine::event::Stage;
use engine::run::workspace::{EntryState, RunEntry};
use serde::{Deserialize, Serialize};

pub use export::TrainExport;
pub use form::{Form, Labels};
pub use job::{EndedJob, JobOutcome, Phase, Preparation, QueuedJob, RunningJob};
pub use results::{Column, Results};

use super::State;
use super::timeline::LivePins;

/// What the centre shows in Train mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrainPage {
    /// The cohort and the form of the next job.
    #[default]
    Setup,
    /// Probe and curves at the timeline's cursor.
    Watch,
    /// All runs of the workspace.
    Runs,
    /// Metrics of a fine-tuned run, patient by patient.
    Results,
    /// Methods compared over patients, draws and seeds.
    Studies,
}

impl TrainPage {
    /// All of them, in the order of their tabs.
    pub const ALL: [Self; 5] = [Self::Setup, Self::Watch, Self::Runs, Self::Results, Self::Studies];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => "Set up",
            Self::Watch => "Watch",
            Self::Runs => "Runs",
            Self::Results => "Results",
            Self::Studies => "Studies",
        }
    }
}

/// A cohort whose files were read and checked.
#[derive(Clone, Debug)]
pub struct CohortCard {
    /// Its cases and where their files are.
    pub cohort: Cohort,
    /// What is in the files.
    pub fingerprint: Fingerprint,
}

/// State of Train mode restored at the next start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainSettings {
    /// The form, without patient names.
    pub form: Form,
    /// The folder of the cohort.
    pub cohort: Option<PathBuf>,
}

impl TrainSettings {
    /// The current form and cohort, without patient names.
    pub fn of(state: &State) -> Self {
        let form = state.session.train.form.clone().without_patients();
        Self { form, cohort: state.cache.train.cohort.folder() }
    }
}

/// The cohort of the next job.
#[derive(Clone, Debug, Default)]
pub enum CohortState {
    /// None was chosen.
    #[default]
    None,
    /// The folder of the last session, not read yet.
    Remembered(PathBuf),
    /// A folder that is being read.
    Reading(PathBuf),
    /// A cohort that was read and can be trained on.
    Ready(Box<CohortCard>),
    /// It cannot be trained on, for this reason.
    Failed(PathBuf, String),
}

impl CohortState {
    /// Its card, once read.
    pub fn card(&self) -> Option<&CohortCard> {
        if let Self::Ready(card) = self { Some(card) } else { None }
    }

    /// The folder of the cohort, even if it could not be read.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::None => None,
            Self::Remembered(folder) | Self::Reading(folder) | Self::Failed(folder, _) => Some(folder.clone()),
            Self::Ready(card) => Some(card.cohort.root.clone()),
        }
    }
}

/// Estimated time and memory of the next job.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Estimate {
    /// Nothing to estimate: no cohort, or a setting that cannot be used.
    #[default]
    None,
    /// Being measured.
    Running,
    /// A run is in progress, which would distort the estimate.
    Waiting,
    /// Measured.
    Known(Box<Assessment>),
    /// Failed, for this reason.
    Failed(String),
}

/// The user's choices in Train mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainSession {
    /// The page in the centre.
    pub page: TrainPage,
    /// The pages visited before, oldest first, without duplicates.
    pub past: Vec<TrainPage>,
    /// The form of the next job.
    pub form: Form,
    /// A patient of the results or of a study is open in Review.
    pub visiting: bool,
}

impl TrainSession {
    /// Shows a page. Back leads to the previous one.
    pub fn go_to(&mut self, page: TrainPage) {
        if page != self.page {
            self.past.retain(|past| *past != page && *past != self.page);
            self.past.push(std::mem::replace(&mut self.page, page));
        }
    }

    /// The page that Back leads to: the previous one, finally the form.
    pub fn before(&self) -> Option<TrainPage> {
        let first = Some(TrainPage::Setup).filter(|first| *first != self.page);
        self.past.last().copied().or(first)
    }

    /// Goes to that page.
    pub fn go_back(&mut self) {
        if let Some(page) = self.before() {
            self.past.pop();
            self.page = page;
        }
    }
}

/// The cohort of the next job, and data derived from cohort and form.
#[derive(Clone, Debug, Default)]
pub struct TrainCache {
    /// The cohort, or how far it has been read.
    pub cohort: CohortState,
    /// Invalid settings of the form: the name in `config.toml`, and the problem.
    pub problems: Vec<(String, String)>,
    /// The run that already has the name in the form, with its settings if they can be read.
    pub same_name: Option<(PathBuf, Option<Box<Config>>)>,
    /// The settings in which that run differs from the form. If there are any, it cannot be resumed.
    pub name_conflict: Vec<String>,
    /// Time and memory of the next job.
    pub estimate: Estimate,
    /// Which patients train, validate and test in the next job, or why that is unknown.
    pub split: Option<Result<Split, String>>,
    /// How often the form was filled in from a run. Each time it is shown from its first line.
    pub fills: u64,
}

/// The running job, and queued and ended ones.
#[derive(Clone, Debug, Default)]
pub struct Training {
    /// The running job.
    pub running: Option<RunningJob>,
    /// The pinned slices of the running job, shared with it.
    pub pins: Option<LivePins>,
    /// Queued jobs, in order.
    pub queue: Vec<QueuedJob>,
    /// Jobs that were queued when the program closed last and have not been started.
    pub left: Vec<QueuedJob>,
    /// Contents of the queue file: `left`, then `queue`.
    pub saved: Vec<QueuedJob>,
    /// The workspace of that file, once it was read.
    pub workspace: Option<PathBuf>,
    /// Jobs that ended in this session, newest first.
    pub ended: Vec<EndedJob>,
    /// The number of the newest job.
    pub last_id: u64,
    /// Interrupted runs that the user dismissed in this session.
    pub dismissed: Vec<PathBuf>,
    /// The program quits as soon as the run has saved its checkpoint.
    pub closing: bool,
}

impl Training {
    /// A job number unique in this session.
    pub fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Whether a run is being trained or waits in the queue.
    pub fn is_taken(&self, run: &Path) -> bool {
        let running = self.running.as_ref().and_then(|job| job.run.as_deref()) == Some(run);
        running || self.queue.iter().any(|job| job.folder.as_deref() == Some(run))
    }
}

impl State {
    /// The interrupted runs to offer: not those in progress, waiting, or dismissed.
    pub fn resumable_runs(&self) -> impl Iterator<Item = &RunEntry> {
        let training = &self.training;
        let offered = |run: &&RunEntry| !training.dismissed.contains(&run.path) && !training.is_taken(&run.path);
        self.cache.runs.unfinished().filter(offered)
    }

    /// The finished pre-training of the form's cohort to fine-tune: the last one of this session, else the selected or the
    /// watched one.
    pub fn latest_pretraining(&self) -> Option<&RunEntry> {
        let ended = self.training.ended.iter().filter_map(|job| job.run.as_deref());
        let selected = self.session.runs.selected.as_deref();
        let watched = self.cache.timeline.pretrain.as_ref().map(|run| run.path.as_path());
        let cohort = &self.session.train.form.config().data.cohort;
        let is_usable = |run: &&RunEntry| run.state == EntryState::Finished && run.cohort == *cohort;
        let usable = |path: &Path| self.cache.runs.pretrained().filter(is_usable).find(|run| run.path == path);
        ended.chain(selected).chain(watched).find_map(usable)
    }

    /// The name of the next run: that in the form. A generated one gets a number if a run, the running job, or a queued or
    /// offered one has it already.
    pub fn next_run_name(&self) -> String {
        let form = &self.session.train.form;
        let name = form.name.trim();
        let is_used = |name: &str| {
            let listed = self.cache.runs.entries.iter().flatten().any(|run| run.name == name);
            let Training { running, queue, left, .. } = &self.training;
            let is_running = running.as_ref().is_some_and(|job| job.name == name);
            listed || is_running || queue.iter().chain(left).any(|job| job.name == name)
        };
        if form.named || !is_used(name) {
            return name.to_owned();
        }
        let mut numbered = (2_u32..).map(|number| format!("{name}-{number}"));
        numbered.find(|numbered| !is_used(numbered)).unwrap_or_else(|| name.to_owned())
    }

    /// The problem with the name of the next run, if any.
    pub fn run_name_problem(&self) -> Option<String> {
        let form = &self.session.train.form;
        let name = form.name.trim();
        if !form.named {
            // A generated name is valid, and gets a number if it is in use.
            return None;
        }
        if let Some(why) = form::name_problem(name) {
            return Some(why.to_owned());
        }
        if self.training.queue.iter().any(|job| job.name == name) {
            return Some(format!("{name} is already in the queue. Choose another name."));
        }
        if self.training.running.as_ref().is_some_and(|job| job.name == name) {
            return Some(format!("{name} is training. Change the name to queue another."));
        }
        (!self.cache.train.name_conflict.is_empty()).then(|| format!("A run \"{name}\" exists. Choose another name."))
    }

    /// The problem with the number of labelled patients, if any.
    pub fn label_problem(&self) -> Option<String> {
        let form = &self.session.train.form;
        let labelled = form::labelled(self.cache.train.split.as_ref()?.as_ref().ok()?).count();
        let too_many = form.stage == Stage::Finetune && form.labels == Labels::Count && form.count > labelled;
        too_many.then(|| match labelled {
            0 => "No training patient has a reference.".to_owned(),
            1 => "Only 1 training patient has a reference.".to_owned(),
            count => format!("Only {count} training patients have a reference. Choose 1 to {count}."),
        })
    }

    /// Why the next job cannot be started; `None` if it can.
    pub fn training_obstacle(&self) -> Option<String> {
        let (train, form) = (&self.cache.train, &self.session.train.form);
        match &train.cohort {
            CohortState::None | CohortState::Remembered(_) => return Some("Choose a cohort first".into()),
            CohortState::Reading(_) => return Some("The cohort is still being read".into()),
            CohortState::Failed(..) => return Some("This folder cannot be trained on".into()),
            CohortState::Ready(_) => {}
        }
        if form.config().data.modality.is_empty() {
            return Some("Choose a modality".into());
        }
        if let Some((field, why)) = train.problems.first() {
            return Some(format!("{}: {why}", form::name_of(field)));
        }
        if let Some((field, why)) = form.invalid_field() {
            return Some(format!("{field}: {why}"));
        }
        if let Some(why) = self.run_name_problem() {
            return Some(format!("Name: {why}"));
        }
        let unknown_split = train.split.as_ref().and_then(|split| split.as_ref().err().cloned());
        let labels = || self.label_problem().map(|why| format!("Patients: {why}"));
        unknown_split.or_else(labels).or_else(|| self.no_slice_problem().map(str::to_owned))
    }

    /// Reason for an empty training set, if the estimate found no slice.
    fn no_slice_problem(&self) -> Option<&'static str> {
        let Estimate::Known(known) = &self.cache.train.estimate else { return None };
        (known.slices == 0).then_some(match self.session.train.form.stage {
            Stage::Pretrain => {
                "The training patients have no usable slice. Increase the crop, or lower \"Every n-th slice\"."
            },
            Stage::Finetune => {
                "The labelled patients have no lesion inside the crop. Choose other labelled patients, or increase the crop."
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_without_a_usable_slice_is_refused_with_a_remedy() {
        let mut state = State::default();
        let known = |slices| {
            let counts = Assessment {
                patients: 7,
                labelled: 1,
                slices,
                steps: 70,
                epochs: 70,
                parameters: 1,
                seconds_per_step: 1.0,
                seconds: 1.0,
                memory_mib: 1,
                slices_mib: 1,
                notes: Vec::new(),
            };
            Estimate::Known(Box::new(counts))
        };
        state.session.train.form.stage = Stage::Finetune;
        state.cache.train.estimate = known(1);
        assert_eq!(state.no_slice_problem(), None);
        state.cache.train.estimate = known(0);
        let why = state.no_slice_problem().unwrap_or_default();
        assert!(why.contains("no lesion inside the crop") && why.contains("other labelled patients"), "{why}");
    }

    #[test]
    fn a_generated_name_gets_a_number_that_no_running_queued_or_offered_job_has() {
        let mut state = State::default();
        state.session.train.form.name = "moco-pet".into();
        assert_eq!(state.next_run_name(), "moco-pet");
        state.training.running = Some(RunningJob { name: "moco-pet".into(), ..RunningJob::default() });
        assert_eq!(state.next_run_name(), "moco-pet-2");
        let config = Some(Box::new(Config::default()));
        let waiting = QueuedJob { id: 1, name: "moco-pet-2".into(), stage: Stage::Pretrain, config, folder: None };
        state.training.left.push(QueuedJob { id: 2, name: "moco-pet-3".into(), ..waiting.clone() });
        state.training.queue.push(waiting);
        assert_eq!((state.next_run_name(), state.run_name_problem()), ("moco-pet-4".into(), None));
        // A typed name is exact.
        state.session.train.form.named = true;
        assert_eq!(state.next_run_name(), "moco-pet");
        assert!(state.run_name_problem().is_some_and(|why| why.contains("is training")));
    }

    /// Fine-tuning started from random weights although a network had just been pre-trained for it.
    #[test]
    fn the_latest_pretraining_of_the_cohort_is_offered_for_finetuning() {
        let mut state = State::default();
        state.session.train.form.pretrain.data.cohort = "lgg".into();
        let run = |name: &str, cohort: &str, stage| RunEntry {
            path: name.into(),
            cohort: cohort.into(),
            stage,
            epochs_done: 1,
            state: EntryState::Finished,
            ..RunEntry::default()
        };
        let runs = [
            RunEntry { state: EntryState::Stopped, ..run("stopped", "lgg", Stage::Pretrain) },
            run("first", "lgg", Stage::Pretrain),
            run("second", "lgg", Stage::Pretrain),
            run("other", "sts", Stage::Pretrain),
            run("tuned", "lgg", Stage::Finetune),
        ];
        state.cache.runs.entries = Some(runs.to_vec());
        let offered = |state: &State| state.latest_pretraining().map(|run| run.path.clone());
        assert_eq!(offered(&state), None, "runs of earlier sessions are not chosen by themselves");
        state.session.runs.selected = Some("first".into());
        assert_eq!(offered(&state), Some("first".into()));
        for (id, name) in (1..).zip(["second", "other", "tuned", "stopped"]) {
            let (run, stage) = (Some(PathBuf::from(name)), Stage::Pretrain);
            let job = EndedJob { id, name: name.into(), stage, run, how: JobOutcome::Finished };
            state.training.ended.insert(0, job);
        }
        assert_eq!(
            offered(&state),
            Some("second".into()),
            "the others are of another cohort or stage, or not finished"
        );
    }

    #[test]
    fn back_leads_through_the_visited_pages_to_the_form() {
        let mut train = TrainSession::default();
        assert_eq!(train.before(), None);
        for page in [TrainPage::Runs, TrainPage::Results, TrainPage::Runs, TrainPage::Runs] {
            train.go_to(page);
        }
        let mut seen = Vec::new();
        while train.before().is_some() {
            train.go_back();
            seen.push(train.page);
        }
        assert_eq!(seen, [TrainPage::Results, TrainPage::Setup]);
        // Going back always ends at the form, even if started on another page.
        let watching = TrainSession { page: TrainPage::Watch, ..TrainSession::default() };
        assert_eq!(watching.before(), Some(TrainPage::Setup));
    }
}
