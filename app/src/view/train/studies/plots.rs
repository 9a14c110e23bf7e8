//! Plots of a study side by side: one dot per test patient and method, and the curves over the label budgets.

use std::ops::RangeInclusive;

use egui::{Pos2, Rect, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};
use egui_plot::{AxisHints, GridInput, GridMark, Line, Plot, PlotPoints, Points};
use engine::study::summary::Metric;

use super::curves;
use crate::command::{Command, Sender, StudyCommand};
use crate::state::State;
use crate::state::study::{StudyCell, budget_name, column_of};
use crate::theme::{self, Tokens, font, space};
use crate::view::train::watch::plot::axis::{label, marks};
use crate::view::train::watch::plot::without_zoom;
use crate::widget::{format, text};

/// Minimum height of a chart.
const HEIGHT: f32 = 200.0;
/// Minimum height of a method's row in a chart.
const METHOD: f32 = 26.0;
/// Height of a chart's title.
const TITLE: f32 = 24.0;
/// Maximum distance of the pointer from a dot or curve, in points.
pub(super) const NEAR: f32 = 7.0;

/// Draws them side by side down to `bottom`, or higher if that is too little.
pub(super) fn show(ui: &mut Ui, state: &State, bottom: f32, sender: &Sender) {
    let methods = state.study_group().map_or(0, |group| state.study_results(group).len());
    let least = HEIGHT.max(METHOD * methods as f32 + TITLE + 40.0);
    let size = vec2(ui.available_width(), (bottom - ui.cursor().top()).max(least));
    let (area, _) = ui.allocate_exact_size(size, Sense::hover());
    if state.study_groups().len() < 2 {
        return dots(ui, area, state, sender);
    }
    let (left, right) = area.split_left_right_at_fraction(0.5);
    dots(ui, Rect::from_min_max(left.min, pos2(left.right() - space::S, left.bottom())), state, sender);
    curves::show(ui, Rect::from_min_max(pos2(right.left() + space::S, right.top()), right.max), state, sender);
}

/// Paints a chart's background and title; returns the rest.
pub(super) fn card(ui: &Ui, rect: Rect, title: &str) -> Rect {
    let t = theme::tokens(ui);
    ui.painter().rect_filled(rect, theme::radius::M, t.panel);
    let inner = rect.shrink2(vec2(space::M, space::S));
    let galley = text::one_line(ui, title, font::strong(), t.text, inner.width());
    ui.painter().galley(inner.min, galley, t.text);
    Rect::from_min_max(pos2(inner.left(), inner.top() + TITLE), inner.max)
}

/// A part of the page for a plot.
pub(super) fn child(ui: &mut Ui, rect: Rect, name: &str) -> Ui {
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(name.to_owned()));
    // The labels of the last ticks extend beyond the plot.
    child.set_clip_rect(rect.expand(space::S).intersect(ui.clip_rect()));
    child
}

/// A plot without pan and zoom.
pub(super) fn fixed_plot<'a>(name: &str, t: &'static Tokens, x: AxisHints<'a>, y: AxisHints<'a>) -> Plot<'a> {
    let hints = |axis: AxisHints<'a>| axis.tick_label_color(t.text_dim).tick_label_font(font::number_small());
    let plot = Plot::new(name.to_owned()).custom_x_axes(vec![hints(x)]).custom_y_axes(vec![hints(y)]);
    without_zoom(plot, t).sense(Sense::click())
}

/// The axis of a metric: shares go from 0 to 1.
fn range(metric: Metric, values: impl Iterator<Item = f64>) -> [f64; 2] {
    if metric != Metric::Hd95Mm {
        return [0.0, 1.0];
    }
    let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
    [0.0, if most > 0.0 { most * 1.05 } else { 1.0 }]
}

pub(super) fn numbers(range: [f64; 2]) -> impl Fn(GridMark, &RangeInclusive<f64>) -> String {
    move |mark, _| label(mark.value, range[1] - range[0])
}

/// A test patient's mean of a method.
struct Dot<'a> {
    patient: &'a str,
    method: usize,
    mean: f64,
}

