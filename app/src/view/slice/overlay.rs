//! Text on a pane: orientation letters, slice, window, zoom, scale bar, readout, legend.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Stroke, StrokeKind, pos2, vec2};

use super::case_view::{CaseView, PaneMasks, PaneView};
use super::picture::Picture;
use super::{marks, scale_bar, text};
use crate::theme::{font, palette, space};
use crate::widget::{Pattern, keep_letter, overlay_text};

/// Distance of text from the pane's edge.
const MARGIN: f32 = space::S;
/// Line spacing in points.
const LINE: f32 = 15.0;
/// Overlap of consecutive lines above and below their letters.
const LEADING: f32 = 2.5;
/// Below this width, a pane has one column of text.
const NARROW: f32 = 300.0;
/// Maximum length of the scale bar, in points and as a fraction of the pane width.
const BAR: (f32, f32) = (110.0, 0.25);
/// Height of the scale bar with its length.
const BAR_HEIGHT: f32 = 22.0;
/// Width of a legend's swatch, including the gap.
const SWATCH: f32 = 24.0;
/// Minimum gap between texts side by side, for their plates.
const BETWEEN_PLATES: f32 = 6.0;
/// Half the height of a letter at the edge, with a gap.
const LETTER: f32 = 14.0;

/// Input of [`write()`].
pub struct PaneText<'a> {
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

/// Tracks the text written on a pane. Text covers neither earlier text nor lesions and calipers.
struct Page<'a> {
    painter: &'a Painter,
    written: Vec<Rect>,
    /// Lesions, calipers and their text.
    kept: &'a [Rect],
}

impl Page<'_> {
    fn is_free(&self, rect: Rect) -> bool {
        let rect = rect.expand2(vec2(BETWEEN_PLATES, 0.0));
        !self.written.iter().chain(self.kept).any(|other| other.intersects(rect))
    }

    /// Rectangle of a line of text; lines are spaced closer than the letters' height.
    fn line(&self, at: Pos2, anchor: Align2, text: &str, font: FontId) -> Rect {
        let size = self.painter.layout_no_wrap(text.to_owned(), font, Color32::PLACEHOLDER).size();
        anchor.anchor_size(at, size).shrink2(vec2(0.0, LEADING))
    }

    /// Writes text if its place is free, and returns its rectangle.
    fn text(&mut self, at: Pos2, anchor: Align2, text: &str, font: FontId, color: Color32) -> Option<Rect> {
        let rect = self.line(at, anchor, text, font.clone());
        if !self.is_free(rect) {
            return None;
        }
        self.written.push(rect);
        Some(overlay_text(self.painter, at, anchor, text, font, color))
    }
}

/// Lines of text that grow from a corner.
struct Column {
    at: Pos2,
    anchor: Align2,
    step: f32,
}

/// A line of text with its font and colour.
type Line = (String, FontId, Color32);

impl Column {
    fn line(&mut self, page: &mut Page<'_>, text: &str, font: FontId, color: Color32) {
        if !text.is_empty() {
            page.text(self.at, self.anchor, text, font, color);
        }
        self.at.y += self.step;
    }

    /// The column moved along its growth by whole lines.
    fn moved(&self, lines: usize) -> Self {
        let at = self.at + vec2(0.0, self.step * lines as f32);
        Self { at, ..*self }
    }

    /// Whether all lines fit in `area` and cover nothing.
    fn fits(&self, page: &Page<'_>, area: Rect, lines: &[Line]) -> bool {
        lines.iter().enumerate().all(|(n, (text, font, _))| {
            let rect = page.line(self.moved(n).at, self.anchor, text, font.clone());
            page.is_free(rect) && area.contains_rect(rect)
        })
    }
}

