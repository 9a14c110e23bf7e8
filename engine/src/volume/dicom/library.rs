//! Lists the patients, studies and series of a folder, file, zip archive or DICOMDIR.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::instance::{Instance, PHASES, Plane};
use super::listing;
use super::load::{ImageStack, Progress};
use super::source::Source;
use super::stack::{Slice, Stack, stacks};
use super::{DicomFile, Frames, Syntax, hashed_uid};
use crate::parallel;
use crate::words::plural;
use crate::{ErrorKind, Result};

/// Number of headers that are read between two reports of progress.
const BATCH: usize = 64;

/// The DICOM files of a folder, file or archive, by patient. Text that names patients is only for a study list and never part
/// of a message.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// Sorted by PatientID.
    pub patients: Vec<Patient>,
    /// Files and folders that were left out, one sentence each.
    pub warnings: Vec<String>,
    /// Number of files that are not DICOM.
    pub other_files: usize,
}

/// A patient.
#[derive(Clone, Debug)]
pub struct Patient {
    /// PatientID; may be empty.
    pub id: String,
    /// PatientName.
    pub name: String,
    /// Sorted by date.
    pub studies: Vec<Study>,
}

/// A study of a patient.
#[derive(Clone, Debug)]
pub struct Study {
    /// StudyInstanceUID.
    pub uid: String,
    /// StudyDescription.
    pub description: String,
    /// Sorted by number.
    pub series: Vec<Series>,
}

/// A series.
#[derive(Clone, Debug)]
pub struct Series {
    /// SeriesInstanceUID.
    pub uid: String,
    /// SeriesNumber.
    pub number: Option<i64>,
    /// Modality as in the header, such as `MR` or `PT`.
    pub modality: String,
    /// SeriesDescription.
    pub description: String,
    /// Date of the series as YYYYMMDD.
    pub date: String,
    /// Name of the transfer syntax of its first file.
    pub transfer_syntax: String,
    /// Number of files.
    pub files: usize,
    /// Its volumes and single images; none for reports, segmentations and structure sets.
    pub stacks: Vec<ImageStack>,
    /// Irregularities of files that belong to no stack.
    pub warnings: Vec<String>,
    pub(super) instances: Arc<Vec<Instance>>,
}

impl Library {
    /// Reads the headers under `path`: a file, a folder with its subfolders, a zip archive or a DICOMDIR. The zip archives of
    /// a folder are read if it holds no other DICOM file.
    ///
    /// # Errors
    /// A path that cannot be read, a single file that is not DICOM or damaged, cancelled.
    pub fn scan(path: &Path, progress: Progress) -> Result<Self> {
        let (sources, warnings) = listing::sources(path)?;
        let library = Self::of_sources(&sources, warnings, progress)?;
        if !library.patients.is_empty() || !path.is_dir() {
            return Ok(library);
        }
        let (members, warnings) = listing::of_archives(&sources);
        if members.is_empty() {
            return Ok(library);
        }
        Self::of_sources(&members, [library.warnings, warnings].concat(), progress)
    }

    /// Reads the headers of files in memory. A single one may be a zip archive.
    ///
    /// # Errors
    /// As [`Library::scan`].
    pub fn of_bytes(files: &[Arc<[u8]>]) -> Result<Self> {
        let mut sources: Vec<Source> = files.iter().cloned().map(Source::memory).collect();
        if let [only] = &sources[..] {
            sources = listing::in_file(only)?.0;
        }
        Self::of_sources(&sources, Vec::new(), &|_, _| true)
    }

    fn of_sources(sources: &[Source], mut warnings: Vec<String>, progress: Progress) -> Result<Self> {
        let mut instances: Vec<Instance> = Vec::with_capacity(sources.len());
        let mut other_files = 0;
        let mut damaged = 0;
        for (batch, part) in sources.chunks(BATCH).enumerate() {
            for read in parallel::map(part.len(), |index| Instance::read(&part[index])) {
                match read {
                    Ok(Some(instance)) => instances.push(instance),
                    Ok(None) => other_files += 1,
                    Err(error) if sources.len() == 1 => return Err(error),
                    Err(error) => {
                        damaged += 1;
                        if damaged <= 5 {
                            warnings.push(format!("a file is left out: {}", error.without_path()));
                        }
                    }
                }
            }
            if !progress((batch * BATCH + part.len()).min(sources.len()), sources.len()) {
                return Err(ErrorKind::Cancelled.into());
            }
        }
        if damaged > 5 {
            warnings
                .push(format!("{} left out as damaged", plural(damaged - 5, "further file is", "further files are")));
        }
        let patients = by_patient(instances);
        Ok(Self { patients, warnings, other_files })
    }

