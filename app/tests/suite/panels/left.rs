//! Cases and layers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use amlp_viewer::command::{Command, FileCommand, OverlayCommand, ViewCommand};
use amlp_viewer::scene::{ColourMap, Modality, WindowLevel};
use amlp_viewer::state::view::Overlay;
use amlp_viewer::state::{
    CaseId, CaseList, CasePlace, FailedOpen, Intent, ListedCase, MaskRole, PathPurpose, Remedy, State, Thumbnail,
    UnloadedMask,
};
use amlp_viewer::worker;
use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::cohort::ImageFile;

use super::bench::{self, Bench, click, clicked, window};

/// A folder of cases, the first of which is open.
fn folder(count: usize) -> State {
    let case = |n: usize| ListedCase {
        id: CaseId(n as u64),
        name: format!("STS_{n:04}"),
        images: BTreeMap::from([("pet".to_owned(), ImageFile::new(PathBuf::from("/data/pet.nii.gz")))]),
        ..ListedCase::default()
    };
    let cases = (1..=count).map(case).collect();
    let root = Some(PathBuf::from("/data/cohort"));
    State { cases: CaseList { root, cases, open: Some(CaseId(1)), ..CaseList::default() }, ..State::default() }
}

#[test]
fn only_visible_cases_are_laid_out() {
    let mut state = folder(5000);
    state.cases.cases[1].thumbnail = Some(Arc::new(Thumbnail { size: [4, 3], pixels: vec![90; 12] }));
    state.cases.cases[2].error = Some("pet.nii.gz: the file ends early".into());
    let mut harness = window(Bench::new(state));
    assert!(harness.query_by_label("cohort").is_some());
    assert!(harness.query_by_label("5000").is_some());
    let rows = harness.query_all_by_role(Role::ListBoxOption).count();
    assert!(rows < 12, "{rows} rows");
    assert_eq!(clicked(&mut harness, "Case STS_0002"), Command::Intent(Intent::OpenCase(CaseId(2))));
    let broken = harness.get_by_label("Case STS_0003");
    assert_eq!(broken.accesskit_node().data().description(), Some("pet.nii.gz: the file ends early"));
    // A click on the open case does nothing.
    harness.state_mut().sent.clear();
    click(&mut harness, "Case STS_0001");
    assert_eq!(harness.state().sent, []);
}

#[test]
fn the_list_scrolls_to_the_open_case() {
    let mut harness = window(Bench::new(folder(5000)));
    harness.state_mut().state.cases.open = Some(CaseId(3211));
    harness.run();
    harness.run_steps(20);
    assert!(harness.query_by_label("Case STS_3211").is_some());
}

#[test]
fn the_list_marks_only_the_patient_in_the_views() {
    let mut state = folder(2);
    state.cases.open = Some(CaseId(2));
    let mut document = bench::document(vec![bench::image("pet", Modality::Pet)]);
    document.listed = Some(CaseId(1));
    state.document = Some(document);
    let states = |state: &State| [1, 2].map(|id| state.place_of(CaseId(id)));
    // Another one was chosen, and its job is not listed yet.
    assert_eq!(states(&state), [CasePlace::Shown, CasePlace::Other]);
    state.jobs = vec![bench::job(3, worker::open::SLOT, "Opening STS_0002", false)];
    assert_eq!(states(&state), [CasePlace::Shown, CasePlace::Opening]);
    state.document = None;
    assert_eq!(states(&state), [CasePlace::Other, CasePlace::Opening]);
    state.jobs.clear();
    assert_eq!(states(&state)[1], CasePlace::Shown, "its error is in the centre");
}

