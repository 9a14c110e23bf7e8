//! Output of `amlp evaluate` on files, through the program's functions.

use std::path::Path;

use clap::Parser;
use engine::cli::evaluate::{Args, report};
use engine::volume::{Grid, LabelVolume, Volume, nifti};
use glam::{DAffine3, DVec3};

#[derive(Parser)]
struct EvaluateCommand {
    #[command(flatten)]
    args: Args,
}

fn args(line: &[&str]) -> Args {
    EvaluateCommand::try_parse_from([&["evaluate"], line].concat()).unwrap().args
}

/// Writes a mask of 8 x 6 x 4 voxels of 1 x 1 x 2 mm with these boxes: low and high corner (exclusive), label.
fn write(path: &Path, boxes: &[([usize; 3], [usize; 3], u8)]) {
    let grid = Grid::new([8, 6, 4], DAffine3::from_scale(DVec3::new(1.0, 1.0, 2.0)));
    let mut labels = vec![0; grid.len()];
    for &(low, high, label) in boxes {
        for k in low[2]..high[2] {
            for j in low[1]..high[1] {
                for i in low[0]..high[0] {
                    labels[grid.index([i, j, k])] = label;
                }
            }
        }
    }
    let like = Volume::from_f32(grid.clone(), vec![0.0; grid.len()]);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    nifti::write_label(path, &LabelVolume::new(grid, labels).unwrap(), &like).unwrap();
}

/// Three patients. `B` has no segmentation, and `C` has no lesion.
fn study(root: &Path) {
    write(&root.join("truth/A/seg.nii.gz"), &[([1, 1, 1], [5, 5, 3], 1), ([7, 5, 3], [8, 6, 4], 2)]);
    write(&root.join("truth/B/seg.nii.gz"), &[([1, 1, 1], [3, 3, 3], 1)]);
    write(&root.join("truth/C/seg.nii.gz"), &[]);
    for case in ["A", "B", "C"] {
        write(&root.join(format!("truth/{case}/pet.nii.gz")), &[]);
    }
    write(&root.join("run/out/A.nii.gz"), &[([2, 1, 1], [6, 5, 3], 1)]);
    write(&root.join("run/out/C.nii.gz"), &[([0, 0, 0], [2, 2, 1], 1)]);
    write(&root.join("run/out/A_prob.nii.gz"), &[]);
    let split = r#"{"version": 1, "seed": 7, "train": [], "val": ["A"], "test": ["B", "C"]}"#;
    std::fs::write(root.join("run/split.json"), split).unwrap();
}

#[test]
fn an_evaluated_cohort_lists_its_missing_masks() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (out, truth) = (path("run/out"), path("truth"));

    let all = report(&args(&["--prediction", &out, "--truth", &truth])).unwrap();
    let left: Vec<_> = all.masks_left_out.iter().map(|left| (left.case.as_str(), left.why.as_str())).collect();
    assert_eq!((left, all.left_out.len()), (vec![("B", "no segmentation")], 0));
    insta::assert_snapshot!("evaluate_json", all.to_json().unwrap());
    insta::assert_snapshot!("evaluate_csv", String::from_utf8(all.to_csv().unwrap()).unwrap());
    insta::assert_snapshot!("evaluate_table", all.to_table());

    let labels = report(&args(&["--prediction", &out, "--truth", &truth, "--label", "1", "--label", "2"])).unwrap();
    let rows: Vec<String> = labels.cases.iter().map(|row| format!("{} {}", row.case, row.label)).collect();
    assert_eq!(rows, ["A 1", "A 2", "C 1", "C 2"]);
    assert_eq!(
        labels.mean.iter().map(|(label, mean)| (label.to_string(), mean.cases)).collect::<Vec<_>>(),
        [("1".to_owned(), 2), ("2".to_owned(), 2)]
    );

    let test = report(&args(&["--prediction", &out, "--truth", &truth, "--subset", "test"])).unwrap();
    assert_eq!(
        test.cases.iter().map(|row| (row.case.as_str(), row.measures.is_ok())).collect::<Vec<_>>(),
        [("B", false), ("C", true)]
    );
    assert_eq!(test.warnings, ["1 segmentation outside the subset: A"]);
    let left: Vec<_> = test.left_out.iter().map(|left| (left.case.as_str(), left.why.as_str())).collect();
    assert_eq!(left, [("B", "no segmentation")]);
    let train = report(&args(&["--prediction", &out, "--truth", &truth, "--subset", "train"])).unwrap_err();
    assert!(train.to_string().ends_with("this part of the split is empty"), "{train}");
}

#[test]
fn masks_on_different_grids_are_refused_with_both_names() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path());
    let moved = folder.path().join("moved.nii.gz");
    let grid = Grid::new(
        [8, 6, 4],
        DAffine3::from_scale_rotation_translation(DVec3::new(1.0, 1.0, 2.0), glam::DQuat::IDENTITY, DVec3::X),
    );
    let like = Volume::from_f32(grid.clone(), vec![0.0; grid.len()]);
    nifti::write_label(&moved, &LabelVolume::new(grid, vec![1_u8; 8 * 6 * 4]).unwrap(), &like).unwrap();
    let truth = folder.path().join("truth/A/seg.nii.gz");
    let line = ["--prediction", moved.to_str().unwrap(), "--truth", truth.to_str().unwrap()];
    let error = report(&args(&line)).unwrap_err().to_string();
    assert!(error.contains("moved.nii.gz") && error.contains("seg.nii.gz") && !error.contains('\n'), "{error}");
}

#[test]
fn invalid_arguments_are_refused_before_anything_is_read() {
    let parse = |line: &[&str]| {
        EvaluateCommand::try_parse_from([&["evaluate", "--prediction", "a", "--truth", "b"], line].concat())
    };
    for bad in [
        &["--label", "0"][..],
        &["--label", "x"],
        &["--boundary-width", "0"],
        &["--hd95", "mean"],
        &["--boundary", "2d"],
        &["--split", "s.json"],
    ] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
    let good = ["--hd95", "area", "--boundary", "3d", "--label", "1+4", "--subset", "val", "--split", "s.json"];
    assert!(parse(&good).is_ok());
}
