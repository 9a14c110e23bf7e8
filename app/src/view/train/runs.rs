//! All runs of the workspace: filter, table, and the settings that differ between ticked runs.

mod differences;
mod row;

use std::path::Path;

use egui::{
    Align, Align2, Frame, Key, Layout, Margin, Popup, PopupCloseBehavior, RichText, Role, ScrollArea, Sense, TextEdit,
    Ui,
};
use egui::{UiBuilder, WidgetInfo, vec2};
use egui_extras::{Column as Width, TableBuilder};
use engine::run::workspace::RunEntry;

use crate::command::{Command, RunsCommand, Sender, TimelineCommand, TrainCommand};
use crate::state::State;
use crate::state::runs::{Column, Row};
use crate::theme::{self, Icon, font, icon, radius, size, space};
use crate::widget::{
    ButtonKind, EmptyState, ErrorState, IconButton, LoadingState, PushButton, SearchField, Toggle, scroll_across,
};
use crate::widget::{format, text};

/// Width of the filter field.
const FILTER: f32 = 160.0;
/// Column spacing.
const GAP: f32 = 8.0;
/// Width of the column of ticks.
const TICK: f32 = 24.0;
/// Minimum and maximum width of a column.
const WIDTHS: [f32; 2] = [40.0, 240.0];
const NOTES: f32 = 120.0;
/// Width of icon and margins of a name, and of the button after a status.
const NAME_ICON: f32 = size::ICON + 3.0 * space::S;
const RESUME: f32 = 30.0;
/// Width of the list of settings, and the height above which it scrolls.
const SETTINGS: [f32; 2] = [280.0, 360.0];

