//! Reads a cohort's files and summarises their contents and problems.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::case::read_masks;
use super::names::is_mr;
use super::{Case, Cohort, ExcludedScan, FingerprintCache, LabelNames, Layout, Problem};
use crate::Result;
use crate::event::Control;
use crate::parallel;
use crate::preprocess::{CtReader, Kind, KindChoice, MapSource};
use crate::volume::seg::{open_segmentation, space_of};
use crate::volume::{Background, Grid, MaskOptions, Relation, Volume, ct_doubt};

/// The contents of a cohort, as `amlp cohort --json` prints them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fingerprint {
    /// The cohort's folder.
    pub folder: String,
    /// The folder layout.
    pub layout: Layout,
    /// The modality that was read; `null` for all.
    pub modality: Option<String>,
    /// Number of patients.
    pub patients: usize,
    /// Number of scans, at most one for each patient and session.
    pub scans: usize,
    /// The scans, by id.
    pub cases: Vec<CaseFingerprint>,
    /// Scans that cannot be used: not in the cohort, without the requested modality, or unreadable.
    pub left_out: Vec<ExcludedScan>,
    /// Masks that cannot be read.
    pub masks_left_out: Vec<ExcludedScan>,
    /// Every modality and how many cases have it.
    pub modalities: BTreeMap<String, usize>,
    /// The meaning of label values by `dataset.json`.
    pub label_names: LabelNames,
    /// Every label value and in how many cases it occurs.
    pub labels: BTreeMap<u16, usize>,
    /// Meaning of the labels for the regions WT, TC and ET, and its source; `null` if nothing suggests one.
    pub label_meaning: Option<String>,
    /// Lesion volumes of the labelled patients in ml, the mean over a patient's scans; `null` if there are none.
    pub lesion_ml: Option<VolumeRange>,
    /// Voxels along i, j, k, and in how many cases.
    pub shapes: Vec<ValueCount<[usize; 3]>>,
    /// Spacing along i, j, k in mm, and in how many cases.
    pub spacings_mm: Vec<ValueCount<[f64; 3]>>,
    /// Axis letters, and in how many cases; `null` for a file without orientation.
    pub orientations: Vec<ValueCount<Option<String>>>,
    /// Cases with a label.
    pub labelled: usize,
    /// Problems by case and file.
    pub problems: Vec<Problem>,
}

/// One case of a [`Fingerprint`]; unreadable values are `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseFingerprint {
    /// The scan's id.
    pub id: String,
    /// The patient.
    pub patient: String,
    /// The session, time point or date; `null` if names contain none.
    pub session: Option<String>,
    /// True for a scan in a folder of test images (`imagesTs`), which no split uses.
    pub held_out: bool,
    /// The images by modality.
    pub images: BTreeMap<String, String>,
    /// The mask; the first file of several.
    pub label: Option<String>,
    /// All files of the mask, which is their union.
    pub masks: Vec<String>,
    /// A segmentation saved by this program next to the scan.
    pub segmentation: Option<String>,
    /// Shape of the first image read.
    pub shape: Option<[usize; 3]>,
    /// Its spacing along i, j, k.
    pub spacing_mm: Option<[f64; 3]>,
    /// The directions in which i, j, k grow, such as `RAS`.
    pub orientation: Option<String>,
    /// The constant value along the border of each image; `null` if there is none.
    pub background: BTreeMap<String, Option<f64>>,
    /// The label values found, without 0.
    pub labels: Vec<u16>,
    /// Volume of all labels together.
    pub lesion_ml: Option<f64>,
}

/// A value and the number of cases that have it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueCount<T> {
    /// The value.
    pub value: T,
    /// Cases.
    pub cases: usize,
}

/// Smallest, median and largest volume in ml.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct VolumeRange {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

/// How a cohort is read for its fingerprint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FingerprintOptions<'a> {
    /// Only this modality.
    pub modality: Option<&'a str>,
    /// How masks are read.
    pub masks: MaskOptions,
    /// Cache of results; without it every file is read.
    pub cache: Option<&'a FingerprintCache>,
}

