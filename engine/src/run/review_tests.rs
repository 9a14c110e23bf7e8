//! Tests of the file of verdicts: torn lines, invalid lines, readers and writers.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::review::{FindingMark, FindingVerdict, ReviewedMask, Verdict, latest};

fn entry(case: &str, verdict: Verdict) -> Entry {
    Entry { verdict, comment: "a \"quoted\"\nword".into(), reviewer: "AB".into(), time_ms: 7, ..Entry::new(case) }
}

fn write(root: &Path, entries: &[Entry]) {
    let (mut writer, _) = ReviewWriter::open(root).unwrap();
    entries.iter().for_each(|entry| writer.append(entry).unwrap());
}

#[test]
fn verdicts_are_read_back_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    assert_eq!(read(root).unwrap(), ReviewLog::default());
    let mark =
        FindingMark { mask: ReviewedMask::Reference, at_mm: [1.5, -2.0, 0.1], verdict: FindingVerdict::Rejected };
    let marked = Entry { findings: vec![mark], seconds: 48.25, ..entry("p2", Verdict::SecondLook) };
    let entries = [entry("p1", Verdict::Rejected), marked, entry("p1", Verdict::Accepted)];
    write(root, &entries[..2]);
    write(root, &entries[2..]);
    let log = read(root).unwrap();
    assert_eq!(log.entries, entries);
    assert!(log.warnings().is_empty());
    assert_eq!(latest(&log.entries)["p1"].verdict, Verdict::Accepted);
    let text = std::fs::read_to_string(root.join(FILE)).unwrap();
    assert_eq!(text.lines().count(), 3, "a line break in a comment does not start a line");
    assert!(!text.contains(&root.display().to_string()));
}

#[test]
fn a_line_torn_at_any_byte_is_ignored_and_then_removed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let path = root.join(FILE);
    write(root, &[entry("p1", Verdict::Accepted), entry("p2", Verdict::Rejected)]);
    let whole = std::fs::read(&path).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in first..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let log = read(root).unwrap();
        // The last byte is the line break: without it the verdict is still complete.
        let kept = 1 + usize::from(length == whole.len() - 1);
        assert_eq!((log.entries.len(), log.torn_bytes), (kept, if kept == 1 { length - first } else { 0 }), "{length}");
        assert_eq!(log.warnings().len(), usize::from(log.torn_bytes > 0));
        assert_eq!(std::fs::metadata(&path).unwrap().len() as usize, length, "reading changes nothing");
        let (mut writer, opened) = ReviewWriter::open(root).unwrap();
        assert_eq!(opened, log);
        writer.append(&entry("p3", Verdict::Corrected)).unwrap();
        drop(writer);
        let after = read(root).unwrap();
        assert_eq!((after.entries.len(), after.warnings().len()), (kept + 1, 0), "{length}");
        assert_eq!(after.entries[kept].case, "p3");
    }
}

#[test]
fn invalid_lines_are_reported_and_the_others_kept() {
    let folder = tempfile::tempdir().unwrap();
    let good = serde_json::to_string(&entry("p1", Verdict::Accepted)).unwrap();
    let newer = good.replace("\"version\":1", "\"version\":2");
    std::fs::write(folder.path().join(FILE), format!("{good}\nno json\n\n{newer}\n{good}\n")).unwrap();
    let log = read(folder.path()).unwrap();
    assert_eq!(log.entries.len(), 2);
    let warnings = log.warnings().join("\n");
    assert!(
        warnings.contains("line 2 is left out") && warnings.contains("line 4 is left out: its version is 2"),
        "{warnings}"
    );
}

#[test]
fn a_second_writer_is_refused_and_gets_the_name_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (mut writer, _) = ReviewWriter::open(root).unwrap();
    writer.append(&entry("p1", Verdict::Accepted)).unwrap();
    let error = ReviewWriter::open(root).unwrap_err();
    let ErrorKind::InReview { process, machine, since, .. } = error.kind() else { panic!("{error}") };
    #[cfg(unix)]
    {
        assert_eq!((*process, machine.as_str()), (std::process::id(), machine::host_name().as_str()));
        assert!(since.ends_with('Z') && since.len() == 20, "{since}");
    }
    assert!(error.to_string().contains("review.jsonl: process"), "{error}");
    assert_eq!(read(root).unwrap().entries.len(), 1, "reading needs no lock");
    drop(writer);
    assert!(ReviewWriter::open(root).is_ok());
}

#[test]
fn a_read_only_folder_is_an_error_that_says_so() {
    let read_only = explained(Error::io("write", Path::new("x"))(Io::ReadOnlyFilesystem.into()), Path::new("cohort"));
    assert!(read_only.to_string().starts_with("cohort: the folder is read-only"), "{read_only}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(LOCK)).unwrap();
    assert!(ReviewWriter::open(folder.path()).is_err());
    assert!(read(folder.path()).unwrap().entries.is_empty());
}