/// Draws it.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let room = Margin { left: space::L as i8, right: space::L as i8, top: space::S as i8, bottom: space::M as i8 };
    differences::show(ui, state);
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
                scroll_across(ui, "runs", |ui| table(ui, state, sender));
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
    actions(&mut row, state, sender);
    row.with_layout(Layout::left_to_right(Align::Center), |ui| {
        if let Some((run, typed)) = &state.session.run_table.editing {
            return notes_field(ui, run, typed, sender);
        }
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

/// The notes of a run, while they are typed. Not in the table, whose last column may be scrolled out of view.
fn notes_field(ui: &mut Ui, run: &Path, typed: &str, sender: &Sender) {
    let t = theme::tokens(ui);
    let name = format!("Notes of {}", format::file_name(run));
    let mut text = typed.to_owned();
    let field = TextEdit::singleline(&mut text).font(font::body()).text_color(t.text).hint_text(&name);
    let response = ui.add(field.desired_width(f32::INFINITY)).accessible_name(&name);
    if response.changed() {
        sender.send(Command::Runs(RunsCommand::EditNotes(run.to_owned(), text)));
    }
    if response.lost_focus() {
        let dropped = ui.input(|input| input.key_pressed(Key::Escape));
        sender.send(Command::Runs(if dropped { RunsCommand::DropNotes } else { RunsCommand::SaveNotes }));
    } else if !response.has_focus() {
        response.request_focus();
    }
}

/// Buttons from right to left.
fn actions(ui: &mut Ui, state: &State, sender: &Sender) {
    let chosen = state.selected_run();
    let delete = IconButton::new(icon::TRASH, "Delete\u{2026}");
    let send = |clicked: bool, command: &dyn Fn(&RunEntry) -> Command| {
        if let Some(run) = chosen.filter(|_| clicked) {
            sender.send(command(run));
        }
    };
    let on = chosen.is_some();
    send(ui.add_enabled(on, delete).clicked(), &|run| Command::Runs(RunsCommand::AskDelete(run.path.clone())));
    send(ui.add_enabled(on, IconButton::new(icon::EDIT, "Notes")).clicked(), &|run| {
        Command::Runs(RunsCommand::EditNotes(run.path.clone(), run.notes.clone()))
    });
    settings_menu(ui, state, sender);
    let like = PushButton::new("Set up like this").icon(icon::CONTROLS).kind(ButtonKind::Quiet);
    let response = ui.add_enabled(on, like).on_hover_text("Fills the form with the settings of the selected run");
    send(response.clicked(), &|run| Command::Train(TrainCommand::SetUpLike(run.path.clone())));
    compare_button(ui, state, sender);
    send(ui.add_enabled(on, PushButton::primary("Open").icon(icon::CURVES)).clicked(), &|run| {
        Command::Timeline(TimelineCommand::Open(run.path.clone()))
    });
}

fn compare_button(ui: &mut Ui, state: &State, sender: &Sender) {
    let runs = state.runs_to_compare();
    let response = ui.add_enabled(runs.is_ok(), PushButton::new("Compare").icon(icon::SIDE_BY_SIDE));
    let response = match &runs {
        Ok(runs) => response.on_hover_text(format!("Compares {} runs", runs.len())),
        Err(why) => response.on_disabled_hover_text(why.as_str()),
    };
    if response.clicked() {
        sender.send(Command::Runs(RunsCommand::Compare));
    }
}

/// Settings that can have a column.
fn settings_menu(ui: &mut Ui, state: &State, sender: &Sender) {
    let response = ui.add(IconButton::new(icon::COLUMNS, "Settings as columns"));
    let popup = Popup::menu(&response).close_behavior(PopupCloseBehavior::CloseOnClickOutside).gap(space::XS);
    popup.show(|ui| {
        ui.set_width(SETTINGS[0]);
        text::heading(ui, "Settings as columns, differing ones first");
        ScrollArea::vertical().max_height(SETTINGS[1]).show(ui, |ui| {
            for name in state.settings_to_show() {
                let mut on = state.session.run_table.settings.contains(&name);
                if ui.add(Toggle::new(&mut on, &name)).changed() {
                    sender.send(Command::Runs(RunsCommand::ToggleSetting(name)));
                }
            }
        });
    });
}

fn table(ui: &mut Ui, state: &State, sender: &Sender) {
    let rows = state.run_rows();
    if rows.is_empty() {
        EmptyState::new(icon::FILTER, "No run matches the filter.").show(ui);
        return;
    }
    let columns = state.run_columns();
    ui.spacing_mut().item_spacing.x = GAP;
    let widths: Vec<f32> = columns.iter().map(|column| width(ui, column, &rows)).collect();
    let mut builder = TableBuilder::new(ui)
        .id_salt("runs")
        .striped(true)
        .sense(Sense::click())
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Width::exact(TICK));
    for (column, width) in columns.iter().zip(widths) {
        builder = builder.column(if *column == Column::Notes {
            Width::remainder().at_least(NOTES).clip(true)
        } else {
            Width::exact(width).clip(true)
        });
    }
    let table = builder.header(size::ROW, |mut row| {
        row.col(|_| ());
        for column in &columns {
            row.col(|ui| head_cell(ui, state, column, sender));
        }
    });
    table.body(|body| {
        body.rows(size::ROW, rows.len(), |mut row| {
            let of = &rows[row.index()];
            row::show(&mut row, state, &columns, of, sender);
        });
    });
}

/// The width that the longest text of a column needs, within limits.
fn width(ui: &Ui, column: &Column, rows: &[Row<'_>]) -> f32 {
    let measure =
        |text: &str, font| ui.painter().layout_no_wrap(text.to_owned(), font, theme::tokens(ui).text).size().x;
    let font = || if column.is_number() || *column == Column::Date { font::number() } else { font::body() };
    let more = match column {
        Column::Name => NAME_ICON,
        Column::Status if rows.iter().any(Row::can_resume) => RESUME,
        _ => 0.0,
    };
    let cells = rows.iter().map(|row| measure(&column.text(row), font()) + more).fold(0.0, f32::max);
    let head = measure(column.head(), font::caption()) + size::ICON_SMALL + space::XS;
    // A name is the one text that a row cannot do without.
    let most = if *column == Column::Name { f32::INFINITY } else { WIDTHS[1] };
    cells.max(head).ceil().clamp(WIDTHS[0], most)
}

/// A column heading that sorts, with an arrow for the direction.
fn head_cell(ui: &mut Ui, state: &State, column: &Column, sender: &Sender) {
    let t = theme::tokens(ui);
    let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click());
    let sorted = state.session.run_table.column == *column;
    let name = format!("Sort by {}", column.meaning());
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
    let tip = column.explained().or(Some(column.meaning()).filter(|meaning| *meaning != column.head()));
    let response = if let Some(tip) = tip { response.on_hover_text(tip) } else { response };
    if response.clicked() {
        sender.send(Command::Runs(RunsCommand::Sort(column.clone())));
    }
}
