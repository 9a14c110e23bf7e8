//! The ways of the mouse on a pane: from events to commands.

use egui::{CursorIcon, EventFilter, Id, PointerButton, Pos2, Response, Sense, Ui};
use glam::{DVec2, DVec3};

use super::gesture::{self, Drag, Meant};
use super::picture;
use super::sample::{Inside, Sampler};
use super::scene::{PaneView, Scene};
use super::wheel::{self, Notches};
use crate::command::{EditCommand, Sender, ViewCommand};
use crate::state::view::Statistics;
use crate::state::{Measure, MeasureKind, Mode, PaneId};

/// A measurement shorter than this (points) was a click.
const SHORTEST: f32 = 3.0;

/// What a pane remembers from one frame to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    drag: Option<Drag>,
    last: Pos2,
    wheel: Notches,
}

/// The widget of a pane.
pub fn id_of(pane: PaneId) -> Id {
    Id::unique(("pane", pane))
}

/// Whose the arrow keys are while a pane has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrows {
    /// They go through slices and epochs.
    Program,
    /// They go from patch to patch.
    Pane,
}

/// Whose the arrow keys are, if a pane has the keyboard.
pub fn focused(ctx: &egui::Context) -> Option<Arrows> {
    let focused = ctx.memory(egui::Memory::focused)?;
    let (pane, arrows): (Id, Arrows) = ctx.data(|data| data.get_temp(focused_pane()))?;
    (pane == focused).then_some(arrows)
}

fn focused_pane() -> Id {
    Id::unique("focused pane")
}

/// Makes a pane a widget that is dragged from the first moment on, and that Tab reaches.
pub fn sense(ui: &Ui, view: &PaneView<'_>) -> Response {
    let response = ui.interact(view.rect, id_of(view.id), Sense::drag());
    keep_arrows(ui, &response, Arrows::Program);
    response
}

/// Arrows do not go to the next control while a pane has the keyboard; Tab does.
pub(super) fn keep_arrows(ui: &Ui, response: &Response, arrows: Arrows) {
    if response.has_focus() {
        let filter = EventFilter { tab: false, horizontal_arrows: true, vertical_arrows: true, escape: false };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        ui.data_mut(|data| data.insert_temp(focused_pane(), (response.id, arrows)));
    }
}

/// Sends what the user does with a pane. A measurement that is being drawn is returned, to be shown already.
pub fn interact(
    ui: &Ui,
    scene: &Scene<'_>,
    view: &PaneView<'_>,
    response: &Response,
    sender: &Sender,
) -> Option<Measure> {
    let mut memory: Memory = ui.data(|data| data.get_temp(response.id)).unwrap_or_default();
    let pane = Hand { ui, scene, view, response, sender };
    pane.activate();
    pane.turn(&mut memory);
    pane.follow();
    pane.drag(&mut memory);
    pane.double_click();
    pane.cursor(&memory);
    let preview = match memory.drag {
        Some(Drag::Measure(kind, start)) => Some(pane.measure(kind, start, memory.last, false)),
        _ => None,
    };
    ui.data_mut(|data| data.insert_temp(response.id, memory));
    preview
}

/// The user's hand on a pane.
struct Hand<'a> {
    ui: &'a Ui,
    scene: &'a Scene<'a>,
    view: &'a PaneView<'a>,
    response: &'a Response,
    sender: &'a Sender,
}

