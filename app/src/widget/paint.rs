//! Painting and naming that the widgets share.

use std::sync::Arc;

use egui::epaint::text::{LayoutJob, TextWrapping};
use egui::{Align2, Color32, FontId, Galley, Painter, Pos2, Rect, Response, Stroke, StrokeKind, Ui, pos2};

use super::keycap;
use crate::theme::{self, Icon, Tokens, font, radius, size, space};

/// One line of text, cut with an ellipsis at `width` points.
pub(super) fn line(ui: &Ui, text: &str, font: FontId, color: Color32, width: f32) -> Arc<Galley> {
    let mut job = LayoutJob::simple_singleline(text.to_owned(), font, color);
    job.wrap = TextWrapping::truncate_at_width(width.max(0.0));
    ui.painter().layout_job(job)
}

/// Several lines of text, centred or not, wrapped at `width` points.
pub(super) fn paragraph(
    ui: &Ui,
    text: &str,
    font: FontId,
    color: Color32,
    width: f32,
    halign: egui::Align,
) -> Arc<Galley> {
    let mut job = LayoutJob::simple(text.to_owned(), font, color, width.max(0.0));
    job.halign = halign;
    ui.painter().layout_job(job)
}

/// Puts laid-out text with its `anchor` point at `pos`.
pub(super) fn put(painter: &Painter, pos: Pos2, anchor: Align2, galley: Arc<Galley>) -> Rect {
    let rect = anchor.anchor_size(pos, galley.size());
    // The galley's colours were given when it was laid out; the fallback is never seen.
    painter.galley(rect.min, galley, Color32::PLACEHOLDER);
    rect
}

/// An icon centred at a point.
pub(super) fn icon(painter: &Painter, center: Pos2, icon: Icon, size: f32, color: Color32) {
    painter.text(center, Align2::CENTER_CENTER, icon.char(), Icon::font(size), color);
}

/// The fill of something that may be pressed, from rest to pressed.
pub(super) fn fill(response: &Response, t: &Tokens, rest: Color32) -> Color32 {
    if response.is_pointer_button_down_on() {
        t.raised_active
    } else if response.hovered() {
        t.raised_hover
    } else {
        rest
    }
}

/// The fill of something that may be selected: rows and segments.
pub(super) fn selectable_fill(response: &Response, t: &Tokens, selected: bool) -> Color32 {
    match (selected, response.hovered()) {
        (true, true) => t.selection_hover,
        (true, false) => t.selection,
        (false, _) => fill(response, t, Color32::TRANSPARENT),
    }
}

/// The ring around the control that has the keyboard. Inside the rectangle, so that no neighbour or edge cuts it.
pub(super) fn focus_ring(ui: &Ui, response: &Response, rect: Rect, corner: u8) {
    if response.has_focus() {
        let stroke = Stroke::new(size::FOCUS_RING, theme::tokens(ui).focus);
        ui.painter().rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    }
}

/// The bar that is drawn on the left of a selected row, so that selection is not carried by a tint alone.
pub(super) fn selection_bar(painter: &Painter, rect: Rect, t: &Tokens) {
    let bar =
        Rect::from_min_size(pos2(rect.left(), rect.top() + space::S), egui::vec2(2.0, rect.height() - 2.0 * space::S));
    painter.rect_filled(bar, 1.0, t.accent);
}

/// A hairline at the bottom of a rectangle, one physical pixel wide on any screen.
pub(super) fn hairline(painter: &Painter, x: egui::Rangef, y: f32, color: Color32) {
    let stroke = Stroke::new(1.0 / painter.pixels_per_point(), color);
    painter.hline(x, painter.round_to_pixel_center(y), stroke);
}

/// Tooltip of a control: what it does, and its shortcut as keycaps. Shown for disabled controls as well.
pub(super) fn tip(response: Response, label: &str, shortcut: Option<&str>) -> Response {
    if let Some(keys) = shortcut {
        response.ctx.accesskit_node_builder(response.id, |node| node.set_keyboard_shortcut(keys));
    }
    let content = |ui: &mut Ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = space::S;
            ui.spacing_mut().interact_size.y = 18.0;
            ui.label(egui::RichText::new(label).font(font::body()));
            if let Some(keys) = shortcut {
                keycap::keycaps(ui, keys);
            }
        });
    };
    response.on_hover_ui(content).on_disabled_hover_ui(content)
}

/// A small square in a label's colour, with an edge so that it shows on any surface.
pub(super) fn swatch(painter: &Painter, center: Pos2, color: Color32, t: &Tokens) {
    let rect = Rect::from_center_size(center, egui::Vec2::splat(12.0));
    painter.rect(rect, radius::S, color, Stroke::new(1.0, t.line_strong), StrokeKind::Inside);
}
