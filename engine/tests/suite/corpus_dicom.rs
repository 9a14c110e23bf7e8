//! The public corpora of DICOM files and series: every row of their tables must be reproduced.

#![allow(clippy::format_collect, reason = "lists the failed rows, one per line")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use engine::volume::dicom::{DataSet, DicomFile, Frames, ImageStack, Library, Tag, encode, open};
use engine::volume::{Frames as Wanted, LabelVolume, MaskOptions, ReadOptions, Volume, VoxelData};
use sha2::{Digest, Sha256};

use crate::corpus::{folder, table};

/// Unpacks an archive into `to`. Where tar or xz is missing, prints that the test is skipped and returns false.
fn unpack(archive: &Path, to: &Path) -> bool {
    let unpacked = Command::new("tar").arg("xJf").arg(archive).arg("-C").arg(to).output();
    if unpacked.is_ok_and(|output| output.status.success()) {
        return true;
    }
    println!("skipped: tar and xz cannot unpack {}", archive.display());
    false
}

/// The first 16 digits of a SHA-256.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn all_frames() -> ReadOptions {
    ReadOptions { frames: Wanted::All, ..ReadOptions::default() }
}

/// The scaled values of every frame, as 32-bit floats.
fn floats(volume: &Volume) -> Vec<u8> {
    (0..volume.frames()).flat_map(|frame| volume.frame_to_f32(frame)).flat_map(f32::to_le_bytes).collect()
}

/// The volumes of a folder, series by series.
fn stacks(place: &Path) -> Vec<ImageStack> {
    Library::scan(place, &|_, _| true).unwrap().series().flat_map(|series| series.stacks.clone()).collect()
}

/// What is wrong with a volume of a series, if anything. `frames` is the number of frames that a volume should have.
fn differs(row: &BTreeMap<String, String>, stack: &ImageStack, frames: usize) -> Option<String> {
    let shape: Vec<usize> = row["shape_xyzt"].split('x').map(|n| n.parse().unwrap()).collect();
    let grid = stack.grid();
    if grid.shape[..] != shape[..3] || stack.frames() != frames {
        return Some(format!("shape {:?}, {} frames", grid.shape, stack.frames()));
    }
    let affine: Vec<f64> = row["affine_ras_3x4_row_major"].split(' ').map(|n| n.parse().unwrap()).collect();
    let rows = grid.affine_rows();
    if !rows[..12].iter().zip(&affine).all(|(a, e)| (a - e).abs() <= 1e-4 * e.abs().max(1.0)) {
        return Some(format!("affine {:?}", &rows[..12]));
    }
    let tilt: f64 = row["tilt_deg"].parse().unwrap();
    let info = stack.info();
    if (info.tilt_degrees - tilt).abs() > 0.01 || info.evenly_spaced != (row["slice_spacing"] == "even") {
        return Some(format!("tilt {}, even {}", info.tilt_degrees, info.evenly_spaced));
    }
    None
}

/// What is wrong with the numbers of a volume, if anything: spacing, distance of slices, smallest, largest and mean value.
fn numbers_differ(row: &BTreeMap<String, String>, stack: &ImageStack, volume: &Volume) -> Option<String> {
    let list =
        |text: &str, separator: &str| -> Vec<f64> { text.split(separator).map(|n| n.parse().unwrap()).collect() };
    let near = |a: f64, b: f64, step: f64| (a - b).abs() <= step * b.abs().max(1.0);
    let spacing = stack.grid().spacing_mm();
    if !list(&row["spacing_mm"], ",").iter().zip(spacing).all(|(e, mm)| near(mm, *e, 1e-4)) {
        return Some(format!("spacing {spacing:?}"));
    }
    let info = stack.info();
    if row["step_mm"].contains("..") {
        let m = stack.grid().world_from_voxel.matrix3;
        let normal = m.x_axis.cross(m.y_axis).normalize();
        let along = |[x, y, z]: [f64; 3]| glam::DVec3::new(-x, -y, z).dot(normal);
        let steps = info.positions.windows(2).map(|two| (along(two[1]) - along(two[0])).abs());
        let [min, max] = steps.fold([f64::MAX, 0.0], |[min, max], step| [min.min(step), max.max(step)]);
        let expected = list(&row["step_mm"], "..");
        if (min - expected[0]).abs() > 2e-3 || (max - expected[1]).abs() > 2e-3 {
            return Some(format!("slices {min}..{max} mm apart"));
        }
    }
    let stats = volume.stats().unwrap();
    let found = [stats.min.unwrap(), stats.max.unwrap(), stats.mean.unwrap()];
    let expected = ["min", "max", "mean"].map(|name| row[name].parse::<f64>().unwrap());
    let same = found.iter().zip(expected).all(|(found, expected)| near(*found, expected, 1e-5));
    (!same).then(|| format!("values {found:?}"))
}

