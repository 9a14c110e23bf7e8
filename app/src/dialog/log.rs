//! All messages of the session, newest first.

use egui::{Context, Label, RichText, ScrollArea, Ui};

use super::sheet::Sheet;
use crate::command::Sender;
use crate::panel::toasts;
use crate::state::{Notice, Severity, State};
use crate::theme::{self, font, icon, space};
use crate::widget::text;
use crate::widget::{ButtonKind, PushButton};

const WIDTH: f32 = 640.0;

pub(super) fn show(ctx: &Context, state: &State, sender: &Sender) {
    let height = (ctx.content_rect().height() - 160.0).clamp(120.0, 520.0);
    let copy = |ui: &mut Ui| {
        let button = PushButton::new("Copy all").icon(icon::COPY).kind(ButtonKind::Quiet);
        if ui.add_enabled(!state.notices.is_empty(), button).clicked() {
            ui.ctx().copy_text(all_text(&state.notices));
        }
    };
    Sheet::new("Messages", WIDTH).show(ctx, sender, copy, |ui| {
        if state.notices.is_empty() {
            text::sentence(ui, "No messages in this session.");
            return;
        }
        ScrollArea::vertical().max_height(height).min_scrolled_height(height).auto_shrink([false, true]).show(
            ui,
            |ui| {
                for notice in state.notices.iter().rev() {
                    entry(ui, notice);
                }
            },
        );
    });
}

fn entry(ui: &mut Ui, notice: &Notice) {
    let t = theme::tokens(ui);
    let (drawing, tone) = toasts::mark(notice.severity);
    text::with_icon(ui, drawing, tone.color(t), |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.add(Label::new(RichText::new(notice.heading()).font(font::strong()).color(t.text)).wrap());
        if !notice.detail.is_empty() {
            let detail = RichText::new(&notice.detail).font(font::mono()).color(t.text_dim);
            ui.add(Label::new(detail).wrap().selectable(true));
        }
    });
    ui.add_space(space::S);
}

/// All messages as text, oldest first.
fn all_text(notices: &[Notice]) -> String {
    let line = |notice: &Notice| {
        let severity = match notice.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let detail = if notice.detail.is_empty() { String::new() } else { format!(": {}", notice.detail) };
        format!("{severity}: {}{detail}", notice.heading())
    };
    notices.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_copied_with_severities() {
        let mut state = State::default();
        state.notice(Severity::Info, "Saved", "a.nii.gz");
        state.notice(Severity::Error, "Failed", "");
        assert_eq!(all_text(&state.notices), "info: Saved: a.nii.gz\nerror: Failed");
    }
}
