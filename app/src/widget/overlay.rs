//! Text over an image.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, vec2};

use crate::theme;

/// Paints text over an image with a dark outline, legible on bright anatomy. Returns its rectangle.
pub fn overlay_text(painter: &Painter, pos: Pos2, anchor: Align2, text: &str, font: FontId, color: Color32) -> Rect {
    let halo = theme::tokens(painter.ctx()).overlay_halo;
    let galley = painter.layout_no_wrap(text.to_owned(), font, Color32::PLACEHOLDER);
    let rect = anchor.anchor_size(pos, galley.size());
    for (x, y) in [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (-0.7, -0.7), (0.7, -0.7), (-0.7, 0.7), (0.7, 0.7)]
    {
        painter.galley(rect.min + vec2(x, y), galley.clone(), halo);
    }
    painter.galley(rect.min, galley, color);
    rect
}
