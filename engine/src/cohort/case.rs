//! One scan of a patient: its images and its mask.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::volume::nifti::HeaderSummary;
use crate::volume::{Frames, LabelData, LabelVolume, MaskOptions, ReadOptions, Volume};
use crate::{Error, Result};

/// An image of a scan: a file, or one frame of a 4-D file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageFile {
    /// The file.
    pub path: PathBuf,
    /// The frame of a 4-D file, from 0; `None` for a file of one frame.
    pub frame: Option<usize>,
}

impl ImageFile {
    /// A file of one frame.
    pub fn new(path: PathBuf) -> Self {
        Self { path, frame: None }
    }

    /// A file, with this frame if it has several. An unreadable header is reported by [`ImageFile::read`].
    pub fn with_frame(path: PathBuf, frame: Option<usize>) -> Self {
        let is_4d = || HeaderSummary::read(&path).is_ok_and(|header| header.frames > 1);
        let frame = frame.filter(|_| is_4d());
        Self { path, frame }
    }

    /// Reads the image.
    ///
    /// # Errors
    /// As [`Volume::read`]; also for colour images, and for a 4-D file if no frame was chosen.
    pub fn read(&self) -> Result<Volume> {
        let frames = Frames::One(self.frame.unwrap_or(0));
        let image = Volume::read_with(&self.path, &ReadOptions { frames, ..ReadOptions::default() })?;
        if self.frame.is_none() && image.file_frames > 1 {
            let why = format!(
                "the image is 4-D. Choose one of its frames (0 to {}), or name them as channels in dataset.json beside \
                 imagesTr",
                image.file_frames - 1
            );
            return Err(Error::field(&self.path, "frames", image.file_frames, why));
        }
        image.require_numbers(&self.path).map(|()| image)
    }
}

/// One scan: the unit of segmentation, measurement and training.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// Unique in its cohort.
    pub id: String,
    /// The patient, who may have several scans; equal to `id` if names contain no session.
    pub patient: String,
    /// The session, time point or date, if names contain it.
    pub session: Option<String>,
    /// The images by modality, in lower case.
    pub images: BTreeMap<String, ImageFile>,
    /// The files of the reference mask, which is their union.
    pub masks: Vec<PathBuf>,
    /// A segmentation saved by this program next to the scan (`<image>_pred.nii.gz`).
    pub segmentation: Option<PathBuf>,
    /// True for a case in a folder of test images (`imagesTs`). It needs no mask and is never trained on.
    pub held_out: bool,
}

impl Case {
    /// The files of the images by modality. A 4-D file is listed once, under its first channel.
    pub fn image_paths(&self) -> BTreeMap<String, PathBuf> {
        let mut paths: BTreeMap<String, PathBuf> = BTreeMap::new();
        for (modality, image) in &self.images {
            if !paths.values().any(|path| *path == image.path) {
                paths.insert(modality.clone(), image.path.clone());
            }
        }
        paths
    }

    /// Its first image, or its mask if it has no image.
    pub(super) fn first_file(&self) -> Option<&Path> {
        self.images.values().map(|image| image.path.as_path()).chain(self.masks.iter().map(PathBuf::as_path)).next()
    }

    /// The folder of its first file.
    pub fn folder(&self) -> Option<&Path> {
        self.first_file().and_then(Path::parent)
    }

    /// True if it has an image of each of these modalities.
    pub fn has_all(&self, modalities: &[String]) -> bool {
        modalities.iter().all(|modality| self.images.contains_key(modality))
    }

    /// Selects this frame of every 4-D image.
    pub(super) fn choose_frame(&mut self, frame: usize) {
        for image in self.images.values_mut().filter(|image| image.frame.is_none()) {
            *image = ImageFile::with_frame(std::mem::take(&mut image.path), Some(frame));
        }
    }
}

/// Reads a mask of one or several files: their union on the grid of the first; on overlap the first file's label wins. The
/// second value has warnings about the files.
///
/// # Errors
/// A file that is not a mask; no file.
pub fn read_masks(paths: &[PathBuf], options: &MaskOptions) -> Result<(LabelVolume, Vec<String>)> {
    let Some((first, rest)) = paths.split_first() else { return Err(Error::config("mask", "", "no file is named")) };
    let (mut union, mut notes) = LabelVolume::read_with(first, options)?;
    for path in rest {
        let (region, more) = LabelVolume::read_with(path, options)?;
        union = with_region(union, region);
        notes.extend(more);
    }
    Ok((union, notes))
}

/// The labels of `mask`, and those of `region` where `mask` is background.
pub fn with_region(mask: LabelVolume, region: LabelVolume) -> LabelVolume {
    let region = region.on_grid(&mask.grid);
    let labels: Vec<u16> =
        mask.iter().zip(region.iter()).map(|(label, other)| if label == 0 { other } else { label }).collect();
    LabelVolume { data: LabelData::from(labels), ..mask }
}
