//! Presets of the form: applying them, and detecting deviations.

use engine::config::{Config, LabelConfig, finetune_preset, preset};
use engine::device::{DeviceChoice, DeviceInfo, DeviceKind};

use super::Form;

/// Presumed width of the paper's network.
pub const PAPER_WIDTH: usize = 64;
/// Default width on a CPU, where the paper's would take days.
pub const CPU_WIDTH: usize = 16;

impl Form {
    /// The form with the paper's settings in both stages. Keeps data, device, seed, labelled patients and the start of
    /// fine-tuning.
    #[must_use]
    pub fn with_paper_settings(mut self) -> Self {
        let from_run = !self.finetune.labels.from.as_os_str().is_empty();
        let fixed = from_run.then(|| (self.finetune.preprocess.clone(), self.finetune.network.clone()));
        let pretrain = preset("amlp", &self.pretrain.data.modality).unwrap_or_default();
        let finetune = finetune_preset("paper").unwrap_or_else(|_| Config::finetune());
        for (config, paper) in [(&mut self.pretrain, pretrain), (&mut self.finetune, finetune)] {
            let (labels, probes) = (config.labels.clone(), std::mem::take(&mut config.method.probes));
            *config = Config {
                data: config.data.clone(),
                device: config.device.clone(),
                seed: config.seed,
                threads: config.threads,
                ..paper
            };
            config.network.width = PAPER_WIDTH;
            config.method.probes = probes;
            let LabelConfig { labels, from, from_best, corrections, .. } = labels;
            config.labels = LabelConfig { labels, from, from_best, corrections, ..config.labels.clone() };
        }
        // Shape and preprocessing come from the pre-trained network.
        if let Some((preprocess, network)) = fixed {
            (self.finetune.preprocess, self.finetune.network) = (preprocess, network);
        }
        self
    }
}

/// The preset that a configuration started from.
pub fn preset_of(config: &Config) -> Config {
    preset(&config.preset, &config.data.modality).unwrap_or_default()
}

/// Whether the method differs from the preset's, ignoring pinned slices.
pub fn is_modified(config: &Config) -> bool {
    let mut usual = preset_of(config).method;
    usual.probes.clone_from(&config.method.probes);
    config.method != usual
}

/// Default width of the network on a device.
pub fn usual_width(device: DeviceChoice, devices: &[DeviceInfo]) -> usize {
    let kind = match device {
        DeviceChoice::Cpu => Some(DeviceKind::Cpu),
        // Devices are listed in the order in which `auto` prefers them.
        DeviceChoice::Auto => devices.first().map(|d| d.kind),
        named => devices.iter().find(|d| d.id == named.to_string()).map(|d| d.kind),
    };
    if kind == Some(DeviceKind::Gpu) { PAPER_WIDTH } else { CPU_WIDTH }
}
