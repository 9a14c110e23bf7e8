//! Conversion of stored values to labels.

use std::path::Path;

use super::background::border;
use super::data::for_each_type;
use super::{Grid, LabelData, Scale, VoxelData};
use crate::parallel;
use crate::words::plural;
use crate::{Error, ErrorKind, Result};

/// How masks are read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MaskOptions {
    /// Tolerance in mm for the corners of a mask and its image; by default that of [`Grid::compare`].
    pub grid_tolerance_mm: Option<f64>,
    /// Threshold for masks whose values are not labels: values of at least this are lesion (label 1), all others background.
    pub threshold: Option<f64>,
    /// Frame, counted from 0, of a mask with one for each frame of its image; by default such a mask is refused.
    pub frame: Option<usize>,
}

/// Distance to a whole number (relative for values above 1) up to which a value is rounded without a note, because the slope in
/// the header has only 32 bits.
const EXACT: f64 = 1e-6;
/// Distance to a whole number up to which a value is rounded with a note.
const NEAR: f64 = 0.01;

/// Largest distance to a whole number at which a value is rounded: half a quantisation step of scaled integers, at least
/// [`NEAR`]. With a step of 1 or more, this would merge labels.
fn tolerance(data: &VoxelData, scale: Scale) -> f64 {
    let step = scale.slope.abs();
    if data.is_integer() && step < 1.0 { NEAR.max(step / 2.0 * (1.0 + EXACT)) } else { NEAR }
}

/// The label, if the value is within `tolerance` of one.
fn label(value: f64, tolerance: f64) -> Option<u16> {
    let whole = value.round();
    let near = (value - whole).abs() <= tolerance.max(EXACT * whole.abs());
    (near && (0.0..=65535.0).contains(&whole)).then_some(whole as u16)
}

/// Counts of a mask's values by how they convert to labels.
#[derive(Clone, Copy, Default)]
struct ValueCounts {
    largest: u16,
    rounded: u64,
    farthest: f64,
    nan: u64,
    bad: u64,
}

impl ValueCounts {
    fn add(mut self, value: f64, tolerance: f64) -> Self {
        match label(value, tolerance) {
            _ if value.is_nan() => self.nan += 1,
            None => self.bad += 1,
            Some(label) => {
                let off = (value - f64::from(label)).abs();
                self.largest = self.largest.max(label);
                if off > EXACT * f64::from(label).max(1.0) {
                    self.rounded += 1;
                    self.farthest = self.farthest.max(off);
                }
            }
        }
        self
    }

    fn join(self, other: Self) -> Self {
        Self {
            largest: self.largest.max(other.largest),
            rounded: self.rounded + other.rounded,
            farthest: self.farthest.max(other.farthest),
            nan: self.nan + other.nan,
            bad: self.bad + other.bad,
        }
    }
}

/// Converts stored values to labels, and returns notes, one sentence each.
///
/// # Errors
/// For colours, and for a value that is not a label. The message names the first such voxel.
#[allow(clippy::unnecessary_cast, reason = "the code is the same for every type, including f64")]
pub(super) fn labels(
    path: &Path,
    grid: &Grid,
    data: VoxelData,
    scale: Scale,
    threshold: Option<f64>,
) -> Result<(LabelData, Vec<String>)> {
    if data.is_colour() {
        return Err(Error::file(path, format!("has {} colour voxels. A mask has whole numbers", data.len())));
    }
    let data = match (data, scale) {
        (VoxelData::U8(v), Scale::IDENTITY) => return Ok((LabelData::U8(v), Vec::new())),
        (other, _) => other,
    };
    // Two passes over the values avoid a temporary copy in a wider type.
    let tolerance = tolerance(&data, scale);
    let counts: ValueCounts = for_each_type!(
        &data,
        v => {
            let of_piece = |piece: &[_]| {
                piece.iter().fold(ValueCounts::default(), |counts, &x| counts.add(scale.apply(x as f64), tolerance))
            };
            parallel::map_chunks(v, parallel::PIECE, of_piece).into_iter().fold(ValueCounts::default(), ValueCounts::join)
        },
        _c => ValueCounts::default()
    );
    let checked = if counts.bad > 0 {
        Err(first_bad(path, grid, &data, scale, tolerance))
    } else if counts.nan > 0 {
        check_nan(path, grid, &data, scale, tolerance)
    } else {
        Ok(())
    };
    match (checked, threshold) {
        (Ok(()), _) => {}
        (Err(_), Some(threshold)) => return thresholded(&data, scale, threshold),
        (Err(error), None) => return Err(error),
    }
    let small = u8::try_from(counts.largest).is_ok();
    let labels = for_each_type!(
        &data,
        v => {
            let label = |x| label(scale.apply(x as f64), tolerance).unwrap_or(0);
            if small {
                LabelData::U8(parallel::map_values(v, |x| label(x) as u8))
            } else {
                LabelData::U16(parallel::map_values(v, label))
            }
        },
        _c => LabelData::U8(Vec::new())
    );
    Ok((labels, notes(&counts, &data, scale)))
}

