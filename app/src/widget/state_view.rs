//! Panels and panes without content: empty, loading, failed.

use egui::{Align, Color32, Label, Rect, RichText, ScrollArea, Ui, UiBuilder, pos2, vec2};

use super::{ButtonKind, PushButton, Tone, paint, progress_bar};
use crate::theme::{self, Icon, font, icon, size, space};

const ICON: f32 = 28.0;
const TEXT_WIDTH: f32 = 320.0;
const DETAIL_HEIGHT: f32 = 120.0;

/// A centred column of `height` points in the remaining space.
fn centered<R>(ui: &mut Ui, height: f32, content: impl FnOnce(&mut Ui, f32) -> R) -> R {
    let space = ui.available_rect_before_wrap();
    let width = (space.width() - 2.0 * space::M).clamp(60.0, TEXT_WIDTH);
    let top = (space.center().y - height / 2.0).max(space.top() + space::S).round();
    let column = Rect::from_min_size(pos2((space.center().x - width / 2.0).round(), top), vec2(width, height));
    let layout = egui::Layout::top_down(Align::Center);
    let mut child = ui.new_child(UiBuilder::new().max_rect(column).layout(layout));
    child.spacing_mut().item_spacing.y = 0.0;
    let value = content(&mut child, width);
    ui.advance_cursor_after_rect(space.union(child.min_rect()));
    value
}

fn draw_icon(ui: &mut Ui, icon: Icon, color: Color32) {
    let (rect, _) = ui.allocate_exact_size(vec2(ICON, ICON), egui::Sense::hover());
    paint::icon(ui.painter(), rect.center(), icon, ICON, color);
    ui.add_space(space::M);
}

fn text_height(ui: &Ui, text: &str, font: egui::FontId, width: f32) -> f32 {
    paint::paragraph(ui, text, font, Color32::PLACEHOLDER, width, Align::Center).size().y
}

/// Centred buttons in a row; the index of the clicked one.
fn buttons(ui: &mut Ui, buttons: Vec<PushButton<'_>>) -> Option<usize> {
    let gaps = space::S * buttons.len().saturating_sub(1) as f32;
    let width = buttons.iter().map(|button| button.width(ui)).sum::<f32>() + gaps;
    let mut clicked = None;
    // Two lines if they do not fit in one.
    let layout = egui::Layout::left_to_right(Align::Center).with_main_wrap(true);
    ui.allocate_ui_with_layout(vec2(width.min(ui.available_width()), size::CONTROL), layout, |ui| {
        ui.spacing_mut().item_spacing = vec2(space::S, space::XS);
        for (index, button) in buttons.into_iter().enumerate() {
            if ui.add(button).clicked() {
                clicked = Some(index);
            }
        }
    });
    clicked
}

/// Placeholder for empty content, with a hint.
#[must_use = "call show"]
pub struct EmptyState<'a> {
    icon: Icon,
    text: &'a str,
    action: Option<(&'a str, Option<&'a str>)>,
}

impl<'a> EmptyState<'a> {
    /// `text` is one sentence.
    pub fn new(icon: Icon, text: &'a str) -> Self {
        Self { icon, text, action: None }
    }

    /// Adds a button.
    pub fn action(mut self, label: &'a str, shortcut: Option<&'a str>) -> Self {
        self.action = Some((label, shortcut));
        self
    }

    /// Shows it in the remaining space; true if the button was clicked.
    pub fn show(self, ui: &mut Ui) -> bool {
        let t = theme::tokens(ui);
        let width = (ui.available_width() - 2.0 * space::M).clamp(60.0, TEXT_WIDTH);
        let action = if self.action.is_some() { space::L + size::CONTROL } else { 0.0 };
        let height = ICON + space::M + text_height(ui, self.text, font::body(), width) + action;
        centered(ui, height, |ui, _| {
            draw_icon(ui, self.icon, t.text_dim.gamma_multiply(0.7));
            ui.add(Label::new(RichText::new(self.text).font(font::body()).color(t.text_dim)).wrap());
            let Some((label, shortcut)) = self.action else { return false };
            ui.add_space(space::L);
            let mut button = PushButton::new(label);
            if let Some(shortcut) = shortcut {
                button = button.shortcut(shortcut);
            }
            buttons(ui, vec![button]).is_some()
        })
    }
}

/// Loading.
#[must_use = "call show"]
pub struct LoadingState<'a> {
    text: &'a str,
    fraction: Option<f32>,
    cancel: bool,
}

impl<'a> LoadingState<'a> {
    /// `text` says what is loaded; `fraction` is 0 to 1 if known.
    pub fn new(text: &'a str, fraction: Option<f32>) -> Self {
        Self { text, fraction, cancel: false }
    }

    /// Adds a cancel button.
    pub fn cancel(mut self) -> Self {
        self.cancel = true;
        self
    }

