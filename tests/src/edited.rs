//! Random edits of a mask with undo, redo and compaction. The journal, truncated at any byte, is compared with full copies.

use std::fs;
use std::path::Path;

use engine::edit::history::Spill;
use engine::edit::journal::{Header, Kind, VERSION, replay};
use engine::edit::op::{Boolean, Brush, LassoAction, Mode, Op, Operand, Plane, Seed, Smoothing};
use engine::edit::{Delta, EditLabels, History, Scene, apply};
use engine::event::Control;
use engine::run::journal::{Journal, read};
use engine::volume::{Grid, LabelVolume, Volume};

use crate::random::Random;

/// Counts of one sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceReport {
    /// Edits, undos and redos.
    pub records: usize,
    /// Times that the journal was compacted.
    pub compactions: usize,
    /// Number of truncations.
    pub cuts: usize,
}

impl Random {
    fn label(&mut self) -> u16 {
        [1, 2, 300][self.below(3)]
    }
}

/// Every state of the mask since the journal began with its base mask, and where its records end.
struct RecordedJournal {
    states: Vec<Vec<u16>>,
    ends: Vec<u64>,
    /// Names of the edits in effect at the end.
    names: Vec<String>,
}

/// Makes a random sequence of edits on the frames of a small mask and writes its journal to `folder`. Then truncates the
/// journal at `cuts` random bytes, and at and next to the end of every record.
///
/// A truncated journal must restore the state after its last whole record, report its records and torn bytes correctly, and be
/// continued. Compacted or not, it must name the edits in effect.
///
/// # Errors
/// What differs.
pub fn check(seed: u64, cuts: usize, folder: &Path) -> Result<SequenceReport, String> {
    let mut random = Random(seed);
    let path = folder.join("journal.edits");
    let (written, checked) = write(&mut random, &path)?;
    let bytes = fs::read(&path).map_err(|why| why.to_string())?;
    let mut lengths: Vec<usize> = (0..cuts).map(|_| random.below(bytes.len() + 1)).collect();
    for end in &written.ends {
        lengths.extend([*end as usize - 1, *end as usize, (*end as usize + 1).min(bytes.len())]);
    }
    for &end in &lengths {
        written.check(&bytes[..end]).map_err(|why| format!("cut at {end} of {}: {why}", bytes.len()))?;
    }
    // Truncated once, as by a killed program, the journal is opened and continued.
    let end = lengths[random.below(lengths.len())].max(written.ends[0] as usize);
    fs::write(&path, &bytes[..end]).map_err(|why| why.to_string())?;
    written.resume(&path)?;
    Ok(SequenceReport { cuts: lengths.len(), ..checked })
}

fn expect<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} is {found:?}, expected {expected:?}")) }
}

fn values(labels: &EditLabels) -> Vec<u16> {
    labels.to_volumes().flat_map(|frame| frame.iter().collect::<Vec<_>>()).collect()
}

