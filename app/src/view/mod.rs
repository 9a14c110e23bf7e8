//! The centre of the window: image panes with their overlays and pointer tools, and the pages of the other modes.
//!
//! | module | idea |
//! |---|---|
//! | [`mod@slice`] | the slice panes of a case: images, overlays, text |
//! | [`patch_pane`] | a preprocessed slice with its patches, in the other modes |
//! | [`tool`], [`wheel`] | pointer tools, one file each; wheel and trackpad |
//! | [`uniforms`] | uniforms of the slice shader |
//! | [`legend`] | legend of patch colours and symbols |
//! | [`masking`], [`train`] | centre of the other modes |
//! | `series` | the series of a DICOM place |
//! | [`welcome`], [`states`] | centre without a case: start page, loading, errors |
//! | `arriving` | slices of a DICOM series that is being decoded |

mod arriving;
pub mod legend;
pub mod masking;
pub mod patch_pane;
pub(crate) mod series;
pub mod slice;
pub mod states;
pub mod tool;
pub mod train;
pub mod uniforms;
pub mod welcome;
pub mod wheel;

use egui::{CentralPanel, Ui};

use crate::command::Sender;
use crate::state::{Mode, State};
use crate::theme;

/// Draws what an exported picture shows: the views of a case, the view of Masking mode, the charts of Train mode.
pub fn export(ui: &mut Ui, state: &State) {
    let (area, sender) = (ui.max_rect(), Sender::default());
    match (state.session.mode, &state.document) {
        (Mode::Train, _) => train::watch::curves::export(ui, state),
        (Mode::Masking, _) => masking::show(ui, state, &sender),
        (Mode::Review, Some(document)) => slice::show(ui, area, state, document, &sender),
        (Mode::Review, None) => {}
    }
}

/// Draws the centre.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    CentralPanel::no_frame().show(ui, |ui| {
        let area = ui.max_rect();
        if state.session.mode == Mode::Train {
            ui.painter().rect_filled(area, 0.0, theme::tokens(ui).window);
            train::show(ui, state, sender);
            states::drop_target(ui, area, state);
            return;
        }
        let opening = state.opening();
        if let Some(list) = state.browsed() {
            series::show(ui, state, list, sender);
            states::drop_target(ui, area, state);
            return;
        }
        if let (Some(job), Some(arriving)) = (opening, &state.cache.arriving) {
            return arriving::show(ui, arriving, state.session.settings.convention, job, sender);
        }
        match (&state.document, &state.failed, opening) {
            (Some(document), _, _) => {
                match state.session.mode {
                    Mode::Masking => masking::show(ui, state, sender),
                    _ => slice::show(ui, area, state, document, sender),
                }
                if let Some(job) = opening {
                    states::loading_another(ui, area, document, job, sender);
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
