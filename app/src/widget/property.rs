//! Rows with a label and a value, and labels of controls.

use egui::{Align, Align2, Layout, Rect, Response, Role, Sense, Ui, UiBuilder, Widget, WidgetInfo, vec2};

use super::{keycap, paint};
use crate::theme::{self, font, size, space};

/// A label on the left and a value in tabular digits on the right.
#[must_use = "add it to a Ui"]
pub struct PropertyRow<'a> {
    label: &'a str,
    value: &'a str,
    unit: &'a str,
    hint: Option<&'a str>,
}

impl<'a> PropertyRow<'a> {
    /// A row with the accessible name "label value".
    pub fn new(label: &'a str, value: &'a str) -> Self {
        Self { label, value, unit: "", hint: None }
    }

    /// Unit of the value.
    pub fn unit(mut self, unit: &'a str) -> Self {
        self.unit = unit;
        self
    }

    /// Tooltip.
    pub fn hint(mut self, hint: &'a str) -> Self {
        self.hint = Some(hint);
        self
    }
}

impl Widget for PropertyRow<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let t = theme::tokens(ui);
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), size::ROW_DENSE), Sense::hover());
        response.widget_info(|| {
            let text = format!("{} {} {}", self.label, self.value, self.unit);
            WidgetInfo::labeled(Role::Label, ui.is_enabled(), text.trim_end())
        });
        let mut cut = false;
        if ui.is_rect_visible(rect) {
            let painter = ui.painter();
            let mut right = rect.right();
            if !self.unit.is_empty() {
                let unit = paint::line(ui, self.unit, font::caption(), t.text_dim, rect.width() / 3.0);
                right = paint::put(painter, rect.right_center(), Align2::RIGHT_CENTER, unit).left() - space::XS;
            }
            // The label gets the remaining width, at least half of the row.
            let value = paint::line(ui, self.value, font::number(), t.text, f32::INFINITY);
            let left = (right - rect.left() - value.size().x - space::S).max(rect.width() * 0.5);
            let label = paint::line(ui, self.label, font::body(), t.text_dim, left);
            let label = paint::put(painter, rect.left_center(), Align2::LEFT_CENTER, label);
            let value = paint::line(ui, self.value, font::number(), t.text, right - label.right() - space::S);
            cut = value.elided;
            paint::put(painter, egui::pos2(right, rect.center().y), Align2::RIGHT_CENTER, value);
        }
        match self.hint {
            Some(hint) => keycap::tip(response, hint, None),
            None if cut => keycap::tip(response, self.value, None),
            None => response,
        }
    }
}

/// A row with a label of fixed width, so that controls line up, and a control in the rest. Wide rows have wider labels.
pub fn control_row<R>(ui: &mut Ui, label: &str, control: impl FnOnce(&mut Ui) -> R) -> R {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), size::FORM_ROW), Sense::hover());
    let t = theme::tokens(ui);
    let name = if rect.width() >= size::WIDE_ROW { size::LABEL_WIDE } else { size::LABEL };
    if ui.is_rect_visible(rect) {
        let galley = paint::line(ui, label, font::body(), t.text_dim, name - space::XS);
        paint::put(ui.painter(), rect.left_center(), Align2::LEFT_CENTER, galley);
    }
    let inset = (size::FORM_ROW - size::FIELD) / 2.0;
    let rest = Rect::from_min_max(rect.min + vec2(name, inset), rect.max - vec2(0.0, inset));
    let layout = Layout::left_to_right(Align::Center);
    let mut child = ui.new_child(UiBuilder::new().max_rect(rest).layout(layout).id_salt(("control", label)));
    child.spacing_mut().interact_size.y = size::FIELD;
    control(&mut child)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::Queryable as _;

    #[test]
    fn the_longest_label_of_the_side_panels_is_not_cut() {
        let show = |ui: &mut Ui, (): &mut ()| {
            ui.set_max_width(255.0);
            control_row(ui, "Temperature", |_| ());
        };
        let harness = harness(show, ());
        let cut = |shape: &egui::epaint::ClippedShape| match &shape.shape {
            egui::Shape::Text(text) if text.galley.text() == "Temperature" => Some(text.galley.elided),
            _ => None,
        };
        assert_eq!(harness.output().shapes.iter().filter_map(cut).collect::<Vec<_>>(), [false]);
    }

    #[test]
    fn property_rows_are_named_by_label_and_value_and_keep_their_height() {
        let harness = harness(
            |ui, (): &mut ()| {
                ui.add(PropertyRow::new("Volume", "12.4").unit("ml"));
                ui.add(PropertyRow::new("Path", &"/very/long".repeat(40)));
            },
            (),
        );
        assert_eq!(harness.get_by_label("Volume 12.4 ml").rect().height(), size::ROW_DENSE);
        let long = harness.get_by_label_contains("Path ");
        assert!(long.rect().width() <= 480.0);
        assert_eq!(long.rect().height(), size::ROW_DENSE);
    }
}
