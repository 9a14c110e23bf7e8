//! A number field.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use egui::emath::Numeric;
use egui::text::CCursorRange;
use egui::{Align2, Frame, Id, Key, Margin, Modifiers, Rect, Response, RichText, Stroke, TextEdit, Ui, UiBuilder};

use super::{format, keycap, property};
use crate::theme::{self, font, radius, size};

/// Format and range of a number.
#[derive(Clone)]
pub(super) struct NumberSpec<'a> {
    pub range: RangeInclusive<f64>,
    pub step: f64,
    pub digits: Digits,
    pub unit: &'a str,
    /// No border until it is used.
    pub quiet: bool,
}

/// How a number is written in its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    /// This many decimals.
    Fixed(usize),
    /// At most this many decimals, without trailing zeros.
    AtMost(usize),
    /// Three significant digits, for values of any size.
    Significant,
}

impl NumberSpec<'_> {
    fn format(&self, value: f64) -> String {
        match self.digits {
            Digits::Fixed(decimals) => format!("{value:.decimals$}"),
            Digits::AtMost(decimals) => format::without_zeros(format!("{value:.decimals$}")),
            Digits::Significant => format::figures(value).replace('\u{2212}', "-"),
        }
    }

    /// Parses a number, or describes the problem.
    fn parse(&self, text: &str) -> Result<f64, String> {
        let unit = self.unit.trim();
        let text = text.trim();
        let text = text.strip_suffix(unit).unwrap_or(text).trim().replace(',', ".").replace('\u{2212}', "-");
        let value: f64 = text.parse().map_err(|_| "Not a number".to_owned())?;
        if self.range.contains(&value) { Ok(value) } else { Err(self.allowed()) }
    }

    fn allowed(&self) -> String {
        let (low, high) = (*self.range.start(), *self.range.end());
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit.trim()) };
        match (low.is_finite(), high.is_finite()) {
            (true, true) => format!("{} to {}{unit}", self.bound(low), self.bound(high)),
            (true, false) => format!("{}{unit} or more", self.bound(low)),
            (false, true) => format!("{}{unit} or less", self.bound(high)),
            (false, false) => "Not a finite number".to_owned(),
        }
    }

    /// A limit without trailing zeros.
    fn bound(&self, value: f64) -> String {
        format::without_zeros(self.format(value))
    }
}

/// Text being typed, and the value it would replace.
#[derive(Clone)]
struct Draft {
    text: String,
    instead_of: f64,
}

/// Problems of number fields by label, `None` for valid input.
type NumberProblems = BTreeMap<String, Option<String>>;

fn entered_id() -> Id {
    Id::unique("what number fields hold")
}

/// Takes the problems of the number fields drawn since the last call, by label; `None` for valid input.
pub fn take_entered(ctx: &egui::Context) -> BTreeMap<String, Option<String>> {
    ctx.data_mut(|data| data.remove_temp::<NumberProblems>(entered_id())).unwrap_or_default()
}

/// Space beside a number field for its problem.
#[derive(Clone, Default)]
struct ProblemSpace {
    wrong: bool,
    problem: Option<String>,
}

fn beside_id() -> Id {
    Id::unique("a place beside number fields")
}

/// Draws a control and returns its problem for the caller to show, instead of drawing it below the field. `wrong` gives
/// the field an error border.
pub fn with_problem_beside(ui: &mut Ui, wrong: bool, control: impl FnOnce(&mut Ui)) -> Option<String> {
    ui.data_mut(|data| {
        data.insert_temp(beside_id(), ProblemSpace { wrong, problem: None });
    });
    control(ui);
    ui.data_mut(|data| data.remove_temp::<ProblemSpace>(beside_id())).and_then(|beside| beside.problem)
}

