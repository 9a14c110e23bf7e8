//! The bar under the form: what the job will take, and the button that starts it.

use egui::{Align, Label, Layout, RichText, Ui};
use engine::assess::Assessment;
use engine::event::Stage;

use crate::command::train::TrainCommand;
use crate::command::{Command, Sender};
use crate::panel::format;
use crate::state::State;
use crate::state::train::Estimate;
use crate::theme::{self, font, icon, space};
use crate::view::train::words;
use crate::widget::PushButton;

/// Height of the bar.
pub(super) const HEIGHT: f32 = 58.0;

/// Draws it.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let obstacle = state.train.obstacle();
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = space::L;
        let label = match (&state.train.running, state.train.form.stage) {
            (Some(_), _) => "Add to the queue",
            (None, Stage::Pretrain) => "Start pre-training",
            (None, Stage::Finetune) => "Start fine-tuning",
        };
        let button = PushButton::primary(label).icon(icon::PLAY).shortcut("F5");
        let response = ui.add_enabled(obstacle.is_none(), button);
        let response = match &obstacle {
            Some(why) => response.on_disabled_hover_text(why.as_str()),
            None => response,
        };
        if response.clicked() {
            sender.send(Command::Train(TrainCommand::Start));
        }
        ui.with_layout(Layout::top_down(Align::Min), |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.add_space(space::S + 2.0);
            said(ui, state, obstacle.as_deref());
        });
    });
}

/// Two lines: what the job will take, and what more there is to say.
fn said(ui: &mut Ui, state: &State, obstacle: Option<&str>) {
    let t = theme::tokens(ui);
    let (first, second, color) = match (obstacle, &state.train.estimate) {
        (Some(why), _) => (why.to_owned(), "The training starts once this is settled.".to_owned(), t.warn),
        (None, Estimate::Known(known)) => (takes(known), more(known), t.text),
        (None, Estimate::Running) => ("Estimating time and memory\u{2026}".into(), String::new(), t.text_dim),
        (None, Estimate::Waiting) => {
            ("Time and memory are estimated once the running job ends".into(), String::new(), t.text_dim)
        }
        (None, Estimate::Failed(why)) => ("Time and memory are not known".into(), why.clone(), t.warn),
        (None, Estimate::None) => (String::new(), String::new(), t.text_dim),
    };
    ui.add(Label::new(RichText::new(first).font(font::strong()).color(color)).truncate());
    ui.add(Label::new(RichText::new(second).font(font::caption()).color(t.text_dim)).truncate());
}

fn takes(known: &Assessment) -> String {
    format!("About {}, {} of memory", format::duration(known.seconds), words::memory(known.memory_mib))
}

fn more(known: &Assessment) -> String {
    let mut parts = vec![
        format!("{} steps of {}", words::count(known.steps), format::duration(known.seconds_per_step)),
        words::so_many(known.slices, "slice", "slices"),
        words::so_many(known.patients, "patient", "patients"),
        format!("{} parameters", words::count(known.parameters)),
    ];
    parts.extend(known.notes.iter().cloned());
    parts.join(" \u{b7} ")
}
