//! What is drawn on the black ground: panes, their overlays and the ways of the mouse.
//!
//! | module | idea |
//! |---|---|
//! | [`plane`] | how a pane cuts a volume: places, indices, letters |
//! | [`scene`] | what all panes of a frame share; one pane at its place |
//! | [`layout`] | where panes lie |
//! | [`stack`], [`picture`], [`uniforms`] | which images and labels a pane draws, and what the shader is told |
//! | [`pane`] | one pane as a widget |
//! | [`overlay`], [`marks`], [`text`], [`legend`], [`scale_bar`] | what is written and drawn over the picture |
//! | [`interact`], [`gesture`], [`wheel`], [`space_bar`], [`sample`] | the mouse, the space bar, and the values they ask for |
//! | [`crop`], [`patch_pane`] | a prepared slice with its patches, for the other modes |
//! | [`masking`], [`train`] | the centre of the other modes |
//! | [`welcome`], [`states`] | the centre without a case |

pub mod crop;
pub mod gesture;
pub mod interact;
pub mod layout;
pub mod legend;
pub mod marks;
pub mod masking;
pub mod overlay;
pub mod pane;
pub mod patch_pane;
pub mod picture;
pub mod plane;
pub mod sample;
pub mod scale_bar;
pub mod scene;
pub mod space_bar;
pub mod stack;
pub mod states;
pub mod text;
pub mod train;
pub mod uniforms;
pub mod welcome;
pub mod wheel;

use egui::{CentralPanel, Rect, Ui};

pub use interact::{Arrows, focused};
pub use plane::{Camera, Convention, DisplayGrid, Letters, PaneMap, Plane, PlaneMode};

use crate::command::Sender;
use crate::state::{Document, Mode, State};
use crate::theme;
use scene::Scene;

/// Draws the centre: the panes of the open case, or how to open one.
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
                    (Some(failed), None) => states::failed(ui, &failed.path, &failed.why, sender),
                    (None, None) => welcome::show(ui, state, sender),
                }
            }
        }
        states::drop_target(ui, area, state);
    });
}

fn panes(ui: &Ui, area: Rect, state: &State, document: &Document, sender: &Sender) {
    let scene = Scene::new(ui.ctx(), state, document);
    // What no pane covers are the lines between them.
    ui.painter().rect_filled(area, 0.0, theme::tokens::DARK.line);
    let shown = state.shown_panes();
    let active = scene.active(&shown);
    let style = uniforms::style(&state.settings, &state.view, scene.pixels_per_point);
    for (n, (id, rect)) in layout::arrange(area, &shown, scene.pixels_per_point).into_iter().enumerate() {
        if rect.width() >= 1.0 && rect.height() >= 1.0 {
            let part = pane::Part { active: active == Some(id), legend: n == 0 };
            pane::show(ui, &scene, &scene.pane(id, rect), &style, part, sender);
        }
    }
}
