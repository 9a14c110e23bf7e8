//! Text over an image.

use egui::{Align2, Color32, Context, FontId, Id, LayerId, Order, Painter, Pos2, Rect, vec2};

use crate::theme::{self, radius};

/// Paints text over an image with a dark outline, legible on bright anatomy. Returns its rectangle.
pub fn overlay_text(painter: &Painter, pos: Pos2, anchor: Align2, text: &str, font: FontId, color: Color32) -> Rect {
    let halo = theme::tokens(painter.ctx()).overlay_halo;
    let galley = painter.layout_no_wrap(text.to_owned(), font, Color32::PLACEHOLDER);
    let rect = anchor.anchor_size(pos, galley.size());
    for (x, y) in [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (-0.7, -0.7), (0.7, -0.7), (-0.7, 0.7), (0.7, 0.7)]
    {
        painter.galley(rect.min + vec2(x, y), galley.clone(), halo);
    }
    painter.galley(rect.min, galley, color);
    rect
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

/// Remembers an orientation letter that was painted at `rect`: what is drawn over it later calls [`letters_above`].
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

/// Paints the orientation letters of this frame that `cover` hides once more, above it: a side of the patient is never
/// out of sight.
pub fn letters_above(ctx: &Context, cover: Rect) {
    let letters: Letters = ctx.data(|data| data.get_temp(letters_id())).unwrap_or_default();
    if letters.0 != ctx.cumulative_pass_nr() {
        return;
    }
    // Layers that are no area are painted after the areas of their order.
    let painter = ctx.layer_painter(LayerId::new(Order::Middle, Id::unique("letters above")));
    let t = &theme::tokens::DARK;
    for letter in letters.1.iter().filter(|letter| letter.rect.intersects(cover)) {
        painter.rect_filled(letter.rect.expand(2.0), radius::S, t.image);
        overlay_text(&painter, letter.rect.min, Align2::LEFT_TOP, &letter.text, letter.font.clone(), t.overlay_text);
    }
}
