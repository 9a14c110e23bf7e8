//! What is wrong with a form, and what its job will take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::assess::{assess, field_errors};
use engine::device;

use super::Told;
use crate::state::train::{Estimate, Form, Labels};
use crate::state::{Slot, State};
use crate::worker::{Failure, Jobs, Spec};

/// One estimate is made at a time.
pub const SLOT: Slot = Slot::exclusive("assess");

/// How long a form must stay as it is before anything is measured for it.
const SETTLES: Duration = Duration::from_millis(400);

/// The settings that cannot be used, and what they must be.
pub fn problems(form: &Form) -> Vec<(String, String)> {
    let mut found = field_errors(form.config());
    // Said where the cohort is chosen.
    found.retain(|(field, _)| field != "data.cohort");
    if form.labels == Labels::Picked && form.picked.is_empty() {
        let labels = found.iter_mut().filter(|(field, _)| field == "labels.labels");
        labels.for_each(|(_, why)| *why = "pick at least one patient".into());
    }
    found
}

/// Works out anew what the job of the form will take. Whatever was being worked out is of no use any more.
pub fn start(state: &mut State, jobs: &mut Jobs) {
    jobs.cancel_slot(SLOT);
    let form = &state.train.form;
    let whole = state.train.problems.is_empty() && form.invalid_field().is_none();
    if state.train.cohort.card().is_none() || !whole || form.config().data.modality.is_empty() {
        state.train.estimate = Estimate::None;
        return;
    }
    if state.train.running.is_some() {
        state.train.estimate = Estimate::Waiting;
        return;
    }
    state.train.estimate = Estimate::Running;
    let (config, threads) = (state.train.form.config().clone(), super::threads(&state.settings));
    let turn = Arc::clone(&jobs.alone);
    let spec = Spec::new(SLOT, "Estimating the training").quiet();
    super::start(jobs, spec, move |handle| {
        let begin = Instant::now();
        while begin.elapsed() < SETTLES {
            handle.check()?;
            std::thread::sleep(Duration::from_millis(10));
        }
        // One that is not wanted any more may still be in the midst of a step.
        let _held = handle.wait_for(&turn)?;
        let compute = device::open_all(&config.device)?;
        let work = || assess(&config, &compute, &handle.control, &mut |what| handle.progress(None, what));
        let told = match engine::threads::with(threads, work)? {
            Ok(assessment) => Ok(Box::new(assessment)),
            Err(error) => match Failure::from(error) {
                Failure::Error(why) => Err(why),
                other => return Err(other),
            },
        };
        Ok(Told::Assessed(told))
    });
}
