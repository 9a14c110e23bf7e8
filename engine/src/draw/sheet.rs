//! Lays out captioned pictures in rows with a legend. Letters are large because pages show sheets scaled down.

use super::colour::{BLACK, FAINT, INK, PAPER, PATCH_FILL};
use super::font::{ADVANCE, ROWS};
use super::{Canvas, Rect, Rgb};

/// Pixels around and between pictures.
const GAP: i64 = 20;
/// Pixels per dot of the font.
const TEXT: i64 = 2;
/// Pixels from one line of text to the next.
const LINE: i64 = ROWS * TEXT + 6;
/// Width and height of a legend's sample.
const SAMPLE: [i64; 2] = [36, 18];

/// A picture and its caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel {
    /// Text above the picture. Line breaks are kept, and lines after the first are fainter.
    pub caption: String,
    /// Picture below the caption.
    pub picture: Canvas,
}

impl Panel {
    /// A picture with its caption.
    pub fn new(caption: impl Into<String>, picture: Canvas) -> Self {
        Self { caption: caption.into(), picture }
    }
}

/// Panels side by side.
#[derive(Default)]
pub struct Row {
    /// Text above the panels; may be empty.
    pub heading: String,
    /// From left to right.
    pub panels: Vec<Panel>,
}

/// A legend's sample, drawn as in the pictures.
#[derive(Clone, Copy)]
pub enum Mark {
    /// No sample, only text.
    None,
    /// A tint of this strength.
    Solid(Rgb, f32),
    /// Diagonal lines.
    Hatched(Rgb),
    /// A dashed outline.
    Dashed(Rgb),
    /// An outline of two pixels.
    Line(Rgb),
    /// A patch with its digit.
    Patch(Rgb, &'static str),
}

/// Lays out rows of panels: a title on top, a caption above each panel, the legend below.
pub fn sheet(title: &str, rows: &[Row], legend: &[(Mark, String)]) -> Canvas {
    let columns = rows.iter().map(|row| row.panels.len()).max().unwrap_or(0) as i64;
    let cell_w = rows.iter().flat_map(|row| &row.panels).map(|p| p.picture.width() as i64).max().unwrap_or(0);
    let width = (GAP + columns * (cell_w + GAP)).max(24 * GAP);
    let inner = width - 2 * GAP;
    let titles = wrapped(title, inner, TEXT + 1);
    let legend: Vec<(Mark, Vec<String>)> =
        legend.iter().map(|(mark, text)| (*mark, wrapped(text, inner - indent(*mark), TEXT))).collect();
    let captions: Vec<Vec<Vec<String>>> =
        rows.iter().map(|row| row.panels.iter().map(|p| wrapped(&p.caption, cell_w, TEXT)).collect()).collect();
    let title_line = LINE + 8;
    let mut height = GAP + titles.len() as i64 * title_line + GAP / 2;
    for (row, captions) in rows.iter().zip(&captions) {
        height += row_height(row, captions) + GAP;
    }
    height += legend.iter().map(|(_, lines)| lines.len() as i64 * LINE + 6).sum::<i64>() + GAP / 2;

    let mut canvas = Canvas::filled(width as usize, height as usize, PAPER);
    let mut y = GAP;
    for line in &titles {
        canvas.text(GAP, y, line, INK, TEXT + 1);
        y += title_line;
    }
    y += GAP / 2;
    for (row, captions) in rows.iter().zip(&captions) {
        draw_row(&mut canvas, y, cell_w, row, captions);
        y += row_height(row, captions) + GAP;
    }
    for (mark, lines) in &legend {
        draw_mark(&mut canvas, Rect::new(GAP, y - 1, SAMPLE[0], SAMPLE[1]), *mark);
        for line in lines {
            canvas.text(GAP + indent(*mark), y, line, INK, TEXT);
            y += LINE;
        }
        y += 6;
    }
    canvas
}

/// Number of caption lines of a row.
fn caption_lines(captions: &[Vec<String>]) -> i64 {
    captions.iter().map(Vec::len).max().unwrap_or(0) as i64
}

fn row_height(row: &Row, captions: &[Vec<String>]) -> i64 {
    let heading = if row.heading.is_empty() { 0 } else { LINE + 4 };
    heading + caption_lines(captions) * LINE + row.panels.iter().map(|p| p.picture.height()).max().unwrap_or(0) as i64
}

fn draw_row(canvas: &mut Canvas, mut y: i64, cell_w: i64, row: &Row, captions: &[Vec<String>]) {
    if !row.heading.is_empty() {
        canvas.text(GAP, y, &row.heading, INK, TEXT);
        y += LINE + 4;
    }
    let below = y + caption_lines(captions) * LINE;
    for (column, (panel, lines)) in (0..).zip(row.panels.iter().zip(captions)) {
        let x = GAP + column * (cell_w + GAP);
        for (at, line) in (0..).zip(lines) {
            canvas.text(x, y + at * LINE, line, if at == 0 { INK } else { FAINT }, TEXT);
        }
        canvas.blit(&panel.picture, x, below);
    }
}

/// Width of a mark's sample left of its text.
fn indent(mark: Mark) -> i64 {
    if matches!(mark, Mark::None) { 0 } else { SAMPLE[0] + 12 }
}

fn draw_mark(canvas: &mut Canvas, rect: Rect, mark: Mark) {
    if matches!(mark, Mark::None) {
        return;
    }
    canvas.fill(rect, BLACK, 1.0);
    match mark {
        Mark::None => {}
        Mark::Solid(colour, alpha) => {
            // Over mid grey, as over an image.
            canvas.fill(rect, [96; 3], 1.0);
            canvas.fill(rect, colour, alpha);
        }
        Mark::Hatched(colour) => canvas.hatch(rect, colour, 1.0, 6),
        Mark::Dashed(colour) => {
            canvas.outline(rect, colour, 1.0, 2);
            for x in (rect.x + 6..rect.x + rect.w).step_by(10) {
                canvas.fill(Rect::new(x, rect.y, 4, rect.h), BLACK, 1.0);
            }
        }
        Mark::Line(colour) => canvas.outline(rect, colour, 1.0, 2),
        Mark::Patch(colour, digit) => {
            canvas.fill(rect, colour, PATCH_FILL);
            canvas.outline(rect, colour, 0.75, 1);
            canvas.text_centred(rect, digit, INK, 1);
        }
    }
}

/// A text in lines of at most `width` pixels, line breaks kept. A longer word is cut.
fn wrapped(text: &str, width: i64, scale: i64) -> Vec<String> {
    let max_chars = (width / (ADVANCE * scale)).max(1) as usize;
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let needed = line.chars().count() + usize::from(!line.is_empty()) + word.chars().count();
            if needed > max_chars && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&shortened(word, max_chars));
        }
        lines.push(line);
    }
    lines
}

