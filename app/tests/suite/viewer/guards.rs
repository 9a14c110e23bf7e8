//! Answers, results and saves apply only to the case and revision of their request.

use std::path::{Path, PathBuf};

use amlp_viewer::Args;
use amlp_viewer::command::{Command, FileCommand, ViewCommand, actions, dispatch};
use amlp_viewer::scene::{Convention, Modality, PlaneMode, Unit};
use amlp_viewer::state::{
    Dialog, ImageLayer, Intent, MaskLayer, MaskRole, Mode, PathPurpose, PathRequest, State, ToolKind,
};
use amlp_viewer::worker::dialog::{Answer, answered};
use amlp_viewer::worker::{Jobs, dialog, edit as edits};
use egui::Key;
use egui_kittest::kittest::Queryable as _;
use engine::edit::{Delta, EditLabels, VoxelBox};
use engine::volume::{LabelData, LabelVolume, Volume};
use glam::DVec3;

use crate::phantom::{Files, write_pet};
use crate::window::*;

/// The file dialog that was opened for `request` ends with these paths.
fn answer(window: &mut Window, request: PathRequest, answer: Answer) {
    let (state, _) = window.state_mut().parts();
    answered(state, request, answer);
    settle(window);
}

/// Changes one voxel of the segmentation, as an edit does.
fn edit(window: &mut Window) -> LabelVolume {
    let (state, jobs) = window.state_mut().parts();
    let before = state.document.as_ref().unwrap().segmentation().unwrap().labels.clone();
    let mut labels = before.to_volume();
    let LabelData::U8(voxels) = &mut labels.data else { panic!("small labels") };
    voxels[0] ^= 1;
    edits::commit(state, jobs, "One voxel", &Delta::between(&before, &EditLabels::from_volume(&labels)));
    labels
}

fn saved(path: &Path) -> LabelVolume {
    LabelVolume::read(path).unwrap()
}

/// Another case with a segmentation of its own.
fn other_case(files: &Files) -> [PathBuf; 2] {
    let paths = [files.path("other_ct.nii.gz"), files.path("other_pred.nii.gz")];
    std::fs::copy(&files.scan, &paths[0]).unwrap();
    std::fs::copy(&files.truth, &paths[1]).unwrap();
    paths
}

#[test]
fn an_answer_for_a_closed_case_is_refused() {
    let files = Files::new();
    let [other_scan, other_mask] = other_case(&files);
    let purposes = [
        (PathPurpose::SaveSegmentation, files.path("named_on_a.nii.gz")),
        (PathPurpose::MaskingPicture, files.path("named_on_a.png")),
        (PathPurpose::MaskingTable, files.path("named_on_a.csv")),
        (PathPurpose::Segmentation, files.prediction.clone()),
        (PathPurpose::Reference, files.truth.clone()),
        (PathPurpose::Probability, files.prediction.clone()),
    ];
    for (purpose, chosen) in purposes {
        let mut window = open_files(&[&files.scan, &files.prediction]);
        let request = state(&window).path_request(purpose);
        send(&mut window, Intent::open_paths(vec![other_scan.clone(), other_mask.clone()]));
        let before = document(&window).segmentation().unwrap().labels.clone();
        let existed = chosen.exists();
        answer(&mut window, request, Answer::Chosen(vec![chosen.clone()]));
        let messages = errors(&window);
        assert!(messages.len() == 1 && messages[0].contains("another case"), "{purpose:?}: {messages:?}");
        assert_eq!(chosen.exists(), existed, "{purpose:?}");
        let now = document(&window);
        assert_eq!(now.segmentation().unwrap().labels, before, "{purpose:?}");
        assert!(now.reference().is_none() && now.probability.is_none(), "{purpose:?}");
    }
}

