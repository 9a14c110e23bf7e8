//! Confirmations before data is lost. The destructive answer is never the default.

use std::path::Path;

use egui::Context;

use crate::command::{Command, FileCommand, RunsCommand, Sender, WindowCommand, intent};
use crate::state::{Intent, PathRequest, State};
use crate::theme::icon;
use crate::widget::{Dialog, DialogResult, Tone};
use crate::widget::{format, text};
use crate::worker;

pub(super) fn overwrite(ctx: &Context, request: &PathRequest, path: &Path, sender: &Sender) {
    let name = format::file_name(path);
    let question = format!("{name} already exists. Overwrite it?");
    let dialog = Dialog::new("File exists", "Choose another name…").alternative("Overwrite");
    let dialog = dialog.icon(icon::WARN, Tone::Warn).text(&question).width(480.0);
    let answer = dialog.show(ctx, |ui| {
        text::note(ui, &path.display().to_string());
    });
    match answer {
        Some(DialogResult::Confirmed) => {
            // The dialog is not closed first: a pending quit waits for this save.
            sender.send(Intent::Ask(request.purpose));
        }
        Some(DialogResult::Alternative) => sender.send(FileCommand::SaveOver(request.clone(), path.to_path_buf())),
        Some(DialogResult::Cancelled) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}

pub(super) fn delete_run(ctx: &Context, path: &Path, sender: &Sender) {
    let name = format::file_name(path);
    let what = format!("{name} moves to the folder .trash of the workspace, with its weights and log.");
    let dialog = Dialog::new("Delete run?", "Keep run").alternative("Move to trash").cancel(None);
    let answer = dialog.icon(icon::WARN, Tone::Warn).text(&what).width(480.0).show(ctx, |ui| {
        text::note(ui, &path.display().to_string());
    });
    match answer {
        Some(DialogResult::Alternative) => sender.send(Command::Runs(RunsCommand::Delete(path.to_path_buf()))),
        Some(DialogResult::Confirmed | DialogResult::Cancelled) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}

/// Asks before a command that discards the unsaved segmentation.
pub(super) fn unsaved(ctx: &Context, state: &State, next: &Intent, sender: &Sender) {
    let case = state.document.as_ref().map_or("the open case", |document| document.title.as_str());
    let then = if intent::is_undoable(next) {
        "You can undo this until the case is closed."
    } else {
        "Continuing discards it."
    };
    let text = format!("The segmentation of {case} is not saved. {then}");
    let dialog = Dialog::new("Save the segmentation first?", "Save").alternative("Continue without saving");
    match dialog.icon(icon::WARN, Tone::Warn).text(&text).show(ctx, |_| ()) {
        Some(DialogResult::Confirmed) => sender.send(FileCommand::SaveThen(next.clone())),
        Some(DialogResult::Alternative) => sender.send(FileCommand::Discard),
        Some(DialogResult::Cancelled) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}

/// Offers a restart after the graphics device was lost.
pub(super) fn device_lost(ctx: &Context, why: &str, sender: &Sender) {
    let text = format!("{why}. No work is lost. Restarting reopens this case in the same view.");
    let dialog = Dialog::new("Images can no longer be drawn", "Restart with the same view").cancel(Some("Not now"));
    match dialog.icon(icon::WARN, Tone::Warn).text(&text).width(480.0).show(ctx, |_| ()) {
        Some(DialogResult::Confirmed) => sender.send(WindowCommand::Restart),
        Some(DialogResult::Alternative | DialogResult::Cancelled) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}

/// Asks before the window closes with unsaved work or running jobs.
pub(super) fn close(ctx: &Context, state: &State, sender: &Sender) {
    let unsaved = state.document.as_ref().filter(|document| document.is_unsaved());
    let training = state.jobs.iter().any(|job| job.slot == worker::train::run::SLOT);
    let busy = |kind| {
        [worker::segment::SLOT, worker::save::SLOT, worker::review::KEEP, worker::train::run::SLOT].contains(&kind)
    };
    let running: Vec<&str> = state.jobs.iter().filter(|job| busy(job.slot)).map(|job| job.title.as_str()).collect();
    let mut facts = Vec::new();
    facts.extend(unsaved.map(|document| format!("The segmentation of {} is not saved.", document.title)));
    facts.extend(running.iter().map(|title| format!("Still running: {title}.")));
    if training {
        facts.push("Its checkpoint is saved after this step. The next start offers to resume it.".into());
    }
    match state.training.queue.len() {
        0 => {}
        1 => facts.push("The queued run is offered at the next start.".into()),
        more => facts.push(format!("The {more} queued runs are offered at the next start.")),
    }
    let text = facts.join(" ");
    let [title, without, save, stop] = if state.restart {
        ["Restart AMLP?", "Restart without saving", "Save and restart", "Stop and restart"]
    } else {
        ["Close AMLP?", "Close without saving", "Save and close", "Stop and close"]
    };
    let dialog = match unsaved {
        Some(_) => Dialog::new(title, "Save").alternative(without).cancel(Some("Cancel")),
        None if training => Dialog::new(title, save).cancel(Some("Keep open")),
        None => Dialog::new(title, "Keep open").alternative(stop).cancel(None),
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