fn write(random: &mut Random, path: &Path) -> Result<(RecordedJournal, SequenceReport), String> {
    let failed = |error: engine::Error| error.to_string();
    let grid = grid(random);
    let frame = |random: &mut Random| {
        let voxels: Vec<u16> = (0..grid.len()).map(|_| [0, 0, 0, 1, 2][random.below(5)]).collect();
        LabelVolume::new(grid.clone(), voxels).map_err(failed)
    };
    let mut labels = EditLabels::from_volume(&frame(random)?);
    let more = [0, 0, 1, 2][random.below(4)];
    for _ in 0..more {
        labels.push_frame(&frame(random)?).map_err(failed)?;
    }
    let image = Volume::from_f32(grid.clone(), (0..grid.len()).map(|_| random.below(40) as f32).collect());
    let other = EditLabels::new(grid.clone());
    let scene = Scene { image: Some(&image), other: Some(&other), ..Scene::default() };
    // Part of it exceeds the budget of the undo list.
    let budget = [0, 80, 1 << 20][random.below(3)];
    let spill = Spill::new(std::io::Cursor::new(Vec::new()), "spill".into());
    let mut history = History::new(budget, spill);
    let mut journal = Journal::create(path, &labels).map_err(failed)?;
    let mut written = RecordedJournal { states: vec![values(&labels)], ends: vec![journal.bytes()], names: Vec::new() };
    let (mut copies, mut at) = (vec![values(&labels)], 0);
    let mut checked = SequenceReport::default();
    for _ in 0..3 + random.below(22) {
        let (kind, name, delta) = match random.below(10) {
            0..=1 => {
                let name = history.undo_name().unwrap_or_default().to_owned();
                (Kind::Undo, name, history.undo(&mut labels).map_err(failed)?)
            }
            2 => {
                let name = history.redo_name().unwrap_or_default().to_owned();
                (Kind::Redo, name, history.redo(&mut labels).map_err(failed)?)
            }
            _ => {
                labels.show(random.below(labels.frames()));
                let op = op(random, &grid);
                // A refused operation, such as the component of an unlabelled voxel, changes nothing.
                let Ok(delta) = apply(&op, &mut labels, &scene, &Control::default()) else { continue };
                history.push(op.title(), &delta).map_err(failed)?;
                copies.truncate(at + 1);
                copies.push(values(&labels));
                (Kind::Edit, op.title(), Some(delta))
            }
        };
        let Some(delta) = delta else { continue };
        at = if kind == Kind::Undo { at - 1 } else { at + 1 };
        expect("the mask", &values(&labels), &copies[at])?;
        journal.append(kind, &name, &delta).map_err(failed)?;
        written.states.push(values(&labels));
        written.ends.push(journal.bytes());
        checked.records += 1;
        if random.below(12) == 0 {
            journal.compact([0, 40, 1 << 20][random.below(3)]).map_err(failed)?;
            written = RecordedJournal::compacted(path, &copies[0])?;
            expect("the mask of the compacted journal", &written.states.last(), &Some(&copies[at]))?;
            checked.compactions += 1;
        }
    }
    written.names = history.entries()[..history.applied()].iter().map(|entry| entry.name.clone()).collect();
    history.jump(0, &mut labels).map_err(failed)?;
    expect("the mask after undoing all", &values(&labels), &copies[0])?;
    history.jump(usize::MAX, &mut labels).map_err(failed)?;
    expect("the mask after redoing all", &Some(&values(&labels)), &copies.last())?;
    Ok((written, checked))
}

impl RecordedJournal {
    /// Content of a compacted journal.
    fn compacted(path: &Path, base: &[u16]) -> Result<Self, String> {
        let found = read(path).map_err(|error| error.to_string())?;
        let mut labels = found.base;
        expect("the base mask of the compacted journal", &values(&labels)[..], base)?;
        let mut states = vec![values(&labels)];
        for record in &found.records {
            expect("a record that fits", &record.changes.unpack().apply(&mut labels), &true)?;
            states.push(values(&labels));
        }
        // The magic is followed by header, base mask and records, each with its length.
        let bytes = fs::read(path).map_err(|why| why.to_string())?;
        let (mut ends, mut end) = (Vec::new(), 8);
        while let Some(length) = bytes.get(end..end + 4) {
            end += 8 + u32::from_le_bytes(length.try_into().map_err(|_| "four bytes")?) as usize;
            ends.push(end as u64);
        }
        Ok(Self { states, ends: ends.split_off(1), names: Vec::new() })
    }

    /// Number of records in a journal of this many bytes; `None` if the base mask is incomplete.
    fn records(&self, bytes: usize) -> Option<usize> {
        self.ends.iter().filter(|&&end| end <= bytes as u64).count().checked_sub(1)
    }

    fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let found = match (replay(bytes), self.records(bytes.len())) {
            (Err(_), None) => return Ok(()),
            (Err(why), Some(_)) => return Err(why),
            (Ok(_), None) => return Err("a journal without its base mask is replayed".to_owned()),
            (Ok(found), Some(_)) => found,
        };
        let records = self.records(bytes.len()).unwrap_or_default();
        expect("the number of records", &found.records.len(), &records)?;
        expect("the mask", &values(&found.labels), &self.states[records])?;
        if records + 1 == self.states.len() {
            expect("the names", &found.names(), &self.names)?;
        }
        expect("the whole part", &found.whole, &self.ends[records])?;
        let torn = bytes.len() as u64 - self.ends[records];
        expect("the torn part", &found.cut.map_or(0, |cut| cut.bytes), &torn)
    }

    /// Opens a cut journal, and appends a change.
    fn resume(&self, path: &Path) -> Result<(), String> {
        let failed = |error: engine::Error| error.to_string();
        let (mut journal, found) = Journal::open(path).map_err(failed)?;
        let records = found.records.len();
        expect("the mask of the opened journal", &values(&found.labels), &self.states[records])?;
        let mut labels = found.labels;
        let seed = Seed { voxel: Some([0; 3]), point_mm: None };
        let op = Op::Fill { label: 7, seed, plane: Plane::default() };
        let delta = apply(&op, &mut labels, &Scene::default(), &Control::default()).map_err(failed)?;
        journal.append(Kind::Edit, "again", &delta).map_err(failed)?;
        drop(journal);
        let again = read(path).map_err(failed)?;
        expect("what follows the last record", &again.cut, &None)?;
        expect("the records of the resumed journal", &again.records.len(), &(records + 1))?;
        expect("the mask of the resumed journal", &again.labels, &labels)?;
        let back = again.records.last().map_or_else(|| Delta::empty(found.base.dims()), |r| r.changes.unpack());
        expect("the last change", &back, &delta)
    }
}

