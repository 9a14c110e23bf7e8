//! Sentences and captions in panels.

use egui::{Align, Color32, Label, Layout, Response, RichText, Ui, vec2};

use crate::theme::{self, Icon, font, size, space};

/// Quiet text that wraps.
pub(crate) fn note(ui: &mut Ui, text: &str) -> Response {
    let color = theme::tokens(ui).text_dim;
    ui.add(Label::new(RichText::new(text).font(font::caption()).color(color)).wrap())
}

/// Quiet body text that wraps.
pub(crate) fn sentence(ui: &mut Ui, text: &str) -> Response {
    let color = theme::tokens(ui).text_dim;
    ui.add(Label::new(RichText::new(text).font(font::body()).color(color)).wrap())
}

/// A sentence behind an icon, for a section that has nothing to show yet.
pub(crate) fn hint(ui: &mut Ui, icon: Icon, text: &str) {
    let color = theme::tokens(ui).text_dim;
    with_icon(ui, icon, color, |ui| {
        sentence(ui, text);
    });
}

/// An icon in a colour with a meaning, and what it is about beside it.
pub(crate) fn with_icon<R>(ui: &mut Ui, icon: Icon, color: Color32, content: impl FnOnce(&mut Ui) -> R) -> R {
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

/// The heading of a group of actions or facts.
pub(crate) fn heading(ui: &mut Ui, text: &str) -> Response {
    let color = theme::tokens(ui).text_dim;
    ui.add(Label::new(RichText::new(text).font(font::caption()).color(color)).truncate())
}

/// One line of text, cut where it does not fit; the whole of it is in the tooltip then.
pub(crate) fn line(ui: &mut Ui, text: RichText) -> Response {
    ui.add(Label::new(text).truncate())
}
