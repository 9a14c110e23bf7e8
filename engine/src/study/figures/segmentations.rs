//! Slices x methods with the reference's contour, as the paper's Fig. 3.
//!
//! The patients shown do not depend on a pre-trained method's results: they are the quartiles and the median of `sup` (or of
//! the first method). Each is shown at the slice with the largest lesion area.

use std::collections::BTreeMap;

use super::{Sheet, Source};
use crate::cohort::Cohort;
use crate::config::Config;
use crate::jobs::with_known_modalities;
use crate::preprocess::read_case;
use crate::report::figures::{OverlayInput, OverlayMask, axial_slice, fullest_slice, overlay_rows};
use crate::study::job::{Cell, Job};
use crate::study::results::Row;
use crate::study::runner::JobState;
use crate::study::summary::{Group, patient_means};
use crate::study::tables::budget_name;
use crate::volume::LabelVolume;
use crate::{Error, Result};

/// Method whose results select the patients, if the study includes it.
const CHOOSER: &str = "sup";

/// The sheet of a group, with the networks of the first draw and the first seed; `None` without a measured patient.
pub(super) fn sheet(source: Source<'_>, group: &Group) -> Result<Option<Sheet>> {
    let chooser = group.methods.iter().find(|method| method.method == CHOOSER).or_else(|| group.methods.first());
    let Some(chooser) = chooser.map(|method| method.method.as_str()) else { return Ok(None) };
    let patients = at_quartiles(&patient_means(source.results, group, chooser, group.metric()));
    let mut scans = Vec::new();
    for patient in &patients {
        let own = source.results.rows.iter().filter(|row| is_shown(source, group, &row.cell));
        // The first of several scans.
        let Some(scan) = own.filter(|row| row.patient == *patient).map(|row| &row.scan).min() else { continue };
        scans.push(Scan::read(source, group, scan)?);
    }
    let slices: Vec<Slice<'_>> = scans.iter().filter_map(|scan| scan.fullest(group)).collect();
    let inputs: Vec<Vec<OverlayMask<'_>>> = slices.iter().map(Slice::masks).collect();
    let rows: Vec<OverlayInput<'_>> = slices.iter().zip(&inputs).map(|(slice, masks)| slice.input(masks)).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let what = format!("{}, {}", group.cohort, budget_name(&group.budget));
    let png = overlay_rows(&format!("{what}: draw 1, seed {}", first_seed(source)), &rows)?;
    let names: Vec<&str> = slices.iter().map(|slice| slice.scan.id.as_str()).collect();
    let names = names.join(", ");
    Ok(Some(Sheet {
        png,
        alt: format!("Axial slices of {names} with the reference and the segmentation of each method"),
        caption: format!(
            "{what}: test patients at the quartiles and the median of {chooser} ({names}), each with its slice of the most \
             lesion, segmented by the networks of the first draw and seed."
        ),
    }))
}

fn first_seed(source: Source<'_>) -> u64 {
    source.plan.labels.seeds.first().copied().unwrap_or_default()
}

/// True for the cells whose masks are shown.
fn is_shown(source: Source<'_>, group: &Group, cell: &Cell) -> bool {
    (&cell.cohort, &cell.budget) == (&group.cohort, &group.budget) && cell.draw == 0 && cell.seed == first_seed(source)
}

/// The patients at the first quartile, the median and the third quartile.
fn at_quartiles(means: &BTreeMap<&str, f64>) -> Vec<String> {
    let mut sorted: Vec<(&str, f64)> = means.iter().map(|(patient, mean)| (*patient, *mean)).collect();
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(b.0)));
    let mut indices: Vec<usize> = [1, 2, 3].map(|quarter| quarter * sorted.len() / 4).to_vec();
    indices.dedup();
    indices.into_iter().filter_map(|index| sorted.get(index)).map(|(patient, _)| (*patient).to_owned()).collect()
}

/// A test scan in patient orientation, with the reference and the mask of each method.
struct Scan {
    id: String,
    modality: String,
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    image: Vec<f32>,
    truth: Vec<bool>,
    /// Name, DSC and mask in the order of the group; none where the method has no result.
    methods: Vec<(String, f64, Option<Vec<bool>>)>,
}

