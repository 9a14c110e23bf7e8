//! A mask: non-negative integer labels on a grid.

use std::path::Path;

use super::data::read_unchecked;
use super::dicom::DicomFile;
use super::rounding;
use super::seg;
use super::{Frames, Grid, MaskOptions, ReadOptions, Relation, Volume, crop, resample_labels};
use crate::words::plural;
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

/// A mask that was read for an image.
#[derive(Clone, Debug, PartialEq)]
pub struct AlignedMask {
    /// The mask on the image's grid.
    pub labels: LabelVolume,
    /// Number of frames in the mask's file.
    pub frames: usize,
    /// Conversions made to read and align the mask, one sentence each.
    pub notes: Vec<String>,
}

/// A mask file that is read for the frames of its image: see [`LabelVolume::read_frames_for`].
pub struct MaskFrames<'a> {
    path: &'a Path,
    image: &'a Volume,
    options: MaskOptions,
    frames: usize,
    /// All frames; `None` if they do not fit into memory together.
    volume: Option<Volume>,
}

impl MaskFrames<'_> {
    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The mask of a frame of the image, 0-based. A mask of one frame applies to all frames.
    ///
    /// # Errors
    /// As [`LabelVolume::read_frame_for`].
    pub fn read(&self, frame: usize) -> Result<AlignedMask> {
        if let Some(found) = LabelVolume::of_segmentation_for(self.path, self.image, &self.options)? {
            return Ok(found);
        }
        let frame = if self.frames == 1 { 0 } else { frame };
        let volume = match &self.volume {
            Some(whole) => {
                let missing = || Error::config("frame", frame, format!("the mask has {}", self.frames));
                let data = whole.data.part(whole.frame_range(frame).ok_or_else(missing)?);
                let (grid, warnings, header) = (whole.grid.clone(), whole.warnings.clone(), whole.header.clone());
                Volume { grid, data, warnings, header, space: None, ..*whole }
            }
            None => LabelVolume::read_frame(self.path, frame)?,
        };
        LabelVolume::aligned_to(self.image, volume, self.path, &self.options)
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

    /// Reads a mask of one frame, without its notes.
    ///
    /// # Errors
    /// As [`LabelVolume::read_with`].
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self::read_with(path, &MaskOptions::default())?.0)
    }

    /// Reads a mask of one frame, or [`MaskOptions::frame`] of one with several: a NIfTI file, a DICOM SEG on the grid of its frames, or an RTSTRUCT on the grid of the
    /// nearby images that it was drawn on. Values near a whole number are rounded, and NaN around the field of view is
    /// background. The second value holds notes on both and the warnings of the file, one sentence each.
    ///
    /// # Errors
    /// As [`Volume::read`]. Also for several frames of which none was chosen, for a value that is not a label, and for an
    /// RTSTRUCT without its images.
    pub fn read_with(path: &Path, options: &MaskOptions) -> Result<(Self, Vec<String>)> {
        if let Some(found) = Self::of_segmentation(path)? {
            return Ok(found);
        }
        let mut volume = Self::read_frame(path, 0)?;
        if volume.file_frames > 1 {
            let frames = plural(volume.file_frames, "frame", "frames");
            let several = || Error::file(path, format!("has {frames}, but a mask must have one"));
            let frame = options.frame.ok_or_else(several)?;
            volume = Self::read_frame(path, frame)?;
        }
        Self::of_volume(path, volume, options)
    }

    /// Reads the first frame of a mask of any number of frames.
    ///
    /// # Errors
    /// As [`LabelVolume::read_with`], except for the number of frames.
    pub(crate) fn read_first_frame(path: &Path) -> Result<Self> {
        if let Some((mask, _)) = Self::of_segmentation(path)? {
            return Ok(mask);
        }
        Ok(Self::of_volume(path, Self::read_frame(path, 0)?, &MaskOptions::default())?.0)
    }

    /// [`LabelVolume::read_frame_for`] of the first frame.
    pub fn read_for(path: &Path, image: &Volume) -> Result<(Self, Vec<String>)> {
        let AlignedMask { labels, notes, .. } = Self::read_frame_for(path, image, 0, &MaskOptions::default())?;
        Ok((labels, notes))
    }

    /// Reads the mask of frame `frame` (0-based) of an image and aligns it to the image's grid by world position. A mask of one
    /// frame applies to all frames.
    ///
    /// # Errors
    /// As [`LabelVolume::read_with`]. Also if the mask does not lie on the voxels of the image, or has a different number
    /// of frames. The message names both grids and the difference.
    pub fn read_frame_for(path: &Path, image: &Volume, frame: usize, options: &MaskOptions) -> Result<AlignedMask> {
        if let Some(found) = Self::of_segmentation_for(path, image, options)? {
            return Ok(found);
        }
        let mut volume = Self::read_frame(path, 0)?;
        let frames = Self::require_frames(path, &volume, image)?;
        if frames > 1 && frame > 0 {
            volume = Self::read_frame(path, frame)?;
        }
        Self::aligned_to(image, volume, path, options)
    }

    /// Opens a mask file for reading frame by frame.
    ///
    /// # Errors
    /// As [`LabelVolume::read_frame_for`], as far as they do not concern labels.
    pub fn read_frames_for<'a>(path: &'a Path, image: &'a Volume, options: MaskOptions) -> Result<MaskFrames<'a>> {
        if seg::open_segmentation(path).is_some() {
            return Ok(MaskFrames { path, image, options, frames: 1, volume: None });
        }
        let whole = read_unchecked(path, &ReadOptions { frames: Frames::All, ..ReadOptions::default() });
        // Files too large for memory are read frame by frame.
        let (volume, all) = match whole {
            Err(error) if matches!(error.kind(), ErrorKind::Memory { .. }) => (Self::read_frame(path, 0)?, false),
            whole => (whole?, true),
        };
        let frames = Self::require_frames(path, &volume, image)?;
        Ok(MaskFrames { path, image, options, frames, volume: all.then_some(volume) })
    }

    /// The number of frames of a mask.
    ///
    /// # Errors
    /// If the mask has several frames, but not as many as the image.
    fn require_frames(path: &Path, mask: &Volume, image: &Volume) -> Result<usize> {
        let (of_mask, of_image) = (mask.file_frames, image.file_frames);
        if of_mask == 1 || of_mask == of_image {
            return Ok(of_mask);
        }
        let [of_mask, of_image] = [of_mask, of_image].map(|n| plural(n, "frame", "frames"));
        let why = format!(
            "has {of_mask}, but its image has {of_image}. A mask has one frame, or one for each frame of its image"
        );
        Err(Error::file(path, why))
    }

    /// The mask of one frame on the image's grid.
    fn aligned_to(image: &Volume, volume: Volume, path: &Path, options: &MaskOptions) -> Result<AlignedMask> {
        let frames = volume.file_frames;
        let (mask, mut notes) = Self::of_volume(path, volume, options)?;
        let what = format!("mask {} and its image", path.display());
        let (labels, note) = mask.aligned(&image.grid, options, &what, ["mask", "image"])?;
        notes.extend(note);
        Ok(AlignedMask { labels, frames, notes })
    }

    /// A SEG or RTSTRUCT on its image's grid; `None` for other files. A SEG omits empty slices, so partial coverage needs no
    /// note.
    ///
    /// # Errors
    /// Another frame of reference than the image's; another grid.
    fn of_segmentation_for(path: &Path, image: &Volume, options: &MaskOptions) -> Result<Option<AlignedMask>> {
        let Some(file) = seg::open_segmentation(path) else { return Ok(None) };
        seg::space_of(&file, image.space.as_deref())?;
        let (mask, notes) = Self::of_segments(&file)?;
        let what = format!("mask {} and its image", path.display());
        let (labels, _) = mask.aligned(&image.grid, options, &what, ["mask", "image"])?;
        Ok(Some(AlignedMask { labels, frames: 1, notes }))
    }

    /// All segments of a SEG on the grid of its frames, or of an RTSTRUCT on that of its images; `None` for other files. Where
    /// segments overlap, the smaller one is kept, with a note.
    fn of_segmentation(path: &Path) -> Result<Option<(Self, Vec<String>)>> {
        seg::open_segmentation(path).map(|file| Self::of_segments(&file)).transpose()
    }

    fn of_segments(file: &DicomFile) -> Result<(Self, Vec<String>)> {
        let mut masks = seg::read_file(file, None)?;
        let (mask, overlap) = masks.merged();
        masks.notes.extend(overlap);
        Ok((mask, masks.notes))
    }

    /// Reads a frame without the warning of [`Volume::read`] about a volume of zeros, which is a patient without lesions.
    fn read_frame(path: &Path, frame: usize) -> Result<Volume> {
        read_unchecked(path, &ReadOptions { frames: Frames::One(frame), ..ReadOptions::default() })
    }

    fn of_volume(path: &Path, volume: Volume, options: &MaskOptions) -> Result<(Self, Vec<String>)> {
        let Volume { grid, data, scale, mut warnings, .. } = volume;
        let (data, notes) = rounding::labels(path, &grid, data, scale, options.threshold)?;
        warnings.extend(notes);
        Ok((Self { grid, data }, warnings))
    }

    /// The mask on the grid of its image, if both have the same voxels, in any axis order or as a sub-box. A note describes the
    /// conversion; `names` are as for [`super::GridMatch::note`].
    ///
    /// # Errors
    /// If the voxels differ, or a label is outside the image. `what` names both in the message.
    pub fn aligned(
        self,
        image: &Grid,
        options: &MaskOptions,
        what: &str,
        names: [&str; 2],
    ) -> Result<(Self, Option<String>)> {
        let comparison = self.grid.compare(image, options.grid_tolerance_mm);
        if comparison.relation == Relation::Different {
            let (left, right) = (self.grid.describe(), image.describe());
            let difference = comparison.difference(&self.grid, image);
            return Err(ErrorKind::Geometry { what: what.to_owned(), difference, left, right }.into());
        }
        let note = comparison.note(names, &self.grid, image);
        let before = self.labelled_voxels();
        let aligned = self.moved(image, comparison.relation);
        let lost = before - aligned.labelled_voxels();
        if lost > 0 {
            let (left, right) = (format!("{before} labelled voxels"), format!("{lost} of them outside the image"));
            let difference = format!("the {} reaches beyond the {}", names[0], names[1]);
            return Err(ErrorKind::Geometry { what: what.to_owned(), difference, left, right }.into());
        }
        Ok((aligned, note))
    }

    /// The mask on another grid, by world position: the same voxels exactly, anything else by the nearest voxel, with
    /// background outside.
    #[must_use]
    pub fn on_grid(self, grid: &Grid) -> Self {
        let relation = self.grid.relation(grid);
        self.moved(grid, relation)
    }

    fn moved(self, grid: &Grid, relation: Relation) -> Self {
        fn array<T: Copy + Default + Send + Sync>(labels: &[T], from: &Grid, to: &Grid, relation: Relation) -> Vec<T> {
            match relation {
                Relation::Reordered(orientation) => orientation.apply(labels, from.shape),
                Relation::Box { orientation, origin } => {
                    let (own, shape) = (orientation.apply(labels, from.shape), orientation.target_shape(from.shape));
                    crop(&own, shape, origin.map(|index| -index), to.shape, T::default())
                }
                Relation::Same | Relation::ByVoxel | Relation::Different => {
                    resample_labels(labels, from, to, T::default())
                }
            }
        }
        let data = match self.data {
            data if matches!(relation, Relation::Same | Relation::ByVoxel) => data,
            LabelData::U8(labels) => LabelData::U8(array(&labels, &self.grid, grid, relation)),
            LabelData::U16(labels) => LabelData::U16(array(&labels, &self.grid, grid, relation)),
        };
        Self { grid: grid.clone(), data }
    }

    /// Number of voxels with a label other than 0.
    pub fn labelled_voxels(&self) -> usize {
        match &self.data {
            LabelData::U8(v) => v.iter().filter(|&&label| label != 0).count(),
            LabelData::U16(v) => v.iter().filter(|&&label| label != 0).count(),
        }
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
    pub fn get(&self, index: usize) -> u16 {
        match &self.data {
            LabelData::U8(v) => u16::from(v[index]),
            LabelData::U16(v) => v[index],
        }
    }

    /// All labels in file order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..self.len()).map(|index| self.get(index))
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
        self.labelled_voxels() as f64 * self.grid.voxel_volume_ml()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use glam::DAffine3;

    #[test]
    fn a_mask_counts_its_labels_voxels_and_volume() {
        let grid = Grid::new([2, 2, 1], DAffine3::from_scale(glam::DVec3::new(10.0, 10.0, 10.0)));
        let mask = LabelVolume::new(grid.clone(), vec![0_u16, 300, 2, 2]).unwrap();
        assert_eq!(mask.labels(), [2, 300]);
        assert_eq!(mask.mask(&[2]), [false, false, true, true]);
        assert!((mask.volume_ml() - 3.0).abs() < 1e-12);
        assert!(matches!(LabelVolume::new(grid.clone(), vec![1_u16, 2, 3, 4]).unwrap().data, LabelData::U8(_)));
        assert!(LabelVolume::new(grid, vec![0_u8; 3]).is_err());
    }

    const NAMES: [&str; 2] = ["mask", "image"];

    /// A mask of 6 x 5 x 4 voxels with three labels.
    fn whole() -> LabelVolume {
        let grid = Grid::new([6, 5, 4], DAffine3::from_scale(glam::DVec3::new(1.0, 2.0, 3.0)));
        let mut labels = vec![0_u8; grid.len()];
        for (voxel, label) in [([2, 1, 1], 1), ([3, 2, 2], 2), ([4, 2, 1], 4)] {
            labels[grid.index(voxel)] = label;
        }
        LabelVolume::new(grid, labels).unwrap()
    }

    #[test]
    fn a_mask_cropped_to_its_extent_is_padded() {
        let (mask, options) = (whole(), MaskOptions::default());
        let LabelData::U8(labels) = &mask.data else { panic!("more labels than expected") };
        let cut = crop(labels, mask.grid.shape, [2, 1, 1], [3, 2, 2], 0);
        let part = LabelVolume::new(mask.grid.cropped([2, 1, 1], [3, 2, 2]), cut).unwrap();
        let (padded, note) = part.clone().aligned(&mask.grid, &options, "a and b", NAMES).unwrap();
        assert_eq!(padded, mask);
        assert!(note.unwrap().contains("a box of 3x2x2 voxels"));
        // In the other direction, background outside the image may be dropped, but not labels.
        let (back, _) = mask.clone().aligned(&part.grid, &options, "a and b", NAMES).unwrap();
        assert_eq!(back, part);
        let narrow = mask.grid.cropped([2, 1, 1], [2, 2, 2]);
        let error = mask.aligned(&narrow, &options, "a and b", NAMES).unwrap_err().to_string();
        assert!(error.contains("3 labelled voxels vs 1 of them outside the image"), "{error}");
    }

    #[test]
    fn a_mask_at_another_position_is_refused_with_the_difference() {
        let mask = whole();
        let mut grid = mask.grid.clone();
        grid.world_from_voxel.translation.x += 0.21;
        let options = MaskOptions { grid_tolerance_mm: Some(0.3), ..MaskOptions::default() };
        let (aligned, note) = mask.clone().aligned(&grid, &options, "a and b", NAMES).unwrap();
        assert_eq!((aligned.grid, aligned.data), (grid.clone(), mask.data.clone()));
        assert!(note.unwrap().contains("0.21 mm"));
        let error = mask.aligned(&grid, &MaskOptions::default(), "a and b", NAMES).unwrap_err().to_string();
        assert!(error.starts_with("a and b have different grids: a corner differs by 0.21 mm"), "{error}");
    }
}
