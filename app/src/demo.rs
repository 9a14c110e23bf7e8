//! `--demo`: the whole workflow on the sample study, live. A slice is pinned, a network pre-trained without labels
//! while its relabelling is shown, then fine-tuned with four labelled patients. A held-out patient is segmented and its
//! findings compared with the reference, one by one.

use std::path::{Path, PathBuf};

use engine::config::Config;
use engine::demo::configs;
use engine::event::Stage;

use crate::command::{Command, OverlayCommand, TimelineCommand, TrainCommand, WindowCommand};
use crate::state::timeline::WatchView;
use crate::state::train::{Form, JobOutcome, Labels, TrainPage};
use crate::state::view::Overlay;
use crate::state::{Intent, Mode, Request, State};

/// Epochs of fine-tuning between two validations: enough for a curve.
const VALIDATE_EVERY: usize = 3;

/// Seconds that each finding is shown.
const SECONDS_PER_FINDING: f64 = 2.5;
/// Seconds that the labels of the whole pre-training run are shown side by side.
const SHEET_SECONDS: f64 = 6.0;
/// Maximum number of findings shown, largest first: a poor network has dozens of tiny ones.
const MAX_FINDINGS: usize = 6;
/// Seed of split, weights and training.
const SEED: u64 = 1;
/// Steps of each run: minutes on two cores.
const STEPS: usize = 800;
/// Labelled patients.
const LABELLED: usize = 4;

/// Step of the demo.
#[derive(Clone, Debug, Default, PartialEq)]
enum Step {
    /// Before the start.
    #[default]
    Begin,
    /// The sample study is being read.
    Reading,
    /// Pre-training.
    Pretraining,
    /// The relabelling of the pre-trained run is shown until this time, in the window's seconds.
    Sheet(f64, PathBuf),
    /// The form is being filled in for fine-tuning from this run.
    Preparing(PathBuf),
    /// Fine-tuning.
    Finetuning,
    /// A held-out patient is being opened, to be segmented with this run.
    Opening(PathBuf),
    /// The patient is being segmented.
    Segmenting,
    /// Findings one after the other; the next one is due at this time, in the window's seconds.
    Findings {
        /// In the window's seconds.
        due: f64,
        /// How many were shown.
        shown: usize,
    },
    /// Done, failed or stopped.
    Over,
}

/// The demo.
#[derive(Clone, Debug, PartialEq)]
pub struct Demo {
    step: Step,
    steps: usize,
}

impl Default for Demo {
    fn default() -> Self {
        Self::of_steps(STEPS)
    }
}

impl Demo {
    /// A demo whose runs take `steps` steps each.
    pub fn of_steps(steps: usize) -> Self {
        Self { step: Step::Begin, steps }
    }

    /// True once it is done, failed or stopped.
    pub fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    /// Seconds until the next step is due; none after the last.
    pub fn wait(&self, now: f64) -> Option<f64> {
        match self.step {
            Step::Findings { due, .. } | Step::Sheet(due, _) => Some(due - now),
            Step::Over => None,
            _ => Some(0.1),
        }
    }

    /// The next commands; `now` in the window's seconds.
    pub fn next(&mut self, state: &State, now: f64) -> Vec<Command> {
        if state.shows_error() {
            self.step = Step::Over;
        }
        match &self.step {
            Step::Begin => {
                self.step = Step::Reading;
                vec![Command::Window(WindowCommand::SetMode(Mode::Train)), Command::Train(TrainCommand::UseSample)]
            }
            Step::Reading | Step::Preparing(_) => self.set_up(state),
            Step::Pretraining => self.pretrained(state, now),
            Step::Sheet(due, run) if now >= *due => {
                let run = run.clone();
                self.step = Step::Preparing(run.clone());
                vec![Command::Train(TrainCommand::FinetuneFrom(Some(run)))]
            }
            Step::Finetuning => self.finetuned(state),
            Step::Opening(run) if state.document.is_some() => {
                let run = run.clone();
                self.step = Step::Segmenting;
                vec![Command::Train(TrainCommand::SegmentWith(run))]
            }
            Step::Segmenting | Step::Findings { .. } => self.review(state, now),
            Step::Sheet(..) | Step::Opening(_) | Step::Over => Vec::new(),
        }
    }

