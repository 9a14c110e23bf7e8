//! The run that has the name which the next one was given: it is gone on with, if its settings are those of the form.

use std::path::PathBuf;

use engine::config::Config;
use engine::jobs::{differences, stored_config};

use super::Told;
use crate::state::train::form::name_problem;
use crate::state::{Slot, State};
use crate::worker::{Jobs, Spec};

const SLOT: Slot = Slot::exclusive("namesake");

/// How many settings that differ are named.
const NAMED: usize = 2;

/// Compares the form with the run that has its name; reads that run's settings first, if they are not known.
pub fn look(state: &mut State, jobs: &mut Jobs) {
    let form = &state.train.form;
    let path = state.settings.workspace().join(form.name.trim());
    // Without a name of its own a new run gets a number.
    let given = form.named && name_problem(&form.name).is_none();
    if !given || !state.train.runs.iter().flatten().any(|run| run.path == path) {
        jobs.cancel_slot(SLOT);
        (state.train.namesake, state.train.clash) = (None, None);
        return;
    }
    if state.train.namesake.as_ref().is_some_and(|(known, _)| *known == path) {
        return compare(state);
    }
    (state.train.namesake, state.train.clash) = (None, None);
    let spec = Spec::new(SLOT, "Reading the run of this name").quiet();
    super::start(jobs, spec, move |_| {
        // What cannot be read is named when it is to be gone on with.
        let config = stored_config(&path).ok().map(Box::new);
        Ok(Told::Namesake { run: path, config })
    });
}

/// The same after runs came or went: what was known of them may be of another run.
pub fn look_again(state: &mut State, jobs: &mut Jobs) {
    state.train.namesake = None;
    look(state, jobs);
}

/// The settings of a run are there.
pub fn found(state: &mut State, run: PathBuf, config: Option<Box<Config>>) {
    let wanted = state.settings.workspace().join(state.train.form.name.trim());
    if state.train.form.named && run == wanted {
        state.train.namesake = Some((run, config));
        compare(state);
    }
}

fn compare(state: &mut State) {
    let train = &mut state.train;
    let stored = train.namesake.as_ref().and_then(|(_, config)| config.as_deref());
    let differing = stored.and_then(|stored| differences(stored, train.form.config()).ok()).unwrap_or_default();
    train.clash = (!differing.is_empty()).then(|| {
        let more = differing.len().saturating_sub(NAMED);
        let more = if more > 0 { format!("; {more} more") } else { String::new() };
        let named = differing.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
        format!("{} is there with other settings ({named}{more})", train.form.name.trim())
    });
}
