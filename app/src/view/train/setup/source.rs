//! Stage, initial weights, modality, run name and device.

use std::path::PathBuf;

use egui::{Margin, TextEdit, Ui};
use engine::config::Family;
use engine::device::{DeviceChoice, DeviceInfo, DeviceList};
use engine::event::Stage;

use super::{chip, field};
use crate::command::{Command, Sender, TrainCommand};
use crate::state::train::form::is_modified;
use crate::state::train::{CohortState, Form};
use crate::state::{Intent, PathPurpose, State};
use crate::theme::{self, font, icon, size, space};
use crate::widget::format;
use crate::widget::text;
use crate::widget::{ButtonKind, IconButton, ListRow, NumberField, PushButton, Section};
use crate::widget::{Segment, SegmentedControl, Select, Toggle, control_row};

/// Stage, preset or starting point, modality and name.
pub(super) fn show(ui: &mut Ui, state: &State, form: &mut Form, sender: &Sender) {
    let stages = [Segment::text(Stage::Pretrain, "Pre-train"), Segment::text(Stage::Finetune, "Fine-tune")];
    SegmentedControl::new("Stage", &stages).fill_width().show(ui, &mut form.stage);
    ui.add_space(space::S);
    let paper = |ui: &mut Ui| {
        let button = PushButton::new("Paper's settings").kind(ButtonKind::Quiet);
        let hint = "Network, preprocessing, schedule and method of both stages as in the paper. \
                    A fine-tuning run keeps the network and preprocessing of the run it starts from.";
        if ui.add(button).on_hover_text(hint).clicked() {
            sender.send(Command::Train(TrainCommand::UsePaperSettings));
        }
    };
    Section::new("Run").show_with(ui, paper, |ui| {
        if form.stage == Stage::Pretrain {
            preset(ui, form);
        } else {
            from(ui, state, form, sender);
        }
        modalities(ui, state, form);
        name(ui, state, form);
    });
}

fn preset(ui: &mut Ui, form: &mut Form) {
    let all = || Family::ALL.into_iter().flat_map(Family::presets);
    let choices: Vec<(String, &str)> = all().map(|preset| (preset.name.to_owned(), preset.name)).collect();
    let explained: Vec<(&str, &str)> = all().map(|preset| (preset.family.title(), preset.what)).collect();
    let config = &mut form.pretrain;
    let chosen = all().find(|preset| preset.name == config.preset);
    let what = chosen.map_or("", |preset| preset.what);
    // In front: the description may be cut.
    let note = if is_modified(config) { format!("modified: {what}") } else { what.to_owned() };
    field::row(ui, None, &note, |ui| {
        let shown = Select::new("Preset", &choices).explained(&explained).show(ui, &mut config.preset);
        if let Some(preset) = chosen {
            shown.on_hover_text(format!("{}\n{}", preset.about, preset.citation));
        }
    });
}

/// The run that fine-tuning starts from. Its settings are read before they are used.
fn from(ui: &mut Ui, state: &State, form: &Form, sender: &Sender) {
    let chosen = form.finetune.labels.from.clone();
    let mut choices = vec![(PathBuf::new(), "Random weights".to_owned())];
    choices.extend(state.cache.runs.pretrained().map(|run| (run.path.clone(), run.name.clone())));
    if !choices.iter().any(|(path, _)| *path == chosen) {
        choices.push((chosen.clone(), format::file_name(&chosen)));
    }
    let choices: Vec<(PathBuf, &str)> = choices.iter().map(|(path, name)| (path.clone(), name.as_str())).collect();
    let latest = state.latest_pretraining();
    let note = if chosen.as_os_str().is_empty() {
        "fully supervised baseline"
    } else if form.finetune.labels.corrections.is_some() {
        "continues this run with the corrected masks of its cohort"
    } else {
        "weights of this pre-training, with a new head"
    };
    let mut now = chosen.clone();
    field::row(ui, None, note, |ui| {
        ui.horizontal(|ui| {
            ui.set_width(field::CONTROL);
            let width = ui.available_width() - size::FIELD - space::XS;
            ui.allocate_ui(egui::vec2(width, size::FORM_ROW), |ui| {
                Select::new("Start from", &choices).show(ui, &mut now)
            });
            if ui.add(IconButton::new(icon::OPEN_FOLDER, "Choose a pre-trained run…").small()).clicked() {
                sender.send(Intent::Ask(PathPurpose::Pretrained));
            }
        });
    });
    if let Some(run) = latest.filter(|run| run.path != chosen) {
        let offer = format!("Start from {} instead", run.name);
        if ui.add(PushButton::new(&offer).kind(ButtonKind::Quiet).icon(icon::BRAIN)).clicked() {
            now.clone_from(&run.path);
        }
    }
    if now != chosen {
        let run = (!now.as_os_str().is_empty()).then_some(now);
        sender.send(Command::Train(TrainCommand::FinetuneFrom(run)));
    }
}

/// The channels: the cohort's modalities, each on or off.
fn modalities(ui: &mut Ui, state: &State, form: &mut Form) {
    let fixed = form.stage == Stage::Finetune && !form.finetune.labels.from.as_os_str().is_empty();
    let chosen = &mut form.config_mut().data.modality;
    control_row(ui, "Modality", |ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        let Some(card) = state.cache.train.cohort.card() else {
            let is_read = matches!(state.cache.train.cohort, CohortState::Reading(_));
            text::note(ui, if is_read { "listed once the cohort is read" } else { "choose a cohort first" });
            return;
        };
        ui.add_enabled_ui(!fixed, |ui| {
            for modality in card.cohort.modalities().keys() {
                let on = chosen.contains(modality);
                if chip::chip(ui, modality, &format!("Modality {modality}"), on).clicked() {
                    if on {
                        chosen.retain(|m| m != modality);
                    } else {
                        chosen.push(modality.clone());
                    }
                }
            }
        });
        let note = match (fixed, chosen.len()) {
            (true, _) => "as in the run it starts from",
            (false, 0) => "choose at least one",
            (false, 1) => "one channel",
            _ => "one channel each",
        };
        ui.add_space(space::S);
        text::note(ui, note);
    });
}

