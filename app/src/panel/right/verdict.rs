//! The verdict on the open case, its comment, and the buttons that decide.

use egui::{Align, Id, Key, Layout, Margin, RichText, Role, TextEdit, Ui, WidgetInfo};
use engine::review::{Entry, Verdict};

use super::super::verdict::{icon_of, tone_of};
use crate::command::train::NO_RUN;
use crate::command::{ReviewCommand, Sender, TrainCommand, labels};
use crate::state::intent::LabelScope;
use crate::state::{Intent, ReviewStep, State};
use crate::theme::{self, font, icon, size, space};
use crate::widget::{Badge, IconButton, PushButton, text};

/// Draws them, if the open case is one of the list.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let Some((case, _)) = state.reviewed() else { return };
    let review = &state.cases.review;
    let (verdict, entry) = (review.verdict(&case.name), review.entry(&case.name));
    row(ui, &case.name, verdict, entry, sender);
    next_run(ui, state, sender);
    match (&review.comment, entry.map(|entry| entry.comment.as_str())) {
        (Some(typed), _) => field(ui, &case.name, typed, sender),
        (None, Some(comment)) if !comment.is_empty() => drop(text::sentence(ui, comment)),
        _ => {}
    }
    ui.add_space(space::XS);
}

/// The verdict and its buttons in one row, to leave room for the findings below.
fn row(ui: &mut Ui, case: &str, verdict: Verdict, entry: Option<&Entry>, sender: &Sender) {
    let size = egui::vec2(ui.available_width(), size::CONTROL);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        buttons(ui, verdict, sender);
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let badge = ui.add(Badge::new(verdict.name()).icon(icon_of(verdict)).tone(tone_of(verdict)));
            let label = format!("Verdict of {case}: {}", verdict.name());
            badge.widget_info(|| WidgetInfo::labeled(Role::Label, true, &label));
            if let Some(entry) = entry.filter(|entry| !entry.reviewer.is_empty()) {
                // The initials alone have room beside the longest verdict.
                let (color, spent) = (theme::tokens(ui).text_dim, format!("{:.0} s spent on this case", entry.seconds));
                text::line(ui, RichText::new(&entry.reviewer).font(font::caption()).color(color))
                    .on_hover_text(format!("Reviewer {}, {spent}", entry.reviewer));
            }
        });
    });
}

/// Laid out from the right.
fn buttons(ui: &mut Ui, verdict: Verdict, sender: &Sender) {
    let step = |step| sender.send(ReviewCommand::Step(step));
    if ui.add(IconButton::new(icon::COMMENT, "Comment on this case").shortcut("C")).clicked() {
        sender.send(ReviewCommand::OpenComment);
    }
    let second = verdict == Verdict::SecondLook;
    let flag = IconButton::new(icon_of(Verdict::SecondLook), "Needs a second look").selected(second);
    if ui.add(flag).clicked() {
        let verdict = if second { Verdict::ToDo } else { Verdict::SecondLook };
        step(ReviewStep::Decide { verdict, next: false });
    }
    let reject = IconButton::new(icon_of(Verdict::Rejected), "Reject and go to the next case").shortcut("X");
    if ui.add(reject.selected(verdict == Verdict::Rejected)).clicked() {
        step(ReviewStep::Decide { verdict: Verdict::Rejected, next: true });
    }
    let accepted = matches!(verdict, Verdict::Accepted | Verdict::Corrected);
    let accept = IconButton::new(icon_of(Verdict::Accepted), "Accept and go to the next case").shortcut("Enter");
    if ui.add(accept.selected(accepted)).clicked() {
        step(ReviewStep::Accept);
    }
}

/// Buttons that keep reviewed masks for the next run and set that run up.
fn next_run(ui: &mut Ui, state: &State, sender: &Sender) {
    ui.add_space(space::XS);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        let hint = "Keep this segmentation for the next fine-tuning run, with your initials and the model";
        let add = ui.add_enabled(labels::can_add(state), PushButton::new("Add to training").icon(icon::ADD));
        let missing = "This case has no segmentation. Press Segment now, or open one.";
        if add.on_hover_text(hint).on_disabled_hover_text(missing).clicked() {
            sender.send(Intent::AddToLabels(LabelScope::OpenCase { replace: false }));
        }
        let count = labels::reviewed_count(state);
        let all = format!("Add all {count} accepted and corrected cases to training");
        if ui.add_enabled(count > 0, IconButton::new(icon::LIST, &all).small()).clicked() {
            sender.send(Intent::AddToLabels(LabelScope::Reviewed));
        }
        let model = state.session.runs.segment.is_some();
        let retrain = ui.add_enabled(model, IconButton::new(icon::TRAIN, "Continue fine-tuning").small());
        if retrain.on_disabled_hover_text(NO_RUN).clicked() {
            sender.send(TrainCommand::Retrain(None));
        }
    });
}

/// The comment field. Enter keeps the comment, Escape discards it.
fn field(ui: &mut Ui, case: &str, typed: &str, sender: &Sender) {
    let t = theme::tokens(ui);
    let id = Id::unique(("comment on", case));
    let mut comment = typed.to_owned();
    let field = TextEdit::singleline(&mut comment)
        .id(id)
        .font(font::body())
        .text_color(t.text)
        .hint_text(RichText::new(format!("Comment on {case}")).font(font::body()).color(t.text_dim))
        .margin(Margin::symmetric(6, 5))
        .cursor_at_end(true)
        .desired_width(f32::INFINITY);
    // Asked before the context's data is locked.
    let now = ui.ctx().cumulative_frame_nr();
    let drawn: Option<u64> = ui.data_mut(|data| {
        let before = data.get_temp(id);
        data.insert_temp(id, now);
        before
    });
    let is_new = drawn.is_none_or(|frame| frame + 1 < now);
    let response = ui.add(field).accessible_name("Comment");
    if is_new {
        response.request_focus();
    }
    if response.changed() {
        sender.send(ReviewCommand::EditComment(comment.clone()));
    }
    if response.lost_focus() {
        if ui.input(|input| input.key_pressed(Key::Escape)) {
            sender.send(ReviewCommand::CloseComment);
        } else if ui.input(|input| input.key_pressed(Key::Enter)) {
            sender.send(ReviewCommand::Step(ReviewStep::Comment(comment)));
        }
    }
    text::note(ui, "Enter keeps the comment, Esc discards it.");
}
