//! The left panel: cases of the open folder or series of the DICOM folder or archive, and below them the layers of the open case.

mod cases;
mod layers;
mod masks;
mod queue;
mod series;
pub(crate) mod thumbnails;

use egui::{Frame, Margin, Panel, ScrollArea, Ui};

use crate::command::{Command, Sender, TrainCommand, WindowCommand};
use crate::state::{Mode, State};
use crate::theme::{self, icon, size, space};
use crate::widget::PushButton;

/// Fraction of the panel's height for the cases.
const CASES_SHARE: f32 = 0.45;
/// Widths that the panel can be dragged to.
const WIDTHS: std::ops::RangeInclusive<f32> = 180.0..=420.0;
/// Minimum height of the cases and of the layers below them while the border is dragged.
const MIN_HEIGHT: f32 = 120.0;
/// Height of the list of cases while no folder is open.
const NO_CASES: f32 = 184.0;

/// Draws the left panel.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    if !state.session.settings.left_panel {
        return;
    }
    let frame = Frame::new().fill(theme::tokens(ui).panel);
    let width = state.session.settings.left_width;
    let panel = Panel::left("left panel").default_size(width).size_range(WIDTHS).resizable(true).frame(frame);
    let shown = panel.show(ui, |ui| {
        let list = state.series.as_ref().filter(|_| state.browsed().is_none());
        let empty = state.cases.cases.is_empty() && list.is_none();
        let visiting = state.session.mode == Mode::Review && state.session.train.visiting;
        let back_button = if visiting { size::CONTROL + space::S } else { 0.0 };
        let height = if empty { NO_CASES + back_button } else { (ui.available_height() * CASES_SHARE).round() };
        let inner = Frame::new().inner_margin(Margin::symmetric(space::M as i8, 0));
        let cases = if empty {
            Panel::top("no cases").exact_size(height)
        } else {
            let maximum = (ui.available_height() - MIN_HEIGHT).max(MIN_HEIGHT);
            Panel::top("cases").default_size(height).size_range(MIN_HEIGHT..=maximum).resizable(true)
        };
        cases.frame(inner).show(ui, |ui| {
            if visiting {
                let of_study = state.document.as_ref().is_some_and(|document| document.study.is_some());
                back(ui, if of_study { "Back to the study" } else { "Back to results" }, sender);
            }
            match list {
                Some(list) => series::show(ui, state, list, sender),
                None => cases::show(ui, state, sender),
            }
        });
        let margin = Margin { left: space::M as i8, right: space::M as i8, top: space::XS as i8, bottom: 0 };
        ScrollArea::vertical().id_salt("layers").auto_shrink(false).content_margin(margin).show(ui, |ui| {
            if super::loads_another(state) {
                // These layers belong to the previous case.
                ui.disable();
            }
            layers::show(ui, state, sender);
        });
    });
    if super::is_resized(shown.response.rect.width(), width) {
        sender.send(WindowCommand::SetLeftWidth(shown.response.rect.width()));
    }
}

/// Shown while a patient of a run's results or of a study is open.
fn back(ui: &mut Ui, label: &str, sender: &Sender) {
    ui.add_space(space::S);
    if ui.add(PushButton::new(label).icon(icon::CHEVRON_LEFT).fill_width()).clicked() {
        sender.send(Command::Train(TrainCommand::BackToResults));
    }
}
