//! A row of the list of cases or of series.

use std::ops::Range;

use egui::{Align2, Color32, Rect, Response, Role, Sense, TextureId, Ui, Vec2, Widget, WidgetInfo, pos2, vec2};

use super::{Tone, keycap, paint};
use crate::theme::{self, Icon, font, icon, radius, size, space};

const HEIGHT: f32 = size::THUMBNAIL + space::S;
/// Size of the status icon.
const ICON: f32 = 14.0;

/// A row with a small image, a title and a second line.
#[must_use = "add it to a Ui"]
pub struct ThumbnailRow<'a> {
    title: &'a str,
    subtitle: &'a str,
    distinct: Range<usize>,
    texture: Option<(TextureId, Vec2)>,
    status: Option<(Icon, Tone, &'a str)>,
    selected: bool,
    draggable: bool,
}

impl<'a> ThumbnailRow<'a> {
    /// A row with a title and a second line.
    pub fn new(title: &'a str, subtitle: &'a str) -> Self {
        Self { title, subtitle, distinct: 0..0, texture: None, status: None, selected: false, draggable: false }
    }

    /// The characters of the title that tell it from the other rows. They stay if the title does not fit.
    pub fn distinct(mut self, distinct: &Range<usize>) -> Self {
        self.distinct = distinct.clone();
        self
    }

    /// Its image with its size, for the aspect ratio; a placeholder without one.
    pub fn texture(mut self, texture: Option<(TextureId, Vec2)>) -> Self {
        self.texture = texture;
        self
    }

    /// A status icon with its tooltip.
    pub fn status(mut self, icon: Icon, tone: Tone, meaning: &'a str) -> Self {
        self.status = Some((icon, tone, meaning));
        self
    }

    /// Whether this case is open.
    pub fn selected(mut self, selected: bool) -> Self {
        self.selected = selected;
        self
    }

    /// Whether it can be dragged elsewhere; the caller sets what is dragged.
    pub fn draggable(mut self) -> Self {
        self.draggable = true;
        self
    }

    /// Draws the row. True if it shows the whole title.
    fn paint(&self, ui: &Ui, rect: Rect, response: &Response) -> bool {
        let t = theme::tokens(ui);
        let painter = ui.painter();
        painter.rect_filled(rect, radius::M, paint::selectable_fill(response, t, self.selected));
        if self.selected {
            paint::selection_bar(painter, rect, t);
        }
        let image = Rect::from_min_size(rect.min + Vec2::splat(space::XS), Vec2::splat(size::THUMBNAIL));
        painter.rect_filled(image, radius::S, t.image);
        match self.texture {
            Some((texture, extent)) if extent.min_elem() > 0.0 => {
                let fitted = Rect::from_center_size(image.center(), extent * (size::THUMBNAIL / extent.max_elem()));
                let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
                painter.image(texture, fitted, whole, Color32::WHITE);
            }
            _ => paint::icon(painter, image.center(), icon::IMAGE, size::ICON, t.overlay_dim.gamma_multiply(0.6)),
        }
        // The name has the whole first line.
        let (left, right) = (image.right() + space::S, rect.right() - space::S);
        let icon_width = if self.status.is_some() { ICON + space::S } else { 0.0 };
        let title = paint::name(ui, self.title, &self.distinct, &font::body(), t.text, right - left);
        let whole = title.text() == self.title;
        let subtitle = paint::line(ui, self.subtitle, font::caption(), t.text_dim, right - left - icon_width);
        paint::put(painter, pos2(left, rect.center().y), Align2::LEFT_BOTTOM, title);
        let below = paint::put(painter, pos2(left, rect.center().y + 2.0), Align2::LEFT_TOP, subtitle);
        if let Some((icon, tone, _)) = self.status {
            paint::icon(painter, pos2(right - ICON / 2.0, below.center().y), icon, ICON, tone.color(t));
        }
        paint::focus_ring(ui, response, rect, radius::M);
        whole
    }
}

impl Widget for ThumbnailRow<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let (rect, response) = {
            let sense = if self.draggable { Sense::click_and_drag() } else { Sense::click() };
            ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), sense)
        };
        response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, ui.is_enabled(), self.selected, self.title));
        let whole = !ui.is_rect_visible(rect) || self.paint(ui, rect, &response);
        let meaning = self.status.map(|(_, _, meaning)| meaning);
        if let Some(meaning) = meaning {
            ui.accesskit_node_builder(response.id, |node| node.set_description(meaning));
        }
        let about: Vec<&str> = Some(self.title).filter(|_| !whole).into_iter().chain(meaning).collect();
        if about.is_empty() { response } else { keycap::tip(response, &about.join("\n"), None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::{NodeT as _, Queryable as _};

    #[test]
    fn a_row_with_a_shortened_name_shows_the_whole_name_on_hover() {
        let name = "a_name_that_is_much_too_long_for_a_row_in_a_window_of_this_width_and_ends_here_at_last";
        let mut harness = harness(
            |ui, (): &mut ()| drop(ui.add(ThumbnailRow::new(name, "PET").status(icon::DONE, Tone::Ok, "accepted"))),
            (),
        );
        harness.get_by_label(name).hover();
        harness.run_steps(40);
        assert!(harness.query_by_label(&format!("{name}\naccepted")).is_some());
    }

    #[test]
    fn rows_with_and_without_image_are_of_one_height_and_say_their_status() {
        let mut harness = harness(
            |ui, clicked: &mut bool| {
                let image = Some((TextureId::default(), vec2(64.0, 32.0)));
                ui.add(ThumbnailRow::new("STS_001", "PET").texture(image));
                let row = ThumbnailRow::new("STS_002", "PET").status(icon::DONE, Tone::Ok, "accepted").selected(true);
                *clicked |= ui.add(row).clicked();
            },
            false,
        );
        let (first, second) = (harness.get_by_label("STS_001"), harness.get_by_label("STS_002"));
        assert_eq!(first.rect().size(), second.rect().size());
        assert_eq!(second.accesskit_node().data().description(), Some("accepted"));
        second.click();
        harness.run();
        assert!(*harness.state());
    }
}
