//! Text on a pane: orientation letters, slice, window, zoom, scale bar, readout, legend.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Stroke, StrokeKind, pos2, vec2};

use super::case_view::{CaseView, Masks, PaneView};
use super::picture::Picture;
use super::{marks, scale_bar, text};
use crate::theme::{font, palette, space};
use crate::widget::overlay_text;

/// Distance of text from the pane's edge.
const MARGIN: f32 = space::S;
/// Line spacing in points.
const LINE: f32 = 15.0;
/// A narrower pane has one column of text.
const NARROW: f32 = 300.0;
/// Maximum length of the scale bar, in points and as a fraction of the pane width.
const BAR: (f32, f32) = (110.0, 0.25);

/// Input of [`write()`].
pub struct Written<'a> {
    /// The case.
    pub case: &'a CaseView<'a>,
    /// The pane.
    pub view: &'a PaneView<'a>,
    /// Notes of the image.
    pub picture: &'a Picture,
    /// This pane receives keys.
    pub active: bool,
    /// This pane shows the legend of the comparison.
    pub legend: bool,
}

/// Lines of text that grow from a corner.
struct Column<'a> {
    painter: &'a Painter,
    at: Pos2,
    anchor: Align2,
    step: f32,
}

impl Column<'_> {
    fn line(&mut self, text: &str, font: FontId, color: Color32) {
        if !text.is_empty() {
            overlay_text(self.painter, self.at, self.anchor, text, font, color);
        }
        self.at.y += self.step;
    }
}

/// Writes all text on a pane.
pub fn write(painter: &Painter, written: &Written<'_>) {
    letters(painter, written);
    let narrow = written.view.rect.width() < NARROW;
    let below = upper_left(painter, written, narrow);
    upper_right(painter, written, narrow.then_some(below));
    let above = if written.active { readout(painter, written, narrow) } else { written.view.rect.bottom() - MARGIN };
    let bar = scale(painter, written, if narrow { above } else { written.view.rect.bottom() - MARGIN });
    if written.legend {
        legend(painter, written, bar);
    }
}

fn letters(painter: &Painter, written: &Written<'_>) {
    let (case, view) = (written.case, written.view);
    let Some(letters) = view.grid.letters(view.plane, case.state.session.settings.convention) else { return };
    let rect = view.rect.shrink(MARGIN);
    let color = case.tokens.overlay_text;
    for (text, pos, anchor) in [
        (&letters.left, rect.left_center(), Align2::LEFT_CENTER),
        (&letters.right, rect.right_center(), Align2::RIGHT_CENTER),
        (&letters.top, rect.center_top(), Align2::CENTER_TOP),
        (&letters.bottom, rect.center_bottom(), Align2::CENTER_BOTTOM),
    ] {
        overlay_text(painter, pos, anchor, text, font::heading(), color);
    }
}

/// Slice, images, interpolation; returns the position of the next line.
fn upper_left(painter: &Painter, written: &Written<'_>, narrow: bool) -> Pos2 {
    let (case, view) = (written.case, written.view);
    let t = case.tokens;
    // Keeps clear of the letter at the upper edge.
    let corner = view.rect.min + vec2(MARGIN, MARGIN + if narrow { LINE + 4.0 } else { 0.0 });
    // In the colour of this plane's line in the other panes.
    let square = Rect::from_min_size(corner + vec2(0.0, 3.0), vec2(9.0, 9.0));
    painter.rect(square, 1.0, marks::plane_color(view.plane), Stroke::new(1.0, t.overlay_halo), StrokeKind::Outside);
    let title = if written.active { t.overlay_text } else { t.overlay_dim };
    let name = text::slice(view);
    overlay_text(painter, corner + vec2(14.0, 0.0), Align2::LEFT_TOP, &name, font::body(), title);
    let mut column = Column { painter, at: corner + vec2(0.0, LINE + 3.0), anchor: Align2::LEFT_TOP, step: LINE };
    let mut say = |text: &str, color| column.line(text, font::caption(), color);
    if let Some(images) = text::images(case, view) {
        say(&images, t.overlay_text);
    }
    if let Some(frame) = text::frame(case, view) {
        say(&frame, t.overlay_dim);
    }
    say(&text::making(case, view), t.overlay_dim);
    if let Some(overlay) = text::overlay(case) {
        say(overlay, t.overlay_text);
    }
    for note in &written.picture.notes {
        say(note, t.overlay_measure);
    }
    column.at
}

