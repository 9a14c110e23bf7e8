//! Bytes of a probe: a head with a checksum, then the fields one after another, deflated where that makes them fewer.
//!
//! | bytes | meaning |
//! |---|---|
//! | 8 | `AMLPPROB` |
//! | 1 | version of the format |
//! | 1 | kind: 0 a slice, 1 an epoch of it |
//! | 1 | 1 if the fields are deflated |
//! | 1 | 0 |
//! | 4 | length of the fields before deflation |
//! | 64 | SHA-256 of all other bytes, in hexadecimal |
//! | rest | the fields |
//!
//! Numbers are little-endian, flags stand eight in a byte, lowest first. Lengths that a file declares are checked against
//! what is there before anything is allocated.

use std::io::{Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::run::atomic::sha256;
use crate::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"AMLPPROB";
const VERSION: u8 = 1;
const HEAD: usize = 16;
const HASH: usize = 64;

/// Bytes that [`seal`] adds to the fields at most.
pub(super) const ENVELOPE: usize = HEAD + HASH;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A slice.
    Slice = 0,
    /// An epoch of a slice.
    Record = 1,
}

/// The fields with their head.
pub(super) fn seal(kind: Kind, fields: &[u8]) -> Vec<u8> {
    let deflated = deflate(fields).filter(|deflated| deflated.len() < fields.len());
    let stored = deflated.as_deref().unwrap_or(fields);
    let mut bytes = Vec::with_capacity(ENVELOPE + stored.len());
    bytes.extend(MAGIC);
    bytes.extend([VERSION, kind as u8, u8::from(deflated.is_some()), 0]);
    bytes.extend((fields.len() as u32).to_le_bytes());
    let sum = checksum(&bytes, stored);
    bytes.extend(sum.as_bytes());
    bytes.extend(stored);
    bytes
}

/// The fields of a file of `kind`, at most `limit` bytes of them, if it is whole. `path` is for the error.
pub(super) fn open(kind: Kind, bytes: &[u8], limit: usize, path: &Path) -> Result<Vec<u8>> {
    let damaged = |why: &str| Error::file(path, format!("is damaged or no probe: {why}"));
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return Err(damaged("it is too short")) };
    let Some((recorded, stored)) = rest.split_at_checked(HASH) else { return Err(damaged("it is too short")) };
    if head[..8] != *MAGIC {
        return Err(damaged("it does not begin as one"));
    }
    let found = checksum(head, stored);
    if found.as_bytes() != recorded {
        let recorded = String::from_utf8_lossy(recorded).into_owned();
        return Err(ErrorKind::Checksum { path: path.to_path_buf(), found, recorded }.into());
    }
    if head[8] != VERSION {
        let (found, supported) = (head[8].to_string(), VERSION.to_string());
        return Err(ErrorKind::Version { path: path.to_path_buf(), found, supported }.into());
    }
    if head[9] != kind as u8 {
        return Err(damaged("it is of the other kind"));
    }
    let length = u32::from_le_bytes([head[12], head[13], head[14], head[15]]) as usize;
    if length > limit {
        return Err(damaged(&format!("it declares {length} bytes, {limit} are allowed")));
    }
    let fields = if head[10] == 1 { inflate(stored, length) } else { Some(stored.to_vec()) };
    fields.filter(|fields| fields.len() == length).ok_or_else(|| damaged("its length is not what it declares"))
}

fn checksum(head: &[u8], stored: &[u8]) -> String {
    sha256(&[head, stored].concat())
}

fn deflate(fields: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(fields).ok()?;
    encoder.finish().ok()
}

/// At most one byte more than `length`, so that a bomb is noticed and not unpacked.
fn inflate(stored: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut fields = Vec::new();
    DeflateDecoder::new(stored).take(length as u64 + 1).read_to_end(&mut fields).ok()?;
    Some(fields)
}

/// Puts fields one after another.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// What was put.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// A number.
    pub fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    /// A number.
    pub fn f32(&mut self, value: f32) {
        self.0.extend(value.to_le_bytes());
    }

    /// A number.
    pub fn f64(&mut self, value: f64) {
        self.0.extend(value.to_le_bytes());
    }

    /// Bytes after their number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.0.extend(bytes);
    }

    /// Flags after their number.
    pub fn flags(&mut self, flags: impl IntoIterator<Item = bool>) {
        let flags: Vec<bool> = flags.into_iter().collect();
        self.u32(flags.len() as u32);
        self.0.extend(
            flags
                .chunks(8)
                .map(|eight| eight.iter().enumerate().fold(0u8, |byte, (at, flag)| byte | (u8::from(*flag) << at))),
        );
    }

    /// Numbers below 16 after their number.
    pub fn nibbles(&mut self, values: &[u8]) {
        self.u32(values.len() as u32);
        self.0.extend(values.chunks(2).map(|two| (two[0] & 15) | (two.get(1).copied().unwrap_or(0) & 15) << 4));
    }

    /// Flags that say which values are there, then these.
    pub fn options(&mut self, values: &[Option<f32>]) {
        self.flags(values.iter().map(Option::is_some));
        for value in values.iter().flatten() {
            self.f32(*value);
        }
    }
}

/// Takes fields one after another; nothing where they end too early.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// At the first field.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// True at the end.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A byte that is 0 or 1.
    pub fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A number.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number.
    pub fn f32(&mut self) -> Option<f32> {
        self.array().map(f32::from_le_bytes)
    }

    /// A number.
    pub fn f64(&mut self) -> Option<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// Bytes after their number.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        let count = self.u32()? as usize;
        self.take(count).map(<[u8]>::to_vec)
    }

    /// Text after its length in bytes.
    pub fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    /// Flags after their number.
    pub fn flags(&mut self) -> Option<Vec<bool>> {
        let count = self.u32()? as usize;
        let bytes = self.take(count.div_ceil(8))?;
        Some((0..count).map(|at| bytes[at / 8] >> (at % 8) & 1 == 1).collect())
    }

    /// Flags as 0 and 1.
    pub fn labels(&mut self) -> Option<Vec<u8>> {
        Some(self.flags()?.into_iter().map(u8::from).collect())
    }

    /// Numbers below 16 after their number.
    pub fn nibbles(&mut self) -> Option<Vec<u8>> {
        let count = self.u32()? as usize;
        let bytes = self.take(count.div_ceil(2))?;
        Some((0..count).map(|at| bytes[at / 2] >> (4 * (at % 2)) & 15).collect())
    }

    /// Flags that say which values are there, then these.
    pub fn options(&mut self) -> Option<Vec<Option<f32>>> {
        self.flags()?.into_iter().map(|there| if there { self.f32().map(Some) } else { Some(None) }).collect()
    }
}
