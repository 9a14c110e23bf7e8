//! Small toggle buttons that wrap: presets, overlays, slices.

use egui::{Align2, Response, Role, Sense, Stroke, StrokeKind, Ui, Widget, WidgetInfo, vec2};

use crate::theme::{self, font, radius, size, space};

const PADDING: f32 = 5.0;

/// A short label in an outline; highlighted when selected.
#[must_use = "add it to a Ui"]
pub(super) struct Chip<'a> {
    text: &'a str,
    name: &'a str,
    selected: bool,
}

impl<'a> Chip<'a> {
    /// Shows `text`; `name` is its name in the accessibility tree.
    pub(super) fn new(text: &'a str, name: &'a str) -> Self {
        Self { text, name, selected: false }
    }

    pub(super) fn selected(mut self, selected: bool) -> Self {
        self.selected = selected;
        self
    }
}

impl Widget for Chip<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let t = theme::tokens(ui);
        let color = if self.selected { t.accent_text } else { t.text };
        let galley = ui.painter().layout_no_wrap(self.text.to_owned(), font::caption(), color);
        let width = (galley.size().x + 2.0 * PADDING).ceil();
        let (rect, response) = ui.allocate_exact_size(vec2(width, size::ROW_DENSE), Sense::click());
        response.widget_info(|| WidgetInfo::selected(Role::Button, ui.is_enabled(), self.selected, self.name));
        if ui.is_rect_visible(rect) {
            let fill = match (self.selected, response.hovered()) {
                (true, true) => t.selection_hover,
                (true, false) => t.selection,
                (false, true) => t.raised_hover,
                (false, false) => t.raised,
            };
            // The edge changes too, so that selection is not shown by colour alone.
            let edge = if self.selected { t.accent_text } else { t.line_strong };
            let stroke = Stroke::new(1.0, edge);
            ui.painter().rect(rect, radius::M, fill, stroke, StrokeKind::Inside);
            let place = Align2::CENTER_CENTER.anchor_size(rect.center(), galley.size());
            ui.painter().galley(place.min, galley, color);
            if response.has_focus() {
                let ring = Stroke::new(size::FOCUS_RING, t.focus);
                ui.painter().rect_stroke(rect, radius::M, ring, StrokeKind::Outside);
            }
        }
        response
    }
}

/// Chips side by side, on as many lines as they need.
pub(super) fn chips<R>(ui: &mut Ui, content: impl FnOnce(&mut Ui) -> R) -> R {
    ui.scope(|ui| {
        // Set before the row begins, or the row is as high as a control.
        ui.spacing_mut().interact_size.y = size::ROW_DENSE;
        ui.spacing_mut().item_spacing = vec2(space::XS, space::XS);
        ui.horizontal_wrapped(content).inner
    })
    .inner
}
