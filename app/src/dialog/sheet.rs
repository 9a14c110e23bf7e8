//! A modal sheet, closed by its button, Esc or a click outside.

use egui::{Align, Align2, Area, Context, Frame, Id, Label, Layout, Margin, Modal, RichText, Role, Stroke, Ui, vec2};

use crate::command::{Sender, WindowCommand};
use crate::theme::{self, font, icon, radius, space};
use crate::widget::IconButton;

/// Width kept for the scroll bar of a sheet.
const BAR: f32 = 14.0;

pub(super) struct Sheet<'a> {
    title: &'a str,
    width: f32,
    top: bool,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(title: &'a str, width: f32) -> Self {
        Self { title, width, top: false }
    }

    /// Near the top and without a header, as a command palette.
    pub(super) fn at_top(mut self) -> Self {
        self.top = true;
        self
    }

    /// Shows the sheet. `controls` fill the header from right to left.
    pub(super) fn show(
        self,
        ctx: &Context,
        sender: &Sender,
        controls: impl FnOnce(&mut Ui),
        content: impl FnOnce(&mut Ui),
    ) {
        let t = theme::tokens(ctx);
        let id = Id::unique(("sheet", self.title));
        let margin = if self.top { space::S } else { space::L };
        let frame = Frame::new()
            .fill(t.raised)
            .stroke(Stroke::new(1.0, t.line_strong))
            .corner_radius(radius::L)
            .shadow(ctx.global_style().visuals.window_shadow)
            .inner_margin(Margin::same(margin as i8));
        // By default an area is 400 points high at most.
        let height = ctx.content_rect().height() - 2.0 * space::XL;
        let area = self.area(id).default_size(vec2(self.width, height));
        let modal = Modal::new(id).area(area).frame(frame).backdrop_color(t.backdrop).show(ctx, |ui| {
            let available = ui.ctx().content_rect().width() - 2.0 * (margin + space::L);
            ui.set_width(self.width.min(available).max(0.0));
            if !self.top {
                self.head(ui, sender, controls);
                // Scroll bars stand beside the text, not on it.
                ui.spacing_mut().scroll.floating_allocated_width = BAR;
            }
            content(ui);
        });
        if modal.should_close() {
            sender.send(WindowCommand::CloseDialog);
        }
    }

    fn area(&self, id: Id) -> Area {
        let area = Modal::default_area(id).accessible_name(self.title).role(Role::Dialog);
        if self.top { area.anchor(Align2::CENTER_TOP, vec2(0.0, 72.0)) } else { area }
    }

    fn head(&self, ui: &mut Ui, sender: &Sender, controls: impl FnOnce(&mut Ui)) {
        let color = theme::tokens(ui).text;
        ui.horizontal(|ui| {
            ui.add(Label::new(RichText::new(self.title).font(font::heading()).color(color)));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let close = ui.add(IconButton::new(icon::CLOSE, "Close dialog").shortcut("Esc"));
                // Initial keyboard focus.
                if ui.memory(|memory| memory.focused().is_none()) {
                    close.request_focus();
                }
                if close.clicked() {
                    sender.send(WindowCommand::CloseDialog);
                }
                controls(ui);
            });
        });
        ui.add_space(space::S);
    }
}
