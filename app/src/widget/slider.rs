//! A slider with its value.

use std::ops::RangeInclusive;

use egui::accesskit::{Action, ActionData};
use egui::emath::Numeric;
use egui::{
    EventFilter, Id, Key, Modifiers, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2, remap, remap_clamp, vec2,
};

use super::number::{Digits, NumberSpec, number_cell};
use super::{keycap, paint, property};
use crate::theme::{self, radius, size, space};

const HANDLE: f32 = 6.0;
const RAIL: f32 = 3.0;

/// A label, a rail, and an editable value.
#[must_use = "call show"]
pub struct Slider<'a, N: Numeric> {
    value: &'a mut N,
    label: &'a str,
    range: RangeInclusive<f64>,
    step: Option<f64>,
    decimals: usize,
    unit: &'a str,
    shortcut: Option<&'a str>,
}

impl<'a, N: Numeric> Slider<'a, N> {
    /// A slider of `value` over `range`. The accessible name of its field is "`label` value".
    pub fn new(value: &'a mut N, label: &'a str, range: RangeInclusive<N>) -> Self {
        let range = range.start().to_f64()..=range.end().to_f64();
        let decimals = if N::INTEGRAL { 0 } else { 2 };
        Self { value, label, range, step: N::INTEGRAL.then_some(1.0), decimals, unit: "", shortcut: None }
    }

    /// Decimals: by default 2, and 0 for integers.
    pub fn decimals(mut self, decimals: usize) -> Self {
        self.decimals = if N::INTEGRAL { 0 } else { decimals };
        self
    }

    /// Step from the start of the range, also of the arrow keys.
    pub fn step(mut self, step: f64) -> Self {
        self.step = Some(step);
        self
    }

    /// Unit of the value.
    pub fn unit(mut self, unit: &'a str) -> Self {
        self.unit = unit;
        self
    }

    /// The shortcut, for the tooltip.
    pub fn shortcut(mut self, shortcut: &'a str) -> Self {
        self.shortcut = Some(shortcut);
        self
    }

    fn snapped(&self, value: f64) -> f64 {
        let (low, high) = (*self.range.start(), *self.range.end());
        let value = match self.step {
            Some(step) if step > 0.0 => low + ((value - low) / step).round() * step,
            _ => value,
        };
        value.clamp(low, high)
    }

    /// Shows it. The response is that of the rail, `changed` by rail and field.
    pub fn show(self, ui: &mut Ui) -> Response {
        let id = ui.make_persistent_id(("slider", self.label));
        let before = self.value.to_f64();
        let (rail, number) = property::control_row(ui, self.label, |ui| {
            let rect = ui.max_rect();
            let split = rect.right() - size::VALUE;
            let rail = Rect::from_min_max(rect.min, pos2(split - space::S, rect.bottom()));
            let cell = Rect::from_min_max(pos2(split, rect.top()), rect.max);
            let mut number = before;
            let response = self.rail(ui, rail, id, &mut number);
            let spec = NumberSpec {
                range: self.range.clone(),
                step: self.keyboard_step(),
                digits: Digits::Fixed(self.decimals),
                unit: self.unit,
                quiet: true,
            };
            let name = format!("{} value", self.label);
            number_cell(ui, cell, id.with("value"), &name, &mut number, &spec);
            (response, number)
        });
        let mut response = rail;
        if number != before {
            *self.value = N::from_f64(number);
            response.mark_changed();
        }
        keycap::tip(response, self.label, self.shortcut)
    }

    fn keyboard_step(&self) -> f64 {
        self.step.unwrap_or((self.range.end() - self.range.start()) / 100.0)
    }