#[test]
fn an_unloaded_mask_is_listed_with_reason_and_remedy() {
    let mut state =
        State { document: Some(bench::document(vec![bench::image("ct", Modality::Ct)])), ..State::default() };
    let unloaded = UnloadedMask {
        role: MaskRole::Reference,
        files: vec!["/data/seg.nii.gz".into()],
        why: "The mask is on a different grid from the image: a corner differs by 0.21 mm.".into(),
        details: "in full".into(),
        remedy: Some(Remedy { resample: true, threshold: None }),
    };
    state.add_unloaded(unloaded.clone(), false);
    // The message is dismissed, and does not reappear when the case is reopened.
    state.notices[0].dismissed = true;
    state.add_unloaded(unloaded, false);
    assert_eq!(state.notices.len(), 1);
    let mut harness = window(Bench::new(state));
    assert!(harness.query_by_label("The reference seg.nii.gz is not loaded.").is_some());
    assert!(harness.query_by_label_contains("a corner differs by 0.21 mm").is_some());
    assert_eq!(clicked(&mut harness, "Resample reference"), Command::Intent(Intent::LoadMask(MaskRole::Reference)));
}

#[test]
fn the_list_can_be_filtered() {
    let mut harness = window(Bench::new(folder(300)));
    harness.get_by_label("Filter cases").focus();
    harness.run();
    harness.get_by_label("Filter cases").type_text("_0299");
    harness.run();
    assert_eq!(harness.state().state.cases.filter, "_0299");
    assert!(harness.query_by_label("Case STS_0001").is_none());
    assert_eq!(clicked(&mut harness, "Case STS_0299"), Command::Intent(Intent::OpenCase(CaseId(299))));
    harness.state_mut().state.cases.filter = "nobody".into();
    harness.run();
    assert!(harness.query_by_label("No case matches.").is_some());
}

#[test]
fn the_empty_list_offers_to_open_a_folder() {
    let mut harness = window(Bench::new(State::default()));
    assert_eq!(clicked(&mut harness, "Open folder…"), Command::Intent(Intent::Ask(PathPurpose::Folder)));
}

#[test]
fn loading_and_failed_cases_are_reported() {
    let jobs = vec![bench::job(3, worker::open::SLOT, "Opening scan.nii.gz", false)];
    let state = State { jobs, ..State::default() };
    let mut harness = window(Bench::new(state));
    assert!(harness.query_all_by_label("Opening scan.nii.gz").count() > 0);
    assert_eq!(clicked(&mut harness, "Cancel"), Command::File(FileCommand::CancelJob(3)));

    let (path, why) = (PathBuf::from("scan.nii.gz"), "not a NIfTI file".to_owned());
    let failed = Some(FailedOpen { retry: Intent::open_paths(vec![path.clone()]), path, why });
    let harness = window(Bench::new(State { failed, ..State::default() }));
    assert!(harness.query_by_label("The case could not be opened.").is_some());
}

#[test]
fn images_can_be_displayed_and_fused() {
    let images = vec![bench::image("ct", Modality::Ct), bench::image("pet", Modality::Pet)];
    let state = State { document: Some(bench::document(images)), ..State::default() };
    let mut harness = window(Bench::new(state));
    assert!(harness.query_by_label("Fuse ct").is_none(), "the shown image cannot lie over itself");
    assert_eq!(clicked(&mut harness, "Fuse pet"), Command::View(ViewCommand::Fuse(Some(1))));
    harness.get_by_label("Fusion").set_value_accesskit(30.0);
    harness.run();
    assert!((harness.state().state.session.view.fused_opacity - 0.3).abs() < 1e-6);
    click(&mut harness, "Fusion colours");
    click(&mut harness, "Hot");
    assert_eq!(harness.state().state.session.view.fused_colour_map, ColourMap::Hot);
    assert_eq!(clicked(&mut harness, "Fuse pet"), Command::View(ViewCommand::Fuse(None)));
    assert_eq!(clicked(&mut harness, "Image pet"), Command::View(ViewCommand::ShowImage(1)));
    assert!(harness.query_by_label("Fuse ct").is_some());
}

