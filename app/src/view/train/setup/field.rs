//! A row of the form: a control, and the paper's value or the problem beside it.

use std::ops::RangeInclusive;

use egui::{Align, Label, Layout, Rect, RichText, Sense, Ui, UiBuilder, pos2, vec2};

use crate::state::State;
use crate::theme::{self, font, size, space};
use crate::widget::{NumberField, Select, with_problem_beside};

/// Width of label and control.
pub(super) const CONTROL: f32 = 340.0;

/// Problem of a setting, by its key in `config.toml`.
pub(super) fn problem<'a>(state: &'a State, key: &str) -> Option<&'a str> {
    let of = |(field, _): &&(String, String)| field == key;
    state.cache.train.problems.iter().find(of).map(|(_, why)| why.as_str())
}

/// A control with a note, which a problem replaces in place.
pub(super) fn row(ui: &mut Ui, problem: Option<&str>, note: &str, control: impl FnOnce(&mut Ui)) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), size::FORM_ROW), Sense::hover());
    let split = (rect.left() + CONTROL).min(rect.right());
    let left = Rect::from_min_max(rect.min, pos2(split, rect.bottom()));
    let mut child = ui.new_child(UiBuilder::new().max_rect(left).layout(Layout::top_down(Align::Min)));
    child.spacing_mut().item_spacing.y = 0.0;
    let entered = with_problem_beside(&mut child, problem.is_some(), control);
    let problem = entered.as_deref().or(problem);
    let t = theme::tokens(ui);
    let (text, color) = problem.map_or((note, t.text_dim), |why| (why, t.error));
    let right = Rect::from_min_max(pos2(split + space::M, rect.top()), rect.max);
    if text.is_empty() || right.width() < 40.0 {
        return;
    }
    let layout = Layout::left_to_right(Align::Center);
    let mut beside = ui.new_child(UiBuilder::new().max_rect(right).layout(layout));
    beside.add(Label::new(RichText::new(text).font(font::caption()).color(color)).truncate());
}

/// An integer field.
pub(super) fn whole(
    ui: &mut Ui,
    state: &State,
    key: &str,
    label: &str,
    note: &str,
    value: &mut usize,
    range: RangeInclusive<usize>,
) {
    row(ui, problem(state, key), note, |ui| {
        NumberField::new(value, label).range(range).show(ui);
    });
}

/// A number field.
pub(super) struct Number<'a> {
    pub label: &'a str,
    pub note: &'a str,
    pub unit: &'a str,
    pub most: f64,
    pub decimals: usize,
    pub step: f64,
}

/// A number field from 0.
pub(super) fn number(ui: &mut Ui, state: &State, key: &str, number: &Number<'_>, value: &mut f64) {
    row(ui, problem(state, key), number.note, |ui| {
        let field = NumberField::new(value, number.label).range(0.0..=number.most).unit(number.unit);
        field.decimals(number.decimals).step(number.step).show(ui);
    });
}

/// A number field from 0 to 1 with three significant digits, for values that may be tiny.
pub(super) fn rate(ui: &mut Ui, state: &State, key: &str, (label, note): (&str, &str), step: f64, value: &mut f64) {
    row(ui, problem(state, key), note, |ui| {
        NumberField::new(value, label).range(0.0..=1.0).significant().step(step).show(ui);
    });
}

/// A choice.
pub(super) fn choice<T: Clone + PartialEq>(ui: &mut Ui, label: &str, note: &str, value: &mut T, choices: &[(T, &str)]) {
    row(ui, None, note, |ui| {
        Select::new(label, choices).show(ui, value);
    });
}
