//! Zip archives and DICOMDIRs are read like folders.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::*;

/// A zip archive of these files, every second one deflated.
fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (index, (name, bytes)) in files.iter().enumerate() {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        let (method, packed) = if index % 2 == 1 { (8_u16, encoder.finish().unwrap()) } else { (0, bytes.clone()) };
        let offset = out.len() as u32;
        let sizes = [0, packed.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
        let names = (name.len() as u16).to_le_bytes();
        let head =
            [&20_u16.to_le_bytes()[..], &[0, 0], &method.to_le_bytes(), &[0; 4], &sizes, &names, &[0, 0]].concat();
        out.extend([b"PK\x03\x04", &head[..], name.as_bytes(), &packed].concat());
        directory.extend([b"PK\x01\x02\x14\x00", &head[..], &[0; 10], &offset.to_le_bytes(), name.as_bytes()].concat());
    }
    let (start, size, count) = (out.len() as u32, directory.len() as u32, files.len() as u16);
    out.extend(directory);
    out.extend([b"PK\x05\x06\0\0\0\0", &count.to_le_bytes()[..], &count.to_le_bytes()].concat());
    out.extend([&size.to_le_bytes()[..], &start.to_le_bytes(), &[0, 0]].concat());
    out
}

#[test]
fn a_zip_archive_is_read_like_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let members: Vec<(String, Vec<u8>)> = (0..4).map(|k| (format!("a/{k}"), file_bytes(&slice(3, k)))).collect();
    let named: Vec<(&str, Vec<u8>)> = members.iter().map(|(name, bytes)| (&**name, bytes.clone())).collect();
    let archive = zip(&named);
    let path = write(folder.path(), "study.zip", &archive);
    let volume = read(&path, &all()).unwrap();
    assert_eq!((volume.grid.shape, volume.value([1, 1, 3])), ([2, 2, 4], 2.0 * 33.0 - 1000.0));
    // A member that declares more than deflate could hold, and every cut of the archive: an error, never more memory.
    let mut lying = archive.clone();
    let entry = lying.windows(4).rposition(|mark| mark == b"PK\x01\x02").unwrap();
    lying[entry + 24..entry + 28].copy_from_slice(&u32::to_le_bytes(1 << 30));
    std::fs::write(&path, &lying).unwrap();
    let library = Library::scan(&path, &|_, _| true).unwrap();
    assert!(library.warnings[0].contains("declares a member larger than its bytes"), "{:?}", library.warnings);
    for end in (30..archive.len()).step_by(7) {
        std::fs::write(&path, &archive[..end]).unwrap();
        assert!(Library::scan(&path, &|_, _| true).is_err(), "{end}");
    }
}

#[test]
fn a_folder_of_zip_archives_is_read_like_its_members() {
    let folder = tempfile::tempdir().unwrap();
    for k in 0..3 {
        write(folder.path(), &format!("export/{k}.zip"), &zip(&[("image", file_bytes(&slice(3, k)))]));
    }
    write(folder.path(), "damaged.zip", b"PK\x03\x04 and no directory");
    write(folder.path(), "note.txt", b"hello");
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    assert_eq!(library.select(folder.path(), None).unwrap().grid().shape, [2, 2, 3]);
    assert_eq!(library.warnings, ["a file is left out: damaged zip archive: no end record"]);
    // Beside other DICOM files, archives may be copies of them.
    write(folder.path(), "image", &file_bytes(&slice(3, 7)));
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    assert_eq!(library.series().map(|series| series.files).sum::<usize>(), 1);
}

/// A DICOMDIR of these file ids.
fn directory(ids: &[&str]) -> Vec<u8> {
    let mut data = DataSet::new();
    data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.1.3.10");
    data.put_text(Tag::SOP_INSTANCE_UID, "1.9");
    let record = |id: &&str| {
        let mut record = DataSet::new();
        record.put_text(Tag::DIRECTORY_RECORD_TYPE, "IMAGE");
        record.put_text(Tag::REFERENCED_FILE_ID, id);
        record
    };
    data.put_items(Tag::DIRECTORY_RECORD_SEQUENCE, ids.iter().map(record).collect());
    file_bytes(&data)
}

#[test]
fn a_dicomdir_names_its_files_in_any_case_and_none_outside() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("disc");
    for k in 0..2 {
        write(&inside, &format!("images/im{k};1"), &file_bytes(&slice(3, k)));
    }
    write(folder.path(), "secret", &file_bytes(&slice(3, 7)));
    let path = write(&inside, "DICOMDIR", &directory(&["IMAGES\\IM0", "IMAGES\\IM1", "..\\SECRET", "IMAGES\\IM5"]));
    let library = Library::scan(&path, &|_, _| true).unwrap();
    assert_eq!(library.select(&path, None).unwrap().grid().shape, [2, 2, 2]);
    assert_eq!(library.warnings, ["2 files of the DICOMDIR do not exist"]);
    // If nothing of it exists, the folder is searched.
    std::fs::write(&path, directory(&["GONE"])).unwrap();
    let library = Library::scan(&path, &|_, _| true).unwrap();
    assert!(library.warnings[0].contains("searched instead"), "{:?}", library.warnings);
    assert_eq!(library.select(&path, None).unwrap().grid().shape, [2, 2, 2]);
}
