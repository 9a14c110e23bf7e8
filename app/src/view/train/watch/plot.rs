//! One chart over the epochs: a title, a legend with the values at the cursor or under the pointer, and the lines.

use std::ops::RangeInclusive;
use std::sync::Arc;

use egui::{Align2, Color32, Galley, Rect, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};
use egui_plot::{
    AxisHints, FilledArea, GridInput, GridMark, Line, LineStyle, Plot, PlotPoints, PlotTransform, PlotUi, Points, VLine,
};

use crate::panel::format;
use crate::state::timeline::series::shares;
use crate::state::timeline::{OpenRun, Quantity};
use crate::theme::{self, Tokens, font, palette, radius, size, space};

/// Height of the title with one line of legend, and of each further line.
const HEAD: f32 = 44.0;
const LINE: f32 = 16.0;
/// The widest value that a legend has room for in any case: it must not change its lines with the epoch.
const WIDEST: &str = "0.000";
/// Opacity of the curves of the run that the shown one is compared with.
const FAINT: f32 = 0.45;
/// Least width of the numbers on the left.
const AXIS: f32 = 34.0;
/// Width of a piece of a curve in front of its name.
const SWATCH: f32 = 15.0;
/// Room beyond the lowest and the highest value, as a share of their distance.
const MARGIN: f64 = 0.08;
/// Curves of fewer points than this show each of them.
const POINTS: usize = 40;

/// What a chart shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    /// Curves.
    Lines(&'static [Quantity]),
    /// The four cases of the label update as stacked areas.
    Cases,
}

/// A chart over the epochs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chart<'a> {
    pub title: &'a str,
    /// Of the values.
    pub unit: &'a str,
    pub content: Content,
    /// The values at the lower and the upper end; those of the data if it is not said.
    pub range: Option<[f64; 2]>,
    /// Values above 0 that may be drawn on a logarithmic scale.
    pub may_be_log: bool,
}

/// The cases of the label update, from the bottom up.
const CASES: [&str; 5] = ["1 stays", "0 stays", "1 coin", "0 coin", "never masked"];

/// A curve's name, colour and dashes.
struct Key {
    name: &'static str,
    color: Color32,
    style: LineStyle,
    value: Option<String>,
}

/// A curve in the legend, with its name and its value laid out.
struct Entry {
    x: f32,
    key: Key,
    name: Arc<Galley>,
    value: Arc<Galley>,
}

