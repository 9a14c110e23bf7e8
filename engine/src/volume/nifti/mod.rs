//! NIfTI-1 and NIfTI-2, single files and pairs, gzipped or not.
//!
//! The `nifti` crate parses the NIfTI-1 header, after validation here. It panics on some headers and ignores fields
//! that matter, so NIfTI-2, voxels, gzip, geometry and writing are implemented here. No large allocation relies on the
//! header alone, and header text, which may identify the patient, is never shown, kept or written.

mod decode;
mod extension;
mod geometry;
mod header;
mod read;
mod source;
mod summary;
mod write;

pub(super) use read::{read, read_grid};
pub use summary::HeaderSummary;
pub use write::{replace_label, replace_labels, write_f32, write_label, write_volume};
