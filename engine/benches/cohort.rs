//! The waiting times with a cohort: listing it, reading its contents for the first time and again, preparing 100 volumes, and
//! evaluating 100 pairs of masks. Compared with nibabel, numpy and scipy on the same files, with one process per core.
//!
//! `cargo bench -p engine --bench cohort`, with `AMLP_PEER_PYTHON` set for the comparison (see `torch_peer/setup.sh`).
#![allow(clippy::print_stdout, reason = "this program exists to print its table")]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use engine::cohort::{Cohort, FingerprintCache, FingerprintOptions, fingerprint_with};
use engine::evaluate::{Pair, Pairs, Target, evaluate_pairs};
use engine::event::Control;
use engine::metrics::Options;
use engine::preprocess::{LabelUse, PreprocessConfig, SliceFilter, SliceStore, Spacing, StoreOptions, Targets};
use engine::volume::nifti::write_label;
use engine::volume::{LabelVolume, MaskOptions, Volume};

use common::scan::write_scan;
use common::{Seconds, ms, ratio};

const PATIENTS: usize = 42;
const MODALITIES: [&str; 4] = ["flair", "t1", "t1ce", "t2"];
const VOLUMES: usize = 100;

/// A mask of one ellipsoid whose centre is moved by `shift` voxels along i.
fn mask(image: &Volume, shift: f64) -> engine::Result<LabelVolume> {
    let [nx, ny, nz] = image.grid.shape;
    let inside = |i: usize, j: usize, k: usize| {
        let at = [(i as f64 - 100.0 - shift) / 30.0, (j as f64 - 130.0) / 24.0, (k as f64 - 80.0) / 20.0];
        u8::from(at.iter().map(|x| x * x).sum::<f64>() <= 1.0)
    };
    let voxels = (0..nz).flat_map(|k| (0..ny).flat_map(move |j| (0..nx).map(move |i| inside(i, j, k))));
    LabelVolume::new(image.grid.clone(), voxels.collect::<Vec<u8>>())
}

/// A cohort in the layout of BraTS. The files of all patients are links to those of one.
fn write_cohort(root: &Path, scan: &Path, label: &Path) -> anyhow::Result<()> {
    for patient in 0..PATIENTS {
        let id = format!("BraTS_{patient:03}");
        let folder = root.join(&id);
        std::fs::create_dir_all(&folder)?;
        for modality in MODALITIES {
            std::fs::hard_link(scan, folder.join(format!("{id}_{modality}.nii.gz")))?;
        }
        std::fs::hard_link(label, folder.join(format!("{id}_seg.nii.gz")))?;
    }
    Ok(())
}

fn row(what: &str, ours: Seconds, peer: Option<f64>) -> Vec<String> {
    let [theirs, lead] = peer.map_or([String::new(), String::new()], |peer| [ms(peer), ratio(peer, ours.median)]);
    vec![what.to_owned(), ms(ours.median), theirs, lead]
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let [scan, truth, found] = ["scan", "truth", "found"].map(|name| folder.path().join(format!("{name}.nii.gz")));
    write_scan(&scan)?;
    let image = Volume::read(&scan)?;
    write_label(&truth, &mask(&image, 0.0)?, &image)?;
    write_label(&found, &mask(&image, 6.0)?, &image)?;
    // A freshly written file is not trusted to the cache of the contents and is read again.
    let before = SystemTime::now() - Duration::from_mins(1);
    for path in [&scan, &truth, &found] {
        std::fs::File::options().write(true).open(path)?.set_modified(before)?;
    }
    let root = folder.path().join("brats");
    write_cohort(&root, &scan, &truth)?;
    let text = |path: &PathBuf| path.to_str().context("the temporary folder's name is not text").map(str::to_owned);
    let arguments = [text(&root)?, text(&scan)?, text(&found)?, text(&truth)?, VOLUMES.to_string()];
    let peer = common::peer("cohort.py", &arguments);
    let theirs = |what: &str| peer.as_ref().ok()?.get(what)?.as_f64();

    let mut rows = Vec::new();
    rows.push(row("list of 42 patients, 4 modalities", common::time(1, 5, || Cohort::discover(&root)), theirs("list")));
    let cohort = Cohort::discover(&root)?;
    let cache = FingerprintCache::new(folder.path().join("cache"));
    let options = FingerprintOptions { cache: Some(&cache), ..FingerprintOptions::default() };
    let read = || fingerprint_with(&cohort, &options, &Control::default(), &|_, _| {});
    rows.push(row("its contents, every file read", common::time(0, 1, read), theirs("contents")));
    rows.push(row("its contents the next time", common::time(1, 5, read), None));
    let one = cohort.cases.first().context("the cohort is empty")?;
    let cases = vec![one.clone(); VOLUMES];
    let store = StoreOptions {
        modalities: vec!["flair".to_owned()],
        labels: LabelUse::None,
        targets: Targets::Binary,
        config: PreprocessConfig { spacing: Spacing::Native, size: 160, ..PreprocessConfig::default() },
        margin: 0,
        keep: SliceFilter::NonZero,
        memory_budget: 4 << 30,
        spill_folder: folder.path().to_path_buf(),
        cache: None,
        seed: 0,
    };
    let prepare = || SliceStore::build(&cases, &store, None, &mut |_, _| {});
    rows.push(row("preparation of 100 volumes", common::time(0, 1, prepare), theirs("prepare")));
    let pair = |at: usize| Pair {
        case: at.to_string(),
        patient: at.to_string(),
        segmentation: found.clone(),
        reference: vec![truth.clone()],
    };
    let pairs = Pairs { found: (0..VOLUMES).map(pair).collect(), ..Pairs::default() };
    let (targets, masks) = ([Target::Any], MaskOptions::default());
    let evaluate = || evaluate_pairs(&pairs, &targets, &Options::default(), &masks, &|_| {});
    rows.push(row("evaluation of 100 pairs of masks", common::time(0, 1, evaluate), theirs("evaluate")));
    if let Err(why) = &peer {
        println!("no comparison: {why}");
    }
    common::print_table(&["what", "AMLP ms", "Python ms", "lead"], &rows);
    Ok(())
}
