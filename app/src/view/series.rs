//! The series browser: the patients, studies and series of a DICOM folder or archive. A series is opened by a double
//! click or Enter, or dragged onto a view.

use egui::{Align, FontId, Frame, Id, Key, Layout, Margin, RichText, ScrollArea, Ui};
use engine::words::plural;

use crate::command::{Command, Sender, SeriesCommand};
use crate::panel::left::thumbnails::Thumbnails;
use crate::state::dicom::{ListedPatient, ListedStudy};
use crate::state::{Intent, ListedSeries, SeriesKind, SeriesList, State};
use crate::theme::{self, font, icon, space};
use crate::widget::{ButtonKind, IconButton, PushButton, ThumbnailRow, Tone};
use crate::widget::{format, text};

/// Maximum width of the list.
const WIDTH: f32 = 760.0;
/// Below this width, the list has icons in place of buttons.
const NARROW: f32 = 320.0;

/// Draws the list in the centre.
pub(super) fn show(ui: &mut Ui, state: &State, list: &SeriesList, sender: &Sender) {
    ui.painter().rect_filled(ui.max_rect(), 0.0, theme::tokens(ui).window);
    let side = ((ui.available_width() - WIDTH) / 2.0).max(space::XL).min(i8::MAX.into());
    let margin = Margin { left: side as i8, right: side as i8, top: space::L as i8, bottom: space::L as i8 };
    Frame::new().inner_margin(margin).show(ui, |ui| {
        head(ui, state, list, sender);
        ui.add_space(space::S);
        ScrollArea::vertical().id_salt("series browser").auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            patients(ui, state, list, sender);
        });
    });
}

/// Name and content of the folder, and its buttons.
fn head(ui: &mut Ui, state: &State, list: &SeriesList, sender: &Sender) {
    let t = theme::tokens(ui);
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if state.document.is_some() {
                let back = PushButton::new("Back to the views").icon(icon::CHEVRON_LEFT);
                if ui.add(back).clicked() {
                    sender.send(SeriesCommand::Browse(false));
                }
            }
            if list.is_folder {
                let cases = ui.add(PushButton::new("Open as cases").icon(icon::COHORT).kind(ButtonKind::Quiet));
                if cases.on_hover_text("Lists the patients as the cases of a review").clicked() {
                    sender.send(SeriesCommand::OpenAsCases);
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                source_name(ui, state, list, font::heading());
            });
        });
    });
    let (patients, series) = (list.patients.len(), list.series().count());
    let count = format!("{}, {}", plural(patients, "patient", "patients"), plural(series, "series", "series"));
    text::note(ui, &format!("{count}. Double-click or press Enter to open, or drag a series onto a view."));
    for warning in &list.warnings {
        text::with_icon(ui, icon::WARN, t.warn, |ui| text::note(ui, warning));
    }
}

/// Draws the name of the folder, which often names the patient.
pub(crate) fn source_name(ui: &mut Ui, state: &State, list: &SeriesList, font: FontId) {
    let color = theme::tokens(ui).text;
    let name = if state.shows_patient() { format::file_name(&list.source) } else { "DICOM series".to_owned() };
    let shown = text::line(ui, RichText::new(name).font(font).color(color));
    if state.shows_patient() {
        shown.on_hover_text(list.source.display().to_string());
    }
}

/// The list, in the centre or in the panel beside the views.
pub(crate) fn patients(ui: &mut Ui, state: &State, list: &SeriesList, sender: &Sender) {
    let thumbnails = Thumbnails::of(ui);
    for (n, patient) in list.patients.iter().enumerate() {
        ui.add_space(space::S);
        let color = theme::tokens(ui).text;
        text::line(ui, RichText::new(patient_title(patient, n, state)).font(font::strong()).color(color));
        for (n, study) in patient.studies.iter().enumerate() {
            study_head(ui, study, n, state, sender);
            for series in &study.series {
                row(ui, state, list, series, &thumbnails, sender);
            }
        }
    }
}

