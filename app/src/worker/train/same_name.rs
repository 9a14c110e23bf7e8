//! The existing run with the name in the form. It is resumed if its settings equal the form's.

use std::path::PathBuf;

use engine::config::Config;
use engine::jobs::{differences, stored_config};

use crate::state::train::form::name_problem;
use crate::state::{Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

const SLOT: Slot = Slot::exclusive("same-name");

/// Reads the settings of the run that has the name in the form.
struct ReadSameName {
    run: PathBuf,
}

/// Compares the form with the run of its name, after reading that run's settings.
pub fn check(state: &mut State, jobs: &mut Jobs) {
    let form = &state.session.train.form;
    let run = state.session.settings.workspace().join(form.name.trim());
    // A generated name gets a number if it is in use.
    let given = form.named && name_problem(&form.name).is_none();
    let train = &mut state.cache.train;
    if !given || state.cache.runs.run(&run).is_none() {
        jobs.cancel_slot(SLOT);
        (train.same_name, train.name_conflict) = Default::default();
        return;
    }
    if train.same_name.as_ref().is_some_and(|(known, _)| *known == run) {
        return compare(state);
    }
    (train.same_name, train.name_conflict) = Default::default();
    jobs.start(ReadSameName { run });
}

/// Repeats [`check`] after the list of runs changed, since the name may now refer to another run.
pub fn check_again(state: &mut State, jobs: &mut Jobs) {
    state.cache.train.same_name = None;
    check(state, jobs);
}

impl Job for ReadSameName {
    type Output = Config;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Reading the run of this name").quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<Config, Failure> {
        Ok(stored_config(&self.run)?)
    }

    fn apply(self, result: Result<Config, Failure>, state: &mut State, _: &mut Jobs) {
        let form = &state.session.train.form;
        let wanted = state.session.settings.workspace().join(form.name.trim());
        if form.named && self.run == wanted {
            // Settings that cannot be read are reported when the run is resumed.
            state.cache.train.same_name = Some((self.run, result.ok().map(Box::new)));
            compare(state);
        }
    }
}

fn compare(state: &mut State) {
    let (train, form) = (&mut state.cache.train, &state.session.train.form);
    let stored = train.same_name.as_ref().and_then(|(_, config)| config.as_deref());
    train.name_conflict = stored.and_then(|stored| differences(stored, form.config()).ok()).unwrap_or_default();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_records_other_slices_is_resumed() {
        let stored = Config::default();
        let mut wanted = stored.clone();
        wanted.method.probes = vec!["STS_001:3".into()];
        assert_eq!(differences(&stored, &wanted).unwrap(), [""; 0]);
        wanted.training.epochs += 1;
        assert_eq!(differences(&stored, &wanted).unwrap().len(), 1);
    }
}
