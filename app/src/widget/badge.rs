//! Badges and status items.

use egui::{Align2, Color32, Response, Role, Sense, Stroke, StrokeKind, Ui, Widget, WidgetInfo, pos2, vec2};

use super::{keycap, paint};
use crate::theme::{self, Icon, Tokens, font, radius, size, space};

/// Severity of a badge or message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Neutral.
    #[default]
    Neutral,
    /// Selected or active.
    Accent,
    /// Done or valid.
    Ok,
    /// Needs attention.
    Warn,
    /// Failed.
    Error,
}

impl Tone {
    /// Colour of text and icons.
    #[must_use]
    pub const fn color(self, t: &Tokens) -> Color32 {
        match self {
            Self::Neutral => t.text_dim,
            Self::Accent => t.accent_text,
            Self::Ok => t.ok,
            Self::Warn => t.warn,
            Self::Error => t.error,
        }
    }
}

/// A short word in a rounded outline, for example "accepted" or "not trained on".
#[must_use = "add it to a Ui"]
pub struct Badge<'a> {
    text: &'a str,
    tone: Tone,
    icon: Option<Icon>,
}

const BADGE_HEIGHT: f32 = 18.0;

impl<'a> Badge<'a> {
    /// A neutral badge.
    pub fn new(text: &'a str) -> Self {
        Self { text, tone: Tone::Neutral, icon: None }
    }

    /// Its severity.
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// An icon in front of the word.
    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = Some(icon);
        self
    }
}

impl Widget for Badge<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let t = theme::tokens(ui);
        let color = self.tone.color(t);
        let icon_width = if self.icon.is_some() { size::ICON_SMALL + 3.0 } else { 0.0 };
        let galley = paint::line(ui, self.text, font::caption(), color, ui.available_width() - icon_width - 12.0);
        let width = galley.size().x + icon_width + 12.0;
        let (rect, response) = ui.allocate_exact_size(vec2(width, BADGE_HEIGHT), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Label, ui.is_enabled(), self.text));
        if ui.is_rect_visible(rect) {
            let border = if self.tone == Tone::Neutral { t.line_strong } else { color.gamma_multiply(0.5) };
            ui.painter().rect(rect, radius::S, Color32::TRANSPARENT, Stroke::new(1.0, border), StrokeKind::Inside);
            let mut x = rect.left() + 6.0;
            if let Some(icon) = self.icon {
                paint::icon(
                    ui.painter(),
                    pos2(x + size::ICON_SMALL / 2.0, rect.center().y),
                    icon,
                    size::ICON_SMALL,
                    color,
                );
                x += icon_width;
            }
            paint::put(ui.painter(), pos2(x, rect.center().y), Align2::LEFT_CENTER, galley);
        }
        response
    }
}

/// An item of the status line: an icon and a caption.
#[must_use = "add it to a Ui"]
pub struct StatusItem<'a> {
    icon: Icon,
    text: &'a str,
    tone: Tone,
    hint: Option<&'a str>,
}

impl<'a> StatusItem<'a> {
    /// A neutral item.
    pub fn new(icon: Icon, text: &'a str) -> Self {
        Self { icon, text, tone: Tone::Neutral, hint: None }
    }

    /// Its severity.
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// Tooltip.
    pub fn hint(mut self, hint: &'a str) -> Self {
        self.hint = Some(hint);
        self
    }
}

impl Widget for StatusItem<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let color = self.tone.color(theme::tokens(ui));
        let text_left = size::ICON_SMALL + space::XS + 1.0;
        let galley = paint::line(ui, self.text, font::caption(), color, ui.available_width() - text_left);
        let width = text_left + galley.size().x;
        let (rect, response) = ui.allocate_exact_size(vec2(width, size::STATUS_LINE), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Label, ui.is_enabled(), self.text));
        if ui.is_rect_visible(rect) {
            let center = pos2(rect.left() + size::ICON_SMALL / 2.0, rect.center().y);
            paint::icon(ui.painter(), center, self.icon, size::ICON_SMALL, color);
            paint::put(ui.painter(), pos2(rect.left() + text_left, rect.center().y), Align2::LEFT_CENTER, galley);
        }
        match self.hint {
            Some(hint) => keycap::tip(response, hint, None),
            None => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::icon;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::Queryable as _;

    #[test]
    fn badges_and_status_items_are_found_by_their_text() {
        let harness = harness(
            |ui, (): &mut ()| {
                ui.add(Badge::new("accepted").tone(Tone::Ok).icon(icon::DONE));
                ui.add(StatusItem::new(icon::CPU, "llvmpipe").hint("The device that draws"));
            },
            (),
        );
        assert_eq!(harness.get_by_label("accepted").rect().height(), BADGE_HEIGHT);
        assert_eq!(harness.get_by_label("llvmpipe").rect().height(), size::STATUS_LINE);
    }
}
