//! The public corpora of NIfTI files: every row of their tables must be reproduced.

#![allow(clippy::format_collect, reason = "lists the failed rows, one per line")]

use std::collections::BTreeMap;
use std::path::Path;

use engine::volume::{Frames, LabelVolume, ReadOptions, Relation, Scale, Volume, VoxelData};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::corpus::{folder, table};

fn read_all(path: &Path) -> engine::Result<Volume> {
    Volume::read_with(path, &ReadOptions { frames: Frames::All, ..ReadOptions::default() })
}

/// Whether a voxel of the volume has the expected value, which may be NaN.
fn same_voxel(volume: &Volume, index: &[usize], expected: &Value) -> bool {
    let [i, j, k, t] = [0, 1, 2, 3].map(|a| index.get(a).copied().unwrap_or(0));
    let at = t * volume.grid.len() + volume.grid.index([i, j, k]);
    match (&volume.data, expected) {
        (VoxelData::Rgb(v), Value::Array(e)) => e.iter().zip(v[at]).all(|(e, v)| e.as_u64() == Some(u64::from(v))),
        (VoxelData::U64(v), Value::Number(e)) if e.is_u64() => e.as_u64() == Some(v[at]),
        (_, Value::Null) => volume.value_at([i, j, k], t).is_nan(),
        (_, e) => {
            let (got, e) = (volume.value_at([i, j, k], t), e.as_f64().unwrap());
            (got - e).abs() <= 1e-9 * e.abs()
        }
    }
}

/// Compares a file that must load with its row of the table.
fn check_load(row: &BTreeMap<String, String>, volume: &Volume, warn: bool) -> Result<(), String> {
    if volume.warnings.is_empty() == warn {
        return Err(format!("warnings: {:?}", volume.warnings));
    }
    let shape: Vec<usize> = serde_json::from_str(&row["shape"]).unwrap();
    let header = volume.header.as_ref().unwrap();
    if header.dims != shape {
        return Err(format!("shape {:?}", header.dims));
    }
    let affine: Vec<f64> = serde_json::from_str(&row["affine"]).unwrap();
    // The table has the affine as stored; the volume's is in millimetres for any header unit.
    let unit = if header.xyzt_units & 7 == 3 { 1e-3 } else { 1.0 };
    let rows = volume.grid.affine_rows();
    if !rows[..12].iter().zip(&affine).all(|(a, e)| (a - e * unit).abs() <= 1e-5 * unit.min(1.0)) {
        return Err(format!("affine {rows:?}"));
    }
    let voxels: Vec<(Vec<usize>, Value)> = serde_json::from_str(&row["voxels"].replace("NaN", "null")).unwrap();
    assert!(!voxels.is_empty());
    match voxels.iter().find(|(index, value)| !same_voxel(volume, index, value)) {
        Some((index, value)) => Err(format!("voxel {index:?} should be {value}")),
        None => Ok(()),
    }
}

/// Checks that the mask, aligned to its image, has the value of the mask's file at every world position.
fn check_mask(path: &Path, image: &Volume, own: &Volume, warn: bool) -> Result<(), String> {
    let (mask, warnings) = LabelVolume::read_for(path, image).map_err(|e| e.to_string())?;
    if warnings.is_empty() == warn {
        return Err(format!("warnings: {warnings:?}"));
    }
    if mask.grid.relation(&image.grid) != Relation::Same {
        return Err("is not on the image's grid".to_owned());
    }
    let [nx, ny, _] = mask.shape();
    for at in 0..mask.grid.len() {
        let voxel = [at % nx, at / nx % ny, at / (nx * ny)];
        let there = own.grid.voxel_from_world().transform_point3(image.grid.world(voxel)).round();
        let value = own.value([there.x as usize, there.y as usize, there.z as usize]);
        if (value - f64::from(mask.get(at))).abs() > 1e-9 {
            return Err(format!("voxel {voxel:?} is {}, in its own file {value}", mask.get(at)));
        }
    }
    Ok(())
}

