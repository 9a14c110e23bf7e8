//! Title and legend of a chart, with the values at an epoch.

use std::sync::Arc;

use egui::{Color32, Galley, Pos2, Rect, Stroke, Ui, pos2, vec2};
use egui_plot::LineStyle;

use super::{CASES, Chart, Content};
use crate::state::timeline::series::shares;
use crate::state::timeline::{OpenRun, Quantity};
use crate::theme::{self, Tokens, font, palette, space};
use crate::widget::format;

/// Height of the title with one legend line, and of each further line.
const HEAD: f32 = 44.0;
const LINE: f32 = 16.0;
/// Minimum width of a value, so that the line breaks do not depend on the epoch.
const WIDEST: &str = "0.0000";
/// Characters of a run's name in the legend.
const NAME: usize = 20;
/// Width of a swatch.
const SWATCH: f32 = 15.0;

/// Name, style and value of a curve or of a run.
struct Key {
    name: String,
    color: Color32,
    style: LineStyle,
    /// Empty for a run whose curves have separate entries.
    value: String,
}

/// A legend entry with its layout.
struct Entry {
    x: f32,
    key: Key,
    name: Arc<Galley>,
    value: Arc<Galley>,
}

impl Chart {
    /// Height of title and legend.
    pub(super) fn head_height(&self, ui: &Ui, rect: Rect, runs: &[&OpenRun]) -> f32 {
        let epoch = runs.first().and_then(|run| run.epoch());
        HEAD + LINE * self.legend(ui, rect, runs, epoch).len().saturating_sub(1) as f32
    }

    /// Entries of the legend, with the values at an epoch: one per curve of the shown run, and with other runs drawn over
    /// it one per run.
    fn keys(&self, t: &Tokens, runs: &[&OpenRun], epoch: Option<usize>) -> Vec<Key> {
        let Some(run) = runs.first() else { return Vec::new() };
        let value = |run: &OpenRun, quantity: &Quantity| {
            let value = epoch.and_then(|epoch| quantity.value(&run.history, epoch));
            value.map_or_else(|| format::NONE.to_owned(), |value| quantity.text(value))
        };
        match &self.content {
            Content::Lines(quantities) => {
                let several = runs.len() > 1;
                let curve = |(q, quantity): (usize, &Quantity)| Key {
                    name: quantity.name().to_owned(),
                    color: color_of(t, 0, q, runs.len()),
                    style: style_of(q),
                    value: value(run, quantity),
                };
                let key = |(r, run): (usize, &&OpenRun)| Key {
                    name: shortened(&run.name),
                    color: color_of(t, r, 0, runs.len()),
                    style: LineStyle::Solid,
                    value: if let [only] = &quantities[..] { value(run, only) } else { String::new() },
                };
                let listed = quantities.iter().enumerate().filter(|(_, quantity)| quantity.is_listed(&run.history));
                let curves = listed.filter(|_| !several || quantities.len() > 1).map(curve);
                curves.chain(runs.iter().enumerate().filter(|_| several).map(key)).collect()
            }
            Content::Cases => {
                // An update covers the epochs before it.
                let rows = &run.history.relabels;
                let row = epoch.and_then(|epoch| rows.get(rows.partition_point(|row| row.epoch < epoch)));
                let values = row.map(|row| shares(&row.cases));
                let key = |(n, name): (usize, &str)| Key {
                    name: name.to_owned(),
                    color: case_color(t, n),
                    style: LineStyle::Solid,
                    value: values
                        .map_or_else(|| format::NONE.to_owned(), |values| format!("{:.0} %", values[n] * 100.0)),
                };
                CASES.into_iter().enumerate().map(key).collect()
            }
        }
    }

    /// The legend, broken into lines.
    fn legend(&self, ui: &Ui, rect: Rect, runs: &[&OpenRun], epoch: Option<usize>) -> Vec<Vec<Entry>> {
        let t = theme::tokens(ui);
        let layout = |text: &str, font, color| ui.painter().layout_no_wrap(text.to_owned(), font, color);
        let widest = if matches!(self.content, Content::Cases) { "00 %" } else { WIDEST };
        let minimum = layout(widest, font::number_small(), t.text).size().x;
        let (left, right) = (rect.left() + space::M, rect.right() - space::XS);
        let mut lines: Vec<Vec<Entry>> = Vec::new();
        let mut x = f32::INFINITY;
        for key in self.keys(t, runs, epoch) {
            let name = layout(&key.name, font::caption(), t.text_dim);
            let value = layout(&key.value, font::number_small(), t.text);
            let of_value = if key.value.is_empty() { 0.0 } else { space::XS + value.size().x.max(minimum) };
            let width = SWATCH + name.size().x + of_value;
            if x + width > right {
                lines.push(Vec::new());
                x = left;
            }
            if let Some(line) = lines.last_mut() {
                line.push(Entry { x, key, name, value });
            }
            x += width + space::S;
        }
        lines
    }

