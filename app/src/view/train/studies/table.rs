//! The main table: methods by label budgets. A cell has the mean and its spread, the paired difference to the reference
//! method with its interval, and Holm's p.

use std::sync::Arc;

use egui::{Align2, Color32, FontId, Galley, Pos2, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui};
use egui::{WidgetInfo, pos2, vec2};
use engine::study::statistics::holm;
use engine::study::summary::{Difference, Group, MethodSummary, Metric};

use crate::command::{Command, Sender, StudyCommand};
use crate::state::State;
use crate::state::study::{StudyCell, budget_name, column_of, is_distance};
use crate::theme::{self, Icon, Tokens, font, icon, radius, size, space};
use crate::widget::format::{self, fixed};
use crate::widget::scroll_across;

/// Height of a row, of a line of the heading, and between the lines of a cell.
const ROW: f32 = 40.0;
const LINE: f32 = 18.0;
/// Height of the heading.
const HEAD: f32 = 2.0 * LINE + space::XS;
/// Widths of the method column.
const METHOD: [f32; 2] = [72.0, 180.0];
/// Minimum widths of the columns of a cell: mean, difference, p.
const PARTS: [f32; 3] = [60.0, 96.0, 48.0];
/// Padding within a cell, and its gap to the next.
const PAD: f32 = space::M;
const GAP: f32 = space::S;

/// The texts of a cell, by column: the first and the second line.
struct CellText {
    mean: [String; 2],
    difference: [String; 2],
    p: String,
    /// 1 if the method is better than the reference by interval and test, -1 if it is worse, else 0.
    verdict: i8,
    /// What is missing, in a sentence.
    warning: Option<String>,
}

/// Shown below the missing mean of a method without a result.
const WAITING: &str = "waiting";
/// Stands for a number that is still being computed.
const PENDING: &str = "\u{2026}";

impl CellText {
    /// `p` is corrected. `comparing`: missing differences are still being computed.
    fn of(method: &MethodSummary, metric: Metric, reference: Option<&str>, p: Option<f64>, comparing: bool) -> Self {
        let decimals = metric.decimals();
        let warning = warning(method);
        let none = || format::NONE.to_owned();
        let mean = match method.metrics.get(&metric) {
            Some(spread) => [fixed(spread.mean, decimals), format!("\u{b1}{}", fixed(spread.sd_patients, decimals))],
            None if method.failures.is_empty() => [none(), WAITING.into()],
            None => [none(), "failed".into()],
        };
        let (difference, p, verdict) = match paired(method, metric, reference) {
            Some(d) => (difference(d, decimals), p.map_or_else(none, p_value), verdict(d, p, metric)),
            None if Some(method.method.as_str()) == reference => {
                (["reference".into(), String::new()], String::new(), 0)
            }
            None if comparing => ([PENDING.into(), String::new()], PENDING.into(), 0),
            None => ([none(), String::new()], none(), 0),
        };
        Self { mean, difference, p, verdict, warning }
    }

    /// Whether the cell has a warning sign. A method that is only waiting has none.
    fn warns(&self) -> bool {
        self.warning.is_some() && self.mean[1] != WAITING
    }

    /// The texts by column.
    fn columns(&self) -> [[&str; 2]; 3] {
        let [mean, spread] = &self.mean;
        let [difference, interval] = &self.difference;
        [[mean, spread], [difference, interval], [&self.p, ""]]
    }
}

fn warning(method: &MethodSummary) -> Option<String> {
    let [done, all] = method.units;
    let mut parts = Vec::new();
    if !method.failures.is_empty() {
        parts.push(format!(
            "{} failed. {}",
            format::done_of(all - done, all, "run", "runs"),
            method.failures.join(" ")
        ));
    } else if done < all {
        parts.push(format!("{} not done yet.", format::done_of(all - done, all, "run is", "runs are")));
    }
    if method.collapsed > 0 {
        let runs = format::plural(method.collapsed, "run marks", "runs mark");
        parts.push(format!("{runs} no voxel in any test patient."));
    }
    if method.unconverged > 0 {
        let runs = format::plural(method.unconverged, "fine-tuning run has", "fine-tuning runs have");
        parts.push(format!("{runs} not converged: differences are mostly noise."));
    }
    if method.warned > 0 {
        let runs = format::plural(method.warned, "run", "runs");
        parts.push(format!("Pre-training of {runs}. {}", method.warnings.join(" ")));
    }
    (!parts.is_empty()).then(|| parts.join("\n"))
}

fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if value.is_finite() && !text.starts_with('\u{2212}') { format!("+{text}") } else { text }
}

fn difference(d: &Difference, decimals: usize) -> [String; 2] {
    let [low, high] = d.interval.map(|limit| signed(limit, decimals));
    [signed(d.mean, decimals), format!("{low} to {high}")]
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".into() } else { fixed(p, 3) }
}

/// Corrected p values from here on support no statement, whatever the interval.
const LEVEL: f64 = 0.05;

/// 1 if the corrected test supports a difference and the whole interval is on the better side of 0, -1 if it is on the worse
/// one, else 0.
fn verdict(d: &Difference, p: Option<f64>, metric: Metric) -> i8 {
    if p.is_none_or(|p| p >= LEVEL) {
        return 0;
    }
    let side = if d.interval[0] > 0.0 { 1 } else { -i8::from(d.interval[1] < 0.0) };
    if is_distance(metric) { -side } else { side }
}

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let (groups, metric, reference) = (state.study_groups(), state.study_metric(), state.study_reference());
    let methods = state.study_methods();
    let table = Table {
        heads: [column_of(metric).head()[0].to_owned(), compared(reference), "p (Holm)".to_owned()],
        texts: groups
            .iter()
            .map(|group| {
                let corrected = corrected(&state.study_results(group), metric, reference);
                let of = |name: &&str| {
                    let method = group.methods.iter().find(|method| method.method == **name)?;
                    let p = corrected.iter().find(|(other, _)| other == name).map(|(_, p)| *p);
                    Some(CellText::of(method, metric, reference, p, state.cache.study.comparing))
                };
                methods.iter().map(of).collect()
            })
            .collect(),
        groups,
        methods,
    };
    table.show(ui, state, sender);
}

/// The methods and their p values after Holm's correction over the shown methods.
fn corrected<'a>(shown: &[&'a MethodSummary], metric: Metric, reference: Option<&str>) -> Vec<(&'a str, f64)> {
    let compared =
        shown.iter().filter_map(|method| Some((method.method.as_str(), paired(method, metric, reference)?.p)));
    let (methods, p): (Vec<&str>, Vec<f64>) = compared.unzip();
    methods.into_iter().zip(holm(&p)).collect()
}

/// The difference of a method to the reference method.
fn paired<'a>(method: &'a MethodSummary, metric: Metric, reference: Option<&str>) -> Option<&'a Difference> {
    method.differences.iter().find(|d| Some(d.to.as_str()) == reference && d.metric == metric)
}

fn compared(reference: Option<&str>) -> String {
    reference.map_or_else(|| "Difference".into(), |name| format!("vs {name}, 95 % interval"))
}

struct Table<'a> {
    groups: Vec<&'a Group>,
    methods: Vec<&'a str>,
    heads: [String; 3],
    /// By group, then by method; none where the method has another budget.
    texts: Vec<Vec<Option<CellText>>>,
}

fn layout(ui: &Ui, text: &str, font: FontId, color: Color32) -> Arc<Galley> {
    ui.painter().layout_no_wrap(text.to_owned(), font, color)
}

fn put(ui: &Ui, at: Pos2, anchor: Align2, galley: Arc<Galley>) -> Rect {
    let color = galley.job.sections.first().map_or(Color32::PLACEHOLDER, |section| section.format.color);
    let rect = anchor.anchor_size(at, galley.size());
    ui.painter().galley(rect.min, galley, color);
    rect
}

