//! Where a slice store keeps its frames: in memory, or in one temporary file that is read by position.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// A training frame: its channels' pixels, and one byte a pixel (bits 0 to 6 the target, bit 7 the tissue).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub pixels: Vec<f32>,
    pub flags: Vec<u8>,
}

/// The tissue bit of a flag byte.
pub(super) const TISSUE: u8 = 0x80;

/// Frames of one size, in order.
pub(super) enum Shelf {
    Memory(Vec<Frame>),
    Disk(Spill),
}

/// A temporary file of frames, gone when dropped.
pub(super) struct Spill {
    file: Option<File>,
    path: PathBuf,
    frames: usize,
}

/// Rows of a frame: the first one, how many, and how many pixels a row has.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub first: usize,
    pub count: usize,
    pub width: usize,
}

static SPILLS: AtomicU64 = AtomicU64::new(0);

impl Spill {
    /// Opens a new file in `folder`, which is made if needed.
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        loop {
            let number = SPILLS.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("slices-{}-{number}.tmp", std::process::id()));
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => {
                    // An open file outlives its name here: the space comes back even if the program is killed.
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

impl Drop for Spill {
    fn drop(&mut self) {
        self.file = None;
        // Already gone where open files need no name; nothing can be done about a failure here.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Shelf {
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

    /// Moves the frames that are in memory to a new file in `folder`.
    pub fn spill(&mut self, folder: &Path) -> Result<()> {
        if let Self::Memory(frames) = self {
            let mut spill = Spill::create(folder)?;
            for frame in frames.drain(..) {
                spill.push(&frame)?;
            }
            *self = Self::Disk(spill);
        }
        Ok(())
    }

    /// Rows of frame `index`, all `channels` one after the other, and their flags.
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

/// Appends little-endian bytes.
pub(super) fn encode(values: &[f32], bytes: &mut Vec<u8>) {
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

/// Appends the numbers in little-endian bytes.
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
