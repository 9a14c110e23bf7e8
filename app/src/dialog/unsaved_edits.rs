//! Dialog about unsaved edits of an earlier session.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use egui::{Context, RichText, ScrollArea};

use crate::command::{AutosaveCommand, Command, Sender};
use crate::state::{State, unsaved_edits};
use crate::theme::{self, font, icon};
use crate::widget::{Dialog, DialogResult, Tone, text};

/// Height above which the list of edits scrolls.
const LIST: f32 = 180.0;

pub(super) fn show(ctx: &Context, state: &State, path: &Path, sender: &Sender) {
    let send = |command| sender.send(Command::Autosave(command));
    let Some(left) = state.unsaved_edits.of(path) else { return send(AutosaveCommand::Later) };
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
    let text = format!("{}. The program ended before they were saved.", unsaved_edits::sentence(left, now_ms));
    let dialog = Dialog::new("Restore unsaved edits?", "Restore").alternative("Discard").cancel(Some("Later"));
    let dialog = dialog.icon(icon::WARN, Tone::Warn).text(&text).width(480.0);
    let answer = dialog.show(ctx, |ui| {
        let color = theme::tokens(ui).text;
        ScrollArea::vertical().id_salt("left edits").max_height(LIST).stick_to_bottom(true).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for (n, name) in left.names.iter().enumerate() {
                let line = RichText::new(format!("{}  {name}", n + 1)).font(font::body()).color(color);
                text::line(ui, line);
            }
        });
        if let Some(cut) = &left.cut {
            text::note(ui, &format!("The last edit is incomplete and is left out: {cut}."));
        }
        if let Some((_, image, _)) = left.case.images.first() {
            text::note(ui, &image.display().to_string());
        }
    });
    match answer {
        Some(DialogResult::Confirmed) => send(AutosaveCommand::Restore(path.to_path_buf())),
        Some(DialogResult::Alternative) => send(AutosaveCommand::Discard(path.to_path_buf())),
        Some(DialogResult::Cancelled) => send(AutosaveCommand::Later),
        None => {}
    }
}