/// Reads every image (of one modality, or of all) and every mask of a cohort, on all cores.
pub fn fingerprint(cohort: &Cohort, modality: Option<&str>) -> Result<Fingerprint> {
    let options = FingerprintOptions { modality, ..FingerprintOptions::default() };
    fingerprint_with(cohort, &options, &Control::default(), &|_, _| {})
}

/// Like [`fingerprint`]. `control` may pause or cancel between cases. After each case, `progress` receives the number of
/// cases done and the total.
///
/// # Errors
/// [`crate::ErrorKind::Cancelled`]; a modality that the cohort does not have.
pub fn fingerprint_with(
    cohort: &Cohort,
    options: &FingerprintOptions<'_>,
    control: &Control,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Fingerprint> {
    let modality = options.modality.map(|name| cohort.modality(name)).transpose()?;
    let kept = options.cache.map(|cache| cache.open(cohort, modality.as_deref(), &options.masks));
    let done = AtomicUsize::new(0);
    let read = |at: usize| {
        control.pass()?;
        let case = &cohort.cases[at];
        let (stamp, before) = kept.as_ref().map_or((None, None), |kept| kept.find(case));
        let report = before.cloned().unwrap_or_else(|| CaseReport::read(case, modality.as_deref(), &options.masks));
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, cohort.cases.len());
        Ok((stamp, report))
    };
    let reports: Vec<_> = parallel::map(cohort.cases.len(), read).into_iter().collect::<Result<_>>()?;
    if let Some(kept) = kept {
        kept.replace(reports.iter().filter_map(|(stamp, report)| Some((stamp.clone()?, report))));
    }
    let mut problems = cohort.problems.clone();
    if let Some(modality) = &modality {
        // Missing images of other modalities do not matter here.
        problems.retain(|p| p.what.strip_prefix("missing modality ").is_none_or(|other| other == modality));
    }
    let mut cases = Vec::with_capacity(reports.len());
    let copies = copies(reports.iter().map(|(_, report)| report));
    let (mut left_out, mut masks_left_out) = (cohort.left_out.clone(), Vec::new());
    for (_, report) in reports {
        problems.extend(report.problems);
        left_out.extend(report.unusable.map(|why| ExcludedScan::new(&report.case.id, why)));
        masks_left_out.extend(report.bad_mask.map(|why| ExcludedScan::new(&report.case.id, why)));
        cases.push(report.case);
    }
    problems.extend(copies);
    let mut labels = BTreeMap::new();
    for label in cases.iter().flat_map(|case| &case.labels) {
        *labels.entry(*label).or_insert(0) += 1;
    }
    let label_meaning = meaning(cohort, &cases, &mut problems)?;
    Ok(Fingerprint {
        folder: cohort.root.display().to_string(),
        layout: cohort.layout,
        modality,
        patients: cohort.patients().len(),
        scans: cases.len(),
        left_out,
        masks_left_out,
        modalities: cohort.modalities(),
        label_names: cohort.labels.clone(),
        labels,
        label_meaning,
        lesion_ml: {
            let scans = cases.iter().map(|case| (case.patient.as_str(), case.lesion_ml));
            range(patient_volumes(scans).into_values().flatten().collect())
        },
        shapes: count_values(cases.iter().filter_map(|case| case.shape)),
        spacings_mm: count_values(cases.iter().filter_map(|case| case.spacing_mm)),
        orientations: count_values(
            cases.iter().filter(|case| case.shape.is_some()).map(|case| case.orientation.clone()),
        ),
        labelled: cases.iter().filter(|case| case.lesion_ml.is_some()).count(),
        cases,
        problems,
    })
}

