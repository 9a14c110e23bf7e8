//! Requirements on training: it fits, it generalises, and no test patient influences it.

use std::path::Path;

use engine::cohort::label_budget::{LabelBudget, LabelDraw, LabelShare};
use engine::cohort::split::Split;
use engine::config::{Config, MethodConfig, Schedule, preset};
use engine::device::Compute;
use engine::event::{Control, Event};
use engine::inspect::{InspectedCase, MaskSettings, Reconstructor, Sigma};
use engine::jobs::{FinetuneJob, PretrainJob, Start};
use engine::predict::{Choice, Segmenter};
use engine::preprocess::Kind;
use engine::run::RunFolder;
use engine::volume::nifti::{write_label, write_volume};
use engine::volume::{LabelVolume, Volume};
use proptest::prelude::*;

use crate::common::{cohort, finetune, finetune_config, patient, pretrain, pretrain_config};

fn split_of(run: &Path) -> Split {
    RunFolder::open(run).unwrap().read_split().unwrap()
}

/// The patients whose labels a fine-tuning run has used.
fn labelled(run: &Path) -> Vec<String> {
    let report: serde_json::Value = RunFolder::open(run).unwrap().read_report().unwrap();
    report["labelled"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// The number of a patient of the synthetic cohort.
fn number(id: &str) -> usize {
    id[1..].parse().unwrap()
}

#[test]
fn one_slice_is_overfitted_by_fine_tuning() {
    const SLICE: usize = 3;
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 5);
    // One slice of each patient is labelled.
    let truth = |id: &str| {
        let (image, label) = patient(number(id));
        let [nx, ny, _] = label.shape();
        let one = label.iter().enumerate().map(|(at, l)| if at / (nx * ny) == SLICE { l } else { 0 });
        (LabelVolume::new(label.grid.clone(), one.collect::<Vec<_>>()).unwrap(), image)
    };
    for id in (0..5).map(|n| format!("P{n:02}")) {
        let (label, image) = truth(&id);
        write_label(&root.join(&id).join("seg.nii.gz"), &label, &image).unwrap();
    }
    let mut config = finetune_config(&root, None);
    config.network.width = 8;
    (config.training.epochs, config.training.batch, config.training.shift_px) = (150, 1, 0);
    config.labels.labels = "1".into();
    (config.labels.negative_slices, config.labels.flip) = (0.0, false);
    (config.labels.rotate_deg, config.labels.scale, config.labels.intensity) = (0.0, 0.0, 0.0);
    let run = temp.path().join("run");
    let events = finetune(&config, &run, false, 0).unwrap();
    assert!(events.iter().any(|e| matches!(e, Event::Started { slices: 1, .. })), "one slice is trained on");

    assert!(!events.iter().any(|e| matches!(e, Event::Warning { .. })), "it has converged");
    let report: serde_json::Value = RunFolder::open(&run).unwrap().read_report().unwrap();
    assert_eq!(report["converged"], true, "{report}");

    let [id] = &labelled(&run)[..] else { panic!("one patient is labelled") };
    let (label, image) = truth(id);
    let segmenter = Segmenter::load(&run, Choice::Last, &Compute::cpu()).unwrap();
    let found = segmenter.segment(&[image], &mut |_| {}, &Control::default()).unwrap().label;
    let [nx, ny, _] = label.shape();
    let slice = SLICE * nx * ny..(SLICE + 1) * nx * ny;
    let count = |of: &dyn Fn(usize) -> bool| slice.clone().filter(|at| of(*at)).count() as f64;
    let both = count(&|at| found.get(at) > 0 && label.get(at) > 0);
    let sizes = count(&|at| found.get(at) > 0) + count(&|at| label.get(at) > 0);
    assert!(2.0 * both / sizes > 0.95, "DSC {}", 2.0 * both / sizes);
}

/// Sums of squared errors over the masked pixels of held-out slices: of the network, and of the best constant, which is the
/// mean of these pixels.
fn held_out_errors(run: &Path, config: &Config, settings: &MaskSettings) -> [f64; 2] {
    let network = Reconstructor::load(run, &Compute::cpu()).unwrap();
    let (mut of_network, mut of_mean) = (0.0, 0.0);
    for id in &split_of(run).test {
        let (image, _) = patient(number(id));
        let case = InspectedCase::prepare(&[image], &[Kind::Other], None, &config.preprocess, 0).unwrap();
        for k in 0..case.file_slices() {
            let slice = case.slice(k, config.method.grid).unwrap();
            let masking = slice.mask(&slice.cluster(settings).unwrap(), settings).unwrap();
            let made = network.reconstruct(&slice, &masking).unwrap();
            let hidden = slice.grid.spread(&masking.masked);
            let pairs = || {
                let all = slice.pixels.iter().zip(&made.output).zip(&hidden);
                all.filter(|(_, hidden)| **hidden).map(|((x, y), _)| (f64::from(*x), f64::from(*y)))
            };
            let mean = pairs().map(|(x, _)| x).sum::<f64>() / pairs().count() as f64;
            of_network += pairs().map(|(x, y)| (x - y).powi(2)).sum::<f64>();
            of_mean += pairs().map(|(x, _)| (x - mean).powi(2)).sum::<f64>();
        }
    }
    [of_network, of_mean]
}

/// The slices are masked as in the last epoch, because the running statistics of batch norm belong to it.
#[test]
fn pre_training_beats_predicting_the_mean_on_held_out_slices() {
    // Rounding differences between processors move the ratio of amlp by some hundredths. Portable kernels are the same
    // everywhere, so the test reruns itself with them.
    if std::env::var("AMLP_SIMD").as_deref() != Ok("portable") {
        let name = "learning::pre_training_beats_predicting_the_mean_on_held_out_slices";
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let output = again.args([name, "--exact"]).env("AMLP_SIMD", "portable").output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 10);
    let epochs = 40;
    for (name, at_most) in [("base", 0.7), ("amlp", 0.9)] {
        let mut config = pretrain_config(&root);
        config.method = MethodConfig { grid: 8, ..preset(name, &["pet".into()]).unwrap().method };
        config.network.width = 4;
        (config.training.epochs, config.training.lr) = (epochs, 1e-2);
        // A falling rate lets the running statistics settle.
        config.training.schedule = Schedule::Cosine;
        let run = temp.path().join(name);
        pretrain(&config, &run, false, 0).unwrap();
        let settings = MaskSettings {
            order: config.method.order,
            sigma: Sigma::Epoch { epoch: epochs, epochs, ratio: config.method.ratio.clone() },
            ..MaskSettings::default()
        };
        let [network, mean] = held_out_errors(&run, &config, &settings);
        assert!(network < at_most * mean, "{name}: {network} against {mean} of the mean");
    }
}

/// Pre-trains, then fine-tunes, for two steps each; returns the weights of both.
fn train_both(root: &Path, out: &Path, (seed, labels): (u64, &str), split: Option<&Path>) -> [Vec<u8>; 2] {
    let (control, compute) = (Control::default(), Compute::cpu());
    let start = Start { split, ..Start::default() };
    let [pre, fine] = ["pre", "fine"].map(|name| out.join(name));
    let mut config = pretrain_config(root);
    (config.seed, config.training.steps) = (seed, 2);
    let mut job = PretrainJob::prepare(config, &pre, start, &control, &mut |_, _| {}).unwrap();
    job.train(&compute, &mut |_: &Event| Ok(()), &control).unwrap();
    drop(job);
    let mut config = finetune_config(root, Some(&pre));
    (config.seed, config.training.steps, config.labels.labels) = (seed, 2, labels.into());
    let mut job = FinetuneJob::prepare(config, &fine, Start::default(), &control, &mut |_, _| {}).unwrap();
    job.train(&compute, &mut |_: &Event| Ok(()), &control).unwrap();
    [pre, fine].map(|run| std::fs::read(run.join("checkpoints/last/model.safetensors")).unwrap())
}

/// Replaces a patient's scan and mask with different ones.
fn exchange(root: &Path, id: &str) {
    let (image, label) = patient(number(id) + 50);
    let values = image.to_f32().iter().map(|v| 3.0 * v + 1.0).collect();
    let image = Volume::from_f32(image.grid.clone(), values);
    write_volume(&root.join(id).join("pet.nii.gz"), &image).unwrap();
    write_label(&root.join(id).join("seg.nii.gz"), &label, &image).unwrap();
}

/// Replaces the test and validation patients. If any of their numbers reached the training, the weights would change.
#[test]
fn no_test_patient_influences_training() {
    for (seed, patients, labels, unlabelled) in [(0, 6, "1", false), (1, 8, "50%", true), (2, 11, "all", true)] {
        let temp = tempfile::tempdir().unwrap();
        let root = cohort(temp.path(), patients);
        if unlabelled {
            std::fs::remove_file(root.join("P01/seg.nii.gz")).unwrap();
        }
        let out = |name: &str| temp.path().join(name);
        let first = train_both(&root, &out("first"), (seed, labels), None);
        let split = split_of(&out("first/pre"));
        assert_eq!(split, split_of(&out("first/fine")), "fine-tuning uses the split of its pre-training run");
        assert!(!split.test.is_empty() && labelled(&out("first/fine")).iter().all(|id| split.train.contains(id)));

        split.test.iter().chain(&split.val).for_each(|id| exchange(&root, id));
        let file = out("first/pre/split.json");
        let second = train_both(&root, &out("second"), (seed, labels), Some(&file));
        assert!(first[0] == second[0], "seed {seed}: pre-training has seen a held-out patient");
        assert!(first[1] == second[1], "seed {seed}: fine-tuning has seen a held-out patient");

        // The comparison can fail: the training patients are seen.
        exchange(&root, &labelled(&out("first/fine"))[0]);
        let third = train_both(&root, &out("third"), (seed, labels), Some(&file));
        assert!(first[0] != third[0] && first[1] != third[1]);
    }
}

proptest! {
    #[test]
    fn parts_are_disjoint_and_labelled_patients_are_training_patients(
        volumes in prop::collection::vec(prop::option::of(0.1..90.0_f64), 3..50),
        share in prop_oneof![Just("5%"), Just("50%"), Just("1"), Just("all")],
        seed: u64,
    ) {
        let patients: Vec<_> = volumes.iter().enumerate().map(|(n, ml)| (format!("P{n:02}"), *ml)).collect();
        let split = Split::draw(&patients, seed);
        prop_assert!(split.train.iter().all(|id| !split.test.contains(id) && !split.val.contains(id)));
        prop_assert!(split.val.iter().all(|id| !split.test.contains(id)));
        // Without a labelled training patient there is nothing to draw.
        for draw in [LabelDraw::Random, LabelDraw::Stratified] {
            if let Ok(labelled) = split.labelled(&LabelBudget { share: share.parse::<LabelShare>().unwrap(), draw, any: false }) {
                prop_assert!(!labelled.is_empty() && labelled.iter().all(|id| split.train.contains(id)));
            } else {
                prop_assert!(split.train.iter().all(|id| split.lesion_ml[id].is_none()));
            }
        }
    }
}
