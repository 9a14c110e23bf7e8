//! Swatches of the classes of a comparison, matching the shader.

use egui::{Color32, Painter, Rect, Stroke, StrokeKind, pos2, vec2};

/// How the shader draws a class of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Filled.
    Solid,
    /// Rising lines.
    Hatched,
    /// A dashed outline.
    Dashed,
    /// A chequerboard.
    Chequered,
    /// A solid line around the class.
    Outline,
}

impl Pattern {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Solid => "solid",
            Self::Hatched => "hatched",
            Self::Dashed => "dashed",
            Self::Chequered => "chequered",
            Self::Outline => "outline",
        }
    }

    /// Paints a swatch of it.
    pub fn paint(self, painter: &Painter, rect: Rect, color: Color32) {
        let stroke = Stroke::new(1.0, color);
        match self {
            Self::Solid => {
                painter.rect_filled(rect, 0.0, color);
            }
            Self::Hatched => {
                let clipped = painter.with_clip_rect(painter.clip_rect().intersect(rect));
                let mut x = rect.left() - rect.height();
                while x < rect.right() {
                    let line = [pos2(x, rect.bottom()), pos2(x + rect.height(), rect.top())];
                    clipped.line_segment(line, Stroke::new(2.0, color));
                    x += 6.0;
                }
            }
            Self::Chequered => {
                let side = rect.height() / 3.0;
                for n in (0..18).filter(|n| (n % 6 + n / 6) % 2 == 0) {
                    let at = rect.min + vec2((n % 6) as f32 * side, (n / 6) as f32 * side);
                    painter.rect_filled(Rect::from_min_size(at, vec2(side, side)).intersect(rect), 0.0, color);
                }
            }
            Self::Outline => {
                painter.rect_stroke(rect, 0.0, Stroke::new(2.0, color), StrokeKind::Inside);
            }
            Self::Dashed => {
                let r = rect.shrink(0.5);
                let edge = [r.left_top(), r.right_top(), r.right_bottom(), r.left_bottom(), r.left_top()];
                painter.extend(egui::Shape::dashed_line(&edge, stroke, 4.0, 3.0));
            }
        }
    }
}
