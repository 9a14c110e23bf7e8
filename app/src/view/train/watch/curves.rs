//! Charts of the epoch log, with a shared cursor.

use egui::{Align, Layout, Rect, ScrollArea, Ui, pos2, vec2};
use engine::event::Stage;

use super::plot::{Chart, Content};
use super::probe::{GAP, part};
use crate::command::{Command, Sender, TimelineCommand};
use crate::state::timeline::{OpenRun, Quantity};
use crate::state::train::TrainExport;
use crate::state::{Intent, PathPurpose, State};
use crate::theme::{self, Icon, icon, space};
use crate::widget::{PushButton, Segment, Segmented, Slider};

/// Minimum height of a chart on the Curves page.
const LEAST: f32 = 178.0;
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

const LOSSES: Chart<'static> = Chart {
    title: "Losses",
    unit: "loss terms",
    content: Content::Lines(&[Quantity::Pred, Quantity::Rrl, Quantity::Lcl, Quantity::ValidationLoss]),
    range: None,
    may_be_log: true,
};
const CASES: Chart<'static> = Chart {
    title: "Label update cases",
    unit: "% of patches",
    content: Content::Cases,
    range: Some([0.0, 100.0]),
    may_be_log: false,
};
const SIGMA: Chart<'static> = Chart {
    title: "Masking ratio",
    unit: "fraction of patches",
    content: Content::Lines(&[Quantity::Sigma]),
    range: Some([0.0, 1.0]),
    may_be_log: false,
};
const FLIPS: Chart<'static> = Chart {
    title: "Label updates",
    unit: "patches",
    content: Content::Lines(&[Quantity::Flips, Quantity::Differs]),
    range: None,
    may_be_log: false,
};
const RECALL: Chart<'static> = Chart {
    title: "Agreement and recall",
    unit: "fraction",
    content: Content::Lines(&[Quantity::Agreement, Quantity::RecallForeground, Quantity::RecallMasked, Quantity::Air]),
    range: Some([0.0, 1.0]),
    may_be_log: false,
};
const ENTROPY: Chart<'static> = Chart {
    title: "Entropy",
    unit: "nat",
    content: Content::Lines(&[Quantity::H1, Quantity::H2, Quantity::H3]),
    range: None,
    may_be_log: false,
};
const GRADIENTS: Chart<'static> = Chart {
    title: "Gradient norms",
    unit: "sampled step",
    content: Content::Lines(&[Quantity::PredGradient, Quantity::RrlGradient, Quantity::LclGradient]),
    range: None,
    may_be_log: true,
};
const RATE: Chart<'static> = Chart {
    title: "Learning rate",
    unit: "per step",
    content: Content::Lines(&[Quantity::Rate]),
    range: None,
    may_be_log: false,
};
const LOSS: Chart<'static> = Chart {
    title: "Loss",
    unit: "Dice + cross-entropy",
    content: Content::Lines(&[Quantity::Loss]),
    range: None,
    may_be_log: true,
};
const DICE: Chart<'static> = Chart {
    title: "Dice",
    unit: "batch (training), mean of patients (validation)",
    content: Content::Lines(&[Quantity::TrainingDice, Quantity::Dice]),
    range: Some([0.0, 1.0]),
    may_be_log: false,
};

/// Charts below a probe.
fn short(stage: Stage) -> [Chart<'static>; 3] {
    match stage {
        Stage::Pretrain => [LOSSES, CASES, SIGMA],
        Stage::Finetune => [LOSS, DICE, RATE],
    }
}

/// All charts.
fn all(stage: Stage) -> Vec<Chart<'static>> {
    match stage {
        Stage::Pretrain => vec![LOSSES, CASES, FLIPS, RECALL, ENTROPY, GRADIENTS, SIGMA, RATE],
        Stage::Finetune => vec![LOSS, DICE, RATE],
    }
}

/// A few charts side by side.
pub(super) fn row(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    let area = ui.max_rect();
    ui.painter().rect_filled(area, 0.0, theme::tokens(ui).line);
    let charts = short(run.stage());
    let top = Rect::from_min_max(pos2(area.left(), area.top() + GAP), area.max);
    let mut left = top.left();
    for (chart, share) in charts.iter().zip(SHARES) {
        let right = (left + share * top.width()).round().min(top.right());
        let place = Rect::from_min_max(pos2(left, top.top()), pos2(right, top.bottom()));
        show_one(ui, place, chart, state, run, sender);
        left = right + GAP;
    }
}

/// The Curves page.
pub(super) fn show(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    let area = ui.max_rect();
    let (head, body) = area.split_top_bottom_at_y(area.top() + HEAD);
    ui.painter().rect_filled(head, 0.0, theme::tokens(ui).panel);
    controls(&mut super::child(ui, head.shrink2(vec2(space::M, 0.0)), "scale"), state, sender);
    charts(&mut super::child(ui, body, "charts"), state, run, sender);
}

/// The charts in one or two columns.
fn charts(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    let body = ui.max_rect();
    ui.painter().rect_filled(body, 0.0, theme::tokens(ui).line);
    let charts = all(run.stage());
    let columns = if body.width() >= TWO_FROM { 2 } else { 1 };
    let rows = charts.len().div_ceil(columns);
    let each = ((body.height() - GAP * rows as f32) / rows as f32).max(LEAST).floor();
    ScrollArea::vertical().id_salt("charts").auto_shrink(false).show(ui, |ui| {
        let height = (each + GAP) * rows as f32;
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), egui::Sense::hover());
        for (n, chart) in charts.iter().enumerate() {
            let line = Rect::from_min_size(
                pos2(rect.left(), rect.top() + GAP + (n / columns) as f32 * (each + GAP)),
                vec2(rect.width(), each),
            );
            // The last of an odd number spans both columns.
            let alone = n + 1 == charts.len() && n % columns == 0;
            let place = if alone { line } else { part(line, n % columns, columns, true) };
            show_one(ui, place, chart, state, run, sender);
        }
    });
}

/// Scale and smoothing of the losses.
fn controls(ui: &mut Ui, state: &State, sender: &Sender) {
    let send = |command| sender.send(Command::Timeline(command));
    let look = &state.session.timeline.look;
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = space::L;
        let mut log = look.log;
        let scales = [Segment::text(false, "Linear"), Segment::text(true, "Log")];
        if Segmented::new("Scale of losses", &scales).show(ui, &mut log).changed() {
            send(TimelineCommand::SetLog(log));
        }
        let mut smoothing = look.smoothing;
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
        charts(ui, state, run, &Sender::default());
    }
}

fn show_one(ui: &mut Ui, rect: Rect, chart: &Chart<'_>, state: &State, run: &OpenRun, sender: &Sender) {
    let mark = state.compared_run().map(|(_, epoch)| epoch);
    let others = state.overlaid_runs().iter().filter(|other| other.stage() == run.stage());
    let runs: Vec<&OpenRun> = std::iter::once(run).chain(others).collect();
    if let Some(epoch) = chart.show(ui, rect, &runs, mark, state.session.timeline.look.log) {
        sender.send(Command::Timeline(TimelineCommand::SetEpoch { stage: run.stage(), epoch }));
    }
}
