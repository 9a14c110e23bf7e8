//! The viewer's WGSL shaders, their uniform structs in Rust, and CPU twins.
//!
//! Uses no GPU API. [`SLICE_WGSL`] draws one pane from a [`Slice`] and up to five 3-D textures of unsigned integers;
//! [`cpu::render`] does the same arithmetic, for tests and for machines without an adapter. A test parses the WGSL and
//! compares the offset of every member with Rust's.

pub mod colour;
pub mod cpu;
mod parts;
mod patches;
mod uniforms;

pub use parts::Parts;
pub use patches::{Cell, PatchShow, Patches};
pub use uniforms::{ColourMap, ComparisonMode, Image, Interpolation, Kind, LabelMode, Layers, Slice, labels_shown};

/// Source of the slice shader: entry points `vs_main` and `fs_main`, three vertices, no vertex buffer. Bindings of group 0:
/// the [`Slice`], then the textures of base, fused, labels, reference and patches. Pipeline constants: [`Parts::constants`].
pub const SLICE_WGSL: &str = concat!(include_str!("slice.wgsl"), "\n", include_str!("patches.wgsl"));
