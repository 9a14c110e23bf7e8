//! The files of a folder, a zip archive or a DICOMDIR.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::source::{Member, Source};
use super::{DataSet, DicomFile, Tag};
use crate::disk::atomic::PREVIOUS;
use crate::words::plural;
use crate::{Error, Result};

/// Maximum depth to which folders are searched.
const DEPTH: usize = 16;
/// Maximum size of the directory of a zip archive, in bytes.
const DIRECTORY_LIMIT: u64 = 256 << 20;

/// The files to read, and warnings about what cannot be read.
pub(super) fn sources(path: &Path) -> Result<(Vec<Source>, Vec<String>)> {
    let meta = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if meta.is_dir() {
        let mut warnings = Vec::new();
        let files = files_under(path, &mut warnings)?;
        return Ok((files.into_iter().map(|file| Source::within(file, path)).collect(), warnings));
    }
    in_file(&Source::file(path))
}

/// The files to read for one file: the members of a zip archive, the files that a DICOMDIR lists, or itself. Bytes in memory
/// have no folder, so that a DICOMDIR there is itself.
pub(super) fn in_file(source: &Source) -> Result<(Vec<Source>, Vec<String>)> {
    if matches!(&start(source)?[..], b"PK\x03\x04" | b"PK\x05\x06") {
        return Ok((zip_members(source)?, Vec::new()));
    }
    if source.memory.is_none()
        && let Ok(file) = DicomFile::from_source(source)
        && file.data.get(Tag::DIRECTORY_RECORD_SEQUENCE).is_some()
    {
        return of_directory(&source.path, &file.data);
    }
    Ok((vec![source.clone()], Vec::new()))
}

/// The first four bytes.
fn start(source: &Source) -> Result<Vec<u8>> {
    source.open()?.read(0, 4)
}

/// True for a zip archive.
pub(super) fn is_zip(path: &Path) -> bool {
    start(&Source::file(path)).is_ok_and(|start| start == b"PK\x03\x04")
}

/// The members of the zip archives among files, and warnings about damaged archives.
pub(super) fn of_archives(files: &[Source]) -> (Vec<Source>, Vec<String>) {
    let (mut members, mut warnings) = (Vec::new(), Vec::new());
    for archive in files.iter().filter(|file| is_zip(&file.path)) {
        match zip_members(archive) {
            Ok(found) => members.extend(found),
            Err(error) => warnings.push(format!("a file is left out: {}", error.without_path())),
        }
    }
    (members, warnings)
}

/// True for hidden files, and for earlier versions of files that were replaced.
fn is_passed_over(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(PREVIOUS)
}

/// The files directly in a folder, by path, without hidden ones.
pub(super) fn files_in(folder: &Path) -> Result<Vec<Source>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("list", folder))?.flatten();
    let named = entries.filter(|entry| !is_passed_over(&entry.file_name().to_string_lossy()));
    let mut files: Vec<PathBuf> = named.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files.into_iter().map(|file| Source::within(file, folder)).collect())
}

/// Every file under a folder, by path, without hidden ones. Links to folders are followed once.
fn files_under(root: &Path, warnings: &mut Vec<String>) -> Result<Vec<PathBuf>> {
    let (mut files, mut visited) = (Vec::new(), BTreeSet::new());
    let mut level = vec![root.to_path_buf()];
    for depth in 0..=DEPTH {
        let mut next = Vec::new();
        for folder in level {
            if !visited.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())) {
                continue;
            }
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if depth > 0 => {
                    warnings.push(format!("a folder is left out: {}", crate::error::reason(&error)));
                    continue;
                }
                Err(error) => return Err(Error::io("list", root)(error)),
            };
            for entry in entries.flatten() {
                let path = entry.path();
                if is_passed_over(&entry.file_name().to_string_lossy()) || entry.file_name() == "__MACOSX" {
                    continue;
                }
                // A link has its target's type.
                let kind = entry.file_type().ok().filter(|kind| !kind.is_symlink());
                let is_dir = kind.map_or_else(|| path.is_dir(), |kind| kind.is_dir());
                if is_dir {
                    next.push(path);
                } else if kind.is_some_and(|kind| kind.is_file()) || path.is_file() {
                    files.push(path);
                }
            }
        }
        level = next;
    }
    if !level.is_empty() {
        warnings.push(format!(
            "{} not searched, more than {DEPTH} levels deep",
            plural(level.len(), "folder is", "folders are")
        ));
    }
    files.sort();
    Ok(files)
}

/// The files that a DICOMDIR lists, within its folder; if none of them exists, every file of the folder.
fn of_directory(path: &Path, data: &DataSet) -> Result<(Vec<Source>, Vec<String>)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let records = data.items(Tag::DIRECTORY_RECORD_SEQUENCE);
    let (mut existing, mut missing) = (BTreeSet::new(), 0);
    for record in records {
        let parts = record.texts(Tag::REFERENCED_FILE_ID);
        if parts.is_empty() {
            continue;
        }
        match locate(folder, &parts) {
            Some(file) => drop(existing.insert(file)),
            None => missing += 1,
        }
    }
    let mut warnings = Vec::new();
    let files = if existing.is_empty() {
        warnings.push("the DICOMDIR lists no file that exists. The folder is searched instead".to_owned());
        files_under(folder, &mut warnings)?
    } else {
        existing.into_iter().collect()
    };
    if missing > 0 {
        let listed = plural(missing, "file of the DICOMDIR does", "files of the DICOMDIR do");
        warnings.push(format!("{listed} not exist"));
    }
    let sources = files.into_iter().filter(|file| file != path);
    Ok((sources.map(|file| Source::within(file, path)).collect(), warnings))
}

