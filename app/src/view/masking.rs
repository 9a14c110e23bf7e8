//! The centre in Masking mode: the slice with its patches, and a column with input, reconstruction and relative loss.
//!
//! Together the panes show the paper's Fig. 2: lesion patches green, background purple, and the masked input.

mod caption;
mod column;
mod main_pane;

use egui::{Rect, Ui, UiBuilder, pos2, vec2};
use glam::DVec2;

use super::patch_pane::{PatchPane, PatchResponse};
use super::tool;
use crate::command::{Command, FileCommand, MaskingCommand, Sender, ViewCommand};
use crate::scene::crop;
use crate::state::masking::ClusteredSlice;
use crate::state::{Document, JobStatus, PaneId, State};
use crate::theme::{self, tokens};
use crate::widget::{ErrorState, LoadingState};
use crate::worker;

/// Width of the lines between panes, in points.
const GAP: f32 = 1.0;
/// Height of the text below the large pane, and its maximum as a fraction of the centre's height.
const FOOT: (f32, f32) = (60.0, 0.25);
/// Minimum and maximum width of the column, in points.
const COLUMN: [f32; 2] = [150.0, 560.0];
/// Minimum width of a centre with a column, in points.
const WITH_COLUMN: f32 = 360.0;
/// Length of a drag, in points, that changes the contrast by its whole width.
const POINTS_PER_WIDTH: f64 = 400.0;

const NO_ADAPTER: &str = "Not drawn: no graphics adapter.";

/// Draws the panes of Masking mode.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let area = ui.max_rect();
    let Some(document) = &state.document else { return };
    ui.painter().rect_filled(area, 0.0, tokens::DARK.line);
    if let Some(why) = state.cache.masking.failure() {
        return failed(ui, document, why, sender);
    }
    let Some(found) = &state.cache.masking.found else { return waiting(ui, area, state, sender) };
    let shared = FrameContext { state, document, found };
    let alone = state.session.view.maximised.is_some() || area.width() < WITH_COLUMN;
    let (large, column) = arrange(area, alone, ui.pixels_per_point());
    let foot = FOOT.0.min(large.height() * FOOT.1).round();
    let (large, foot) = large.split_top_bottom_at_y(large.bottom() - foot);
    let hovered = main_pane::show(ui, &shared, large, sender);
    ui.painter().rect_filled(foot, 0.0, theme::tokens(ui).image);
    caption::show(ui, &shared, foot, hovered);
    if let Some(column) = column {
        column::show(ui, &shared, column, sender);
    }
    if let Some(job) = slow_job(state) {
        dimmed(ui, area, job, sender);
    }
}

/// What all panes of a frame share.
struct FrameContext<'a> {
    state: &'a State,
    document: &'a Document,
    found: &'a ClusteredSlice,
}

impl<'a> FrameContext<'a> {
    /// A pane of the crop, without an image.
    fn pane(&self) -> PatchPane<'a> {
        let (slice, masking) = (&*self.found.slice, &self.state.session.masking);
        PatchPane {
            lesion: self.found.pictures.lesion.as_ref().filter(|_| masking.shown.lesion),
            size: slice.grid.size(),
            grid: slice.grid.grid(),
            world_from_crop: crop::at_slice(crop::affine(&slice.world_from_crop), slice.prepared_slice),
            oriented: slice.oriented,
            labels: &self.found.clusters.labels,
            chosen: masking.pinned,
            window: self.state.masking_window(),
            smooth: self.state.session.settings.interpolate,
            missing: NO_ADAPTER,
            camera: masking.camera(false),
            convention: self.state.session.settings.convention,
            ..PatchPane::default()
        }
    }

    /// Sends commands for the user's input on a pane.
    fn answer(&self, found: &PatchResponse, native: bool, sender: &Sender) {
        if found.notches != 0 {
            sender.send(ViewCommand::StepSlice { pane: PaneId::Axial, by: found.notches });
        }
        if let Some(patch) = found.clicked {
            sender.send(Command::Masking(MaskingCommand::Pin(Some(patch))));
        }
        if let Some(camera) = found.camera {
            sender.send(Command::Masking(MaskingCommand::SetCamera(native, camera)));
        }
        if let Some(delta) = found.window {
            sender.send(self.contrast(delta, native));
        }
    }

    fn contrast(&self, delta: DVec2, native: bool) -> Command {
        if !native {
            return Command::Masking(MaskingCommand::ChangeContrast(delta / POINTS_PER_WIDTH));
        }
        let layer = self.document.image();
        let (width, level) = tool::window_change(delta, self.state.window_of(layer), layer.range, &layer.info.modality);
        Command::View(ViewCommand::ChangeWindow { width, level })
    }
}

