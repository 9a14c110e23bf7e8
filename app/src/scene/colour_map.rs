//! Colour maps.

use serde::{Deserialize, Serialize};

/// A colour map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColourMap {
    /// Black to white.
    #[default]
    Grey,
    /// White to black, the convention for PET projections.
    GreyInverted,
    /// Black, red, yellow, white.
    Hot,
    /// Perceptually uniform, dark blue to yellow.
    Viridis,
    /// Common colours of fused PET.
    Pet,
}

impl ColourMap {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Grey, Self::GreyInverted, Self::Hot, Self::Viridis, Self::Pet];

    /// Display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grey => "Grey",
            Self::GreyInverted => "Grey inverted",
            Self::Hot => "Hot",
            Self::Viridis => "Viridis",
            Self::Pet => "PET",
        }
    }
}
