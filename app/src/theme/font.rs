//! Type scale and font families.
//!
//! Text is set in Inter (SIL Open Font License 1.1, see `fonts/Inter-OFL.txt`), reduced to the characters of European
//! languages and with tabular digits by default, so that columns of numbers line up. egui's own fonts supply missing
//! characters; its monospace font is used for file contents, paths and error details.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use egui::{FontData, FontDefinitions, FontFamily, FontId, FontTweak, TextStyle};

/// Captions, badges, axis labels, in points.
pub const CAPTION: f32 = 11.0;
/// Everything else.
pub const BODY: f32 = 13.0;
/// Titles of sections and dialogs.
pub const HEADING: f32 = 15.0;
/// The title of an otherwise empty screen.
pub const TITLE: f32 = 22.0;

static ICONS: LazyLock<FontFamily> = LazyLock::new(|| FontFamily::Name("lucide".into()));
static STRONG: LazyLock<FontFamily> = LazyLock::new(|| FontFamily::Name("strong".into()));

/// The icon font.
#[must_use]
pub fn icon_family() -> FontFamily {
    ICONS.clone()
}

/// Caption text.
#[must_use]
pub fn caption() -> FontId {
    FontId::proportional(CAPTION)
}

/// Body text.
#[must_use]
pub fn body() -> FontId {
    FontId::proportional(BODY)
}

/// Strong body text: section headers, titles of cards and messages.
#[must_use]
pub fn strong() -> FontId {
    FontId::new(BODY, STRONG.clone())
}

/// Dialog headings and orientation letters.
#[must_use]
pub fn heading() -> FontId {
    FontId::new(HEADING, STRONG.clone())
}

/// Title of a screen.
#[must_use]
pub fn title() -> FontId {
    FontId::new(TITLE, STRONG.clone())
}

/// Numbers beside body text, in digits of equal width.
#[must_use]
pub fn number() -> FontId {
    FontId::proportional(12.5)
}

/// Numbers beside captions and on axes, in digits of equal width.
#[must_use]
pub fn number_small() -> FontId {
    FontId::proportional(CAPTION)
}

/// Paths, file contents, details of errors. The family looks larger than Inter at the same size.
#[must_use]
pub fn mono() -> FontId {
    FontId::monospace(11.5)
}

/// Text styles for egui's own widgets.
pub(super) fn text_styles() -> BTreeMap<TextStyle, FontId> {
    [
        (TextStyle::Small, caption()),
        (TextStyle::Body, body()),
        (TextStyle::Button, body()),
        (TextStyle::Heading, heading()),
        (TextStyle::Monospace, mono()),
    ]
    .into()
}

/// Inter, the icons, and egui's fonts behind them.
pub(super) fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let mut add = |name: &str, bytes: &'static [u8], tweak: FontTweak| {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes).tweak(tweak)));
    };
    add("Inter", include_bytes!("fonts/Inter-Regular.ttf"), FontTweak::default());
    add("Inter SemiBold", include_bytes!("fonts/Inter-SemiBold.ttf"), FontTweak::default());
    // Hinting would distort strokes that meet.
    add("lucide", lucide_icons::LUCIDE_FONT_BYTES, FontTweak { hinting: Some(false), ..FontTweak::default() });

    let others = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let before_others = |name: &str| std::iter::once(name.to_owned()).chain(others.iter().cloned()).collect();
    fonts.families.insert(FontFamily::Proportional, before_others("Inter"));
    fonts.families.insert(STRONG.clone(), before_others("Inter SemiBold"));
    fonts.families.insert(icon_family(), vec!["lucide".to_owned()]);
    fonts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_of_equal_width_in_every_style() {
        let ctx = egui::Context::default();
        crate::theme::install(&ctx, crate::theme::Theme::Dark);
        let output = ctx.run_ui(egui::RawInput::default(), |ui| {
            for font in [body(), strong(), caption(), number(), number_small(), mono()] {
                let widths = "0123456789".chars().map(|digit| ui.fonts_mut(|fonts| fonts.glyph_width(&font, digit)));
                let (least, most) = widths.fold((f32::MAX, 0.0_f32), |(a, b), w| (a.min(w), b.max(w)));
                assert!(least > 0.0 && most - least < 1e-3, "{font:?}: {least} to {most}");
            }
        });
        output.drop_without_applying_deltas();
    }

    #[test]
    fn the_fonts_have_all_symbols_in_use() {
        let ctx = egui::Context::default();
        crate::theme::install(&ctx, crate::theme::Theme::Dark);
        let output = ctx.run_ui(egui::RawInput::default(), |ui| {
            for symbol in "×·±µ²³°σΔ≥≤≈−–…→äöüßéñłŽ".chars() {
                assert!(ui.fonts_mut(|fonts| fonts.has_glyph(&body(), symbol)), "no glyph for {symbol}");
            }
        });
        output.drop_without_applying_deltas();
    }
}