/// Window and zoom, in the upper right corner or, in a narrow pane, at `below`.
fn upper_right(painter: &Painter, written: &Written<'_>, below: Option<Pos2>) {
    let (case, view) = (written.case, written.view);
    let layer = case.layer(view.image);
    let corner = (view.rect.right_top() + vec2(-MARGIN, MARGIN), Align2::RIGHT_TOP);
    let (at, anchor) = below.map_or(corner, |at| (at, Align2::LEFT_TOP));
    let mut column = Column { painter, at, anchor, step: LINE };
    if !layer.volume.data.is_colour() {
        let window = text::window(case.window(view.id, layer));
        column.line(&window, font::number_small(), case.tokens.overlay_text);
    }
    let zoom = format!("zoom {:.1}×", case.state.session.view.camera(view.id).zoom);
    column.line(&zoom, font::number_small(), case.tokens.overlay_dim);
}

/// Voxel, position, value; returns the y of its upper edge.
fn readout(painter: &Painter, written: &Written<'_>, narrow: bool) -> f32 {
    let (case, view) = (written.case, written.view);
    // Keeps clear of the letter at the lower edge.
    let lift = if narrow { LINE + 4.0 } else { 0.0 };
    let bottom = view.rect.bottom() - MARGIN - lift;
    let at = pos2(view.rect.left() + MARGIN, bottom);
    let mut column = Column { painter, at, anchor: Align2::LEFT_BOTTOM, step: -LINE };
    let [labels, voxel, world, value] = text::readout(case, view.image);
    column.line(&value, font::number(), case.tokens.overlay_text);
    column.line(&world, font::number_small(), case.tokens.overlay_text);
    column.line(&voxel, font::number_small(), case.tokens.overlay_dim);
    if !labels.is_empty() {
        column.line(&labels, font::number_small(), case.tokens.overlay_text);
    }
    column.at.y - 4.0
}

/// The scale bar at the right above `bottom`; returns the y of its upper edge.
fn scale(painter: &Painter, written: &Written<'_>, bottom: f32) -> f32 {
    let view = written.view;
    let longest = BAR.0.min(view.rect.width() * BAR.1);
    let Some(mm) = scale_bar::length_mm(view.map.scale(), f64::from(longest)) else { return bottom };
    let length = (mm * view.map.scale()) as f32;
    let right = view.rect.right() - MARGIN;
    let y = painter.round_to_pixel_center(bottom - 1.0);
    let [left, right] = [right - length, right].map(|x| painter.round_to_pixel_center(x));
    let points = [pos2(left, y - 4.0), pos2(left, y), pos2(right, y), pos2(right, y - 4.0)];
    marks::polyline(painter, &points, 1.0, written.case.tokens.overlay_text, written.case.tokens.overlay_halo);
    let at = pos2(right, y - 6.0);
    let color = written.case.tokens.overlay_text;
    overlay_text(painter, at, Align2::RIGHT_BOTTOM, &scale_bar::text(mm), font::number_small(), color).top() - 4.0
}

/// Legend of the comparison, at the right above `bottom`.
fn legend(painter: &Painter, written: &Written<'_>, bottom: f32) {
    let (case, view) = (written.case, written.view);
    if !matches!(case.masks, Masks::Both { .. }) {
        return;
    }
    let lines = [
        ("missed (FN)", palette::FALSE_NEGATIVE, Pattern::Dashed),
        ("extra (FP)", palette::FALSE_POSITIVE, Pattern::Hatched),
        ("hit (TP)", palette::TRUE_POSITIVE, Pattern::Solid),
    ];
    for (n, (text, color, pattern)) in lines.into_iter().enumerate() {
        let middle = bottom - LINE * (n as f32 + 0.5);
        let right = view.rect.right() - MARGIN;
        let swatch = Rect::from_center_size(pos2(right - 9.0, middle), vec2(18.0, 10.0));
        painter.rect_filled(swatch.expand(1.0), 1.0, case.tokens.overlay_halo);
        pattern.paint(painter, swatch, color);
        let at = pos2(swatch.left() - 6.0, middle);
        overlay_text(painter, at, Align2::RIGHT_CENTER, text, font::caption(), case.tokens.overlay_text);
    }
}

/// How the shader draws a class of the comparison.
#[derive(Clone, Copy)]
enum Pattern {
    Solid,
    Hatched,
    Dashed,
}

impl Pattern {
    fn paint(self, painter: &Painter, rect: Rect, color: Color32) {
        let stroke = Stroke::new(1.0, color);
        match self {
            Self::Solid => {
                painter.rect_filled(rect, 0.0, color);
            }
            Self::Hatched => {
                let clipped = painter.with_clip_rect(painter.clip_rect().intersect(rect));
                let mut x = rect.left() - rect.height();
                while x < rect.right() {
                    let line = [pos2(x, rect.bottom()), pos2(x + rect.height(), rect.top())];
                    clipped.line_segment(line, Stroke::new(2.0, color));
                    x += 6.0;
                }
            }
            Self::Dashed => {
                let r = rect.shrink(0.5);
                let edge = [r.left_top(), r.right_top(), r.right_bottom(), r.left_bottom(), r.left_top()];
                painter.extend(egui::Shape::dashed_line(&edge, stroke, 4.0, 3.0));
            }
        }
    }
}
