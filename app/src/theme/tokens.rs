//! Colours by role, one table for each theme.

use egui::Color32;

/// Colours by role. Text has a contrast of at least 4.5 : 1 on every surface it is used on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Whether this is the dark theme.
    pub dark: bool,
    /// The window behind the panels: gaps and gutters.
    pub window: Color32,
    /// Side panels, strip, bars.
    pub panel: Color32,
    /// Cards, popups, dialogs, and controls at rest.
    pub raised: Color32,
    /// A control or row under the pointer.
    pub raised_hover: Color32,
    /// A control while it is pressed; tracks of switches and sliders.
    pub raised_active: Color32,
    /// Inside a text field.
    pub field: Color32,
    /// Hairlines between regions.
    pub line: Color32,
    /// Borders of fields and cards.
    pub line_strong: Color32,
    /// Text and icons that carry content.
    pub text: Color32,
    /// Labels, units, hints, quiet icons. Still readable text.
    pub text_dim: Color32,
    /// Fill of primary actions, active switches and sliders.
    pub accent: Color32,
    /// The same under the pointer.
    pub accent_hover: Color32,
    /// Text and icons on a fill of accent.
    pub on_accent: Color32,
    /// Fill of a disabled button.
    pub disabled: Color32,
    /// Text and icons on a fill of disabled, on a panel or a card.
    pub on_disabled: Color32,
    /// Accent as text or icon on a panel, card or selected row.
    pub accent_text: Color32,
    /// Fill of a selected row or segment.
    pub selection: Color32,
    /// The same under the pointer.
    pub selection_hover: Color32,
    /// Warnings.
    pub warn: Color32,
    /// Errors and destructive actions.
    pub error: Color32,
    /// Text on a fill of error.
    pub on_error: Color32,
    /// Done or valid.
    pub ok: Color32,
    /// Focus ring.
    pub focus: Color32,
    /// Shadow of popups and dialogs.
    pub shadow: Color32,
    /// Dims the window behind a dialog.
    pub backdrop: Color32,
    /// Behind every image: black in both themes.
    pub image: Color32,
    /// Text over an image.
    pub overlay_text: Color32,
    /// Quieter text over an image.
    pub overlay_dim: Color32,
    /// Outline of text over an image, for legibility on bright anatomy.
    pub overlay_halo: Color32,
    /// Crosshair and other interface lines over an image.
    pub overlay_accent: Color32,
    /// Rulers, calipers and regions of interest over an image.
    pub overlay_measure: Color32,
    /// Curves of a chart on a panel or window.
    pub chart: [Color32; 5],
}

const fn rgb(value: u32) -> Color32 {
    Color32::from_rgb((value >> 16) as u8, (value >> 8) as u8, value as u8)
}

const OVERLAY_TEXT: Color32 = rgb(0xEC_EE_F1);
const OVERLAY_DIM: Color32 = rgb(0xA9_B0_BA);
const OVERLAY_HALO: Color32 = Color32::from_rgba_premultiplied(0, 0, 0, 200);
const OVERLAY_ACCENT: Color32 = rgb(0xBE_BD_F7);
const OVERLAY_MEASURE: Color32 = rgb(0xF5_E2_A0);

/// The dark theme: near-black neutrals, so that panels are never brighter than the anatomy.
pub const DARK: Tokens = Tokens {
    dark: true,
    window: rgb(0x0A_0B_0D),
    panel: rgb(0x13_15_18),
    raised: rgb(0x1D_20_25),
    raised_hover: rgb(0x26_2A_30),
    raised_active: rgb(0x31_36_3E),
    field: rgb(0x0D_0F_11),
    line: rgb(0x25_28_2E),
    line_strong: rgb(0x3A_3F_48),
    text: rgb(0xE2_E5_E9),
    text_dim: rgb(0x9B_A3_AE),
    accent: rgb(0x7C_8B_E8),
    accent_hover: rgb(0x8F_9C_F0),
    on_accent: rgb(0x0A_0B_0D),
    disabled: rgb(0x1D_20_25),
    on_disabled: rgb(0x86_8D_97),
    accent_text: rgb(0xA3_AF_F7),
    selection: rgb(0x26_2C_4A),
    selection_hover: rgb(0x2D_34_57),
    warn: rgb(0xE3_B3_41),
    error: rgb(0xF4_7E_7B),
    on_error: rgb(0x0A_0B_0D),
    ok: rgb(0x62_C9_8B),
    focus: rgb(0xA3_AF_F7),
    shadow: Color32::from_rgba_premultiplied(0, 0, 0, 140),
    backdrop: Color32::from_rgba_premultiplied(0, 0, 0, 150),
    image: Color32::BLACK,
    overlay_text: OVERLAY_TEXT,
    overlay_dim: OVERLAY_DIM,
    overlay_halo: OVERLAY_HALO,
    overlay_accent: OVERLAY_ACCENT,
    overlay_measure: OVERLAY_MEASURE,
    chart: [rgb(0x67_C9_FF), rgb(0xD8_B2_24), rgb(0xC9_5A_E8), rgb(0x54_8E_87), rgb(0xDD_EB_AC)],
};

