//! The form of the next job: a configuration of either stage, its name, and its labelled patients.

use std::collections::{BTreeMap, BTreeSet};

use engine::cohort::labelled::LabelShare;
use engine::cohort::split::Split;
use engine::config::{Config, finetune_preset, preset};
use engine::device::{DeviceChoice, DeviceInfo, DeviceKind};
use engine::event::Stage;
use serde::{Deserialize, Serialize};

/// Width of the paper's network, as far as it can be inferred.
pub const PAPER_WIDTH: usize = 64;
/// Default width on a CPU, where the paper's would take days.
pub const CPU_WIDTH: usize = 16;

/// Longest name of a run in characters: a number may still be added.
const LONGEST_NAME: usize = 100;

/// How the labelled patients of a fine-tuning are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// 5 % of the training patients, as in the paper.
    #[default]
    Five,
    /// 10 %, also in the paper.
    Ten,
    /// Another percentage.
    Percent,
    /// A number of patients.
    Count,
    /// All that have a reference.
    All,
    /// By name.
    Picked,
}

/// The settings of the next job, as the user edits them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// Pre-training or fine-tuning.
    pub stage: Stage,
    /// The settings of a pre-training.
    pub pretrain: Config,
    /// The settings of a fine-tuning.
    pub finetune: Config,
    /// The run folder's name inside the workspace.
    pub name: String,
    /// The user chose that name; else it follows preset and modality.
    pub named: bool,
    /// The name that the user chose in the other stage.
    pub other_name: Option<String>,
    /// How the labelled patients are chosen.
    pub labels: Labels,
    /// Their share in percent, for [`Labels::Percent`].
    pub percent: f64,
    /// Their number, for [`Labels::Count`].
    pub count: usize,
    /// Their names, for [`Labels::Picked`].
    pub picked: BTreeSet<String>,
    /// Number fields with invalid text, and what is wrong with it. `true` marks those of a fine-tuning. Not saved: the text
    /// itself is only in the field.
    #[serde(skip)]
    pub invalid: BTreeMap<(bool, String), String>,
}

impl Default for Form {
    fn default() -> Self {
        let mut form = Self {
            stage: Stage::Pretrain,
            pretrain: Config::default(),
            finetune: Config::finetune(),
            name: String::new(),
            named: false,
            other_name: None,
            labels: Labels::Five,
            percent: 20.0,
            count: 5,
            picked: BTreeSet::new(),
            invalid: BTreeMap::new(),
        };
        form.rename();
        form
    }
}

impl Form {
    /// The settings of the chosen stage.
    pub fn config(&self) -> &Config {
        match self.stage {
            Stage::Pretrain => &self.pretrain,
            Stage::Finetune => &self.finetune,
        }
    }

    /// The settings of the chosen stage, to be changed.
    pub fn config_mut(&mut self) -> &mut Config {
        match self.stage {
            Stage::Pretrain => &mut self.pretrain,
            Stage::Finetune => &mut self.finetune,
        }
    }

    /// The form made consistent after the user's last change; `before` is the form before it.
    #[must_use]
    pub fn settled(mut self, before: &Self, devices: &[DeviceInfo]) -> Self {
        let typed = self.name != before.name;
        if self.stage != before.stage {
            self.take_over(before);
            // A folder holds one run, so a chosen name stays with its stage.
            let here = std::mem::replace(&mut self.other_name, before.named.then(|| before.name.clone()));
            if !typed {
                self.named = here.is_some();
                self.name = here.unwrap_or_default();
            }
        }
        let preset_changed = self.pretrain.preset != before.pretrain.preset;
        let modality_changed = self.pretrain.data.modality != before.pretrain.data.modality;
        // A method that was changed by hand survives a change of modality.
        let as_preset = !is_modified(&before.pretrain);
        if preset_changed || (modality_changed && as_preset) {
            let probes = std::mem::take(&mut self.pretrain.method.probes);
            self.pretrain.method = preset_of(&self.pretrain).method;
            self.pretrain.method.probes = probes;
        }
        let (device, earlier) = (self.config().device.clone(), before.config().device.clone());
        if self.stage == before.stage && device != earlier {
            let (usual, now) = (usual_width(earlier.first(), devices), usual_width(device.first(), devices));
            let network = &mut self.config_mut().network;
            if network.width == usual {
                network.width = now;
            }
        }
        self.finetune.labels.labels = self.label_text();
        // A name that the user cleared stays empty: a generated one would be in the way of typing.
        self.named |= typed;
        if !self.named {
            self.rename();
        }
        self
    }

