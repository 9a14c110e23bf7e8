//! The configuration of a run, as stored in `config.toml` with every default written out.

mod check;
mod numbers;
mod pin;
mod preset;
mod recipe;
mod training;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cluster::ClusterConfig;
use crate::cohort::label_budget::{LabelBudget, LabelDraw};
use crate::cohort::{Cohort, DiscoverOptions, NamePattern};
use crate::device::DeviceList;
use crate::event::Stage;
use crate::model::UNetConfig;
use crate::preprocess::{LabelUse, PreprocessConfig, SliceFilter, StoreOptions, Targets};
use crate::pretrain::amlp::amr::MaskRatio;
use crate::pretrain::amlp::arl::Attention;
use crate::pretrain::amlp::ccl::Consistency;
use crate::pretrain::amlp::choice::ForegroundChoice;
use crate::pretrain::amlp::mps::Order;
use crate::pretrain::amlp::relabel::Anchor;
use crate::words::of_serde;
use crate::{Error, ErrorKind, Result};

pub use numbers::{Number, parse_number};
pub use pin::Pin;
pub use preset::{FINETUNE_PRESETS, Family, PRESETS, Preset, finetune_preset, preset};
pub use recipe::{AugmentConfig, LossConfig, MaskConfig};
pub use training::{Schedule, TrainingConfig};

/// Version of the format of `config.toml`.
pub const VERSION: u32 = 1;

/// Settings that earlier versions wrote and that never affected results. They are ignored in stored files. `read_every` was the
/// interval at which losses were read; `learned_fill` follows from `method.fill`.
const RETIRED: [(&str, &str); 2] = [("training", "read_every"), ("network", "learned_fill")];

/// All settings of a run. The same configuration on the same data gives the same result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Format version of this file.
    pub version: u32,
    /// Pre-training or fine-tuning.
    pub stage: Stage,
    /// Name of the preset that these settings started from.
    pub preset: String,
    /// Seed of every random decision.
    pub seed: u64,
    /// Device, or several that share each batch: `cuda:0,cuda:1`.
    pub device: DeviceList,
    /// CPU threads; 0 uses all cores.
    pub threads: usize,
    /// The cohort.
    pub data: DataConfig,
    /// Preprocessing of scans to slices.
    pub preprocess: PreprocessConfig,
    /// Width, depth and normalisation of the network.
    pub network: UNetConfig,
    /// Schedule and optimiser.
    pub training: TrainingConfig,
    /// Masking and its losses (pre-training).
    pub method: MethodConfig,
    /// Labels and augmentation (fine-tuning).
    pub labels: LabelConfig,
}

/// The training data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// The cohort's folder.
    pub cohort: PathBuf,
    /// Modalities, one per channel.
    pub modality: Vec<String>,
    /// File names of the reference masks, such as `*_annotation`; absent: recognised by name and values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_name: Option<NamePattern>,
    /// Frame of 4-D images, from 0; absent: 4-D images are refused unless `dataset.json` names their channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<usize>,
    /// Targets made from the labels.
    pub targets: Targets,
    /// MiB of slices kept in memory; the rest goes to a temporary file.
    pub memory_mib: u64,
    /// Folder that keeps preprocessed cases between runs; empty for none.
    pub cache: PathBuf,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            cohort: PathBuf::new(),
            modality: Vec::new(),
            label_name: None,
            frame: None,
            targets: Targets::Binary,
            memory_mib: 4096,
            cache: PathBuf::new(),
        }
    }
}

impl DataConfig {
    /// How the cohort's files are interpreted.
    pub fn discover_options(&self) -> DiscoverOptions {
        DiscoverOptions { label_name: self.label_name.clone(), frame: self.frame }
    }

    /// Finds the scans of the cohort.
    ///
    /// # Errors
    /// As [`Cohort::discover`].
    pub fn discover(&self) -> Result<Cohort> {
        Cohort::discover_with(&self.cohort, &self.discover_options())
    }
}

/// Fill of masked pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskFill {
    /// 0.
    #[default]
    Zero,
    /// Mask token: one number trained with the network.
    Learned,
    /// N(0, 1), drawn for every sample.
    Noise,
}

