//! Reads SEG and RTSTRUCT files of other programs and of this one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use glam::{DAffine3, DMat3, DVec3};

use super::*;
use crate::volume::dicom::{DataSet, DicomFile, Tag, Value, Vr, file_bytes};
use crate::volume::{Grid, LabelStyle, MaskOptions};

#[path = "contours_tests.rs"]
mod contours;
#[path = "other_programs_tests.rs"]
mod other_programs;

/// A file of the corpus of whole series. If it does not exist, prints that the test is skipped.
fn corpus(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/dicom-series").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: ../shared/corpus/dicom-series/{name} is absent");
    None
}

fn unpack(archive: &Path, to: &Path) {
    let status = Command::new("tar").arg("xf").arg(archive).arg("-C").arg(to).status().unwrap();
    assert!(status.success(), "{}", archive.display());
}

/// The single-frame images of a folder, stacked by position.
fn source_of(folder: &Path) -> SourceSeries {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| DicomFile::open(&entry.unwrap().path()).unwrap());
    source_of_headers(files.map(|file| file.data).collect())
}

fn source_of_headers(headers: Vec<DataSet>) -> SourceSeries {
    let lps = |v: DVec3| DVec3::new(-v.x, -v.y, v.z);
    let position = |data: &DataSet| lps(DVec3::from_array(data.array(Tag::IMAGE_POSITION_PATIENT).unwrap()));
    let [a, b, c, d, e, f] = headers[0].array(Tag::IMAGE_ORIENTATION_PATIENT).unwrap();
    let [row_mm, column_mm] = headers[0].array::<2>(Tag::PIXEL_SPACING).unwrap();
    let (i, j) = (lps(DVec3::new(a, b, c)) * column_mm, lps(DVec3::new(d, e, f)) * row_mm);
    let normal = i.cross(j).normalize();
    let mut headers = headers;
    headers.sort_by(|a, b| position(a).dot(normal).total_cmp(&position(b).dot(normal)));
    let (first, last) = (position(&headers[0]), position(&headers[headers.len() - 1]));
    let step = (last - first) / (headers.len() - 1) as f64;
    let shape = [headers[0].count(Tag::COLUMNS).unwrap(), headers[0].count(Tag::ROWS).unwrap(), headers.len()];
    let grid = Grid::new(shape, DAffine3 { matrix3: DMat3::from_cols(i, j, step), translation: first });
    let image = |(k, header): (usize, DataSet)| SourceImage {
        k,
        instance: header.uid(Tag::SOP_INSTANCE_UID).unwrap().to_owned(),
        frame: None,
        position: position(&header),
        header: Arc::new(header),
    };
    SourceSeries {
        grid,
        series: headers[0].uid(Tag::SERIES_INSTANCE_UID).unwrap().to_owned(),
        frame_of_reference: headers[0].uid(Tag::FRAME_OF_REFERENCE_UID).map(str::to_owned),
        images: headers.into_iter().enumerate().map(image).collect(),
        irregular: None,
    }
}

