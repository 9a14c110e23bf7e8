//! The column: input, reconstruction and relative loss.

use egui::{Rect, Ui, pos2, vec2};
use shaders::PatchShow;

use super::super::patch_pane::PatchPane;
use super::FrameContext;
use crate::command::{Command, MaskingCommand, Sender};
use crate::state::masking::ReconstructedSlice;
use crate::state::session::RunUse;
use crate::state::{Intent, PathPurpose};
use crate::theme::{self, icon, space};
use crate::widget::{ColourBar, PushButton, progress_bar};
use crate::worker;

const NO_RUN: &str = "Choose a pre-trained run to see its reconstruction.";
const NO_LOSS: &str = "Choose a pre-trained run to see relative losses.";
const WORKING: &str = "Reconstructing the masked patches\u{2026}";
/// Below this width, the button has no icon.
const NARROW: f32 = 150.0;
/// Height of the colour bar with its numbers, and its distance from the edge.
const BAR: (f32, f32) = (26.0, 6.0);

pub(super) fn show(ui: &mut Ui, shared: &FrameContext<'_>, [top, middle, bottom]: [Rect; 3], sender: &Sender) {
    // An older result is dimmed; one with other patches cannot be drawn.
    let filled = shared.state.cache.masking.filled.as_deref();
    let filled = filled.filter(|filled| filled.filling.wanted.same_patches(&shared.found.wanted));
    input(ui, shared, top, filled, sender);
    output(ui, shared, middle, filled, sender);
    losses(ui, shared, bottom, filled, sender);
}

fn input(ui: &mut Ui, shared: &FrameContext<'_>, rect: Rect, filled: Option<&ReconstructedSlice>, sender: &Sender) {
    let pictures = &shared.found.pictures;
    // A run may fill masked patches with values other than 0.
    let current = filled.filter(|filled| filled.filling.wanted == shared.found.wanted);
    let exact = current.and_then(|filled| filled.input.as_ref());
    let pane = PatchPane {
        picture: exact.or(pictures.slice.as_ref()),
        cells: pictures.cells.as_ref(),
        show: (PatchShow::MASKED | PatchShow::GRID).with(PatchShow::BLANK, exact.is_none()),
        title: "Input",
        ..shared.pane()
    };
    let pane = PatchPane { lesion: None, ..pane };
    shared.answer(&pane.show(ui, rect), false, sender);
}

fn output(ui: &mut Ui, shared: &FrameContext<'_>, rect: Rect, filled: Option<&ReconstructedSlice>, sender: &Sender) {
    let why = missing(shared, NO_RUN);
    let other = mismatch(shared).filter(|_| filled.is_some());
    let pane = PatchPane {
        badge: other.as_deref(),
        picture: filled.and_then(|filled| filled.output.as_ref()),
        cells: shared.found.pictures.cells.as_ref(),
        show: PatchShow::NONE,
        title: "Reconstruction",
        missing: filled.map_or(why.as_str(), |_| super::NO_ADAPTER),
        ..shared.pane()
    };
    shared.answer(&pane.show(ui, rect), false, sender);
    beneath(ui, shared, rect, filled, "Choose pre-trained run\u{2026}", sender);
}

fn losses(ui: &mut Ui, shared: &FrameContext<'_>, rect: Rect, filled: Option<&ReconstructedSlice>, sender: &Sender) {
    let why = missing(shared, NO_LOSS);
    let other = mismatch(shared).filter(|_| filled.is_some());
    let pane = PatchPane {
        badge: other.as_deref(),
        picture: filled.and(shared.found.pictures.slice.as_ref()),
        cells: filled.and_then(|filled| filled.cells.as_ref()),
        show: PatchShow::HEAT,
        title: "Relative loss",
        missing: filled.map_or(why.as_str(), |_| super::NO_ADAPTER),
        ..shared.pane()
    };
    shared.answer(&pane.show(ui, rect), false, sender);
    beneath(ui, shared, rect, filled, "Choose run for losses\u{2026}", sender);
    if let Some(filled) = filled {
        let bar = Rect::from_min_max(
            pos2(rect.left() + space::S, rect.bottom() - BAR.0 - BAR.1),
            pos2(rect.left() + space::S + (rect.width() * 0.38).min(120.0), rect.bottom() - BAR.1),
        );
        let ends = ["0".to_owned(), format!("{:.1}", filled.top)];
        ColourBar::new("Relative loss", &ends).mark(1.0 / filled.top, "mean").show(ui, bar);
    }
}

/// Reason for a missing output.
fn missing(shared: &FrameContext<'_>, without_run: &str) -> String {
    match (&shared.state.cache.masking.filling.failed, shared.state.run_for(RunUse::Reconstruct)) {
        (Some((_, why)), Some(_)) => crop_problem(shared).unwrap_or_else(|| why.clone()),
        (_, Some(_)) => WORKING.to_owned(),
        (_, None) => without_run.to_owned(),
    }
}

/// Badge of what the network makes of a slice unlike those it was trained on. The right panel has its settings.
fn mismatch(shared: &FrameContext<'_>) -> Option<String> {
    let network = shared.state.cache.masking.network.as_ref()?;
    Some(shared.state.session.masking.controls.mismatch(&network.config)?.badge())
}

/// Why the network cannot process this crop, naming the control.
fn crop_problem(shared: &FrameContext<'_>) -> Option<String> {
    let config = &shared.state.cache.masking.network.as_ref()?.config;
    let (crop, multiple) = (shared.found.slice.grid.size(), config.network.multiple());
    let usual = config.preprocess.size;
    (!crop.is_multiple_of(multiple)).then(|| {
        format!("Crop is {crop} px. This network needs a multiple of {multiple}, and was trained on {usual} px.")
    })
}

/// Button to choose a run, or the progress over an older result.
fn beneath(
    ui: &mut Ui,
    shared: &FrameContext<'_>,
    rect: Rect,
    filled: Option<&ReconstructedSlice>,
    label: &str,
    sender: &Sender,
) {
    let running = shared.state.jobs.iter().find(|job| job.slot == worker::masking::RECONSTRUCT);
    if let Some(filled) = filled {
        if filled.filling.wanted != shared.found.wanted {
            ui.painter().rect_filled(rect, 0.0, theme::tokens(ui).backdrop);
            if let Some(job) = running {
                let place = Rect::from_min_size(rect.left_bottom() - vec2(0.0, 3.0), vec2(rect.width(), 3.0));
                let mut child = ui.new_child(egui::UiBuilder::new().max_rect(place));
                progress_bar(&mut child, &job.title, job.progress, rect.width());
            }
        }
        return;
    }
    if running.is_some() {
        return;
    }
    let width = 190.0_f32.min(rect.width() - 2.0 * space::M);
    // Below the message.
    let below = pos2(rect.center().x, (rect.center().y + 58.0).min(rect.bottom() - 20.0));
    let place = Rect::from_center_size(below, vec2(width, 28.0));
    let mut child = ui.new_child(egui::UiBuilder::new().max_rect(place));
    theme::on_image(&mut child);
    if crop_problem(shared).is_some() {
        if child.add(PushButton::new("Use the run's settings").fill_width()).clicked() {
            sender.send(Command::Masking(MaskingCommand::TakeSettings));
        }
        return;
    }
    let button = PushButton::new("Choose run\u{2026}").fill_width();
    let button = if width < NARROW { button } else { button.icon(icon::BRAIN) };
    if child.add(button).accessible_name(label).clicked() {
        sender.send(Intent::Ask(PathPurpose::MaskingRun));
    }
}
