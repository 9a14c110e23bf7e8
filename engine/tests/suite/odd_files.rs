//! Unusual files as they occur in practice. Each test makes one kind of unusual grid, value or label.

use std::path::PathBuf;

use engine::cohort::{Case, Cohort, fingerprint};
use engine::evaluate::{Target, evaluate_files};
use engine::metrics::{Measures, Options};
use engine::preprocess::{CtOffset, PreparedCase, PreprocessConfig, Spacing, Targets, prepare_case};
use engine::volume::nifti::{write_label, write_volume};
use engine::volume::{Grid, LabelData, LabelVolume, MaskOptions, Scale, Volume, VoxelData};
use tempfile::TempDir;

use crate::common::patient;

/// The files of one patient in a temporary folder.
struct Patient {
    folder: TempDir,
    image: Volume,
    label: LabelVolume,
}

impl Patient {
    fn new() -> Self {
        let (image, label) = patient(3);
        let patient = Self { folder: tempfile::tempdir().unwrap(), image, label };
        write_volume(&patient.path("pet"), &patient.image).unwrap();
        patient.write_mask(&patient.label);
        patient
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.nii.gz"))
    }

    fn write_mask(&self, mask: &LabelVolume) {
        let like = Volume::from_f32(mask.grid.clone(), vec![0.0; mask.grid.len()]);
        write_label(&self.path("seg"), mask, &like).unwrap();
    }

    /// Stores the mask's labels as `values`.
    fn write_mask_as(&self, data: VoxelData, scale: Scale) {
        write_volume(&self.path("seg"), &Volume::new(self.label.grid.clone(), data, scale)).unwrap();
    }

    fn case(&self) -> Case {
        Cohort::discover(self.folder.path()).unwrap().cases.remove(0)
    }

    fn prepare_as(
        &self,
        modality: &str,
        targets: Targets,
        change: impl Fn(&mut PreprocessConfig),
    ) -> engine::Result<PreparedCase> {
        let mut config = PreprocessConfig { spacing: Spacing::Native, size: 32, ..PreprocessConfig::default() };
        change(&mut config);
        prepare_case(&self.case(), &[modality.to_owned()], true, &targets, &config, 0)
    }

    fn prepare(&self) -> PreparedCase {
        self.prepare_as("pet", Targets::Binary, |_| {}).unwrap()
    }

    /// The mask evaluated against the original labels.
    fn evaluate(&self) -> Measures {
        let reference = self.path("reference");
        write_label(&reference, &self.label, &self.image).unwrap();
        let (options, masks) = (Options::default(), MaskOptions::default());
        evaluate_files(&self.path("seg"), &[reference], &[Target::Any], &options, &masks).unwrap().remove(0)
    }

    fn problems(&self) -> Vec<String> {
        self.problems_of(1)
    }

    /// The problems of the cohort, in which `labelled` masks are used.
    fn problems_of(&self, labelled: usize) -> Vec<String> {
        let found = fingerprint(&Cohort::discover(self.folder.path()).unwrap(), None).unwrap();
        assert_eq!((found.labelled, found.masks_left_out.len()), (labelled, 1 - labelled));
        found.problems.into_iter().map(|problem| problem.what).collect()
    }

    fn read(&self) -> (LabelVolume, Vec<String>) {
        LabelVolume::read_for(&self.path("seg"), &self.image).unwrap()
    }

    /// Checks that the cohort, training and evaluation all see the original mask, and that a note contains `note`.
    fn is_unchanged_with(&self, note: &str) {
        let original = Self::new();
        let (mask, notes) = self.read();
        assert_eq!(mask, self.label);
        assert!(notes.iter().any(|n| n.contains(note)), "{notes:?}");
        assert!(self.problems().iter().any(|p| p.contains(note)), "{:?}", self.problems());
        assert_eq!(self.prepare().target, original.prepare().target);
        let measures = self.evaluate();
        assert!((measures.dsc - 1.0).abs() < 1e-12 && measures.notes.iter().any(|n| n.contains(note)), "{measures:?}");
    }
}

