//! What is written on a patch pane: letters, name, digits and numbers of patches, the patch under the pointer.

use std::sync::Arc;

use egui::{Align, Align2, Color32, FontId, Galley, Layout, Painter, Rect, Shape, Ui, UiBuilder, pos2, vec2};

use super::Placed;
use crate::theme::{self, Tokens, font, icon, space};
use crate::view::{Plane, marks};
use crate::widget::{Badge, Tone, overlay_text};

/// Patches at least this many points wide carry their label as a digit.
const DIGIT_FROM: f32 = 14.0;
/// Patches at least this wide have room for a number of up to four digits, and beside the label.
const NUMBER_FROM: f32 = 22.0;
/// Patches at least this wide have room for both.
const BOTH_FROM: f32 = 30.0;
/// Patches at least this wide have room for a coin.
const COIN_FROM: f32 = 8.0;
/// Radius of a coin as a share of the patch.
const COIN: f32 = 0.12;
/// Height of a digit as a share of the patch, and its limits in points.
const DIGIT: (f32, f32, f32) = (0.5, 9.0, 18.0);
/// Distance of text from the pane's edge.
const MARGIN: f32 = space::XS;
/// A pane narrower than this has no room for the icon of a badge.
const NARROW: f32 = 300.0;
/// Room for a badge.
const BADGE: egui::Vec2 = vec2(220.0, 18.0);

/// Digits, numbers, the chosen patch and the one under the pointer.
pub(super) fn marks(painter: &Painter, placed: &Placed<'_>, hovered: Option<usize>) {
    let tokens = theme::tokens(painter.ctx());
    texts(painter, placed, tokens);
    coins(painter, placed, tokens);
    let outline = |patch: usize, width: f32, color: Color32| {
        let mut corners = placed.corners(patch).to_vec();
        corners.push(corners[0]);
        marks::polyline(painter, &corners, width, color, tokens.overlay_halo);
    };
    if let Some(patch) = placed.pane.chosen.filter(|&patch| patch < placed.pane.grid * placed.pane.grid) {
        outline(patch, 2.0, tokens.overlay_text);
    }
    if let Some(patch) = hovered {
        outline(patch, 1.5, tokens.overlay_accent);
    }
}

fn texts(painter: &Painter, placed: &Placed<'_>, tokens: &Tokens) {
    let pane = placed.pane;
    let width = patch_width(placed);
    let digits = pane.digits && width >= DIGIT_FROM;
    let numbers = pane.numbers.filter(|_| width >= if pane.digits { BOTH_FROM } else { NUMBER_FROM });
    if !digits && numbers.is_none() {
        return;
    }
    let (share, least, most) = DIGIT;
    let large = FontId::proportional((width * share).clamp(least, most).round());
    // Two words for all patches of a pane: laid out once.
    let words = ["0", "1"].map(|word| layout(painter, word, &large));
    // Everything of one colour together: the renderer joins it.
    let mut text = Vec::with_capacity(pane.grid * pane.grid);
    for patch in 0..pane.grid * pane.grid {
        let corners = placed.corners(patch);
        let middle = corners[0] + (corners[2] - corners[0]) / 2.0;
        if !painter.clip_rect().expand(width).contains(middle) {
            continue;
        }
        if let Some(word) = pane.labels.get(patch).filter(|_| digits).and_then(|&label| words.get(usize::from(label))) {
            text.push((middle - word.size() / 2.0, Arc::clone(word)));
        }
        if let Some(number) = numbers.and_then(|numbers| numbers.get(patch)) {
            let galley = layout(painter, &number.to_string(), &font::caption());
            let corner = corners.iter().fold(middle, |far, c| pos2(far.x.max(c.x), far.y.max(c.y)));
            let at = if digits { corner - galley.size() - vec2(2.0, 0.0) } else { middle - galley.size() / 2.0 };
            text.push((at, galley));
        }
    }
    let shapes = |by: egui::Vec2, color: Color32| {
        text.iter().map(move |(at, galley)| Shape::galley(*at + by, Arc::clone(galley), color)).collect::<Vec<_>>()
    };
    // An edge to four sides: digits read over bright anatomy, at half of the work of a whole outline.
    for by in [vec2(0.8, 0.8), vec2(-0.8, -0.8), vec2(0.8, -0.8), vec2(-0.8, 0.8)] {
        painter.extend(shapes(by, tokens.overlay_halo));
    }
    painter.extend(shapes(vec2(0.0, 0.0), tokens.overlay_text));
}

