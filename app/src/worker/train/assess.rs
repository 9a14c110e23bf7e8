//! Time and memory of the next job.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::assess::{Assessment, assess};
use engine::cohort::split::Split;
use engine::config::Config;
use engine::device;

use crate::state::train::Estimate;
use crate::state::{Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// One estimate at a time.
pub const SLOT: Slot = Slot::exclusive("estimate");
/// Time for which the form must stay unchanged before a step is measured.
const SETTLING_TIME: Duration = Duration::from_millis(400);

/// Measures time and memory of a training step.
struct EstimateTraining {
    config: Config,
    split: Option<Split>,
    threads: usize,
    turn: Arc<Mutex<()>>,
}

/// Estimates the job of the form again. A running estimate is cancelled.
pub fn start(state: &mut State, jobs: &mut Jobs) {
    jobs.cancel_slot(SLOT);
    let form = &state.session.train.form;
    let valid =
        state.cache.train.problems.is_empty() && form.invalid_field().is_none() && state.label_problem().is_none();
    if state.cache.train.cohort.card().is_none() || !valid || form.config().data.modality.is_empty() {
        state.cache.train.estimate = Estimate::None;
        return;
    }
    if state.training.running.is_some() {
        state.cache.train.estimate = Estimate::Waiting;
        return;
    }
    state.cache.train.estimate = Estimate::Running;
    let (config, threads) = (form.config().clone(), super::threads(&state.session.settings));
    let split = state.cache.train.split.as_ref().and_then(|split| split.as_ref().ok()).cloned();
    jobs.start(EstimateTraining { config, split, threads, turn: Arc::clone(&jobs.alone) });
}

impl Job for EstimateTraining {
    /// The estimate, or the error in the settings.
    type Output = Result<Assessment, String>;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Estimating the run").quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure> {
        let begin = Instant::now();
        while begin.elapsed() < SETTLING_TIME {
            handle.check()?;
            std::thread::sleep(Duration::from_millis(10));
        }
        // A cancelled estimate may still be in the middle of a step.
        let _turn = handle.wait_for(&self.turn)?;
        let compute = device::open_all(&self.config.device)?;
        let mut progress = |what: &str| handle.progress(None, what);
        let work = || assess(&self.config, self.split.as_ref(), &compute, &handle.control, &mut progress);
        match engine::threads::with(self.threads, work)?.map_err(Failure::from) {
            Ok(assessment) => Ok(Ok(assessment)),
            Err(Failure::Error(why)) => Ok(Err(why)),
            Err(other) => Err(other),
        }
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        state.cache.train.estimate = match result {
            Ok(Ok(assessment)) => Estimate::Known(Box::new(assessment)),
            Ok(Err(why)) => Estimate::Failed(why),
            Err(failure) => {
                failure.report(&self.spec().title, state);
                Estimate::Failed(failure.reason())
            }
        };
    }
}
