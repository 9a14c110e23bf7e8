//! Train mode: the form of the next job, the queue, and the job under way.

pub mod form;
pub mod job;
pub mod results;

use std::path::PathBuf;

use engine::assess::Assessment;
use engine::cohort::split::Split;
use engine::cohort::{Cohort, Fingerprint};
use engine::config::Config;
use engine::event::Stage;
use engine::run::workspace::{EntryState, RunEntry};
use serde::{Deserialize, Serialize};

pub use form::{Form, Labels};
pub use job::{Ended, Ending, Phase, Preparing, Queued, Running};
pub use results::{Column, Results};

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
    /// Measures of a fine-tuned run, patient by patient.
    Results,
}

impl TrainPage {
    /// All of them, in the order of their tabs.
    pub const ALL: [Self; 4] = [Self::Setup, Self::Watch, Self::Runs, Self::Results];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => "Set up",
            Self::Watch => "Watch",
            Self::Runs => "Runs",
            Self::Results => "Results",
        }
    }
}

/// A cohort that was looked at.
#[derive(Clone, Debug)]
pub struct CohortCard {
    /// Its cases and where their files are.
    pub cohort: Cohort,
    /// What is in the files.
    pub fingerprint: Fingerprint,
}

/// The cohort of the next job.
#[derive(Clone, Debug, Default)]
pub enum CohortState {
    /// None was chosen.
    #[default]
    None,
    /// A folder that is being looked at.
    Looking(PathBuf),
    /// It can be trained on.
    Found(Box<CohortCard>),
    /// It cannot, for this reason.
    Failed(PathBuf, String),
}

impl CohortState {
    /// What is in it, once that is known.
    pub fn card(&self) -> Option<&CohortCard> {
        if let Self::Found(card) = self { Some(card) } else { None }
    }

    /// Its folder.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::None => None,
            Self::Looking(folder) | Self::Failed(folder, _) => Some(folder.clone()),
            Self::Found(card) => Some(card.cohort.root.clone()),
        }
    }
}

/// What the next job is expected to take.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Estimate {
    /// Nothing to estimate: no cohort, or a setting that cannot be used.
    #[default]
    None,
    /// It is being worked out.
    Running,
    /// A training has the processor: measured beside it, the figure would be wrong.
    Waiting,
    /// Worked out.
    Known(Box<Assessment>),
    /// It could not be worked out, for this reason.
    Failed(String),
}

/// Everything that Train mode shows besides the timeline and the list of runs.
#[derive(Clone, Debug, Default)]
pub struct TrainState {
    /// The page in the centre.
    pub page: TrainPage,
    /// The pages that lead to it, the first one first; none of them twice.
    pub past: Vec<TrainPage>,
    /// A patient of the results is looked at in Review.
    pub visiting: bool,
    /// The cohort of the next job.
    pub cohort: CohortState,
    /// The form of the next job.
    pub form: Form,
    /// What is wrong with it: the setting by its name in `config.toml`, and what it must be.
    pub problems: Vec<(String, String)>,
    /// The run that has the name which the form was given, once it was found, and its settings if they can be read.
    pub namesake: Option<(PathBuf, Option<Box<Config>>)>,
    /// Why that run cannot be gone on with.
    pub clash: Option<String>,
    /// What the next job is expected to take.
    pub estimate: Estimate,
    /// Which patients train, validate and test in the next job, once that is known; or why it is not.
    pub split: Option<Result<Split, String>>,
    /// The job under way.
    pub running: Option<Running>,
    /// What waits for it to end, in order.
    pub queue: Vec<Queued>,
    /// What waited when the program was closed last, and was not taken up yet.
    pub left: Vec<Queued>,
    /// What is kept of both for the next start.
    pub kept: Vec<Queued>,
    /// The workspace where it is kept, once what was left there is known.
    pub queue_of: Option<PathBuf>,
    /// What ended in this session, newest first.
    pub ended: Vec<Ended>,
    /// Counts the jobs of this session.
    pub jobs: u64,
    /// The runs of the workspace, newest first, once they were listed.
    pub runs: Option<Vec<RunEntry>>,
    /// Runs that stopped before their end and may go on, newest first.
    pub unfinished: Vec<RunEntry>,
    /// Those of them that the user does not want to be reminded of.
    pub put_aside: Vec<PathBuf>,
    /// Measures of a run, patient by patient.
    pub results: Results,
    /// The program ends as soon as the training has saved its checkpoint.
    pub closing: bool,
}

