//! Masking mode: controls, numbers of the slice and of a patch, export.

mod controls;
mod numbers;
mod run;

use egui::{Align, Frame, Layout, Margin, Panel, ScrollArea, Ui, UiBuilder, vec2};

use crate::command::Sender;
use crate::state::{Intent, PathPurpose, State};
use crate::theme::{icon, size, space};
use crate::widget::{EmptyState, PushButton};

/// Height of the export buttons, padding included.
const FOOT: f32 = 2.0 * space::S + size::CONTROL + 2.0;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let foot = Frame::new().inner_margin(Margin::symmetric(space::M as i8, space::S as i8));
    Panel::bottom("export").exact_size(FOOT).frame(foot).show(ui, |ui| export(ui, state, sender));
    if state.document.is_none() {
        let text = "Open a scan to see how its patches are clustered and masked.";
        if EmptyState::new(icon::GRID, text).action("Open sample study", None).show(ui) {
            sender.send(Intent::OpenSample);
        }
        return;
    }
    let margin = Margin { left: space::M as i8, right: space::M as i8, top: space::XS as i8, bottom: space::M as i8 };
    ScrollArea::vertical().id_salt("masking").auto_shrink(false).content_margin(margin).show(ui, |ui| {
        controls::show(ui, state, sender);
        numbers::show(ui, state, sender);
        controls::slice(ui, state, sender);
        run::show(ui, state, sender);
    });
}

/// Exports the view as PNG and the numbers as CSV.
fn export(ui: &mut Ui, state: &State, sender: &Sender) {
    let ready = state.current_mask().is_some();
    let rect = ui.available_rect_before_wrap();
    let half = (rect.width() - space::S) / 2.0;
    let mut button = |at: f32, label: &str, name: &str, keys: &str, icon, purpose| {
        let place = egui::Rect::from_min_size(egui::pos2(rect.left() + at, rect.top()), vec2(half, size::CONTROL));
        let mut child =
            ui.new_child(UiBuilder::new().max_rect(place).layout(Layout::left_to_right(Align::Center)).id_salt(name));
        let button = PushButton::new(label).icon(icon).shortcut(keys).fill_width();
        if child.add_enabled(ready, button).accessible_name(name).clicked() {
            sender.send(Intent::Ask(purpose));
        }
    };
    button(0.0, "PNG\u{2026}", "Export the view", "Ctrl+E", icon::CAMERA, PathPurpose::MaskingPicture);
    let numbers = PathPurpose::MaskingTable;
    button(half + space::S, "CSV\u{2026}", "Export the numbers", "Ctrl+Shift+E", icon::DOWNLOAD, numbers);
}
