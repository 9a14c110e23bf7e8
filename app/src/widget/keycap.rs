//! Shortcuts drawn as keys.

use std::sync::Arc;

use egui::{
    Align2, Galley, Painter, Pos2, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};

use super::paint;
use crate::theme::{self, font, radius, space};

const HEIGHT: f32 = 18.0;
const GAP: f32 = 3.0;

/// Parts of a shortcut: keys, and separators of alternatives.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Key(String),
    Word(String),
}

/// Splits `Ctrl+Shift+Z` into keys and `N / P` into alternatives. A trailing plus and a single slash are keys.
fn parts(shortcut: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let words = shortcut.split_whitespace().count();
    for word in shortcut.split_whitespace() {
        if words > 1 && matches!(word, "/" | "," | "or" | "·") {
            parts.push(Part::Word(word.to_owned()));
            continue;
        }
        let (keys, plus) = match word.strip_suffix('+') {
            Some(rest) => (rest.trim_end_matches('+'), true),
            None => (word, false),
        };
        parts.extend(keys.split('+').filter(|key| !key.is_empty()).map(|key| Part::Key(key.to_owned())));
        if plus {
            parts.push(Part::Key("+".to_owned()));
        }
    }
    parts
}

/// A shortcut with its layout.
pub(super) struct Keys {
    parts: Vec<(bool, Arc<Galley>)>,
    pub width: f32,
}

impl Keys {
    /// Lays out a shortcut.
    pub fn layout(ui: &Ui, shortcut: &str) -> Self {
        let t = theme::tokens(ui);
        let lay = |text: String| ui.painter().layout_no_wrap(text, font::caption(), t.text_dim);
        let parts: Vec<_> = parts(shortcut)
            .into_iter()
            .map(|part| match part {
                Part::Key(key) => (true, lay(key)),
                Part::Word(word) => (false, lay(word)),
            })
            .collect();
        let gaps = GAP * parts.len().saturating_sub(1) as f32;
        let width = parts.iter().map(|(key, galley)| width(*key, galley)).sum::<f32>() + gaps;
        Self { parts, width }
    }

    /// Paints the keys from `left`, centred vertically. `quiet` omits the fill, for use on a row.
    pub fn paint(self, painter: &Painter, left: Pos2) {
        let t = theme::tokens(painter.ctx());
        let mut x = left.x;
        for (key, galley) in self.parts {
            let rect = Rect::from_min_size(pos2(x, left.y - HEIGHT / 2.0), vec2(width(key, &galley), HEIGHT));
            if key {
                painter.rect(rect, radius::S, t.field, Stroke::new(1.0, t.line_strong), StrokeKind::Inside);
            }
            x = rect.right() + GAP;
            paint::put(painter, rect.center(), Align2::CENTER_CENTER, galley);
        }
    }
}

fn width(key: bool, galley: &Galley) -> f32 {
    let text = galley.size().x.ceil();
    if key { (text + 2.0 * space::XS + 2.0).max(HEIGHT) } else { text }
}

/// Draws a shortcut such as `Ctrl+Shift+Z` or `N / P` as keys. Its label is the shortcut.
pub fn keycaps(ui: &mut Ui, shortcut: &str) -> Response {
    let keys = Keys::layout(ui, shortcut);
    let (rect, response) = ui.allocate_exact_size(vec2(keys.width, HEIGHT), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, ui.is_enabled(), shortcut));
    if ui.is_rect_visible(rect) {
        keys.paint(ui.painter(), rect.left_center());
    }
    response
}

/// Tooltip with the label and the shortcut as keycaps, also for disabled controls.
pub(super) fn tip(response: Response, label: &str, shortcut: Option<&str>) -> Response {
    if let Some(keys) = shortcut {
        response.ctx.accesskit_node_builder(response.id, |node| node.set_keyboard_shortcut(keys));
    }
    let content = |ui: &mut Ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = space::S;
            ui.spacing_mut().interact_size.y = 18.0;
            ui.label(egui::RichText::new(label).font(font::body()));
            if let Some(keys) = shortcut {
                keycaps(ui, keys);
            }
        });
    };
    response.on_hover_ui(content).on_disabled_hover_ui(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> Vec<Part> {
        names.iter().map(|name| Part::Key((*name).to_owned())).collect()
    }

    #[test]
    fn combinations_split_at_their_plus() {
        assert_eq!(parts("Ctrl+Shift+Z"), keys(&["Ctrl", "Shift", "Z"]));
        assert_eq!(parts("Ctrl++"), keys(&["Ctrl", "+"]));
        assert_eq!(parts("+"), keys(&["+"]));
        assert_eq!(parts("?"), keys(&["?"]));
        assert_eq!(parts("/"), keys(&["/"]));
    }

    #[test]
    fn alternatives_keep_their_word() {
        assert_eq!(parts("N / P"), [Part::Key("N".to_owned()), Part::Word("/".to_owned()), Part::Key("P".to_owned())]);
        assert_eq!(parts(""), []);
    }
}