#[test]
fn the_window_of_a_fused_image_is_set_without_showing_it() {
    let images = vec![bench::image("ct", Modality::Ct), bench::image("pet", Modality::Pet)];
    let state = State { document: Some(bench::document(images)), ..State::default() };
    let mut harness = window(Bench::new(state));
    assert!(harness.query_by_label("Fusion window width").is_none());
    click(&mut harness, "Fuse pet");
    assert!(harness.query_by_label("Fusion window width").is_some());
    click(&mut harness, "Fusion preset SUV 0-5");
    let state = &harness.state().state;
    let document = state.document.as_ref().unwrap();
    let windows = [0, 1].map(|at| state.window_of(&document.images[at]));
    let ct = document.images[0].default_window;
    assert_eq!((document.shown, windows), (0, [ct, WindowLevel { width: 5.0, level: 2.5 }]));
}

#[test]
fn segmentation_and_reference_are_drawn_alone_or_compared() {
    let mut harness = window(bench::compared());
    assert_eq!(harness.state().state.session.view.overlay, Overlay::Comparison);
    assert_eq!(clicked(&mut harness, "Hide reference"), Command::Overlay(OverlayCommand::Show(Overlay::Segmentation)));
    assert_eq!(clicked(&mut harness, "Show reference"), Command::Overlay(OverlayCommand::Show(Overlay::Comparison)));
    let hidden = clicked(&mut harness, "Hide segmentation");
    assert_eq!(hidden, Command::Overlay(OverlayCommand::Show(Overlay::Reference)));
    assert!(harness.query_by_label("Show segmentation").is_some());
    // Hiding the last one hides everything; showing it restores the previous state.
    assert_eq!(clicked(&mut harness, "Hide reference"), Command::Overlay(OverlayCommand::ShowLabel(1, false)));
    assert!(harness.query_by_label("Show reference").is_some());
    click(&mut harness, "Show reference");
    assert!(harness.query_by_label("Hide reference").is_some());
    assert!(harness.state().state.session.view.hidden_labels.is_empty());
    assert_eq!(clicked(&mut harness, "Remove segmentation"), Command::Intent(Intent::RemoveSegmentation));
}

#[test]
fn labels_have_volumes_and_visibility_switches() {
    let mut state = bench::ct();
    let boxes = [([0, 0, 0], [5, 5, 4], 1), ([10, 10, 4], [14, 12, 6], 3)];
    state.document.as_mut().unwrap().set_mask(bench::mask(MaskRole::Reference, &boxes));
    let mut harness = window(Bench::new(state));
    assert!(harness.query_by_label("Label 2").is_none());
    assert_eq!(clicked(&mut harness, "Hide label 3"), Command::Overlay(OverlayCommand::ShowLabel(3, false)));
    assert_eq!(clicked(&mut harness, "Label 3"), Command::Overlay(OverlayCommand::ShowLabel(3, true)));
    let table = &harness.state().state.document.as_ref().unwrap().reference().unwrap().table;
    assert_eq!(table.iter().map(|entry| entry.value).collect::<Vec<_>>(), [1, 3]);
    assert!((table[0].volume_ml - 1.2).abs() < 1e-9, "100 voxels of 12 mm3");
}

#[test]
fn the_overlay_style_can_be_changed() {
    let mut harness = window(bench::compared());
    harness.get_by_label("Opacity").set_value_accesskit(80.0);
    harness.run();
    assert!((harness.state().state.session.settings.opacity - 0.8).abs() < 1e-6);
    assert_eq!(
        clicked(&mut harness, "Fill"),
        Command::Overlay(OverlayCommand::SetStyle { fill: false, outline: true })
    );
    assert_eq!(
        clicked(&mut harness, "Outline"),
        Command::Overlay(OverlayCommand::SetStyle { fill: false, outline: false })
    );
}

#[test]
fn masks_and_probability_maps_are_opened_from_the_layers() {
    let mut harness = window(Bench::new(bench::ct()));
    for (name, purpose) in [
        ("Open segmentation…", PathPurpose::Segmentation),
        ("Open reference…", PathPurpose::Reference),
        ("Open probability…", PathPurpose::Probability),
    ] {
        assert_eq!(clicked(&mut harness, name), Command::Intent(Intent::Ask(purpose)));
    }
}