    /// Draws title, unit and legend.
    pub(super) fn head(&self, ui: &Ui, rect: Rect, runs: &[&OpenRun], hovered: Option<usize>, log: bool) {
        let t = theme::tokens(ui);
        let painter = ui.painter().with_clip_rect(rect);
        let layout = |text: &str, font, color| painter.layout_no_wrap(text.to_owned(), font, color);
        let put = |x: f32, y: f32, galley: Arc<Galley>| {
            let at = pos2(x, y - galley.size().y / 2.0);
            let right = x + galley.size().x;
            painter.galley(at, galley, t.text);
            right
        };
        let (left, first) = (rect.left() + space::M, rect.top() + 13.0);
        let mut right_end = rect.right() - space::M;
        if let Some(epoch) = hovered {
            let galley = layout(&format!("epoch {epoch}"), font::number_small(), t.text);
            right_end -= galley.size().x;
            put(right_end, first, galley);
        }
        let right = put(left, first, layout(&self.title, font::strong(), t.text));
        let scale = if log { ", log" } else { "" };
        let unit = format!("{}{scale}", self.unit);
        let fits = |text: &str| {
            let galley = layout(text, font::caption(), t.text_dim);
            (right + space::S + galley.size().x < right_end).then_some(galley)
        };
        if let Some(unit) = fits(&unit) {
            put(right + space::S, first, unit);
        }
        let epoch = hovered.or(runs.first().and_then(|run| run.epoch()));
        for (n, line) in self.legend(ui, rect, runs, epoch).into_iter().enumerate() {
            let y = first + 17.0 + n as f32 * LINE;
            for Entry { x, key, name, value } in line {
                self.swatch(&painter, pos2(x, y), &key);
                let right = put(x + SWATCH, y, name);
                put(right + space::XS, y, value);
            }
        }
    }

    /// A piece of the curve or area.
    fn swatch(&self, painter: &egui::Painter, at: Pos2, key: &Key) {
        if matches!(self.content, Content::Cases) {
            let square = Rect::from_center_size(at + vec2(5.0, 0.0), egui::Vec2::splat(9.0));
            painter.rect_filled(square, 2.0, key.color);
            return;
        }
        let stroke = Stroke::new(2.0, key.color);
        let ends = [at, at + vec2(SWATCH - 4.0, 0.0)];
        match key.style {
            LineStyle::Solid => {
                painter.line_segment(ends, stroke);
            }
            LineStyle::Dashed { length } => painter.extend(egui::Shape::dashed_line(&ends, stroke, length / 2.0, 2.5)),
            LineStyle::Dotted { .. } => painter.extend(egui::Shape::dotted_line(&ends, key.color, 4.0, 1.2)),
        }
    }
}

/// Colour of curve `q` of run `r`: by curve, or by run where several are drawn.
pub(super) fn color_of(t: &Tokens, r: usize, q: usize, runs: usize) -> Color32 {
    t.chart[if runs > 1 { r } else { q } % t.chart.len()]
}

/// A run's name with at most 20 characters.
fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        name.to_owned()
    } else {
        name.chars().take(NAME - 1).chain(['\u{2026}']).collect()
    }
}

/// Dashes distinguish curves without colour.
pub(in crate::view::train) fn style_of(n: usize) -> LineStyle {
    match n % 4 {
        0 => LineStyle::Solid,
        1 => LineStyle::Dashed { length: 7.0 },
        2 => LineStyle::Dotted { spacing: 4.0 },
        _ => LineStyle::Dashed { length: 3.5 },
    }
}

pub(super) fn case_color(t: &Tokens, n: usize) -> Color32 {
    match n {
        0 => palette::PATCH_LESION,
        1 => palette::PATCH_BACKGROUND,
        2 => t.chart[1],
        3 => t.chart[0],
        _ => t.line_strong,
    }
}