fn notes(counts: &ValueCounts, data: &VoxelData, scale: Scale) -> Vec<String> {
    let mut notes = Vec::new();
    if counts.rounded > 0 {
        let why = if data.is_integer() {
            format!(", less than half a step of the stored values ({:.1e})", scale.slope.abs())
        } else {
            String::new()
        };
        notes.push(format!(
            "{} rounded to whole numbers, by up to {:.1e}{why}",
            plural(counts.rounded as usize, "label is", "labels are"),
            counts.farthest
        ));
    }
    if counts.nan > 0 {
        notes.push(format!(
            "{} as background",
            plural(counts.nan as usize, "voxel is NaN and counts", "voxels are NaN and count")
        ));
    }
    notes
}

/// Label 1 for values of at least the threshold, else background; NaN is background.
#[allow(clippy::unnecessary_cast, reason = "the code is the same for every type, including f64")]
fn thresholded(data: &VoxelData, scale: Scale, threshold: f64) -> Result<(LabelData, Vec<String>)> {
    if !threshold.is_finite() || threshold <= 0.0 {
        return Err(Error::config("threshold", threshold, "must be above 0"));
    }
    let labels: Vec<u8> = for_each_type!(
        data,
        v => parallel::map_values(v, |x| u8::from(scale.apply(x as f64) >= threshold)),
        _c => Vec::new()
    );
    Ok((LabelData::U8(labels), vec![format!("values of {threshold} or more are lesion")]))
}

fn first_bad(path: &Path, grid: &Grid, data: &VoxelData, scale: Scale, tolerance: f64) -> Error {
    // The parallel pass only counts bad values. The message names the first one.
    let is_bad = |value: f64| !value.is_nan() && label(value, tolerance).is_none();
    let index = (0..data.len()).find(|&index| is_bad(scale.apply(data.stored(index)))).unwrap_or(0);
    let value = scale.apply(data.stored(index));
    let why = if value.fract() != 0.0 {
        "labels are whole numbers from 0 to 65535. A soft mask needs a threshold, such as 0.5"
    } else if value < 0.0 {
        "labels are whole numbers from 0 to 65535. If negative values mean background or unknown, replace them with 0"
    } else {
        "labels are whole numbers from 0 to 65535"
    };
    no_label(path, grid, data, scale, (index, value), why)
}

fn no_label(
    path: &Path,
    grid: &Grid,
    data: &VoxelData,
    scale: Scale,
    (index, value): (usize, f64),
    why: &'static str,
) -> Error {
    let values = (0..data.len()).map(|index| scale.apply(data.stored(index))).filter(|value| value.is_finite());
    let (path, voxel, largest) = (path.to_path_buf(), voxel(grid, index), values.fold(0.0, f64::max));
    ErrorKind::NotALabel { path, voxel, value, largest, why }.into()
}

fn voxel(grid: &Grid, index: usize) -> [usize; 3] {
    let [nx, ny, _] = grid.shape;
    [index % nx, index / nx % ny, index / (nx * ny)]
}

