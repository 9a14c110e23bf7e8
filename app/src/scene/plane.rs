//! Anatomical planes, and their orientation on the screen.

use serde::{Deserialize, Serialize};

/// An anatomical plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// Perpendicular to left-right.
    Sagittal,
    /// Perpendicular to front-back.
    Coronal,
    /// Perpendicular to head-feet.
    Axial,
}

impl Plane {
    /// All three, by axis.
    pub const ALL: [Self; 3] = [Self::Sagittal, Self::Coronal, Self::Axial];

    /// The display axis perpendicular to the plane: 0 for R, 1 for A, 2 for S.
    pub fn axis(self) -> usize {
        self as usize
    }

    /// Display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sagittal => "Sagittal",
            Self::Coronal => "Coronal",
            Self::Axial => "Axial",
        }
    }

    /// Display axes along screen x and y.
    pub fn screen_axes(self) -> [usize; 2] {
        match self {
            Self::Sagittal => [1, 2],
            Self::Coronal => [0, 2],
            Self::Axial => [0, 1],
        }
    }

    /// Direction of display indices along screen x (right) and y (down), +1 or -1.
    ///
    /// Anterior and superior are up, sagittal slices show anterior on the left, and in the radiological convention the
    /// patient's right is on the left.
    pub fn screen_signs(self, convention: Convention) -> [f64; 2] {
        match (self, convention) {
            (Self::Sagittal, _) | (_, Convention::Radiological) => [-1.0, -1.0],
            (_, Convention::Neurological) => [1.0, -1.0],
        }
    }
}

/// Which side of the patient is on the left of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// The patient's right, as seen from the feet.
    #[default]
    Radiological,
    /// The patient's left, as seen from the head.
    Neurological,
}

/// Axes along which panes cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaneMode {
    /// The stored grid.
    #[default]
    Native,
    /// The patient's axes, resampled.
    World,
}