    /// Shows it in the remaining space; true if it was cancelled.
    pub fn show(self, ui: &mut Ui) -> bool {
        let t = theme::tokens(ui);
        let width = (ui.available_width() - 2.0 * space::M).clamp(60.0, TEXT_WIDTH);
        let action = if self.cancel { space::L + size::CONTROL } else { 0.0 };
        let height = text_height(ui, self.text, font::body(), width) + space::M + 3.0 + action;
        centered(ui, height, |ui, width| {
            ui.add(Label::new(RichText::new(self.text).font(font::body()).color(t.text_dim)).wrap());
            ui.add_space(space::M);
            progress_bar(ui, self.text, self.fraction, width.min(200.0));
            if !self.cancel {
                return false;
            }
            ui.add_space(space::L);
            buttons(ui, vec![PushButton::new("Cancel").kind(ButtonKind::Quiet)]).is_some()
        })
    }
}

/// An error.
#[must_use = "call show"]
pub struct ErrorState<'a> {
    title: &'a str,
    detail: &'a str,
    retry: Option<&'a str>,
}

impl<'a> ErrorState<'a> {
    /// What failed, and in `detail` why; the detail can be copied.
    pub fn new(title: &'a str, detail: &'a str) -> Self {
        Self { title, detail, retry: None }
    }

    /// Adds a button, such as "Try again".
    pub fn retry(mut self, label: &'a str) -> Self {
        self.retry = Some(label);
        self
    }

    /// Shows it in the remaining space; true if the button was clicked.
    pub fn show(self, ui: &mut Ui) -> bool {
        let t = theme::tokens(ui);
        let width = (ui.available_width() - 2.0 * space::M).clamp(60.0, TEXT_WIDTH);
        let detail_height = text_height(ui, self.detail, font::mono(), width).min(DETAIL_HEIGHT);
        let title_height = text_height(ui, self.title, font::strong(), width);
        let height = ICON + space::M + title_height + space::S + detail_height + space::L + size::CONTROL;
        centered(ui, height, |ui, _| {
            draw_icon(ui, icon::ERROR, Tone::Error.color(t));
            ui.add(Label::new(RichText::new(self.title).font(font::strong()).color(t.text)).wrap());
            ui.add_space(space::S);
            ScrollArea::vertical().id_salt(("error detail", self.title)).max_height(DETAIL_HEIGHT).show(ui, |ui| {
                let text = RichText::new(self.detail).font(font::mono()).color(t.text_dim);
                ui.add(Label::new(text).wrap().selectable(true));
            });
            ui.add_space(space::L);
            let mut row = Vec::new();
            row.extend(self.retry.map(|label| PushButton::new(label).icon(icon::RETRY)));
            row.push(PushButton::new("Copy details").icon(icon::COPY).kind(ButtonKind::Quiet));
            let copy = row.len() - 1;
            match buttons(ui, row) {
                Some(index) if index == copy => {
                    ui.ctx().copy_text(format!("{}\n{}", self.title, self.detail));
                    false
                }
                clicked => clicked.is_some(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::Queryable as _;

    #[test]
    fn the_empty_state_offers_its_action() {
        let mut harness = harness(
            |ui, asked: &mut bool| {
                *asked |=
                    EmptyState::new(icon::IMAGES, "No case is open").action("Open files", Some("Ctrl+O")).show(ui);
            },
            false,
        );
        assert!(harness.query_by_label("No case is open").is_some());
        harness.get_by_label("Open files").click();
        harness.run();
        assert!(*harness.state());
    }

    #[test]
    fn an_error_can_be_copied_in_full_and_retried() {
        let mut harness = harness(
            |ui, retries: &mut i32| {
                let state = ErrorState::new("The image could not be read", "scan.nii.gz: the checksum is wrong");
                *retries += i32::from(state.retry("Try again").show(ui));
            },
            0,
        );
        harness.get_by_label("Copy details").click();
        harness.step();
        let copied = harness.output().platform_output.commands.iter().any(|command| {
            matches!(command, egui::OutputCommand::CopyText(text)
                if text == "The image could not be read\nscan.nii.gz: the checksum is wrong")
        });
        assert!(copied);
        harness.run();
        assert_eq!(*harness.state(), 0, "copying is not trying again");
        harness.get_by_label("Try again").click();
        harness.run();
        assert_eq!(*harness.state(), 1);
    }

    #[test]
    fn loading_can_be_cancelled() {
        let mut harness = harness(
            |ui, cancelled: &mut bool| {
                *cancelled |= LoadingState::new("Reading scan.nii.gz", Some(0.3)).cancel().show(ui);
            },
            false,
        );
        harness.get_by_label("Cancel").click();
        harness.run();
        assert!(*harness.state());
    }
}
