//! Complete jobs, from a configuration to a finished run folder. The command line, the demo and the viewer start them.

pub mod evaluation;
pub mod retrain;
mod scans;
mod start;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::cohort::{Cohort, ExcludedScan, Selection};
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, Event, EventSink};
use crate::finetune::{FinetuneReport, LabelledData, finetune};
use crate::pretrain::amlp::mps::PatchState;
use crate::pretrain::{PretrainReport, Slices, Validation, patches, pretrain};
use crate::probe::{Pin, Pins, stored_pins};
use crate::run::{RunFolder, diff_config, failure};
use crate::trainer::{Dataset, Session};
use crate::{Error, ErrorKind, Result};
use scans::{labelled_scans, training_scans, with_mask};
use start::open_run;
pub use start::planned_split;
pub(crate) use start::{corrections, eligible_patients, slice_name, with_known_modalities, with_volumes};

/// How a job starts in its run folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    /// Resume the run in the folder, if it exists.
    pub resume: bool,
    /// Take this split instead of drawing or inheriting one.
    pub split: Option<&'a Path>,
    /// Dry run: stop after the estimate and leave no run folder.
    pub dry: bool,
    /// Refuse to start if a scan or a mask is left out.
    pub strict: bool,
}

impl Start<'_> {
    /// The selection, if it is enough to start with.
    fn checked(&self, selection: Selection) -> Result<Selection> {
        if self.strict {
            selection.require_complete()?;
        }
        selection.require_some()
    }
}

/// A pre-training job, ready to start.
pub struct PretrainJob {
    /// Its configuration.
    pub config: Config,
    /// Its run folder, locked.
    pub run: RunFolder,
    /// Its training slices.
    pub slices: Slices,
    /// The clustered patches of each slice; none where the method has no patches. Training updates their labels.
    pub patches: Vec<PatchState>,
    /// The validation patients, if their loss is logged.
    pub validation: Option<Validation>,
    /// The pinned slices, which may change while the job runs: initially those stored in a resumed run, or `method.probes`.
    pub pins: Arc<Pins>,
    /// The scans that are trained on, and those that are left out.
    pub selection: Selection,
    cohort: Cohort,
    dry: bool,
}

impl PretrainJob {
    /// Opens the run folder, draws or reads the split, and preprocesses and clusters the training patients.
    pub fn prepare(
        config: Config,
        out: &Path,
        start: Start<'_>,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        config.validate()?;
        let cohort = config.data.discover()?;
        let config = with_known_modalities(config, &cohort)?;
        let opened = open_run(&config, &cohort, out, start, control)?;
        let run = &opened.run;
        let (slices, patches, validation, selection) = opened.load(|split| {
            let mut selection = start.checked(training_scans(&cohort, split, &config.data.modality))?;
            let slices = Slices::load(&config, &selection.cases, run.root(), control, progress)?;
            slices.left_out().iter().for_each(|left| selection.leave_out(&left.case, &left.why));
            selection.masks_left_out = slices.masks_left_out().to_vec();
            let selection = start.checked(selection)?;
            let patches = patches(&config, &slices, control)?;
            let validation = if config.method.validate_every > 0 {
                let cases = cohort.select(&split.val, &config.data.modality).cases;
                Some(Validation::load(&config, &cases, run.root(), control, progress)?)
            } else {
                None
            };
            Ok((slices, patches, validation, selection))
        })?;
        let pins = pinned(&config, run)?;
        let run = opened.run;
        Ok(Self { config, run, slices, patches, validation, pins, selection, cohort, dry: start.dry })
    }

    /// Pins further training slices, by index.
    pub fn pin(&self, slices: &[usize]) -> Result<()> {
        for &slice in slices {
            self.pins.add(self.slices.name(slice).parse()?);
        }
        Ok(())
    }

    /// Trains and writes the report; `None` for a dry run.
    pub fn train(
        &mut self,
        compute: &Compute,
        sink: &mut dyn EventSink,
        control: &Control,
    ) -> Result<Option<PretrainReport>> {
        let Self { config, run, slices, patches, validation, pins, selection, cohort, dry } = self;
        warn_of(selection, sink)?;
        let session = Session { compute, run, cohort, pins, control, dry: *dry };
        let mut done = pretrain(config, slices, patches, validation.as_ref(), &session, sink);
        if let Ok(Some(report)) = &mut done {
            report.patients = patients_of(cohort, selection.cases.iter().map(|case| &case.id)).len();
        }
        finish(&self.run, done, &self.selection, self.dry, sink)
    }
}

/// A fine-tuning job, ready to start.
pub struct FinetuneJob {
    /// Its configuration.
    pub config: Config,
    /// Its run folder, locked.
    pub run: RunFolder,
    /// Its labelled slices.
    pub labelled: LabelledData,
    /// The pinned slices, which may change while the job runs: initially those stored in a resumed run, or `method.probes`.
    pub pins: Arc<Pins>,
    /// The scans that are trained on, and those that are left out.
    pub selection: Selection,
    /// The training patients with corrected masks.
    corrected: BTreeSet<String>,
    cohort: Cohort,
    dry: bool,
}

