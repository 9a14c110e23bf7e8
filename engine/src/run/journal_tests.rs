use super::*;
use crate::volume::Grid;
use glam::DAffine3;

/// An empty mask, and changes that paint it voxel by voxel.
fn edits(n: usize) -> (EditLabels, Vec<Delta>) {
    use crate::edit::op::{Op, Seed};
    let grid = Grid::new([n, 2, 2], DAffine3::IDENTITY);
    let base = EditLabels::new(grid);
    let mut labels = base.clone();
    let fill = |i: usize| {
        let seed = Seed { voxel: Some([i, 0, 0]), point_mm: None };
        let op = Op::RegionGrow { label: 1, seed, tolerance: 0.0, max_radius_mm: Some(0.5), overwrite: false };
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
fn a_torn_tail_is_truncated_and_reported() {
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
fn compaction_keeps_the_opened_mask_and_the_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p01.edits");
    let (base, deltas) = edits(6);
    let mut journal = Journal::create(&path, &base).unwrap();
    for (n, delta) in deltas[..4].iter().enumerate() {
        journal.append(Kind::Edit, &format!("Brush {n}"), delta).unwrap();
    }
    journal.append(Kind::Undo, "Brush 3", &deltas[3].inverted()).unwrap();
    journal.append(Kind::Edit, "Fill", &deltas[4]).unwrap();
    // The newest unmerged, the three before it merged, and the undone one dropped.
    journal.compact(deltas[4].pack().bytes().len()).unwrap();
    assert_eq!(journal.records(), 2);
    let after = |n: &[usize]| replayed(&base, &n.iter().map(|&n| deltas[n].clone()).collect::<Vec<_>>());
    let check = |names: &[&str], labels: &EditLabels| {
        let replay = read(&path).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!((replay.names(), &replay.base, &replay.labels), (names, &base, labels));
        assert_eq!(replay.header.opened_sha256, base.sha256());
        let mut all = base.clone();
        assert!(replay.in_effect().iter().all(|record| record.changes.unpack().apply(&mut all)));
        assert_eq!(&all, labels);
    };
    check(&["Brush 0", "Brush 1", "Brush 2", "Fill"], &after(&[0, 1, 2, 4]));
    // Undo still works step by step: two are undone, one redone, then compacted again.
    journal.append(Kind::Undo, "Fill", &deltas[4].inverted()).unwrap();
    journal.append(Kind::Undo, "Brush 2", &deltas[2].inverted()).unwrap();
    check(&["Brush 0", "Brush 1"], &after(&[0, 1]));
    journal.append(Kind::Redo, "Brush 2", &deltas[2]).unwrap();
    check(&["Brush 0", "Brush 1", "Brush 2"], &after(&[0, 1, 2]));
    journal.append(Kind::Edit, "Brush 5", &deltas[5]).unwrap();
    journal.compact(0).unwrap();
    assert_eq!((journal.records(), read(&path).unwrap().records[0].effect()), (1, "4 earlier edits".to_owned()));
    check(&["Brush 0", "Brush 1", "Brush 2", "Brush 5"], &after(&[0, 1, 2, 5]));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

/// Edits of the journal and older edits that were undone in it are redone in reverse order of their undo.
#[test]
fn the_edit_that_was_undone_last_is_redone_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p01.edits");
    let (empty, deltas) = edits(3);
    let base = replayed(&empty, &deltas[..1]);
    let mut journal = Journal::create(&path, &base).unwrap();
    let check = |names: &[&str]| {
        let (replay, mut labels) = (read(&path).unwrap(), base.clone());
        assert_eq!(replay.names(), names);
        assert!(replay.in_effect().iter().all(|record| record.changes.unpack().apply(&mut labels)), "{names:?}");
        assert_eq!(labels, replay.labels);
    };
    journal.append(Kind::Edit, "Brush", &deltas[1]).unwrap();
    journal.append(Kind::Undo, "Brush", &deltas[1].inverted()).unwrap();
    journal.append(Kind::Undo, "Older", &deltas[0].inverted()).unwrap();
    check(&["Undo of Older"]);
    journal.append(Kind::Redo, "Older", &deltas[0]).unwrap();
    check(&[]);
    journal.append(Kind::Redo, "Brush", &deltas[1]).unwrap();
    check(&["Brush"]);
    for (kind, name, delta) in [
        (Kind::Undo, "Brush", deltas[1].inverted()),
        (Kind::Undo, "Older", deltas[0].inverted()),
        (Kind::Edit, "Fill", deltas[2].clone()),
        (Kind::Undo, "Fill", deltas[2].inverted()),
        (Kind::Redo, "Fill", deltas[2].clone()),
    ] {
        journal.append(kind, name, &delta).unwrap();
    }
    check(&["Undo of Older", "Fill"]);
}

#[test]
fn all_frames_are_restored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p01.edits");
    let (one, deltas) = edits(4);
    let base = replayed(&one, &deltas[..1]).repeated(3);
    let mut labels = base.clone();
    let mut journal = Journal::create(&path, &base).unwrap();
    for frame in [2, 0, 2] {
        labels.show(frame);
        let op = crate::edit::Op::Grow { label: 1, mm: 1.0, overwrite: false };
        let (scene, control) = (crate::edit::Scene::default(), crate::event::Control::default());
        let delta = crate::edit::apply(&op, &mut labels, &scene, &control).unwrap();
        assert_eq!(delta.frame(), Some(frame));
        journal.append(Kind::Edit, "Grow", &delta).unwrap();
    }
    let replay = read(&path).unwrap();
    assert_eq!((&replay.base, &replay.labels, replay.header.frames), (&base, &labels, 3));
    let voxels: Vec<usize> = replay.labels.to_volumes().map(|frame| frame.labelled_voxels()).collect();
    assert!(voxels[2] > voxels[0] && voxels[0] > voxels[1], "{voxels:?}");
    journal.compact(0).unwrap();
    assert_eq!(read(&path).unwrap().labels, labels);
    drop(journal);
    // An impossible number of frames is damage and must not be allocated.
    for frames in [0_usize, 1 << 40] {
        let header = Header { frames, ..Header::new(&base) };
        std::fs::write(&path, encode_start(&header, &base)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        let frames = crate::words::plural(frames, "frame", "frames");
        assert!(error.contains(&format!("4x2x2 voxels in {frames} are not possible")), "{error}");
    }
}

/// If the new journal cannot be written, the old one is continued.
#[cfg(unix)]
#[test]
fn a_failed_compaction_keeps_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    let path = locked.join("p01.edits");
    let (base, deltas) = edits(3);
    let mut journal = Journal::create(&path, &base).unwrap();
    journal.append(Kind::Edit, "Brush", &deltas[0]).unwrap();
    // Under another name the folder is missing for the new file, while the old file stays open.
    let moved = folder.path().join("moved");
    std::fs::rename(&locked, &moved).unwrap();
    let error = journal.compact(0).unwrap_err().to_string();
    assert!(error.contains("cannot write"), "{error}");
    journal.append(Kind::Edit, "Brush", &deltas[1]).unwrap();
    assert_eq!(read(&moved.join("p01.edits")).unwrap().labels, replayed(&base, &deltas[..2]));
}

#[test]
fn only_one_program_can_write_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p01.edits");
    let (base, deltas) = edits(2);
    let mut journal = Journal::create(&path, &base).unwrap();
    let error = Journal::open(&path).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("another window or program"), "{error}");
    assert!(Journal::create(&path, &base).is_err(), "a journal in use is not replaced");
    journal.append(Kind::Edit, "Brush", &deltas[0]).unwrap();
    journal.compact(0).unwrap();
    assert!(Journal::open(&path).is_err(), "still after a compaction");
    drop(journal);
    assert!(Journal::open(&path).is_ok());
}

#[test]
fn a_write_is_flushed_a_moment_later_and_at_the_end() {
    let (wake, wake_ups) = channel();
    let flushes = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&flushes);
    let started = Instant::now();
    let thread = std::thread::spawn(move || flush_later(&wake_ups, || log.lock().unwrap().push(started.elapsed())));
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
    assert_eq!(flushes.lock().unwrap().len(), 2, "the last write is flushed when the writer is dropped");
}

/// A child process inherits the open files of this process between fork and exec.
#[test]
fn a_closed_journal_can_be_reopened_while_a_child_process_holds_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p01.edits");
    let journal = Journal::create(&path, &edits(1).0).unwrap();
    let inherited = journal.file.try_clone().unwrap();
    assert!(is_open(&path));
    drop(journal);
    assert!(!is_open(&path));
    drop(Journal::open(&path).unwrap());
    drop(inherited);
}
