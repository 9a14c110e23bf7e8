//! Visual theme: colours by role, spacing, type, icons, and their installation into egui.
//!
//! | module | contents |
//! |---|---|
//! | [`tokens`](mod@tokens) | colours by role, one table for each theme, checked for contrast |
//! | [`metric`] | spacing scale, radii, sizes of controls |
//! | [`font`] | type scale and font families |
//! | [`icon`] | icons by meaning |
//! | [`palette`] | colours with a clinical or method meaning, the same in both themes |
//!
//! Panels and widgets take colours from [`tokens()`] by role and define none themselves.

pub mod font;
mod hex_box;
pub mod icon;
pub mod metric;
pub mod palette;
mod style;
pub mod tokens;

use std::fmt;
use std::str::FromStr;

use egui::{Context, Id, Ui};
use serde::{Deserialize, Serialize};

pub use icon::Icon;
pub use metric::{radius, size, space};
pub use tokens::Tokens;

/// Dark or light. Images have a black background in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// For a dark reading room; the default.
    #[default]
    Dark,
    /// For a lit office.
    Light,
}

impl Theme {
    /// Both themes, in display order.
    pub const ALL: [Self; 2] = [Self::Dark, Self::Light];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Dark => Self::Light,
            Self::Light => Self::Dark,
        }
    }

    /// Its colours.
    #[must_use]
    pub const fn tokens(self) -> &'static Tokens {
        match self {
            Self::Dark => &tokens::DARK,
            Self::Light => &tokens::LIGHT,
        }
    }

    /// The name as written on the command line: `dark` or `light`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }

    const fn egui(self) -> egui::Theme {
        match self {
            Self::Dark => egui::Theme::Dark,
            Self::Light => egui::Theme::Light,
        }
    }
}

impl fmt::Display for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Theme {
    type Err = String;

    /// Reads `dark` or `light`; the error names both.
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|theme| theme.name() == text);
        found.ok_or_else(|| format!("unknown theme \"{text}\". Use dark or light"))
    }
}

/// Installs fonts and styles into a window on the first call, and selects the theme. Cheap to call again.
///
/// Call it before the first frame and whenever the choice changes.
pub fn install(ctx: &Context, theme: Theme) {
    let done = Id::unique("theme installed");
    if !ctx.data(|data| data.get_temp::<bool>(done).unwrap_or(false)) {
        ctx.set_fonts(font::definitions());
        ctx.add_glyph_rasterizer(hex_box::rasterizer());
        for each in Theme::ALL {
            ctx.set_style_of(each.egui(), style::style(each.tokens()));
        }
        ctx.data_mut(|data| data.insert_temp(done, true));
    }
    ctx.set_theme(theme.egui());
}

/// A window, or a part of it, with a theme.
pub trait HasTheme {
    /// The theme in effect, light or dark.
    fn theme(&self) -> Theme;
}

impl HasTheme for Context {
    fn theme(&self) -> Theme {
        if Self::theme(self) == egui::Theme::Dark { Theme::Dark } else { Theme::Light }
    }
}

impl HasTheme for Ui {
    fn theme(&self) -> Theme {
        if self.visuals().dark_mode { Theme::Dark } else { Theme::Light }
    }
}

/// Colours by role in a window or a part of it.
#[must_use]
pub fn tokens(themed: &impl HasTheme) -> &'static Tokens {
    HasTheme::theme(themed).tokens()
}

/// Uses the dark theme in a part of the window over an image.
pub fn on_image(ui: &mut Ui) {
    let style = ui.ctx().style_of(egui::Theme::Dark);
    ui.set_style(style);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for theme in Theme::ALL {
            assert_eq!(theme.to_string().parse(), Ok(theme));
            assert_eq!(theme.other().other(), theme);
            assert_ne!(theme.other(), theme);
        }
        assert!("grey".parse::<Theme>().unwrap_err().contains("grey"));
    }

    #[test]
    fn installing_chooses_the_tokens_and_styles() {
        let ctx = Context::default();
        for theme in Theme::ALL {
            install(&ctx, theme);
            assert_eq!(HasTheme::theme(&ctx), theme);
            assert_eq!(ctx.global_style().visuals.panel_fill, theme.tokens().panel);
            assert_eq!(tokens(&ctx).text, theme.tokens().text);
        }
    }

    #[test]
    fn what_lies_over_an_image_is_dark_in_both_themes() {
        let ctx = Context::default();
        install(&ctx, Theme::Light);
        let output = ctx.run_ui(egui::RawInput::default(), |ui| {
            assert_eq!(*tokens(ui), tokens::LIGHT);
            ui.scope(|ui| {
                on_image(ui);
                assert_eq!(*tokens(ui), tokens::DARK);
            });
            assert_eq!(*tokens(ui), tokens::LIGHT);
        });
        output.drop_without_applying_deltas();
    }
}
