//! A synthetic DICOM study: the CT, PET and mask of a patient of the sample study.

use std::path::{Path, PathBuf};

use engine::volume::dicom::{self, DataSet, Tag, Value, Vr, file_bytes};
use engine::volume::seg::{Algorithm, SegOptions, SourceSeries, Terms, write_seg};
use engine::volume::{LabelStyle, LabelTable, LabelVolume, Volume};
use glam::DVec3;

/// Text that identifies the patient and must not appear in any output.
pub const NAME: &str = "Doe^Jane";
/// [`NAME`] as displayed.
pub const SHOWN_NAME: &str = "Doe, Jane";
/// The patient's ID, which must not appear either.
pub const PATIENT_ID: &str = "QX-7731";
/// A series description, which must not appear either.
pub const DESCRIPTION: &str = "Whole body of Jane";

/// Colour of the label in the SEG.
pub const COLOUR: [u8; 3] = [230, 159, 0];

/// Content of a series to write.
pub struct SeriesSpec<'a> {
    pub number: usize,
    pub modality: &'a str,
    pub volume: &'a Volume,
    /// Rescale slope: a power of two.
    pub step: f64,
}

fn text(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.6}")).collect::<Vec<_>>().join("\\")
}

fn lps(v: DVec3) -> [f64; 3] {
    [-v.x, -v.y, v.z]
}

/// Writes a volume as one file per slice. `move_mm` shifts a slice along the stack.
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
pub fn write_mask(study: &Path, number: usize, mask: &LabelVolume, path: &Path) {
    let source = SourceSeries::of(&dicom::open(&dicom::with_series(study, &number.to_string())).unwrap()).unwrap();
    let lesion = LabelStyle { colour: Some(COLOUR), ..LabelStyle::named("Lesion") };
    let names = LabelTable { labels: [(1, lesion)].into() };
    let options = SegOptions { algorithm: Algorithm::Manual, terms: Terms::built_in(), description: "Lesions".into() };
    write_seg(path, std::slice::from_ref(mask), &names, &source, &options).unwrap();
}

/// The study of a patient of the sample: CT series 2, PET series 3, and a SEG of the PET.
pub fn write_study(root: &Path) -> PathBuf {
    let study = root.join("study");
    let patient = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample/STS_006");
    let read = |name: &str| Volume::read(&patient.join(name)).unwrap();
    let (ct, pet) = (read("ct.nii.gz"), read("pet.nii.gz"));
    let (mask, _) = LabelVolume::read_for(&patient.join("seg.nii.gz"), &pet).unwrap();
    write_series(&study.join("a"), &SeriesSpec { number: 2, modality: "CT", volume: &ct, step: 1.0 }, |_| 0.0);
    write_series(&study.join("b"), &SeriesSpec { number: 3, modality: "PT", volume: &pet, step: 1.0 / 1024.0 }, |_| {
        0.0
    });
    write_mask(&study, 3, &mask, &study.join("lesions.dcm"));
    study
}

/// Writes every file of a study into a zip archive, uncompressed. Readers that ask for checksums would refuse it.
pub fn zip_study(study: &Path, path: &Path) {
    let (mut out, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    let mut folders = vec![study.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
                continue;
            }
            let bytes = std::fs::read(&file).unwrap();
            let name = file.strip_prefix(study).unwrap().to_string_lossy().into_owned();
            let (offset, len) = (out.len() as u32, (bytes.len() as u32).to_le_bytes());
            // Version, flags, method, time and date, checksum, both sizes, lengths of the name and of what follows it.
            let names = (name.len() as u16).to_le_bytes();
            let head = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &len, &len, &names, &[0, 0]].concat();
            out.extend([b"PK\x03\x04", &head[..], name.as_bytes(), &bytes].concat());
            directory
                .extend([b"PK\x01\x02\x14\0", &head[..], &[0; 10], &offset.to_le_bytes(), name.as_bytes()].concat());
            count += 1;
        }
    }
    let (start, size, count) = (out.len() as u32, directory.len() as u32, count.to_le_bytes());
    out.extend(directory);
    out.extend(
        [b"PK\x05\x06\0\0\0\0", &count[..], &count, &size.to_le_bytes(), &start.to_le_bytes(), &[0, 0]].concat(),
    );
    std::fs::write(path, out).unwrap();
}
