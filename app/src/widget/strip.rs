//! The strip below the views: one value per slice as bars.

mod mark;

use std::ops::RangeInclusive;

use egui::{
    Align2, Color32, EventFilter, Key, Mesh, Modifiers, Painter, Pos2, Rect, Response, Role, Sense, Shape, Ui,
    WidgetInfo, pos2, vec2,
};

pub use mark::Mark;

use super::paint;
use crate::theme::{self, Tokens, font, radius, size, space};

/// Which end of the range is bad. Where several slices share a pixel, the worst is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorstEnd {
    /// Small values, as for Dice.
    Low,
    /// Large values, as for entropy.
    High,
}

/// User input on a strip.
pub struct StripOutput {
    /// The response of the whole strip.
    pub response: Response,
    /// The hovered index.
    pub hovered: Option<usize>,
    /// The index selected in this frame by click, drag or arrow key.
    pub chosen: Option<usize>,
}

/// Bars over slices, with a cursor at the shown slice.
#[must_use = "call show"]
pub struct StripChart<'a> {
    label: &'a str,
    values: &'a [Option<f32>],
    range: RangeInclusive<f32>,
    cursor: Option<usize>,
    worst: WorstEnd,
    color: Option<Color32>,
    decimals: usize,
    noun: &'a str,
    curve: bool,
    marks: &'a [Mark],
    height: f32,
}

const HEAD: f32 = 24.0;
const FOOT: f32 = 16.0;
const GUTTER: f32 = 34.0;

/// Indices to screen positions.
struct Plot {
    rect: Rect,
    count: usize,
}

impl Plot {
    fn index_at(&self, x: f32) -> Option<usize> {
        let fraction = (x - self.rect.left()) / self.rect.width();
        (self.count > 0).then(|| ((fraction * self.count as f32).floor().max(0.0) as usize).min(self.count - 1))
    }

    /// Left and right edges of an index.
    fn span(&self, index: usize) -> (f32, f32) {
        let step = self.rect.width() / self.count as f32;
        (self.rect.left() + index as f32 * step, self.rect.left() + (index + 1) as f32 * step)
    }

    fn center(&self, index: usize) -> f32 {
        let (left, right) = self.span(index);
        f32::midpoint(left, right)
    }
}

impl<'a> StripChart<'a> {
    /// A strip of values from 0 to 1, of which small ones are bad.
    pub fn new(label: &'a str, values: &'a [Option<f32>]) -> Self {
        Self {
            label,
            values,
            range: 0.0..=1.0,
            cursor: None,
            worst: WorstEnd::Low,
            color: None,
            decimals: 2,
            noun: "Slice",
            curve: false,
            marks: &[],
            height: size::STRIP,
        }
    }

    /// Values at the bottom and the top.
    pub fn range(mut self, range: RangeInclusive<f32>) -> Self {
        self.range = range;
        self
    }

    /// The shown index.
    pub fn cursor(mut self, cursor: Option<usize>) -> Self {
        self.cursor = cursor.filter(|&cursor| cursor < self.values.len());
        self
    }

    /// Which end of the range is bad.
    pub fn worst(mut self, worst: WorstEnd) -> Self {
        self.worst = worst;
        self
    }

    /// Colour of the bars, by default the accent.
    pub fn color(mut self, color: Color32) -> Self {
        self.color = Some(color);
        self
    }

    /// Decimals of the readout.
    pub fn decimals(mut self, decimals: usize) -> Self {
        self.decimals = decimals;
        self
    }

    /// Name of an index in the readout, by default "Slice". Numbers are 1-based.
    pub fn noun(mut self, noun: &'a str) -> Self {
        self.noun = noun;
        self
    }

    /// Draws a curve with an area instead of bars.
    pub fn curve(mut self) -> Self {
        self.curve = true;
        self
    }

    /// Additional marked values.
    pub fn marks(mut self, marks: &'a [Mark]) -> Self {
        self.marks = marks;
        self
    }

    /// Height in points, by default that of the bottom strip.
    pub fn height(mut self, height: f32) -> Self {
        self.height = height;
        self
    }

