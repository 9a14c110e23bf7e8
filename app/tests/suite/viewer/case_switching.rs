//! Switching between cases: what is kept, what is dropped, and that patients are never confused.

use std::fs;
use std::path::{Path, PathBuf};

use amlp_viewer::command::{EditCommand, FileCommand, ViewCommand};
use amlp_viewer::scene::{Modality, Plane};
use amlp_viewer::state::{
    CasePlace, Dialog, Intent, MaskRole, Measure, MeasureKind, Mode, Notice, PathPurpose, Request, Severity,
};
use egui::{Event, Key};
use egui_kittest::kittest::Queryable as _;
use engine::volume::Grid;
use glam::DVec3;

use crate::phantom::{self, Files, hounsfield, straight, write_cohort, write_i16, write_mask};
use crate::window::*;

/// A cohort of two patients with the four sequences of BraTS.
fn write_sequences(folder: &Path) -> PathBuf {
    let root = folder.join("sequences");
    for patient in 1..=2 {
        let folder = root.join(format!("patient_{patient}"));
        fs::create_dir_all(&folder).unwrap();
        for (n, sequence) in ["flair", "t1", "t1ce", "t2"].into_iter().enumerate() {
            write_i16(&folder.join(format!("{sequence}.nii.gz")), &straight(), phantom::STORED, |at| {
                hounsfield(at) + patient + 10 * n as i16
            });
        }
    }
    root
}

fn ruler() -> EditCommand {
    let ends_mm = [DVec3::ZERO, DVec3::new(30.0, 40.0, 0.0)];
    EditCommand::AddMeasure(Box::new(Measure {
        kind: MeasureKind::Ruler,
        plane: Plane::Axial,
        ends_mm,
        statistics: None,
    }))
}

#[test]
fn a_segmentation_saved_beside_the_scan_is_loaded_with_it() {
    let files = Files::new();
    let folder = files.path("patient");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(&files.scan, folder.join("scan_a.nii.gz")).unwrap();
    let mut window = open_files(&[&folder]);
    assert!(document(&window).masks.is_empty());
    for name in ["scan_a_pred.nii.gz", "scan_a_pred_2.nii.gz"] {
        fs::copy(&files.prediction, folder.join(name)).unwrap();
        send(&mut window, Intent::UsePaths(PathPurpose::Folder.into(), vec![folder.clone()]));
        let document = document(&window);
        assert_eq!(document.images.len(), 1, "{name}");
        let segmentation = document.segmentation().unwrap();
        assert_eq!(segmentation.path.as_ref(), Some(&folder.join(name)));
        assert!(document.reference().is_none() && !document.is_unsaved());
    }
    // A third one gets a different proposed name.
    let request = state(&window).path_request(PathPurpose::SaveSegmentation);
    assert!(fs::exists(amlp_viewer::worker::save::proposed_path(state(&window), MaskRole::Segmentation)).unwrap());
    send(&mut window, Intent::Ask(request.purpose));
    let Some(Dialog::Path { text, .. }) = &state(&window).dialog else {
        println!("skipped: the proposed name is in a file dialog of this system");
        return;
    };
    assert!(text.ends_with("scan_a_pred_3.nii.gz"), "{text}");
}

#[test]
fn while_a_case_loads_the_previous_one_is_dimmed_and_both_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    // Large enough to be read for many frames, and not the next one, which is read ahead.
    let large = Grid::new([256, 256, 48], straight().world_from_voxel);
    write_i16(&root.join("patient_3/ct.nii.gz"), &large, phantom::STORED, |[i, j, k]| (i * 7 + j * 5 + k * 3) as i16);
    let mut window = open_files(&[&root]);
    window.state_mut().dispatch(Intent::StepCase(2));
    window.run_steps(2);
    assert_eq!(document(&window).title, "patient_1");
    let message = "Opening patient_3. Still shown: patient_1.";
    assert!(window.query_all_by_label_contains(message).next().is_some());
    settle(&mut window);
    assert_eq!(document(&window).title, "patient_3");
    assert!(window.query_all_by_label_contains("Still shown").next().is_none());
}

#[test]
fn two_presses_in_one_frame_are_two_steps() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let mut window = open_files(&[&root]);
    for pressed in [true, false, true, false] {
        let key = Key::ArrowDown;
        window.event(Event::Key { key, physical_key: None, pressed, repeat: false, modifiers: CTRL });
    }
    settle(&mut window);
    assert_eq!((open_place(&window), document(&window).title.as_str()), (Some(2), "patient_3"));
}

