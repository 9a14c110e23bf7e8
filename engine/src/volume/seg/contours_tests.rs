//! Contours of an RTSTRUCT become filled masks.

use super::*;

#[test]
fn an_rtstruct_is_filled_by_the_even_odd_rule() {
    let Some(archive) = corpus("suv-dro.tar.xz") else { return };
    let folder = tempfile::tempdir().unwrap();
    unpack(&archive, folder.path());
    let place = folder.path().join("DRO/DRO_0_0");
    let source = source_of(&place.join("PT"));
    let result = read(&place.join("RS/RS_dro_0_0.dcm"), Some(&source)).unwrap();
    assert_eq!((result.kind, result.segments.len()), (SegmentationKind::Rtstruct, 1));
    assert_eq!((result.segments[0].voxels, result.segments[0].colour), (174_690, Some([0, 128, 0])));
    let slices: std::collections::BTreeSet<usize> = result.layers[0]
        .iter()
        .enumerate()
        .filter(|(_, label)| *label != 0)
        .map(|(index, _)| index / (source.grid.shape[0] * source.grid.shape[1]))
        .collect();
    assert_eq!(slices.len(), 16);
    // Without given images, those in the sibling folder are found.
    let alone = read(&place.join("RS/RS_dro_0_0.dcm"), None).unwrap();
    assert_eq!(alone.layers[0].data, result.layers[0].data);
}

/// A structure set of these contours: (type, points in voxels of [`made_source`]).
fn structure_set(source: &SourceSeries, contours: &[(&str, Vec<[f64; 3]>)], folder: &Path) -> PathBuf {
    let contour = |(kind, points): &(&str, Vec<[f64; 3]>)| {
        let world = points.iter().map(|p| source.grid.world_from_voxel.transform_point3(DVec3::from_array(*p)));
        let numbers: Vec<String> = world.map(|p| format!("{:.4}\\{:.4}\\{:.4}", -p.x, -p.y, p.z)).collect();
        let mut item = DataSet::new();
        item.put_text(Tag::CONTOUR_GEOMETRIC_TYPE, kind);
        item.put_text(Tag::CONTOUR_DATA, &numbers.join("\\"));
        item
    };
    let (mut roi, mut named, mut data) = (DataSet::new(), DataSet::new(), DataSet::new());
    roi.put_text(Tag::REFERENCED_ROI_NUMBER, "7");
    roi.put_text(Tag::ROI_DISPLAY_COLOR, "255\\0\\16");
    roi.put_items(Tag::CONTOUR_SEQUENCE, contours.iter().map(contour).collect());
    named.put_text(Tag::ROI_NUMBER, "7");
    named.put_text(Tag::ROI_NAME, "GTV");
    named.put_text(Tag::REFERENCED_FRAME_OF_REFERENCE_UID, "1.2.6");
    data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.481.3");
    data.put_text(Tag::SOP_INSTANCE_UID, "1.2.77");
    data.put_text(Tag::MODALITY, "RTSTRUCT");
    data.put_items(Tag::STRUCTURE_SET_ROI_SEQUENCE, vec![named]);
    data.put_items(Tag::ROI_CONTOUR_SEQUENCE, vec![roi]);
    let path = folder.join("rs.dcm");
    std::fs::write(&path, file_bytes(&data)).unwrap();
    path
}

fn square(from: f64, to: f64, k: f64) -> Vec<[f64; 3]> {
    vec![[from, from, k], [to, from, k], [to, to, k], [from, to, k]]
}

/// A slice thickness of 1e-308 mm in a damaged header: the positions in voxels overflow.
#[test]
fn contours_on_a_slice_of_absurd_thickness_are_left_out() {
    let (folder, mut source) = (tempfile::tempdir().unwrap(), made_source());
    let path = structure_set(&source, &[("CLOSED_PLANAR", square(-0.5, 3.5, 1.0))], folder.path());
    source.images.truncate(1);
    source.grid.shape[2] = 1;
    source.grid.world_from_voxel.matrix3.z_axis *= 1e-308;
    let result = read(&path, Some(&source));
    assert!(result.is_err() || result.unwrap().segments[0].voxels == 0);
}

