//! The space bar pressed and let go alone: with the mouse in between it was held to move a picture.

use egui::{Context, Event, Id, Key};

/// Who has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Nobody,
    Widget(Id),
}

impl From<Option<Id>> for Holder {
    fn from(id: Option<Id>) -> Self {
        id.map_or(Self::Nobody, Self::Widget)
    }
}

/// What is remembered from one frame to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    /// The frame whose events were looked at last.
    pass: Option<u64>,
    /// Who had the keyboard when the space bar went down, as long as nothing came in between.
    alone: Option<Holder>,
    /// Who had it, if the space bar was let go in that frame.
    tapped: Option<Holder>,
}

/// Whether the space bar was pressed while `holder` had the keyboard (nobody, if none), and let go in this frame.
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
