//! The structs shared with WGSL. Their memory layouts are equal, which a test checks.

use bytemuck::{Pod, Zeroable};

use crate::{Patches, colour};

/// Meaning of a texture's unsigned integers.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// No texture; nothing is drawn.
    #[default]
    None = 0,
    /// Unsigned values of 8 or 16 bits.
    Unsigned = 1,
    /// Two's complement of 8 bits.
    Signed8 = 2,
    /// Two's complement of 16 bits.
    Signed16 = 3,
    /// The bits of a 32-bit float. Infinities and NaN are drawn black.
    Float = 4,
    /// Red, green, blue, opacity, with red in the lowest byte. Scale and window do not apply.
    Rgba = 5,
}

/// Colour map of windowed values.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourMap {
    /// Black to white.
    #[default]
    Grey = 0,
    /// White to black, as PET projections are read.
    GreyInverted = 1,
    /// Black, red, yellow, white.
    Hot = 2,
    /// Viridis: uniformly increasing lightness, safe for colour-blind users.
    Viridis = 3,
    /// Hot metal with a blue lower end: black, blue, purple, red, amber, white.
    Pet = 4,
}

impl ColourMap {
    /// All colour maps, in menu order.
    pub const ALL: [Self; 5] = [Self::Grey, Self::GreyInverted, Self::Hot, Self::Viridis, Self::Pet];
}

/// Interpolation between voxel centres.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest voxel.
    Nearest = 0,
    /// Trilinear.
    #[default]
    Linear = 1,
}

/// How labels are drawn. The comparison is hidden or drawn in its own style.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelMode {
    /// Not drawn.
    Hidden = 0,
    /// As areas of [`Slice::label_opacity`].
    Fill = 1,
    /// As outlines of [`Slice::outline_opacity`].
    Outline = 2,
    /// Both.
    #[default]
    FillAndOutline = 3,
}

/// Label textures in use, as bits.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layers {
    /// Neither.
    #[default]
    None = 0,
    /// Labels only.
    Labels = 1,
    /// Reference only.
    Truth = 2,
    /// Labels and reference.
    Both = 3,
}

impl Layers {
    /// From the presence of each.
    pub fn of(labels: bool, truth: bool) -> Self {
        match (labels, truth) {
            (false, false) => Self::None,
            (true, false) => Self::Labels,
            (false, true) => Self::Truth,
            (true, true) => Self::Both,
        }
    }
}

/// One volume and the plane through it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Image {
    /// Maps a pane pixel to the fractional canonical voxel index: `index = rows * (x, y, 0, 1)`, in physical pixels
    /// from the pane's top left corner, pixel centres at .5, voxel centres at integers.
    pub rows: [[f32; 4]; 3],
    /// Voxels along the canonical axes.
    pub shape: [u32; 3],
    /// A [`Kind`].
    pub kind: u32,
    /// Canonical axis of each texture axis: a permutation of 0, 1, 2.
    pub order: [u32; 3],
    /// Bit `a` is set if texture axis `a` runs against its canonical axis.
    pub flip: u32,
    /// Reduction: along texture axis `a` the texture has every `2^shift[a]`-th voxel, starting at canonical voxel 0.
    pub shift: [u32; 3],
    /// A [`ColourMap`].
    pub colour_map: u32,
    /// Slope and intercept from stored values to the scan's unit.
    pub scale: [f32; 2],
    /// Lower and upper end of the window, in the scan's unit. A window of width 0 is a step.
    pub window: [f32; 2],
    /// An [`Interpolation`].
    pub interpolation: u32,
    /// Opacity, 0 to 1, over black or over the base image.
    pub opacity: f32,
    /// If not 0, values at or below the window's lower end are transparent and opacity increases above it, as in a heat
    /// map.
    pub transparent_low: u32,
    /// Pads the struct to a multiple of 16 bytes.
    pub padding: u32,
}

impl Default for Image {
    /// No image; linear, grey, opaque, window 0 to 1.
    fn default() -> Self {
        Self {
            rows: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
            shape: [1; 3],
            kind: Kind::None as u32,
            order: [0, 1, 2],
            flip: 0,
            shift: [0; 3],
            colour_map: ColourMap::Grey as u32,
            scale: [1.0, 0.0],
            window: [0.0, 1.0],
            interpolation: Interpolation::Linear as u32,
            opacity: 1.0,
            transparent_low: 0,
            padding: 0,
        }
    }
}

impl Image {
    /// Sets how the texture maps to the canonical grid: voxels along the *texture's* axes before any reduction, the
    /// canonical axis of each, whether it runs backwards, and the reduction (see [`Image::shift`]).
    pub fn set_layout(&mut self, texture_shape: [u32; 3], axis: [usize; 3], flip: [bool; 3], shift: [u32; 3]) {
        for a in 0..3 {
            self.shape[axis[a]] = texture_shape[a];
        }
        self.order = axis.map(|a| a as u32);
        self.flip = flip.iter().enumerate().map(|(a, &f)| u32::from(f) << a).sum();
        self.shift = shift;
    }

