//! Opening cases: command line, welcome screen, folders, frames, several images.

use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::command::FileCommand;
use amlp_viewer::state::{Mode, PathPurpose};
use amlp_viewer::theme::Theme;
use clap::Parser as _;
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, PointerButton};
use egui_kittest::kittest::Queryable as _;

use crate::phantom::{self, FRAMES, Files, moving, write_cohort, write_moving, write_pet};
use crate::window::*;

#[test]
fn the_command_line_determines_what_is_shown() {
    let files = Files::new();
    let [scan, mask, truth] = [&files.scan, &files.prediction, &files.truth].map(|p| p.display().to_string());
    let line = ["amlp-viewer", &scan, "--mask", &mask, "--truth", &truth, "--slice", "5", "--theme", "light"];
    let window = open(&Args::try_parse_from(line).unwrap());
    let report = report(&window);
    assert_eq!((report.mode, report.file.as_deref()), (Mode::Review, Some(&*scan)));
    assert_eq!(report.errors, [""; 0]);
    assert_eq!(report.panes.iter().map(|p| &*p.name).collect::<Vec<_>>(), ["Axial", "Sagittal", "Coronal", "MIP"]);
    assert_eq!(state(&window).session.settings.theme, Theme::Light);
    // Stored from head to feet along the third axis: slice 5 of 24 is the 19th from the feet.
    assert_eq!(report.crosshair.unwrap().voxel.unwrap()[2], 5);
    assert_eq!(report.panes[0].slice, Some(19));
    assert_eq!((report.window, report.level), (Some(350.0), Some(50.0)), "a CT by its name");
    assert!(report.slice_dice.is_some() && report.metrics.is_some());
    let document = document(&window);
    assert_eq!(document.segmentation().unwrap().path.as_ref(), Some(&files.prediction));
    assert_eq!(document.reference().unwrap().path.as_ref(), Some(&files.truth));
}

#[test]
fn masks_are_recognised_by_their_names() {
    let files = Files::new();
    let window = open_files(&[&files.truth, &files.prediction, &files.scan]);
    let document = document(&window);
    assert_eq!(document.base().path(), files.scan);
    assert_eq!(document.segmentation().unwrap().path.as_ref(), Some(&files.prediction));
    assert_eq!(document.reference().unwrap().path.as_ref(), Some(&files.truth));
}

#[test]
fn oblique_scans_have_two_letters_at_each_edge() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let letters = |window: &Window, pane: usize| {
        let l = report(window).panes[pane].letters.clone().unwrap();
        [l.left, l.right, l.top, l.bottom]
    };
    // The columns of the grid point to R (and less to I), A (and less to L), S (and less to A).
    assert_eq!(letters(&window, 0), ["RI", "LS", "AL", "PR"]);
    assert_eq!(letters(&window, 1), ["AL", "PR", "SA", "IP"]);
    assert_eq!(letters(&window, 2), ["RI", "LS", "SA", "IP"]);
    click(&mut window, "View options");
    click(&mut window, "Along the patient");
    assert_eq!(letters(&window, 0), ["R", "L", "A", "P"]);
    click(&mut window, "Right");
    assert_eq!(letters(&window, 0), ["L", "R", "A", "P"]);
}

#[test]
fn the_welcome_screen_opens_the_sample_study() {
    let mut window = open(&Args::default());
    assert!(has(&window, "Open files…") && has(&window, "Open folder…"));
    assert_eq!(report(&window).panes, []);
    click(&mut window, "Open sample study");
    let state = state(&window);
    assert!(state.cases.cases.len() > 10 && open_place(&window) == Some(0));
    assert!(state.cases.cases.iter().all(|case| case.thumbnail.is_some()));
    let report = report(&window);
    assert_eq!((report.errors.len(), report.panes.len()), (0, 4));
    assert!(!report.findings.is_empty(), "the sample's first case has a reference");
    // The largest finding is in the middle of the axial pane.
    assert_eq!(report.panes[0].slice, Some(report.findings[0].slice));
    assert_eq!(recent(&window).len(), 1);
}

#[test]
fn a_folder_of_patients_is_listed_and_stepped_through() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let mut window = open_files(&[&root]);
    let shown = |window: &Window| (open_place(window), document(window).title.clone());
    let case = |n: usize| (Some(n), format!("patient_{}", n + 1));
    assert_eq!(state(&window).cases.cases.len(), 3);
    assert!(state(&window).cases.cases.iter().all(|case| case.thumbnail.is_some() && !case.masks.is_empty()));
    assert_eq!(shown(&window), case(0));
    for (key, expected) in
        [(Key::ArrowUp, 0), (Key::ArrowDown, 1), (Key::ArrowDown, 2), (Key::ArrowDown, 2), (Key::ArrowUp, 1)]
    {
        press_with(&mut window, CTRL, key);
        assert_eq!(shown(&window), case(expected));
    }
    click(&mut window, "Case patient_3");
    assert_eq!(shown(&window), case(2));
    assert_eq!(errors(&window), [""; 0]);
    send(&mut window, FileCommand::FilterCases("_1".into()));
    assert!(has(&window, "Case patient_1") && !has(&window, "Case patient_2"));
}

/// Two folders were read as scans: "contains no DICOM image". An empty folder named NIfTI layouts alone.
#[test]
fn folders_that_cannot_be_opened_say_what_opens() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let [one, two] = ["patient_1", "patient_2"].map(|name| root.join(name));
    let why = |paths: &[&Path]| state(&open_files(paths)).failed.clone().unwrap().why;
    assert!(why(&[&one, &two]).contains("Open the folder that contains all patients"));
    assert!(why(&[&one, &two.join("ct.nii.gz")]).contains("A folder opens alone"));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(why(&[&empty]).ends_with("Folders of DICOM images open too."), "{}", why(&[&empty]));
    assert!(!why(&[&folder.path().join("none")]).contains("DICOM"));
}

