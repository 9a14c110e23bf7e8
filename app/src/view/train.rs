//! The centre in Train mode: pages selected by tabs.

mod results;
mod runs;
mod setup;
mod studies;
pub(super) mod watch;

use egui::{Align, Frame, Layout, Margin, Panel, Ui};

use crate::command::{Command, Sender, TrainCommand, back};
use crate::state::State;
use crate::state::train::TrainPage;
use crate::theme::{self, icon, size, space};
use crate::widget::{IconButton, Segment, SegmentedControl};

/// Draws the pages of Train mode.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let frame = Frame::new().fill(theme::tokens(ui).window).inner_margin(Margin::symmetric(space::L as i8, 0));
    Panel::top("train pages").exact_size(size::TOP_BAR).frame(frame).show_separator_line(false).show(ui, |ui| {
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| tabs(ui, state, sender));
    });
    match state.session.train.page {
        TrainPage::Setup => setup::show(ui, state, sender),
        TrainPage::Watch => watch::show(ui, state, sender),
        TrainPage::Runs => runs::show(ui, state, sender),
        TrainPage::Results => results::show(ui, state, sender),
        TrainPage::Studies => studies::show(ui, state, sender),
    }
}

fn tabs(ui: &mut Ui, state: &State, sender: &Sender) {
    ui.spacing_mut().item_spacing.x = space::S;
    let back = back::destination(state);
    let label = back.as_ref().map_or("Back", |(label, _)| label.as_str());
    let button = IconButton::new(icon::CHEVRON_LEFT, label).shortcut("Escape").small();
    if ui.add_enabled(back.is_some(), button).clicked()
        && let Some((_, command)) = back.clone()
    {
        sender.send(command);
    }
    let segments = TrainPage::ALL.map(|page| Segment::text(page, page.name()));
    let mut page = state.session.train.page;
    if SegmentedControl::new("Page", &segments).show(ui, &mut page).changed() {
        sender.send(Command::Train(TrainCommand::ShowPage(page)));
    }
}