/// Writes mandatory lines in the first of these columns that is free, moving each column along the edge within `area`.
/// If none is, places every line separately. Returns the y below the last line.
fn block(page: &mut Page<'_>, area: Rect, columns: &[Column], lines: &[Line]) -> f32 {
    let steps = (area.height() / LINE) as usize;
    let places = || (0..steps).flat_map(|moved| columns.iter().map(move |column| column.moved(moved)));
    if let Some(mut column) = places().find(|column| column.fits(page, area, lines)) {
        lines.iter().for_each(|(text, font, color)| column.line(page, text, font.clone(), *color));
        return column.at.y;
    }
    let mut end = columns.first().map_or(area.bottom(), |column| column.at.y);
    for line in lines {
        let place = places().find(|column| column.fits(page, area, std::slice::from_ref(line)));
        if let Some(mut column) = place {
            column.line(page, &line.0, line.1.clone(), line.2);
            end = column.at.y;
        }
    }
    end
}

/// Writes all text on a pane, the most important first, avoiding `kept`: lesions, calipers and their text.
pub fn write(painter: &Painter, text: &PaneText<'_>, kept: &[Rect]) {
    let mut page = Page { painter, written: Vec::new(), kept };
    letters(&mut page, text);
    let narrow = text.view.rect.width() < NARROW;
    let (column, at_right) = heading(&mut page, text, narrow);
    let below = window(&mut page, text, (narrow || at_right).then_some(column));
    let bottom = text.view.rect.bottom() - MARGIN;
    let above = if text.active { readout(&mut page, text, narrow) } else { bottom };
    // In a narrow pane the bar is placed beside or above the readout, or above or below the edge's letter.
    let middle = text.view.rect.center().y;
    let bar = [bottom, above, middle - LETTER, below + BAR_HEIGHT].into_iter().find_map(|y| scale(&mut page, text, y));
    if text.legend {
        legend(&mut page, text, bar.unwrap_or(above));
    }
}

/// The letters of a pane and their rectangles; none without orientation.
fn letter_places(painter: &Painter, case: &CaseView<'_>, view: &PaneView<'_>) -> Vec<(String, Rect)> {
    let Some(letters) = view.grid.letters(view.plane, case.state.session.settings.convention) else {
        return Vec::new();
    };
    let rect = view.rect.shrink(MARGIN);
    let places = [
        (letters.left, rect.left_center(), Align2::LEFT_CENTER),
        (letters.right, rect.right_center(), Align2::RIGHT_CENTER),
        (letters.top, rect.center_top(), Align2::CENTER_TOP),
        (letters.bottom, rect.center_bottom(), Align2::CENTER_BOTTOM),
    ];
    let place = |(letter, pos, anchor): (String, Pos2, Align2)| {
        let size = painter.layout_no_wrap(letter.clone(), font::heading(), case.tokens.overlay_text).size();
        (letter, anchor.anchor_size(pos, size))
    };
    places.into_iter().map(place).collect()
}

/// Rectangles of the letters of a pane.
pub fn letter_rects(painter: &Painter, case: &CaseView<'_>, view: &PaneView<'_>) -> Vec<Rect> {
    letter_places(painter, case, view).into_iter().map(|(_, rect)| rect).collect()
}

fn letters(page: &mut Page<'_>, text: &PaneText<'_>) {
    let color = text.case.tokens.overlay_text;
    for (letter, rect) in letter_places(page.painter, text.case, text.view) {
        let rect = overlay_text(page.painter, rect.min, Align2::LEFT_TOP, &letter, font::heading(), color);
        keep_letter(page.painter.ctx(), rect, &letter, font::heading());
        page.written.push(rect.shrink2(vec2(0.0, LEADING)));
    }
}

/// Width for the square before the name of a slice.
const SQUARE: f32 = 14.0;

