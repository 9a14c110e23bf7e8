//! A switch with its label.

use egui::{Align2, Response, Role, Sense, Ui, Widget, WidgetInfo, lerp, pos2, vec2};

use super::{keycap, paint};
use crate::theme::{self, font, radius, size, space};

const TRACK: egui::Vec2 = vec2(28.0, 16.0);

/// A row with a label on the left and a switch on the right. The whole row is clickable.
#[must_use = "add it to a Ui"]
pub struct Toggle<'a> {
    on: &'a mut bool,
    label: &'a str,
    shortcut: Option<&'a str>,
}

impl<'a> Toggle<'a> {
    /// A switch of `on` with a label.
    pub fn new(on: &'a mut bool, label: &'a str) -> Self {
        Self { on, label, shortcut: None }
    }

    /// The shortcut, for the tooltip.
    pub fn shortcut(mut self, shortcut: &'a str) -> Self {
        self.shortcut = Some(shortcut);
        self
    }
}

impl Widget for Toggle<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let t = theme::tokens(ui);
        let (rect, mut response) = ui.allocate_exact_size(vec2(ui.available_width(), size::FORM_ROW), Sense::click());
        if response.clicked() {
            *self.on = !*self.on;
            response.mark_changed();
        }
        let on = *self.on;
        response.widget_info(|| WidgetInfo::selected(Role::Switch, ui.is_enabled(), on, self.label));
        if ui.is_rect_visible(rect) {
            let painter = ui.painter();
            let how_on = ui.ctx().animate_bool_responsive(response.id, on);
            let track = egui::Rect::from_center_size(pos2(rect.right() - TRACK.x / 2.0, rect.center().y), TRACK);
            let off = if response.hovered() { t.line_strong } else { t.raised_active };
            painter.rect_filled(track, TRACK.y / 2.0, off.lerp_to_gamma(t.accent, how_on));
            let radius = TRACK.y / 2.0;
            let x = lerp(track.left() + radius..=track.right() - radius, how_on);
            let knob = if t.dark { t.text_dim.lerp_to_gamma(t.on_accent, how_on) } else { t.raised };
            painter.circle_filled(pos2(x, track.center().y), radius - 3.0, knob);
            // Same brightness as labels of other controls.
            let color = if response.hovered() { t.text } else { t.text_dim };
            let label = paint::line(ui, self.label, font::body(), color, rect.width() - TRACK.x - space::S);
            paint::put(painter, rect.left_center(), Align2::LEFT_CENTER, label);
            paint::focus_ring(ui, &response, rect.expand2(vec2(space::XS, 0.0)), radius::M);
        }
        match self.shortcut {
            Some(_) => keycap::tip(response, self.label, self.shortcut),
            None => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::{NodeT as _, Queryable as _};

    #[test]
    fn click_and_space_switch_it() {
        let mut harness = harness(|ui, on: &mut bool| drop(ui.add(Toggle::new(on, "Interpolate"))), false);
        harness.get_by_label("Interpolate").click();
        harness.run();
        assert!(*harness.state());
        let node = harness.get_by_label("Interpolate");
        assert_eq!(node.accesskit_node().toggled(), Some(egui::accesskit::Toggled::True));
        node.focus();
        harness.run();
        harness.key_press(egui::Key::Space);
        harness.run();
        assert!(!*harness.state());
    }
}