    /// True if a series has a volume or an image.
    pub fn has_images(&self) -> bool {
        self.series().any(|series| !series.stacks.is_empty())
    }

    /// Reads the headers of the files directly in a folder.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn of_folder(folder: &Path) -> Result<Self> {
        Self::of_sources(&listing::files_in(folder)?, Vec::new(), &|_, _| true)
    }

    /// Every series, by patient and study.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        self.patients.iter().flat_map(|patient| &patient.studies).flat_map(|study| &study.series)
    }
}

fn by_patient(instances: Vec<Instance>) -> Vec<Patient> {
    type Key = (String, String, String, String);
    let mut series: BTreeMap<Key, Vec<Instance>> = BTreeMap::new();
    for instance in instances {
        // Without ids, people differ by name.
        let name = if instance.patient_id.is_empty() { instance.patient_name.clone() } else { String::new() };
        let key = (instance.patient_id.clone(), name, instance.study_uid.clone(), instance.series_uid.clone());
        series.entry(key).or_default().push(instance);
    }
    let mut patients: Vec<Patient> = Vec::new();
    for ((id, name, study, _), instances) in series {
        let first = &instances[0];
        let is_same = |last: &Patient| last.id == id && (!id.is_empty() || last.name == name);
        if !patients.last().is_some_and(is_same) {
            patients.push(Patient { id, name: first.patient_name.clone(), studies: Vec::new() });
        }
        let Some(studies) = patients.last_mut().map(|patient| &mut patient.studies) else { continue };
        if studies.last().is_none_or(|last: &Study| last.uid != study) {
            studies.push(Study { uid: study, description: first.study_description.clone(), series: Vec::new() });
        }
        if let Some(study) = studies.last_mut() {
            study.series.push(Series::of(instances));
        }
    }
    for study in patients.iter_mut().flat_map(|patient| &mut patient.studies) {
        // Without a number last.
        study.series.sort_by_cached_key(|series| (series.number.is_none(), series.number, series.uid.clone()));
        warn_of_one_image_series(&mut study.series);
    }
    let date = |study: &Study| study.series.iter().map(|series| series.date.clone()).min();
    patients.iter_mut().for_each(|patient| patient.studies.sort_by_key(date));
    patients
}

/// Warns about series of one image that share a number, because some scanners give each slice its own series UID.
fn warn_of_one_image_series(series: &mut [Series]) {
    let mut counts: BTreeMap<(Option<i64>, String), usize> = BTreeMap::new();
    let single = |series: &Series| series.files == 1 && series.number.is_some() && series.stacks.len() == 1;
    for one in series.iter().filter(|one| single(one)) {
        *counts.entry((one.number, one.modality.clone())).or_default() += 1;
    }
    for one in series.iter_mut() {
        let key = (one.number, one.modality.clone());
        if single(one)
            && let Some(n) = counts.get(&key).filter(|n| **n > 1)
        {
            let number = one.number.unwrap_or_default();
            let text = format!("{n} series of one image share number {number}. Choose the number to join them");
            one.warnings.push(text);
        }
    }
}

impl Series {
    pub(super) fn of(mut instances: Vec<Instance>) -> Self {
        let mut warnings = Vec::new();
        instances.sort_by(|a, b| (a.number, &a.uid).cmp(&(b.number, &b.uid)));
        let before = instances.len();
        // Some programs give different slices one UID: a copy also has the same place and order.
        let place = |instance: &Instance| instance.planes.first().map(|plane| (plane.position, plane.order));
        instances.dedup_by(|a, b| !a.uid.is_empty() && a.uid == b.uid && place(a) == place(b));
        if before > instances.len() {
            let copies = before - instances.len();
            warnings
                .push(format!("{} left out", plural(copies, "second copy of a file is", "second copies of files are")));
        }
        for instance in instances.iter().filter(|instance| instance.planes.is_empty()) {
            for warning in &instance.warnings {
                if !warnings.contains(warning) {
                    warnings.push(warning.clone());
                }
            }
        }
        let volumes = stacks(&instances, &|a, b| same_pixels(&instances, a, b));
        let first = &instances[0];
        let mut series = Self {
            uid: first.series_uid.clone(),
            number: first.series_number,
            modality: first.modality.clone(),
            description: first.description.clone(),
            date: first.series_date.clone(),
            transfer_syntax: Syntax::name(&first.syntax_uid).to_owned(),
            files: before,
            stacks: Vec::new(),
            warnings,
            instances: Arc::new(instances),
        };
        let instances = Arc::clone(&series.instances);
        let names = names(&instances, &volumes);
        for (index, (stack, name)) in volumes.into_iter().zip(names).enumerate() {
            series.stacks.push(ImageStack { instances: Arc::clone(&instances), stack, name, number: index + 1 });
        }
        series
    }

