//! Long random sequences of operations, undo and redo. History and journal are compared with full copies of the mask.

use proptest::prelude::*;

use super::strategies::sequence;
use super::{edited, history, values_of};
use crate::edit::journal::{Header, Kind, Record, encode_record, encode_start, replay};
use crate::edit::{Delta, EditLabels, Op, Scene, apply};
use crate::event::Control;

/// A step of a sequence.
#[derive(Clone, Debug)]
enum Move {
    Edit(Op),
    Undo,
    Redo,
    Jump(usize),
}

fn moves(ops: Vec<Op>, choices: &[u8]) -> Vec<Move> {
    let mut ops = ops.into_iter().cycle();
    let next = |choice: &u8| match choice {
        0..=1 => Some(Move::Undo),
        2 => Some(Move::Redo),
        3 => Some(Move::Jump(usize::from(*choice) % 5)),
        _ => ops.next().map(Move::Edit),
    };
    choices.iter().filter_map(next).collect()
}

/// A history that keeps a full copy of every state.
struct Copies {
    states: Vec<Vec<u16>>,
    at: usize,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn history_equals_full_copies(
        (setting, ops) in sequence(12),
        choices in prop::collection::vec(0_u8..10, 60),
        budget in prop::sample::select(vec![0_usize, 60, 400, 1 << 20]),
    ) {
        let other = edited(setting.grid(), &setting.other);
        let scene = Scene { image: Some(&setting.image), other: Some(&other), ..Scene::default() };
        let mut labels = edited(setting.grid(), &setting.labels);
        let mut history = history(budget);
        let mut copies = Copies { states: vec![setting.labels.clone()], at: 0 };
        for step in moves(ops, &choices) {
            let before = labels.clone();
            let delta = match step {
                Move::Edit(op) => {
                    let Ok(delta) = apply(&op, &mut labels, &scene, &Control::default()) else { continue };
                    history.push(op.title(), &delta).unwrap();
                    copies.states.truncate(copies.at + 1);
                    copies.states.push(values_of(&labels));
                    copies.at += 1;
                    prop_assert_eq!(history.undo_name().map(str::to_owned), Some(op.title()));
                    Some(delta)
                }
                Move::Undo => {
                    copies.at = copies.at.saturating_sub(1);
                    history.undo(&mut labels).unwrap()
                }
                Move::Redo => {
                    copies.at = (copies.at + 1).min(copies.states.len() - 1);
                    history.redo(&mut labels).unwrap()
                }
                Move::Jump(to) => {
                    copies.at = to.min(copies.states.len() - 1);
                    Some(history.jump(to, &mut labels).unwrap())
                }
            };
            prop_assert_eq!(delta.unwrap_or_else(|| Delta::empty(labels.dims())), Delta::between(&before, &labels));
            prop_assert_eq!(&values_of(&labels), &copies.states[copies.at]);
            prop_assert_eq!((history.applied(), history.entries().len()), (copies.at, copies.states.len() - 1));
            prop_assert!(history.memory_bytes() <= budget);
        }
        // Undo everything, then redo everything.
        history.jump(0, &mut labels).unwrap();
        prop_assert_eq!(&values_of(&labels), &copies.states[0]);
        history.jump(usize::MAX, &mut labels).unwrap();
        prop_assert_eq!(&values_of(&labels), &copies.states[copies.states.len() - 1]);
    }

    #[test]
    fn a_journal_cut_at_any_byte_restores_a_prefix((setting, ops) in sequence(6), flipped in any::<prop::sample::Index>()) {
        let other = edited(setting.grid(), &setting.other);
        let scene = Scene { image: Some(&setting.image), other: Some(&other), ..Scene::default() };
        let base = edited(setting.grid(), &setting.labels);
        let mut journal = RecordedJournal::new(&base);
        let mut labels = base.clone();
        for op in &ops {
            if let Ok(delta) = apply(op, &mut labels, &scene, &Control::default()) {
                journal.add(&op.title(), &delta, &labels);
            }
        }
        for end in 0..=journal.bytes.len() {
            journal.check_prefix(&journal.bytes[..end])?;
        }
        // A wrong bit is detected: everything before it is restored.
        let mut wrong = journal.bytes.clone();
        let index = flipped.index(wrong.len());
        wrong[index] ^= 0x10;
        let whole = journal.ends.iter().filter(|&&end| end <= index).count();
        if let Ok(found) = replay(&wrong) {
            prop_assert_eq!(found.records.len() + 1, whole);
            prop_assert!(found.cut.is_some());
            prop_assert_eq!(&found.labels, &journal.states[whole - 1]);
        } else {
            prop_assert_eq!(whole, 0);
        }
        // Zeros after the end, as a file system may leave them.
        let found = replay(&[journal.bytes.clone(), vec![0; 64]].concat()).unwrap();
        let cut = found.cut.unwrap();
        prop_assert_eq!((cut.bytes, cut.why.as_str()), (64, "it is empty"));
        prop_assert_eq!(&found.labels, &labels);
    }
}

