//! Flags that `pretrain`, `finetune` and `compare` share, and how they override the settings.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::files::FileFlags;
use super::masks::MaskFlags;
use super::progress::Progress;
use crate::cohort::Selection;
use crate::cohort::label_budget::LabelDraw;
use crate::config::{Config, LabelConfig};
use crate::device::DeviceList;
use crate::event::{EventSink, Fanout};
use crate::jobs::{Start, stored_config};
use crate::model::{Norm, Precision};
use crate::preprocess::{CtOffset, LabelMap, Spacing, Targets};
use crate::run::history::RunState;
use crate::run::tensorboard::TensorBoard;
use crate::run::{History, RunFolder};
use crate::{Error, Result};

/// Keeps what a command requires out of the help's section of options of both stages.
const NO_HEADING: Option<&str> = None;

/// Settings of a run. Each flag overrides the preset and the files of `--config`.
#[derive(Clone, clap::Args)]
pub struct TrainingFlags {
    /// Folder of patients.
    #[arg(help_heading = NO_HEADING)]
    pub cohort: PathBuf,
    /// Modality, or several separated by commas, one per channel.
    #[arg(long, value_name = "M", value_delimiter = ',', required = true, help_heading = NO_HEADING, display_order = 0)]
    pub modality: Vec<String>,
    /// Folder to create for the results.
    #[arg(long, value_name = "RUN", help_heading = NO_HEADING, display_order = 0)]
    pub out: PathBuf,
    /// TOML file with settings named as in a run's config.toml. Repeatable; later files override earlier ones.
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Use the split in this file instead of drawing or inheriting one.
    #[arg(long, value_name = "FILE")]
    pub split: Option<PathBuf>,
    /// Number of epochs.
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Number of steps; replaces the length in epochs.
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Slices per step.
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Learning rate.
    #[arg(long, value_name = "X")]
    pub lr: Option<f64>,
    /// Weight decay.
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Clip the gradient of a step to this norm; 0: no clipping.
    #[arg(long, value_name = "X")]
    pub clip_norm: Option<f64>,
    /// Learning rate of a layer relative to the next layer towards the output; 1: equal rates.
    #[arg(long, value_name = "X")]
    pub layer_decay: Option<f64>,
    /// Keep a moving average of the weights with this decay, and validate and save that; 0: off.
    #[arg(long, value_name = "X")]
    pub ema_decay: Option<f64>,
    /// Channels of the network's first level.
    #[arg(long, value_name = "N")]
    pub width: Option<usize>,
    /// Number of poolings in the network.
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Normalisation: batch, instance or none.
    #[arg(long, value_name = "NAME", value_parser = parse_word::<Norm>)]
    pub norm: Option<Norm>,
    /// Side of the square training crop in pixels.
    #[arg(long, value_name = "PX")]
    pub size: Option<usize>,
    /// Spacing: iso (1 mm), native, or three numbers in mm such as 1,1,3.
    #[arg(long, value_name = "MM")]
    pub spacing: Option<Spacing>,
    #[command(flatten)]
    pub masks: MaskFlags,
    /// Add this offset to a CT whose values cannot be Hounsfield units; 0: use the values as they are.
    #[arg(long, value_name = "HU", allow_hyphen_values = true)]
    pub ct_offset: Option<f64>,
    /// Segmentation targets: binary (any label is lesion) or regions (WT, TC, ET).
    #[arg(long, value_name = "NAME", value_parser = parse_word::<Targets>)]
    pub targets: Option<Targets>,
    /// Meaning of the labels for --targets regions, such as 1=NCR,2=ED,3=ET,4=RC [default: from the cohort, else a guess].
    #[arg(long, value_name = "MAP")]
    pub label_map: Option<LabelMap>,
    /// Largest random shift of the training crop in pixels.
    #[arg(long, value_name = "PX")]
    pub shift: Option<usize>,
    /// Seed of every random decision.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub device: DeviceFlags,
    /// Precision of the convolutions: f32, or bf16 if the device supports it.
    #[arg(long, value_name = "NAME", value_parser = parse_word::<Precision>)]
    pub precision: Option<Precision>,
    /// Folder that keeps preprocessed patients between runs.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    #[command(flatten)]
    pub files: FileFlags,
    /// Print the report as one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Where a run computes. Does not change what it computes.
#[derive(Clone, clap::Args)]
pub struct DeviceFlags {
    /// Device: auto, cpu, wgpu[:i] or cuda[:i]. Devices separated by commas share each batch.
    #[arg(long, value_name = "D")]
    device: Option<DeviceList>,
    /// CPU threads; 0: all cores.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Slices per forward pass, with gradient accumulation over the batch; 0: the whole batch.
    #[arg(long, value_name = "N")]
    micro_batch: Option<usize>,
    /// Memory for slices in MiB; the rest goes to a temporary file in the run folder.
    #[arg(long, value_name = "N")]
    memory_mib: Option<u64>,
}

impl DeviceFlags {
    /// Overrides the settings whose flags were passed.
    pub fn apply_to(&self, config: &mut Config) {
        put(&mut config.device, self.device.clone());
        put(&mut config.threads, self.threads);
        put(&mut config.training.micro_batch, self.micro_batch);
        put(&mut config.data.memory_mib, self.memory_mib);
    }
}

/// How the labelled patients are chosen.
#[derive(clap::Args)]
pub struct LabelFlags {
    /// Labelled training patients: a percentage, a number, all, or patients:ID,ID [default: 5%].
    #[arg(long, value_name = "LABELS")]
    labels: Option<String>,
    /// How the labelled patients are drawn [default: random].
    #[arg(long, value_name = "HOW", value_enum)]
    label_draw: Option<LabelDraw>,
    /// Draw the labelled patients also among those with an empty mask.
    #[arg(long)]
    labels_any: bool,
}

impl LabelFlags {
    /// Overrides the settings.
    pub fn apply(&self, settings: &mut LabelConfig) {
        put(&mut settings.labels, self.labels.clone());
        put(&mut settings.draw, self.label_draw);
        settings.any |= self.labels_any;
    }
}

/// Flags of a command that trains a single run.
#[derive(clap::Args)]
pub struct RunFlags {
    /// Resume the run in --out.
    #[arg(long)]
    pub resume: bool,
    /// Print the estimated time and memory, then exit.
    #[arg(long)]
    pub dry_run: bool,
    /// Also write TensorBoard event files to the folder tensorboard of the run.
    #[arg(long)]
    pub tensorboard: bool,
}

/// What a single run prints, and what it writes besides the run folder.
#[derive(Clone, Copy, clap::Args)]
pub struct Output {
    /// Also write TensorBoard event files to the folder tensorboard of the run.
    #[arg(long)]
    pub tensorboard: bool,
    /// Print the report as one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Calls `train` with a sink that shows progress. The sink also writes TensorBoard event files if requested or if the run
/// already has some.
pub fn with_progress<R>(output: Output, run: &Path, train: impl FnOnce(&mut dyn EventSink) -> Result<R>) -> Result<R> {
    let (mut progress, mut board) = (Progress::new(), TensorBoard::new(run));
    let mut sinks: Vec<&mut dyn EventSink> = vec![&mut progress];
    if output.tensorboard || TensorBoard::exists(run) {
        sinks.push(&mut board);
    }
    train(&mut Fanout(sinks))
}

/// The stored report if the run in `out` is finished, otherwise `None`.
pub fn finished_report<R: DeserializeOwned>(out: &Path) -> Result<Option<R>> {
    if !RunFolder::is_run(out) || History::read(out)?.state != RunState::Finished {
        return Ok(None);
    }
    let report = RunFolder::open(out)?.read_report()?;
    eprintln!("amlp: {} is finished. There is nothing to resume", out.display());
    Ok(Some(report))
}

impl RunFlags {
    /// True if a run in `out` exists and is to be resumed.
    pub fn resumes(&self, out: &Path) -> bool {
        self.resume && RunFolder::is_run(out)
    }

