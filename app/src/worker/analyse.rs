//! Findings, comparison, measures and uncertainty of the open case.

use std::cmp::Ordering;
use std::sync::Arc;

use engine::edit::EditLabels;
use engine::findings::{Comparison, Finding, MatchedFinding, compare, slice_entropy};
use engine::metrics::boundary::Boundary;
use engine::metrics::{Options, boundary_iou, measure};
use engine::volume::{LabelVolume, Volume};

use super::{Failure, Job, JobHandle, Jobs, Spec, values};
use crate::state::document::MaskRevisions;
use crate::state::labels::Region;
use crate::state::{CaseId, Document, Entropy, FindingEntry, FindingList, MaskRole, RegionScore, Slot, State, Status};

/// One case is measured at a time.
pub const SLOT: Slot = Slot::exclusive("analyse");

/// Measures the masks of a case. Findings come first, Hausdorff distances last.
struct Analyse {
    case: CaseId,
    segmentation: Option<EditLabels>,
    reference: Option<EditLabels>,
    /// The findings, if they were computed when the case was opened.
    known: Option<Lesions>,
    revisions: MaskRevisions,
    /// Labels and regions that are measured separately; none if labels are not compared.
    regions: Vec<Region>,
    probability: Option<Arc<Volume>>,
    /// Keep showing the previous results until new ones arrive.
    follows_edit: bool,
}

/// Findings, and the comparison of two masks.
type Lesions = (Option<FindingList>, Option<Arc<Comparison>>);

/// Starts the analysis of the open case.
pub fn start(state: &mut State, jobs: &mut Jobs) {
    begin(state, jobs, false);
}

/// Starts it after an edit; the previous results are shown until new ones arrive.
pub(super) fn follow_edit(state: &mut State, jobs: &mut Jobs) {
    begin(state, jobs, true);
}

fn begin(state: &mut State, jobs: &mut Jobs, follows_edit: bool) {
    state.take_over_styles();
    let Some(document) = &mut state.document else { return };
    let revisions = document.mask_revisions();
    let known = document.findings.clone().filter(|list| list.revisions == revisions);
    let labels = |role| document.mask(role).map(|mask| mask.labels.clone());
    // Edits do not change the probability, so entropy stays valid.
    let probability = document.probability.as_ref().filter(|_| !follows_edit || document.entropy.is_none());
    jobs.start(Analyse {
        case: document.id,
        segmentation: labels(MaskRole::Segmentation),
        reference: labels(MaskRole::Reference),
        known: known.map(|list| (Some(list), document.comparison.clone())),
        revisions,
        regions: document.regions(),
        probability: probability.map(|p| Arc::clone(&p.volume)),
        follows_edit,
    });
}

impl Job for Analyse {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Measuring findings").of_case(self.case).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<(), Failure> {
        let [segmentation, reference] =
            [&self.segmentation, &self.reference].map(|labels| labels.as_ref().map(EditLabels::to_volume));
        let (found, comparison) = match &self.known {
            Some(known) => known.clone(),
            None => findings(segmentation.as_ref(), reference.as_ref())?,
        };
        self.show_findings(handle, found, comparison);
        handle.check()?;
        if let Some(probability) = &self.probability {
            let by_slice = slice_entropy(&probability.to_f32(), &probability.grid)?;
            let entropy = Entropy { by_slice: by_slice.into_iter().map(Some).collect() };
            self.send(handle, move |document| document.entropy = Some(entropy));
        }
        if let (Some(segmentation), Some(reference)) = (&segmentation, &reference) {
            self.agreement(handle, segmentation, reference)?;
        }
        Ok(())
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, _: &mut Jobs) {
        if let Err(failure) = result {
            failure.report(&self.spec().title, state);
        }
    }
}

/// The findings of the masks of a case.
///
/// # Errors
/// Masks that cannot be compared.
pub(super) fn findings(
    segmentation: Option<&LabelVolume>,
    reference: Option<&LabelVolume>,
) -> Result<Lesions, Failure> {
    let (mask, role) = match (segmentation, reference) {
        (Some(segmentation), Some(reference)) => {
            let comparison = compare(segmentation, reference)?;
            let list = list(MaskRole::Segmentation, compared_entries(&comparison));
            return Ok((Some(list), Some(Arc::new(comparison))));
        }
        (Some(segmentation), None) => (segmentation, MaskRole::Segmentation),
        (None, Some(reference)) => (reference, MaskRole::Reference),
        (None, None) => return Ok((None, None)),
    };
    let entry = |finding| FindingEntry { finding, role, status: Status::Unknown, values: None };
    Ok((Some(list(role, engine::findings::findings(mask).into_iter().map(entry).collect())), None))
}