    /// Takes over from the other stage what both have in common.
    fn take_over(&mut self, before: &Self) {
        let theirs = before.config().clone();
        let from_run = !self.finetune.labels.from.as_os_str().is_empty();
        let config = self.config_mut();
        (config.data, config.device) = (theirs.data, theirs.device);
        // A pre-trained network fixes shape and preprocessing of the fine-tuning, which are not those of the other stage.
        if !from_run {
            (config.preprocess, config.network) = (theirs.preprocess, theirs.network);
            config.seed = theirs.seed;
        }
    }

    /// The form with the settings of a run, for the stage of that run.
    #[must_use]
    pub fn like(&self, run: &Config) -> Self {
        let mut form = Self { stage: run.stage, invalid: BTreeMap::new(), ..self.clone() };
        *form.config_mut() = Config { threads: self.config().threads, ..run.clone() };
        if run.stage == Stage::Finetune
            && let Ok(share) = run.labels.labels.parse()
        {
            form.choose_labels(share);
        }
        (form.named, form.other_name) = (false, None);
        form.rename();
        form
    }

    fn choose_labels(&mut self, share: LabelShare) {
        match share {
            LabelShare::Percent(5.0) => self.labels = Labels::Five,
            LabelShare::Percent(10.0) => self.labels = Labels::Ten,
            LabelShare::Percent(percent) => (self.labels, self.percent) = (Labels::Percent, percent),
            LabelShare::Count(count) => (self.labels, self.count) = (Labels::Count, count),
            LabelShare::All => self.labels = Labels::All,
            LabelShare::Patients(ids) => (self.labels, self.picked) = (Labels::Picked, ids.into_iter().collect()),
        }
    }

    /// The form with the paper's settings in both stages. Data, device, seed, labelled patients and what a fine-tuning
    /// starts from stay.
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
            (config.labels.labels, config.labels.from) = (labels.labels, labels.from);
        }
        // A pre-trained network fixes its shape and the preprocessing.
        if let Some((preprocess, network)) = fixed {
            (self.finetune.preprocess, self.finetune.network) = (preprocess, network);
        }
        self
    }

    /// The same without names of patients: picked ones, and slices of theirs that are pinned.
    #[must_use]
    pub fn without_patients(mut self) -> Self {
        if self.labels == Labels::Picked {
            self.labels = Labels::default();
        }
        self.picked.clear();
        self.finetune.labels.labels = self.label_text();
        for config in [&mut self.pretrain, &mut self.finetune] {
            config.method.probes.clear();
        }
        self
    }

    /// Records whether the text of a number field of the chosen stage is valid.
    pub fn enter(&mut self, field: impl Into<String>, problem: Option<String>) {
        let key = (self.stage == Stage::Finetune, field.into());
        match problem {
            Some(why) => drop(self.invalid.insert(key, why)),
            None => drop(self.invalid.remove(&key)),
        }
    }

    /// An invalid number field of the chosen stage, and what is wrong with it.
    pub fn invalid_field(&self) -> Option<(&str, &str)> {
        let finetune = self.stage == Stage::Finetune;
        let found = self.invalid.iter().find(|((of, _), _)| *of == finetune);
        found.map(|((_, field), why)| (field.as_str(), why.as_str()))
    }

    /// The choice as `labels.labels` has it.
    fn label_text(&self) -> String {
        let share = match self.labels {
            Labels::Five => LabelShare::Percent(5.0),
            Labels::Ten => LabelShare::Percent(10.0),
            Labels::Percent => LabelShare::Percent(self.percent),
            Labels::Count => LabelShare::Count(self.count),
            Labels::All => LabelShare::All,
            Labels::Picked => LabelShare::Patients(self.picked.iter().cloned().collect()),
        };
        share.to_string()
    }

    /// Generates a name from preset and modality.
    fn rename(&mut self) {
        let config = self.config();
        let mut parts = vec![match self.stage {
            Stage::Pretrain => config.preset.clone(),
            Stage::Finetune if config.labels.from.as_os_str().is_empty() => "supervised".into(),
            Stage::Finetune => "finetune".into(),
        }];
        parts.extend(config.data.modality.iter().cloned());
        self.name = parts.join("-");
    }
}

/// Why a text cannot name a run folder, if it cannot.
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
    } else if name.chars().count() > LONGEST_NAME {
        Some("Use at most 100 characters.")
    } else {
        None
    }
}

