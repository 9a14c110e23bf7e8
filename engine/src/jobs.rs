//! Whole jobs, from a configuration to a finished run folder: what the command line, the demo and the window start.

pub mod evaluation;

use std::path::Path;
use std::sync::Arc;

use crate::cohort::split::{LabelShare, Split};
use crate::cohort::{Case, Cohort, fingerprint_under};
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, Event, EventSink, Stage};
use crate::finetune::{FinetuneReport, Labelled, finetune};
use crate::preprocess::Targets;
use crate::pretrain::amlp::mps::PatchState;
use crate::pretrain::{PretrainReport, Slices, patches, pretrain};
use crate::probe::{Pin, Pins, stored_pins};
use crate::run::report::write_report;
use crate::run::{RunFolder, diff_config, failure};
use crate::trainer::{Dataset, Session};
use crate::{Error, ErrorKind, Result};

/// How a job starts in its run folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    /// Resume the run in the folder, if there is one.
    pub resume: bool,
    /// Take this split instead of drawing or inheriting one.
    pub split: Option<&'a Path>,
    /// Stop after the estimate and leave no run folder.
    pub dry: bool,
}

/// A pre-training, ready to run.
pub struct PretrainJob {
    /// Its configuration.
    pub config: Config,
    /// Its run folder, locked.
    pub run: RunFolder,
    /// Its training slices.
    pub slices: Slices,
    /// The clustered patches of each slice; none where the method has no patches. Training updates their labels.
    pub patches: Vec<PatchState>,
    /// The pinned slices, which may change while the job runs: those that a resumed run has stored, those of `method.probes` in
    /// a new one.
    pub pins: Arc<Pins>,
    cohort: Cohort,
    dry: bool,
}

impl PretrainJob {
    /// Opens the run folder, draws or reads the split, prepares and clusters the training patients.
    pub fn prepare(
        config: Config,
        out: &Path,
        start: Start<'_>,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        config.validate()?;
        let cohort = Cohort::discover(&config.data.cohort)?;
        let config = with_known_modalities(config, &cohort)?;
        let opened = open_run(&config, &cohort, out, start, control)?;
        let run = &opened.run;
        let (slices, patches) = opened.load(|split| {
            let cases = cases_of(&cohort, &split.train, &config.data.modality)?;
            let slices = Slices::load(&config, &cases, run.root(), control, progress)?;
            let patches = patches(&config, &slices, control)?;
            Ok((slices, patches))
        })?;
        let pins = pinned(&config, run)?;
        let run = opened.run;
        Ok(Self { config, run, slices, patches, pins, cohort, dry: start.dry })
    }

    /// Pins some training slices as well.
    pub fn watch(&self, slices: &[usize]) -> Result<()> {
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
        let Self { config, run, slices, patches, pins, cohort, dry } = self;
        let session = Session { compute, run, cohort, pins, control, dry: *dry };
        let done = pretrain(config, slices, patches, &session, sink);
        finish(&self.run, done, self.dry, sink)
    }
}

/// A fine-tuning, ready to run.
pub struct FinetuneJob {
    /// Its configuration.
    pub config: Config,
    /// Its run folder, locked.
    pub run: RunFolder,
    /// Its labelled slices.
    pub labelled: Labelled,
    /// The pinned slices, which may change while the job runs: those that a resumed run has stored, those of `method.probes` in
    /// a new one.
    pub pins: Arc<Pins>,
    cohort: Cohort,
    dry: bool,
}

impl FinetuneJob {
    /// Opens the run folder, reads or inherits or draws the split, chooses and prepares the labelled patients.
    pub fn prepare(
        config: Config,
        out: &Path,
        start: Start<'_>,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        config.validate()?;
        let cohort = Cohort::discover(&config.data.cohort)?;
        let config = with_known_modalities(config, &cohort)?;
        let opened = open_run(&config, &cohort, out, start, control)?;
        let run = &opened.run;
        let labelled = opened.load(|split| {
            let share: LabelShare = config.labels.labels.parse()?;
            let labelled = cases_of(&cohort, &split.labelled(&share, config.labels.draw)?, &config.data.modality)?;
            let validation = if config.labels.validate_every > 0 {
                cases_of(&cohort, &split.val, &config.data.modality)?
            } else {
                Vec::new()
            };
            Labelled::load(&config, &labelled, &validation, run.root(), control, progress)
        })?;
        let pins = pinned(&config, run)?;
        let run = opened.run;
        Ok(Self { config, run, labelled, pins, cohort, dry: start.dry })
    }

    /// Trains and writes the report; `None` for a dry run.
    pub fn train(
        &mut self,
        compute: &Compute,
        sink: &mut dyn EventSink,
        control: &Control,
    ) -> Result<Option<FinetuneReport>> {
        let Self { config, run, labelled, pins, cohort, dry } = self;
        let session = Session { compute, run, cohort, pins, control, dry: *dry };
        let done = finetune(config, labelled, &session, sink);
        finish(&self.run, done, self.dry, sink)
    }
}

