//! Scans and masks on their grid.

mod data;
mod grid;
mod label;

pub use data::{Frames, ReadOptions, Scale, Volume, VoxelData};
pub use grid::Grid;
pub use label::{LabelData, LabelVolume};