    /// The rail and its handle: drag, click, arrow keys, Home, End, and requests of assistive tools.
    fn rail(&self, ui: &Ui, rect: Rect, id: Id, value: &mut f64) -> Response {
        let response = ui.interact(rect, id, Sense::click_and_drag());
        let travel = rect.x_range().shrink(HANDLE);
        let span = *self.range.start() as f32..=*self.range.end() as f32;
        if let Some(pointer) = response.interact_pointer_pos() {
            *value = self.snapped(f64::from(remap_clamp(pointer.x, travel, span.clone())));
        }
        if response.has_focus() {
            let filter = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
            self.keys(ui, value);
        }
        self.requests(ui, id, value);
        let shown = *value;
        response.widget_info(|| WidgetInfo::slider(ui.is_enabled(), shown, self.label));
        ui.accesskit_node_builder(id, |node| {
            node.set_role(Role::Slider);
            node.set_min_numeric_value(*self.range.start());
            node.set_max_numeric_value(*self.range.end());
            node.set_numeric_value_step(self.keyboard_step());
            node.add_action(Action::SetValue);
            node.add_action(Action::Increment);
            node.add_action(Action::Decrement);
        });
        if ui.is_rect_visible(rect) {
            let t = theme::tokens(ui);
            let x = if span.start() == span.end() { travel.min } else { remap(shown as f32, span, travel) };
            let middle = rect.center().y;
            let bar = |from, to| Rect::from_min_max(pos2(from, middle - RAIL / 2.0), pos2(to, middle + RAIL / 2.0));
            ui.painter().rect_filled(bar(rect.left(), rect.right()), RAIL / 2.0, t.raised_active);
            ui.painter().rect_filled(bar(rect.left(), x), RAIL / 2.0, t.accent);
            let lit = response.hovered() || response.dragged();
            let handle = HANDLE + if lit { 1.0 } else { 0.0 };
            let color = if t.dark { t.text } else { t.accent };
            ui.painter().circle(pos2(x, middle), handle, color, egui::Stroke::new(2.0, t.panel));
            paint::focus_ring(ui, &response, rect.shrink2(vec2(-2.0, 3.0)), radius::M);
        }
        response
    }

    fn keys(&self, ui: &Ui, value: &mut f64) {
        let step = self.keyboard_step();
        let (steps, edge) = ui.input_mut(|input| {
            let mut count = |modifiers, key| input.count_and_consume_key(modifiers, key) as f64;
            let mut steps = 0.0;
            for (key, sign) in
                [(Key::ArrowRight, 1.0), (Key::ArrowUp, 1.0), (Key::ArrowLeft, -1.0), (Key::ArrowDown, -1.0)]
            {
                steps += sign * (10.0 * count(Modifiers::SHIFT, key) + count(Modifiers::NONE, key));
            }
            let home = (count(Modifiers::NONE, Key::Home) > 0.0).then_some(*self.range.start());
            let end = (count(Modifiers::NONE, Key::End) > 0.0).then_some(*self.range.end());
            (steps, home.or(end))
        });
        if steps != 0.0 {
            *value = self.snapped(*value + steps * step);
        }
        if let Some(edge) = edge {
            *value = edge;
        }
    }

    fn requests(&self, ui: &Ui, id: Id, value: &mut f64) {
        ui.input(|input| {
            let steps = input.num_accesskit_action_requests(id, Action::Increment) as f64
                - input.num_accesskit_action_requests(id, Action::Decrement) as f64;
            if steps != 0.0 {
                *value = self.snapped(*value + steps * self.keyboard_step());
            }
            for request in input.accesskit_action_requests(id, Action::SetValue) {
                if let Some(ActionData::NumericValue(asked)) = request.data {
                    *value = self.snapped(asked);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;

    fn opacity() -> Harness<'static, f32> {
        harness(
            |ui, value: &mut f32| {
                Slider::new(value, "Opacity", 0.0..=100.0).step(5.0).decimals(0).unit("%").show(ui);
            },
            50.0,
        )
    }

    #[test]
    fn keys_step_and_jump_to_the_ends() {
        let mut harness = opacity();
        harness.get_by_label("Opacity").focus();
        harness.run();
        harness.key_press(Key::ArrowRight);
        harness.run();
        assert_eq!(*harness.state(), 55.0);
        harness.key_press(Key::End);
        harness.run();
        assert_eq!(*harness.state(), 100.0);
        harness.key_press(Key::ArrowUp);
        harness.run();
        assert_eq!(*harness.state(), 100.0, "stays in the range");
    }

    #[test]
    fn a_click_goes_to_the_place_and_snaps() {
        let mut harness = opacity();
        let rail = harness.get_by_label("Opacity").rect();
        let at = pos2(rail.left() + HANDLE + (rail.width() - 2.0 * HANDLE) * 0.21, rail.center().y);
        harness.hover_at(at);
        harness.drag_at(at);
        harness.run();
        harness.drop_at(at);
        harness.run();
        assert_eq!(*harness.state(), 20.0);
    }

    #[test]
    fn assistive_tools_and_typing_set_the_value() {
        let mut harness = opacity();
        harness.get_by_label("Opacity").set_value_accesskit(31.0);
        harness.run();
        assert_eq!(*harness.state(), 30.0);
        harness.get_by_label("Opacity").decrement_accesskit();
        harness.run();
        assert_eq!(*harness.state(), 25.0);
        harness.get_by_label("Opacity value").focus();
        harness.run();
        harness.get_by_label("Opacity value").type_text("80");
        harness.run();
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(*harness.state(), 80.0);
    }
}
