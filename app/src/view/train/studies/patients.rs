//! The test patients of the chosen cell, the worst first.

use egui::{Align, Label, Layout, RichText, Ui};
use egui_extras::{Column as Width, TableBuilder, TableRow};
use engine::study::summary::Metric;

use super::nothing;
use crate::command::{Command, Sender, StudyCommand};
use crate::state::State;
use crate::state::study::{StudyPatient, column_of};
use crate::state::train::Column;
use crate::theme::{self, Icon, font, icon, size, space};
use crate::view::train::results::{number, width};
use crate::widget::{IconButton, format, scroll_across, text};

/// Width of the column with the buttons.
const OPEN: f32 = 30.0;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let Some((group, method)) = state.study_cell() else {
        return nothing(ui, icon::PATIENT, "Click a cell of the table to see its patients.");
    };
    let patients = state.study_patients(group, &method.method);
    if patients.is_empty() {
        return nothing(ui, icon::PATIENT, "No result yet.");
    }
    let (metric, cell) = (state.study_metric(), state.session.study.cell.clone());
    let labelled = format::plural(group.labelled, "labelled patient", "labelled patients");
    let tested = format::plural(patients.len(), "test patient", "test patients");
    let of = format!("{} with {labelled}: {tested}", method.method);
    let units = patients.iter().map(StudyPatient::units).max().unwrap_or(1);
    let name = column_of(metric).meaning();
    let order = if units > 1 {
        format!("{of}, means over {units} runs (draws and seeds). A click opens the run with the worst {name}.")
    } else {
        format!("{of}, the worst {name} first. A click opens the worst slice.")
    };
    text::note(ui, &order);
    ui.add_space(space::XS);
    let clicked = scroll_across(ui, "study patients", |ui| table(ui, &patients, units, metric));
    if let (Some(patient), Some(cell)) = (clicked, cell) {
        sender.send(Command::Study(StudyCommand::OpenPatient(cell, patient.to_owned())));
    }
}

/// Draws them; returns the patient to open.
fn table<'a>(ui: &mut Ui, patients: &[StudyPatient<'a>], units: usize, metric: Metric) -> Option<&'a str> {
    ui.spacing_mut().item_spacing.x = space::XS;
    let widths = Column::ALL.map(|column| width(ui, column, patients.iter().map(|patient| patient.name), 0.0));
    let mut builder = TableBuilder::new(ui)
        .id_salt("study patients")
        .striped(true)
        .vscroll(false)
        .sense(egui::Sense::click())
        .cell_layout(Layout::right_to_left(Align::Center))
        .column(Width::exact(OPEN))
        .column(Width::exact(widths[0]).clip(true));
    for width in &widths[1..] {
        builder = builder.column(Width::remainder().at_least(*width));
    }
    let table = builder.header(size::ROW_TALL, |mut row| {
        row.col(|_| ());
        for column in Column::ALL {
            row.col(|ui| heading(ui, column, column == column_of(metric)));
        }
    });
    let mut clicked = None;
    table.body(|body| {
        body.rows(size::ROW, patients.len(), |mut row| {
            let patient = &patients[row.index()];
            if patient_row(&mut row, patient, units, metric) {
                clicked = Some(patient.name);
            }
        });
    });
    clicked
}

fn heading(ui: &mut Ui, column: Column, sorts: bool) {
    let t = theme::tokens(ui);
    let color = if sorts { t.text } else { t.text_dim };
    let layout = if column == Column::Patient { Layout::left_to_right(Align::Center) } else { *ui.layout() };
    ui.with_layout(layout, |ui| {
        let text = column.head().join("\n").trim_end().to_owned();
        let align = if column == Column::Patient { Align::Min } else { Align::Max };
        let label = Label::new(RichText::new(text).font(font::caption()).color(color)).halign(align);
        ui.add(label).on_hover_text(column.meaning());
    });
}

