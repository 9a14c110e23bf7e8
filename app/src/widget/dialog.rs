//! A modal question.

use egui::{Align, Context, Frame, Id, Key, Label, Layout, Margin, Modal, Modifiers, RichText, Role, Stroke, Ui, vec2};

use super::{ButtonKind, PushButton, Tone, paint};
use crate::theme::{self, Icon, font, radius, size, space};

/// Answer to a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogResult {
    /// The default action, by button or Enter.
    Confirmed,
    /// The third button.
    Alternative,
    /// Cancel or Esc.
    Cancelled,
}

/// A modal dialog with title, content and buttons.
///
/// Enter is the default action and Esc cancels. A click outside does nothing.
#[must_use = "call show"]
pub struct Dialog<'a> {
    title: &'a str,
    text: &'a str,
    icon: Option<(Icon, Tone)>,
    confirm: &'a str,
    danger: bool,
    enabled: bool,
    alternative: Option<&'a str>,
    cancel: Option<&'a str>,
    width: f32,
}

impl<'a> Dialog<'a> {
    /// A dialog with the default action `confirm` and a Cancel button.
    pub fn new(title: &'a str, confirm: &'a str) -> Self {
        Self {
            title,
            text: "",
            icon: None,
            confirm,
            danger: false,
            enabled: true,
            alternative: None,
            cancel: Some("Cancel"),
            width: 420.0,
        }
    }

    /// A paragraph above the content.
    pub fn text(mut self, text: &'a str) -> Self {
        self.text = text;
        self
    }

    /// An icon beside the title.
    pub fn icon(mut self, icon: Icon, tone: Tone) -> Self {
        self.icon = Some((icon, tone));
        self
    }

    /// The default action is destructive.
    pub fn danger(mut self) -> Self {
        self.danger = true;
        self
    }

    /// Whether the default action is enabled.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// A third button.
    pub fn alternative(mut self, label: &'a str) -> Self {
        self.alternative = Some(label);
        self
    }

    /// Label of the cancel button; without one Esc still closes the dialog.
    pub fn cancel(mut self, label: Option<&'a str>) -> Self {
        self.cancel = label;
        self
    }

    /// Width in points, by default 420.
    pub fn width(mut self, width: f32) -> Self {
        self.width = width;
        self
    }

    /// Shows the dialog. Returns the answer in the frame in which it is given.
    pub fn show(self, ctx: &Context, content: impl FnOnce(&mut Ui)) -> Option<DialogResult> {
        let enabled = self.enabled;
        self.show_checked(ctx, |ui| {
            content(ui);
            enabled
        })
    }

