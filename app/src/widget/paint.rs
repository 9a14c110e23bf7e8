//! Painting shared by the widgets.

use std::ops::Range;
use std::sync::Arc;

use egui::epaint::text::{LayoutJob, TextWrapping};
use egui::{Align2, Color32, FontId, Galley, Painter, Pos2, Rect, Response, Stroke, StrokeKind, Ui, pos2};

use super::short_name::shorten;
use crate::theme::{self, Icon, Tokens, radius, size, space};

/// One line of text, truncated to `width` points with an ellipsis.
pub(super) fn line(ui: &Ui, text: &str, font: FontId, color: Color32, width: f32) -> Arc<Galley> {
    let mut job = LayoutJob::simple_singleline(text.to_owned(), font, color);
    job.wrap = TextWrapping::truncate_at_width(width.max(0.0));
    ui.painter().layout_job(job)
}

/// A name in one line, shortened to `width` points. `distinct` are the characters that tell it from the other names of its
/// list.
pub(super) fn name(
    ui: &Ui,
    text: &str,
    distinct: &Range<usize>,
    font: &FontId,
    color: Color32,
    width: f32,
) -> Arc<Galley> {
    let layout = |text: &str| line(ui, text, font.clone(), color, f32::INFINITY);
    layout(&shorten(text, distinct, |text| layout(text).size().x <= width))
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

/// Paints a galley with its `anchor` at `pos`.
pub(super) fn put(painter: &Painter, pos: Pos2, anchor: Align2, galley: Arc<Galley>) -> Rect {
    let rect = anchor.anchor_size(pos, galley.size());
    // The galley has its own colours; the fallback is unused.
    painter.galley(rect.min, galley, Color32::PLACEHOLDER);
    rect
}

/// An icon centred at a point.
pub(super) fn icon(painter: &Painter, center: Pos2, icon: Icon, size: f32, color: Color32) {
    painter.text(center, Align2::CENTER_CENTER, icon.char(), Icon::font(size), color);
}

/// Fill of a pressable control by its state.
pub(super) fn fill(response: &Response, t: &Tokens, rest: Color32) -> Color32 {
    if response.is_pointer_button_down_on() {
        t.raised_active
    } else if response.hovered() {
        t.raised_hover
    } else {
        rest
    }
}

/// Fill of a selectable row or segment by its state.
pub(super) fn selectable_fill(response: &Response, t: &Tokens, selected: bool) -> Color32 {
    match (selected, response.hovered()) {
        (true, true) => t.selection_hover,
        (true, false) => t.selection,
        (false, _) => fill(response, t, Color32::TRANSPARENT),
    }
}

/// The painter without the fading of disabled widgets, for text that must be read while its control is disabled.
pub(super) fn readable(ui: &Ui) -> Painter {
    let mut painter = ui.painter().clone();
    if !ui.is_enabled() {
        painter.set_opacity(painter.opacity() / ui.visuals().disabled_alpha());
    }
    painter
}

/// Focus ring, inside the rectangle so that it is never clipped.
pub(super) fn focus_ring(ui: &Ui, response: &Response, rect: Rect, corner: u8) {
    if response.has_focus() {
        let stroke = Stroke::new(size::FOCUS_RING, theme::tokens(ui).focus);
        ui.painter().rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    }
}

/// Bar on the left of a selected row, so that selection is not shown by colour alone.
pub(super) fn selection_bar(painter: &Painter, rect: Rect, t: &Tokens) {
    let bar =
        Rect::from_min_size(pos2(rect.left(), rect.top() + space::S), egui::vec2(2.0, rect.height() - 2.0 * space::S));
    painter.rect_filled(bar, 1.0, t.accent);
}

/// A line of one physical pixel at the bottom of a rectangle.
pub(super) fn hairline(painter: &Painter, x: egui::Rangef, y: f32, color: Color32) {
    let stroke = Stroke::new(1.0 / painter.pixels_per_point(), color);
    painter.hline(x, painter.round_to_pixel_center(y), stroke);
}

/// A swatch in a label's colour, with an edge for contrast on any surface.
pub(super) fn swatch(painter: &Painter, center: Pos2, color: Color32, t: &Tokens) {
    let rect = Rect::from_center_size(center, egui::Vec2::splat(12.0));
    painter.rect(rect, radius::S, color, Stroke::new(1.0, t.line_strong), StrokeKind::Inside);
}
