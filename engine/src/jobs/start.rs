//! The run folder of a job: created with a split, or opened to resume.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Start, differences};
use crate::cohort::corrections::Corrections;
use crate::cohort::split::{Part, Split};
use crate::cohort::{Cohort, CohortIdentity, FingerprintOptions, fingerprint_with};
use crate::config::Config;
use crate::event::{Control, Stage};
use crate::preprocess::{Targets, geometry};
use crate::run::{RunFolder, failure};
use crate::volume::{MaskOptions, Volume};
use crate::{Error, Result};

/// "P01, axial slice 9": the patient, and the scan's slice nearest to a prepared slice, counted from the feet, from 1, as the
/// views number slices. Reads headers only.
pub(crate) fn slice_name(config: &Config, case: &str, prepared: usize) -> Result<String> {
    let cohort = config.data.discover()?;
    let first = config.data.modality.first().map(|modality| cohort.modality(modality)).transpose()?;
    let image = cohort.case(case).zip(first).and_then(|(case, modality)| case.images.get(&modality));
    let image = image.ok_or_else(|| Error::config("patient", case, "the cohort no longer has its scan"))?;
    let plan = geometry(&Volume::read_grid(&image.path)?, &config.preprocess)?;
    Ok(format!("{case}, axial slice {}", plan.source_slice_of(prepared) + 1))
}