impl Scan {
    fn read(source: Source<'_>, group: &Group, id: &str) -> Result<Self> {
        let shown = || source.finals.iter().filter(|(cell, _)| is_shown(source, group, cell));
        let row_of = |method: &str| {
            let is_own = |row: &&Row| is_shown(source, group, &row.cell) && row.cell.method == method && row.scan == id;
            source.results.rows.iter().find(is_own)
        };
        let config = shown().map(|(_, job)| &job.finetune).next().ok_or_else(|| missing(id))?;
        let (cohort, config) = open(config)?;
        let case = cohort.case(id).ok_or_else(|| missing(id))?;
        let (images, truth) = read_case(case, &config.data.modality, true, &config.preprocess.masks())?;
        let (Some(image), Some(truth)) = (images.first(), truth) else { return Err(missing(id)) };
        let truth = truth.on_grid(&image.grid);
        let (grid, orientation) = image.grid.reoriented_to_ras();
        let stored = image.grid.shape;
        let mut methods = Vec::new();
        for method in &group.methods {
            let name = method.method.clone();
            let Some(row) = row_of(&name) else {
                methods.push((name, f64::NAN, None));
                continue;
            };
            let job = shown().map(|(_, job)| job).find(|job| job.name == row.run).ok_or_else(|| missing(id))?;
            let mask = mask_of(source, job, id)?;
            if mask.grid.shape != stored {
                return Err(Error::config("mask", id, "its grid no longer matches the image"));
            }
            methods.push((name, row.measures.dsc, Some(orientation.apply(&mask.inside(), stored))));
        }
        Ok(Self {
            id: id.to_owned(),
            modality: config.data.modality.first().map(|name| name.to_uppercase()).unwrap_or_default(),
            shape: grid.shape,
            spacing_mm: grid.spacing_mm(),
            image: orientation.apply(&image.to_f32(), stored),
            truth: orientation.apply(&truth.inside(), stored),
            methods,
        })
    }

    /// The slice with the most lesion; `None` without one.
    fn fullest(&self, group: &Group) -> Option<Slice<'_>> {
        let k = fullest_slice(&self.truth, self.shape[0] * self.shape[1])?;
        debug_assert_eq!(self.methods.len(), group.methods.len());
        let of = |mask: &Option<Vec<bool>>| mask.as_ref().map(|mask| axial_slice(mask, self.shape, k));
        Some(Slice {
            scan: self,
            words: format!("axial slice {} of {}", k + 1, self.shape[2]),
            image: axial_slice(&self.image, self.shape, k),
            truth: axial_slice(&self.truth, self.shape, k),
            masks: self.methods.iter().map(|(.., mask)| of(mask)).collect(),
        })
    }
}

fn missing(id: &str) -> Error {
    Error::config("patient", id, "the cohort no longer has its scan and reference")
}

/// The cohort of a run, and its settings with the cohort's own names of modalities.
fn open(config: &Config) -> Result<(Cohort, Config)> {
    let cohort = config.data.discover()?;
    let config = with_known_modalities(config.clone(), &cohort)?;
    Ok((cohort, config))
}

/// The stored segmentation of a scan by a job's network.
fn mask_of(source: Source<'_>, job: &Job, id: &str) -> Result<LabelVolume> {
    let JobState::Done(evaluation) = JobState::of(job, source.folder)? else { return Err(missing(id)) };
    let row = evaluation.patients.iter().find(|row| row.case == id).ok_or_else(|| missing(id))?;
    LabelVolume::read(&row.mask)
}

/// One slice of a scan.
struct Slice<'a> {
    scan: &'a Scan,
    words: String,
    image: Vec<f32>,
    truth: Vec<bool>,
    masks: Vec<Option<Vec<bool>>>,
}

impl Slice<'_> {
    fn masks(&self) -> Vec<OverlayMask<'_>> {
        let pairs = self.scan.methods.iter().zip(&self.masks);
        pairs.map(|((name, dsc, _), mask)| OverlayMask { name, dsc: *dsc, mask: mask.as_deref() }).collect()
    }

    fn input<'a>(&'a self, masks: &'a [OverlayMask<'a>]) -> OverlayInput<'a> {
        let ([nx, ny, _], [sx, sy, _]) = (self.scan.shape, self.scan.spacing_mm);
        OverlayInput {
            case: &self.scan.id,
            slice: &self.words,
            modality: &self.scan.modality,
            unit: "",
            image: &self.image,
            shape: [nx, ny],
            spacing_mm: [sx, sy],
            window: None,
            reference: &self.truth,
            masks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_patients_and_none_is_shown_twice() {
        let of = |values: &[(&'static str, f64)]| at_quartiles(&values.iter().copied().collect());
        let five = [("e", 0.1), ("d", 0.2), ("c", 0.3), ("b", 0.4), ("a", 0.5)];
        assert_eq!(of(&five), ["d", "c", "b"]);
        assert_eq!(of(&five[..2]), ["e", "d"]);
        assert_eq!(of(&[("only", 0.0)]), ["only"]);
        // Ties are broken by name, so that the choice does not depend on row order.
        assert_eq!(of(&[("b", 0.5), ("c", 0.5), ("a", 0.5), ("d", 0.5)]), ["b", "c", "d"]);
        assert!(of(&[]).is_empty());
    }
}
