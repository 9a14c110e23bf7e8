//! The series of the open DICOM folder or archive, beside the views.

use egui::{Align, Layout, ScrollArea, Ui};

use crate::command::{Sender, SeriesCommand};
use crate::state::{SeriesList, State};
use crate::theme::{font, icon, size, space};
use crate::view::series;
use crate::widget::IconButton;

/// Draws them in the remaining space.
pub(super) fn show(ui: &mut Ui, state: &State, list: &SeriesList, sender: &Sender) {
    ui.add_space(space::XS);
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let browse = IconButton::new(icon::MAXIMISE, "Series browser").shortcut("Ctrl+D").small();
            if ui.add(browse).clicked() {
                sender.send(SeriesCommand::Browse(true));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.set_min_height(size::ROW_DENSE);
                series::source_name(ui, state, list, font::strong());
            });
        });
    });
    ScrollArea::vertical().id_salt("series").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        series::patients(ui, state, list, sender);
    });
}
