//! A drop-down list.

use egui::{ComboBox, PopupCloseBehavior, Response, RichText, Ui};

use super::{ListRow, paint, property};
use crate::theme::{self, font, icon, size};

/// A label and a drop-down list.
#[must_use = "call show"]
pub struct Select<'a, T> {
    label: &'a str,
    choices: &'a [(T, &'a str)],
    hint: &'a str,
}

impl<'a, T: Clone + PartialEq> Select<'a, T> {
    /// A choice between `choices`, each with its name.
    pub fn new(label: &'a str, choices: &'a [(T, &'a str)]) -> Self {
        Self { label, choices, hint: "Choose" }
    }

    /// Text while the value is none of the choices.
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
        let mut changed = false;
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
            let shown = combo.show_ui(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                // The arrow keys go through the open list.
                let unfocused = ui.memory(|memory| memory.focused().is_none());
                for (choice, name) in self.choices {
                    let row = ui.add(ListRow::new(name).selected(choice == value));
                    if unfocused && choice == value {
                        row.request_focus();
                    }
                    if row.clicked() && choice != value {
                        *value = choice.clone();
                        changed = true;
                    }
                }
            });
            shown.response.accessible_name(self.label)
        });
        if changed {
            response.mark_changed();
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
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
}
