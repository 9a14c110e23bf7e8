//! What `pretrain` and `finetune` have in common: flags over settings.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::device::DeviceList;
use crate::model::{Norm, Precision};
use crate::preprocess::{Spacing, Targets};
use crate::run::RunFolder;
use crate::{Error, Result};

/// Flags of both trainings. Each overrides the preset and the file of `--config`.
#[derive(clap::Args)]
pub struct Shared {
    /// Folder of patients.
    pub cohort: PathBuf,
    /// Modality, or several separated by commas, one a channel.
    #[arg(long, value_delimiter = ',', required = true)]
    pub modality: Vec<String>,
    /// Run folder to make (or, with --resume, to go on in).
    #[arg(long)]
    pub out: PathBuf,
    /// TOML file of settings, named as in a run's config.toml.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Split file instead of drawing or inheriting one.
    #[arg(long)]
    pub split: Option<PathBuf>,
    /// Go on with the run in --out.
    #[arg(long)]
    pub resume: bool,
    /// Print what the training would take, and stop.
    #[arg(long)]
    pub dry_run: bool,
    /// Epochs.
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Steps in all, instead of epochs.
    #[arg(long)]
    pub steps: Option<usize>,
    /// Slices a step.
    #[arg(long)]
    pub batch: Option<usize>,
    /// Learning rate.
    #[arg(long)]
    pub lr: Option<f64>,
    /// Weight decay.
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// Channels of the network's first level.
    #[arg(long)]
    pub width: Option<usize>,
    /// Poolings of the network.
    #[arg(long)]
    pub depth: Option<usize>,
    /// Normalisation: batch, instance or none.
    #[arg(long, value_parser = parse_norm)]
    pub norm: Option<Norm>,
    /// Side of the training crop in pixels.
    #[arg(long)]
    pub size: Option<usize>,
    /// Voxel size: iso (1 mm), native, or three sizes in mm such as 1,1,3.
    #[arg(long)]
    pub spacing: Option<Spacing>,
    /// What labels are turned into: binary, or regions (WT, TC, ET).
    #[arg(long, value_parser = parse_targets)]
    pub targets: Option<Targets>,
    /// Largest random shift in pixels.
    #[arg(long)]
    pub shift: Option<usize>,
    /// Seed of every random decision.
    #[arg(long)]
    pub seed: Option<u64>,
    /// auto, cpu, wgpu[:i] or cuda[:i]; several separated by commas share each batch.
    #[arg(long)]
    pub device: Option<DeviceList>,
    /// Slices that go through the network at once, their gradients added up to those of the batch; 0 for the whole batch.
    #[arg(long)]
    pub micro_batch: Option<usize>,
    /// Precision of the convolutions: f32, or bf16 where the device has it.
    #[arg(long, value_parser = parse_word::<Precision>)]
    pub precision: Option<Precision>,
    /// Threads of the CPU; 0 takes all cores.
    #[arg(long)]
    pub threads: Option<usize>,
    /// MiB of slices that may stay in memory; more goes to a file in the run folder.
    #[arg(long)]
    pub memory_mib: Option<u64>,
    /// Folder that keeps prepared patients between runs.
    #[arg(long)]
    pub cache: Option<PathBuf>,
    /// Print the report as one JSON document.
    #[arg(long)]
    pub json: bool,
}

impl Shared {
    /// The stored settings if a run is to be resumed, else `fresh`; then the file, then the flags.
    pub fn settle(&self, fresh: Config) -> Result<Config> {
        let mut config = fresh;
        if self.resume && RunFolder::is_run(&self.out) {
            let run = RunFolder::open(&self.out)?;
            config = Config::from_toml(&run.config_text()?, &run.config_path())?;
        }
        if let Some(path) = &self.config {
            let text = read_small(path)?;
            config = config.overlay(&text, path)?;
        }
        config.data.cohort = std::path::absolute(&self.cohort).map_err(Error::io("find", &self.cohort))?;
        config.data.modality.clone_from(&self.modality);
        let t = &mut config.training;
        put(&mut t.epochs, self.epochs);
        if self.epochs.is_some() {
            t.steps = 0;
        }
        put(&mut t.steps, self.steps);
        put(&mut t.batch, self.batch);
        put(&mut t.micro_batch, self.micro_batch);
        put(&mut t.precision, self.precision);
        put(&mut t.lr, self.lr);
        put(&mut t.weight_decay, self.weight_decay);
        put(&mut t.shift_px, self.shift);
        put(&mut config.network.width, self.width);
        put(&mut config.network.depth, self.depth);
        put(&mut config.network.norm, self.norm);
        put(&mut config.preprocess.size, self.size);
        put(&mut config.preprocess.spacing, self.spacing);
        put(&mut config.data.targets, self.targets);
        put(&mut config.data.memory_mib, self.memory_mib);
        put(&mut config.data.cache, self.cache.clone());
        put(&mut config.seed, self.seed);
        put(&mut config.device, self.device.clone());
        put(&mut config.threads, self.threads);
        Ok(config)
    }
}

/// Sets a value if the flag was given.
pub fn put<T>(place: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *place = value;
    }
}

/// Reads a settings file of at most a mebibyte.
fn read_small(path: &Path) -> Result<String> {
    let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
    if length > 1 << 20 {
        return Err(Error::file(path, format!("is {length} bytes: not a file of settings")));
    }
    std::fs::read_to_string(path).map_err(Error::io("read", path))
}

/// Parses a word as the configuration file writes it.
pub fn parse_word<T: serde::de::DeserializeOwned>(word: &str) -> std::result::Result<T, String> {
    use serde::de::IntoDeserializer;
    let word: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
    T::deserialize(word).map_err(|e| e.to_string())
}

fn parse_norm(word: &str) -> std::result::Result<Norm, String> {
    parse_word(word)
}

fn parse_targets(word: &str) -> std::result::Result<Targets, String> {
    parse_word(word)
}
