//! The paper's Fig. 4: a slice at successive updates, with its labels before and after each.

use egui::{Align2, Rect, Ui, pos2, vec2};
use engine::event::Stage;

use super::pane::{self, PaneContent, SliceAtEpoch};
use super::probe::{description, follow, with_note};
use super::sentence;
use super::{GAP, part};
use crate::command::{Command, Sender, TimelineCommand};
use crate::state::State;
use crate::state::timeline::OpenRun;
use crate::theme::{self, font, space};
use crate::widget::format;

/// Width per patch in points that fits its digit with margins.
const PATCH: f32 = 15.0;
/// Minimum width of a column.
const MIN_WIDTH: f32 = 200.0;
/// Maximum number of columns.
const MAX_COLUMNS: usize = 8;
/// Height of the epoch headings.
const HEAD: f32 = 26.0;
/// Width of the row names.
const SIDE: f32 = 22.0;

pub(super) fn show(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    let area = ui.max_rect();
    let finetune = run.stage() == Stage::Finetune;
    let grid = if run.has_labels() { run.config.method.grid } else { 0 };
    let width = (grid as f32 * PATCH).max(MIN_WIDTH);
    let columns = (((area.width() - SIDE) / width).floor() as usize).clamp(1, MAX_COLUMNS);
    if columns != state.session.timeline.options.columns {
        sender.send(Command::Timeline(TimelineCommand::SetColumns(columns)));
    }
    let epochs = state.sheet_epochs(run, columns);
    if epochs.is_empty() {
        let message = match &state.session.timeline.pin {
            None => "No pinned slices in this run.".to_owned(),
            Some(pin) if run.is_growing() => format!("Nothing recorded of {} yet.", state.pin_name(pin)),
            Some(pin) => {
                format!("{} did not record {}. Choose another pinned slice.", run.name, state.pin_name(pin))
            }
        };
        return sentence(ui, area, &message);
    }
    let rows: &[(PaneContent, &str)] = match run.stage() {
        Stage::Finetune => &[(PaneContent::After, "Probability"), (PaneContent::Loss, "Outline at 0.5")],
        Stage::Pretrain if run.has_labels() => {
            &[(PaneContent::Before, "Before update"), (PaneContent::After, "After update")]
        }
        Stage::Pretrain => &[(PaneContent::After, "Slice"), (PaneContent::Output, "Output")],
    };
    let (area, line) = with_note(area, !finetune);
    ui.painter().rect_filled(line, 0.0, theme::tokens(ui).image);
    let mut hovered = None;
    ui.painter().rect_filled(area, 0.0, theme::tokens(ui).panel);
    let (head, body) = area.split_top_bottom_at_y(area.top() + HEAD);
    let (_, head) = head.split_left_right_at_x(head.left() + SIDE);
    let (side, body) = body.split_left_right_at_x(body.left() + SIDE);
    ui.painter().rect_filled(body, 0.0, theme::tokens::DARK.line);
    names(ui, side, rows);
    for (n, &epoch) in epochs.iter().enumerate() {
        heading(ui, part(head, n, epochs.len(), true), state, run, epoch, sender);
        let column = part(body, n, epochs.len(), true);
        for (m, &(content, name)) in rows.iter().enumerate() {
            let found = cell(ui, part(column, m, rows.len(), false), state, run, (epoch, content, name), sender);
            hovered = hovered.or(found);
        }
    }
    if let Some((probed, patch)) = hovered {
        description(ui, line, state, &probed, Some(patch));
    }
}

/// Heading of a column; a click moves the cursor to its epoch.
fn heading(ui: &mut Ui, rect: Rect, state: &State, run: &OpenRun, epoch: usize, sender: &Sender) {
    let t = theme::tokens(ui);
    let flips = state.session.timeline.pin.as_ref().and_then(|_| state.record_key(run, epoch));
    let flips = flips.and_then(|key| state.cache.timeline.probes.record(&key)?.as_ref().ok().cloned());
    let update = flips.as_ref().and_then(|seen| seen.update.as_ref()).filter(|update| update.epoch == epoch);
    let count = update.map(|update| update.flipped.iter().filter(|flipped| **flipped).count());
    let name = format!("Epoch {epoch}");
    let response = ui.interact(rect, ui.scope_id().with(("epoch", epoch)), egui::Sense::click());
    let at_cursor = run.epoch() == Some(epoch);
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, at_cursor, &name));
    if response.hovered() || at_cursor {
        ui.painter().rect_filled(rect, 0.0, if at_cursor { t.selection } else { t.raised_hover });
    }
    if response.has_focus() {
        let ring = egui::Stroke::new(theme::size::FOCUS_RING, t.focus);
        ui.painter().rect_stroke(rect, 0.0, ring, egui::StrokeKind::Inside);
    }
    let left = rect.left_center() + vec2(space::S, 0.0);
    let color = if at_cursor { t.accent_text } else { t.text };
    ui.painter().text(left, Align2::LEFT_CENTER, &name, font::strong(), color);
    if let Some(count) = count {
        let flips = format::plural(count, "flip", "flips");
        let right = rect.right_center() - vec2(space::S, 0.0);
        ui.painter().text(right, Align2::RIGHT_CENTER, flips, font::number_small(), t.text_dim);
    }
    if response.clicked() {
        sender.send(Command::Timeline(TimelineCommand::SetEpoch { stage: run.stage(), epoch }));
    }
}

/// Draws a slice at an epoch and returns the patch under the pointer.
fn cell(
    ui: &mut Ui,
    rect: Rect,
    state: &State,
    run: &OpenRun,
    (epoch, content, name): (usize, PaneContent, &str),
    sender: &Sender,
) -> Option<(SliceAtEpoch, usize)> {
    ui.painter().rect_filled(rect, 0.0, theme::tokens(ui).image);
    // Never substitute the nearest epoch.
    let found = pane::probed(state, run, epoch).and_then(|probed| {
        let settled = pane::is_settled(&probed, state.record_key(run, epoch).as_ref());
        if settled { Ok(probed) } else { Err("Reading\u{2026}".to_owned()) }
    });
    match found {
        Ok(probed) => {
            let name = if content == PaneContent::Output { pane::kind_name(probed.epoch.record.kind) } else { name };
            let title = format!("{name}, epoch {epoch}");
            let response =
                pane::show_plain(ui, rect, state, &probed, content, &title, state.session.timeline.options.camera);
            follow(&response, state, sender);
            Some((probed, response.hovered?))
        }
        Err(why) => {
            let mut dark = super::child(ui, rect, &format!("{name} {epoch}"));
            theme::on_image(&mut dark);
            sentence(&mut dark, rect, &why);
            None
        }
    }
}

/// Row names, turned upwards along the left edge.
fn names(ui: &Ui, side: Rect, rows: &[(PaneContent, &str)]) {
    let t = theme::tokens(ui);
    for (m, (_, name)) in rows.iter().enumerate() {
        let rect = part(side, m, rows.len(), false);
        let galley = ui.painter().layout_no_wrap((*name).to_owned(), font::caption(), t.text_dim);
        let size = galley.size();
        let at = pos2(rect.center().x - size.y / 2.0, rect.center().y + size.x / 2.0);
        let turned = egui::epaint::TextShape::new(at, galley, t.text_dim).with_angle(-std::f32::consts::FRAC_PI_2);
        ui.painter().add(turned);
    }
    let line = egui::Stroke::new(GAP, t.line);
    ui.painter().vline(side.right(), side.y_range(), line);
}
