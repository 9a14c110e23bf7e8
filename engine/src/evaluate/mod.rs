//! Evaluates segmentations against references: computes the measures of [`crate::metrics`] for one case or a whole cohort, and
//! their mean.

mod report;

pub use crate::cohort::pairing::{Pair, Pairs, Subset, case_id, find_split};
pub use report::{CaseResult, Mean, MeanLesions, Report};

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Serialize, Serializer};

use crate::cohort::ExcludedScan;
use crate::metrics::{Measures, Options, measure};
use crate::parallel;
use crate::volume::{Grid, MaskLayers, MaskOptions, Relation};
use crate::{Error, Result};

/// Number of cases measured in parallel. Each may need as much memory as 15 masks of its size.
const CASES_AT_A_TIME: usize = 4;

/// The labels that form the measured class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any label above 0, reported as label 1: the whole lesion.
    Any,
    /// The union of these labels, at least one.
    Labels(Vec<u16>),
}

impl Target {
    /// True for each voxel of the class, in file order.
    fn mask(&self, masks: &MaskLayers) -> Vec<bool> {
        match self {
            Self::Any => masks.inside(),
            Self::Labels(labels) => masks.mask(labels),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => to.write_str("1"),
            Self::Labels(labels) => {
                let labels: Vec<String> = labels.iter().map(u16::to_string).collect();
                to.write_str(&labels.join("+"))
            }
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    /// Parses a label or a union of labels: `4`, `1+4`.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::config("label", text, "must be a label from 1 to 65535, or a union such as 1+4");
        let mut labels = Vec::new();
        for part in text.split('+') {
            let label: u16 = part.trim().parse().map_err(|_| invalid())?;
            if label == 0 {
                return Err(invalid());
            }
            labels.push(label);
        }
        labels.sort_unstable();
        labels.dedup();
        Ok(Self::Labels(labels))
    }
}

impl Serialize for Target {
    /// A number, or a string such as `1+4` for a union.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => to.serialize_u16(1),
            Self::Labels(labels) => match labels[..] {
                [label] => to.serialize_u16(label),
                _ => to.collect_str(self),
            },
        }
    }
}

/// Measures one segmentation for each target, on the grid of the reference. A label is measured whole, also where another one
/// overlaps it.
///
/// Masks with permuted or flipped axes and cropped masks are aligned by world position, with a note.
///
/// # Errors
/// If the masks do not have the same voxels, or lie in different frames of reference. `what` names both of them in the
/// message, as in "a.nii and b.nii".
pub fn evaluate(
    what: &str,
    segmentation: MaskLayers,
    reference: MaskLayers,
    targets: &[Target],
    options: &Options,
    masks: &MaskOptions,
) -> Result<Vec<Measures>> {
    let (segmentation, reference, aligned) = on_one_grid(what, segmentation, reference, masks)?;
    let notes_of = |name: &str, mask: &MaskLayers| -> Vec<String> {
        mask.notes.iter().map(|note| format!("{name}: {note}")).collect()
    };
    let notes = [notes_of("segmentation", &segmentation), notes_of("reference", &reference)].concat();
    targets
        .iter()
        .map(|target| {
            let (mask, reference_mask) = (target.mask(&segmentation), target.mask(&reference));
            let mut measures = measure(&mask, &reference_mask, segmentation.grid(), options)?;
            measures.notes.extend(aligned.clone());
            if *target == Target::Any {
                note_labels(&mut measures.notes, "segmentation", &segmentation.labels());
                note_labels(&mut measures.notes, "reference", &reference.labels());
            }
            measures.notes.extend_from_slice(&notes);
            Ok(measures)
        })
        .collect()
}

/// Both masks on the grid of the reference, or of the segmentation if the reference is a box of it, and a note on how. DICOM
/// segmentations are cropped to their slices, so they get a grid that holds both.
///
/// # Errors
/// As [`evaluate`].
pub(crate) fn on_one_grid(
    what: &str,
    segmentation: MaskLayers,
    reference: MaskLayers,
    masks: &MaskOptions,
) -> Result<(MaskLayers, MaskLayers, Option<String>)> {
    segmentation.require_same_space(&reference, what)?;
    let names = ["segmentation", "reference"];
    let (segmentation_grid, reference_grid) = (segmentation.grid().clone(), reference.grid().clone());
    let is_cropped = segmentation.cropped || reference.cropped;
    if let Some(grid) = segmentation_grid
        .union(&reference_grid)
        .or_else(|| reference_grid.union(&segmentation_grid))
        .filter(|_| is_cropped)
    {
        let on_both = |mask: MaskLayers| mask.map(|layer| Ok(layer.on_grid(&grid)));
        return Ok((on_both(segmentation)?, on_both(reference)?, None));
    }
    let matched = segmentation_grid.compare(&reference_grid, masks.grid_tolerance_mm);
    let mut note = None;
    let mut aligned = |mask: MaskLayers, grid: &Grid, names: [&str; 2]| {
        mask.map(|layer| {
            let (layer, difference) = layer.aligned(grid, masks, what, names)?;
            note = difference;
            Ok(layer)
        })
    };
    let (segmentation, reference) = match matched.relation {
        Relation::Same => {
            note = matched.note(names, &segmentation_grid, &reference_grid);
            (segmentation, reference)
        }
        Relation::Box { .. } if segmentation_grid.len() > reference_grid.len() => {
            (segmentation, aligned(reference, &segmentation_grid, [names[1], names[0]])?)
        }
        _ => (aligned(segmentation, &reference_grid, names)?, reference),
    };
    Ok((segmentation, reference, note))
}