fn name(ui: &mut Ui, state: &State, form: &mut Form) {
    let there = state.session.settings.workspace().join(form.name.trim());
    let is_there = state.cache.runs.entries.iter().flatten().any(|run| run.path == there);
    let problem = state.run_name_problem();
    let next = state.next_run_name();
    let note = if form.named && is_there {
        "A run with these settings exists and will be resumed.".to_owned()
    } else if next == form.name.trim() {
        "folder in the workspace".to_owned()
    } else {
        format!("This name is taken. The run will be named {next}.")
    };
    field::row(ui, problem.as_deref(), &note, |ui| {
        control_row(ui, "Name", |ui| {
            let t = theme::tokens(ui);
            let width = ui.available_width() - size::FIELD - ui.spacing().item_spacing.x;
            let edit = TextEdit::singleline(&mut form.name)
                .font(font::body())
                .text_color(t.text)
                .background_color(t.field)
                .margin(Margin::symmetric(6, 4))
                .desired_width(f32::INFINITY);
            let field = ui.allocate_ui(egui::vec2(width, size::FIELD), |ui| ui.add(edit)).inner;
            let field = field.accessible_name("Run name");
            let differs = &state.cache.train.name_conflict;
            if !differs.is_empty() {
                field.on_hover_text(format!("It differs from the form in:\n{}", differs.join("\n")));
            }
            // The suggested name does not return automatically, which would disturb typing.
            let usual = IconButton::new(icon::RESET, "Use the suggested name").small();
            if ui.add_enabled(form.named, usual).clicked() {
                form.named = false;
            }
        });
    });
}

/// Device, threads and workspace.
pub(super) fn machine(ui: &mut Ui, state: &State, form: &mut Form, sender: &Sender) {
    Section::new("Machine").show(ui, |ui| {
        device(ui, state, form);
        let mut threads = state.session.settings.threads;
        let note = format!("0: {} of {}, one is left for the viewer", engine::threads::all_but_one(), cores());
        field::row(ui, None, &note, |ui| {
            if NumberField::new(&mut threads, "Threads").range(0..=1024).show(ui).changed() {
                sender.send(Command::Train(TrainCommand::SetThreads(threads)));
            }
        });
        let mut board = state.session.settings.tensorboard;
        field::row(ui, None, "in the folder tensorboard of the run", |ui| {
            if ui.add(Toggle::new(&mut board, "TensorBoard files")).changed() {
                sender.send(Command::Train(TrainCommand::SetTensorBoard(board)));
            }
        });
        let workspace = state.session.settings.workspace();
        let (place, path) = (format::file_name(&workspace), workspace.display().to_string());
        let title = format!("Workspace: {place}");
        let row = ListRow::new(&title).subtitle(&path).icon(icon::DISK);
        let (response, ()) = row.show_with(ui, |ui| {
            if ui.add(IconButton::new(icon::OPEN_FOLDER, "Choose workspace…").small()).clicked() {
                sender.send(Intent::Ask(PathPurpose::Workspace));
            }
        });
        if response.accessible_name(format!("Workspace {place}")).clicked() {
            sender.send(Intent::Ask(PathPurpose::Workspace));
        }
    });
}

fn cores() -> usize {
    engine::threads::cores()
}

fn device(ui: &mut Ui, state: &State, form: &mut Form) {
    let mut named: Vec<(DeviceList, String)> =
        state.cache.devices.iter().filter_map(|info| Some((info.id.parse().ok()?, device_name(info)))).collect();
    let config = form.config_mut();
    if config.device.all().len() > 1 {
        // Several are not offered here, but a run's settings may name them.
        named.push((config.device.clone(), config.device.to_string()));
    }
    let mut choices = vec![(DeviceList::default(), "Automatic")];
    choices.extend(named.iter().map(|(choice, name)| (choice.clone(), name.as_str())));
    let auto = state.cache.devices.first().map_or_else(String::new, |info| format!("currently {}", info.id));
    let note = match config.device.all() {
        [DeviceChoice::Auto] => auto.as_str(),
        [DeviceChoice::Cpu] => "shares the CPU with the viewer",
        [_] => "independent of the display device",
        _ => "each batch is split among them",
    };
    field::choice(ui, "Device", note, &mut config.device, &choices);
}

/// Id and name of a device, and its memory if reported.
fn device_name(info: &DeviceInfo) -> String {
    let name = format!("{}: {}", info.id, info.name);
    info.memory_mib.map_or_else(|| name.clone(), |mib| format!("{name}, {}", format::memory(mib)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_shows_its_memory_if_reported() {
        let card = |memory_mib| {
            let (id, name, kind) = ("cuda:0".to_owned(), "A card".to_owned(), engine::device::DeviceKind::Gpu);
            device_name(&DeviceInfo { id, name, kind, memory_mib })
        };
        assert_eq!(card(Some(24_064)), "cuda:0: A card, 23.5 GiB");
        assert_eq!(card(None), "cuda:0: A card");
    }
}
