//! Wide content that scrolls sideways, and lists inside of pages that scroll.

use egui::style::ScrollStyle;
use egui::{ScrollArea, Ui};

/// Scrolls wide content sideways. The bar takes room of its own, so that it is always visible and covers no row.
pub fn scroll_across<R>(ui: &mut Ui, salt: &str, content: impl FnOnce(&mut Ui) -> R) -> R {
    ui.scope(|ui| {
        ui.spacing_mut().scroll = ScrollStyle { bar_width: 8.0, foreground_color: true, ..ScrollStyle::solid() };
        ScrollArea::horizontal().id_salt(salt).show(ui, content).inner
    })
    .inner
}

/// A list that scrolls beyond a height, inside of a page that scrolls too. Left to itself it would be lower the nearer it is
/// to the page's lower end, and hide rows for which there is room.
pub fn list_area(salt: &str, height: f32) -> ScrollArea {
    let area = ScrollArea::vertical().id_salt(salt).max_height(height).min_scrolled_height(height);
    area.auto_shrink([false, true])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;

    #[test]
    fn a_list_at_the_lower_end_of_a_page_shows_all_rows_that_fit() {
        let page = |ui: &mut Ui, hidden: &mut f32| {
            ScrollArea::vertical().id_salt("page").show(ui, |ui| {
                // Less of the page is left than the list is high.
                ui.add_space(320.0);
                let list = list_area("list", 120.0).show(ui, |ui| {
                    ui.spacing_mut().item_spacing.y = 0.0;
                    (0..4).for_each(|row| drop(ui.add_sized([80.0, 28.0], egui::Label::new(format!("row {row}")))));
                });
                *hidden = list.content_size.y - list.inner_rect.height();
            });
        };
        let mut harness = harness(page, f32::INFINITY);
        harness.run();
        assert!(*harness.state() <= 0.0, "{} points of the rows are hidden", harness.state());
    }
}
