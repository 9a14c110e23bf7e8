//! A track of the timeline: epochs, events and cursor of a run.

use std::ops::RangeInclusive;

use egui::{
    Align2, Color32, EventFilter, Key, Modifiers, Painter, Pos2, Rect, Response, Role, Sense, Shape, Stroke,
    StrokeKind, Ui, WidgetInfo, pos2, vec2,
};
use engine::event::Stage;

use crate::command::{Command, Sender, TimelineCommand, timeline::stage_name};
use crate::state::State;
use crate::state::timeline::OpenRun;
use crate::state::train::Preparation;
use crate::theme::{self, Tokens, font, palette, radius, size, space};

/// Height of the heading.
const HEAD: f32 = 16.0;
/// Minimum distance of marks in points.
const APART: f32 = 3.0;
/// Height of a mark.
const MARK: f32 = 5.0;
/// Width of a symbol in the legend.
const SIGN: f32 = 12.0;
/// Width of the text about the epoch.
const EPOCH: f32 = 170.0;

/// Epochs to screen positions.
struct Scale {
    bar: Rect,
    epochs: usize,
}

impl Scale {
    /// Centre of an epoch.
    fn x(&self, epoch: usize) -> f32 {
        self.bar.left() + (epoch as f32 - 0.5) / self.epochs.max(1) as f32 * self.bar.width()
    }

    /// End of an epoch.
    fn end(&self, epoch: usize) -> f32 {
        self.after(epoch, 0.0)
    }

    /// The place after completed epochs and a fraction of the next one.
    fn after(&self, epochs: usize, share: f32) -> f32 {
        self.bar.left() + (epochs as f32 + share.clamp(0.0, 1.0)) / self.epochs.max(1) as f32 * self.bar.width()
    }

    /// The place of a checkpoint after completed epochs and steps of the next one, which has `steps`; `None` at the start.
    fn checkpoint(&self, (epochs, step): (usize, usize), steps: usize) -> Option<f32> {
        (epochs + step > 0).then(|| self.after(epochs, step as f32 / steps.max(1) as f32))
    }

    fn epoch(&self, x: f32) -> usize {
        let share = ((x - self.bar.left()) / self.bar.width().max(1.0)).clamp(0.0, 1.0);
        ((share * self.epochs as f32).floor() as usize + 1).min(self.epochs.max(1))
    }
}

/// Draws the track of a stage.
pub(super) fn show(ui: &mut Ui, rect: Rect, state: &State, stage: Stage, sender: &Sender) {
    let t = theme::tokens(ui);
    let bar = Rect::from_min_max(
        pos2(rect.left() + space::S, rect.top() + HEAD + 2.0),
        pos2(rect.right() - space::M, rect.bottom() - MARK - 2.0),
    );
    if !bar.is_positive() {
        return;
    }
    let preparing = state.preparing().filter(|preparing| preparing.job.stage == stage);
    let Some(run) = state.cache.timeline.track(stage) else {
        return empty(ui, bar, stage, preparing.as_ref());
    };
    let scale = Scale { bar, epochs: run.epochs() };
    let id = ui.scope_id().with(("track", stage_name(stage)));
    let mut response = ui.interact(rect.with_max_x(bar.right()), id, Sense::click_and_drag());
    let chosen = chosen(ui, &scale, run, &response);
    if chosen.is_some() {
        response.mark_changed();
    }
    let name = format!("{} epoch", stage_name(stage));
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Slider, true, &name);
        info.value = run.epoch().map(|epoch| epoch as f64);
        info
    });
    let active = state.session.timeline.active == stage;
    let hovered = response.hover_pos().map(|at| scale.epoch(at.x));
    heading(ui, rect, run, preparing.as_ref(), active, hovered);
    paint_bar(ui.painter(), &scale, run, t, active);
    paint_marks(ui.painter(), &scale, run, state, t);
    if let Some((other, epoch)) = state.compared_run().filter(|_| active)
        && (other.id == run.id || other.stage() == stage)
    {
        paint_handle(ui.painter(), &scale, epoch, t, false);
    }
    if let Some(epoch) = hovered.filter(|epoch| *epoch <= run.last()) {
        let stroke = Stroke::new(1.0, t.text.gamma_multiply(0.35));
        ui.painter().vline(ui.painter().round_to_pixel_center(scale.x(epoch)), bar.y_range(), stroke);
    }
    if let Some(epoch) = run.epoch() {
        paint_handle(ui.painter(), &scale, epoch, t, active);
    }
    if response.has_focus() {
        let ring = Stroke::new(size::FOCUS_RING, t.focus);
        ui.painter().rect_stroke(bar.expand(2.0), radius::S, ring, StrokeKind::Outside);
    }
    if let Some(epoch) = chosen {
        sender.send(Command::Timeline(TimelineCommand::SetEpoch { stage, epoch }));
    } else if response.clicked() && !active {
        sender.send(Command::Timeline(TimelineCommand::Activate(stage)));
    }
}

