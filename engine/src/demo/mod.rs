//! The demo: pre-trains on the sample study, fine-tunes with and without pre-training at the same budget, segments the held-out
//! patients, and compares with a threshold and an ellipsoid.

mod baselines;
pub(crate) mod documents;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::cohort::label_budget::{LabelBudget, LabelDraw, LabelShare};
use crate::cohort::split::Split;
use crate::cohort::{Case, Cohort, fingerprint};
use crate::config::{Config, preset};
use crate::device::Compute;
use crate::disk::atomic::write_atomic;
use crate::event::{Control, EpochSummary, Event, EventSink, Probe};
use crate::jobs::{FinetuneJob, PretrainJob, Start, slice_name};
use crate::metrics::{Options as MetricOptions, measure};
use crate::patch::PatchGrid;
use crate::predict::{Choice, Segmenter};
use crate::preprocess::{Spacing, read_case};
use crate::probe::Pin;
use crate::report::{CaseScore, MethodScores};
use crate::run::Convergence;
use crate::trainer::Dataset;
use crate::volume::nifti::write_label;
use crate::volume::{LabelVolume, MaskOptions, Volume};
use crate::words::plural;
use crate::{Error, Result};
use baselines::{Ellipsoid, Threshold};

/// Number of held-out patients.
const TESTS: usize = 4;
/// Number of labelled training patients.
const LABELLED: usize = 4;
/// With so few patients the draw is stratified by lesion volume, as the report states.
const LABEL_DRAW: LabelDraw = LabelDraw::Stratified;
/// Number of training patients whose label updates are drawn.
const PROBES: usize = 3;
/// Names of the two networks.
const NAMES: [&str; 2] = ["pre-trained, fine-tuned", "random weights, fine-tuned"];

/// Folders below the output folder for the segmentations of the two networks. They must exist.
pub const MASKS: [&str; 2] = ["masks", "masks-random"];

/// Run folder, below the output folder, of the network that was fine-tuned after pre-training.
pub const MODEL_RUN: &str = "finetune-pretrained";

/// Input and budget of the demo.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// The sample study.
    pub sample: PathBuf,
    /// Output folder.
    pub out: PathBuf,
    /// Seed of split, weights and training.
    pub seed: u64,
    /// Steps of pre-training.
    pub steps: usize,
    /// Steps of each fine-tuning run.
    pub fine_steps: usize,
}

/// Result of the demo (`report.json`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoReport {
    /// States that the results are for research use only.
    pub notice: String,
    /// Seed of the split, the weights and the training.
    pub seed: u64,
    /// Compute device.
    pub device: String,
    /// Patients pre-trained on.
    pub train: Vec<String>,
    /// The pre-training patients whose masks were used.
    pub labelled: Vec<String>,
    /// Held-out patients, drawn before training.
    pub test: Vec<String>,
    /// Steps of pre-training.
    pub steps: usize,
    /// Steps of each fine-tuning run.
    pub fine_steps: usize,
    /// Whether the fine-tuning runs have converged: after pre-training, from random weights.
    pub convergence: Vec<Convergence>,
    /// The tuned threshold, in SUV.
    pub threshold_suv: f64,
    /// Scores: fine-tuned after pre-training, from random weights, threshold, ellipsoid.
    pub methods: Vec<MethodScores>,
    /// The comparison in sentences.
    pub verdict: Vec<String>,
    /// Seconds of each part.
    pub seconds: Vec<(String, f64)>,
}

/// A held-out patient with its segmentations.
pub struct HeldOutPatient {
    /// The patient.
    pub id: String,
    /// The scan.
    pub image: Volume,
    /// The reference, on the scan's grid.
    pub reference: LabelVolume,
    /// Name and segmentation of each method.
    pub masks: Vec<(String, Vec<bool>)>,
}

/// Data that the figures need besides the report.
pub struct DemoData {
    /// The held-out patients.
    pub held_out: Vec<HeldOutPatient>,
    /// Epochs of pre-training.
    pub epochs: Vec<EpochSummary>,
    /// Name and epochs of each fine-tuning run.
    pub finetuning: Vec<(String, Vec<EpochSummary>)>,
    /// The recorded slices.
    pub probes: Vec<RecordedSlice>,
    /// The patch grid of the probes.
    pub grid: PatchGrid,
}

/// A recorded slice of the pre-training run.
pub struct RecordedSlice {
    /// Its name.
    pub name: String,
    /// The slice as trained on.
    pub pixels: Vec<f32>,
    /// Its label updates.
    pub updates: Vec<Probe>,
}

