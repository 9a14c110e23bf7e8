//! Layers of the open case: images, segmentations, probability.

use egui::Ui;

use super::super::chip::{Chip, chips};
use super::super::window_level::fields;
use super::masks;
use crate::command::{Command, FileCommand, Sender, StudyCommand, ViewCommand};
use crate::scene::{ColourMap, Preset};
use crate::state::study::{REFERENCE, StudyMasks};
use crate::state::{Document, ImageLayer, Intent, PathPurpose, State};
use crate::theme::{Icon, icon};
use crate::widget::{
    ButtonKind, EmptyState, IconButton, ListRow, LoadingState, PushButton, Section, Select, Slider, Toggle,
};
use crate::widget::{format, text};

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let Some(document) = &state.document else {
        nothing(ui, state, sender);
        return;
    };
    Section::new("Images").show(ui, |ui| images(ui, state, document, sender));
    if let Some(study) = &document.study {
        Section::new("Methods").show(ui, |ui| methods(ui, document, study, sender));
    }
    Section::new("Segmentations").show(ui, |ui| {
        masks::show(ui, state, document, sender);
        probability(ui, document, sender);
        add(ui, sender);
    });
}

/// Shown without an open case: loading, failed, or none chosen.
fn nothing(ui: &mut Ui, state: &State, sender: &Sender) {
    if let Some(job) = state.opening() {
        if LoadingState::new(&job.title, job.progress).cancel().show(ui) {
            sender.send(FileCommand::CancelJob(job.id));
        }
    } else if state.failed.is_some() {
        EmptyState::new(icon::WARN, "The case could not be opened.").show(ui);
    } else {
        EmptyState::new(icon::LAYERS, "Images and segmentations of the open case are listed here.").show(ui);
    }
}

fn images(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    ui.spacing_mut().item_spacing.y = 2.0;
    for (index, image) in document.images.iter().enumerate() {
        let shown = index == document.shown;
        let facts = facts(image);
        let mut row = ListRow::new(&image.name).subtitle(&facts).selected(shown);
        if document.images.len() > 1 {
            row = row.icon(if shown { icon::EYE } else { icon::IMAGE });
        }
        let fused = state.session.view.fused == Some(index);
        // The shown image cannot be fused with itself.
        let possible = document.images.len() > 1 && !shown;
        let (response, toggled) = row.show_with(ui, |ui| possible && fuse_button(ui, fused, &image.name));
        let response = response.accessible_name(format!("Image {}", image.name));
        if response.on_hover_text(image.path().display().to_string()).clicked() && !shown {
            sender.send(ViewCommand::ShowImage(index));
        }
        if toggled {
            sender.send(ViewCommand::Fuse((!fused).then_some(index)));
        }
    }
    if state.session.view.fused.is_some() {
        fusion(ui, state, document, sender);
    }
}

/// The methods of the study that the case was opened from: which one's segmentation is shown.
fn methods(ui: &mut Ui, document: &Document, study: &StudyMasks, sender: &Sender) {
    ui.spacing_mut().item_spacing.y = 2.0;
    let outlines = document.outlines.as_ref();
    for (at, mask) in study.masks.iter().enumerate() {
        let dice = mask.dice.map(format::ratio).unwrap_or_default();
        let shown = outlines.is_none() && study.shown == at && document.segmentation().is_some();
        let row = ListRow::new(&mask.method).trailing(&dice).selected(shown);
        let colour = outlines.and_then(|outlines| outlines.colour(&mask.method));
        let row = ui.add(if let Some(colour) = colour { row.swatch(colour) } else { row });
        let does = if mask.mask.is_some() { "Show its segmentation" } else { "Segment the case with its network" };
        let row = row.accessible_name(format!("Segmentation by {}", mask.method));
        if row.on_hover_text(format!("{does}. Dice {dice}\n{}", mask.run.display())).clicked() && !shown {
            sender.send(Intent::ShowMethod(at));
        }
    }
    let mut all = outlines.is_some();
    let kept = study.masks.iter().filter(|mask| mask.mask.is_some()).count();
    let toggle = ui.add_enabled(all || kept > 1, Toggle::new(&mut all, "All as outlines"));
    let toggle = toggle.accessible_name("All methods as outlines");
    if toggle.on_disabled_hover_text("The study kept fewer than two segmentations of this patient").changed() {
        sender.send(Command::Study(StudyCommand::ShowAll(all)));
    }
    if let Some(colour) = outlines.and_then(|outlines| outlines.colour(REFERENCE)) {
        ui.add(ListRow::new(REFERENCE).swatch(colour));
    }
}