/// The large pane and, unless `alone`, the three panes of the column, on whole pixels.
fn arrange(area: Rect, alone: bool, pixels_per_point: f32) -> (Rect, Option<[Rect; 3]>) {
    let whole = |v: f32| (v * pixels_per_point).round() / pixels_per_point;
    if alone {
        return (area, None);
    }
    let third = (area.height() - 2.0 * GAP) / 3.0;
    // Square panes, unless the large one would be narrower than the column.
    let width = third.min(area.width() * 0.4).clamp(COLUMN[0], COLUMN[1]);
    let left = whole(area.right() - width);
    let large = Rect::from_min_max(area.min, pos2(left - GAP, area.bottom()));
    let tops = [0.0, 1.0, 2.0, 3.0].map(|n| whole(area.top() + n * (third + GAP)));
    let pane = |n: usize| {
        let bottom = if n == 2 { area.bottom() } else { tops[n + 1] - GAP };
        Rect::from_min_max(pos2(left, tops[n]), pos2(area.right(), bottom))
    };
    (large, Some([pane(0), pane(1), pane(2)]))
}

/// The running job whose progress is shown over the old result; k-means is too fast for that.
fn slow_job(state: &State) -> Option<&JobStatus> {
    let slow = |job: &&JobStatus| match job.slot {
        worker::masking::PREPARE => true,
        worker::masking::CLUSTER => !state.session.masking.controls.is_quick(),
        _ => false,
    };
    state.jobs.iter().find(slow)
}

/// Progress over the dimmed old result.
fn dimmed(ui: &mut Ui, area: Rect, job: &JobStatus, sender: &Sender) {
    ui.painter().rect_filled(area, 0.0, theme::tokens(ui).backdrop);
    let mut child = ui.new_child(UiBuilder::new().max_rect(area));
    theme::on_image(&mut child);
    if LoadingState::new(&progress_text(job), job.progress).cancel().show(&mut child) {
        sender.send(FileCommand::CancelJob(job.id));
    }
}

fn progress_text(job: &JobStatus) -> String {
    if job.detail.is_empty() { job.title.clone() } else { format!("{}: {}", job.title, job.detail) }
}

/// Shown before the first result.
fn waiting(ui: &mut Ui, area: Rect, state: &State, sender: &Sender) {
    ui.painter().rect_filled(area, 0.0, theme::tokens(ui).window);
    let job = state.jobs.iter().find(|job| matches!(job.slot, worker::masking::PREPARE | worker::masking::CLUSTER));
    let text = job.map_or_else(|| "Preprocessing the scan".to_owned(), progress_text);
    let state = LoadingState::new(&text, job.and_then(|job| job.progress));
    let mut child = ui.new_child(UiBuilder::new().max_rect(area));
    match job {
        Some(job) => {
            if state.cancel().show(&mut child) {
                sender.send(FileCommand::CancelJob(job.id));
            }
        }
        None => {
            state.show(&mut child);
        }
    }
}

/// Shown when the image cannot be preprocessed or clustered.
fn failed(ui: &mut Ui, document: &Document, why: &str, sender: &Sender) {
    let area = ui.max_rect();
    ui.painter().rect_filled(area, 0.0, theme::tokens(ui).window);
    let title = format!("Cannot mask {}", document.image().name);
    let mut child = ui.new_child(UiBuilder::new().max_rect(area.shrink2(vec2(0.0, GAP))));
    if ErrorState::new(&title, why).retry("Try again").show(&mut child) {
        sender.send(Command::Masking(MaskingCommand::Retry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panes_fill_the_centre_on_whole_pixels() {
        for (width, height, scale) in [(780.0, 640.0, 1.0), (1033.0, 711.0, 1.5), (500.0, 900.0, 2.0)] {
            let area = Rect::from_min_size(pos2(220.0, 40.0), vec2(width, height));
            let (large, column) = arrange(area, false, scale);
            let column = column.unwrap_or([Rect::NOTHING; 3]);
            assert_eq!((large.left_top(), large.bottom()), (area.left_top(), area.bottom()));
            assert_eq!(column[2].right_bottom(), area.right_bottom());
            assert!(column.iter().all(|pane| (pane.left() * scale).fract() == 0.0 && pane.left() > large.right()));
            assert!(column[0].bottom() < column[1].top() && column[1].bottom() < column[2].top());
            assert!(large.width() > column[0].width(), "{width} x {height}");
        }
        let area = Rect::from_min_size(pos2(0.0, 0.0), vec2(100.0, 100.0));
        assert_eq!(arrange(area, true, 1.0), (area, None));
    }
}