#[test]
fn an_export_of_a_closed_case_does_not_ask_to_overwrite() {
    let files = Files::new();
    let path = files.path("findings.csv");
    std::fs::write(&path, "kept").unwrap();
    let mut window = open_files(&[&files.scan, &files.truth]);
    let request = state(&window).path_request(PathPurpose::FindingsTable);
    let export = Intent::UsePaths(request, vec![path.clone()]);
    window.state_mut().dispatch(export.clone());
    window.state_mut().dispatch(Intent::CloseCase);
    settle(&mut window);
    assert_eq!(state(&window).dialog, None);
    let messages = errors(&window);
    assert!(messages.len() == 1 && messages[0].contains("shows something else"), "{messages:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
    // With the case open it asks.
    let mut window = open_files(&[&files.scan, &files.truth]);
    let request = state(&window).path_request(PathPurpose::FindingsTable);
    send(&mut window, Intent::UsePaths(request.clone(), vec![path.clone()]));
    assert_eq!(state(&window).dialog, Some(Dialog::Overwrite { request, path }));
}

/// The numbers of the slice that was shown by then were written under the name proposed for the other one.
#[test]
fn an_export_of_another_slice_is_refused() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let request = state(&window).path_request(PathPurpose::MaskingTable);
    let path = files.path("slice.csv");
    let grid = &document(&window).base().volume.grid;
    let below = state(&window).session.view.crosshair - DVec3::Z * 2.0 * grid.spacing_mm()[2];
    send(&mut window, ViewCommand::MoveCrosshair(below));
    answer(&mut window, request, Answer::Chosen(vec![path.clone()]));
    let messages = errors(&window);
    assert!(messages.len() == 1 && messages[0].contains("another slice"), "{messages:?}");
    assert!(!path.exists());
}

/// Resolving them accessed the disk on the window's thread.
#[test]
fn typed_dots_are_resolved_by_a_job() {
    let files = Files::new();
    std::fs::create_dir(files.path("sub")).unwrap();
    let mut window = open(&Args::default());
    let typed = files.path("sub").join("..").join(files.scan.file_name().unwrap());
    window.state_mut().dispatch(FileCommand::UsePath(PathPurpose::Files.into(), typed));
    assert!(window.state().jobs().runs(dialog::SLOT));
    settle(&mut window);
    assert_eq!(document(&window).base().path(), files.scan.canonicalize().unwrap());
}

#[test]
fn an_answer_for_a_segmentation_that_changed_is_refused() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let request = state(&window).path_request(PathPurpose::SaveSegmentation);
    edit(&mut window);
    let path = files.path("late.nii.gz");
    answer(&mut window, request, Answer::Chosen(vec![path.clone()]));
    assert!(errors(&window).len() == 1 && errors(&window)[0].contains("changed"), "{:?}", errors(&window));
    assert!(!path.exists() && document(&window).is_unsaved());
}

#[test]
fn a_case_that_loads_late_does_not_replace_unsaved_work() {
    let files = Files::new();
    let [other_scan, _] = other_case(&files);
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let open = Intent::open_paths(vec![other_scan.clone()]);
    window.state_mut().dispatch(open.clone());
    // While it is read, the segmentation changes.
    let labels = edit(&mut window);
    settle(&mut window);
    assert_eq!(document(&window).base().path(), files.scan);
    assert_eq!(document(&window).segmentation().unwrap().labels.to_volume(), labels);
    assert_eq!(state(&window).dialog, Some(Dialog::Unsaved { next: open }));
    click(&mut window, "Cancel");
    assert_eq!(document(&window).base().path(), files.scan);
    send(&mut window, Intent::open_paths(vec![other_scan.clone()]));
    send(&mut window, FileCommand::Discard);
    assert_eq!(document(&window).base().path(), other_scan, "asked once, then opened");
}

#[test]
fn opening_a_typed_path_asks_before_discarding_unsaved_work() {
    let files = Files::new();
    let [other_scan, _] = other_case(&files);
    let mut window = open_files(&[&files.scan, &files.prediction]);
    edit(&mut window);
    type_path(&mut window, PathPurpose::Files, &other_scan);
    let dialog = state(&window).dialog.clone();
    assert!(matches!(dialog, Some(Dialog::Unsaved { next: Intent::UsePaths(..) })), "{dialog:?}");
    assert_eq!(document(&window).base().path(), files.scan);
    send(&mut window, FileCommand::Discard);
    assert_eq!(document(&window).base().path(), other_scan);
}

#[test]
fn the_caret_is_at_the_end_of_a_proposed_path() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let type_text = |window: &mut Window, text: &str| {
        window.get_by_label("Path").focus();
        settle(window);
        window.get_by_label("Path").type_text(text);
        settle(window);
    };
    send(&mut window, FileCommand::TypePath(PathPurpose::Files));
    type_text(&mut window, "/ab");
    click(&mut window, "Cancel");
    let request = state(&window).path_request(PathPurpose::SaveSegmentation);
    answer(&mut window, request.clone(), Answer::NoDialog(PathBuf::from("/scans/ct_pred.nii")));
    type_text(&mut window, ".gz");
    let expected = Dialog::Path { request, text: "/scans/ct_pred.nii.gz".into() };
    assert_eq!(state(&window).dialog, Some(expected));
}

