//! Findings, comparison, measures and uncertainty of the open case.

use std::cmp::Ordering;
use std::sync::Arc;

use engine::findings::comparison::{Comparison, Overlaps, compare};
use engine::findings::{Finding, ValueAt, findings, slice_entropy};
use engine::metrics::{Options, measure};
use engine::volume::{LabelVolume, Volume};

use super::{Failure, Job, JobHandle, Jobs, Spec};
use crate::state::{CaseId, Document, Entropy, Findings, Listed, MaskLayer, Slot, State, Status};

/// One case is measured at a time.
pub const SLOT: Slot = Slot::exclusive("analyse");

/// Measures the masks of a case. Findings come first, Hausdorff distances last.
struct Analyse {
    case: CaseId,
    image: Arc<Volume>,
    /// The frame of the image, among those held.
    frame: usize,
    segmentation: Option<Arc<LabelVolume>>,
    reference: Option<Arc<LabelVolume>>,
    /// Of segmentation and reference: results for others are dropped.
    revisions: [Option<u64>; 2],
    probability: Option<Arc<Volume>>,
}

/// Starts the analysis of the open case as it is now.
pub fn start(state: &State, jobs: &mut Jobs) {
    let Some(document) = &state.document else { return };
    let labels = |mask: &Option<MaskLayer>| mask.as_ref().map(|mask| Arc::clone(&mask.labels));
    jobs.start(Analyse {
        case: document.id,
        image: Arc::clone(&document.base().volume),
        frame: document.base().held_frame(),
        segmentation: labels(&document.prediction),
        reference: labels(&document.truth),
        revisions: document.mask_revisions(),
        probability: document.probability.as_ref().map(|p| Arc::clone(&p.volume)),
    });
}

impl Job for Analyse {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Measuring findings").of_case(self.case).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<(), Failure> {
        let (findings, comparison) = self.findings(handle)?;
        self.send(handle, move |document| {
            (document.findings, document.comparison) = (findings, comparison);
            (document.metrics, document.entropy) = (None, None);
        });
        handle.send(|state, _| state.look_at_first_finding());
        handle.check()?;
        if let Some(probability) = &self.probability {
            let by_slice = slice_entropy(&probability.to_f32(), &probability.grid)?;
            let entropy = Entropy { by_slice: by_slice.into_iter().map(Some).collect() };
            self.send(handle, move |document| document.entropy = Some(entropy));
        }
        if let (Some(segmentation), Some(reference)) = (&self.segmentation, &self.reference) {
            handle.check()?;
            let (s, r) = (inside(segmentation), inside(reference));
            let metrics = measure(&s, &r, &segmentation.grid, &Options::default())?;
            self.send(handle, move |document| document.metrics = Some(metrics));
        }
        Ok(())
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, _: &mut Jobs) {
        if let Err(failure) = result {
            failure.report(&self.spec().title, state);
        }
    }
}

impl Analyse {
    fn findings(&self, handle: &JobHandle) -> Result<(Option<Findings>, Option<Arc<Comparison>>), Failure> {
        let value = |voxel: [usize; 3]| self.image.value_at(voxel, self.frame);
        let value: Option<ValueAt<'_>> = (!self.image.data.is_colour()).then_some(&value);
        let (mask, of_prediction) = match (&self.segmentation, &self.reference) {
            (Some(segmentation), Some(reference)) => {
                let (s, r) = (inside(segmentation), inside(reference));
                let comparison = compare(&s, &r, &segmentation.grid, value)?;
                handle.check()?;
                let mut list = listed(segmentation, Some(&r), value)?;
                let mut missed = comparison.missed.clone();
                missed.sort_by(by_size);
                list.extend(missed.into_iter().map(|finding| Listed { label: 1, finding, status: Status::Missed }));
                return Ok((Some(Findings { of_prediction: true, list }), Some(Arc::new(comparison))));
            }
            (Some(segmentation), None) => (segmentation, true),
            (None, Some(reference)) => (reference, false),
            (None, None) => return Ok((None, None)),
        };
        Ok((Some(Findings { of_prediction, list: listed(mask, None, value)? }), None))
    }

    /// Hands a part over; dropped if the masks have changed.
    fn send(&self, handle: &JobHandle, change: impl FnOnce(&mut Document) + Send + 'static) {
        let revisions = self.revisions;
        handle.send(move |state, _| {
            if let Some(document) = state.document.as_mut().filter(|d| d.mask_revisions() == revisions) {
                change(document);
            }
        });
    }
}

fn inside(mask: &LabelVolume) -> Vec<bool> {
    mask.iter().map(|label| label != 0).collect()
}

/// The findings of each label as they are listed: by volume, largest first, whatever the label. With a `truth` each is
/// a hit if it touches it by one voxel or more.
fn listed(mask: &LabelVolume, truth: Option<&[bool]>, value: Option<ValueAt<'_>>) -> Result<Vec<Listed>, Failure> {
    let mut list = Vec::new();
    for label in mask.labels() {
        let inside = mask.mask(&[label]);
        // In the order of the findings: both number the same components.
        let overlaps = truth.map(|truth| Overlaps::new(&inside, truth, mask.grid.shape).of_prediction);
        let status = |n: usize| match &overlaps {
            None => Status::Unknown,
            Some(overlaps) if overlaps[n] > 0 => Status::Hit,
            Some(_) => Status::Extra,
        };
        let found = findings(&inside, &mask.grid, value)?;
        list.extend(found.into_iter().enumerate().map(|(n, finding)| Listed { label, status: status(n), finding }));
    }
    list.sort_by(|a, b| by_size(&a.finding, &b.finding));
    Ok(list)
}

/// Largest first; of equal ones the one nearer to the feet, the back, the left: never the file's axis order decides.
fn by_size(a: &Finding, b: &Finding) -> Ordering {
    // In micrometres: sums in another order differ by less.
    let place = |f: &Finding| f.centroid_mm.map(|mm| (mm * 1e3).round() as i64);
    let ([ax, ay, az], [bx, by, bz]) = (place(a), place(b));
    b.volume_ml.total_cmp(&a.volume_ml).then((az, ay, ax).cmp(&(bz, by, bx)))
}
