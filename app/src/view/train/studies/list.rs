//! The studies of the workspace, and others that were opened before.

use egui::{RichText, ScrollArea, Ui};

use super::{progress, row};
use crate::command::{Command, Sender, StudyCommand};
use crate::state::{Intent, PathPurpose, State};
use crate::theme::{self, font, icon, size, space};
use crate::widget::{EmptyState, ErrorState, ListRow, LoadingState, PushButton};
use crate::widget::{format, text};

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let cache = &state.cache.study;
    let open = |ui: &mut Ui| {
        if ui.add(PushButton::new("Open study\u{2026}").icon(icon::OPEN_FOLDER)).clicked() {
            sender.send(Intent::Ask(PathPurpose::Study));
        }
    };
    row(ui, size::CONTROL, open, |ui| {
        let workspace = state.session.settings.workspace().display().to_string();
        let color = theme::tokens(ui).text_dim;
        text::line(ui, RichText::new(workspace).font(font::caption()).color(color));
    });
    ui.add_space(space::S);
    match (&cache.listed, &cache.list_failed) {
        (_, Some(why)) => {
            if ErrorState::new("Cannot list the studies", why).retry("Try again").show(ui) {
                sender.send(Command::Study(StudyCommand::Refresh));
            }
        }
        (None, None) => {
            LoadingState::new("Listing the studies of the workspace", None).show(ui);
        }
        (Some(studies), None) if studies.is_empty() => {
            let what = "No studies yet. Start one with amlp study, or open its folder.";
            EmptyState::new(icon::BARS, what).show(ui);
        }
        (Some(studies), None) => {
            ScrollArea::vertical().id_salt("studies").show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                for study in studies {
                    let (t, name) = (theme::tokens(ui), format::file_name(&study.path));
                    let (what, drawing, color) = match &study.status {
                        Err(why) => (why.clone(), icon::WARN, t.warn),
                        Ok(status) if status.failed() > 0 => (progress(status), icon::ERROR, t.error),
                        Ok(status) if status.is_complete() => (progress(status), icon::DONE, t.ok),
                        Ok(status) if status.processes > 0 => (progress(status), icon::TRAIN, t.accent_text),
                        Ok(status) => (progress(status), icon::PENDING, t.text_dim),
                    };
                    let row = ui.add(ListRow::new(&name).subtitle(&what).icon_colored(drawing, color));
                    let row = row.accessible_name(format!("Study {name}"));
                    if row.on_hover_text(study.path.display().to_string()).clicked() {
                        sender.send(Command::Study(StudyCommand::Open(study.path.clone())));
                    }
                }
            });
        }
    }
}