#[test]
fn changes_made_during_a_save_stay_unsaved() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let first = edit(&mut window);
    let path = files.path("edited_pred.nii.gz");
    let request = state(&window).path_request(PathPurpose::SaveSegmentation);
    window.state_mut().dispatch(Intent::UsePaths(request, vec![path.clone()]));
    let second = edit(&mut window);
    settle(&mut window);
    assert_eq!(saved(&path).data, first.data);
    assert!(first != second && document(&window).is_unsaved(), "the file has its earlier content");
    press_with(&mut window, CTRL, Key::S);
    assert_eq!(saved(&path).data, second.data);
    assert!(!document(&window).is_unsaved());
}

#[test]
fn saving_writes_to_the_file_of_the_segmentation() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let labels = edit(&mut window);
    press_with(&mut window, CTRL, Key::S);
    assert_eq!((state(&window).dialog.clone(), errors(&window).len()), (None, 0));
    assert_eq!(saved(&files.prediction).data, labels.data);
    assert!(!document(&window).is_unsaved());
    // Without a file a name is asked for, and by "Save as" always.
    let (state, _) = window.state_mut().parts();
    let mask = state.document.as_mut().unwrap().mask_mut(MaskRole::Segmentation).unwrap();
    mask.path = None;
    window.state_mut().dispatch(FileCommand::Save);
    assert!(window.state().jobs().runs(dialog::SLOT));
    window.state_mut().dispatch(FileCommand::SaveAs(MaskRole::Segmentation));
    assert!(window.state().jobs().runs(dialog::SLOT));
}

#[test]
fn a_cancelled_file_dialog_has_no_effect_and_a_missing_one_is_replaced_by_the_path_field() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let request = state(&window).path_request(PathPurpose::SaveSegmentation);
    let (now, _) = window.state_mut().parts();
    now.after_saving = Some(Intent::CloseCase);
    answer(&mut window, request.clone(), Answer::Cancelled);
    assert_eq!((state(&window).dialog.clone(), state(&window).after_saving.clone()), (None, None));
    answer(&mut window, request.clone(), Answer::NoDialog("proposed.nii.gz".into()));
    assert_eq!(state(&window).dialog, Some(Dialog::Path { request, text: "proposed.nii.gz".into() }));
}

#[test]
fn retrying_opens_all_requested_files() {
    let files = Files::new();
    let pet = files.path("scan_pet.nii.gz");
    write_pet(&pet);
    let good = std::fs::read(&files.scan).unwrap();
    std::fs::write(&files.scan, &good[..good.len() / 2]).unwrap();
    let (mask, truth) = (Some(files.prediction.clone()), Some(files.truth.clone()));
    let mut window = open(&Args { mask, truth, slice: Some(7), ..args(&[&files.scan, &pet]) });
    assert!(state(&window).document.is_none() && has(&window, "Try again"));
    std::fs::write(&files.scan, &good).unwrap();
    click(&mut window, "Try again");
    let document = document(&window);
    assert_eq!(document.images.iter().map(ImageLayer::path).collect::<Vec<_>>(), [files.scan.as_path(), &pet]);
    assert_eq!(document.segmentation().unwrap().path.as_ref(), Some(&files.prediction));
    assert_eq!(document.reference().unwrap().path.as_ref(), Some(&files.truth));
    assert_eq!(report(&window).crosshair.unwrap().voxel.unwrap()[2], 7);
}

