//! `--demo`: the sample study, segmented by the sample's model, finding by finding against the truth.

use crate::command::Command;
use crate::state::State;
use crate::state::view::Overlay;

/// How long each finding is shown, in seconds.
const SHOWN: f64 = 2.5;
/// How many are shown: the largest come first, and a poor network leaves crumbs by the dozen.
const MOST: usize = 6;

/// Where the demonstration is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Step {
    /// Nothing was opened yet.
    #[default]
    Begin,
    /// The sample study is being opened.
    Opening,
    /// The sample's model is at work.
    Segmenting,
    /// Findings one after the other; the next one is due at this time.
    Findings {
        /// In the window's seconds.
        due: f64,
        /// How many were shown.
        shown: usize,
    },
    /// Everything was shown, or something failed.
    Over,
}

/// The demonstration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demo(Step);

impl Demo {
    /// True once everything was shown, or something failed.
    pub fn is_over(&self) -> bool {
        self.0 == Step::Over
    }

    /// How long nothing needs to happen; none if only a job can go on.
    pub fn wait(&self, now: f64) -> Option<f64> {
        match self.0 {
            Step::Findings { due, .. } => Some(due - now),
            Step::Begin => Some(0.0),
            Step::Opening | Step::Segmenting | Step::Over => None,
        }
    }

    /// What to do now; `now` in seconds.
    pub fn next(&mut self, state: &State, now: f64) -> Vec<Command> {
        if state.shows_error() {
            self.0 = Step::Over;
        }
        let document = state.document.as_ref();
        match self.0 {
            Step::Begin => {
                self.0 = Step::Opening;
                vec![Command::OpenSample]
            }
            Step::Opening if document.is_some() => {
                self.0 = Step::Segmenting;
                vec![Command::Segment]
            }
            Step::Segmenting if document.is_some_and(|d| d.comparison.is_some() && d.probability.is_some()) => {
                self.0 = Step::Findings { due: now + SHOWN, shown: 0 };
                vec![Command::SetOverlay(Overlay::Comparison), Command::GoToFinding(0)]
            }
            Step::Findings { due, shown } if now >= due => {
                let count = document.and_then(|d| d.findings.as_ref()).map_or(0, |f| f.list.len()).min(MOST);
                if shown + 1 >= count {
                    self.0 = Step::Over;
                    return vec![Command::GoToFinding(0)];
                }
                self.0 = Step::Findings { due: now + SHOWN, shown: shown + 1 };
                vec![Command::GoToFinding(shown + 1)]
            }
            _ => Vec::new(),
        }
    }
}
