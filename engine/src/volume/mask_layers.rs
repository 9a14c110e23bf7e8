//! Masks whose labels may overlap: the segments of a DICOM object, or the union of several mask files.

use std::path::{Path, PathBuf};

use super::dicom::PatientSpace;
use super::{Grid, LabelVolume, MaskOptions, seg};
use crate::{Error, ErrorKind, Result};

/// Every label of a reference or segmentation, whole, where a [`LabelVolume`] has one label per voxel.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskLayers {
    /// Masks on one grid, at least one.
    layers: Vec<LabelVolume>,
    /// Conversions made while reading, one sentence each.
    pub notes: Vec<String>,
    /// The space of the DICOM objects among its files; empty if there is none.
    pub space: PatientSpace,
    /// True if a file is a SEG, whose grid ends at its first and last slice that is not empty.
    pub cropped: bool,
}

impl From<LabelVolume> for MaskLayers {
    fn from(mask: LabelVolume) -> Self {
        Self { layers: vec![mask], notes: Vec::new(), space: PatientSpace::default(), cropped: false }
    }
}

impl MaskLayers {
    /// Reads a mask file as [`LabelVolume::read_with`] does, but keeps segments whole where they overlap.
    ///
    /// # Errors
    /// As [`LabelVolume::read_with`].
    pub fn read(path: &Path, options: &MaskOptions) -> Result<Self> {
        if let Some(file) = seg::open_segmentation(path) {
            let seg::SegmentMasks { layers, notes, space, .. } = seg::read_file(&file, None)?;
            return Ok(Self { layers, notes, space, cropped: true });
        }
        let (mask, notes) = LabelVolume::read_with(path, options)?;
        Ok(Self { notes, ..Self::from(mask) })
    }

    /// Reads the union of several files on the grid of the first.
    ///
    /// # Errors
    /// As [`MaskLayers::read`]; no file; files in different frames of reference.
    pub fn read_all(paths: &[PathBuf], options: &MaskOptions) -> Result<Self> {
        let Some((first, rest)) = paths.split_first() else {
            return Err(Error::config("mask", "", "no file is named"));
        };
        let mut union = Self::read(first, options)?;
        for path in rest {
            let more = Self::read(path, options)?;
            union.require_same_space(&more, &format!("masks {} and {}", first.display(), path.display()))?;
            union.cropped |= more.cropped;
            union.notes.extend(more.notes);
            union.space.join(more.space);
            let grid = union.grid().clone();
            more.layers.into_iter().for_each(|layer| union.add(layer.on_grid(&grid)));
        }
        Ok(union)
    }

    /// # Errors
    /// If both are DICOM objects in different frames of reference. `what` names both.
    pub fn require_same_space(&self, other: &Self, what: &str) -> Result<()> {
        if self.space.agrees_with(&other.space) {
            return Ok(());
        }
        Err(ErrorKind::FrameOfReference { what: what.to_owned() }.into())
    }

    /// The grid of all layers.
    pub fn grid(&self) -> &Grid {
        &self.layers[0].grid
    }

    /// Converts each layer.
    ///
    /// # Errors
    /// Errors of `convert`.
    pub fn map(self, convert: impl FnMut(LabelVolume) -> Result<LabelVolume>) -> Result<Self> {
        let layers = self.layers.into_iter().map(convert).collect::<Result<_>>()?;
        Ok(Self { layers, ..self })
    }

    /// The labels that occur, ascending, without 0.
    pub fn labels(&self) -> Vec<u16> {
        let mut labels: Vec<u16> = self.layers.iter().flat_map(LabelVolume::labels).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Whether each voxel has any label, in file order.
    pub fn inside(&self) -> Vec<bool> {
        self.any(LabelVolume::inside)
    }

    /// Whether each voxel has one of these labels, in file order.
    pub fn mask(&self, labels: &[u16]) -> Vec<bool> {
        self.any(|layer| layer.mask(labels))
    }

    fn any(&self, of: impl Fn(&LabelVolume) -> Vec<bool>) -> Vec<bool> {
        let mut union = of(&self.layers[0]);
        for layer in &self.layers[1..] {
            union.iter_mut().zip(of(layer)).for_each(|(inside, also)| *inside |= also);
        }
        union
    }

    /// Adds a mask on the same grid, to a layer where its voxels are free if there is one.
    fn add(&mut self, mask: LabelVolume) {
        let fits = |layer: &LabelVolume| layer.iter().zip(mask.iter()).all(|(a, b)| a == 0 || b == 0 || a == b);
        match self.layers.iter_mut().find(|layer| fits(layer)) {
            Some(layer) => {
                let joined: Vec<u16> = layer.iter().zip(mask.iter()).map(|(a, b)| if a == 0 { b } else { a }).collect();
                layer.data = joined.into();
            }
            None => self.layers.push(mask),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::nifti::write_label;
    use crate::volume::{Scale, Volume, VoxelData};
    use glam::DAffine3;

    #[test]
    fn a_label_is_whole_although_another_file_covers_a_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let grid = Grid::new([4, 1, 1], DAffine3::IDENTITY);
        let like = Volume::new(grid.clone(), VoxelData::U8(Vec::new()), Scale::IDENTITY);
        let files = [vec![1_u8, 1, 0, 0], vec![0, 0, 3, 0], vec![0, 2, 2, 0]].map(|labels| {
            let path = folder.path().join(format!("{labels:?}.nii"));
            write_label(&path, &LabelVolume::new(grid.clone(), labels).unwrap(), &like).unwrap();
            path
        });
        let union = MaskLayers::read_all(&files, &MaskOptions::default()).unwrap();
        assert_eq!((union.layers.len(), union.labels()), (2, vec![1, 2, 3]));
        assert_eq!(union.mask(&[1]), [true, true, false, false]);
        assert_eq!(union.mask(&[2]), [false, true, true, false]);
        assert_eq!(union.mask(&[1, 3]), [true, true, true, false]);
        assert_eq!(union.inside(), [true, true, true, false]);
    }
}
