//! Pictures for reports: slices, patches, masks and captions on an RGB canvas.
//!
//! | file | contents |
//! |---|---|
//! | `canvas.rs` | rectangles, hatching, blending, PNG |
//! | `font.rs` | text |
//! | `slice.rs` | a slice in radiological convention, masks and contours over it |
//! | `patches.rs` | categories, masked patches and label flips over a slice |
//! | `sheet.rs` | captioned pictures in rows, with a legend |
//! | `thumbnail.rs` | thumbnail of a scan's middle slice |
//!
//! Nothing here touches the disk: write [`Canvas::to_png`] through [`crate::run`].

mod canvas;
pub mod colour;
mod font;
mod patches;
mod sheet;
mod slice;
mod thumbnail;

pub use canvas::{Canvas, Rect};
pub use colour::Rgb;
pub use sheet::{Mark, Panel, Row, sheet};
pub use slice::{SliceView, percentile_window};
pub use thumbnail::{thumbnail, thumbnail_in_window};
