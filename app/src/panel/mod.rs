//! Lists and controls around the views: they read the state and send commands.
//!
//! | panel | contents |
//! |---|---|
//! | [`top`] | modes, case name, tools, view options |
//! | [`banner`] | patient of the open DICOM images |
//! | [`left`] | cases of the folder, layers of the open case |
//! | [`right`] | controls of the mode; in Review contrast, findings, agreement, segmentation |
//! | [`strip`] | a value per axial slice, sigma over the epochs, or the timeline |
//! | [`status`] | adapter, memory, jobs, messages |
//! | [`toasts`] | messages that are not dismissed yet |

pub mod banner;
mod chip;
pub mod left;
mod memory;
pub mod right;
pub mod status;
pub mod strip;
pub mod toasts;
pub mod top;
mod verdict;
mod window_level;

use egui::{Frame, Margin, Ui};

use crate::state::State;
use crate::theme::{self, space};

/// Whether another case is loading while one is shown, which is then dimmed.
fn loads_another(state: &State) -> bool {
    state.document.is_some() && state.opening().is_some()
}

/// Whether a panel was dragged to another width.
fn is_resized(width: f32, before: f32) -> bool {
    (width - before).abs() >= 1.0
}

/// Background and horizontal padding shared by all panels.
fn frame(ui: &Ui) -> Frame {
    Frame::new().fill(theme::tokens(ui).panel).inner_margin(Margin::symmetric(space::M as i8, 0))
}
