//! The mean of every method over the number of labelled patients. The curve under the pointer is named, and the others dim.

use egui::{Color32, Pos2, Rect, Role, Sense, Shape, Stroke, Ui, Vec2, WidgetInfo, pos2, vec2};
use egui_plot::{AxisHints, GridMark, LineStyle, PlotPoint};
use engine::study::Group;

use super::plots::{NEAR, card, child, fixed_plot, numbers};
use crate::command::{Command, Sender, StudyCommand};
use crate::state::State;
use crate::state::study::{StudyCell, column_of};
use crate::theme::{self, Tokens, font, space};
use crate::view::train::watch::plot::{
    axis::{marks, named},
    stroke_of, style_of,
};
use crate::widget::{format, text};

/// Height of a line of the legend, and length of a curve in it.
const LEGEND: f32 = 18.0;
const SWATCH: f32 = 26.0;
/// Radius of a marker.
const RADIUS: f32 = 3.5;
/// Widths of a curve: as usual, and under the pointer or of the selected cell.
const WIDTHS: [f32; 2] = [1.5, 3.0];
/// Opacity of the curves beside the one under the pointer.
const DIMMED: f32 = 0.2;

/// Shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Circle,
    Square,
    Up,
    Cross,
    Diamond,
    Down,
    Plus,
}

impl Marker {
    const ALL: [Self; 7] = [Self::Circle, Self::Square, Self::Up, Self::Cross, Self::Diamond, Self::Down, Self::Plus];

    /// Its corners, clockwise from the first at `turn` eighths of a circle from the right.
    fn polygon(at: Pos2, corners: usize, turn: f32, color: Color32) -> Shape {
        let corner = |n: usize| {
            let angle = std::f32::consts::TAU * (turn / 8.0 + n as f32 / corners as f32);
            at + RADIUS * 1.25 * Vec2::angled(angle)
        };
        Shape::convex_polygon((0..corners).map(corner).collect(), color, Stroke::NONE)
    }

    fn shapes(self, at: Pos2, color: Color32) -> Vec<Shape> {
        let line = |end: Vec2| Shape::line_segment([at - end * RADIUS, at + end * RADIUS], Stroke::new(2.0, color));
        match self {
            Self::Circle => vec![Shape::circle_filled(at, RADIUS, color)],
            Self::Square => vec![Self::polygon(at, 4, 1.0, color)],
            Self::Up => vec![Self::polygon(at, 3, 6.0, color)],
            Self::Cross => vec![line(vec2(1.0, 1.0)), line(vec2(1.0, -1.0))],
            Self::Diamond => vec![Self::polygon(at, 4, 0.0, color)],
            Self::Down => vec![Self::polygon(at, 3, 2.0, color)],
            Self::Plus => vec![line(vec2(1.2, 0.0)), line(vec2(0.0, 1.2))],
        }
    }
}

/// Style of a method's curve: colour, dashes and marker.
#[derive(Clone, Copy, Debug, PartialEq)]
struct CurveStyle {
    color: Color32,
    dashes: LineStyle,
    marker: Marker,
}

impl CurveStyle {
    /// Of the method at a place in the table. The first 140 differ.
    fn of(t: &Tokens, method: usize) -> Self {
        let round = method / t.chart.len();
        let (color, marker) = (t.chart[method % t.chart.len()], Marker::ALL[round % Marker::ALL.len()]);
        Self { color, dashes: style_of(round), marker }
    }

    fn shapes(self, points: &[Pos2], at: &[Pos2], width: f32) -> Vec<Shape> {
        let mut shapes = stroke_of(points, Stroke::new(width, self.color), self.dashes);
        shapes.extend(at.iter().flat_map(|at| self.marker.shapes(*at, self.color)));
        shapes
    }
}

/// A method with results.
struct Curve<'a> {
    method: &'a str,
    look: CurveStyle,
    /// Label budgets; binary logarithms of the labelled patients, rising; means.
    points: Vec<(&'a str, [f64; 2])>,
}