/// Forwards all events and keeps those that the figures need.
struct Recorder<'a> {
    inner: &'a mut dyn EventSink,
    epochs: Vec<EpochSummary>,
    probes: Vec<Probe>,
}

impl EventSink for Recorder<'_> {
    fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Epoch(summary) => self.epochs.push((**summary).clone()),
            // The figures show label updates, so epochs without one are not kept.
            Event::Probe(probe) if !probe.cases.is_empty() => self.probes.push((**probe).clone()),
            _ => {}
        }
        self.inner.event(event)
    }
}

/// Runs the demo. `say` receives a line before each step.
pub fn demo(
    options: &DemoOptions,
    compute: &Compute,
    sink: &mut dyn EventSink,
    control: &Control,
    say: &mut dyn FnMut(&str),
) -> Result<(DemoReport, DemoData)> {
    let mut clock = Clock::new();
    let cohort = Cohort::discover(&options.sample)?;
    let split_path = draw_split(&cohort, options)?;
    let split = Split::read(&split_path)?;
    let labelled = split.labelled(&LabelBudget { share: LabelShare::Count(LABELLED), draw: LABEL_DRAW, any: false })?;
    say(&format!(
        "{}: {} for training, {} of them labelled; {} held out",
        plural(cohort.cases.len(), "patient", "patients"),
        split.train.len(),
        labelled.len(),
        split.test.len()
    ));
    let (pretrain, finetune) = configs(&options.sample, options.seed, options.steps, options.fine_steps)?;
    let modality = finetune.data.modality.clone();
    let demo = Demo { out: &options.out, split: &split_path, compute, control };

    say("pre-training without labels");
    let folder = options.out.join("pretrain");
    let PretrainingFigures { epochs, probes, grid } = demo.pretrain(pretrain, &folder, sink)?;
    clock.lap("pre-training");

    say("fine-tuning the pre-trained network");
    let mut continued = finetune.clone();
    continued.labels.from = folder;
    let mut networks = vec![demo.finetune(continued, MODEL_RUN, sink)?];
    clock.lap("fine-tuning (pretrained)");
    say("fine-tuning from random weights, with the same labels and steps");
    networks.push(demo.finetune(finetune, "finetune-random", sink)?);
    clock.lap("fine-tuning (random)");

    say("segmenting the held-out patients");
    let (threshold, ellipsoid) = fit_baselines(read_patients(&cohort, &labelled, &modality)?);
    let mut held_out = Vec::new();
    for (id, image, reference) in read_patients(&cohort, &split.test, &modality)? {
        let mut masks = demo.segment(&networks, &id, &image)?;
        masks.push((format!("SUV >= {:.2}", threshold.value), threshold.mask(&image)));
        masks.push(("ellipsoid".to_string(), ellipsoid.mask(&image.grid)));
        held_out.push(HeldOutPatient { id, image, reference, masks });
    }
    clock.lap("segmentation");

    let methods = score(&held_out)?;
    clock.lap("evaluation");
    let convergence: Vec<Convergence> = networks.iter().filter_map(|network| network.convergence).collect();
    let named = |(network, name): (Network, &str)| (name.to_string(), network.epochs);
    let finetuning = networks.into_iter().zip(NAMES).map(named).collect();
    let report = DemoReport {
        notice: "research use, not a medical device".into(),
        seed: options.seed,
        device: compute.name.clone(),
        verdict: verdict(&methods, &convergence),
        train: split.train,
        labelled,
        test: split.test,
        steps: options.steps,
        fine_steps: options.fine_steps,
        convergence,
        threshold_suv: threshold.value,
        methods,
        seconds: clock.laps,
    };
    let json = serde_json::to_vec_pretty(&report).map_err(|e| Error::config("report", "", e.to_string()))?;
    write_atomic(&options.out.join("report.json"), &json)?;
    Ok((report, DemoData { held_out, epochs, finetuning, probes, grid }))
}

/// What the parts of the demo share.
struct Demo<'a> {
    out: &'a Path,
    split: &'a Path,
    compute: &'a Compute,
    control: &'a Control,
}

/// What the figures show of the pre-training run, as in [`DemoData`].
struct PretrainingFigures {
    epochs: Vec<EpochSummary>,
    probes: Vec<RecordedSlice>,
    grid: PatchGrid,
}

