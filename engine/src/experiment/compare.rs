//! Pre-training methods compared fairly: paired seeds, one split, the same test patients and label budget for all.
//!
//! ```text
//! OUT/
//!   split.json                            drawn once; absent if a split file was given
//!   pretrain-seed0-3f2a9c1b7d0e/          run folders, named by seed and a digest of settings and split
//!   finetune-seed0-91c04b7fe2a8/
//! ```
//! Runs are found again by that name, so a finished run is reused only if it was trained with the same settings on the
//! same split. Presets with equal settings (`base`, `mae`, `l2`) share one run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{CaseScore, mean_sd};
use crate::cohort::split::Split;
use crate::cohort::summary;
use crate::cohort::{Case, LeftOut};
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, Event, EventSink, Stage};
use crate::jobs::{FinetuneJob, PretrainJob, Start, differences, draw_split, stored_config, with_known_modalities};
use crate::metrics::Options;
use crate::predict::{Choice, Segmenter};
use crate::run::atomic::sha256;
use crate::run::report::read_report;
use crate::run::{RunFolder, diff_config};
use crate::volume::{LabelVolume, MaskOptions, Volume};
use crate::{Error, Result};

/// The name of fine-tuning from random weights.
pub const SUPERVISED: &str = "sup";

/// A row of the comparison.
#[derive(Clone, Debug)]
pub struct Method {
    /// `sup`, or the name of a pre-training preset.
    pub name: String,
    /// Settings of its pre-training; `None` fine-tunes from random weights.
    pub pretrain: Option<Config>,
}

/// What is compared.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The methods; the table gives differences to the first.
    pub methods: Vec<Method>,
    /// Seeds of weights and training; every method is trained with each.
    pub seeds: Vec<u64>,
    /// Settings of fine-tuning, the same for all methods.
    pub finetune: Config,
    /// Refuse to start if a scan is left out.
    pub strict: bool,
    /// Split file; without one the split is drawn once, with the seed of `finetune`.
    pub split: Option<PathBuf>,
}

/// One method trained with one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// `sup` or the preset.
    pub method: String,
    /// The seed.
    pub seed: u64,
    /// Its run folders below the output folder, pre-training first.
    pub runs: Vec<String>,
    /// Scores of the test patients.
    pub cases: Vec<CaseScore>,
    /// Mean DSC of the test patients.
    pub mean_dsc: f64,
    /// Seconds of pre-training and fine-tuning.
    pub seconds: [f64; 2],
}

