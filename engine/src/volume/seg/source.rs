//! The series that a segmentation was made on: its grid and its images.

use std::sync::Arc;

use glam::DVec3;

use crate::volume::Grid;
use crate::volume::dicom::{DataSet, PatientSpace};

/// A slice of the source: an image, or a frame of one.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceImage {
    /// Slice index in the grid.
    pub k: usize,
    /// The header of the image, from which a SEG copies attributes. Frames of one image share it.
    pub header: Arc<DataSet>,
    /// `SOPInstanceUID`.
    pub instance: String,
    /// The frame of a multi-frame image, from 1 as DICOM counts.
    pub frame: Option<u32>,
    /// World position of its first pixel in mm, RAS.
    pub position: DVec3,
}

/// The slices of a series in stacking order.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSeries {
    /// The grid of the stacked volume: i along a row, j along a column.
    pub grid: Grid,
    /// `SeriesInstanceUID`.
    pub series: String,
    /// `FrameOfReferenceUID`.
    pub frame_of_reference: Option<String>,
    /// The slices. If several have one position (time points), those of the volume come first.
    pub images: Vec<SourceImage>,
    /// Why a SEG cannot describe these slices, such as uneven spacing.
    pub irregular: Option<String>,
}

impl SourceSeries {
    /// Its frame of reference and its images.
    pub(super) fn space(&self) -> PatientSpace {
        PatientSpace {
            frames_of_reference: self.frame_of_reference.iter().cloned().collect(),
            images: self.images.iter().map(|image| image.instance.clone()).collect(),
            ..PatientSpace::default()
        }
    }

    /// The slice of an image or frame.
    pub(super) fn image(&self, instance: &str, frame: Option<u32>) -> Option<&SourceImage> {
        let frame = |image: &SourceImage| image.frame.is_none() || image.frame == Some(frame.unwrap_or(1));
        self.images.iter().find(|image| image.instance == instance && frame(image))
    }

    /// Position of the first pixel of each slice, by k: that of its image, or that of the grid if the image is missing.
    pub(super) fn positions(&self) -> Vec<DVec3> {
        let of = |k| self.images.iter().find(|image| image.k == k).map(|image| image.position);
        (0..self.grid.shape[2]).map(|k| of(k).unwrap_or_else(|| self.grid.world([0, 0, k]))).collect()
    }
}
