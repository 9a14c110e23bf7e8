//! The pinned slice at the cursor: large with its patches, beside it what the network gets, gives, and how it is judged;
//! below a few curves.

use egui::{Align2, Rect, Ui, pos2};
use engine::event::Stage;

use super::pane::{self, Face, Probed};
use super::{curves, sentence};
use crate::command::timeline::TimelineCommand;
use crate::command::{Command, Sender};
use crate::state::State;
use crate::state::timeline::{Labels, OpenRun};
use crate::theme::{self, font, space};
use crate::view::Camera;
use crate::view::patch_pane::PatchResponse;
use crate::widget::overlay_text;

/// Height of the curves: a share of the page, and its limits in points.
const CURVES: (f32, f32, f32) = (0.28, 132.0, 220.0);
/// Width of the column of small panes at most, as a share of the page.
const COLUMN: f32 = 0.26;
/// Space between panes.
pub(super) const GAP: f32 = 1.0;

/// Draws it.
pub(super) fn show(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    let area = ui.max_rect();
    let (share, least, most) = CURVES;
    let curves = (area.height() * share).clamp(least, most).min(area.height() / 2.0).round();
    let (top, bottom) = area.split_top_bottom_at_y(area.bottom() - curves);
    ui.painter().rect_filled(top, 0.0, theme::tokens(ui).image);
    let epoch = run.epoch().unwrap_or(1);
    match pane::probed(state, run, epoch) {
        Ok(probed) => panes(ui, top, state, &probed, sender),
        Err(why) => {
            let mut dark = super::child(ui, top, "no probe");
            theme::on_image(&mut dark);
            sentence(&mut dark, top, &why);
        }
    }
    curves::row(&mut super::child(ui, bottom, "curves"), state, run, sender);
}

fn panes(ui: &mut Ui, area: Rect, state: &State, probed: &Probed, sender: &Sender) {
    let stage = probed.epoch.record.stage;
    let width = ((area.height() - 2.0 * GAP) / 3.0).min(area.width() * COLUMN).round();
    let (large, column) = area.split_left_right_at_x(area.right() - width);
    let large = Rect::from_min_max(large.min, pos2(large.right() - GAP, large.bottom()));
    let camera = state.timeline.look.camera;
    let faces: &[Face] = match (stage, state.timeline.look.labels) {
        (Stage::Finetune, _) | (_, Labels::After) => &[Face::After],
        (_, Labels::Before) => &[Face::Before],
        (_, Labels::Both) => &[Face::Before, Face::After],
    };
    for (n, face) in faces.iter().enumerate() {
        let rect = part(large, n, faces.len(), true);
        let title = title(probed, *face);
        let response = pane::show(ui, rect, state, probed, *face, &title, camera);
        words(ui, rect, probed, &response);
        follow(&response, state, sender);
    }
    for (n, (face, name)) in pane::column(stage).into_iter().enumerate() {
        let rect = part(column, n, 3, false);
        let response = pane::show(ui, rect, state, probed, face, name, camera);
        follow(&response, state, sender);
    }
}

/// Part `n` of `count` of an area, side by side or one below the other.
pub(super) fn part(area: Rect, n: usize, count: usize, across: bool) -> Rect {
    let length = if across { area.width() } else { area.height() };
    let each = (length - GAP * (count - 1) as f32) / count as f32;
    let from = n as f32 * (each + GAP);
    let mut rect = area;
    if across {
        (rect.min.x, rect.max.x) = (area.left() + from, area.left() + from + each);
    } else {
        (rect.min.y, rect.max.y) = (area.top() + from, area.top() + from + each);
    }
    rect
}

/// "STS_001:12, epoch 5, after the update".
pub(super) fn title(probed: &Probed, face: Face) -> String {
    let record = &probed.epoch.record;
    let epoch = format!("{}  epoch {}", record.pin, record.epoch);
    match (face, record.cases.is_empty()) {
        (Face::Before, true) => format!("{epoch}, no update: as after"),
        (_, true) => epoch,
        (Face::Before, false) => format!("{epoch}, before the update"),
        (_, false) => format!("{epoch}, after the update"),
    }
}

/// What is known of the patch under the pointer, over the lower edge of the pane.
pub(super) fn words(ui: &Ui, rect: Rect, probed: &Probed, response: &PatchResponse) {
    let grid = probed.slice.slice.grid;
    let Some(patch) = response.hovered.filter(|_| grid > 0) else { return };
    let t = theme::tokens(ui);
    let at = rect.left_bottom() + egui::vec2(space::S, -space::XS);
    let words = pane::patch_words(&probed.epoch, grid, patch);
    let painter = ui.painter().with_clip_rect(rect);
    overlay_text(&painter, at, Align2::LEFT_BOTTOM, &words, font::caption(), t.overlay_text);
}

/// Zoom and pan of one probe are those of all.
pub(super) fn follow(response: &PatchResponse, state: &State, sender: &Sender) {
    let send = |command| sender.send(Command::Timeline(command));
    if let Some(camera) = response.camera {
        send(TimelineCommand::SetCamera(camera));
    }
    if response.response.double_clicked() {
        send(TimelineCommand::SetCamera(Camera::default()));
    }
    if let Some(patch) = response.clicked {
        let other = Some(patch).filter(|_| state.timeline.look.patch != Some(patch));
        send(TimelineCommand::ChoosePatch(other));
    }
}