fn patient_title(patient: &ListedPatient, n: usize, state: &State) -> String {
    let known: Vec<&str> = [&*patient.name, &*patient.id].into_iter().filter(|text| !text.is_empty()).collect();
    if state.shows_patient() && !known.is_empty() { known.join("  \u{b7}  ") } else { format!("Patient {}", n + 1) }
}

/// Date and description of a study, and its buttons.
fn study_head(ui: &mut Ui, study: &ListedStudy, n: usize, state: &State, sender: &Sender) {
    let known: Vec<&str> = [&*study.date, &*study.description].into_iter().filter(|text| !text.is_empty()).collect();
    let shown = state.shows_patient() && !known.is_empty();
    let title = if shown { known.join("  \u{b7}  ") } else { format!("Study {}", n + 1) };
    let color = theme::tokens(ui).text_dim;
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some(pair) = study.ct_and_pet()
                && fuse_button(ui)
            {
                sender.send(Intent::FuseSeries(pair));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                text::line(ui, RichText::new(title).font(font::caption()).color(color));
            });
        });
    });
}

/// Button to fuse CT and PET, with its name if that fits. True if clicked.
fn fuse_button(ui: &mut Ui) -> bool {
    let name = "Fuse CT and PET";
    if ui.available_width() < NARROW {
        return ui.add(IconButton::new(icon::BLEND, name).small()).clicked();
    }
    ui.add(PushButton::new(name).icon(icon::BLEND)).clicked()
}

fn row(ui: &mut Ui, state: &State, list: &SeriesList, series: &ListedSeries, thumbnails: &Thumbnails, sender: &Sender) {
    let (name, shows_patient) = (series.title(), state.shows_patient());
    let facts = list.facts(series, shows_patient);
    let described = shows_patient && !series.description.is_empty();
    let title = if described { format!("{name}  \u{b7}  {}", series.description) } else { name.clone() };
    // In the panel there is room for the name and one line of text.
    let narrow = ui.available_width() < NARROW;
    let (first, second) = match (narrow, described) {
        (true, true) => (name.replace(" series", ""), series.description.clone()),
        (true, false) => (name.replace(" series", ""), facts.clone()),
        (false, _) => (title.clone(), facts.clone()),
    };
    let picture = series.thumbnail.as_ref();
    let texture = picture.map(|picture| thumbnails.texture(ui, Id::unique(("series", series.id)), picture));
    let warnings = series.warnings.join("\n");
    let status = if let Some(why) = &series.error {
        Some((icon::ERROR, Tone::Error, why.as_str()))
    } else if !warnings.is_empty() {
        Some((icon::WARN, Tone::Warn, warnings.as_str()))
    } else if state.is_open_series(series) {
        Some((icon::EYE, Tone::Accent, "Open"))
    } else if matches!(series.kind, SeriesKind::Overlay(_)) {
        Some((icon::LAYERS, Tone::Accent, "Opens over its images"))
    } else {
        None
    };
    // The tooltip says what a narrow list leaves out.
    let about = narrow.then(|| format!("{title}\n{facts}"));
    let meaning =
        status.map(|(_, _, meaning)| about.iter().map(String::as_str).chain([meaning]).collect::<Vec<_>>().join("\n"));
    let mut row =
        ThumbnailRow::new(&first, &second).texture(texture).selected(list.chosen == Some(series.id)).draggable();
    if let (Some((icon, tone, _)), Some(meaning)) = (status, &meaning) {
        row = row.status(icon, tone, meaning);
    }
    let response = ui.add(row).accessible_name(&name);
    // Without a focused control, Enter opens the selected series of the list in the centre.
    let unfocused = ui.memory(|memory| memory.focused().is_none()) && state.dialog.is_none();
    let chosen = list.chosen == Some(series.id) && state.browsed().is_some() && unfocused;
    let entered = (response.has_focus() || chosen) && ui.input(|input| input.key_pressed(Key::Enter));
    if response.double_clicked() || entered {
        sender.send(Intent::OpenSeries(series.id));
    } else if response.clicked() {
        response.request_focus();
        sender.send(Command::Series(SeriesCommand::Choose(series.id)));
    }
    response.dnd_set_drag_payload(series.id);
    if let (Some(about), None) = (about, status) {
        response.on_hover_text(about);
    }
}