/// Three oblique slices of 5 x 4 pixels of a patient with an umlaut.
fn made_source() -> SourceSeries {
    let headers = (0..3).map(|k: u8| {
        let mut data = DataSet::new();
        for (tag, text) in [
            (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2"),
            (Tag::SOP_INSTANCE_UID, &*format!("1.2.3.{k}")),
            (Tag::SERIES_INSTANCE_UID, "1.2.4"),
            (Tag::STUDY_INSTANCE_UID, "1.2.5"),
            (Tag::FRAME_OF_REFERENCE_UID, "1.2.6"),
            (Tag::PATIENT_NAME, "Müller^Ottokar"),
            (Tag::PATIENT_ID, "QX-7731"),
            (Tag::IMAGE_ORIENTATION_PATIENT, "0.8\\0.6\\0\\-0.6\\0.8\\0"),
            (Tag::PIXEL_SPACING, "0.7500\\0.50"),
            (Tag::SLICE_THICKNESS, "2"),
            (Tag::IMAGE_POSITION_PATIENT, &*format!("-10.50\\20.250\\{}.0", 3 * k)),
        ] {
            data.put_text(tag, text);
        }
        data.put_u16(Tag::ROWS, &[4]);
        data.put_u16(Tag::COLUMNS, &[5]);
        data
    });
    source_of_headers(headers.collect())
}

fn options() -> SegOptions {
    SegOptions {
        algorithm: Algorithm::SemiAutomatic("test network 1".into()),
        terms: Terms::built_in(),
        description: "Lesions".into(),
    }
}

fn table(names: &[(u16, &str, [u8; 3])]) -> LabelTable {
    let style = |&(label, name, colour): &(u16, &str, [u8; 3])| {
        (label, LabelStyle { colour: Some(colour), ..LabelStyle::named(name) })
    };
    LabelTable { labels: names.iter().map(style).collect() }
}

fn mask(source: &SourceSeries, label: impl Fn([usize; 3]) -> u16) -> LabelVolume {
    let [columns, rows, depth] = source.grid.shape;
    let voxels = (0..depth).flat_map(|k| (0..rows).flat_map(move |j| (0..columns).map(move |i| [i, j, k])));
    LabelVolume::new(source.grid.clone(), voxels.map(label).collect::<Vec<u16>>()).unwrap()
}

/// Runs `dciodvfy`, which must find no error.
fn validate(file: &Path) {
    let Ok(output) = Command::new("dciodvfy").arg("-new").arg(file).output() else {
        println!("skipped: dciodvfy is not installed");
        return;
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("Error")).collect();
    assert!(errors.is_empty(), "{}:\n{}", file.display(), errors.join("\n"));
}

#[test]
fn a_written_seg_is_read_back_bit_by_bit() {
    let (folder, source) = (tempfile::tempdir().unwrap(), made_source());
    let path = folder.path().join("seg.dcm");
    // Two overlapping labels in two masks, an empty label, a label without a name, and an empty slice in between.
    let first = mask(&source, |[i, j, k]| u16::from(k != 1 && (i + j).is_multiple_of(3)));
    let second = mask(&source, |[i, _, k]| if k == 2 && i > 1 { 4 } else { 0 });
    let names = table(&[(1, "Läsion", [230, 159, 0]), (2, "oedema", [10, 20, 30])]);
    let notes = write_seg(&path, &[first.clone(), second.clone()], &names, &source, &options()).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    validate(&path);
    for source in [Some(&source), None] {
        let actual = read(&path, source).unwrap();
        let grid = &actual.layers[0].grid;
        let at = |layer: usize| actual.layers[layer].clone().on_grid(&first.grid);
        assert_eq!((at(0), at(1), actual.layers.len()), (first.clone(), second.clone(), 2));
        assert!(source.is_none() || *grid == first.grid);
        let listed: Vec<_> = actual
            .segments
            .iter()
            .map(|s| (s.number, s.name.as_str(), s.voxels, s.kind.clone().unwrap().meaning))
            .collect();
        let voxels = [first.labelled_voxels(), second.labelled_voxels()];
        let lesion = || "Lesion".to_owned();
        let expected = [
            (1, "Läsion", voxels[0], lesion()),
            (2, "oedema", 0, "Edema".to_owned()),
            (3, "unused", 0, lesion()),
            (4, "Label 4", voxels[1], lesion()),
        ];
        assert_eq!(listed, expected);
        assert_eq!(actual.segments[0].colour, Some([230, 159, 0]));
        assert_eq!(actual.segments[0].algorithm.as_deref(), Some("test network 1"));
        let (merged, note) = actual.merged();
        let overlap = first.iter().zip(second.iter()).filter(|(a, b)| *a != 0 && *b != 0).count();
        // The smaller segment is whole, and the other one lacks what they share.
        let (small, large) = if voxels[0] < voxels[1] { (0, 1) } else { (1, 0) };
        let counts: BTreeMap<u16, usize> = merged.voxel_counts().into_iter().collect();
        let numbers = [&first, &second].map(|layer| layer.labels()[0]);
        assert_eq!(counts[&numbers[small]], voxels[small]);
        assert_eq!(counts[&numbers[large]], voxels[large] - overlap);
        let kept = format!("segment {} keeps {} of {}", numbers[large], voxels[large] - overlap, voxels[large]);
        assert!(note.as_ref().unwrap().contains(&kept), "{note:?}");
        assert_eq!(merged.labelled_voxels(), voxels[0] + voxels[1] - overlap);
    }
}

#[test]
fn a_seg_copies_patient_and_positions_from_its_source() {
    let (folder, source) = (tempfile::tempdir().unwrap(), made_source());
    let path = folder.path().join("seg.dcm");
    let label = mask(&source, |[i, _, k]| u16::from(k == 2 && i == 0));
    write_seg(&path, &[label], &LabelTable::default(), &source, &options()).unwrap();
    let data = DicomFile::open(&path).unwrap().data;
    assert_eq!(data.text(Tag::PATIENT_NAME).unwrap(), "Müller^Ottokar");
    assert_eq!(data.text(Tag::STUDY_INSTANCE_UID).unwrap(), "1.2.5");
    let shared = data.item(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).unwrap();
    let measures = shared.item(Tag::PIXEL_MEASURES_SEQUENCE).unwrap();
    assert_eq!(measures.texts(Tag::PIXEL_SPACING), ["0.7500", "0.50"]);
    assert_eq!(measures.text(Tag::SPACING_BETWEEN_SLICES).unwrap(), "3");
    let frames = data.items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    assert_eq!(frames.len(), 1, "empty frames are left out");
    let position = frames[0].item(Tag::PLANE_POSITION_SEQUENCE).unwrap();
    assert_eq!(position.texts(Tag::IMAGE_POSITION_PATIENT), ["-10.50", "20.250", "6.0"]);
    let series = data.item(Tag::REFERENCED_SERIES_SEQUENCE).unwrap();
    assert_eq!(series.items(Tag::REFERENCED_INSTANCE_SEQUENCE).len(), 3, "all images are referred to");
}

#[test]
fn a_seg_that_would_be_wrong_is_refused_with_the_reason() {
    let (folder, source) = (tempfile::tempdir().unwrap(), made_source());
    let path = folder.path().join("seg.dcm");
    let label = mask(&source, |[i, _, _]| u16::from(i == 0));
    let refused = |source: &SourceSeries, label: &LabelVolume| {
        let error =
            write_seg(&path, std::slice::from_ref(label), &LabelTable::default(), source, &options()).unwrap_err();
        assert!(!path.exists());
        error.to_string()
    };
    let tilted = SourceSeries { irregular: Some("the gantry is tilted by 18.5 degrees".into()), ..source.clone() };
    let error = refused(&tilted, &label);
    assert!(error.contains("tilted by 18.5 degrees") && error.contains("NIfTI"), "{error}");
    assert!(refused(&source, &mask(&source, |_| 0)).contains("the mask is empty"));
    let mut lost = source.clone();
    lost.images.retain(|image| image.k != 1);
    assert!(refused(&lost, &label).contains("slice 1 is labelled, but no image shows it"));
    let without = |tag: Tag| {
        let mut source = source.clone();
        for image in &mut source.images {
            let mut header = (*image.header).clone();
            header.put_text(tag, "");
            image.header = Arc::new(header);
        }
        source
    };
    assert!(refused(&without(Tag::FRAME_OF_REFERENCE_UID), &label).contains("no FrameOfReferenceUID"));
    let error = refused(&without(Tag::IMAGE_POSITION_PATIENT), &label);
    assert!(error.contains("(0020,0032)") && !error.contains("1.2.3."), "{error}");
}

#[test]
fn a_mask_on_another_grid_is_resampled_to_the_images() {
    let (folder, source) = (tempfile::tempdir().unwrap(), made_source());
    let path = folder.path().join("seg.dcm");
    let label = mask(&source, |[i, j, k]| u16::from(i > j && k > 0));
    let (ras, orientation) = source.grid.reoriented_to_ras();
    let flipped = label.clone().aligned(&ras, &MaskOptions::default(), "test", ["mask", "images"]).unwrap().0;
    assert_ne!(orientation, crate::volume::Orientation::IDENTITY);
    write_seg(&path, &[flipped], &LabelTable::default(), &source, &options()).unwrap();
    assert_eq!(read(&path, Some(&source)).unwrap().layers, std::slice::from_ref(&label));
    // Twice as fine: no voxel matches, so the nearest is used, with a note.
    let [x, y, z] = source.grid.spacing_mm();
    let fine = label.clone().on_grid(&source.grid.with_spacing([x / 2.0, y / 2.0, z]));
    let notes = write_seg(&path, &[fine], &LabelTable::default(), &source, &options()).unwrap();
    assert!(notes[0].contains("a different grid"), "{notes:?}");
    assert_eq!(read(&path, Some(&source)).unwrap().layers, [label]);
}

#[test]
fn frames_are_placed_by_image_then_by_position_with_a_note_on_another_grid() {
    let (folder, source) = (tempfile::tempdir().unwrap(), made_source());
    let path = folder.path().join("seg.dcm");
    let label = mask(&source, |[i, j, k]| u16::from(i > j && k > 0));
    write_seg(&path, std::slice::from_ref(&label), &LabelTable::default(), &source, &options()).unwrap();
    // Other images at the same places: the positions decide.
    let mut others = source.clone();
    others.images.iter_mut().for_each(|image| image.instance += ".9");
    assert_eq!(read(&path, Some(&others)).unwrap().layers, std::slice::from_ref(&label));
    // Images that moved by a slice after the SEG was made: its positions count.
    let mut renamed = source.clone();
    renamed.images[1].instance = "1.2.3.2".into();
    renamed.images[2].instance = "1.2.3.1".into();
    let result = read(&path, Some(&renamed)).unwrap();
    assert_eq!(result.layers, std::slice::from_ref(&label));
    assert!(result.notes[0].contains("2 frames reference an image at another position"), "{:?}", result.notes);
    // Images that are a part of a voxel away.
    let mut shifted = source.clone();
    shifted.grid.world_from_voxel.translation += source.grid.world_from_voxel.matrix3.x_axis * 0.3;
    shifted.images.iter_mut().for_each(|image| image.position += source.grid.world_from_voxel.matrix3.x_axis * 0.3);
    let result = read(&path, Some(&shifted)).unwrap();
    assert_eq!(result.notes, ["the frames are up to 0.30 voxels off the images, and take the nearest voxels"]);
    // A coarser source.
    let [x, y, z] = source.grid.spacing_mm();
    let coarse =
        SourceSeries { grid: source.grid.with_spacing([2.0 * x, 2.0 * y, z]), images: vec![], ..source.clone() };
    let result = read(&path, Some(&coarse)).unwrap();
    assert_eq!(result.layers[0].grid, coarse.grid);
    assert!(result.notes[0].contains("nearest"), "{:?}", result.notes);
    let elsewhere = SourceSeries { frame_of_reference: Some("1.9".into()), images: vec![], ..source };
    assert!(read(&path, Some(&elsewhere)).unwrap_err().to_string().contains("a different frame of reference"));
}

#[test]
fn a_repeated_segment_number_is_noted() {
    let (folder, source) = (tempfile::tempdir().unwrap(), made_source());
    let path = folder.path().join("seg.dcm");
    let label = mask(&source, |[i, _, _]| u16::from(i > 1));
    write_seg(&path, std::slice::from_ref(&label), &LabelTable::default(), &source, &options()).unwrap();
    let file = DicomFile::open(&path).unwrap();
    let pixels = file.pixel_bytes(usize::MAX).unwrap();
    let mut data = file.data;
    let segment = data.items(Tag::SEGMENT_SEQUENCE)[0].clone();
    data.put_items(Tag::SEGMENT_SEQUENCE, vec![segment.clone(), segment]);
    data.put(Tag::PIXEL_DATA, Vr::OB, Value::Bytes(pixels));
    std::fs::write(&path, file_bytes(&data)).unwrap();
    let result = read(&path, Some(&source)).unwrap();
    assert_eq!((result.layers, result.segments.len()), (vec![label], 1));
    assert!(result.notes[0].contains("(0062,0004)"), "{:?}", result.notes);
}

/// A SEG of the corpus, read by other programs: its segments as masks.
#[test]
fn segs_of_other_programs_equal_their_masks() {
    let Some(archive) = corpus("seg/ct-3slice.tar.xz") else { return };
    let folder = tempfile::tempdir().unwrap();
    unpack(&archive, folder.path());
    let source = source_of(&folder.path().join("ct-3slice"));
    for (name, labels, on_the_source) in
        [("made-gap", 1, true), ("made-overlap", 2, true), ("partial_overlaps", 5, false)]
    {
        let (Some(file), Some(_)) = (corpus(&format!("seg/{name}.dcm")), corpus("seg")) else { return };
        let actual = read(&file, on_the_source.then_some(&source)).unwrap();
        assert_eq!(actual.segments.len(), labels, "{name}");
        assert_eq!(actual.layers.len() > 1, labels > 1, "{name}");
        for label in 1..=labels as u16 {
            let expected = LabelVolume::read(&corpus(&format!("seg/{name}__{label}.nii.gz")).unwrap()).unwrap();
            let layer = actual.layers.iter().find(|layer| layer.labels().contains(&label)).unwrap();
            let own = LabelVolume::new(
                layer.grid.clone(),
                layer.mask(&[label]).iter().map(|&b| u8::from(b)).collect::<Vec<_>>(),
            );
            let [own, expected] = [own.unwrap(), expected].map(|mask| places(&mask));
            assert_eq!(own, expected, "{name} {label}");
        }
    }
    let empty = read(&corpus("seg/made-emptysegment.dcm").unwrap(), Some(&source)).unwrap();
    assert!(empty.segments.iter().any(|segment| segment.voxels == 0), "{:?}", empty.segments);
}

/// World positions of the labelled voxels in hundredths of a mm, sorted.
fn places(mask: &LabelVolume) -> Vec<[i64; 3]> {
    let [columns, rows, _] = mask.grid.shape;
    let inside = mask.iter().enumerate().filter(|(_, label)| *label != 0);
    let world =
        inside.map(|(index, _)| mask.grid.world([index % columns, index / columns % rows, index / columns / rows]));
    let mut all: Vec<[i64; 3]> = world.map(|p| (p * 100.0).round().to_array().map(|v| v as i64)).collect();
    all.sort_unstable();
    all
}

/// A SEG of [`made_source`] with other pixels: fractional or a label map, 8 bits each.
fn with_pixels(source: &SourceSeries, kind: &str, bytes: impl Fn([usize; 3]) -> u8, folder: &Path) -> PathBuf {
    let path = folder.join("seg.dcm");
    let whole = mask(source, |[_, _, _]| 1);
    write_seg(&path, &[whole], &table(&[(2, "second", [1, 2, 3])]), source, &options()).unwrap();
    let mut data = DicomFile::open(&path).unwrap().data;
    data.put_text(Tag::SEGMENTATION_TYPE, kind);
    if kind == "LABELMAP" {
        data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.66.7");
    }
    data.put_u16(Tag::MAXIMUM_FRACTIONAL_VALUE, &[200]);
    for (tag, value) in [(Tag::BITS_ALLOCATED, 8), (Tag::BITS_STORED, 8), (Tag::HIGH_BIT, 7)] {
        data.put_u16(tag, &[value]);
    }
    let [columns, rows, depth] = source.grid.shape;
    let voxels = (0..columns * rows * depth)
        .map(|index| bytes([index % columns, index / columns % rows, index / columns / rows]));
    data.put(Tag::PIXEL_DATA, Vr::OB, Value::Bytes(voxels.collect()));
    std::fs::write(&path, file_bytes(&data)).unwrap();
    path
}

#[test]
fn fractional_pixels_are_inside_from_half_the_maximum() {
    let (folder, source) = (tempfile::tempdir().unwrap(), made_source());
    let values = [0, 99, 100, 101, 200];
    let path = with_pixels(&source, "FRACTIONAL", |[i, _, _]| values[i], folder.path());
    let result = read(&path, Some(&source)).unwrap();
    assert_eq!(result.layers, [mask(&source, |[i, _, _]| u16::from(i >= 2))]);
    assert!(result.notes[0].contains("0.5 of the maximum 200"), "{:?}", result.notes);
}

#[test]
fn a_label_map_holds_segment_numbers() {
    let (folder, source) = (tempfile::tempdir().unwrap(), made_source());
    let path = with_pixels(&source, "LABELMAP", |[i, _, k]| ((i + k) % 3) as u8, folder.path());
    let result = read(&path, Some(&source)).unwrap();
    assert_eq!(result.layers, [mask(&source, |[i, _, k]| ((i + k) % 3) as u16)]);
    let path = with_pixels(&source, "LABELMAP", |[i, _, _]| i as u8, folder.path());
    let error = read(&path, Some(&source)).unwrap_err().to_string();
    assert!(error.contains("a pixel is 3, but no segment has this number"), "{error}");
}
