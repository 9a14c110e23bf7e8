//! A mask: non-negative integer labels on a grid.

use std::path::Path;

use rayon::prelude::*;

use super::data::for_each_type;
use super::{Frames, Grid, ReadOptions, Relation, Scale, Volume, VoxelData, nifti, resample_labels};
use crate::{Error, ErrorKind, Result};

/// Label values in the smallest type that holds them, first axis fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelData {
    /// Labels up to 255.
    U8(Vec<u8>),
    /// Labels up to 65535.
    U16(Vec<u16>),
}

impl From<Vec<u8>> for LabelData {
    fn from(labels: Vec<u8>) -> Self {
        Self::U8(labels)
    }
}

impl From<Vec<u16>> for LabelData {
    fn from(labels: Vec<u16>) -> Self {
        if labels.iter().all(|&l| l <= 255) {
            Self::U8(labels.iter().map(|&l| l as u8).collect())
        } else {
            Self::U16(labels)
        }
    }
}

/// A mask on its grid. Label 0 is background.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelVolume {
    /// Shape and position in patient space.
    pub grid: Grid,
    /// One label per voxel.
    pub data: LabelData,
}

impl LabelVolume {
    /// A mask from its labels in file order.
    ///
    /// # Errors
    /// If the number of labels is not the number of voxels.
    pub fn new(grid: Grid, labels: impl Into<LabelData>) -> Result<Self> {
        let volume = Self { grid, data: labels.into() };
        if volume.len() == volume.grid.len() {
            return Ok(volume);
        }
        let why = format!("the grid has {} voxels", volume.grid.len());
        Err(Error::config("labels", volume.len(), why))
    }

    /// Reads a mask. Labels may be stored as floats if they are whole numbers.
    ///
    /// # Errors
    /// As [`Volume::read`]. Also for more than one frame and for a label that is fractional, negative, NaN or above 65535.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self::read_with_warnings(path)?.0)
    }

    /// Reads the mask of an image and aligns it to the image's grid by world position.
    ///
    /// Permuted or flipped axes are reordered with a warning. The second value holds all warnings.
    ///
    /// # Errors
    /// As [`LabelVolume::read`]. Also if the mask covers other voxels than the image; the message names both grids.
    pub fn read_for(path: &Path, image: &Volume) -> Result<(Self, Vec<String>)> {
        let (mask, mut warnings) = Self::read_with_warnings(path)?;
        match mask.grid.relation(&image.grid) {
            Relation::Same => {}
            Relation::Reordered(_) => {
                let codes = |g: &Grid| g.axis_codes().unwrap_or_else(|| "no orientation".to_owned());
                warnings.push(format!(
                    "the mask's axes ({}) differ from the image's ({}), so it is aligned by world position",
                    codes(&mask.grid),
                    codes(&image.grid)
                ));
            }
            Relation::Different => {
                let what = format!("mask {} and its image", path.display());
                let (left, right) = (mask.grid.describe(), image.grid.describe());
                return Err(ErrorKind::Geometry { what, left, right }.into());
            }
        }
        Ok((mask.on_grid(&image.grid), warnings))
    }

    /// The mask on another grid, by world position: the same voxels in another order exactly, anything else by the nearest
    /// voxel, with background outside.
    #[must_use]
    pub fn on_grid(self, grid: &Grid) -> Self {
        fn moved<T: Copy + Default + Send + Sync>(labels: &[T], from: &Grid, to: &Grid) -> Vec<T> {
            match from.relation(to) {
                Relation::Reordered(orientation) => orientation.apply(labels, from.shape),
                _ => resample_labels(labels, from, to, T::default()),
            }
        }
        let data = match self.data {
            data if self.grid.relation(grid) == Relation::Same => data,
            LabelData::U8(labels) => LabelData::U8(moved(&labels, &self.grid, grid)),
            LabelData::U16(labels) => LabelData::U16(moved(&labels, &self.grid, grid)),
        };
        Self { grid: grid.clone(), data }
    }

    fn read_with_warnings(path: &Path) -> Result<(Self, Vec<String>)> {
        // Not `Volume::read`, which warns of a volume of zeros: here that is a patient without lesions.
        let volume = nifti::read(path, &ReadOptions { frames: Frames::One(0), ..ReadOptions::default() })?;
        if volume.file_frames != 1 {
            return Err(Error::file(path, format!("has {} frames, a mask must have one", volume.file_frames)));
        }
        let Volume { grid, data, scale, warnings, .. } = volume;
        let data = labels(path, &grid, data, scale)?;
        Ok((Self { grid, data }, warnings))
    }

    /// Number of voxels along i, j, k.
    pub fn shape(&self) -> [usize; 3] {
        self.grid.shape
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        match &self.data {
            LabelData::U8(v) => v.len(),
            LabelData::U16(v) => v.len(),
        }
    }

    /// True if there are no voxels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Label at a position in memory (see [`Grid::index`]).
    pub fn get(&self, at: usize) -> u16 {
        match &self.data {
            LabelData::U8(v) => u16::from(v[at]),
            LabelData::U16(v) => v[at],
        }
    }

    /// All labels in file order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The labels that occur, ascending and without 0, each with its number of voxels.
    pub fn voxel_counts(&self) -> Vec<(u16, usize)> {
        let mut voxels = vec![0_usize; 65536];
        match &self.data {
            LabelData::U8(v) => v.iter().for_each(|&l| voxels[usize::from(l)] += 1),
            LabelData::U16(v) => v.iter().for_each(|&l| voxels[usize::from(l)] += 1),
        }
        let occurs = (1..=u16::MAX).map(|label| (label, voxels[usize::from(label)]));
        occurs.filter(|(_, voxels)| *voxels > 0).collect()
    }

    /// The labels that occur, ascending, without 0.
    pub fn labels(&self) -> Vec<u16> {
        self.voxel_counts().into_iter().map(|(label, _)| label).collect()
    }

    /// Whether each voxel has a label other than 0, in file order.
    pub fn inside(&self) -> Vec<bool> {
        match &self.data {
            LabelData::U8(v) => v.iter().map(|&l| l != 0).collect(),
            LabelData::U16(v) => v.iter().map(|&l| l != 0).collect(),
        }
    }

    /// Whether each voxel has one of these labels, in file order.
    pub fn mask(&self, labels: &[u16]) -> Vec<bool> {
        let mut wanted = vec![false; 65536];
        for &l in labels {
            wanted[usize::from(l)] = true;
        }
        match &self.data {
            LabelData::U8(v) => v.iter().map(|&l| wanted[usize::from(l)]).collect(),
            LabelData::U16(v) => v.iter().map(|&l| wanted[usize::from(l)]).collect(),
        }
    }

    /// Volume of all voxels with a label other than 0, in millilitres.
    pub fn volume_ml(&self) -> f64 {
        self.iter().filter(|&l| l != 0).count() as f64 * self.grid.voxel_volume_ml()
    }
}