/// The editable cell, in `rect`. Invalid text stays, with an error border and the reason below it, and does not change
/// the value. Enter or leaving the field accepts the number, Esc discards it, arrow keys step.
pub(super) fn number_cell(
    ui: &mut Ui,
    rect: Rect,
    id: Id,
    name: &str,
    value: &mut f64,
    spec: &NumberSpec<'_>,
) -> Response {
    // A disabled field drops its draft, which could not be corrected.
    let stands = |draft: &Draft| draft.instead_of == *value && ui.is_enabled();
    let mut draft = ui.data(|data| data.get_temp::<Draft>(id)).filter(stands);
    let beside = ui.data(|data| data.get_temp::<ProblemSpace>(beside_id()));
    let mut changed = false;
    let focused = ui.memory(|memory| memory.has_focus(id));
    if focused {
        let steps = steps(ui);
        if steps != 0.0 {
            let stepped = *value + steps * spec.step;
            let stepped = spec.format(stepped.clamp(*spec.range.start(), *spec.range.end())).parse().unwrap_or(*value);
            changed = stepped != *value;
            *value = stepped;
            draft = None;
        }
    }
    let problem_of = |draft: &Option<Draft>| draft.as_ref().and_then(|draft| spec.parse(&draft.text).err());
    let shown_problem = problem_of(&draft);
    let mut text = draft.as_ref().map_or_else(|| spec.format(*value), |draft| draft.text.clone());
    let wrong = shown_problem.is_some() || beside.as_ref().is_some_and(|beside| beside.wrong);
    paint_cell(ui, rect, id, wrong, spec.quiet);
    let mut response = edit(ui, rect, id, &mut text, spec.unit).accessible_name(name);
    if response.changed() {
        draft = Some(Draft { text, instead_of: *value });
    }
    if response.lost_focus() {
        changed |= leave(ui, &mut draft, value, spec);
    }
    let problem = problem_of(&draft);
    if problem != shown_problem {
        // The border is painted before the text is read.
        ui.ctx().request_repaint();
    }
    ui.data_mut(|data| {
        if let Some(draft) = draft {
            data.insert_temp(id, draft);
        } else {
            data.remove::<Draft>(id);
        }
        let entered = data.get_temp_mut_or_default::<NumberProblems>(entered_id());
        entered.insert(name.to_owned(), problem.clone());
        if beside.is_some() {
            data.get_temp_mut_or_default::<ProblemSpace>(beside_id()).problem.clone_from(&problem);
        }
    });
    if let Some(problem) = problem {
        // A field scrolled out of its panel shows no message over other content.
        let below = beside.is_none() && ui.clip_rect().contains(rect.center());
        show_problem(ui, &response, problem, below);
    }
    // Typing changes the draft, not the value.
    response.flags.set(egui::response::Flags::CHANGED, changed);
    response
}

/// The text of the cell. All of it is selected when it gets the focus.
fn edit(ui: &mut Ui, rect: Rect, id: Id, text: &mut String, unit: &str) -> Response {
    let t = theme::tokens(ui);
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect));
    child.spacing_mut().interact_size.y = rect.height();
    child.spacing_mut().icon_spacing = 3.0;
    let mut edit = TextEdit::singleline(text)
        .id(id)
        .font(font::number())
        .align(Align2::RIGHT_CENTER)
        .text_color(t.text)
        .frame(Frame::new().inner_margin(Margin::symmetric(6, 0)))
        .desired_width(rect.width());
    if !unit.is_empty() {
        edit = edit.suffix(RichText::new(unit).font(font::caption()).color(t.text_dim));
    }
    let mut output = edit.show(&mut child);
    let response = output.response.response.clone();
    if response.gained_focus() {
        output.state.cursor.set_char_range(Some(CCursorRange::select_all(&output.galley)));
        output.state.store(ui, id);
    }
    response
}

/// Field and border of the cell.
fn paint_cell(ui: &Ui, rect: Rect, id: Id, wrong: bool, quiet: bool) {
    let t = theme::tokens(ui);
    let focused = ui.memory(|memory| memory.has_focus(id));
    let hovered = ui.ctx().read_response(id).is_some_and(|response| response.hovered());
    let border = match (wrong, focused) {
        (true, _) => Stroke::new(size::FOCUS_RING, t.error),
        (false, true) => Stroke::new(size::FOCUS_RING, t.focus),
        (false, false) if quiet && !hovered => Stroke::NONE,
        (false, false) => Stroke::new(1.0, t.line_strong),
    };
    let fill = if quiet && !focused && !hovered { egui::Color32::TRANSPARENT } else { t.field };
    ui.painter().rect(rect, radius::M, fill, border, egui::StrokeKind::Inside);
}

/// Accepts or discards the draft when the field loses the focus; invalid text stays unless Esc discards it. True if the value
/// has changed.
fn leave(ui: &Ui, draft: &mut Option<Draft>, value: &mut f64, spec: &NumberSpec<'_>) -> bool {
    let Some(typed) = draft.as_ref().map(|draft| spec.parse(&draft.text)) else { return false };
    // A key consumed here must not also answer a dialog around the field.
    let consume = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if ui.input(|input| input.key_pressed(Key::Escape)) {
        *draft = None;
        consume(Key::Escape);
        return false;
    }
    let Ok(typed) = typed else {
        consume(Key::Enter);
        return false;
    };
    *draft = None;
    let changed = typed != *value;
    *value = typed;
    changed
}

