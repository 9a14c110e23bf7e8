//! Methods compared fairly: paired seeds, one split, the same test patients and the same label budget for all.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CaseScore, mean_sd};
use crate::cohort::{Case, Cohort};
use crate::config::{Config, preset};
use crate::device::Compute;
use crate::event::{Control, EventSink};
use crate::jobs::{FinetuneJob, PretrainJob, Start, cases_of};
use crate::metrics::Options;
use crate::predict::{Choice, Segmenter};
use crate::run::RunFolder;
use crate::run::report::read_report;
use crate::volume::{LabelVolume, Volume};
use crate::{Error, Result};

/// The name of fine-tuning from random weights.
pub const SUPERVISED: &str = "sup";

/// What is compared.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `sup`, or pre-training presets.
    pub methods: Vec<String>,
    /// Seeds; every method is trained with each.
    pub seeds: Vec<u64>,
    /// Settings of pre-training; the method's part is taken from each preset.
    pub pretrain: Config,
    /// Settings of fine-tuning.
    pub finetune: Config,
}

/// One trained method and seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// `sup` or the preset.
    pub method: String,
    /// The seed.
    pub seed: u64,
    /// Scores of the test patients.
    pub cases: Vec<CaseScore>,
    /// Mean DSC of the test patients.
    pub mean_dsc: f64,
    /// Seconds of pre-training and fine-tuning.
    pub seconds: [f64; 2],
}

/// Trains, segments and measures what `plan` says, in run folders below `out`. What is finished there already is not
/// done again. `say` is told each step.
pub fn compare(
    plan: &Plan,
    out: &Path,
    compute: &Compute,
    sink: &mut dyn EventSink,
    control: &Control,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    // The first run draws the split, all others take it.
    let mut split = None;
    for &seed in &plan.seeds {
        for method in &plan.methods {
            say(&format!("seed {seed}, {method}"));
            let outcome = train_one(plan, method, seed, out, &mut split, compute, sink, control)?;
            say(&format!("seed {seed}, {method}: mean DSC {:.4}", outcome.mean_dsc));
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

#[allow(clippy::too_many_arguments, reason = "the loop body of `compare`, named")]
fn train_one(
    plan: &Plan,
    method: &str,
    seed: u64,
    out: &Path,
    split: &mut Option<std::path::PathBuf>,
    compute: &Compute,
    sink: &mut dyn EventSink,
    control: &Control,
) -> Result<Outcome> {
    let mut seconds = [0.0; 2];
    let mut finetune = Config { seed, ..plan.finetune.clone() };
    if method != SUPERVISED {
        let folder = out.join(format!("pretrain-{method}-seed{seed}"));
        let chosen = preset(method, &plan.pretrain.data.modality)?;
        let config = Config { seed, preset: method.into(), method: chosen.method, ..plan.pretrain.clone() };
        seconds[0] = if let Some(seconds) = finished(&folder) {
            seconds
        } else {
            let start = Start { resume: true, split: split.as_deref(), dry: false };
            let mut job = PretrainJob::prepare(config, &folder, start, control, &mut |_, _| {})?;
            job.train(compute, sink, control)?.map_or(0.0, |r| r.seconds)
        };
        split.get_or_insert_with(|| folder.join("split.json"));
        finetune.labels.from = folder;
    }
    let folder = out.join(format!("finetune-{method}-seed{seed}"));
    seconds[1] = if let Some(seconds) = finished(&folder) {
        seconds
    } else {
        let start = Start { resume: true, split: split.as_deref(), dry: false };
        let mut job = FinetuneJob::prepare(finetune, &folder, start, control, &mut |_, _| {})?;
        job.train(compute, sink, control)?.map_or(0.0, |r| r.seconds)
    };
    split.get_or_insert_with(|| folder.join("split.json"));
    let cases = measure_test(&folder, compute, control)?;
    let (mean_dsc, _) = mean_sd(&cases.iter().map(|c| c.dsc).collect::<Vec<_>>());
    Ok(Outcome { method: method.into(), seed, cases, mean_dsc, seconds })
}

/// Seconds of a run that ended, from its report.
fn finished(folder: &Path) -> Option<f64> {
    let run = RunFolder::open(folder).ok()?;
    let report: serde_json::Value = read_report(&run).ok()?;
    report.get("seconds")?.as_f64()
}

/// Segments and measures the test patients of a fine-tuning run.
pub fn measure_test(folder: &Path, compute: &Compute, control: &Control) -> Result<Vec<CaseScore>> {
    let segmenter = Segmenter::load(folder, Choice::Last, compute)?;
    let run = RunFolder::open(folder)?;
    let split: crate::cohort::split::Split = run.read_split()?;
    let data = &segmenter.config().data;
    let cohort = Cohort::discover(&data.cohort)?;
    let cases = cases_of(&cohort, &split.test, &data.modality)?;
    cases
        .iter()
        .map(|case| {
            let (images, truth) = read_case(case, &data.modality)?;
            let found = segmenter.segment(&images, &mut |_| {}, control)?.label;
            let mask = |l: &LabelVolume| (0..l.grid.len()).map(|i| l.get(i) > 0).collect::<Vec<bool>>();
            let measures = crate::metrics::measure(&mask(&found), &mask(&truth), &truth.grid, &Options::default())?;
            Ok(CaseScore::new(&case.id, &measures))
        })
        .collect()
}

/// The images of a case and its mask.
pub fn read_case(case: &Case, modalities: &[String]) -> Result<(Vec<Volume>, LabelVolume)> {
    let (images, label) = crate::preprocess::read_case(case, modalities, true)?;
    let label = label.ok_or_else(|| Error::config("case", &case.id, "has no mask to be compared with"))?;
    Ok((images, label))
}

/// The outcomes as a Markdown table: each method's mean DSC by seed, over the seeds, and its paired difference to the
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
}
