//! Text on a patch pane: letters, name, badge, digits and numbers of patches, outlines of pinned and hovered patches.

use std::sync::Arc;

use egui::{
    Align, Align2, Color32, FontId, Galley, Layout, Painter, Pos2, Rect, Shape, Ui, UiBuilder, Vec2, pos2, vec2,
};

use super::PanePlacement;
use crate::scene::Plane;
use crate::theme::{self, Tokens, font, icon, radius, space};
use crate::view::slice::marks;
use crate::widget::{Badge, Tone, keep_letter, overlay_text};

/// Minimum width of a patch with its label as a digit, in points. Low enough that Fig. 4 keeps its digits in a small
/// window.
const DIGIT_FROM: f32 = 11.0;
/// Minimum width of a patch with a number of up to four digits.
const NUMBER_FROM: f32 = 22.0;
/// Minimum width of a patch with label and number.
const BOTH_FROM: f32 = 30.0;
/// Minimum width of a patch with a disc for a random label.
const COIN_FROM: f32 = 8.0;
/// Radius of the disc as a fraction of the patch width.
const COIN: f32 = 0.11;
/// Font size of a digit: points plus a fraction of the patch width, so that small digits stay legible.
const DIGIT: (f32, f32) = (5.0, 0.3);
/// Maximum font size of a digit, as a fraction of the patch width.
const DIGIT_MOST: f32 = 0.69;
/// Upward shift of a digit above a number, as a fraction of the patch width.
const UP: f32 = 0.16;
/// Height of a digit and padding of its plate, as fractions of the font size.
const PLATE: (f32, f32) = (0.73, 0.16);
/// Opacity of the plate that separates a digit from hatching and bright anatomy.
const PLATE_ALPHA: f32 = 0.6;
/// Distance of text from the pane's edge; 0 above and below in a pane without a name.
const MARGIN: f32 = space::XS;
/// Below this width, letters are small and badges have no icon.
const NARROW: f32 = 300.0;
/// Below this width, the name is small.
const NAME_FROM: f32 = 420.0;
/// Size of the badge.
const BADGE: Vec2 = vec2(220.0, 18.0);