/// Number of files under a folder, including files without an image, such as a DICOMDIR.
fn files_under(folder: &Path) -> usize {
    let library = Library::scan(folder, &|_, _| true).unwrap();
    library.series().map(|series| series.files).sum::<usize>() + library.other_files
}

#[test]
fn every_series_matches_the_reference_table() {
    let Some(root) = folder("dicom-series") else { return };
    let unpacked = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let rows = table(&root.join("reference.tsv"));
    assert!(rows.len() >= 15);
    for row in &rows {
        let name = &row["series"];
        let place = unpacked.path().join(name);
        if !place.is_dir() && !unpack(&root.join(format!("{name}.tar.xz")), unpacked.path()) {
            return;
        }
        if files_under(&place) != row["files"].parse::<usize>().unwrap() {
            wrong.push(format!("{name}: {} files", files_under(&place)));
        }
        let stacks = stacks(&place);
        if row["shape_xyzt"] == "-" {
            if stacks.is_empty() || stacks.iter().any(ImageStack::is_stackable) {
                wrong.push(format!("{name}: must not become a volume"));
            }
            continue;
        }
        // Two echoes are two volumes, which the table lists as frames of one.
        let volumes = if name == "mr-multi-echo" { 2 } else { rows.iter().filter(|r| r["series"] == *name).count() };
        let frames: usize = row["shape_xyzt"].rsplit('x').next().unwrap().parse().unwrap();
        if name == "ct-localizer" {
            if stacks.len() != 1 || stacks.iter().any(ImageStack::is_stackable) {
                wrong.push(format!("{name}: {} stacks", stacks.len()));
            }
        } else if stacks.len() != volumes || !stacks.iter().all(ImageStack::is_stackable) {
            wrong.push(format!("{name}: {} volumes, {volumes} expected", stacks.len()));
            continue;
        }
        let (parts, each) = if name == "mr-multi-echo" { (2, 1) } else { (1, frames) };
        let found: Vec<String> = stacks
            .iter()
            .map(|stack| {
                if let Some(why) = differs(row, stack, each) {
                    return why;
                }
                let volume = stack.load(&all_frames(), &|_, _| true).unwrap();
                let digest = digest(&floats(&volume));
                // The two echoes are one row of numbers.
                let is_row = parts == 1 && digest == row["sha256_16_of_f32_x_fastest"];
                is_row.then(|| numbers_differ(row, stack, &volume)).flatten().unwrap_or(digest)
            })
            .collect();
        let matches = if parts == 2 {
            let both: Vec<u8> =
                stacks.iter().flat_map(|stack| floats(&stack.load(&all_frames(), &|_, _| true).unwrap())).collect();
            // Repeats at a position were ordered by InstanceNumber, in which the echoes may alternate.
            let turned: Vec<u8> = stacks
                .iter()
                .rev()
                .flat_map(|stack| floats(&stack.load(&all_frames(), &|_, _| true).unwrap()))
                .collect();
            found.iter().all(|why| why.len() == 16)
                && [digest(&both), digest(&turned)].contains(&row["sha256_16_of_f32_x_fastest"])
        } else {
            found.contains(&row["sha256_16_of_f32_x_fastest"])
        };
        if !matches {
            wrong.push(format!("{name}: {found:?}, {} expected", row["sha256_16_of_f32_x_fastest"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.iter().map(|line| format!("{line}\n")).collect::<String>());
}

/// The first difference between a volume and a NIfTI file of it, compared voxel by voxel by world position.
fn differs_from(nifti: &Volume, volume: &Volume) -> Option<String> {
    if nifti.frames() != volume.frames() || nifti.grid.len() != volume.grid.len() {
        return Some(format!("{} frames of {}", volume.frames(), volume.grid.describe()));
    }
    let voxel_from_world = volume.grid.world_from_voxel.inverse();
    let [nx, ny, _] = nifti.grid.shape;
    let shape = volume.grid.shape;
    for frame in 0..nifti.frames() {
        let (expected, found) = (nifti.frame_to_f32(frame), volume.frame_to_f32(frame));
        let step = 1e-6 * expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        for (at, expected) in expected.iter().enumerate() {
            let world = nifti.grid.world([at % nx, at / nx % ny, at / (nx * ny)]);
            let place = voxel_from_world.transform_point3(world).to_array();
            let voxel = place.map(|v| v.round().max(0.0) as usize);
            let off = (0..3).map(|a| (place[a] - voxel[a] as f64).abs()).fold(0.0, f64::max);
            if off > 0.01 || (0..3).any(|a| voxel[a] >= shape[a]) {
                return Some(format!("voxel {at} lies at {place:?} of {shape:?}"));
            }
            let found = found[voxel[0] + shape[0] * (voxel[1] + shape[1] * voxel[2])];
            if (found - expected).abs() > step {
                return Some(format!("{found} in place of {expected} at {voxel:?}, frame {frame}"));
            }
        }
    }
    None
}

#[test]
fn series_equal_the_nifti_files_that_dcm2niix_makes_of_them() {
    let Some(root) = folder("dicom-series") else { return };
    let unpacked = tempfile::tempdir().unwrap();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for entry in std::fs::read_dir(root.join("nii")).unwrap().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some((name, _)) = file.split_once("__") else { continue };
        let place = unpacked.path().join(name);
        if !place.is_dir() && !unpack(&root.join(format!("{name}.tar.xz")), unpacked.path()) {
            return;
        }
        let nifti = Volume::read_with(&entry.path(), &all_frames()).unwrap();
        let volumes = stacks(&place).into_iter().map(|stack| stack.load(&all_frames(), &|_, _| true).unwrap());
        let differences: Vec<Option<String>> = volumes.map(|volume| differs_from(&nifti, &volume)).collect();
        // Exactly one, where a series has several volumes.
        if differences.iter().filter(|difference| difference.is_none()).count() != 1 {
            wrong.push(format!("{file}: {differences:?}"));
        }
        seen += 1;
    }
    assert!(seen >= 11, "{seen} files");
    assert!(wrong.is_empty(), "{}", wrong.iter().map(|line| format!("{line}\n")).collect::<String>());
}

/// Stored numbers of every frame in pydicom's type.
fn stored(file: &DicomFile) -> engine::Result<(Vec<u8>, String)> {
    let frames = Frames::open(file)?;
    let mut bytes = Vec::new();
    let mut name = "";
    for index in 0..frames.layout.frames {
        let data = frames.frame(index)?;
        name = data.type_name();
        match data {
            VoxelData::U8(v) => bytes.extend(v),
            VoxelData::I8(v) => bytes.extend(v.iter().map(|x| *x as u8)),
            VoxelData::U16(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            VoxelData::I16(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            VoxelData::U32(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            VoxelData::I32(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            VoxelData::F32(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            VoxelData::F64(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
            other => panic!("{}", other.type_name()),
        }
    }
    Ok((bytes, name.to_owned()))
}

#[test]
fn every_file_matches_the_reference_table() {
    let Some(root) = folder("dicom") else { return };
    let (mut wrong, mut refused) = (Vec::new(), 0);
    let rows = table(&root.join("reference.tsv"));
    assert!(rows.len() >= 150);
    for row in &rows {
        let name = &row["file"];
        let expected = row["pixels"] == "ok";
        match DicomFile::open(&root.join(name)).and_then(|file| stored(&file)) {
            Ok((mut bytes, kind)) => {
                if row["array_dtype"].starts_with('>') {
                    bytes.chunks_exact_mut(2).for_each(<[u8]>::reverse);
                }
                let sha = digest(&bytes);
                // Decoders of lossy JPEG round differently.
                let near = name.ends_with("JPGExtended.dcm") && range_is_near(&bytes, row);
                if expected && sha != row["array_sha16"] && !near {
                    wrong.push(format!("{name}: {kind} {sha}, {} {} expected", row["array_dtype"], row["array_sha16"]));
                }
                // Beyond the capabilities of the table's reader: a missing group, frames deflated individually.
                if !expected && !["GH1339.dcm", "liver_deflate.dcm"].iter().any(|known| name.ends_with(known)) {
                    wrong.push(format!("{name}: {} bytes read, pydicom: {}", bytes.len(), row["pixels"]));
                }
            }
            Err(error) if error.to_string().contains("JPEG-LS in colour is not supported") => refused += 1,
            Err(error) if expected => wrong.push(format!("{name}: {error}")),
            Err(_) => {}
        }
    }
    assert_eq!(refused, 6);
    assert!(wrong.is_empty(), "{}", wrong.iter().map(|line| format!("{line}\n")).collect::<String>());
}

/// True if the smallest and largest 16-bit numbers differ from those of the table by at most 1.
fn range_is_near(bytes: &[u8], row: &BTreeMap<String, String>) -> bool {
    let numbers = || bytes.chunks_exact(2).map(|b| f64::from(u16::from_le_bytes([b[0], b[1]])));
    let found = [numbers().fold(f64::MAX, f64::min), numbers().fold(f64::MIN, f64::max)];
    found.iter().zip(["min", "max"]).all(|(value, name)| (value - row[name].parse::<f64>().unwrap()).abs() <= 1.0)
}

#[test]
fn reference_objects_have_their_published_uptake() {
    let Some(root) = folder("dicom-series") else { return };
    let unpacked = tempfile::tempdir().unwrap();
    if !unpack(&root.join("suv-dro.tar.xz"), unpacked.path()) {
        return;
    }
    let objects = unpacked.path().join("DRO");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(&objects).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let stack = open(&entry.path().join("PT")).unwrap();
        let volume = stack.load(&all_frames(), &|_, _| true).unwrap();
        let info = stack.info();
        let mask = LabelVolume::read(&entry.path().join("mask/DRO_mask.nii.gz"));
        // Without a mask the phantom is as large as the image.
        let values: Vec<f32> = match mask {
            Ok(mask) => {
                let aligned = mask.aligned(&volume.grid, &MaskOptions::default(), "mask", ["mask", "image"]).unwrap().0;
                let inside = (0..volume.grid.len()).filter(|at| aligned.get(*at) != 0);
                let all = volume.to_f32();
                inside.map(|at| all[at]).collect()
            }
            Err(_) => volume.to_f32(),
        };
        let mut sorted = values;
        sorted.sort_by(f32::total_cmp);
        let found = [sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]];
        // One object stores such coarse steps that 0.19, 0.98 and 3.98 are right.
        let expected = if name == "DRO_2_3" { [0.19, 0.98, 3.98] } else { [0.2, 1.0, 4.0] };
        if info.unit.as_deref() != Some("SUVbw") || found.iter().zip(expected).any(|(f, e)| (f - e).abs() > 0.005) {
            wrong.push(format!("{name}: {found:?} {:?} ({})", info.unit, info.unit_evidence));
        }
        seen += 1;
    }
    assert_eq!(seen, 17);
    assert!(wrong.is_empty(), "{}", wrong.iter().map(|line| format!("{line}\n")).collect::<String>());
}

#[test]
fn hostile_files_end_in_a_named_error() {
    let Some(root) = folder("dicom-series/hostile") else { return };
    // Its header is valid, so that the error occurs only when pixels are read.
    let error = Volume::read(&root.join("len4g.dcm")).unwrap_err().to_string();
    assert!(error.contains("contains no DICOM image (Rows (0028,0010) or Columns"), "{error}");
    let file = DicomFile::open(&root.join("len4g.dcm")).unwrap();
    assert!(file.pixel_bytes(usize::MAX).unwrap().len() < 356);
    let error = Frames::open(&file).err().unwrap().to_string();
    assert!(error.contains("(0028,0010): missing"), "{error}");
    let unpacked = tempfile::tempdir().unwrap();
    let nested = unpacked.path().join("nest10000.dcm");
    let output = Command::new("xz").arg("-dc").arg(root.join("nest10000.dcm.xz")).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        println!("skipped: xz cannot unpack nest10000.dcm.xz");
        return;
    };
    std::fs::write(&nested, output.stdout).unwrap();
    let error = DicomFile::open(&nested).unwrap_err().to_string();
    assert!(error.contains("nested more than 64 deep"), "{error}");
}

/// A file of one encapsulated frame of 16-bit numbers.
fn encapsulated(syntax: &str, [rows, columns]: [u16; 2], bits_stored: u16, stream: &[u8]) -> Vec<u8> {
    let mut meta = DataSet::new();
    meta.put_text(Tag::TRANSFER_SYNTAX_UID, syntax);
    let mut data = DataSet::new();
    data.put_text(Tag::SOP_INSTANCE_UID, "1.2.3");
    let numbers =
        [(Tag::ROWS, rows), (Tag::COLUMNS, columns), (Tag::BITS_ALLOCATED, 16), (Tag::BITS_STORED, bits_stored)];
    numbers.into_iter().for_each(|(tag, value)| data.put_u16(tag, &[value]));
    let item = |value: &[u8]| [&[0xfe, 0xff, 0, 0xe0], &(value.len() as u32).to_le_bytes()[..], value].concat();
    let mut bytes = vec![0; 128];
    bytes.extend([b"DICM".to_vec(), encode(&meta), encode(&data)].concat());
    bytes.extend(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff");
    bytes.extend([item(&[]), item(stream), b"\xfe\xff\xdd\xe0\0\0\0\0".to_vec()].concat());
    bytes
}

#[test]
fn lossless_jpeg_with_any_predictor_is_decoded_and_damaged_frames_never_panic() {
    let Some(root) = folder("dicom-series/hostile") else { return };
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("frame.dcm");
    let decode = |bytes: &[u8]| -> engine::Result<VoxelData> {
        std::fs::write(&path, bytes).unwrap();
        Frames::open(&DicomFile::open(&path)?)?.frame(0)
    };
    let truth: Vec<u16> =
        std::fs::read(root.join("lj.raw")).unwrap().chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
    let mut seen = 0;
    for entry in std::fs::read_dir(&root).unwrap().flatten() {
        if !entry.file_name().to_string_lossy().starts_with("lj_") {
            continue;
        }
        let stream = std::fs::read(entry.path()).unwrap();
        let good = encapsulated("1.2.840.10008.1.2.4.57", [64, 48], 12, &stream);
        assert_eq!(decode(&good).unwrap(), VoxelData::U16(truth.clone()), "{:?}", entry.file_name());
        // A header that asks for another size is refused before decoding.
        let wide = encapsulated("1.2.840.10008.1.2.4.57", [64, 65_000], 12, &stream);
        let error = decode(&wide).unwrap_err().to_string();
        assert!(error.contains("(7FE0,0010)"), "{error}");
        // Any changed byte and any truncation gives numbers or a named error, never a panic.
        for at in (0..stream.len()).step_by(97) {
            let mut damaged = stream.clone();
            damaged[at] ^= 0x55;
            let _ = decode(&encapsulated("1.2.840.10008.1.2.4.57", [64, 48], 12, &damaged));
            let _ = decode(&encapsulated("1.2.840.10008.1.2.4.57", [64, 48], 12, &stream[..at]));
        }
        seen += 1;
    }
    assert_eq!(seen, 6);
    let huge = std::fs::read(root.join("j2k_siz_65535__512x512x1x16")).unwrap();
    let error = decode(&encapsulated("1.2.840.10008.1.2.4.90", [512, 512], 16, &huge)).unwrap_err().to_string();
    assert!(error.contains("65535 x 65535"), "{error}");
    let video = decode(&encapsulated("1.2.840.10008.1.2.4.102", [2, 2], 16, &[0; 8])).unwrap_err().to_string();
    assert!(video.contains("MPEG-4 AVC/H.264 High Profile (1.2.840.10008.1.2.4.102) is not supported"), "{video}");
}