impl Analyse {
    fn show_findings(&self, handle: &JobHandle, found: Option<FindingList>, comparison: Option<Arc<Comparison>>) {
        let (revisions, follows_edit) = (self.revisions, self.follows_edit);
        let found = found.map(|list| FindingList { revisions, ..list });
        handle.send(move |state, jobs| {
            let Some(document) = state.document.as_mut().filter(|d| d.mask_revisions() == revisions) else { return };
            let chosen = state.session.view.finding;
            let before = document.findings.take();
            if !follows_edit {
                document.forget_results();
            }
            (document.findings, document.comparison) = (found, comparison);
            if follows_edit {
                // Keeps the same lesion selected, at its new list position.
                let chosen = chosen.and_then(|at| before.as_ref()?.entries.get(at));
                let after = document.findings.as_ref();
                state.session.view.finding = chosen.zip(after).and_then(|(entry, list)| list.same_lesion(entry));
            }
            state.look_at_first_finding();
            values::start(state, jobs);
        });
    }

    /// All labels together, then label by label and region by region.
    fn agreement(
        &self,
        handle: &JobHandle,
        segmentation: &LabelVolume,
        reference: &LabelVolume,
    ) -> Result<(), Failure> {
        handle.check()?;
        let (inside, expected, grid) = (segmentation.inside(), reference.inside(), &segmentation.grid);
        let metrics = measure(&inside, &expected, grid, &Options::default())?;
        self.send(handle, move |document| document.metrics = Some(metrics));
        handle.check()?;
        let by_slice = Options { boundary: Boundary::Slice, ..Options::default() };
        let by_slice = boundary_iou(&inside, &expected, grid, &by_slice)?;
        self.send(handle, move |document| document.slice_boundary = Some(by_slice));
        for (n, region) in self.regions.iter().enumerate() {
            handle.check()?;
            let score = score(region, segmentation, reference)?;
            self.send(handle, move |document| match document.region_scores.get_mut(n) {
                Some(before) => *before = score,
                None => document.region_scores.push(score),
            });
        }
        let (count, revisions) = (self.regions.len(), self.revisions);
        self.send(handle, move |document| {
            document.region_scores.truncate(count);
            document.agreement_of = revisions;
        });
        Ok(())
    }

    /// Delivers a partial result. It is dropped if the masks have changed.
    fn send(&self, handle: &JobHandle, change: impl FnOnce(&mut Document) + Send + 'static) {
        let revisions = self.revisions;
        handle.send(move |state, _| {
            if let Some(document) = state.document.as_mut().filter(|d| d.mask_revisions() == revisions) {
                change(document);
            }
        });
    }
}

fn score(region: &Region, segmentation: &LabelVolume, reference: &LabelVolume) -> Result<RegionScore, Failure> {
    let masks = [segmentation, reference].map(|mask| mask.mask(&region.labels));
    let [in_segmentation, in_reference] = masks.each_ref().map(|mask| mask.contains(&true));
    let (name, labels) = (region.name.clone(), region.labels.clone());
    if !in_segmentation && !in_reference {
        return Ok(RegionScore { name, labels, dice: None, hd95_mm: None });
    }
    let measures = measure(&masks[0], &masks[1], &segmentation.grid, &Options::default())?;
    // The distance is undefined unless both masks have a surface.
    let hd95_mm = (in_segmentation && in_reference).then_some(measures.hd95_mm);
    Ok(RegionScore { name, labels, dice: Some(measures.dsc), hd95_mm })
}

/// The lesions of the segmentation, and those of the reference that it misses.
fn compared_entries(comparison: &Comparison) -> Vec<FindingEntry> {
    let entry = |role, matched: &MatchedFinding, status| FindingEntry {
        finding: matched.finding.clone(),
        role,
        status,
        values: None,
    };
    let segmented = comparison.segmentation.iter().map(|matched| {
        entry(MaskRole::Segmentation, matched, if matched.is_hit() { Status::Hit } else { Status::Extra })
    });
    let missed = comparison.reference.iter().filter(|matched| !matched.is_hit());
    segmented.chain(missed.map(|matched| entry(MaskRole::Reference, matched, Status::Missed))).collect()
}

fn list(role: MaskRole, mut entries: Vec<FindingEntry>) -> FindingList {
    entries.sort_by(|a, b| by_size(&a.finding, &b.finding).then(a.role.cmp(&b.role)));
    FindingList { role, entries, values_of: None, revisions: [None; 2] }
}

/// Largest first. Of equal ones, the one nearer to the feet, the back or the left, so that the file's axis order has no
/// effect.
fn by_size(a: &Finding, b: &Finding) -> Ordering {
    // In micrometres: rounding errors of sums are smaller.
    let place = |f: &Finding| f.centroid_mm.map(|mm| (mm * 1e3).round() as i64);
    let ([ax, ay, az], [bx, by, bz]) = (place(a), place(b));
    b.volume_ml.total_cmp(&a.volume_ml).then((az, ay, ax).cmp(&(bz, by, bx)))
}
