//! A tap of the space bar, as opposed to holding it while panning with the mouse.

use egui::{Context, Event, Id, Key};

/// Owner of the keyboard focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FocusHolder {
    Nobody,
    Widget(Id),
}

impl From<Option<Id>> for FocusHolder {
    fn from(id: Option<Id>) -> Self {
        id.map_or(Self::Nobody, Self::Widget)
    }
}

/// State kept between frames.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    /// The last evaluated frame.
    pass: Option<u64>,
    /// Focus at the press, until another input intervenes.
    alone: Option<FocusHolder>,
    /// Focus of a tap completed in that frame.
    tapped: Option<FocusHolder>,
}

/// Whether a tap of the space bar ended in this frame that began with the focus on `holder`.
pub fn tapped(ctx: &Context, holder: Option<Id>) -> bool {
    let id = Id::unique("space bar alone");
    let mut memory: Memory = ctx.data(|data| data.get_temp(id)).unwrap_or_default();
    let pass = Some(ctx.cumulative_pass_nr());
    if memory.pass != pass {
        let focused = ctx.memory(egui::Memory::focused);
        memory = Memory { pass, tapped: None, ..memory };
        ctx.input(|input| {
            for event in &input.events {
                match *event {
                    Event::Key { key: Key::Space, pressed: true, repeat: false, modifiers, .. } => {
                        memory.alone = (modifiers.is_none() && !input.pointer.any_down()).then_some(focused.into());
                    }
                    Event::Key { key: Key::Space, pressed: false, .. } => {
                        memory.tapped = memory.tapped.or(memory.alone.take());
                    }
                    Event::PointerButton { pressed: true, .. } | Event::WindowFocused(false) => memory.alone = None,
                    _ => {}
                }
            }
        });
        ctx.data_mut(|data| data.insert_temp(id, memory));
    }
    memory.tapped == Some(holder.into())
}
