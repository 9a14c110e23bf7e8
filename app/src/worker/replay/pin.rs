//! Pinning slices, also while a job trains.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::cohort::{Case, Cohort};
use engine::config::Config;
use engine::preprocess::geometry;
use engine::probe::Pin;
use engine::volume::Volume;
use engine::{Error, Result};
use glam::DVec3;

use super::SLOT;
use super::live::show_pins;
use crate::state::timeline::{PinSettings, WantedPin};
use crate::state::{CaseId, Severity, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// Message when there is neither a run nor a cohort.
pub const NOTHING_TO_PIN_FOR: &str =
    "Choose a cohort in Set up, or open a run. The slice is prepared with its settings.";

/// Pins a slice, which was prepared with the settings `of`, in the running job, or for the next one, and shows it. The job
/// notices on its next step.
pub fn add(state: &mut State, pin: Pin, of: Option<PinSettings>) {
    match &state.training.pins {
        Some(live) => {
            live.pins.add(pin.clone());
        }
        None if state.session.timeline.wants(&pin) => {}
        None => state.session.timeline.wanted.push(WantedPin { pin: pin.clone(), of }),
    }
    show_pins(state);
    state.session.timeline.pin = Some(pin);
}

/// Unpins a slice. Its records are kept.
pub fn remove(state: &mut State, pin: &Pin) {
    if let Some(live) = &state.training.pins {
        live.pins.remove(pin);
    }
    state.session.timeline.wanted.retain(|wanted| wanted.pin != *pin);
    show_pins(state);
    state.settle_pin();
}

/// Pins the open case's shown axial slice: the prepared slice nearest to it.
pub struct PinShownSlice {
    case: CaseId,
    config: Arc<Config>,
    /// The run of these settings, if any.
    run: Option<PathBuf>,
    title: String,
    image: PathBuf,
    world: DVec3,
}

/// Starts [`PinShownSlice`], or reports what is missing.
pub fn pin_shown_slice(state: &mut State, jobs: &mut Jobs) {
    let refuse = |state: &mut State, why: &str| state.notice(Severity::Warning, "Nothing was pinned", why);
    let Some(document) = &state.document else { return refuse(state, "Open a case first.") };
    let Some(config) = state.pin_config() else { return refuse(state, NOTHING_TO_PIN_FOR) };
    jobs.start(PinShownSlice {
        case: document.id,
        config,
        run: state.watched_run().map(|run| run.path.clone()),
        title: document.title.clone(),
        image: document.base().path().to_path_buf(),
        world: state.session.view.crosshair,
    });
}

impl Job for PinShownSlice {
    type Output = Pin;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Pinning a slice of {}", self.title)).of_case(self.case)
    }

    fn run(&self, handle: &JobHandle) -> Result<Pin, Failure> {
        let pin = prepared_slice(self)?;
        handle.check()?;
        Ok(pin)
    }

    fn apply(self, result: Result<Pin, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(pin) => add(state, pin, Some(PinSettings::of(&self.config, self.run.as_deref()))),
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

/// The preprocessed slice nearest to a world position, from the header of the scan.
fn prepared_slice(shown: &PinShownSlice) -> Result<Pin> {
    let config = &shown.config;
    let cohort = config.data.discover()?;
    let case = find(&cohort, shown).ok_or_else(|| {
        let why = format!("it is not in the cohort {}", config.data.cohort.display());
        Error::config("patient", &shown.title, why)
    })?;
    let image = config.data.modality.first().and_then(|modality| case.images.get(modality));
    let image = image.ok_or_else(|| {
        Error::config("modality", config.data.modality.join(", "), format!("{} does not have it", case.id))
    })?;
    let grid = geometry(&Volume::read_grid(&image.path)?, &config.preprocess)?.prepared_grid();
    let at = grid.world_from_voxel.inverse().transform_point3(shown.world).z.round();
    if !(0.0..grid.shape[2] as f64).contains(&at) {
        return Err(Error::config("slice", at, format!("it is outside the prepared scan of {}", case.id)));
    }
    Ok(Pin::new(case.id.clone(), at as u32))
}

/// The open case in a cohort: by its file, else by its name.
fn find<'a>(cohort: &'a Cohort, shown: &PinShownSlice) -> Option<&'a Case> {
    let same =
        |a: &Path, b: &Path| a == b || a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    let by_file = cohort.cases.iter().find(|case| case.images.values().any(|image| same(&image.path, &shown.image)));
    by_file.or_else(|| cohort.case(&shown.title))
}
