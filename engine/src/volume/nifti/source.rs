//! The bytes of a file, decompressed if gzipped.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use crate::{Error, Result};

/// Largest expansion factor of deflate.
const DEFLATE_LIMIT: u64 = 1032;
/// Maximum number of bytes that are read after the voxels to reach the checksum of a gzipped file.
const EXCESS_LIMIT: u64 = 256 << 20;

/// An open file. The first bytes, not the name, decide whether it is decompressed.
pub(super) struct Source {
    path: PathBuf,
    file_len: u64,
    position: u64,
    stream: Stream,
}

enum Stream {
    Plain(BufReader<File>),
    Gzip(Box<GzipMembers>),
}

/// What follows the voxels.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TrailingData {
    Nothing,
    /// This many bytes.
    Bytes(u64),
    /// More than [`EXCESS_LIMIT`] bytes, so the checksum was not reached.
    TooLong,
    /// Bytes after the gzip stream that are not gzip.
    Garbage,
}

impl Source {
    pub fn open(path: &Path) -> Result<Self> {
        let meta = std::fs::metadata(path).map_err(Error::io("read", path))?;
        if !meta.is_file() {
            return Err(Error::file(path, "is not a regular file"));
        }
        let file = File::open(path).map_err(Error::io("read", path))?;
        let mut reader = BufReader::with_capacity(1 << 17, file);
        let gzip = reader.fill_buf().map_err(Error::io("read", path))?.starts_with(&[0x1f, 0x8b]);
        let stream = if gzip { Stream::Gzip(Box::new(GzipMembers::new(reader))) } else { Stream::Plain(reader) };
        Ok(Self { path: path.to_path_buf(), file_len: meta.len(), position: 0, stream })
    }

    pub fn is_gzip(&self) -> bool {
        matches!(self.stream, Stream::Gzip(_))
    }

    /// Size of the stored file in bytes.
    pub fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Upper bound of the decompressed size in bytes.
    pub fn max_len(&self) -> u64 {
        if self.is_gzip() { self.file_len.saturating_mul(DEFLATE_LIMIT) } else { self.file_len }
    }

