//! Segmenting the open case with a trained network; slices appear as they finish.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::device::{self, DeviceChoice};
use engine::edit::{EditLabels, VoxelBox};
use engine::jobs::stored_config;
use engine::predict::{Choice, Progress, Segmenter};
use engine::volume::seg::Algorithm;
use engine::volume::{LabelVolume, Volume};

use super::open::{REST, mask_layer};
use super::{Failure, Job, JobHandle, Jobs, Spec, analyse};
use crate::gpu::{Gpu, Texture};
use crate::scene::Modality;
use crate::state::edit::UndoStep;
use crate::state::{
    CaseId, Document, ImageLayer, Intent, MaskLayer, MaskRole, ModelChannels, ProbabilityLayer, Severity, Slot, State,
};

/// One case is segmented at a time.
pub const SLOT: Slot = Slot::exclusive("segment");

/// Interval of updates of the overlay with finished slices.
const RENEWAL: Duration = Duration::from_millis(300);

/// The sample study's model, stored next to it.
pub fn sample_model() -> Option<PathBuf> {
    crate::sample::folder().map(|sample| sample.join("model"))
}

/// Selects the run for segmentation.
pub fn choose_model(state: &mut State, path: &Path) {
    state.session.runs.segment = Some(path.to_path_buf());
}

/// Reads which modalities the selected model needs.
struct ReadModel {
    run: Option<PathBuf>,
}

impl Job for ReadModel {
    type Output = Vec<String>;

    fn spec(&self) -> Spec {
        Spec::new(Slot::exclusive("read model"), "Reading the model").hidden()
    }

    fn run(&self, _: &JobHandle) -> Result<Vec<String>, Failure> {
        let model = self.run.clone().or_else(sample_model);
        let model = model.ok_or_else(|| Failure::Error("the sample model was not found".to_owned()))?;
        Ok(stored_config(&model)?.data.modality)
    }

    fn apply(self, result: Result<Vec<String>, Failure>, state: &mut State, _: &mut Jobs) {
        // An unreadable model is reported when it is used.
        state.cache.model = Some(ModelChannels { run: self.run, modalities: result.ok() });
    }
}

/// Reads the selected model's channels, unless they are known.
pub(super) fn read_model(state: &mut State, jobs: &mut Jobs) {
    let run = state.session.runs.segment.clone();
    if state.document.is_none() || state.cache.model.as_ref().is_some_and(|model| model.run == run) {
        return;
    }
    state.cache.model = Some(ModelChannels { run: run.clone(), modalities: None });
    jobs.start(ReadModel { run });
}

/// Why the open case cannot be segmented with the selected model, as far as is known beforehand.
pub fn refusal(state: &State) -> Option<String> {
    let Some(document) = &state.document else { return Some("Open a scan first.".to_owned()) };
    let model = state.cache.model.as_ref().filter(|model| model.run == state.session.runs.segment);
    let wanted = model.and_then(|model| model.modalities.as_ref())?;
    // The images that are missing may still be read.
    let is_read = state.jobs.iter().all(|job| job.slot != REST);
    channels(&document.images, wanted).err().filter(|_| is_read)
}

/// The images for a model's channels, by modality.
///
/// # Errors
/// What the model reads and the case has, in two sentences.
fn channels<'a>(images: &'a [ImageLayer], wanted: &[String]) -> Result<Vec<&'a ImageLayer>, String> {
    let canonical = |name: &str| engine::cohort::canonical_modality(name);
    let name = |layer: &ImageLayer| match &layer.info.modality {
        Modality::Mr(sequence) => sequence.clone(),
        other => other.key(),
    };
    // A single image of unknown modality is accepted; a known modality must match.
    let single = wanted.len() == 1 && images.len() == 1;
    let unknown = images.first().filter(|layer| single && layer.info.modality == Modality::Other);
    let of_modality =
        |modality: &String| images.iter().find(|layer| canonical(&name(layer)) == canonical(modality)).or(unknown);
    wanted.iter().map(of_modality).collect::<Option<Vec<_>>>().ok_or_else(|| {
        let named =
            |modality: &String| Modality::named(modality).map_or_else(|| modality.clone(), |known| known.name());
        let reads: Vec<String> = wanted.iter().map(named).collect();
        let mut has: Vec<String> = images.iter().map(|layer| layer.info.modality.name()).collect();
        has.dedup();
        format!("This model reads {}. This case has only {}.", reads.join(", "), has.join(", "))
    })
}

/// Segments a case.
struct SegmentJob {
    case: CaseId,
    title: String,
    images: Vec<ImageLayer>,
    model: PathBuf,
    network: Choice,
    device: DeviceChoice,
    gpu: Option<Gpu>,
}

/// The finished segmentation.
struct Segmentation {
    mask: MaskLayer,
    /// Probability of the first region.
    probability: ProbabilityLayer,
    note: String,
}

/// Segments the open case in the background.
pub fn start(state: &mut State, jobs: &mut Jobs) {
    let Some(document) = &mut state.document else {
        state.error("Nothing to segment", "Open a scan first.");
        return;
    };
    if jobs.runs(REST) {
        // The model may need an image that is still loading.
        document.once_opened = Some(Intent::Segment);
        return;
    }
    let Some(model) = state.session.runs.segment.clone().or_else(sample_model) else {
        state.error("No model", "The sample model was not found. Choose a fine-tuned run as the model.");
        return;
    };
    let device: DeviceChoice = match state.session.device.as_str() {
        "" => DeviceChoice::Auto,
        text => match text.parse() {
            Ok(choice) => choice,
            Err(e) => return state.error("Unknown device", e),
        },
    };
    let (case, title, images) = (document.id, document.title.clone(), document.images.clone());
    let gpu = jobs.gpu().cloned();
    let network = state.session.runs.segment.as_ref().map_or(Choice::Last, |run| state.network_of(run));
    jobs.start(SegmentJob { case, title, images, model, network, device, gpu });
}

