//! Findings, comparison, measures and uncertainty of the open case.

use std::cmp::Ordering;
use std::sync::Arc;

use engine::findings::comparison::{Comparison, Overlaps, compare};
use engine::findings::{Finding, ValueAt, findings, slice_entropy};
use engine::metrics::{Measures, Options, measure};
use engine::volume::{LabelVolume, Volume};

use super::{Failure, Jobs, Kind, Outcome, Spec, Ticket};
use crate::state::{Document, Entropy, Findings, Listed, State, Status};

/// What the results are taken from.
#[derive(Clone)]
pub struct Input {
    /// For the mean value of a finding.
    pub image: Arc<Volume>,
    /// The frame of the image, among those held.
    pub frame: usize,
    /// The automatic segmentation and its revision.
    pub prediction: Option<(Arc<LabelVolume>, u64)>,
    /// The reference and its revision.
    pub truth: Option<(Arc<LabelVolume>, u64)>,
    /// The network's probability.
    pub probability: Option<Arc<Volume>>,
}

/// Everything that is computed from the masks.
pub struct Analysis {
    revisions: [Option<u64>; 2],
    findings: Option<Findings>,
    comparison: Option<Arc<Comparison>>,
    metrics: Option<Measures>,
    entropy: Option<Entropy>,
}

impl Input {
    /// What the open case offers.
    pub fn of(document: &Document) -> Self {
        let mask = |m: &crate::state::MaskLayer| (Arc::clone(&m.labels), m.revision);
        Self {
            image: Arc::clone(&document.base().volume),
            frame: document.base().held_frame(),
            prediction: document.prediction.as_ref().map(mask),
            truth: document.truth.as_ref().map(mask),
            probability: document.probability.as_ref().map(|p| Arc::clone(&p.volume)),
        }
    }
}

/// Starts the analysis of the open case as it is now.
pub fn start(state: &State, jobs: &mut Jobs) {
    let Some(document) = &state.document else { return };
    let input = Input::of(document);
    let title = "Measuring findings".to_owned();
    let spec = Spec { kind: Kind::Analyse, document: Some(document.id), title, quiet: true };
    jobs.start(spec, move |ticket| Ok(Outcome::Analysed(Box::new(analyse(&input, ticket)?))));
}

/// Findings, comparison, measures and entropy of what there is.
pub fn analyse(input: &Input, ticket: &Ticket) -> Result<Analysis, Failure> {
    let image = &input.image;
    let value = |voxel: [usize; 3]| image.value_at(voxel, input.frame);
    let value: Option<ValueAt<'_>> = (!image.data.is_colour()).then_some(&value);
    let inside = |mask: &LabelVolume| mask.iter().map(|label| label != 0).collect::<Vec<bool>>();
    let mut analysis = Analysis {
        revisions: [&input.prediction, &input.truth].map(|m| m.as_ref().map(|(_, r)| *r)),
        findings: None,
        comparison: None,
        metrics: None,
        entropy: None,
    };
    match (&input.prediction, &input.truth) {
        (Some((prediction, _)), Some((truth, _))) => {
            let (p, t) = (inside(prediction), inside(truth));
            let comparison = compare(&p, &t, &prediction.grid, value)?;
            ticket.check()?;
            let mut list = listed(prediction, Some(&t), value)?;
            let mut missed = comparison.missed.clone();
            missed.sort_by(by_size);
            list.extend(missed.into_iter().map(|finding| Listed { label: 1, finding, status: Status::Missed }));
            analysis.findings = Some(Findings { of_prediction: true, list });
            analysis.comparison = Some(Arc::new(comparison));
            ticket.check()?;
            analysis.metrics = Some(measure(&p, &t, &prediction.grid, &Options::default())?);
        }
        (Some((mask, _)), None) => {
            analysis.findings = Some(Findings { of_prediction: true, list: listed(mask, None, value)? });
        }
        (None, Some((mask, _))) => {
            analysis.findings = Some(Findings { of_prediction: false, list: listed(mask, None, value)? });
        }
        (None, None) => {}
    }
    ticket.check()?;
    if let Some(probability) = &input.probability {
        let by_slice = slice_entropy(&probability.to_f32(), &probability.grid)?;
        analysis.entropy = Some(Entropy { by_slice: by_slice.into_iter().map(Some).collect() });
    }
    Ok(analysis)
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

impl Analysis {
    /// Puts the results into the case they are of, unless its masks changed in the meantime.
    pub fn enter(self, document: &mut Document) {
        let now = [&document.prediction, &document.truth].map(|m| m.as_ref().map(|m| m.revision));
        if now == self.revisions {
            document.findings = self.findings;
            document.comparison = self.comparison;
            document.metrics = self.metrics;
            document.entropy = self.entropy;
        }
    }
}