    /// Whether a label texture laid out for `self` fits an image laid out for `other`.
    pub fn same_layout(&self, other: &Self) -> bool {
        (self.shape, self.order, self.flip, self.shift) == (other.shape, other.order, other.flip, other.shift)
    }
}

/// How labels and reference are compared.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComparisonMode {
    /// No comparison: the labels are drawn.
    #[default]
    Nothing = 0,
    /// Only the presence of labels is compared.
    Place = 1,
    /// The same, with different labels at one place as a separate class.
    Labels = 2,
    /// The labels are masks of several segmentations, one bit each: each is an outline in its colour of the palette.
    Several = 3,
}

/// The parameters of one pane.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Slice {
    /// The image. Labels and reference are on its grid.
    pub base: Image,
    /// An overlaid image, on its own grid.
    pub fused: Image,
    /// Colours of labels 1 to 16 (gamma space, straight opacity), repeated for larger labels.
    pub palette: [[f32; 4]; 16],
    /// Colours of true positives, false positives, false negatives, wrong labels.
    pub comparison: [[f32; 4]; 4],
    /// Bit `l`, lowest first, is set if label `l` is visible. Bit 0 stands for all labels above 255. See [`labels_shown`].
    pub visible: [[u32; 4]; 2],
    /// The patch grid over everything else.
    pub patches: Patches,
    /// The pane's top left corner in the frame buffer, physical pixels.
    pub origin: [f32; 2],
    /// Physical pixels per point, so that hatching and dashes have the same size on every screen.
    pub pixels_per_point: f32,
    /// A [`LabelMode`].
    pub label_mode: u32,
    /// Opacity of areas, 0 to 1.
    pub label_opacity: f32,
    /// Opacity of outlines, 0 to 1.
    pub outline_opacity: f32,
    /// Width of outlines in physical pixels, independent of zoom.
    pub outline_px: f32,
    /// A [`Layers`].
    pub layers: u32,
    /// A [`ComparisonMode`]: other than 0, draws the comparison of labels and reference instead of the labels.
    pub comparing: u32,
    /// If not 0, the target converts from linear light on store, so the shader outputs linear light.
    pub srgb_target: u32,
    /// Pads the struct to a multiple of 16 bytes.
    pub padding: [u32; 2],
}

impl Default for Slice {
    /// No image; every label drawn as a faint area with an outline of one pixel.
    fn default() -> Self {
        Self {
            base: Image::default(),
            fused: Image { opacity: 0.5, ..Image::default() },
            palette: colour::PALETTE.map(colour::opaque),
            comparison: colour::COMPARISON.map(colour::opaque),
            visible: labels_shown(|_| true),
            patches: Patches::default(),
            origin: [0.0; 2],
            pixels_per_point: 1.0,
            label_mode: LabelMode::default() as u32,
            label_opacity: 0.35,
            outline_opacity: 1.0,
            outline_px: 1.0,
            layers: Layers::None as u32,
            comparing: 0,
            srgb_target: 0,
            padding: [0; 2],
        }
    }
}

/// The bits of [`Slice::visible`]. `shown` is called for labels 1 to 255, and with 256 for all larger labels.
pub fn labels_shown(shown: impl Fn(u16) -> bool) -> [[u32; 4]; 2] {
    let mut bits = [[0; 4]; 2];
    for label in 1..=256_u16 {
        let at = usize::from(label % 256);
        bits[at / 128][at / 32 % 4] |= u32::from(shown(label)) << (at % 32);
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_has_its_own_bit() {
        assert_eq!(labels_shown(|_| true), [[u32::MAX; 4]; 2]);
        assert_eq!(labels_shown(|l| l == 1), [[2, 0, 0, 0], [0; 4]]);
        assert_eq!(labels_shown(|l| l == 130), [[0; 4], [4, 0, 0, 0]]);
        assert_eq!(labels_shown(|l| l == 255), [[0; 4], [0, 0, 0, 1 << 31]]);
        assert_eq!(labels_shown(|l| l > 255), [[1, 0, 0, 0], [0; 4]]);
    }

    #[test]
    fn a_layout_gives_the_canonical_shape() {
        let mut image = Image::default();
        image.set_layout([5, 6, 7], [2, 0, 1], [true, false, true], [0, 1, 0]);
        assert_eq!(image.shape, [6, 7, 5]);
        assert_eq!((image.order, image.flip, image.shift), ([2, 0, 1], 0b101, [0, 1, 0]));
        assert!(!image.same_layout(&Image::default()));
    }
}