impl Table<'_> {
    /// Widths of the method column, and of the three columns of each group.
    fn widths(&self, ui: &Ui) -> (f32, Vec<[f32; 3]>) {
        let wide = |text: &str, font: FontId| layout(ui, text, font, Color32::PLACEHOLDER).size().x.ceil();
        let methods = self.methods.iter().map(|name| wide(name, font::body())).fold(METHOD[0], f32::max);
        let group = |texts: &Vec<Option<CellText>>| {
            let mut widths = PARTS;
            for (at, width) in widths.iter_mut().enumerate() {
                *width = width.max(wide(&self.heads[at], font::caption()));
                for text in texts.iter().flatten() {
                    let [first, second] = text.columns()[at];
                    *width = width.max(wide(first, font::number())).max(wide(second, font::number_small()));
                }
            }
            widths
        };
        (methods.min(METHOD[1]), self.texts.iter().map(group).collect())
    }

    fn show(&self, ui: &mut Ui, state: &State, sender: &Sender) {
        let (width, columns) = self.widths(ui);
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            self.names(ui, width);
            scroll_across(ui, "study table", |ui| self.columns(ui, &columns, state, sender));
        });
    }

    fn height(&self) -> f32 {
        HEAD + ROW * self.methods.len() as f32
    }

    /// A hairline above each row.
    fn rules(&self, ui: &Ui, rect: Rect) {
        for row in 0..self.methods.len() {
            let line = ui.painter().round_to_pixel_center(rect.top() + HEAD + row as f32 * ROW);
            ui.painter().hline(rect.x_range(), line, Stroke::new(1.0, theme::tokens(ui).line));
        }
    }

    /// The column of methods, which does not scroll sideways.
    fn names(&self, ui: &mut Ui, width: f32) {
        let t = theme::tokens(ui);
        let (rect, _) = ui.allocate_exact_size(vec2(width + space::M, self.height()), Sense::hover());
        self.rules(ui, rect);
        for (row, name) in self.methods.iter().enumerate() {
            let middle = rect.top() + HEAD + (row as f32 + 0.5) * ROW;
            let name = crate::widget::text::one_line(ui, name, font::body(), t.text, width);
            put(ui, pos2(rect.left(), middle), Align2::LEFT_CENTER, name);
        }
    }

    /// The columns of every label budget.
    fn columns(&self, ui: &mut Ui, columns: &[[f32; 3]], state: &State, sender: &Sender) {
        let t = theme::tokens(ui);
        let group = |widths: &[f32; 3]| widths.iter().sum::<f32>() + 2.0 * PAD + 2.0 * space::M;
        let width = columns.iter().map(|widths| group(widths) + GAP).sum::<f32>();
        let (rect, _) = ui.allocate_exact_size(vec2(width.max(ui.available_width()), self.height()), Sense::hover());
        self.rules(ui, rect.with_max_x(rect.left() + width - GAP));
        let mut left = rect.left();
        for ((at, of), widths) in self.groups.iter().enumerate().zip(columns) {
            let area = Rect::from_min_size(pos2(left, rect.top()), vec2(group(widths), self.height()));
            self.head(ui, area, of, widths, t);
            for (row, name) in self.methods.iter().enumerate() {
                let Some(text) = &self.texts[at][row] else { continue };
                let min = pos2(area.left(), area.top() + HEAD + row as f32 * ROW + 1.0);
                let place = Rect::from_min_size(min, vec2(area.width(), ROW - 1.0));
                let cell = StudyCell { budget: of.budget.clone(), method: (*name).to_owned() };
                let chosen = state.session.study.cell.as_ref() == Some(&cell);
                if show_cell(ui, place, text, (&cell, chosen), widths, self.heads[0].as_str()).clicked() {
                    sender.send(Command::Study(StudyCommand::ChooseCell(cell)));
                }
            }
            left = area.right() + GAP;
        }
    }

    /// The label budget, and the columns of its cells.
    fn head(&self, ui: &Ui, area: Rect, group: &Group, widths: &[f32; 3], t: &Tokens) {
        let patients = format::plural(group.labelled, "labelled patient", "labelled patients");
        let name = budget_name(&group.budget);
        let budget = if name.ends_with('%') { format!("{name}: {patients}") } else { patients };
        let tested = format!("{budget}, {} tested", group.patients);
        let what = if group.patients > 0 { tested } else { format!("{name} labelled") };
        let title = crate::widget::text::one_line(ui, &what, font::strong(), t.text, area.width() - 2.0 * PAD);
        put(ui, pos2(area.left() + PAD, area.top() + LINE / 2.0), Align2::LEFT_CENTER, title);
        for (right, head) in rights(area, widths).into_iter().zip(&self.heads) {
            let head = layout(ui, head, font::caption(), t.text_dim);
            put(ui, pos2(right, area.top() + 1.5 * LINE), Align2::RIGHT_CENTER, head);
        }
    }
}

