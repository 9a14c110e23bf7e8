//! Wide content that scrolls sideways, and lists inside scrolling pages.

use egui::style::ScrollStyle;
use egui::{ScrollArea, Ui};

/// Opacity of a permanent scroll bar: it has the text colour, but must be dimmer.
const OPACITY: f32 = 0.5;

/// Scrolls wide content sideways. The bar has reserved space, so that it is always visible and covers no row.
pub fn scroll_across<R>(ui: &mut Ui, salt: &str, content: impl FnOnce(&mut Ui) -> R) -> R {
    ui.scope(|ui| {
        ui.spacing_mut().scroll = ScrollStyle {
            bar_width: 8.0,
            floating_width: 6.0,
            floating_allocated_width: 12.0,
            dormant_handle_opacity: OPACITY,
            active_handle_opacity: OPACITY,
            interact_handle_opacity: 0.8,
            ..ScrollStyle::floating()
        };
        ScrollArea::horizontal().id_salt(salt).show(ui, content).inner
    })
    .inner
}

/// A list with a maximum height inside a scrolling page. By default egui would shrink it near the lower end of the
/// page, hiding rows that fit.
pub fn list_area(salt: &str, height: f32) -> ScrollArea {
    let area = ScrollArea::vertical().id_salt(salt).max_height(height).min_scrolled_height(height);
    area.auto_shrink([false, true])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::{self, Theme};
    use crate::widget::testing::harness;
    use egui::Rect;

    #[test]
    fn the_scroll_bar_of_a_wide_table_is_visible_but_dimmer_than_text() {
        for theme in [Theme::Dark, Theme::Light] {
            let mut table = Rect::NOTHING;
            let ctx = egui::Context::default();
            theme::install(&ctx, theme);
            let mut shapes = Vec::new();
            // The first pass measures the table.
            for _ in 0..3 {
                let size = Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(200.0, 100.0));
                let input = egui::RawInput { screen_rect: Some(size), ..egui::RawInput::default() };
                let output = ctx.run_ui(input, |ui| {
                    table = scroll_across(ui, "table", |ui| {
                        ui.allocate_exact_size(egui::vec2(500.0, 40.0), egui::Sense::hover()).0
                    });
                });
                shapes.clone_from(&output.shapes);
                output.drop_without_applying_deltas();
            }
            let text = theme::tokens(&ctx).text;
            let bars = shapes.iter().filter_map(|clipped| match &clipped.shape {
                egui::Shape::Rect(rect) if rect.rect.height() < 10.0 && rect.fill.a() > 0 => Some(rect),
                _ => None,
            });
            let bars: Vec<_> = bars.collect();
            assert!(!bars.is_empty(), "{theme:?}: no bar");
            for bar in bars {
                assert!(bar.rect.top() >= table.bottom(), "{theme:?}: the bar covers the last row");
                assert!((90..180).contains(&bar.fill.a()), "{theme:?}: {:?} beside {text:?}", bar.fill);
            }
        }
    }

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
