//! The studies of the workspace, and others that were opened before.

use egui::{Response, RichText, ScrollArea, Ui};
use engine::study::StudyOverview;

use super::{progress, row};
use crate::command::{Command, Sender, StudyCommand};
use crate::state::runs::date;
use crate::state::study::{ListedStudy, contents};
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
                    if row_of(ui, study).clicked() {
                        sender.send(Command::Study(StudyCommand::Open(study.path.clone())));
                    }
                }
            });
        }
    }
}

/// A study by the name of its plan, with its progress, contents, folder and date.
fn row_of(ui: &mut Ui, study: &ListedStudy) -> Response {
    let (t, folder) = (theme::tokens(ui), format::file_name(&study.path));
    let (what, changed, drawing, color) = match &study.overview {
        Err(why) => (why.clone(), String::new(), icon::WARN, t.warn),
        Ok(StudyOverview { plan, status, changed }) => {
            let (drawing, color) = if status.failed() > 0 {
                (icon::ERROR, t.error)
            } else if status.is_complete() {
                (icon::DONE, t.ok)
            } else if status.processes > 0 {
                (icon::TRAIN, t.accent_text)
            } else {
                (icon::PENDING, t.text_dim)
            };
            let what = [progress(status), contents(plan), format!("folder {folder}")].join(" \u{b7} ");
            (what, date(*changed), drawing, color)
        }
    };
    let name = study.name();
    let row = ListRow::new(&name).subtitle(&what).trailing(&changed).icon_colored(drawing, color);
    let response = ui.add(row).accessible_name(format!("Study {folder}"));
    ui.accesskit_node_builder(response.id, |node| node.set_description(format!("{name}. {what}")));
    response.on_hover_text(study.path.display().to_string())
}
