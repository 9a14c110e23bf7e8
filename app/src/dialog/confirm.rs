//! Questions before something is lost. What loses something is never the default.

use std::path::Path;

use egui::Context;

use crate::command::{Command, FileCommand, RunsCommand, Sender, WindowCommand};
use crate::panel::text;
use crate::state::{Intent, PathRequest, State};
use crate::theme::icon;
use crate::widget::{Dialog, DialogResult, Tone};
use crate::worker;

/// The file to write already exists.
pub(super) fn overwrite(ctx: &Context, request: PathRequest, path: &Path, sender: &Sender) {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let question = format!("{name} already exists. Overwrite it?");
    let dialog = Dialog::new("Overwrite the file?", "Choose another name…").alternative("Overwrite");
    let dialog = dialog.icon(icon::WARN, Tone::Warn).text(&question).width(480.0);
    let answer = dialog.show(ctx, |ui| {
        text::note(ui, &path.display().to_string());
    });
    match answer {
        Some(DialogResult::Confirmed) => {
            // Without closing first: the program may be about to end once this is saved.
            sender.send(Intent::Ask(request.purpose));
        }
        Some(DialogResult::Alternative) => sender.send(FileCommand::SaveOver(request, path.to_path_buf())),
        Some(DialogResult::Cancelled) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}

/// A run is to be deleted.
pub(super) fn delete_run(ctx: &Context, path: &Path, sender: &Sender) {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let what = format!("{name} is moved to the folder .trash of the workspace, with its weights and its log.");
    let dialog = Dialog::new("Delete the run?", "Keep it").alternative("Move to the trash").cancel(None);
    let answer = dialog.icon(icon::WARN, Tone::Warn).text(&what).width(480.0).show(ctx, |ui| {
        text::note(ui, &path.display().to_string());
    });
    match answer {
        Some(DialogResult::Alternative) => sender.send(Command::Runs(RunsCommand::Delete(path.to_path_buf()))),
        Some(DialogResult::Confirmed | DialogResult::Cancelled) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}

/// Something would lose the unsaved segmentation.
pub(super) fn unsaved(ctx: &Context, state: &State, next: &Intent, sender: &Sender) {
    let case = state.document.as_ref().map_or("the open case", |document| document.title.as_str());
    let text = format!("The segmentation of {case} is not saved; going on would lose it.");
    let dialog = Dialog::new("Save the segmentation first?", "Save").alternative("Go on without saving");
    match dialog.icon(icon::WARN, Tone::Warn).text(&text).show(ctx, |_| ()) {
        Some(DialogResult::Confirmed) => sender.send(FileCommand::SaveThen(next.clone())),
        Some(DialogResult::Alternative) => sender.send(FileCommand::Discard),
        Some(DialogResult::Cancelled) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}

/// The graphics device can no longer be used: everything else goes on, but nothing of it can be relied on to be seen.
pub(super) fn device_lost(ctx: &Context, why: &str, sender: &Sender) {
    let text = format!("{why}. Nothing is lost: the program starts anew and shows the same case at the same place.");
    let dialog = Dialog::new("Slices can no longer be drawn", "Restart with the same view").cancel(Some("Not now"));
    match dialog.icon(icon::WARN, Tone::Warn).text(&text).width(480.0).show(ctx, |_| ()) {
        Some(DialogResult::Confirmed) => sender.send(WindowCommand::Restart),
        Some(DialogResult::Alternative | DialogResult::Cancelled) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}

/// The window is to be closed while something is not saved or still runs.
pub(super) fn close(ctx: &Context, state: &State, sender: &Sender) {
    let unsaved = state.document.as_ref().filter(|document| document.is_unsaved());
    let training = state.jobs.iter().any(|job| job.slot == worker::train::run::SLOT);
    let busy = |kind| matches!(kind, worker::segment::SLOT | worker::save::SLOT | worker::train::run::SLOT);
    let running: Vec<&str> = state.jobs.iter().filter(|job| busy(job.slot)).map(|job| job.title.as_str()).collect();
    let mut facts = Vec::new();
    facts.extend(unsaved.map(|document| format!("The segmentation of {} is not saved.", document.title)));
    facts.extend(running.iter().map(|title| format!("Still running: {title}.")));
    if training {
        facts.push("Its checkpoint is saved after this step; the next start offers to go on with it.".into());
    }
    match state.train.queue.len() {
        0 => {}
        1 => facts.push("The job that waits in the queue is offered at the next start.".into()),
        more => facts.push(format!("The {more} jobs that wait in the queue are offered at the next start.")),
    }
    let text = facts.join(" ");
    let [title, without, save, stop] = if state.restart {
        ["Restart the program?", "Restart without saving", "Save and restart", "Stop and restart"]
    } else {
        ["Close the program?", "Close without saving", "Save and close", "Stop and close"]
    };
    let dialog = match unsaved {
        Some(_) => Dialog::new(title, "Save").alternative(without).cancel(Some("Cancel")),
        None if training => Dialog::new(title, save).cancel(Some("Keep it open")),
        None => Dialog::new(title, "Keep it open").alternative(stop).cancel(None),
    };
    match dialog.icon(icon::WARN, Tone::Warn).text(&text).show(ctx, |_| ()) {
        Some(DialogResult::Confirmed) if unsaved.is_some() => {
            sender.send(FileCommand::SaveThen(Intent::QuitNow));
        }
        Some(DialogResult::Confirmed) if training => sender.send(Intent::QuitNow),
        Some(DialogResult::Alternative) => sender.send(Intent::QuitNow),
        Some(DialogResult::Confirmed | DialogResult::Cancelled) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}
