//! Keyboard focus of panes.

use egui::{EventFilter, Id, Response, Ui};

/// What the arrow keys do while a pane has the keyboard focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrows {
    /// Step through slices and epochs.
    Slices,
    /// Move from patch to patch.
    Patches,
}

/// What the arrow keys do, if a pane has the keyboard focus.
pub fn focused(ctx: &egui::Context) -> Option<Arrows> {
    let focused = ctx.memory(egui::Memory::focused)?;
    let (pane, arrows): (Id, Arrows) = ctx.data(|data| data.get_temp(focused_pane()))?;
    (pane == focused).then_some(arrows)
}

fn focused_pane() -> Id {
    Id::unique("focused pane")
}

/// Keeps the arrow keys of a focused pane from moving the focus; Tab still does.
pub fn keep_arrows(ui: &Ui, response: &Response, arrows: Arrows) {
    if response.has_focus() {
        let filter = EventFilter { tab: false, horizontal_arrows: true, vertical_arrows: true, escape: false };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        ui.data_mut(|data| data.insert_temp(focused_pane(), (response.id, arrows)));
    }
}
