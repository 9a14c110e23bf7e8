//! NIfTI-1 and NIfTI-2, single files and pairs, gzipped or not.
//!
//! The `nifti` crate parses the NIfTI-1 header, from bytes that were validated here first; it panics on some headers and
//! ignores fields that matter, so everything else (NIfTI-2, voxels, gzip, geometry, writing) is a thin layer of our own.
//! Nothing large is allocated on a header's word alone, and no text of a header is ever shown, kept or written.

mod decode;
mod extension;
mod geometry;
mod header;
mod read;
mod source;
mod write;

pub(super) use read::{read, read_grid};
pub use write::{write_f32, write_label, write_volume};
