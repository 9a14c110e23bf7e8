//! Small check buttons in a flow layout.

use egui::{Align2, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};

use crate::theme::{self, Icon, font, icon, radius, size, space};

/// Height of a chip.
pub(super) const HEIGHT: f32 = 24.0;

/// A chip with a tick while it is on. `name` is its accessible name.
pub(super) fn chip(ui: &mut Ui, word: &str, name: &str, on: bool) -> Response {
    let t = theme::tokens(ui);
    let color = if on { t.accent_text } else { t.text_dim };
    let galley = ui.painter().layout_no_wrap(word.to_owned(), font::body(), color);
    // The width includes the tick, so that a click does not move the layout.
    let mark = size::ICON_SMALL + space::XS;
    let (rect, response) =
        ui.allocate_exact_size(vec2(galley.size().x + mark + 2.0 * space::S, HEIGHT), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, ui.is_enabled(), on, name));
    if ui.is_rect_visible(rect) {
        let fill = match (on, response.hovered()) {
            (true, true) => t.selection_hover,
            (true, false) => t.selection,
            (false, true) => t.raised_hover,
            (false, false) => t.raised,
        };
        let edge = if response.has_focus() {
            Stroke::new(size::FOCUS_RING, t.focus)
        } else {
            Stroke::new(1.0, if on { t.accent } else { t.line_strong })
        };
        let painter = ui.painter();
        painter.rect(rect, radius::M, fill, edge, StrokeKind::Inside);
        let at = pos2(rect.left() + space::S + size::ICON_SMALL / 2.0, rect.center().y);
        let drawing = if on { icon::CHECK } else { icon::ADD };
        painter.text(at, Align2::CENTER_CENTER, drawing.char(), Icon::font(size::ICON_SMALL), color);
        let text = Align2::LEFT_CENTER.anchor_size(pos2(rect.left() + space::S + mark, rect.center().y), galley.size());
        painter.galley(text.min, galley, color);
    }
    response
}