    /// Shows it, as wide as the available space.
    pub fn show(self, ui: &mut Ui) -> StripOutput {
        let (rect, mut response) =
            ui.allocate_exact_size(vec2(ui.available_width(), self.height), Sense::click_and_drag());
        let plot = Plot {
            rect: Rect::from_min_max(rect.min + vec2(GUTTER, HEAD), rect.max - vec2(space::M, FOOT)),
            count: self.values.len(),
        };
        let over = response.hover_pos().filter(|at| at.x >= plot.rect.left() - 1.0 && at.x <= plot.rect.right() + 1.0);
        let hovered = over.and_then(|at| plot.index_at(at.x));
        let pointed = if response.dragged() || response.clicked() { response.interact_pointer_pos() } else { None };
        let mut chosen = pointed.and_then(|at| plot.index_at(at.x));
        chosen = chosen.or_else(|| self.key(ui, &response));
        if chosen.is_some_and(|chosen| Some(chosen) != self.cursor) {
            response.mark_changed();
        }
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::Slider, ui.is_enabled(), self.label);
            info.value = self.cursor.map(|cursor| (cursor + 1) as f64);
            info
        });
        let readout = hovered.or(self.cursor).map(|index| self.readout(index));
        let marked = self.marks.iter().map(|mark| mark.label(self.decimals));
        let described = readout.iter().cloned().chain(marked).collect::<Vec<_>>().join("; ");
        ui.accesskit_node_builder(response.id, |node| node.set_description(described));
        if ui.is_rect_visible(rect) && plot.rect.is_positive() {
            self.paint_frame(ui, rect, &plot, readout.as_deref());
            if self.curve {
                self.paint_curve(ui.painter(), &plot, theme::tokens(ui));
            } else {
                self.paint_bars(ui.painter(), &plot, theme::tokens(ui));
            }
            self.paint_cursor(ui.painter(), &plot, hovered, theme::tokens(ui));
            mark::paint(ui, &plot, self.marks, self.decimals, |value| self.fraction(value));
            paint::focus_ring(ui, &response, rect, radius::M);
        }
        StripOutput { response, hovered, chosen }
    }

    fn readout(&self, index: usize) -> String {
        let number = index + 1;
        match self.values[index] {
            Some(value) => format!("{} {number}   {value:.*}", self.noun, self.decimals),
            None => format!("{} {number}   \u{2013}", self.noun),
        }
    }

    fn key(&self, ui: &Ui, response: &Response) -> Option<usize> {
        if !response.has_focus() || self.values.is_empty() {
            return None;
        }
        let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        let last = self.values.len() - 1;
        let cursor = self.cursor.unwrap_or(0);
        ui.input_mut(|input| {
            let mut pressed = |key| input.consume_key(Modifiers::NONE, key);
            if pressed(Key::ArrowLeft) {
                Some(cursor.saturating_sub(1))
            } else if pressed(Key::ArrowRight) {
                Some((cursor + 1).min(last))
            } else if pressed(Key::Home) {
                Some(0)
            } else if pressed(Key::End) {
                Some(last)
            } else {
                None
            }
        })
    }

    /// Title, readout, grid lines and numbers.
    fn paint_frame(&self, ui: &Ui, rect: Rect, plot: &Plot, readout: Option<&str>) {
        let t = theme::tokens(ui);
        let painter = ui.painter();
        let head = rect.top() + HEAD / 2.0 - 1.0;
        let mut right = rect.right() - space::M;
        if let Some(readout) = readout {
            let galley = paint::line(ui, readout, font::number_small(), t.text, rect.width() / 2.0);
            right = paint::put(painter, pos2(right, head), Align2::RIGHT_CENTER, galley).left();
        }
        let title = paint::line(ui, self.label, font::caption(), t.text_dim, right - rect.left() - 2.0 * space::M);
        paint::put(painter, pos2(rect.left() + space::M, head), Align2::LEFT_CENTER, title);

        let (low, high) = (*self.range.start(), *self.range.end());
        for fraction in [0.0, 0.5, 1.0] {
            let y = plot.rect.bottom() - fraction * plot.rect.height();
            paint::hairline(painter, plot.rect.x_range(), y, t.line);
            if fraction != 0.5 {
                let text = trimmed(low + (high - low) * fraction);
                let galley = paint::line(ui, &text, font::number_small(), t.text_dim, GUTTER);
                paint::put(painter, pos2(plot.rect.left() - space::XS, y), Align2::RIGHT_CENTER, galley);
            }
        }
        let mut free_from = f32::NEG_INFINITY;
        for number in ticks(plot.count, plot.rect.width()) {
            let x = plot.center(number - 1);
            let galley = paint::line(ui, &number.to_string(), font::number_small(), t.text_dim, 60.0);
            if x - galley.size().x / 2.0 > free_from {
                let place = paint::put(painter, pos2(x, plot.rect.bottom() + 2.0), Align2::CENTER_TOP, galley);
                free_from = place.right() + space::S;
            }
        }
    }

    /// All bars as one mesh; one bar per pixel column if there are more values than pixels.
    fn paint_bars(&self, painter: &Painter, plot: &Plot, t: &Tokens) {
        if plot.count == 0 {
            return;
        }
        let pixel = 1.0 / painter.pixels_per_point();
        let step = plot.rect.width() / plot.count as f32;
        let group = (pixel / step).ceil().max(1.0) as usize;
        let gap = if step >= 4.0 { 1.0 } else { 0.0 };
        let color = self.color.unwrap_or(t.accent);
        let round = |x: f32| (x / pixel).round() * pixel;
        let mut mesh = Mesh::default();
        for start in (0..plot.count).step_by(group) {
            let end = (start + group).min(plot.count);
            let (left, right) = (round(plot.span(start).0), round(plot.span(end - 1).1) - gap);
            let right = right.max(left + pixel);
            if let Some(value) = self.worst_of(&self.values[start..end]) {
                let top = plot.rect.bottom() - self.fraction(value) * plot.rect.height();
                let top = top.min(plot.rect.bottom() - 1.0);
                let area = Rect::from_min_max(pos2(left, round(top)), pos2(right, plot.rect.bottom()));
                mesh.add_colored_rect(area, color.gamma_multiply(0.75));
            } else if step >= 4.0 {
                // A tick on the base line: a missing value is not zero.
                let middle = f32::midpoint(left, right);
                let bottom = plot.rect.bottom();
                let dot = Rect::from_x_y_ranges(middle - pixel..=middle + pixel, bottom - 3.0..=bottom - 1.0);
                mesh.add_colored_rect(dot, t.line_strong);
            }
        }
        painter.add(Shape::mesh(mesh));
    }

    /// At most one point per pixel column, joined by a line with gaps at missing values.
    fn paint_curve(&self, painter: &Painter, plot: &Plot, t: &Tokens) {
        let color = self.color.unwrap_or(t.accent_text);
        let step = plot.rect.width() / plot.count.max(1) as f32;
        let group = (1.0 / painter.pixels_per_point() / step).ceil().max(1.0) as usize;
        let mut area = Mesh::default();
        let mut line: Vec<Pos2> = Vec::new();
        let mut lines = Vec::new();
        for start in (0..plot.count).step_by(group) {
            let end = (start + group).min(plot.count);
            let Some(value) = self.worst_of(&self.values[start..end]) else {
                lines.push(std::mem::take(&mut line));
                continue;
            };
            let at = pos2(plot.center(start), plot.rect.bottom() - self.fraction(value) * plot.rect.height());
            if let Some(before) = line.last() {
                let first = area.vertices.len() as u32;
                let below = |x: f32| pos2(x, plot.rect.bottom());
                for corner in [*before, below(before.x), at, below(at.x)] {
                    area.colored_vertex(corner, color.gamma_multiply(0.18));
                }
                area.add_triangle(first, first + 1, first + 2);
                area.add_triangle(first + 1, first + 2, first + 3);
            }
            line.push(at);
        }
        lines.push(line);
        painter.add(Shape::mesh(area));
        for line in lines.into_iter().filter(|line| !line.is_empty()) {
            if let [only] = line[..] {
                painter.circle_filled(only, 2.0, color);
            } else {
                painter.add(Shape::line(line, egui::Stroke::new(1.5, color)));
            }
        }
    }

    fn worst_of(&self, values: &[Option<f32>]) -> Option<f32> {
        let values = values.iter().flatten().copied().filter(|value| value.is_finite());
        match self.worst {
            WorstEnd::Low => values.reduce(f32::min),
            WorstEnd::High => values.reduce(f32::max),
        }
    }

    fn fraction(&self, value: f32) -> f32 {
        let (low, high) = (*self.range.start(), *self.range.end());
        if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
    }

    fn paint_cursor(&self, painter: &Painter, plot: &Plot, hovered: Option<usize>, t: &Tokens) {
        let column = |index, color: Color32| {
            let (left, right) = plot.span(index);
            let wide = Rect::from_x_y_ranges(left..=right.max(left + 1.0), plot.rect.y_range());
            painter.rect_filled(wide, 0.0, color);
        };
        if let Some(index) = hovered {
            column(index, t.text.gamma_multiply(0.16));
        }
        let Some(index) = self.cursor else { return };
        column(index, t.accent_text.gamma_multiply(0.22));
        let x = painter.round_to_pixel_center(plot.center(index));
        painter.vline(x, plot.rect.y_range(), egui::Stroke::new(1.0, t.text));
        // A handle makes the cursor visible without its colour.
        let tip = |dx: f32, dy: f32| -> Pos2 { pos2(x + dx, plot.rect.top() + dy) };
        painter.add(Shape::convex_polygon(
            vec![tip(-4.0, -5.0), tip(4.0, -5.0), tip(0.0, 0.0)],
            t.text,
            egui::Stroke::NONE,
        ));
    }
}

/// A number without trailing zeros.
fn trimmed(value: f32) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// 1-based numbers written below the bars: the first, round ones, the last.
fn ticks(count: usize, width: f32) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let most_labels = (width / 48.0).max(1.0);
    let steps = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000];
    let step = steps.into_iter().find(|&step| (count as f32 / step as f32) <= most_labels).unwrap_or(10_000);
    let mut ticks = vec![1];
    ticks.extend((step..=count).step_by(step).filter(|&number| number != 1));
    ticks
}

#[cfg(test)]
#[path = "strip_tests.rs"]
mod tests;
