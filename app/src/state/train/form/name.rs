//! The name of a run's folder, and the names of settings in the window.

use engine::event::Stage;

use super::Form;
use crate::widget::format::file_name;

/// Maximum length of a run's name in characters, which leaves room for a number.
const MAX_NAME_LENGTH: usize = 100;

impl Form {
    /// Generates a name from preset and modality or, for fine-tuning, from the run it starts from.
    pub(super) fn rename(&mut self) {
        let (config, from) = (self.config(), &self.config().labels.from);
        let modality = config.data.modality.join("-");
        let (start, rest) = match self.stage {
            Stage::Pretrain => (config.preset.as_str(), modality),
            Stage::Finetune if from.as_os_str().is_empty() => ("supervised", modality),
            Stage::Finetune if config.labels.corrections.is_some() => ("retrained", modality),
            // That run is named by its preset and modality, unless the user chose another name.
            Stage::Finetune => ("finetune", file_name(from)),
        };
        let separator = if rest.is_empty() { "" } else { "-" };
        self.name = format!("{start}{separator}{rest}").chars().take(MAX_NAME_LENGTH).collect();
    }
}

/// Why a text cannot name a run folder; `None` if it can.
pub fn name_problem(name: &str) -> Option<&'static str> {
    let name = name.trim();
    let odd = |c: char| c.is_control() || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*');
    if name.is_empty() {
        Some("Enter a name.")
    } else if name.contains(['/', '\\']) {
        Some("Use a name, not a path: / and \\ are not allowed.")
    } else if name.starts_with('.') {
        Some("A name cannot start with a dot: the folder would be hidden.")
    } else if name.ends_with('.') || name.contains(odd) {
        Some("A name cannot end with a dot or contain < > : \" | ? *")
    } else if name.chars().count() > MAX_NAME_LENGTH {
        Some("Use at most 100 characters.")
    } else {
        None
    }
}

/// The displayed name of a setting, from its name in `config.toml`.
pub fn name_of(field: &str) -> &str {
    match field {
        "training.epochs" => "Epochs",
        "training.steps" => "Steps",
        "training.batch" => "Batch",
        "training.shift_px" => "Shift",
        "training.every_slice" => "Every n-th slice",
        "labels.validate_every" => "Validate every",
        "labels.rotate_deg" => "Rotation",
        "labels.scale" => "Scale",
        "labels.intensity" => "Intensity",
        "training.lr" => "Learning rate",
        "training.weight_decay" => "Weight decay",
        "network.width" => "Width",
        "network.depth" => "Depth",
        "preprocess.size" => "Crop",
        "preprocess.spacing" => "Spacing",
        "method.grid" => "Grid",
        "method.lambda" => "Lambda",
        "method.period" => "Period",
        "method.ratio.sigma_0" => "Sigma first",
        "method.ratio.sigma_max" => "Sigma last",
        "labels.labels" => "Labels",
        "labels.negative_slices" => "Negative slices",
        "method.cluster.method" => "Clustering",
        "method.foreground_choice" => "Foreground choice",
        "method.mask.temperature" => "Temperature",
        "method.mask.hints" => "Hints",
        "method.mask.unit_px" => "Mask unit",
        "method.loss.normalised" => "Normalised patches",
        "method.loss.attention_max" => "ARL limit",
        "method.augment.shift" => "Epoch shift",
        "training.layer_decay" => "Layer decay",
        "labels.norm_batches" => "Norm batches",
        "data.modality" => "Modality",
        other => other.strip_prefix("method.numbers.").unwrap_or(other),
    }
}
