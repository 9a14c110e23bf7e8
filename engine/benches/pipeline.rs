//! Reading, preprocessing and segmenting a whole volume, and the phases of a pre-training step.
//!
//! `cargo bench -p engine --bench pipeline`, with `AMLP_PEER_PYTHON` set to compare a whole volume with the network's passes over
//! its 155 whole slices in `PyTorch`, four at a time, without reading, preprocessing and writing. The engine computes only the
//! box around the tissue of each slice, less than half of these pixels, so the ratio is not one of network speed, which
//! `--bench unet` gives. `--bench load` compares reading with nibabel.
#![allow(clippy::print_stdout, reason = "the program prints a table")]

mod common;

use engine::bench::{Options, bench};
use engine::config::Config;
use engine::device::{Compute, DeviceChoice};
use engine::event::Control;
use engine::model::{Norm, Precision};
use engine::predict::{Segmenter, network_config};
use engine::preprocess::{Kind, Spacing, Targets, prepare};
use engine::volume::Volume;
use engine::volume::nifti::write_label;

use common::scan::{SHAPE, write_scan};
use common::{Seconds, ms, ratio};

/// Number of runs of slow measurements.
const SLOW_RUNS: usize = 3;

/// Slices that the peer processes together.
const BATCH: usize = 4;

fn row(what: &str, seconds: Seconds) -> Vec<String> {
    vec![what.to_owned(), ms(seconds.min), ms(seconds.median), String::new(), String::new()]
}

/// Seconds of the passes of a network of this width over all slices in `PyTorch`; a message without the peer.
fn slices_in_pytorch(width: usize) -> Option<f64> {
    let options = [("width", width), ("size", SHAPE[0]), ("batch", BATCH), ("threads", common::threads()), ("runs", 5)];
    let mut arguments: Vec<String> = options.iter().flat_map(|(k, v)| [format!("--{k}"), v.to_string()]).collect();
    arguments.extend(["--layout", "channels last", "--inference"].map(str::to_owned));
    let report = common::peer("unet_step.py", &arguments);
    let seconds = report.map(|report| Some(Seconds::from_json(&report["infer_batch"])?.median));
    let seconds = seconds.unwrap_or_else(|why| {
        println!("no comparison with PyTorch: {why}");
        None
    });
    Some(seconds? * SHAPE[2] as f64 / BATCH as f64)
}

/// Reading, preprocessing and segmenting with random weights, which do not affect the cost.
fn volume(rows: &mut Vec<Vec<String>>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("scan.nii.gz");
    write_scan(&path)?;
    rows.push(row("read .nii.gz", common::time(1, 5, || Volume::read(&path))));
    let image = [Volume::read(&path)?];
    let mut config = Config::finetune();
    config.data.modality = vec!["flair".into()];
    config.preprocess.spacing = Spacing::Native;
    let (targets, kinds) = (Targets::Binary, [Kind::Other]);
    let made = common::time(1, SLOW_RUNS, || prepare(&image, &kinds, None, &targets, &config.preprocess, 0));
    rows.push(row("preprocess, native spacing", made));
    let compute = Compute::cpu();
    let out = folder.path().join("mask.nii.gz");
    for width in [16, 32] {
        config.network.width = width;
        let network = network_config(&config).init(0, &compute.device);
        let segmenter = Segmenter::of_network(&config, &network, &compute);
        let whole = || -> engine::Result<()> {
            let image = [Volume::read(&path)?];
            let made = segmenter.segment(&image, &mut |_| {}, &Control::default())?;
            write_label(&out, &made.label, &image[0]).map(drop)
        };
        whole()?;
        let seconds = common::time(0, SLOW_RUNS, whole);
        let mut cells = row(&format!("file to segmentation, width {width}"), seconds);
        if let Some(theirs) = slices_in_pytorch(width) {
            cells.truncate(3);
            cells.extend([ms(theirs), ratio(theirs, seconds.median)]);
        }
        rows.push(cells);
    }
    Ok(())
}

/// A pre-training step of the benchmark `amlp bench`.
fn step(rows: &mut Vec<Vec<String>>, width: usize) -> anyhow::Result<()> {
    let device = DeviceChoice::Cpu.into();
    let (norm, dtype) = (Norm::Batch, Precision::F32);
    let report = bench(&Options {
        preset: "amlp".into(),
        device,
        width,
        depth: 4,
        norm,
        size: 160,
        batch: 4,
        micro_batch: 0,
        dtype,
        runs: 5,
    })?;
    let seconds = |min: f64, median: f64| Seconds { min: min / 1e3, median: median / 1e3 };
    let step = seconds(report.train_ms_min, report.train_ms_median);
    rows.push(row(&format!("pre-training step, width {width}, batch 4"), step));
    let phases = report.phases.iter().flat_map(|p| {
        [
            ("data and masks", p.data_ms),
            ("forward", p.forward_ms),
            ("losses", p.losses_ms),
            ("backward", p.backward_ms),
            ("optimiser", p.optimiser_ms),
        ]
    });
    for (phase, median) in phases {
        rows.push(row(&format!("  {phase}"), seconds(f64::NAN, median)));
    }
    rows.push(row("inference, batch 4", seconds(report.infer_ms_min, report.infer_ms_median)));
    Ok(())
}

fn main() -> anyhow::Result<()> {
    println!("{SHAPE:?} int16; 160x160 slices; {} threads", common::threads());
    let mut rows = Vec::new();
    volume(&mut rows)?;
    for width in [16, 32] {
        step(&mut rows, width)?;
    }
    for cell in rows.iter_mut().flatten().filter(|cell| *cell == "NaN") {
        "-".clone_into(cell);
    }
    common::print_table(
        &["what", "min, ms", "median, ms", "PyTorch, all pixels, ms", "PyTorch, all pixels / engine"],
        &rows,
    );
    Ok(())
}
