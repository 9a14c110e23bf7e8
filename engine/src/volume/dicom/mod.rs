//! DICOM: files, frames, series and their volumes.
//!
//! [`DataSet`] holds the elements of a file. Its parser is iterative and bounded; `parse.rs` says why no other crate is used.
//! [`Frames`] decodes pixels. [`Library`] lists the series of a file, folder or archive. [`open`] finds the volume that a path
//! names.
//!
//! Names, dates and descriptions may identify patients and are used only in a study list. No error, warning or file name
//! contains them. Messages name attributes by tag and instances by a hash of their UID.

mod charset;
mod codec;
mod element;
mod file;
mod frames;
mod info;
mod instance;
mod library;
mod listing;
mod load;
mod mosaic;
mod multiframe;
mod overlay;
mod parse;
mod partial;
mod pixels;
mod rle;
mod select;
mod source;
mod space;
mod split;
mod stack;
mod suv;
mod tag;
mod vr;
mod write;

pub use element::{DataSet, Element, Value};
pub use file::{DicomFile, hashed_uid};
pub use frames::Frames;
pub use info::ScanInfo;
pub use library::{Library, Patient, Series, Study};
pub use load::{ImageStack, Progress};
pub(super) use overlay::SEGMENTATIONS;
pub use overlay::{Overlay, irregular, open_overlay};
pub use parse::PixelElement;
pub use partial::{PartialVolume, Step};
pub use pixels::PixelLayout;
pub use select::{is_collection, is_dicom, open, read, read_grid, split_selector, summary, with_series};
pub use space::PatientSpace;
pub use tag::Tag;
pub use vr::{Syntax, Vr};
pub use write::{EXPLICIT_LITTLE_ENDIAN, encode, file_bytes};