/// Writes the report of a finished job, or emits and records the failure.
fn finish<R: serde::Serialize>(
    run: &RunFolder,
    done: Result<Option<R>>,
    dry: bool,
    sink: &mut dyn EventSink,
) -> Result<Option<R>> {
    let done = done.inspect_err(|error| {
        // The error itself is returned; a listener that fails now has nothing to add.
        let _ = sink.event(&Event::Failed { message: error.to_string() });
        if !dry && !matches!(error.kind(), ErrorKind::Cancelled) {
            // On a full disk there is no room for the reason either.
            let _ = failure::write(run, &error.to_string());
        }
    })?;
    match &done {
        Some(report) => {
            write_report(run, report)?;
        }
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

/// Modalities by the names that the cohort uses, and labels by what they mean in it.
pub(crate) fn with_known_modalities(mut config: Config, cohort: &Cohort) -> Result<Config> {
    for modality in &mut config.data.modality {
        *modality = cohort.modality(modality)?;
    }
    if config.data.targets == Targets::Regions && config.preprocess.label_map.is_empty() {
        let (map, source) = cohort.label_map()?;
        tracing::warn!("labels: {map}, {}", source.describe());
        config.preprocess.label_map = map;
    }
    Ok(config)
}

/// The configuration that a run was started with, with which it is resumed.
///
/// # Errors
/// A folder that is not a run; a configuration that is damaged, of another version or cannot be used.
pub fn stored_config(run: &Path) -> Result<Config> {
    let run = RunFolder::open(run)?;
    Config::from_toml(&run.config_text()?, &run.config_path())
}

/// Settings that may change when a run is resumed: where it runs, not what it computes.
const FREE: [&str; 5] = ["device: ", "threads: ", "data.cache: ", "data.memory_mib: ", "training.micro_batch: "];

/// The settings that keep a run, which was started with `stored`, from being resumed as `wanted`: lines of [`diff_config`].
///
/// # Errors
/// Settings that cannot be written down.
pub fn differences(stored: &Config, wanted: &Config) -> Result<Vec<String>> {
    let value = |config: &Config| toml::Value::try_from(config).map_err(|e| Error::config("config", "", e.to_string()));
    let mut differences = diff_config(&value(stored)?, &value(wanted)?);
    differences.retain(|line| !FREE.iter().any(|free| line.starts_with(free)));
    Ok(differences)
}

/// A run folder with its split.
struct Opened {
    run: RunFolder,
    split: Split,
    /// True for a new folder.
    new: bool,
}

impl Opened {
    /// Prepares the training data. A new run whose data cannot be read, or that is cancelled meanwhile, leaves no folder.
    fn load<T>(&self, load: impl FnOnce(&Split) -> Result<T>) -> Result<T> {
        load(&self.split).inspect_err(|_| {
            if self.new {
                // The first error counts. The next start reports an empty run in its way.
                let _ = self.run.discard();
            }
        })
    }
}

/// Creates the run folder with its split, or opens it to resume.
fn open_run(config: &Config, cohort: &Cohort, out: &Path, start: Start<'_>, control: &Control) -> Result<Opened> {
    if start.resume && RunFolder::is_run(out) {
        let run = RunFolder::resume(out)?;
        // Read with today's defaults: settings that are newer than the run are no difference.
        let stored = Config::from_toml(&run.config_text()?, &run.config_path())?;
        let differences = differences(&stored, config)?;
        if !differences.is_empty() {
            let why = format!("was started with other settings ({}); start a new run", differences.join("; "));
            return Err(Error::file(out, why));
        }
        let split = run.read_split()?;
        failure::clear(&run)?;
        return Ok(Opened { run, split, new: false });
    }
    let split = match start.split {
        Some(path) => {
            let split = Split::read(path)?;
            if let Some(pretraining) = inherited(config)? {
                split.check_unseen(&pretraining, path)?;
            }
            split
        }
        None => inherited(config)?.map_or_else(|| draw_split(config, cohort, control), Ok)?,
    };
    let run = RunFolder::create(out, &config.to_toml()?)?;
    run.write_split(&split)?;
    Ok(Opened { run, split, new: true })
}

/// The split of the pre-training run that a fine-tuning starts from.
pub(crate) fn inherited(config: &Config) -> Result<Option<Split>> {
    if config.stage == Stage::Pretrain || config.labels.from.as_os_str().is_empty() {
        return Ok(None);
    }
    Ok(Some(RunFolder::open(&config.labels.from)?.read_split()?))
}

/// A new split by patient, stratified by lesion volume.
pub(crate) fn draw_split(config: &Config, cohort: &Cohort, control: &Control) -> Result<Split> {
    Ok(Split::draw(&eligible_patients(config, cohort, control)?, config.seed))
}

/// The patients that can be trained or tested on, with their lesion volume in ml, `None` without a mask.
pub(crate) fn eligible_patients(
    config: &Config,
    cohort: &Cohort,
    control: &Control,
) -> Result<Vec<(String, Option<f64>)>> {
    let first = config.data.modality.first().map(String::as_str);
    let mut patients =
        fingerprint_under(cohort, first, &config.preprocess.masks(), control, &|_, _| {})?.volumes(cohort);
    // A patient who lacks a modality can be neither trained nor tested on.
    let complete = |id: &String| {
        cohort.case(id).is_some_and(|c| !c.held_out && config.data.modality.iter().all(|m| c.images.contains_key(m)))
    };
    patients.retain(|(id, _)| complete(id));
    Ok(patients)
}

/// The cases of some patients, each with all of `modalities`.
pub fn cases_of(cohort: &Cohort, ids: &[String], modalities: &[String]) -> Result<Vec<Case>> {
    let case = |id: &String| {
        let case = cohort.case(id).ok_or_else(|| {
            let why = "the split names this patient, the cohort does not have it";
            Error::from(ErrorKind::Config { field: "split".into(), value: id.clone(), why: why.into() })
        })?;
        for modality in modalities {
            if !case.images.contains_key(modality) {
                return Err(Error::config("modality", modality, format!("patient {id} does not have it")));
            }
        }
        Ok(case.clone())
    };
    ids.iter().map(case).collect()
}