impl Hand<'_> {
    /// The pane that the pointer moves over, or that got the keyboard, is the one that keys go to.
    fn activate(&self) {
        let touched = |event: &egui::Event| {
            use egui::Event::{MouseWheel, PointerButton, PointerMoved};
            matches!(event, PointerMoved(_) | PointerButton { .. } | MouseWheel { .. })
        };
        let pointed = self.response.hovered() && self.ui.input(|i| i.events.iter().any(touched));
        if (pointed || self.response.gained_focus()) && self.scene.state.view.active != Some(self.view.id) {
            self.sender.send(ViewCommand::Activate(self.view.id));
        }
    }

    fn turn(&self, memory: &mut Memory) {
        let Some(pos) = self.response.hover_pos().filter(|_| !self.response.dragged()) else { return };
        let turned = self.ui.input(wheel::turned);
        if let Some(factor) = turned.zoom {
            self.zoom(factor, self.view.place(pos));
        }
        let by = memory.wheel.take(turned.notches);
        if by != 0 && !self.view.id.is_projection() {
            self.sender.send(ViewCommand::StepSlice { pane: self.view.id, by });
        }
    }

    /// With Shift the crosshair goes where the pointer goes.
    fn follow(&self) {
        let follows = self.ui.input(|i| i.modifiers.shift && !i.pointer.any_down() && i.pointer.is_moving());
        if let Some(pos) = self.response.hover_pos().filter(|_| follows) {
            self.crosshair(pos);
        }
    }

    fn drag(&self, memory: &mut Memory) {
        let pos = self.response.interact_pointer_pos().or_else(|| self.ui.input(|i| i.pointer.latest_pos()));
        let Some(pos) = pos else {
            memory.drag = None;
            return;
        };
        if self.response.drag_started() {
            memory.drag = self.begin(pos);
            memory.last = pos;
        } else if self.response.drag_stopped() {
            self.moved(memory, pos);
            // Escape ends a drag as well, with the button still down: then nothing is kept.
            let kept = !self.ui.input(|i| i.pointer.any_down());
            if let (Some(Drag::Measure(kind, start)), true) = (memory.drag, kept)
                && self.view.pos_of(start).distance(pos) >= SHORTEST
            {
                self.sender.send(EditCommand::AddMeasure(Box::new(self.measure(kind, start, pos, true))));
            }
            memory.drag = None;
        } else if self.response.dragged() {
            self.moved(memory, pos);
        } else {
            memory.drag = None;
            self.click(pos);
        }
    }

    /// Pressed and let go within one frame: no drag, but the crosshair comes.
    fn click(&self, pos: Pos2) {
        let clicked = self.response.contains_pointer() && self.ui.input(|i| i.pointer.primary_clicked());
        if clicked && self.meant(PointerButton::Primary) == Some(Meant::Crosshair) {
            self.take_over();
            self.crosshair(pos);
        }
    }

    fn begin(&self, pos: Pos2) -> Option<Drag> {
        use PointerButton::{Middle, Primary, Secondary};
        let down = |button: &PointerButton| self.ui.input(|i| i.pointer.button_down(*button));
        let button = [Primary, Middle, Secondary].into_iter().find(down)?;
        self.take_over();
        let drag = match self.meant(button)? {
            Meant::Crosshair => Drag::Crosshair,
            Meant::Window => Drag::Window,
            Meant::Pan => Drag::Pan,
            Meant::Zoom => Drag::Zoom(self.view.place(pos)),
            Meant::Measure(kind) => Drag::Measure(kind, self.view.world_at(pos, self.view.slice as f64)),
        };
        if drag == Drag::Crosshair {
            self.crosshair(pos);
        }
        Some(drag)
    }

    /// Whoever had the keyboard lets go of it, and a linked pane's image becomes the one that controls are about.
    fn take_over(&self) {
        self.ui.memory_mut(|memory| {
            if let Some(focused) = memory.focused().filter(|id| *id != self.response.id) {
                memory.surrender_focus(focused);
            }
        });
        if self.view.image != self.scene.document.shown {
            self.sender.send(ViewCommand::ShowImage(self.view.image));
        }
    }

    fn meant(&self, button: PointerButton) -> Option<Meant> {
        let (modifiers, space) = self.ui.input(|i| (i.modifiers, i.key_down(egui::Key::Space)));
        gesture::meant(button, modifiers, space, self.scene.state.view.tool, self.view.id.is_projection())
    }

    fn moved(&self, memory: &mut Memory, pos: Pos2) {
        let delta = pos - memory.last;
        memory.last = pos;
        let Some(drag) = memory.drag.filter(|_| delta != egui::Vec2::ZERO) else { return };
        let delta = DVec2::new(f64::from(delta.x), f64::from(delta.y));
        match drag {
            Drag::Crosshair => self.crosshair(pos),
            Drag::Window => self.window(delta),
            Drag::Pan => {
                let by_mm = delta / self.view.map.scale();
                self.sender.send(ViewCommand::Pan { pane: self.view.id, by_mm });
            }
            Drag::Zoom(anchor) => self.zoom(gesture::zoom_factor(delta.y), anchor),
            Drag::Measure(..) => {}
        }
    }

    fn window(&self, delta: DVec2) {
        let layer = self.scene.layer(self.view.image);
        if layer.volume.data.is_colour() {
            return;
        }
        let window = self.scene.state.window_of(layer);
        let (width, level) = gesture::window_change(delta, window, layer.range, &layer.modality);
        self.sender.send(ViewCommand::ChangeWindow { width, level });
    }

    fn zoom(&self, factor: f64, anchor: DVec2) {
        self.sender.send(ViewCommand::Zoom { pane: self.view.id, factor, anchor, size: self.view.size() });
    }

    fn crosshair(&self, pos: Pos2) {
        self.sender.send(ViewCommand::MoveCrosshair(crosshair_at(self.scene, self.view, pos)));
    }

    /// A measurement from a position in the patient to one on the screen; its numbers only at the end of the drag.
    fn measure(&self, kind: MeasureKind, start: DVec3, pos: Pos2, finished: bool) -> Measure {
        let pos = pos.clamp(self.view.rect.min, self.view.rect.max);
        let end = self.view.world_at(pos, self.view.slice as f64);
        let statistics = (finished && kind == MeasureKind::Ellipse).then(|| self.statistics([start, end])).flatten();
        Measure { kind, plane: self.view.plane, ends_mm: [start, end], statistics }
    }

    fn statistics(&self, ends: [DVec3; 2]) -> Option<Statistics> {
        let (view, base) = (self.view, &self.scene.document.base().volume.grid);
        let sampler = Sampler::new(self.scene.layer(view.image), view.grid, base);
        let [x, y] = view.plane.screen_axes();
        let corners = ends.map(|end| {
            let index = view.grid.display_from_world.transform_point3(end);
            DVec2::new(index[x], index[y])
        });
        let inside = sampler.ellipse(view.grid, view.plane, view.slice, corners)?;
        let Inside { voxels, mean, sd, area_mm2 } = inside;
        let frame = self.scene.layer(view.image).frame;
        Some(Statistics { image: view.image, frame, voxels, mean, sd, area_mm2 })
    }

    fn double_click(&self) {
        let twice = self.ui.input(|i| i.pointer.button_double_clicked(PointerButton::Primary));
        if twice && self.response.contains_pointer() && self.scene.state.mode == Mode::Review {
            let alone = self.scene.state.view.maximised.is_some();
            self.sender.send(ViewCommand::Maximise((!alone).then_some(self.view.id)));
        }
    }

    fn cursor(&self, memory: &Memory) {
        if !self.response.hovered() {
            return;
        }
        let held = memory.drag.map(|drag| match drag {
            Drag::Crosshair => Meant::Crosshair,
            Drag::Window => Meant::Window,
            Drag::Pan => Meant::Pan,
            Drag::Zoom(_) => Meant::Zoom,
            Drag::Measure(kind, _) => Meant::Measure(kind),
        });
        let meant = held.or_else(|| self.meant(PointerButton::Primary));
        self.ui.set_cursor_icon(meant.map_or(CursorIcon::NotAllowed, |m| m.cursor(held.is_some())));
    }
}

/// Where the crosshair goes for a position on the screen: in the slice that it lies in already; on a projection, at the
/// depth of the largest value there.
pub fn crosshair_at(scene: &Scene<'_>, view: &PaneView<'_>, pos: Pos2) -> DVec3 {
    let crosshair = scene.state.view.crosshair;
    let mut depth = view.depth_of(crosshair);
    if view.id.is_projection() {
        let index = view.map.index_in_space(view.place(pos), 0.0);
        depth = picture::deepest(scene, view, index).unwrap_or(depth);
    }
    view.world_at(pos, depth)
}
