//! Pointer, wheel and focus of a slice pane: from events to commands.

use egui::{Id, PointerButton, Pos2, Response, Sense, Ui};
use glam::{DVec2, DVec3};

use super::case_view::{CaseView, PaneView};
use crate::command::{EditCommand, Sender, ViewCommand};
use crate::state::edit::Preview;
use crate::state::{Mode, PaneId, ToolKind};
use crate::view::tool::{
    self, Brush, Click, Crosshair, Drag, Ellipse, Lasso, Pan, Pane, Ruler, Seeds, Tool, Window, Zoom,
};
use crate::view::wheel::{self, Notches};
use crate::widget::focus::{self, Arrows};

/// What a pane remembers from one frame to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    drag: Option<Drag>,
    wheel: Notches,
}

/// The widget id of a pane.
pub fn id_of(pane: PaneId) -> Id {
    Id::unique(("pane", pane))
}

/// Makes a pane a widget that Tab reaches. A drag starts with the press, without a threshold.
pub fn sense(ui: &Ui, view: &PaneView<'_>) -> Response {
    let response = ui.interact(view.rect, id_of(view.id), Sense::drag());
    focus::keep_arrows(ui, &response, Arrows::Slices);
    response
}

/// A slice pane as tools see it.
pub struct SlicePane<'a> {
    /// The context that this frame draws in.
    pub ui: &'a Ui,
    /// What all panes share.
    pub case: &'a CaseView<'a>,
    /// The pane on the screen.
    pub view: &'a PaneView<'a>,
    /// Its widget.
    pub response: &'a Response,
    /// Where commands go.
    pub sender: &'a Sender,
}

impl Pane for SlicePane<'_> {
    fn tool<'t>(&self, kind: ToolKind) -> Option<&'t dyn Tool<Self>>
    where
        Self: 't,
    {
        match kind {
            ToolKind::Crosshair => Some(&Crosshair),
            ToolKind::Window => Some(&Window),
            ToolKind::Pan => Some(&Pan),
            ToolKind::Zoom => Some(&Zoom),
            // A projection shows points at any depth, so its distances are not distances in the patient.
            _ if self.view.id.is_projection() => None,
            ToolKind::Ruler => Some(&Ruler),
            ToolKind::Ellipse => Some(&Ellipse),
            ToolKind::Brush | ToolKind::Eraser | ToolKind::RangeBrush | ToolKind::AdaptiveBrush => Some(&Brush),
            ToolKind::Lasso => Some(&Lasso),
            ToolKind::Fill => Some(&Click::Fill),
            ToolKind::Grow => Some(&Click::Grow),
            ToolKind::OneClick if self.case.state.clicks_by_strokes(self.case.document) => Some(&Seeds),
            ToolKind::OneClick => Some(&Click::Preview),
        }
    }

    fn world_at(&self, at: Pos2) -> DVec3 {
        self.view.world_at(at, self.view.slice as f64)
    }

    /// Takes the keyboard focus from other widgets, and makes a linked pane's image the shown one.
    fn take_focus(&mut self) {
        self.ui.memory_mut(|memory| {
            if let Some(focused) = memory.focused().filter(|id| *id != self.response.id) {
                memory.surrender_focus(focused);
            }
        });
        if self.view.image != self.case.document.shown {
            self.sender.send(ViewCommand::ShowImage(self.view.image));
        }
    }

    fn change_window(&mut self, by: DVec2) {
        let layer = self.case.layer(self.view.image);
        if layer.volume.data.is_colour() {
            return;
        }
        let window = self.case.state.window_of(layer);
        let (width, level) = tool::window_change(by, window, layer.range, &layer.info.modality);
        self.sender.send(ViewCommand::ChangeWindow { width, level });
    }

    fn pan(&mut self, by: DVec2) {
        self.sender.send(ViewCommand::Pan { pane: self.view.id, by_mm: by / self.view.map.scale() });
    }

    fn zoom(&mut self, factor: f64, anchor: Pos2) {
        let (anchor, size) = (self.view.place(anchor), self.view.size());
        self.sender.send(ViewCommand::Zoom { pane: self.view.id, factor, anchor, size });
    }
}