/// NaN is background if it surrounds the field of view or touches no label; otherwise it is ambiguous.
fn check_nan(path: &Path, grid: &Grid, data: &VoxelData, scale: Scale, tolerance: f64) -> Result<()> {
    let is_nan = |index: usize| scale.apply(data.stored(index)).is_nan();
    if 2 * border(grid).filter(|&index| is_nan(index)).count() > border(grid).count() {
        return Ok(());
    }
    let is_label = |index: usize| label(scale.apply(data.stored(index)), tolerance).is_some_and(|label| label > 0);
    let strides = [1, grid.shape[0], grid.shape[0] * grid.shape[1]];
    let touches = |index: usize| {
        let at = voxel(grid, index);
        (0..3).any(|a| {
            (at[a] > 0 && is_label(index - strides[a])) || (at[a] + 1 < grid.shape[a] && is_label(index + strides[a]))
        })
    };
    match (0..data.len()).find(|&index| is_nan(index) && touches(index)) {
        None => Ok(()),
        Some(index) => {
            let why =
                "it touches a label, so it may be lesion or background. Replace it with a number, or set a threshold";
            Err(no_label(path, grid, data, scale, (index, f64::NAN), why))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use glam::DAffine3;

    fn read(data: VoxelData, slope: f64, inter: f64) -> Result<(Vec<u16>, Vec<String>)> {
        let grid = Grid::new([data.len(), 1, 1], DAffine3::IDENTITY);
        let (labels, notes) = labels(Path::new("seg.nii"), &grid, data, Scale { slope, inter }, None)?;
        let labels = match labels {
            LabelData::U8(v) => v.into_iter().map(u16::from).collect(),
            LabelData::U16(v) => v,
        };
        Ok((labels, notes))
    }

    fn floats(values: &[f32]) -> Result<(Vec<u16>, Vec<String>)> {
        read(VoxelData::F32(values.to_vec()), 1.0, 0.0)
    }

    #[test]
    fn whole_numbers_are_labels_without_a_note() {
        let exact = floats(&[0.0, 3.0, 65535.0]).unwrap();
        assert_eq!(exact, (vec![0, 3, 65535], vec![]));
        for bad in [0.5, -1.0, 65536.0, f32::INFINITY, 1.02, 0.988_235_3] {
            let error = floats(&[0.0, bad]).unwrap_err().to_string();
            assert!(error.contains("voxel [1, 0, 0]") && error.contains("whole numbers from 0 to 65535"), "{error}");
            // A whole number out of range does not suggest a soft mask.
            assert_eq!(error.contains("threshold"), bad.fract() != 0.0, "{error}");
        }
    }

    /// nibabel saves labels 0, 1, 2, 4 as int16 with slope and intercept, and they read 2.00003 (nibabel#1069).
    #[test]
    fn quantised_labels_are_restored() {
        let stored = VoxelData::I16(vec![-32768, -16384, 0, 32767]);
        let (labels, notes) = read(stored, 6.103_608_757_257_462e-5, 2.000_030_517_578_125).unwrap();
        assert_eq!(labels, [0, 1, 2, 4]);
        assert!(notes[0].starts_with("2 labels are rounded"), "{notes:?}");
        // 0, 1, 2, 4 as uint8 over 0 to 4, and 0 to 200 over 0 to 255: up to half a step of .0157 and of .784.
        let (labels, _) = read(VoxelData::U8(vec![0, 64, 127, 255]), 4.0 / 255.0, 0.0).unwrap();
        assert_eq!(labels, [0, 1, 2, 4]);
        let (labels, _) = read(VoxelData::U8(vec![0, 1, 3, 255]), 200.0 / 255.0, 0.0).unwrap();
        assert_eq!(labels, [0, 1, 2, 200]);
    }

    #[test]
    fn a_slope_that_gives_fractional_labels_is_refused() {
        assert!(read(VoxelData::U8(vec![0, 1, 2]), 0.5, 0.0).is_err());
        assert!(read(VoxelData::U8(vec![0, 1, 2]), 1.5, 0.0).is_err());
        assert!(read(VoxelData::U8(vec![0, 128, 255]), 1.0 / 255.0, 0.0).is_err());
        assert_eq!(read(VoxelData::U8(vec![0, 1, 2]), 2.0, 0.0).unwrap().0, [0, 2, 4]);
    }

    #[test]
    fn nearly_whole_values_are_rounded_with_a_note() {
        let (labels, notes) = floats(&[0.0, 0.9999, 2.0, -0.004]).unwrap();
        assert_eq!(labels, [0, 1, 2, 0]);
        assert!(notes[0].starts_with("2 labels are rounded") && notes[0].contains("4.0e-3"), "{notes:?}");
    }

    /// A mask of 4 x 4 x 3 voxels with a label in the middle of each slice.
    fn mask_with(value: impl Fn([usize; 3]) -> f32) -> Result<(LabelData, Vec<String>)> {
        let grid = Grid::new([4, 4, 3], DAffine3::IDENTITY);
        let values = (0..grid.len()).map(|index| value(voxel(&grid, index))).collect();
        labels(Path::new("seg.nii"), &grid, VoxelData::F32(values), Scale::IDENTITY, None)
    }

    #[test]
    fn nan_is_background_outside_the_field_of_view_but_refused_beside_a_label() {
        let inside = |[i, j, _]: [usize; 3]| (1..3).contains(&i) && (1..3).contains(&j);
        let (labels, notes) = mask_with(|v| if inside(v) { 1.0 } else { f32::NAN }).unwrap();
        assert_eq!(
            labels,
            LabelData::U8((0..48).map(|index| u8::from(inside([index % 4, index / 4 % 4, 0]))).collect())
        );
        assert_eq!(notes, ["36 voxels are NaN and count as background"]);
        // A corner outside the field of view.
        assert!(mask_with(|v| if v == [0, 0, 0] { f32::NAN } else { f32::from(u8::from(inside(v))) }).is_ok());
        let error = mask_with(|v| if v == [1, 1, 1] { f32::NAN } else { f32::from(u8::from(inside(v))) }).unwrap_err();
        assert!(error.to_string().contains("voxel [1, 1, 1] is NaN: it touches a label"), "{error}");
    }

    #[test]
    fn a_threshold_binarises_a_soft_mask_but_keeps_labels() {
        let grid = Grid::new([4, 1, 1], DAffine3::IDENTITY);
        let soft = VoxelData::F32(vec![0.2, 0.5, 0.988, f32::NAN]);
        let read = |data, threshold| labels(Path::new("p.nii"), &grid, data, Scale::IDENTITY, Some(threshold));
        let (hard, notes) = read(soft.clone(), 0.5).unwrap();
        assert_eq!((hard, notes.len()), (LabelData::U8(vec![0, 1, 1, 0]), 1));
        assert!(read(soft, 0.0).is_err());
        assert_eq!(read(VoxelData::I16(vec![0, 1, 2, 4]), 0.5).unwrap().0, LabelData::U8(vec![0, 1, 2, 4]));
    }
}
