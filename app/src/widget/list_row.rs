//! A list row. The whole row is clickable; text that does not fit ends in an ellipsis, and the tooltip has all of it.

use std::sync::Arc;

use egui::{
    Align, Align2, Color32, Galley, Layout, Rect, Response, Role, Sense, Ui, UiBuilder, Widget, WidgetInfo, pos2, vec2,
};

use super::keycap::Keys;
use super::paint;
use crate::theme::{self, Icon, font, radius, size, space};

/// Width that a long value leaves for the start of the name.
const NAME: f32 = 36.0;

/// A row with a leading swatch or icon, a title, and a trailing value.
#[must_use = "add it to a Ui"]
pub struct ListRow<'a> {
    title: &'a str,
    subtitle: Option<&'a str>,
    trailing: Option<&'a str>,
    shortcut: Option<&'a str>,
    icon: Option<(Icon, Option<Color32>)>,
    swatch: Option<Color32>,
    selected: bool,
    dim: bool,
    in_table: bool,
}

impl<'a> ListRow<'a> {
    /// A row with a title.
    pub fn new(title: &'a str) -> Self {
        Self {
            title,
            subtitle: None,
            trailing: None,
            shortcut: None,
            icon: None,
            swatch: None,
            selected: false,
            dim: false,
            in_table: false,
        }
    }

    /// A second, quieter line.
    pub fn subtitle(mut self, subtitle: &'a str) -> Self {
        self.subtitle = Some(subtitle);
        self
    }

    /// A value on the right, in tabular digits.
    pub fn trailing(mut self, trailing: &'a str) -> Self {
        self.trailing = Some(trailing);
        self
    }

    /// A shortcut on the right, as keycaps.
    pub fn shortcut(mut self, shortcut: &'a str) -> Self {
        self.shortcut = Some(shortcut);
        self
    }

    /// An icon in front.
    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = Some((icon, None));
        self
    }

    /// A coloured icon in front.
    pub fn icon_colored(mut self, icon: Icon, color: Color32) -> Self {
        self.icon = Some((icon, Some(color)));
        self
    }

    /// A colour swatch in front.
    pub fn swatch(mut self, color: Color32) -> Self {
        self.swatch = Some(color);
        self
    }

    /// Whether the row is selected.
    pub fn selected(mut self, selected: bool) -> Self {
        self.selected = selected;
        self
    }

    /// Dimmed, for something hidden or absent. It stays clickable.
    pub fn dim(mut self, dim: bool) -> Self {
        self.dim = dim;
        self
    }

    /// A cell of a table, which paints the background of its rows itself.
    pub fn in_table(mut self) -> Self {
        self.in_table = true;
        self
    }

    /// Shows the row with controls on the right, laid out from right to left.
    ///
    /// The response is that of the row, without clicks on the controls.
    pub fn show_with<R>(self, ui: &mut Ui, controls: impl FnOnce(&mut Ui) -> R) -> (Response, R) {
        let height = if self.subtitle.is_some() { size::ROW_TALL } else { size::ROW };
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click());
        response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, ui.is_enabled(), self.selected, self.title));
        let t = theme::tokens(ui);
        if ui.is_rect_visible(rect) {
            if !self.in_table {
                ui.painter().rect_filled(rect, radius::M, paint::selectable_fill(&response, t, self.selected));
            }
            if self.selected {
                paint::selection_bar(ui.painter(), rect, t);
            }
            paint::focus_ring(ui, &response, rect, radius::M);
        }
        // Controls first; the text gets the remaining width.
        let inner = rect.shrink2(vec2(space::S, 0.0));
        let layout = Layout::right_to_left(Align::Center);
        let builder = UiBuilder::new().max_rect(inner).layout(layout).id_salt(("row controls", self.title));
        let mut child = ui.new_child(builder);
        child.spacing_mut().item_spacing.x = 2.0;
        let value = controls(&mut child);
        let used = child.min_rect();
        let right = if used.width() > 0.0 { used.left() - space::XS } else { inner.right() };
        let whole = !ui.is_rect_visible(rect)
            || self.paint_content(ui, Rect::from_min_max(inner.min, pos2(right, inner.max.y)));
        let all =
            || self.subtitle.map_or_else(|| self.title.to_owned(), |subtitle| format!("{}\n{subtitle}", self.title));
        (if whole { response } else { response.on_hover_text(all()) }, value)
    }

    /// True if title and subtitle are shown whole.
    fn paint_content(&self, ui: &Ui, rect: Rect) -> bool {
        let t = theme::tokens(ui);
        let painter = ui.painter();
        let middle = rect.center().y;
        let (mut left, mut right) = (rect.left(), rect.right());
        if let Some(color) = self.swatch {
            paint::swatch(painter, pos2(left + 6.0, middle), color, t);
            left += 12.0 + space::S;
        }
        if let Some((icon, color)) = self.icon {
            let quiet = if self.selected { t.accent_text } else { t.text_dim };
            paint::icon(painter, pos2(left + size::ICON / 2.0, middle), icon, size::ICON, color.unwrap_or(quiet));
            left += size::ICON + space::S;
        }
        if let Some(keys) = self.shortcut.map(|keys| Keys::layout(ui, keys)) {
            right -= keys.width;
            keys.paint(painter, pos2(right, middle));
            right -= space::S;
        }
        if let Some(trailing) = self.trailing {
            let galley = value(ui, trailing, right - left);
            right = paint::put(painter, pos2(right, middle), Align2::RIGHT_CENTER, galley).left() - space::S;
        }
        let color = if self.dim { t.text_dim } else { t.text };
        let title = paint::line(ui, self.title, font::body(), color, right - left);
        let mut whole = !title.elided;
        if let Some(subtitle) = self.subtitle {
            let subtitle = paint::line(ui, subtitle, font::caption(), t.text_dim, right - left);
            whole &= !subtitle.elided;
            paint::put(painter, pos2(left, middle), Align2::LEFT_BOTTOM, title);
            paint::put(painter, pos2(left, middle + 2.0), Align2::LEFT_TOP, subtitle);
        } else {
            paint::put(painter, pos2(left, middle), Align2::LEFT_CENTER, title);
        }
        whole
    }
}

