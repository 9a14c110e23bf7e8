//! `--demo`: the whole job on the sample study, live. A probe is pinned, a network is pre-trained without labels and its
//! relabelling watched, fine-tuned with four labelled patients; then a patient that it has never seen is segmented and its
//! findings compared with the truth, one by one.

use std::path::{Path, PathBuf};

use engine::config::Config;
use engine::event::Stage;
use engine::experiment::demo::configs;

use crate::command::{Command, OverlayCommand, TimelineCommand, TrainCommand, WindowCommand};
use crate::state::timeline::WatchView;
use crate::state::train::{Ending, Form, Labels, TrainPage};
use crate::state::view::Overlay;
use crate::state::{Intent, Mode, Request, State};

/// Epochs of fine-tuning between two looks at the patient of the split that validates: enough for a curve.
const VALIDATE_EVERY: usize = 3;

/// How long each finding is shown, in seconds.
const SHOWN: f64 = 2.5;
/// How long the labels of the whole pre-training are shown side by side.
const SHEET: f64 = 6.0;
/// How many findings are shown: the largest come first, and a poor network leaves crumbs by the dozen.
const MOST: usize = 6;
/// Seed of split, weights and training.
const SEED: u64 = 1;
/// Steps of each training: minutes on two cores.
const STEPS: usize = 800;
/// Patients whose labels are used.
const LABELLED: usize = 4;

/// Where the demonstration is.
#[derive(Clone, Debug, Default, PartialEq)]
enum Step {
    /// Nothing was done yet.
    #[default]
    Begin,
    /// The sample study is being looked at.
    Looking,
    /// The network is pre-trained.
    Pretraining,
    /// The relabelling of the whole pre-training is shown until then, in the window's seconds.
    Sheet(f64, PathBuf),
    /// The form of the fine-tuning is being filled in.
    Preparing(PathBuf),
    /// The network is fine-tuned.
    Finetuning,
    /// A patient that was held out is being opened.
    Opening(PathBuf),
    /// It is being segmented.
    Segmenting,
    /// Findings one after the other; the next one is due at this time, in the window's seconds.
    Findings {
        /// In the window's seconds.
        due: f64,
        /// How many were shown.
        shown: usize,
    },
    /// Everything was shown, or something failed, or was stopped.
    Over,
}

/// The demonstration.
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
    /// One whose trainings take so many steps.
    pub fn of_steps(steps: usize) -> Self {
        Self { step: Step::Begin, steps }
    }

    /// True once everything was shown, or something failed.
    pub fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    /// How long nothing needs to happen; none if nothing will any more.
    pub fn wait(&self, now: f64) -> Option<f64> {
        match self.step {
            Step::Findings { due, .. } | Step::Sheet(due, _) => Some(due - now),
            Step::Over => None,
            _ => Some(0.1),
        }
    }

    /// What to do now; `now` in seconds.
    pub fn next(&mut self, state: &State, now: f64) -> Vec<Command> {
        if state.shows_error() {
            self.step = Step::Over;
        }
        match &self.step {
            Step::Begin => {
                self.step = Step::Looking;
                vec![Command::Window(WindowCommand::SetMode(Mode::Train)), Command::Train(TrainCommand::UseSample)]
            }
            Step::Looking | Step::Preparing(_) => self.set_up(state),
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

    /// Starts a training once its patients are known.
    fn set_up(&mut self, state: &State) -> Vec<Command> {
        let ready = state.train.cohort.card().is_some() && matches!(state.train.split, Some(Ok(_)));
        let form = match &self.step {
            Step::Preparing(run) if ready => finetuning(state, run, self.steps),
            Step::Looking if ready => pretraining(state, self.steps),
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

    /// The run of a training of this stage that ended; a training that did not end well ends the demonstration.
    fn ended(&mut self, state: &State, stage: Stage) -> Option<PathBuf> {
        let ended = state.train.ended.first().filter(|job| job.stage == stage)?;
        if ended.how != Ending::Finished {
            self.step = Step::Over;
            return None;
        }
        ended.run.clone()
    }

    fn pretrained(&mut self, state: &State, now: f64) -> Vec<Command> {
        let Some(run) = self.ended(state, Stage::Pretrain) else { return Vec::new() };
        self.step = Step::Sheet(now + SHEET, run);
        vec![Command::Timeline(TimelineCommand::Show(WatchView::Sheet))]
    }

    /// The network is there: opens a patient that was held out.
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
                self.step = Step::Findings { due: now + SHOWN, shown: 0 };
                vec![
                    Command::Overlay(OverlayCommand::Show(Overlay::Comparison)),
                    Command::Overlay(OverlayCommand::GoToFinding(0)),
                ]
            }
            Step::Findings { due, shown } if now >= due => {
                let count = document.findings.as_ref().map_or(0, |f| f.list.len()).min(MOST);
                if shown + 1 >= count {
                    self.step = Step::Over;
                    return vec![Command::Overlay(OverlayCommand::GoToFinding(0))];
                }
                self.step = Step::Findings { due: now + SHOWN, shown: shown + 1 };
                vec![Command::Overlay(OverlayCommand::GoToFinding(shown + 1))]
            }
            _ => Vec::new(),
        }
    }
}

/// The demonstration's settings, on the cohort that was looked at.
fn settings(state: &State, steps: usize) -> Option<(Config, Config)> {
    configs(&state.train.cohort.card()?.cohort.root, SEED, steps).ok()
}

/// The form of the pre-training.
fn pretraining(state: &State, steps: usize) -> Option<Form> {
    let (config, _) = settings(state, steps)?;
    let mut form = state.train.form.clone();
    let device = form.pretrain.device.clone();
    (form.stage, form.pretrain) = (Stage::Pretrain, Config { device, ..config });
    Some(form)
}

/// The form of the fine-tuning, once it is filled in with what the pre-trained run says.
fn finetuning(state: &State, run: &Path, steps: usize) -> Option<Form> {
    let mut form = state.train.form.clone();
    if form.stage != Stage::Finetune || form.finetune.labels.from != run {
        return None;
    }
    let (_, config) = settings(state, steps)?;
    form.finetune.training = config.training;
    form.finetune.labels.validate_every = VALIDATE_EVERY;
    (form.labels, form.count) = (Labels::Count, LABELLED);
    Some(form)
}

/// The first patient that the split holds out.
fn held_out(state: &State) -> Option<Request> {
    let Some(Ok(split)) = &state.train.split else { return None };
    let case = state.train.cohort.card()?.cohort.case(split.test.first()?)?;
    let modality = &state.train.form.finetune.data.modality;
    let images = case.images.iter().filter(|(name, _)| modality.contains(*name));
    Some(Request {
        title: Some(case.id.clone()),
        images: images.map(|(name, path)| (Some(name.clone()), path.clone())).collect(),
        truth: case.label.clone(),
        ..Request::default()
    })
}
