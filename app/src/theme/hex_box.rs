//! Characters that no font of the program or the system has: a box with their code point in hexadecimal.
//!
//! A patient's name stays readable, and two names stay different, where an empty box would hide both.

use egui::epaint::text::{GlyphBitmap, GlyphRasterizer, GlyphRasterizerRequest, RasterizedGlyph};
use egui::{Color32, ColorImage, vec2};

/// Hexadecimal digits of 3 x 5 pixels, a row in three bits, from the top.
const DIGITS: [[u8; 5]; 16] = [
    [0b111, 0b101, 0b101, 0b101, 0b111],
    [0b010, 0b110, 0b010, 0b010, 0b111],
    [0b111, 0b001, 0b111, 0b100, 0b111],
    [0b111, 0b001, 0b111, 0b001, 0b111],
    [0b101, 0b101, 0b111, 0b001, 0b001],
    [0b111, 0b100, 0b111, 0b001, 0b111],
    [0b111, 0b100, 0b111, 0b101, 0b111],
    [0b111, 0b001, 0b010, 0b010, 0b010],
    [0b111, 0b101, 0b111, 0b101, 0b111],
    [0b111, 0b101, 0b111, 0b001, 0b111],
    [0b111, 0b101, 0b111, 0b101, 0b101],
    [0b110, 0b101, 0b110, 0b101, 0b110],
    [0b111, 0b100, 0b100, 0b100, 0b111],
    [0b110, 0b101, 0b101, 0b101, 0b110],
    [0b111, 0b100, 0b111, 0b100, 0b111],
    [0b111, 0b100, 0b111, 0b100, 0b100],
];
/// Pixels of a digit's cell.
const CELL: [usize; 2] = [4, 6];
/// Font size in pixels per pixel of a digit: a box of the usual text is as high as a line.
const SIZE_PER_PIXEL: f32 = 13.0;

/// Draws characters that no font has.
pub(super) fn rasterizer() -> GlyphRasterizer {
    GlyphRasterizer::new("amlp hex box", |request: &GlyphRasterizerRequest<'_>| {
        request.cluster.chars().next().map(|c| glyph(c, request.font_size_px))
    })
}

/// Two rows of digits in a frame.
fn glyph(c: char, font_size: f32) -> RasterizedGlyph {
    let text = format!("{:04X}", u32::from(c));
    let digits: Vec<usize> = text.chars().filter_map(|d| d.to_digit(16)).map(|d| d as usize).collect();
    let columns = digits.len().div_ceil(2);
    let scale = (font_size / SIZE_PER_PIXEL).round().max(1.0) as usize;
    // One pixel of frame and one of space around the cells, which end with a space pixel.
    let [width, height] = [columns * CELL[0] + 3, 2 * CELL[1] + 3];
    let mut image = ColorImage::filled([width * scale, height * scale], Color32::TRANSPARENT);
    for y in 0..height * scale {
        for x in 0..width * scale {
            if is_set(&digits, columns, [x / scale, y / scale], [width, height]) {
                image[(x, y)] = Color32::WHITE;
            }
        }
    }
    // The box extends below the baseline, like a "g".
    let descent = (3 * scale) as f32;
    let [width, height] = image.size.map(|side| side as f32);
    let offset_px = vec2(scale as f32, descent - height);
    let bitmap = GlyphBitmap { image, offset_px, is_color: false };
    RasterizedGlyph { bitmap, advance_px: width + 2.0 * scale as f32 }
}

fn is_set(digits: &[usize], columns: usize, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> bool {
    if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
        return true;
    }
    let (Some(x), Some(y)) = (x.checked_sub(2), y.checked_sub(2)) else { return false };
    let ([column, row], [x, y]) = ([x / CELL[0], y / CELL[1]], [x % CELL[0], y % CELL[1]]);
    let digit = if column < columns && row < 2 { digits.get(row * columns + column) } else { None };
    digit.is_some_and(|&digit| x < 3 && y < 5 && DIGITS[digit][y] >> (2 - x) & 1 == 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_character_without_a_font_shows_its_code_point() {
        let drawn = |c, size| {
            let image = glyph(c, size).bitmap.image;
            let row = |y: usize| {
                (0..image.width()).map(|x| if image[(x, y)].a() > 0 { '#' } else { '.' }).collect::<String>()
            };
            (0..image.height()).map(row).collect::<Vec<_>>()
        };
        // U+674E.
        let expected = [
            "###########",
            "#.........#",
            "#.###.###.#",
            "#.#.....#.#",
            "#.###..#..#",
            "#.#.#..#..#",
            "#.###..#..#",
            "#.........#",
            "#.#.#.###.#",
            "#.#.#.#...#",
            "#.###.###.#",
            "#...#.#...#",
            "#...#.###.#",
            "#.........#",
            "###########",
        ];
        assert_eq!(drawn('李', 13.0), expected);
        let large = drawn('李', 26.0);
        assert_eq!((large.len(), large[0].len()), (30, 22), "twice the size on a screen of twice the scale");
        assert_eq!(drawn('𠮷', 13.0)[0].len(), 15, "five digits take three columns");
    }

    #[test]
    fn the_window_draws_names_in_any_script() {
        let ctx = egui::Context::default();
        crate::theme::install(&ctx, crate::theme::Theme::Dark);
        ctx.set_missing_glyph_policy(egui::MissingGlyphPolicy::Panic);
        let output = ctx.run_ui(egui::RawInput::default(), |ui| {
            let label = |text: &str| egui::RichText::new(text).font(crate::theme::font::body());
            let (chinese, spaces) = (ui.label(label("李明")).rect, ui.label(label("  ")).rect);
            assert!(chinese.width() > spaces.width() + 10.0);
            ui.label(label("محمد Σωκράτης Иванов 田中太郎"));
        });
        output.drop_without_applying_deltas();
    }
}
