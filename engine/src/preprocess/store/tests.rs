#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests, also of exact values")]

use glam::{DAffine3, DMat3, DVec3};
use rand::RngExt;

use super::*;
use crate::cohort::ImageFile;
use crate::preprocess::{Spacing, prepare_case};
use crate::volume::nifti::write_volume;
use crate::volume::{Grid, Volume};

/// Cases of 14 x 12 x 6 voxels with an empty slice each, and a lesion in all but the last.
fn cases(folder: &std::path::Path, count: usize) -> Vec<Case> {
    let matrix3 = DMat3::from_diagonal(DVec3::new(-1.0, -1.0, 2.0));
    let grid = Grid::new([14, 12, 6], DAffine3 { matrix3, translation: DVec3::ZERO });
    (0..count)
        .map(|number| {
            let mut stream = crate::seed::stream(number as u64, "store test", &[]);
            let patient = folder.join(format!("P{number}"));
            std::fs::create_dir(&patient).unwrap();
            let mut case = Case { id: format!("P{number}"), ..Case::default() };
            for modality in ["pet", "t1"] {
                let values =
                    (0..14 * 12 * 6).map(|v| if v / 168 == 2 { 0.0 } else { stream.random_range(1.0..9.0) }).collect();
                let path = patient.join(format!("{modality}.nii.gz"));
                write_volume(&path, &Volume::from_f32(grid.clone(), values)).unwrap();
                case.images.insert(modality.into(), ImageFile::new(path));
            }
            if number + 1 < count {
                let values = (0..14 * 12 * 6).map(|v| f32::from(u8::from(v / 168 == 3 && v % 14 > 5 && v % 14 < 9)));
                let path = patient.join("seg.nii.gz");
                write_volume(&path, &Volume::from_f32(grid.clone(), values.collect())).unwrap();
                case.masks.push(path);
            }
            case
        })
        .collect()
}

fn options(folder: &std::path::Path) -> StoreOptions {
    StoreOptions {
        modalities: vec!["pet".into(), "t1".into()],
        labels: LabelUse::Required,
        targets: Targets::Binary,
        config: PreprocessConfig { size: 8, spacing: Spacing::Native, ..PreprocessConfig::default() },
        margin: 3,
        keep: SliceFilter::NonZero,
        memory_budget: u64::MAX,
        spill_folder: folder.join("spill"),
        cache: None,
        seed: 1,
    }
}

fn build(cases: &[Case], options: &StoreOptions) -> SliceStore {
    SliceStore::build(cases, options, None, &mut |_, _| {}).unwrap()
}

fn windows(store: &SliceStore) -> Vec<SliceData> {
    let shifts = [[0, 0], [3, -3], [-2, 1]];
    (0..store.len()).flat_map(|i| shifts.map(|shift| store.window(i, shift).unwrap())).collect()
}

#[test]
fn memory_disk_and_cache_hold_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let cases = cases(folder.path(), 5);
    let inside = build(&cases, &options(folder.path()));
    assert!(!inside.on_disk());
    assert_eq!((inside.len(), inside.cases().len()), (25, 5));
    let expected = windows(&inside);
    // Spilled from the start, and after some cases.
    for memory_budget in [0, inside.bytes() / 2] {
        let outside = build(&cases, &StoreOptions { memory_budget, ..options(folder.path()) });
        assert!(outside.on_disk());
        assert_eq!(outside.metas(), inside.metas());
        assert_eq!(outside.cases(), inside.cases());
        assert_eq!(windows(&outside), expected);
    }
    assert_eq!(std::fs::read_dir(folder.path().join("spill")).unwrap().count(), 0, "the file goes with the store");
    let cached = StoreOptions { cache: Some(folder.path().join("cache")), ..options(folder.path()) };
    for _ in 0..2 {
        let store = build(&cases, &cached);
        assert_eq!(store.cases(), inside.cases());
        assert_eq!(windows(&store), expected);
    }
    let files = || std::fs::read_dir(folder.path().join("cache")).unwrap().map(|f| f.unwrap().path());
    assert_eq!(files().count(), 5);
    // A damaged file is ignored.
    for file in files() {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    assert_eq!(windows(&build(&cases, &cached)), expected);
    // Other settings use other files.
    let other = StoreOptions { margin: 2, ..cached };
    assert_eq!(build(&cases, &other).margin(), 2);
    assert_eq!(files().count(), 10);
}

