//! Frame storage of a slice store: in memory, or in one temporary file with random access.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::create_folder;
use crate::{Error, Result};

/// A training frame: the pixels of its channels, and one byte per pixel (bits 0 to 6 target, bit 7 tissue).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub pixels: Vec<f32>,
    pub flags: Vec<u8>,
}

/// The tissue bit of a flag byte.
pub(super) const TISSUE: u8 = 0x80;

/// Frames of equal size, in order.
pub(super) enum FrameStorage {
    Memory(Vec<Frame>),
    Disk(SpillFile),
}

/// A temporary file of frames, deleted on drop.
pub(super) struct SpillFile {
    file: Option<File>,
    path: PathBuf,
    frames: usize,
}

/// A range of rows of a frame; `width` is the number of pixels per row.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub first: usize,
    pub count: usize,
    pub width: usize,
}

static SPILLS: AtomicU64 = AtomicU64::new(0);

impl SpillFile {
    /// Creates a new file in `folder`, and the folder if needed.
    pub fn create(folder: &Path) -> Result<Self> {
        create_folder(folder)?;
        loop {
            let number = SPILLS.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("slices-{}-{number}.tmp", std::process::id()));
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => {
                    // An open file outlives its name on Unix, so the space is freed even if the program is killed.
                    #[cfg(unix)]
                    std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                    return Ok(Self { file: Some(file), path, frames: 0 });
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("write", &path)(e)),
            }
        }
    }

    pub fn push(&mut self, frame: &Frame) -> Result<()> {
        let mut bytes = Vec::with_capacity(frame.pixels.len() * 4 + frame.flags.len());
        encode(&frame.pixels, &mut bytes);
        bytes.extend_from_slice(&frame.flags);
        let closed = || std::io::Error::other("the file is closed");
        let mut file = self.file.as_ref().ok_or_else(closed).map_err(Error::io("write", &self.path))?;
        file.write_all(&bytes).map_err(Error::io("write", &self.path))?;
        self.frames += 1;
        Ok(())
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let closed = || std::io::Error::other("the file is closed");
        let file = self.file.as_ref().ok_or_else(closed).map_err(Error::io("read", &self.path))?;
        read_exact_at(file, bytes, offset).map_err(Error::io("read", &self.path))
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        self.file = None;
        // Already deleted on Unix. A failure cannot be handled here.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl FrameStorage {
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(frames) => frames.len(),
            Self::Disk(spill) => spill.frames,
        }
    }

    pub fn push(&mut self, frame: Frame) -> Result<()> {
        match self {
            Self::Memory(frames) => frames.push(frame),
            Self::Disk(spill) => spill.push(&frame)?,
        }
        Ok(())
    }

    /// Moves frames in memory to a new file in `folder`.
    pub fn spill(&mut self, folder: &Path) -> Result<()> {
        if let Self::Memory(frames) = self {
            let mut spill = SpillFile::create(folder)?;
            for frame in frames.drain(..) {
                spill.push(&frame)?;
            }
            *self = Self::Disk(spill);
        }
        Ok(())
    }

    /// Rows of frame `index`: the pixels channel by channel, and the flags.
    pub fn rows(&self, index: usize, channels: usize, rows: Rows) -> Result<Frame> {
        let Rows { first, count, width } = rows;
        let plane = width * width;
        let (start, length) = (first * width, count * width);
        match self {
            Self::Memory(frames) => {
                let frame = &frames[index];
                let channel = |c: usize| &frame.pixels[c * plane + start..c * plane + start + length];
                let pixels = (0..channels).flat_map(channel).copied().collect();
                Ok(Frame { pixels, flags: frame.flags[start..start + length].to_vec() })
            }
            Self::Disk(spill) => {
                let frame_bytes = (channels * plane * 4 + plane) as u64;
                let base = index as u64 * frame_bytes;
                let mut bytes = vec![0; length * 4];
                let mut pixels = Vec::with_capacity(channels * length);
                for channel in 0..channels {
                    spill.read(base + ((channel * plane + start) * 4) as u64, &mut bytes)?;
                    decode(&bytes, &mut pixels);
                }
                let mut flags = vec![0; length];
                spill.read(base + (channels * plane * 4 + start) as u64, &mut flags)?;
                Ok(Frame { pixels, flags })
            }
        }
    }
}

/// Appends the values as little-endian bytes.
pub(super) fn encode(values: &[f32], bytes: &mut Vec<u8>) {
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

/// Appends the values of little-endian bytes.
pub(super) fn decode(bytes: &[u8], values: &mut Vec<f32>) {
    values.extend(bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)));
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[read..];
        offset += read as u64;
    }
    Ok(())
}
