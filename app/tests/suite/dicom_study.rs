//! A made-up study: the CT, the PET and the mask of the sample study's patient, as DICOM.

use std::path::{Path, PathBuf};

use engine::volume::dicom::{self, DataSet, Tag, Value, Vr, file_bytes};
use engine::volume::seg::{Algorithm, SegOptions, SourceSeries, Terms, write_seg};
use engine::volume::{LabelStyle, LabelTable, LabelVolume, Volume};
use glam::DVec3;

/// Text that identifies the patient and must not appear in any output.
pub const NAME: &str = "Doe^Jane";
/// The same as the window shows it.
pub const SHOWN_NAME: &str = "Doe, Jane";
/// The same.
pub const PATIENT_ID: &str = "QX-7731";
/// The same.
pub const DESCRIPTION: &str = "Whole body of Jane";

/// Colour of the label in the made-up SEG.
pub const COLOUR: [u8; 3] = [230, 159, 0];

/// What a series is written with.
pub struct SeriesSpec<'a> {
    pub number: usize,
    pub modality: &'a str,
    pub volume: &'a Volume,
    /// Value of one stored step: a power of two.
    pub step: f64,
}

fn text(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.6}")).collect::<Vec<_>>().join("\\")
}

fn lps(v: DVec3) -> [f64; 3] {
    [-v.x, -v.y, v.z]
}

/// Writes a volume as one file a slice; `move_mm` shifts a slice along the stack.
pub fn write_series(folder: &Path, made: &SeriesSpec<'_>, move_mm: impl Fn(usize) -> f64) {
    let SeriesSpec { number, modality, volume, step } = made;
    std::fs::create_dir_all(folder).unwrap();
    let [nx, ny, nz] = volume.grid.shape;
    let m = volume.grid.world_from_voxel.matrix3;
    let cosines = [lps(m.x_axis.normalize()), lps(m.y_axis.normalize())].concat();
    let along = m.z_axis.normalize();
    let [sx, sy, sz] = volume.grid.spacing_mm();
    for k in 0..nz {
        let mut data = DataSet::new();
        for (tag, value) in [
            (Tag::SPECIFIC_CHARACTER_SET, "ISO_IR 192"),
            (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2"),
            (Tag::SOP_INSTANCE_UID, &*format!("1.2.77.{number}.{k}")),
            (Tag::STUDY_INSTANCE_UID, "1.2.77"),
            (Tag::SERIES_INSTANCE_UID, &*format!("1.2.77.{number}")),
            (Tag::FRAME_OF_REFERENCE_UID, "1.2.77.0"),
            (Tag::SERIES_NUMBER, &*number.to_string()),
            (Tag::MODALITY, modality),
            (Tag::PATIENT_NAME, NAME),
            (Tag::PATIENT_ID, PATIENT_ID),
            (Tag::STUDY_DATE, "20240229"),
            (Tag::SERIES_DATE, "20240229"),
            (Tag::STUDY_DESCRIPTION, DESCRIPTION),
            (Tag::SERIES_DESCRIPTION, DESCRIPTION),
            (Tag::INSTANCE_NUMBER, &*(nz - k).to_string()),
            (Tag::IMAGE_POSITION_PATIENT, &*text(&lps(volume.grid.world([0, 0, k]) + along * move_mm(k)))),
            (Tag::IMAGE_ORIENTATION_PATIENT, &*text(&cosines)),
            (Tag::PIXEL_SPACING, &*text(&[sy, sx])),
            (Tag::SLICE_THICKNESS, &*format!("{sz:.4}")),
            (Tag::RESCALE_SLOPE, &*format!("{step}")),
            (Tag::RESCALE_INTERCEPT, "0"),
        ] {
            data.put_text(tag, value);
        }
        if *modality == "PT" {
            data.put_text(Tag::UNITS, "GML");
        }
        for (tag, value) in [
            (Tag::ROWS, ny),
            (Tag::COLUMNS, nx),
            (Tag::SAMPLES_PER_PIXEL, 1),
            (Tag::BITS_ALLOCATED, 16),
            (Tag::BITS_STORED, 16),
            (Tag::HIGH_BIT, 15),
            (Tag::PIXEL_REPRESENTATION, 1),
        ] {
            data.put_u16(tag, &[value as u16]);
        }
        let stored = |at: usize| (volume.value([at % nx, at / nx, k]) / step).round() as i16;
        let bytes = (0..nx * ny).flat_map(|at| stored(at).to_le_bytes()).collect();
        data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(bytes));
        std::fs::write(folder.join(format!("I{number}-{}", nz - k)), file_bytes(&data)).unwrap();
    }
}

/// Writes a mask of a series as SEG: label 1 is a lesion.
pub fn write_mask(place: &Path, number: usize, mask: &LabelVolume, path: &Path) {
    let source = SourceSeries::of(&dicom::open(&dicom::with_series(place, &number.to_string())).unwrap()).unwrap();
    let lesion = LabelStyle { colour: Some(COLOUR), ..LabelStyle::named("Lesion") };
    let names = LabelTable { labels: [(1, lesion)].into() };
    let options = SegOptions { algorithm: Algorithm::Manual, terms: Terms::built_in(), description: "Lesions".into() };
    write_seg(path, std::slice::from_ref(mask), &names, &source, &options).unwrap();
}

/// The study of a patient of the sample: CT series 2, PET series 3, and a SEG of the PET.
pub fn write_study(root: &Path) -> PathBuf {
    let place = root.join("study");
    let patient = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample/STS_006");
    let read = |name: &str| Volume::read(&patient.join(name)).unwrap();
    let (ct, pet) = (read("ct.nii.gz"), read("pet.nii.gz"));
    let (mask, _) = LabelVolume::read_for(&patient.join("seg.nii.gz"), &pet).unwrap();
    write_series(&place.join("a"), &SeriesSpec { number: 2, modality: "CT", volume: &ct, step: 1.0 }, |_| 0.0);
    write_series(&place.join("b"), &SeriesSpec { number: 3, modality: "PT", volume: &pet, step: 1.0 / 1024.0 }, |_| {
        0.0
    });
    write_mask(&place, 3, &mask, &place.join("lesions.dcm"));
    place
}
