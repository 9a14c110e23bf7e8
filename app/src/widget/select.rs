//! A drop-down list.
//!
//! Up and Down move through the open list, Enter chooses, Escape closes it. The highlighted row has the keyboard focus.

use egui::{ComboBox, FocusDirection, Key, Modifiers, Popup, PopupCloseBehavior, Response, RichText, Ui};

use super::{ListRow, paint, property};
use crate::theme::{self, font, icon, size, space};

/// A label and a drop-down list.
#[must_use = "call show"]
pub struct Select<'a, T> {
    label: &'a str,
    choices: &'a [(T, &'a str)],
    hint: &'a str,
    explained: &'a [(&'a str, &'a str)],
}

/// Width and height of a list whose choices are explained, at most.
const EXPLAINED_SIZE: [f32; 2] = [600.0, 420.0];

impl<'a, T: Clone + PartialEq> Select<'a, T> {
    /// A choice between `choices`, each with its name.
    pub fn new(label: &'a str, choices: &'a [(T, &'a str)]) -> Self {
        Self { label, choices, hint: "Choose", explained: &[] }
    }

    /// Explains the choices: for each the title of its group, shown above the group's first, and one line.
    pub fn explained(mut self, explained: &'a [(&'a str, &'a str)]) -> Self {
        self.explained = explained;
        self
    }

    /// Text while the value is not among the choices.
    pub fn hint(mut self, hint: &'a str) -> Self {
        self.hint = hint;
        self
    }

    /// Shows it. The response is `changed` when another choice was made.
    pub fn show(self, ui: &mut Ui, value: &mut T) -> Response {
        let t = theme::tokens(ui);
        let chosen = self.choices.iter().find(|(choice, _)| choice == value);
        let text = match chosen {
            Some((_, name)) => RichText::new(*name).font(font::body()).color(t.text),
            None => RichText::new(self.hint).font(font::body()).color(t.text_dim),
        };
        let (mut picked, mut by_keyboard) = (None, false);
        let mut response = property::control_row(ui, self.label, |ui| {
            let width = ui.available_width();
            let combo = ComboBox::from_id_salt(("select", self.label))
                .width(width)
                .truncate()
                .selected_text(text)
                .close_behavior(PopupCloseBehavior::CloseOnClick)
                .icon(|ui, rect, _, _| {
                    paint::icon(
                        ui.painter(),
                        rect.center(),
                        icon::CHEVRON_DOWN,
                        size::ICON_SMALL,
                        theme::tokens(ui).text_dim,
                    );
                });
            let screen = ui.ctx().content_rect();
            let combo = if self.explained.is_empty() {
                combo
            } else {
                // A list that fits neither below nor above its field would open beside it.
                let field = ui.available_rect_before_wrap();
                let room = (screen.bottom() - field.top() - size::FIELD).max(field.top() - screen.top());
                combo.height(EXPLAINED_SIZE[1].min(room - 2.0 * space::XL))
            };
            let shown = combo.show_ui(ui, |ui| {
                if !self.explained.is_empty() {
                    ui.set_min_width(EXPLAINED_SIZE[0].min(0.6 * screen.width()));
                }
                ui.spacing_mut().item_spacing.y = 0.0;
                let steps = take_steps(ui);
                let rows: Vec<Response> = (0..self.choices.len()).map(|at| self.row(ui, at, value)).collect();
                picked = rows.iter().position(Response::clicked);
                let pressed = |key| ui.input(|i| i.key_pressed(key));
                by_keyboard =
                    pressed(Key::Escape) || (picked.is_some() && (pressed(Key::Enter) || pressed(Key::Space)));
                let focused = rows.iter().position(Response::has_focus);
                if focused.is_none() || steps != 0 {
                    let from = focused.or(self.choices.iter().position(|(choice, _)| choice == value)).unwrap_or(0);
                    let to = from.saturating_add_signed(steps).min(rows.len().saturating_sub(1));
                    if let Some(row) = rows.get(to) {
                        row.request_focus();
                        row.scroll_to_me(None);
                    }
                }
            });
            if picked.is_some() {
                Popup::close_all(ui.ctx());
            }
            if by_keyboard {
                // The list that had the focus is closed by now.
                shown.response.request_focus();
            }
            shown.response.accessible_name(self.label)
        });
        if let Some((choice, _)) = picked.and_then(|at| self.choices.get(at)).filter(|(choice, _)| choice != value) {
            *value = choice.clone();
            response.mark_changed();
        }
        response
    }
}

impl<T: Clone + PartialEq> Select<'_, T> {
    /// A row of the open list, below the title of its group if that begins here.
    fn row(&self, ui: &mut Ui, at: usize, value: &T) -> Response {
        let (choice, name) = &self.choices[at];
        let row = ListRow::new(name).selected(choice == value);
        let Some((group, about)) = self.explained.get(at) else { return ui.add(row) };
        let before = at.checked_sub(1).and_then(|before| self.explained.get(before));
        if before.is_none_or(|(before, _)| before != group) {
            super::text::heading(ui, group);
        }
        ui.add(row.subtitle(about))
    }
}

/// Takes the arrow keys of this frame: by how many rows they move, downwards. Nothing else moves the focus meanwhile.
fn take_steps(ui: &Ui) -> isize {
    ui.memory_mut(|memory| memory.move_focus(FocusDirection::None));
    ui.input_mut(|i| {
        let mut count = |key| i.count_and_consume_key(Modifiers::NONE, key) as isize;
        count(Key::ArrowDown) - count(Key::ArrowUp)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;

    #[test]
    fn choosing_from_the_list_changes_the_value_and_closes_it() {
        let mut harness = harness(
            |ui, (map, changes): &mut (u8, i32)| {
                let select = Select::new("Colour map", &[(0, "Grey"), (1, "Hot"), (2, "Viridis")]);
                *changes += i32::from(select.show(ui, map).changed());
            },
            (0, 0),
        );
        harness.get_by_label("Colour map").click();
        harness.run();
        harness.get_by_label("Viridis").click();
        harness.run();
        assert_eq!(*harness.state(), (2, 1));
        assert!(harness.query_by_label("Hot").is_none(), "the list is closed");
    }

    #[test]
    fn a_group_has_one_title_and_every_choice_its_line() {
        let mut harness = harness(
            |ui, map: &mut u8| {
                let choices = [(0, "mae"), (1, "simmim"), (2, "simclr")];
                let explained = [("Masked", "hides patches"), ("Masked", "hides units"), ("Views", "compares views")];
                Select::new("Preset", &choices).explained(&explained).show(ui, map);
            },
            0,
        );
        harness.get_by_label("Preset").click();
        harness.run();
        for title in ["Masked", "Views"] {
            assert_eq!(harness.query_all_by_label(title).count(), 1, "{title}");
        }
        let top = |label: &str| harness.get_by_label(label).rect().top();
        assert!(top("Masked") < top("simmim") && top("simmim") < top("Views") && top("Views") < top("simclr"));
        assert!(harness.get_by_label("simclr").rect().height() > crate::theme::size::ROW, "a line below the name");
        harness.get_by_label("simclr").click();
        harness.run();
        assert_eq!(*harness.state(), 2);
    }

    #[test]
    fn a_long_explained_list_opens_below_a_field_in_the_middle_of_the_window() {
        let mut harness = harness(
            |ui, map: &mut u8| {
                let names: Vec<String> = (0..40).map(|n| format!("preset {n}")).collect();
                let choices: Vec<(u8, &str)> = (0..40).map(|n| (n, names[usize::from(n)].as_str())).collect();
                let explained = vec![("Masked", "hides patches"); 40];
                ui.add_space(120.0);
                Select::new("Preset", &choices).explained(&explained).show(ui, map);
            },
            0,
        );
        harness.get_by_label("Preset").click();
        harness.run();
        let (field, list) = (harness.get_by_label("Preset").rect(), harness.get_by_label("Masked").rect());
        assert!(list.top() >= field.bottom() && list.left() < field.right(), "field {field:?}, list {list:?}");
    }

    #[test]
    fn arrows_highlight_enter_chooses_and_escape_closes() {
        let mut harness = harness(
            |ui, (map, changes, pressed): &mut (u8, i32, bool)| {
                // Its neighbours must not take the keys.
                *pressed |= ui.button("Before").clicked();
                let select = Select::new("Colour map", &[(0, "Grey"), (1, "Hot"), (2, "Viridis")]);
                *changes += i32::from(select.show(ui, map).changed());
                *pressed |= ui.button("After").clicked();
            },
            (0, 0, false),
        );
        let press = |harness: &mut Harness<'_, _>, keys: &[Key]| {
            for &key in keys {
                harness.key_press(key);
                harness.run();
            }
        };
        harness.get_by_label("Colour map").focus();
        harness.run();
        press(&mut harness, &[Key::Enter, Key::ArrowDown]);
        assert!(harness.get_by_label("Hot").is_focused() && harness.state().0 == 0, "highlighted, not chosen");
        press(&mut harness, &[Key::ArrowDown, Key::ArrowDown, Key::ArrowUp, Key::Enter]);
        assert_eq!(*harness.state(), (1, 1, false), "the list ends at its last row");
        assert!(harness.query_by_label("Viridis").is_none() && harness.get_by_label("Colour map").is_focused());
        press(&mut harness, &[Key::Space, Key::ArrowDown, Key::Escape]);
        assert_eq!(*harness.state(), (1, 1, false));
        assert!(harness.query_by_label("Viridis").is_none(), "the list is closed");
        // Opened by the pointer, with the focus elsewhere.
        harness.get_by_label("After").focus();
        harness.run();
        harness.get_by_label("Colour map").click();
        harness.run();
        press(&mut harness, &[Key::ArrowUp, Key::Enter]);
        assert_eq!(*harness.state(), (0, 2, false));
    }
}
