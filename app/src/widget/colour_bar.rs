//! A colour bar over an image.

use egui::{Align2, Mesh, Rect, Role, Sense, Shape, Stroke, StrokeKind, Ui, WidgetInfo, pos2};
use shaders::ColourMap;
use shaders::colour;

use super::overlay_text;
use crate::theme::{self, font};

/// Height of the colours, below the numbers.
const HEIGHT: f32 = 8.0;
/// Distance between the name of the mark and a number.
const GAP: f32 = 5.0;
/// Number of colour steps.
const STEPS: usize = 48;

/// A colour map with its values.
#[must_use = "call show"]
pub struct ColourBar<'a> {
    label: &'a str,
    ends: &'a [String; 2],
    mark: Option<(f32, &'a str)>,
    colours: ColourMap,
}

impl<'a> ColourBar<'a> {
    /// A viridis bar between the values `ends`.
    pub fn new(label: &'a str, ends: &'a [String; 2]) -> Self {
        Self { label, ends, mark: None, colours: ColourMap::Viridis }
    }

    /// Another colour map.
    pub fn colours(mut self, colours: ColourMap) -> Self {
        self.colours = colours;
        self
    }

    /// A labelled mark at a fraction of the bar.
    pub fn mark(mut self, at: f32, name: &'a str) -> Self {
        self.mark = Some((at, name)).filter(|(at, _)| (0.0..=1.0).contains(at));
        self
    }

    /// Draws it in `rect`: the colours along the lower edge, the numbers above.
    pub fn show(self, ui: &Ui, rect: Rect) {
        let response = ui.interact(rect, ui.scope_id().with(("colour bar", self.label)), Sense::hover());
        let [low, high] = self.ends;
        let label = format!("{}: {low} to {high}", self.label);
        response.widget_info(|| WidgetInfo::labeled(Role::Label, ui.is_enabled(), &label));
        let tokens = theme::tokens(ui);
        let painter = ui.painter();
        let colours = Rect::from_min_max(pos2(rect.left(), rect.bottom() - HEIGHT), rect.max);
        let mut mesh = Mesh::default();
        let at = |n: usize| egui::lerp(colours.x_range(), n as f32 / STEPS as f32);
        for n in 0..STEPS {
            let [r, g, b] = colour::map(self.colours, (n as f32 + 0.5) / STEPS as f32);
            let [r, g, b] = [r, g, b].map(|v| (v * 255.0).round() as u8);
            let step = Rect::from_x_y_ranges(at(n)..=at(n + 1), colours.y_range());
            mesh.add_colored_rect(step, egui::Color32::from_rgb(r, g, b));
        }
        painter.add(Shape::mesh(mesh));
        painter.rect_stroke(colours, 0.0, Stroke::new(1.0, tokens.overlay_dim), StrokeKind::Outside);
        let above = colours.top() - 2.0;
        let text = |x: f32, anchor: Align2, text: &str| {
            overlay_text(painter, pos2(x, above), anchor, text, font::number_small(), tokens.overlay_text)
        };
        let low = text(colours.left(), Align2::LEFT_BOTTOM, low);
        let high = text(colours.right(), Align2::RIGHT_BOTTOM, high);
        if let Some((share, name)) = self.mark {
            let x = egui::lerp(colours.x_range(), share);
            painter.vline(x, colours.y_range(), Stroke::new(1.5, tokens.overlay_text));
            let galley = painter.layout_no_wrap(name.to_owned(), font::number_small(), tokens.overlay_text);
            if let Some(x) = between(x, galley.size().x, [low.right(), high.left()]) {
                text(x, Align2::CENTER_BOTTOM, name);
            }
        }
        response.on_hover_text(self.label);
    }
}

/// Centre of a text of some width near `x`, clear of the numbers to its left and right; `None` if it does not fit.
fn between(x: f32, width: f32, [left, right]: [f32; 2]) -> Option<f32> {
    let minimum = left + GAP + width / 2.0;
    let maximum = right - GAP - width / 2.0;
    (minimum <= maximum).then(|| x.clamp(minimum, maximum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_mark_stays_clear_of_the_numbers() {
        assert_eq!(between(12.0, 30.0, [8.0, 90.0]), Some(8.0 + GAP + 15.0), "beside the 0, not over it");
        assert_eq!(between(50.0, 30.0, [8.0, 90.0]), Some(50.0));
        assert_eq!(between(50.0, 80.0, [8.0, 90.0]), None);
    }
}
