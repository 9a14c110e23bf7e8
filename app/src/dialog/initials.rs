//! The reviewer's initials, asked for before the first verdict.

use egui::{Context, Id, Margin, TextEdit};

use crate::command::{ReviewCommand, Sender, WindowCommand};
use crate::theme::{self, font};
use crate::widget::{Dialog, DialogResult, text};

/// Maximum number of letters.
const MAX_LETTERS: usize = 12;

pub(super) fn show(ctx: &Context, typed: &str, sender: &Sender) {
    let mut initials = typed.to_owned();
    let answer = Dialog::new("Your initials", "Save").show_checked(ctx, |ui| {
        let t = theme::tokens(ui);
        let field = TextEdit::singleline(&mut initials)
            .id(Id::unique("initials"))
            .font(font::body())
            .text_color(t.text)
            .char_limit(MAX_LETTERS)
            .margin(Margin::symmetric(8, 7))
            .cursor_at_end(true)
            .desired_width(f32::INFINITY);
        let response = ui.add(field).accessible_name("Initials");
        if ui.memory(|memory| memory.focused().is_none()) {
            response.request_focus();
        }
        if response.changed() {
            sender.send(ReviewCommand::EditInitials(initials.clone()));
        }
        text::note(ui, "Stored with every verdict and kept between sessions. Change them in the command palette.");
        !initials.trim().is_empty()
    });
    match answer {
        Some(DialogResult::Confirmed) => sender.send(ReviewCommand::KeepInitials),
        Some(_) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}
