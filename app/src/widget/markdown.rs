//! The Markdown of the manuals: headings, paragraphs, lists, tables, code, links.

mod parse;

use egui::text::{LayoutJob, TextFormat};
use egui::{Align, Color32, FontId, Frame, Galley, Id, Label, Layout, Margin, Rect, Sense, Stroke, Ui, Vec2, vec2};

use super::{IconButton, scroll_across};
use crate::theme::{self, font, icon, radius, size, space};
use parse::{Block, Content, Line, Run, Style};

/// Indentation of a list, in points.
const INDENT: f32 = 20.0;
/// Space between two columns of a table, in points.
const GUTTER: f32 = space::L;
/// Height of a line of text over its font's size.
const LEADING: f32 = 1.45;

/// Markdown, drawn as wide as the available space.
#[must_use = "call show"]
pub struct Markdown<'a> {
    text: &'a str,
    words: Vec<String>,
}

impl<'a> Markdown<'a> {
    /// Draws this text.
    pub fn new(text: &'a str) -> Self {
        Self { text, words: Vec::new() }
    }

    /// Marks every word of a query in the text.
    pub fn mark(mut self, query: &str) -> Self {
        self.words = query.split_whitespace().map(str::to_ascii_lowercase).collect();
        self
    }

    /// Shows it. Returns the target of the link that was clicked.
    pub fn show(&self, ui: &mut Ui) -> Option<String> {
        ui.spacing_mut().item_spacing.y = 0.0;
        let mut clicked = None;
        for (at, block) in parse::parse(self.text).iter().enumerate() {
            ui.add_space(space_above(block, at == 0));
            let link = ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 0.0;
                ui.add_space(INDENT * block.depth.saturating_sub(1) as f32);
                if block.depth > 0 {
                    let marker = vec![Run { text: block.marker.clone().unwrap_or_default(), ..Run::default() }];
                    ui.allocate_ui_with_layout(vec2(INDENT, 0.0), Layout::top_down(Align::Min), |ui| {
                        ui.set_width(INDENT);
                        self.line(ui, &marker, &font::body());
                    });
                }
                ui.vertical(|ui| self.block(ui, at, &block.content)).inner
            });
            clicked = clicked.or(link.inner);
        }
        clicked
    }

    fn block(&self, ui: &mut Ui, at: usize, content: &Content) -> Option<String> {
        match content {
            Content::Heading(level, line) => {
                let font = if *level <= 2 { font::heading() } else { font::strong() };
                self.line(ui, line, &font)
            }
            Content::Text(line) => self.line(ui, line, &font::body()),
            Content::Code(text) => {
                code(ui, at, text);
                None
            }
            Content::Table(rows) => self.table(ui, rows),
        }
    }

    /// Text that wraps. Its links can be clicked; text without links can be selected.
    fn line(&self, ui: &mut Ui, line: &Line, font: &FontId) -> Option<String> {
        let job = self.job(ui, line, font);
        if line.iter().all(|run| run.link.is_none()) {
            ui.add(Label::new(job).wrap().selectable(true));
            return None;
        }
        let (corner, galley, response) =
            Label::new(job).wrap().selectable(false).sense(Sense::click()).layout_in_ui(ui);
        ui.painter().galley(corner, std::sync::Arc::clone(&galley), Color32::PLACEHOLDER);
        let under = |pos: Option<egui::Pos2>| pos.and_then(|pos| run_at(&galley, line, pos - corner)?.link.clone());
        if under(response.hover_pos()).is_some() {
            ui.ctx().set_cursor_icon(egui::CursorIcon::PointingHand);
        }
        // A keyboard activation has no position, so it opens the first link.
        let first = || line.iter().find_map(|run| run.link.clone());
        let by_pointer = response.interact_pointer_pos();
        response.clicked().then(|| if by_pointer.is_some() { under(by_pointer) } else { first() }).flatten()
    }

    /// A line as egui lays it out.
    fn job(&self, ui: &Ui, line: &Line, font: &FontId) -> LayoutJob {
        let t = theme::tokens(ui);
        let mut job = LayoutJob::default();
        for run in line {
            let font_id = match run.style {
                Style::Plain => font.clone(),
                Style::Strong => FontId { size: font.size, ..font::strong() },
                Style::Code => font::mono(),
            };
            let color = if run.link.is_some() { t.accent_text } else { t.text };
            let underline = if run.link.is_some() { Stroke::new(1.0, color) } else { Stroke::NONE };
            let format = TextFormat {
                line_height: Some((font.size * LEADING).round()),
                valign: Align::Center,
                font_id,
                color,
                underline,
                ..TextFormat::default()
            };
            for (part, marked) in self.parts(&run.text) {
                let background = if marked { t.selection } else { Color32::TRANSPARENT };
                job.append(part, 0.0, TextFormat { background, ..format.clone() });
            }
        }
        job
    }

    /// A text in parts, and whether each is a word that was searched for.
    fn parts<'t>(&self, text: &'t str) -> Vec<(&'t str, bool)> {
        let lower = text.to_ascii_lowercase();
        let (mut parts, mut rest) = (Vec::new(), 0);
        while rest < text.len() {
            let next = self
                .words
                .iter()
                .filter_map(|word| lower[rest..].find(word.as_str()).map(|at| (rest + at, word.len())));
            let Some((start, length)) = next.min() else { break };
            parts.extend([(&text[rest..start], false), (&text[start..start + length], true)]);
            rest = start + length;
        }
        parts.push((&text[rest..], false));
        parts.retain(|(part, _)| !part.is_empty());
        parts
    }

    fn table(&self, ui: &mut Ui, rows: &[Vec<Line>]) -> Option<String> {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let gutters = GUTTER * columns.saturating_sub(1) as f32;
        let wanted: Vec<f32> = (0..columns)
            .map(|column| {
                let cells = rows.iter().enumerate().filter_map(|(at, row)| Some((at, row.get(column)?)));
                cells.map(|(at, cell)| self.natural_width(ui, cell, at == 0)).fold(0.0, f32::max)
            })
            .collect();
        let widths = column_widths(&wanted, (ui.available_width() - gutters).max(0.0));
        let mut clicked = None;
        for (at, row) in rows.iter().enumerate() {
            let font = if at == 0 { font::strong() } else { font::body() };
            let drawn = ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = GUTTER;
                for (cell, &width) in row.iter().zip(&widths) {
                    let link = ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                        ui.set_width(width);
                        self.line(ui, cell, &font)
                    });
                    clicked = clicked.take().or(link.inner);
                }
            });
            let bottom = drawn.response.rect.bottom() + 2.0;
            ui.painter().hline(drawn.response.rect.x_range(), bottom, Stroke::new(1.0, theme::tokens(ui).line));
            ui.add_space(space::XS);
        }
        clicked
    }

    fn natural_width(&self, ui: &Ui, cell: &Line, head: bool) -> f32 {
        let font = if head { font::strong() } else { font::body() };
        let job = self.job(ui, cell, &font);
        ui.fonts_mut(|fonts| fonts.layout_job(job)).size().x.ceil() + 1.0
    }
}

