//! Sentences, captions and headings.

use std::ops::Range;
use std::sync::Arc;

use egui::{Align, Color32, FontId, Galley, Label, Layout, Response, RichText, Ui, vec2};

use crate::theme::{self, Icon, font, size, space};

/// Quiet text that wraps.
pub fn note(ui: &mut Ui, text: &str) -> Response {
    wrapped(ui, text, font::caption())
}

/// Quiet body text that wraps.
pub fn sentence(ui: &mut Ui, text: &str) -> Response {
    wrapped(ui, text, font::body())
}

fn wrapped(ui: &mut Ui, text: &str, font: FontId) -> Response {
    let label = Label::new(RichText::new(text).font(font).color(theme::tokens(ui).text_dim)).wrap();
    let layout = *ui.layout();
    // The layout of a menu would spread the words of every line over its width.
    if layout.is_vertical() && layout.horizontal_justify() {
        ui.vertical(|ui| ui.add(label)).inner
    } else {
        ui.add(label)
    }
}

/// A sentence with an icon, for an empty section.
pub fn hint(ui: &mut Ui, icon: Icon, text: &str) {
    let color = theme::tokens(ui).text_dim;
    with_icon(ui, icon, color, |ui| {
        sentence(ui, text);
    });
}

/// An icon with content beside it.
pub fn with_icon<R>(ui: &mut Ui, icon: Icon, color: Color32, content: impl FnOnce(&mut Ui) -> R) -> R {
    let row = ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        let (rect, _) = ui.allocate_exact_size(vec2(size::ICON, size::ICON), egui::Sense::hover());
        ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, icon.char(), Icon::font(size::ICON), color);
        let width = ui.available_width();
        let column = vec2(width, 0.0);
        ui.allocate_ui_with_layout(column, Layout::top_down(Align::Min), |ui| {
            ui.set_max_width(width);
            content(ui)
        })
        .inner
    });
    row.inner
}

/// Heading of a group.
pub fn heading(ui: &mut Ui, text: &str) -> Response {
    let color = theme::tokens(ui).text_dim;
    ui.add(Label::new(RichText::new(text).font(font::caption()).color(color)).truncate())
}

/// Text on one line, shortened to `width` by an ellipsis, for painting.
pub fn one_line(ui: &Ui, text: &str, font: FontId, color: Color32, width: f32) -> Arc<Galley> {
    super::paint::line(ui, text, font, color, width)
}

/// One line of text, truncated to the width; the tooltip shows all of it.
pub fn line(ui: &mut Ui, text: RichText) -> Response {
    ui.add(Label::new(text).truncate())
}

/// A name on one line. If it does not fit, `distinct` stays: the characters that tell it from the other names of its list.
pub fn name(ui: &mut Ui, name: &str, distinct: &Range<usize>, font: &FontId, color: Color32) -> Response {
    let galley = super::paint::name(ui, name, distinct, font, color, ui.available_width());
    let response = ui.add(Label::new(galley));
    // The name of a text is its value.
    ui.accesskit_node_builder(response.id, |node| node.set_value(name));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_in_a_menu_are_not_justified() {
        let ctx = egui::Context::default();
        theme::install(&ctx, theme::Theme::Dark);
        let output = ctx.run_ui(egui::RawInput::default(), |ui| {
            ui.set_max_width(120.0);
            ui.with_layout(Layout::top_down_justified(Align::Min), |ui| {
                note(ui, "A note that is wider than its menu and wraps to several lines.");
                sentence(ui, "A sentence that is wider than its menu and wraps to several lines.");
            });
        });
        let justified = |shape: &egui::epaint::ClippedShape| match &shape.shape {
            egui::Shape::Text(text) => Some(text.galley.job.justify),
            _ => None,
        };
        let texts: Vec<bool> = output.shapes.iter().filter_map(justified).collect();
        output.drop_without_applying_deltas();
        assert_eq!(texts, [false, false]);
    }
}