/// A track without a run.
fn empty(ui: &Ui, bar: Rect, stage: Stage, preparing: Option<&Preparation<'_>>) {
    let t = theme::tokens(ui);
    let label = match (preparing, stage) {
        (Some(preparing), _) => preparing.sentence(),
        (None, Stage::Pretrain) => "No pre-training run".to_owned(),
        (None, Stage::Finetune) => "No fine-tuning run".to_owned(),
    };
    if let Some(fraction) = preparing.and_then(|preparing| preparing.fraction) {
        let done = bar.with_max_x(bar.left() + fraction.clamp(0.0, 1.0) * bar.width());
        ui.painter().rect_filled(done, radius::S, t.raised);
    }
    ui.painter().rect_stroke(bar, radius::S, Stroke::new(1.0, t.line), StrokeKind::Inside);
    let response = ui.interact(bar, ui.scope_id().with(("no track", stage_name(stage))), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &label));
    ui.painter().text(bar.center(), Align2::CENTER_CENTER, label, font::caption(), t.text_dim);
}

/// The epoch selected by pointer or key.
fn chosen(ui: &Ui, scale: &Scale, run: &OpenRun, response: &Response) -> Option<usize> {
    let (last, now) = (run.last(), run.epoch()?);
    let pointed = if response.dragged() || response.clicked() { response.interact_pointer_pos() } else { None };
    let by_mouse = pointed.map(|at| scale.epoch(at.x).clamp(1, last));
    let by_key = || {
        if !response.has_focus() {
            return None;
        }
        let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        ui.input_mut(|input| {
            let mut pressed = |key| input.consume_key(Modifiers::NONE, key);
            let keys = [
                (Key::ArrowLeft, now.saturating_sub(1).max(1)),
                (Key::ArrowRight, (now + 1).min(last)),
                (Key::Home, 1),
                (Key::End, last),
            ];
            keys.into_iter().find(|(key, _)| pressed(*key)).map(|(_, epoch)| epoch)
        })
    };
    by_mouse.or_else(by_key).filter(|epoch| *epoch != now)
}

/// Stage, run, job in preparation, and the hovered or current epoch.
fn heading(
    ui: &Ui,
    rect: Rect,
    run: &OpenRun,
    preparing: Option<&Preparation<'_>>,
    active: bool,
    hovered: Option<usize>,
) {
    let t = theme::tokens(ui);
    let middle = rect.top() + HEAD / 2.0 + 1.0;
    let color = if active { t.accent_text } else { t.text_dim };
    let painter = ui.painter();
    let left = pos2(rect.left() + space::S, middle);
    let title = painter.text(left, Align2::LEFT_CENTER, stage_name(run.stage()), font::caption(), color);
    let name = pos2(title.right() + space::S, middle);
    let label = match preparing {
        Some(preparing) if preparing.job.run.as_ref() == Some(&run.path) => format!("{}: {}", run.name, preparing.what),
        Some(preparing) => format!("{}. Next: {}", run.name, preparing.sentence()),
        None => run.trainer().map_or_else(|| run.name.clone(), |trainer| format!("{}, {trainer}", run.name)),
    };
    let name =
        painter.text(name, Align2::LEFT_CENTER, label, font::caption(), if active { t.text } else { t.text_dim });
    signs(painter, t, run, pos2(name.right() + space::XL, middle), rect.right() - EPOCH);
    let Some(epoch) = hovered.or(run.epoch()) else { return };
    let mut label = format!("epoch {epoch}");
    if run.history.relabel(epoch).is_some() {
        label.push_str(", update");
    }
    if let Some(row) = run.history.validations.iter().find(|row| row.0 == epoch) {
        label = format!("{label}, Dice {:.3} val", row.1);
    }
    let right = pos2(rect.right() - space::M, middle);
    painter.text(right, Align2::RIGHT_CENTER, label, font::number_small(), t.text_dim);
}