impl FinetuneJob {
    /// Opens the run folder, reads, inherits or draws the split, and chooses and preprocesses the labelled patients.
    pub fn prepare(
        config: Config,
        out: &Path,
        start: Start<'_>,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        config.validate()?;
        let mut cohort = config.data.discover()?;
        let config = with_known_modalities(config, &cohort)?;
        let opened = open_run(&config, &cohort, out, start, control)?;
        let run = &opened.run;
        let applied = opened.corrections.apply(&mut cohort, &opened.split);
        let corrected = opened.corrections.training_patients(&opened.split).cloned().collect();
        let (labelled, selection) = opened.load(|split| {
            let mut selection = labelled_scans(&cohort, split, &config)?;
            applied.left_out.iter().for_each(|left| selection.leave_out(&left.case, &left.why));
            selection.masks_left_out.extend(applied.masks_left_out.iter().cloned());
            let mut selection = start.checked(selection)?;
            let validation = if config.labels.validate_every > 0 {
                with_mask(cohort.select(&split.val, &config.data.modality))
            } else {
                Selection::default()
            };
            let folder = run.root();
            let mut labelled =
                LabelledData::load(&config, &selection.cases, &validation.cases, folder, control, progress)?;
            if config.labels.norm_batches > 0 {
                let training = training_scans(&cohort, split, &config.data.modality);
                labelled.load_unmasked(&config, &training.cases, folder, control, progress)?;
            }
            let left_out = validation.left_out.iter().chain(labelled.left_out());
            left_out.for_each(|left| selection.leave_out(&left.case, &left.why));
            Ok((labelled, start.checked(selection)?))
        })?;
        let pins = pinned(&config, run)?;
        let run = opened.run;
        Ok(Self { config, run, labelled, pins, selection, corrected, cohort, dry: start.dry })
    }

    /// Trains and writes the report; `None` for a dry run.
    pub fn train(
        &mut self,
        compute: &Compute,
        sink: &mut dyn EventSink,
        control: &Control,
    ) -> Result<Option<FinetuneReport>> {
        let Self { config, run, labelled, pins, selection, corrected, cohort, dry } = self;
        warn_of(selection, sink)?;
        let session = Session { compute, run, cohort, pins, control, dry: *dry };
        let mut done = finetune(config, labelled, &session, sink);
        if let Ok(Some(report)) = &mut done {
            report.labelled = patients_of(cohort, report.labelled.iter());
            report.validated = patients_of(cohort, report.validated.iter());
            report.corrected = report.labelled.iter().filter(|id| corrected.contains(*id)).cloned().collect();
        }
        finish(&self.run, done, &self.selection, self.dry, sink)
    }
}

/// Warns which scans are left out, before the run starts.
fn warn_of(selection: &Selection, sink: &mut dyn EventSink) -> Result<()> {
    if selection.is_complete() { Ok(()) } else { sink.event(&Event::Warning { message: selection.to_string() }) }
}

/// The patients of some scans, sorted.
fn patients_of<'a>(cohort: &Cohort, scans: impl Iterator<Item = &'a String>) -> Vec<String> {
    let patient = |id: &String| cohort.case(id).map_or_else(|| id.clone(), |case| case.patient.clone());
    scans.map(patient).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The report of a job with the scans that it left out: the content of `report.json` and `--json`.
#[derive(Debug, serde::Serialize)]
pub struct JobReport<'a, R> {
    /// The run's own report.
    #[serde(flatten)]
    pub report: &'a R,
    /// The scans that were not used.
    pub left_out: &'a [ExcludedScan],
}

/// Writes the report of a finished job, or emits and records the failure.
fn finish<R: serde::Serialize>(
    run: &RunFolder,
    done: Result<Option<R>>,
    selection: &Selection,
    dry: bool,
    sink: &mut dyn EventSink,
) -> Result<Option<R>> {
    let done = done.inspect_err(|error| {
        // The job's error is returned, so an error of the listener is ignored.
        let _ = sink.event(&Event::Failed { message: error.to_string() });
        if !dry && !matches!(error.kind(), ErrorKind::Cancelled) {
            // On a full disk this may fail too.
            let _ = failure::write(run, &error.to_string());
        }
    })?;
    match &done {
        Some(report) => run.write_report(&JobReport { report, left_out: &selection.left_out })?,
        None if dry => run.discard()?,
        None => {}
    }
    Ok(done)
}

/// The pins that the run has stored, or those of its configuration.
fn pinned(config: &Config, run: &RunFolder) -> Result<Arc<Pins>> {
    let named = || config.method.probes.iter().map(|text| text.parse()).collect::<Result<Vec<Pin>>>();
    Ok(Arc::new(Pins::new(stored_pins(run.root())?.map_or_else(named, Ok)?)))
}

/// The configuration that a run was started with, with which it is resumed.
///
/// # Errors
/// A folder that is not a run; a configuration that is damaged, of another version or cannot be used.
pub fn stored_config(run: &Path) -> Result<Config> {
    let run = RunFolder::open(run)?;
    Config::from_toml(&run.config_text()?, &run.config_path())
}

/// Settings that may change when a run is resumed: device and recorded slices, not results.
const FREE: [&str; 6] =
    ["device: ", "threads: ", "data.cache: ", "data.memory_mib: ", "training.micro_batch: ", "method.probes: "];

/// The settings that prevent a run started with `stored` from being resumed with `wanted`, as lines of [`diff_config`].
///
/// # Errors
/// Settings that cannot be written as TOML.
pub fn differences(stored: &Config, wanted: &Config) -> Result<Vec<String>> {
    let value = |config: &Config| toml::Value::try_from(config).map_err(|e| Error::config("config", "", e.to_string()));
    let mut differences = diff_config(&value(stored)?, &value(wanted)?);
    differences.retain(|line| !FREE.iter().any(|free| line.starts_with(free)));
    Ok(differences)
}
