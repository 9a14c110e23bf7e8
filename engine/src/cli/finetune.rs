//! `amlp finetune`: fine-tuning from the command line.

use std::path::{Path, PathBuf};

use super::progress;
use super::training::{
    LabelFlags, Output, RunFlags, TrainingFlags, finished_report, print_if_complete, put, with_progress,
};
use super::{interruptible, print_json, print_line, print_text, use_threads};
use crate::ErrorKind;
use crate::cohort::split::Split;
use crate::cohort::{ExcludedScan, canonical_modality};
use crate::config::{Config, finetune_preset};
use crate::device::{Compute, open_all};
use crate::event::Control;
use crate::finetune::{BeforeAfter, FinetuneReport};
use crate::jobs::retrain::{is_continuation, measure_change};
use crate::jobs::{FinetuneJob, JobReport, Start, stored_config};
use crate::words::plural;

pub const EXAMPLES: &str = "Examples:
  amlp finetune COHORT --modality flair --from runs/pre --labels 5% --out runs/fine
  amlp finetune COHORT --modality flair --from none --labels 5% --out runs/scratch
  amlp finetune COHORT --modality pet --from runs/pre --labels 4 --validate 5 --out runs/fine

Split, preprocessing and network are inherited from the pre-training run. All other options have the defaults of the \
preset; `amlp manual config.toml` lists them. Labels read by --validate count towards the label budget.

Ctrl+C finishes the step, saves and exits with code 130. `amlp resume RUN` continues.";

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    run: RunFlags,
    /// Run to start from, or none for random weights. A fine-tuned run transfers its whole network.
    #[arg(long, value_name = "RUN")]
    from: PathBuf,
    /// Preset to start from: finetune, or paper (70 epochs at 1e-4, only slices with lesion, no augmentation).
    #[arg(long, value_name = "NAME", default_value = "finetune")]
    preset: String,
    /// Transfer only the encoder of the pre-training run.
    #[arg(long)]
    encoder_only: bool,
    /// Before the first step, re-estimate batch norm on N batches of unmasked slices of all training patients.
    #[arg(long, value_name = "N")]
    norm_batches: Option<usize>,
    #[command(flatten)]
    labels: LabelFlags,
    /// Fraction of training slices without lesion; the paper uses 0.
    #[arg(long, value_name = "X")]
    negative_slices: Option<f64>,
    /// Measure Dice on the validation patients every N epochs, and keep the best network.
    #[arg(long, value_name = "N")]
    validate: Option<usize>,
    /// Turn off flips, rotations, scaling and intensity changes.
    #[arg(long)]
    no_augmentation: bool,
    /// Record the probability of this preprocessed slice, counted from 0, at every epoch. Repeatable.
    #[arg(long, value_name = "PATIENT:SLICE")]
    probe: Vec<String>,
    #[command(flatten, next_help_heading = "Options of both stages")]
    shared: TrainingFlags,
}

impl Args {
    fn config(&self) -> anyhow::Result<Config> {
        let mut config = finetune_preset(&self.preset)?;
        // A resumed run has stored its settings and network, so the pre-training run may be gone.
        if self.from != Path::new("none") && !self.run.resumes(&self.shared.out) {
            let pretrained = stored_config(&self.from)?;
            note_other_modality(&pretrained.data.modality, &self.shared.modality, &self.from);
            config.preprocess = pretrained.preprocess;
            config.network = pretrained.network;
            config.data = pretrained.data;
            config.seed = pretrained.seed;
            config.training.shift_px = pretrained.training.shift_px;
            config.labels.from = std::path::absolute(&self.from)?;
        }
        let mut config = self.shared.resolve(self.run.start_from(&self.shared.out, config)?)?;
        if !self.probe.is_empty() {
            config.method.probes.clone_from(&self.probe);
        }
        let l = &mut config.labels;
        self.labels.apply(l);
        put(&mut l.norm_batches, self.norm_batches);
        l.encoder_only |= self.encoder_only;
        put(&mut l.negative_slices, self.negative_slices);
        put(&mut l.validate_every, self.validate);
        if self.no_augmentation {
            (l.flip, l.rotate_deg, l.scale, l.intensity) = (false, 0.0, 0.0, 0.0);
        }
        Ok(config)
    }
}

/// Says that a network was pre-trained on other modalities. This may be intended.
fn note_other_modality(pretrained: &[String], wanted: &[String], from: &Path) {
    let names = |modalities: &[String]| modalities.iter().map(|name| canonical_modality(name)).collect::<Vec<_>>();
    let (before, now) = (names(pretrained), names(wanted));
    if before != now {
        eprintln!("warning: {} was trained on {}, not on {}", from.display(), before.join(", "), now.join(", "));
    }
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    train(args.config()?, &args.shared.out, args.run.start(&args.shared), args.run.output(&args.shared))
}