/// Slice, images and frame, which identify the pane and are always written: in the first corner where they cover no
/// lesion, else in the upper left one. Interpolation and notes follow below if they fit. Returns the column, and
/// whether it is in the upper right corner.
fn heading(page: &mut Page<'_>, text: &PaneText<'_>, narrow: bool) -> (Column, bool) {
    let (case, view) = (text.case, text.view);
    let t = case.tokens;
    let mut lines = vec![(text::slice(view), font::body(), if text.active { t.overlay_text } else { t.overlay_dim })];
    lines.extend(text::images(case, view).map(|images| (images, font::caption(), t.overlay_text)));
    lines.extend(text::frame(case, view).map(|frame| (frame, font::caption(), t.overlay_dim)));
    // Keeps clear of the letters at the edges.
    let top = view.rect.top() + MARGIN + if narrow { LINE + 4.0 } else { 0.0 };
    let low = view.rect.center().y + LETTER;
    let [left, right] = [view.rect.left() + MARGIN, view.rect.right() - MARGIN];
    let corners = [(left, top), (right, top), (left, low), (right, low)];
    let place = |page: &Page<'_>, (x, y): (f32, f32), n: usize| {
        let (anchor, indent) = if x == left { (Align2::LEFT_TOP, SQUARE) } else { (Align2::RIGHT_TOP, 0.0) };
        let at = match n {
            0 => pos2(x + indent, y),
            _ => pos2(x, y + 3.0 + LINE * n as f32),
        };
        (at, anchor, page.line(at, anchor, &lines[n].0, lines[n].1.clone()))
    };
    let fits = |corner: &&(f32, f32)| {
        (0..lines.len()).all(|n| {
            let mut rect = place(page, **corner, n).2;
            rect.min.x -= if n == 0 { SQUARE } else { 0.0 };
            page.is_free(rect) && view.rect.contains_rect(rect)
        })
    };
    let corner = corners.iter().find(fits).copied().unwrap_or(corners[0]);
    let places: Vec<_> = (0..lines.len()).map(|n| place(page, corner, n)).collect();
    for ((at, anchor, rect), (text, font, color)) in places.iter().zip(lines) {
        overlay_text(page.painter, *at, *anchor, &text, font, color);
        page.written.push(*rect);
    }
    // The colour of this plane's line in other panes.
    let square = Rect::from_min_size(pos2(places[0].2.left() - SQUARE, corner.1 + 3.0), vec2(9.0, 9.0));
    let edge = Stroke::new(1.0, t.overlay_halo);
    page.painter.rect(square, 1.0, marks::plane_color(view.plane), edge, StrokeKind::Outside);

    let at = pos2(corner.0, corner.1 + 3.0 + LINE * places.len() as f32);
    let mut column = Column { at, anchor: places[0].1, step: LINE };
    let mut say = |text: &str, color| column.line(page, text, font::caption(), color);
    say(&text::slicing(case, view), t.overlay_dim);
    if let Some(overlay) = text::overlay(case) {
        say(overlay, t.overlay_text);
    }
    for note in &text.picture.notes {
        say(note, t.overlay_measure);
    }
    (column, corner == corners[1])
}

/// Window and zoom, in the upper right corner or at `below`, else further down or on the left; returns the y below them.
fn window(page: &mut Page<'_>, text: &PaneText<'_>, below: Option<Column>) -> f32 {
    let (case, view) = (text.case, text.view);
    let layer = case.layer(view.image);
    let top = view.rect.top() + MARGIN;
    let corner = |x: f32, anchor: Align2| Column { at: pos2(x, top), anchor, step: LINE };
    let corners =
        [corner(view.rect.right() - MARGIN, Align2::RIGHT_TOP), corner(view.rect.left() + MARGIN, Align2::LEFT_TOP)];
    let columns: Vec<Column> = below.into_iter().chain(corners).collect();
    let mut lines: Vec<Line> = Vec::new();
    if !layer.volume.data.is_colour() {
        let window = text::window(case.window(view.id, layer), layer.range);
        lines.push((window, font::number_small(), case.tokens.overlay_text));
    }
    let zoom = format!("zoom {:.1}×", case.state.session.view.camera(view.id).zoom);
    lines.push((zoom, font::number_small(), case.tokens.overlay_dim));
    block(page, view.rect, &columns, &lines)
}