/// Legend of the marks, if it fits up to `right`.
fn signs(painter: &Painter, t: &Tokens, run: &OpenRun, at: Pos2, right: f32) {
    let event = match run.stage() {
        Stage::Pretrain => "label update",
        Stage::Finetune => "validation (large: best so far)",
    };
    let entries = [event, "slice recorded", "checkpoint"]
        .map(|word| painter.layout_no_wrap(word.to_owned(), font::caption(), t.text_dim));
    // A method without labels never updates any, and a run may have no validations.
    let has_events = match run.stage() {
        Stage::Pretrain => run.has_labels(),
        Stage::Finetune => run.config.labels.validate_every > 0,
    };
    let first = usize::from(!has_events);
    let width: f32 = entries[first..].iter().map(|word| SIGN + word.size().x + space::M).sum();
    if at.x + width > right {
        return;
    }
    let mut x = at.x;
    for (n, word) in entries.into_iter().enumerate().skip(first) {
        let sign = pos2(x + SIGN / 2.0 - 2.0, at.y);
        match (n, run.stage()) {
            (0, Stage::Pretrain) => {
                tick(painter, sign.x, at.y - MARK / 2.0, at.y + MARK / 2.0, palette_on(t, palette::PATCH_FLIP));
            }
            (0, Stage::Finetune) => {
                painter.circle_filled(sign, 2.6, t.chart[0]);
            }
            (1, _) => recorded(painter, x..=x + SIGN - 4.0, at.y),
            _ => checkpoint(painter, sign, t),
        }
        x += SIGN;
        let size = word.size();
        painter.galley(pos2(x, at.y - size.y / 2.0), word, t.text_dim);
        x += size.x + space::M;
    }
}

/// Planned and finished epochs.
fn paint_bar(painter: &Painter, scale: &Scale, run: &OpenRun, t: &Tokens, active: bool) {
    let bar = scale.bar;
    painter.rect(bar, radius::S, t.field, Stroke::new(1.0, t.line), StrokeKind::Inside);
    let mut done = bar;
    done.max.x = scale.end(run.last());
    let fill = if active { t.selection } else { t.raised };
    painter.rect_filled(done, radius::S, fill);
    if let Some(step) = run.history.last_step.filter(|step| run.is_growing() && step.epoch == run.last() + 1) {
        let share = step.step as f32 / run.history.steps_per_epoch.max(1) as f32;
        let mut now = bar;
        (now.min.x, now.max.x) = (done.max.x, scale.after(run.last(), share));
        painter.rect_filled(now, 0.0, t.accent.gamma_multiply(0.5));
    }
}

/// Label updates, validations, the latest checkpoint; below the bar the recorded epochs of the selected slice.
fn paint_marks(painter: &Painter, scale: &Scale, run: &OpenRun, state: &State, t: &Tokens) {
    let bar = scale.bar;
    let mut drawn = f32::NEG_INFINITY;
    for row in &run.history.relabels {
        let x = scale.x(row.epoch);
        if x - drawn >= APART {
            tick(painter, x, bar.top() + 1.0, bar.top() + 1.0 + MARK, palette_on(t, palette::PATCH_FLIP));
            drawn = x;
        }
    }
    drawn = f32::NEG_INFINITY;
    for (epoch, _, best) in &run.history.validations {
        let x = scale.x(*epoch);
        if x - drawn >= APART || *best {
            painter.circle_filled(pos2(x, bar.center().y), if *best { 2.6 } else { 1.6 }, t.chart[0]);
            drawn = x;
        }
    }
    let steps = run.history.steps_per_epoch;
    if let Some(x) = run.history.checkpoint.and_then(|saved| scale.checkpoint(saved, steps)) {
        checkpoint(painter, pos2(x, bar.bottom() - 4.0), t);
    }
    if let Some(pin) = &state.session.timeline.pin {
        for [from, to] in ranges_of(run.recorded(pin)) {
            let left = if from == 1 { bar.left() } else { scale.end(from - 1) };
            recorded(painter, left..=scale.end(to), bar.bottom() + 3.0);
        }
    }
}

