//! Runs of an earlier session that stopped before their end.

use egui::{Frame, Margin, Stroke, Ui};

use crate::command::train::TrainCommand;
use crate::command::{Command, Sender};
use crate::panel::text;
use crate::state::State;
use crate::theme::{self, icon, radius, space};
use crate::view::train::words;
use crate::widget::{IconButton, ListRow, PushButton};

/// How many are offered at once: the newest.
const SHOWN: usize = 3;

/// Draws them; nothing if there are none.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let offered: Vec<_> = state.train.offered().take(SHOWN).collect();
    if offered.is_empty() {
        return;
    }
    let t = theme::tokens(ui);
    let card = Frame::new().fill(t.raised).stroke(Stroke::new(1.0, t.line_strong)).corner_radius(radius::L);
    card.inner_margin(Margin::symmetric(space::S as i8, space::S as i8)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            ui.add_space(space::S);
            text::heading(ui, "Stopped before the end: go on where the last checkpoint stands");
        });
        for run in offered {
            let so_far = format!("{} of {} epochs, {}", run.epochs_done, run.epochs, run.modality.join(" + "));
            let resume = format!("Resume {}", run.name);
            let row = ListRow::new(&run.name).subtitle(&so_far).icon(icon::RECENT);
            row.show_with(ui, |ui| {
                let aside = format!("Do not offer {}", run.name);
                if ui.add(IconButton::new(icon::CLOSE, &aside).small()).clicked() {
                    sender.send(Command::Train(TrainCommand::PutAside(run.path.clone())));
                }
                if ui.add(PushButton::new("Resume").icon(icon::PLAY)).accessible_name(resume).clicked() {
                    sender.send(Command::Train(TrainCommand::Resume(run.path.clone())));
                }
            })
            .0
            .on_hover_text(words::name(&run.cohort));
        }
    });
    ui.add_space(space::M);
}