/// A fine-tuned network.
struct Network {
    segmenter: Segmenter,
    epochs: Vec<EpochSummary>,
    convergence: Option<Convergence>,
}

impl Demo<'_> {
    fn pretrain(&self, config: Config, folder: &Path, sink: &mut dyn EventSink) -> Result<PretrainingFigures> {
        let mut job = PretrainJob::prepare(config, folder, self.start(), self.control, &mut |_, _| {})?;
        let chosen: Vec<usize> =
            (0..PROBES.min(job.slices.patients())).filter_map(|p| job.slices.fullest_slice(p)).collect();
        job.pin(&chosen)?;
        let mut recorder = Recorder { inner: sink, epochs: Vec::new(), probes: Vec::new() };
        job.train(self.compute, &mut recorder, self.control)?;
        let Recorder { epochs, probes: updates, .. } = recorder;
        let grid = PatchGrid::new(job.config.preprocess.size, job.config.method.grid)?;
        Ok(PretrainingFigures { epochs, probes: probes_of(&job, &chosen, &updates)?, grid })
    }

    fn finetune(&self, config: Config, run: &str, sink: &mut dyn EventSink) -> Result<Network> {
        let folder = self.out.join(run);
        let mut job = FinetuneJob::prepare(config, &folder, self.start(), self.control, &mut |_, _| {})?;
        let mut recorder = Recorder { inner: sink, epochs: Vec::new(), probes: Vec::new() };
        let convergence = job.train(self.compute, &mut recorder, self.control)?.and_then(|report| report.convergence);
        let epochs = recorder.epochs;
        drop(job);
        Ok(Network { segmenter: Segmenter::load(&folder, Choice::Last, self.compute)?, epochs, convergence })
    }

    fn start(&self) -> Start<'_> {
        Start { split: Some(self.split), ..Start::default() }
    }

    /// Name and segmentation of each network, which is also written to its folder of [`MASKS`].
    fn segment(&self, networks: &[Network], id: &str, image: &Volume) -> Result<Vec<(String, Vec<bool>)>> {
        let mut masks = Vec::new();
        for ((network, name), folder) in networks.iter().zip(NAMES).zip(MASKS) {
            let segmentation = network.segmenter.segment(std::slice::from_ref(image), &mut |_| {}, self.control)?.label;
            write_label(&self.out.join(folder).join(format!("{id}.nii.gz")), &segmentation, image)?;
            masks.push((name.to_string(), (0..segmentation.grid.len()).map(|i| segmentation.get(i) > 0).collect()));
        }
        Ok(masks)
    }
}

/// Draws the held-out patients by seed and lesion volume, and writes the split before training.
fn draw_split(cohort: &Cohort, options: &DemoOptions) -> Result<PathBuf> {
    let patients = fingerprint(cohort, Some("pet"))?.volumes(cohort, &["pet".into()]);
    let split = Split::draw_counts(&patients, TESTS, 0, options.seed);
    let path = options.out.join("split.json");
    write_atomic(&path, split.to_json()?.as_bytes())?;
    Ok(path)
}

/// Settings of a pre-training run of `steps` steps and a fine-tuning run of `fine_steps` steps, small enough for a few
/// minutes on two cores. Fine-tuning has the default learning rate and schedule.
pub fn configs(sample: &Path, seed: u64, steps: usize, fine_steps: usize) -> Result<(Config, Config)> {
    let mut pretrain = preset("amlp-plus", &["pet".to_string()])?;
    // For display. Without CCL the new labels only affect the masking order.
    pretrain.method.relabel = true;
    pretrain.seed = seed;
    pretrain.data.cohort = sample.to_path_buf();
    pretrain.preprocess.spacing = Spacing::Millimetres([3.0; 3]);
    pretrain.preprocess.size = 64;
    pretrain.network.width = 8;
    pretrain.training.steps = steps;
    pretrain.training.batch = 8;
    pretrain.training.every_slice = 4;
    pretrain.training.lr = 3e-3;
    pretrain.training.shift_px = 13;
    let mut finetune = Config::finetune();
    finetune.seed = seed;
    finetune.data = pretrain.data.clone();
    finetune.preprocess = pretrain.preprocess.clone();
    finetune.network = pretrain.network.clone();
    finetune.training.steps = fine_steps;
    finetune.training.batch = 8;
    finetune.training.shift_px = 13;
    finetune.labels.labels = LABELLED.to_string();
    finetune.labels.draw = LABEL_DRAW;
    Ok((pretrain, finetune))
}

