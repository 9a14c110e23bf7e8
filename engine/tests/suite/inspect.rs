//! Inspection of a slice: the library and the program give the same results, and a pre-trained network reconstructs the slice.

use std::path::Path;
use std::process::Command;

use crate::common::{cohort, finetune, finetune_config, patient, pretrain, pretrain_config};
use engine::cluster::{ClusterConfig, ForegroundRule};
use engine::config::MaskFill;
use engine::device::Compute;
use engine::inspect::{InspectedCase, InspectedSlice, MaskSettings, Masking, Reconstructor, Sigma, kind_of};
use engine::preprocess::{Kind, PreprocessConfig, Spacing};
use engine::pretrain::amlp::amr::MaskRatio;
use engine::pretrain::amlp::mps::{Order, order};
use engine::volume::nifti::{write_label, write_volume};
use engine::volume::{LabelVolume, Volume};

fn settings() -> PreprocessConfig {
    PreprocessConfig { spacing: Spacing::Native, size: 32, ..PreprocessConfig::default() }
}

/// The case of patient `number`, with its reference.
fn case(number: usize) -> InspectedCase {
    let (image, label) = patient(number);
    InspectedCase::prepare(&[image], &[Kind::Other], Some(&label), &settings(), 0).unwrap()
}

/// What `amlp mask --json` prints.
fn printed(scan: &Path, more: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_amlp"));
    program.args(["mask", "--json", "--size", "32", "--grid", "8", "--spacing", "native"]).args(more).arg(scan);
    let output = program.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_program_prints_the_report_of_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let (scan, mask) = (folder.path().join("pet.nii.gz"), folder.path().join("seg.nii.gz"));
    // Stored right to left.
    let (image, label) = patient(1);
    write_volume(&scan, &image).unwrap();
    write_label(&mask, &label, &image).unwrap();
    let image = Volume::read(&scan).unwrap();
    let (label, _) = LabelVolume::read_for(&mask, &image).unwrap();
    let kind = kind_of("pet.nii.gz", None, &image);
    let plain = MaskSettings::default();
    let plus = MaskSettings {
        cluster: ClusterConfig { foreground: ForegroundRule::Brighter, tissue_only: true, ..ClusterConfig::default() },
        order: Order::Random,
        sigma: Sigma::Epoch { epoch: 3, epochs: 9, ratio: MaskRatio::default() },
        seed: 5,
        ..MaskSettings::default()
    };
    let words = "--foreground brighter --tissue-only --order random --epoch 3 --epochs 9 --seed 5";
    let (mut same, mut masked_air) = (0, 0);
    for (with_label, settings, words) in [(true, &plain, ""), (false, &plain, ""), (true, &plus, words)] {
        let label = with_label.then_some(&label);
        let case =
            InspectedCase::prepare(std::slice::from_ref(&image), &[kind], label, &self::settings(), settings.seed)
                .unwrap();
        assert_eq!(case.file_slices(), 7);
        for k in 0..7 {
            let number = k.to_string();
            let mut words: Vec<&str> = words.split_whitespace().chain(["--slice", &number]).collect();
            let path = mask.to_string_lossy().into_owned();
            if with_label {
                words.extend(["--label", &path]);
            }
            let slice = case.slice(k, 8).unwrap();
            let found = slice.cluster(settings).unwrap();
            let masking = slice.mask(&found, settings).unwrap();
            let report = slice.report(&found, &masking);
            assert_eq!(printed(&scan, &words), serde_json::to_string(&report).unwrap() + "\n", "slice {k}, {words:?}");
            same += 1;
            masked_air += masking.masked.iter().zip(&slice.air).filter(|(masked, air)| **masked && **air).count();
            assert_eq!(slice.prepared_slice, k, "feet first in this file");
        }
    }
    assert!(same == 21 && masked_air > 0);
}

#[test]
fn a_missing_slice_and_impossible_settings_are_named() {
    let case = case(0);
    let text = |outcome: engine::Result<InspectedSlice>| outcome.unwrap_err().to_string();
    assert!(text(case.slice(7, 8)).contains("slice = 7: the file has slices 0 to 6"));
    assert!(text(case.slice(0, 5)).contains("size = 32"));
    let slice = case.slice(3, 8).unwrap();
    let good = MaskSettings::default();
    let found = slice.cluster(&good).unwrap();
    let epoch = |epoch, ratio| Sigma::Epoch { epoch, epochs: 9, ratio };
    let impossible = MaskRatio { sigma_max: 0.1, ..MaskRatio::default() };
    for sigma in [
        Sigma::Fixed(1.5),
        Sigma::Fixed(f64::NAN),
        epoch(0, MaskRatio::default()),
        epoch(10, MaskRatio::default()),
        epoch(1, impossible),
    ] {
        assert!(slice.mask(&found, &MaskSettings { sigma: sigma.clone(), ..good.clone() }).is_err(), "{sigma:?}");
    }
    assert!(case.slice(3, 4).unwrap().mask(&found, &good).is_err(), "a clustering of other patches");
    let none = MaskSettings { cluster: ClusterConfig { n_init: 0, ..ClusterConfig::default() }, ..good };
    assert!(slice.cluster(&none).unwrap_err().to_string().contains("cluster.n_init"));
}