impl Chart<'_> {
    /// Draws it; the epoch that was clicked or dragged to. `other` is another run's, `mark` the epoch that the shown one
    /// is compared with.
    pub(super) fn show(
        &self,
        ui: &mut Ui,
        rect: Rect,
        run: &OpenRun,
        other: Option<&OpenRun>,
        mark: Option<usize>,
        log: bool,
    ) -> Option<usize> {
        let t = theme::tokens(ui);
        ui.painter().rect_filled(rect, 0.0, t.panel);
        let log = log && self.may_be_log;
        let lines = self.legend(ui, rect, run, run.epoch()).len();
        let head = HEAD + LINE * lines.saturating_sub(1) as f32;
        let body = Rect::from_min_max(
            pos2(rect.left() + space::XS, rect.top() + head),
            pos2(rect.right() - space::M, rect.bottom() - space::XS),
        );
        if body.height() < 24.0 || body.width() < 60.0 {
            return None;
        }
        let epochs = run.epochs().max(other.map_or(1, OpenRun::epochs)).max(1);
        let bounds = self.bounds(run, other, log);
        let mut inner = super::child(ui, body, self.title);
        // The number at the upper end reaches beyond it.
        inner.set_clip_rect(body.expand2(vec2(0.0, space::XS + 2.0)).intersect(ui.clip_rect()));
        let plot = self.frame(&inner, t, epochs, bounds, log);
        let (keys, cursor) = (self.keys(t, run, run.epoch()), run.epoch());
        let shown = plot.show(&mut inner, |plot| {
            plot.set_plot_bounds_x(0.5..=epochs as f64 + 0.5);
            plot.set_plot_bounds_y(bounds[0]..=bounds[1]);
            match self.content {
                Content::Cases => stack(plot, run, t),
                Content::Lines(quantities) => {
                    for (quantity, key) in quantities.iter().zip(&keys) {
                        if let Some(other) = other {
                            line(plot, *quantity, other, log, (key.color.gamma_multiply(FAINT), key.style));
                        }
                        line(plot, *quantity, run, log, (key.color, key.style));
                    }
                }
            }
            cursors(plot, t, cursor, mark);
        });
        let empty = match self.content {
            Content::Cases => run.series.cases.is_empty(),
            Content::Lines(all) => all.iter().all(|quantity| run.series.line(*quantity).is_empty()),
        };
        if empty {
            let words = "nothing of this kind was logged";
            ui.painter().text(body.center(), Align2::CENTER_CENTER, words, font::caption(), t.text_dim);
        }
        let response = shown.response;
        let name = format!("{} over the epochs", self.title);
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
        if response.has_focus() {
            ui.painter().rect_stroke(body, radius::S, Stroke::new(size::FOCUS_RING, t.focus), StrokeKind::Inside);
        }
        let hovered = response.hover_pos().map(|at| epoch_at(&shown.transform, at.x, run.last()));
        if let Some(epoch) = hovered.filter(|epoch| Some(*epoch) != cursor) {
            let x = shown.transform.position_from_point_x(epoch as f64);
            ui.painter().vline(x, shown.transform.frame().y_range(), Stroke::new(1.0, t.line_strong));
        }
        self.head(ui, rect, run, other, hovered, log);
        let moved = response.clicked() || response.dragged();
        let at = response.interact_pointer_pos().filter(|_| moved)?;
        Some(epoch_at(&shown.transform, at.x, run.last())).filter(|epoch| Some(*epoch) != cursor)
    }

    /// The lowest and the highest value that are drawn, with some room around them.
    fn bounds(&self, run: &OpenRun, other: Option<&OpenRun>, log: bool) -> [f64; 2] {
        if let (Some(range), false) = (self.range, log) {
            return range;
        }
        let Content::Lines(quantities) = self.content else { return [0.0, 100.0] };
        let runs = [Some(run), other];
        let values = runs.into_iter().flatten().flat_map(|run| {
            quantities.iter().flat_map(|quantity| run.series.line(*quantity).iter().filter_map(|p| scaled(p[1], log)))
        });
        let fold = |[low, high]: [f64; 2], v: f64| [low.min(v), high.max(v)];
        let [mut low, mut high] = values.fold([f64::INFINITY, f64::NEG_INFINITY], fold);
        if low > high {
            return if log { [-3.0, 0.0] } else { [0.0, 1.0] };
        }
        if !log && low >= 0.0 && low < 0.6 * high {
            low = 0.0;
        }
        let room = if high > low { (high - low) * MARGIN } else { high.abs().max(1e-6) * 0.5 };
        high += room;
        low -= if low == 0.0 && !log { 0.0 } else { room };
        [low, high]
    }

    /// The axes and the way of the mouse: charts are clicked and dragged to move the cursor, never zoomed.
    fn frame<'b>(&self, ui: &Ui, t: &'static Tokens, epochs: usize, bounds: [f64; 2], log: bool) -> Plot<'b> {
        let hints = |axis: AxisHints<'b>| axis.tick_label_color(t.text_dim).tick_label_font(font::number_small());
        let whole = |mark: GridMark, _: &RangeInclusive<f64>| format!("{:.0}", mark.value);
        let label = egui::RichText::new("epoch").font(font::caption()).color(t.text_dim);
        let x = hints(AxisHints::new_x()).formatter(whole).label_spacing(egui::Rangef::new(16.0, 24.0)).label(label);
        let decimals = format::decimals((bounds[1] - bounds[0]) * 10.0);
        let value = move |mark: GridMark, _: &RangeInclusive<f64>| {
            if log { power(mark.value) } else { short(mark.value, decimals) }
        };
        let y = hints(AxisHints::new_y()).formatter(value).min_thickness(AXIS);
        let y = y.label_spacing(egui::Rangef::new(10.0, 14.0));
        let height = ui.max_rect().height();
        Plot::new(("chart", self.title.to_owned()))
            .custom_x_axes(vec![x])
            .custom_y_axes(vec![y])
            .x_grid_spacer(move |input| marks(&input, true, (epochs as f64 / 6.0).max(1.0)))
            .y_grid_spacer(move |input| {
                let lines = f64::from((height / 34.0).clamp(2.0, 6.0));
                let least = if log { 1.0 } else { 0.0 };
                marks(&input, log, ((input.bounds.1 - input.bounds.0) / lines).max(least))
            })
            .grid_color(t.line)
            .grid_fade(0.0)
            .grid_spacing(egui::Rangef::new(1.0, 2.0))
            .show_background(false)
            .allow_zoom(false)
            .allow_drag(false)
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .allow_axis_zoom_drag(false)
            .allow_double_click_reset(false)
            .label_formatter(|_| None)
            .cursor_color(Color32::TRANSPARENT)
            .sense(Sense::click_and_drag())
    }

    /// Name, colour and value of each curve at an epoch.
    fn keys(&self, t: &Tokens, run: &OpenRun, epoch: Option<usize>) -> Vec<Key> {
        match self.content {
            Content::Lines(quantities) => {
                let key = |(n, quantity): (usize, &Quantity)| Key {
                    name: quantity.name(),
                    color: t.chart[n % t.chart.len()],
                    style: style(n),
                    value: epoch.and_then(|epoch| quantity.value(&run.history, epoch)).map(format::figures),
                };
                quantities.iter().enumerate().map(key).collect()
            }
            Content::Cases => {
                // An update judges the epochs before it.
                let rows = &run.history.relabels;
                let row = epoch.and_then(|epoch| rows.get(rows.partition_point(|row| row.epoch < epoch)));
                let values = row.map(|row| shares(&row.cases));
                let key = |(n, name): (usize, &'static str)| Key {
                    name,
                    color: case_color(t, n),
                    style: LineStyle::Solid,
                    value: values.map(|values| format!("{:.0} %", values[n] * 100.0)),
                };
                CASES.into_iter().enumerate().map(key).collect()
            }
        }
    }

    /// The lines of the legend: where each entry begins, with its name and its value.
    fn legend(&self, ui: &Ui, rect: Rect, run: &OpenRun, epoch: Option<usize>) -> Vec<Vec<Entry>> {
        let t = theme::tokens(ui);
        let layout = |text: &str, font, color| ui.painter().layout_no_wrap(text.to_owned(), font, color);
        let least = layout(WIDEST, font::number_small(), t.text).size().x;
        let (left, right) = (rect.left() + space::M, rect.right() - space::XS);
        let mut lines: Vec<Vec<Entry>> = Vec::new();
        let mut x = f32::INFINITY;
        for key in self.keys(t, run, epoch) {
            let name = layout(key.name, font::caption(), t.text_dim);
            let value = layout(key.value.as_deref().unwrap_or(format::NONE), font::number_small(), t.text);
            let width = SWATCH + name.size().x + space::XS + value.size().x.max(least);
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

    /// Title, unit, and the legend below them.
    fn head(&self, ui: &Ui, rect: Rect, run: &OpenRun, other: Option<&OpenRun>, hovered: Option<usize>, log: bool) {
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
        let mut room = rect.right() - space::M;
        if let Some(epoch) = hovered {
            let galley = layout(&format!("epoch {epoch}"), font::number_small(), t.text);
            room -= galley.size().x;
            put(room, first, galley);
        }
        let right = put(left, first, layout(self.title, font::strong(), t.text));
        let other = other.filter(|_| matches!(self.content, Content::Lines(_)));
        let scale = if log { ", log" } else { "" };
        let unit = format!("{}{scale}", self.unit);
        let full = other.map(|other| format!("{unit}; faint: {}", other.name));
        let fits = |words: &str| {
            let galley = layout(words, font::caption(), t.text_dim);
            (right + space::S + galley.size().x < room).then_some(galley)
        };
        if let Some(unit) = full.as_deref().and_then(fits).or_else(|| fits(&unit)) {
            put(right + space::S, first, unit);
        }
        for (n, line) in self.legend(ui, rect, run, hovered.or(run.epoch())).into_iter().enumerate() {
            let y = first + 17.0 + n as f32 * LINE;
            for Entry { x, key, name, value } in line {
                self.swatch(&painter, pos2(x, y), &key);
                let right = put(x + SWATCH, y, name);
                put(right + space::XS, y, value);
            }
        }
    }

    /// A piece of the curve, or of the area, in front of its name.
    fn swatch(&self, painter: &egui::Painter, at: egui::Pos2, key: &Key) {
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

/// Dashes tell curves apart where colours do not.
fn style(n: usize) -> LineStyle {
    match n % 4 {
        0 => LineStyle::Solid,
        1 => LineStyle::Dashed { length: 7.0 },
        2 => LineStyle::Dotted { spacing: 4.0 },
        _ => LineStyle::Dashed { length: 3.5 },
    }
}

fn case_color(t: &Tokens, n: usize) -> Color32 {
    match n {
        0 => palette::PATCH_LESION,
        1 => palette::PATCH_BACKGROUND,
        2 => t.chart[1],
        3 => t.chart[0],
        _ => t.line_strong,
    }
}

/// A value where it is drawn; none if a logarithm has no place for it.
fn scaled(value: f64, log: bool) -> Option<f64> {
    if !log {
        return Some(value);
    }
    (value > 0.0).then(|| value.log10())
}

fn line(plot: &mut PlotUi<'_>, quantity: Quantity, run: &OpenRun, log: bool, (color, style): (Color32, LineStyle)) {
    for points in pieces(run.series.line(quantity), log) {
        if points.len() <= POINTS {
            let dots = PlotPoints::from(points.clone());
            plot.points(Points::new("", dots).radius(1.8).color(color).allow_hover(false));
        }
        let line = Line::new("", PlotPoints::from(points)).color(color).width(1.5).style(style);
        plot.line(line.allow_hover(false));
    }
}

/// A curve in the pieces that a scale has a place for: a line across what it leaves out would be made up.
fn pieces(points: &[[f64; 2]], log: bool) -> Vec<Vec<[f64; 2]>> {
    let placed: Vec<Option<[f64; 2]>> = points.iter().map(|p| Some([p[0], scaled(p[1], log)?])).collect();
    let pieces = placed.split(Option::is_none).filter(|piece| !piece.is_empty());
    pieces.map(|piece| piece.iter().flatten().copied().collect()).collect()
}

/// The shares of the cases over each other; an update's share holds since the update before it.
fn stack(plot: &mut PlotUi<'_>, run: &OpenRun, t: &Tokens) {
    let rows = &run.series.cases;
    let xs: Vec<f64> = rows.iter().flat_map(|(span, _)| span.map(|epoch| epoch + 0.5)).collect();
    let mut below = vec![0.0; xs.len()];
    for n in 0..CASES.len() {
        let shares = rows.iter().flat_map(|(_, shares)| [shares[n] * 100.0; 2]);
        let above: Vec<f64> = below.iter().zip(shares).map(|(low, share)| low + share).collect();
        if !xs.is_empty() {
            let area = FilledArea::new("", &xs, &below, &above).fill_color(case_color(t, n).gamma_multiply(0.85));
            plot.add(area.allow_hover(false));
        }
        below = above;
    }
}

/// The epoch that is looked at, and the one that it is compared with.
fn cursors(plot: &mut PlotUi<'_>, t: &Tokens, cursor: Option<usize>, mark: Option<usize>) {
    if let Some(epoch) = mark {
        let line = VLine::new("", epoch as f64).color(t.text_dim).width(1.0).style(LineStyle::dashed_dense());
        plot.vline(line.allow_hover(false));
    }
    if let Some(epoch) = cursor {
        plot.vline(VLine::new("", epoch as f64).color(t.text).width(1.0).allow_hover(false));
    }
}

fn epoch_at(transform: &PlotTransform, x: f32, last: usize) -> usize {
    let epoch = transform.value_from_position(pos2(x, 0.0)).x.round();
    epoch.clamp(1.0, last.max(1) as f64) as usize
}

/// Marks at round numbers that are at least this far apart; at whole ones if `whole`.
fn marks(input: &GridInput, whole: bool, least: f64) -> Vec<GridMark> {
    let power = 10.0_f64.powf(least.max(1e-12).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= least * 0.999);
    let step = step.unwrap_or(power * 10.0).max(if whole { 1.0 } else { 0.0 });
    let (from, to) = ((input.bounds.0 / step).ceil() as i64, (input.bounds.1 / step).floor() as i64);
    (from..=to).take(64).map(|n| GridMark { value: n as f64 * step, step_size: step }).collect()
}

/// A number on an axis.
fn short(value: f64, decimals: usize) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.0e}").replace('-', "\u{2212}");
    }
    let text = format::fixed(value, decimals);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A power of ten on an axis.
fn power(exponent: f64) -> String {
    if (-3.0..=3.0).contains(&exponent) {
        return short(10.0_f64.powf(exponent), 3);
    }
    format!("1e{exponent:.0}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(bounds: (f64, f64), whole: bool, least: f64) -> Vec<f64> {
        marks(&GridInput { bounds, base_step_size: 0.1 }, whole, least).iter().map(|mark| mark.value).collect()
    }

    #[test]
    fn marks_stand_at_round_numbers() {
        assert_eq!(values((0.5, 12.5), true, 2.0), [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(values((0.0, 1.0), false, 0.34), [0.0, 0.5, 1.0]);
        assert_eq!(values((-2.6, 0.3), true, 1.0), [-2.0, -1.0, 0.0]);
        assert!(values((0.0, 1e9), false, 1e-12).len() <= 64);
    }

    #[test]
    fn axes_are_written_short() {
        assert_eq!([short(0.5, 3), short(1.0, 2), short(0.0002, 6)], ["0.5", "1", "2e\u{2212}4"]);
        assert_eq!([power(-2.0), power(0.0), power(-5.0)], ["0.01", "1", "1e\u{2212}5"]);
    }

    #[test]
    fn a_logarithm_leaves_out_what_it_cannot_draw() {
        assert_eq!(scaled(0.0, true), None);
        assert_eq!(scaled(100.0, true), Some(2.0));
        assert_eq!(scaled(-3.0, false), Some(-3.0));
        let curve = [[1.0, 0.0], [2.0, 10.0], [3.0, 1.0], [4.0, 0.0], [5.0, 100.0]];
        assert_eq!(pieces(&curve, true), [vec![[2.0, 1.0], [3.0, 0.0]], vec![[5.0, 2.0]]], "no line across a zero");
        assert_eq!(pieces(&curve, false), [curve.to_vec()]);
    }
}