/// A small disc in the upper left of a patch for which a coin was thrown.
fn coins(painter: &Painter, placed: &Placed<'_>, tokens: &Tokens) {
    let width = patch_width(placed);
    if width < COIN_FROM {
        return;
    }
    let radius = (width * COIN).clamp(1.5, 3.5);
    for (patch, coin) in placed.pane.coins.iter().enumerate() {
        let Some(shown) = coin else { continue };
        let corners = placed.corners(patch);
        let corner = corners.iter().fold(corners[0], |near, c| pos2(near.x.min(c.x), near.y.min(c.y)));
        let centre = corner + egui::Vec2::splat(radius + 2.0);
        painter.circle_filled(centre, radius + 1.0, tokens.overlay_halo);
        let fill = if *shown == 1 { tokens.overlay_text } else { tokens.image };
        painter.circle(centre, radius, fill, egui::Stroke::new(1.0, tokens.overlay_text));
    }
}

fn layout(painter: &Painter, text: &str, font: &FontId) -> Arc<Galley> {
    painter.layout_no_wrap(text.to_owned(), font.clone(), Color32::PLACEHOLDER)
}

/// The smaller side of a patch on the screen, in points.
fn patch_width(placed: &Placed<'_>) -> f32 {
    let [a, b, c, _] = placed.corners(0);
    a.distance(b).min(b.distance(c))
}

/// Letters of what is `seen`, name, badge.
pub(super) fn frame(ui: &mut Ui, painter: &Painter, placed: &Placed<'_>, seen: bool) {
    let (pane, tokens) = (placed.pane, theme::tokens(painter.ctx()));
    let rect = placed.rect.shrink(MARGIN);
    let name = if pane.bare {
        Rect::NOTHING
    } else {
        let font = if rect.width() < NARROW { font::caption() } else { font::body() };
        overlay_text(painter, rect.min, Align2::LEFT_TOP, pane.title, font, tokens.overlay_text)
    };
    if let Some(letters) = placed.display.letters(Plane::Axial, pane.convention).filter(|_| seen) {
        // In a narrow pane the name reaches the middle: the letter goes below it.
        let under = name.right() + space::S > rect.center().x;
        let top = if under { pos2(rect.center().x, name.bottom() - 1.0) } else { rect.center_top() };
        for (text, pos, anchor) in [
            (&letters.left, rect.left_center(), Align2::LEFT_CENTER),
            (&letters.right, rect.right_center(), Align2::RIGHT_CENTER),
            (&letters.top, top, Align2::CENTER_TOP),
            (&letters.bottom, rect.center_bottom(), Align2::CENTER_BOTTOM),
        ] {
            overlay_text(painter, pos, anchor, text, font::heading(), tokens.overlay_text);
        }
    }
    if let Some(text) = pane.badge {
        badge(ui, painter, rect, text);
    }
}

/// A badge in the upper right corner.
fn badge(ui: &mut Ui, painter: &Painter, rect: Rect, text: &str) {
    let width = BADGE.x.min(rect.width() / 2.0);
    let place = Rect::from_min_size(pos2(rect.right() - width, rect.top()), vec2(width, BADGE.y));
    let layout = Layout::right_to_left(Align::Min);
    let mut child = ui.new_child(UiBuilder::new().max_rect(place).layout(layout).id_salt(("badge", text)));
    theme::on_image(&mut child);
    child.set_clip_rect(painter.clip_rect());
    let badge = Badge::new(text).tone(Tone::Warn);
    child.add(if rect.width() < NARROW { badge } else { badge.icon(icon::WARN) });
}

/// Why there is no picture.
pub(super) fn missing(painter: &Painter, rect: Rect, why: &str) {
    let tokens = theme::tokens(painter.ctx());
    let width = (rect.width() - 2.0 * space::XL).max(40.0);
    let mut job = egui::text::LayoutJob::simple(why.to_owned(), font::body(), tokens.overlay_dim, width);
    job.halign = egui::Align::Center;
    let galley = painter.layout_job(job);
    let top = pos2(rect.center().x, rect.center().y - galley.size().y / 2.0);
    painter.galley(top, galley, tokens.overlay_dim);
}
