//! Reads and writes probes as safetensors files: named arrays, with the scalar fields as JSON in the metadata.
//!
//! The metadata have one entry, `probe`: `{"version": 2, "sha256": "...", "head": {...}}`. The checksum covers the whole file,
//! with its own bytes zeroed.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::disk::atomic::sha256;
use crate::{Error, ErrorKind, Result};

/// Version of the format. Version 1 was a custom binary format, in `.probe` files.
pub(super) const VERSION: u32 = 2;
const ENTRY: &str = "probe";
const UNKNOWN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Serialize, Deserialize)]
struct Metadata<H> {
    version: u32,
    sha256: String,
    head: H,
}

/// Arrays to be written.
#[derive(Default)]
pub(super) struct TensorWriter(Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>);

impl TensorWriter {
    pub fn u8(&mut self, name: &'static str, values: &[u8]) {
        self.0.push((name, Dtype::U8, vec![values.len()], values.to_vec()));
    }

    /// Flags as 0 and 1.
    pub fn flags(&mut self, name: &'static str, flags: &[bool]) {
        self.u8(name, &flags.iter().map(|flag| u8::from(*flag)).collect::<Vec<_>>());
    }

    /// `values` is `[side][side]`.
    pub fn picture(&mut self, name: &'static str, side: usize, values: &[u8]) {
        self.0.push((name, Dtype::U8, vec![side; 2], values.to_vec()));
    }

    pub fn u16(&mut self, name: &'static str, values: &[u16]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.0.push((name, Dtype::U16, vec![values.len()], bytes));
    }

    pub fn f32(&mut self, name: &'static str, values: impl Iterator<Item = f32>) {
        let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        self.0.push((name, Dtype::F32, vec![bytes.len() / 4], bytes));
    }

    /// The bytes of the file. Equal content gives equal bytes.
    ///
    /// # Errors
    /// A picture whose length is not `side` x `side`; a head that is not JSON.
    pub fn seal<H: Serialize>(&self, head: &H) -> Result<Vec<u8>> {
        let failed = |why: String| ErrorKind::Compute { step: "writing a probe".into(), why };
        let metadata = Metadata { version: VERSION, sha256: UNKNOWN.into(), head };
        let metadata = serde_json::to_string(&metadata).map_err(|e| failed(e.to_string()))?;
        let views = self
            .0
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?)));
        let views: Vec<_> =
            views.collect::<Result<_, safetensors::SafeTensorError>>().map_err(|e| failed(e.to_string()))?;
        let mut bytes = safetensors::serialize(views, Some([(ENTRY.to_owned(), metadata)].into()))
            .map_err(|e| failed(e.to_string()))?;
        let at = place_of(&bytes, UNKNOWN).ok_or_else(|| failed("there is no room for the checksum".into()))?;
        let sum = sha256(&bytes);
        bytes[at..at + sum.len()].copy_from_slice(sum.as_bytes());
        Ok(bytes)
    }
}

/// Position of the checksum in a file, searched from the front, where the metadata are.
fn place_of(bytes: &[u8], sum: &str) -> Option<usize> {
    bytes.windows(UNKNOWN.len()).position(|window| window == sum.as_bytes())
}

/// The arrays of a file.
pub(super) struct TensorReader<'a> {
    path: &'a Path,
    file: SafeTensors<'a>,
}

/// Reads a file's head and arrays. `path` is for the error.
///
/// # Errors
/// If the file is not a probe, has another version, a wrong checksum, or a head of another type.
pub(super) fn open<'a, H: DeserializeOwned>(bytes: &'a [u8], path: &'a Path) -> Result<(H, TensorReader<'a>)> {
    let damaged = |why: String| Error::file(path, format!("damaged, or not a probe: {why}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(e.to_string()))?;
    let text = header.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
    let text = text.ok_or_else(|| damaged(format!("its metadata have no entry {ENTRY:?}")))?;
    let envelope: Metadata<serde_json::Value> = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    if envelope.version != VERSION {
        let (found, supported) = (envelope.version.to_string(), VERSION.to_string());
        return Err(ErrorKind::Version { path: path.to_path_buf(), found, supported }.into());
    }
    check(bytes, &envelope.sha256, path)?;
    let head = serde_json::from_value(envelope.head).map_err(|e| damaged(e.to_string()))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(e.to_string()))?;
    Ok((head, TensorReader { path, file }))
}

fn check(bytes: &[u8], recorded: &str, path: &Path) -> Result<()> {
    let mut cleared = bytes.to_vec();
    if let Some(at) = place_of(bytes, recorded) {
        cleared[at..at + UNKNOWN.len()].copy_from_slice(UNKNOWN.as_bytes());
    }
    let found = sha256(&cleared);
    if found == recorded {
        return Ok(());
    }
    Err(ErrorKind::Checksum { path: path.to_path_buf(), found, recorded: recorded.to_owned() }.into())
}

impl TensorReader<'_> {
    fn bytes(&self, name: &str, dtype: Dtype) -> Result<&[u8]> {
        let failed = |why: String| Error::field(self.path, name, why, format!("expected an array of {dtype:?}"));
        let tensor = self.file.tensor(name).map_err(|e| failed(e.to_string()))?;
        if tensor.dtype() == dtype { Ok(tensor.data()) } else { Err(failed(format!("{:?}", tensor.dtype()))) }
    }

    pub fn u8(&self, name: &str) -> Result<Vec<u8>> {
        self.bytes(name, Dtype::U8).map(<[u8]>::to_vec)
    }

    /// Labels and flags: bytes up to `max`.
    pub fn small(&self, name: &str, max: u8) -> Result<Vec<u8>> {
        let values = self.u8(name)?;
        match values.iter().find(|value| **value > max) {
            Some(value) => Err(Error::field(self.path, name, value, format!("expected 0 to {max}"))),
            None => Ok(values),
        }
    }

    pub fn flags(&self, name: &str) -> Result<Vec<bool>> {
        Ok(self.small(name, 1)?.into_iter().map(|flag| flag == 1).collect())
    }

    pub fn u16(&self, name: &str) -> Result<Vec<u16>> {
        let (pairs, _) = self.bytes(name, Dtype::U16)?.as_chunks();
        Ok(pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect())
    }

    pub fn f32(&self, name: &str) -> Result<Vec<f32>> {
        let (fours, _) = self.bytes(name, Dtype::F32)?.as_chunks();
        Ok(fours.iter().map(|four| f32::from_le_bytes(*four)).collect())
    }

    /// The array, if the file has it.
    pub fn optional<T>(&self, name: &str, read: impl Fn(&Self, &str) -> Result<T>) -> Result<Option<T>> {
        if self.file.names().contains(&name) { read(self, name).map(Some) } else { Ok(None) }
    }
}