/// Resolves modalities to the cohort's names, and labels to their meaning in it.
pub(crate) fn with_known_modalities(mut config: Config, cohort: &Cohort) -> Result<Config> {
    for modality in &mut config.data.modality {
        *modality = cohort.modality(modality)?;
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = config.data.modality.iter().find(|modality| !seen.insert(*modality)) {
        return Err(Error::config("modality", twice, "is given twice"));
    }
    if config.data.targets == Targets::Regions && config.preprocess.label_map.is_empty() {
        let (map, source) = cohort.label_map()?;
        tracing::warn!("labels: {map}, {}", source.describe());
        config.preprocess.label_map = map;
    }
    Ok(config)
}

/// A run folder with its split.
pub(super) struct OpenedRun {
    pub run: RunFolder,
    pub split: Split,
    /// The corrected masks that it trains on. A resumed run uses those that it stored.
    pub corrections: Corrections,
    /// True for a new folder.
    new: bool,
}

impl OpenedRun {
    /// Prepares the training data. A new run whose data cannot be read, or that is cancelled meanwhile, leaves no folder.
    pub fn load<T>(&self, load: impl FnOnce(&Split) -> Result<T>) -> Result<T> {
        load(&self.split).inspect_err(|_| {
            if self.new {
                // Return the first error. If the folder cannot be removed, the next start reports it.
                let _ = self.run.discard();
            }
        })
    }
}

/// Creates the run folder with its split, or opens it to resume.
pub(super) fn open_run(
    config: &Config,
    cohort: &Cohort,
    out: &Path,
    start: Start<'_>,
    control: &Control,
) -> Result<OpenedRun> {
    if start.resume && RunFolder::is_run(out) {
        let run = RunFolder::resume(out)?;
        // Read with current defaults, so that settings newer than the run are not differences.
        let stored = Config::from_toml(&run.config_text()?, &run.config_path())?;
        let split = run.read_split()?;
        let mut differences = differences(&stored, config)?;
        let moved = differences.iter().any(|line| line.starts_with("data.cohort: "));
        if moved && is_cohort_of(&run, &split, cohort, &config.data.modality)? {
            differences.retain(|line| !line.starts_with("data.cohort: "));
        }
        if !differences.is_empty() {
            let why = format!("was started with other settings ({}). Start a new run", differences.join("; "));
            return Err(Error::file(out, why));
        }
        if moved {
            let mut stored = stored;
            stored.data.cohort.clone_from(&config.data.cohort);
            run.write_config(&stored.to_toml()?)?;
        }
        failure::clear(&run)?;
        let mut corrections = run.read_corrections::<Corrections>()?.unwrap_or_default();
        corrections.relocate(&cohort.root);
        return Ok(OpenedRun { run, split, corrections, new: false });
    }
    let (split, source) = match start.split {
        Some(path) => (Split::read(path)?, path.to_path_buf()),
        None => match inherited_here(config, cohort)? {
            Some(split) => (split, config.labels.from.join("split.json")),
            None => (draw_split(config, cohort, control)?, out.join("split.json")),
        },
    };
    split.check_patients(cohort, &source)?;
    let split = match inherited(config)? {
        Some(earlier) => {
            split.check_unseen(&earlier, cohort, &source)?;
            split.after(&earlier)
        }
        None => split,
    };
    let split = if start.split.is_some() { with_volumes(split, config, cohort, control)? } else { split };
    let corrections = corrections(config)?;
    let split = corrections.extend(cohort, split);
    let run = RunFolder::create(out, &config.to_toml()?)?;
    run.write_split(&split)?;
    if !corrections.masks.is_empty() {
        run.write_corrections(&corrections)?;
    }
    run.write_cohort(&CohortIdentity::of(cohort, &config.data.modality))?;
    Ok(OpenedRun { run, split, corrections, new: true })
}

/// The corrected masks that a new fine-tuning run trains on; none in pre-training.
pub(crate) fn corrections(config: &Config) -> Result<Corrections> {
    match &config.labels.corrections {
        Some(folder) if config.stage == Stage::Finetune => Corrections::read(folder),
        _ => Ok(Corrections::default()),
    }
}

/// The split that a new fine-tuning run inherits from the run it starts from, with the patients of its corrected masks; `None`
/// if it starts from random weights or from another cohort.
///
/// # Errors
/// A split or a record of corrected masks that cannot be read.
pub fn planned_split(config: &Config, cohort: &Cohort) -> Result<Option<Split>> {
    let Some(split) = inherited_here(config, cohort)? else { return Ok(None) };
    Ok(Some(corrections(config)?.extend(cohort, split)))
}

/// The split of the run that a fine-tuning run starts from, unless none of its patients is in this cohort: a network that was
/// trained on another cohort has seen no patient of this one. A run with corrected masks always inherits.
fn inherited_here(config: &Config, cohort: &Cohort) -> Result<Option<Split>> {
    let Some(split) = inherited(config)? else { return Ok(None) };
    let is_here = |id: &String| cohort.scans_of(id).next().is_some();
    if config.labels.corrections.is_some() || split.part(Part::All).iter().any(is_here) {
        return Ok(Some(split));
    }
    tracing::warn!(
        "no patient of {} is in {}, so a new split is drawn",
        config.labels.from.display(),
        cohort.root.display()
    );
    Ok(None)
}

/// The split of the run that a fine-tuning run starts from.
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

/// Adds missing lesion volumes to a split. A hand-written split may omit them, but the draw of the labelled patients needs
/// them.
pub(crate) fn with_volumes(mut split: Split, config: &Config, cohort: &Cohort, control: &Control) -> Result<Split> {
    let missing: BTreeSet<String> =
        split.part(Part::All).into_iter().filter(|id| !split.lesion_ml.contains_key(id)).collect();
    if !missing.is_empty() {
        let volumes = eligible_patients(config, cohort, control)?;
        split.lesion_ml.extend(volumes.into_iter().filter(|(id, _)| missing.contains(id)));
    }
    Ok(split)
}

/// The patients that can be trained or tested on, with their lesion volume in ml, `None` without a mask.
pub(crate) fn eligible_patients(
    config: &Config,
    cohort: &Cohort,
    control: &Control,
) -> Result<Vec<(String, Option<f64>)>> {
    let modalities = &config.data.modality;
    let (first, others) = (modalities.first(), modalities.iter().skip(1));
    let masks = MaskOptions { frame: config.data.frame, ..config.preprocess.masks() };
    let options = |modality| FingerprintOptions { modality, masks, cache: None };
    let mut found = fingerprint_with(cohort, &options(first.map(String::as_str)), control, &|_, _| {})?;
    // The masks are known by now. Any image of a scan may be unreadable.
    let mut images = cohort.clone();
    images.cases.iter_mut().for_each(|case| case.masks.clear());
    for modality in others {
        let other = fingerprint_with(&images, &options(Some(modality)), control, &|_, _| {})?;
        found.left_out.extend(other.left_out);
    }
    Ok(found.volumes(cohort, modalities))
}

/// True if `cohort` is the run's cohort, at any location: the same scans with the same headers. Runs of earlier versions
/// recorded no headers; for them the patients must exist, and the checkpoint compares the data.
///
/// # Errors
/// A record that cannot be read.
pub(crate) fn is_cohort_of(run: &RunFolder, split: &Split, cohort: &Cohort, modalities: &[String]) -> Result<bool> {
    Ok(match run.read_cohort::<CohortIdentity>()? {
        Some(recorded) => recorded.is_within(&CohortIdentity::of(cohort, modalities)),
        None => split.part(Part::All).iter().all(|id| cohort.scans_of(id).next().is_some()),
    })
}