fn moved(grid: &Grid, mm: f64) -> Grid {
    let mut moved = grid.clone();
    moved.world_from_voxel.translation.x += mm;
    moved
}

/// nibabel stores float labels as int16 with an automatic slope (nibabel#1069).
#[test]
fn labels_saved_with_a_slope_stay_labels() {
    let patient = Patient::new();
    let stored = patient.label.iter().map(|label| if label > 0 { -16384 } else { -32768 }).collect();
    let scale = Scale { slope: 6.103_608_757_257_462e-5, inter: 2.000_030_517_578_125 };
    patient.write_mask_as(VoxelData::I16(stored), scale);
    patient.is_unchanged_with("rounded to whole numbers");
}

#[test]
fn nearly_whole_labels_and_nan_around_them_stay_labels() {
    let patient = Patient::new();
    let values = patient.label.iter().map(|label| if label > 0 { 0.9999 } else { f32::NAN }).collect();
    patient.write_mask_as(VoxelData::F32(values), Scale::IDENTITY);
    patient.is_unchanged_with("NaN and count as background");
    patient.is_unchanged_with("rounded to whole numbers");
}

#[test]
fn a_soft_mask_needs_a_threshold() {
    let patient = Patient::new();
    let values = patient.label.iter().map(|label| if label > 0 { 0.7 } else { 0.2 }).collect();
    patient.write_mask_as(VoxelData::F32(values), Scale::IDENTITY);
    let error = patient.prepare_as("pet", Targets::Binary, |_| {}).unwrap_err().to_string();
    assert!(error.contains("needs a threshold"), "{error}");
    let prepared = patient.prepare_as("pet", Targets::Binary, |config| config.mask_threshold = 0.5).unwrap();
    assert_eq!(prepared.target, Patient::new().prepare().target);
}

#[test]
fn grids_that_differ_by_rounding_are_the_same() {
    for mm in [1.6e-5, 2e-4, 1e-3, 0.019] {
        let patient = Patient::new();
        patient.write_mask(&LabelVolume { grid: moved(&patient.label.grid, mm), ..patient.label.clone() });
        patient.is_unchanged_with("a corner of the");
    }
}

#[test]
fn grids_further_apart_need_a_tolerance() {
    let patient = Patient::new();
    patient.write_mask(&LabelVolume { grid: moved(&patient.label.grid, 0.21), ..patient.label.clone() });
    let error = patient.prepare_as("pet", Targets::Binary, |_| {}).unwrap_err().to_string();
    assert!(error.contains("a corner differs by 0.21 mm"), "{error}");
    assert!(patient.problems_of(0).iter().any(|p| p.contains("a corner differs by 0.21 mm")));
    let prepared = patient.prepare_as("pet", Targets::Binary, |config| config.grid_tolerance_mm = 0.3).unwrap();
    assert_eq!(prepared.target, Patient::new().prepare().target);
}

/// Some programs store only the bounding box of the labels (pyradiomics#263).
#[test]
fn a_mask_cropped_to_its_extent_is_padded() {
    let patient = Patient::new();
    let LabelData::U8(labels) = &patient.label.data else { panic!("labels above 255") };
    let (origin, shape) = ([4, 4, 1], [28, 24, 5]);
    let cut = engine::volume::crop(labels, patient.label.grid.shape, origin, shape, 0);
    patient.write_mask(&LabelVolume::new(patient.label.grid.cropped(origin, shape), cut).unwrap());
    patient.is_unchanged_with("covers a box of 28x24x5 voxels");
}

