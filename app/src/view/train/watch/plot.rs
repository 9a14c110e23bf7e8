//! A chart over the epochs, with the values at the cursor or under the pointer in its legend.

pub(in crate::view::train) mod axis;
mod curve;
mod legend;

use std::ops::RangeInclusive;

use egui::{Align2, Color32, Pos2, Rect, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2};
use egui_plot::{AxisHints, FilledArea, GridMark, LineStyle, Plot, PlotTransform, PlotUi, VLine};

use axis::{label, log_label, log_marks, marks, named};
pub(in crate::view::train) use curve::stroke_of;
pub(in crate::view::train) use legend::style_of;
use legend::{case_color, color_of};

use crate::state::timeline::{OpenRun, Quantity};
use crate::theme::{self, Tokens, font, radius, size, space};

/// Minimum width of the y axis labels.
const AXIS: f32 = 34.0;
/// Margin beyond minimum and maximum, as a fraction of their difference.
const MARGIN: f64 = 0.08;
/// Minimum height of a chart with axis name.
const NAMED_FROM: f32 = 66.0;

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Curves.
    Lines(Vec<Quantity>),
    /// The four cases of the label update as stacked areas.
    Cases,
}

/// A chart over the epochs.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub title: String,
    /// Of the values.
    pub unit: &'static str,
    pub content: Content,
    /// Values at the lower and upper end; by default those of the data.
    pub range: Option<[f64; 2]>,
    /// Positive values with an optional logarithmic scale.
    pub may_be_log: bool,
}

/// Cases of the label update, from the bottom up.
const CASES: [&str; 5] = ["1 stays", "0 stays", "was 1, coin", "was 0, coin", "never masked"];

