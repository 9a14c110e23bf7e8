//! Captioned pictures side by side.

use super::colour::{FAINT, INK, PAPER};
use super::font::{text_height, text_width};
use super::{Canvas, Rgb};

/// Pixels around and between pictures.
const GAP: i64 = 12;

/// A picture and what is written above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel {
    /// One line.
    pub caption: String,
    /// The picture.
    pub picture: Canvas,
}

impl Panel {
    /// A picture with its caption.
    pub fn new(caption: impl Into<String>, picture: Canvas) -> Self {
        Self { caption: caption.into(), picture }
    }
}

/// Lays pictures out in rows of `columns`, captions above them, a title on top, lines of notes below (each with its
/// colour). Lines that are too wide are broken at spaces.
pub fn sheet(title: &str, panels: &[Panel], columns: usize, notes: &[(String, Rgb)]) -> Canvas {
    let columns = columns.clamp(1, panels.len().max(1));
    let cell = |size: fn(&Canvas) -> usize| panels.iter().map(|panel| size(&panel.picture)).max().unwrap_or(0) as i64;
    let (cell_w, cell_h) = (cell(Canvas::width), cell(Canvas::height));
    let line = text_height(1) + 4;
    let caption = line + 2;
    let head = if title.is_empty() { GAP } else { GAP + text_height(2) + GAP };
    let width = GAP + columns as i64 * (cell_w + GAP);
    let notes: Vec<(String, Rgb)> = notes
        .iter()
        .flat_map(|(text, colour)| broken(text, width - 2 * GAP).into_iter().map(|t| (t, *colour)))
        .collect();
    let rows = panels.len().div_ceil(columns) as i64;
    let body = rows * (caption + cell_h + GAP);
    let foot = if notes.is_empty() { 0 } else { notes.len() as i64 * line + GAP };
    let mut canvas = Canvas::filled(width.max(1) as usize, (head + body + foot).max(1) as usize, PAPER);
    let fits = text_width(title, 2) <= width - 2 * GAP;
    canvas.text(GAP, GAP, title, INK, if fits { 2 } else { 1 });
    for (at, panel) in panels.iter().enumerate() {
        let x = GAP + (at % columns) as i64 * (cell_w + GAP);
        let y = head + (at / columns) as i64 * (caption + cell_h + GAP);
        canvas.text(x, y, &panel.caption, FAINT, 1);
        canvas.blit(&panel.picture, x, y + caption);
    }
    for (at, (text, colour)) in (0..).zip(&notes) {
        canvas.text(GAP, head + body + at * line, text, *colour, 1);
    }
    canvas
}

/// A text in lines of at most `width` pixels; a longer word stays whole.
fn broken(text: &str, width: i64) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let joined = if lines[last].is_empty() { word.to_string() } else { format!("{} {word}", lines[last]) };
        if lines[last].is_empty() || text_width(&joined, 1) <= width {
            lines[last] = joined;
        } else {
            lines.push(word.to_string());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns() {
        let panel = Panel::new("a caption", Canvas::filled(40, 30, [200, 0, 0]));
        let two = sheet("", &[panel.clone(), panel.clone()], 2, &[]);
        let three = sheet("title", &[panel.clone(), panel.clone(), panel], 2, &[("a note".into(), INK)]);
        assert_eq!(two.width(), 116);
        assert!(three.width() == 116 && three.height() > two.height() + 30);
        assert_eq!(two.get(12 + 52, 40), Some([200, 0, 0]));
        assert_eq!(sheet("", &[], 3, &[]).width(), 24);
    }

    #[test]
    fn long_notes_are_broken() {
        assert_eq!(broken("one two three", 42), ["one two", "three"]);
        assert_eq!(broken("uninterrupted", 10), ["uninterrupted"]);
    }
}
