//! The slice panes of a case: axial, sagittal and coronal slices, projection, or linked axial slices.
//!
//! | module | contents |
//! |---|---|
//! | [`case_view`] | data shared by all panes of a frame; a pane on the screen |
//! | [`layout`] | arrangement of the panes |
//! | [`stack`], [`picture`] | images and labels of a pane |
//! | [`pane`] | one pane as a widget |
//! | [`interact`] | pointer, wheel and focus: events to commands |
//! | [`preview`] | the outline of a lesion that is not accepted yet |
//! | [`overlay`], [`marks`], [`text`], [`scale_bar`] | text and lines over the image |
//! | [`sample`] | values under the pointer and in an ellipse |

pub mod case_view;
pub mod interact;
pub mod layout;
pub mod marks;
pub mod overlay;
pub mod pane;
pub mod picture;
pub mod preview;
pub mod sample;
pub mod scale_bar;
pub mod stack;
pub mod text;

use egui::{Rect, Ui};

use crate::command::Sender;
use crate::state::{Document, State};
use crate::theme;
use crate::view::uniforms;
use case_view::CaseView;

/// Draws the panes of the open case.
pub fn show(ui: &Ui, area: Rect, state: &State, document: &Document, sender: &Sender) {
    let case = CaseView::new(ui.ctx(), state, document);
    // Shows between the panes as lines.
    ui.painter().rect_filled(area, 0.0, theme::tokens::DARK.line);
    let shown = state.shown_panes();
    let active = case.active(&shown);
    let style = uniforms::style(&state.session.settings, &state.session.view, case.pixels_per_point);
    let style = uniforms::with_colours(style, document.label_rows().iter().map(|row| (row.value, row.colour)));
    for (n, (id, rect)) in layout::arrange(area, &shown, case.pixels_per_point).into_iter().enumerate() {
        if rect.width() >= 1.0 && rect.height() >= 1.0 {
            let part = pane::Part { active: active == Some(id), legend: n == 0 };
            pane::show(ui, &case, &case.pane(id, rect), &style, part, sender);
        }
    }
}