#[test]
fn random_masks_equal_those_drawn_in_training() {
    let slice = case(0).slice(3, 8).unwrap();
    let of = |epoch| {
        let sigma = Sigma::Epoch { epoch, epochs: 9, ratio: MaskRatio::default() };
        let settings = MaskSettings { order: Order::Random, sigma, seed: 5, ..MaskSettings::default() };
        let found = slice.cluster(&settings).unwrap();
        let key = [epoch as u64, slice.prepared_slice as u64];
        let masking = slice.mask(&found, &settings).unwrap();
        assert_eq!(masking.order, order(Order::Random, &found.labels, &found.logit, 5, &key));
        masking.order
    };
    assert_ne!(of(1), of(2));
}

#[test]
fn a_case_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&case(0));
}

/// Rows of a table as text, without the header.
fn rows(csv: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(csv);
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(head.join(","), "patch,row,column,label,probability,order,masked,air,lesion,loss,relative_loss,r_l,a_p");
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn the_table_has_one_row_per_patch() {
    let slice = case(0).slice(3, 8).unwrap();
    let settings = MaskSettings::default();
    let found = slice.cluster(&settings).unwrap();
    let masking = slice.mask(&found, &settings).unwrap();
    let rows = rows(&slice.csv(&found, &masking, None).unwrap());
    assert_eq!(rows.len(), 64);
    for (at, row) in rows.iter().enumerate() {
        let number = |column: usize| row[column].parse::<usize>().unwrap();
        assert_eq!((number(0), number(1), number(2)), (at, at / 8, at % 8));
        assert_eq!(masking.order[number(5)], at);
        let flags = [found.labels[at] == 1, masking.masked[at], slice.air[at], slice.lesion.as_ref().unwrap()[at]];
        assert_eq!([3, 6, 7, 8].map(|column| number(column) == 1), flags);
        assert_eq!(row[4].parse::<f32>().unwrap().to_bits(), found.probability[at].to_bits());
        assert!(row[9].is_empty() && row[10].is_empty());
        assert_eq!((number(11), number(12)), (8 - at / 8, 8 - at % 8), "as the window counts");
    }
    let uncertainty = slice.uncertainty(&found, &masking);
    assert!((uncertainty.h1 - uncertainty.h2).abs() < 1e-12 && uncertainty.h3.is_some() && uncertainty.h1 > 0.0);
}

/// Half of the patches, lesion first.
fn masked(slice: &InspectedSlice) -> Masking {
    let settings = MaskSettings::default();
    slice.mask(&slice.cluster(&settings).unwrap(), &settings).unwrap()
}

#[test]
fn a_pretrained_network_reconstructs_a_masked_slice() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let config = pretrain_config(&root);
    let run = temp.path().join("pre");
    pretrain(&config, &run, false, 0).unwrap();
    let network = Reconstructor::load(&run, &Compute::cpu()).unwrap();
    assert_eq!((network.config().preset.as_str(), network.epoch(), network.warnings().len()), ("amlp", 3, 0));
    let slice = case(2).slice(3, 8).unwrap();
    let masking = masked(&slice);
    let made = network.reconstruct(&slice, &masking).unwrap();
    assert_eq!(made, network.reconstruct(&slice, &masking).unwrap());
    let hidden = slice.grid.spread(&masking.masked);
    for (at, hidden) in hidden.iter().enumerate() {
        let expected = if *hidden { 0.0 } else { slice.pixels[at] };
        // Below the smallest number, as a negative pixel times 0 is a negative 0.
        assert!((made.input[at] - expected).abs() < f32::MIN_POSITIVE, "pixel {at}");
    }
    let mut sum = 0.0;
    for patch in 0..64 {
        let (rows, columns) = slice.grid.pixels_of(patch);
        let pixels_of_patch = rows.flat_map(|i| columns.clone().map(move |j| i * 32 + j));
        let error = pixels_of_patch.map(|at| (made.output[at] - slice.pixels[at]).powi(2)).sum::<f32>() / 16.0;
        assert_eq!(made.losses[patch].is_some(), masking.masked[patch]);
        assert!(made.losses[patch].is_none_or(|loss| (loss - error).abs() <= 1e-4 * error.max(1e-3)), "patch {patch}");
        sum += made.relative[patch].unwrap_or(0.0);
    }
    assert!((sum / masking.count() as f32 - 1.0).abs() < 1e-4, "the mean relative loss is 1");
    let found = slice.cluster(&MaskSettings::default()).unwrap();
    let table = rows(&slice.csv(&found, &masking, Some(&made)).unwrap());
    assert!(table.iter().zip(&masking.masked).all(|(row, masked)| row[9].is_empty() != *masked));
    // Nothing masked: no loss, and the network gets the unchanged slice.
    let none = Masking { sigma: 0.0, order: masking.order.clone(), masked: vec![false; 64] };
    let made = network.reconstruct(&slice, &none).unwrap();
    assert!(made.input == slice.pixels && made.losses.iter().all(Option::is_none));
}

