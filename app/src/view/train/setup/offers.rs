//! Interrupted and queued runs of an earlier session.

use egui::{Frame, Margin, Stroke, Ui};

use crate::command::{Command, Sender, TrainCommand, timeline::stage_name};
use crate::state::State;
use crate::theme::{self, icon, radius, space};
use crate::widget::format;
use crate::widget::text;
use crate::widget::{IconButton, ListRow, PushButton};

/// Maximum number of runs listed, newest first.
const SHOWN: usize = 3;

/// Draws them, if there are any.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    interrupted(ui, state, sender);
    queued(ui, state, sender);
}

fn card(ui: &mut Ui, heading: &str, content: impl FnOnce(&mut Ui)) {
    let t = theme::tokens(ui);
    let card = Frame::new().fill(t.raised).stroke(Stroke::new(1.0, t.line_strong)).corner_radius(radius::L);
    card.inner_margin(Margin::symmetric(space::S as i8, space::S as i8)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            ui.add_space(space::S);
            text::heading(ui, heading);
        });
        content(ui);
    });
    ui.add_space(space::M);
}

/// Runs that were queued when the program closed.
fn queued(ui: &mut Ui, state: &State, sender: &Sender) {
    let left = &state.training.left;
    if left.is_empty() {
        return;
    }
    let send = |command| sender.send(Command::Train(command));
    card(ui, "Queued when the program closed", |ui| {
        for job in left.iter().take(SHOWN) {
            let cohort = job.config.as_ref().map(|config| format::file_name(&config.data.cohort));
            let what = cohort.map_or_else(
                || stage_name(job.stage).to_owned(),
                |cohort| format!("{}, {cohort}", stage_name(job.stage)),
            );
            let row = ListRow::new(&job.name).subtitle(&what).icon(icon::RECENT);
            row.show_with(ui, |ui| {
                let forget = format!("Remove {}", job.name);
                if ui.add(IconButton::new(icon::CLOSE, &forget).small()).clicked() {
                    send(TrainCommand::Remove(job.id));
                }
                let start = format!("Start {}", job.name);
                if ui.add(PushButton::new("Start").icon(icon::PLAY)).accessible_name(start).clicked() {
                    send(TrainCommand::TakeUp(Some(job.id)));
                }
            });
        }
        let all = format!("Start all {}", left.len());
        if left.len() > 1 && ui.add(PushButton::new(&all).icon(icon::PLAY)).clicked() {
            send(TrainCommand::TakeUp(None));
        }
    });
}

/// Interrupted runs.
fn interrupted(ui: &mut Ui, state: &State, sender: &Sender) {
    let offered: Vec<_> = state.resumable_runs().take(SHOWN).collect();
    if offered.is_empty() {
        return;
    }
    card(ui, "Interrupted. Resume from the last checkpoint.", |ui| {
        for run in offered {
            let so_far = format!(
                "{}, {}",
                format::done_of(run.epochs_done, run.epochs, "epoch", "epochs"),
                run.modality.join(" + ")
            );
            let resume = format!("Resume {}", run.name);
            let row = ListRow::new(&run.name).subtitle(&so_far).icon(icon::RECENT);
            row.show_with(ui, |ui| {
                let aside = format!("Hide {}", run.name);
                if ui.add(IconButton::new(icon::CLOSE, &aside).small()).clicked() {
                    sender.send(Command::Train(TrainCommand::Dismiss(run.path.clone())));
                }
                if ui.add(PushButton::new("Resume").icon(icon::PLAY)).accessible_name(resume).clicked() {
                    sender.send(Command::Train(TrainCommand::Resume(run.path.clone())));
                }
            })
            .0
            .on_hover_text(format::file_name(&run.cohort));
        }
    });
}
