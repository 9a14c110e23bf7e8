//! Figures of an experiment: what a held-out patient's masks look like, what the label updates did, how training went.
//!
//! | file | idea |
//! |---|---|
//! | `overlay.rs` | one slice of a patient: the scan, the truth, each method's mask against the truth |
//! | `relabel.rs` | the digits of a slice's patches before and after label updates (the paper's Fig. 4) |
//! | `chart.rs` | curves as a small SVG |
//! | `curves.rs` | which curves of a training are worth a chart |
//! | `layout.rs` | captioned pictures with a legend, in letters that survive a page's scaling |
//!
//! Nothing here touches the disk: pictures are the bytes of PNG files.

mod chart;
mod curves;
mod layout;
mod overlay;
mod relabel;

pub use chart::{Chart, Scale, Series};
pub use curves::{FinetuneCurve, finetuning_charts, pretraining_charts};
pub use overlay::{OverlayInput, OverlayMask, axial_slice, fullest_slice, overlay};
pub use relabel::{MOST_UPDATES, RelabelRow, evenly, relabel_sheet};
