//! Wide content that scrolls sideways.

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
