//! A radiologist's workflow with a DICOM study: choose a series, fuse, overlay a segmentation, correct it, save it for
//! the archive, reopen it. The patient's identity must not leave the study.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use amlp_viewer::Args;
use amlp_viewer::command::{EditCommand, FileCommand, SeriesCommand};
use amlp_viewer::scene::{ColourMap, Evidence, Modality, Unit};
use amlp_viewer::state::{Dialog, Intent, MaskRole, PathPurpose, SeriesKind, Session};
use egui::{Color32, Key, Modifiers, PointerButton, vec2};
use egui_kittest::kittest::Queryable as _;
use engine::edit::Op;
use engine::edit::op::Seed;
use engine::volume::dicom::{self, DicomFile, Tag, Value, Vr, file_bytes};
use engine::volume::seg::{self, SourceSeries};
use engine::volume::{Grid, LabelVolume, Volume};

use super::edit_tools::paint;
use super::restart::again;
use crate::dicom_study::{
    COLOUR, DESCRIPTION, NAME, PATIENT_ID, SHOWN_NAME, SeriesSpec, write_series, write_study, zip_study,
};
use crate::phantom::{Files, straight};
use crate::window::*;

/// Opens a row of the list as with the keyboard.
fn enter(window: &mut Window, row: &str) {
    window.get_by_label(row).focus();
    settle(window);
    press(window, Key::Enter);
}

/// The list says "press Enter to open", but only a row that had been clicked opened.
#[test]
fn enter_opens_the_selected_series_of_a_new_list() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path());
    let mut window = open_files(&[&study]);
    let chosen = state(&window).series.as_ref().unwrap().chosen;
    assert!(chosen.is_some() && state(&window).document.is_none());
    press(&mut window, Key::Enter);
    assert_eq!(errors(&window), Vec::<String>::new());
    let series = state(&window).series.as_ref().unwrap();
    let open = series.series().find(|one| state(&window).is_open_series(one)).map(|one| one.id);
    assert_eq!(open, chosen);
}

#[test]
fn the_folders_of_two_series_open_as_images_of_one_patient() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path());
    let window = open_files(&[&study.join("a"), &study.join("b")]);
    assert_eq!(errors(&window), Vec::<String>::new());
    assert_eq!(document(&window).images.len(), 2);
}

/// The labels of the segmentation that are not background.
fn labelled(window: &Window) -> Vec<(usize, u16)> {
    let labels = document(window).segmentation().unwrap().labels.to_volume();
    labels.iter().enumerate().filter(|(_, label)| *label != 0).collect()
}

/// All text that the program would write or show.
fn all_output(window: &Window) -> String {
    let notices = state(window).notices.iter().map(|notice| format!("{}: {}\n", notice.heading(), notice.detail));
    let session = Session::of(state(window)).to_json().unwrap();
    let report = serde_json::to_string(&report(window)).unwrap();
    notices.chain([session, report]).collect()
}

/// The rows that are marked as open.
fn open_rows(window: &Window) -> Vec<String> {
    let list = state(window).series.as_ref().unwrap();
    list.series()
        .filter(|series| state(window).is_open_series(series))
        .map(amlp_viewer::state::ListedSeries::title)
        .collect()
}

