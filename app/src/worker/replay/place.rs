//! Locates pinned slices in their scans, for their names in the window. Reads headers only.

use engine::cohort::Cohort;
use engine::preprocess::{CasePlan, PreprocessConfig, geometry};
use engine::probe::Pin;
use engine::volume::{Grid, Volume};

use crate::state::timeline::{PinPlace, PinSettings, WantedPin};
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

/// The geometry of the prepared scan of a patient.
fn plan_of(of: &PinSettings, case: &str) -> Option<CasePlan> {
    let config = PreprocessConfig { spacing: of.spacing, ..PreprocessConfig::default() };
    geometry(&source_grid(of, case)?, &config).ok()
}

/// The slice of the scan nearest to a pinned slice, counted from the feet.
fn slice_of(of: &PinSettings, pin: &Pin) -> Option<usize> {
    let (plan, prepared) = (plan_of(of, &pin.case)?, pin.slice as usize);
    (prepared < plan.prepared_shape[2]).then(|| plan.source_slice_of(prepared))
}

/// The pin of the same slice of the scan in a run with the settings `to`.
pub fn pin_in(wanted: &WantedPin, to: &PinSettings) -> Pin {
    let moved = |of: &PinSettings| {
        let slice = slice_of(of, &wanted.pin)?;
        let plan = plan_of(to, &wanted.pin.case)?;
        // Reversing the order twice is the identity.
        Some(Pin::new(wanted.pin.case.clone(), plan.prepared_slice_of(plan.from_feet(slice)) as u32))
    };
    let other = wanted.of.as_ref().filter(|of| of.spacing != to.spacing);
    other.and_then(moved).unwrap_or_else(|| wanted.pin.clone())
}

impl Job for LocatePins {
    type Output = Vec<Option<usize>>;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Locating pinned slices").hidden()
    }

    fn run(&self, handle: &JobHandle) -> Result<Vec<Option<usize>>, Failure> {
        let slice = |pin: &Pin| {
            handle.check()?;
            Ok(slice_of(&self.of, pin))
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
