//! Realistic cohorts on the command line: nothing is left out silently, and one bad case never stops the others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use engine::cohort::split::Split;
use engine::run::RunFolder;
use engine::volume::nifti::{write_label, write_volume};
use engine::volume::{LabelVolume, Volume, VoxelData};

use crate::common::{cohort, finetune, finetune_config, patient, pretrain, pretrain_config};

fn amlp(line: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_amlp")).args(line).args(paths).output().unwrap()
}

/// The exit code, standard output and standard error of a process that ended.
fn ended(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A fine-tuned model of one epoch.
fn model(folder: &Path, root: &Path) -> PathBuf {
    let run = folder.join("fine");
    let mut config = finetune_config(root, None);
    config.training.epochs = 1;
    finetune(&config, &run, false, 0).unwrap();
    run
}

/// Replaces a patient's mask with one that holds invalid labels.
fn spoil_mask(root: &Path, id: &str) {
    let (image, _) = patient(1);
    write_volume(&root.join(id).join("seg.nii.gz"), &Volume::from_f32(image.grid.clone(), vec![0.5; image.grid.len()]))
        .unwrap();
}

#[test]
fn one_bad_case_never_stops_the_others() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 6);
    let (model, out) = (model(temp.path(), &root), temp.path().join("masks"));
    fs::write(root.join("P02/pet.nii.gz"), b"no scan").unwrap();
    fs::rename(root.join("P04/pet.nii.gz"), root.join("P04/ct.nii.gz")).unwrap();
    let line = ["segment", "--device", "cpu", "--subset", "all", "--json", "--model"];
    let (code, text, errors) = ended(&amlp(&line, &[&model, &root, Path::new("--out"), &out]));
    assert_eq!(code, 3, "{errors}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((report["cases"].as_array().unwrap().len(), report["left_out"].as_array().unwrap().len()), (4, 2));
    assert!(errors.contains("used 5 of 6 scans, left out 1: P04 (missing modality pet)"), "{errors}");
    assert!(errors.contains("2 of 6 scans were left out:") && errors.contains("\n  P02  "), "{errors}");
    let strict = ["segment", "--device", "cpu", "--subset", "all", "--strict", "--model"];
    assert_eq!(ended(&amlp(&strict, &[&model, &root, Path::new("--out"), &out])).0, 1);

    spoil_mask(&root, "P01");
    let line = ["evaluate", "--json", "--prediction"];
    let paths = [out.as_path(), Path::new("--truth"), &root];
    let (code, text, errors) = ended(&amlp(&line, &paths));
    assert_eq!(code, 3, "{errors}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((report["mean"]["1"]["cases"].as_u64(), report["left_out"][0]["case"].as_str()), (Some(3), Some("P01")));
    assert_eq!(ended(&amlp(&["evaluate", "--strict", "--json", "--prediction"], &paths)).0, 1);
}

#[test]
fn training_reports_excluded_scans() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 10);
    let mut config = pretrain_config(&root);
    config.training.epochs = 1;
    let clean = temp.path().join("clean");
    pretrain(&config, &clean, false, 0).unwrap();
    let split: Split = RunFolder::open(&clean).unwrap().read_split().unwrap();
    let [mask, scan, modality] = &split.train[..3] else { panic!("three train") };
    spoil_mask(&root, mask);
    fs::write(root.join(scan).join("pet.nii.gz"), b"no scan").unwrap();
    fs::rename(root.join(modality).join("pet.nii.gz"), root.join(modality).join("ct.nii.gz")).unwrap();
    let file = temp.path().join("split.json");
    fs::write(&file, split.to_json().unwrap()).unwrap();

    let train = |verb: &[&str], name: &str| {
        let settings = temp.path().join("settings.toml");
        fs::write(&settings, "[method]\ngrid = 8\n[network]\nwidth = 2\ndepth = 2\n").unwrap();
        let line =
            [verb, &["--modality", "pet", "--size", "32", "--epochs", "1", "--device", "cpu", "--config"]].concat();
        let out = temp.path().join(name);
        ended(&amlp(&line, &[&settings, Path::new("--split"), &file, Path::new("--out"), &out, &root]))
    };
    let (code, _, errors) = train(&["pretrain"], "pre");
    assert_eq!(code, 0, "pre-training needs no labels: {errors}");
    for part in
        ["used 5 of 7 scans, left out 2:", &format!("{modality} (missing modality pet)"), "masks left out 1:", mask]
    {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    let (code, _, errors) = train(&["finetune", "--from", "none", "--labels", "all"], "fine");
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("used 4 of 7 scans, left out 3:") && errors.contains(&format!("{mask} (")), "{errors}");
    let (code, _, errors) = train(&["pretrain", "--strict"], "strict");
    assert!(code == 1 && errors.contains("--strict") && !temp.path().join("strict").exists(), "{errors}");
}

