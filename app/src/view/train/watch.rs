//! The probe and the curves at the timeline's cursor.

mod bar;
mod compare;
mod curves;
mod pane;
mod plot;
mod probe;
mod sheet;

use egui::{Rect, Ui, UiBuilder, pos2};

use crate::command::{Command, FileCommand, Sender, TimelineCommand};
use crate::panel::text;
use crate::state::timeline::{OpenRun, WatchView};
use crate::state::train::Preparing;
use crate::state::{Intent, JobStatus, PathPurpose, State};
use crate::theme::{self, icon, space};
use crate::widget::{EmptyState, ErrorState, LoadingState};
use crate::worker;

/// Height of the line of controls above the views.
const BAR: f32 = 40.0;

/// Draws it.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let area = ui.available_rect_before_wrap();
    let timeline = &state.timeline;
    let Some(run) = timeline.shown() else {
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
    match timeline.look.view {
        WatchView::Probe => probe::show(&mut ui, state, run, sender),
        WatchView::Sheet => sheet::show(&mut ui, state, run, sender),
        WatchView::Compare => compare::show(&mut ui, state, run, sender),
        WatchView::Curves => curves::show(&mut ui, state, run, sender),
    }
}

/// A part of the page; what is drawn there stays there.
fn child(ui: &mut Ui, rect: Rect, salt: &str) -> Ui {
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(salt));
    child.set_clip_rect(rect.intersect(ui.clip_rect()));
    child
}

/// The job that reads a run, if one does.
fn reading(state: &State) -> Option<&JobStatus> {
    state.timeline.opening.as_ref()?;
    state.jobs.iter().find(|job| job.slot == worker::replay::SLOT)
}

/// There is no run: a job prepares one, it is being read, it cannot be shown, or none was opened.
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
    if let Some((path, why)) = &state.timeline.failed {
        let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
        if ErrorState::new(&format!("{name} cannot be shown"), why).retry("Try again").show(ui) {
            sender.send(Command::Timeline(TimelineCommand::Open(path.clone())));
        }
        return;
    }
    let words = "Every epoch of a run is shown here: what happened to the pinned slices, and all curves. Start a \
                 training, or open a run.";
    if EmptyState::new(icon::TRAIN, words).action("Open run\u{2026}", None).show(ui) {
        sender.send(Intent::Ask(PathPurpose::Run));
    }
}

/// A run that has not told an epoch to its end.
fn waiting(ui: &mut Ui, state: &State, run: &OpenRun) {
    if let Some(preparing) = state.preparing().filter(|preparing| preparing.job.run.as_ref() == Some(&run.path)) {
        return prepares(ui, &preparing);
    }
    if run.live {
        let step = run.history.last_step.map_or(0, |step| step.step);
        let steps = run.history.steps_per_epoch.max(1);
        let text = format!("The first epoch: step {step} of {steps}");
        LoadingState::new(&text, Some(step as f32 / steps as f32)).show(ui);
        return;
    }
    let words = "This run has not finished an epoch: there is nothing to show yet.";
    EmptyState::new(icon::CURVES, words).show(ui);
}

/// A job that has not come to its first step.
fn prepares(ui: &mut Ui, preparing: &Preparing<'_>) {
    LoadingState::new(&preparing.sentence(), preparing.fraction).show(ui);
}

/// A sentence in the middle of a part of the page.
fn sentence(ui: &mut Ui, rect: Rect, words: &str) {
    let width = (rect.width() - 2.0 * space::XL).clamp(80.0, 420.0);
    let top = rect.center().y - 2.0 * space::L;
    let place = Rect::from_min_max(
        pos2(rect.center().x - width / 2.0, top),
        pos2(rect.center().x + width / 2.0, rect.bottom().max(top)),
    );
    let mut ui = ui.new_child(
        UiBuilder::new().max_rect(place).layout(egui::Layout::top_down(egui::Align::Center)).id_salt("sentence"),
    );
    text::sentence(&mut ui, words);
}
