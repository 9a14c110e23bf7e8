//! Adds reviewed segmentations to the labels of the next fine-tuning run. See [`engine::cohort::corrections`].

use std::path::PathBuf;

use engine::cohort::Cohort;
use engine::cohort::corrections::{AddOutcome, Addition, Corrections, Verdict};
use engine::jobs::retrain::model_id;
use engine::predict::Choice;
use engine::volume::MaskOptions;

use super::{Failure, Job, JobHandle, Jobs, Spec, segment};
use crate::state::{Severity, Slot, State};

/// Batches are added one after the other.
pub const SLOT: Slot = Slot::shared("labels");

/// A reviewed case.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewedCase {
    /// Its name in the folder.
    pub case: String,
    /// Its mask; `None` for the segmentation saved next to the scan.
    pub mask: Option<PathBuf>,
    /// The reviewer's verdict.
    pub verdict: Verdict,
    /// Initials of the reviewer.
    pub reviewer: String,
}

/// Adds the masks of some cases of a folder.
struct AddToLabels {
    root: PathBuf,
    cases: Vec<ReviewedCase>,
    replace: bool,
    /// The run selected for segmentation, and which of its networks.
    model: Option<(PathBuf, Choice)>,
}

/// The outcome for each case, by name.
type Outcomes = Vec<(String, Result<AddOutcome, String>)>;

/// Adds the masks of some cases of the folder `root`. Records the model selected for segmentation with them.
pub fn start(state: &State, jobs: &mut Jobs, root: PathBuf, cases: Vec<ReviewedCase>, replace: bool) {
    let chosen = state.session.runs.segment.as_ref().map(|run| (run.clone(), state.network_of(run)));
    let model = chosen.or_else(|| segment::sample_model().map(|run| (run, Choice::Last)));
    jobs.start(AddToLabels { root, cases, replace, model });
}

impl Job for AddToLabels {
    type Output = Outcomes;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Adding to training")
    }

    fn run(&self, handle: &JobHandle) -> Result<Outcomes, Failure> {
        let model = self.model.as_ref().map(|(run, network)| model_id(run, *network)).transpose()?;
        // Segmentations may have been saved since the folder was listed.
        let cohort = Cohort::discover(&self.root)?;
        let folder = Corrections::folder_of(&self.root);
        let mut outcomes = Vec::with_capacity(self.cases.len());
        for (done, reviewed) in self.cases.iter().enumerate() {
            handle.check()?;
            handle.progress(Some(done as f32 / self.cases.len() as f32), reviewed.case.clone());
            let saved = cohort.case(&reviewed.case).and_then(|case| case.segmentation.clone());
            let outcome = match reviewed.mask.clone().or(saved) {
                None => Err("has no saved segmentation".to_owned()),
                Some(mask) => {
                    let (case, reviewer) = (reviewed.case.as_str(), reviewed.reviewer.as_str());
                    let (verdict, model, replace) = (reviewed.verdict, model.clone(), self.replace);
                    let addition = Addition { case, mask: &mask, verdict, reviewer, model, replace };
                    Corrections::add(&cohort, &folder, &addition, &MaskOptions::default()).map_err(|e| e.to_string())
                }
            };
            outcomes.push((reviewed.case.clone(), outcome));
        }
        Ok(outcomes)
    }

    fn apply(self, result: Result<Outcomes, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(outcomes) => report(state, &outcomes),
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }

    fn apply_late(self, result: Result<Outcomes, Failure>, state: &mut State) {
        if let Ok(outcomes) = result {
            report(state, &outcomes);
        }
    }
}

/// Reports which cases were added, which masks were replaced, and why others were not added.
fn report(state: &mut State, outcomes: &Outcomes) {
    let of = |added: &AddOutcome| {
        let replaced = added.replaced.as_ref().map(|old| format!(", instead of the one {}", old.describe()));
        format!("{}{}", added.correction.case, replaced.unwrap_or_default())
    };
    let added: Vec<String> = outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().ok().map(of)).collect();
    let failed = outcomes.iter().filter_map(|(case, outcome)| Some(format!("{case}: {}", outcome.as_ref().err()?)));
    let failed: Vec<String> = failed.collect();
    if !added.is_empty() {
        state.notice(Severity::Info, "Added to training", added.join("; "));
    }
    if !failed.is_empty() {
        state.error("Not added to training", failed.join("\n"));
    }
}
