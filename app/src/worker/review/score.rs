//! Scores of the cases for an order of the list.

use std::path::PathBuf;

use engine::cohort::Cohort;
use engine::review::{CaseScore, Order, rank, scores};
use engine::run::review::read_ranking;
use engine::volume::MaskOptions;
use engine::words::plural;

use crate::state::{QueueOrder, Severity, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// One order is computed at a time.
pub const SCORE: Slot = Slot::exclusive("order of cases");

/// Scores the cases of a folder.
struct ScoreCases {
    root: PathBuf,
    order: QueueOrder,
}

struct RankedCases {
    /// In the order of the list.
    ranked: Vec<CaseScore>,
    notes: Vec<String>,
}

/// Orders the list of cases. Keeps the folder's order until the scores are available.
pub fn set_order(state: &mut State, jobs: &mut Jobs, order: QueueOrder) {
    jobs.cancel_slot(SCORE);
    state.cases.review.set_order(order.clone());
    if let (Some(root), true) = (state.cases.root.clone(), order != QueueOrder::Listed) {
        jobs.start(ScoreCases { root, order });
    }
}

impl Job for ScoreCases {
    type Output = RankedCases;

    fn spec(&self) -> Spec {
        Spec::new(SCORE, "Ordering the cases")
    }

    fn run(&self, handle: &JobHandle) -> Result<RankedCases, Failure> {
        let order = match &self.order {
            QueueOrder::Listed => Order::Listed,
            QueueOrder::Uncertain => Order::Uncertain,
            QueueOrder::LowestDice => Order::LowestDice,
            QueueOrder::VolumeChange => Order::VolumeChange,
            QueueOrder::List(path) => Order::Ranking(read_ranking(path)?),
        };
        // Segmentations may have been saved since the folder was listed.
        let cohort = Cohort::discover(&self.root)?;
        let notes = if let Order::Ranking(ranking) = &order { ranking.warnings(&cohort) } else { Vec::new() };
        let progress = |done: usize, all: usize, case: &str| handle.progress(Some(done as f32 / all as f32), case);
        let scored = scores(&cohort, &order, &MaskOptions::default(), &handle.control, &progress)?;
        let ranked = rank(&order, &scored).into_iter().map(|at| scored[at].clone()).collect();
        Ok(RankedCases { ranked, notes })
    }

    fn apply(self, result: Result<RankedCases, Failure>, state: &mut State, _: &mut Jobs) {
        let review = &mut state.cases.review;
        if state.cases.root.as_ref() != Some(&self.root) || review.order != self.order {
            return;
        }
        match result {
            Ok(RankedCases { ranked, notes }) => {
                let without = ranked.iter().filter(|scored| scored.score.is_none()).count();
                review.places = ranked.iter().enumerate().map(|(place, s)| (s.case.clone(), place)).collect();
                review.scores = ranked.into_iter().map(|scored| (scored.case.clone(), scored)).collect();
                for note in notes {
                    state.notice(Severity::Warning, "Note on the list", note);
                }
                if without > 0 {
                    let cases = plural(without, "case has no score", "cases have no score");
                    state.notice(Severity::Info, "Cases ordered", format!("{cases}. They come last."));
                }
            }
            Err(failure) => {
                review.set_order(QueueOrder::Listed);
                failure.report("Ordering the cases", state);
            }
        }
    }
}