/// Voxel, position, value, in the lower left corner or, where they would cover a lesion, in the lower right one or
/// further up; returns the y of their upper edge.
fn readout(page: &mut Page<'_>, text: &PaneText<'_>, narrow: bool) -> f32 {
    let (case, view) = (text.case, text.view);
    // Keeps clear of the letter at the lower edge.
    let lift = if narrow { LINE + 4.0 } else { 0.0 };
    let bottom = view.rect.bottom() - MARGIN - lift;
    let [labels, voxel, world, value] = text::readout(case, view);
    let (ink, dim) = (case.tokens.overlay_text, case.tokens.overlay_dim);
    let small = font::number_small;
    let mut lines = vec![(value, font::number(), ink), (world, small(), ink), (voxel, small(), dim)];
    lines.extend((!labels.is_empty()).then(|| (labels, small(), ink)));
    let corner = |x: f32, anchor: Align2| Column { at: pos2(x, bottom), anchor, step: -LINE };
    let corners = [
        corner(view.rect.left() + MARGIN, Align2::LEFT_BOTTOM),
        corner(view.rect.right() - MARGIN, Align2::RIGHT_BOTTOM),
    ];
    block(page, view.rect, &corners, &lines) - 4.0
}

/// The scale bar at the right above `bottom`, if nothing is written there; returns the y of its upper edge.
fn scale(page: &mut Page<'_>, text: &PaneText<'_>, bottom: f32) -> Option<f32> {
    let view = text.view;
    let longest = BAR.0.min(view.rect.width() * BAR.1);
    let mm = scale_bar::length_mm(view.map.scale(), f64::from(longest))?;
    let length = (mm * view.map.scale()) as f32;
    let right = view.rect.right() - MARGIN;
    let place = Rect::from_min_max(pos2(right - length, bottom - BAR_HEIGHT), pos2(right, bottom));
    if !page.is_free(place) || !view.rect.contains_rect(place) {
        return None;
    }
    let caption = scale_bar::text(mm);
    let y = page.painter.round_to_pixel_center(bottom - 1.0);
    let [left, right] = [right - length, right].map(|x| page.painter.round_to_pixel_center(x));
    let (ink, halo) = (text.case.tokens.overlay_text, text.case.tokens.overlay_halo);
    let above = page.text(pos2(right, y - 6.0), Align2::RIGHT_BOTTOM, &caption, font::number_small(), ink)?;
    let points = [pos2(left, y - 4.0), pos2(left, y), pos2(right, y), pos2(right, y - 4.0)];
    marks::polyline(page.painter, &points, 1.0, ink, halo);
    page.written.push(place);
    Some(above.top() - 4.0)
}

/// Lines of the legend, from the bottom up; none for a single mask.
fn legend_lines<'a>(case: &CaseView<'a>) -> Vec<(&'a str, Color32, Pattern)> {
    match case.masks {
        PaneMasks::None | PaneMasks::One(_) => Vec::new(),
        PaneMasks::Methods(outlines) => {
            let lines = outlines.names.iter().zip(palette::LABELS).rev();
            lines.map(|(name, color)| (name.as_str(), color, Pattern::Outline)).collect()
        }
        PaneMasks::Both { .. } => {
            let mut lines = vec![
                ("reference only (FN)", palette::FALSE_NEGATIVE, Pattern::Dashed),
                ("segmentation only (FP)", palette::FALSE_POSITIVE, Pattern::Hatched),
                ("both (TP)", palette::TRUE_POSITIVE, Pattern::Solid),
            ];
            if case.document.compares_labels() {
                lines.insert(0, ("wrong label", palette::WRONG_LABEL, Pattern::Chequered));
            }
            lines
        }
    }
}

