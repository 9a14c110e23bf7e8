//! Segmentation and reference layers: which is drawn, which labels, and in what style.

use egui::{Align2, Color32, Label, Rect, RichText, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::command::{FileCommand, OverlayCommand, Sender};
use crate::state::names::file_name;
use crate::state::view::Overlay;
use crate::state::{Document, Intent, MaskLayer, MaskRole, State, UnloadedMask};
use crate::theme::{self, font, icon, palette, size, space};
use crate::widget::{IconButton, ListRow, Pattern, PushButton, Slider, Toggle};
use crate::widget::{format, text};

pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    for unloaded in document.missing_masks() {
        missing(ui, unloaded, sender);
    }
    if document.masks.is_empty() {
        text::hint(ui, icon::LABEL, "No segmentation. Press Segment now, or open one.");
        return;
    }
    for layer in &document.masks {
        mask(ui, state, document, layer, sender);
    }
    if document.has_both_masks() && state.session.view.overlay == Overlay::Comparison {
        legend(ui, document);
    } else {
        labels(ui, state, document, sender);
    }
    style(ui, state, sender);
}

/// A mask of the case that is not loaded, with the reason and the remedy.
fn missing(ui: &mut Ui, unloaded: &UnloadedMask, sender: &Sender) {
    let t = theme::tokens(ui);
    let name = file_name(unloaded.path());
    text::with_icon(ui, icon::WARN, t.warn, |ui| {
        let heading = format!("The {} {name} is not loaded.", unloaded.role.word());
        ui.add(Label::new(RichText::new(heading).font(font::body()).color(t.text)).wrap());
        ui.add(
            Label::new(RichText::new(&unloaded.why).font(font::caption()).color(t.text_dim)).wrap().selectable(true),
        );
        let Some(remedy) = unloaded.remedy else { return };
        let name = format!("{} {}", remedy.action(), unloaded.role.word());
        let button = ui.add(PushButton::new(&remedy.action())).accessible_name(name);
        if button.on_hover_text(&unloaded.details).clicked() {
            sender.send(Intent::LoadMask(unloaded.role));
        }
    });
    ui.add_space(space::S);
}

/// Shows or hides a mask: through the overlay mode if there are two masks, else through its labels.
fn draw(state: &State, document: &Document, layer: &MaskLayer, on: bool, sender: &Sender) {
    let alone = |role| match role {
        MaskRole::Segmentation => Overlay::Segmentation,
        MaskRole::Reference => Overlay::Reference,
    };
    if let Some(other) = document.masks.iter().find(|mask| mask.role != layer.role) {
        match (on, state.draws(document, other)) {
            (true, true) => sender.send(OverlayCommand::Show(Overlay::Comparison)),
            (true, false) => sender.send(OverlayCommand::Show(alone(layer.role))),
            (false, true) => return sender.send(OverlayCommand::Show(alone(other.role))),
            (false, false) => {}
        }
    }
    for entry in &layer.table {
        if state.session.view.hidden_labels.contains(&entry.value) == on {
            sender.send(OverlayCommand::ShowLabel(entry.value, on));
        }
    }
}

fn mask(ui: &mut Ui, state: &State, document: &Document, layer: &MaskLayer, sender: &Sender) {
    let (name, label) = (layer.role.name(), layer.role.word());
    let file = layer.path.as_deref().map(file_name);
    let drawn = state.draws(document, layer);
    let file = file.map(|file| match layer.more_files.len() {
        0 => file,
        more => format!("{file} and {more} more"),
    });
    let row = ListRow::new(name).subtitle(file.as_deref().unwrap_or("not saved")).dim(!drawn);
    let (eye, does) = if drawn { (icon::EYE, "Hide") } else { (icon::EYE_OFF, "Show") };
    let (eye_label, remove_label) = (format!("{does} {label}"), format!("Remove {label}"));
    // A finished segmentation has its own button below.
    let save_label = (layer.role == MaskRole::Reference && layer.is_unsaved()).then(|| format!("Save {label} as…"));
    let (response, (removed, toggled)) = row.show_with(ui, |ui| {
        let removed = ui.add(IconButton::new(icon::CLOSE, &remove_label).small()).clicked();
        if let Some(save_label) = &save_label
            && ui.add(IconButton::new(icon::SAVE, save_label).small()).clicked()
        {
            sender.send(FileCommand::SaveAs(layer.role));
        }
        (removed, ui.add(IconButton::new(eye, &eye_label).small()).clicked())
    });
    let response = response.accessible_name(format!("Layer {name}"));
    if removed {
        match layer.role {
            MaskRole::Segmentation => sender.send(Intent::RemoveSegmentation),
            MaskRole::Reference => sender.send(FileCommand::RemoveReference),
        }
    } else if toggled || response.clicked() {
        draw(state, document, layer, !drawn, sender);
    }
    if layer.path.is_some() {
        let files: Vec<String> = layer.files().iter().map(|path| path.display().to_string()).collect();
        response.on_hover_text(files.join("\n"));
    }
}

