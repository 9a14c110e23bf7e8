//! The table of runs: ticks and names stay fixed while the other columns scroll sideways.

use egui::scroll_area::ScrollBarVisibility;
use egui::{Align, Align2, Layout, Role, Sense, Ui, WidgetInfo, pos2};
use egui_extras::{Column as Width, TableBuilder};

use super::row;
use crate::command::{Command, RunsCommand, Sender};
use crate::state::State;
use crate::state::runs::{Column, Row};
use crate::theme::{self, Icon, font, icon, radius, size, space};
use crate::widget::{EmptyState, TableOutput, TablePart, split_table};

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

/// Columns of a part of the table.
struct Part<'a> {
    columns: &'a [Column],
    widths: &'a [f32],
}

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let rows = state.run_rows();
    if rows.is_empty() {
        EmptyState::new(icon::FILTER, "No run matches the filter.").show(ui);
        return;
    }
    let columns = state.run_columns();
    ui.spacing_mut().item_spacing.x = GAP;
    let widths: Vec<f32> = columns.iter().map(|column| width(ui, column, &rows)).collect();
    let names = columns.iter().take_while(|column| **column == Column::Name).count();
    let taken: f32 = widths[..names].iter().map(|width| width + GAP).sum();
    let fixed = Part { columns: &columns[..names], widths: &widths[..names] };
    let moving = Part { columns: &columns[names..], widths: &widths[names..] };
    split_table(ui, "runs", TICK + GAP + taken, |ui, shared| {
        table(ui, state, &rows, if shared.fixed { &fixed } else { &moving }, shared, sender)
    });
}

fn table(
    ui: &mut Ui,
    state: &State,
    rows: &[Row<'_>],
    part: &Part<'_>,
    shared: TablePart,
    sender: &Sender,
) -> TableOutput {
    let top = ui.max_rect().top();
    let mut builder = TableBuilder::new(ui)
        .id_salt(if shared.fixed { "names of runs" } else { "runs" })
        .striped(true)
        .sense(Sense::click())
        .cell_layout(Layout::left_to_right(Align::Center))
        .vertical_scroll_offset(shared.offset);
    if shared.fixed {
        builder = builder.scroll_bar_visibility(ScrollBarVisibility::AlwaysHidden).column(Width::exact(TICK));
    }
    for (column, width) in part.columns.iter().zip(part.widths) {
        builder = builder.column(match column {
            Column::Notes => Width::remainder().at_least(NOTES).clip(true),
            Column::Name => Width::remainder().clip(true),
            _ => Width::exact(*width).clip(true),
        });
    }
    let table = builder.header(size::ROW, |mut row| {
        if shared.fixed {
            row.col(|_| ());
        }
        for column in part.columns {
            row.col(|ui| head_cell(ui, state, column, sender));
        }
    });
    let mut hovered = None;
    let output = table.body(|body| {
        body.rows(size::ROW, rows.len(), |mut row| {
            let at = row.index();
            row.set_hovered(shared.hovered == Some(at));
            let response = row::show(&mut row, state, shared.fixed, part.columns, &rows[at], sender);
            if response.hovered() {
                hovered = Some(at);
            }
        });
    });
    TableOutput { offset: output.state.clamped_offset().y, hovered, height: output.inner_rect.bottom() - top }
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
        let middle = pos2(x, rect.center().y);
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
