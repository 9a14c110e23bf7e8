//! Bytes of a file, or of a member of a zip archive.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::DeflateDecoder;

use crate::{Error, Result};

/// Largest expansion factor of deflate.
const DEFLATE_LIMIT: usize = 1032;

/// Where the bytes of an instance are.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The file that holds them; empty for bytes in memory.
    pub path: PathBuf,
    /// Path for errors: the file or folder that the user chose. Names of files within it may identify the patient.
    pub display_path: PathBuf,
    /// The member of a zip archive; `None` for a file.
    pub member: Option<Member>,
    /// The bytes, or those of the archive, if they are in memory.
    pub(super) memory: Option<Arc<[u8]>>,
}

/// A member of a zip archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Position of its bytes in the archive.
    pub offset: u64,
    /// Number of bytes in the archive.
    pub packed: u64,
    /// Number of bytes once inflated.
    pub len: u64,
    /// False if it is stored uncompressed.
    pub deflated: bool,
}

impl Source {
    /// A file that the user named.
    pub fn file(path: &Path) -> Self {
        Self::within(path.to_path_buf(), path)
    }

    /// A file of a folder that the user named.
    pub fn within(path: PathBuf, folder: &Path) -> Self {
        Self { path, display_path: folder.to_path_buf(), member: None, memory: None }
    }

    /// The bytes of a file.
    pub fn memory(bytes: Arc<[u8]>) -> Self {
        Self { memory: Some(bytes), ..Self::file(Path::new("")) }
    }

    /// Opens the bytes for reading.
    pub fn open(&self) -> Result<Bytes> {
        let fail = |action| Error::io(action, &self.display_path);
        let (file, file_len): (Box<dyn Input>, u64) = if let Some(bytes) = &self.memory {
            (Box::new(Cursor::new(Arc::clone(bytes))), bytes.len() as u64)
        } else {
            let file = File::open(&self.path).map_err(fail("read"))?;
            let len = file.metadata().map_err(fail("read"))?.len();
            (Box::new(file), len)
        };
        let member = self.member.unwrap_or(Member { offset: 0, packed: file_len, len: file_len, deflated: false });
        let bound = if member.deflated { member.packed.saturating_mul(DEFLATE_LIMIT as u64) } else { member.packed };
        if member.offset.checked_add(member.packed).is_none_or(|end| end > file_len) || member.len > bound {
            return Err(Error::file(&self.display_path, "the zip archive declares a member larger than its bytes"));
        }
        Ok(Bytes {
            file,
            member,
            display_path: self.display_path.clone(),
            len: usize::try_from(member.len).unwrap_or(usize::MAX),
        })
    }
}

trait Input: Read + Seek {}

impl<T: Read + Seek> Input for T {}

/// The open bytes of a [`Source`].
pub(super) struct Bytes {
    file: Box<dyn Input>,
    member: Member,
    display_path: PathBuf,
    /// Number of bytes, inflated.
    pub len: usize,
}

impl Bytes {
    /// The bytes `from..to`, cut at the end of the file. Allocates no more than the file holds.
    pub fn read(&mut self, from: usize, to: usize) -> Result<Vec<u8>> {
        let to = to.min(self.len);
        let n = to.saturating_sub(from);
        let mut out = Vec::new();
        self.fill(from as u64, n as u64, &mut out).map_err(Error::io("read", &self.display_path))?;
        if out.len() < n {
            return Err(Error::file(&self.display_path, "an instance ends before its declared size"));
        }
        Ok(out)
    }

    fn fill(&mut self, from: u64, n: u64, out: &mut Vec<u8>) -> io::Result<()> {
        if !self.member.deflated {
            out.reserve_exact(n as usize);
            self.file.seek(SeekFrom::Start(self.member.offset + from))?;
            return (&mut self.file).take(n).read_to_end(out).map(|_| ());
        }
        self.file.seek(SeekFrom::Start(self.member.offset))?;
        let mut inflated = DeflateDecoder::new((&mut self.file).take(self.member.packed));
        io::copy(&mut (&mut inflated).take(from), &mut io::sink())?;
        inflated.take(n).read_to_end(out).map(|_| ())
    }
}

/// Inflates at most `limit` bytes of a raw deflate stream. Returns them, and true if the stream ended there.
///
/// # Errors
/// A damaged stream.
pub(super) fn inflate(packed: &[u8], limit: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut out = Vec::new();
    let mut decoder = DeflateDecoder::new(packed);
    (&mut decoder).take(limit as u64).read_to_end(&mut out)?;
    let ended = out.len() < limit || decoder.read(&mut [0])? == 0;
    Ok((out, ended))
}

/// Upper bound of the inflated size.
pub(super) fn inflated_bound(packed: usize) -> usize {
    packed.saturating_mul(DEFLATE_LIMIT)
}
