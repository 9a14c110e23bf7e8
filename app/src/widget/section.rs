//! A collapsible section of a panel.

use egui::collapsing_header::CollapsingState;
use egui::{Align, Align2, Layout, Rect, Response, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::paint;
use crate::theme::{self, font, icon, radius, size, space};

/// A collapsible section. Its state is saved with the window layout.
#[must_use = "call show"]
pub struct Section<'a> {
    title: &'a str,
    note: Option<&'a str>,
    default_open: bool,
}

impl<'a> Section<'a> {
    /// An open section.
    pub fn new(title: &'a str) -> Self {
        Self { title, note: None, default_open: true }
    }

    /// Initially closed.
    pub fn closed(mut self) -> Self {
        self.default_open = false;
        self
    }

    /// A short note beside the title, for example a count.
    pub fn note(mut self, note: &'a str) -> Self {
        self.note = Some(note);
        self
    }

    /// Shows the section. The response is that of the header.
    pub fn show<R>(self, ui: &mut Ui, content: impl FnOnce(&mut Ui) -> R) -> (Response, Option<R>) {
        self.show_with(ui, |_| (), content)
    }

    /// The same with controls in the header, laid out from right to left.
    pub fn show_with<R>(
        self,
        ui: &mut Ui,
        controls: impl FnOnce(&mut Ui),
        content: impl FnOnce(&mut Ui) -> R,
    ) -> (Response, Option<R>) {
        let id = ui.make_persistent_id(("section", self.title));
        let mut state = CollapsingState::load_with_default_open(ui, id, self.default_open);
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), size::ROW), Sense::hover());
        let response = ui.interact(rect, id.with("header"), Sense::click());
        if response.clicked() {
            state.toggle(ui);
        }
        let open = state.is_open();
        response.widget_info(|| WidgetInfo::labeled(Role::DisclosureTriangle, ui.is_enabled(), self.title));
        ui.accesskit_node_builder(response.id, |node| node.set_expanded(open));
        let builder = UiBuilder::new().max_rect(rect).layout(Layout::right_to_left(Align::Center)).id_salt(id);
        let mut header = ui.new_child(builder);
        header.spacing_mut().item_spacing.x = 2.0;
        controls(&mut header);
        if ui.is_rect_visible(rect) {
            // The note gives way to the controls.
            let used = header.min_rect();
            let right = if used.width() > 0.0 { used.left() - space::XS } else { rect.right() };
            self.paint_header(ui, rect, right, &response, open);
        }
        let body = state.show_body_unindented(ui, |ui| {
            let value = content(ui);
            ui.add_space(space::S);
            value
        });
        (response, body.map(|body| body.inner))
    }

    fn paint_header(&self, ui: &Ui, rect: Rect, right: f32, response: &Response, open: bool) {
        let t = theme::tokens(ui);
        let painter = ui.painter();
        let chevron = if open { icon::CHEVRON_DOWN } else { icon::CHEVRON_RIGHT };
        let quiet = if response.hovered() { t.text } else { t.text_dim };
        paint::icon(painter, pos2(rect.left() + 6.0, rect.center().y), chevron, size::ICON_SMALL, quiet);
        let left = rect.left() + size::ICON_SMALL + space::XS;
        let title = paint::line(ui, self.title, font::strong(), t.text, right - left);
        let title = paint::put(painter, pos2(left, rect.center().y), Align2::LEFT_CENTER, title);
        if let Some(note) = self.note {
            let left = title.right() + space::S;
            let note = paint::line(ui, note, font::caption(), t.text_dim, right - left);
            paint::put(painter, pos2(left, rect.center().y), Align2::LEFT_CENTER, note);
        }
        paint::focus_ring(ui, response, rect.expand2(vec2(space::XS, 0.0)), radius::M);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::{NodeT as _, Queryable as _};

    #[test]
    fn the_header_collapses_and_expands_the_content() {
        let mut harness = harness(
            |ui, (): &mut ()| {
                Section::new("Layers").note("2").show(ui, |ui| ui.label("inside"));
                Section::new("Runs").closed().show(ui, |ui| ui.label("hidden"));
            },
            (),
        );
        harness.run();
        assert!(harness.query_by_label("inside").is_some());
        assert!(harness.query_by_label("hidden").is_none());
        assert_eq!(harness.get_by_label("Layers").accesskit_node().data().is_expanded(), Some(true));
        for name in ["Layers", "Runs"] {
            harness.get_by_label(name).click();
            harness.run();
        }
        assert!(harness.query_by_label("inside").is_none());
        assert!(harness.query_by_label("hidden").is_some());
    }
}
