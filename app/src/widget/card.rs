//! The large buttons of the welcome screen.

use egui::{Align2, Response, Role, Sense, Stroke, StrokeKind, Ui, Widget, WidgetInfo, pos2, vec2};

use super::keycap::Keys;
use super::paint;
use crate::theme::{self, Icon, font, radius, space};

const HEIGHT: f32 = 60.0;
const ICON: f32 = 22.0;

/// A large button with icon, title, one line of explanation and shortcut.
#[must_use = "add it to a Ui"]
pub struct CardButton<'a> {
    icon: Icon,
    title: &'a str,
    subtitle: &'a str,
    shortcut: Option<&'a str>,
    primary: bool,
}

impl<'a> CardButton<'a> {
    /// A card with a title and one line of explanation.
    pub fn new(icon: Icon, title: &'a str, subtitle: &'a str) -> Self {
        Self { icon, title, subtitle, shortcut: None, primary: false }
    }

    /// The shortcut, drawn on the right.
    pub fn shortcut(mut self, shortcut: &'a str) -> Self {
        self.shortcut = Some(shortcut);
        self
    }

    /// Highlights the card as the primary choice.
    pub fn primary(mut self) -> Self {
        self.primary = true;
        self
    }
}

impl Widget for CardButton<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let t = theme::tokens(ui);
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), self.title));
        if let Some(keys) = self.shortcut {
            ui.accesskit_node_builder(response.id, |node| node.set_keyboard_shortcut(keys));
        }
        if ui.is_rect_visible(rect) {
            let fill = paint::fill(&response, t, t.raised);
            let border = if response.hovered() { t.accent } else { t.line_strong };
            ui.painter().rect(rect, radius::L, fill, Stroke::new(1.0, border), StrokeKind::Inside);
            let icon_color = if self.primary || response.hovered() { t.accent_text } else { t.text_dim };
            let icon_center = pos2(rect.left() + space::L + ICON / 2.0, rect.center().y);
            paint::icon(ui.painter(), icon_center, self.icon, ICON, icon_color);

            let left = icon_center.x + ICON / 2.0 + space::L;
            let mut right = rect.right() - space::L;
            if let Some(keys) = self.shortcut.map(|keys| Keys::layout(ui, keys)) {
                right -= keys.width;
                keys.paint(ui.painter(), pos2(right, rect.center().y));
                right -= space::M;
            }
            let title = paint::line(ui, self.title, font::strong(), t.text, right - left);
            let subtitle = paint::line(ui, self.subtitle, font::caption(), t.text_dim, right - left);
            paint::put(ui.painter(), pos2(left, rect.center().y - 1.0), Align2::LEFT_BOTTOM, title);
            paint::put(ui.painter(), pos2(left, rect.center().y + 2.0), Align2::LEFT_TOP, subtitle);
            paint::focus_ring(ui, &response, rect, radius::L);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::icon;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::Queryable as _;

    #[test]
    fn card_is_clicked_by_its_title() {
        let mut harness = harness(
            |ui, clicks: &mut i32| {
                let card =
                    CardButton::new(icon::SAMPLE, "Open sample study", "A public PET/CT case").shortcut("Ctrl+Shift+O");
                *clicks += i32::from(ui.add(card.primary()).clicked());
            },
            0,
        );
        harness.get_by_label("Open sample study").click();
        harness.run();
        assert_eq!(*harness.state(), 1);
    }
}