    /// The stored settings if the run in `out` is to be resumed, otherwise `defaults`.
    pub fn start_from(&self, out: &Path, defaults: Config) -> Result<Config> {
        if self.resumes(out) { stored_config(out) } else { Ok(defaults) }
    }

    /// The output flags.
    pub fn output(&self, shared: &TrainingFlags) -> Output {
        Output { json: shared.json, tensorboard: self.tensorboard }
    }

    /// How the job opens its run folder.
    pub fn start<'a>(&self, shared: &'a TrainingFlags) -> Start<'a> {
        Start { resume: self.resume, split: shared.split.as_deref(), dry: self.dry_run, strict: shared.files.strict }
    }
}

impl TrainingFlags {
    /// Overrides `config` by the files of `--config`, then by the flags.
    pub fn resolve(&self, mut config: Config) -> Result<Config> {
        for path in &self.config {
            let text = read_small(path)?;
            config = config.overlay(&text, path)?;
        }
        config.data.cohort = std::path::absolute(&self.cohort).map_err(Error::io("find", &self.cohort))?;
        config.data.modality.clone_from(&self.modality);
        put(&mut config.data.label_name, self.files.label_name.clone().map(Some));
        put(&mut config.data.frame, self.files.frame.map(Some));
        let t = &mut config.training;
        put(&mut t.epochs, self.epochs);
        if self.epochs.is_some() {
            // An explicit number of epochs is exact.
            (t.steps, t.min_steps) = (0, 0);
        }
        put(&mut t.steps, self.steps);
        put(&mut t.batch, self.batch);
        put(&mut t.precision, self.precision);
        put(&mut t.lr, self.lr);
        put(&mut t.weight_decay, self.weight_decay);
        put(&mut t.clip_norm, self.clip_norm);
        put(&mut t.layer_decay, self.layer_decay);
        put(&mut t.ema_decay, self.ema_decay);
        put(&mut t.shift_px, self.shift);
        put(&mut config.network.width, self.width);
        put(&mut config.network.depth, self.depth);
        put(&mut config.network.norm, self.norm);
        put(&mut config.preprocess.size, self.size);
        put(&mut config.preprocess.spacing, self.spacing);
        put(&mut config.preprocess.ct_offset, self.ct_offset.map(CtOffset::Hu));
        put(&mut config.preprocess.grid_tolerance_mm, self.masks.grid_tolerance);
        put(&mut config.preprocess.mask_threshold, self.masks.threshold);
        put(&mut config.preprocess.label_map, self.label_map.clone());
        put(&mut config.data.targets, self.targets);
        put(&mut config.data.cache, self.cache.clone());
        put(&mut config.seed, self.seed);
        self.device.apply_to(&mut config);
        Ok(config)
    }
}

