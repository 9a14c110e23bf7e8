//! Reads the next case in the background while the user reviews the open one.
//!
//! Prefetches one case: its base image with the masks, and the image of the selected modality. It is used only if its
//! files are unchanged. Cases above [`MAX_VOXELS`] are not prefetched, so that at most two are in memory.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use engine::preprocess::LabelMap;
use engine::volume::Volume;

use super::super::open::{self, Base, Reading, read_base};
use super::super::{analyse, segment};
use crate::gpu::Gpu;
use crate::scene::Modality;
use crate::state::{CaseId, Mode, Request, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// One case is prefetched.
pub const PREFETCH: Slot = Slot::exclusive("prefetch");

/// Maximum voxels of a prefetched case: about a gigabyte in main memory and on the graphics card.
const MAX_VOXELS: usize = 160 << 20;

/// Slot of the prefetched case.
pub(crate) type PrefetchSlot = Arc<Mutex<Option<PrefetchedCase>>>;

/// A prefetched case and its request.
pub(crate) struct PrefetchedCase {
    request: Request,
    modality: Option<Modality>,
    label_map: Option<LabelMap>,
    stamps: Vec<Stamp>,
    base: Base,
}

/// Length and time of the last change of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(PathBuf, Option<(u64, SystemTime)>);

impl Stamp {
    /// The stamps of every file that a request names.
    fn of(request: &Request) -> Vec<Self> {
        let images = request.images.iter().map(|(_, file)| &file.path);
        let masks = request.segmentation.iter().chain(&request.reference);
        let stamp = |path: &PathBuf| {
            let found = std::fs::metadata(path).ok().and_then(|file| Some((file.len(), file.modified().ok()?)));
            Self(path.clone(), found)
        };
        images.chain(masks).map(stamp).collect()
    }
}

impl PrefetchedCase {
    /// The base image and the masks, if they match this request and its files are unchanged. Accesses the disk, so call
    /// it from jobs only.
    pub(crate) fn take(
        ahead: &PrefetchSlot,
        request: &Request,
        modality: Option<&Modality>,
        label_map: Option<&LabelMap>,
    ) -> Option<Base> {
        let mut held = lock(ahead);
        let fits = held.as_ref().is_some_and(|case| {
            case.request == *request
                && case.modality.as_ref() == modality
                && case.label_map.as_ref() == label_map
                && case.stamps == Stamp::of(request)
        });
        // The prefetched case is no longer the next one.
        held.take().filter(|_| fits).map(|case| case.base)
    }
}

/// A panic cannot leave a partial case here.
fn lock(ahead: &Mutex<Option<PrefetchedCase>>) -> MutexGuard<'_, Option<PrefetchedCase>> {
    ahead.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prefetches a case.
struct PrefetchJob {
    case: CaseId,
    request: Request,
    modality: Option<Modality>,
    label_map: Option<LabelMap>,
    gpu: Option<Gpu>,
    ahead: PrefetchSlot,
}

/// Prefetches the next case once the open one is read and measured.
pub fn prefetch(state: &mut State, jobs: &mut Jobs) {
    let wanted = next(state);
    if state.cache.ahead == wanted {
        return;
    }
    let busy = [open::SLOT, open::REST, analyse::SLOT, segment::SLOT].into_iter().any(|slot| jobs.runs(slot));
    if busy {
        return;
    }
    state.cache.ahead = wanted;
    jobs.cancel_slot(PREFETCH);
    jobs.drop_prefetched();
    let Some(case) = wanted.and_then(|id| state.cases.get(id)) else { return };
    jobs.start(PrefetchJob {
        case: case.id,
        request: case.request(),
        modality: state.session.view.modality.clone(),
        label_map: state.session.label_map.clone(),
        gpu: jobs.gpu().cloned(),
        ahead: Arc::clone(&jobs.ahead),
    });
}

/// The next case of the review; `None` while no case is open.
fn next(state: &State) -> Option<CaseId> {
    let (case, _) = state.reviewed().filter(|_| state.session.mode == Mode::Review)?;
    state.cases.next_to_review(case.id)
}

impl Job for PrefetchJob {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(PREFETCH, "Reading the next case").hidden()
    }

    fn run(&self, handle: &JobHandle) -> Result<(), Failure> {
        let grids = self.request.images.iter().map(|(_, file)| Volume::read_grid(&file.path));
        // An unreadable file is reported when its case is opened.
        let voxels: usize = grids.flatten().map(|grid| grid.len()).sum();
        if voxels > MAX_VOXELS {
            return Ok(());
        }
        handle.check()?;
        let stamps = Stamp::of(&self.request);
        let (modality, label_map) = (self.modality.clone(), self.label_map.clone());
        let reading = Reading::new(self.gpu.as_ref(), handle);
        let base = read_base(self.request.clone(), modality.as_ref(), label_map.as_ref(), &reading)?;
        let request = self.request.clone();
        let mut ahead = lock(&self.ahead);
        handle.check()?;
        *ahead = Some(PrefetchedCase { request, modality, label_map, stamps, base });
        Ok(())
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, _: &mut Jobs) {
        // Errors are reported when the user opens the case.
        if let Err(failure) = result {
            tracing::info!("case {:?} was not prefetched: {}", self.case, failure.reason());
        }
        if state.cases.get(self.case).is_none() {
            state.cache.ahead = None;
        }
    }
}