/// Notes the labels that were merged, unless there is only label 1.
fn note_labels(notes: &mut Vec<String>, name: &str, labels: &[u16]) {
    const MAX_SHOWN: usize = 8;
    if labels.is_empty() || labels == [1] {
        return;
    }
    let mut list: Vec<String> = labels.iter().take(MAX_SHOWN).map(u16::to_string).collect();
    if labels.len() > MAX_SHOWN {
        list.push(format!("{} more", labels.len() - MAX_SHOWN));
    }
    notes.push(format!("labels of the {name} merged into 1: {}", list.join(", ")));
}

/// Measures a segmentation file against a reference, which is the union of its files. Anything unusual about the files
/// becomes a note.
///
/// # Errors
/// If a file is not a readable mask, or the two do not have the same voxels; then the message names both.
pub fn evaluate_files(
    segmentation: &Path,
    reference: &[PathBuf],
    targets: &[Target],
    options: &Options,
    masks: &MaskOptions,
) -> Result<Vec<Measures>> {
    let name = reference.first().map(|path| path.display().to_string()).unwrap_or_default();
    let what = format!("segmentation {} and reference {name}", segmentation.display());
    let (segmentation, reference) = (MaskLayers::read(segmentation, masks)?, MaskLayers::read_all(reference, masks)?);
    evaluate(&what, segmentation, reference, targets, options, masks)
}

