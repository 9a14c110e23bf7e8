//! The project's colours: the same in reports and in the window. None is the only carrier of its meaning: masked is
//! hatched, categories carry a digit, FN is dashed.

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// Patches of the foreground (lesion): green, as in the paper's Fig. 2.
pub const LESION: Rgb = [0x3F, 0xB9, 0x50];
/// Patches of the background: purple, as in the paper's Fig. 2.
pub const BACKGROUND: Rgb = [0x89, 0x57, 0xE5];
/// Patches whose label changed in the last update.
pub const FLIP: Rgb = [0xF2, 0xCC, 0x60];
/// Predicted and true.
pub const TRUE_POSITIVE: Rgb = [0x56, 0xB4, 0xE9];
/// Predicted only; hatched.
pub const FALSE_POSITIVE: Rgb = [0xE6, 0x9F, 0x00];
/// True only; dashed.
pub const FALSE_NEGATIVE: Rgb = [0xCC, 0x79, 0xA7];
/// Behind images.
pub const BLACK: Rgb = [0, 0, 0];
/// Behind sheets.
pub const PAPER: Rgb = [0x14, 0x16, 0x1A];
/// Text.
pub const INK: Rgb = [0xE6, 0xE8, 0xEB];
/// Text of less weight.
pub const FAINT: Rgb = [0x9A, 0xA1, 0xAB];
/// The strongest fill of a patch: the image stays visible.
pub const PATCH_FILL: f32 = 0.20;

/// The colour of a patch labelled 1 or 0.
pub fn category(label: u8) -> Rgb {
    if label == 1 { LESION } else { BACKGROUND }
}
