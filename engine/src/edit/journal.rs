//! The format of an edit journal: a base mask and all later changes.
//!
//! A file consists of the magic `AMLPEDIT` and frames. A frame consists of the length of its payload, the CRC-32 (IEEE) of
//! the payload, both 32-bit little-endian, and the payload. The first payload is the [`Header`] as JSON. The second is the
//! base mask, as deflated changes from an empty mask. Each further payload is a record: sequence number, time,
//! kind and length of the name as LEB128 numbers, the name in UTF-8, and the changes ([`PackedDelta`]).
//!
//! A journal contains its base mask, so that it can be replayed without the file of the mask. It contains no file name. Replay
//! stops at the first incomplete frame and reports it ([`Replay::cut`]).
//!
//! A long journal is compacted ([`Replay::compacted`]): its older edits become one record that keeps their names.

use std::io::{Read, Write};

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use glam::DAffine3;
use serde::{Deserialize, Serialize};

use super::delta::{put, take};
use super::{Delta, EditLabels, PackedDelta};
use crate::volume::Grid;
use crate::words::plural;

/// Version of the format that this program writes and reads.
pub const VERSION: u32 = 1;
const MAGIC: &[u8] = b"AMLPEDIT";
/// Bytes of a frame before its payload: length and checksum.
const FRAME: usize = 8;

/// Description of the mask that a journal belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format.
    pub version: u32,
    /// Voxels along i, j, k.
    pub shape: [usize; 3],
    /// Number of frames of the mask.
    #[serde(default = "one")]
    pub frames: usize,
    /// World millimetres (RAS+) from voxel indices, by columns.
    pub world_from_voxel: [f64; 12],
    /// Whether the image records its orientation.
    pub oriented: bool,
    /// [`EditLabels::sha256`] of the base mask: the mask that was opened.
    pub opened_sha256: String,
}

fn one() -> usize {
    1
}

/// Maximum number of voxels of a mask over all frames. A larger number means that the file is damaged.
const MAX_VOXELS: usize = 1 << 36;

impl Header {
    /// The header of a new journal.
    pub fn new(base: &EditLabels) -> Self {
        let grid = base.grid();
        Self {
            version: VERSION,
            shape: grid.shape,
            frames: base.frames(),
            world_from_voxel: grid.world_from_voxel.to_cols_array(),
            oriented: grid.oriented,
            opened_sha256: base.sha256(),
        }
    }

    /// Voxels along i, j, k, and frames.
    ///
    /// # Errors
    /// If these dimensions are not possible.
    fn dims(&self) -> Result<[usize; 4], String> {
        let [nx, ny, nz] = self.shape;
        let dims = [nx, ny, nz, self.frames];
        let voxels = dims.iter().try_fold(1_usize, |all, &n| all.checked_mul(n));
        let usable = voxels.is_some_and(|voxels| (1..=MAX_VOXELS).contains(&voxels));
        let frames = || plural(self.frames, "frame", "frames");
        if usable { Ok(dims) } else { Err(format!("header: {nx}x{ny}x{nz} voxels in {} are not possible", frames())) }
    }

    /// The grid of image and mask.
    pub fn grid(&self) -> Grid {
        let world_from_voxel = DAffine3::from_cols_array(&self.world_from_voxel);
        Grid { shape: self.shape, world_from_voxel, oriented: self.oriented }
    }
}

/// Kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An edit was applied.
    Edit,
    /// An edit was undone.
    Undo,
    /// An edit was redone.
    Redo,
    /// Several merged edits. The name of the record lists their names, one per line.
    Edits,
}

/// A change of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position in the journal, from 1.
    pub seq: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// Edit, undo, redo or merged edits.
    pub kind: Kind,
    /// Name of the edit.
    pub name: String,
    /// The changes as applied. For an undo, these are the inverse of the edit's changes.
    pub changes: PackedDelta,
}

impl Record {
    /// Description for a list of edits, such as `Undo of Brush`.
    pub fn effect(&self) -> String {
        match self.kind {
            Kind::Edit | Kind::Redo => self.name.clone(),
            Kind::Undo => format!("Undo of {}", self.name),
            Kind::Edits => plural(self.name.lines().count(), "earlier edit", "earlier edits"),
        }
    }
}

/// The bytes after the last whole record of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TruncatedTail {
    /// Number of these bytes.
    pub bytes: u64,
    /// Why they are not a whole record.
    pub why: String,
}

/// The content of a journal.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Description of the mask.
    pub header: Header,
    /// The mask that the records start from.
    pub base: EditLabels,
    /// The mask after the last whole record.
    pub labels: EditLabels,
    /// The whole records.
    pub records: Vec<Record>,
    /// Bytes up to the end of the last whole record.
    pub whole: u64,
    /// The incomplete rest of the file, if there is one.
    pub cut: Option<TruncatedTail>,
}