/// Meaning of the labels. The BraTS convention is not assumed for a single label, for a cohort whose tables name other
/// labels, or for scans that are not known to be MR. Labels outside all regions are reported with their files.
fn meaning(cohort: &Cohort, cases: &[CaseFingerprint], problems: &mut Vec<Problem>) -> Result<Option<String>> {
    let labels: BTreeSet<u16> = cases.iter().flat_map(|case| case.labels.iter().copied()).collect();
    if labels.iter().all(|label| *label == 1) {
        return Ok(None);
    }
    let (map, source) = cohort.label_map()?;
    let has_mr = cohort.modalities().keys().any(|modality| is_mr(modality));
    let may_be_brats = labels.len() > 1 && has_mr && cohort.labels.names.is_empty();
    if source == MapSource::Convention && !may_be_brats {
        return Ok(None);
    }
    for case in cases {
        let unknown = case.labels.iter().filter(|label| map.part(**label).is_none());
        let unknown: Vec<String> = unknown.map(u16::to_string).collect();
        if !unknown.is_empty() {
            let what =
                format!("label {} is in no region (WT, TC, ET). With binary targets it is lesion", unknown.join(", "));
            problems.push(Problem { case: Some(case.id.clone()), file: case.label.clone(), what });
        }
    }
    Ok(Some(format!("{map}, {}", source.describe())))
}

impl Fingerprint {
    /// Number of scans that can be used.
    pub fn used(&self) -> usize {
        self.cases.iter().filter(|case| !self.left_out.iter().any(|left| left.case == case.id)).count()
    }

    /// Ids and lesion volumes of the patients for [`super::split::Split::draw`]: those with a scan that has all of `modalities`
    /// and is not in a test folder. A patient's volume is the mean over its scans. A scan that cannot be read counts as one
    /// without a mask, so that it is
    /// never labelled, validated or tested and then left out.
    pub fn volumes(&self, cohort: &Cohort, modalities: &[String]) -> Vec<(String, Option<f64>)> {
        let unreadable: BTreeSet<&str> = self.left_out.iter().map(|left| left.case.as_str()).collect();
        let usable = |id: &str| cohort.case(id).is_some_and(|case| !case.held_out && case.has_all(modalities));
        let cases = self.cases.iter().filter(|case| usable(&case.id)).map(|case| {
            let known = case.lesion_ml.filter(|_| !unreadable.contains(case.id.as_str()));
            (case.patient.as_str(), known)
        });
        patient_volumes(cases).into_iter().collect()
    }
}

/// The mean lesion volume of each patient's scans with a mask, from the patient and the volume of each scan.
fn patient_volumes<'a>(scans: impl Iterator<Item = (&'a str, Option<f64>)>) -> BTreeMap<String, Option<f64>> {
    let mut volumes: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (patient, ml) in scans {
        volumes.entry(patient.to_owned()).or_default().extend(ml);
    }
    let mean = |volumes: Vec<f64>| (!volumes.is_empty()).then(|| volumes.iter().sum::<f64>() / volumes.len() as f64);
    volumes.into_iter().map(|(patient, volumes)| (patient, mean(volumes))).collect()
}

/// One case's part of the fingerprint.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct CaseReport {
    case: CaseFingerprint,
    problems: Vec<Problem>,
    /// Why the scan cannot be used.
    unusable: Option<String>,
    /// Why its mask cannot be read.
    bad_mask: Option<String>,
    /// A hash of the values of each image, by modality. None for a constant image.
    hashes: BTreeMap<String, u64>,
}