#[test]
fn a_slice_has_the_same_crop_with_further_channels_in_any_order() {
    let (image, _) = patient(2);
    // Tissue far from the body moves the training crop of both.
    let mut values = image.to_f32();
    values[5] = 90.0;
    values.iter_mut().for_each(|v| *v *= 3.0);
    let other = Volume::from_f32(image.grid.clone(), values);
    let kinds = [Kind::Other; 2];
    let alone = |image: &Volume| InspectedCase::prepare(&[image], &kinds[..1], None, &settings(), 0).unwrap();
    let slice = alone(&image).slice(3, 8).unwrap();
    let both = InspectedCase::prepare(&[&image, &other], &kinds, None, &settings(), 0).unwrap();
    let own = both.slice(3, 8).unwrap();
    assert_ne!(own.crop.origin, slice.crop.origin, "the crops must differ for this test to show anything");
    let cut = both.slice_like(&slice).unwrap();
    assert_eq!((cut.channels, &cut.crop, cut.world_from_crop), (2, &slice.crop, slice.world_from_crop));
    assert!(cut.pixels[..1024] == slice.pixels && cut.pixels[1024..] != slice.pixels);
    let turned = both.reordered(&[1, 0]).slice_like(&slice).unwrap();
    assert!(turned.pixels[1024..] == slice.pixels && turned.pixels[..1024] == cut.pixels[1024..]);
    // Stored right to left, this patient's slices have other positions.
    let error = alone(&patient(1).0).slice_like(&slice).unwrap_err().to_string();
    assert!(error.contains("another grid"), "{error}");
}

#[test]
fn a_slice_that_the_network_cannot_reconstruct_is_refused_with_the_reason() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let mut config = pretrain_config(&root);
    (config.training.epochs, config.method.fill) = (1, MaskFill::Noise);
    let (run, fine) = (temp.path().join("pre"), temp.path().join("fine"));
    pretrain(&config, &run, false, 0).unwrap();
    let mut tuned = finetune_config(&root, Some(&run));
    tuned.training.epochs = 1;
    finetune(&tuned, &fine, false, 0).unwrap();
    let why = |outcome: engine::Result<Reconstructor>| outcome.err().unwrap().to_string();
    assert!(why(Reconstructor::load(&fine, &Compute::cpu())).contains("a fine-tuned run"));
    assert!(why(Reconstructor::load(&root, &Compute::cpu())).contains("not a run folder"));

    let network = Reconstructor::load(&run, &Compute::cpu()).unwrap();
    let slice = case(2).slice(3, 8).unwrap();
    let noisy = network.reconstruct(&slice, &masked(&slice)).unwrap();
    let hidden = noisy.input.iter().zip(slice.grid.spread(&masked(&slice).masked)).filter(|(_, hidden)| *hidden);
    let noise: Vec<f32> = hidden.map(|(value, _)| *value).collect();
    let mean = |of: &dyn Fn(f32) -> f32| noise.iter().map(|v| of(*v)).sum::<f32>() / noise.len() as f32;
    assert!(mean(&|v| v).abs() < 0.2 && (mean(&|v| v * v) - 1.0).abs() < 0.3, "{} numbers", noise.len());
    let (image, _) = patient(2);
    let images = [image.clone(), image.clone()];
    let two = InspectedCase::prepare(&images, &[Kind::Other; 2], None, &settings(), 0).unwrap().slice(3, 8).unwrap();
    let odd = PreprocessConfig { size: 34, ..settings() };
    let odd = InspectedCase::prepare(&[image], &[Kind::Other], None, &odd, 0).unwrap().slice(3, 2).unwrap();
    for (slice, why) in [(&two, "2 channels: the network needs 1 (pet)"), (&odd, "size = 34")] {
        let error = network.reconstruct(slice, &masked(slice)).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert!(network.reconstruct(&slice, &masked(&odd)).is_err(), "a masking of other patches");
}