/// The light theme. Colours over images are those of the dark theme.
pub const LIGHT: Tokens = Tokens {
    dark: false,
    window: rgb(0xDD_E0_E5),
    panel: rgb(0xF5_F6_F8),
    raised: rgb(0xFF_FF_FF),
    raised_hover: rgb(0xE9_EB_EF),
    raised_active: rgb(0xD9_DC_E2),
    field: rgb(0xFF_FF_FF),
    line: rgb(0xC8_CC_D4),
    line_strong: rgb(0xBF_C4_CC),
    text: rgb(0x1B_1E_23),
    text_dim: rgb(0x54_5B_66),
    accent: rgb(0x47_58_C9),
    accent_hover: rgb(0x3B_4B_B8),
    on_accent: rgb(0xFF_FF_FF),
    disabled: rgb(0xE9_EB_EF),
    on_disabled: rgb(0x60_66_6F),
    accent_text: rgb(0x3B_4B_B8),
    selection: rgb(0xDC_E1_FA),
    selection_hover: rgb(0xD0_D7_F7),
    warn: rgb(0x7F_54_00),
    error: rgb(0xB4_23_26),
    on_error: rgb(0xFF_FF_FF),
    ok: rgb(0x12_68_3B),
    focus: rgb(0x47_58_C9),
    shadow: Color32::from_rgba_premultiplied(0, 0, 0, 40),
    backdrop: Color32::from_rgba_premultiplied(0, 0, 0, 90),
    image: Color32::BLACK,
    overlay_text: OVERLAY_TEXT,
    overlay_dim: OVERLAY_DIM,
    overlay_halo: OVERLAY_HALO,
    overlay_accent: OVERLAY_ACCENT,
    overlay_measure: OVERLAY_MEASURE,
    chart: [rgb(0x05_57_B0), rgb(0xC4_6E_08), rgb(0x8E_16_65), rgb(0x0D_92_95), rgb(0x6B_59_00)],
};

/// WCAG 2 contrast ratio of two opaque colours, 1 (equal) to 21 (black on white).
#[must_use]
pub fn contrast(a: Color32, b: Color32) -> f32 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// WCAG 2 relative luminance of an opaque colour, 0 to 1.
fn luminance(color: Color32) -> f32 {
    let [r, g, b, _] = color.to_array().map(|channel| {
        let channel = f32::from(channel) / 255.0;
        if channel <= 0.040_45 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::{Theme, palette};

    #[test]
    fn contrast_of_known_pairs() {
        assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-3);
        assert!((contrast(Color32::WHITE, Color32::WHITE) - 1.0).abs() < 1e-6);
        // #777777 on white is the textbook colour that just misses 4.5.
        assert!((contrast(rgb(0x77_77_77), Color32::WHITE) - 4.478).abs() < 0.01);
    }

    #[test]
    fn text_is_readable_on_every_surface_of_both_themes() {
        for theme in Theme::ALL {
            let t = theme.tokens();
            let surfaces = [
                ("window", t.window),
                ("panel", t.panel),
                ("raised", t.raised),
                ("raised_hover", t.raised_hover),
                ("field", t.field),
                ("selection", t.selection),
                ("selection_hover", t.selection_hover),
            ];
            let texts = [
                ("text", t.text),
                ("text_dim", t.text_dim),
                ("accent_text", t.accent_text),
                ("warn", t.warn),
                ("error", t.error),
                ("ok", t.ok),
            ];
            for (text_name, text) in texts {
                for (surface_name, surface) in surfaces {
                    let ratio = contrast(text, surface);
                    assert!(ratio >= 4.5, "{theme}: {text_name} on {surface_name} reaches only {ratio:.2}");
                }
            }
            for (name, text, fill) in [
                ("on_accent", t.on_accent, t.accent),
                ("on_accent under the pointer", t.on_accent, t.accent_hover),
                ("on_error", t.on_error, t.error),
                ("a disabled button", t.on_disabled, t.disabled),
                ("a disabled button without a fill, on a panel", t.on_disabled, t.panel),
                ("a disabled button without a fill, on a card", t.on_disabled, t.raised),
                ("text on a pressed control", t.text, t.raised_active),
                ("overlay_text", t.overlay_text, t.image),
                ("overlay_dim", t.overlay_dim, t.image),
            ] {
                let ratio = contrast(text, fill);
                assert!(ratio >= 4.5, "{theme}: {name} reaches only {ratio:.2}");
            }
        }
    }

    #[test]
    fn controls_stand_out_without_text() {
        for theme in Theme::ALL {
            let t = theme.tokens();
            for surface in [t.panel, t.raised, t.window, t.field] {
                assert!(contrast(t.focus, surface) >= 3.0, "{theme}: the focus ring");
                assert!(contrast(t.accent, surface) >= 3.0, "{theme}: the accent");
            }
            assert_eq!(t.image, Color32::BLACK, "{theme}: images lie on black");
        }
    }

    /// In the light theme, the lines between the rows of a study's table had almost the colour of the window.
    #[test]
    fn hairlines_are_visible_on_windows_and_panels() {
        for theme in Theme::ALL {
            let t = theme.tokens();
            for surface in [t.window, t.panel] {
                let [thin, strong] = [t.line, t.line_strong].map(|line| contrast(line, surface));
                assert!(thin >= 1.2 && strong > thin, "{theme}: lines reach only {thin:.2} and {strong:.2}");
            }
        }
    }

    #[test]
    fn the_accent_is_not_a_domain_colour() {
        for theme in Theme::ALL {
            let t = theme.tokens();
            for (name, color) in palette::DOMAIN {
                for accent in [t.accent, t.overlay_accent] {
                    let distance = palette::distance(accent, color);
                    assert!(distance > 0.08, "{theme}: accent {accent:?} is {distance:.3} from {name}");
                }
            }
        }
    }
}