    /// Starts a run once its patients are known.
    fn set_up(&mut self, state: &State) -> Vec<Command> {
        let ready = state.cache.train.cohort.card().is_some() && matches!(state.cache.train.split, Some(Ok(_)));
        let form = match &self.step {
            Step::Preparing(run) if ready => finetuning(state, run, self.steps),
            Step::Reading if ready => pretraining(state, self.steps),
            _ => None,
        };
        let Some(form) = form else { return Vec::new() };
        self.step = if form.stage == Stage::Pretrain { Step::Pretraining } else { Step::Finetuning };
        vec![
            Command::Train(TrainCommand::Edit(Box::new(form))),
            Command::Train(TrainCommand::Start),
            Command::Timeline(TimelineCommand::Show(WatchView::Probe)),
            Command::Train(TrainCommand::ShowPage(TrainPage::Watch)),
        ]
    }

    /// The finished run of this stage. A run that did not finish ends the demo.
    fn ended(&mut self, state: &State, stage: Stage) -> Option<PathBuf> {
        let ended = state.training.ended.first().filter(|job| job.stage == stage)?;
        if ended.how != JobOutcome::Finished {
            self.step = Step::Over;
            return None;
        }
        ended.run.clone()
    }

    fn pretrained(&mut self, state: &State, now: f64) -> Vec<Command> {
        let Some(run) = self.ended(state, Stage::Pretrain) else { return Vec::new() };
        self.step = Step::Sheet(now + SHEET_SECONDS, run);
        vec![Command::Timeline(TimelineCommand::Show(WatchView::Sheet))]
    }

    /// Opens a held-out patient.
    fn finetuned(&mut self, state: &State) -> Vec<Command> {
        let Some(run) = self.ended(state, Stage::Finetune) else { return Vec::new() };
        let Some(request) = held_out(state) else {
            self.step = Step::Over;
            return Vec::new();
        };
        self.step = Step::Opening(run);
        vec![Command::Window(WindowCommand::SetMode(Mode::Review)), Command::Intent(Intent::Open(Box::new(request)))]
    }

    fn review(&mut self, state: &State, now: f64) -> Vec<Command> {
        let Some(document) = &state.document else { return Vec::new() };
        match self.step {
            Step::Segmenting if document.comparison.is_some() && document.probability.is_some() => {
                self.step = Step::Findings { due: now + SECONDS_PER_FINDING, shown: 0 };
                vec![
                    Command::Overlay(OverlayCommand::Show(Overlay::Comparison)),
                    Command::Overlay(OverlayCommand::GoToFinding(0)),
                ]
            }
            Step::Findings { due, shown } if now >= due => {
                let count = state.shown_findings().min(MAX_FINDINGS);
                if shown + 1 >= count {
                    self.step = Step::Over;
                    return vec![Command::Overlay(OverlayCommand::GoToFinding(0))];
                }
                self.step = Step::Findings { due: now + SECONDS_PER_FINDING, shown: shown + 1 };
                vec![Command::Overlay(OverlayCommand::GoToFinding(shown + 1))]
            }
            _ => Vec::new(),
        }
    }
}

/// The demo's settings, on the cohort that was read.
fn settings(state: &State, steps: usize) -> Option<(Config, Config)> {
    configs(&state.cache.train.cohort.card()?.cohort.root, SEED, steps, steps).ok()
}

/// The form of the pre-training run.
fn pretraining(state: &State, steps: usize) -> Option<Form> {
    let (config, _) = settings(state, steps)?;
    let mut form = state.session.train.form.clone();
    let device = form.pretrain.device.clone();
    (form.stage, form.pretrain) = (Stage::Pretrain, Config { device, ..config });
    Some(form)
}

/// The form of the fine-tuning run, once it has the settings of the pre-trained run.
fn finetuning(state: &State, run: &Path, steps: usize) -> Option<Form> {
    let mut form = state.session.train.form.clone();
    if form.stage != Stage::Finetune || form.finetune.labels.from != run {
        return None;
    }
    let (_, config) = settings(state, steps)?;
    form.finetune.training = config.training;
    form.finetune.labels.validate_every = VALIDATE_EVERY;
    (form.labels, form.count) = (Labels::Count, LABELLED);
    Some(form)
}

/// The first test patient of the split.
fn held_out(state: &State) -> Option<Request> {
    let Some(Ok(split)) = &state.cache.train.split else { return None };
    let case = state.cache.train.cohort.card()?.cohort.scans_of(split.test.first()?).next()?;
    let modality = &state.session.train.form.finetune.data.modality;
    let images = case.images.iter().filter(|(name, _)| modality.contains(*name));
    Some(Request {
        title: Some(case.id.clone()),
        images: images.map(|(name, image)| (Some(name.clone()), image.clone())).collect(),
        reference: case.masks.clone(),
        ..Request::default()
    })
}
