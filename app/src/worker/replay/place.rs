//! Locates pinned slices in their scans, for their names in the window. Reads headers only.

use engine::cohort::Cohort;
use engine::preprocess::{CasePlan, PreprocessConfig, geometry};
use engine::probe::Pin;
use engine::volume::{Grid, Volume};

use crate::scene::{DisplayGrid, PlaneMode};
use crate::state::timeline::{PinPlace, PinSettings, WantedPin};
use crate::state::{Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

const SLOT: Slot = Slot::exclusive("places");

/// Locates slices that were prepared with the same settings.
struct LocatePins {
    of: PinSettings,
    pins: Vec<Pin>,
}

/// Locates the listed slices whose places are not known, in every open run that has them.
pub fn locate_missing(state: &State, jobs: &mut Jobs) {
    if jobs.runs(SLOT) {
        return;
    }
    let listed = state.pins().into_iter().filter_map(|pin| Some((state.pin_settings(&pin)?, pin)));
    let in_runs = state.cache.timeline.runs().flat_map(|run| {
        let pins = run.pins.iter().chain(run.history.probes.keys());
        pins.map(|pin| (run.pin_settings(), pin.clone()))
    });
    let mut missing: Vec<(PinSettings, Pin)> = Vec::new();
    for (of, pin) in listed.chain(in_runs).filter(|(of, pin)| state.pin_place(of, pin).is_none()) {
        if missing.iter().all(|other| (&other.0, &other.1) != (&of, &pin)) {
            missing.push((of, pin));
        }
    }
    let Some(of) = missing.first().map(|(of, _)| of.clone()) else { return };
    let pins = missing.into_iter().filter(|(other, _)| *other == of).map(|(_, pin)| pin).collect();
    jobs.start(LocatePins { of, pins });
}

/// The grid of the scan that a pinned slice of a patient was prepared from; `None` if it no longer exists.
pub(super) fn source_grid(of: &PinSettings, case: &str) -> Option<Grid> {
    Scans::of(of).grid(case)
}

/// The scans that slices were prepared from with the same settings.
struct Scans {
    of: PinSettings,
    cohorts: Vec<Cohort>,
}

impl Scans {
    /// Lists the cohort. A relative path of the cohort is resolved here, and against every parent folder of the run. A path
    /// without a name, such as the empty one of a run that records none, would list the whole disk.
    fn of(of: &PinSettings) -> Self {
        let run = of.run.iter().filter(|_| of.cohort.file_name().is_some());
        let above = run.flat_map(|run| run.ancestors()).map(|folder| folder.join(&of.cohort));
        let places = std::iter::once(of.cohort.clone()).chain(above).filter(|place| place.is_dir());
        let cohorts = places.filter_map(|place| Cohort::discover(&place).ok()).collect();
        Self { of: of.clone(), cohorts }
    }

    /// The grid of the scan of a patient, from its header.
    fn grid(&self, case: &str) -> Option<Grid> {
        self.cohorts.iter().find_map(|cohort| {
            let image = cohort.case(case)?.images.get(self.of.modality.as_ref()?)?;
            Volume::read_grid(&image.path).ok()
        })
    }

    /// The geometry of a scan when it is prepared.
    fn plan(&self, grid: &Grid) -> Option<CasePlan> {
        let config = PreprocessConfig { spacing: self.of.spacing, ..PreprocessConfig::default() };
        geometry(grid, &config).ok()
    }

    /// The slice of a scan nearest to a pinned slice, counted from the feet.
    fn slice_of(&self, grid: &Grid, pin: &Pin) -> Option<usize> {
        let (plan, prepared) = (self.plan(grid)?, pin.slice as usize);
        (prepared < plan.prepared_shape[2]).then(|| plan.source_slice_of(prepared))
    }

    /// The pin, in a run with the settings of `to`, of the slice at the same place in the patient.
    fn moved(&self, pin: &Pin, to: &Self) -> Option<Pin> {
        let (own, theirs) = (self.grid(&pin.case)?, to.grid(&pin.case)?);
        let [from, onto] = [&own, &theirs].map(|grid| DisplayGrid::new(grid, PlaneMode::Native));
        let [x, y, _] = from.shape.map(|count| count.saturating_sub(1) / 2);
        let slice = onto.index_at(from.world([x, y, self.slice_of(&own, pin)?]))[2];
        let plan = to.plan(&theirs)?;
        // Reversing the order twice is the identity.
        Some(Pin::new(pin.case.clone(), plan.prepared_slice_of(plan.from_feet(slice)) as u32))
    }
}

/// The pins of the same slices of the scans in a run with the settings `to`.
pub fn pins_in(wanted: &[WantedPin], to: &PinSettings) -> Vec<Pin> {
    let prepared = |of: &PinSettings| (of.spacing.millimetres(), of.modality.clone());
    let mut scans: Vec<Scans> = Vec::new();
    let pin_of = |wanted: &WantedPin| {
        let other = wanted.of.as_ref().filter(|of| prepared(of) != prepared(to));
        let moved = other.and_then(|of| {
            // Each cohort is listed once, and none if all slices were prepared as in the run.
            let [from, onto] = [of, to].map(|of| {
                scans.iter().position(|known| known.of == *of).unwrap_or_else(|| {
                    scans.push(Scans::of(of));
                    scans.len() - 1
                })
            });
            scans[from].moved(&wanted.pin, &scans[onto])
        });
        moved.unwrap_or_else(|| wanted.pin.clone())
    };
    wanted.iter().map(pin_of).collect()
}

impl Job for LocatePins {
    type Output = Vec<Option<usize>>;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Locating pinned slices").hidden()
    }

    fn run(&self, handle: &JobHandle) -> Result<Vec<Option<usize>>, Failure> {
        let scans = Scans::of(&self.of);
        let slice = |pin: &Pin| {
            handle.check()?;
            Ok(scans.grid(&pin.case).and_then(|grid| scans.slice_of(&grid, pin)))
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
