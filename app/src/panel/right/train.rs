//! The right panel of Train mode: running job and queue, then the numbers at the timeline cursor. Pause and stop stay at
//! the bottom while the rest scrolls.

mod job;
mod numbers;

use egui::{Frame, Margin, Panel, ScrollArea, Ui};

use crate::command::Sender;
use crate::state::State;
use crate::theme::{size, space};

/// Height of the buttons, padding included.
const FOOT: f32 = size::CONTROL + 2.0 * space::S + 1.0;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let foot = Frame::new().inner_margin(Margin::symmetric(space::M as i8, space::S as i8));
    Panel::bottom("job").exact_size(FOOT).frame(foot).show(ui, |ui| job::buttons(ui, state, sender));
    let margin = Margin { left: space::M as i8, right: space::M as i8, top: space::XS as i8, bottom: space::M as i8 };
    ScrollArea::vertical().id_salt("train").auto_shrink(false).content_margin(margin).show(ui, |ui| {
        ui.scope(|ui| job::show(ui, state, sender));
        numbers::show(ui, state, sender);
    });
}