#[test]
fn contours_make_holes_only_within_their_plane() {
    let (folder, source) = (tempfile::tempdir().unwrap(), made_source());
    let contours = [
        ("CLOSED_PLANAR", square(-0.5, 3.5, 1.0)),
        ("CLOSED_PLANAR", square(0.5, 2.5, 1.0)),
        // Between slices 1 and 2, nearer to 1, which has a still nearer plane.
        ("CLOSED_PLANAR", square(-0.5, 3.5, 1.3)),
        ("CLOSED_PLANAR", square(-0.5, 0.5, 9.0)),
        ("POINT", vec![[0.0, 0.0, 0.0]]),
        ("CLOSED_PLANAR", vec![[0.0, 0.0, 0.0], [3.0, 3.0, 0.0]]),
        ("CLOSED_PLANAR", vec![[2.0, 2.0, 0.0]]),
        ("CLOSED_PLANAR", vec![[0.0, 0.0, 0.0], [1.0, 0.0, 2.0], [1.0, 1.0, 0.0]]),
    ];
    let path = structure_set(&source, &contours, folder.path());
    let actual = read(&path, Some(&source)).unwrap();
    let expected = mask(&source, |[i, j, k]| {
        let (edge, hole) = (i < 4, (1..=2).contains(&i) && (1..=2).contains(&j));
        u16::from(k == 1 && edge && !hole)
    });
    assert_eq!(actual.layers, [expected]);
    assert_eq!((actual.segments[0].name.as_str(), actual.segments[0].colour), ("GTV", Some([255, 0, 16])));
    let without_area = "2 contours are left out: fewer than three points enclose no area";
    for part in
        ["1 POINT contour is left out", without_area, "drawn across", "another plane is closer", "outside the images"]
    {
        assert!(actual.notes.iter().any(|note| note.contains(part)), "{part}: {:?}", actual.notes);
    }
    let elsewhere = SourceSeries { frame_of_reference: Some("1.9".into()), ..source.clone() };
    assert!(read(&path, Some(&elsewhere)).unwrap_err().to_string().contains("a different frame of reference"));

    // A structure set on two scans: the region of the other one has no place here.
    let mut data = DicomFile::open(&path).unwrap().data;
    let mut named = data.items(Tag::STRUCTURE_SET_ROI_SEQUENCE).to_vec();
    named.push(named[0].clone());
    named[1].put_text(Tag::ROI_NUMBER, "8");
    named[1].put_text(Tag::REFERENCED_FRAME_OF_REFERENCE_UID, "1.9");
    data.put_items(Tag::STRUCTURE_SET_ROI_SEQUENCE, named);
    let mut drawn = data.items(Tag::ROI_CONTOUR_SEQUENCE).to_vec();
    drawn.push(drawn[0].clone());
    drawn[1].put_text(Tag::REFERENCED_ROI_NUMBER, "8");
    data.put_items(Tag::ROI_CONTOUR_SEQUENCE, drawn);
    std::fs::write(&path, file_bytes(&data)).unwrap();
    let both = read(&path, Some(&source)).unwrap();
    assert_eq!(both.layers, actual.layers);
    assert!(
        both.notes.iter().any(|note| note.starts_with("1 region is left out: drawn in a different frame of reference")),
        "{:?}",
        both.notes
    );
}

#[test]
fn skipped_slices_and_incomplete_contours_are_noted() {
    let (folder, source) = (tempfile::tempdir().unwrap(), made_source());
    let contours = [0.0, 2.0].map(|k| ("CLOSED_PLANAR", square(-0.5, 3.5, k)));
    let path = structure_set(&source, &contours, folder.path());
    let result = read(&path, Some(&source)).unwrap();
    assert_eq!(result.layers, [mask(&source, |[i, j, k]| u16::from(k % 2 == 0 && k < 3 && i < 4 && j < 4))]);
    assert_eq!(result.notes.len(), 1, "{:?}", result.notes);
    assert!(result.notes[0].contains("1 region has no contours on neighbouring slices"), "{:?}", result.notes);

    let mut data = DicomFile::open(&path).unwrap().data;
    let mut roi = data.items(Tag::ROI_CONTOUR_SEQUENCE)[0].clone();
    let mut items = roi.items(Tag::CONTOUR_SEQUENCE).to_vec();
    let mut numbers = items[0].texts(Tag::CONTOUR_DATA);
    numbers.pop();
    items[0].put_text(Tag::CONTOUR_DATA, &numbers.join("\\"));
    roi.put_items(Tag::CONTOUR_SEQUENCE, items);
    data.put_items(Tag::ROI_CONTOUR_SEQUENCE, vec![roi]);
    std::fs::write(&path, file_bytes(&data)).unwrap();
    let result = read(&path, Some(&source)).unwrap();
    assert_eq!(result.layers, [mask(&source, |[i, j, k]| u16::from(k == 2 && i < 4 && j < 4))]);
    let note = "1 contour is left out: a coordinate is missing or not a number";
    assert_eq!(result.notes, [note]);

    // Without its three texts that are not numbers the contour would have another shape.
    let mut roi = data.items(Tag::ROI_CONTOUR_SEQUENCE)[0].clone();
    let mut items = roi.items(Tag::CONTOUR_SEQUENCE).to_vec();
    let mut numbers = items[1].texts(Tag::CONTOUR_DATA);
    numbers[..3].fill("x".to_owned());
    items[0].put_text(Tag::CONTOUR_DATA, &numbers.join("\\"));
    roi.put_items(Tag::CONTOUR_SEQUENCE, items);
    data.put_items(Tag::ROI_CONTOUR_SEQUENCE, vec![roi]);
    std::fs::write(&path, file_bytes(&data)).unwrap();
    assert_eq!(read(&path, Some(&source)).unwrap().notes, [note]);
}
