//! Additional values marked on a strip.

use egui::{Align2, Color32, Shape, Stroke, Ui, pos2, vec2};

use super::Plot;
use crate::theme::{self, font, space};
use crate::widget::paint;

/// Half the width of a mark.
const HALF: f32 = 4.5;
/// Dash and gap of a value without index.
const DASH: (f32, f32) = (4.0, 4.0);

/// A marked value.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Name of what is marked, the first part of its label.
    pub name: String,
    /// Its index; `None` draws a dashed line across the strip.
    pub index: Option<usize>,
    /// The value, which decides the height of the mark.
    pub value: f32,
    /// Drawn filled in the text colour: the current value, as opposed to others.
    pub current: bool,
}

impl Mark {
    /// Label, also for screen readers.
    pub fn label(&self, decimals: usize) -> String {
        format!("{} {:.decimals$}", self.name, self.value)
    }
}

/// Draws marks; `fraction` is the height of a value, 0 to 1. Labels are left of marks in the right half, else right.
pub(super) fn paint(ui: &Ui, plot: &Plot, marks: &[Mark], decimals: usize, fraction: impl Fn(f32) -> f32) {
    let t = theme::tokens(ui);
    let (painter, rect) = (ui.painter(), plot.rect);
    let mut taken: Vec<egui::Rect> = Vec::new();
    for mark in marks {
        let color = if mark.current { t.text } else { t.warn };
        let y = rect.bottom() - fraction(mark.value) * rect.height();
        let place = if let Some(index) = mark.index.filter(|&index| index < plot.count) {
            let at = pos2(plot.center(index), y);
            let corners = [vec2(0.0, -HALF), vec2(HALF, 0.0), vec2(0.0, HALF), vec2(-HALF, 0.0)];
            let fill = if mark.current { color } else { Color32::TRANSPARENT };
            let diamond = corners.map(|corner| at + corner).to_vec();
            painter.add(Shape::convex_polygon(diamond, fill, Stroke::new(1.5, color)));
            at
        } else {
            let ends = [pos2(rect.left(), y), pos2(rect.right(), y)];
            painter.extend(Shape::dashed_line(&ends, Stroke::new(1.0, color), DASH.0, DASH.1));
            pos2(rect.right(), y)
        };
        let galley = paint::line(ui, &mark.label(decimals), font::number_small(), color, rect.width() / 2.0);
        let left = place.x > rect.center().x;
        let (align, x) =
            if left { (Align2::RIGHT_BOTTOM, -HALF - space::XS) } else { (Align2::LEFT_BOTTOM, HALF + space::XS) };
        let mut at = place + vec2(x, -1.0);
        at.y = at.y.max(rect.top() + galley.size().y);
        let mut area = align.anchor_size(at, galley.size());
        if taken.iter().any(|other| other.intersects(area)) {
            // Below its mark if another label is above it.
            area = area.translate(vec2(0.0, galley.size().y + 2.0));
        }
        taken.push(area);
        // Separates the label from the curve.
        painter.rect_filled(area.expand2(vec2(2.0, 0.0)), 2.0, t.panel.gamma_multiply(0.85));
        painter.galley(area.min, galley, color);
    }
}