/// Measures all pairs and averages over the cases. `progress` receives the number of cases done.
///
/// Expected cases without a segmentation are listed without values, with a note and a warning, and excluded from the
/// mean.
///
/// A pair that cannot be read or has different grids is listed without values too, and in [`Report::left_out`].
///
/// # Errors
/// If no pair can be measured. The first case's error is returned.
pub fn evaluate_pairs(
    pairs: &Pairs,
    targets: &[Target],
    options: &Options,
    masks: &MaskOptions,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Report> {
    let done = AtomicUsize::new(0);
    let (mut results, mut left_out) = (Vec::new(), Vec::new());
    let mut first_error = None;
    for chunk in pairs.found.chunks(CASES_AT_A_TIME.min(rayon::current_num_threads())) {
        let measure = |index: usize| -> Result<Vec<Measures>> {
            let pair = &chunk[index];
            let measures = evaluate_files(&pair.segmentation, &pair.reference, targets, options, masks)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(measures)
        };
        let measured = parallel::map(chunk.len(), measure);
        for (pair, measured) in chunk.iter().zip(measured) {
            let measures: Vec<Result<Measures, String>> = match measured {
                Ok(measures) => measures.into_iter().map(Ok).collect(),
                Err(error) => {
                    left_out.push(ExcludedScan::new(&pair.case, error.to_string()));
                    let why = error.to_string();
                    first_error.get_or_insert(error);
                    vec![Err(why); targets.len()]
                }
            };
            results.extend(targets.iter().zip(measures).map(|(target, measures)| CaseResult {
                case: pair.case.clone(),
                patient: pair.patient.clone(),
                label: target.clone(),
                measures,
            }));
        }
    }
    if let Some(error) = first_error.filter(|_| left_out.len() == pairs.found.len()) {
        return Err(error);
    }
    let why = "no segmentation, excluded from the mean";
    for case in &pairs.expected_missing {
        let row = |label: &Target| {
            let (case, patient) = (case.clone(), case.clone());
            CaseResult { case, patient, label: label.clone(), measures: Err(why.into()) }
        };
        results.extend(targets.iter().map(row));
    }
    results.sort_by(|a, b| a.case.cmp(&b.case));
    left_out.extend(pairs.left_out());
    let masks_left_out = pairs.masks_left_out();
    let mut warnings = pairs.warnings();
    warnings.extend(targets.iter().filter_map(|target| absent_label(target, &results)));
    Ok(Report { left_out, masks_left_out, ..Report::new(results, targets, warnings) })
}

/// A warning about a label that no mask has. Both masks are empty then, which scores 1.
fn absent_label(target: &Target, results: &[CaseResult]) -> Option<String> {
    let rows = results.iter().filter(|row| row.label == *target && *target != Target::Any);
    let mut measured = rows.filter_map(|row| row.measures.as_ref().ok()).peekable();
    measured.peek()?;
    let is_absent = measured.all(|measures| measures.volume_ml == 0.0 && measures.truth_volume_ml == 0.0);
    is_absent.then(|| format!("label {target} is in no segmentation and no reference, so its scores are meaningless"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::{LabelVolume, Orientation};
    use glam::{DAffine3, DVec3};

    fn volume() -> LabelVolume {
        let grid = Grid::new([3, 2, 2], DAffine3::from_scale(DVec3::new(1.0, 2.0, 3.0)));
        LabelVolume::new(grid, vec![0_u8, 1, 2, 4, 0, 0, 0, 1, 0, 0, 0, 2]).unwrap()
    }

    fn with_defaults(segmentation: &LabelVolume, reference: &LabelVolume, targets: &[Target]) -> Result<Vec<Measures>> {
        let (options, masks) = (Options::default(), MaskOptions::default());
        let (segmentation, reference) = (segmentation.clone().into(), reference.clone().into());
        evaluate("this and that", segmentation, reference, targets, &options, &masks)
    }

    #[test]
    fn targets_round_trip_as_text() {
        assert_eq!("4".parse::<Target>().unwrap(), Target::Labels(vec![4]));
        let union: Target = "4 + 1+4".parse().unwrap();
        assert_eq!(union, Target::Labels(vec![1, 4]));
        assert_eq!(serde_json::to_string(&union).unwrap(), "\"1+4\"");
        assert_eq!(serde_json::to_string(&Target::Any).unwrap(), "1");
        for bad in ["", "0", "1+", "-1", "65536", "a"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_target_is_measured_and_merged_labels_are_noted() {
        let targets = [Target::Any, Target::Labels(vec![2]), Target::Labels(vec![1, 4])];
        let measures = with_defaults(&volume(), &volume(), &targets).unwrap();
        let ml: Vec<f64> = measures.iter().map(|m| (m.volume_ml * 1000.0).round()).collect();
        assert_eq!(ml, [30.0, 12.0, 18.0]);
        assert!(measures.iter().all(|m| m.dsc == 1.0));
        let merged = |m: &Measures| m.notes.iter().any(|n| n == "labels of the segmentation merged into 1: 1, 2, 4");
        assert_eq!(measures.iter().map(merged).collect::<Vec<_>>(), [true, false, false]);
    }

    /// A mistyped label scored 1 without a word.
    #[test]
    fn a_label_of_no_mask_is_a_warning() {
        let targets = ["1+2", "7"].map(|label| label.parse::<Target>().unwrap());
        let measured = with_defaults(&volume(), &volume(), &targets).unwrap();
        let row = |(label, measures): (&Target, Measures)| {
            let (label, measures) = (label.clone(), Ok(measures));
            CaseResult { case: "a".into(), patient: "a".into(), label, measures }
        };
        let rows: Vec<CaseResult> = targets.iter().zip(measured).map(row).collect();
        assert_eq!(absent_label(&targets[0], &rows), None);
        assert!(absent_label(&targets[1], &rows).unwrap().starts_with("label 7 is in no segmentation"));
        assert_eq!(absent_label(&targets[1], &[]), None, "nothing was measured");
    }

    #[test]
    fn another_axis_order_is_aligned_and_another_position_refused() {
        let truth = volume();
        let part = truth.clone().on_grid(&truth.grid.cropped([0, 0, 0], [3, 2, 1]));
        let whole = part.clone().on_grid(&truth.grid);
        for (segmentation, reference) in [(&part, &whole), (&whole, &part)] {
            let measured = with_defaults(segmentation, reference, &[Target::Labels(vec![2])]).unwrap();
            assert_eq!(measured[0].dsc, 1.0);
            assert!(measured[0].notes.iter().any(|note| note.contains("a box of 3x2x1 voxels")), "{:?}", measured[0]);
        }
        for orientation in Orientation::all().filter(|&o| o != Orientation::IDENTITY) {
            let labels: Vec<u16> = truth.iter().collect();
            let turned =
                LabelVolume::new(truth.grid.reoriented(&orientation), orientation.apply(&labels, truth.grid.shape))
                    .unwrap();
            let targets = [Target::Labels(vec![2])];
            let measured = with_defaults(&turned, &truth, &targets).unwrap();
            let aligned = measured[0].notes.iter().any(|note| note.contains("aligned by world position"));
            assert!(measured[0].dsc == 1.0 && aligned, "{orientation:?}: {:?}", measured[0].notes);
        }
        let mut moved = truth.clone();
        moved.grid.world_from_voxel.translation.x += 1.0;
        let error = with_defaults(&moved, &truth, &[Target::Any]).unwrap_err().to_string();
        assert!(error.starts_with("this and that have different grids: a corner differs by 1 mm"), "{error}");
    }
}