/// Pre-training method, by the name of its preset. All methods except AMLP ignore the rest of [`MethodConfig`], apart from
/// `numbers`, `report_recall` and `probes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pretext {
    /// Adaptive masking of lesion patches, and its ablations down to `base` (MAE).
    #[default]
    Amlp,
    /// A method of the calling program, registered with [`crate::pretrain::register`].
    #[serde(rename = "own")]
    Custom,
    /// Mask token on 60 % of 32 px units, masked L1 through a pixel head.
    #[serde(rename = "simmim")]
    SimMim,
    /// Mask token on 40 % of the cells in blocks; predicts their oriented gradients.
    #[serde(rename = "maskfeat")]
    MaskFeat,
    /// Hides cells from every level of the encoder; predicts normalised patches.
    #[serde(rename = "convmae")]
    ConvMae,
    /// One visible patch in four, a quarter of these under a mask token; predicts normalised patches.
    UmMae,
    /// Mask token on foreground pixels; predicts the slice's spectrum.
    #[serde(rename = "fremae")]
    FreMae,
    /// Predicts the centre square from its surroundings.
    ContextEncoder,
    /// Predicts the codes of masked cells, from a tokenizer of a teacher's features.
    BeitV2,
    /// Predicts pixels, and the features of a moving-average teacher that sees the whole slice.
    #[serde(rename = "bootmae")]
    BootMae,
    /// Masks the patches that a moving-average teacher finds hard, with a loss that ranks patches by hardness.
    Hpm,
    /// Masks the patches that a moving-average teacher attends to.
    #[serde(rename = "attmask")]
    AttMask,
    /// Distinguishes two views of a slice from those of others (NT-Xent).
    #[serde(rename = "simclr")]
    SimClr,
    /// Identifies a view's slice among a queue of earlier ones.
    Moco,
    /// Predicts the other view's embedding by a moving average of the network.
    Byol,
    /// Predicts the assignment of one crop to prototypes from another crop.
    Swav,
}

/// The pre-training method and its settings (sections 3.1 to 3.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MethodConfig {
    /// The method.
    pub pretext: Pretext,
    /// Parameters of the method, by name; see [`crate::pretrain::numbers`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<String, f64>,
    /// Patches per side; 16 gives the paper's N = 256 patches.
    pub grid: usize,
    /// Clustering of the patches (MPS).
    pub cluster: ClusterConfig,
    /// How the foreground cluster is chosen: by the rule of `cluster` in each slice, or once for the cohort without labels.
    pub foreground_choice: ForegroundChoice,
    /// Order in which patches are masked.
    pub order: Order,
    /// Masking ratio (AMR, Eq. 9).
    pub ratio: MaskRatio,
    /// Fill of masked pixels.
    pub fill: MaskFill,
    /// How the masked patches are drawn, and what the network sees of them.
    pub mask: MaskConfig,
    /// Attention reconstruction loss (ARL, Eq. 6).
    pub attention: Attention,
    /// Category consistency loss (CCL, Eq. 7).
    pub consistency: Consistency,
    /// Weight of the category consistency loss.
    pub lambda: f64,
    /// Temperature of the consistency logits; 0 uses the squared distance of the centres per pixel.
    pub consistency_temperature: f64,
    /// Which reconstruction errors count, and how much.
    pub loss: LossConfig,
    /// Augmentation.
    pub augment: AugmentConfig,
    /// Updates the patch labels every period (section 3.3).
    pub relabel: bool,
    /// Epochs between two label updates; 0 uses max(1, epochs / 20).
    pub period: usize,
    /// Meaning of `label_ori` (section 3.3).
    pub anchor: Anchor,
    /// Read the masks of training patients to log how many lesion patches are masked. They are never trained on.
    pub report_recall: bool,
    /// Epochs between two reconstructions of the split's validation patients, whose loss is logged; 0 never reconstructs them.
    pub validate_every: usize,
    /// Slices pinned when a run starts: `PATIENT:SLICE`, where SLICE is the preprocessed slice, from 0. Both stages record
    /// them at every epoch.
    pub probes: Vec<String>,
}