#[test]
fn slices_windows_and_counts_are_those_of_the_prepared_case() {
    let folder = tempfile::tempdir().unwrap();
    let cases = cases(folder.path(), 2);
    let options = options(folder.path());
    let store = build(&cases, &options);
    let prepared = prepare_case(&cases[0], &options.modalities, true, &Targets::Binary, &options.config, 1).unwrap();
    let origin = prepared.plan.crop_origin();
    assert_eq!(origin, [3, 2]);
    for index in 0..5 {
        let meta = *store.meta(index);
        assert_eq!(meta.k, [0, 1, 3, 4, 5][index], "slice 2 is all black");
        assert_eq!((meta.nonzero, meta.tissue_pixels), (true, 64));
        let data = store.window(index, [3, -1]).unwrap();
        let (pixels, target) = prepared.window(meta.k as usize, [origin[0] + 3, origin[1] - 1], 8);
        assert_eq!((data.pixels, data.target), (pixels, target));
        assert_eq!(data.tissue, prepared.tissue_frame(meta.k as usize, [origin[0] + 3, origin[1] - 1], [8, 8]));
    }
    let case = &store.cases()[0];
    assert_eq!((case.first, case.slices, case.lesion_slices, case.labelled), (0, 5, 1, true));
    assert_eq!((store.meta(2).lesion_pixels, case.mean_lesion_pixels), (24, 24.0));
    let unlabelled = &store.cases()[1];
    assert_eq!((unlabelled.first, unlabelled.labelled), (5, false));
    assert_eq!(store.window(5, [0, 0]).unwrap().target, None);
    assert_eq!(build(&cases, &StoreOptions { keep: SliceFilter::All, ..options }).len(), 12);
}

#[test]
fn a_warning_of_many_cases_is_given_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = build(&cases(folder.path(), 3), &options(folder.path()));
    let plans = [&["no border", "no border"][..], &[], &["no border", "1 voxel is not finite"]];
    for (case, warnings) in store.cases.iter_mut().zip(plans) {
        case.plan.warnings = warnings.iter().map(|&w| w.to_owned()).collect();
    }
    let mut warned = BTreeSet::new();
    let warnings = store.new_warnings(&mut warned);
    assert_eq!(warnings, ["P2: 1 voxel is not finite", "2 of 3 cases: no border (P0, P2)"]);
    assert!(store.new_warnings(&mut warned).is_empty(), "not again by the next run of the same program");
    store.cases[1].plan.warnings = vec!["no border".into()];
    assert_eq!(store.new_warnings(&mut warned), ["P1: no border"]);
}

#[test]
fn a_missing_slice_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut cases = cases(folder.path(), 2);
    let options = options(folder.path());
    let store = build(&cases, &options);
    assert!(store.window(store.len(), [0, 0]).is_err());
    assert!(store.window(0, [4, 0]).is_err() && store.window(0, [0, i32::MIN]).is_err());
    let control = Control::default();
    control.set(crate::event::Signal::Cancel);
    assert!(SliceStore::build(&cases, &options, Some(&control), &mut |_, _| {}).is_err());
    cases[1].images.remove("pet");
    let rest = build(&cases, &options);
    assert_eq!((rest.cases().len(), rest.left_out()[0].case.as_str()), (cases.len() - 1, "P1"));
    let error = SliceStore::build(&cases[1..2], &options, None, &mut |_, _| {}).err().unwrap().to_string();
    assert!(error.contains("case P1 has only t1"), "{error}");
}
