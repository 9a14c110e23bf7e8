//! The right panel: controls of the mode. Segment and save stay at the bottom while the rest scrolls.

mod agreement;
mod contrast;
mod edit;
mod export;
mod finding_row;
mod findings;
mod labels;
mod masking;
mod measurements;
mod playback;
mod segment;
mod train;
mod verdict;

use egui::{Frame, Margin, Panel, ScrollArea, Ui};

use crate::command::{Sender, WindowCommand};
use crate::state::{Mode, State};
use crate::theme::{self, icon, space};
use crate::widget::EmptyState;

/// Draws the right panel of the current mode.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    if !state.session.settings.right_panel {
        return;
    }
    let frame = Frame::new().fill(theme::tokens(ui).panel);
    let width = state.session.settings.right_width;
    let panel = Panel::right("right panel").default_size(width).size_range(WIDTHS).resizable(true).frame(frame);
    let shown = panel.show(ui, |ui| match state.session.mode {
        Mode::Review => review(ui, state, sender),
        Mode::Masking => masking::show(ui, state, sender),
        Mode::Train => train::show(ui, state, sender),
    });
    if super::is_resized(shown.response.rect.width(), width) {
        sender.send(WindowCommand::SetRightWidth(shown.response.rect.width()));
    }
}

/// Widths that the panel can be dragged to.
const WIDTHS: std::ops::RangeInclusive<f32> = 250.0..=520.0;

fn review(ui: &mut Ui, state: &State, sender: &Sender) {
    let foot = Frame::new().inner_margin(Margin::symmetric(space::M as i8, space::S as i8));
    Panel::bottom("segment").exact_size(segment::HEIGHT).frame(foot).show(ui, |ui| segment::act(ui, state, sender));
    let Some(document) = &state.document else {
        let text = "Findings, contrast and measurements of the open case are shown here.";
        EmptyState::new(icon::CONTROLS, text).show(ui);
        return;
    };
    let margin = Margin { left: space::M as i8, right: space::M as i8, top: space::XS as i8, bottom: space::M as i8 };
    ScrollArea::vertical().id_salt("review").auto_shrink(false).content_margin(margin).show(ui, |ui| {
        if super::loads_another(state) {
            // These findings belong to the previous case.
            ui.disable();
        }
        verdict::show(ui, state, sender);
        if state.session.view.tool.is_edit() {
            edit::show(ui, state, document, sender);
            labels::show(ui, state, document, sender);
        }
        findings::show(ui, state, document, sender);
        contrast::show(ui, state, document, sender);
        segment::choices(ui, state, sender);
        agreement::show(ui, state, document, sender);
        if !state.session.view.tool.is_edit() {
            labels::show(ui, state, document, sender);
        }
        playback::show(ui, state, document, sender);
        measurements::show(ui, state, document, sender);
    });
}