impl Default for MethodConfig {
    fn default() -> Self {
        Self {
            pretext: Pretext::Amlp,
            numbers: BTreeMap::new(),
            grid: 16,
            cluster: ClusterConfig::default(),
            foreground_choice: ForegroundChoice::Rule,
            order: Order::default(),
            ratio: MaskRatio::default(),
            fill: MaskFill::Zero,
            mask: MaskConfig::default(),
            attention: Attention::Weighted,
            consistency: Consistency::Logit,
            lambda: 1.0,
            consistency_temperature: 0.0,
            loss: LossConfig::default(),
            augment: AugmentConfig::default(),
            relabel: true,
            period: 0,
            anchor: Anchor::default(),
            report_recall: true,
            validate_every: 0,
            probes: Vec::new(),
        }
    }
}

impl MethodConfig {
    /// Epochs between two label updates in a run of `epochs`.
    pub fn period(&self, epochs: usize) -> usize {
        if self.period > 0 { self.period } else { (epochs / 20).max(1) }
    }
}

/// Labels and augmentation of fine-tuning (section 4.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting by itself")]
pub struct LabelConfig {
    /// Run to start from; empty for random weights. A pre-training run transfers what its method defines, a fine-tuning run
    /// the whole network.
    pub from: PathBuf,
    /// Start from that fine-tuning run's best network on the validation patients, not its last.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub from_best: bool,
    /// Folder of corrected masks, which replace those of the training patients; see [`crate::cohort::corrections`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrections: Option<PathBuf>,
    /// Transfers only the encoder, even if the pre-training run trained the decoder.
    pub encoder_only: bool,
    /// Batches of unmasked slices of all training patients, labelled or not, on which batch norm re-estimates its running
    /// statistics before the first step; 0 keeps those of the pre-training run.
    pub norm_batches: usize,
    /// Labelled training patients: `5%`, a number, `all`, or by name: `patients:ID,ID`.
    pub labels: String,
    /// How a percentage or a number of labelled patients is drawn.
    pub draw: LabelDraw,
    /// Also draw patients whose mask has no lesion.
    pub any: bool,
    /// Fraction of training slices without lesion; the paper uses 0.
    pub negative_slices: f64,
    /// Epochs between two validations on the split's validation patients; 0 never validates.
    pub validate_every: usize,
    /// Flips along R and A.
    pub flip: bool,
    /// Largest rotation in degrees.
    pub rotate_deg: f64,
    /// Largest change of scale, as a fraction.
    pub scale: f64,
    /// Largest change of contrast (fraction) and brightness (standard deviations).
    pub intensity: f64,
}

impl LabelConfig {
    /// Which training patients are labelled.
    ///
    /// # Errors
    /// If `labels` is not a percentage, number or list of patients.
    pub fn budget(&self) -> Result<LabelBudget> {
        Ok(LabelBudget { share: self.labels.parse()?, draw: self.draw, any: self.any })
    }
}

impl Default for LabelConfig {
    fn default() -> Self {
        Self {
            from: PathBuf::new(),
            from_best: false,
            corrections: None,
            encoder_only: false,
            norm_batches: 0,
            labels: "5%".into(),
            draw: LabelDraw::Random,
            any: false,
            negative_slices: 0.3,
            validate_every: 0,
            flip: true,
            rotate_deg: 10.0,
            scale: 0.1,
            intensity: 0.1,
        }
    }
}

impl Default for Config {
    /// The paper's pre-training.
    fn default() -> Self {
        Self {
            version: VERSION,
            stage: Stage::Pretrain,
            preset: "amlp".into(),
            seed: 0,
            device: DeviceList::default(),
            threads: 0,
            data: DataConfig::default(),
            preprocess: PreprocessConfig::default(),
            network: UNetConfig::default(),
            training: TrainingConfig::default(),
            method: MethodConfig::default(),
            labels: LabelConfig::default(),
        }
    }
}

impl Config {
    /// The default fine-tuning: a learning rate and a length with which the training Dice converges on a few labelled patients,
    /// slices without lesion, and augmentation. [`finetune_preset`] also has the paper's.
    pub fn finetune() -> Self {
        Self {
            stage: Stage::Finetune,
            preset: "finetune".into(),
            training: TrainingConfig { lr: 1e-2, warmup: 0.05, min_steps: 400, ..TrainingConfig::paper_finetuning() },
            ..Self::default()
        }
    }

