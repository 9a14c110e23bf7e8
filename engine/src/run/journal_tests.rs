use super::*;
use crate::volume::Grid;
use glam::DAffine3;

/// An empty mask, and changes that paint it voxel by voxel.
fn edits(n: usize) -> (EditLabels, Vec<Delta>) {
    use crate::edit::op::{Op, Place};
    let grid = Grid::new([n, 2, 2], DAffine3::IDENTITY);
    let base = EditLabels::new(grid);
    let mut labels = base.clone();
    let fill = |i: usize| {
        let place = Place { voxel: Some([i, 0, 0]), point_mm: None };
        let op = Op::RegionGrow { label: 1, place, tolerance: 0.0, max_radius_mm: Some(0.5), overwrite: false };
        let image = crate::volume::Volume::from_f32(labels.grid().clone(), vec![0.0; 4 * n]);
        let scene = crate::edit::Scene { image: Some(&image), ..crate::edit::Scene::default() };
        crate::edit::apply(&op, &mut labels, &scene, &crate::event::Control::default()).unwrap()
    };
    (base, (0..n).map(fill).collect())
}

fn replayed(base: &EditLabels, deltas: &[Delta]) -> EditLabels {
    let mut labels = base.clone();
    assert!(deltas.iter().all(|delta| delta.apply(&mut labels)));
    labels
}

#[test]
fn edits_are_restored_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p01.edits");
    let (base, deltas) = edits(6);
    let mut journal = Journal::create(&path, &base).unwrap();
    for (n, delta) in deltas[..4].iter().enumerate() {
        journal.append(Kind::Edit, &format!("Brush {n}"), delta).unwrap();
    }
    drop(journal);
    let (mut journal, replay) = Journal::open(&path).unwrap();
    assert_eq!((replay.records.len(), replay.cut), (4, None));
    assert_eq!(replay.labels, replayed(&base, &deltas[..4]));
    assert_eq!(replay.header.opened_sha256, base.sha256());
    assert_eq!(replay.records[2].name, "Brush 2");
    for delta in &deltas[4..] {
        journal.append(Kind::Edit, "Brush", delta).unwrap();
    }
    journal.append(Kind::Undo, "Brush", &deltas[5].inverted()).unwrap();
    let replay = read(&path).unwrap();
    assert_eq!(replay.records.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(replay.labels, replayed(&base, &deltas[..5]));
    assert_eq!(journal.bytes(), std::fs::metadata(&path).unwrap().len());
}

#[test]
fn a_torn_tail_is_cut_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p01.edits");
    let (base, deltas) = edits(5);
    let mut journal = Journal::create(&path, &base).unwrap();
    let mut ends = vec![journal.bytes()];
    for delta in &deltas[..4] {
        journal.append(Kind::Edit, "Brush", delta).unwrap();
        ends.push(journal.bytes());
    }
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    for end in ends[0] as usize..=whole.len() {
        std::fs::write(&path, &whole[..end]).unwrap();
        let records = ends.iter().filter(|&&e| e <= end as u64).count() - 1;
        let torn = end as u64 - ends[records];
        let (mut journal, replay) = Journal::open(&path).unwrap();
        assert_eq!((replay.records.len(), replay.cut.map_or(0, |cut| cut.bytes)), (records, torn), "{end}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), ends[records], "the torn tail is gone");
        journal.append(Kind::Edit, "again", &deltas[records]).unwrap();
        let replay = read(&path).unwrap();
        assert_eq!((replay.records.len(), replay.cut), (records + 1, None));
        assert_eq!(replay.labels, replayed(&base, &deltas[..=records]));
    }
    std::fs::write(&path, &whole[..ends[0] as usize - 1]).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("p01.edits: no edit can be restored: it has no base mask"), "{error}");
    std::fs::write(&path, b"something else").unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("it is not an edit journal"));
}

#[test]
fn compaction_keeps_the_mask_and_the_opened_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p01.edits");
    let (base, deltas) = edits(6);
    let mut journal = Journal::create(&path, &base).unwrap();
    for delta in &deltas[..4] {
        journal.append(Kind::Edit, "Brush", delta).unwrap();
    }
    let now = replayed(&base, &deltas[..4]);
    journal.compact(&now).unwrap();
    assert_eq!((journal.records(), journal.header().folded), (0, 4));
    journal.append(Kind::Edit, "Brush", &deltas[4]).unwrap();
    drop(journal);
    let replay = read(&path).unwrap();
    assert_eq!((replay.records.len(), replay.header.folded), (1, 4));
    assert_eq!((replay.base, replay.labels), (now, replayed(&base, &deltas[..5])));
    assert_eq!(replay.header.opened_sha256, base.sha256());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

/// A new journal that cannot be written leaves the old one, which is continued.
#[cfg(unix)]
#[test]
fn a_failed_compaction_keeps_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("locked");
    std::fs::create_dir(&place).unwrap();
    let path = place.join("p01.edits");
    let (base, deltas) = edits(3);
    let mut journal = Journal::create(&path, &base).unwrap();
    journal.append(Kind::Edit, "Brush", &deltas[0]).unwrap();
    // Under another name the folder is missing for the new file, while the old file stays open.
    let moved = folder.path().join("moved");
    std::fs::rename(&place, &moved).unwrap();
    let error = journal.compact(&replayed(&base, &deltas[..1])).unwrap_err().to_string();
    assert!(error.contains("cannot write"), "{error}");
    journal.append(Kind::Edit, "Brush", &deltas[1]).unwrap();
    assert_eq!(read(&moved.join("p01.edits")).unwrap().labels, replayed(&base, &deltas[..2]));
}

#[test]
fn one_program_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p01.edits");
    let (base, deltas) = edits(2);
    let mut journal = Journal::create(&path, &base).unwrap();
    let error = Journal::open(&path).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("another window or program"), "{error}");
    assert!(Journal::create(&path, &base).is_err(), "a journal in use is not replaced");
    journal.append(Kind::Edit, "Brush", &deltas[0]).unwrap();
    journal.compact(&replayed(&base, &deltas[..1])).unwrap();
    assert!(Journal::open(&path).is_err(), "still after a compaction");
    drop(journal);
    assert!(Journal::open(&path).is_ok());
}

#[test]
fn a_write_is_flushed_a_moment_later_and_at_the_end() {
    let (wake, woken) = channel();
    let flushes = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&flushes);
    let started = Instant::now();
    let thread = std::thread::spawn(move || flush_later(&woken, || log.lock().unwrap().push(started.elapsed())));
    for _ in 0..3 {
        wake.send(()).unwrap();
    }
    std::thread::sleep(SYNC_DELAY + Duration::from_millis(600));
    let first = flushes.lock().unwrap().clone();
    assert_eq!(first.len(), 1, "three writes, one flush");
    assert!(first[0] >= SYNC_DELAY && first[0] < Duration::from_secs(2), "{first:?}");
    wake.send(()).unwrap();
    drop(wake);
    thread.join().unwrap();
    assert_eq!(flushes.lock().unwrap().len(), 2, "what was written last is flushed when the writer goes");
}
