//! Segmenting the open case with a trained network.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::device::{self, DeviceChoice};
use engine::predict::{Choice, Segmenter};
use engine::volume::Volume;

use super::open::mask_layer;
use super::{Failure, Jobs, Kind, Outcome, Spec};
use crate::state::{Document, ImageLayer, ProbabilityLayer, State};

/// How often the overlay is renewed while slices finish.
const RENEWAL: Duration = Duration::from_millis(300);

/// The sample study's model, beside the sample study.
pub fn sample_model() -> Option<PathBuf> {
    crate::sample::folder().map(|sample| sample.join("model"))
}

/// Chooses the run for the next segmentation.
pub fn choose_model(state: &mut State, path: &Path) {
    state.segment.model = Some(path.to_path_buf());
}

/// Segments the open case in the background.
pub fn start(state: &mut State, jobs: &mut Jobs) {
    let Some(document) = &state.document else {
        state.error("Nothing to segment", "open a scan first");
        return;
    };
    let Some(model) = state.segment.model.clone().or_else(sample_model) else {
        state.error("No model", "choose a fine-tuned run first: the sample study's model was not found");
        return;
    };
    let device: DeviceChoice = match state.segment.device.as_str() {
        "" => DeviceChoice::Auto,
        text => match text.parse() {
            Ok(choice) => choice,
            Err(e) => return state.error("Unknown device", e),
        },
    };
    let (id, title) = (document.id, format!("Segmenting {}", document.title));
    let (document, gpu) = (document.clone(), jobs.gpu().cloned());
    jobs.start(Spec { kind: Kind::Segment, document: Some(id), title, quiet: false }, move |ticket| {
        let begin = Instant::now();
        ticket.progress(None, "loading the model");
        let compute = device::open(device)?;
        let segmenter = Segmenter::load(&model, Choice::Last, &compute)?;
        ticket.check()?;
        let images = channels(&document, &segmenter.config().data.modality)?;
        let mut renewed = Instant::now();
        let mut lost = None;
        let result = segmenter.segment(
            &images,
            &mut |progress| {
                let (done, total) = (progress.done, progress.total);
                ticket.progress(Some(done as f32 / total.max(1) as f32), format!("slice {done} of {total}"));
                if renewed.elapsed() < RENEWAL {
                    return;
                }
                renewed = Instant::now();
                match progress.mask().map_err(Failure::from).and_then(|labels| {
                    let texture = gpu.as_ref().map(|g| g.upload_labels(&labels)).transpose()?;
                    Ok(Outcome::SegmentedSlices { labels: Arc::new(labels), texture })
                }) {
                    Ok(outcome) => ticket.send(outcome),
                    Err(failure) => lost = Some(failure),
                }
            },
            &ticket.control,
        )?;
        if let Some(failure) = lost {
            return Err(failure);
        }
        let probability = images[0].like(result.probability.into_iter().next().unwrap_or_default());
        let layer = mask_layer(None, Arc::new(result.label), gpu.as_ref())?;
        let mut note = format!("{} in {:.1} s", document.title, begin.elapsed().as_secs_f64());
        for warning in segmenter.warnings() {
            note = format!("{note}. An older checkpoint was used: {warning}");
        }
        Ok(Outcome::Segmented {
            layer: Box::new(layer),
            probability: Box::new(ProbabilityLayer { path: None, volume: Arc::new(probability) }),
            note,
        })
    });
}

/// The case's images in the order of the model's channels, by modality.
fn channels(document: &Document, wanted: &[String]) -> Result<Vec<Volume>, Failure> {
    let canonical = |name: &str| engine::cohort::canonical_modality(name);
    let name = |layer: &ImageLayer| match &layer.modality {
        crate::scene::Modality::Mr(sequence) => sequence.clone(),
        other => other.key(),
    };
    let mut channels = Vec::new();
    for modality in wanted {
        let found = document.images.iter().find(|layer| canonical(&name(layer)) == canonical(modality));
        // A single image of unknown kind is what the user wants segmented; anything known must be of the right kind.
        let only = document.images.first().filter(|layer| {
            wanted.len() == 1 && document.images.len() == 1 && layer.modality == crate::scene::Modality::Other
        });
        let layer = found.or(only).ok_or_else(|| {
            let have: Vec<String> = document.images.iter().map(|l| l.modality.name()).collect();
            Failure::Error(format!("the model needs {modality}; {} has {}", document.title, have.join(", ")))
        })?;
        channels.push((*layer.volume).clone());
    }
    Ok(channels)
}
