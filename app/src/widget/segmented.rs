//! A segmented control: modes, tools, options.

use egui::{Align2, Color32, Id, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};

use super::{keycap, paint};
use crate::theme::{self, Icon, font, radius, size, space};

/// A segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a, T> {
    /// The value that a click selects.
    pub value: T,
    /// The text, which is also its name for assistive tools.
    pub label: &'a str,
    /// Its icon, next to the label or instead of it.
    pub icon: Option<Icon>,
    /// Its shortcut, for the tooltip.
    pub shortcut: Option<&'a str>,
}

impl<'a, T> Segment<'a, T> {
    /// A text segment.
    pub const fn text(value: T, label: &'a str) -> Self {
        Self { value, label, icon: None, shortcut: None }
    }

    /// An icon segment.
    pub const fn icon(value: T, label: &'a str, icon: Icon) -> Self {
        Self { value, label, icon: Some(icon), shortcut: None }
    }

    /// Its shortcut, for the tooltip.
    #[must_use]
    pub const fn shortcut(mut self, shortcut: &'a str) -> Self {
        self.shortcut = Some(shortcut);
        self
    }
}

/// A row of segments, one of them selected.
#[must_use = "call show"]
pub struct SegmentedControl<'a, T> {
    label: &'a str,
    segments: &'a [Segment<'a, T>],
    fill_width: bool,
    icons_only: bool,
    bare: bool,
}

impl<'a, T: Copy + PartialEq> SegmentedControl<'a, T> {
    /// A choice between `segments`.
    pub fn new(label: &'a str, segments: &'a [Segment<'a, T>]) -> Self {
        Self { label, segments, fill_width: false, icons_only: false, bare: false }
    }

    /// Segments of equal width that fill the space.
    pub fn fill_width(mut self) -> Self {
        self.fill_width = true;
        self
    }

    /// Icons only, with labels in the tooltips.
    pub fn icons_only(mut self) -> Self {
        self.icons_only = true;
        self
    }

    /// No background, for bars.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    fn width(&self, ui: &Ui, segment: &Segment<'_, T>) -> f32 {
        let icon = if segment.icon.is_some() { size::ICON } else { 0.0 };
        if self.icons_only && segment.icon.is_some() {
            return size::CONTROL;
        }
        let text = paint::line(ui, segment.label, font::body(), Color32::PLACEHOLDER, f32::INFINITY).size().x;
        let gap = if icon > 0.0 { space::XS + 2.0 } else { 0.0 };
        (icon + gap + text + 2.0 * space::M).ceil()
    }

    /// Shows it. The response is that of the whole control, `changed` when another segment was selected.
    pub fn show(self, ui: &mut Ui, chosen: &mut T) -> Response {
        let t = theme::tokens(ui);
        let inset = if self.bare { 0.0 } else { 2.0 };
        let mut widths: Vec<f32> = self.segments.iter().map(|segment| self.width(ui, segment)).collect();
        let natural = widths.iter().sum::<f32>() + 2.0 * inset;
        let available = ui.available_width();
        if self.fill_width || natural > available {
            let each = (available - 2.0 * inset) / self.segments.len().max(1) as f32;
            widths.fill(each);
        }
        let total = widths.iter().sum::<f32>() + 2.0 * inset;
        let (rect, mut group) = ui.allocate_exact_size(vec2(total, size::CONTROL), Sense::hover());
        group.widget_info(|| WidgetInfo::labeled(Role::RadioGroup, ui.is_enabled(), self.label));
        if ui.is_rect_visible(rect) && !self.bare {
            ui.painter().rect(rect, radius::M, t.field, Stroke::new(1.0, t.line), StrokeKind::Inside);
        }
        let id = ui.scope_id().with(("segmented", self.label));
        let mut left = rect.left() + inset;
        for (index, (segment, width)) in self.segments.iter().zip(widths).enumerate() {
            let area = Rect::from_min_size(pos2(left, rect.top() + inset), vec2(width, rect.height() - 2.0 * inset));
            left += width;
            if self.segment(ui, area, id.with(index), segment, *chosen == segment.value) && *chosen != segment.value {
                *chosen = segment.value;
                group.mark_changed();
            }
        }
        group
    }