impl SlicePane<'_> {
    /// Sends commands for the user's input; returns the drag in progress, if any.
    pub fn interact(&mut self) -> Option<Drag> {
        let mut memory: Memory = self.ui.data(|data| data.get_temp(self.response.id)).unwrap_or_default();
        let left = self.case.state.session.view.tool;
        self.activate();
        self.scroll(&mut memory.wheel, left);
        self.follow_with_shift();
        tool::follow(self.ui, self.response, self, left, &mut memory.drag);
        if !left.is_edit() {
            self.double_click();
        }
        if self.response.hovered() {
            self.ui.set_cursor_icon(tool::cursor(self.ui, self, left, memory.drag.as_ref()));
        }
        self.ui.data_mut(|data| data.insert_temp(self.response.id, memory));
        memory.drag
    }

    /// World mm of the press and of the pointer, which is kept within the pane.
    pub fn ends_mm(&self, drag: &Drag) -> [DVec3; 2] {
        [drag.start_mm, self.world_at(drag.now.clamp(self.view.rect.min, self.view.rect.max))]
    }

    /// Whether a drag ends where it began in the image, which may have moved under the pointer.
    pub fn is_click(&self, drag: &Drag) -> bool {
        Drag { from: self.view.pos_of(drag.start_mm), ..*drag }.is_click()
    }

    /// Keys go to the pane that the pointer moves over, or that has the keyboard focus.
    fn activate(&self) {
        let touched = |event: &egui::Event| {
            use egui::Event::{MouseWheel, PointerButton, PointerMoved};
            matches!(event, PointerMoved(_) | PointerButton { .. } | MouseWheel { .. })
        };
        let pointed = self.response.hovered() && self.ui.input(|i| i.events.iter().any(touched));
        if (pointed || self.response.gained_focus()) && self.case.state.session.view.active != Some(self.view.id) {
            self.sender.send(ViewCommand::Activate(self.view.id));
        }
    }

    /// Where the pointer is, over the pane or in a drag that began in it.
    pub fn pointer(&self) -> Option<Pos2> {
        self.response.hover_pos().or_else(|| self.response.interact_pointer_pos())
    }

    fn scroll(&mut self, notches: &mut Notches, left: ToolKind) {
        let Some(pos) = self.response.hover_pos().filter(|_| !self.response.dragged()) else { return };
        let turned = self.ui.input(wheel::turned);
        if let Some(factor) = turned.zoom {
            self.zoom(factor, pos);
        }
        let by = notches.take(turned.notches);
        let threshold = self.case.state.preview().and_then(Preview::least);
        if by != 0 && left == ToolKind::OneClick && threshold.is_some() {
            self.sender.send(EditCommand::StepPreview(by));
        } else if by != 0 && left.is_brush() && turned.shift {
            self.sender.send(EditCommand::Resize(by));
        } else if by != 0 && !self.view.id.is_projection() {
            self.sender.send(ViewCommand::StepSlice { pane: self.view.id, by });
        }
    }

    /// With Shift the crosshair follows the pointer.
    fn follow_with_shift(&self) {
        let follows = self.ui.input(|i| i.modifiers.shift && !i.pointer.any_down() && i.pointer.is_moving());
        if let Some(pos) = self.response.hover_pos().filter(|_| follows) {
            self.sender.send(ViewCommand::MoveCrosshair(tool::crosshair_at(self.case, self.view, pos)));
        }
    }

    fn double_click(&self) {
        let twice = self.ui.input(|i| i.pointer.button_double_clicked(PointerButton::Primary));
        if twice && self.response.contains_pointer() && self.case.state.session.mode == Mode::Review {
            let alone = self.case.state.session.view.maximised.is_some();
            self.sender.send(ViewCommand::Maximise((!alone).then_some(self.view.id)));
        }
    }
}
