//! A colour that is chosen by a click: one of the label colours, or any other by sliders.

use egui::{Color32, Popup, PopupCloseBehavior, Response, Role, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo};

use super::{Slider, paint};
use crate::theme::{self, palette, radius, space};

/// Side of a swatch.
const SIDE: f32 = 16.0;
/// Swatches in a row of the picker.
const COLUMNS: usize = 8;
/// Width of the picker.
const PICKER: f32 = 260.0;

/// Shows the colour as a button that opens a picker; `changed` if another colour was chosen.
pub fn colour_swatch(ui: &mut Ui, colour: &mut Color32, name: &str) -> Response {
    let before = *colour;
    let mut response = swatch(ui, before, name);
    let popup = Popup::menu(&response).close_behavior(PopupCloseBehavior::CloseOnClickOutside).gap(space::XS);
    popup.width(PICKER).accessible_name(name).show(|ui| picker(ui, colour));
    if *colour != before {
        response.mark_changed();
    }
    response
}

fn swatch(ui: &mut Ui, colour: Color32, name: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(SIDE), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    let t = theme::tokens(ui);
    let edge = if response.hovered() { t.text } else { t.line_strong };
    ui.painter().rect(rect, radius::S, colour, Stroke::new(1.0, edge), StrokeKind::Inside);
    paint::focus_ring(ui, &response, rect, radius::S);
    response.on_hover_text(name)
}

fn picker(ui: &mut Ui, colour: &mut Color32) {
    ui.spacing_mut().item_spacing = Vec2::splat(space::S);
    for (at, row) in palette::LABELS.chunks(COLUMNS).enumerate() {
        ui.horizontal(|ui| {
            for (column, listed) in row.iter().enumerate() {
                if swatch(ui, *listed, &format!("Default colour {}", at * COLUMNS + column + 1)).clicked() {
                    *colour = *listed;
                    ui.close();
                }
            }
        });
    }
    let [mut red, mut green, mut blue, _] = colour.to_array();
    for (part, name) in [(&mut red, "Red"), (&mut green, "Green"), (&mut blue, "Blue")] {
        Slider::new(part, name, 0..=255).show(ui);
    }
    *colour = Color32::from_rgb(red, green, blue);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::Queryable as _;

    #[test]
    fn a_colour_is_chosen_from_the_defaults_and_every_sign_of_the_picker_is_in_our_fonts() {
        let (first, fifth) = (palette::LABELS[0], palette::LABELS[4]);
        let mut harness = harness(
            |ui, (colour, changes): &mut (Color32, usize)| {
                *changes += usize::from(colour_swatch(ui, colour, "Colour of label 1").changed());
            },
            (first, 0),
        );
        harness.get_by_label("Colour of label 1").click();
        harness.run();
        // The picker of egui has a sign that is in none of our fonts, drawn as a box.
        for name in ["Red value", "Green value", "Blue value", "Default colour 16"] {
            assert!(harness.query_by_label(name).is_some(), "{name}");
        }
        harness.get_by_label("Default colour 5").click();
        harness.run();
        assert_eq!(*harness.state(), (fifth, 1));
        assert!(harness.query_by_label("Red value").is_none(), "the picker closes");
    }
}
