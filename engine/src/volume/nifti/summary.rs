//! Information from a file's header alone: the number of frames, and a digest that identifies the header.

use std::path::Path;

use super::header::{V1_LEN, V2_LEN};
use super::read::{header_path, open, read_header};
use super::source::Source;
use crate::Result;
use crate::disk::atomic::sha256;
use crate::volume::dicom;

/// A file by its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderSummary {
    /// Product of all dimensions after the third; 1 for a 3-D scan.
    pub frames: usize,
    /// SHA-256 of the header's bytes. It does not depend on the file's path, time or compression.
    pub digest: String,
}

impl HeaderSummary {
    /// Reads a header, or those of a DICOM series, whose digest covers the UIDs of its instances.
    ///
    /// # Errors
    /// A file that cannot be opened or whose header is not NIfTI.
    pub fn read(path: &Path) -> Result<Self> {
        if dicom::is_dicom(path) {
            let (frames, digest) = dicom::summary(path)?;
            return Ok(Self { frames, digest });
        }
        let path = header_path(path)?;
        let header = read_header(&path, &mut open(&path, &mut Vec::new())?, &mut Vec::new())?;
        let mut bytes = vec![0; if header.version == 2 { V2_LEN } else { V1_LEN }];
        let length = Source::open(&path)?.read_full(&mut bytes)?;
        let frames = header.dims.iter().skip(3).product::<u64>();
        Ok(Self { frames: usize::try_from(frames).unwrap_or(usize::MAX).max(1), digest: sha256(&bytes[..length]) })
    }
}