impl CaseReport {
    fn read(case: &Case, modality: Option<&str>, masks: &MaskOptions) -> Self {
        let text = |path: &Path| path.display().to_string();
        let mut report = Self {
            case: CaseFingerprint {
                id: case.id.clone(),
                patient: case.patient.clone(),
                session: case.session.clone(),
                held_out: case.held_out,
                images: case.images.iter().map(|(m, image)| (m.clone(), text(&image.path))).collect(),
                label: case.masks.first().map(|path| text(path)),
                masks: case.masks.iter().map(|path| text(path)).collect(),
                segmentation: case.segmentation.as_deref().map(text),
                shape: None,
                spacing_mm: None,
                orientation: None,
                background: BTreeMap::new(),
                labels: Vec::new(),
                lesion_ml: None,
            },
            problems: Vec::new(),
            unusable: modality.filter(|m| !case.images.contains_key(*m)).map(|m| format!("missing modality {m}")),
            bad_mask: None,
            hashes: BTreeMap::new(),
        };
        let mut first: Option<(Volume, String)> = None;
        let wanted = |m: &&String| modality.is_none_or(|wanted| *m == wanted);
        for (name, file) in case.images.iter().filter(|(m, _)| wanted(m)) {
            let path = &file.path;
            let read = file.read();
            if let Ok(image) = &read {
                report.read_values(name, path, image);
            }
            match (read, &first) {
                (Err(error), _) => {
                    report.unusable.get_or_insert(error.to_string());
                    report.add_problem(path, format!("unreadable: {}", without_path(path, &error)));
                }
                (Ok(image), None) => first = Some((image, text(path))),
                (Ok(image), Some((reference, name))) => {
                    let spaces = image.space.as_deref().zip(reference.space.as_deref());
                    if spaces.is_some_and(|(own, its)| !own.agrees_with(its)) {
                        let why = format!("frame of reference differs from {name}, so they may not be aligned");
                        report.add_problem(path, why);
                    }
                    let matched = image.grid.compare(&reference.grid, None);
                    if matched.relation != Relation::Same {
                        let (own, its) = (image.grid.describe(), reference.grid.describe());
                        let why = matched.difference(&image.grid, &reference.grid);
                        report.add_problem(path, format!("grid differs from {name}: {why} ({own} vs {its})"));
                    }
                }
            }
        }
        if let Some((Volume { grid, .. }, _)) = &first {
            report.case.shape = Some(grid.shape);
            // Headers store 32-bit floats: 0.9 mm must not become 0.8999999761581421.
            report.case.spacing_mm = Some(grid.spacing_mm().map(|s| (s * 1e6).round() / 1e6));
            report.case.orientation = grid.axis_codes();
        }
        if let Some(path) = case.masks.first() {
            report.read_mask(case, path, first.as_ref().map(|(image, _)| image), masks);
        }
        report
    }

    /// Background, hash of the values, doubts about the unit, and whatever is unusual about the file.
    fn read_values(&mut self, modality: &str, path: &Path, image: &Volume) {
        image.warnings.iter().for_each(|warning| self.add_problem(path, warning.clone()));
        // JSON has no NaN.
        let value = Background::of(image, 0).map(|b| b.value).filter(|value| value.is_finite());
        self.case.background.insert(modality.to_owned(), value);
        self.hashes.extend(hash_of(image).map(|hash| (modality.to_owned(), hash)));
        let is_ct = Kind::named(modality, KindChoice::Auto) == Some(Kind::Ct);
        if let Some(doubt) = is_ct.then(|| ct_doubt(image)).flatten() {
            self.add_problem(path, format!("{doubt}. Training refuses it. {}", CtReader::Training.remedy(&doubt)));
        }
    }