#[test]
fn a_split_written_by_hand_needs_no_lesion_volumes() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 6);
    let write = |name: &str, text: &str| {
        let path = temp.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let settings = write("settings.toml", "[method]\ngrid = 8\n[network]\nwidth = 2\ndepth = 2\n");
    let parts =
        r#"{"version": 1, "seed": 0, "train": ["P00", "P01", "P02", "P03"], "val": [], "test": ["P04", "P05"]}"#;
    let file = write("split.json", parts);
    let out = temp.path().join("fine");
    let line = ["finetune", "--from", "none", "--labels", "50%", "--modality", "pet", "--size", "32", "--epochs", "1"];
    let line = [&line[..], &["--device", "cpu", "--config"]].concat();
    let (code, _, errors) =
        ended(&amlp(&line, &[&settings, Path::new("--split"), &file, Path::new("--out"), &out, &root]));
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("used 2 of 2 scans"), "half of the training patients is labelled: {errors}");
    let split: Split = RunFolder::open(&out).unwrap().read_split().unwrap();
    assert!(split.lesion_ml.len() == 6 && split.lesion_ml.values().all(|ml| ml.unwrap() > 0.0), "{split:?}");
}

#[test]
fn a_moved_cohort_is_recognised() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let (model, out) = (model(temp.path(), &root), temp.path().join("masks"));
    let split: Split = RunFolder::open(&model).unwrap().read_split().unwrap();
    let moved = temp.path().join("elsewhere");
    fs::rename(&root, &moved).unwrap();
    let segment = |more: &[&Path]| {
        let line = ["segment", "--device", "cpu", "--again", "--json", "--model"];
        let (code, text, errors) = ended(&amlp(&line, &[&[model.as_path(), Path::new("--out"), &out], more].concat()));
        assert_eq!(code, 0, "{errors}");
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        report["cases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|case| case["case"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(segment(&[&moved]), split.test);
    assert_eq!(segment(&[Path::new("--cohort"), &moved]), split.test);
    // A new patient was not trained on.
    let (image, label) = patient(3);
    fs::create_dir(moved.join("Q")).unwrap();
    write_volume(&moved.join("Q/pet.nii.gz"), &image).unwrap();
    write_label(&moved.join("Q/seg.nii.gz"), &label, &image).unwrap();
    assert_eq!(segment(&[&moved]), [split.test.clone(), vec!["Q".into()]].concat());

    // Resuming finds the cohort at its new location, which the run stores.
    let mut config = finetune_config(&moved, None);
    config.training.epochs = 1;
    finetune(&config, &model, true, 0).unwrap();
    let stored = engine::jobs::stored_config(&model).unwrap();
    assert_eq!(stored.data.cohort, moved);
    // So does the program, whose run has only the old location.
    let again = temp.path().join("again");
    fs::rename(&moved, &again).unwrap();
    let resume = |more: &[&Path]| ended(&amlp(&["resume", "--device", "cpu"], &[&[model.as_path()], more].concat()));
    let (code, _, errors) = resume(&[]);
    assert!(code == 1 && errors.contains("--cohort FOLDER"), "{errors}");
    let (code, _, errors) = resume(&[Path::new("--cohort"), &again]);
    assert!(code == 0 && errors.contains("nothing to resume"), "{errors}");
    // Other scans under the same names are another cohort.
    let other = temp.path().join("other");
    fs::create_dir(&other).unwrap();
    for number in 0..8 {
        let folder = other.join(format!("P{number:02}"));
        fs::create_dir(&folder).unwrap();
        let (image, label) = patient(number + 1);
        write_volume(&folder.join("pet.nii.gz"), &image).unwrap();
        write_label(&folder.join("seg.nii.gz"), &label, &image).unwrap();
    }
    assert_eq!(segment(&[&other]).len(), 8);
    let error = finetune(&finetune_config(&other, None), &model, true, 0).unwrap_err().to_string();
    assert!(error.contains("data.cohort"), "{error}");
}

/// Fine-tuning on a second cohort failed, because the split of the pre-training names none of its patients.
#[test]
fn a_network_of_another_cohort_is_fine_tuned_on_a_new_split() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 6);
    let mut config = pretrain_config(&root);
    config.training.epochs = 1;
    let pre = temp.path().join("pre");
    pretrain(&config, &pre, false, 0).unwrap();
    let other = temp.path().join("other");
    fs::create_dir(&other).unwrap();
    for number in 0..6 {
        fs::rename(root.join(format!("P{number:02}")), other.join(format!("Q{number:02}"))).unwrap();
    }
    let out = temp.path().join("fine");
    let line = ["finetune", "--modality", "pet", "--labels", "2", "--epochs", "1", "--device", "cpu", "--from"];
    let (code, _, errors) = ended(&amlp(&line, &[&pre, Path::new("--out"), &out, &other]));
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("so a new split is drawn"), "{errors}");
    let split: Split = RunFolder::open(&out).unwrap().read_split().unwrap();
    assert!(split.test.len() == 1 && split.train.iter().all(|id| id.starts_with('Q')), "{split:?}");

    // The modality may differ, but not without a warning.
    for number in 0..6 {
        let folder = other.join(format!("Q{number:02}"));
        fs::rename(folder.join("pet.nii.gz"), folder.join("t1.nii.gz")).unwrap();
    }
    let line = ["finetune", "--modality", "t1", "--labels", "2", "--epochs", "1", "--device", "cpu", "--from"];
    let (code, _, errors) = ended(&amlp(&line, &[&pre, Path::new("--out"), &temp.path().join("t1"), &other]));
    assert!(code == 0 && errors.contains("was trained on pet, not on t1"), "{errors}");
}