/// The value of a row with `room` points for name and value. A truncated name is readable, a truncated number is not: the
/// value may take 60 % of the room or, in small type, all that the start of a name leaves.
fn value(ui: &Ui, text: &str, room: f32) -> Arc<Galley> {
    let color = theme::tokens(ui).text_dim;
    let galley = paint::line(ui, text, font::number(), color, room * 0.6);
    if galley.elided { paint::line(ui, text, font::number_small(), color, room - NAME) } else { galley }
}

impl Widget for ListRow<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        self.show_with(ui, |_| ()).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::icon;
    use crate::widget::IconButton;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::{NodeT as _, Queryable as _};

    #[test]
    fn two_volumes_fit_beside_a_name_in_a_panel_of_the_default_width() {
        let cut = |ui: &mut egui::Ui, cut: &mut Vec<bool>| {
            *cut = ["14.8 ml", "14.8 / 14.4 ml", "1119 / 1367 ml"].map(|text| value(ui, text, 130.0).elided).to_vec();
        };
        let harness = harness(cut, vec![true]);
        assert_eq!(*harness.state(), [false, false, false]);
    }

    #[test]
    fn a_title_that_does_not_fit_is_shown_whole_on_hover() {
        let long = "A name much too long to be shown whole in the row of a narrow panel of any application";
        let mut harness = harness(
            |ui, (): &mut ()| {
                ui.add(ListRow::new(long));
                ui.add(ListRow::new("short"));
            },
            (),
        );
        for (title, tooltips) in [(long, 1), ("short", 0)] {
            harness.get_by_label(title).hover();
            harness.run_steps(40);
            assert_eq!(harness.query_all_by_label(title).count(), 1 + tooltips, "{title}");
        }
    }

    /// The rest of a long path, or of why a run failed, could not be read.
    #[test]
    fn a_subtitle_that_does_not_fit_is_shown_whole_on_hover() {
        let long =
            "/a/folder/with/a/name/much/too/long/to/be/shown/whole/in/the/row/of/a/narrow/panel/of/any/application";
        let mut harness = harness(
            |ui, (): &mut ()| {
                ui.add(ListRow::new("cut").subtitle(long));
                ui.add(ListRow::new("fits").subtitle("short"));
            },
            (),
        );
        for (title, subtitle, tooltips) in [("cut", long, 1), ("fits", "short", 0)] {
            harness.get_by_label(title).hover();
            harness.run_steps(40);
            assert_eq!(harness.query_all_by_label(&format!("{title}\n{subtitle}")).count(), tooltips, "{title}");
        }
    }

    #[test]
    fn row_and_its_controls_are_clicked_apart() {
        let mut harness = harness(
            |ui, (row, eye): &mut (i32, i32)| {
                let title = "A name much too long to be shown whole in the row of a narrow panel of any application";
                let (response, hidden) = ListRow::new(title)
                    .swatch(Color32::RED)
                    .trailing("12.4 ml")
                    .selected(true)
                    .show_with(ui, |ui| ui.add(IconButton::new(icon::EYE, "Hide lesion").small()).clicked());
                *row += i32::from(response.clicked());
                *eye += i32::from(hidden);
            },
            (0, 0),
        );
        harness.get_by_label("Hide lesion").click();
        harness.run();
        assert_eq!(*harness.state(), (0, 1));
        let row = harness.get_by_label_contains("much too long");
        assert_eq!(row.rect().height(), size::ROW);
        assert!(row.rect().width() <= 480.0, "long names do not widen the panel");
        assert_eq!(row.accesskit_node().toggled(), Some(egui::accesskit::Toggled::True));
        row.click();
        harness.run();
        assert_eq!(*harness.state(), (1, 1));
    }
}