/// The beginning of a journal: magic, header and base mask.
pub fn encode_start(header: &Header, base: &EditLabels) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    // Cannot fail: numbers, a boolean and a text.
    frame(&mut bytes, &serde_json::to_vec(header).unwrap_or_else(|why| unreachable!("{why}")));
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
    let packed = base.as_delta().pack();
    let deflated = deflate.write_all(packed.bytes()).and_then(|()| deflate.finish());
    frame(&mut bytes, &deflated.unwrap_or_else(|why| unreachable!("a vector takes all bytes: {why}")));
    bytes
}

/// A record as a frame.
pub fn encode_record(record: &Record) -> Vec<u8> {
    let mut payload = Vec::with_capacity(record.changes.bytes().len() + record.name.len() + 24);
    put(&mut payload, record.seq as usize);
    put(&mut payload, record.time_ms as usize);
    put(&mut payload, record.kind as usize);
    put(&mut payload, record.name.len());
    payload.extend_from_slice(record.name.as_bytes());
    payload.extend_from_slice(record.changes.bytes());
    let mut bytes = Vec::with_capacity(payload.len() + FRAME);
    frame(&mut bytes, &payload);
    bytes
}

fn frame(bytes: &mut Vec<u8>, payload: &[u8]) {
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&checksum(payload).to_le_bytes());
    bytes.extend_from_slice(payload);
}

fn checksum(payload: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(payload);
    crc.sum()
}

/// Splits `bytes` into the payload of the first frame and the rest.
fn next_frame(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let head: [u8; FRAME] = bytes.get(..FRAME).and_then(|head| head.try_into().ok()).ok_or("it is truncated")?;
    let number = |index: usize| u32::from_le_bytes([head[index], head[index + 1], head[index + 2], head[index + 3]]);
    let len = number(0) as usize;
    // A file system may leave zeros after a power cut. An empty frame of zeros would have a valid checksum.
    if len == 0 {
        return Err("it is empty".to_owned());
    }
    let payload = bytes.get(FRAME..FRAME + len).ok_or("it is truncated")?;
    if checksum(payload) != number(4) {
        return Err("its checksum is wrong".to_owned());
    }
    Ok((payload, &bytes[FRAME + len..]))
}

/// Replays a journal up to its last complete record.
///
/// # Errors
/// What is wrong with the header or the base mask. In that case no edit can be restored.
pub fn replay(bytes: &[u8]) -> Result<Replay, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it is not an edit journal")?;
    let (payload, rest) = next_frame(rest).map_err(|why| format!("it has no header: {why}"))?;
    let version = |value: &serde_json::Value| value.get("version").and_then(serde_json::Value::as_u64);
    let value: serde_json::Value = serde_json::from_slice(payload).map_err(|why| format!("header: {why}"))?;
    if version(&value) != Some(u64::from(VERSION)) {
        return Err(format!(
            "format version {:?}, but this program reads {VERSION}",
            version(&value).unwrap_or_default()
        ));
    }
    let header: Header = serde_json::from_value(value).map_err(|why| format!("header: {why}"))?;
    let dims = header.dims()?;
    let (payload, mut rest) = next_frame(rest).map_err(|why| format!("it has no base mask: {why}"))?;
    let base = base(&header, dims, payload)?;
    let mut replay = Replay { header, labels: base.clone(), base, records: Vec::new(), whole: 0, cut: None };
    while !rest.is_empty() {
        match next_frame(rest).and_then(|(payload, after)| replay.add(payload).map(|()| after)) {
            Ok(after) => rest = after,
            Err(why) => {
                replay.cut = Some(TruncatedTail { bytes: rest.len() as u64, why });
                break;
            }
        }
    }
    replay.whole = (bytes.len() - rest.len()) as u64;
    Ok(replay)
}

fn base(header: &Header, dims: [usize; 4], payload: &[u8]) -> Result<EditLabels, String> {
    let failed = |why: &dyn std::fmt::Display| format!("base mask: {why}");
    let mut packed = Vec::new();
    DeflateDecoder::new(payload).read_to_end(&mut packed).map_err(|why| failed(&why))?;
    let changes = PackedDelta::read(&packed, dims).map_err(|why| failed(&why))?;
    let mut labels = EditLabels::new(header.grid()).repeated(header.frames);
    if changes.apply(&mut labels) { Ok(labels) } else { Err(failed(&"it is not a mask")) }
}