/// The network got the same image in two channels.
#[test]
fn a_modality_given_twice_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 3);
    let out = temp.path().join("pre");
    let line = ["pretrain", "--modality", "pet,PET", "--device", "cpu", "--out"];
    let (code, _, errors) = ended(&amlp(&line, &[&out, &root]));
    assert!(code == 1 && errors.contains("modality = pet: is given twice") && !out.exists(), "{errors}");
}

/// A cohort of two patients has no test patient, and nothing was segmented without an error.
#[test]
fn nothing_to_segment_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 2);
    let (model, out) = (model(temp.path(), &root), temp.path().join("masks"));
    let line = ["segment", "--device", "cpu", "--model"];
    let (code, _, errors) = ended(&amlp(&line, &[&model, &root, Path::new("--out"), &out]));
    assert!(code == 1 && errors.contains("--subset all") && !out.exists(), "{errors}");
    // The training already said so.
    let settings = temp.path().join("settings.toml");
    fs::write(&settings, "[network]\nwidth = 2\ndepth = 2\n").unwrap();
    let line = ["finetune", "--from", "none", "--labels", "1", "--modality", "pet", "--size", "32", "--epochs", "1"];
    let line = [&line[..], &["--validate", "1", "--device", "cpu", "--config"]].concat();
    let (code, _, errors) = ended(&amlp(&line, &[&settings, Path::new("--out"), &temp.path().join("two"), &root]));
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("no test patient") && errors.contains("no validation patient"), "{errors}");
}