/// The recorded slices as trained on, each with its updates.
fn probes_of(job: &PretrainJob, chosen: &[usize], updates: &[Probe]) -> Result<Vec<RecordedSlice>> {
    let recorded = |i: &usize| {
        let pin: Pin = job.slices.name(*i).parse()?;
        let is_own = |probe: &&Probe| probe.case == pin.case && probe.slice == pin.slice;
        let updates = updates.iter().filter(is_own).cloned().collect();
        let name = slice_name(&job.config, &pin.case, pin.slice as usize)?;
        Ok(RecordedSlice { name, pixels: job.slices.pixels(*i)?, updates })
    };
    chosen.iter().map(recorded).collect()
}

/// Fits the baselines to the labelled training patients only.
fn fit_baselines(labelled: Vec<(String, Volume, LabelVolume)>) -> (Threshold, Ellipsoid) {
    let cases: Vec<(Volume, LabelVolume)> = labelled.into_iter().map(|(_, image, label)| (image, label)).collect();
    (Threshold::tune(&cases), Ellipsoid::fit(cases.iter().map(|(_, label)| label)))
}

fn score(held_out: &[HeldOutPatient]) -> Result<Vec<MethodScores>> {
    let names = held_out.first().map_or(0, |h| h.masks.len());
    (0..names)
        .map(|m| {
            let cases = held_out
                .iter()
                .map(|h| {
                    let reference: Vec<bool> = (0..h.reference.grid.len()).map(|i| h.reference.get(i) > 0).collect();
                    let measures = measure(&h.masks[m].1, &reference, &h.reference.grid, &MetricOptions::default())?;
                    Ok(CaseScore::new(&h.id, &measures))
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(MethodScores::new(held_out[0].masks[m].0.clone(), cases))
        })
        .collect()
}

/// Compares the methods in sentences.
fn verdict(methods: &[MethodScores], convergence: &[Convergence]) -> Vec<String> {
    let [model, random, threshold, ellipsoid] = methods else { return Vec::new() };
    let against = |other: &MethodScores, what: &str| {
        let better = model.cases.iter().zip(&other.cases).filter(|(m, o)| m.dsc > o.dsc).count();
        let word = if model.mean_dsc > other.mean_dsc { "beats" } else { "does not beat" };
        format!(
            "The fine-tuned model {word} the {what}: mean DSC {:.3} vs {:.3}, better in {better} of {}.",
            model.mean_dsc,
            other.mean_dsc,
            plural(model.cases.len(), "patient", "patients")
        )
    };
    let fits: Vec<String> = convergence.iter().map(|c| format!("{:.2}", c.training_dice)).collect();
    let converged = convergence.iter().all(|c| c.converged);
    let which = if converged { "Both networks have" } else { "At least one network has not" };
    vec![
        against(threshold, "tuned SUV threshold"),
        against(ellipsoid, "ellipsoid"),
        format!(
            "Mean DSC is {:.3} with pre-training and {:.3} from random weights, with the same labels and steps. One draw on a \
             handful of patients proves nothing: another seed may reverse the order.",
            model.mean_dsc, random.mean_dsc
        ),
        format!("{which} converged: training Dice {}.", fits.join(" and ")),
    ]
}

/// Stopwatch for the parts of the demo.
struct Clock {
    last: Instant,
    laps: Vec<(String, f64)>,
}

impl Clock {
    fn new() -> Self {
        Self { last: Instant::now(), laps: Vec::new() }
    }

    fn lap(&mut self, name: &str) {
        self.laps.push((name.into(), self.last.elapsed().as_secs_f64()));
        self.last = Instant::now();
    }
}

/// Name, image and reference of patients. The reference is on the image's grid.
fn read_patients(cohort: &Cohort, ids: &[String], modality: &[String]) -> Result<Vec<(String, Volume, LabelVolume)>> {
    let selection = cohort.select(ids, modality);
    selection.require_complete()?;
    let read = |case: &Case| {
        let (images, label) = read_case(case, modality, true, &MaskOptions::default())?;
        let image = images.into_iter().next().ok_or_else(|| Error::config("case", &case.id, "has no image"))?;
        let label = label
            .ok_or_else(|| Error::config("case", &case.id, "has no reference mask. Choose patients that have one"))?;
        let label = label.on_grid(&image.grid);
        Ok((case.id.clone(), image, label))
    };
    selection.cases.iter().map(read).collect()
}