fn check_row(folder: &Path, row: &BTreeMap<String, String>) -> Result<(), String> {
    let path = folder.join(&row["file"]);
    let read = read_all(&path);
    // The header alone gives the same position; for a hostile one, anything or nothing.
    let grid = Volume::read_grid(&path);
    if let Ok(volume) = &read
        && !grid.as_ref().is_ok_and(|grid| *grid == volume.grid)
    {
        return Err(format!("{grid:?} by its header, {:?} as a whole", volume.grid));
    }
    let image = row["role"].strip_prefix("mask-for:").map(|name| Volume::read(&folder.join(name)).unwrap());
    let warn = row["expected"] == "warn-and-load";
    match (row["expected"].as_str(), read, image) {
        ("error", read, None) => match read {
            Ok(_) => Err("loads".to_owned()),
            Err(e) => names_the_file(&e, &row["file"]),
        },
        ("error", _, Some(image)) => match LabelVolume::read_for(&path, &image) {
            Ok(_) => Err("loads as a mask".to_owned()),
            Err(e) => names_the_file(&e, &row["file"]),
        },
        (_, Err(e), _) => Err(format!("refused: {e}")),
        (_, Ok(volume), None) => check_load(row, &volume, warn),
        (_, Ok(mut volume), Some(image)) => {
            check_mask(&path, &image, &volume, warn)?;
            // The mask's file is fine; only its alignment with the image is unusual.
            volume.warnings.clear();
            check_load(row, &volume, false)
        }
    }
}

/// An error is one line and names the file (or the other half of its pair).
fn names_the_file(error: &engine::Error, file: &str) -> Result<(), String> {
    let (text, stem) = (error.to_string(), file.trim_end_matches(".hdr"));
    if text.contains(stem) && !text.contains('\n') { Ok(()) } else { Err(format!("message: {text}")) }
}

#[test]
fn every_row_of_the_manifest_is_read_as_expected() {
    let Some(folder) = folder("nifti") else { return };
    let rows = table(&folder.join("manifest.tsv"));
    assert!(rows.len() > 100);
    let failed: Vec<String> = rows
        .iter()
        .filter_map(|row| check_row(&folder, row).err().map(|e| format!("{} ({}): {e}", row["file"], row["expected"])))
        .collect();
    assert!(failed.is_empty(), "{} of {} rows:\n{}", failed.len(), rows.len(), failed.join("\n"));
}

#[test]
fn a_decompression_bomb_is_refused_before_allocation_with_both_sizes() {
    let Some(folder) = folder("nifti") else { return };
    let message = Volume::read(&folder.join("bomb_dims.nii.gz")).unwrap_err().to_string();
    assert!(message.contains("4000 MiB") && message.contains("2048 MiB"), "{message}");
}

#[test]
fn texts_of_a_header_are_never_shown() {
    let Some(folder) = folder("nifti") else { return };
    let volume = Volume::read(&folder.join("text_patient.nii")).unwrap();
    assert!(!format!("{volume:?}").contains("DOE"));
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("mask.nii");
    let mask = LabelVolume::new(volume.grid.clone(), vec![1_u8; volume.grid.len()]).unwrap();
    engine::volume::nifti::write_label(&path, &mask, &volume).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(3).any(|w| w == b"DOE"));
}

