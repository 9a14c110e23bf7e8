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
use crate::scene::{DisplayGrid, PlaneMode};
use crate::state::timeline::{PinSettings, WantedPin};
use crate::state::{CaseId, Severity, State};
use crate::widget::format;
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// Message when there is neither a run nor a cohort.
pub const NOTHING_TO_PIN_FOR: &str =
    "Choose a cohort in Set up, or open a run. The slice is prepared with its settings.";

/// Pins a slice, which was prepared with the settings `of`, in the running job, or for the next one, and shows it. The job
/// notices on its next step. With other settings, another slice may have the same number, so the last one is pinned.
pub fn add(state: &mut State, pin: Pin, of: Option<PinSettings>) {
    if let Some(live) = &state.training.pins {
        live.pins.add(pin.clone());
    } else {
        let (wanted, new) = (&mut state.session.timeline.wanted, WantedPin { pin: pin.clone(), of });
        match wanted.iter_mut().find(|wanted| wanted.pin == pin) {
            Some(same) => *same = new,
            None => wanted.push(new),
        }
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

/// The prepared slice nearest to the shown one.
pub struct NearestSlice {
    pin: Pin,
    /// The numbers of the shown slice and of the pinned one, if they differ because slices are resampled.
    moved: Option<[usize; 2]>,
}

impl Job for PinShownSlice {
    type Output = NearestSlice;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Pinning a slice of {}", self.title)).of_case(self.case)
    }

    fn run(&self, handle: &JobHandle) -> Result<NearestSlice, Failure> {
        let nearest = nearest_slice(self)?;
        handle.check()?;
        Ok(nearest)
    }

    fn apply(self, result: Result<NearestSlice, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(NearestSlice { pin, moved }) => {
                add(state, pin, Some(PinSettings::of(&self.config, self.run.as_deref())));
                if let Some([shown, pinned]) = moved {
                    let spacing = format::spacing(self.config.preprocess.spacing);
                    let why =
                        format!("With a spacing of {spacing}, slice {shown} is not used. Slice {pinned} is nearest.");
                    state.notice(Severity::Info, format!("Slice {pinned} was pinned"), why);
                }
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

/// The prepared slice nearest to the shown one, from the header of the scan.
fn nearest_slice(shown: &PinShownSlice) -> Result<NearestSlice> {
    let config = &shown.config;
    let cohort = config.data.discover()?;
    let case = find(&cohort, shown).ok_or_else(|| {
        let why = format!("it is not in the cohort {}", config.data.cohort.display());
        Error::config("patient", &shown.title, why)
    })?;
    let channel = config.data.modality.first().and_then(|modality| Some((modality, case.images.get(modality)?)));
    let (modality, image) = channel.ok_or_else(|| {
        Error::config("modality", config.data.modality.join(", "), format!("{} does not have it", case.id))
    })?;
    let grid = Volume::read_grid(&image.path)?;
    let display = DisplayGrid::new(&grid, PlaneMode::Native);
    if display.voxel_at(shown.world).is_none() {
        let [x, y, z] = shown.world.to_array();
        let why = format!("it is outside the {modality} scan of {}", case.id);
        return Err(Error::config("crosshair", format!("{x:.1}, {y:.1}, {z:.1} mm"), why));
    }
    let slice = display.index_at(shown.world)[2];
    let plan = geometry(&grid, &config.preprocess)?;
    // Reversing the order twice is the identity.
    let at = plan.prepared_slice_of(plan.from_feet(slice));
    let pinned = plan.source_slice_of(at);
    let moved = (pinned != slice).then(|| [slice + 1, pinned + 1]);
    Ok(NearestSlice { pin: Pin::new(case.id.clone(), at as u32), moved })
}

/// The open case in a cohort: by its file, else by its name.
fn find<'a>(cohort: &'a Cohort, shown: &PinShownSlice) -> Option<&'a Case> {
    let same =
        |a: &Path, b: &Path| a == b || a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    let by_file = cohort.cases.iter().find(|case| case.images.values().any(|image| same(&image.path, &shown.image)));
    by_file.or_else(|| cohort.case(&shown.title))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use engine::preprocess::Spacing;
    use engine::volume::Grid;
    use engine::volume::nifti::write_volume;
    use glam::DAffine3;

    use super::*;

    /// Slice 14 was shown, and slice 15 was pinned without a word.
    #[test]
    fn a_slice_that_resampling_skips_is_replaced_by_the_nearest_and_both_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let patient = folder.path().join("P");
        std::fs::create_dir(&patient).unwrap();
        let image = patient.join("flair.nii.gz");
        let volume = Volume::from_f32(Grid::new([4, 4, 23], DAffine3::IDENTITY), vec![1.0; 368]);
        write_volume(&image, &volume).unwrap();
        let mut config = Config::default();
        (config.data.cohort, config.data.modality) = (folder.path().to_path_buf(), vec!["flair".into()]);
        let nearest = |millimetres: f64, slice: f64| {
            let mut config = config.clone();
            config.preprocess.spacing = Spacing::Millimetres([1.0, 1.0, millimetres]);
            let (case, config, title) = (CaseId(1), Arc::new(config), "P".to_owned());
            let world = DVec3::new(1.0, 1.0, slice);
            nearest_slice(&PinShownSlice { case, config, run: None, title, image: image.clone(), world }).unwrap()
        };
        // Every second slice is prepared: 1, 3, .. 23.
        let shown = nearest(2.0, 13.0);
        assert_eq!((shown.pin, shown.moved), (Pin::new("P", 6), Some([14, 13])));
        let used = nearest(2.0, 14.0);
        assert_eq!((used.pin, used.moved), (Pin::new("P", 7), None));
        assert_eq!(nearest(1.0, 13.0).moved, None);
    }

    #[test]
    fn a_crosshair_outside_the_scan_is_named_with_the_scan() {
        let folder = tempfile::tempdir().unwrap();
        let patient = folder.path().join("P");
        std::fs::create_dir(&patient).unwrap();
        let image = patient.join("flair.nii.gz");
        let volume = Volume::from_f32(Grid::new([4, 4, 4], DAffine3::IDENTITY), vec![1.0; 64]);
        write_volume(&image, &volume).unwrap();
        let mut config = Config::default();
        (config.data.cohort, config.data.modality) = (folder.path().to_path_buf(), vec!["flair".into()]);
        let (case, config, title) = (CaseId(1), Arc::new(config), "P".to_owned());
        let world = DVec3::new(1.0, 1.0, 9.5);
        let shown = PinShownSlice { case, config, run: None, title, image, world };
        let why = nearest_slice(&shown).err().unwrap().to_string();
        assert!(why.contains("crosshair") && why.contains("1.0, 1.0, 9.5 mm"), "{why}");
        assert!(why.contains("it is outside the flair scan of P"), "{why}");
    }
}