#[track_caller]
fn assert_anonymous(text: &str) {
    for word in [NAME, "Doe", "Jane", PATIENT_ID, DESCRIPTION, "2024-02-29", "20240229"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[test]
fn a_study_can_be_fused_corrected_and_saved_as_seg() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path());
    let mut window = open_files(&[&study]);
    assert!(state(&window).document.is_none(), "several series: the user chooses");
    assert!(has(&window, "CT series 2") && has(&window, "PET series 3") && has(&window, "SEG series 1003"));
    let list = state(&window).series.as_ref().unwrap();
    assert!(list.series().filter(|series| series.stack().is_some()).all(|series| series.thumbnail.is_some()));

    enter(&mut window, "CT series 2");
    let ct = document(&window).base();
    assert_eq!((&ct.info.modality, &ct.info.unit), (&Modality::Ct, &Some(Unit::Hounsfield)));
    assert_eq!((document(&window).title.as_str(), ct.info.modality_from), ("CT series 2", Evidence::Dicom));

    click(&mut window, "Fuse CT and PET");
    let images = &document(&window).images;
    assert_eq!((images.len(), document(&window).shown, state(&window).session.view.fused), (2, 0, Some(1)));
    assert_eq!((&images[1].info.modality, &images[1].info.unit), (&Modality::Pet, &Some(Unit::Suv)));
    assert!(images.iter().all(|image| image.projection.is_some()));

    enter(&mut window, "SEG series 1003");
    assert_eq!(errors(&window), Vec::<String>::new());
    assert_eq!(document(&window).label_name(1), "Lesion");
    assert_eq!(document(&window).label_colour(1), Color32::from_rgb(COLOUR[0], COLOUR[1], COLOUR[2]));
    assert!(!document(&window).is_unsaved() && !labelled(&window).is_empty());

    send(&mut window, EditCommand::Apply(Box::new(Op::Relabel { from: 1, to: 2, seed: Seed::default() })));
    let corrected = labelled(&window);
    assert!(corrected.iter().all(|(_, label)| *label == 2) && document(&window).is_unsaved());
    let archive = std::fs::read(study.join("lesions.dcm")).unwrap();
    send(&mut window, FileCommand::Save);
    let Some(Dialog::Path { request, text }) = state(&window).dialog.clone() else { panic!("it asks for a file") };
    assert_eq!(request.purpose, PathPurpose::SaveSegmentation);
    assert!(text.ends_with("_pred.dcm") && Path::new(&text).parent() == Some(&study), "{text}");
    assert_anonymous(&text);
    press(&mut window, Key::Enter);
    let saved = Path::new(&text);
    assert_eq!((errors(&window), document(&window).is_unsaved()), (Vec::new(), false));
    assert!(std::fs::read(study.join("lesions.dcm")).unwrap() == archive, "the archive's file stays as it is");
    let file = DicomFile::open(saved).unwrap().data;
    assert_eq!(file.text(Tag::PATIENT_NAME).as_deref(), Some(NAME), "a SEG goes back to its patient");
    let made: Vec<_> =
        file.items(Tag::SEGMENT_SEQUENCE).iter().map(|item| item.text(Tag::SEGMENT_ALGORITHM_TYPE)).collect();
    assert_eq!(made.last().unwrap().as_deref(), Some("MANUAL"), "it was made by hand");
    assert_anonymous(&all_output(&window));
    assert_eq!(
        open_rows(&window),
        ["CT series 2", "PET series 3", "SEG series 1002"],
        "the saved file is in the views"
    );

    // Once more, to the same file.
    send(&mut window, EditCommand::Apply(Box::new(Op::Relabel { from: 2, to: 3, seed: Seed::default() })));
    send(&mut window, FileCommand::Save);
    assert_eq!((errors(&window), state(&window).dialog.is_none()), (Vec::new(), true));
    drop(window);

    let mut window = open_files(&[&study]);
    let list = state(&window).series.as_ref().unwrap();
    let overlays: Vec<_> = list.series().filter(|series| matches!(series.kind, SeriesKind::Overlay(Some(_)))).collect();
    let of: Vec<String> = overlays.iter().map(|series| list.image_of(series.id).unwrap().title()).collect();
    assert_eq!(of, ["CT series 2", "PET series 3"], "each with the images that it was made on, no earlier version");
    let newest = overlays[0].id;
    send(&mut window, Intent::OpenSeries(newest));
    assert_eq!(document(&window).title, "CT series 2");
    let voxels = |labels: &[(usize, u16)]| labels.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(voxels(&labelled(&window)), voxels(&corrected));
    assert!(labelled(&window).iter().all(|(_, label)| *label == 3));
    assert_anonymous(&all_output(&window));
}

#[test]
fn an_open_segmentation_stays_marked_when_another_of_its_number_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path());
    let mut window = open_files(&[&study]);
    enter(&mut window, "SEG series 1003");
    let archived = state(&window).series.as_ref().unwrap().series().last().unwrap().id;
    send(&mut window, SeriesCommand::OpenReference(archived));
    send(&mut window, EditCommand::Apply(Box::new(Op::Relabel { from: 1, to: 2, seed: Seed::default() })));
    type_path(&mut window, PathPurpose::SaveSegmentation, &study.join("corrected.dcm"));
    assert_eq!(errors(&window), Vec::<String>::new());
    assert_eq!(open_rows(&window), ["PET series 3", "SEG series 1003", "SEG series 1003"]);
    let reference = document(&window).reference().unwrap().path.clone().unwrap();
    assert!(dicom::open_overlay(&reference).is_ok(), "a restart finds it: {}", reference.display());
}