fn curves<'a>(t: &Tokens, state: &'a State) -> Vec<Curve<'a>> {
    let (metric, groups) = (state.study_metric(), state.study_groups());
    let curve = |(at, method): (usize, &'a str)| {
        let mean = |group: &&'a Group| {
            let mean = group.methods.iter().find(|of| of.method == method)?.metrics.get(&metric)?.mean;
            // A logarithmic axis.
            let is_drawn = mean.is_finite() && group.labelled > 0;
            is_drawn.then_some((group.budget.as_str(), [(group.labelled as f64).log2(), mean]))
        };
        let mut points: Vec<_> = groups.iter().filter_map(mean).collect();
        points.sort_by(|(_, a), (_, b)| a[0].total_cmp(&b[0]));
        Curve { method, look: CurveStyle::of(t, at), points }
    };
    state.study_methods().into_iter().enumerate().map(curve).filter(|curve| !curve.points.is_empty()).collect()
}

pub(super) fn show(ui: &mut Ui, rect: Rect, state: &State, sender: &Sender) {
    let (t, metric) = (theme::tokens(ui), state.study_metric());
    let curves = curves(t, state);
    let title = format!("{} by label budget", column_of(metric).meaning());
    let mut place = card(ui, rect, &title);
    let (height, listed) = legend(ui, place, &curves);
    place.min.y += height + space::XS;
    let mut inner = child(ui, place, "study curves");
    let points = || curves.iter().flat_map(|curve| &curve.points).map(|(_, point)| *point);
    let (low, high) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), p| (a.min(p[1]), b.max(p[1])));
    if low > high {
        return super::nothing(&mut inner, theme::icon::CURVES, "No result yet.");
    }
    let margin = ((high - low) * 0.15).max(high.abs() * 0.02).max(1e-3);
    let range = [(low - margin).max(0.0), high + margin];
    let mut budgets: Vec<f64> = points().map(|point| point[0]).collect();
    budgets.sort_by(f64::total_cmp);
    budgets.dedup();
    let (first, last) = (budgets[0], budgets[budgets.len() - 1]);
    let lines = f64::from((inner.max_rect().height() / 36.0).clamp(2.0, 6.0));
    let whole = |mark: GridMark, _: &std::ops::RangeInclusive<f64>| format!("{:.0}", mark.value.exp2());
    let x = AxisHints::new_x().formatter(whole).label_spacing(egui::Rangef::new(6.0, 8.0));
    let x = named(&inner, x, "labelled patients, log");
    let y =
        AxisHints::new_y().formatter(numbers(range)).min_thickness(34.0).label_spacing(egui::Rangef::new(10.0, 14.0));
    let plot = fixed_plot("study curves", t, x, y)
        .x_grid_spacer(move |_| budgets.iter().map(|value| GridMark { value: *value, step_size: 1.0 }).collect())
        .y_grid_spacer(move |input| marks(&input, false, (input.bounds.1 - input.bounds.0) / lines));
    let shown = plot.show(&mut inner, |plot| {
        let padding = ((last - first) * 0.06).max(0.1);
        plot.set_plot_bounds_x(first - padding..=last + padding);
        plot.set_plot_bounds_y(range[0]..=range[1]);
    });
    let response = shown.response;
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &title));
    let on_screen = |point: &(&str, [f64; 2])| shown.transform.position_from_point(&PlotPoint::from(point.1));
    let places: Vec<Vec<Pos2>> = curves.iter().map(|curve| curve.points.iter().map(on_screen).collect()).collect();
    let pointed = response.hover_pos().and_then(|at| nearest(&places, at));
    let hovered = listed.or(pointed.map(|(curve, _)| curve));
    let selected = state.session.study.cell.as_ref().map(|cell| cell.method.as_str());
    let is_wide = |n: usize| Some(n) == hovered || (hovered.is_none() && Some(curves[n].method) == selected);
    let mut order: Vec<usize> = (0..curves.len()).collect();
    // On top of the others.
    order.sort_by_key(|n| is_wide(*n));
    for n in order {
        let mut look = curves[n].look;
        if hovered.is_some_and(|hovered| hovered != n) {
            look.color = look.color.gamma_multiply(DIMMED);
        }
        inner.painter().extend(look.shapes(&places[n], &places[n], WIDTHS[usize::from(is_wide(n))]));
    }
    if let Some((curve, point)) = pointed {
        let (method, (budget, [labelled, mean])) = (curves[curve].method, curves[curve].points[point]);
        let mean = format::fixed(mean, metric.decimals());
        if response.clicked() {
            let cell = StudyCell { budget: budget.to_owned(), method: method.to_owned() };
            sender.send(Command::Study(StudyCommand::ChooseCell(cell)));
        }
        let labelled = format::plural(labelled.exp2().round() as usize, "labelled patient", "labelled patients");
        response.on_hover_text_at_pointer(format!("{method} with {labelled}: {mean}\nClick to see its test patients"));
    }
}