fn space_above(block: &Block, first: bool) -> f32 {
    match (&block.content, block.depth) {
        _ if first => 0.0,
        (Content::Heading(..), _) => space::L,
        (_, 0) => space::S,
        _ => space::XS,
    }
}

/// The run at a place of a laid-out line.
fn run_at<'l>(galley: &Galley, line: &'l Line, at: Vec2) -> Option<&'l Run> {
    if !Rect::from_min_size(egui::Pos2::ZERO, galley.size()).contains(at.to_pos2()) {
        return None;
    }
    let mut left = galley.cursor_from_pos(at).index;
    line.iter().find(|run| {
        let length = run.text.chars().count();
        let inside = left < length.into();
        if !inside {
            left -= length;
        }
        inside
    })
}

/// A block of code with a button that copies it. Long lines scroll.
fn code(ui: &mut Ui, at: usize, text: &str) {
    let t = theme::tokens(ui);
    let border = Stroke::new(1.0, t.line);
    let margin = Margin::same(space::S as i8);
    let frame = Frame::new().fill(t.field).stroke(border).corner_radius(radius::M).inner_margin(margin);
    let drawn = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        scroll_across(ui, &format!("code {at}"), |ui| {
            let text = egui::RichText::new(text).font(font::mono()).color(t.text);
            ui.add(Label::new(text).extend().selectable(true));
        });
    });
    let corner = drawn.response.rect.right_top() + vec2(-space::XS, space::XS);
    let place = Rect::from_min_max(corner - vec2(size::ROW_DENSE, 0.0), corner + vec2(0.0, size::ROW_DENSE));
    let id = Id::unique(("copy code", at));
    let mut child = ui.new_child(egui::UiBuilder::new().max_rect(place).id_salt(id));
    if child.add(IconButton::new(icon::COPY, "Copy code").small()).clicked() {
        ui.ctx().copy_text(text.to_owned());
    }
}

/// Distributes `room` over columns with widths `wanted`: narrow ones get their width, the others share the rest equally.
fn column_widths(wanted: &[f32], room: f32) -> Vec<f32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let (mut widths, mut rest) = (vec![0.0; wanted.len()], room);
    for (done, column) in order.into_iter().enumerate() {
        let share = rest / (wanted.len() - done) as f32;
        widths[column] = wanted[column].min(share);
        rest -= widths[column];
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_share_the_available_width() {
        assert_eq!(column_widths(&[10.0, 50.0], 100.0), [10.0, 50.0]);
        assert_eq!(column_widths(&[300.0, 10.0, 90.0], 130.0), [60.0, 10.0, 60.0]);
        assert_eq!(column_widths(&[], 5.0), [0.0; 0]);
    }

    #[test]
    fn words_of_a_query_are_marked() {
        let markdown = Markdown::new("").mark("Mask  ratio");
        let parts = markdown.parts("The masking ratio \u{3c3}");
        assert_eq!(parts, [("The ", false), ("mask", true), ("ing ", false), ("ratio", true), (" \u{3c3}", false)]);
        assert_eq!(Markdown::new("").parts("abc"), [("abc", false)]);
        assert_eq!(markdown.parts(""), []);
    }
}
