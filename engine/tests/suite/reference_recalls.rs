//! Recall of lesion patches on real scans, against the reference measured with scikit-learn (shared/data/README.md).
//!
//! The reference uses all patients. This test uses a few, so its bounds are loose: they show that the choice of the foreground
//! matters as much as in the reference. `AMLP_RECALL_PATIENTS=48` uses all.

use std::path::{Path, PathBuf};

use engine::cluster::{ClusterConfig, ForegroundRule, cluster};
use engine::masking::select::{masked_patches, recall_of_foreground, recall_of_masked};
use engine::patch::PatchGrid;
use engine::preprocess::{Kind, KindChoice, PreprocessConfig, Spacing, Targets, prepare};
use engine::pretrain::amlp::mps::{Order, order};
use engine::volume::{LabelVolume, Volume};
use rayon::prelude::*;

fn data(cohort: &str) -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(cohort);
    let Ok(entries) = folder.read_dir() else {
        println!("skipped: ../shared/data/{cohort} is absent");
        return None;
    };
    let patients = std::env::var("AMLP_RECALL_PATIENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(6usize);
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|p| p.is_dir()).collect();
    folders.sort();
    // Evenly over the cohort, not its first patients.
    let step = folders.len().div_ceil(patients).max(1);
    Some(folders.into_iter().step_by(step).collect())
}

/// For each slice with a lesion patch, the recall of the foreground and that of the first quarter of the masking order.
fn recalls(folder: &Path, modality: &str, size: usize, spacing: Spacing, config: &ClusterConfig) -> Vec<[f64; 2]> {
    let image = Volume::read(&folder.join(format!("{modality}.nii.gz"))).unwrap();
    let (label, _) = LabelVolume::read_for(&folder.join("seg.nii.gz"), &image).unwrap();
    let grid = PatchGrid::new(size, 16).unwrap();
    let kind = Kind::named(modality, KindChoice::Auto).unwrap();
    let settings = PreprocessConfig { size, spacing, ..PreprocessConfig::default() };
    let prepared = prepare(&[image], &[kind], Some(&label), &Targets::Binary, &settings, 0).unwrap();
    let origin = prepared.plan.crop_origin();
    let slice = |k: usize| {
        let (pixels, target) = prepared.window(k, origin, size);
        let lesion = grid.lesion_patches(&target?);
        if !lesion.contains(&true) {
            return None;
        }
        let air = grid.air_of_tissue(&prepared.tissue_frame(k, origin, [size; 2]));
        let patches = grid.patches(&pixels, 1);
        let found = cluster(&patches, grid.count(), grid.dimension(1), &air, config, 0, &[k as u64]);
        let masked = masked_patches(&order(Order::LesionFirst, &found.labels, &found.logit, 0, &[]), 0.25);
        Some([recall_of_foreground(&lesion, &found.labels)?, recall_of_masked(&lesion, &masked)?])
    };
    (0..prepared.shape[2]).filter_map(slice).collect()
}

fn measure(cohort: &str, modality: &str, size: usize, spacing: Spacing, plus: bool) -> Option<[f64; 2]> {
    let foreground = if plus { ForegroundRule::Brighter } else { ForegroundRule::Minority };
    let config = ClusterConfig { foreground, tissue_only: plus, ..ClusterConfig::default() };
    let all: Vec<[f64; 2]> =
        data(cohort)?.par_iter().flat_map(|folder| recalls(folder, modality, size, spacing, &config)).collect();
    let mean = |at: usize| all.iter().map(|recall| recall[at]).sum::<f64>() / all.len() as f64;
    let rule = if plus { "brighter, tissue only" } else { "minority" };
    println!("{cohort} {modality} {size}: {rule}: {:.3} | {:.3} over {} slices", mean(0), mean(1), all.len());
    Some([mean(0), mean(1)])
}

fn near(found: [f64; 2], reference: [f64; 2], by: f64) {
    for (found, reference) in found.into_iter().zip(reference) {
        assert!((found - reference).abs() <= by, "{found:.3} against {reference:.2}");
    }
}

#[test]
fn recalls_on_lgg_flair_are_near_the_reference() {
    let Some(paper) = measure("lgg", "flair", 160, Spacing::Iso, false) else { return };
    near(paper, [0.31, 0.32], 0.25);
    let plus = measure("lgg", "flair", 160, Spacing::Iso, true).unwrap();
    near(plus, [0.94, 0.87], 0.15);
    assert!(plus[0] > paper[0] + 0.3, "the brighter cluster without air contains the lesions here");
}

#[test]
fn recalls_on_sts_pet_are_near_the_reference() {
    let Some(paper) = measure("sts", "pet", 144, Spacing::Native, false) else { return };
    near(paper, [0.73, 0.90], 0.2);
    let plus = measure("sts", "pet", 144, Spacing::Native, true).unwrap();
    near(plus, [0.84, 0.92], 0.15);
}
