//! All runs of the workspace.

use egui::{
    Align, Align2, Color32, Frame, Key, Layout, Margin, RichText, Role, ScrollArea, Sense, TextEdit, Ui, UiBuilder,
    WidgetInfo, vec2,
};
use egui_extras::{Column as Width, TableBuilder, TableRow};
use engine::run::workspace::RunEntry;

use crate::command::{Command, RunsCommand, Sender, TimelineCommand, TrainCommand};
use crate::state::State;
use crate::state::runs::{Column, Row, Standing, dice_meaning};
use crate::state::train::Phase;
use crate::theme::{self, Icon, Tokens, font, icon, radius, size, space};
use crate::widget::text;
use crate::widget::{ButtonKind, EmptyState, ErrorState, IconButton, ListRow, LoadingState, PushButton, SearchField};

/// Width of the filter field.
const FILTER: f32 = 200.0;

/// Column spacing: all columns fit between the panels of a window of 1280 points.
const COLUMNS: f32 = 6.0;

/// Draws it.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let room = Margin { left: space::L as i8, right: space::L as i8, top: space::S as i8, bottom: space::M as i8 };
    Frame::new().inner_margin(room).show(ui, |ui| {
        head(ui, state, sender);
        ui.add_space(space::S);
        match (&state.cache.runs.entries, &state.cache.runs.failed) {
            (_, Some(why)) => {
                if ErrorState::new("Cannot list the runs", why).retry("Try again").show(ui) {
                    sender.send(Command::Runs(RunsCommand::Refresh));
                }
            }
            (None, None) => {
                LoadingState::new("Listing the runs of the workspace", None).show(ui);
            }
            (Some(runs), None) if runs.is_empty() => {
                EmptyState::new(icon::BRAIN, "No runs yet. Start a training to create one.").show(ui);
            }
            (Some(_), None) => {
                ScrollArea::horizontal().id_salt("runs").show(ui, |ui| table(ui, state, sender));
            }
        }
    });
}

/// Filter, workspace, and actions on the selected run.
fn head(ui: &mut Ui, state: &State, sender: &Sender) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), size::CONTROL), Sense::hover());
    let layout = Layout::right_to_left(Align::Center);
    let mut row = ui.new_child(UiBuilder::new().max_rect(rect).layout(layout));
    row.spacing_mut().item_spacing.x = space::S;
    let chosen = state.selected_run();
    let button = |ui: &mut Ui, button: PushButton<'_>, command: &dyn Fn(&RunEntry) -> Command| {
        if ui.add_enabled(chosen.is_some(), button).clicked()
            && let Some(run) = chosen
        {
            sender.send(command(run));
        }
    };
    let delete = PushButton::new("Delete\u{2026}").icon(icon::TRASH).kind(ButtonKind::Quiet);
    button(&mut row, delete, &|run| Command::Runs(RunsCommand::AskDelete(run.path.clone())));
    button(&mut row, PushButton::new("Notes").icon(icon::EDIT), &|run| {
        Command::Runs(RunsCommand::EditNotes(run.path.clone(), run.notes.clone()))
    });
    button(&mut row, PushButton::new("Compare").icon(icon::SIDE_BY_SIDE), &|run| {
        Command::Timeline(TimelineCommand::Compare(run.path.clone()))
    });
    button(&mut row, PushButton::primary("Open").icon(icon::CURVES), &|run| {
        Command::Timeline(TimelineCommand::Open(run.path.clone()))
    });
    row.with_layout(Layout::left_to_right(Align::Center), |ui| {
        let mut filter = state.session.run_table.filter.clone();
        let room = vec2(FILTER.min(ui.available_width()), size::CONTROL);
        let changed = ui.allocate_ui(room, |ui| SearchField::new(&mut filter, "Filter runs").show(ui).changed()).inner;
        if changed {
            sender.send(Command::Runs(RunsCommand::Filter(filter)));
        }
        let workspace = state.session.settings.workspace();
        let color = theme::tokens(ui).text_dim;
        let place = RichText::new(workspace.display().to_string()).font(font::caption()).color(color);
        text::line(ui, place);
    });
}

fn table(ui: &mut Ui, state: &State, sender: &Sender) {
    let rows = state.run_rows();
    if rows.is_empty() {
        EmptyState::new(icon::FILTER, "No run matches the filter.").show(ui);
        return;
    }
    ui.spacing_mut().item_spacing.x = COLUMNS;
    let builder = TableBuilder::new(ui)
        .id_salt("runs")
        .striped(true)
        .sense(Sense::click())
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Width::initial(120.0).at_least(80.0).resizable(true).clip(true))
        .column(Width::initial(72.0).clip(true))
        .column(Width::initial(54.0).resizable(true).clip(true))
        .column(Width::initial(70.0).resizable(true).clip(true))
        .column(Width::initial(54.0).resizable(true).clip(true))
        .column(Width::initial(46.0).clip(true))
        .column(Width::initial(68.0).clip(true))
        .column(Width::initial(120.0).clip(true))
        .column(Width::initial(36.0).resizable(true).clip(true))
        .column(Width::remainder().at_least(46.0).clip(true));
    let table = builder.header(size::ROW, |mut row| {
        for column in Column::ALL {
            row.col(|ui| head_cell(ui, state, column, sender));
        }
    });
    table.body(|body| {
        body.rows(size::ROW, rows.len(), |mut row| {
            let of = &rows[row.index()];
            run_row(&mut row, state, of, sender);
        });
    });
}