#[test]
fn an_image_without_orientation_is_matched_by_voxel() {
    let mut patient = Patient::new();
    // The geometry of a header whose codes are both 0.
    let matrix3 = glam::DMat3::from_diagonal(glam::DVec3::new(-2.0, 2.0, 4.0));
    let last = glam::DVec3::from_array(patient.image.grid.shape.map(|n| n as f64 - 1.0));
    let world_from_voxel = glam::DAffine3 { matrix3, translation: -(matrix3 * last) / 2.0 };
    patient.image.grid = Grid { world_from_voxel, oriented: false, ..patient.image.grid };
    write_volume(&patient.path("pet"), &patient.image).unwrap();
    let (mask, notes) = patient.read();
    assert!(mask.data == patient.label.data && notes[0].contains("records no orientation"), "{notes:?}");
    assert!(patient.problems().iter().any(|p| p.contains("matched voxel by voxel")));
    assert_eq!(
        patient.prepare().target.unwrap().iter().filter(|bits| **bits > 0).count(),
        patient.label.labelled_voxels()
    );
}

/// A 4-D mask with one frame for each frame of its image (OHIF#4789).
#[test]
fn a_mask_of_several_frames_follows_its_image() {
    let patient = Patient::new();
    let frames = |count: usize| {
        let labels: Vec<u8> =
            (0..count).flat_map(|n| patient.label.iter().map(move |l| l as u8 * (n as u8 + 1))).collect();
        patient.write_mask_as(VoxelData::U8(labels), Scale::IDENTITY);
    };
    let cine = Volume { file_frames: 3, ..patient.image.clone() };
    let read = |frame| LabelVolume::read_frame_for(&patient.path("seg"), &cine, frame, &MaskOptions::default());
    frames(3);
    for frame in 0..3 {
        let mask = read(frame).unwrap();
        assert_eq!((mask.labels.labels(), mask.frames), (vec![frame as u16 + 1], 3));
    }
    // All of them at once.
    let path = patient.path("seg");
    let all = LabelVolume::read_frames_for(&path, &cine, MaskOptions::default()).unwrap();
    for frame in 0..3 {
        assert_eq!(all.read(frame).unwrap(), read(frame).unwrap());
    }
    assert!(all.read(3).is_err() && all.frames() == 3);
    frames(1);
    assert_eq!(read(2).unwrap().labels.labels(), [1]);
    let one = LabelVolume::read_frames_for(&path, &cine, MaskOptions::default()).unwrap();
    assert_eq!((one.frames(), one.read(2).unwrap().labels.labels()), (1, vec![1]), "it belongs to all frames");
    frames(2);
    assert!(LabelVolume::read_frames_for(&path, &cine, MaskOptions::default()).is_err());
    let error = read(0).unwrap_err().to_string();
    assert!(error.contains("has 2 frames, but its image has 3 frames"), "{error}");
}

/// The mask of the selected frame is trained on, not the first frame's.
#[test]
fn a_frame_is_prepared_with_its_own_mask() {
    let patient = Patient::new();
    let expected = patient.prepare();
    let (still, labels) = (patient.image.to_f32(), patient.label.iter().map(|l| l as u8));
    let values: Vec<f32> = [0.0, 0.5, 1.0].iter().flat_map(|scale| still.iter().map(move |v| v * scale)).collect();
    let cine = Volume::new(patient.image.grid.clone(), VoxelData::F32(values), Scale::IDENTITY);
    write_volume(&patient.path("pet"), &cine).unwrap();
    let empty = vec![0_u8; 2 * still.len()];
    patient.write_mask_as(VoxelData::U8(empty.into_iter().chain(labels).collect()), Scale::IDENTITY);
    let mut case = patient.case();
    case.images.values_mut().for_each(|image| image.frame = Some(2));
    let config = PreprocessConfig { spacing: Spacing::Native, size: 32, ..PreprocessConfig::default() };
    let found = prepare_case(&case, &["pet".to_owned()], true, &Targets::Binary, &config, 0).unwrap();
    assert_eq!((found.target, found.channels), (expected.target, expected.channels));
}

