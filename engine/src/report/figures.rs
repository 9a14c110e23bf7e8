//! Figures of a report: segmentations of held-out patients, label updates, training curves.
//!
//! | file | contents |
//! |---|---|
//! | `overlay.rs` | slices of patients: scan, reference, each method's segmentation vs the reference (the paper's Fig. 3) |
//! | `relabel.rs` | the patch labels of a slice before and after label updates (the paper's Fig. 4) |
//! | `chart.rs` | curves as a small SVG |
//! | `curves.rs` | the charts of a run |
//!
//! Nothing here touches the disk: pictures are the bytes of PNG files.

mod chart;
mod curves;
mod overlay;
mod relabel;

pub use chart::{Chart, Scale, Series, XScale, page_colour, svg_file};
pub use curves::{FinetuneCurve, finetuning_charts, pretraining_charts};
pub(crate) use overlay::window_of;
pub use overlay::{OverlayInput, OverlayMask, axial_slice, fullest_slice, overlay, overlay_rows};
pub use relabel::{MAX_UPDATES, RelabelRow, evenly, relabel_sheet};
