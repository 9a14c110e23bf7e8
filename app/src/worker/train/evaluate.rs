//! Evaluates a fine-tuned run on its held-out patients.

use std::path::{Path, PathBuf};

use engine::device::{self, DeviceChoice};
use engine::finetune::{BeforeAfter, FinetuneReport};
use engine::jobs::evaluation::{RunEvaluation, evaluate_run, stored_evaluation};
use engine::predict::Choice;
use engine::run::RunFolder;

use crate::state::train::Results;
use crate::state::{Severity, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, name_of};

/// One run is measured at a time.
pub const SLOT: Slot = Slot::exclusive("evaluate");

/// Reads a run's stored measures; if there are none, segments and measures its held-out patients.
struct MeasureRun {
    run: PathBuf,
    /// The network that segments.
    network: Choice,
    /// Measure again, even if results are stored.
    again: bool,
    device: DeviceChoice,
    threads: usize,
}

/// Selects a run for the Results page and reads its measures; measures it if there are none, or `again`.
pub fn start(state: &mut State, jobs: &mut Jobs, run: PathBuf, again: bool) {
    (state.session.runs.results, state.cache.results) = (Some(run.clone()), Results::default());
    let device = state.session.train.form.config().device.first();
    let network = state.network_of(&run);
    jobs.start(MeasureRun { run, network, again, device, threads: super::threads(&state.session.settings) });
}

impl Job for MeasureRun {
    /// The measures, and the Dice before and after if it continued an earlier run.
    type Output = (RunEvaluation, Option<BeforeAfter>);

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Evaluating {}", name_of(&self.run)))
    }

    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure> {
        let stored = if self.again { None } else { stored_evaluation(&self.run, self.network)? };
        if let Some(evaluation) = stored {
            return Ok((evaluation, before_after(&self.run)));
        }
        let compute = device::open(self.device)?;
        let mut progress = |done: usize, of: usize, patient: &str| {
            handle.progress(Some(done as f32 / of.max(1) as f32), patient);
        };
        let measure = || evaluate_run(&self.run, self.network, &compute, &handle.control, &mut progress);
        Ok((engine::threads::with(self.threads, measure)??, before_after(&self.run)))
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        let is_shown = state.session.runs.results.as_ref() == Some(&self.run);
        let wanted = is_shown && state.network_of(&self.run) == self.network;
        match result {
            Ok((evaluation, change)) if wanted => {
                if let Some(summary) = evaluation.left_out_summary() {
                    state.notice(Severity::Warning, "Some held-out scans were left out", summary);
                }
                state.cache.results.set(evaluation);
                state.cache.results.change = change;
            }
            Ok(_) => {}
            Err(failure) => {
                failure.report(&self.spec().title, state);
                if wanted {
                    state.cache.results.why = Some(failure.reason());
                }
            }
        }
    }
}

/// The Dice before and after from a run's report; an unfinished run has none.
fn before_after(run: &Path) -> Option<BeforeAfter> {
    RunFolder::open(run).ok()?.read_report::<FinetuneReport>().ok()?.before_after
}