/// A word shortened to at most `max_chars` characters, with two dots.
fn shortened(word: &str, max_chars: usize) -> String {
    if word.chars().count() <= max_chars {
        return word.into();
    }
    word.chars().take(max_chars.saturating_sub(2)).chain("..".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_wrap_and_long_words_are_shortened() {
        let width = 8 * ADVANCE * 2;
        assert_eq!(wrapped("one two three\nfour", width, 2), ["one two", "three", "four"]);
        assert_eq!(wrapped("uninterrupted", width, 2), ["uninte.."]);
        assert_eq!(wrapped("", width, 2), Vec::<String>::new());
    }

    #[test]
    fn panels_fill_their_cells_and_legend_samples_precede_their_text() {
        let panel = |w, colour| Panel::new("one\ntwo", Canvas::filled(w, 40, colour));
        let row = Row { heading: "a row".into(), panels: vec![panel(300, [200, 0, 0]), panel(200, [0, 200, 0])] };
        let canvas = sheet("title", &[row], &[(Mark::Hatched([0, 0, 200]), "words".into())]);
        assert_eq!(canvas.width(), 20 + 2 * 320);
        let has = |colour| {
            let at = |i: i64| (i % canvas.width() as i64, i / canvas.width() as i64);
            (0..(canvas.width() * canvas.height()) as i64).map(at).find(|(x, y)| canvas.get(*x, *y) == Some(colour))
        };
        let (red, green) = (has([200, 0, 0]).unwrap_or_default(), has([0, 200, 0]).unwrap_or_default());
        assert_eq!((red.0, green.0, red.1), (20, 340, green.1), "both pictures below the longest caption");
        assert!(has([0, 0, 200]).is_some_and(|(x, y)| x < 60 && y > red.1 + 40));
    }
}
