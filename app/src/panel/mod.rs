//! Lists and controls around the views: they read the state and send commands.
//!
//! | panel | what it holds |
//! |---|---|
//! | [`top`] | modes, the case's name, tools, what concerns the whole window |
//! | [`left`] | the cases of a folder, the layers of the open case |
//! | [`right`] | the mode's controls; in Review contrast, findings, agreement, segmentation |
//! | [`strip`] | a value per axial slice |
//! | [`status`] | adapter, memory, jobs, messages |
//! | [`toasts`] | messages that were not closed yet |

mod chip;
pub(crate) mod format;
pub mod left;
mod memory;
pub mod right;
pub mod status;
pub mod strip;
pub(crate) mod text;
pub mod toasts;
pub mod top;

use egui::{Frame, Margin, Ui};

use crate::theme::{self, space};

/// The ground of a panel, with the same room on its left and right everywhere.
fn frame(ui: &Ui) -> Frame {
    Frame::new().fill(theme::tokens(ui).panel).inner_margin(Margin::symmetric(space::M as i8, 0))
}