impl Chart {
    /// Draws it and returns the epoch that was clicked or dragged to. The first of `runs` is the shown one, the others
    /// are drawn over it. `mark` is the epoch to compare with; `names_epoch`: the head names the epoch at the cursor.
    pub(super) fn show(
        &self,
        ui: &mut Ui,
        rect: Rect,
        runs: &[&OpenRun],
        (mark, names_epoch): (Option<usize>, bool),
        log: bool,
    ) -> Option<usize> {
        let run = *runs.first()?;
        let t = theme::tokens(ui);
        ui.painter().rect_filled(rect, 0.0, t.panel);
        let log = log && self.may_be_log;
        let head = self.head_height(ui, rect, runs);
        let body = Rect::from_min_max(
            pos2(rect.left() + space::XS, rect.top() + head),
            pos2(rect.right() - space::M, rect.bottom() - space::XS),
        );
        if body.height() < 24.0 || body.width() < 60.0 {
            return None;
        }
        let epochs = runs.iter().map(|run| run.epochs()).max().unwrap_or(1).max(1);
        let bounds = self.bounds(runs, log);
        let mut inner = super::child(ui, body, &self.title);
        // The labels of the last ticks extend beyond the plot.
        inner.set_clip_rect(rect.intersect(ui.clip_rect()));
        let plot = self.frame(&inner, t, epochs, bounds, log);
        let cursor = run.epoch();
        let shown = plot.show(&mut inner, |plot| {
            plot.set_plot_bounds_x(0.5..=epochs as f64 + 0.5);
            plot.set_plot_bounds_y(bounds[0]..=bounds[1]);
            if let Content::Cases = self.content {
                stack(plot, run, t);
            }
            cursors(plot, t, cursor, mark);
        });
        if let Content::Lines(quantities) = &self.content {
            let painter = inner.painter().with_clip_rect(shown.transform.frame().expand(1.0).intersect(rect));
            // The shown run last, so that it is on top.
            for (r, run) in runs.iter().enumerate().rev() {
                for (q, quantity) in quantities.iter().enumerate() {
                    for piece in pieces(run.series.line(quantity), log) {
                        let places = piece.iter().map(|p| shown.transform.position_from_point(&(*p).into()));
                        let places: Vec<Pos2> = places.collect();
                        painter.extend(curve::shapes(&places, color_of(t, r, q, runs.len()), style_of(q)));
                    }
                }
            }
        }
        let empty = match &self.content {
            Content::Cases => run.series.cases.is_empty(),
            Content::Lines(all) => {
                runs.iter().all(|run| all.iter().all(|quantity| run.series.line(quantity).is_empty()))
            }
        };
        if empty {
            let message = "Not logged by this run";
            ui.painter().text(body.center(), Align2::CENTER_CENTER, message, font::caption(), t.text_dim);
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
        self.head(ui, rect, runs, hovered.or(cursor.filter(|_| names_epoch)), log);
        let moved = response.clicked() || response.dragged();
        let at = response.interact_pointer_pos().filter(|_| moved)?;
        Some(epoch_at(&shown.transform, at.x, run.last())).filter(|epoch| Some(*epoch) != cursor)
    }

    /// Minimum and maximum of the drawn values, with a margin.
    fn bounds(&self, runs: &[&OpenRun], log: bool) -> [f64; 2] {
        if let (Some(range), false) = (self.range, log) {
            return range;
        }
        let Content::Lines(quantities) = &self.content else { return [0.0, 100.0] };
        let values = runs.iter().flat_map(|run| {
            quantities.iter().flat_map(|quantity| run.series.line(quantity).iter().filter_map(|p| scaled(p[1], log)))
        });
        let fold = |[low, high]: [f64; 2], v: f64| [low.min(v), high.max(v)];
        let [mut low, mut high] = values.fold([f64::INFINITY, f64::NEG_INFINITY], fold);
        if low > high {
            return if log { [-3.0, 0.0] } else { [0.0, 1.0] };
        }
        if !log && low >= 0.0 && low < 0.6 * high {
            low = 0.0;
        }
        // A constant is drawn in the middle.
        let padding = match (high > low, log) {
            (true, _) => (high - low) * MARGIN,
            (false, true) => 0.5,
            (false, false) if high == 0.0 => 1.0,
            (false, false) => high.abs() * 0.5,
        };
        high += padding;
        low -= if low == 0.0 && !log { 0.0 } else { padding };
        [low, high]
    }

    /// Axes and input: a click or drag moves the cursor; charts are never zoomed.
    fn frame<'b>(&self, ui: &Ui, t: &'static Tokens, epochs: usize, bounds: [f64; 2], log: bool) -> Plot<'b> {
        let hints = |axis: AxisHints<'b>| axis.tick_label_color(t.text_dim).tick_label_font(font::number_small());
        let whole = |mark: GridMark, _: &RangeInclusive<f64>| format!("{:.0}", mark.value);
        let height = ui.max_rect().height();
        let x = hints(AxisHints::new_x()).formatter(whole).label_spacing(egui::Rangef::new(16.0, 24.0));
        let x = if height < NAMED_FROM { x } else { named(ui, x, "epoch") };
        let span = if log { 10.0_f64.powf(bounds[1]) - 10.0_f64.powf(bounds[0]) } else { bounds[1] - bounds[0] };
        let value = move |mark: GridMark, _: &RangeInclusive<f64>| {
            if log { log_label(mark.value, span) } else { label(mark.value, span) }
        };
        let y = hints(AxisHints::new_y()).formatter(value).min_thickness(AXIS);
        let y = y.label_spacing(egui::Rangef::new(10.0, 14.0));
        let plot = Plot::new(("chart", self.title.clone()))
            .custom_x_axes(vec![x])
            .custom_y_axes(vec![y])
            .x_grid_spacer(move |input| marks(&input, true, (epochs as f64 / 6.0).max(1.0)))
            .y_grid_spacer(move |input| {
                let lines = f64::from((height / 34.0).clamp(2.0, 6.0));
                if log {
                    log_marks(&input, lines)
                } else {
                    marks(&input, false, (input.bounds.1 - input.bounds.0) / lines)
                }
            })
            .sense(Sense::click_and_drag());
        without_zoom(plot, t)
    }
}

/// The grid of a chart without zoom, drag and pointer labels.
pub(in crate::view::train) fn without_zoom<'a>(plot: Plot<'a>, t: &Tokens) -> Plot<'a> {
    // A plot must not exceed its place, even if that is low.
    plot.min_size(egui::Vec2::ZERO)
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
}

/// A value on the scale; `None` for non-positive values on a logarithmic scale.
fn scaled(value: f64, log: bool) -> Option<f64> {
    if !log {
        return Some(value);
    }
    (value > 0.0).then(|| value.log10())
}

/// A curve split at values that the scale cannot show, with no line across the gaps.
fn pieces(points: &[[f64; 2]], log: bool) -> Vec<Vec<[f64; 2]>> {
    let placed: Vec<Option<[f64; 2]>> = points.iter().map(|p| Some([p[0], scaled(p[1], log)?])).collect();
    let pieces = placed.split(Option::is_none).filter(|piece| !piece.is_empty());
    pieces.map(|piece| piece.iter().flatten().copied().collect()).collect()
}

/// Stacked shares of the cases; an update's shares apply since the previous one.
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

