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
use crate::view::train::results::number;
use crate::widget::{IconButton, format, text};

/// Width of the column with the buttons.
const OPEN: f32 = 30.0;
/// Width of the names.
const NAME: f32 = 112.0;
/// Minimum width of numbers.
const NUMBER: f32 = 52.0;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let Some((group, method)) = state.study_cell() else {
        return nothing(ui, icon::PATIENT, "Click a cell of the table to see its patients.");
    };
    let patients = state.study_patients(group, &method.method);
    if patients.is_empty() {
        return nothing(ui, icon::PATIENT, "No result yet.");
    }
    let (metric, cell) = (state.study_metric(), state.session.study.cell.clone());
    let of =
        format!("{} at {}: {}", method.method, group.budget, format::plural(patients.len(), "patient", "patients"));
    let units = patients.iter().map(StudyPatient::units).max().unwrap_or(1);
    let name = column_of(metric).meaning();
    let order = if units > 1 {
        format!("{of}, means over {units} draws and seeds. A click opens the draw with the worst {name}.")
    } else {
        format!("{of}, the worst {name} first. A click opens the worst slice.")
    };
    text::note(ui, &order);
    ui.add_space(space::XS);
    ui.spacing_mut().item_spacing.x = space::XS;
    let builder = TableBuilder::new(ui)
        .id_salt("study patients")
        .striped(true)
        .vscroll(false)
        .sense(egui::Sense::click())
        .cell_layout(Layout::right_to_left(Align::Center))
        .column(Width::exact(OPEN))
        .column(Width::initial(NAME).at_least(NAME).clip(true))
        .columns(Width::remainder().at_least(NUMBER), Column::ALL.len() - 1);
    let table = builder.header(size::ROW_TALL, |mut row| {
        row.col(|_| ());
        for column in Column::ALL {
            row.col(|ui| heading(ui, column, column == column_of(metric)));
        }
    });
    table.body(|body| {
        body.rows(size::ROW, patients.len(), |mut row| {
            let patient = &patients[row.index()];
            if patient_row(&mut row, patient, units, metric)
                && let Some(cell) = cell.clone()
            {
                sender.send(Command::Study(StudyCommand::OpenPatient(cell, patient.name.to_owned())));
            }
        });
    });
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
