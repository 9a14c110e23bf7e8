//! Setup page: the cohort and the form of the next run.

mod chip;
mod cohort;
mod field;
mod labels;
mod method;
mod offers;
mod recipe;
mod schedule;
mod source;
mod split;
mod start;

use egui::{Align, Frame, Layout, Margin, Panel, Rect, ScrollArea, Ui, UiBuilder};

use crate::command::{Command, Sender, TrainCommand};
use crate::state::State;
use crate::theme::{self, space};
use crate::widget::take_entered;
use engine::event::Stage;

/// Maximum width of the column.
const WIDTH: f32 = 760.0;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let foot = Frame::new().fill(theme::tokens(ui).panel).inner_margin(Margin::symmetric(space::L as i8, 0));
    let bar = start::Bar::of(ui, state, ui.available_width() - 2.0 * space::L);
    let height = bar.height();
    Panel::bottom("start").exact_size(height).frame(foot).show(ui, |ui| bar.show(ui, state, sender));
    let margin = Margin { left: space::L as i8, right: space::L as i8, top: 0, bottom: space::XL as i8 };
    let salt = ("setup", state.cache.train.fills);
    ScrollArea::vertical().id_salt(salt).auto_shrink(false).content_margin(margin).show(ui, |ui| {
        let area = ui.available_rect_before_wrap();
        let width = area.width().min(WIDTH);
        let left = (area.center().x - width / 2.0).round();
        let column = Rect::from_min_max(egui::pos2(left, area.top()), egui::pos2(left + width, area.bottom()));
        ui.scope_builder(UiBuilder::new().max_rect(column).layout(Layout::top_down(Align::Min)), |ui| {
            ui.set_width(width);
            ui.spacing_mut().item_spacing.y = 0.0;
            offers::show(ui, state, sender);
            cohort::show(ui, state, sender);
            split::show(ui, state);
            ui.add_space(space::M);
            form(ui, state, sender);
        });
    });
}

/// The form; a change sends the whole form.
fn form(ui: &mut Ui, state: &State, sender: &Sender) {
    let mut form = state.session.train.form.clone();
    // Discards input that was entered elsewhere.
    drop(take_entered(ui.ctx()));
    source::show(ui, state, &mut form, sender);
    schedule::show(ui, state, &mut form);
    match form.stage {
        Stage::Pretrain => method::show(ui, state, &mut form),
        Stage::Finetune => labels::show(ui, state, &mut form),
    }
    recipe::show(ui, state, &mut form);
    source::machine(ui, state, &mut form, sender);
    for (field, problem) in take_entered(ui.ctx()) {
        form.enter(field, problem);
    }
    if form != state.session.train.form {
        sender.send(Command::Train(TrainCommand::Edit(Box::new(form))));
    }
}
