//! DICOM: headers per second, and reading a CT of 500 slices from its folder, compared with pydicom and dcm2niix on the same
//! files.
//!
//! `cargo bench -p engine --bench dicom`, with `AMLP_PEER_PYTHON` set for the comparison (see `torch_peer/setup.sh`).
#![allow(clippy::print_stdout, reason = "this program exists to print its table")]

mod common;

use std::path::{Path, PathBuf};

use anyhow::Context;
use engine::volume::ReadOptions;
use engine::volume::dicom::{DataSet, Library, Tag, Value, Vr, file_bytes, read};

use common::{Seconds, ms, ratio};

const HEADERS: usize = 1000;
const SLICES: usize = 500;
const SIDE: usize = 512;
const RUNS: usize = 5;

/// Slice `k` of a CT of `side` x `side` pixels, with the attributes of a typical header and a private block.
fn slice(series: usize, k: usize, side: usize) -> DataSet {
    let mut data = DataSet::new();
    for (tag, text) in [
        (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2".to_owned()),
        (Tag::SOP_INSTANCE_UID, format!("1.2.3.{series}.{k}")),
        (Tag::STUDY_INSTANCE_UID, "1.2.3".to_owned()),
        (Tag::SERIES_INSTANCE_UID, format!("1.2.3.{series}")),
        (Tag::FRAME_OF_REFERENCE_UID, "1.2.3.9".to_owned()),
        (Tag::MODALITY, "CT".to_owned()),
        (Tag::PATIENT_NAME, "Bench^Mark".to_owned()),
        (Tag::PATIENT_ID, "B1".to_owned()),
        (Tag::SERIES_NUMBER, series.to_string()),
        (Tag::INSTANCE_NUMBER, k.to_string()),
        (Tag::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\AXIAL".to_owned()),
        (Tag::IMAGE_POSITION_PATIENT, format!("-250\\-250\\{}", 1.25 * k as f64)),
        (Tag::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0".to_owned()),
        (Tag::PIXEL_SPACING, "0.9765625\\0.9765625".to_owned()),
        (Tag::SLICE_THICKNESS, "1.25".to_owned()),
        (Tag::RESCALE_SLOPE, "1".to_owned()),
        (Tag::RESCALE_INTERCEPT, "-1024".to_owned()),
        (Tag::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2".to_owned()),
    ] {
        data.put_text(tag, &text);
    }
    for (tag, value) in [
        (Tag::SAMPLES_PER_PIXEL, 1),
        (Tag::ROWS, side),
        (Tag::COLUMNS, side),
        (Tag::BITS_ALLOCATED, 16),
        (Tag::BITS_STORED, 12),
        (Tag::HIGH_BIT, 11),
        (Tag::PIXEL_REPRESENTATION, 0),
    ] {
        data.put_u16(tag, &[value as u16]);
    }
    data.put_text(Tag(0x0009, 0x0010), "BENCH");
    for element in 0x1001..0x1021 {
        data.put(Tag(0x0009, element), Vr::LO, Value::Bytes(b"private value ".to_vec()));
    }
    let stored = (0..side * side).flat_map(|at| ((at * 31 + k * 17) as u16 & 0xfff).to_le_bytes());
    data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(stored.collect()));
    data
}

fn write(folder: &Path, series: usize, slices: usize, side: usize) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    (0..slices)
        .try_for_each(|k| std::fs::write(folder.join(format!("{k:04}.dcm")), file_bytes(&slice(series, k, side))))
}

/// A row of the table for a peer's work, or the reason for its absence.
fn compared(work: &str, ours: Seconds, peer: Option<&serde_json::Value>) -> Option<Vec<String>> {
    let peer = peer?;
    let theirs = Seconds::from_json(peer)?;
    let name = peer["version"].as_str().unwrap_or("?").to_owned();
    Some(vec![work.to_owned(), name, ms(theirs.min), ms(theirs.median), ratio(ours.min, theirs.min)])
}

fn main() -> anyhow::Result<()> {
    let temp = tempfile::tempdir()?;
    let [headers, ct]: [PathBuf; 2] = ["headers", "ct"].map(|name| temp.path().join(name));
    write(&headers, 1, HEADERS, SIDE / 2)?;
    write(&ct, 2, SLICES, SIDE)?;

    let listed =
        common::time(1, RUNS, || Library::scan(&headers, &|_, _| true).map(|library| library.series().count()));
    println!("{:.0} headers per second", HEADERS as f64 / listed.min);
    let options = ReadOptions::default();
    let volume = read(&ct, &options)?;
    println!(
        "{:?}, {:.0} MiB, peak {:.0} MiB resident",
        volume.grid.shape,
        volume.memory_bytes() as f64 / 1_048_576.0,
        common::peak_mib()
    );
    drop(volume);
    let opened = common::time(0, RUNS, || read(&ct, &options).map(|volume| volume.memory_bytes()));

    let works = [(format!("{HEADERS} headers"), listed), (format!("CT of {SLICES} slices"), opened)];
    let mut rows = Vec::new();
    let ours = |(work, seconds): &(String, Seconds)| {
        vec![work.clone(), "engine".into(), ms(seconds.min), ms(seconds.median), "1.00".into()]
    };
    rows.extend(works.iter().map(ours));
    let text = |path: &Path| path.to_str().map(str::to_owned).context("the temporary folder's name is not text");
    match common::peer("load_dicom.py", &[text(&headers)?, text(&ct)?, RUNS.to_string()]) {
        Ok(peers) => {
            rows.extend(compared(&works[0].0, listed, peers.get("headers")));
            rows.extend(
                ["pydicom", "dcm2niix"].iter().filter_map(|name| compared(&works[1].0, opened, peers.get(name))),
            );
        }
        Err(why) => println!("no comparison: {why}"),
    }
    rows.sort();
    common::print_table(&["work", "program", "min, ms", "median, ms", "engine / program"], &rows);
    Ok(())
}