#[test]
fn a_folder_that_cannot_be_opened_keeps_the_open_cohort() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let empty = folder.path().join("empty");
    fs::create_dir_all(&empty).unwrap();
    let mut window = open_files(&[&root]);
    send(&mut window, Intent::UsePaths(PathPurpose::Folder.into(), vec![empty]));
    assert_eq!(errors(&window).len(), 1);
    assert_eq!((state(&window).cases.cases.len(), open_place(&window)), (3, Some(0)));
    assert_eq!(document(&window).title, "patient_1");
    press_with(&mut window, CTRL, Key::ArrowDown);
    assert_eq!(document(&window).title, "patient_2");
    // If a listed case cannot be read, the shown one stays highlighted.
    fs::write(root.join("patient_3/ct.nii.gz"), b"no scan").unwrap();
    press_with(&mut window, CTRL, Key::ArrowDown);
    assert_eq!((open_place(&window), document(&window).title.as_str()), (Some(1), "patient_2"));
}

#[test]
fn messages_about_a_case_are_dismissed_when_it_closes() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let mut window = open_files(&[&root]);
    let bad = folder.path().join("bad_seg.nii.gz");
    fs::write(&bad, b"no mask").unwrap();
    send(&mut window, Intent::open_paths(vec![bad]));
    let shown = |window: &Window| {
        state(window).notices.iter().filter(|n| n.severity == Severity::Error && !n.dismissed).count()
    };
    assert_eq!((shown(&window), errors(&window).len()), (1, 1));
    press_with(&mut window, CTRL, Key::ArrowDown);
    assert_eq!((shown(&window), errors(&window).len()), (0, 1), "the log keeps it");
}

#[test]
fn modality_layout_and_measurements_survive_a_change_of_case() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_sequences(folder.path());
    let mut window = open_files(&[&root]);
    let shown = |window: &Window| document(window).image().info.modality.clone();
    let t1ce = Modality::Mr("t1ce".into());
    let index = document(&window).images.iter().position(|image| image.info.modality == t1ce).unwrap();
    send(&mut window, ViewCommand::ShowImage(index));
    send(&mut window, ViewCommand::Fuse(Some(index + 1)));
    send(&mut window, ViewCommand::ToggleLinked);
    send(&mut window, ruler());
    let fused = |window: &Window| {
        let fused = state(window).session.view.fused.unwrap();
        document(window).images[fused].info.modality.clone()
    };
    press_with(&mut window, CTRL, Key::ArrowDown);
    assert_eq!(document(&window).title, "patient_2");
    assert_eq!((shown(&window), fused(&window)), (t1ce.clone(), Modality::Mr("t2".into())));
    assert!(state(&window).session.view.linked && state(&window).measures().is_empty());
    let names: Vec<String> = document(&window).images.iter().map(|image| image.name.clone()).collect();
    assert_eq!(names, ["MR FLAIR", "MR T1", "MR T1CE", "MR T2"], "in the order of the cohort");
    press_with(&mut window, CTRL, Key::ArrowUp);
    assert_eq!((document(&window).title.as_str(), shown(&window)), ("patient_1", t1ce));
    assert_eq!(state(&window).measures().len(), 1);
    assert!(has(&window, "1  Ruler, axial 50.0 mm"));
}

#[test]
fn a_path_and_enter_in_one_frame_are_accepted() {
    let files = Files::new();
    let mut window = open(&amlp_viewer::Args::default());
    send(&mut window, FileCommand::TypePath(PathPurpose::Files));
    window.get_by_label("Path").focus();
    settle(&mut window);
    window.event(Event::Text(files.scan.display().to_string()));
    window.key_press(Key::Enter);
    settle(&mut window);
    assert_eq!(document(&window).base().path(), files.scan);
}

#[test]
fn a_name_without_an_extension_is_saved_as_nifti() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    type_path(&mut window, PathPurpose::SaveSegmentation, &files.path("out"));
    assert_eq!(errors(&window), [""; 0]);
    assert!(files.path("out.nii.gz").is_file());
    assert_eq!(document(&window).segmentation().unwrap().path.as_ref(), Some(&files.path("out.nii.gz")));
}

#[test]
fn a_listed_case_opens_despite_an_unusable_mask() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let mut grid = straight();
    grid.world_from_voxel.translation.x += 0.6;
    write_mask(&root.join("patient_1/seg.nii.gz"), &grid, phantom::STORED, phantom::truth);
    let window = open_files(&[&root]);
    assert_eq!(document(&window).title, "patient_1");
    assert!(document(&window).reference().is_none());
    let unloaded = |window: &Window| -> Vec<_> {
        document(window).missing_masks().map(|mask| (mask.role, mask.remedy.is_some())).collect()
    };
    assert_eq!((state(&window).dialog.clone(), unloaded(&window)), (None, vec![(MaskRole::Reference, true)]));
    // One that cannot be read at all is named.
    fs::write(root.join("patient_1/seg.nii.gz"), b"no mask").unwrap();
    let window = open_files(&[&root]);
    assert!(document(&window).title == "patient_1" && document(&window).reference().is_none());
    assert!(errors(&window).len() == 1 && errors(&window)[0].contains("seg.nii.gz"), "{:?}", errors(&window));
    assert_eq!(unloaded(&window), [(MaskRole::Reference, false)]);
    // Messages about it end with the case, and name it.
    let mut window = window;
    let shown = |window: &Window| -> Vec<String> {
        state(window).notices.iter().filter(|notice| !notice.dismissed).map(Notice::heading).collect()
    };
    assert_eq!(shown(&window), ["patient_1: Cannot open seg.nii.gz"]);
    press_with(&mut window, CTRL, Key::ArrowDown);
    assert_eq!((document(&window).title.as_str(), shown(&window)), ("patient_2", Vec::new()));
}