/// A journal in memory with the state after each of its records.
struct RecordedJournal {
    base: EditLabels,
    bytes: Vec<u8>,
    /// Byte positions of the end of the start and of each record.
    ends: Vec<usize>,
    states: Vec<EditLabels>,
    names: Vec<String>,
}

impl RecordedJournal {
    fn new(base: &EditLabels) -> Self {
        let bytes = encode_start(&Header::new(base), base);
        Self { base: base.clone(), ends: vec![bytes.len()], bytes, states: vec![base.clone()], names: Vec::new() }
    }

    fn add(&mut self, name: &str, delta: &Delta, after: &EditLabels) {
        let seq = self.states.len() as u64;
        let record =
            Record { seq, time_ms: 1000 * seq, kind: Kind::Edit, name: name.to_owned(), changes: delta.pack() };
        self.bytes.extend(encode_record(&record));
        self.ends.push(self.bytes.len());
        self.states.push(after.clone());
        self.names.push(name.to_owned());
    }

    fn check_prefix(&self, bytes: &[u8]) -> Result<(), TestCaseError> {
        let whole = self.ends.iter().filter(|&&end| end <= bytes.len()).count();
        let Some(records) = whole.checked_sub(1) else {
            prop_assert!(replay(bytes).is_err());
            return Ok(());
        };
        let mut found = replay(bytes).unwrap();
        prop_assert_eq!(found.records.len(), records);
        prop_assert_eq!(&found.labels, &self.states[records]);
        prop_assert_eq!(&found.base, &self.base);
        prop_assert_eq!(found.whole as usize, self.ends[records]);
        let torn = (bytes.len() - self.ends[records]) as u64;
        prop_assert_eq!(found.cut.as_ref().map_or(0, |cut| cut.bytes), torn);
        prop_assert!(found.records.iter().zip(&self.names).all(|(record, name)| record.name == *name));
        prop_assert_eq!(found.header.grid(), self.base.grid().clone());
        found.keep(records / 2).unwrap();
        prop_assert_eq!(&found.labels, &self.states[records / 2]);
        Ok(())
    }
}

/// 100,000 strokes, undos and redos: the journal restores the state at every cut.
#[test]
fn a_hundred_thousand_edits_and_their_journal() {
    use rand::{RngExt, SeedableRng};
    let grid = crate::volume::Grid::new([11, 9, 7], glam::DAffine3::from_scale(glam::DVec3::new(1.0, 1.2, 2.0)));
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let base = edited(&grid, &(0..grid.len()).map(|index| (index % 13 == 0) as u16).collect::<Vec<_>>());
    let (mut labels, mut history) = (base.clone(), history(100_000));
    let start = encode_start(&Header::new(&base), &base);
    let (mut bytes, mut ends, mut hashes) = (start.clone(), vec![start.len()], vec![hash(&base)]);
    while hashes.len() <= 100_000 {
        let (kind, name, delta) = match random.random_range(0..10) {
            0..=1 => (Kind::Undo, "undo".to_owned(), history.undo(&mut labels).unwrap()),
            2 => (Kind::Redo, "redo".to_owned(), history.redo(&mut labels).unwrap()),
            _ => {
                let op = stroke(&mut random);
                let delta = apply(&op, &mut labels, &Scene::default(), &Control::default()).unwrap();
                history.push(op.title(), &delta).unwrap();
                (Kind::Edit, op.title(), Some(delta))
            }
        };
        let Some(delta) = delta else { continue };
        let record = Record { seq: hashes.len() as u64, time_ms: 0, kind, name, changes: delta.pack() };
        bytes.extend(encode_record(&record));
        ends.push(bytes.len());
        hashes.push(hash(&labels));
    }
    for _ in 0..20 {
        let end = random.random_range(start.len()..=bytes.len());
        let found = replay(&bytes[..end]).unwrap();
        let records = ends.partition_point(|&whole| whole <= end) - 1;
        assert_eq!((found.records.len(), hash(&found.labels)), (records, hashes[records]));
        assert_eq!(found.cut.map_or(0, |cut| cut.bytes) as usize, end - ends[records]);
    }
    history.jump(0, &mut labels).unwrap();
    assert_eq!(labels, base);
}

fn hash(labels: &EditLabels) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    values_of(labels).hash(&mut hasher);
    hasher.finish()
}

fn stroke(random: &mut impl rand::Rng) -> Op {
    use crate::edit::op::{Brush, Mode, Plane};
    use rand::RngExt;
    let point = [random.random_range(0.0..10.0), random.random_range(0.0..10.0), random.random_range(0.0..12.0)];
    let mode = if random.random() { Mode::Slice } else { Mode::Volume };
    let (radius_mm, plane) = (random.random_range(0.5..3.0), Plane::Axis(random.random_range(0..3)));
    let brush = Brush { radius_mm, mode, plane, points_mm: vec![point], connected: false };
    match random.random_range(0..4_u16) {
        0 => Op::Erase { label: None, brush },
        label => Op::Paint { label, brush },
    }
}
