//! Wide content that scrolls sideways, and lists inside scrolling pages.

use egui::style::ScrollStyle;
use egui::{Id, Rect, ScrollArea, Ui, UiBuilder, vec2};

/// Opacity of a permanent scroll bar: it has the text colour, but must be dimmer.
const OPACITY: f32 = 0.5;

/// The style of a scroll bar that is visible whenever the content does not fit.
pub fn visible_bar() -> ScrollStyle {
    ScrollStyle {
        bar_width: 8.0,
        floating_width: 6.0,
        dormant_handle_opacity: OPACITY,
        active_handle_opacity: OPACITY,
        interact_handle_opacity: 0.8,
        ..ScrollStyle::floating()
    }
}

/// Scrolls wide content sideways. The bar has reserved space, so that it covers no row.
pub fn scroll_across<R>(ui: &mut Ui, salt: &str, content: impl FnOnce(&mut Ui) -> R) -> R {
    ui.scope(|ui| {
        ui.spacing_mut().scroll = ScrollStyle { floating_allocated_width: 12.0, ..visible_bar() };
        ScrollArea::horizontal().id_salt(salt).show(ui, content).inner
    })
    .inner
}

/// Maximum fraction of a table for its names.
const NAMES: f32 = 0.6;

/// Part of a table whose names stay visible while its other columns scroll sideways.
#[derive(Clone, Copy, Debug)]
pub struct TablePart {
    /// The part with the names. It has no scroll bar of its own.
    pub fixed: bool,
    /// Vertical scroll offset of both parts, in points.
    pub offset: f32,
    /// The row under the pointer, in either part.
    pub hovered: Option<usize>,
}

/// Layout of a drawn part.
#[derive(Clone, Copy, Debug)]
pub struct TableOutput {
    /// Vertical scroll offset in points.
    pub offset: f32,
    /// The row under the pointer.
    pub hovered: Option<usize>,
    /// Height with the heading.
    pub height: f32,
}

/// A table in two parts side by side, each drawn by `draw`: names of width `names`, and the columns that scroll sideways.
/// Both scroll down together.
pub fn split_table(ui: &mut Ui, salt: &str, names: f32, mut draw: impl FnMut(&mut Ui, TablePart) -> TableOutput) {
    let area = ui.available_rect_before_wrap();
    let names = names.min(area.width() * NAMES).round();
    let (left, right) = area.split_left_right_at_x(area.left() + names);
    ui.advance_cursor_after_rect(area);
    let id = Id::unique(("both parts of a table", salt));
    let before: (f32, Option<usize>) = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    let mut after = (before.0, None);
    let mut part = |ui: &mut Ui, fixed| {
        let drawn = draw(ui, TablePart { fixed, offset: before.0, hovered: before.1 });
        after.1 = after.1.or(drawn.hovered);
        if (drawn.offset - before.0).abs() > 0.01 {
            after.0 = drawn.offset;
        }
        drawn.height
    };
    let height = scroll_across(&mut clipped(ui, right, "moving"), salt, |ui| part(ui, false));
    // As high as the other, which has a scroll bar.
    let left = Rect::from_min_size(left.min, vec2(left.width(), height));
    part(&mut clipped(ui, left, "fixed"), true);
    if after != before {
        ui.ctx().request_repaint();
    }
    ui.data_mut(|data| data.insert_temp(id, after));
}

/// A clipped part of the page.
fn clipped(ui: &mut Ui, rect: Rect, salt: &str) -> Ui {
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(salt));
    child.set_clip_rect(rect.intersect(ui.clip_rect()));
    child
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
    fn both_parts_of_a_table_share_the_vertical_offset_and_the_row_under_the_pointer() {
        let ctx = egui::Context::default();
        theme::install(&ctx, Theme::Dark);
        let mut drawn = Vec::new();
        for _ in 0..3 {
            let size = Rect::from_min_size(egui::Pos2::ZERO, vec2(300.0, 100.0));
            let input = egui::RawInput { screen_rect: Some(size), ..egui::RawInput::default() };
            drawn.clear();
            let output = ctx.run_ui(input, |ui| {
                split_table(ui, "table", 100.0, |ui, part| {
                    let width = if part.fixed { 80.0 } else { 500.0 };
                    let rect = ui.allocate_exact_size(vec2(width, 40.0), egui::Sense::hover()).0;
                    drawn.push((part.fixed, part.offset, part.hovered, rect.left()));
                    // Scrolled and hovered in one part only.
                    let (offset, hovered) = if part.fixed { (part.offset, None) } else { (30.0, Some(2)) };
                    TableOutput { offset, hovered, height: 40.0 }
                });
            });
            output.drop_without_applying_deltas();
        }
        assert_eq!(drawn.len(), 2);
        assert_eq!(drawn[0], (false, 30.0, Some(2), drawn[1].3 + 100.0));
        assert_eq!((drawn[1].0, drawn[1].1, drawn[1].2), (true, 30.0, Some(2)));
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