/// Right ends of the columns of a cell.
fn rights(area: Rect, widths: &[f32; 3]) -> [f32; 3] {
    let first = area.left() + PAD + widths[0];
    let second = first + space::M + widths[1];
    [first, second, second + space::M + widths[2]]
}

fn show_cell(
    ui: &mut Ui,
    rect: Rect,
    text: &CellText,
    (cell, chosen): (&StudyCell, bool),
    widths: &[f32; 3],
    metric: &str,
) -> Response {
    let t = theme::tokens(ui);
    let name = format!("{} with {} labelled", cell.method, budget_name(&cell.budget));
    let response = ui.interact(rect, ui.scope_id().with(("cell", &name)), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::GridCell, ui.is_enabled(), chosen, &name));
    let [mean, spread] = &text.mean;
    let spoken = format!("{metric} {mean} {spread}, {} {}, p {}", text.difference[0], text.difference[1], text.p);
    ui.accesskit_node_builder(response.id, |node| node.set_description(spoken.as_str()));
    let fill = match (chosen, response.hovered()) {
        (true, true) => t.selection_hover,
        (true, false) => t.selection,
        (false, true) => t.raised_hover,
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, radius::M, fill);
    if response.has_focus() {
        let ring = Stroke::new(size::FOCUS_RING, t.focus);
        ui.painter().rect_stroke(rect, radius::M, ring, StrokeKind::Inside);
    }
    let says = match text.verdict {
        1 => t.ok,
        -1 => t.error,
        _ => t.text,
    };
    let middle = rect.center().y;
    for (at, (right, [first, second])) in rights(rect, widths).into_iter().zip(text.columns()).enumerate() {
        let color = if at == 1 { says } else { t.text };
        let (above, below) = if second.is_empty() { (middle, None) } else { (middle - 7.0, Some(middle + 9.0)) };
        let first = layout(ui, first, font::number(), color);
        let drawn = put(ui, pos2(right, above), Align2::RIGHT_CENTER, first);
        if at == 0 && text.warns() {
            let at = pos2(drawn.left() - space::XS, above);
            ui.painter().text(at, Align2::RIGHT_CENTER, icon::WARN.char(), Icon::font(size::ICON_SMALL), t.warn);
        }
        if let Some(below) = below {
            let second = layout(ui, second, font::number_small(), t.text_dim);
            put(ui, pos2(right, below), Align2::RIGHT_CENTER, second);
        }
    }
    let explained = "Mean \u{b1} SD of the patients. Difference over the same patients, draws and seeds, with its 95 % \
                     interval. Wilcoxon p of the patients, after Holm's correction over the shown methods. Coloured where \
                     the interval excludes 0 and p is below 0.05.";
    let explained = text.warning.as_ref().map_or_else(|| explained.to_owned(), |why| format!("{why}\n{explained}"));
    response.on_hover_text(explained)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(mean: f64, interval: [f64; 2]) -> Difference {
        Difference { to: "sup".into(), metric: Metric::Dsc, mean, interval, p: 0.01, p_holm: 0.02 }
    }

    #[test]
    fn differences_have_a_sign_and_smaller_distances_are_better() {
        let better = d(0.034, [0.012, 0.0561]);
        assert_eq!(difference(&better, 3), ["+0.034", "+0.012 to +0.056"]);
        assert_eq!(difference(&d(-0.01, [-0.02, 0.0004]), 3), ["\u{2212}0.010", "\u{2212}0.020 to +0.000"]);
        let supported = Some(0.01);
        assert_eq!([Metric::Dsc, Metric::Hd95Mm].map(|metric| verdict(&better, supported, metric)), [1, -1]);
        assert_eq!(verdict(&d(-1.0, [-2.0, -0.5]), supported, Metric::Hd95Mm), 1);
        assert_eq!(verdict(&d(0.0, [-0.1, 0.1]), supported, Metric::Dsc), 0);
        assert_eq!([p_value(0.0004), p_value(0.0312)], ["<0.001", "0.031"]);
    }

    /// With few patients, an interval excluded 0 and was green beside a p of 0.4.
    #[test]
    fn a_difference_is_coloured_only_if_the_corrected_test_supports_it() {
        let (better, worse) = (d(0.034, [0.012, 0.0561]), d(-0.034, [-0.0561, -0.012]));
        for (p, verdicts) in [(Some(0.049), [1, -1]), (Some(0.05), [0, 0]), (Some(0.4), [0, 0]), (None, [0, 0])] {
            assert_eq!([&better, &worse].map(|d| verdict(d, p, Metric::Dsc)), verdicts, "{p:?}");
        }
        let mut own = method(&[], [2, 2]);
        own.differences.push(better);
        // The p of the cell is the corrected one, not the difference's own.
        let cell = |p| CellText::of(&own, Metric::Dsc, Some("sup"), Some(p), false).verdict;
        assert_eq!([cell(0.02), cell(0.4)], [1, 0]);
    }

    fn method(failures: &[&str], units: [usize; 2]) -> MethodSummary {
        MethodSummary {
            method: "amlp".into(),
            units,
            metrics: std::collections::BTreeMap::new(),
            differences: Vec::new(),
            failures: failures.iter().map(|&why| why.to_owned()).collect(),
            collapsed: 0,
            unconverged: 0,
            warned: 0,
            warnings: Vec::new(),
        }
    }

    /// The texts of a frame of a table that is wider than its page, with their places, after scrolling it sideways.
    fn texts(scrolled: f32) -> Vec<(String, Rect)> {
        let group = |budget: &str| Group {
            cohort: "lgg".into(),
            budget: budget.into(),
            labelled: 2,
            patients: 10,
            scans: 10,
            columns: vec![Metric::Dsc],
            left_out: Vec::new(),
            training_left_out: Vec::new(),
            methods: vec![method(&[], [2, 2])],
        };
        let groups = ["5%", "10%", "50%"].map(group);
        let text = || vec![Some(CellText::of(&groups[0].methods[0], Metric::Dsc, None, None, false))];
        let table = Table {
            heads: ["Dice".into(), compared(Some("sup")), "p (Holm)".into()],
            texts: (0..groups.len()).map(|_| text()).collect(),
            groups: groups.iter().collect(),
            methods: vec!["amlp"],
        };
        let ctx = egui::Context::default();
        theme::install(&ctx, theme::Theme::Dark);
        let (screen, state) = (Rect::from_min_size(Pos2::ZERO, vec2(400.0, 200.0)), State::default());
        let wheel = || egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: vec2(-scrolled, 0.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers: egui::Modifiers::NONE,
        };
        let mut found = Vec::new();
        // The first frame measures the table. Scrolling is smooth.
        for frame in 0..60 {
            let mut events = vec![egui::Event::PointerMoved(pos2(250.0, 60.0))];
            events.extend((frame == 2).then(wheel));
            let time = Some(f64::from(frame) / 60.0);
            let input = egui::RawInput { screen_rect: Some(screen), time, events, ..egui::RawInput::default() };
            let output = ctx.run_ui(input, |ui| table.show(ui, &state, &Sender::default()));
            let texts = output.shapes.iter().filter_map(|clipped| match &clipped.shape {
                egui::Shape::Text(text) => Some((text.galley.text().to_owned(), text.visual_bounding_rect())),
                _ => None,
            });
            found = texts.collect();
            output.drop_without_applying_deltas();
        }
        found
    }

    #[test]
    fn methods_stay_visible_while_label_budgets_scroll_sideways() {
        let left = |texts: &[(String, Rect)], text: &str| {
            let place = texts.iter().find(|(found, _)| found == text).map(|(_, place)| place.left());
            place.unwrap_or_else(|| panic!("{text} is not drawn: {texts:?}"))
        };
        let (before, after) = (texts(0.0), texts(200.0));
        assert_eq!(left(&before, "amlp"), left(&after, "amlp"));
        let moved = left(&before, "Dice") - left(&after, "Dice");
        assert!(moved > 100.0, "the columns moved by {moved}");
    }

    #[test]
    fn p_values_are_corrected_over_the_shown_methods() {
        let compared = |name: &str, p| MethodSummary {
            method: name.into(),
            differences: vec![Difference { p, ..d(0.1, [0.0, 0.2]) }],
            ..method(&[], [2, 2])
        };
        let all = [compared("mae", 0.01), compared("byol", 0.04), method(&[], [2, 2])];
        let corrected = |shown: &[&MethodSummary]| {
            let found = corrected(shown, Metric::Dsc, Some("sup"));
            found.into_iter().map(|(name, p)| (name.to_owned(), format!("{p:.2}"))).collect::<Vec<_>>()
        };
        let of = |name: &str, p: &str| (name.to_owned(), p.to_owned());
        assert_eq!(corrected(&[&all[0], &all[1], &all[2]]), [of("mae", "0.02"), of("byol", "0.04")]);
        assert_eq!(corrected(&[&all[0], &all[2]]), [of("mae", "0.01")], "a table without the other");
    }

    #[test]
    fn a_cell_without_results_says_why() {
        let waiting = CellText::of(&method(&[], [0, 2]), Metric::Dsc, Some("sup"), None, false);
        assert_eq!(
            (waiting.mean[1].as_str(), waiting.warning.as_deref()),
            ("waiting", Some("2 of 2 runs are not done yet."))
        );
        assert!(!waiting.warns(), "waiting is no failure");
        let noise = MethodSummary { unconverged: 1, ..method(&[], [2, 2]) };
        let warning = CellText::of(&noise, Metric::Dsc, Some("sup"), None, false).warning;
        assert_eq!(warning.as_deref(), Some("1 fine-tuning run has not converged: differences are mostly noise."));
        let collapsed = MethodSummary { warned: 2, warnings: vec!["It has collapsed.".into()], ..method(&[], [2, 2]) };
        let warning = CellText::of(&collapsed, Metric::Dsc, Some("sup"), None, false).warning;
        assert_eq!(warning.as_deref(), Some("Pre-training of 2 runs. It has collapsed."));
        let failed = CellText::of(&method(&["out of memory"], [0, 2]), Metric::Dsc, Some("amlp"), None, false);
        assert_eq!((failed.mean[1].as_str(), failed.difference[0].as_str()), ("failed", "reference"));
        assert!(failed.warns());
        assert_eq!(failed.warning.as_deref(), Some("2 of 2 runs failed. out of memory"));
        let done = CellText::of(&method(&[], [2, 2]), Metric::Dsc, None, None, false);
        assert_eq!((done.warning, done.p.as_str()), (None, format::NONE));
        let early = CellText::of(&method(&[], [2, 2]), Metric::Dsc, Some("sup"), None, true);
        assert_eq!((early.difference[0].as_str(), early.p.as_str()), (PENDING, PENDING), "its difference follows");
    }
}