/// True if the patient is to be opened.
fn patient_row(row: &mut TableRow<'_, '_>, patient: &StudyPatient<'_>, units: usize, metric: Metric) -> bool {
    let mut clicked = false;
    row.col(|ui| {
        let label = format!("Open {} at its worst slice", patient.name);
        clicked = ui.add(IconButton::new(icon::EXTERNAL, &label).small()).clicked();
    });
    row.col(|ui| {
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let name = RichText::new(patient.name).font(font::body()).color(theme::tokens(ui).text);
            ui.add(Label::new(name).truncate().selectable(false));
            let notes = patient.notes().join("\n");
            if !notes.is_empty() {
                let mark = RichText::new(icon::INFO.char().to_string()).font(Icon::font(size::ICON_SMALL));
                ui.label(mark.color(theme::tokens(ui).warn)).on_hover_text(notes);
            }
        });
    });
    for column in &Column::ALL[1..] {
        // A mean of counts is not an integer.
        let decimals = column.decimals().max(usize::from(units > 1));
        row.col(|ui| number(ui, patient.mean(*column), decimals));
    }
    let response = row.response();
    let worst = patient.worst(metric).filter(|_| units > 1);
    let response = match worst {
        Some(worst) => response.on_hover_text(format!(
            "Worst in draw {}, seed {}: {} {}",
            worst.cell.draw + 1,
            worst.cell.seed,
            column_of(metric).head()[0],
            format::fixed(metric.of(&worst.measures), metric.decimals())
        )),
        None => response,
    };
    clicked || response.clicked()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use egui::{Pos2, Rect, vec2};
    use engine::findings::Lesions;
    use engine::metrics::Measures;
    use engine::study::{Cell, Row};

    use super::*;

    #[test]
    fn no_heading_of_a_narrow_page_covers_its_neighbour_and_no_name_is_cut() {
        let ctx = egui::Context::default();
        theme::install(&ctx, theme::Theme::Dark);
        let cell = Cell { cohort: "lgg".into(), budget: "5".into(), method: "amlp".into(), fold: 0, draw: 0, seed: 0 };
        let name = "TCGA_DU_A5TT_19980318";
        let row = Row {
            cell,
            labelled: 5,
            scan: name.into(),
            patient: name.into(),
            measures: Measures {
                dsc: 0.5,
                sensitivity: 0.5,
                precision: 0.5,
                boundary_iou: 0.5,
                hd95_mm: 300.5,
                volume_ml: 1090.57,
                truth_volume_ml: 883.99,
                lesions: Lesions { tp: 1, missed: 0, fp: 12 },
                notes: vec!["no voxel is segmented".into()],
            },
            run: "a".into(),
        };
        let patients = [StudyPatient { name, rows: vec![&row] }];
        let mut texts: Vec<(String, Rect, Rect)> = Vec::new();
        // The first frame measures the table.
        for _ in 0..3 {
            let screen = Rect::from_min_size(Pos2::ZERO, vec2(600.0, 200.0));
            let input = egui::RawInput { screen_rect: Some(screen), ..egui::RawInput::default() };
            let output = ctx.run_ui(input, |ui| {
                scroll_across(ui, "study patients", |ui| table(ui, &patients, 1, Metric::Dsc));
            });
            let found = output.shapes.iter().filter_map(|clipped| match &clipped.shape {
                egui::Shape::Text(text) => {
                    Some((text.galley.text().to_owned(), text.visual_bounding_rect(), clipped.clip_rect))
                }
                _ => None,
            });
            texts = found.collect();
            output.drop_without_applying_deltas();
        }
        for (at, (text, place, _)) in texts.iter().enumerate() {
            let covered = texts[..at].iter().find(|(_, other, _)| other.shrink(0.5).intersects(place.shrink(0.5)));
            assert!(covered.is_none(), "{text} and {covered:?} overlap");
        }
        let mark = icon::INFO.char().to_string();
        for text in [name, &mark] {
            let (_, place, clip) = texts.iter().find(|(found, ..)| found == text).unwrap();
            assert!(place.right() <= clip.right() + 0.5, "{text} at {place:?} is cut at {clip:?}");
        }
    }
}