    /// True for its number or UID.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.uid == name || self.number.is_some_and(|number| number.to_string() == name)
    }

    /// Number of its volumes and images, else of its files.
    pub(super) fn parts(&self) -> usize {
        if self.stacks.is_empty() { self.instances.len() } else { self.stacks.len() }
    }

    /// Hash of the series' UID, to name it without its identity.
    pub fn hash(&self) -> String {
        hashed_uid(&self.uid)
    }
}

/// Names of the stacks of a series: echo and component, and what else distinguishes stacks of one name. Empty for the only one.
fn names(instances: &[Instance], stacks: &[Stack]) -> Vec<String> {
    let plane = |stack: &Stack| stack.first().map(|slice| &instances[slice.instance].planes[slice.plane]);
    let planes: Vec<Option<&Plane>> = stacks.iter().map(plane).collect();
    let mut names: Vec<Vec<String>> =
        planes.iter().map(|plane| plane.map_or_else(Vec::new, echo_and_component)).collect();
    let shared = |value: &String| planes.iter().flatten().all(|plane| plane.image_type.contains(value));
    let types = |plane: &Plane| {
        let mut own: Vec<String> = plane.image_type.iter().filter(|value| !shared(value)).cloned().collect();
        own.dedup();
        Some(own.join(" ")).filter(|text| !text.is_empty())
    };
    let of_phase = |phase: usize| {
        let [name, unit] = PHASES[phase];
        move |plane: &Plane| plane.phase[phase].map(|value| format!("{name} {}{unit}", value as f64 / 1000.0))
    };
    let mut add = |attribute: &dyn Fn(&Plane) -> Option<String>| {
        let values: Vec<Option<String>> = planes.iter().map(|plane| plane.and_then(attribute)).collect();
        let distinguishes = |i: usize| (0..i).any(|j| names[i] == names[j] && values[i] != values[j]);
        if (1..names.len()).any(distinguishes) {
            names.iter_mut().zip(values).for_each(|(name, value)| name.extend(value));
        }
    };
    add(&|plane| plane.kind.localiser.then(|| "localiser".to_owned()));
    add(&|plane| plane.kind.kernel.as_ref().map(|kernel| format!("kernel {kernel}")));
    add(&|plane| plane.stack_id.as_ref().map(|id| format!("stack {id}")));
    add(&types);
    (0..PHASES.len()).for_each(|phase| add(&of_phase(phase)));
    if stacks.len() < 2 {
        return vec![String::new(); stacks.len()];
    }
    names.into_iter().map(|parts| parts.join(", ")).collect()
}

fn echo_and_component(plane: &Plane) -> Vec<String> {
    let component = plane.kind.component.map(|component| match component {
        'M' => "magnitude".to_owned(),
        'P' => "phase".to_owned(),
        'R' => "real".to_owned(),
        _ => "imaginary".to_owned(),
    });
    let echo = plane.kind.echo.map(|us| format!("echo {} ms", us as f64 / 1000.0));
    echo.into_iter().chain(component).collect()
}

/// True if both slices can be read and have the same pixels.
fn same_pixels(instances: &[Instance], a: Slice, b: Slice) -> bool {
    let read = |slice: Slice| {
        let instance = &instances[slice.instance];
        let file = DicomFile::from_source(&instance.source).ok()?;
        Frames::open(&file).ok()?.frame(instance.planes[slice.plane].frame).ok()
    };
    read(a).is_some_and(|pixels| read(b) == Some(pixels))
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
