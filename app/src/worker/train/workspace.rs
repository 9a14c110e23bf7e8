//! The runs that are there: to start from, to measure, to go on with.

use std::path::{Path, PathBuf};

use engine::config::Config;
use engine::event::Stage;
use engine::jobs::stored_config;
use engine::run::workspace::{list, unfinished};

use super::{Told, queue};
use crate::command::train::follow_form;
use crate::state::State;
use crate::worker::{Jobs, Kind, Outcome, Spec};

/// Lists the runs of the workspace.
pub fn start(state: &mut State, jobs: &mut Jobs) {
    let workspace = state.session.settings.workspace();
    let spec = Spec { kind: Kind::Workspace, document: None, title: "Listing the runs".into(), quiet: true };
    let known = state.training.workspace.as_ref() == Some(&workspace);
    jobs.start(spec, move |ticket| {
        let left = (!known).then(|| (workspace.clone(), queue::read(&workspace)));
        if !workspace.is_dir() {
            // Nothing was trained yet.
            let (runs, unfinished) = (Vec::new(), Vec::new());
            return Ok(Outcome::Train(Box::new(Told::Workspace { runs, unfinished, left })));
        }
        let runs = list(&workspace)?;
        ticket.check()?;
        let unfinished = unfinished(&workspace)?;
        Ok(Outcome::Train(Box::new(Told::Workspace { runs, unfinished, left })))
    });
}

/// Reads the settings of a pre-trained run, to fine-tune from it.
pub fn read_config(jobs: &mut Jobs, run: &Path) {
    let run = run.to_path_buf();
    let name = run.file_name().map_or_else(|| run.display().to_string(), |n| n.to_string_lossy().into_owned());
    let spec = Spec { kind: Kind::Settings, document: None, title: format!("Reading the run {name}"), quiet: true };
    jobs.start(spec, move |_| {
        let run = std::path::absolute(&run).unwrap_or(run);
        let config = Box::new(stored_config(&run)?);
        Ok(Outcome::Train(Box::new(Told::Settings { run, config })))
    });
}

/// Fills the form in for a fine-tuning from a run: its slices and its network's shape are the run's to say.
pub fn start_from(state: &mut State, jobs: &mut Jobs, run: PathBuf, theirs: &Config) {
    if theirs.stage != Stage::Pretrain {
        let why = "is a fine-tuned run; a fine-tuning starts from a pre-trained one or from random weights";
        return state.error("This run cannot be fine-tuned from", format!("{} {why}", run.display()));
    }
    let before = state.session.train.form.clone();
    let mut form = before.clone();
    form.stage = Stage::Finetune;
    // Made consistent first: what both stages share would else be taken over from the form.
    form = form.settled(&before, &state.cache.devices);
    let switched = form.clone();
    let config = &mut form.finetune;
    config.preprocess.clone_from(&theirs.preprocess);
    config.network.clone_from(&theirs.network);
    config.data.clone_from(&theirs.data);
    config.seed = theirs.seed;
    config.training.shift_px = theirs.training.shift_px;
    config.labels.from = run;
    let known = state.cache.train.cohort.card().map(|card| card.cohort.root.clone());
    let elsewhere = known.as_ref() != Some(&theirs.data.cohort);
    state.session.train.form = form.settled(&switched, &state.cache.devices);
    follow_form(state, jobs, &before);
    if elsewhere {
        super::cohort::start(state, jobs, &theirs.data.cohort);
    }
}