/// SHA-256 of the values as in nibabel (unscaled in their own type, scaled as float64), little-endian.
fn data_hash(volume: &Volume) -> String {
    let (mut bytes, scale) = (Vec::new(), volume.scale);
    macro_rules! all {
        ($v:expr) => {
            if scale == Scale::IDENTITY {
                bytes.extend($v.iter().flat_map(|x| x.to_le_bytes()))
            } else {
                bytes.extend($v.iter().flat_map(|&x| scale.apply(x as f64).to_le_bytes()))
            }
        };
    }
    match &volume.data {
        VoxelData::U8(v) => all!(v),
        VoxelData::I8(v) => all!(v),
        VoxelData::U16(v) => all!(v),
        VoxelData::I16(v) => all!(v),
        VoxelData::U32(v) => all!(v),
        VoxelData::I32(v) => all!(v),
        VoxelData::U64(v) => all!(v),
        VoxelData::I64(v) => all!(v),
        VoxelData::F32(v) => all!(v),
        VoxelData::F64(v) => all!(v),
        VoxelData::Rgb(v) => bytes.extend_from_slice(v.as_flattened()),
        VoxelData::Rgba(v) => bytes.extend_from_slice(v.as_flattened()),
    }
    Sha256::digest(&bytes)[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// The table has six significant digits of an affine, eight of a value.
fn near(got: f64, text: &str, relative: f64, absolute: f64) -> bool {
    let expected: f64 = text.parse().unwrap();
    (got - expected).abs() <= relative * expected.abs() + absolute
}

fn check_real(row: &BTreeMap<String, String>, volume: &Volume) -> Result<(), String> {
    let dims = &volume.header.as_ref().unwrap().dims;
    let shape: Vec<usize> = row["shape"].split('x').map(|n| n.parse().unwrap()).collect();
    if dims != &shape {
        return Err(format!("shape {dims:?}"));
    }
    let rows = volume.grid.affine_rows();
    let affine: Vec<&str> = row["affine_3x4"].split_whitespace().collect();
    assert_eq!(affine.len(), 12);
    if !rows.iter().zip(&affine).all(|(a, e)| near(*a, e, 1e-5, 1e-5)) {
        return Err(format!("affine {rows:?} should be {affine:?}"));
    }
    match (volume.stats(), row["min"].is_empty()) {
        (None, true) => {}
        (Some(s), false) => {
            let fits = |got: Option<f64>, name: &str| got.is_some_and(|g| near(g, &row[name], 1e-6, 1e-9));
            if !fits(s.min, "min")
                || !fits(s.max, "max")
                || !fits(s.mean, "mean")
                || s.nonfinite.to_string() != row["nonfinite"]
            {
                return Err(format!("values {s:?}"));
            }
        }
        (stats, _) => return Err(format!("values {stats:?}")),
    }
    let hash = data_hash(volume);
    if hash == row["data_sha16_fortran_le"] { Ok(()) } else { Err(format!("data hash {hash}")) }
}

#[test]
fn real_files_agree_with_nibabel() {
    let Some(folder) = folder("nifti-real") else { return };
    let rows = table(&folder.join("reference.tsv"));
    let (mut failed, mut loaded) = (Vec::new(), 0);
    let is_complex =
        |row: &BTreeMap<String, String>| ["32", "1792", "2048", "1536"].contains(&row["datatype_code"].as_str());
    for row in rows.iter().filter(|row| row["nibabel"] != "pair-img") {
        let complex = is_complex(row);
        let outcome = match (read_all(&folder.join(&row["file"])), row["nibabel"] == "ok") {
            (Ok(_), true) if complex => Err("a type without real numbers loads".to_owned()),
            (Ok(volume), true) => {
                loaded += 1;
                check_real(row, &volume)
            }
            (Err(e), true) if complex && e.to_string().contains("unsupported datatype") => Ok(()),
            (Err(e), true) => Err(format!("refused: {e}")),
            // Files that nibabel cannot load (half of a pair, ...) may load or fail, with the file's name.
            (Ok(_), false) => Ok(()),
            (Err(e), false) => names_the_file(&e, &row["file"]),
        };
        failed.extend(outcome.err().map(|e| format!("{}: {e}", row["file"])));
    }
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), rows.len(), failed.join("\n"));
    let readable = rows.iter().filter(|row| row["nibabel"] == "ok" && !is_complex(row)).count();
    assert!(loaded == readable && loaded > 80, "{loaded} of {readable}");
}

#[test]
fn either_name_of_a_pair_reads_the_pair() {
    let Some(folder) = folder("nifti") else { return };
    let [header, image] = ["pair_offset.hdr", "pair_offset.img"].map(|n| Volume::read(&folder.join(n)).unwrap());
    assert_eq!((header.data, header.grid), (image.data, image.grid));
}
