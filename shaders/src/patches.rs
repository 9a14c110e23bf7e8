//! The patch layer: state of each patch, parts to draw, and position of the grid in a pane.

use std::ops::BitOr;

use bytemuck::{Pod, Zeroable};

use crate::colour;

/// State of one patch. [`Cell::bits`] is its texel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent flag")]
pub struct Cell {
    /// Foreground (label 1) instead of background (label 0).
    pub foreground: bool,
    /// Masked in the network's input.
    pub masked: bool,
    /// Its label changed in the last label update.
    pub flipped: bool,
    /// Pinned by the user.
    pub pinned: bool,
    /// Outside the scan; its label is not drawn.
    pub padding: bool,
    /// A value from 0 to 255, if any: foreground probability, relative loss, ...
    pub heat: Option<u8>,
}

impl Cell {
    /// Bit 0 foreground, 1 masked, 2 flipped, 3 has heat, 4 pinned, 5 padding; bits 8 to 15 the heat.
    pub fn bits(self) -> u32 {
        let flags = [self.foreground, self.masked, self.flipped, self.heat.is_some(), self.pinned, self.padding];
        let flags: u32 = flags.into_iter().zip(0..).map(|(flag, bit)| u32::from(flag) << bit).sum();
        flags | u32::from(self.heat.unwrap_or(0)) << 8
    }
}

/// The parts of the patch layer to draw, combined with `|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchShow(u32);

impl PatchShow {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A thin line between patches.
    pub const GRID: Self = Self(1);
    /// Fill and outline in the colour of the patch's label.
    pub const CATEGORIES: Self = Self(1 << 1);
    /// Hatching of masked patches.
    pub const MASKED: Self = Self(1 << 2);
    /// Outlines of patches whose label changed.
    pub const FLIPS: Self = Self(1 << 3);
    /// The patch's value in viridis, in place of the label's fill.
    pub const HEAT: Self = Self(1 << 4);
    /// Masked patches filled with the colour of the value 0, as in the network's input.
    pub const BLANK: Self = Self(1 << 5);
    /// A frame around the grid.
    pub const FRAME: Self = Self(1 << 6);
    /// Hatching where the grid extends beyond the scan.
    pub const PADDING: Self = Self(1 << 7);
    /// Outlines of pinned patches.
    pub const PINS: Self = Self(1 << 8);

    /// The parts that need no texture of cells.
    pub const WITHOUT_CELLS: Self = Self(Self::GRID.0 | Self::FRAME.0 | Self::PADDING.0);

    /// The bit set for the shader.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Adds a part if `on`.
    #[must_use]
    pub fn with(self, part: Self, on: bool) -> Self {
        if on { self | part } else { self }
    }

    /// Whether all bits of `part` are set.
    pub fn shows(self, part: Self) -> bool {
        self.0 & part.0 == part.0
    }

    /// The intersection with `part`.
    #[must_use]
    pub fn only(self, part: Self) -> Self {
        Self(self.0 & part.0)
    }
}

impl BitOr for PatchShow {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The patch layer of a pane.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Patches {
    /// Maps a pane pixel to patch coordinates: `(i, j) = rows * (x, y, 0, 1)`, in physical pixels from the pane's top
    /// left corner. Patch (i, j), i along R and j along A, covers i to i + 1 and j to j + 1.
    pub rows: [[f32; 4]; 2],
    /// Colours in gamma space: foreground; background; flips; hatching, pins and frame; padding.
    pub colours: [[f32; 4]; 5],
    /// Size of a patch in physical pixels along i and j.
    pub pixels: [f32; 2],
    /// Patches per row and column.
    pub grid: u32,
    /// A [`PatchShow`].
    pub show: u32,
    /// Opacity of the labels' fill, 0 to 1.
    pub fill: f32,
    /// Opacity of the values, 0 to 1.
    pub heat_opacity: f32,
    /// Pads the struct to a multiple of 16 bytes.
    pub padding: [u32; 2],
}

impl Default for Patches {
    /// Draws nothing; default colours.
    fn default() -> Self {
        use colour::{INK, PADDING, PATCH_BACKGROUND, PATCH_FLIP, PATCH_LESION};
        Self {
            rows: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]],
            colours: [PATCH_LESION, PATCH_BACKGROUND, PATCH_FLIP, INK, PADDING].map(colour::opaque),
            pixels: [1.0; 2],
            grid: 1,
            show: PatchShow::NONE.bits(),
            fill: colour::PATCH_FILL,
            heat_opacity: 0.6,
            padding: [0; 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_cell_has_its_own_bits() {
        assert_eq!(Cell::default().bits(), 0);
        assert_eq!(Cell { foreground: true, flipped: true, ..Cell::default() }.bits(), 0b101);
        assert_eq!(Cell { masked: true, pinned: true, ..Cell::default() }.bits(), 0b1_0010);
        assert_eq!(Cell { padding: true, ..Cell::default() }.bits(), 0b10_0000);
        assert_eq!(Cell { heat: Some(0xA5), ..Cell::default() }.bits(), 0xA508);
        assert_eq!(Cell { heat: Some(0), ..Cell::default() }.bits(), 8, "the value 0 is a value");
    }

    #[test]
    fn parts_can_be_combined_and_selected() {
        let show = PatchShow::GRID.with(PatchShow::FLIPS, true).with(PatchShow::HEAT, false);
        assert!(show.shows(PatchShow::GRID | PatchShow::FLIPS) && !show.shows(PatchShow::HEAT));
        assert_eq!(show.only(PatchShow::WITHOUT_CELLS), PatchShow::GRID);
    }
}
