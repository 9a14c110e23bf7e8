//! Segments the open case with a trained network.

use egui::{Align, Layout, Sense, Ui, UiBuilder, vec2};

use engine::predict::Choice;

use crate::command::{FileCommand, Sender, TrainCommand};
use crate::state::{Document, Intent, MaskLayer, MaskRole, PathPurpose, State};
use crate::theme::{icon, space};
use crate::widget::format;
use crate::widget::{IconButton, ListRow, ProgressRow, PushButton, Section, Select};
use crate::worker;

/// Height of the buttons, padding included.
pub(super) const HEIGHT: f32 = 2.0 * space::S + ACTIONS + 2.0;
/// Height of the buttons, or of the progress that replaces them.
const ACTIONS: f32 = 40.0;

/// Model, network and device.
pub(super) fn choices(ui: &mut Ui, state: &State, sender: &Sender) {
    let name = model_name(state);
    Section::new("Model").note(&name).closed().show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        model(ui, state, &name, sender);
        network(ui, state, sender);
        device(ui, state, sender);
    });
}

/// Segment and save, or the progress of the segmentation.
pub(super) fn act(ui: &mut Ui, state: &State, sender: &Sender) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ACTIONS), Sense::hover());
    let mut row = ui.new_child(UiBuilder::new().max_rect(rect).layout(Layout::right_to_left(Align::Center)));
    row.spacing_mut().item_spacing.x = space::S;
    match state.jobs.iter().find(|job| job.slot == worker::segment::SLOT) {
        Some(job) => {
            let progress = ProgressRow::new(&job.title, job.progress).detail(&job.detail);
            if progress.show(&mut row) {
                sender.send(FileCommand::CancelJob(job.id));
            }
        }
        None => actions(&mut row, state, sender),
    }
}

fn model_name(state: &State) -> String {
    state.session.runs.segment.as_ref().map_or_else(|| "Sample model".to_owned(), |run| format::file_name(run))
}

fn model(ui: &mut Ui, state: &State, name: &str, sender: &Sender) {
    let chosen = state.session.runs.segment.as_ref();
    let path = chosen.map_or_else(|| "Installed with the sample study".to_owned(), |run| run.display().to_string());
    let row = ListRow::new(name).subtitle(&path).icon(icon::BRAIN);
    let (response, ()) = row.show_with(ui, |ui| {
        if ui.add(IconButton::new(icon::OPEN_FOLDER, "Choose model…").small()).clicked() {
            sender.send(Intent::Ask(PathPurpose::Model));
        }
        if chosen.is_some() && ui.add(IconButton::new(icon::RESET, "Use the sample model").small()).clicked() {
            sender.send(FileCommand::UseSampleModel);
        }
    });
    if response.accessible_name(format!("Model {name}")).clicked() {
        sender.send(Intent::Ask(PathPurpose::Model));
    }
}

/// The network of the chosen run. The sample model and runs without validation have one.
fn network(ui: &mut Ui, state: &State, sender: &Sender) {
    let choices = [(Choice::Last, "Last epoch"), (Choice::Best, "Best validation")];
    let run = state.session.runs.segment.as_ref();
    let mut network = run.map_or(Choice::Last, |run| state.network_of(run));
    ui.add_enabled_ui(run.is_some_and(|run| state.has_best(run)), |ui| {
        if Select::new("Network", &choices).show(ui, &mut network).changed() {
            sender.send(TrainCommand::ChooseNetwork(network));
        }
    });
}

fn device(ui: &mut Ui, state: &State, sender: &Sender) {
    let mut choices = vec![("auto".to_owned(), "Automatic".to_owned())];
    choices.extend(state.cache.devices.iter().map(|d| (d.id.clone(), format!("{}: {}", d.id, d.name))));
    let choices: Vec<(String, &str)> = choices.iter().map(|(id, name)| (id.clone(), name.as_str())).collect();
    let chosen = state.session.device.as_str();
    let mut device = if chosen.is_empty() { "auto".to_owned() } else { chosen.to_owned() };
    if Select::new("Device", &choices).hint(chosen).show(ui, &mut device).changed() {
        sender.send(FileCommand::SetDevice(device));
    }
}

fn actions(ui: &mut Ui, state: &State, sender: &Sender) {
    let document = state.document.as_ref();
    let saving = state.jobs.iter().any(|job| matches!(job.slot, worker::save::SLOT | worker::segment::SLOT));
    let mask = document.and_then(Document::mask_to_save);
    let can_save = mask.is_some() && !saving;
    let unsaved = mask.is_some_and(MaskLayer::is_unsaved);
    let what = mask.map_or(MaskRole::Segmentation, |mask| mask.role).word();
    let save = PushButton::new("Save").icon(icon::SAVE).shortcut("Ctrl+S");
    let save = ui.add_enabled(can_save, save);
    if unsaved {
        // The accessible name and the badge at the top say the same.
        let t = crate::theme::tokens(ui);
        ui.painter().circle_filled(save.rect.right_top() + vec2(-3.0, 3.0), 3.0, t.warn);
    }
    let name = if unsaved { format!("Save {what} (unsaved)") } else { format!("Save {what}") };
    if save.accessible_name(name).clicked() {
        sender.send(FileCommand::Save);
    }
    let segment = PushButton::primary("Segment now").icon(icon::SEGMENT).shortcut("Ctrl+Enter").fill_width();
    let refusal = worker::segment::refusal(state);
    let mut response = ui.add_enabled(refusal.is_none(), segment);
    if let Some(why) = refusal {
        ui.accesskit_node_builder(response.id, |node| node.set_description(why.as_str()));
        response = response.on_disabled_hover_text(why);
    }
    if response.clicked() {
        sender.send(Intent::Segment);
    }
}
