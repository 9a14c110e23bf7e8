#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use engine::edit::EditLabels;
use engine::volume::{Grid, LabelVolume, Volume};
use glam::DAffine3;

use super::*;
use crate::scene::{Evidence, ScanInfo, WindowLevel};
use crate::state::{CaseId, ImageLayer, MaskLayer, Source};

/// A case of four voxels with labels 0, 1, 1 and 3.
fn document() -> Document {
    let grid = Grid::new([4, 1, 1], DAffine3::IDENTITY);
    let volume = Volume::from_f32(grid.clone(), vec![0.0; 4]);
    let image = ImageLayer {
        source: Source::File("scan.nii".into()),
        name: "scan".into(),
        dicom: None,
        info: ScanInfo { modality: Modality::Other, modality_from: Evidence::Values, unit: None, unit_from: None },
        volume: Arc::new(volume),
        frame: 0,
        texture: None,
        range: None,
        default_window: WindowLevel { width: 1.0, level: 0.0 },
        projection: None,
    };
    let labels = LabelVolume::new(grid, vec![0_u8, 1, 1, 3]).unwrap();
    let mut document = Document::new(CaseId(1), None, "scan".into(), image);
    document.set_mask(MaskLayer::new(MaskRole::Segmentation, EditLabels::from_volume(&labels), 1));
    document
}

fn style(document: &mut Document, label: u16, style: LabelStyle) {
    document.masks[0].styles.labels.insert(label, style);
    document.name_labels();
}

#[test]
fn label_rows_use_the_table_and_include_labels_without_voxels() {
    let mut document = document();
    style(&mut document, 3, LabelStyle { colour: Some([1, 2, 3]), ..LabelStyle::named("core") });
    style(&mut document, 7, LabelStyle::named("to paint"));
    let rows = document.label_rows();
    let rows: Vec<_> = rows.iter().map(|row| (row.value, row.title(), row.volume_ml)).collect();
    assert_eq!(
        rows,
        [(1, "Label 1".into(), Some(0.002)), (3, "core".into(), Some(0.001)), (7, "to paint".into(), None)]
    );
    assert_eq!(document.label_colour(3), Color32::from_rgb(1, 2, 3));
    assert_eq!(document.label_colour(1), palette::label(1));
    assert_eq!((document.label_name(3), document.label_name(7)), ("core".into(), "to paint".into()));
    assert_eq!([0, 1, 3].map(|label| document.label_text(label)), ["no label", "label 1", "core"]);
    assert_eq!(document.masks[0].table[1].colour, Color32::from_rgb(1, 2, 3));
}

#[test]
fn the_volume_of_a_label_is_that_of_the_segmentation_even_if_it_has_no_voxels() {
    let mut document = document();
    let grid = Grid::new([4, 1, 1], DAffine3::IDENTITY);
    let reference = LabelVolume::new(grid, vec![5_u8, 5, 0, 0]).unwrap();
    document.set_mask(MaskLayer::new(MaskRole::Reference, EditLabels::from_volume(&reference), 2));
    let volume = |document: &Document| document.label_rows().iter().find(|row| row.value == 5).unwrap().volume_ml;
    assert_eq!(volume(&document), None);
    document.remove_mask(MaskRole::Segmentation);
    assert_eq!(volume(&document), Some(0.002));
}

#[test]
fn a_table_is_saved_only_if_it_has_content_and_with_every_colour() {
    let mut document = document();
    let save = |document: &Document, hidden: &[u16], locked: &[u16]| {
        document.table_to_save(MaskRole::Segmentation, &hidden.iter().copied().collect(), locked)
    };
    assert_eq!(save(&document, &[], &[]), None);
    assert_eq!(save(&document, &[9], &[]), None, "another case's label");
    let locked = save(&document, &[3], &[1]).unwrap().labels;
    assert_eq!((locked[&1].locked, locked[&1].visible), (true, true));
    assert_eq!((locked[&3].locked, locked[&3].visible), (false, false));
    style(&mut document, 1, LabelStyle::named("lesion"));
    let table = save(&document, &[], &[]).unwrap();
    let [red, green, blue, _] = palette::label(1).to_array();
    assert_eq!(table.labels[&1], LabelStyle { colour: Some([red, green, blue]), ..LabelStyle::named("lesion") });
    assert_eq!(table.labels[&3].name, "", "a made-up name is not a name");
}

#[test]
fn new_tables_hide_and_lock_labels_once() {
    let mut state = State { document: Some(document()), ..State::default() };
    let mask = &mut state.document.as_mut().unwrap().masks[0];
    mask.new_styles = true;
    mask.styles.labels.insert(1, LabelStyle { visible: false, locked: true, ..LabelStyle::default() });
    state.take_over_styles();
    assert_eq!((state.session.edit.locked.clone(), state.session.view.hidden_labels.contains(&1)), (vec![1], true));
    state.session.edit.locked.clear();
    state.take_over_styles();
    assert!(state.session.edit.locked.is_empty(), "what the user chose stays");
}
