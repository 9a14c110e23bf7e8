//! One DICOM file: its header in memory, its pixels on request.

use std::path::Path;
use std::sync::Arc;

use super::parse::{self, PixelElement, Stop};
use super::source::{Bytes, Source, inflate, inflated_bound};
use super::{DataSet, Syntax, Tag};
use crate::disk::atomic::sha256;
use crate::{Error, ErrorKind, Result};

/// Number of bytes read first. Most headers of CT and MR images are shorter.
const FIRST_READ: usize = 32 << 10;

/// A file's header, up to its pixels.
#[derive(Clone, Debug)]
pub struct DicomFile {
    /// The file meta information; empty if the file has none.
    pub meta: DataSet,
    /// The data set, up to the pixels.
    pub data: DataSet,
    /// How elements and pixels are encoded.
    pub syntax: Syntax,
    /// UID of the transfer syntax, guessed from the first element if the file does not name it.
    pub syntax_uid: String,
    /// Position of the pixels in the file; `None` without pixels.
    pub pixels: Option<PixelElement>,
    /// Irregularities of the encoding, one sentence each.
    pub warnings: Vec<String>,
    pub(super) source: Source,
}

/// The first 16 hexadecimal digits of the SHA-256 of a UID. They name an instance or series without identifying the patient.
pub fn hashed_uid(uid: &str) -> String {
    sha256(uid.as_bytes()).chars().take(16).collect()
}

impl DicomFile {
    /// Reads a file's header, with or without preamble and file meta information. Text of the file is never part of an
    /// error: it names the attribute and a hash of the instance's UID.
    ///
    /// # Errors
    /// A file that cannot be read, is not DICOM, or is damaged before its pixels.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_source(&Source::file(path))
    }

    /// Reads the header of a file in memory, as [`DicomFile::open`] does.
    ///
    /// # Errors
    /// As [`DicomFile::open`].
    pub fn from_bytes(bytes: Arc<[u8]>) -> Result<Self> {
        Self::from_source(&Source::memory(bytes))
    }

    pub(super) fn from_source(source: &Source) -> Result<Self> {
        Self::if_dicom(source)?.ok_or_else(|| not_dicom(&source.display_path))
    }

    /// As [`DicomFile::from_source`], but `None` for a file that does not look like DICOM.
    pub(super) fn if_dicom(source: &Source) -> Result<Option<Self>> {
        let mut bytes = source.open()?;
        let mut end = FIRST_READ.min(bytes.len);
        let mut head = bytes.read(0, end)?;
        if !parse::looks_like_dicom(&head) {
            return Ok(None);
        }
        loop {
            match read_header(source, &mut bytes, &head) {
                Ok(file) => return Ok(Some(file)),
                Err(Failure::Stop(Stop::More)) if end < bytes.len => {
                    end = end.saturating_mul(4).min(bytes.len);
                    head = bytes.read(0, end)?;
                }
                Err(Failure::Stop(stop)) => return Err(damaged(&source.display_path, &stop)),
                Err(Failure::Error(error)) => return Err(error),
            }
        }
    }

    /// The bytes `from..to` of the file, inflated if its transfer syntax deflates them. The range is cut at the end of the
    /// file.
    pub(super) fn read(&self, from: usize, to: usize) -> Result<Vec<u8>> {
        let mut bytes = self.source.open()?;
        if self.syntax != Syntax::Deflated {
            return bytes.read(from, to);
        }
        let all = bytes.read(0, usize::MAX)?;
        let meta = parse::parse_meta(&all, all.len()).map_err(|stop| damaged(&self.source.display_path, &stop))?;
        let (mut inflated, _) =
            inflate(&all[meta.end..], to).map_err(Error::io("inflate", &self.source.display_path))?;
        Ok(inflated.split_off(from.min(inflated.len())))
    }

    /// True if a part can be read only by inflating everything before it.
    pub(super) fn is_deflated(&self) -> bool {
        self.syntax == Syntax::Deflated || self.source.member.is_some_and(|member| member.deflated)
    }

    /// Number of bytes from `offset` to the end of the file, counted no further than `enough`.
    pub(super) fn bytes_after(&self, offset: usize, enough: usize) -> Result<usize> {
        if self.syntax == Syntax::Deflated {
            return Ok(self.read(offset, offset.saturating_add(enough))?.len());
        }
        Ok(self.source.open()?.len.saturating_sub(offset))
    }

    /// The bytes of the pixel element as stored: uncompressed frames, or the items of encapsulated ones. At most `limit`
    /// bytes of uncompressed ones; of encapsulated ones everything to the end of the file.
    ///
    /// # Errors
    /// A file that cannot be read or has no pixels.
    pub fn pixel_bytes(&self, limit: usize) -> Result<Vec<u8>> {
        let pixels = self.pixels.ok_or_else(|| self.error(Tag::PIXEL_DATA, "the instance has no pixels"))?;
        let end = pixels.length.map_or(usize::MAX, |length| pixels.offset.saturating_add(length.min(limit)));
        self.read(pixels.offset, end)
    }

    /// The SOP instance UID; empty if missing.
    pub fn instance_uid(&self) -> &str {
        let meta = || self.meta.uid(Tag::MEDIA_STORAGE_SOP_INSTANCE_UID);
        self.data.uid(Tag::SOP_INSTANCE_UID).or_else(meta).unwrap_or_default()
    }

    /// An error about an attribute of this instance.
    pub fn error(&self, tag: Tag, why: impl std::fmt::Display) -> Error {
        let hash = hashed_uid(self.instance_uid());
        ErrorKind::File { path: self.source.display_path.clone(), why: format!("DICOM instance {hash}: {tag}: {why}") }
            .into()
    }
}

