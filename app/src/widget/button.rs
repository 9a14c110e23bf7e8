//! Icon buttons and text buttons.

use egui::{Align2, Color32, Response, Role, Sense, Stroke, StrokeKind, Ui, Vec2, Widget, WidgetInfo, pos2, vec2};

use super::{keycap, paint};
use crate::theme::{self, Icon, Tokens, font, radius, size, space};

/// A square icon button with label and shortcut in its tooltip.
#[must_use = "add it to a Ui"]
pub struct IconButton<'a> {
    icon: Icon,
    label: &'a str,
    shortcut: Option<&'a str>,
    selected: Option<bool>,
    side: f32,
}

impl<'a> IconButton<'a> {
    /// `label` is its accessible name and tooltip.
    pub fn new(icon: Icon, label: &'a str) -> Self {
        Self { icon, label, shortcut: None, selected: None, side: size::CONTROL }
    }

    /// The shortcut, for the tooltip.
    pub fn shortcut(mut self, shortcut: &'a str) -> Self {
        self.shortcut = Some(shortcut);
        self
    }

    /// Makes it a toggle button.
    pub fn selected(mut self, selected: bool) -> Self {
        self.selected = Some(selected);
        self
    }

    /// Smaller, for use inside rows and headers.
    pub fn small(mut self) -> Self {
        self.side = size::ROW_DENSE;
        self
    }

    fn colors(&self, response: &Response, t: &Tokens) -> (Color32, Color32) {
        if self.selected == Some(true) {
            return (paint::selectable_fill(response, t, true), t.accent_text);
        }
        let lit = response.hovered() || response.has_focus();
        (paint::fill(response, t, Color32::TRANSPARENT), if lit { t.text } else { t.text_dim })
    }
}

impl Widget for IconButton<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(self.side), Sense::click());
        let enabled = ui.is_enabled();
        response.widget_info(|| match self.selected {
            Some(selected) => WidgetInfo::selected(Role::Button, enabled, selected, self.label),
            None => WidgetInfo::labeled(Role::Button, enabled, self.label),
        });
        if ui.is_rect_visible(rect) {
            let t = theme::tokens(ui);
            let (fill, color) = self.colors(&response, t);
            ui.painter().rect_filled(rect, radius::M, fill);
            let icon_size = if self.side < size::CONTROL { size::ICON_SMALL + 1.0 } else { size::ICON };
            paint::icon(ui.painter(), rect.center(), self.icon, icon_size, color);
            paint::focus_ring(ui, &response, rect, radius::M);
        }
        keycap::tip(response, self.label, self.shortcut)
    }
}

/// Emphasis of a button.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ButtonKind {
    /// The main action of a panel or dialog.
    Primary,
    /// Any other action.
    #[default]
    Secondary,
    /// A minor action.
    Quiet,
    /// A destructive action.
    Danger,
}

/// A button with text.
#[must_use = "add it to a Ui"]
pub struct PushButton<'a> {
    label: &'a str,
    icon: Option<Icon>,
    kind: ButtonKind,
    shortcut: Option<&'a str>,
    selected: Option<bool>,
    fill_width: bool,
}

impl<'a> PushButton<'a> {
    /// A secondary button.
    pub fn new(label: &'a str) -> Self {
        Self { label, icon: None, kind: ButtonKind::Secondary, shortcut: None, selected: None, fill_width: false }
    }

    /// The primary action.
    pub fn primary(label: &'a str) -> Self {
        Self::new(label).kind(ButtonKind::Primary)
    }

    /// Its emphasis.
    pub fn kind(mut self, kind: ButtonKind) -> Self {
        self.kind = kind;
        self
    }

    /// An icon in front of the text.
    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = Some(icon);
        self
    }

    /// The shortcut, for the tooltip.
    pub fn shortcut(mut self, shortcut: &'a str) -> Self {
        self.shortcut = Some(shortcut);
        self
    }

    /// Makes it a toggle button.
    pub fn selected(mut self, selected: bool) -> Self {
        self.selected = Some(selected);
        self
    }

    /// As wide as the available space.
    pub fn fill_width(mut self) -> Self {
        self.fill_width = true;
        self
    }

    fn padding(&self) -> f32 {
        if self.kind == ButtonKind::Quiet { space::S } else { space::M }
    }

    fn icon_width(&self) -> f32 {
        if self.icon.is_some() { size::ICON + space::XS + 2.0 } else { 0.0 }
    }

    /// Preferred width in points.
    pub(super) fn width(&self, ui: &Ui) -> f32 {
        let text = paint::line(ui, self.label, font::body(), Color32::PLACEHOLDER, f32::INFINITY).size().x;
        self.icon_width() + text + 2.0 * self.padding()
    }

    /// Fill, border and text.
    fn colors(&self, response: &Response, t: &Tokens) -> (Color32, Color32, Color32) {
        if !response.enabled() {
            let fill = if self.kind == ButtonKind::Quiet { Color32::TRANSPARENT } else { t.disabled };
            return (fill, Color32::TRANSPARENT, t.on_disabled);
        }
        let lit = response.hovered();
        if self.selected == Some(true) {
            return (paint::selectable_fill(response, t, true), t.accent_text, t.accent_text);
        }
        match self.kind {
            ButtonKind::Primary => (if lit { t.accent_hover } else { t.accent }, Color32::TRANSPARENT, t.on_accent),
            ButtonKind::Secondary => (paint::fill(response, t, t.raised), t.line_strong, t.text),
            ButtonKind::Quiet => {
                let text = if lit || response.has_focus() { t.text } else { t.text_dim };
                (paint::fill(response, t, Color32::TRANSPARENT), Color32::TRANSPARENT, text)
            }
            ButtonKind::Danger => {
                (t.error.gamma_multiply(if lit { 0.9 } else { 1.0 }), Color32::TRANSPARENT, t.on_error)
            }
        }
    }
}

