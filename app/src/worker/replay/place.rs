//! Locates pinned slices in their scans, for their names in the window. Reads headers only.

use engine::cohort::Cohort;
use engine::preprocess::{PreprocessConfig, geometry};
use engine::probe::Pin;
use engine::volume::{Grid, Volume};

use crate::state::timeline::{PinPlace, PinSettings};
use crate::state::{Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

const SLOT: Slot = Slot::exclusive("places");

/// Locates slices that were prepared with the same settings.
struct LocatePins {
    of: PinSettings,
    pins: Vec<Pin>,
}

/// Locates the listed slices whose places are not known.
pub fn locate_missing(state: &State, jobs: &mut Jobs) {
    if jobs.runs(SLOT) {
        return;
    }
    let missing = state.pins().into_iter().filter(|pin| state.pin_place(pin).is_none());
    let missing: Vec<(PinSettings, Pin)> = missing.filter_map(|pin| Some((state.pin_settings(&pin)?, pin))).collect();
    let Some(of) = missing.first().map(|(of, _)| of.clone()) else { return };
    let pins = missing.into_iter().filter(|(other, _)| *other == of).map(|(_, pin)| pin).collect();
    jobs.start(LocatePins { of, pins });
}

/// The grid of the scan that a pinned slice of a patient was prepared from; `None` if it no longer exists. A relative path of
/// the cohort is resolved here, and against every parent folder of the run.
pub(super) fn source_grid(of: &PinSettings, case: &str) -> Option<Grid> {
    let above = of.run.iter().flat_map(|run| run.ancestors()).map(|folder| folder.join(&of.cohort));
    let places = std::iter::once(of.cohort.clone()).chain(above).filter(|place| place.is_dir());
    places.filter_map(|place| Cohort::discover(&place).ok()).find_map(|cohort| {
        let image = cohort.case(case)?.images.get(of.modality.as_ref()?)?;
        Volume::read_grid(&image.path).ok()
    })
}

impl LocatePins {
    fn slice_of(&self, pin: &Pin) -> Option<usize> {
        let config = PreprocessConfig { spacing: self.of.spacing, ..PreprocessConfig::default() };
        let plan = geometry(&source_grid(&self.of, &pin.case)?, &config).ok()?;
        let prepared = pin.slice as usize;
        (prepared < plan.prepared_shape[2]).then(|| plan.source_slice_of(prepared))
    }
}

impl Job for LocatePins {
    type Output = Vec<Option<usize>>;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Locating pinned slices").hidden()
    }

    fn run(&self, handle: &JobHandle) -> Result<Vec<Option<usize>>, Failure> {
        let slice = |pin: &Pin| {
            handle.check()?;
            Ok(self.slice_of(pin))
        };
        self.pins.iter().map(slice).collect()
    }

    fn apply(self, result: Result<Vec<Option<usize>>, Failure>, state: &mut State, _: &mut Jobs) {
        let slices = result.unwrap_or_default().into_iter().chain(std::iter::repeat(None));
        let places = self.pins.into_iter().zip(slices);
        let places = places.map(|(pin, slice)| PinPlace { of: self.of.clone(), pin, slice });
        state.cache.timeline.places.extend(places);
    }
}