/// Finds the file of a ReferencedFileID within the folder. Ignores case and a version suffix (`;1`).
fn locate(folder: &Path, parts: &[String]) -> Option<PathBuf> {
    let mut path = folder.to_path_buf();
    for part in parts {
        let mut components = Path::new(part).components();
        if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
            return None;
        }
        let exact = path.join(part);
        path = if exact.exists() {
            exact
        } else {
            let plain = |name: &str| name.split(';').next().unwrap_or_default().to_lowercase();
            let mut entries = std::fs::read_dir(&path).ok()?.flatten();
            entries.find(|entry| plain(&entry.file_name().to_string_lossy()) == plain(part))?.path()
        };
    }
    path.is_file().then_some(path)
}

/// The files in a zip archive, from its central directory (PKWARE APPNOTE 4.3). Encrypted and nested ones are left out.
fn zip_members(archive: &Source) -> Result<Vec<Source>> {
    let damaged = |why: &str| Error::file(&archive.display_path, format!("damaged zip archive: {why}"));
    let mut bytes = archive.open()?;
    let len = bytes.len as u64;
    let mut read = |from: u64, n: u64| bytes.read(from as usize, from.saturating_add(n) as usize);
    // The end record is the last thing, before a comment of at most 64 KiB.
    let tail_start = len.saturating_sub(22 + 65_535);
    let tail = read(tail_start, len)?;
    let end = tail.windows(4).rposition(|mark| mark == b"PK\x05\x06").ok_or_else(|| damaged("no end record"))?;
    if tail.len() < end + 22 {
        return Err(damaged("its end record is truncated"));
    }
    let (mut size, mut start) = (u64::from(word(&tail, end + 12)), u64::from(word(&tail, end + 16)));
    if start == u64::from(u32::MAX) || size == u64::from(u32::MAX) {
        // Zip64: the locator before the end record names the larger one.
        let locator = end.checked_sub(20).filter(|index| tail[*index..].starts_with(b"PK\x06\x07"));
        let locator = locator.ok_or_else(|| damaged("no zip64 locator"))?;
        let record = read(long(&tail, locator + 8), 56)?;
        (size, start) = (long(&record, 40), long(&record, 48));
    }
    if size > DIRECTORY_LIMIT || start.checked_add(size).is_none_or(|end| end > len) {
        return Err(damaged("its directory is outside the file"));
    }
    let directory = read(start, size)?;
    let (mut sources, mut index) = (Vec::new(), 0);
    while directory.get(index..index + 46).is_some_and(|head| head.starts_with(b"PK\x01\x02")) {
        let (flags, method) = (half(&directory, index + 8), half(&directory, index + 10));
        let [names, extra, comment] = [28, 30, 32].map(|offset| usize::from(half(&directory, index + offset)));
        let [mut packed, mut unpacked] = [20, 24].map(|offset| u64::from(word(&directory, index + offset)));
        let mut local = u64::from(word(&directory, index + 42));
        let name = directory.get(index + 46..index + 46 + names).unwrap_or_default();
        let field = directory.get(index + 46 + names..index + 46 + names + extra).unwrap_or_default();
        zip64(field, [&mut unpacked, &mut packed, &mut local]);
        index += 46 + names + extra + comment;
        let hidden = name.split(|&b| b == b'/').any(|part| part.starts_with(b".") || part == b"__MACOSX");
        if name.ends_with(b"/") || hidden || flags & 1 == 1 || !matches!(method, 0 | 8) || local >= len {
            continue;
        }
        let head = read(local, 30)?;
        if !head.starts_with(b"PK\x03\x04") {
            return Err(damaged("a member has no header"));
        }
        let offset = local + 30 + u64::from(half(&head, 26)) + u64::from(half(&head, 28));
        let member = Member { offset, packed, len: unpacked, deflated: method == 8 };
        sources.push(Source { member: Some(member), ..archive.clone() });
    }
    Ok(sources)
}

/// Replaces sizes that the extra field of zip64 holds.
fn zip64(mut field: &[u8], values: [&mut u64; 3]) {
    while field.len() >= 4 {
        let (id, n) = (half(field, 0), usize::from(half(field, 2)));
        let content = field.get(4..4 + n).unwrap_or_default();
        if id == 1 {
            let wide = values.into_iter().filter(|value| **value == u64::from(u32::MAX));
            for (value, bytes) in wide.zip(content.as_chunks::<8>().0) {
                *value = u64::from_le_bytes(*bytes);
            }
            return;
        }
        field = field.get(4 + n..).unwrap_or_default();
    }
}

fn half(bytes: &[u8], offset: usize) -> u16 {
    bytes.get(offset..offset + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

fn word(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..offset + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn long(bytes: &[u8], offset: usize) -> u64 {
    u64::from(word(bytes, offset)) | u64::from(word(bytes, offset + 4)) << 32
}
