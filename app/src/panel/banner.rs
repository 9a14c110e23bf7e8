//! The banner with the patient's identity.

use egui::{Align2, Panel, Sense, Ui, vec2};

use crate::command::{Sender, SeriesCommand};
use crate::state::dicom::PatientInfo;
use crate::state::{Document, Mode, State};
use crate::theme::{self, font, icon, size, space};
use crate::widget::IconButton;

/// Draws it above the views, unless hidden or without DICOM images.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let shown = state.shows_patient() && state.session.mode != Mode::Train && state.browsed().is_none();
    let dicom = state.document.as_ref().and_then(Document::dicom).filter(|_| shown);
    let Some(dicom) = dicom else { return };
    let frame = super::frame(ui);
    Panel::top("patient").exact_size(size::CONTROL).frame(frame).show(ui, |ui| {
        ui.horizontal_centered(|ui| {
            let (rect, response) = ui.allocate_exact_size(
                vec2(ui.available_width() - size::ROW_DENSE - space::S, size::ROW_DENSE),
                Sense::hover(),
            );
            let text = text(&dicom.patient);
            let color = theme::tokens(ui).text;
            let line = crate::widget::text::one_line(ui, &text, font::strong(), color, rect.width());
            ui.painter().galley(Align2::LEFT_CENTER.anchor_size(rect.left_center(), line.size()).min, line, color);
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("Patient {text}")));
            let hide = IconButton::new(icon::EYE_OFF, "Hide the patient").shortcut("H").small();
            if ui.add(hide).clicked() {
                sender.send(SeriesCommand::ShowPatient(false));
            }
        });
    });
}

/// Name, id and date, if known.
fn text(patient: &PatientInfo) -> String {
    let parts = [&patient.name, &patient.id, &patient.date];
    let known: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    if known.is_empty() { "Unnamed".to_owned() } else { known.join("  \u{b7}  ") }
}
