//! Scans and masks on their grid: geometry, orientation, resampling, and the NIfTI format.
//!
//! A [`Volume`] keeps the file's own voxel type and scales values when they are read. A [`LabelVolume`] is a mask;
//! [`LabelVolume::read_for`] aligns it to an image by world position or refuses it. Geometry lives in [`Grid`],
//! [`Orientation`], [`resample`] and [`crop`]; only [`nifti`] knows a file format.

mod axial;
mod data;
mod grid;
mod label;
mod matching;
pub mod nifti;
mod orient;
mod projection;
mod quantile;
pub mod resample;
mod stats;

pub use axial::AxialSlices;
pub use data::{Extension, Frames, ReadOptions, Scale, SourceHeader, Volume, VoxelData};
pub use grid::Grid;
pub use label::{LabelData, LabelVolume};
pub use matching::Relation;
pub use orient::Orientation;
pub use resample::{Interpolation, crop, resample_f32, resample_labels};
pub use stats::{Stats, percentile};