/// A mask with an unknown name next to the scan must not become a modality that all other patients lack.
#[test]
fn a_mask_of_any_name_is_not_an_image() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 6);
    fs::copy(root.join("P02/seg.nii.gz"), root.join("P02/out.nii.gz")).unwrap();
    let found = engine::cohort::Cohort::discover(&root).unwrap();
    assert_eq!(found.modalities().into_keys().collect::<Vec<_>>(), ["pet"]);
    let case = found.case("P02").unwrap();
    assert!(case.segmentation.as_ref().unwrap().ends_with("P02/out.nii.gz"), "{case:?}");
    assert!(case.masks.len() == 1 && case.masks[0].ends_with("P02/seg.nii.gz"), "{case:?}");
    assert!(found.problems.iter().any(|p| p.what.contains("used as the segmentation")), "{:?}", found.problems);

    // The mask of a 4-D scan, one volume a frame.
    fs::remove_file(root.join("P03/seg.nii.gz")).unwrap();
    let (image, label) = patient(3);
    let frames = |values: &[f32]| {
        Volume::new(image.grid.clone(), VoxelData::F32(values.repeat(2)), engine::volume::Scale::IDENTITY)
    };
    write_volume(&root.join("P03/pet.nii.gz"), &frames(&image.to_f32())).unwrap();
    let labels: Vec<f32> = label.iter().map(f32::from).collect();
    write_volume(&root.join("P03/pet_mask.nii.gz"), &frames(&labels)).unwrap();
    let found = engine::cohort::Cohort::discover(&root).unwrap();
    assert_eq!(found.modalities().into_keys().collect::<Vec<_>>(), ["pet"], "{:?}", found.problems);
    assert!(found.case("P03").unwrap().masks[0].ends_with("P03/pet_mask.nii.gz"));
}

#[test]
fn patients_with_several_scans_are_split_and_labelled_as_one() {
    let temp = tempfile::tempdir().unwrap();
    let flat = cohort(temp.path(), 12);
    let root = temp.path().join("sessions");
    for number in 0..12 {
        let folder = root.join(format!("S{}/ses-{}", number / 2, number % 2));
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        fs::rename(flat.join(format!("P{number:02}")), folder).unwrap();
    }
    let run = temp.path().join("fine");
    let mut config = finetune_config(&root, None);
    config.training.epochs = 1;
    finetune(&config, &run, false, 0).unwrap();
    let split: Split = RunFolder::open(&run).unwrap().read_split().unwrap();
    assert_eq!(split.train.len() + split.val.len() + split.test.len(), 6, "{split:?}");
    let report: serde_json::Value = RunFolder::open(&run).unwrap().read_report().unwrap();
    assert_eq!(report["labelled"].as_array().unwrap().len(), 2, "two patients are labelled, with two scans each");
    let (code, text, _) = ended(&amlp(&["cohort", "--json"], &[&root]));
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, found["patients"].as_u64(), found["scans"].as_u64()), (0, Some(6), Some(12)));
}

