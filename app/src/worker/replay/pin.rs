//! Pinning slices, also while a job trains.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::cohort::{Case, Cohort};
use engine::config::Config;
use engine::preprocess::prepare_case;
use engine::probe::Pin;
use engine::{Error, Result};
use glam::DVec3;

use super::{Read, refuse};
use crate::scene::crop;
use crate::state::State;
use crate::worker::{Jobs, Kind, Spec};

/// Pins a slice: in the job that trains, else for the next one. It is looked at from now on.
pub fn add(state: &mut State, pin: Pin) {
    match &state.timeline.live_pins {
        Some(live) => {
            live.pins.add(pin.clone());
        }
        None if state.timeline.wanted.contains(&pin) => {}
        None => state.timeline.wanted.push(pin.clone()),
    }
    show_now(state);
    state.timeline.pin = Some(pin);
}

/// Lets a slice go. What was recorded of it stays.
pub fn remove(state: &mut State, pin: &Pin) {
    if let Some(live) = &state.timeline.live_pins {
        live.pins.remove(pin);
    }
    state.timeline.wanted.retain(|other| other != pin);
    show_now(state);
    state.timeline.settle_pin();
}

/// The job notices on its next step; the list shows it at once.
fn show_now(state: &mut State) {
    super::show_live_pins(state);
}

/// What is needed to find the number of the shown slice.
struct Shown {
    config: Arc<Config>,
    title: String,
    image: PathBuf,
    world: DVec3,
}

/// Pins the axial slice that is shown of the open case: found by its place in the patient among the prepared ones.
pub fn of_shown_slice(state: &mut State, jobs: &mut Jobs) {
    let Some(document) = &state.document else { return refuse(state, "open a case first") };
    let Some(run) = state.timeline.shown() else {
        return refuse(state, "open a run first: how slices are prepared is one of its settings");
    };
    let shown = Shown {
        config: Arc::clone(&run.config),
        title: document.title.clone(),
        image: document.base().path.clone(),
        world: state.view.crosshair,
    };
    let spec = Spec {
        kind: Kind::Replay,
        document: Some(document.id),
        title: format!("Preparing {} to be pinned", document.title),
        quiet: false,
    };
    jobs.start(spec, move |ticket| {
        let pin = prepared(&shown)?;
        ticket.check()?;
        Ok(Read::Prepared(pin).into())
    });
}

/// The prepared slice nearest to a place in the patient.
fn prepared(shown: &Shown) -> Result<Pin> {
    let config = &shown.config;
    let cohort = Cohort::discover(&config.data.cohort)?;
    let case = find(&cohort, shown).ok_or_else(|| {
        let why = format!("the cohort {} does not have it", config.data.cohort.display());
        Error::config("patient", &shown.title, why)
    })?;
    let d = &config.data;
    let prepared = prepare_case(case, &d.modality, false, &d.targets, &config.preprocess, config.seed)?;
    let at = crop::affine(&prepared.plan.crop_affine()).inverse().transform_point3(shown.world).z.round();
    if !(0.0..prepared.shape[2] as f64).contains(&at) {
        let why = format!("it lies outside of the {} prepared slices of {}", prepared.shape[2], case.id);
        return Err(Error::config("slice", at, why));
    }
    Ok(Pin::new(case.id.clone(), at as u32))
}

/// The open case in a cohort: by its file, else by its name.
fn find<'a>(cohort: &'a Cohort, shown: &Shown) -> Option<&'a Case> {
    let same =
        |a: &Path, b: &Path| a == b || a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    let by_file = cohort.cases.iter().find(|case| case.images.values().any(|path| same(path, &shown.image)));
    by_file.or_else(|| cohort.case(&shown.title))
}
