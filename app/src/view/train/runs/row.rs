//! One row of the table of runs.

use egui::{Align, Color32, Layout, Response, RichText, Role, Sense, Ui, WidgetInfo};
use egui_extras::TableRow;
use engine::run::workspace::RunEntry;

use crate::command::{Command, RunsCommand, Sender, TimelineCommand, TrainCommand};
use crate::state::State;
use crate::state::runs::{Column, Row, RunStatus};
use crate::state::train::Phase;
use crate::theme::{self, Icon, Tokens, font, icon};
use crate::widget::text;
use crate::widget::{IconButton, ListRow};

/// Draws the cells of a run: optionally its tick, then those of `columns`. Returns their combined response.
pub(super) fn show(
    cells: &mut TableRow<'_, '_>,
    state: &State,
    tick: bool,
    columns: &[Column],
    row: &Row<'_>,
    sender: &Sender,
) -> Response {
    let run = row.run;
    let chosen = state.session.runs.selected.as_ref() == Some(&run.path);
    cells.set_selected(chosen);
    if tick {
        cells.col(|ui| tick_cell(ui, state, run, sender));
    }
    for column in columns {
        cells.col(|ui| match column {
            Column::Name => name_cell(ui, row, chosen, sender),
            Column::Status => status_cell(ui, row, sender),
            Column::Notes => notes_cell(ui, state, run, sender),
            _ => text_cell(ui, column, row),
        });
    }
    let response = cells.response();
    if response.double_clicked() {
        sender.send(Command::Timeline(TimelineCommand::Open(run.path.clone())));
    } else if response.clicked() {
        sender.send(Command::Runs(RunsCommand::Choose(Some(run.path.clone()))));
    }
    response
}

/// Ticked runs are compared.
fn tick_cell(ui: &mut Ui, state: &State, run: &RunEntry, sender: &Sender) {
    let ticked = state.session.runs.ticked.contains(&run.path);
    let name = format!("Tick {} to compare it", run.name);
    let drawing = if ticked { icon::TICKED } else { icon::UNTICKED };
    if ui.add(IconButton::new(drawing, &name).small().selected(ticked)).clicked() {
        sender.send(Command::Runs(RunsCommand::Tick(run.path.clone())));
    }
}

/// Icon of a run's status.
fn mark(status: &RunStatus<'_>, t: &Tokens) -> (Icon, Color32) {
    match status {
        RunStatus::Now(Phase::Paused) => (icon::PAUSE, t.accent_text),
        RunStatus::Now(_) | RunStatus::Elsewhere => (icon::TRAIN, t.accent_text),
        RunStatus::Evaluating => (icon::BARS, t.accent_text),
        RunStatus::Queued => (icon::CLOCK, t.text_dim),
        RunStatus::Finished => (icon::DONE, t.ok),
        RunStatus::Stopped => (icon::STOP, t.text_dim),
        RunStatus::Failed(_) => (icon::ERROR, t.error),
        RunStatus::Broken(_) => (icon::WARN, t.warn),
    }
}

fn name_cell(ui: &mut Ui, row: &Row<'_>, chosen: bool, sender: &Sender) {
    let run = row.run;
    let (drawing, color) = mark(&row.status, theme::tokens(ui));
    let response = ui.add(ListRow::new(&run.name).icon_colored(drawing, color).selected(chosen).in_table());
    let why = row.explained();
    let response = response.accessible_name(format!("Run {}", run.name));
    ui.accesskit_node_builder(response.id, |node| node.set_description(why.as_str()));
    let response = response.on_hover_text(format!("{}\n{why}", run.path.display()));
    if response.double_clicked() {
        sender.send(Command::Timeline(TimelineCommand::Open(run.path.clone())));
    } else if response.clicked() {
        sender.send(Command::Runs(RunsCommand::Choose(Some(run.path.clone()))));
    }
}

/// Status of a run, with a button to resume it where possible.
fn status_cell(ui: &mut Ui, row: &Row<'_>, sender: &Sender) {
    let color = theme::tokens(ui).text;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        if row.can_resume() {
            let name = format!("Resume {}", row.run.name);
            if ui.add(IconButton::new(icon::PLAY, &name).small()).clicked() {
                sender.send(Command::Train(TrainCommand::Resume(row.run.path.clone())));
            }
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let word = RichText::new(row.status.name()).font(font::body()).color(color);
            text::line(ui, word).on_hover_text(row.explained());
        });
    });
}

fn text_cell(ui: &mut Ui, column: &Column, row: &Row<'_>) {
    let t = theme::tokens(ui);
    let content = column.text(row);
    let content = if content.is_empty() { "\u{2013}".to_owned() } else { content };
    let font = if column.is_number() || *column == Column::Date { font::number() } else { font::body() };
    let text = RichText::new(content).font(font).color(t.text);
    let shown = if column.is_number() {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| text::line(ui, text)).inner
    } else {
        text::line(ui, text)
    };
    if let Some(meaning) = column.explained() {
        shown.on_hover_text(meaning);
    }
}

/// The first line of the notes, as they are typed.
fn notes_cell(ui: &mut Ui, state: &State, run: &RunEntry, sender: &Sender) {
    let t = theme::tokens(ui);
    let editing = state.session.run_table.editing.as_ref().filter(|(path, _)| *path == run.path);
    let notes = editing.map_or(&run.notes, |(_, typed)| typed);
    let empty = notes.is_empty();
    let shown = if empty { "\u{2013}" } else { notes.lines().next().unwrap_or_default() };
    let color = if empty { t.text_dim } else { t.text };
    let label = egui::Label::new(RichText::new(shown).font(font::body()).color(color)).truncate();
    if editing.is_some() {
        ui.add(label);
        return;
    }
    let response = ui.add(label.sense(Sense::click()));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Notes of {}", run.name)));
    if response.clicked() {
        sender.send(Command::Runs(RunsCommand::EditNotes(run.path.clone(), run.notes.clone())));
    }
}