/// Reports the problem to assistive technology, and draws it below the field if `below`.
fn show_problem(ui: &Ui, response: &Response, problem: String, below: bool) {
    ui.accesskit_node_builder(response.id, |node| {
        node.set_invalid(egui::accesskit::Invalid::True);
        node.set_description(problem.as_str());
    });
    if below {
        response.show_tooltip_text(RichText::new(problem).font(font::caption()).color(theme::tokens(ui).error));
    }
}

/// Steps of the arrow keys: one each, ten with Shift.
fn steps(ui: &Ui) -> f64 {
    ui.input_mut(|input| {
        let mut count = |modifiers, key| input.count_and_consume_key(modifiers, key) as f64;
        // Consuming plain arrows also matches those with Shift, so Shift comes first.
        10.0 * (count(Modifiers::SHIFT, Key::ArrowUp) - count(Modifiers::SHIFT, Key::ArrowDown))
            + count(Modifiers::NONE, Key::ArrowUp)
            - count(Modifiers::NONE, Key::ArrowDown)
    })
}

/// A label and a field for a number with a unit and a range.
#[must_use = "call show"]
pub struct NumberField<'a, N: Numeric> {
    value: &'a mut N,
    label: &'a str,
    spec: NumberSpec<'a>,
}

impl<'a, N: Numeric> NumberField<'a, N> {
    /// A field for `value` with steps of one and the limits of the type.
    pub fn new(value: &'a mut N, label: &'a str) -> Self {
        let spec = NumberSpec {
            range: N::MIN.to_f64()..=N::MAX.to_f64(),
            step: 1.0,
            digits: Digits::Fixed(0),
            unit: "",
            quiet: false,
        };
        Self { value, label, spec }
    }

    /// Smallest and largest allowed number.
    pub fn range(mut self, range: RangeInclusive<N>) -> Self {
        self.spec.range = range.start().to_f64()..=range.end().to_f64();
        self
    }

    /// Decimals, for floating-point numbers.
    pub fn decimals(mut self, decimals: usize) -> Self {
        self.spec.digits = Digits::Fixed(if N::INTEGRAL { 0 } else { decimals });
        self
    }

    /// Three significant digits, for values of any size.
    pub fn significant(mut self) -> Self {
        self.spec.digits = Digits::Significant;
        self
    }

    /// At most this many decimals, without trailing zeros.
    pub fn at_most_decimals(mut self, decimals: usize) -> Self {
        self.spec.digits = Digits::AtMost(decimals);
        self
    }

    /// Digits and step for values within a range of width `span`.
    pub fn in_span(mut self, span: f64) -> Self {
        let (decimals, figures) = (format::decimals(span), format::needs_figures(span));
        let least = if figures { 0.0 } else { 10_f64.powi(-(decimals as i32)) };
        self.spec.digits = if figures { Digits::Significant } else { Digits::AtMost(decimals) };
        self.spec.step = (span / 500.0).max(least);
        self
    }

    /// Step of an arrow key.
    pub fn step(mut self, step: f64) -> Self {
        self.spec.step = step;
        self
    }

    /// Unit, drawn in the field.
    pub fn unit(mut self, unit: &'a str) -> Self {
        self.spec.unit = unit;
        self
    }