/// A file or folder that is dropped onto the window.
#[derive(Debug)]
struct DropSource(PathBuf);

impl egui::DroppedFile for DropSource {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("the program reads the path itself".into())
    }
}

#[test]
fn a_study_or_an_archive_dropped_onto_the_window_is_listed_and_fused() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path());
    let archive = folder.path().join("study.zip");
    zip_study(&study, &archive);
    for (dropped, proposed) in [(&study, &*study), (&archive, folder.path())] {
        let mut window = open(&Args::default());
        window.input_mut().dropped_files.push(Arc::new(DropSource(dropped.clone())));
        settle(&mut window);
        assert!(has(&window, "CT series 2") && has(&window, "SEG series 1003"), "{}", dropped.display());
        click(&mut window, "Fuse CT and PET");
        enter(&mut window, "SEG series 1003");
        assert_eq!(errors(&window), Vec::<String>::new());
        assert_eq!((document(&window).images.len(), state(&window).session.view.fused), (2, Some(1)));
        assert_eq!(open_rows(&window), ["CT series 2", "PET series 3", "SEG series 1003"]);
        // A correction is saved beside an archive, never into it.
        send(&mut window, EditCommand::Apply(Box::new(Op::Relabel { from: 1, to: 2, seed: Seed::default() })));
        send(&mut window, FileCommand::Save);
        let Some(Dialog::Path { text, .. }) = state(&window).dialog.clone() else { panic!("it asks for a file") };
        assert_eq!(Path::new(&text).parent(), Some(proposed));
    }
}

#[test]
fn an_aligned_series_dropped_on_a_view_is_added_to_the_open_images() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path());
    let mut window = open_files(&[&study]);
    enter(&mut window, "PET series 3");
    assert_eq!(document(&window).images.len(), 1);
    let (from, to) = (window.get_by_label("CT series 2").rect().center(), rect(&window, "Axial").center());
    drag(&mut window, from, to, PointerButton::Primary, Modifiers::NONE);
    assert_eq!((document(&window).images.len(), document(&window).shown), (2, 1));
    assert_eq!(document(&window).image().info.modality, Modality::Ct);
    // A second time it is only shown.
    let pet = state(&window).series.as_ref().unwrap().series().nth(1).unwrap().id;
    send(&mut window, SeriesCommand::Drop(pet));
    assert_eq!((document(&window).images.len(), document(&window).shown), (2, 0));
    assert_eq!(errors(&window), Vec::<String>::new());
    let new = again(&window);
    assert_eq!(state(&new).series.as_ref().map(|list| list.series().count()), Some(3), "the list comes back, too");
}

#[test]
fn small_values_of_monochrome1_are_bright() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let grid = Grid::new([12, 10, 4], straight().world_from_voxel);
    let volume = Volume::from_f32(grid, (0..480_u16).map(|at| f32::from(at * 7 % 300)).collect());
    for number in [2, 4] {
        write_series(
            &study.join(number.to_string()),
            &SeriesSpec { number, modality: "CT", volume: &volume, step: 1.0 },
            |_| 0.0,
        );
    }
    for entry in std::fs::read_dir(study.join("4")).unwrap() {
        let path = entry.unwrap().path();
        let file = DicomFile::open(&path).unwrap();
        let pixels = file.pixel_bytes(usize::MAX).unwrap();
        let mut data = file.data;
        data.put_text(Tag::PHOTOMETRIC_INTERPRETATION, "MONOCHROME1");
        data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(pixels));
        std::fs::write(&path, file_bytes(&data)).unwrap();
    }
    let mut window = open_files(&[&study]);
    let pictures: Vec<Vec<u8>> = {
        let list = state(&window).series.as_ref().unwrap();
        list.series().map(|series| series.thumbnail.as_ref().unwrap().pixels.clone()).collect()
    };
    assert_eq!(pictures[0], pictures[1].iter().map(|pixel| 255 - pixel).collect::<Vec<_>>());
    let grey = [ColourMap::Grey, ColourMap::GreyInverted];
    for (row, expected) in [("CT series 2", grey), ("CT series 4", [grey[1], grey[0]])] {
        enter(&mut window, row);
        let image = document(&window).image();
        assert_eq!(grey.map(|chosen| image.colours(chosen, false)), expected, "{row}");
        assert_eq!(image.colours(ColourMap::Hot, false), ColourMap::Hot);
        // Values do not change.
        assert_eq!(image.volume.value([3, 2, 1]), volume.value([3, 2, 1]).round(), "{row}");
    }
}