    /// As [`Dialog::show`], for content that decides whether the default action is enabled, including text typed in
    /// this frame.
    pub fn show_checked(mut self, ctx: &Context, content: impl FnOnce(&mut Ui) -> bool) -> Option<DialogResult> {
        let t = theme::tokens(ctx);
        let id = Id::unique(("dialog", self.title));
        let opened = !ctx.memory(|memory| memory.areas().visible_last_frame(&Modal::default_area(id).layer()));
        let frame = Frame::new()
            .fill(t.raised)
            .stroke(Stroke::new(1.0, t.line_strong))
            .corner_radius(radius::L)
            .shadow(ctx.global_style().visuals.window_shadow)
            .inner_margin(Margin::same(space::XL as i8 - 4));
        let area = Modal::default_area(id).accessible_name(self.title).role(Role::Dialog);
        let available = ctx.content_rect().width() - 2.0 * space::XL;
        let modal = Modal::new(id).area(area).frame(frame).backdrop_color(t.backdrop).show(ctx, |ui| {
            ui.set_width(self.width.min(available).max(0.0));
            ui.spacing_mut().item_spacing.y = space::S;
            self.head(ui);
            self.enabled = content(ui);
            ui.add_space(space::M);
            self.buttons(ui, opened)
        });
        let mut result = modal.inner;
        if modal.is_top_modal && !modal.any_popup_open && result.is_none() {
            if ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
                result = Some(DialogResult::Cancelled);
            } else if self.enabled && ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter)) {
                result = Some(DialogResult::Confirmed);
            }
        }
        result
    }

    fn head(&self, ui: &mut Ui) {
        let t = theme::tokens(ui);
        ui.horizontal(|ui| {
            if let Some((icon, tone)) = self.icon {
                let (rect, _) = ui.allocate_exact_size(vec2(20.0, 22.0), egui::Sense::hover());
                paint::icon(ui.painter(), rect.center(), icon, 18.0, tone.color(t));
            }
            ui.add(Label::new(RichText::new(self.title).font(font::heading()).color(t.text)).wrap());
        });
        if !self.text.is_empty() {
            ui.add(Label::new(RichText::new(self.text).font(font::body()).color(t.text_dim)).wrap());
        }
    }

    /// The buttons, the default one last. Enter presses a focused button.
    fn buttons(&self, ui: &mut Ui, opened: bool) -> Option<DialogResult> {
        let mut result = None;
        let mut focused = false;
        let row = vec2(ui.available_width(), size::CONTROL);
        ui.allocate_ui_with_layout(row, Layout::right_to_left(Align::Center), |ui| {
            let kind = if self.danger { ButtonKind::Danger } else { ButtonKind::Primary };
            let confirm = ui.add_enabled(self.enabled, PushButton::new(self.confirm).kind(kind));
            if opened && self.enabled && ui.memory(|memory| memory.focused().is_none()) {
                confirm.request_focus();
            }
            let mut add = |response: egui::Response, meaning| {
                focused |= response.has_focus();
                if response.clicked() {
                    result = Some(meaning);
                }
            };
            add(confirm, DialogResult::Confirmed);
            if let Some(label) = self.cancel {
                add(ui.add(PushButton::new(label)), DialogResult::Cancelled);
            }
            if let Some(label) = self.alternative {
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    add(ui.add(PushButton::new(label).kind(ButtonKind::Quiet)), DialogResult::Alternative);
                });
            }
        });
        if focused && result.is_none() {
            // Enter presses this focused button instead of the default one.
            ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::Harness;
    use egui_kittest::kittest::{NodeT as _, Queryable as _};

    struct State {
        open: bool,
        name: String,
        answers: Vec<DialogResult>,
        behind: i32,
    }

    fn question() -> Harness<'static, State> {
        let state = State { open: true, name: "mask.nii.gz".to_owned(), answers: Vec::new(), behind: 0 };
        harness(
            |ui, state: &mut State| {
                state.behind += i32::from(ui.add(PushButton::new("Behind").fill_width()).clicked());
                if !state.open {
                    return;
                }
                let dialog = Dialog::new("Replace the file?", "Replace").danger().alternative("Save elsewhere");
                let dialog = dialog.text("A file of this name exists.").enabled(!state.name.is_empty());
                let answer = dialog.show(ui.ctx(), |ui| {
                    ui.text_edit_singleline(&mut state.name).accessible_name("File name");
                });
                if let Some(answer) = answer {
                    state.answers.push(answer);
                    state.open = false;
                }
            },
            state,
        )
    }

    #[test]
    fn the_dialog_is_named_by_its_title_and_focuses_the_default_action() {
        let mut harness = question();
        harness.run();
        assert!(harness.query_by_role_and_label(Role::Dialog, "Replace the file?").is_some());
        assert!(harness.get_by_label("Replace").is_focused());
    }

    #[test]
    fn enter_confirms_once_and_escape_cancels() {
        for (key, expected) in [(Key::Enter, DialogResult::Confirmed), (Key::Escape, DialogResult::Cancelled)] {
            let mut harness = question();
            harness.run();
            harness.key_press(key);
            harness.run();
            assert_eq!(harness.state().answers, [expected], "{key:?}");
        }
    }

    #[test]
    fn enter_in_a_text_field_confirms() {
        let mut harness = question();
        harness.run();
        harness.get_by_label("File name").focus();
        harness.run();
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(harness.state().answers, [DialogResult::Confirmed]);
    }

    #[test]
    fn enter_presses_the_focused_button() {
        let mut harness = question();
        harness.run();
        harness.get_by_label("Save elsewhere").focus();
        harness.run();
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(harness.state().answers, [DialogResult::Alternative]);
    }

    #[test]
    fn keys_consumed_by_a_field_do_not_answer_the_dialog() {
        for (key, value) in [(Key::Enter, "99999"), (Key::Escape, "5")] {
            let mut harness = harness(
                |ui, (spacing, answers): &mut (f32, i32)| {
                    let answer = Dialog::new("Spacing", "Use").show(ui.ctx(), |ui| {
                        crate::widget::NumberField::new(spacing, "Distance")
                            .range(0.1..=20.0)
                            .decimals(1)
                            .unit("mm")
                            .show(ui);
                    });
                    *answers += i32::from(answer.is_some());
                },
                (3.0, 0),
            );
            harness.run();
            harness.get_by_label("Distance").focus();
            harness.run();
            harness.get_by_label("Distance").type_text(value);
            harness.run();
            harness.key_press(key);
            harness.run();
            assert_eq!(*harness.state(), (3.0, 0), "{key:?}");
        }
    }

    #[test]
    fn a_disabled_default_action_is_not_confirmed() {
        let mut harness = question();
        harness.state_mut().name.clear();
        harness.run();
        assert!(harness.get_by_label("Replace").accesskit_node().is_disabled());
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(harness.state().answers, []);
    }

    #[test]
    fn clicks_outside_the_dialog_have_no_effect() {
        let mut harness = question();
        harness.run();
        harness.get_by_label("Behind").click();
        harness.run();
        assert_eq!(harness.state().behind, 0);
        assert_eq!(harness.state().answers, []);
        assert!(harness.state().open);
    }
}
