//! Scans and masks on their grid: geometry, orientation, resampling, and the formats NIfTI and DICOM.
//!
//! A [`Volume`] keeps the file's own voxel type and scales values when they are read. A [`LabelVolume`] is a mask;
//! [`LabelVolume::read_for`] aligns it to an image by world position or refuses it. Geometry lives in [`Grid`],
//! [`Orientation`], [`resample`] and [`crop`]; only [`nifti`] and [`dicom`] know a file format.

mod axial;
mod background;
mod data;
pub mod dicom;
mod grid;
mod hounsfield;
mod label;
mod label_table;
mod mask_layers;
mod matching;
pub mod nifti;
mod orient;
mod padding;
mod projection;
mod quantile;
pub mod resample;
mod rounding;
pub mod seg;
mod stats;

pub use axial::AxialSlices;
pub use background::Background;
pub use data::{Extension, Frames, ReadOptions, Scale, SourceHeader, Volume, VoxelData};
pub use grid::Grid;
pub use hounsfield::{CtDoubt, ct_doubt};
pub use label::{AlignedMask, LabelData, LabelVolume, MaskFrames};
pub use label_table::{LabelStyle, LabelTable};
pub use mask_layers::MaskLayers;
pub use matching::{GridMatch, Relation};
pub use orient::Orientation;
pub use resample::{Interpolation, crop, resample_f32, resample_labels};
pub use rounding::MaskOptions;
pub use stats::{Stats, percentile};