    /// Reads until the buffer is full or the file ends, and returns the number of bytes.
    pub fn read_full(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let got = match &mut self.stream {
                Stream::Plain(reader) => reader.read(&mut buffer[filled..]),
                Stream::Gzip(members) => members.read(&mut buffer[filled..]),
            };
            match got {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.failure(e)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    fn failure(&self, e: io::Error) -> Error {
        if !self.is_gzip() || e.raw_os_error().is_some() {
            return Error::io("read", &self.path)(e);
        }
        let why = match e.kind() {
            io::ErrorKind::UnexpectedEof => "the gzip stream ends early, so the file is truncated".to_owned(),
            _ => format!("the gzip stream is damaged: {e}"),
        };
        Error::file(&self.path, why)
    }

    /// Skips up to `bytes` bytes and returns how many there were.
    pub fn skip(&mut self, bytes: u64) -> Result<u64> {
        if let Stream::Plain(reader) = &mut self.stream {
            let step = bytes.min(self.file_len.saturating_sub(self.position));
            reader.seek(SeekFrom::Start(self.position + step)).map_err(Error::io("read", &self.path))?;
            self.position += step;
            return Ok(step);
        }
        let mut scratch = vec![0; 1 << 16];
        let mut left = bytes;
        while left > 0 {
            let want = left.min(scratch.len() as u64) as usize;
            match self.read_full(&mut scratch[..want])? {
                0 => break,
                n => left -= n as u64,
            }
        }
        Ok(bytes - left)
    }

    /// Reports what follows the voxels. A gzipped file is read to its trailer, so that its checksum is verified.
    pub fn finish(&mut self) -> Result<TrailingData> {
        if !self.is_gzip() {
            return Ok(match self.file_len.saturating_sub(self.position) {
                0 => TrailingData::Nothing,
                n => TrailingData::Bytes(n),
            });
        }
        let rest = self.skip(EXCESS_LIMIT + 1)?;
        if rest > EXCESS_LIMIT {
            return Ok(TrailingData::TooLong);
        }
        Ok(match &self.stream {
            Stream::Gzip(members) if members.garbage => TrailingData::Garbage,
            _ if rest > 0 => TrailingData::Bytes(rest),
            _ => TrailingData::Nothing,
        })
    }
}

/// The concatenated members of a gzip file, each checked against its checksum and length.
///
/// Zeros between and after members are padding, as in `gzip`. Any other byte that starts no member ends the stream.
struct GzipMembers {
    current: Option<GzDecoder<BufReader<File>>>,
    garbage: bool,
}

impl GzipMembers {
    fn new(reader: BufReader<File>) -> Self {
        Self { current: Some(GzDecoder::new(reader)), garbage: false }
    }
}

impl Read for GzipMembers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A loop, not recursion: a file may have any number of empty members.
        while let Some(decoder) = &mut self.current {
            let got = decoder.read(buffer)?;
            if got > 0 || buffer.is_empty() {
                return Ok(got);
            }
            let Some(mut reader) = self.current.take().map(GzDecoder::into_inner) else { break };
            loop {
                let next = reader.fill_buf()?;
                match next.first() {
                    None => return Ok(0),
                    Some(0) => {
                        let zeros = next.iter().take_while(|&&b| b == 0).count();
                        reader.consume(zeros);
                    }
                    Some(0x1f) => {
                        self.current = Some(GzDecoder::new(reader));
                        break;
                    }
                    Some(_) => {
                        self.garbage = true;
                        return Ok(0);
                    }
                }
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut e = GzEncoder::new(Vec::new(), Compression::fast());
        e.write_all(content).unwrap();
        e.finish().unwrap()
    }

    fn read(bytes: &[u8], take: usize) -> Result<(Vec<u8>, TrailingData)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, bytes).unwrap();
        let mut source = Source::open(&path)?;
        let mut out = vec![0; take];
        let n = source.read_full(&mut out)?;
        out.truncate(n);
        Ok((out, source.finish()?))
    }

    #[test]
    fn gzip_members_are_joined_and_garbage_is_reported() {
        let two = [member(b"abc"), member(b""), member(b"def")].concat();
        assert_eq!(read(&two, 6).unwrap(), (b"abcdef".to_vec(), TrailingData::Nothing));
        assert_eq!(read(&two, 4).unwrap(), (b"abcd".to_vec(), TrailingData::Bytes(2)));
        let padded = [two.clone(), vec![0; 1000]].concat();
        assert_eq!(read(&padded, 6).unwrap(), (b"abcdef".to_vec(), TrailingData::Nothing));
        let more = [two, b"trailing".to_vec()].concat();
        assert_eq!(read(&more, 6).unwrap(), (b"abcdef".to_vec(), TrailingData::Garbage));
    }

    #[test]
    fn every_truncation_and_flipped_bit_is_detected_or_harmless() {
        let good = member(b"the quick brown fox jumps over the lazy dog");
        for end in 2..good.len() {
            assert!(read(&good[..end], 43).is_err(), "cut at {end}");
        }
        for index in 10..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 4;
            // The padding bits of the stream's last byte are ignored.
            if let Ok((content, _)) = read(&bad, 43) {
                assert_eq!((index, content), (good.len() - 9, b"the quick brown fox jumps over the lazy dog".to_vec()));
            }
        }
    }

    #[test]
    fn uncompressed_bytes_are_read_unchanged() {
        assert_eq!(read(b"abcdef", 4).unwrap(), (b"abcd".to_vec(), TrailingData::Bytes(2)));
        assert_eq!(read(b"", 4).unwrap(), (Vec::new(), TrailingData::Nothing));
    }
}