impl TrainState {
    /// Shows a page; the way back leads to the one that was shown.
    pub fn go_to(&mut self, page: TrainPage) {
        if page != self.page {
            self.past.retain(|past| *past != page && *past != self.page);
            self.past.push(std::mem::replace(&mut self.page, page));
        }
    }

    /// The page that the way back leads to: the one before, at last the form of the next job.
    pub fn before(&self) -> Option<TrainPage> {
        let first = Some(TrainPage::Setup).filter(|first| *first != self.page);
        self.past.last().copied().or(first)
    }

    /// Shows that page.
    pub fn go_back(&mut self) {
        if let Some(page) = self.before() {
            self.past.pop();
            self.page = page;
        }
    }

    /// The pre-trained runs of the workspace that a fine-tuning can start from.
    pub fn pretrained(&self) -> impl Iterator<Item = &RunEntry> {
        let usable = |run: &&RunEntry| run.stage == Stage::Pretrain && run.epochs_done > 0 && readable(run);
        self.runs.iter().flatten().filter(usable)
    }

    /// The fine-tuned runs of the workspace that can be measured.
    pub fn finetuned(&self) -> impl Iterator<Item = &RunEntry> {
        let usable = |run: &&RunEntry| run.stage == Stage::Finetune && run.epochs_done > 0 && readable(run);
        self.runs.iter().flatten().filter(usable)
    }

    /// The unfinished runs that are offered: not those under way, waiting, or put aside.
    pub fn offered(&self) -> impl Iterator<Item = &RunEntry> {
        self.unfinished.iter().filter(|run| !self.put_aside.contains(&run.path) && !self.is_taken(&run.path))
    }

    /// Whether a run is under way or waits in the queue.
    pub fn is_taken(&self, run: &std::path::Path) -> bool {
        let running = self.running.as_ref().and_then(|job| job.run.as_deref()) == Some(run);
        running || self.queue.iter().any(|job| job.goes_on.as_deref() == Some(run))
    }

    /// What is wrong with the name of the next run, if anything is.
    pub fn name_problem(&self) -> Option<String> {
        let (name, named) = (self.form.name.trim(), self.form.named);
        // A name that nobody gave is made plain, and a number is added where it is taken.
        if let Some(why) = form::name_problem(name).filter(|_| named) {
            return Some(why.to_owned());
        }
        if self.queue.iter().any(|job| job.name == name && (named || job.config.is_some())) {
            return Some(format!("{name} waits in the queue already"));
        }
        if named && self.running.as_ref().is_some_and(|job| job.name == name) {
            return Some(format!("{name} is being trained now"));
        }
        self.clash.clone().filter(|_| named)
    }

    /// Why the next job cannot be started, if it cannot.
    pub fn obstacle(&self) -> Option<String> {
        match &self.cohort {
            CohortState::None => return Some("Choose a cohort first".into()),
            CohortState::Looking(_) => return Some("The cohort is still being looked at".into()),
            CohortState::Failed(..) => return Some("This folder cannot be trained on".into()),
            CohortState::Found(_) => {}
        }
        let config = self.form.config();
        if config.data.modality.is_empty() {
            return Some("Choose a modality".into());
        }
        if let Some((field, why)) = self.problems.first() {
            return Some(format!("{}: {why}", form::name_of(field)));
        }
        if let Some((field, why)) = self.form.invalid_field() {
            return Some(format!("{field}: {why}"));
        }
        if let Some(why) = self.name_problem() {
            return Some(format!("Name: {why}"));
        }
        self.split.as_ref().and_then(|split| split.as_ref().err().cloned())
    }
}

fn readable(run: &RunEntry) -> bool {
    !matches!(run.state, EntryState::Broken(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_over_the_pages_that_were_seen_to_the_form() {
        let mut train = TrainState::default();
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
        // Started on another page, the form is still where it ends.
        let watching = TrainState { page: TrainPage::Watch, ..TrainState::default() };
        assert_eq!(watching.before(), Some(TrainPage::Setup));
    }
}
