//! The settings that differ between the ticked runs.

use egui::scroll_area::ScrollBarVisibility;
use egui::{Align, Frame, Layout, Margin, Panel, RichText, Ui};
use egui_extras::{Column as Width, TableBuilder};

use crate::state::State;
use crate::state::runs::{SettingDifference, differences};
use crate::theme::{self, font, size, space};
use crate::widget::format::{self, NONE};
use crate::widget::{TableOutput, TablePart, split_table, text};

/// Maximum height of the table before it scrolls.
const HEIGHT: f32 = 190.0;
/// Room for the bar that scrolls sideways.
const BAR: f32 = 12.0;
/// Minimum and maximum width of the names of the settings, and minimum width of a value.
const NAMES: [f32; 2] = [110.0, 300.0];
const VALUE: f32 = 110.0;

/// Draws them at the bottom of the page once two runs are ticked.
pub(super) fn show(ui: &mut Ui, state: &State) {
    let runs = state.ticked_runs();
    if runs.len() < 2 {
        return;
    }
    let rows = differences(&runs);
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let margin = Margin::symmetric(space::L as i8, space::S as i8);
    let frame = Frame::new().fill(theme::tokens(ui).panel).inner_margin(margin);
    let height = (rows.len() as f32 * size::ROW + 2.0 * size::ROW + 2.0 * space::M + BAR).min(HEIGHT);
    Panel::bottom("setting differences").exact_size(height).frame(frame).show(ui, |ui| {
        // Its line is drawn at the top of what is taken.
        ui.take_available_space();
        let count = format::plural(rows.len(), "setting differs", "settings differ");
        text::heading(ui, &format!("{count} between the ticked runs"));
        if !rows.is_empty() {
            let color = theme::tokens(ui).text;
            let width = |row: &SettingDifference| {
                ui.painter().layout_no_wrap(row.name.clone(), font::body(), color).size().x.ceil()
            };
            let longest = rows.iter().map(width).fold(NAMES[0], f32::max).min(NAMES[1]);
            let fixed = longest + ui.spacing().item_spacing.x;
            split_table(ui, "setting differences", fixed, |ui, part| table(ui, part, &names, &rows));
        }
    });
}

/// Text of a value. Empty and missing values differ.
fn value_text<'a>(name: &str, value: Option<&'a str>) -> &'a str {
    match value {
        Some("") if name == "labels.from" => "random weights",
        Some("") => "empty",
        Some(value) => value,
        None => NONE,
    }
}

/// The names of the settings, or their values.
fn table(ui: &mut Ui, part: TablePart, runs: &[&str], rows: &[SettingDifference]) -> TableOutput {
    let top = ui.max_rect().top();
    let cell = |ui: &mut Ui, words: &str, strong: bool| {
        let t = theme::tokens(ui);
        let font = if strong { font::strong() } else { font::body() };
        text::line(ui, RichText::new(words).font(font).color(t.text));
    };
    let builder = TableBuilder::new(ui)
        .id_salt(if part.fixed { "settings" } else { "values" })
        .striped(true)
        .cell_layout(Layout::left_to_right(Align::Center))
        .vertical_scroll_offset(part.offset);
    let builder = if part.fixed {
        builder.scroll_bar_visibility(ScrollBarVisibility::AlwaysHidden).column(Width::remainder().clip(true))
    } else {
        builder.columns(Width::remainder().at_least(VALUE).clip(true), runs.len())
    };
    let heads = if part.fixed { &[""][..] } else { runs };
    let table = builder.header(size::ROW, |mut row| {
        for head in heads {
            row.col(|ui| cell(ui, head, true));
        }
    });
    let output = table.body(|body| {
        body.rows(size::ROW, rows.len(), |mut row| {
            let SettingDifference { name, values } = &rows[row.index()];
            if part.fixed {
                row.col(|ui| cell(ui, name, false));
                return;
            }
            for value in values {
                row.col(|ui| cell(ui, value_text(name, value.as_deref()), false));
            }
        });
    });
    let height = output.inner_rect.bottom() - top;
    TableOutput { offset: output.state.clamped_offset().y, hovered: None, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_an_empty_cell() {
        assert_eq!(value_text("labels.from", Some("")), "random weights");
        assert_eq!(
            [value_text("a.b", Some("")), value_text("a.b", None), value_text("seed", Some("1"))],
            ["empty", NONE, "1"]
        );
    }
}