#[test]
fn slices_with_separate_series_are_listed_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let volume = Volume::from_f32(straight(), vec![1.0; straight().len()]);
    let nz = volume.grid.shape[2];
    for number in [7, 8] {
        let series = study.join(number.to_string());
        write_series(&series, &SeriesSpec { number, modality: "CT", volume: &volume, step: 1.0 }, |_| 0.0);
    }
    for (k, entry) in std::fs::read_dir(study.join("7")).unwrap().enumerate() {
        let path = entry.unwrap().path();
        let file = DicomFile::open(&path).unwrap();
        let pixels = file.pixel_bytes(usize::MAX).unwrap();
        let mut data = file.data;
        data.put_text(Tag::SERIES_INSTANCE_UID, &format!("1.2.77.7.{k}"));
        data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(pixels));
        std::fs::write(&path, file_bytes(&data)).unwrap();
    }
    let mut window = open_files(&[&study]);
    let list = state(&window).series.as_ref().unwrap();
    let rows: Vec<(String, usize)> = list.series().map(|series| (series.title(), series.files)).collect();
    assert_eq!(rows, [("CT series 7".to_owned(), nz), ("CT series 8".to_owned(), nz)]);
    let warnings = &list.series().next().unwrap().warnings;
    assert!(warnings.iter().any(|text| text.contains("joined")), "{warnings:?}");
    enter(&mut window, "CT series 7");
    assert_eq!((document(&window).base().volume.grid.shape, errors(&window)), (volume.grid.shape, Vec::new()));
}

#[test]
fn one_key_hides_the_patient() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path());
    let mut window = open_files(&[&study]);
    let shown = |window: &Window| {
        window.query_all_by_label_contains(SHOWN_NAME).count() + usize::from(has(window, DESCRIPTION))
    };
    assert!(shown(&window) > 0, "the list says whose studies these are");
    assert!(has(&window, "study"), "the name of the folder");
    press(&mut window, Key::H);
    assert_eq!(shown(&window), 0);
    assert!(has(&window, "Patient 1"));
    assert!(has(&window, "DICOM series") && !has(&window, "study"), "a folder is often named after its patient");
    enter(&mut window, "CT series 2");
    assert_eq!(shown(&window), 0);
    assert!(has(&window, "DICOM series") && !has(&window, "study"));
    press(&mut window, Key::H);
    assert!(window.query_all_by_label_contains(&format!("Patient {SHOWN_NAME}")).next().is_some(), "the banner");
}

#[test]
fn screenshots_and_the_demo_never_show_patient_data() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path());
    for args in [
        amlp_viewer::Args { screenshot: Some("a.png".into()), ..args(&[&study]) },
        amlp_viewer::Args { state: Some("a.json".into()), ..args(&[&study]) },
    ] {
        let window = open(&args);
        assert!(!state(&window).shows_patient());
        assert_eq!(window.query_all_by_label_contains("Doe").count(), 0);
    }
}

#[test]
fn a_folder_of_one_series_opens_at_once_and_a_nifti_image_has_no_seg() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::on(&straight());
    let volume = engine::volume::Volume::read(&files.scan).unwrap();
    let series = folder.path().join("one");
    write_series(&series, &SeriesSpec { number: 7, modality: "CT", volume: &volume, step: 1.0 }, |_| 0.0);
    let window = open_files(&[&series]);
    assert_eq!((document(&window).title.as_str(), state(&window).series.is_none()), ("CT series 7", true));
    drop(window);

    let mut window = open_files(&[&files.scan, &files.prediction]);
    type_path(&mut window, PathPurpose::SaveSegmentation, &folder.path().join("a.dcm"));
    let why = errors(&window).join("\n");
    assert!(why.contains("these images are NIfTI") && !folder.path().join("a.dcm").exists(), "{why}");
}