#[test]
fn letter_keys_are_inactive_in_a_text_field() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let mut window = open_files(&[&root]);
    let before = (state(&window).session.view.clone(), state(&window).session.settings.opacity);
    window.get_by_label("Filter cases").focus();
    settle(&mut window);
    for (key, text) in [(Key::N, "n"), (Key::T, "t"), (Key::D, "d"), (Key::Num5, "5"), (Key::C, "c")] {
        window.key_down(key);
        window.event(Event::Text(text.into()));
        window.key_up(key);
    }
    settle(&mut window);
    assert_eq!(state(&window).cases.filter, "ntd5c");
    let view = &state(&window).session.view;
    assert_eq!((view.finding, view.crosshair, view.tool), (before.0.finding, before.0.crosshair, before.0.tool));
    assert_eq!((view.overlay, view.cine, state(&window).session.settings.opacity), (before.0.overlay, None, before.1));
    // With Ctrl a key does not type a letter.
    press_with(&mut window, CTRL, Key::K);
    assert!(has(&window, "Search actions"));
    press(&mut window, Key::Escape);
    press(&mut window, Key::Escape);
    press(&mut window, Key::N);
    assert_eq!(state(&window).session.view.finding, Some(1));
}

#[test]
fn the_frame_slider_shows_each_frame_of_a_4d_scan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("moving.nii.gz");
    write_moving(&path);
    let mut window = open_files(&[&path]);
    let value = |window: &Window| report(window).crosshair.unwrap().value.unwrap();
    let at = report(&window).crosshair.unwrap().voxel.unwrap();
    assert_eq!((document(&window).base().frames(), value(&window)), (FRAMES, f64::from(moving(0, at))));
    let contrast = (report(&window).window, report(&window).level);
    for frame in [4, 2] {
        let slider = window.get_by_role_and_label(Role::Slider, "Frame");
        slider.set_value_accesskit(frame as f64 + 1.0);
        settle(&mut window);
        assert_eq!((document(&window).base().frame, value(&window)), (frame, f64::from(moving(frame, at))));
    }
    assert_eq!((report(&window).window, report(&window).level), contrast, "contrast stays while frames go by");
    assert_eq!(errors(&window), [""; 0]);
}

#[test]
fn images_side_by_side_move_together() {
    let files = Files::new();
    let pet = files.path("scan_pet.nii.gz");
    write_pet(&pet);
    std::fs::write(files.path("scan_pet.json"), r#"{"Modality": "PT", "Units": "SUV"}"#).unwrap();
    let mut window = open_files(&[&files.scan, &pet, &files.truth]);
    assert_eq!(document(&window).images.len(), 2);
    press(&mut window, Key::M);
    let names = |window: &Window| report(window).panes.into_iter().map(|pane| pane.name).collect::<Vec<_>>();
    assert_eq!(names(&window), ["Axial 1", "Axial 2"]);
    let before = slices(&window);
    wheel(&mut window, "Axial 2", -3.0, Modifiers::NONE);
    assert_eq!(slices(&window), [before[0] - 3, before[1] - 3]);
    // The controls apply to the pane that was used last.
    let at = rect(&window, "Axial 2").center();
    drag(&mut window, at, at + egui::vec2(9.0, 4.0), PointerButton::Primary, Modifiers::NONE);
    let touched = report(&window);
    assert_eq!(touched.file, Some(pet.display().to_string()));
    assert_eq!((touched.window, touched.level), (Some(10.0), Some(5.0)), "SUV 0 to 10");
    click(&mut window, "Preset SUV 0-5");
    assert_eq!((report(&window).window, report(&window).level), (Some(5.0), Some(2.5)));
    let volume = &document(&window).images[1].volume;
    let crosshair = touched.crosshair.unwrap();
    assert_eq!(crosshair.value, Some(volume.value(crosshair.voxel.unwrap())));
    press(&mut window, Key::M);
    assert_eq!(names(&window).len(), 4);
    click(&mut window, "Image CT");
    let back = report(&window);
    assert_eq!(back.file, Some(files.scan.display().to_string()));
    assert_eq!((back.window, back.level), (Some(350.0), Some(50.0)), "each modality keeps its own");
    assert_eq!(back.crosshair.unwrap().world_mm, crosshair.world_mm);
}

#[test]
fn a_file_that_cannot_be_opened_is_named_and_can_be_retried() {
    let files = Files::new();
    let damaged = files.path("damaged_ct.nii");
    phantom::write_i16(&damaged, &phantom::straight(), phantom::STORED, phantom::hounsfield);
    let good = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &good[..good.len() / 2]).unwrap();
    let mut window = open_files(&[&damaged]);
    let report = report(&window);
    assert!(report.errors.len() == 1 && report.errors[0].contains("damaged_ct.nii"), "{:?}", report.errors);
    assert!(state(&window).shows_error() && report.panes.is_empty());
    std::fs::write(&damaged, &good).unwrap();
    click(&mut window, "Try again");
    assert!(!state(&window).shows_error());
    assert_eq!(document(&window).base().path(), damaged);
    // A bad file does not replace a good case.
    std::fs::write(files.path("bad_ct.nii"), b"no scan").unwrap();
    type_path(&mut window, PathPurpose::Files, &files.path("bad_ct.nii"));
    assert_eq!(document(&window).base().path(), damaged);
    assert!(errors(&window)[0].contains("bad_ct.nii"), "{:?}", errors(&window));
}