/// Size, after the modality unless it is the image's name.
fn facts(image: &ImageLayer) -> String {
    let [x, y, z] = image.volume.grid.shape;
    let size = format!("{x} \u{d7} {y} \u{d7} {z}");
    let frames = if image.frames() > 1 { format!(" \u{d7} {}", image.frames()) } else { String::new() };
    let modality = image.info.modality.name();
    // The name of the image says it already.
    let modality = if image.name.eq_ignore_ascii_case(&modality) { String::new() } else { format!("{modality}, ") };
    format!("{modality}{size}{frames}")
}

/// True if the fusion was toggled.
fn fuse_button(ui: &mut Ui, fused: bool, name: &str) -> bool {
    let label = format!("Fuse {name}");
    ui.add(IconButton::new(icon::BLEND, &label).small().selected(fused)).clicked()
}

/// Opacity, colours and window of the fused image.
fn fusion(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let mut percent = state.session.view.fused_opacity * 100.0;
    if Slider::new(&mut percent, "Fusion", 0.0..=100.0).decimals(0).step(1.0).unit("%").show(ui).changed() {
        sender.send(ViewCommand::SetFusedOpacity(percent / 100.0));
    }
    let choices = ColourMap::ALL.map(|map| (map, map.name()));
    let mut map = state.session.view.fused_colour_map;
    let select = Select::new("Colours", &choices).show(ui, &mut map);
    if select.accessible_name("Fusion colours").changed() {
        sender.send(ViewCommand::SetFusedColours(map));
    }
    let fused = state.session.view.fused.and_then(|fused| document.images.get(fused));
    let Some(fused) = fused.filter(|fused| !fused.volume.data.is_colour()) else { return };
    let window = state.window_of(fused);
    let typed = fields(ui, state, fused, ["Fusion window width", "Fusion window level"]);
    let mut chosen = typed.filter(|typed| *typed != window);
    chips(ui, |ui| {
        for preset in Preset::of(&fused.info) {
            let Preset::Fixed(name, fixed) = preset else { continue };
            if ui.add(Chip::new(name, &format!("Fusion preset {name}")).selected(*fixed == window)).clicked() {
                chosen = Some(*fixed);
            }
        }
    });
    if let Some(chosen) = chosen {
        sender.send(ViewCommand::SetFusedWindow(chosen));
    }
}

fn probability(ui: &mut Ui, document: &Document, sender: &Sender) {
    let Some(layer) = &document.probability else { return };
    let file = layer.path.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
    let row = ListRow::new("Probability").subtitle(file.as_deref().unwrap_or("From the last segmentation"));
    let remove = IconButton::new(icon::CLOSE, "Remove probability").small();
    let (_, removed) = row.icon(icon::CURVES).show_with(ui, |ui| ui.add(remove).clicked());
    if removed {
        sender.send(FileCommand::RemoveProbability);
    }
}

fn add(ui: &mut Ui, sender: &Sender) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let mut button = |icon: Icon, label: &str, purpose: PathPurpose| {
        if ui.add(PushButton::new(label).icon(icon).kind(ButtonKind::Quiet)).clicked() {
            sender.send(Intent::Ask(purpose));
        }
    };
    button(icon::ADD, "Open segmentation…", PathPurpose::Segmentation);
    button(icon::ADD, "Open reference…", PathPurpose::Reference);
    button(icon::ADD, "Open probability…", PathPurpose::Probability);
    text::note(ui, "Masks are aligned by world position.");
}