#[test]
fn an_uneven_stack_is_saved_as_nifti_and_a_seg_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::on(&straight());
    let volume = engine::volume::Volume::read(&files.scan).unwrap();
    let series = folder.path().join("uneven");
    let uneven = |k: usize| if k > 5 { 1.25 } else { 0.0 };
    write_series(&series, &SeriesSpec { number: 7, modality: "CT", volume: &volume, step: 1.0 }, uneven);
    let mut window = open_files(&[&series]);
    assert!(document(&window).dicom().unwrap().irregular.is_some());
    let messages: Vec<&str> = state(&window).notices.iter().map(|notice| notice.detail.as_str()).collect();
    assert!(
        messages.iter().any(|text| text.starts_with("series 7: slices are")),
        "a message says so on opening: {messages:?}"
    );
    assert!(document(&window).dicom().unwrap().uneven, "and on every view");
    press(&mut window, Key::B);
    let middle = rect(&window, "Axial").center();
    paint(&mut window, &[middle, middle + vec2(12.0, 0.0)]);
    assert!(!labelled(&window).is_empty());
    send(&mut window, FileCommand::SaveAs(MaskRole::Segmentation));
    let Some(Dialog::Path { text, .. }) = state(&window).dialog.clone() else { panic!("it asks for a file") };
    assert!(text.ends_with("_pred.nii.gz"), "{text}");
    type_path(&mut window, PathPurpose::SaveSegmentation, &folder.path().join("a.dcm"));
    let why = errors(&window).join("\n");
    assert!(why.contains("unevenly spaced") && why.contains("NIfTI"), "{why}");
    assert!(document(&window).is_unsaved() && !folder.path().join("a.dcm").exists());
}

#[test]
fn a_segmentation_without_its_images_asks_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path());
    let seg_file = study.join("lesions.dcm");
    let window = open_files(&[&seg_file]);
    assert!(errors(&window).join("\n").contains("open the image it belongs to first"), "{:?}", errors(&window));
    drop(window);
    // Over its images it is added.
    let mut window = open_files(&[&dicom::with_series(&study, "3")]);
    send(&mut window, Intent::open_paths(vec![seg_file.clone()]));
    assert_eq!(errors(&window), Vec::<String>::new());
    let stack = dicom::open(&dicom::with_series(&study, "3")).unwrap();
    let (expected, _) = seg::read(&seg_file, Some(&SourceSeries::of(&stack).unwrap())).unwrap().merged();
    let shown: LabelVolume = document(&window).segmentation().unwrap().labels.to_volume();
    assert!(shown.iter().eq(expected.iter()) && shown.iter().any(|label| label > 0));
}

/// Unpacks an archive of the public corpus; false with a printed line where that is not possible.
fn unpacked(archive: &Path, to: &Path) -> bool {
    let unpacked = Command::new("tar").arg("xJf").arg(archive).arg("-C").arg(to).output();
    let done = unpacked.is_ok_and(|output| output.status.success());
    if !done {
        println!("skipped: tar and xz cannot unpack {}", archive.display());
    }
    done
}

#[test]
fn every_series_of_the_public_corpus_is_opened_or_listed() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/dicom-series");
    let Ok(entries) = std::fs::read_dir(&corpus) else {
        println!("skipped: {} is absent", corpus.display());
        return;
    };
    let archives =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "xz"));
    for archive in archives {
        let folder = tempfile::tempdir().unwrap();
        if !unpacked(&archive, folder.path()) {
            continue;
        }
        let mut window = open_files(&[folder.path()]);
        let name = archive.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!((errors(&window), state(&window).failed.is_none()), (Vec::new(), true), "{name}");
        let listed = state(&window).series.as_ref();
        assert!(listed.is_some() || state(&window).document.is_some(), "{name}");
        let series = listed.map(|list| {
            let image = list.series().find(|series| series.stack().is_some()).unwrap().id;
            let overlay = list.series().find(|series| matches!(series.kind, SeriesKind::Overlay(Some(_))));
            (image, overlay.map(|overlay| overlay.id))
        });
        if let Some((image, overlay)) = series {
            for id in [Some(image), overlay].into_iter().flatten() {
                send(&mut window, Intent::OpenSeries(id));
                assert_eq!((errors(&window), state(&window).document.is_some()), (Vec::new(), true), "{name}");
            }
            assert!(overlay.is_none() || !labelled(&window).is_empty(), "{name}");
        }
        println!("{name}: {}", document(&window).title);
    }
}