fn recorded(painter: &Painter, xs: RangeInclusive<f32>, y: f32) {
    painter.hline(xs, y, Stroke::new(2.0, palette::PATCH_LESION.gamma_multiply(0.8)));
}

fn checkpoint(painter: &Painter, at: Pos2, t: &Tokens) {
    painter.rect_filled(Rect::from_center_size(at, vec2(5.0, 5.0)), 1.0, t.text_dim);
}

/// An overlay colour for use on a panel: darker in the light theme.
fn palette_on(t: &Tokens, color: Color32) -> Color32 {
    if t.dark { color } else { t.warn }
}

fn tick(painter: &Painter, x: f32, top: f32, bottom: f32, color: Color32) {
    let x = painter.round_to_pixel_center(x);
    painter.vline(x, top..=bottom, Stroke::new(2.0, color));
}

/// The cursor, filled if keys move it.
fn paint_handle(painter: &Painter, scale: &Scale, epoch: usize, t: &Tokens, full: bool) {
    let x = painter.round_to_pixel_center(scale.x(epoch));
    let bar = scale.bar;
    painter.vline(x, bar.y_range(), Stroke::new(if full { 2.0 } else { 1.0 }, t.text));
    let at = |dx: f32, dy: f32| -> Pos2 { pos2(x + dx, bar.top() + dy) };
    let fill = if full { t.text } else { t.panel };
    let shape = vec![at(-4.5, -1.5), at(4.5, -1.5), at(4.5, 3.0), at(0.0, 7.5), at(-4.5, 3.0)];
    painter.add(Shape::convex_polygon(shape, fill, Stroke::new(1.0, t.text)));
}

/// First and last of each run of consecutive numbers.
fn ranges_of(epochs: &[usize]) -> Vec<[usize; 2]> {
    let mut runs: Vec<[usize; 2]> = Vec::new();
    for &epoch in epochs {
        match runs.last_mut() {
            Some([_, to]) if *to + 1 == epoch => *to = epoch,
            _ => runs.push([epoch, epoch]),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_on_an_epoch_selects_it() {
        for epochs in [1, 7, 800, 10_000] {
            let scale = Scale { bar: Rect::from_min_max(pos2(10.0, 0.0), pos2(810.0, 10.0)), epochs };
            for epoch in [1, epochs.div_ceil(2), epochs] {
                assert_eq!(scale.epoch(scale.x(epoch)), epoch, "of {epochs}");
            }
            assert_eq!((scale.epoch(-5.0), scale.epoch(9999.0)), (1, epochs));
        }
    }

    #[test]
    fn a_checkpoint_within_an_epoch_has_its_own_place() {
        let scale = Scale { bar: Rect::from_min_max(pos2(10.0, 0.0), pos2(810.0, 10.0)), epochs: 8 };
        assert_eq!(scale.checkpoint((0, 0), 20), None);
        assert_eq!(scale.checkpoint((0, 5), 20), Some(35.0), "within the first epoch");
        assert_eq!(scale.checkpoint((3, 10), 20), Some(360.0));
        assert_eq!(scale.checkpoint((3, 0), 20), Some(scale.end(3)));
        assert_eq!(scale.checkpoint((8, 0), 0), Some(810.0));
    }

    #[test]
    fn consecutive_epochs_form_one_range() {
        assert_eq!(ranges_of(&[1, 2, 3, 7, 9, 10]), [[1, 3], [7, 7], [9, 10]]);
        assert!(ranges_of(&[]).is_empty());
    }
}
