//! The runs that are there: to start from, to measure, to go on with.

use std::path::{Path, PathBuf};

use engine::config::Config;
use engine::event::Stage;
use engine::jobs::stored_config;
use engine::run::workspace::{list, unfinished};

use super::{Told, follow_form, queue};
use crate::state::{Slot, State};
use crate::worker::{Jobs, Spec};

/// The workspace is listed once at a time.
pub const SLOT: Slot = Slot::exclusive("workspace");

/// Lists the runs of the workspace.
pub fn start(state: &mut State, jobs: &mut Jobs) {
    let workspace = state.settings.workspace();
    let spec = Spec::new(SLOT, "Listing the runs").quiet();
    let known = state.train.queue_of.as_ref() == Some(&workspace);
    super::start(jobs, spec, move |handle| {
        let left = (!known).then(|| (workspace.clone(), queue::read(&workspace)));
        if !workspace.is_dir() {
            // Nothing was trained yet.
            let (runs, unfinished) = (Vec::new(), Vec::new());
            return Ok(Told::Workspace { runs, unfinished, left });
        }
        let runs = list(&workspace)?;
        handle.check()?;
        let unfinished = unfinished(&workspace)?;
        Ok(Told::Workspace { runs, unfinished, left })
    });
}

/// Reads the settings of a pre-trained run, to fine-tune from it.
pub fn read_config(jobs: &mut Jobs, run: &Path) {
    let run = run.to_path_buf();
    let name = run.file_name().map_or_else(|| run.display().to_string(), |n| n.to_string_lossy().into_owned());
    let spec = Spec::new(Slot::exclusive("run settings"), format!("Reading the run {name}")).quiet();
    super::start(jobs, spec, move |_| {
        let run = std::path::absolute(&run).unwrap_or(run);
        let config = Box::new(stored_config(&run)?);
        Ok(Told::Settings { run, config })
    });
}

/// Fills the form in for a fine-tuning from a run: its slices and its network's shape are the run's to say.
pub fn start_from(state: &mut State, jobs: &mut Jobs, run: PathBuf, theirs: &Config) {
    if theirs.stage != Stage::Pretrain {
        let why = "is a fine-tuned run; a fine-tuning starts from a pre-trained one or from random weights";
        return state.error("This run cannot be fine-tuned from", format!("{} {why}", run.display()));
    }
    let before = state.train.form.clone();
    let mut form = before.clone();
    form.stage = Stage::Finetune;
    // Made consistent first: what both stages share would else be taken over from the form.
    form = form.settled(&before, &state.devices);
    let switched = form.clone();
    let config = &mut form.finetune;
    config.preprocess.clone_from(&theirs.preprocess);
    config.network.clone_from(&theirs.network);
    config.data.clone_from(&theirs.data);
    config.seed = theirs.seed;
    config.training.shift_px = theirs.training.shift_px;
    config.labels.from = run;
    let known = state.train.cohort.card().map(|card| card.cohort.root.clone());
    let elsewhere = known.as_ref() != Some(&theirs.data.cohort);
    state.train.form = form.settled(&switched, &state.devices);
    follow_form(state, jobs, &before);
    if elsewhere {
        super::cohort::start(state, jobs, &theirs.data.cohort);
    }
}