/// Volumes in ml of a label in the segmentation and in the reference.
type Volumes = [Option<f64>; 2];

/// Labels of both masks, which share colours and switches.
fn labels(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    ui.spacing_mut().item_spacing.y = 0.0;
    for label in document.labels() {
        let volume = |role| {
            let entry = document.mask(role)?.table.iter().find(|entry| entry.value == label)?;
            Some(entry.volume_ml)
        };
        let (name, volume) = (document.label_name(label), volume_text(MaskRole::ALL.map(volume)));
        let shown = !state.session.view.hidden_labels.contains(&label);
        let row = ListRow::new(&name).swatch(document.label_colour(label)).trailing(&volume).dim(!shown);
        let (eye, does) = if shown { (icon::EYE, "Hide") } else { (icon::EYE_OFF, "Show") };
        let eye_label = format!("{does} label {label}");
        let (response, toggled) = row.show_with(ui, |ui| ui.add(IconButton::new(eye, &eye_label).small()).clicked());
        if toggled || response.clicked() {
            sender.send(OverlayCommand::ShowLabel(label, !shown));
        }
    }
    if let Some(guess) = document.guessed_labels() {
        text::note(ui, &guess);
    }
}

fn volume_text(volumes: Volumes) -> String {
    match volumes {
        [Some(volume), None] | [None, Some(volume)] => format::volume(volume),
        [Some(segmentation), Some(reference)] => {
            let [segmentation, reference] = [segmentation, reference].map(format::volume);
            // The unit once, if both have the same: a narrow panel has no room for two.
            let unit = |text: &str| text.rsplit_once(' ').map(|(_, unit)| unit.to_owned());
            let same = unit(&segmentation) == unit(&reference);
            let first = segmentation.rsplit_once(' ').filter(|_| same).map_or(&*segmentation, |(number, _)| number);
            format!("{first} / {reference}")
        }
        [None, None] => String::new(),
    }
}

/// Colours and patterns of the comparison.
fn legend(ui: &mut Ui, document: &Document) {
    ui.spacing_mut().item_spacing.y = 0.0;
    legend_row(ui, "Both", Pattern::Solid, palette::TRUE_POSITIVE);
    legend_row(ui, "Segmentation only", Pattern::Hatched, palette::FALSE_POSITIVE);
    legend_row(ui, "Reference only", Pattern::Dashed, palette::FALSE_NEGATIVE);
    if document.compares_labels() {
        legend_row(ui, "Wrong label", Pattern::Chequered, palette::WRONG_LABEL);
    }
}

fn legend_row(ui: &mut Ui, name: &str, pattern: Pattern, color: Color32) {
    let t = theme::tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), size::ROW_DENSE), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name}: {}", pattern.name())));
    let middle = rect.center().y;
    let swatch = Rect::from_center_size(pos2(rect.left() + space::S + 9.0, middle), vec2(18.0, 12.0));
    // On black, as over an image.
    ui.painter().rect_filled(swatch.expand(1.0), 1.0, t.image);
    pattern.paint(ui.painter(), swatch, color);
    let name_at = pos2(swatch.right() + space::S, middle);
    let name = ui.painter().text(name_at, Align2::LEFT_CENTER, name, font::body(), t.text);
    let caption = ui.painter().layout_no_wrap(pattern.name().to_owned(), font::caption(), t.text_dim);
    let place = Align2::RIGHT_CENTER.anchor_size(pos2(rect.right() - space::S, middle), caption.size());
    // In a narrow panel only the swatch shows the pattern.
    if name.right() + space::M <= place.left() {
        ui.painter().galley(place.min, caption, t.text_dim);
    }
}

/// Opacity, fill and outline.
fn style(ui: &mut Ui, state: &State, sender: &Sender) {
    let settings = &state.session.settings;
    let mut percent = settings.opacity * 100.0;
    let opacity = Slider::new(&mut percent, "Opacity", 0.0..=100.0).decimals(0).step(1.0).unit("%").shortcut("A / D");
    if opacity.show(ui).changed() {
        sender.send(OverlayCommand::SetOpacity(percent / 100.0));
    }
    let (mut fill, mut outline) = (settings.fill, settings.outline);
    let filled = ui.add(Toggle::new(&mut fill, "Fill")).changed();
    let outlined = ui.add(Toggle::new(&mut outline, "Outline")).changed();
    if filled || outlined {
        sender.send(OverlayCommand::SetStyle { fill, outline });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panel of the default width has no room for a second "ml".
    #[test]
    fn two_volumes_share_their_unit() {
        assert_eq!(volume_text([Some(1119.0), Some(367.0)]), "1119 / 367 ml");
        assert_eq!(volume_text([Some(0.05), Some(367.0)]), "50.0 \u{b5}l / 367 ml");
        assert_eq!(volume_text([None, Some(0.768)]), "0.768 ml");
    }
}