#[test]
fn a_z_scored_scan_has_the_region_of_the_original() {
    let mut patient = Patient::new();
    let original = patient.prepare();
    let values = patient.image.to_f32().iter().map(|v| (v - 5.3) / 6.1).collect();
    patient.image = Volume::from_f32(patient.image.grid.clone(), values);
    write_volume(&patient.path("pet"), &patient.image).unwrap();
    let prepared = patient.prepare();
    assert!(prepared.plan.warnings.is_empty(), "{:?}", prepared.plan.warnings);
    assert_eq!((&prepared.tissue, prepared.plan.region_box), (&original.tissue, original.plan.region_box));
    let apart = prepared.channels[0].iter().zip(&original.channels[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-4, "{apart}");
    let found = fingerprint(&Cohort::discover(patient.folder.path()).unwrap(), None).unwrap();
    let background = found.cases[0].background["pet"].unwrap();
    assert!((background + 5.3 / 6.1).abs() < 1e-6, "{background}");
}

/// The cohort reports what `info` reports of a file.
#[test]
fn a_scan_with_unusual_values_is_a_problem_of_the_cohort() {
    let mut patient = Patient::new();
    let mut values = patient.image.to_f32();
    values[5] = f32::NAN;
    patient.image = Volume::from_f32(patient.image.grid.clone(), values);
    write_volume(&patient.path("pet"), &patient.image).unwrap();
    assert!(patient.problems().iter().any(|p| p.contains("not finite")), "{:?}", patient.problems());
}

/// A threshold is of no use for a whole number out of range.
#[test]
fn a_label_out_of_range_is_refused_without_advice_for_soft_masks() {
    let patient = Patient::new();
    let refused = |value: i32| {
        let labels = patient.label.iter().map(|label| i32::from(label) * value).collect();
        patient.write_mask_as(VoxelData::I32(labels), Scale::IDENTITY);
        LabelVolume::read_for(&patient.path("seg"), &patient.image).unwrap_err().to_string()
    };
    for value in [-1, 70_000] {
        let error = refused(value);
        assert!(error.contains(&format!("is {value}: labels are whole numbers")) && !error.contains("soft"), "{error}");
    }
}

#[test]
fn a_scan_without_constant_border_says_so() {
    let mut patient = Patient::new();
    let noisy = patient.image.to_f32().iter().enumerate().map(|(n, v)| v + (n as f32 * 0.37).sin().abs()).collect();
    patient.image = Volume::from_f32(patient.image.grid.clone(), noisy);
    write_volume(&patient.path("pet"), &patient.image).unwrap();
    assert!(patient.prepare().plan.warnings[0].contains("no value is constant along the border"));
    let found = fingerprint(&Cohort::discover(patient.folder.path()).unwrap(), None).unwrap();
    assert_eq!(found.cases[0].background["pet"], None);
}

/// Stored values with an unknown offset (CERR#494).
#[test]
fn a_ct_that_is_not_in_hounsfield_units_is_refused_until_its_offset_is_set() {
    let ct = |change: &dyn Fn(f32) -> f32| {
        let patient = Patient::new();
        std::fs::remove_file(patient.path("pet")).unwrap();
        let hu = |v: f32| if v == 0.0 { -1000.0 } else { (v - 10.0) * 15.0 };
        let values = patient.image.to_f32().into_iter().map(|v| change(hu(v))).collect();
        write_volume(&patient.path("ct"), &Volume::from_f32(patient.image.grid.clone(), values)).unwrap();
        patient
    };
    let prepare = |patient: &Patient, offset| patient.prepare_as("ct", Targets::Binary, |c| c.ct_offset = offset);
    let right = prepare(&ct(&|hu| hu), CtOffset::None).unwrap();
    let shifted = ct(&|hu| hu + 1024.0);
    let error = prepare(&shifted, CtOffset::None).unwrap_err().to_string();
    assert!(error.contains("air is at 24 instead of -1000") && error.contains("Set preprocess.ct_offset"), "{error}");
    assert!(shifted.problems().iter().any(|p| p.contains("cannot be Hounsfield units")));
    let corrected = prepare(&shifted, CtOffset::Hu(-1024.0)).unwrap();
    let apart = corrected.channels[0].iter().zip(&right.channels[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-3 && corrected.tissue == right.tissue, "{apart}");
    let scaled = ct(&|hu| (hu + 1000.0) / 1300.0);
    let error = prepare(&scaled, CtOffset::None).unwrap_err().to_string();
    assert!(error.contains("cannot be Hounsfield units") && error.contains("Set preprocess.kind to other"), "{error}");
    assert!(prepare(&scaled, CtOffset::Hu(0.0)).is_ok());
}

/// Label values differ between cohorts (nnUNet#1777, nnUNet#2374).
#[test]
fn the_cohort_defines_the_meaning_of_label_values() {
    let patient = Patient::new();
    let relabelled = |value: u8| {
        let labels: Vec<u8> = patient.label.iter().map(|label| if label > 0 { value } else { 0 }).collect();
        patient.write_mask(&LabelVolume::new(patient.label.grid.clone(), labels).unwrap());
    };
    let target = |targets, map: &str| {
        let prepared = patient.prepare_as("pet", targets, |config| config.label_map = map.parse().unwrap());
        prepared.map(|p| p.target.unwrap().into_iter().max().unwrap_or(0))
    };
    relabelled(255);
    assert_eq!(target(Targets::Binary, "").unwrap(), 1);
    let error = target(Targets::Regions, "").unwrap_err().to_string();
    assert!(error.contains("seg.nii.gz: label is 255"), "{error}");
    assert_eq!(target(Targets::Regions, "255=ET").unwrap(), 0b111);
    // A single label is the lesion: no meaning is guessed and no problem reported.
    let found = fingerprint(&Cohort::discover(patient.folder.path()).unwrap(), None).unwrap();
    assert!(found.label_meaning.is_none() && found.problems.is_empty(), "{:?}", found.problems);
    // Names of BraTS 2023 and later give even a single label a meaning: 4 is the resection cavity.
    let brats = tempfile::tempdir().unwrap();
    let folder = brats.path().join("BraTS-GLI-00000-100");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(patient.path("pet"), folder.join("BraTS-GLI-00000-100-t1c.nii.gz")).unwrap();
    relabelled(4);
    std::fs::copy(patient.path("seg"), folder.join("BraTS-GLI-00000-100-seg.nii.gz")).unwrap();
    let found = fingerprint(&Cohort::discover(brats.path()).unwrap(), None).unwrap();
    assert!(found.label_meaning.is_some_and(|meaning| meaning.contains("4=other") && meaning.contains("a guess")));
    // Several labels of a PET/CT cohort are not parts of a brain tumour.
    let labels: Vec<u8> = patient.label.iter().enumerate().map(|(n, l)| l as u8 * (1 + (n % 2) as u8)).collect();
    patient.write_mask(&LabelVolume::new(patient.label.grid.clone(), labels).unwrap());
    let found = fingerprint(&Cohort::discover(patient.folder.path()).unwrap(), None).unwrap();
    assert!(found.labels.len() == 2 && found.label_meaning.is_none(), "{found:?}");
    std::fs::rename(patient.path("pet"), patient.path("flair")).unwrap();
    let found = fingerprint(&Cohort::discover(patient.folder.path()).unwrap(), None).unwrap();
    assert!(found.label_meaning.is_some_and(|meaning| meaning.contains("BraTS up to 2021")));
    std::fs::rename(patient.path("flair"), patient.path("pet")).unwrap();
    relabelled(4);
    assert_eq!(target(Targets::Regions, "").unwrap(), 0b111, "BraTS up to 2021");
    assert_eq!(target(Targets::Regions, "1=NETC,2=SNFH,3=ET,4=RC").unwrap(), 0, "BraTS 2024");
}
