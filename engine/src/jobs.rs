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
use crate::pretrain::{PretrainReport, Slices, pretrain};
use crate::probe::{Pin, Pins, stored_pins};
use crate::run::report::write_report;
use crate::run::{RunFolder, diff_config, failure};
use crate::trainer::Session;
use crate::{Error, ErrorKind, Result};

/// How a job meets its run folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    /// Go on with the run in the folder, if there is one.
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
    /// The pinned slices: may be changed while the job runs. A run that is resumed has those that it was left with, a new
    /// one those of `method.probes`.
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
        let slices = opened.fill(|split| {
            let cases = cases_of(&cohort, &split.train, &config.data.modality)?;
            Slices::load(&config, &cases, run.root(), control, progress)
        })?;
        let pins = pinned(&config, run)?;
        let run = opened.run;
        Ok(Self { config, run, slices, pins, cohort, dry: start.dry })
    }

    /// Pins some training slices, beside those that are pinned.
    pub fn watch(&self, slices: &[usize]) -> Result<()> {
        for slice in slices {
            self.pins.add(self.slices.names(&[*slice]).parse()?);
        }
        Ok(())
    }

    /// Trains, and writes the report. Nothing comes back from a dry run.
    pub fn train(
        &mut self,
        compute: &Compute,
        sink: &mut dyn EventSink,
        control: &Control,
    ) -> Result<Option<PretrainReport>> {
        let Self { config, run, slices, pins, cohort, dry } = self;
        let session = Session { compute, run, cohort, pins, control, dry: *dry };
        let done = pretrain(config, slices, &session, sink);
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
    /// The pinned slices: may be changed while the job runs. A run that is resumed has those that it was left with, a new
    /// one those of `method.probes`.
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
        let labelled = opened.fill(|split| {
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

    /// Trains, and writes the report. Nothing comes back from a dry run.
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

/// Writes the report of a job that ended well, tells the listeners of one that did not.
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

/// The pins that a run was left with, or those of its configuration.
fn pinned(config: &Config, run: &RunFolder) -> Result<Arc<Pins>> {
    let named = || config.method.probes.iter().map(|text| text.parse()).collect::<Result<Vec<Pin>>>();
    Ok(Arc::new(Pins::new(stored_pins(run.root())?.map_or_else(named, Ok)?)))
}

/// Modalities by the names that the cohort uses.
pub(crate) fn with_known_modalities(mut config: Config, cohort: &Cohort) -> Result<Config> {
    for modality in &mut config.data.modality {
        *modality = cohort.modality(modality)?;
    }
    Ok(config)
}

/// The configuration that a run was started with: what its continuation is prepared with.
///
/// # Errors
/// A folder that is not a run; a configuration that is damaged, of another version or cannot be used.
pub fn stored_config(run: &Path) -> Result<Config> {
    let run = RunFolder::open(run)?;
    Config::from_toml(&run.config_text()?, &run.config_path())
}

/// The settings that may differ between a run and its continuation: where it runs, not what it does.
const FREE: [&str; 6] =
    ["device: ", "threads: ", "data.cache: ", "data.memory_mib: ", "training.micro_batch: ", "training.read_every: "];

/// The settings that keep a run, which was started with `stored`, from being gone on with as `wanted`: lines as
/// [`diff_config`] gives them. Empty if there are none.
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
    /// True if the folder was made just now.
    made: bool,
}

impl Opened {
    /// Prepares what is trained on. A new run whose data cannot be had, or that is cancelled meanwhile, leaves no folder.
    fn fill<T>(&self, load: impl FnOnce(&Split) -> Result<T>) -> Result<T> {
        load(&self.split).inspect_err(|_| {
            if self.made {
                // The first error counts; an empty run in the way is named by the next start.
                let _ = self.run.discard();
            }
        })
    }
}

/// Makes the run folder or opens it again, and settles the split.
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
        return Ok(Opened { run, split, made: false });
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
    Ok(Opened { run, split, made: true })
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
    let first = config.data.modality.first().map(String::as_str);
    let mut patients = fingerprint_under(cohort, first, control, &|_, _| {})?.volumes(cohort);
    // A patient who lacks a modality can be neither trained nor tested on.
    let complete = |id: &String| {
        cohort.case(id).is_some_and(|c| !c.held_out && config.data.modality.iter().all(|m| c.images.contains_key(m)))
    };
    patients.retain(|(id, _)| complete(id));
    Ok(Split::draw(&patients, config.seed))
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