/// A column heading that sorts, with an arrow for the direction.
fn head_cell(ui: &mut Ui, state: &State, column: Column, sender: &Sender) {
    let t = theme::tokens(ui);
    let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click());
    let sorted = state.session.run_table.column == column;
    let name = format!("Sort by {}", column.head());
    response.widget_info(|| WidgetInfo::selected(Role::ColumnHeader, ui.is_enabled(), sorted, &name));
    let color = if sorted || response.hovered() { t.text } else { t.text_dim };
    let painter = ui.painter().with_clip_rect(rect);
    let (place, anchor) = if column.is_number() {
        (rect.right_center(), Align2::RIGHT_CENTER)
    } else {
        (rect.left_center(), Align2::LEFT_CENTER)
    };
    let at = painter.text(place, anchor, column.head(), font::caption(), color);
    if sorted {
        let drawing = if state.session.run_table.rising { icon::CHEVRON_UP } else { icon::CHEVRON_DOWN };
        let x = if column.is_number() { at.left() - space::S } else { at.right() + space::S };
        let middle = egui::pos2(x, rect.center().y);
        ui.painter().text(middle, Align2::CENTER_CENTER, drawing.char(), Icon::font(size::ICON_SMALL), t.accent_text);
    }
    if response.has_focus() {
        let ring = egui::Stroke::new(size::FOCUS_RING, t.focus);
        ui.painter().rect_stroke(rect, radius::S, ring, egui::StrokeKind::Inside);
    }
    if response.clicked() {
        sender.send(Command::Runs(RunsCommand::Sort(column)));
    }
}

fn run_row(cells: &mut TableRow<'_, '_>, state: &State, row: &Row<'_>, sender: &Sender) {
    let run = row.run;
    let chosen = state.session.runs.selected.as_ref() == Some(&run.path);
    cells.set_selected(chosen);
    for column in Column::ALL {
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
}

/// Icon of a run's status.
fn mark(standing: &Standing<'_>, t: &Tokens) -> (Icon, Color32) {
    match standing {
        Standing::Now(Phase::Paused) => (icon::PAUSE, t.accent_text),
        Standing::Now(_) | Standing::Elsewhere => (icon::TRAIN, t.accent_text),
        Standing::Queued => (icon::CLOCK, t.text_dim),
        Standing::Finished => (icon::DONE, t.ok),
        Standing::Stopped => (icon::STOP, t.text_dim),
        Standing::Failed(_) => (icon::ERROR, t.error),
        Standing::Broken(_) => (icon::WARN, t.warn),
    }
}

fn name_cell(ui: &mut Ui, row: &Row<'_>, chosen: bool, sender: &Sender) {
    let run = row.run;
    let (drawing, color) = mark(&row.standing, theme::tokens(ui));
    let response = ui.add(ListRow::new(&run.name).icon_colored(drawing, color).selected(chosen));
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
        if row.goes_on() {
            let name = format!("Resume {}", row.run.name);
            if ui.add(IconButton::new(icon::PLAY, &name).small()).clicked() {
                sender.send(Command::Train(TrainCommand::Resume(row.run.path.clone())));
            }
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let word = RichText::new(row.standing.name()).font(font::body()).color(color);
            text::line(ui, word).on_hover_text(row.explained());
        });
    });
}

fn text_cell(ui: &mut Ui, column: Column, row: &Row<'_>) {
    let t = theme::tokens(ui);
    let said = column.text(row);
    let said = if said.is_empty() { "\u{2013}".to_owned() } else { said };
    let font = if column.is_number() || column == Column::Date { font::number() } else { font::body() };
    let text = RichText::new(said).font(font).color(t.text);
    let shown = if column.is_number() {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| text::line(ui, text)).inner
    } else {
        text::line(ui, text)
    };
    if let Some(meaning) = dice_meaning(row.run).filter(|_| column == Column::Dice) {
        shown.on_hover_text(meaning);
    }
}

/// Notes on a run; a text field while editing.
fn notes_cell(ui: &mut Ui, state: &State, run: &RunEntry, sender: &Sender) {
    let t = theme::tokens(ui);
    let editing = state.session.run_table.editing.as_ref().filter(|(path, _)| *path == run.path);
    let Some((path, typed)) = editing else {
        let empty = run.notes.is_empty();
        let words = if empty { "\u{2013}" } else { run.notes.lines().next().unwrap_or_default() };
        let color = if empty { t.text_dim } else { t.text };
        let label = egui::Label::new(RichText::new(words).font(font::body()).color(color)).truncate();
        let response = ui.add(label.sense(Sense::click())).accessible_name(format!("Notes of {}", run.name));
        if response.clicked() {
            sender.send(Command::Runs(RunsCommand::EditNotes(run.path.clone(), run.notes.clone())));
        }
        return;
    };
    let mut text = typed.clone();
    let field = TextEdit::singleline(&mut text).font(font::body()).text_color(t.text).desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name(format!("Notes of {}", run.name));
    if response.changed() {
        sender.send(Command::Runs(RunsCommand::EditNotes(path.clone(), text)));
    }
    if response.lost_focus() {
        let dropped = ui.input(|input| input.key_pressed(Key::Escape));
        sender.send(Command::Runs(if dropped { RunsCommand::DropNotes } else { RunsCommand::SaveNotes }));
    } else if !response.has_focus() {
        response.request_focus();
    }
}
