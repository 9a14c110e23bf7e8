//! The centre of the window: image panes with their overlays and pointer tools, and the pages of the other modes.
//!
//! | module | contents |
//! |---|---|
//! | [`mod@slice`] | the slice panes of a case: images, overlays, text |
//! | [`patch_pane`] | a preprocessed slice with its patches, for the other modes |
//! | [`tool`], [`wheel`] | pointer tools, one file each; wheel and trackpad |
//! | [`uniforms`] | uniforms of the slice shader |
//! | [`legend`] | legend of patch colours and symbols |
//! | [`masking`], [`train`] | centre of the other modes |
//! | `series` | the series browser |
//! | [`welcome`], [`states`] | centre without a case: start page, loading, errors |
//! | `partial_series` | slices of a DICOM series that is still loading |

pub mod legend;
pub mod masking;
mod partial_series;
pub mod patch_pane;
pub(crate) mod series;
pub mod slice;
pub mod states;
pub mod tool;
pub mod train;
pub mod uniforms;
pub mod welcome;
pub mod wheel;

use std::time::Duration;

use egui::{CentralPanel, Id, Ui};

use crate::command::Sender;
use crate::state::{JobStatus, Mode, State};
use crate::theme;

/// Seconds for which the list of series stays visible while one of them opens.
const SHORT_SECONDS: f64 = 0.3;

/// Draws the content of an exported picture: the views of a case, the view of Masking mode or the charts of Train mode.
pub fn export(ui: &mut Ui, state: &State) {
    let (area, sender) = (ui.max_rect(), Sender::default());
    match (state.session.mode, &state.document) {
        (Mode::Train, _) => train::watch::curves::export(ui, state),
        (Mode::Masking, _) => masking::show(ui, state, &sender),
        (Mode::Review, Some(document)) => slice::show(ui, area, state, document, &sender),
        (Mode::Review, None) => {}
    }
}

/// Whether a job started less than [`SHORT_SECONDS`] ago. Most series open before a message could be read.
fn has_just_begun(ui: &Ui, job: &JobStatus) -> bool {
    let now = ui.input(|input| input.time);
    let seen = ui.data_mut(|data| {
        let seen = data.get_temp_mut_or_insert_with(Id::unique("job that opens a series"), || (job.id, now));
        if seen.0 != job.id {
            *seen = (job.id, now);
        }
        *seen
    });
    let left = SHORT_SECONDS - (now - seen.1);
    if left > 0.0 {
        ui.ctx().request_repaint_after(Duration::from_secs_f64(left));
    }
    left > 0.0
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
        let list = state.series.as_ref().filter(|list| list.browsing || state.document.is_none());
        if let (Some(job), Some(list)) = (opening, list)
            && has_just_begun(ui, job)
        {
            // Clicks have no effect.
            return series::show(ui, state, list, &Sender::default());
        }
        if let (Some(job), Some(series)) = (opening, &state.cache.partial_series) {
            return partial_series::show(ui, series, state.session.settings.convention, job, sender);
        }
        match (&state.document, &state.failed, opening) {
            (Some(document), _, _) => {
                match state.session.mode {
                    Mode::Masking => masking::show(ui, state, sender),
                    _ => slice::show(ui, area, state, document, sender),
                }
                if let Some(job) = opening {
                    states::loading_overlay(ui, area, document, job, sender);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Slot;

    #[test]
    fn the_list_stays_visible_while_a_series_opens_quickly() {
        let ctx = egui::Context::default();
        let job = |id| JobStatus {
            id,
            slot: Slot::OPEN,
            title: "Opening CT series 2".into(),
            progress: None,
            detail: String::new(),
            quiet: false,
        };
        let at = |time: f64, id| {
            let mut begun = false;
            let input = egui::RawInput { time: Some(time), ..egui::RawInput::default() };
            ctx.run_ui(input, |ui| begun = has_just_begun(ui, &job(id))).drop_without_applying_deltas();
            begun
        };
        assert_eq!([at(5.0, 1), at(5.2, 1), at(5.31, 1)], [true, true, false]);
        assert_eq!([at(6.0, 2), at(6.4, 2)], [true, false], "another job");
    }
}