    /// Shows it. The response is `changed` when a valid number was entered.
    pub fn show(self, ui: &mut Ui) -> Response {
        let id = ui.make_persistent_id(("number", self.label));
        let mut number = self.value.to_f64();
        let response = property::control_row(ui, self.label, |ui| {
            let rect = ui.max_rect();
            number_cell(ui, rect, id, self.label, &mut number, &self.spec)
        });
        if response.changed() {
            *self.value = N::from_f64(number);
        }
        keycap::tip(response, self.label, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::Harness;
    use egui_kittest::kittest::{NodeT as _, Queryable as _};

    fn spec(decimals: usize) -> NumberSpec<'static> {
        NumberSpec { range: 1.0..=4000.0, step: 1.0, digits: Digits::Fixed(decimals), unit: "HU", quiet: false }
    }

    #[test]
    fn texts_are_read_with_unit_comma_and_typographic_minus() {
        assert_eq!(spec(1).parse(" 12,5 HU"), Ok(12.5));
        assert_eq!(spec(0).parse("\u{2212}5"), Err("1 to 4000 HU".to_owned()));
        assert_eq!(spec(0).parse("wide"), Err("Not a number".to_owned()));
        assert_eq!(spec(0).parse("NaN"), Err("1 to 4000 HU".to_owned()));
    }

    #[test]
    fn limits_have_no_trailing_zeros() {
        let share = NumberSpec { range: 0.0..=1.0, step: 0.1, digits: Digits::Fixed(6), unit: "", quiet: false };
        assert_eq!(share.parse("-1"), Err("0 to 1".to_owned()));
        let fine = NumberSpec { range: 0.05..=10.0, ..share };
        assert_eq!(fine.parse("20"), Err("0.05 to 10".to_owned()));
    }

    #[test]
    fn numbers_of_any_size_are_formatted_with_enough_digits() {
        let of = |digits| NumberSpec { range: f64::MIN..=f64::MAX, step: 1.0, digits, unit: "", quiet: false };
        let (figures, plain) = (of(Digits::Significant), of(Digits::AtMost(6)));
        assert_eq!([1.234e-6, -2.5e-7, 0.012].map(|v| figures.format(v)), ["1.23e-6", "-2.50e-7", "0.0120"]);
        assert_eq!(figures.parse(&figures.format(-2.5e-7)), Ok(-2.5e-7));
        assert_eq!([0.1, 4096.0, 0.0, 0.996, 100.0].map(|v| plain.format(v)), ["0.1", "4096", "0", "0.996", "100"]);
    }

    #[test]
    fn problems_are_reported_to_the_form_and_shown_beside_the_field() {
        let mut harness = harness(
            |ui, (width, beside, entered): &mut (f32, Option<String>, BTreeMap<String, Option<String>>)| {
                *beside = with_problem_beside(ui, false, |ui| {
                    NumberField::new(width, "Window").range(1.0..=4000.0).show(ui);
                });
                *entered = take_entered(ui.ctx());
            },
            (400.0, None, BTreeMap::new()),
        );
        harness.run();
        assert_eq!(harness.state().2.get("Window"), Some(&None));
        harness.get_by_label("Window").focus();
        harness.run();
        harness.get_by_label("Window").type_text("abc");
        harness.run();
        let (_, beside, entered) = harness.state();
        let why = Some("Not a number".to_owned());
        assert_eq!((beside, entered.get("Window")), (&why, Some(&why)));
        assert!(harness.query_by_label("Not a number").is_none(), "no message lies over the next field");
    }

    fn field() -> Harness<'static, (f32, i32)> {
        harness(
            |ui, (width, changes): &mut (f32, i32)| {
                let field = NumberField::new(width, "Window").range(1.0..=4000.0).unit("HU");
                *changes += i32::from(field.show(ui).changed());
                ui.label("below");
            },
            (400.0, 0),
        )
    }

    fn enter(harness: &mut Harness<'_, (f32, i32)>, text: &str) {
        harness.get_by_label("Window").focus();
        harness.run();
        harness.get_by_label("Window").type_text(text);
        harness.run();
        harness.key_press(Key::Enter);
        harness.run();
    }

    #[test]
    fn typing_replaces_the_number_on_enter() {
        let mut harness = field();
        enter(&mut harness, "80");
        assert_eq!(*harness.state(), (80.0, 1));
        assert_eq!(harness.get_by_label("Window").value().as_deref(), Some("80"));
    }

    #[test]
    fn a_number_out_of_range_is_refused_with_the_allowed_range() {
        let mut harness = field();
        let below = harness.get_by_label("below").rect();
        enter(&mut harness, "9999");
        assert_eq!(*harness.state(), (400.0, 0));
        assert!(harness.query_by_label("1 to 4000 HU").is_some(), "the reason is shown at the field");
        assert!(harness.get_by_label("Window").accesskit_node().data().invalid().is_some());
        assert_eq!(harness.get_by_label("below").rect(), below, "nothing moves");
        enter(&mut harness, "120");
        assert_eq!(*harness.state(), (120.0, 1));
        assert!(harness.query_by_label("1 to 4000 HU").is_none());
    }

    #[test]
    fn escape_discards_the_typed_text() {
        let mut harness = field();
        harness.get_by_label("Window").focus();
        harness.run();
        harness.get_by_label("Window").type_text("77");
        harness.run();
        harness.key_press(Key::Escape);
        harness.run();
        assert_eq!(*harness.state(), (400.0, 0));
        assert_eq!(harness.get_by_label("Window").value().as_deref(), Some("400"));
    }

    #[test]
    fn arrows_step_within_the_range() {
        let mut harness = field();
        harness.get_by_label("Window").focus();
        harness.run();
        harness.key_press(Key::ArrowUp);
        harness.run();
        harness.key_press_modifiers(Modifiers::SHIFT, Key::ArrowDown);
        harness.run();
        assert_eq!(*harness.state(), (391.0, 2));
        assert!(harness.get_by_label("Window").is_focused());
    }
}