    /// These settings overridden by a TOML text; unknown settings are errors.
    pub fn overlay(&self, text: &str, path: &Path) -> Result<Self> {
        let over = parse(text, path)?;
        let mut table = toml::Table::try_from(self).map_err(|e| Error::file(path, e.to_string()))?;
        merge(&mut table, over);
        table.try_into().map_err(|error: toml::de::Error| setting_error(&error, path))
    }

    /// Reads a whole `config.toml`; `path` is for the error.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let mut table = parse(text, path)?;
        let found = table.get("version").map_or_else(|| "absent".to_string(), ToString::to_string);
        if found != VERSION.to_string() {
            let (path, supported) = (path.to_path_buf(), VERSION.to_string());
            return Err(ErrorKind::Version { path, found, supported }.into());
        }
        // A single setting may be newer than the file. A whole section is missing only from a truncated file, and defaults in
        // its place would silently change the preprocessing or the network.
        let whole = toml::Table::try_from(Self::default()).map_err(|e| Error::file(path, e.to_string()))?;
        if let Some(absent) = whole.keys().find(|key| !table.contains_key(*key)) {
            return Err(Error::file(path, format!("is incomplete: [{absent}] is missing")));
        }
        // Files without this setting are older than it. Those runs drew their labelled patients stratified.
        if let Some(toml::Value::Table(labels)) = table.get_mut("labels")
            && !labels.contains_key("draw")
        {
            labels.insert("draw".into(), "stratified".into());
        }
        for (section, setting) in RETIRED {
            table.get_mut(section).and_then(toml::Value::as_table_mut).map(|section| section.remove(setting));
        }
        let config: Self = table.try_into().map_err(|error: toml::de::Error| setting_error(&error, path))?;
        config.validate().map_err(|error| Error::file(path, error.to_string()))?;
        Ok(config)
    }

    /// The text of `config.toml`, every setting written out.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| Error::config("config", "", e.to_string()))
    }

    /// The same settings without paths, device, thread count and pinned patients. They suffice to segment, but not to train.
    #[must_use]
    pub fn portable(&self) -> Self {
        let mut config = self.clone();
        config.data.cohort = PathBuf::new();
        config.data.cache = PathBuf::new();
        config.labels.from = PathBuf::new();
        config.labels.corrections = None;
        config.method.probes = Vec::new();
        (config.device, config.threads) = (DeviceList::default(), 0);
        config
    }

    /// How slices are preprocessed and stored. Slices that do not fit into memory go to `spill_folder`.
    pub fn store_options(&self, labels: LabelUse, spill_folder: &Path) -> StoreOptions {
        StoreOptions {
            modalities: self.data.modality.clone(),
            labels,
            targets: self.data.targets,
            config: self.preprocess.clone(),
            margin: self.training.shift_px,
            keep: SliceFilter::NonZero,
            memory_budget: self.data.memory_mib << 20,
            spill_folder: spill_folder.to_path_buf(),
            cache: (!self.data.cache.as_os_str().is_empty()).then(|| self.data.cache.clone()),
            seed: self.seed,
        }
    }
}

fn parse(text: &str, path: &Path) -> Result<toml::Table> {
    text.parse().map_err(|error: toml::de::Error| toml_error(&error, text, path))
}

/// The error of a TOML text, with its line.
pub(crate) fn toml_error(error: &toml::de::Error, text: &str, path: &Path) -> Error {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
    Error::file(path, format!("line {line}: {}", of_serde(error.message())))
}

/// The error of a table of settings. It has no line, but names the setting, or the section of an unknown key.
fn setting_error(error: &toml::de::Error, path: &Path) -> Error {
    let text = error.to_string();
    let named = text.trim_end().strip_suffix('`').and_then(|text| text.rsplit_once("\nin `"));
    let why = named
        .map_or_else(|| of_serde(error.message()), |(message, setting)| format!("{setting}: {}", of_serde(message)));
    Error::file(path, why)
}

/// Merges `over` into `table`, table by table.
fn merge(table: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => merge(inner, value),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
