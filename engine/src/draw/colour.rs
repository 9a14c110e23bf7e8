//! The project's colours, the same in reports and in the viewer. No meaning is carried by colour alone: masked patches are
//! hatched, categories carry a digit, false negatives are dashed.

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// Patches of the foreground (lesion): green, as in the paper's Fig. 2.
pub const LESION: Rgb = [0x3F, 0xB9, 0x50];
/// Patches of the background: purple, as in the paper's Fig. 2.
pub const BACKGROUND: Rgb = [0x89, 0x57, 0xE5];
/// Patches whose label changed in the last update.
pub const FLIP: Rgb = [0xF2, 0xCC, 0x60];
/// True positive: in the segmentation and in the reference.
pub const TRUE_POSITIVE: Rgb = [0x56, 0xB4, 0xE9];
/// False positive: in the segmentation only; hatched.
pub const FALSE_POSITIVE: Rgb = [0xE6, 0x9F, 0x00];
/// False negative: in the reference only; dashed.
pub const FALSE_NEGATIVE: Rgb = [0xCC, 0x79, 0xA7];
/// Background of images.
pub const BLACK: Rgb = [0, 0, 0];
/// Background of sheets.
pub const PAPER: Rgb = [0x14, 0x16, 0x1A];
/// Text.
pub const INK: Rgb = [0xE6, 0xE8, 0xEB];
/// Secondary text.
pub const FAINT: Rgb = [0x9A, 0xA1, 0xAB];
/// Largest opacity of a patch's fill, so that the image stays visible.
pub const PATCH_FILL: f32 = 0.20;

/// The colour of a patch labelled 1 or 0.
pub fn category(label: u8) -> Rgb {
    if label == 1 { LESION } else { BACKGROUND }
}
