//! The ways of the mouse on a patch pane.

use egui::accesskit::Action;
use egui::{CursorIcon, Key, Modifiers, PointerButton, Pos2, Rect, Response, Sense, Ui, Vec2, vec2};
use glam::DVec2;

use super::{PatchResponse, Placed, vector};
use crate::state::Tool;
use crate::view::gesture::{self, Meant};
use crate::view::plane::ZOOM;
use crate::view::wheel::{self, Notches};
use crate::view::{Arrows, Camera, interact, space_bar};

/// What a pane remembers from one frame to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    drag: Option<Drag>,
    last: Pos2,
    wheel: Notches,
    /// The patch that keys chose last.
    patch: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Drag {
    Window,
    Pan,
    Zoom(DVec2),
}

/// Makes the pane a widget that Tab reaches. Once a patch is chosen, arrows go from patch to patch instead of through the
/// slices.
pub(super) fn sense(ui: &Ui, salt: &str, rect: Rect, chosen: bool) -> Response {
    let response = ui.interact(rect, ui.scope_id().with(("patch pane", salt)), Sense::click_and_drag());
    interact::keep_arrows(ui, &response, if chosen { Arrows::Pane } else { Arrows::Program });
    response
}

/// What the user does with the pane in this frame.
pub(super) fn interact(ui: &Ui, placed: &Placed<'_>, response: Response) -> PatchResponse {
    let mut memory: Memory = ui.data(|data| data.get_temp(response.id)).unwrap_or_default();
    let pos = response.hover_pos();
    let mut found = PatchResponse {
        hovered: pos.and_then(|pos| placed.patch_at(pos)),
        clicked: None,
        world: pos.map(|pos| placed.display.world_from_display.transform_point3(placed.display_at(pos))),
        notches: 0,
        camera: None,
        window: None,
        response,
    };
    if let Some(pos) = pos.filter(|_| !found.response.dragged()) {
        let turned = ui.input(wheel::turned);
        found.camera = turned.zoom.map(|factor| zoomed(placed, factor, vector(pos - placed.rect.min)));
        found.notches = memory.wheel.take(turned.notches);
    }
    drag(ui, placed, &mut found, &mut memory);
    // By the mouse: what a key makes of a pane that has the keyboard is no matter of where the pointer rests.
    if found.response.clicked_by(PointerButton::Primary) && meant(ui, PointerButton::Primary) == Some(Meant::Crosshair)
    {
        let at = found.response.interact_pointer_pos().or(pos);
        found.clicked = at.and_then(|pos| placed.patch_at(pos));
        found.response.request_focus();
    } else if found.response.has_focus() {
        found.clicked = by_keyboard(ui, placed, &found.response, memory.patch);
        memory.patch = found.clicked.or(memory.patch);
    }
    if found.response.hovered() {
        let held = memory.drag.map(|drag| match drag {
            Drag::Window => Meant::Window,
            Drag::Pan => Meant::Pan,
            Drag::Zoom(_) => Meant::Zoom,
        });
        let icon = held.map_or(CursorIcon::PointingHand, |meant| meant.cursor(true));
        if held.is_some() || found.hovered.is_some() {
            ui.set_cursor_icon(icon);
        }
    }
    ui.data_mut(|data| data.insert_temp(found.response.id, memory));
    found
}

/// What a button would do now: the left one alone chooses patches, everything else is as in any pane.
fn meant(ui: &Ui, button: PointerButton) -> Option<Meant> {
    let (modifiers, space) = ui.input(|i| (i.modifiers, i.key_down(egui::Key::Space)));
    gesture::meant(button, modifiers, space, Tool::Crosshair, true)
}

