//! The status line: graphics adapter, memory, running jobs, messages.

use std::collections::BTreeMap;

use egui::{Align, Id, Layout, Panel, RichText, Ui};

use super::memory;
use crate::command::{FileCommand, Sender, WindowCommand};
use crate::state::{JobStatus, Severity, State};
use crate::theme::{self, font, icon, size, space};
use crate::widget::{IconButton, StatusItem, Tone, progress_bar};

/// Seconds before a quiet job is shown.
const QUIET_SECONDS: f64 = 1.0;
/// Width of the progress bar.
const BAR: f32 = 120.0;

/// Draws the status line.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let frame = super::frame(ui);
    Panel::bottom("status line").exact_size(size::STATUS_LINE).frame(frame).show(ui, |ui| {
        ui.horizontal_centered(|ui| {
            ui.spacing_mut().item_spacing.x = space::M;
            ui.spacing_mut().interact_size.y = size::ROW_DENSE;
            let adapter = if state.adapter.is_empty() { "no graphics adapter" } else { &state.adapter };
            ui.add(StatusItem::new(icon::CPU, adapter).hint("Graphics adapter"));
            if let Some(bytes) = memory::resident_bytes(ui) {
                let text = format!("{} MB", bytes / 1_000_000);
                ui.add(StatusItem::new(icon::MEMORY, &text).hint("Memory used by this program"));
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let notice = "Research use only. Not a medical device.";
                let color = theme::tokens(ui).text_dim;
                ui.label(RichText::new(notice).font(font::caption()).color(color));
                messages(ui, state, sender);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| jobs(ui, state, sender));
            });
        });
    });
}

/// Number of messages, with the icon of the most severe one that is not dismissed.
fn messages(ui: &mut Ui, state: &State, sender: &Sender) {
    ui.spacing_mut().item_spacing.x = space::XS;
    let open = state.notices.iter().filter(|notice| !notice.dismissed);
    let worst = open.map(|notice| notice.severity).max_by_key(|severity| *severity as u8);
    let (drawing, tone) = match worst {
        Some(Severity::Error) => (icon::ERROR, Tone::Error),
        Some(Severity::Warning) => (icon::WARN, Tone::Warn),
        _ => (icon::LIST, Tone::Neutral),
    };
    let count = state.notices.len();
    let color = tone.color(theme::tokens(ui));
    ui.label(RichText::new(count.to_string()).font(font::number_small()).color(color));
    if ui.add(IconButton::new(drawing, "Messages").small()).clicked() {
        sender.send(WindowCommand::OpenLog);
    }
    ui.add_space(space::M);
}

/// The first visible job, and the number of others.
fn jobs(ui: &mut Ui, state: &State, sender: &Sender) {
    let visible = visible(ui, &state.jobs);
    let Some(job) = visible.first() else { return };
    ui.spacing_mut().item_spacing.x = space::S;
    let name = format!("Job: {}", job.title);
    progress_bar(ui, &name, job.progress, BAR);
    let cancel = format!("Cancel job: {}", job.title);
    if ui.add(IconButton::new(icon::CLOSE, &cancel).small()).clicked() {
        sender.send(FileCommand::CancelJob(job.id));
    }
    let detail = if job.detail.is_empty() { String::new() } else { format!(", {}", job.detail) };
    let more = if visible.len() > 1 { format!(" (+{})", visible.len() - 1) } else { String::new() };
    let color = theme::tokens(ui).text;
    let text = RichText::new(format!("{}{detail}{more}", job.title)).font(font::caption()).color(color);
    crate::widget::text::line(ui, text);
}

/// Jobs to show: quiet ones only after [`QUIET_SECONDS`].
fn visible<'a>(ui: &Ui, jobs: &'a [JobStatus]) -> Vec<&'a JobStatus> {
    let id = Id::unique("quiet jobs since");
    let now = ui.input(|input| input.time);
    let before: BTreeMap<u64, f64> = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    let quiet = jobs.iter().filter(|job| job.quiet);
    let since: BTreeMap<u64, f64> = quiet.map(|job| (job.id, before.get(&job.id).copied().unwrap_or(now))).collect();
    let lasts = |job: &JobStatus| since.get(&job.id).is_some_and(|begin| now - begin >= QUIET_SECONDS);
    let shown = jobs.iter().filter(|job| !job.quiet || lasts(job)).collect();
    ui.data_mut(|data| data.insert_temp(id, since));
    shown
}
