//! A pane: image, overlay, widget.

use egui::{Rect, Role, Stroke, StrokeKind, Ui, WidgetInfo};
use shaders::Slice;

use super::case_view::{CaseView, PaneView};
use super::interact::{self, SlicePane};
use super::marks;
use super::overlay::{self, PaneText};
use super::picture::{self, Picture};
use super::preview;
use crate::command::{Sender, SeriesCommand};
use crate::state::SeriesId;
use crate::theme::size;
use crate::view::tool;

/// Role of a pane among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Receives keys.
    pub active: bool,
    /// Shows the legend of the comparison.
    pub legend: bool,
}

/// Draws a pane and handles its input.
pub fn show(ui: &Ui, case: &CaseView<'_>, view: &PaneView<'_>, style: &Slice, part: Part, sender: &Sender) {
    let response = interact::sense(ui, view);
    if let Some(dropped) = response.dnd_release_payload::<SeriesId>() {
        sender.send(SeriesCommand::Drop(*dropped));
    }
    let painter = ui.painter().with_clip_rect(view.rect.intersect(ui.clip_rect()));
    painter.rect_filled(view.rect, 0.0, case.tokens.image);
    let picture = picture::paint(&painter, case, view, style);
    if let Some(why) = &picture.missing {
        picture::paint_missing(&painter, case, view, why);
    }
    let mut pane = SlicePane { ui, case, view, response: &response, sender };
    let drag = pane.interact();
    // Text must not cover letters, lesions, calipers or earlier text.
    let letters = overlay::letter_rects(&painter, case, view);
    let mut kept: Vec<Rect> = letters.iter().copied().chain(marks::lesions(case, view)).collect();
    // Calipers and their lengths lie over the crosshair, which would strike them through.
    marks::crosshair(&painter, case, view);
    marks::findings(&painter, case, view, &mut kept);
    marks::measures(&painter, case, view, (case.state.measures().iter(), true), &mut kept);
    let kept = kept.split_off(letters.len());
    let left = case.state.session.view.tool;
    tool::draw(&pane, left, drag.as_ref(), pane.pointer(), &painter);
    if left.is_brush() {
        tool::ball_section(&pane, &painter);
    }
    preview::show(&painter, case, view);
    let Part { active, legend } = part;
    overlay::write(&painter, &PaneText { case, view, picture: &picture, active, legend }, &kept);
    if response.has_focus() || response.dnd_hover_payload::<SeriesId>().is_some() {
        let ring = Stroke::new(size::FOCUS_RING, case.tokens.overlay_accent);
        painter.rect_stroke(view.rect, 0.0, ring, StrokeKind::Inside);
    }
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Canvas, ui.is_enabled(), view.id.name());
        info.current_text_value = Some(spoken(view, &picture));
        info
    });
}

/// The pane for screen readers.
fn spoken(view: &PaneView<'_>, picture: &Picture) -> String {
    let slice = if view.id.is_projection() {
        "maximum intensity projection".to_owned()
    } else {
        format!("slice {} of {}", view.slice + 1, view.grid.shape[view.plane.axis()])
    };
    let missing = picture.missing.iter().chain(&picture.notes);
    missing.fold(slice, |text, more| format!("{text}. {more}"))
}