/// The training patients of a split that have a reference.
pub fn labelled(split: &Split) -> impl Iterator<Item = &String> {
    split.train.iter().filter(|id| split.lesion_ml.get(*id).is_some_and(Option::is_some))
}

/// The preset that a configuration started from.
pub fn preset_of(config: &Config) -> Config {
    preset(&config.preset, &config.data.modality).unwrap_or_default()
}

/// Whether the method differs from that of the preset. Pinned slices are no part of the method.
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

/// A setting's name in the window, from its name in `config.toml`.
pub fn name_of(field: &str) -> &str {
    match field {
        "training.epochs" => "Epochs",
        "training.steps" => "Steps",
        "training.batch" => "Batch",
        "training.shift_px" => "Shift",
        "training.every_slice" => "Every slice",
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
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A GPU, and this machine's CPU.
    fn devices() -> Vec<DeviceInfo> {
        let mut found: Vec<DeviceInfo> = engine::device::probe().devices;
        found.retain(|device| device.kind == DeviceKind::Cpu);
        let mut card = found[0].clone();
        (card.id, card.kind) = ("cuda:0".into(), DeviceKind::Gpu);
        found.insert(0, card);
        found
    }

    fn changed(before: &Form, change: impl FnOnce(&mut Form)) -> Form {
        let mut form = before.clone();
        change(&mut form);
        form.settled(before, &devices())
    }

    #[test]
    fn the_paper_is_the_default_and_labels_become_their_text() {
        let form = Form::default();
        assert_eq!((form.pretrain.training.epochs, form.pretrain.training.batch), (800, 36));
        assert_eq!((form.finetune.training.epochs, form.finetune.training.batch), (70, 56));
        let form = changed(&form, |f| {
            f.labels = Labels::Picked;
            f.picked = ["B", "A"].map(str::to_owned).into();
        });
        assert_eq!(form.finetune.labels.labels, "patients:A,B");
        let form = changed(&form, |f| (f.labels, f.count) = (Labels::Count, 3));
        assert_eq!(form.finetune.labels.labels, "3");
    }

    #[test]
    fn the_papers_settings_are_set_in_both_stages_and_keep_data_and_labels() {
        let form = changed(&Form::default(), |f| {
            f.pretrain.data.modality = vec!["pet".into()];
            (f.pretrain.training.epochs, f.pretrain.method.lambda, f.pretrain.seed) = (7, 0.5, 9);
            (f.finetune.training.epochs, f.finetune.network.width) = (3, 8);
            (f.labels, f.count) = (Labels::Count, 2);
        });
        let form = form.clone().with_paper_settings().settled(&form, &devices());
        let paper = finetune_preset("paper").unwrap_or_default();
        assert_eq!((form.pretrain.training.epochs, form.pretrain.method.lambda, form.pretrain.seed), (800, 1.0, 9));
        assert_eq!((form.finetune.training.epochs, form.finetune.training.lr), (70, paper.training.lr));
        assert!(!form.finetune.labels.flip && form.finetune.labels.negative_slices == 0.0);
        assert_eq!([form.pretrain.network.width, form.finetune.network.width], [PAPER_WIDTH; 2]);
        assert_eq!(
            (form.finetune.labels.labels.as_str(), &form.pretrain.data.modality[..]),
            ("2", &["pet".to_owned()][..])
        );
    }

    #[test]
    fn the_papers_settings_pressed_on_a_fine_tuning_of_a_run_are_those_of_pre_training_too() {
        let form = changed(&Form::default(), |f| f.stage = Stage::Finetune);
        let form = changed(&form, |f| {
            f.finetune.labels.from = "/runs/small".into();
            (f.finetune.network.width, f.finetune.preprocess.size) = (4, 64);
            f.pretrain.preprocess.size = 64;
        });
        let form = form.clone().with_paper_settings().settled(&form, &devices());
        assert_eq!((form.finetune.network.width, form.finetune.preprocess.size), (4, 64), "the run's");
        let form = changed(&form, |f| f.stage = Stage::Pretrain);
        let paper = preset("amlp", &[]).unwrap_or_default();
        assert_eq!((form.pretrain.network.width, form.pretrain.preprocess.size), (PAPER_WIDTH, paper.preprocess.size));
    }

    #[test]
    fn a_pinned_slice_does_not_modify_the_method() {
        let mut config = Config { method: preset_of(&Config::default()).method, ..Config::default() };
        config.method.probes = vec!["A:3".into()];
        assert!(!is_modified(&config));
        config.method.lambda = 0.5;
        assert!(is_modified(&config));
    }

    #[test]
    fn a_form_like_a_run_has_its_settings_and_its_labels() {
        for labels in ["5%", "12.5%", "3", "all", "patients:A,B"] {
            let mut run = Config::finetune();
            (run.labels.labels, run.training.epochs, run.seed) = (labels.into(), 9, 4);
            let form = Form::default().like(&run);
            let form = form.clone().settled(&form, &devices());
            assert_eq!((form.stage, form.finetune), (Stage::Finetune, run), "{labels}");
            assert!(!form.named);
        }
    }

    #[test]
    fn a_preset_replaces_the_method_and_nothing_else() {
        let form = changed(&Form::default(), |f| f.pretrain.training.epochs = 7);
        let form = changed(&form, |f| f.pretrain.preset = "background-first".into());
        assert_eq!(form.pretrain.method, preset("background-first", &[]).unwrap_or_default().method);
        assert_eq!((form.pretrain.training.epochs, form.name.as_str()), (7, "background-first"));
        // By hand: another modality does not undo it.
        let form = changed(&form, |f| f.pretrain.method.lambda = 0.5);
        let form = changed(&form, |f| f.pretrain.data.modality = vec!["flair".into()]);
        assert_eq!((form.pretrain.method.lambda, form.name.as_str()), (0.5, "background-first-flair"));
    }

    #[test]
    fn the_width_follows_the_device_until_it_is_chosen() {
        let form = changed(&Form::default(), |f| f.pretrain.device = DeviceChoice::Cpu.into());
        assert_eq!(form.pretrain.network.width, CPU_WIDTH);
        let form = changed(&form, |f| f.pretrain.device = DeviceChoice::Cuda(0).into());
        assert_eq!(form.pretrain.network.width, PAPER_WIDTH);
        let form = changed(&form, |f| f.pretrain.network.width = 24);
        let form = changed(&form, |f| f.pretrain.device = DeviceChoice::Cpu.into());
        assert_eq!(form.pretrain.network.width, 24);
    }

    #[test]
    fn data_and_device_go_along_from_stage_to_stage() {
        let form = changed(&Form::default(), |f| {
            f.pretrain.data.modality = vec!["pet".into()];
            f.pretrain.preprocess.size = 32;
        });
        let form = changed(&form, |f| f.stage = Stage::Finetune);
        assert_eq!((&form.finetune.data.modality[..], form.finetune.preprocess.size), (&["pet".to_owned()][..], 32));
        assert_eq!(form.name, "supervised-pet");
        let form = changed(&form, |f| f.name = "mine".into());
        let form = changed(&form, |f| f.stage = Stage::Pretrain);
        assert_eq!((form.name.as_str(), form.named), ("amlp-pet", false), "the folder is another stage's");
        let form = changed(&form, |f| f.stage = Stage::Finetune);
        assert_eq!((form.name.as_str(), form.named), ("mine", true), "a name that was given stays with its stage");
        let form = changed(&form, |f| f.name.clear());
        assert_eq!((form.name.as_str(), form.named), ("", true), "a new one is typed in its place");
        let form = changed(&form, |f| f.named = false);
        assert_eq!(form.name, "supervised-pet");
    }

    #[test]
    fn a_name_is_a_plain_folder_of_the_workspace() {
        for good in ["amlp-flair", "run 2", "\u{e9}tude.v2", "a..b", " padded "] {
            assert_eq!(name_problem(good), None, "{good}");
        }
        let long = "n".repeat(101);
        for bad in [
            "",
            "  ",
            "../bad/name",
            "..",
            ".",
            "/elsewhere/run",
            "a/b",
            "C:\\run",
            "a\\b",
            ".hidden",
            "a.",
            "a:b",
            "a\nb",
            long.as_str(),
        ] {
            assert!(name_problem(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_remembered_in_its_stage() {
        let mut form = Form::default();
        form.enter("Batch", Some("Not a number".into()));
        assert_eq!(form.invalid_field(), Some(("Batch", "Not a number")));
        let mut form = changed(&form, |f| f.stage = Stage::Finetune);
        assert_eq!(form.invalid_field(), None);
        form.enter("Batch", None);
        let mut form = changed(&form, |f| f.stage = Stage::Pretrain);
        assert!(form.invalid_field().is_some());
        form.enter("Batch", None);
        assert_eq!(form.invalid_field(), None);
    }
}