/// Legend of the comparison or of the methods, at the right above `bottom`.
fn legend(page: &mut Page<'_>, text: &PaneText<'_>, bottom: f32) {
    let (case, view) = (text.case, text.view);
    let lines = legend_lines(case);
    if lines.is_empty() {
        return;
    }
    let right = view.rect.right() - MARGIN;
    let height = LINE * lines.len() as f32;
    let measure = |text: &str| {
        let galley = page.painter.layout_no_wrap(text.to_owned(), font::caption(), case.tokens.overlay_text);
        galley.size().x
    };
    let width = SWATCH + lines.iter().map(|(text, ..)| measure(text)).fold(0.0, f32::max);
    // Written only if all of it fits; the left panel shows it too.
    if !page.is_free(Rect::from_min_max(pos2(right - width, bottom - height), pos2(right, bottom))) {
        return;
    }
    for (n, (text, color, pattern)) in lines.into_iter().enumerate() {
        let middle = bottom - LINE * (n as f32 + 0.5);
        let swatch = Rect::from_center_size(pos2(right - 9.0, middle), vec2(18.0, 10.0));
        page.painter.rect_filled(swatch.expand(1.0), 1.0, case.tokens.overlay_halo);
        pattern.paint(page.painter, swatch, color);
        let at = pos2(swatch.left() - 6.0, middle);
        page.text(at, Align2::RIGHT_CENTER, text, font::caption(), case.tokens.overlay_text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lesions_in_both_corners_suppress_no_line_of_the_readout() {
        let ctx = egui::Context::default();
        let area = Rect::from_min_size(Pos2::ZERO, vec2(300.0, 200.0));
        let input = egui::RawInput { screen_rect: Some(area), ..Default::default() };
        let size = vec2(60.0, 20.0);
        let [left, right] = [10.0, 230.0].map(|x| Rect::from_min_size(pos2(x, 155.0), size));
        // A lesion across the whole pane leaves room for three lines above and below.
        let across = Rect::from_min_max(pos2(0.0, 60.0), pos2(300.0, 145.0));
        for kept in [vec![], vec![left], vec![left, right], vec![left, right, across]] {
            ctx.run_ui(input.clone(), |ui| {
                crate::theme::install(ui.ctx(), crate::theme::Theme::Dark);
                let mut page = Page { painter: ui.painter(), written: Vec::new(), kept: &kept };
                let line = |text: &str| (text.to_owned(), FontId::monospace(11.0), Color32::WHITE);
                let lines = ["82 HU", "R 17.6, P 35.3", "(12, 30, 4)", "label 1"].map(line);
                let corner = |x: f32, anchor: Align2| Column { at: pos2(x, 192.0), anchor, step: -LINE };
                let corners = [corner(8.0, Align2::LEFT_BOTTOM), corner(292.0, Align2::RIGHT_BOTTOM)];
                block(&mut page, area, &corners, &lines);
                assert_eq!(page.written.len(), lines.len(), "{kept:?}");
                let covers = |rect: &Rect| kept.iter().any(|kept| kept.intersects(*rect)) || !area.contains_rect(*rect);
                assert!(!page.written.iter().any(covers), "{kept:?}: {:?}", page.written);
            })
            .drop_without_applying_deltas();
        }
    }

    #[test]
    fn text_that_would_cover_other_text_or_a_lesion_is_left_out() {
        let ctx = egui::Context::default();
        let input = egui::RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, vec2(200.0, 200.0))),
            ..Default::default()
        };
        ctx.run_ui(input, |ui| {
            crate::theme::install(ui.ctx(), crate::theme::Theme::Dark);
            let lesion = [Rect::from_min_max(pos2(120.0, 150.0), pos2(180.0, 190.0))];
            let mut page = Page { painter: ui.painter(), written: Vec::new(), kept: &lesion };
            let mut write = |y: f32| {
                page.text(pos2(180.0, y), Align2::RIGHT_CENTER, "10 cm", FontId::monospace(11.0), Color32::WHITE)
                    .is_some()
            };
            assert!(write(100.0), "the first text is written");
            assert!(!write(104.0), "text that would cover it is left out");
            assert!(write(130.0));
            assert!(!write(170.0), "text that would cover a lesion is left out");
            // The number of a lesion next to it, so that both plates would touch.
            let beside = page.line(pos2(60.0, 60.0), Align2::LEFT_CENTER, "W 10", FontId::monospace(11.0));
            let number = [Rect::from_min_max(pos2(40.0, 50.0), pos2(beside.left() - 1.0, 70.0))];
            let page = Page { painter: ui.painter(), written: Vec::new(), kept: &number };
            assert!(!page.is_free(beside));
        })
        .drop_without_applying_deltas();
    }
}
