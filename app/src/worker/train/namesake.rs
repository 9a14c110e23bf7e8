//! The run that has the name which the next one was given: it is gone on with, if its settings are those of the form.

use std::path::PathBuf;

use engine::config::Config;
use engine::jobs::{differences, stored_config};

use super::Told;
use crate::state::State;
use crate::state::train::form::name_problem;
use crate::worker::{Failure, Jobs, Kind, Outcome, Spec};

/// How many settings that differ are named.
const NAMED: usize = 2;

/// Compares the form with the run that has its name; reads that run's settings first, if they are not known.
pub fn look(state: &mut State, jobs: &mut Jobs) {
    let form = &state.session.train.form;
    let path = state.session.settings.workspace().join(form.name.trim());
    // Without a name of its own a new run gets a number.
    let given = form.named && name_problem(&form.name).is_none();
    if !given || !state.cache.runs.entries.iter().flatten().any(|run| run.path == path) {
        jobs.cancel_kind(Kind::Namesake);
        (state.cache.train.same_name, state.cache.train.name_conflict) = (None, None);
        return;
    }
    if state.cache.train.same_name.as_ref().is_some_and(|(known, _)| *known == path) {
        return compare(state);
    }
    (state.cache.train.same_name, state.cache.train.name_conflict) = (None, None);
    let spec = Spec { kind: Kind::Namesake, document: None, title: "Reading the run of this name".into(), quiet: true };
    jobs.start(spec, move |_| {
        // What cannot be read is named when it is to be gone on with.
        let config = stored_config(&path).ok().map(Box::new);
        Ok::<_, Failure>(Outcome::Train(Box::new(Told::Namesake { run: path, config })))
    });
}

/// The same after runs came or went: what was known of them may be of another run.
pub fn look_again(state: &mut State, jobs: &mut Jobs) {
    state.cache.train.same_name = None;
    look(state, jobs);
}

/// The settings of a run are there.
pub fn found(state: &mut State, run: PathBuf, config: Option<Box<Config>>) {
    let wanted = state.session.settings.workspace().join(state.session.train.form.name.trim());
    if state.session.train.form.named && run == wanted {
        state.cache.train.same_name = Some((run, config));
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
