//! Window/level, colour map and modality.

use egui::Ui;

use super::super::chip::{Chip, chips};
use super::super::window_level::fields;
use crate::command::{Sender, ViewCommand};
use crate::scene::{ColourMap, Modality, Preset, ScanInfo, Unit, WindowLevel};
use crate::state::{Document, State};
use crate::theme::icon;
use crate::widget::{IconButton, Section, Select, Toggle};

pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let image = document.image();
    let automatic = |ui: &mut Ui| {
        let button = IconButton::new(icon::AUTO_CONTRAST, "Automatic contrast").shortcut("Ctrl+J").small();
        if ui.add(button).clicked() {
            sender.send(ViewCommand::AutoContrast);
        }
    };
    let window = state.window_of(image);
    Section::new("Contrast").note(&image.info.modality.name()).show_with(ui, automatic, |ui| {
        if let Some(WindowLevel { width, level }) = fields(ui, state, image, ["Window width", "Window level"]) {
            sender.send(ViewCommand::SetWindow { width, level });
        }
        presets(ui, window, &image.info, sender);
        let choices = ColourMap::ALL.map(|map| (map, map.name()));
        let mut map = state.session.view.colour_map;
        if Select::new("Colours", &choices).show(ui, &mut map).changed() {
            sender.send(ViewCommand::SetColours(map));
        }
        modality(ui, &image.info.modality, sender);
        unit(ui, &image.info, sender);
        let mut smooth = state.session.settings.interpolate;
        if ui.add(Toggle::new(&mut smooth, "Interpolation").shortcut("I")).changed() {
            sender.send(ViewCommand::SetInterpolation(smooth));
        }
    });
}

fn presets(ui: &mut Ui, window: WindowLevel, info: &ScanInfo, sender: &Sender) {
    chips(ui, |ui| {
        for (at, preset) in Preset::of(info).iter().enumerate() {
            let name = format!("Preset {}", preset.name());
            let chosen = matches!(preset, Preset::Fixed(_, fixed) if *fixed == window);
            if ui.add(Chip::new(preset.name(), &name).selected(chosen)).clicked() {
                sender.send(ViewCommand::UsePreset(at));
            }
        }
    });
}

/// The modality: detected, or set by the user.
fn modality(ui: &mut Ui, modality: &Modality, sender: &Sender) {
    let mut known = vec![Modality::Ct, Modality::Pet, Modality::Mr("mr".into()), Modality::Other];
    if !known.contains(modality) {
        known.insert(0, modality.clone());
    }
    let names: Vec<String> = known.iter().map(Modality::name).collect();
    let choices: Vec<(Modality, &str)> = known.into_iter().zip(names.iter().map(String::as_str)).collect();
    let mut chosen = modality.clone();
    if Select::new("Modality", &choices).show(ui, &mut chosen).changed() {
        sender.send(ViewCommand::SetModality(chosen));
    }
}

/// The unit of a PET scan's values: the values do not tell SUV, Bq/ml and counts apart.
fn unit(ui: &mut Ui, info: &ScanInfo, sender: &Sender) {
    if info.modality != Modality::Pet {
        return;
    }
    let mut choices = vec![(None, "Unknown")];
    choices.extend(Unit::PET.map(|unit| (Some(unit.clone()), unit.symbol())));
    let hint = info.unit_from.map_or_else(
        || "The file does not say whether the values are SUV, Bq/ml or counts".to_owned(),
        |from| format!("From {}", from.name()),
    );
    let mut chosen = info.unit.clone();
    if Select::new("Unit", &choices).show(ui, &mut chosen).on_hover_text(hint).changed() {
        sender.send(ViewCommand::SetUnit(chosen));
    }
}