/// Draws digits, numbers, and outlines of the pinned and the hovered patch.
pub(super) fn marks(painter: &Painter, placed: &PanePlacement<'_>, hovered: Option<usize>) {
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

fn texts(painter: &Painter, placed: &PanePlacement<'_>, tokens: &Tokens) {
    let pane = placed.pane;
    let width = patch_width(placed);
    let digits = pane.digits && width >= DIGIT_FROM;
    let numbers = pane.numbers.filter(|_| width >= if pane.digits { BOTH_FROM } else { NUMBER_FROM });
    if !digits && numbers.is_none() {
        return;
    }
    let up = if numbers.is_some() { UP * width } else { 0.0 };
    let large = FontId { size: (DIGIT.0 + DIGIT.1 * width).min(DIGIT_MOST * width), ..font::strong() };
    // The two digits are laid out once.
    let words = ["0", "1"].map(|word| layout(painter, word, &large));
    // Shapes of one kind together, so that the renderer batches them.
    let (mut plates, mut text) = (Vec::new(), Vec::new());
    let mut put = |middle: Pos2, galley: Arc<Galley>, size: f32| {
        // Digits have no descenders, so their centre is the line's.
        let plate = vec2(galley.size().x, size * PLATE.0) + Vec2::splat(2.0 * size * PLATE.1);
        let plate = Rect::from_center_size(middle, plate);
        plates.push(Shape::rect_filled(plate, radius::S, tokens.image.gamma_multiply(PLATE_ALPHA)));
        text.push(Shape::galley(middle - galley.size() / 2.0, galley, tokens.overlay_text));
    };
    for patch in 0..pane.grid * pane.grid {
        let corners = placed.corners(patch);
        let middle = corners[0] + (corners[2] - corners[0]) / 2.0;
        if !painter.clip_rect().expand(width).contains(middle) {
            continue;
        }
        if let Some(word) = pane.labels.get(patch).filter(|_| digits).and_then(|&label| words.get(usize::from(label))) {
            put(middle - vec2(0.0, up), Arc::clone(word), large.size);
        }
        if let Some(number) = numbers.and_then(|numbers| numbers.get(patch)) {
            let galley = layout(painter, &number.to_string(), &font::caption());
            let corner = corners.iter().fold(middle, |far, c| pos2(far.x.max(c.x), far.y.max(c.y)));
            let beside = corner - galley.size() / 2.0 - vec2(3.0, 0.0);
            put(if digits { beside } else { middle }, galley, font::CAPTION);
        }
    }
    painter.extend(plates);
    painter.extend(text);
}

/// A small disc in the upper left of a patch whose label was drawn at random.
fn coins(painter: &Painter, placed: &PanePlacement<'_>, tokens: &Tokens) {
    let width = patch_width(placed);
    if width < COIN_FROM {
        return;
    }
    let size = (width * COIN).clamp(1.5, 3.5);
    for (patch, coin) in placed.pane.coins.iter().enumerate() {
        let Some(shown) = coin else { continue };
        let corners = placed.corners(patch);
        let corner = corners.iter().fold(corners[0], |near, c| pos2(near.x.min(c.x), near.y.min(c.y)));
        let centre = corner + Vec2::splat(size + 1.5);
        painter.circle_filled(centre, size + 1.0, tokens.overlay_halo);
        let fill = if *shown == 1 { tokens.overlay_text } else { tokens.image };
        painter.circle(centre, size, fill, egui::Stroke::new(1.0, tokens.overlay_text));
    }
}

fn layout(painter: &Painter, text: &str, font: &FontId) -> Arc<Galley> {
    painter.layout_no_wrap(text.to_owned(), font.clone(), Color32::PLACEHOLDER)
}

/// Smaller side of a patch in points.
fn patch_width(placed: &PanePlacement<'_>) -> f32 {
    let [a, b, c, _] = placed.corners(0);
    a.distance(b).min(b.distance(c))
}

/// Name, badge, and, if the image is `seen`, letters.
pub(super) fn frame(ui: &mut Ui, painter: &Painter, placed: &PanePlacement<'_>, seen: bool) {
    let (pane, tokens) = (placed.pane, theme::tokens(painter.ctx()));
    let rect = placed.rect.shrink2(vec2(MARGIN, if pane.bare { 0.0 } else { MARGIN }));
    let name = if pane.bare {
        Rect::NOTHING
    } else {
        let font = if rect.width() < NAME_FROM { font::caption() } else { font::body() };
        overlay_text(painter, rect.min, Align2::LEFT_TOP, pane.title, font, tokens.overlay_text)
    };
    if let Some(letters) = placed.display.letters(Plane::Axial, pane.convention).filter(|_| seen) {
        let small = rect.size().min_elem() < NARROW;
        let font = if small { FontId { size: font::CAPTION, ..font::strong() } } else { font::heading() };
        let size = |text: &str| layout(painter, text, &font).size();
        let top = top_of_letter(rect, name, size(&letters.top));
        for (text, pos, anchor) in [
            (&letters.left, rect.left_center(), Align2::LEFT_CENTER),
            (&letters.right, rect.right_center(), Align2::RIGHT_CENTER),
            (&letters.top, top, Align2::CENTER_TOP),
            (&letters.bottom, rect.center_bottom(), Align2::CENTER_BOTTOM),
        ] {
            let at = overlay_text(painter, pos, anchor, text, font.clone(), tokens.overlay_text);
            keep_letter(painter.ctx(), at, text, font.clone());
        }
    }
    if let Some(text) = pane.badge {
        badge(ui, painter, rect, text);
    }
}

/// Position of the upper edge's letter: in the middle; in a narrow pane after the name on its line; below the name if
/// neither fits.
pub(super) fn top_of_letter(rect: Rect, name: Rect, letter: Vec2) -> Pos2 {
    let beside = name.right() + space::S + letter.x / 2.0;
    let x = if beside.is_finite() { rect.center().x.max(beside) } else { rect.center().x };
    if x + letter.x / 2.0 <= rect.right() - letter.x {
        return pos2(x, rect.top());
    }
    pos2(rect.center().x, name.bottom() - 1.0)
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

/// Draws the reason why there is no image.
pub(super) fn missing(painter: &Painter, rect: Rect, why: &str) {
    let tokens = theme::tokens(painter.ctx());
    let width = (rect.width() - 2.0 * space::XL).max(40.0);
    let mut job = egui::text::LayoutJob::simple(why.to_owned(), font::body(), tokens.overlay_dim, width);
    job.halign = egui::Align::Center;
    let galley = painter.layout_job(job);
    let top = pos2(rect.center().x, rect.center().y - galley.size().y / 2.0);
    painter.galley(top, galley, tokens.overlay_dim);
}