impl Job for SegmentJob {
    type Output = Segmentation;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Segmenting {}", self.title)).of_case(self.case)
    }

    fn run(&self, handle: &JobHandle) -> Result<Segmentation, Failure> {
        let begin = Instant::now();
        handle.progress(None, "loading the model");
        let compute = device::open(self.device)?;
        let segmenter = Segmenter::load(&self.model, self.network, &compute)?;
        handle.check()?;
        let images = channels(&self.images, &segmenter.config().data.modality).map_err(Failure::Error)?;
        let images: Vec<Volume> = images.into_iter().map(|layer| (*layer.volume).clone()).collect();
        let mut preview = Preview::new(&images[0], self.gpu.clone());
        let mut failed = None;
        let mut report = |progress: Progress<'_>| {
            let (done, total) = (progress.done, progress.total);
            handle.progress(Some(done as f32 / total.max(1) as f32), format!("slice {done} of {total}"));
            if failed.is_none() {
                failed = preview.follow(&progress, handle).err();
            }
        };
        let result = segmenter.segment(&images, &mut report, &handle.control)?;
        if let Some(failure) = failed {
            return Err(failure);
        }
        let probability = images[0].like(result.probability.into_iter().next().unwrap_or_default());
        let mask = mask_layer(MaskRole::Segmentation, None, EditLabels::from_volume(&result.label), self.gpu.as_ref())?;
        let name = self.model.file_name().unwrap_or_default().to_string_lossy();
        let version: String = segmenter.digest().chars().take(8).collect();
        let algorithm = Algorithm::Automatic(format!("{name} {version}, amlp {}", env!("CARGO_PKG_VERSION")));
        let mask = MaskLayer { algorithm, ..mask };
        let mut note = format!("Computed in {:.1} s", begin.elapsed().as_secs_f64());
        for warning in segmenter.warnings() {
            note = format!("{note}. An older checkpoint was used: {warning}");
        }
        Ok(Segmentation { mask, probability: ProbabilityLayer { path: None, volume: Arc::new(probability) }, note })
    }

    fn apply(self, result: Result<Segmentation, Failure>, state: &mut State, jobs: &mut Jobs) {
        let revision = jobs.unused_id();
        let Some(document) = &mut state.document else { return };
        match result {
            Ok(Segmentation { mask, probability, note }) => {
                if document.replaced.is_none() {
                    document.stash();
                }
                let before = document.replaced.take().filter(|before| before.segmentation.is_some());
                if let Some(before) = before {
                    let step = UndoStep::Segmentation(Box::new(before.stored()));
                    document.edits.list.push("Segmentation by the network", step);
                }
                document.set_mask(MaskLayer { revision, ..mask });
                document.mark_unedited();
                document.probability = Some(probability);
                state.notice(Severity::Info, "Segmentation finished", note);
            }
            Err(failure) => {
                // Discard a partial segmentation.
                let restored = document.restore_stashed();
                failure.report(&self.spec().title, state);
                if !restored {
                    return;
                }
            }
        }
        analyse::start(state, jobs);
    }
}

/// The finished slices, shown in the window while the others are segmented.
struct Preview {
    labels: LabelVolume,
    /// Axial slices from the feet that are in `labels`.
    shown: usize,
    gpu: Option<Gpu>,
    renewed: Instant,
    sent: bool,
}

impl Preview {
    fn new(image: &Volume, gpu: Option<Gpu>) -> Self {
        let data = vec![0_u8; image.grid.len()].into();
        Self {
            labels: LabelVolume { grid: image.grid.clone(), data },
            shown: 0,
            gpu,
            renewed: Instant::now(),
            sent: false,
        }
    }

    /// Sends newly finished slices: the whole mask the first time, then only changes.
    fn follow(&mut self, progress: &Progress<'_>, handle: &JobHandle) -> Result<(), Failure> {
        let settled = progress.settled();
        if self.renewed.elapsed() < RENEWAL || settled == self.shown {
            return Ok(());
        }
        self.renewed = Instant::now();
        let slices = progress.labels(self.shown..settled)?;
        self.shown = settled;
        let shape = self.labels.shape();
        if let engine::volume::LabelData::U8(labels) = &mut self.labels.data {
            slices.copy_to(labels, shape)?;
        }
        let last = |a: usize| (slices.origin[a] + slices.shape[a]).saturating_sub(1);
        let changed = VoxelBox { min: slices.origin, max: std::array::from_fn(last) };
        let labels = EditLabels::from_volume(&self.labels);
        let texture = match &self.gpu {
            Some(gpu) if !self.sent => Some(gpu.upload_labels(&self.labels)?),
            _ => None,
        };
        self.sent = true;
        handle.send(move |state, jobs| {
            let revision = jobs.unused_id();
            if let Some(document) = &mut state.document {
                show_preview(document, labels, texture, changed, revision);
            }
        });
        Ok(())
    }
}

/// Shows the finished slices in place of the segmentation, which is stashed.
fn show_preview(
    document: &mut Document,
    labels: EditLabels,
    texture: Option<Texture>,
    changed: VoxelBox,
    revision: u64,
) {
    if document.replaced.is_none() {
        document.stash();
    }
    match document.mask_mut(MaskRole::Segmentation) {
        Some(mask) => {
            mask.labels = labels;
            mask.changed(Some(changed), revision);
        }
        None => document.set_mask(MaskLayer::preview(labels, texture, revision)),
    }
    document.forget_results();
}
