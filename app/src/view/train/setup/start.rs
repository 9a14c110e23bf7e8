//! The start bar below the form: estimated time and memory, and the start button.

use std::sync::Arc;

use egui::{Align, Galley, Label, Layout, ScrollArea, Ui, UiBuilder, vec2};
use engine::assess::Assessment;
use engine::device::DeviceList;
use engine::event::Stage;

use crate::command::{Command, Sender, TrainCommand};
use crate::state::State;
use crate::state::train::Estimate;
use crate::theme::{self, font, icon, space};
use crate::widget::PushButton;
use crate::widget::format;
use crate::worker;

/// Minimum height, which has room for two lines of details, and maximum height before the text scrolls.
const HEIGHT: [f32; 2] = [62.0, 132.0];
/// Width of the button.
const BUTTON: f32 = 208.0;
/// Gap between the paragraphs.
const GAP: f32 = 2.0;

/// The bar, with its text laid out.
pub(super) struct Bar {
    paragraphs: [Arc<Galley>; 2],
    width: f32,
}

impl Bar {
    /// The bar of a page that is `width` points wide inside its margins.
    pub(super) fn of(ui: &Ui, state: &State, width: f32) -> Self {
        let t = theme::tokens(ui);
        let (first, second, color) = status(state, t);
        let width = (width - BUTTON - space::L).max(80.0);
        let layout = |text, font, color| ui.painter().layout(text, font, color, width);
        let paragraphs = [layout(first, font::strong(), color), layout(second, font::caption(), t.text_dim)];
        Self { paragraphs, width }
    }

    pub(super) fn height(&self) -> f32 {
        let text = self.paragraphs.iter().map(|paragraph| paragraph.size().y + GAP).sum::<f32>();
        (text + 2.0 * space::S).ceil().clamp(HEIGHT[0], HEIGHT[1])
    }

    pub(super) fn show(self, ui: &mut Ui, state: &State, sender: &Sender) {
        let area = ui.max_rect();
        let left = area.with_max_x(area.left() + self.width);
        let text = UiBuilder::new().max_rect(left.shrink2(vec2(0.0, space::S))).layout(Layout::top_down(Align::Min));
        let mut text = ui.new_child(text);
        ScrollArea::vertical().id_salt("estimate").auto_shrink(false).show(&mut text, |ui| {
            ui.spacing_mut().item_spacing.y = GAP;
            for paragraph in self.paragraphs {
                ui.add(Label::new(paragraph));
            }
        });
        let layout = Layout::right_to_left(Align::Center);
        button(&mut ui.new_child(UiBuilder::new().max_rect(area).layout(layout)), state, sender);
    }
}

fn button(ui: &mut Ui, state: &State, sender: &Sender) {
    let obstacle = state.training_obstacle();
    let label = match (&state.training.running, state.session.train.form.stage) {
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
}

/// Estimate and details, and the colour of the estimate.
fn status(state: &State, t: &theme::Tokens) -> (String, String, egui::Color32) {
    match (state.training_obstacle(), &state.cache.train.estimate) {
        (Some(why), _) => (why, String::new(), t.warn),
        (None, Estimate::Known(known)) => (takes(state, known), more(known, state.session.train.form.stage), t.text),
        (None, Estimate::Running) => {
            let job = state.jobs.iter().find(|job| job.slot == worker::train::assess::SLOT);
            let doing = job.map(|job| job.detail.clone()).unwrap_or_default();
            ("Estimating time and memory\u{2026}".into(), doing, t.text_dim)
        }
        (None, Estimate::Waiting) => {
            ("Time and memory are estimated when the running job ends".into(), String::new(), t.text_dim)
        }
        (None, Estimate::Failed(why)) => ("Time and memory are unknown".into(), why.clone(), t.warn),
        (None, Estimate::None) => (String::new(), String::new(), t.text_dim),
    }
}

fn takes(state: &State, known: &Assessment) -> String {
    let device = &state.session.train.form.config().device;
    let automatic = state.cache.devices.first().filter(|_| *device == DeviceList::default());
    let device = automatic.map_or_else(|| device.to_string(), |info| info.id.clone());
    let (time, memory) = (format::duration(known.seconds), format::memory(known.memory_mib));
    format!("About {time}, {memory} of memory, on {device}")
}

fn more(known: &Assessment, stage: Stage) -> String {
    // Fine-tuning trains on the labelled patients only.
    let patients = match stage {
        Stage::Pretrain => format::plural(known.patients, "patient", "patients"),
        Stage::Finetune => format::plural(known.labelled, "labelled patient", "labelled patients"),
    };
    let mut parts = vec![
        format!("{} of {}", format::counted(known.steps, "step", "steps"), format::duration(known.seconds_per_step)),
        format::plural(known.slices, "slice", "slices"),
        patients,
        format::counted(known.parameters, "parameter", "parameters"),
    ];
    parts.extend(known.notes.iter().cloned());
    parts.join(" \u{b7} ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fine_tuning_counts_labelled_patients() {
        let known = Assessment {
            patients: 7,
            labelled: 2,
            slices: 4,
            steps: 70,
            epochs: 70,
            parameters: 1000,
            seconds_per_step: 0.1,
            seconds: 7.0,
            memory_mib: 100,
            slices_mib: 1,
            notes: Vec::new(),
        };
        let texts = [Stage::Finetune, Stage::Pretrain].map(|stage| more(&known, stage));
        assert!(texts[0].contains("4 slices \u{b7} 2 labelled patients \u{b7}"), "{}", texts[0]);
        assert!(texts[1].contains("\u{b7} 7 patients \u{b7}"), "{}", texts[1]);
    }
}