    /// A segment; true if it was clicked.
    fn segment(&self, ui: &Ui, rect: Rect, id: Id, segment: &Segment<'_, T>, selected: bool) -> bool {
        let t = theme::tokens(ui);
        let response = ui.interact(rect, id, Sense::click());
        let enabled = ui.is_enabled();
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, enabled, selected, segment.label));
        let icon_alone = self.icons_only && segment.icon.is_some();
        if ui.is_rect_visible(rect) {
            let painter = ui.painter();
            let corner = if self.bare { radius::M } else { radius::M - 1 };
            painter.rect_filled(rect, corner, paint::selectable_fill(&response, t, selected));
            let color = match (selected, response.hovered()) {
                (true, _) => t.accent_text,
                (false, true) => t.text,
                (false, false) => t.text_dim,
            };
            if let (true, Some(icon)) = (icon_alone, segment.icon) {
                paint::icon(painter, rect.center(), icon, size::ICON, color);
            } else {
                let icon_width = if segment.icon.is_some() { size::ICON + space::XS + 2.0 } else { 0.0 };
                let text = paint::line(ui, segment.label, font::body(), color, rect.width() - icon_width - space::S);
                let mut x = rect.center().x - f32::midpoint(icon_width, text.size().x);
                if let Some(icon) = segment.icon {
                    paint::icon(painter, pos2(x + size::ICON / 2.0, rect.center().y), icon, size::ICON, color);
                    x += icon_width;
                }
                paint::put(painter, pos2(x, rect.center().y), Align2::LEFT_CENTER, text);
            }
            paint::focus_ring(ui, &response, rect, corner);
        }
        let clicked = response.clicked();
        if icon_alone || segment.shortcut.is_some() {
            keycap::tip(response, segment.label, segment.shortcut);
        }
        clicked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::icon;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::{NodeT as _, Queryable as _};

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Tool {
        Crosshair,
        Ruler,
    }

    const TOOLS: [Segment<'static, Tool>; 2] = [
        Segment::icon(Tool::Crosshair, "Crosshair", icon::CROSSHAIR).shortcut("1"),
        Segment::icon(Tool::Ruler, "Ruler", icon::RULER).shortcut("5"),
    ];

    #[test]
    fn choosing_changes_the_value_once() {
        let mut harness = harness(
            |ui, (tool, changes): &mut (Tool, i32)| {
                *changes += i32::from(SegmentedControl::new("Tool", &TOOLS).icons_only().show(ui, tool).changed());
            },
            (Tool::Crosshair, 0),
        );
        for _ in 0..2 {
            harness.get_by_label("Ruler").click();
            harness.run();
        }
        assert_eq!(*harness.state(), (Tool::Ruler, 1), "the second click changes nothing");
        let chosen = harness.get_by_label("Ruler").accesskit_node().toggled();
        assert_eq!(chosen, Some(egui::accesskit::Toggled::True));
        assert_eq!(harness.get_by_label("Ruler").rect().width(), size::CONTROL);
    }

    #[test]
    fn segments_share_a_space_that_is_too_narrow() {
        let mut harness = harness(
            |ui, tool: &mut Tool| {
                let texts =
                    [Segment::text(Tool::Crosshair, "A long label"), Segment::text(Tool::Ruler, "Another long one")];
                ui.allocate_ui(vec2(90.0, size::CONTROL), |ui| SegmentedControl::new("Tool", &texts).show(ui, tool));
            },
            Tool::Crosshair,
        );
        harness.run();
        let (group, last) = (harness.get_by_label("Tool").rect(), harness.get_by_label("Another long one").rect());
        assert!(group.width() <= 90.0 && group.contains_rect(last), "{last:?} in {group:?}");
    }
}
