//! Pointer, wheel and keyboard of a patch pane.

use egui::accesskit::Action;
use egui::{Key, Modifiers, PointerButton, Pos2, Rect, Response, Sense, Ui, Vec2, vec2};
use glam::{DVec2, DVec3};

use super::{PanePlacement, PatchResponse, vector};
use crate::scene::{Camera, Plane, ZOOM};
use crate::state::ToolKind;
use crate::view::tool::{self, Drag, Pan, Pane, Pin, Tool, Window, Zoom};
use crate::view::wheel::{self, Notches};
use crate::widget::focus::{self, Arrows};
use crate::widget::space_bar;

/// What a pane remembers from one frame to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    drag: Option<Drag>,
    wheel: Notches,
    /// The patch that keys pinned last.
    patch: Option<usize>,
}

/// The left button pins patches, independent of the slice panes' tool.
const LEFT: ToolKind = ToolKind::Crosshair;

/// A patch pane as tools see it.
pub struct Surface<'a> {
    placed: &'a PanePlacement<'a>,
    found: PatchResponse,
}

impl Pane for Surface<'_> {
    fn tool<'t>(&self, kind: ToolKind) -> Option<&'t dyn Tool<Self>>
    where
        Self: 't,
    {
        match kind {
            ToolKind::Window => Some(&Window),
            ToolKind::Pan => Some(&Pan),
            ToolKind::Zoom => Some(&Zoom),
            ToolKind::Crosshair | ToolKind::Ruler | ToolKind::Ellipse => Some(&Pin),
            // Patches are not part of a mask.
            ToolKind::Brush
            | ToolKind::Eraser
            | ToolKind::RangeBrush
            | ToolKind::AdaptiveBrush
            | ToolKind::Lasso
            | ToolKind::Fill
            | ToolKind::Grow
            | ToolKind::OneClick => None,
        }
    }

    fn world_at(&self, at: Pos2) -> DVec3 {
        self.placed.world_at(at)
    }

    fn change_window(&mut self, by: DVec2) {
        self.found.window = Some(by);
    }

    fn pan(&mut self, by: DVec2) {
        self.found.camera = Some(panned(self.placed, by));
    }

    fn zoom(&mut self, factor: f64, anchor: Pos2) {
        self.found.camera = Some(zoomed(self.placed, factor, vector(anchor - self.placed.rect.min)));
    }
}

impl Surface<'_> {
    /// Pins the patch at a screen position, and takes the keyboard focus.
    pub fn click(&mut self, at: Pos2) {
        self.found.clicked = self.placed.patch_at(at);
        self.found.response.request_focus();
    }
}

/// Makes the pane a widget that Tab reaches. A drag starts with the press, without a threshold. Once a patch is pinned,
/// arrow keys move from patch to patch instead of through the slices.
pub(super) fn sense(ui: &Ui, salt: &str, rect: Rect, pinned: bool) -> Response {
    let response = ui.interact(rect, ui.scope_id().with(("patch pane", salt)), Sense::drag());
    ui.accesskit_node_builder(response.id, |node| node.add_action(Action::Click));
    focus::keep_arrows(ui, &response, if pinned { Arrows::Patches } else { Arrows::Slices });
    response
}

/// The user's input on the pane in this frame.
pub(super) fn interact(ui: &Ui, placed: &PanePlacement<'_>, response: &Response) -> PatchResponse {
    let mut memory: Memory = ui.data(|data| data.get_temp(response.id)).unwrap_or_default();
    let pos = response.hover_pos();
    let found = PatchResponse {
        hovered: pos.and_then(|pos| placed.patch_at(pos)),
        clicked: None,
        double_clicked: response.contains_pointer()
            && ui.input(|input| input.pointer.button_double_clicked(PointerButton::Primary)),
        world: pos.map(|pos| placed.world_at(pos)),
        notches: 0,
        camera: None,
        window: None,
        response: response.clone(),
    };
    let mut surface = Surface { placed, found };
    if let Some(pos) = pos.filter(|_| !response.dragged()) {
        let turned = ui.input(wheel::turned);
        if let Some(factor) = turned.zoom {
            surface.zoom(factor, pos);
        }
        surface.found.notches = memory.wheel.take(turned.notches);
    }
    tool::follow(ui, response, &mut surface, LEFT, &mut memory.drag);
    // A keyboard click does not depend on the pointer position.
    if surface.found.clicked.is_none() && response.has_focus() {
        surface.found.clicked = by_keyboard(ui, placed, response, memory.patch);
        memory.patch = surface.found.clicked.or(memory.patch);
    }
    if response.hovered() && (memory.drag.is_some() || surface.found.hovered.is_some()) {
        ui.set_cursor_icon(tool::cursor(ui, &surface, LEFT, memory.drag.as_ref()));
    }
    ui.data_mut(|data| data.insert_temp(response.id, memory));
    surface.found
}

/// The patch that a key pins. Space: the pinned patch, which unpins it, else the one that keys pinned `last`, else the
/// middle one. Arrows: the neighbour in that direction.
fn by_keyboard(ui: &Ui, placed: &PanePlacement<'_>, response: &Response, last: Option<usize>) -> Option<usize> {
    let grid = placed.pane.grid;
    if grid < 2 {
        return None;
    }
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

/// The neighbour of a patch in a screen direction; the patch itself at the edge of the grid.
fn neighbour(placed: &PanePlacement<'_>, patch: usize, direction: Vec2) -> usize {
    let grid = placed.pane.grid;
    let (i, j) = (patch / grid, patch % grid);
    let [_, along_i, along_j] = placed.lattice.map(|v| vec2(v.x as f32, v.y as f32));
    let steps = [(1, 0, along_i), (-1, 0, -along_i), (0, 1, along_j), (0, -1, -along_j)];
    let towards = |(_, _, by): &(isize, isize, Vec2)| by.normalized().dot(direction);
    let best = steps.into_iter().max_by(|a, b| towards(a).total_cmp(&towards(b)));
    let moved = |at: usize, by: isize| at.checked_add_signed(by).filter(|&at| at < grid).unwrap_or(at);
    best.map_or(patch, |(di, dj, _)| moved(i, di) * grid + moved(j, dj))
}

fn zoomed(placed: &PanePlacement<'_>, factor: f64, anchor: DVec2) -> Camera {
    let camera = placed.pane.camera;
    // Clamped here, so that the anchor keeps its position at the limits too.
    let factor = (camera.zoom * factor).clamp(ZOOM[0], ZOOM[1]) / camera.zoom;
    let moved = placed.map.zoomed(Camera { zoom: 1.0, ..camera }, factor, anchor);
    Camera { zoom: camera.zoom * factor, ..moved }
}

/// The image follows the pointer; the middle of the pane stays within the slice.
fn panned(placed: &PanePlacement<'_>, by: DVec2) -> Camera {
    let camera = placed.pane.camera;
    let limit = placed.display.extent_mm(Plane::Axial);
    Camera { centre_mm: (camera.centre_mm - by / placed.map.scale()).clamp(-limit, limit), ..camera }
}
