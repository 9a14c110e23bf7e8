//! A mask: non-negative integer labels on a grid.

use super::Grid;

/// Label values in the smallest type that holds them, first axis fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelData {
    /// Labels up to 255.
    U8(Vec<u8>),
    /// Labels up to 65535.
    U16(Vec<u16>),
}

/// A mask on its grid. Label 0 is background.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelVolume {
    /// Where the voxels are.
    pub grid: Grid,
    /// One label a voxel.
    pub data: LabelData,
}