fn dots(ui: &mut Ui, rect: Rect, state: &State, sender: &Sender) {
    let Some(group) = state.study_group() else { return };
    let (t, metric) = (theme::tokens(ui), state.study_metric());
    let column = column_of(metric);
    let methods = state.study_results(group);
    let names: Vec<String> = methods.iter().map(|method| method.method.clone()).collect();
    let mut all = Vec::new();
    for (method, name) in names.iter().enumerate() {
        for patient in state.study_patients(group, name) {
            all.extend(patient.mean(column).map(|mean| Dot { patient: patient.name, method, mean }));
        }
    }
    let range = range(metric, all.iter().map(|dot| dot.mean));
    let (several, count) = (state.study_groups().len() > 1, names.len() as f64);
    let budget = if several { format!(", {} labelled", budget_name(&group.budget)) } else { String::new() };
    let title = format!("{} by patient{budget}", column.meaning());
    let place = card(ui, rect, &title);
    let mut inner = child(ui, place, "study dots");
    let lines = f64::from((inner.max_rect().width() / 80.0).clamp(2.0, 10.0));
    let widest = names
        .iter()
        .map(|name| inner.painter().layout_no_wrap(name.clone(), font::number_small(), t.text_dim).size().x + space::S);
    let widest = widest.fold(0.0, f32::max).min(rect.width() / 3.0);
    // Methods from the top down.
    let height_of = move |method: usize| count - method as f64;
    let method_name = move |mark: GridMark, _: &RangeInclusive<f64>| {
        let method = (count - mark.value).round();
        names.get(method as usize).filter(|_| method >= 0.0).cloned().unwrap_or_default()
    };
    let x = AxisHints::new_x().formatter(numbers(range)).label_spacing(egui::Rangef::new(16.0, 24.0));
    let y = AxisHints::new_y().formatter(method_name).min_thickness(widest).label_spacing(egui::Rangef::new(8.0, 10.0));
    let plot = fixed_plot("study dots", t, x, y)
        .x_grid_spacer(move |input| marks(&input, false, (input.bounds.1 - input.bounds.0) / lines))
        .y_grid_spacer(|input: GridInput| marks(&input, true, 1.0));
    let shown = plot.show(&mut inner, |plot| {
        let margin = (range[1] - range[0]) * 0.02;
        plot.set_plot_bounds_x(range[0] - margin..=range[1] + margin);
        plot.set_plot_bounds_y(0.4..=count + 0.6);
        let points: Vec<[f64; 2]> = all.iter().map(|dot| [dot.mean, height_of(dot.method)]).collect();
        let color = t.chart[0].gamma_multiply(0.6);
        plot.points(Points::new("", PlotPoints::from(points)).radius(4.0).color(color).allow_hover(false));
        for (at, method) in methods.iter().enumerate() {
            let Some(spread) = method.metrics.get(&metric).filter(|spread| spread.mean.is_finite()) else { continue };
            let bar = vec![[spread.mean, height_of(at) - 0.3], [spread.mean, height_of(at) + 0.3]];
            plot.line(Line::new("", PlotPoints::from(bar)).color(t.chart[1]).width(3.0).allow_hover(false));
        }
    });
    let response = shown.response;
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &title));
    let distance = |dot: &Dot<'_>, at: Pos2| {
        let point = egui_plot::PlotPoint::new(dot.mean, height_of(dot.method));
        shown.transform.position_from_point(&point).distance(at)
    };
    let near = response.hover_pos().and_then(|at| {
        let nearest = all.iter().min_by(|a, b| distance(a, at).total_cmp(&distance(b, at)))?;
        (distance(nearest, at) <= NEAR).then_some(nearest)
    });
    if let Some(dot) = near {
        let method = &methods[dot.method].method;
        let clicked = response.clicked();
        let value = format::fixed(dot.mean, metric.decimals());
        response.on_hover_text_at_pointer(format!("{}, {method}: {value}\nClick to open it", dot.patient));
        if clicked {
            let cell = StudyCell { budget: group.budget.clone(), method: method.clone() };
            sender.send(Command::Study(StudyCommand::OpenPatient(cell, dot.patient.to_owned())));
        }
    }
}
