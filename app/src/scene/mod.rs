//! Display geometry: how a pane cuts a volume, and how values become grey levels and colours.
//!
//! | module | contents |
//! |---|---|
//! | [`plane`] | axial, sagittal, coronal; radiological or neurological convention |
//! | [`display_grid`] | the grid that panes cut, native or along the patient's axes; orientation letters |
//! | [`camera`] | zoom and pan; screen positions to display indices and back |
//! | [`crop`] | world positions of a preprocessed slice and its patches |
//! | [`scan`] | modality and unit of the values, with the evidence |
//! | [`window`], [`colour_map`] | window/level with its presets, and colour maps |

pub mod camera;
pub mod colour_map;
pub mod crop;
pub mod display_grid;
pub mod plane;
pub mod scan;
pub mod window;

pub use camera::{Camera, PaneMap, ZOOM};
pub use colour_map::ColourMap;
pub use display_grid::{DisplayGrid, Letters, letters_of, vector};
pub use plane::{Convention, Plane, PlaneMode};
pub use scan::{Evidence, ScanInfo, Sidecar, Unit};
pub use window::{Modality, Preset, SOFT_TISSUE, WindowLevel};

#[cfg(test)]
mod tests;
