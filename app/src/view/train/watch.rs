//! Watch page: probe and curves at the timeline cursor.

mod bar;
mod compare;
pub(in crate::view) mod curves;
mod pane;
pub(super) mod plot;
mod probe;
mod sheet;

use egui::{Rect, Ui, UiBuilder, pos2};
use engine::run::history::RunState;

use crate::command::{Command, FileCommand, Sender, TimelineCommand};
use crate::state::timeline::{OpenRun, WatchView};
use crate::state::train::Preparation;
use crate::state::{Intent, JobStatus, PathPurpose, State};
use crate::theme::{self, icon, space};
use crate::widget::{EmptyState, ErrorState, LoadingState};
use crate::widget::{format, text};
use crate::worker;

/// Height of the bar above the views.
const BAR: f32 = 40.0;
/// Gap between panes and between charts.
const GAP: f32 = 1.0;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let area = ui.available_rect_before_wrap();
    let Some(run) = state.watched_run() else {
        return nothing(ui, state, sender);
    };
    let (top, body) = area.split_top_bottom_at_y(area.top() + BAR);
    ui.painter().rect_filled(top, 0.0, theme::tokens(ui).panel);
    let line = egui::Stroke::new(1.0, theme::tokens(ui).line);
    ui.painter().hline(top.x_range(), ui.painter().round_to_pixel_center(top.bottom() - 0.5), line);
    bar::show(&mut child(ui, top.shrink2(egui::vec2(space::M, 0.0)), "bar"), state, run, sender);
    let mut ui = child(ui, body, "body");
    if run.last() == 0 {
        return waiting(&mut ui, state, run);
    }
    match state.session.timeline.options.view {
        WatchView::Probe => probe::show(&mut ui, state, run, sender),
        WatchView::Sheet => sheet::show(&mut ui, state, run, sender),
        WatchView::Compare => compare::show(&mut ui, state, run, sender),
        WatchView::Curves => curves::show(&mut ui, state, run, sender),
    }
}

/// A clipped part of the page.
fn child(ui: &mut Ui, rect: Rect, salt: &str) -> Ui {
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(salt));
    child.set_clip_rect(rect.intersect(ui.clip_rect()));
    child
}

/// Part `n` of `count` of an area, in a row if `across`, else in a column.
fn part(area: Rect, n: usize, count: usize, across: bool) -> Rect {
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

/// The running job that reads a run.
fn reading(state: &State) -> Option<&JobStatus> {
    state.cache.timeline.opening.as_ref()?;
    state.jobs.iter().find(|job| job.slot == worker::replay::SLOT)
}

/// Shown without a run: preparing, loading, failed, or none opened.
fn nothing(ui: &mut Ui, state: &State, sender: &Sender) {
    if let Some(preparing) = state.preparing() {
        return prepares(ui, &preparing);
    }
    if let Some(job) = reading(state) {
        if LoadingState::new(&job.title, job.progress).cancel().show(ui) {
            sender.send(FileCommand::CancelJob(job.id));
        }
        return;
    }
    if let Some((path, why)) = &state.cache.timeline.failed {
        let name = format::file_name(path);
        if ErrorState::new(&format!("Cannot show {name}"), why).retry("Try again").show(ui) {
            sender.send(Command::Timeline(TimelineCommand::Open(path.clone())));
        }
        return;
    }
    let message = "Start training or open a run to see its pinned slices and curves epoch by epoch.";
    if EmptyState::new(icon::TRAIN, message).action("Open run\u{2026}", None).show(ui) {
        sender.send(Intent::Ask(PathPurpose::Run));
    }
}

/// Shown before the first epoch ends.
fn waiting(ui: &mut Ui, state: &State, run: &OpenRun) {
    if let Some(preparing) = state.preparing().filter(|preparing| preparing.job.run.as_ref() == Some(&run.path)) {
        return prepares(ui, &preparing);
    }
    if run.is_growing() {
        let step = run.history.last_step.map_or(0, |step| step.step);
        let steps = run.history.steps_per_epoch.max(1);
        let paused = if run.history.state == RunState::Paused { "Paused. " } else { "" };
        let text = format!("{paused}First epoch, step {step} of {steps}");
        LoadingState::new(&text, Some(step as f32 / steps as f32)).show(ui);
        return;
    }
    EmptyState::new(icon::CURVES, run.before_first_epoch()).show(ui);
}

fn prepares(ui: &mut Ui, preparing: &Preparation<'_>) {
    LoadingState::new(&preparing.sentence(), preparing.fraction).show(ui);
}

/// A centred sentence.
fn sentence(ui: &mut Ui, rect: Rect, message: &str) {
    let width = (rect.width() - 2.0 * space::XL).clamp(80.0, 420.0);
    let top = rect.center().y - 2.0 * space::L;
    let place = Rect::from_min_max(
        pos2(rect.center().x - width / 2.0, top),
        pos2(rect.center().x + width / 2.0, rect.bottom().max(top)),
    );
    let mut ui = ui.new_child(
        UiBuilder::new().max_rect(place).layout(egui::Layout::top_down(egui::Align::Center)).id_salt("sentence"),
    );
    text::sentence(&mut ui, message);
}