/// Fine-tunes and prints the report.
pub(super) fn train(config: Config, out: &Path, start: Start<'_>, output: Output) -> anyhow::Result<()> {
    let finished = if start.resume { finished_report::<FinetuneReport>(out)? } else { None };
    let continued = is_continuation(&config)?;
    if let Some(report) = finished.as_ref().filter(|report| report.before_after.is_some() || !continued) {
        return print(report, &[], out, output);
    }
    use_threads(config.threads)?;
    let control = interruptible()?;
    let compute = open_all(&config.device)?;
    if let Some(report) = finished {
        return print(&with_change(report, out, &compute, &control)?, &[], out, output);
    }
    let mut job = FinetuneJob::prepare(config, out, start, &control, &mut progress::cases())?;
    let split: Split = job.run.read_split()?;
    for note in split.label_notes(&job.config.labels.budget()?) {
        eprintln!("amlp: {note}");
    }
    if job.config.labels.validate_every > 0 && split.val.is_empty() {
        eprintln!("warning: the split has no validation patient, so nothing is validated");
    }
    if split.test.is_empty() {
        eprintln!("warning: the split has no test patient, so the network cannot be tested on this cohort");
    }
    print_if_complete(&job.selection);
    let report = with_progress(output, out, |sink| job.train(&compute, sink, &control))?;
    let Some(report) = report else { return Ok(()) };
    // The evaluation locks the run again, so the job must release it.
    let left_out = std::mem::take(&mut job.selection.left_out);
    drop(job);
    print(&with_change(report, out, &compute, &control)?, &left_out, out, output)
}

/// Adds the Dice before and after to the report of a run that continued an earlier one. A failure to measure it is printed, not
/// returned, because the run itself succeeded.
fn with_change(
    mut report: FinetuneReport,
    out: &Path,
    compute: &Compute,
    control: &Control,
) -> anyhow::Result<FinetuneReport> {
    let mut measured = progress::counter("segmentation");
    match measure_change(out, compute, control, &mut |done, of, _| measured(done, of)) {
        Ok(change) => report.before_after = change,
        Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error.into()),
        Err(error) => eprintln!("amlp: cannot measure Dice before and after: {error}"),
    }
    Ok(report)
}

fn print(report: &FinetuneReport, left_out: &[ExcludedScan], out: &Path, output: Output) -> anyhow::Result<()> {
    if output.json {
        return print_json(&JobReport { report, left_out });
    }
    let budget = report.labelled.len() + report.validated.len();
    // The Dice is a mean over several epochs, so the loss beside it must be one too.
    let fit = report.convergence.map_or_else(
        || format!("loss {:.4}", report.loss),
        |c| format!("loss {:.4}, training Dice {:.3}{}", c.mean_loss, c.training_dice, c.over()),
    );
    print_line(&format!(
        "fine-tuned {} on {} of {} (label budget {budget}) in {}: {fit}; run folder {}",
        plural(report.epochs, "epoch", "epochs"),
        plural(report.lesion_slices, "lesion slice", "lesion slices"),
        plural(report.labelled.len(), "labelled patient", "labelled patients"),
        progress::duration(report.seconds),
        out.display()
    ))?;
    if !report.corrected.is_empty() {
        print_line(&format!("corrected masks of {}", report.corrected.join(", ")))?;
    }
    report.before_after.as_ref().map_or(Ok(()), |change| print_text(&table(change)))
}

/// The Dice before and after, one line per patient.
fn table(change: &BeforeAfter) -> String {
    let dice = |dice: Option<f64>| dice.map_or_else(|| "-".to_owned(), |dice| format!("{dice:.4}"));
    let rows = change.patients.iter().map(|row| (row.patient.as_str(), row.before, row.after));
    let width = change.patients.iter().map(|row| row.patient.chars().count()).max().unwrap_or(0).max("patient".len());
    let mut text = format!("Dice on the {} patients, before ({}) and after\n", change.part, change.from);
    text += &format!("{:width$}  {:>7}  {:>7}\n", "patient", "before", "after");
    for (patient, before, after) in rows.chain([("mean", change.before, change.after)]) {
        text += &format!("{patient:width$}  {:>7}  {:>7}\n", dice(before), dice(after));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::PatientChange;

    #[test]
    fn the_table_lists_each_patient_and_the_mean() {
        let row = |id: &str, before, after| PatientChange { patient: id.into(), before, after };
        let patients = vec![row("P03", Some(0.5), Some(0.75)), row("patient 12", None, Some(1.0))];
        let change =
            BeforeAfter { from: "fine".into(), part: "test".into(), patients, before: Some(0.5), after: Some(0.75) };
        let expected = "Dice on the test patients, before (fine) and after\n\
                        patient      before    after\n\
                        P03          0.5000   0.7500\n\
                        patient 12        -   1.0000\n\
                        mean         0.5000   0.7500\n";
        assert_eq!(table(&change), expected);
    }
}
