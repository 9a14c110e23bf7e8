//! Charts of the epoch log, with a shared cursor.

use egui::{Align, Layout, Rect, ScrollArea, Ui, pos2, vec2};
use engine::event::Stage;

use super::plot::{Chart, Content};
use super::{GAP, part};
use crate::command::{Command, Sender, TimelineCommand};
use crate::state::timeline::{OpenRun, Quantity};
use crate::state::train::TrainExport;
use crate::state::{Intent, PathPurpose, State};
use crate::theme::{self, Icon, icon, space};
use crate::widget::{PushButton, Segment, SegmentedControl, Slider};

/// Minimum height of a chart on the Curves page.
const MIN_HEIGHT: f32 = 178.0;
/// Minimum width of the page for two columns.
const TWO_FROM: f32 = 620.0;
/// Relative widths of the charts below a probe, by the length of their legends.
const SHARES: [f32; 3] = [0.35, 0.39, 0.26];
/// Height of the controls above them.
const HEAD: f32 = 40.0;

/// Export buttons, from right to left.
const EXPORTS: [(TrainExport, &str, Icon); 2] = [
    (TrainExport::CurvesPicture, "PNG\u{2026}", icon::CAMERA),
    (TrainExport::CurvesTable, "CSV\u{2026}", icon::DOWNLOAD),
];

/// A chart of several curves; with a fixed range it cannot be logarithmic.
fn lines(title: &str, unit: &'static str, quantities: &[Quantity], range: Option<[f64; 2]>) -> Chart {
    Chart { title: title.into(), unit, content: Content::Lines(quantities.to_vec()), range, may_be_log: false }
}

/// The loss terms of all methods in the runs.
fn losses(runs: &[&OpenRun]) -> Chart {
    let mut all: Vec<Quantity> = Vec::new();
    let is_listed = |quantity: &Quantity| runs.iter().any(|run| quantity.is_listed(&run.history));
    for quantity in runs.iter().flat_map(|run| Quantity::losses(&run.history)).chain([Quantity::ValidationLoss]) {
        if !all.contains(&quantity) && is_listed(&quantity) {
            all.push(quantity);
        }
    }
    // A method without parts has the loss itself.
    let unit = if all[0] == Quantity::Loss { "of the method" } else { "loss terms" };
    Chart { may_be_log: true, ..lines("Losses", unit, &all, None) }
}

fn cases() -> Chart {
    let range = Some([0.0, 100.0]);
    Chart { content: Content::Cases, ..lines("Label update cases", "% of patches", &[], range) }
}

fn sigma() -> Chart {
    lines("Masking ratio", "fraction of patches", &[Quantity::Sigma], Some([0.0, 1.0]))
}

fn rate() -> Chart {
    lines("Learning rate", "per step", &[Quantity::Rate], None)
}

/// A method's numbers have different scales, so each gets a chart.
fn diagnostics(run: &OpenRun) -> impl Iterator<Item = Chart> {
    let all = Quantity::diagnostics(&run.history).into_iter();
    all.map(|quantity| lines(quantity.name(), "", std::slice::from_ref(&quantity), None))
}

fn loss_and_dice() -> [Chart; 2] {
    let loss = Chart { may_be_log: true, ..lines("Loss", "Dice + cross-entropy", &[Quantity::Loss], None) };
    let unit = "batch (training), mean of patients (validation)";
    [loss, lines("Dice", unit, &[Quantity::TrainingDice, Quantity::Dice], Some([0.0, 1.0]))]
}

/// Charts below a probe.
fn short(runs: &[&OpenRun]) -> Vec<Chart> {
    let Some(run) = runs.first() else { return Vec::new() };
    match run.stage() {
        Stage::Pretrain if run.updates_labels() => vec![losses(runs), cases(), sigma()],
        Stage::Pretrain if run.has_labels() => {
            vec![losses(runs)].into_iter().chain(diagnostics(run)).chain([sigma()]).collect()
        }
        Stage::Pretrain => {
            // First the loss ratio, which shows for every method whether it learns.
            let mut method_charts: Vec<Chart> = diagnostics(run).collect();
            method_charts.sort_by_key(|chart| chart.title != "Loss ratio");
            std::iter::once(losses(runs)).chain(method_charts).chain([rate()]).take(SHARES.len()).collect()
        }
        Stage::Finetune => loss_and_dice().into_iter().chain([rate()]).collect(),
    }
}

/// All charts.
fn all(runs: &[&OpenRun]) -> Vec<Chart> {
    let Some(run) = runs.first() else { return Vec::new() };
    if run.stage() == Stage::Finetune {
        return short(runs);
    }
    let mut charts = vec![losses(runs)];
    if run.has_labels() {
        let recall = [Quantity::Agreement, Quantity::RecallForeground, Quantity::RecallMasked, Quantity::Air];
        let norms = [Quantity::PredGradient, Quantity::RrlGradient, Quantity::LclGradient];
        if run.updates_labels() {
            let updates = lines("Label updates", "patches", &[Quantity::Flips, Quantity::Differs], None);
            charts.extend([cases(), updates]);
        }
        charts.extend([
            lines("Agreement and recall", "fraction", &recall, Some([0.0, 1.0])),
            lines("Entropy", "nat", &[Quantity::H1, Quantity::H2, Quantity::H3], None),
            Chart { may_be_log: true, ..lines("Gradient norms", "sampled step", &norms, None) },
            sigma(),
        ]);
    }
    charts.extend(diagnostics(run));
    charts.push(rate());
    charts
}