/// Trains, segments and measures what `plan` says, in run folders below `out`. Finished runs are reused, interrupted ones
/// resumed. `say` receives a line of progress before and after each training.
pub fn compare(
    plan: &Plan,
    out: &Path,
    compute: &Compute,
    sink: &mut dyn EventSink,
    control: &Control,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<Outcome>> {
    let cohort = plan.finetune.data.discover()?;
    let known = |config: &Config| with_known_modalities(config.clone(), &cohort);
    let finetune = known(&plan.finetune)?;
    let mut methods = plan.methods.clone();
    for config in methods.iter_mut().filter_map(|method| method.pretrain.as_mut()) {
        *config = known(config)?;
        config.validate()?;
    }
    finetune.validate()?;
    let split_path = plan.split.clone().unwrap_or_else(|| out.join("split.json"));
    let split = match &plan.split {
        Some(path) => Split::read(path)?,
        None => Split::read_or_draw(&split_path, || draw_split(&finetune, &cohort, control))?,
    };
    split.check_patients(&cohort, &split_path)?;
    let strict = plan.strict;
    let mut comparison = Comparison { out, split, split_path, strict, compute, control, sink };
    let mut outcomes = Vec::new();
    for &seed in &plan.seeds {
        for method in &methods {
            say(&format!("seed {seed}, {}", method.name));
            let outcome = comparison.train_one(method, &finetune, seed)?;
            say(&format!("seed {seed}, {}: mean DSC {:.4}", method.name, outcome.mean_dsc));
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

/// What all runs of a comparison share.
struct Comparison<'a> {
    out: &'a Path,
    split: Split,
    split_path: PathBuf,
    strict: bool,
    compute: &'a Compute,
    control: &'a Control,
    sink: &'a mut dyn EventSink,
}

impl Comparison<'_> {
    fn train_one(&mut self, method: &Method, finetune: &Config, seed: u64) -> Result<Outcome> {
        let mut runs = Vec::new();
        let mut seconds = [0.0; 2];
        let mut finetune = Config { seed, ..finetune.clone() };
        if let Some(pretrain) = &method.pretrain {
            let (name, time) = self.run(Config { seed, ..pretrain.clone() })?;
            seconds[0] = time;
            finetune.labels.from = self.out.join(&name);
            runs.push(name);
        }
        let (name, time) = self.run(finetune)?;
        seconds[1] = time;
        let (cases, left_out) = measure_test(&self.out.join(&name), self.compute, self.control)?;
        if !left_out.is_empty() {
            self.sink.event(&Event::Warning { message: format!("test: {}", summary(cases.len(), &left_out, &[])) })?;
        }
        runs.push(name);
        let (mean_dsc, _) = mean_sd(&cases.iter().map(|c| c.dsc).collect::<Vec<_>>());
        Ok(Outcome { method: method.name.clone(), seed, runs, cases, mean_dsc, seconds })
    }

    /// Trains with these settings unless a finished run has them; returns the folder's name and the seconds of training.
    fn run(&mut self, mut config: Config) -> Result<(String, f64)> {
        let name = run_name(&config, &self.split)?;
        let folder = self.out.join(&name);
        if RunFolder::is_run(&folder) {
            let stored = stored_config(&folder)?;
            // Presets with equal settings share a run, which keeps the name it was started under; and the folder of the
            // comparison may have been moved.
            config.preset.clone_from(&stored.preset);
            config.labels.from.clone_from(&stored.labels.from);
            let differences = differences(&stored, &config)?;
            if !differences.is_empty() {
                let why = format!("holds a run with other settings ({}); choose another --out", differences.join("; "));
                return Err(Error::file(&folder, why));
            }
            if let Some(seconds) = finished(&folder) {
                return Ok((name, seconds));
            }
        }
        let start = Start { resume: true, split: Some(&self.split_path), strict: self.strict, dry: false };
        let seconds = match config.stage {
            Stage::Pretrain => {
                let mut job = PretrainJob::prepare(config, &folder, start, self.control, &mut |_, _| {})?;
                job.train(self.compute, self.sink, self.control)?.map(|report| report.seconds)
            }
            Stage::Finetune => {
                let mut job = FinetuneJob::prepare(config, &folder, start, self.control, &mut |_, _| {})?;
                job.train(self.compute, self.sink, self.control)?.map(|report| report.seconds)
            }
        };
        Ok((name, seconds.unwrap_or_default()))
    }
}

/// Settings that do not change what a run learns: where it runs, and what its preset is called.
const NO_IDENTITY: [&str; 5] = ["preset: ", "device: ", "threads: ", "data.cache: ", "data.memory_mib: "];

/// Name of the folder of a run: stage, seed, and a digest of the settings that differ from the stage's defaults and of the
/// split. Settings that later versions add do not change it as long as they keep their defaults.
pub fn run_name(config: &Config, split: &Split) -> Result<String> {
    let (stage, defaults) = match config.stage {
        Stage::Pretrain => ("pretrain", Config::default()),
        Stage::Finetune => ("finetune", Config::finetune()),
    };
    let mut own = config.clone();
    // The pre-training's name says what it is; where the comparison lies does not matter.
    own.labels.from = config.labels.from.file_name().map(PathBuf::from).unwrap_or_default();
    let value = |config: &Config| toml::Value::try_from(config).map_err(|e| Error::config("config", "", e.to_string()));
    let mut settings = diff_config(&value(&defaults)?, &value(&own)?);
    settings.retain(|line| !NO_IDENTITY.iter().any(|name| line.starts_with(name)));
    let digest = sha256(format!("{}\n{}", settings.join("\n"), split.to_json()?).as_bytes());
    Ok(format!("{stage}-seed{}-{}", config.seed, &digest[..12]))
}

/// Seconds of training of a finished run, from its report.
fn finished(folder: &Path) -> Option<f64> {
    let run = RunFolder::open(folder).ok()?;
    let report: serde_json::Value = read_report(&run).ok()?;
    report.get("seconds")?.as_f64()
}

/// Segments and measures the test scans of a fine-tuning run, on the grid of each scan's first image. Scans that cannot be
/// read are left out, with the reason. A patient with several scans has the mean over them.
pub fn measure_test(folder: &Path, compute: &Compute, control: &Control) -> Result<(Vec<CaseScore>, Vec<LeftOut>)> {
    let segmenter = Segmenter::load(folder, Choice::Last, compute)?;
    let run = RunFolder::open(folder)?;
    let split: Split = run.read_split()?;
    let data = &segmenter.config().data;
    let mut selection = data.discover()?.select(&split.test, &data.modality);
    let mut scores: BTreeMap<String, Vec<CaseScore>> = BTreeMap::new();
    let masks = segmenter.config().preprocess.masks();
    for case in selection.cases.clone() {
        let (images, reference) = match read_case(&case, &data.modality, &masks) {
            Ok(files) => files,
            Err(error) => {
                selection.leave_out(&case.id, error.to_string());
                continue;
            }
        };
        let found = segmenter.segment(&images, &mut |_| {}, control)?.label;
        let mask = |l: &LabelVolume| l.iter().map(|label| label > 0).collect::<Vec<bool>>();
        let measures = crate::metrics::measure(&mask(&found), &mask(&reference), &found.grid, &Options::default())?;
        scores.entry(case.patient.clone()).or_default().push(CaseScore::new(&case.patient, &measures));
    }
    let selection = selection.require_some()?;
    Ok((scores.into_values().filter_map(|scans| CaseScore::mean(&scans)).collect(), selection.left_out))
}

/// The images of a case, and its reference mask on the grid of the first image.
pub fn read_case(case: &Case, modalities: &[String], masks: &MaskOptions) -> Result<(Vec<Volume>, LabelVolume)> {
    let (images, label) = crate::preprocess::read_case(case, modalities, true, masks)?;
    let (Some(label), Some(first)) = (label, images.first()) else {
        return Err(Error::config("case", &case.id, "has no reference mask. Choose patients that have one"));
    };
    let label = label.on_grid(&first.grid);
    Ok((images, label))
}

/// The outcomes as a Markdown table: each method's mean DSC by seed and over the seeds, and its paired difference to the
/// first method.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut methods: Vec<&str> = Vec::new();
    let mut seeds: Vec<u64> = Vec::new();
    for o in outcomes {
        if !methods.contains(&o.method.as_str()) {
            methods.push(&o.method);
        }
        if !seeds.contains(&o.seed) {
            seeds.push(o.seed);
        }
    }
    let of = |method: &str, seed: u64| outcomes.iter().find(|o| o.method == method && o.seed == seed);
    let mut text = String::from("| method |");
    for seed in &seeds {
        text += &format!(" seed {seed} |");
    }
    let first = methods.first().copied().unwrap_or_default();
    text += &format!(" mean (SD over seeds) | paired difference to {first} | SD over patients |\n|---|");
    text += &"---|".repeat(seeds.len() + 3);
    for method in &methods {
        let means: Vec<f64> = seeds.iter().filter_map(|&s| Some(of(method, s)?.mean_dsc)).collect();
        let differences: Vec<f64> =
            seeds.iter().filter_map(|&s| Some(of(method, s)?.mean_dsc - of(first, s)?.mean_dsc)).collect();
        let spreads: Vec<f64> = seeds
            .iter()
            .filter_map(|&s| Some(mean_sd(&of(method, s)?.cases.iter().map(|c| c.dsc).collect::<Vec<_>>()).1))
            .collect();
        text += &format!("\n| {method} |");
        for &seed in &seeds {
            text += &of(method, seed).map_or(" |".into(), |o| format!(" {:.3} |", o.mean_dsc));
        }
        let (mean, sd) = mean_sd(&means);
        let (gain, gain_sd) = mean_sd(&differences);
        let spread = mean_sd(&spreads).0;
        text += &format!(" {mean:.3} ({sd:.3}) | {gain:+.3} ({gain_sd:.3}) | {spread:.3} |");
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_pairs_seeds() {
        let outcome = |method: &str, seed, dsc| Outcome {
            method: method.into(),
            seed,
            runs: Vec::new(),
            cases: Vec::new(),
            mean_dsc: dsc,
            seconds: [0.0; 2],
        };
        let outcomes =
            [outcome("sup", 0, 0.4), outcome("amlp", 0, 0.5), outcome("sup", 1, 0.2), outcome("amlp", 1, 0.5)];
        let text = table(&outcomes);
        assert!(text.contains("| sup | 0.400 | 0.200 | 0.300 (0.141) | +0.000 (0.000) |"), "{text}");
        assert!(text.contains("| amlp | 0.500 | 0.500 | 0.500 (0.000) | +0.200 (0.141) |"), "{text}");
    }

    #[test]
    fn a_run_is_named_by_what_it_learns_from_and_nothing_else() {
        let split = Split::draw(&[("A".into(), Some(1.0)), ("B".into(), Some(2.0)), ("C".into(), Some(3.0))], 1);
        let name = |config: &Config| run_name(config, &split).unwrap_or_default();
        let of = |preset: &str| crate::config::preset(preset, &["pet".into()]).unwrap_or_default();
        let base = name(&of("base"));
        assert!(base.starts_with("pretrain-seed0-"), "{base}");
        assert_eq!([name(&of("mae")), name(&of("l2"))], [base.clone(), base.clone()]);
        assert_ne!(name(&of("amlp")), base);
        let with = |change: &dyn Fn(&mut Config)| {
            let mut config = of("base");
            change(&mut config);
            name(&config)
        };
        assert_eq!(with(&|config| config.threads = 3), base);
        assert_eq!(with(&|config| config.data.cache = "elsewhere".into()), base);
        let changes: [&dyn Fn(&mut Config); 5] = [
            &|config| config.seed = 1,
            &|config| config.training.lr *= 2.0,
            &|config| config.training.micro_batch = 4,
            &|config| config.method.grid = 8,
            &|config| config.data.cohort = "other".into(),
        ];
        assert!(changes.iter().all(|change| with(change) != base));
        let other = Split { seed: 2, ..split.clone() };
        assert_ne!(run_name(&of("base"), &other).unwrap_or_default(), base);
        let moved = |folder: &str| {
            let mut config = Config::finetune();
            config.labels.from = folder.into();
            name(&config)
        };
        assert_eq!(moved("here/pretrain-seed0-1"), moved("there/pretrain-seed0-1"));
        assert_ne!(moved("here/pretrain-seed0-1"), moved("here/pretrain-seed0-2"));
    }
}