/// The patch that keys choose. Space: the one that keys chose `last`, at first the middle one; the chosen one again, which
/// lets it go. Arrows: the next one in their direction.
fn by_keyboard(ui: &Ui, placed: &Placed<'_>, response: &Response, last: Option<usize>) -> Option<usize> {
    let grid = placed.pane.grid;
    let within = |patch: Option<usize>| patch.filter(|&patch| patch < grid * grid);
    let chosen = within(placed.pane.chosen);
    let asked = ui.input(|input| input.has_accesskit_action_request(response.id, Action::Click));
    if asked || space_bar::tapped(ui.ctx(), Some(response.id)) {
        return chosen.or(within(last)).or(Some(grid / 2 * grid + grid / 2));
    }
    let chosen = chosen?;
    let arrows = [Key::ArrowLeft, Key::ArrowRight, Key::ArrowUp, Key::ArrowDown];
    let directions = [vec2(-1.0, 0.0), vec2(1.0, 0.0), vec2(0.0, -1.0), vec2(0.0, 1.0)];
    let mut now = chosen;
    for (key, direction) in arrows.into_iter().zip(directions) {
        for _ in 0..ui.input_mut(|input| input.count_and_consume_key(Modifiers::NONE, key)) {
            now = neighbour(placed, now, direction);
        }
    }
    (now != chosen).then_some(now)
}

/// The next patch in a direction on the screen; the same one at the edge of the grid.
fn neighbour(placed: &Placed<'_>, patch: usize, direction: Vec2) -> usize {
    let grid = placed.pane.grid;
    let (i, j) = (patch / grid, patch % grid);
    let [_, along_i, along_j] = placed.lattice.map(|v| vec2(v.x as f32, v.y as f32));
    let steps = [(1, 0, along_i), (-1, 0, -along_i), (0, 1, along_j), (0, -1, -along_j)];
    let towards = |(_, _, by): &(isize, isize, Vec2)| by.normalized().dot(direction);
    let best = steps.into_iter().max_by(|a, b| towards(a).total_cmp(&towards(b)));
    let moved = |at: usize, by: isize| at.checked_add_signed(by).filter(|&at| at < grid).unwrap_or(at);
    best.map_or(patch, |(di, dj, _)| moved(i, di) * grid + moved(j, dj))
}

fn drag(ui: &Ui, placed: &Placed<'_>, found: &mut PatchResponse, memory: &mut Memory) {
    let response = &found.response;
    let pos = response.interact_pointer_pos().or_else(|| ui.input(|i| i.pointer.latest_pos()));
    let Some(pos) = pos.filter(|_| response.dragged() || response.drag_stopped()) else {
        memory.drag = None;
        return;
    };
    if response.drag_started() {
        use PointerButton::{Middle, Primary, Secondary};
        let down = |button: &PointerButton| ui.input(|i| i.pointer.button_down(*button));
        let button = [Primary, Middle, Secondary].into_iter().find(down);
        // Where the button went down, not where the pointer was when that counted as a drag.
        let from = ui.input(|i| i.pointer.press_origin()).unwrap_or(pos);
        memory.last = from;
        memory.drag = match button.and_then(|button| meant(ui, button)) {
            Some(Meant::Window) => Some(Drag::Window),
            Some(Meant::Pan) => Some(Drag::Pan),
            Some(Meant::Zoom) => Some(Drag::Zoom(vector(from - placed.rect.min))),
            _ => None,
        };
    }
    let delta = vector(pos - memory.last);
    memory.last = pos;
    let Some(drag) = memory.drag.filter(|_| delta != DVec2::ZERO) else { return };
    match drag {
        Drag::Window => found.window = Some(delta),
        Drag::Pan => found.camera = Some(panned(placed, delta)),
        Drag::Zoom(anchor) => found.camera = Some(zoomed(placed, gesture::zoom_factor(delta.y), anchor)),
    }
}

fn zoomed(placed: &Placed<'_>, factor: f64, anchor: DVec2) -> Camera {
    let camera = placed.pane.camera;
    // Within the limits of a zoom already, so that the map keeps what is under the pointer.
    let factor = (camera.zoom * factor).clamp(ZOOM[0], ZOOM[1]) / camera.zoom;
    let moved = placed.map.zoomed(Camera { zoom: 1.0, ..camera }, factor, anchor);
    Camera { zoom: camera.zoom * factor, ..moved }
}

/// The picture follows the pointer; its middle stays within the slice.
fn panned(placed: &Placed<'_>, by: DVec2) -> Camera {
    let camera = placed.pane.camera;
    let limit = placed.display.extent_mm(crate::view::Plane::Axial);
    Camera { centre_mm: (camera.centre_mm - by / placed.map.scale()).clamp(-limit, limit), ..camera }
}
