//! Legend of patch colours and symbols, in the lower right corner of a pane.

use egui::{Align2, Color32, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Vec2, pos2, vec2};

use crate::theme::{self, font, radius, space};
use crate::widget::plate;

/// Side of a symbol.
const SWATCH: f32 = 11.0;
/// Line spacing in points.
pub const LINE: f32 = 17.0;

/// The symbol of a legend entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    /// Filled and outlined.
    Fill(Color32),
    /// Outlined.
    Outline(Color32),
    /// Hatched upwards (masked) or downwards (outside the scan).
    Hatched {
        /// Downwards.
        falling: bool,
    },
    /// A disc, full or hollow.
    Disc {
        /// Full.
        full: bool,
    },
}

/// Size of a legend in points.
pub fn size(painter: &Painter, entries: &[(&str, Sign)]) -> Vec2 {
    let width = |text: &str| painter.layout_no_wrap(text.to_owned(), font::number_small(), Color32::WHITE).size().x;
    let widest = entries.iter().map(|(text, _)| width(text)).fold(0.0, f32::max);
    vec2(widest + space::S + SWATCH, entries.len() as f32 * LINE)
}

/// Draws the legend with its lower right corner at `corner`, first entry on top.
pub fn show(painter: &Painter, corner: Pos2, entries: &[(&str, Sign)]) {
    if entries.is_empty() {
        return;
    }
    let tokens = theme::tokens(painter.ctx());
    let place = Rect::from_min_max(corner - size(painter, entries), corner);
    plate(painter, place.expand(space::XS));
    for (n, (text, sign)) in entries.iter().enumerate() {
        let middle = place.top() + (n as f32 + 0.5) * LINE;
        let at = pos2(place.left() + SWATCH + space::S, middle);
        swatch(painter, Rect::from_center_size(pos2(place.left() + SWATCH / 2.0, middle), Vec2::splat(SWATCH)), *sign);
        painter.text(at, Align2::LEFT_CENTER, text, font::number_small(), tokens.overlay_text);
    }
}

fn swatch(painter: &Painter, rect: Rect, sign: Sign) {
    let tokens = theme::tokens(painter.ctx());
    let ink = tokens.overlay_text;
    let boxed = |fill: Color32, color: Color32| {
        painter.rect(rect, radius::S, tokens.image, Stroke::NONE, StrokeKind::Inside);
        painter.rect(rect, radius::S, fill, Stroke::new(1.0, color), StrokeKind::Inside);
    };
    match sign {
        Sign::Fill(color) => boxed(color.gamma_multiply(0.45), color),
        Sign::Outline(color) => {
            painter.rect(rect, radius::S, tokens.image, Stroke::new(2.0, color), StrokeKind::Inside);
        }
        Sign::Hatched { falling } => {
            boxed(Color32::TRANSPARENT, ink);
            for n in 1..4 {
                let by = SWATCH * n as f32 / 4.0;
                let ends = if falling {
                    [rect.left_bottom() - vec2(0.0, by), rect.left_bottom() + vec2(by, 0.0)]
                } else {
                    [rect.left_top() + vec2(0.0, by), rect.left_top() + vec2(by, 0.0)]
                };
                painter.line_segment(ends, Stroke::new(1.0, ink));
            }
        }
        Sign::Disc { full } => {
            let fill = if full { ink } else { tokens.image };
            painter.add(Shape::circle_filled(rect.center(), 4.5, tokens.overlay_halo));
            painter.circle(rect.center(), 3.5, fill, Stroke::new(1.0, ink));
        }
    }
}