    fn read_mask(&mut self, case: &Case, path: &Path, image: Option<&Volume>, masks: &MaskOptions) {
        let label = match read_masks(&case.masks, masks) {
            Ok((label, notes)) => {
                notes.into_iter().for_each(|note| self.add_problem(path, note));
                label
            }
            Err(error) => {
                self.bad_mask = Some(error.to_string());
                return self.add_problem(path, format!("unreadable: {}", without_path(path, &error)));
            }
        };
        if let Some(image) = image {
            let segmentation = open_segmentation(path);
            let misplaced = |image: &Volume| space_of(segmentation.as_ref()?, image.space.as_deref()).err();
            if let Some(error) = misplaced(image)
                && !case.images.values().filter_map(|other| other.read().ok()).any(|other| misplaced(&other).is_none())
            {
                self.bad_mask = Some(error.to_string());
                return self.add_problem(path, without_path(path, &error));
            }
            let what = "the mask and its image";
            match label.clone().aligned(&image.grid, masks, what, ["mask", "image"]) {
                // A SEG omits empty slices, so partial coverage is not a problem.
                Ok(_) if segmentation.is_some() => {}
                Ok((_, note)) => note.into_iter().for_each(|note| self.add_problem(path, note)),
                Err(error) => {
                    let fits = |grid: &Grid| label.clone().aligned(grid, masks, what, ["mask", "image"]).is_ok();
                    // A mask drawn on another image of the case (HECKTOR 2022: on the CT) is resampled later.
                    let mut others = case.images.values().filter_map(|other| Volume::read_grid(&other.path).ok());
                    if !others.any(|grid| fits(&grid)) {
                        // Training leaves it out too: its volume belongs to no lesion of this scan.
                        self.bad_mask = Some(error.to_string());
                        return self.add_problem(path, error.to_string());
                    }
                }
            }
        }
        self.case.labels = label.labels();
        self.case.lesion_ml = Some(label.volume_ml());
        if self.case.labels.is_empty() {
            self.add_problem(path, "the mask is empty".into());
        }
    }

    fn add_problem(&mut self, path: &Path, what: String) {
        let (case, file) = (Some(self.case.id.clone()), Some(path.display().to_string()));
        self.problems.push(Problem { case, file, what });
    }
}

/// A hash of an image's size and values; none for a constant image.
fn hash_of(image: &Volume) -> Option<u64> {
    let values = image.to_f32();
    let first = values.first()?.to_bits();
    if values.iter().all(|value| value.to_bits() == first) {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    image.grid.shape.hash(&mut hasher);
    values.iter().for_each(|value| value.to_bits().hash(&mut hasher));
    Some(hasher.finish())
}

/// Images that two patients share, such as those of a backup copy inside the cohort.
fn copies<'a>(reports: impl Iterator<Item = &'a CaseReport>) -> Vec<Problem> {
    let mut known: BTreeMap<(&str, u64), &CaseFingerprint> = BTreeMap::new();
    let mut problems = Vec::new();
    for CaseReport { case, hashes, .. } in reports {
        for (modality, hash) in hashes {
            match known.entry((modality, *hash)) {
                Entry::Vacant(entry) => {
                    entry.insert(case);
                }
                Entry::Occupied(entry) if entry.get().patient != case.patient => {
                    let other = entry.get();
                    let what = format!(
                        "has the same values as the {modality} of patient {}. Remove one of them, or a network may be \
                         tested on a scan it was trained on",
                        other.patient
                    );
                    problems.push(Problem {
                        case: Some(case.id.clone()),
                        file: case.images.get(modality).cloned(),
                        what,
                    });
                }
                Entry::Occupied(_) => {}
            }
        }
    }
    problems
}

/// An error's text without the path, which is shown separately.
fn without_path(path: &Path, error: &crate::Error) -> String {
    let text = error.to_string();
    text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text).to_owned()
}

fn range(mut volumes: Vec<f64>) -> Option<VolumeRange> {
    volumes.sort_by(f64::total_cmp);
    let (&min, &max) = (volumes.first()?, volumes.last()?);
    let middle = volumes.len() / 2;
    let median =
        if volumes.len() % 2 == 1 { volumes[middle] } else { f64::midpoint(volumes[middle - 1], volumes[middle]) };
    Some(VolumeRange { min, median, max })
}

/// The values, most frequent first, ties in order of first occurrence.
fn count_values<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<ValueCount<T>> {
    let mut counts: Vec<ValueCount<T>> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|count| count.value == value) {
            Some(count) => count.cases += 1,
            None => counts.push(ValueCount { value, cases: 1 }),
        }
    }
    counts.sort_by_key(|count| std::cmp::Reverse(count.cases));
    counts
}
