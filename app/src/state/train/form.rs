//! The form of the next job: a configuration of either stage, its name, and its labelled patients.

mod name;
mod presets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use engine::cohort::label_budget::LabelShare;
use engine::cohort::split::Split;
use engine::config::Config;
use engine::device::DeviceInfo;
use engine::event::Stage;
use serde::{Deserialize, Serialize};

pub use name::{name_of, name_problem};
pub use presets::{CPU_WIDTH, PAPER_WIDTH, is_modified, preset_of, usual_width};

/// How the labelled patients of a fine-tuning run are chosen.
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
    /// All patients with a reference.
    All,
    /// By name.
    Picked,
}

/// The settings of the next job, as edited by the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// Pre-training or fine-tuning.
    pub stage: Stage,
    /// The settings of a pre-training run.
    pub pretrain: Config,
    /// The settings of a fine-tuning run.
    pub finetune: Config,
    /// The run folder's name inside the workspace.
    pub name: String,
    /// The user chose that name. Otherwise it follows preset and modality.
    pub named: bool,
    /// The user's name in the other stage.
    pub other_name: Option<String>,
    /// How the labelled patients are chosen.
    pub labels: Labels,
    /// Their share in percent, for [`Labels::Percent`].
    pub percent: f64,
    /// Their number, for [`Labels::Count`].
    pub count: usize,
    /// Their names, for [`Labels::Picked`].
    pub picked: BTreeSet<String>,
    /// The pre-training that was last offered as the start. It is offered once, so that another choice stays.
    #[serde(default)]
    pub offered: Option<PathBuf>,
    /// Number fields with invalid text, with the problem. `true` marks fine-tuning. Not saved, because the text exists
    /// only in the field.
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
            offered: None,
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

    /// The settings of the chosen stage, mutable.
    pub fn config_mut(&mut self) -> &mut Config {
        match self.stage {
            Stage::Pretrain => &mut self.pretrain,
            Stage::Finetune => &mut self.finetune,
        }
    }

    /// Sets the run that fine-tuning starts from, with its network and without corrected masks; random weights for an
    /// empty path.
    pub fn start_from(&mut self, run: PathBuf) {
        let labels = &mut self.finetune.labels;
        (labels.from, labels.from_best, labels.corrections) = (run, false, None);
    }

    /// The form made consistent after the user's last change; `before` is the form before it.
    #[must_use]
    pub fn settled(mut self, before: &Self, devices: &[DeviceInfo]) -> Self {
        let typed = self.name != before.name;
        if self.stage != before.stage {
            self.take_over(before);
            // A folder contains one run, so a user's name stays with its stage.
            let here = std::mem::replace(&mut self.other_name, before.named.then(|| before.name.clone()));
            if !typed {
                self.named = here.is_some();
                self.name = here.unwrap_or_default();
            }
        }
        let preset_changed = self.pretrain.preset != before.pretrain.preset;
        if preset_changed {
            // Fields of the previous method are no longer shown, so their problems cannot be corrected. Fields still
            // shown report again.
            self.invalid.retain(|(finetune, _), _| *finetune);
        }
        // A method set together with its preset, as by a run or the demonstration, may differ from the preset's.
        if preset_changed && self.pretrain.method == before.pretrain.method {
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
        // A name cleared by the user stays empty; a generated one would disturb typing.
        self.named |= typed;
        if !self.named {
            self.rename();
        }
        self
    }

    /// Copies the settings shared with the other stage.
    fn take_over(&mut self, before: &Self) {
        let theirs = before.config().clone();
        let from_run = !self.finetune.labels.from.as_os_str().is_empty();
        let config = self.config_mut();
        (config.data, config.device) = (theirs.data, theirs.device);
        // Shape and preprocessing of fine-tuning come from the pre-trained network, not from the other stage.
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
            && let Ok(fraction) = run.labels.labels.parse()
        {
            form.choose_labels(fraction);
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

    /// The form without patient names, which occur among labelled patients and pinned slices.
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

    /// An invalid number field of the current stage, with its problem.
    pub fn invalid_field(&self) -> Option<(&str, &str)> {
        let finetune = self.stage == Stage::Finetune;
        let found = self.invalid.iter().find(|((of, _), _)| *of == finetune);
        found.map(|((_, field), why)| (field.as_str(), why.as_str()))
    }

    /// The choice in the format of `labels.labels`.
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
}

/// The training patients of a split that have a reference.
pub fn labelled(split: &Split) -> impl Iterator<Item = &String> {
    split.train.iter().filter(|id| split.lesion_ml.get(*id).is_some_and(Option::is_some))
}

#[cfg(test)]
mod tests;
