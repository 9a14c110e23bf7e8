//! Temporary.
pub use crate::view::{crop, Camera, Plane, DisplayGrid, PlaneMode};
pub use crate::state::window::{Modality, WindowLevel};
