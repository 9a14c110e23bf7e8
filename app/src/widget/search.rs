//! A field that filters a list.

use egui::{
    Frame, Id, Key, Margin, Modifiers, Rect, Response, RichText, Sense, Stroke, StrokeKind, TextEdit, Ui, UiBuilder,
    pos2, vec2,
};

use super::keycap::Keys;
use super::{IconButton, paint};
use crate::theme::{self, font, icon, radius, size, space};

/// A text field with a magnifier, a hint, and a button that clears it.
#[must_use = "call show"]
pub struct SearchField<'a> {
    text: &'a mut String,
    label: &'a str,
    shortcut: Option<&'a str>,
    id: Option<Id>,
}

impl<'a> SearchField<'a> {
    /// A field for `text`; `label` is its name and hint, for example "Filter cases".
    pub fn new(text: &'a mut String, label: &'a str) -> Self {
        Self { text, label, shortcut: None, id: None }
    }

    /// The shortcut that puts the cursor here, drawn while the field is empty.
    pub fn shortcut(mut self, shortcut: &'a str) -> Self {
        self.shortcut = Some(shortcut);
        self
    }

    /// A fixed id, to focus the field from elsewhere.
    pub fn id(mut self, id: Id) -> Self {
        self.id = Some(id);
        self
    }

    /// Shows it as wide as the available space. Esc clears the text, a second Esc leaves the field.
    pub fn show(self, ui: &mut Ui) -> Response {
        let t = theme::tokens(ui);
        let id = self.id.unwrap_or_else(|| ui.make_persistent_id(("search", self.label)));
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), size::CONTROL), Sense::hover());
        let focused = ui.memory(|memory| memory.has_focus(id));
        let mut cleared = false;
        // Escape removes the focus before this field sees it.
        let had_focus = focused || ui.memory(|memory| memory.had_focus_last_frame(id));
        if had_focus && !self.text.is_empty() && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
            self.text.clear();
            cleared = true;
            ui.memory_mut(|memory| memory.request_focus(id));
        }
        let border = if focused { Stroke::new(size::FOCUS_RING, t.focus) } else { Stroke::new(1.0, t.line_strong) };
        ui.painter().rect(rect, radius::M, t.field, border, StrokeKind::Inside);
        let icon_center = pos2(rect.left() + space::S + size::ICON_SMALL / 2.0, rect.center().y);
        paint::icon(ui.painter(), icon_center, icon::SEARCH, size::ICON_SMALL, t.text_dim);

        let inner = Rect::from_min_max(
            pos2(icon_center.x + space::S, rect.top()),
            pos2(rect.right() - size::ROW_DENSE - 2.0, rect.bottom()),
        );
        let mut child = ui.new_child(UiBuilder::new().max_rect(inner));
        let mut response = TextEdit::singleline(self.text)
            .id(id)
            .font(font::body())
            .text_color(t.text)
            .hint_text(RichText::new(self.label).font(font::body()).color(t.text_dim))
            .frame(Frame::new().inner_margin(Margin::symmetric(2, 5)))
            .desired_width(inner.width())
            .show(&mut child)
            .response
            .response
            .clone()
            .accessible_name(self.label);
        if self.text.is_empty() {
            if let (false, Some(keys)) = (focused, self.shortcut.map(|keys| Keys::layout(ui, keys))) {
                keys_at_right(ui, rect, keys);
            }
        } else {
            let side = size::ROW_DENSE;
            let area = Rect::from_center_size(pos2(rect.right() - side / 2.0 - 3.0, rect.center().y), vec2(side, side));
            if ui.place(area, IconButton::new(icon::CLOSE, "Clear the filter").small()).clicked() {
                self.text.clear();
                cleared = true;
            }
        }
        if cleared {
            response.mark_changed();
        }
        response
    }
}

fn keys_at_right(ui: &Ui, rect: Rect, keys: Keys) {
    let left = rect.right() - keys.width - 5.0;
    keys.paint(ui.painter(), pos2(left, rect.center().y));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;

    fn filter() -> Harness<'static, String> {
        let mut harness = harness(
            |ui, text: &mut String| drop(SearchField::new(text, "Filter cases").shortcut("/").show(ui)),
            String::new(),
        );
        harness.get_by_label("Filter cases").focus();
        harness.run();
        harness.get_by_label("Filter cases").type_text("STS");
        harness.run();
        harness
    }

    #[test]
    fn the_button_clears() {
        let mut harness = filter();
        assert_eq!(harness.state(), "STS");
        harness.get_by_label("Clear the filter").click();
        harness.run();
        assert_eq!(harness.state(), "");
        assert!(harness.query_by_label("Clear the filter").is_none());
    }

    #[test]
    fn escape_clears_and_then_leaves() {
        let mut harness = filter();
        harness.key_press(Key::Escape);
        harness.run();
        assert_eq!(harness.state(), "");
        assert!(harness.get_by_label("Filter cases").is_focused());
        harness.key_press(Key::Escape);
        harness.run();
        assert!(!harness.get_by_label("Filter cases").is_focused());
    }
}