fn not_dicom(path: &Path) -> Error {
    Error::file(path, "is not a DICOM file: it has no preamble and starts with no element of group 0002 or 0008")
}

fn damaged(path: &Path, stop: &Stop) -> Error {
    let why = match stop {
        Stop::Fault(Some(tag), why) => format!("damaged DICOM file at {tag}: {why}"),
        Stop::Fault(None, why) => format!("damaged DICOM file: {why}"),
        Stop::More => "damaged DICOM file: it ends within an element".to_owned(),
    };
    Error::file(path, why)
}

enum Failure {
    Stop(Stop),
    Error(Error),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Parses the header from the first bytes of a file.
fn read_header(source: &Source, bytes: &mut Bytes, head: &[u8]) -> Result<DicomFile, Failure> {
    let meta = parse::parse_meta(head, bytes.len)?;
    let mut warnings = Vec::new();
    if parse::start_of(head) == 0 {
        warnings.push("the file has no preamble".to_owned());
    }
    let uid = meta.syntax.clone().unwrap_or_else(|| {
        warnings.push(
            "the file does not name its transfer syntax, so the encoding is taken from its first element".to_owned(),
        );
        parse::guess_syntax(head, meta.end).to_owned()
    });
    let syntax = Syntax::of(&uid);
    let (data, pixels) = if syntax == Syntax::Deflated {
        let packed = bytes.read(meta.end, usize::MAX)?;
        parse_deflated(source, &packed)?
    } else {
        // A header that ends within the bytes read so far is complete only if an element follows.
        if meta.end + 8 > head.len() && head.len() < bytes.len {
            return Err(Stop::More.into());
        }
        parse::parse_data(head, meta.end, bytes.len, syntax)?
    };
    Ok(DicomFile { meta: meta.data, data, syntax, syntax_uid: uid, pixels, warnings, source: source.clone() })
}

/// Inflates as much as the header needs.
fn parse_deflated(source: &Source, packed: &[u8]) -> Result<(DataSet, Option<PixelElement>), Failure> {
    let mut want = FIRST_READ;
    loop {
        let (inflated, ended) = inflate(packed, want).map_err(Error::io("inflate", &source.display_path))?;
        let total = if ended { inflated.len() } else { inflated_bound(packed.len()) };
        match parse::parse_data(&inflated, 0, total, Syntax::Deflated) {
            Err(Stop::More) if !ended => want = want.saturating_mul(4),
            done => return Ok(done?),
        }
    }
}
