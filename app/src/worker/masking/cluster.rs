//! Clustering and masking the shown slice.

use std::sync::Arc;

use engine::cluster::{Clustering, Method};
use engine::inspect::{InspectedCase, InspectedSlice};

use super::pictures::of_slice;
use crate::gpu::Gpu;
use crate::state::masking::{ClusteredSlice, MaskRequest};
use crate::state::{Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// The newest request replaces the previous one.
pub const SLOT: Slot = Slot::exclusive("cluster");
/// Maximum number of clustering threads: the current one, and one that has not noticed its cancellation yet.
const SIDE_BY_SIDE: usize = 2;

/// Clusters and masks a slice.
struct ClusterSlice {
    wanted: MaskRequest,
    case: Arc<InspectedCase>,
    /// The previous result, if its slice has the same pixels.
    before: Option<Arc<ClusteredSlice>>,
    gpu: Option<Gpu>,
}

/// Clusters and masks the requested slice, unless it is shown or being computed.
pub(super) fn start(state: &mut State, jobs: &mut Jobs, wanted: MaskRequest, case: Arc<InspectedCase>) {
    let masking = &mut state.cache.masking;
    if masking.found.as_ref().is_some_and(|found| found.wanted == wanted) {
        jobs.cancel_slot(SLOT);
        masking.clustering.asked = None;
        return;
    }
    if !masking.clustering.is_due(&wanted) {
        return;
    }
    // A quick job may finish, so that the picture follows while a control is dragged.
    let soon = masking.clustering.asked.as_ref().is_some_and(is_quick);
    if jobs.runs(SLOT) && (soon || jobs.at_work(SLOT) >= SIDE_BY_SIDE) {
        return;
    }
    masking.clustering.begin(wanted.clone());
    let before = masking.found.clone().filter(|before| before.wanted.same_slice(&wanted));
    jobs.start(ClusterSlice { wanted, case, before, gpu: jobs.gpu().cloned() });
}

fn is_quick(wanted: &MaskRequest) -> bool {
    wanted.settings.cluster.method == Method::Kmeans
}

impl Job for ClusterSlice {
    type Output = Arc<ClusteredSlice>;

    fn spec(&self) -> Spec {
        let spec = Spec::new(SLOT, "Clustering the slice").of_case(self.wanted.case.document);
        if is_quick(&self.wanted) { spec.quiet() } else { spec }
    }

    fn run(&self, handle: &JobHandle) -> Result<Arc<ClusteredSlice>, Failure> {
        let (slice, clusters) = self.clusters()?;
        handle.check()?;
        let masking = slice.mask(&clusters, &self.wanted.settings)?;
        let kept = self.before.as_ref().map(|before| &before.pictures);
        let pictures = of_slice(&slice, &clusters, &masking, kept, self.case.plan(), self.gpu.as_ref())?;
        let report = slice.report(&clusters, &masking);
        let mut places = vec![0; masking.order.len()];
        for (place, &patch) in masking.order.iter().enumerate() {
            places[patch] = u16::try_from(place + 1).unwrap_or(u16::MAX);
        }
        let wanted = self.wanted.clone();
        Ok(Arc::new(ClusteredSlice { wanted, slice, clusters, masking, places, report, pictures }))
    }

    fn apply(self, result: Result<Arc<ClusteredSlice>, Failure>, state: &mut State, _: &mut Jobs) {
        let masking = &mut state.cache.masking;
        match result {
            Ok(found) => {
                masking.clustering.asked = None;
                // An outdated result of the same scan is still newer than the shown one.
                if state.mask_request().is_some_and(|wanted| wanted.case == found.wanted.case) {
                    state.cache.masking.found = Some(found);
                }
            }
            Err(failure) => {
                masking.clustering.fail(&failure.reason());
                failure.report(&self.spec().title, state);
            }
        }
    }
}

impl ClusterSlice {
    /// The pixels and clusters, reused from the previous slice if unchanged.
    fn clusters(&self) -> Result<(Arc<InspectedSlice>, Arc<Clustering>), Failure> {
        let Self { wanted, case, before, .. } = self;
        if let Some(before) = before.as_ref().filter(|before| before.wanted.same_clusters(wanted)) {
            return Ok((Arc::clone(&before.slice), Arc::clone(&before.clusters)));
        }
        let slice = match before {
            Some(before) => Arc::clone(&before.slice),
            None => Arc::new(case.slice(wanted.slice, wanted.grid)?),
        };
        let clusters = Arc::new(slice.cluster(&wanted.settings)?);
        Ok((slice, clusters))
    }
}
