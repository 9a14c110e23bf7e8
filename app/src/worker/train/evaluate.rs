//! Measures of the patients that a fine-tuned run holds out.

use engine::device;
use engine::jobs::evaluation::{evaluate_run, stored_evaluation};

use super::Told;
use crate::state::{Slot, State};
use crate::worker::{Jobs, Spec};

/// One run is measured at a time.
pub const SLOT: Slot = Slot::exclusive("evaluate");

/// Reads the stored measures of the run whose results are asked for; segments and measures where there are none, or
/// `anew`.
pub fn start(state: &mut State, jobs: &mut Jobs, anew: bool) {
    let Some(run) = state.train.results.run.clone() else { return };
    let name = run.file_name().map_or_else(|| run.display().to_string(), |n| n.to_string_lossy().into_owned());
    let (choice, threads) = (state.train.form.config().device.first(), super::threads(&state.settings));
    let spec = Spec::new(SLOT, format!("Measuring {name}"));
    super::start(jobs, spec, move |handle| {
        let stored = if anew { None } else { stored_evaluation(&run)? };
        let evaluation = if let Some(evaluation) = stored {
            evaluation
        } else {
            let compute = device::open(choice)?;
            let mut progress = |done: usize, of: usize, who: &str| {
                handle.progress(Some(done as f32 / of.max(1) as f32), who);
            };
            engine::threads::with(threads, || evaluate_run(&run, &compute, &handle.control, &mut progress))??
        };
        Ok(Told::Evaluated { run, evaluation: Box::new(evaluation) })
    });
}