/// Sets `setting` if the flag was passed.
pub fn put<T>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}

/// Prints how many scans are used if none is left out. Otherwise the run itself warns.
pub fn print_if_complete(selection: &Selection) {
    if selection.is_complete() {
        eprintln!("amlp: {selection}");
    }
}

/// Reads a settings file of at most 1 MiB.
fn read_small(path: &Path) -> Result<String> {
    let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
    if length > 1 << 20 {
        return Err(Error::file(path, format!("is not a settings file: {length} bytes, more than 1 MiB")));
    }
    std::fs::read_to_string(path).map_err(Error::io("read", path))
}

/// Parses an enum value as it is written in `config.toml`.
pub fn parse_word<T: DeserializeOwned>(word: &str) -> std::result::Result<T, String> {
    use serde::de::IntoDeserializer;
    let word: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
    T::deserialize(word).map_err(|e| e.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::event::{Event, Stage};

    /// `amlp resume` must not require `--tensorboard` again.
    #[test]
    fn a_run_with_event_files_keeps_writing_them() {
        let temp = tempfile::tempdir().unwrap();
        let started = Event::Started {
            stage: Stage::Finetune,
            epochs: 2,
            steps_per_epoch: 3,
            slices: 4,
            parameters: 5,
            device: "cpu".into(),
            first_epoch: 2,
        };
        let files = |run: &Path| std::fs::read_dir(run.join("tensorboard")).map_or(0, Iterator::count);
        for (exists, expected) in [(false, 0), (true, 1)] {
            let run = temp.path().join(exists.to_string());
            std::fs::create_dir_all(if exists { run.join("tensorboard") } else { run.clone() }).unwrap();
            with_progress(Output { json: false, tensorboard: false }, &run, |sink| sink.event(&started)).unwrap();
            assert_eq!(files(&run), expected);
        }
    }
}