/// Names of the edits in `done`. Merged edits have one name per line.
fn names_of(done: &[&Record]) -> Vec<String> {
    let mut names = Vec::<String>::new();
    for record in done {
        match record.kind {
            Kind::Edits => names.extend(record.name.lines().map(str::to_owned)),
            // The newest of several merged edits was undone.
            Kind::Undo if names.last().is_some_and(|last| *last == record.name) => drop(names.pop()),
            _ => names.push(record.effect()),
        }
    }
    names
}

impl Replay {
    /// The records in effect, oldest first, without undone edits and their undo records. Applied to [`Replay::base`] they give
    /// [`Replay::labels`]. The undo of an edit that is older than the journal stays in the list.
    pub fn in_effect(&self) -> Vec<&Record> {
        let mut done = Vec::<&Record>::new();
        // Undone edits, newest last. `None` stands for an edit that is older than the journal, whose undo is in `done`.
        let mut undone = Vec::<Option<&Record>>::new();
        for record in &self.records {
            match record.kind {
                Kind::Edit | Kind::Edits => {
                    undone.clear();
                    done.push(record);
                }
                Kind::Undo if done.last().is_some_and(|last| matches!(last.kind, Kind::Edit | Kind::Redo)) => {
                    undone.push(done.pop());
                }
                Kind::Undo => {
                    undone.push(None);
                    done.push(record);
                }
                Kind::Redo => match undone.pop() {
                    Some(Some(edit)) => done.push(edit),
                    Some(None) => drop(done.pop()),
                    None => done.push(record),
                },
            }
        }
        done
    }

    /// Names of the edits in effect, oldest first, including those that a compaction merged.
    pub fn names(&self) -> Vec<String> {
        names_of(&self.in_effect())
    }

    /// A compacted journal with the same edits in effect, and its number of records. The newest edits, up to `keep` bytes of
    /// changes, are kept. The older ones become one record with their names.
    pub fn compacted(&self, keep: usize) -> (Vec<u8>, u64) {
        let done = self.in_effect();
        let mut kept = 0;
        let is_kept = |record: &&&Record| {
            kept += record.changes.bytes().len();
            kept <= keep
        };
        let newest = done.iter().rev().take_while(is_kept).count();
        let (older, newer) = done.split_at(done.len() - newest);
        let mut before = self.labels.clone();
        for record in newer.iter().rev() {
            let fits = record.changes.unpack().inverted().apply(&mut before);
            debug_assert!(fits, "the record is in effect");
        }
        let (names, changes) = (names_of(older), Delta::between(&self.base, &before));
        let mut records = Vec::with_capacity(1 + newer.len());
        if let Some(last) = older.last().filter(|_| !names.is_empty() || !changes.is_empty()) {
            let (kind, name, time_ms) = (Kind::Edits, names.join("\n"), last.time_ms);
            records.push(Record { seq: 1, time_ms, kind, name, changes: changes.pack() });
        }
        records.extend(newer.iter().copied().cloned());
        let mut bytes = encode_start(&self.header, &self.base);
        for (seq, record) in (1..).zip(&mut records) {
            record.seq = seq;
            bytes.extend(encode_record(record));
        }
        (bytes, records.len() as u64)
    }

    /// Drops all but the first `records` records and restores the mask after them.
    ///
    /// # Errors
    /// If there are fewer records. Nothing is changed then.
    pub fn keep(&mut self, records: usize) -> Result<(), String> {
        if records > self.records.len() {
            return Err(format!("the journal has {}", plural(self.records.len(), "record", "records")));
        }
        for record in self.records.drain(records..).rev() {
            let fits = record.changes.unpack().inverted().apply(&mut self.labels);
            debug_assert!(fits, "the record was applied");
        }
        Ok(())
    }

    /// Applies a record.
    fn add(&mut self, payload: &[u8]) -> Result<(), String> {
        let mut left = payload;
        let mut number = || take(&mut left).ok_or("a number is truncated");
        let (seq, time_ms, kind, name) = (number()? as u64, number()? as u64, number()?, number()?);
        if seq != self.records.len() as u64 + 1 {
            return Err(format!("record {seq} follows record {}", self.records.len()));
        }
        let kind = match kind {
            0 => Kind::Edit,
            1 => Kind::Undo,
            2 => Kind::Redo,
            3 => Kind::Edits,
            other => return Err(format!("kind {other} is unknown")),
        };
        let (name, changes) = left.split_at_checked(name).ok_or("its name is truncated")?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| "its name is not text")?;
        let delta = PackedDelta::read(changes, self.base.dims())?;
        if !delta.apply(&mut self.labels) {
            return Err("its changes do not fit the mask before it".to_owned());
        }
        self.records.push(Record { seq, time_ms, kind, name, changes: delta.pack() });
        Ok(())
    }
}