impl Widget for PushButton<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let t = theme::tokens(ui);
        let available = ui.available_width();
        let (icon_width, padding) = (self.icon_width(), self.padding());
        let galley =
            paint::line(ui, self.label, font::body(), Color32::PLACEHOLDER, available - icon_width - 2.0 * padding);
        let content = icon_width + galley.size().x;
        let width = if self.fill_width { available } else { content + 2.0 * padding };
        let (rect, response) = ui.allocate_exact_size(vec2(width, size::CONTROL), Sense::click());
        let enabled = ui.is_enabled();
        response.widget_info(|| match self.selected {
            Some(selected) => WidgetInfo::selected(Role::Button, enabled, selected, self.label),
            None => WidgetInfo::labeled(Role::Button, enabled, self.label),
        });
        if ui.is_rect_visible(rect) {
            let (fill, border, text) = self.colors(&response, t);
            let painter = paint::readable(ui);
            painter.rect(rect, radius::M, fill, Stroke::new(1.0, border), StrokeKind::Inside);
            let mut x = rect.center().x - content / 2.0;
            if let Some(icon) = self.icon {
                paint::icon(&painter, pos2(x + size::ICON / 2.0, rect.center().y), icon, size::ICON, text);
                x += icon_width;
            }
            let pos = Align2::LEFT_CENTER.anchor_size(pos2(x, rect.center().y), galley.size()).min;
            painter.galley(pos, galley, text);
            if response.has_focus() {
                // A gap separates the ring from the primary fill, whose hue is similar.
                let inner = rect.shrink(size::FOCUS_RING);
                ui.painter().rect_stroke(inner, radius::M - 1, Stroke::new(1.0, t.panel), StrokeKind::Inside);
            }
            paint::focus_ring(ui, &response, rect, radius::M);
        }
        match self.shortcut {
            Some(_) => keycap::tip(response, self.label, self.shortcut),
            None => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::icon;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::{NodeT as _, Queryable as _};

    #[test]
    fn icon_button_is_found_by_its_label_and_clicked() {
        let mut harness = harness(
            |ui, clicks: &mut i32| {
                *clicks +=
                    i32::from(ui.add(IconButton::new(icon::RULER, "Ruler").shortcut("5").selected(true)).clicked());
            },
            0,
        );
        let node = harness.get_by_label("Ruler");
        assert_eq!(node.accesskit_node().toggled(), Some(egui::accesskit::Toggled::True));
        assert_eq!(node.rect().size(), Vec2::splat(size::CONTROL));
        node.click();
        harness.run();
        assert_eq!(*harness.state(), 1);
    }

    #[test]
    fn buttons_are_pressed_by_keyboard() {
        let mut harness = harness(
            |ui, clicks: &mut i32| {
                *clicks += i32::from(ui.add(PushButton::primary("Segment")).clicked());
            },
            0,
        );
        harness.key_press(egui::Key::Tab);
        harness.run();
        assert!(harness.get_by_label("Segment").is_focused());
        harness.key_press(egui::Key::Enter);
        harness.run();
        assert_eq!(*harness.state(), 1);
    }

    #[test]
    fn disabled_buttons_do_nothing() {
        let mut harness = harness(
            |ui, clicks: &mut i32| {
                *clicks += i32::from(ui.add_enabled(false, PushButton::new("Save")).clicked());
            },
            0,
        );
        harness.get_by_label("Save").click();
        harness.run();
        assert_eq!(*harness.state(), 0);
        assert!(harness.get_by_label("Save").accesskit_node().is_disabled());
    }

    #[test]
    fn the_colours_of_a_disabled_button_are_not_faded() {
        let mut harness = harness(
            |ui, opacities: &mut Vec<f32>| {
                ui.add_enabled_ui(false, |ui| *opacities = vec![ui.painter().opacity(), paint::readable(ui).opacity()]);
            },
            Vec::new(),
        );
        harness.run();
        let [faded, readable] = harness.state()[..] else { panic!("two opacities") };
        assert!(faded < 0.9 && (readable - 1.0).abs() < 1e-6, "{faded} {readable}");
    }

    #[test]
    fn the_tooltip_shows_label_and_shortcut() {
        let mut harness =
            harness(|ui, (): &mut ()| drop(ui.add(IconButton::new(icon::SWAP, "Swap").shortcut("T"))), ());
        harness.get_by_label("Swap").hover();
        harness.run_steps(8);
        assert!(harness.query_by_label("T").is_some(), "the keycap is in the tooltip");
    }
}