/// The current epoch, and the one to compare with.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::event::EpochSummary;
    use engine::run::History;

    use super::*;
    use crate::state::timeline::Series;

    /// A run with this log.
    fn run_of(history: History) -> OpenRun {
        OpenRun {
            id: 1,
            path: "/runs/1".into(),
            name: "1".into(),
            config: Arc::default(),
            series: Series::of(&history, 0.0),
            history,
            live: false,
            held_by: None,
            stamp: engine::run::workspace::RunStamp::default(),
            waiting: None,
            cursor: None,
            pins: Vec::new(),
        }
    }

    /// The texts of the first `frames` frames of a chart over eight epochs, by frame, with their places.
    fn texts(height: f32, frames: usize, names_epoch: bool) -> Vec<Vec<(String, Rect)>> {
        let summaries = (1..=8).map(|epoch| EpochSummary { epoch, loss: 1.0, ..EpochSummary::default() }).collect();
        let run = run_of(History { summaries, epochs: 8, ..History::default() });
        let content = Content::Lines(vec![Quantity::Loss]);
        let chart = Chart { title: "Loss".into(), unit: "", content, range: None, may_be_log: true };
        let ctx = egui::Context::default();
        theme::install(&ctx, theme::Theme::Dark);
        let place = Rect::from_min_size(Pos2::ZERO, egui::vec2(300.0, height));
        let frame = |_| {
            let screen = Rect::from_min_size(Pos2::ZERO, egui::vec2(300.0, 300.0));
            let input = egui::RawInput { screen_rect: Some(screen), ..egui::RawInput::default() };
            let output = ctx.run_ui(input, |ui| {
                chart.show(ui, place, &[&run], (None, names_epoch), false);
            });
            let texts = output.shapes.iter().filter_map(|clipped| match &clipped.shape {
                egui::Shape::Text(text) => Some((text.galley.text().to_owned(), text.visual_bounding_rect())),
                _ => None,
            });
            let texts: Vec<(String, Rect)> = texts.collect();
            output.drop_without_applying_deltas();
            texts
        };
        (0..frames).map(frame).collect()
    }

    #[test]
    fn axis_labels_stay_inside_a_low_chart() {
        for height in [96.0, 110.0, 132.0] {
            let last = texts(height, 3, false).pop().unwrap_or_default();
            let lowest = last.iter().map(|(_, place)| place.bottom()).fold(0.0, f32::max);
            assert!(lowest > height - 40.0, "{height}: no numbers of the epochs");
            assert!(lowest <= height + 1.0, "{height}: numbers end at {lowest}");
        }
    }

    #[test]
    fn the_name_of_the_axis_is_below_its_numbers_from_the_first_frame_on() {
        for (n, frame) in texts(178.0, 3, false).into_iter().enumerate() {
            let name = frame.iter().find(|(text, _)| text == "epoch").map(|(_, place)| *place);
            let name = name.unwrap_or_else(|| panic!("frame {n} has no name"));
            let numbers: Vec<_> = frame.iter().filter(|(text, _)| ["2", "4", "6", "8"].contains(&&**text)).collect();
            assert!(numbers.len() >= 3, "frame {n}: {frame:?}");
            assert!(numbers.iter().all(|(_, place)| place.bottom() <= name.top() + 1.0), "frame {n}: {frame:?}");
        }
    }

    #[test]
    fn an_exported_chart_names_the_epoch_of_its_values() {
        let names = |exported| texts(178.0, 1, exported)[0].iter().any(|(text, _)| text == "epoch 8");
        assert_eq!([names(true), names(false)], [true, false]);
    }

    #[test]
    fn a_constant_curve_has_an_axis_around_it() {
        let content = Content::Lines(vec![Quantity::Loss]);
        let chart = Chart { title: "Loss".into(), unit: "", content, range: None, may_be_log: true };
        let bounds = |value: f64, log| {
            let summaries = (1..=3).map(|epoch| EpochSummary { epoch, loss: value, ..EpochSummary::default() });
            let history = History { summaries: summaries.collect(), epochs: 3, ..History::default() };
            chart.bounds(&[&run_of(history)], log)
        };
        assert_eq!(bounds(0.0, false), [0.0, 1.0]);
        assert_eq!(bounds(2.0, false), [1.0, 3.0]);
        assert_eq!(bounds(1.0, true), [-0.5, 0.5], "half a decade on both sides");
    }

    #[test]
    fn a_logarithmic_curve_has_gaps_at_values_that_are_not_positive() {
        assert_eq!(scaled(0.0, true), None);
        assert_eq!(scaled(100.0, true), Some(2.0));
        assert_eq!(scaled(-3.0, false), Some(-3.0));
        let curve = [[1.0, 0.0], [2.0, 10.0], [3.0, 1.0], [4.0, 0.0], [5.0, 100.0]];
        assert_eq!(pieces(&curve, true), [vec![[2.0, 1.0], [3.0, 0.0]], vec![[5.0, 2.0]]], "no line across a zero");
        assert_eq!(pieces(&curve, false), [curve.to_vec()]);
    }
}