/// The curve near a point of the screen, and its nearest marker.
fn nearest(places: &[Vec<Pos2>], at: Pos2) -> Option<(usize, usize)> {
    let to_curve = |curve: &[Pos2]| {
        let ends = curve.windows(2).map(|ends| to_segment(at, [ends[0], ends[1]]));
        ends.chain(curve.iter().map(|marker| marker.distance(at))).fold(f32::INFINITY, f32::min)
    };
    let by = |a: &Vec<Pos2>, b: &Vec<Pos2>| to_curve(a).total_cmp(&to_curve(b));
    let (curve, found) = places.iter().enumerate().min_by(|(_, a), (_, b)| by(a, b))?;
    let marker = (0..found.len()).min_by(|a, b| found[*a].distance(at).total_cmp(&found[*b].distance(at)))?;
    (to_curve(found) <= NEAR).then_some((curve, marker))
}

fn to_segment(at: Pos2, [a, b]: [Pos2; 2]) -> f32 {
    let along = b - a;
    let share = (at - a).dot(along) / along.length_sq().max(f32::EPSILON);
    (a + along * share.clamp(0.0, 1.0)).distance(at)
}

/// Draws the legend at the top of `place`. Returns its height and the curve whose entry is under the pointer.
fn legend(ui: &mut Ui, place: Rect, curves: &[Curve<'_>]) -> (f32, Option<usize>) {
    let t = theme::tokens(ui);
    let (mut x, mut y, mut hovered) = (place.left(), place.top() + LEGEND / 2.0, None);
    for (at, curve) in curves.iter().enumerate() {
        let name = text::one_line(ui, curve.method, font::caption(), t.text, place.width() - SWATCH - space::XS);
        let width = SWATCH + space::XS + name.size().x;
        if x > place.left() && x + width > place.right() {
            (x, y) = (place.left(), y + LEGEND);
        }
        let entry = Rect::from_min_size(pos2(x, y - LEGEND / 2.0), vec2(width + space::L, LEGEND));
        let response = ui.interact(entry, ui.scope_id().with(("curve", curve.method)), Sense::hover());
        let label = format!("Curve of {}", curve.method);
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &label));
        if response.hovered() {
            hovered = Some(at);
        }
        let ends = [pos2(x, y), pos2(x + SWATCH, y)];
        ui.painter().extend(curve.look.shapes(&ends, &[pos2(x + SWATCH / 2.0, y)], WIDTHS[0]));
        ui.painter().galley(pos2(x + SWATCH + space::XS, y - name.size().y / 2.0), name, t.text);
        x += width + space::L;
    }
    (y + LEGEND / 2.0 - place.top(), hovered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::Theme;

    #[test]
    fn no_two_of_140_methods_have_the_same_look() {
        for theme in Theme::ALL {
            let looks: Vec<CurveStyle> = (0..140).map(|method| CurveStyle::of(theme.tokens(), method)).collect();
            for (n, look) in looks.iter().enumerate() {
                assert!(!looks[..n].contains(look), "{theme}: method {n} looks like an earlier one: {look:?}");
            }
            // Colour apart: the first of each round differ by dashes or marker.
            assert!(looks[0].marker != looks[5].marker && looks[0].dashes != looks[5].dashes);
        }
    }

    #[test]
    fn the_curve_under_the_pointer_is_found_between_its_markers() {
        let places = [vec![pos2(0.0, 0.0), pos2(100.0, 0.0)], vec![pos2(0.0, 50.0), pos2(100.0, 90.0)], vec![]];
        assert_eq!(nearest(&places, pos2(70.0, 3.0)), Some((0, 1)));
        assert_eq!(nearest(&places, pos2(30.0, 60.0)), Some((1, 0)));
        assert_eq!(nearest(&places, pos2(50.0, 30.0)), None, "far from both");
        assert_eq!(nearest(&places, pos2(110.0, 0.0)), None, "beyond the end");
        assert_eq!(nearest(&[vec![pos2(5.0, 5.0)]], pos2(6.0, 6.0)), Some((0, 0)), "a single label budget");
    }
}
