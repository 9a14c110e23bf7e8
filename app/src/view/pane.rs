//! One pane: picture, overlay, widget.

use egui::{Role, Stroke, StrokeKind, Ui, WidgetInfo};
use shaders::Slice;

use super::overlay::{self, Written};
use super::picture::{self, Picture};
use super::scene::{PaneView, Scene};
use super::{interact, marks};
use crate::command::Sender;
use crate::theme::size;

/// What a pane is among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Keys go here.
    pub active: bool,
    /// It explains the overlay's patterns.
    pub legend: bool,
}

/// Draws a pane and sends what the user does with it.
pub fn show(ui: &Ui, scene: &Scene<'_>, view: &PaneView<'_>, style: &Slice, part: Part, sender: &Sender) {
    let response = interact::sense(ui, view);
    let painter = ui.painter().with_clip_rect(view.rect.intersect(ui.clip_rect()));
    painter.rect_filled(view.rect, 0.0, scene.tokens.image);
    let picture = picture::paint(&painter, scene, view, style);
    if let Some(why) = &picture.missing {
        picture::paint_missing(&painter, scene, view, why);
    }
    let preview = interact::interact(ui, scene, view, &response, sender);
    marks::findings(&painter, scene, view);
    marks::crosshair(&painter, scene, view);
    marks::measures(&painter, scene, view, scene.state.session.view.measures.iter(), true);
    marks::measures(&painter, scene, view, preview.iter(), false);
    let Part { active, legend } = part;
    overlay::write(&painter, &Written { scene, view, picture: &picture, active, legend });
    if response.has_focus() {
        let ring = Stroke::new(size::FOCUS_RING, scene.tokens.overlay_accent);
        painter.rect_stroke(view.rect, 0.0, ring, StrokeKind::Inside);
    }
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Canvas, ui.is_enabled(), view.id.name());
        info.current_text_value = Some(spoken(view, &picture));
        info
    });
}

/// What a screen reader says of a pane.
fn spoken(view: &PaneView<'_>, picture: &Picture) -> String {
    let slice = if view.id.is_projection() {
        "maximum intensity projection".to_owned()
    } else {
        format!("slice {} of {}", view.slice + 1, view.grid.shape[view.plane.axis()])
    };
    let missing = picture.missing.iter().chain(&picture.notes);
    missing.fold(slice, |said, more| format!("{said}. {more}"))
}
