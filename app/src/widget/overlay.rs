//! Text over an image.

use egui::{Align2, Color32, Context, FontId, Id, LayerId, Order, Painter, Pos2, Rect, Vec2, vec2};

use crate::theme::{self, radius};

/// Opacity of the plate below text: every colour of text over an image is readable on it, whatever the image.
const PLATE: f32 = 0.75;
/// Minimum height of a plate, so that those of consecutive lines of small text join.
const HEIGHT: f32 = 15.0;

/// Paints text over an image, on a dark plate. Returns its rectangle.
pub fn overlay_text(painter: &Painter, pos: Pos2, anchor: Align2, text: &str, font: FontId, color: Color32) -> Rect {
    let galley = painter.layout_no_wrap(text.to_owned(), font, color);
    let rect = anchor.anchor_size(pos, galley.size());
    plate(painter, Rect::from_center_size(rect.center(), rect.size().max(vec2(0.0, HEIGHT)) + vec2(4.0, 0.0)));
    painter.galley(rect.min, galley, color);
    rect
}

/// Dark plate that separates text from the image below it.
pub fn plate(painter: &Painter, rect: Rect) {
    painter.rect_filled(rect, radius::S, theme::tokens(painter.ctx()).image.gamma_multiply(PLATE));
}

/// The first of the places where text of this size fits within `bounds`; else the first place, moved inside.
pub fn place_within(bounds: Rect, size: Vec2, places: &[(Pos2, Align2)]) -> Rect {
    let mut rects = places.iter().map(|(pos, anchor)| anchor.anchor_size(*pos, size));
    let first = rects.clone().next().unwrap_or(Rect::from_min_size(bounds.min, size));
    rects.find(|rect| bounds.contains_rect(*rect)).unwrap_or_else(|| {
        let low = bounds.min;
        let high = (bounds.max - size).max(low);
        Rect::from_min_size(first.min.clamp(low, high), size)
    })
}

/// The first place inside `bounds` that overlaps nothing in `kept`.
pub fn clear_place(bounds: Rect, size: Vec2, places: &[(Pos2, Align2)], kept: &[Rect]) -> Option<Rect> {
    let clear = |rect: &Rect| bounds.contains_rect(*rect) && !kept.iter().any(|other| other.intersects(*rect));
    places.iter().map(|(pos, anchor)| anchor.anchor_size(*pos, size)).find(clear)
}

/// Like `place_within`, but prefers places that overlap nothing in `kept`.
pub fn place_clear(bounds: Rect, size: Vec2, places: &[(Pos2, Align2)], kept: &[Rect]) -> Rect {
    clear_place(bounds, size, places, kept).unwrap_or_else(|| place_within(bounds, size, places))
}

/// An orientation letter of this frame.
#[derive(Clone)]
struct Letter {
    rect: Rect,
    text: String,
    font: FontId,
}

/// The number of the frame, and its letters.
type Letters = (u64, Vec<Letter>);

fn letters_id() -> Id {
    Id::unique("orientation letters")
}

/// Stores an orientation letter painted at `rect`, for [`letters_above`].
pub fn keep_letter(ctx: &Context, rect: Rect, text: &str, font: FontId) {
    let frame = ctx.cumulative_pass_nr();
    ctx.data_mut(|data| {
        let letters: &mut Letters = data.get_temp_mut_or_default(letters_id());
        if letters.0 != frame {
            *letters = (frame, Vec::new());
        }
        letters.1.push(Letter { rect, text: text.to_owned(), font });
    });
}

/// Repaints the orientation letters of this frame that `cover` hides above it, so that they are always visible.
pub fn letters_above(ctx: &Context, cover: Rect) {
    let letters: Letters = ctx.data(|data| data.get_temp(letters_id())).unwrap_or_default();
    if letters.0 != ctx.cumulative_pass_nr() {
        return;
    }
    // Layers other than areas are painted after the areas of their order.
    let painter = ctx.layer_painter(LayerId::new(Order::Middle, Id::unique("letters above")));
    let t = &theme::tokens::DARK;
    for letter in letters.1.iter().filter(|letter| letter.rect.intersects(cover)) {
        painter.rect_filled(letter.rect.expand(2.0), radius::S, t.image);
        overlay_text(&painter, letter.rect.min, Align2::LEFT_TOP, &letter.text, letter.font.clone(), t.overlay_text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::Theme;
    use crate::theme::tokens::contrast;
    use egui::pos2;

    /// The dim text in the corners of a view had only an outline, and was not readable over bone.
    #[test]
    fn text_over_an_image_is_readable_on_white() {
        let [r, g, b, a] = Color32::BLACK.gamma_multiply(PLATE).to_array();
        let over_white = [r, g, b].map(|channel| channel + (255 - a));
        let plate = Color32::from_rgb(over_white[0], over_white[1], over_white[2]);
        for theme in Theme::ALL {
            let t = theme.tokens();
            for (name, color) in [("text", t.overlay_text), ("dim", t.overlay_dim), ("measure", t.overlay_measure)] {
                let ratio = contrast(color, plate);
                assert!(ratio >= 4.5, "{theme}: {name} reaches only {ratio:.2}");
            }
        }
    }

    #[test]
    fn all_text_over_an_image_is_on_a_plate() {
        let ctx = egui::Context::default();
        let output = ctx.run_ui(egui::RawInput::default(), |ui| {
            theme::install(ui.ctx(), Theme::Light);
            let font = FontId::monospace(11.0);
            overlay_text(ui.painter(), pos2(50.0, 50.0), Align2::RIGHT_TOP, "zoom 1.0", font, Color32::WHITE);
        });
        let shapes: Vec<egui::Shape> = output.shapes.iter().map(|clipped| clipped.shape.clone()).collect();
        output.drop_without_applying_deltas();
        let [egui::Shape::Rect(plate), egui::Shape::Text(text)] = shapes.as_slice() else { panic!("{shapes:?}") };
        assert!(plate.rect.contains_rect(text.galley.rect.translate(text.pos.to_vec2())), "{plate:?}");
        assert_eq!(plate.fill, Color32::BLACK.gamma_multiply(PLATE), "dark in the light theme too");
    }

    #[test]
    fn a_label_at_the_edge_of_a_pane_is_moved_inside_whole() {
        let pane = Rect::from_min_max(pos2(100.0, 50.0), pos2(200.0, 150.0));
        let size = vec2(40.0, 10.0);
        let beside_right = (pos2(190.0, 100.0), Align2::LEFT_CENTER);
        let beside_left = (pos2(150.0, 100.0), Align2::RIGHT_CENTER);
        assert_eq!(place_within(pane, size, &[beside_right, beside_left]).right(), 150.0, "the first with enough room");
        let lesion = Rect::from_min_max(pos2(120.0, 90.0), pos2(155.0, 110.0));
        let clear = place_clear(pane, size, &[beside_left, (pos2(150.0, 60.0), Align2::CENTER_TOP)], &[lesion]);
        assert_eq!(clear.top(), 60.0, "over no lesion");
        assert_eq!(place_clear(pane, size, &[beside_left], &[lesion]).right(), 150.0, "no better place");
        // A line across the whole pane: no room at either end.
        let ends = [(pos2(195.0, 52.0), Align2::LEFT_CENTER), (pos2(105.0, 148.0), Align2::RIGHT_CENTER)];
        let rect = place_within(pane, size, &ends);
        assert!(pane.contains_rect(rect), "{rect:?}");
        assert_eq!(rect.right(), 200.0);
        // Wider than the pane: its beginning is read.
        assert_eq!(place_within(pane, vec2(140.0, 10.0), &ends).left(), 100.0);
    }
}