#[test]
fn a_pet_scan_has_no_unit_without_evidence() {
    let files = Files::new();
    let pet = files.path("activity_pet.nii.gz");
    write_pet(&pet);
    let mut window = open_files(&[&pet]);
    let image = document(&window).image().clone();
    let percentiles = Volume::read(&pet).unwrap().percentiles(0, &[1.0, 99.0]).unwrap();
    assert_eq!((image.info.modality.clone(), image.info.unit_symbol()), (Modality::Pet, ""));
    assert_eq!((image.default_window.low(), image.default_window.high()), (percentiles[0], percentiles[1]));
    send(&mut window, ViewCommand::SetUnit(Some(Unit::Suv)));
    assert_eq!((report(&window).window, report(&window).level), (Some(10.0), Some(5.0)));
    // It stays when the case is opened again.
    send(&mut window, Intent::open_paths(vec![files.scan.clone()]));
    assert_eq!(document(&window).image().info.unit_symbol(), "HU");
    send(&mut window, Intent::open_paths(vec![pet.clone()]));
    assert_eq!(document(&window).image().info.unit_symbol(), "SUV");
    assert_eq!((report(&window).window, report(&window).level), (Some(10.0), Some(5.0)));
    std::fs::write(files.path("activity_pet.json"), r#"{"Units": "Bq/mL"}"#).unwrap();
    let window = open_files(&[&pet]);
    assert_eq!(document(&window).image().info.unit, Some(Unit::BqPerMl));
    assert!(report(&window).window != Some(10.0), "not the window of SUV");
}

#[test]
fn percentiles_of_a_whole_scan_are_computed_by_a_job() {
    let files = Files::new();
    let scan = files.path("case_t1.nii.gz");
    std::fs::copy(&files.scan, &scan).unwrap();
    let mut window = open_files(&[&scan]);
    let before = (report(&window).window, report(&window).level);
    window.state_mut().dispatch(ViewCommand::UsePreset(2));
    assert_eq!((report(&window).window, report(&window).level), before, "the window's thread reads nothing");
    assert!(!window.state().is_idle());
    settle(&mut window);
    let [low, high] = document(&window).image().range.unwrap();
    assert_eq!(report(&window).window, Some(high - low));
}

#[test]
fn the_first_image_is_shown_with_its_findings_at_once() {
    let files = Files::new();
    let pet = files.path("scan_pet.nii.gz");
    write_pet(&pet);
    // Opened after the window, whose first frames are drawn before a test sees them.
    let mut window = start(&args(&[]), SIZE, None);
    let paths = [&files.scan, &pet, &files.prediction, &files.truth].map(Clone::clone);
    window.state_mut().dispatch(Intent::open_paths(paths.to_vec()));
    wait_for(&mut window, |app| app.state().document.is_some());
    let first = document(&window);
    assert_eq!(first.images.len(), 1);
    assert!(first.metrics.is_none() && first.image().projection.is_none());
    assert!(first.findings.is_some(), "the case opens at the largest finding");
    assert!(
        first.segmentation().is_some() && first.reference().is_some(),
        "a case is never shown with another's masks"
    );
    settle(&mut window);
    let all = document(&window);
    assert!(all.images.len() == 2 && all.findings.is_some() && all.metrics.is_some());
    assert!(all.image().projection.is_some());
    assert_eq!(report(&window).panes[0].slice, Some(report(&window).findings[0].slice), "the largest is in the middle");
}

#[test]
fn slices_of_a_running_segmentation_update_only_a_part_of_the_overlay() {
    let files = Files::new();
    let image = Volume::read(&files.scan).unwrap();
    let [nx, ny, _] = image.grid.shape;
    let mut mask = MaskLayer::preview(EditLabels::new(image.grid), None, 1);
    assert_eq!(mask.dirty, None);
    let slices = |first, last| VoxelBox { min: [0, 0, first], max: [nx - 1, ny - 1, last] };
    mask.changed(Some(slices(0, 2)), 2);
    mask.changed(Some(slices(3, 4)), 3);
    assert_eq!((mask.dirty, mask.revision), (Some(slices(0, 4)), 3));
}

/// Every action that the palette offers without a case has an effect in at least one of two states.
#[test]
fn every_offered_action_has_an_effect() {
    let other = || {
        let mut state = State::default();
        state.session.mode = Mode::Train;
        state.session.view.tool = ToolKind::Pan;
        state.session.settings.convention = Convention::Neurological;
        state.session.settings.planes = PlaneMode::World;
        state
    };
    let changed = |mut state: State, command: &Command| {
        let mut jobs = Jobs::new(None, std::sync::Arc::new(|| ()));
        let before = format!("{state:?}");
        dispatch(&mut state, &mut jobs, command.clone());
        jobs.threads() > 0 || format!("{state:?}") != before
    };
    for action in actions(&State::default()).into_iter().filter(|action| action.enabled) {
        let done = changed(State::default(), &action.command) || changed(other(), &action.command);
        assert!(done, "{}: {}", action.group, action.label);
    }
}