#[test]
fn four_dimensional_images_are_not_trained_on_silently() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 5);
    for number in 0..5 {
        let (image, _) = patient(number);
        let VoxelData::F32(values) = &image.data else { panic!("floats") };
        let data = VoxelData::F32([values.as_slice(), values].concat());
        let volume = Volume::new(image.grid.clone(), data, image.scale);
        write_volume(&root.join(format!("P{number:02}/pet.nii.gz")), &volume).unwrap();
    }
    let mut config = pretrain_config(&root);
    config.training.epochs = 1;
    let error = pretrain(&config, &temp.path().join("refused"), false, 0).unwrap_err().to_string();
    assert!(error.contains("frames is 2") && error.contains("frames (0 to 1)"), "{error}");
    // No scan of a fine-tuning can be read: the error says why, not that nobody has a mask.
    let error = finetune(&finetune_config(&root, None), &temp.path().join("no"), false, 0).unwrap_err().to_string();
    assert!(error.contains("used 0 of") && error.contains("one of its frames"), "{error}");
    // The command line adds its option.
    let line = ["pretrain", "--device", "cpu", "--modality", "pet", "--size", "16", "--width", "2", "--epochs", "1"];
    let (code, _, errors) = ended(&amlp(&line, &[&root, Path::new("--out"), &temp.path().join("line")]));
    assert!(code == 1 && errors.contains("one of its frames") && errors.contains("(option --frame)"), "{errors}");
    config.data.frame = Some(1);
    pretrain(&config, &temp.path().join("pre"), false, 0).unwrap();

    // Masks with a frame for each frame of their image follow the chosen frame in every command.
    let label = patient(0).1;
    let labels: Vec<u8> = label.iter().map(|l| l as u8).collect();
    let frames = VoxelData::U8([vec![0; labels.len()], labels.clone()].concat());
    let mask = Volume::new(label.grid.clone(), frames, engine::volume::Scale::IDENTITY);
    write_volume(&root.join("P00/seg.nii.gz"), &mask).unwrap();
    let list = |options: &[&str]| {
        let (code, text, errors) = ended(&amlp(&[&["cohort", "--json", "--fresh"], options].concat(), &[&root]));
        assert_eq!(code, 0, "{errors}");
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        (found["labelled"].as_u64(), found["cases"][0]["lesion_ml"].as_f64())
    };
    assert_eq!(list(&[]).0, Some(4), "without a frame, such a mask is left out");
    assert_eq!(list(&["--frame", "1"]), (Some(5), Some(label.volume_ml())));
    assert_eq!(list(&["--frame", "0"]), (Some(5), Some(0.0)));
    let one = temp.path().join("one.nii.gz");
    write_label(&one, &label, &patient(0).0).unwrap();
    let line = ["evaluate", "--json", "--frame", "1", "--prediction"];
    let (code, text, errors) = ended(&amlp(&line, &[&one, Path::new("--truth"), &root.join("P00/seg.nii.gz")]));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, report["mean"]["1"]["cases"].as_u64()), (0, Some(1)), "{errors}");
}

/// Channels of nnU-Net outside a dataset were segmented one by one, whatever the model reads.
#[test]
fn numbered_channels_without_names_are_not_segmented() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 5);
    let (model, scans) = (model(temp.path(), &root), temp.path().join("scans"));
    fs::create_dir_all(&scans).unwrap();
    for (number, name) in ["A_0000", "A_0001", "B_0000", "B_0001"].into_iter().enumerate() {
        fs::copy(root.join(format!("P0{number}/pet.nii.gz")), scans.join(format!("{name}.nii.gz"))).unwrap();
    }
    let out = temp.path().join("out");
    let segment = |scans: &Path| {
        ended(&amlp(&["segment", "--device", "cpu", "--model"], &[&model, scans, Path::new("--out"), &out]))
    };
    let (code, _, errors) = segment(&scans);
    assert!(code == 1 && errors.contains("2 numbered channels a scan") && !out.exists(), "{errors}");
    // In a dataset whose channels are others, they are refused by name; the channel of the model is found by name.
    let images = temp.path().join("dataset/imagesTs");
    fs::create_dir_all(images.parent().unwrap()).unwrap();
    fs::rename(&scans, &images).unwrap();
    let name = |second: &str| {
        let text = format!(r#"{{"channel_names": {{"0": "CT", "1": "{second}"}}}}"#);
        fs::write(images.with_file_name("dataset.json"), text).unwrap();
    };
    name("T1");
    let (code, _, errors) = segment(&images);
    assert!(code == 1 && errors.contains("has ct, t1. The model needs pet"), "{errors}");
    name("PET");
    let (code, _, errors) = segment(&images);
    assert!(code == 0 && errors.contains("used 2 of 2 scans") && out.join("A.nii.gz").is_file(), "{errors}");
}