/// The shown run, and those that are drawn over it.
fn drawn<'a>(state: &'a State, run: &'a OpenRun) -> Vec<&'a OpenRun> {
    let others = state.overlaid_runs().iter().filter(|other| other.stage() == run.stage());
    std::iter::once(run).chain(others).collect()
}

/// A few charts side by side.
pub(super) fn row(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    let area = ui.max_rect();
    ui.painter().rect_filled(area, 0.0, theme::tokens(ui).line);
    let runs = drawn(state, run);
    let charts = short(&runs);
    let top = Rect::from_min_max(pos2(area.left(), area.top() + GAP), area.max);
    let mut left = top.left();
    // Logs of earlier versions have fewer numbers.
    let all: f32 = SHARES.iter().take(charts.len()).sum();
    for (chart, share) in charts.iter().zip(SHARES) {
        let right = (left + share / all * top.width()).round().min(top.right());
        let place = Rect::from_min_max(pos2(left, top.top()), pos2(right, top.bottom()));
        show_one(ui, place, chart, state, &runs, Some(sender));
        left = right + GAP;
    }
}

/// The Curves page.
pub(super) fn show(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    let area = ui.max_rect();
    let (head, body) = area.split_top_bottom_at_y(area.top() + HEAD);
    ui.painter().rect_filled(head, 0.0, theme::tokens(ui).panel);
    controls(&mut super::child(ui, head.shrink2(vec2(space::M, 0.0)), "scale"), state, sender);
    charts(&mut super::child(ui, body, "charts"), state, run, Some(sender));
}

/// The charts in one or two columns; without a sender for an exported picture.
fn charts(ui: &mut Ui, state: &State, run: &OpenRun, sender: Option<&Sender>) {
    let body = ui.max_rect();
    ui.painter().rect_filled(body, 0.0, theme::tokens(ui).line);
    let runs = drawn(state, run);
    let charts = all(&runs);
    let columns = if body.width() >= TWO_FROM { 2 } else { 1 };
    let rows = charts.len().div_ceil(columns);
    let each = ((body.height() - GAP * rows as f32) / rows as f32).max(MIN_HEIGHT).floor();
    ScrollArea::vertical().id_salt("charts").auto_shrink(false).show(ui, |ui| {
        let height = (each + GAP) * rows as f32;
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), egui::Sense::hover());
        for (n, chart) in charts.iter().enumerate() {
            let line = Rect::from_min_size(
                pos2(rect.left(), rect.top() + GAP + (n / columns) as f32 * (each + GAP)),
                vec2(rect.width(), each),
            );
            // The last of an odd number of charts spans both columns.
            let alone = n + 1 == charts.len() && n % columns == 0;
            let place = if alone { line } else { part(line, n % columns, columns, true) };
            show_one(ui, place, chart, state, &runs, sender);
        }
    });
}

/// Scale and smoothing of the losses.
fn controls(ui: &mut Ui, state: &State, sender: &Sender) {
    let send = |command| sender.send(Command::Timeline(command));
    let options = &state.session.timeline.options;
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = space::L;
        let mut log = options.log;
        let scales = [Segment::text(false, "Linear"), Segment::text(true, "Log")];
        if SegmentedControl::new("Scale of losses", &scales).show(ui, &mut log).changed() {
            send(TimelineCommand::SetLog(log));
        }
        let mut smoothing = options.smoothing;
        let width = 280.0_f32.min(ui.available_width());
        ui.allocate_ui(vec2(width, theme::size::FORM_ROW), |ui| {
            if Slider::new(&mut smoothing, "Smoothing", 0.0..=0.95).step(0.05).show(ui).changed() {
                send(TimelineCommand::SetSmoothing(smoothing));
            }
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = space::S;
            for (kind, label, drawing) in EXPORTS {
                let button = PushButton::new(label).icon(drawing);
                if ui.add(button).on_hover_text(kind.content()).accessible_name(kind.name()).clicked() {
                    sender.send(Intent::Ask(PathPurpose::TrainExport(kind)));
                }
            }
        });
    });
}

/// All charts of the shown run, for an exported picture.
pub(in crate::view) fn export(ui: &mut Ui, state: &State) {
    if let Some(run) = state.watched_run() {
        charts(ui, state, run, None);
    }
}

fn show_one(ui: &mut Ui, rect: Rect, chart: &Chart, state: &State, runs: &[&OpenRun], sender: Option<&Sender>) {
    let Some(stage) = runs.first().map(|run| run.stage()) else { return };
    let log = state.session.timeline.options.log;
    let Some(sender) = sender else {
        // The picture says which epoch the cursor and the values stand for.
        chart.show(ui, rect, runs, (None, true), log);
        return;
    };
    let mark = state.compared_run().map(|(_, epoch)| epoch);
    if let Some(epoch) = chart.show(ui, rect, runs, (mark, false), log) {
        sender.send(Command::Timeline(TimelineCommand::SetEpoch { stage, epoch }));
    }
}