/// Converts stored values to labels.
#[allow(clippy::unnecessary_cast, reason = "the same text for every type, f64 among them")]
fn labels(path: &Path, grid: &Grid, data: VoxelData, scale: Scale) -> Result<LabelData> {
    let data = match (data, scale) {
        (VoxelData::U8(v), Scale::IDENTITY) => return Ok(LabelData::U8(v)),
        (other, _) => other,
    };
    // Two passes over the values avoid a temporary copy in a wider type.
    let largest: Option<u16> = for_each_type!(
        &data,
        v => v.par_iter().map(|&x| label(scale.apply(x as f64))).try_reduce(|| 0, |a, b| Some(a.max(b))),
        c => return Err(Error::file(path, format!("holds {} colour voxels, a mask holds whole numbers", c.len())))
    );
    let Some(largest) = largest else { return Err(first_bad(path, grid, &data, scale)) };
    let small = u8::try_from(largest).is_ok();
    Ok(for_each_type!(
        &data,
        v => {
            let labels = v.par_iter().map(|&x| label(scale.apply(x as f64)).unwrap_or(0));
            if small { LabelData::U8(labels.map(|l| l as u8).collect()) } else { LabelData::U16(labels.collect()) }
        },
        _c => LabelData::U8(Vec::new())
    ))
}

/// The label, if the value is one. The tolerance of 1e-6 covers rounding by the header's 32-bit slope.
fn label(value: f64) -> Option<u16> {
    let whole = value.round();
    let near = (value - whole).abs() <= 1e-6 * whole.abs().max(1.0);
    (near && (0.0..=65535.0).contains(&whole)).then_some(whole as u16)
}

fn first_bad(path: &Path, grid: &Grid, data: &VoxelData, scale: Scale) -> Error {
    // The parallel search stops at any bad voxel; the message always names the first one.
    let at = (0..data.len()).find(|&at| label(scale.apply(data.stored(at))).is_none()).unwrap_or(0);
    let [nx, ny, _] = grid.shape;
    let voxel = [at % nx, at / nx % ny, at / (nx * ny)];
    let value = scale.apply(data.stored(at));
    Error::field(path, format!("voxel {voxel:?}"), value, "labels are whole numbers from 0 to 65535")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use glam::DAffine3;

    #[test]
    fn only_whole_numbers_are_labels() {
        assert_eq!(label(3.0), Some(3));
        assert_eq!(label(2.999_999_9), Some(3));
        assert_eq!(label(65535.0), Some(65535));
        for bad in [0.5, -1.0, 65536.0, f64::NAN, f64::INFINITY, 1.001] {
            assert_eq!(label(bad), None, "{bad}");
        }
    }

    #[test]
    fn labels_masks_and_volumes() {
        let grid = Grid::new([2, 2, 1], DAffine3::from_scale(glam::DVec3::new(10.0, 10.0, 10.0)));
        let mask = LabelVolume::new(grid.clone(), vec![0_u16, 300, 2, 2]).unwrap();
        assert_eq!(mask.labels(), [2, 300]);
        assert_eq!(mask.mask(&[2]), [false, false, true, true]);
        assert!((mask.volume_ml() - 3.0).abs() < 1e-12);
        assert!(matches!(LabelVolume::new(grid.clone(), vec![1_u16, 2, 3, 4]).unwrap().data, LabelData::U8(_)));
        assert!(LabelVolume::new(grid, vec![0_u8; 3]).is_err());
    }
}
