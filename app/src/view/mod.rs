//! The centre of the window: image panes with their overlays and pointer tools, and the pages of the other modes.
//!
//! | module | idea |
//! |---|---|
//! | [`case_view`] | what all panes of a frame share; a pane on the screen |
//! | [`layout`] | arrangement of the panes |
//! | [`stack`], [`picture`], [`uniforms`] | images and labels of a pane, and the uniforms of the shader |
//! | [`pane`] | one pane as a widget |
//! | [`overlay`], [`marks`], [`text`], [`legend`], [`scale_bar`] | text and lines over the image |
//! | [`interact`], [`wheel`], [`tool`] | pointer and wheel: events to commands, one file a tool |
//! | [`sample`] | values under the pointer and in an ellipse |
//! | [`patch_pane`] | a preprocessed slice with its patches, in the other modes |
//! | [`masking`], [`train`] | centre of the other modes |
//! | [`welcome`], [`states`] | centre without a case: start page, loading, errors |

pub mod case_view;
pub mod interact;
pub mod layout;
pub mod legend;
pub mod marks;
pub mod masking;
pub mod overlay;
pub mod pane;
pub mod patch_pane;
pub mod picture;
pub mod sample;
pub mod scale_bar;
pub mod stack;
pub mod states;
pub mod text;
pub mod tool;
pub mod train;
pub mod uniforms;
pub mod welcome;
pub mod wheel;

use egui::{CentralPanel, Rect, Ui};

use crate::command::Sender;
use crate::state::{Document, Mode, State};
use crate::theme;
use case_view::CaseView;

/// Draws the centre.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    CentralPanel::no_frame().show(ui, |ui| {
        let area = ui.max_rect();
        if state.mode == Mode::Train {
            ui.painter().rect_filled(area, 0.0, theme::tokens(ui).window);
            train::show(ui, state, sender);
            states::drop_target(ui, area, state);
            return;
        }
        let opening = states::opening(state);
        match (&state.document, &state.failed, opening) {
            (Some(document), _, _) => {
                match state.mode {
                    Mode::Masking => masking::show(ui, state, sender),
                    _ => panes(ui, area, state, document, sender),
                }
                if let Some(job) = opening {
                    states::loading_bar(ui, area, job);
                }
            }
            (None, failed, opening) => {
                ui.painter().rect_filled(area, 0.0, theme::tokens(ui).window);
                match (failed, opening) {
                    (_, Some(job)) => states::loading(ui, job, sender),
                    (Some((path, why)), None) => states::failed(ui, path, why, sender),
                    (None, None) => welcome::show(ui, state, sender),
                }
            }
        }
        states::drop_target(ui, area, state);
    });
}

fn panes(ui: &Ui, area: Rect, state: &State, document: &Document, sender: &Sender) {
    let case = CaseView::new(ui.ctx(), state, document);
    // Shows between the panes as lines.
    ui.painter().rect_filled(area, 0.0, theme::tokens::DARK.line);
    let shown = state.shown_panes();
    let active = case.active(&shown);
    let style = uniforms::style(&state.settings, &state.view, case.pixels_per_point);
    for (n, (id, rect)) in layout::arrange(area, &shown, case.pixels_per_point).into_iter().enumerate() {
        if rect.width() >= 1.0 && rect.height() >= 1.0 {
            let part = pane::Part { active: active == Some(id), legend: n == 0 };
            pane::show(ui, &case, &case.pane(id, rect), &style, part, sender);
        }
    }
}