#[test]
fn hidden_files_and_our_masks_are_not_scans() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 5);
    let (model, scans) = (model(temp.path(), &root), temp.path().join("scans"));
    fs::create_dir_all(scans.join("__MACOSX")).unwrap();
    for number in 0..3 {
        fs::copy(root.join(format!("P0{number}/pet.nii.gz")), scans.join(format!("a{number}.nii.gz"))).unwrap();
        fs::write(scans.join(format!("._a{number}.nii.gz")), b"AppleDouble").unwrap();
        fs::write(scans.join(format!("__MACOSX/._a{number}.nii.gz")), b"AppleDouble").unwrap();
    }
    let (image, label) = patient(0);
    let none = LabelVolume::new(label.grid.clone(), vec![0u8; label.grid.len()]).unwrap();
    write_label(&scans.join("a0_pred.nii.gz"), &none, &image).unwrap();
    let line = ["segment", "--device", "cpu", "--json", "--model"];
    let (code, text, errors) = ended(&amlp(&line, &[&model, &scans, Path::new("--out"), &temp.path().join("out")]));
    assert_eq!(code, 0, "{errors}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["cases"].as_array().unwrap().len(), 3);
    assert!(errors.contains("a0_pred"), "{errors}");
}

/// A CT with an offset other than that of Hounsfield units (reported as CERR#494) is segmented once the offset is set.
#[test]
fn a_ct_of_another_scale_is_segmented_once_its_offset_is_set() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 6);
    let write_ct = |path: &Path, number, intercept: f32| {
        let (image, _) = patient(number);
        let hu = |v: f32| if v == 0.0 { -1000.0 } else { (v - 10.0) * 15.0 };
        let values = image.to_f32().into_iter().map(|v| hu(v) + intercept).collect();
        write_volume(path, &Volume::from_f32(image.grid.clone(), values)).unwrap();
    };
    for number in 0..6 {
        let folder = root.join(format!("P{number:02}"));
        fs::remove_file(folder.join("pet.nii.gz")).unwrap();
        write_ct(&folder.join("ct.nii.gz"), number, 0.0);
    }
    let run = temp.path().join("fine");
    let mut config = finetune_config(&root, None);
    config.data.modality = vec!["ct".into()];
    finetune(&config, &run, false, 0).unwrap();
    let (right, shifted) = (temp.path().join("right/ct.nii.gz"), temp.path().join("shifted/ct.nii.gz"));
    for (path, intercept) in [(&right, 0.0), (&shifted, 1024.0)] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_ct(path, 9, intercept);
    }
    let segment = |scan: &Path, out: &str, more: &[&str]| {
        let line = [&["segment", "--device", "cpu"], more, &["--model"]].concat();
        let out = temp.path().join(out);
        let ended = ended(&amlp(&line, &[&run, scan, Path::new("--out"), &out]));
        let mask = fs::read_dir(&out).unwrap().find_map(|f| {
            let path = f.unwrap().path();
            path.to_string_lossy().ends_with(".nii.gz").then_some(path)
        });
        (ended, mask.map(|path| LabelVolume::read(&path).unwrap()))
    };
    let labels = |mask: Option<LabelVolume>| {
        let mask = mask.unwrap();
        (0..mask.grid.len()).map(|v| mask.get(v)).collect::<Vec<_>>()
    };
    let expected = labels(segment(&right, "a", &[]).1);
    assert!(expected.contains(&1), "the comparison below would compare empty masks");
    let ((code, _, errors), mask) = segment(&shifted, "b", &[]);
    assert!(code != 0 && mask.is_none() && errors.contains("CT offset"), "{code} {errors}");
    let ((code, _, errors), mask) = segment(&shifted, "b", &["--ct-offset", "-1024"]);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(labels(mask), expected);
}