/// A grid of 2 to 8 voxels along each axis.
fn grid(random: &mut Random) -> Grid {
    let mut world_from_voxel = [0.0; 12];
    for axis in 0..3 {
        world_from_voxel[4 * axis] = random.between(0.5, 3.0);
    }
    let shape = std::array::from_fn(|_| 2 + random.below(7));
    Header { version: VERSION, shape, frames: 1, world_from_voxel, oriented: true, opened_sha256: String::new() }.grid()
}

fn point(random: &mut Random, grid: &Grid) -> [f64; 3] {
    let spacing = grid.spacing_mm();
    std::array::from_fn(|a| random.between(-0.6, grid.shape[a] as f64 - 0.4) * spacing[a])
}

fn brush(random: &mut Random, grid: &Grid) -> Brush {
    let mode = if random.below(2) == 0 { Mode::Slice } else { Mode::Volume };
    let points_mm = (0..=random.below(3)).map(|_| point(random, grid)).collect();
    let (radius_mm, plane) = (random.between(0.5, 5.0), Plane::Axis(random.below(3)));
    Brush { radius_mm, mode, plane, points_mm, connected: random.below(2) == 0 }
}

/// Any operation except `interpolate`, which needs slices that random labels do not have.
fn op(random: &mut Random, grid: &Grid) -> Op {
    let label = random.label();
    let seed = Seed { voxel: Some(std::array::from_fn(|a| random.below(grid.shape[a]))), point_mm: None };
    let (mm, overwrite) = (random.between(0.4, 4.0), random.below(2) == 0);
    match random.below(18) {
        0..=2 => Op::Paint { label, brush: brush(random, grid) },
        3..=4 => Op::Erase { label: None, brush: brush(random, grid) },
        5 => Op::ThresholdPaint { label, brush: brush(random, grid), min: Some(8.0), max: Some(30.0) },
        6 => Op::AdaptivePaint { label, brush: brush(random, grid), tolerance: None },
        7 => Op::Fill { label: label % 3, seed, plane: Plane::Axis(random.below(3)) },
        8 => Op::FillHoles { label, mode: Mode::Volume, axis: None, overwrite },
        9 => Op::Grow { label, mm, overwrite },
        10 => Op::Shrink { label, mm },
        11 => Op::Smooth { label, method: Smoothing::Majority, mm, overwrite },
        12 => Op::RegionGrow { label, seed, tolerance: 9.0, max_radius_mm: None, overwrite },
        13 => Op::RemoveComponent { seed, label: None },
        14 => Op::KeepLargest { label: None },
        15 => {
            let operation = [Boolean::Union, Boolean::Intersect, Boolean::Subtract][random.below(3)];
            Op::Boolean { operation, a: label, b: random.label(), of: Operand::Own }
        }
        16 => {
            let points_mm = (0..3 + random.below(3)).map(|_| point(random, grid)).collect();
            let action = [LassoAction::Fill, LassoAction::Erase, LassoAction::Restore][random.below(3)];
            Op::Lasso { label: Some(label), points_mm, plane: Plane::Axis(random.below(3)), action, through: overwrite }
        }
        _ => {
            let (inside, outside) = (vec![brush(random, grid)], vec![brush(random, grid)]);
            Op::Watershed { label, inside, outside, smooth_mm: None, overwrite }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `soak/journal.rs` makes many more.
    #[test]
    fn random_edits_are_restored_from_a_journal_cut_at_any_byte() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut all = SequenceReport::default();
        for seed in 0..400 {
            let checked = check(seed, 20, folder.path()).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            all.records += checked.records;
            all.compactions += checked.compactions;
        }
        assert!(all.records > 3000 && all.compactions > 100, "{all:?}");
    }
}
