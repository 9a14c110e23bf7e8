//! Effects of changes to the form of the next job.

use engine::assess::field_errors;

use super::{assess, cohort, same_name};
use crate::state::State;
use crate::state::train::{Form, Labels};
use crate::worker::Jobs;

/// Replaces the form, made consistent after the user's last change.
pub fn edit(state: &mut State, jobs: &mut Jobs, form: Form) {
    let before = state.session.train.form.clone();
    state.session.train.form = form.settled(&before, &state.cache.devices);
    changed(state, jobs, &before);
}

/// Checks the form, and recomputes what depends on the changes since `before`.
pub fn changed(state: &mut State, jobs: &mut Jobs, before: &Form) {
    let form = &state.session.train.form;
    state.cache.train.problems = problems(form);
    let what_splits = |form: &Form| {
        let config = form.config();
        let labels = &config.labels;
        (form.stage, config.data.clone(), config.seed, labels.from.clone(), labels.corrections.clone())
    };
    if what_splits(form) != what_splits(before) || state.cache.train.split.is_none() {
        cohort::split(state, jobs);
    }
    let form = &state.session.train.form;
    let settings_changed = form.config() != before.config() || form.stage != before.stage;
    if settings_changed || form.invalid_field() != before.invalid_field() {
        assess::start(state, jobs);
    }
    same_name::check(state, jobs);
}

/// The invalid settings, with their problems.
fn problems(form: &Form) -> Vec<(String, String)> {
    let mut found = field_errors(form.config());
    // Reported with the cohort.
    found.retain(|(field, _)| field != "data.cohort");
    if form.labels == Labels::Picked && form.picked.is_empty() {
        let labels = found.iter_mut().filter(|(field, _)| field == "labels.labels");
        labels.for_each(|(_, why)| *why = "select at least one patient".into());
    }
    found
}