/// The first patient of a new folder could not be read, and one of the last folder stayed beside the new list.
#[test]
fn a_patient_of_another_folder_never_stays_beside_the_list() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut window = open_files(&[&write_cohort(folder.path())]);
    let root = write_cohort(other.path());
    for file in fs::read_dir(root.join("patient_1")).unwrap().map(|file| file.unwrap().path()) {
        if !file.ends_with("seg.nii.gz") {
            fs::write(file, b"no scan").unwrap();
        }
    }
    send(&mut window, Intent::UsePaths(PathPurpose::Folder.into(), vec![root.clone()]));
    let now = state(&window);
    assert!(now.document.is_none() && now.cases.cases.len() == 3);
    assert!(now.failed.as_ref().is_some_and(|failed| failed.path.starts_with(&root)), "{:?}", now.failed);
    // Within one folder, the open patient stays.
    let [first, second] = [0, 1].map(|at| now.cases.cases[at].id);
    send(&mut window, Intent::OpenCase(second));
    assert!(state(&window).failed.is_none());
    send(&mut window, Intent::OpenCase(first));
    assert_eq!((document(&window).title.as_str(), state(&window).cases.open), ("patient_2", Some(second)));
}

#[test]
fn the_message_about_a_failed_opening_ends_when_another_file_opens() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let shown = |window: &Window| state(window).notices.iter().filter(|notice| !notice.dismissed).count();
    for (purpose, good) in [(PathPurpose::Files, &files.scan), (PathPurpose::Reference, &files.truth)] {
        let bad = files.path("bad.nii.gz");
        fs::write(&bad, b"nothing").unwrap();
        send(&mut window, Intent::UsePaths(purpose.into(), vec![bad]));
        assert_eq!(shown(&window), 1, "{:?}", state(&window).notices);
        send(&mut window, Intent::UsePaths(purpose.into(), vec![good.clone()]));
        assert_eq!(shown(&window), 0, "{:?}", state(&window).notices);
    }
}

#[test]
fn stepping_to_a_case_marks_only_it_and_shows_its_finding_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open_files(&[&write_cohort(folder.path())]);
    let id = |window: &Window, name: &str| {
        state(window).cases.cases.iter().find(|case| case.name == name).map(|case| case.id).unwrap()
    };
    for (key, name) in [(Key::ArrowDown, "patient_2"), (Key::ArrowUp, "patient_1")] {
        let before = document(&window).title.clone();
        window.key_press_modifiers(CTRL, key);
        loop {
            window.step();
            let now = &document(&window).title;
            let shown = state(&window).place_of(id(&window, now)) == CasePlace::Shown;
            let marked =
                state(&window).cases.cases.iter().filter(|case| state(&window).place_of(case.id) == CasePlace::Shown);
            assert!(shown && marked.count() == 1);
            if now == name {
                break;
            }
            // Until it arrives, the case before is dimmed.
            assert!(*now == before && state(&window).opening().is_some());
        }
        // In the first frame already.
        assert_eq!(state(&window).session.view.finding, Some(0), "{name}");
        settle(&mut window);
    }
}

#[test]
fn a_case_is_measured_even_if_the_next_one_cannot_be_opened() {
    let files = Files::new();
    let mut window = start(&args(&[&files.scan, &files.truth]), SIZE, None);
    wait_for(&mut window, |app| app.state().document.is_some());
    let bad = files.path("bad.nii.gz");
    fs::write(&bad, b"nothing").unwrap();
    window.state_mut().dispatch(Intent::Open(Box::new(Request { paths: vec![bad], ..Request::default() })));
    settle(&mut window);
    let list = document(&window).findings.as_ref().unwrap();
    assert!(list.values_of.is_some() && list.entries[0].values.is_some());
}

#[test]
fn the_width_of_a_panel_is_changed_by_dragging_and_kept() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let pane = rect(&window, "Axial");
    let edge = egui::pos2(pane.left() - 2.0, 300.0);
    drag(&mut window, edge, edge + egui::vec2(60.0, 0.0), egui::PointerButton::Primary, egui::Modifiers::NONE);
    let width = state(&window).session.settings.left_width;
    assert!((width - 278.0).abs() < 6.0, "{width}");
    assert!((rect(&window, "Axial").left() - pane.left() - 60.0).abs() < 6.0);
    assert_eq!(state(&window).session.mode, Mode::Review);
}
