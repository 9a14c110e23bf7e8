//! Masking mode: the window shows the engine's results, follows every control, and keeps the settings.

use std::fs;
use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::args::ModeArg;
use amlp_viewer::command::{Command, FileCommand, MaskingCommand, ViewCommand, actions};
use amlp_viewer::scene::Convention;
use amlp_viewer::scene::crop::place_words;
use amlp_viewer::state::masking::{Controls, DisplayOptions, RatioSource};
use amlp_viewer::state::{Dialog, Intent, Mode, PaneId, PathPurpose};
use amlp_viewer::worker;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::cluster::{ForegroundRule, Method};
use engine::inspect::{InspectedCase, MaskReport, kind_of};
use engine::preprocess::{Kind as ScanKind, Spacing};
use engine::pretrain::amlp::mps::Order;
use engine::volume::{Grid, LabelVolume, Scale, Volume, VoxelData, nifti};

use crate::phantom::{self, Files};
use crate::window::*;

/// A command line that starts in Masking mode.
pub fn masking_args(paths: &[&Path]) -> Args {
    Args { mode: ModeArg::Masking, ..args(paths) }
}

/// A window on the phantom, cut into patches as small as its body is.
fn phantom_window(files: &Files) -> Window {
    let mut args = masking_args(&[&files.scan]);
    args.truth = Some(files.truth.clone());
    args.slice = Some(9);
    let mut window = open(&args);
    set(&mut window, |controls| {
        controls.preprocess.size = 64;
        controls.grid = 8;
    });
    window
}

/// Changes settings as the panels do.
pub fn set(window: &mut Window, change: impl FnOnce(&mut Controls)) {
    let mut controls = state(window).session.masking.controls.clone();
    change(&mut controls);
    send(window, Command::Masking(MaskingCommand::Set(Box::new(controls))));
}

fn show(window: &mut Window, change: impl FnOnce(&mut DisplayOptions)) {
    let mut shown = state(window).session.masking.shown;
    change(&mut shown);
    send(window, Command::Masking(MaskingCommand::Show(shown)));
}

/// The engine's result for a file's slice with the window's settings.
pub fn expected(window: &Window, scan: &Path, truth: Option<&Path>, slice: usize) -> MaskReport {
    let controls = &state(window).session.masking.controls;
    let image = Volume::read(scan).unwrap();
    let label = truth.map(|truth| LabelVolume::read_for(truth, &image).unwrap().0);
    let kind = kind_of(&scan.file_name().unwrap().to_string_lossy(), None, &image);
    let case = InspectedCase::prepare(&[image], &[kind], label.as_ref(), &controls.preprocess, 0).unwrap();
    let (slice, settings) = (case.slice(slice, controls.grid).unwrap(), controls.mask_settings());
    let found = slice.cluster(&settings).unwrap();
    slice.report(&found, &slice.mask(&found, &settings).unwrap())
}

fn shown_report(window: &Window) -> MaskReport {
    report(window).masking.expect("a slice is masked")
}

#[test]
fn the_initial_result_equals_that_of_amlp_mask() {
    let files = Files::new();
    // Stored feet up: slice 3 of the file is not slice 3 of the patient.
    let mut args = masking_args(&[&files.scan]);
    (args.truth, args.slice) = (Some(files.truth.clone()), Some(3));
    let window = open(&args);
    assert_eq!(state(&window).session.mode, Mode::Masking);
    let shown = shown_report(&window);
    assert_eq!((shown.slice, shown.grid, shown.sigma, shown.crop.size), (3, 16, 0.5, 160));
    assert_eq!(shown, expected(&window, &files.scan, Some(&files.truth), 3));
    assert_ne!(shown.preprocessed_slice, 3);
    let json: serde_json::Value = serde_json::from_str(&report(&window).to_json().unwrap()).unwrap();
    // Both via text, as printed by the command line, because direct values would widen each number.
    let printed: serde_json::Value = serde_json::from_str(&serde_json::to_string(&shown).unwrap()).unwrap();
    assert_eq!(json["masking"], printed);
    send_mode_and_back(window);
}

/// Checks that nothing is reported outside Masking mode.
fn send_mode_and_back(mut window: Window) {
    let before = report(&window).masking;
    press(&mut window, Key::F1);
    assert_eq!(report(&window).masking, None);
    press(&mut window, Key::F2);
    assert_eq!(report(&window).masking, before);
}

#[test]
fn every_control_changes_the_result() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    let check = |window: &Window| {
        let shown = shown_report(window);
        assert_eq!(shown, expected(window, &files.scan, Some(&files.truth), 9));
        shown
    };
    let first = check(&window);
    assert!(first.lesion_recall_masked.is_some() && first.labels.contains(&1));
    // By the controls themselves.
    click(&mut window, "Tissue only");
    let tissue = check(&window);
    assert_ne!(first.labels, tissue.labels, "air is no longer foreground");
    assert_eq!(tissue.air_share, Some(0.0));
    click(&mut window, "Epoch");
    window.get_by_label("Epoch value").focus();
    window.run();
    window.get_by_label("Epoch value").type_text("40");
    press(&mut window, Key::Enter);
    assert_eq!(
        (state(&window).session.masking.controls.by, state(&window).session.masking.controls.epoch),
        (RatioSource::Epoch, 40)
    );
    let later = check(&window);
    assert!(later.sigma > 0.5 && later.labels == tissue.labels && later.masked != tissue.masked);
    assert!(has(
        &window,
        &format!("Masked {} of 64 at {:.3}", later.masked.iter().filter(|m| **m).count(), later.sigma)
    ));
    // By the palette's commands.
    set(&mut window, |controls| {
        controls.cluster.foreground = ForegroundRule::Brighter;
        controls.order = Order::Random;
        controls.seed = 7;
    });
    let random = check(&window);
    assert_ne!(random.order, later.order);
    for method in [Method::Agglomerative, Method::Dbscan, Method::Tsne] {
        set(&mut window, |controls| controls.cluster.method = method);
        check(&window);
    }
    set(&mut window, |controls| controls.preprocess.spacing = Spacing::Native);
    assert_ne!(check(&window).crop.spacing_mm, first.crop.spacing_mm);
    click(&mut window, "Default settings");
    assert_eq!(state(&window).session.masking.controls, Controls::default());
    check(&window);
    assert!(errors(&window).is_empty());
}

#[test]
fn settings_stay_when_the_slice_changes() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    set(&mut window, |controls| (controls.sigma, controls.cluster.tissue_only) = (0.3, true));
    show(&mut window, |shown| shown.digits = true);
    let chosen = (state(&window).session.masking.controls.clone(), state(&window).session.masking.shown);
    // Of this file slices are counted from the head; up goes towards it.
    for (key, slice) in [(Key::ArrowUp, 8), (Key::ArrowDown, 9), (Key::PageDown, 19)] {
        press(&mut window, key);
        let shown = shown_report(&window);
        assert_eq!((shown.slice, shown.sigma), (slice, 0.3));
        assert_eq!(shown, expected(&window, &files.scan, Some(&files.truth), slice));
    }
    wheel(&mut window, "Patches", 2.0, Modifiers::NONE);
    assert_eq!(shown_report(&window).slice, 17);
    assert_eq!((state(&window).session.masking.controls.clone(), state(&window).session.masking.shown), chosen);
    // The same again after a different pane was used last in Review.
    send(&mut window, ViewCommand::Activate(PaneId::Sagittal));
    press(&mut window, Key::ArrowUp);
    assert_eq!(shown_report(&window).slice, 16);
}

#[test]
fn left_and_right_step_through_the_epochs() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    press(&mut window, Key::ArrowRight);
    let controls = |window: &Window| state(window).session.masking.controls.clone();
    assert_eq!((controls(&window).by, controls(&window).epoch), (RatioSource::Epoch, 1), "the epoch that was left");
    assert!((shown_report(&window).sigma - 0.25).abs() < 1e-12);
    press(&mut window, Key::ArrowRight);
    press(&mut window, Key::ArrowRight);
    assert_eq!(controls(&window).epoch, 3);
    press(&mut window, Key::ArrowLeft);
    assert_eq!(controls(&window).epoch, 2);
    click(&mut window, "Last epoch");
    assert!((shown_report(&window).sigma - 0.9).abs() < 1e-12);
    press(&mut window, Key::ArrowRight);
    assert_eq!(controls(&window).epoch, 800);
    // The strip under the views is a slider of the epochs.
    let strip = rect(&window, "Sigma over the epochs (Eq. 9)");
    let (from, to) = (strip.center(), strip.center() - egui::vec2(100.0, 0.0));
    drag(&mut window, from, to, egui::PointerButton::Primary, Modifiers::NONE);
    assert!((200..500).contains(&controls(&window).epoch), "{}", controls(&window).epoch);
    press(&mut window, Key::F1);
    let before = controls(&window).epoch;
    press(&mut window, Key::ArrowRight);
    assert_eq!(controls(&window).epoch, before, "in Review there are no epochs");
}

#[test]
fn patches_are_pinned_by_mouse_and_keyboard() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    let pinned = |window: &Window| state(window).session.masking.pinned;
    let middle = rect(&window, "Patches").center();
    window.event(egui::Event::PointerMoved(middle + egui::vec2(5.0, 5.0)));
    window.run();
    click_at(&mut window, middle + egui::vec2(5.0, 5.0));
    let first = pinned(&window).expect("a patch is pinned");
    assert!(has(&window, &format!("Place {}", place_words(first, 8, Convention::Radiological))));
    click_at(&mut window, middle + egui::vec2(5.0, 5.0));
    assert_eq!(pinned(&window), None, "the same patch again");
    window.remove_cursor();
    // Without a patch arrows go through the slices, with one from patch to patch.
    window.get_by_label("Patches").focus();
    window.run();
    press(&mut window, Key::ArrowUp);
    assert_eq!((shown_report(&window).slice, pinned(&window)), (8, None));
    press(&mut window, Key::Space);
    assert_eq!(pinned(&window), Some(4 * 8 + 4));
    // The screen's left is the patient's right, the first rows; up is to the front, the last columns.
    press(&mut window, Key::ArrowLeft);
    assert_eq!(pinned(&window), Some(5 * 8 + 4));
    press(&mut window, Key::ArrowUp);
    assert_eq!(pinned(&window), Some(5 * 8 + 5));
    press(&mut window, Key::ArrowRight);
    press(&mut window, Key::ArrowDown);
    assert_eq!((pinned(&window), shown_report(&window).slice), (Some(4 * 8 + 4), 8));
    for _ in 0..9 {
        press(&mut window, Key::ArrowRight);
    }
    assert_eq!(pinned(&window), Some(4), "at the edge");
    let label = shown_report(&window).labels[4];
    let word = if label == 1 { "Category 1 foreground" } else { "Category 0 background" };
    assert!(has(&window, word));
    press(&mut window, Key::Escape);
    assert_eq!(pinned(&window), None);
    press(&mut window, Key::Space);
    set(&mut window, |controls| controls.grid = 16);
    assert_eq!(pinned(&window), None, "another grid has other patches");
}

#[test]
fn after_a_click_arrow_keys_move_from_patch_to_patch() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    let pinned = |window: &Window| state(window).session.masking.pinned;
    for pane in ["Patches", "Input"] {
        let slice = shown_report(&window).slice;
        send(&mut window, Command::Masking(MaskingCommand::Pin(None)));
        let at = rect(&window, pane).center() + egui::vec2(5.0, 5.0);
        window.event(egui::Event::PointerMoved(at));
        window.run();
        click_at(&mut window, at);
        let first = pinned(&window).expect("a patch is pinned");
        assert!(window.get_by_label(pane).is_focused(), "{pane}");
        press(&mut window, Key::ArrowLeft);
        press(&mut window, Key::ArrowUp);
        assert_eq!((pinned(&window), shown_report(&window).slice), (Some(first + 8 + 1), slice), "{pane}");
        press(&mut window, Key::Space);
        assert_eq!(pinned(&window), None);
        press(&mut window, Key::Space);
        assert_eq!(pinned(&window), Some(first + 8 + 1), "where the keys were");
        // All other keys work as usual.
        press(&mut window, Key::PageUp);
        assert_ne!(shown_report(&window).slice, slice);
        press(&mut window, Key::PageDown);
    }
}

fn click_at(window: &mut Window, pos: egui::Pos2) {
    for pressed in [true, false] {
        let (button, modifiers) = (egui::PointerButton::Primary, Modifiers::NONE);
        window.event(egui::Event::PointerButton { pos, button, pressed, modifiers });
        window.step();
    }
    pass_time(window);
    settle(window);
}

#[test]
fn outdated_slow_clusterings_are_dropped() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    let quick = shown_report(&window);
    let mut slow = state(&window).session.masking.controls.clone();
    slow.cluster.method = Method::Tsne;
    slow.cluster.tsne_iterations = 5000;
    let slow = Command::Masking(MaskingCommand::Set(Box::new(slow)));
    window.state_mut().dispatch(slow.clone());
    window.step();
    assert!(window.state().jobs().runs(worker::masking::CLUSTER));
    assert_eq!(report(&window).masking, None, "the old result is shown, but not reported as the new one");
    assert!(state(&window).cache.masking.found.is_some());
    set(&mut window, |controls| controls.cluster.method = Method::Kmeans);
    assert_eq!(shown_report(&window), quick);
    // Another case: results requested for the last one never arrive.
    window.state_mut().dispatch(slow);
    window.step();
    let pet = files.path("other_pet.nii.gz");
    phantom::write_pet(&pet);
    send(&mut window, Intent::open_paths(vec![pet.clone()]));
    set(&mut window, |controls| controls.cluster.method = Method::Kmeans);
    wait_for(&mut window, |app| app.jobs().threads() == 0);
    let slice = state(&window).file_slice().unwrap();
    assert_eq!(shown_report(&window), expected(&window, &pet, None, slice));
    send(&mut window, Intent::CloseCase);
    assert!(state(&window).cache.masking.prepared.is_none() && state(&window).cache.masking.found.is_none());
    assert!(errors(&window).is_empty());
}

#[test]
fn a_cancelled_clustering_is_not_restarted_automatically() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    let mut slow = state(&window).session.masking.controls.clone();
    // Longer than two frames on any machine.
    (slow.cluster.method, slow.cluster.tsne_iterations) = (Method::Tsne, 20_000);
    window.state_mut().dispatch(Command::Masking(MaskingCommand::Set(Box::new(slow))));
    window.run_steps(2);
    let clustering =
        |window: &Window| state(window).jobs.iter().find(|job| job.slot == worker::masking::CLUSTER).map(|job| job.id);
    let job = clustering(&window).expect("it clusters");
    send(&mut window, FileCommand::CancelJob(job));
    assert!(state(&window).cache.masking.failure().is_some_and(|why| why.contains("cancelled")));
    assert!(window.state().is_idle() && has(&window, "Try again"));
    // A retry clusters again.
    window.get_by_label("Try again").click();
    window.run_steps(2);
    assert!(state(&window).cache.masking.failure().is_none() && clustering(&window).is_some());
    set(&mut window, |controls| controls.cluster.method = Method::Kmeans);
    assert_eq!(shown_report(&window), expected(&window, &files.scan, Some(&files.truth), 9));
}

#[test]
fn colour_images_are_refused_and_4d_scans_use_the_displayed_frame() {
    let folder = tempfile::tempdir().unwrap();
    let (colours, moving) = (folder.path().join("colours.nii.gz"), folder.path().join("moving.nii.gz"));
    let grid = Grid::new([8, 8, 4], phantom::straight().world_from_voxel);
    let data = VoxelData::Rgb(vec![[200, 30, 90]; grid.len()]);
    nifti::write_volume(&colours, &Volume::new(grid, data, Scale::IDENTITY)).unwrap();
    let mut window = open(&masking_args(&[&colours]));
    let messages = errors(&window);
    assert!(messages.len() == 1 && messages[0].contains("colours.nii.gz"), "{messages:?}");
    assert!(has(&window, "Cannot mask colours") && report(&window).masking.is_none());
    phantom::write_moving(&moving);
    send(&mut window, Intent::open_paths(vec![moving.clone()]));
    assert_eq!(state(&window).cache.masking.failure(), None);
    set(&mut window, |controls| (controls.preprocess.size, controls.grid) = (32, 16));
    let first = shown_report(&window);
    send(&mut window, ViewCommand::SetFrame(3));
    let third = shown_report(&window);
    assert_ne!(first.probability, third.probability);
    let volume = Volume::read_with(
        &moving,
        &engine::volume::ReadOptions { frames: engine::volume::Frames::One(3), ..Default::default() },
    );
    let controls = state(&window).session.masking.controls.clone();
    let case = InspectedCase::prepare(&[volume.unwrap()], &[ScanKind::Other], None, &controls.preprocess, 0).unwrap();
    let slice = case.slice(third.slice, 16).unwrap();
    let found = slice.cluster(&controls.mask_settings()).unwrap();
    assert_eq!(third, slice.report(&found, &slice.mask(&found, &controls.mask_settings()).unwrap()));
}

#[test]
fn the_users_modality_determines_the_preprocessing() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    let ct = shown_report(&window);
    send(&mut window, ViewCommand::SetModality(amlp_viewer::scene::Modality::Mr("t1".into())));
    let mr = shown_report(&window);
    assert_ne!(ct.probability, mr.probability);
    send(&mut window, ViewCommand::SetModality(amlp_viewer::scene::Modality::Ct));
    assert_eq!(shown_report(&window), ct);
}

#[test]
fn a_slice_without_tissue_is_reported_as_having_no_foreground() {
    let folder = tempfile::tempdir().unwrap();
    let scan = folder.path().join("empty_flair.nii.gz");
    let value = |at: [usize; 3]| if at[2] == 0 { i16::from(at[0] > 10) * 50 } else { 0 };
    phantom::write_i16(&scan, &phantom::straight(), engine::volume::Orientation::IDENTITY, value);
    let mut args = masking_args(&[&scan]);
    args.slice = Some(20);
    let mut window = open(&args);
    set(&mut window, |controls| controls.preprocess.size = 64);
    let shown = shown_report(&window);
    assert!(shown.labels.iter().all(|label| *label == 0) && shown.air_share.is_none());
    assert!(has(&window, "no foreground") && has(&window, "Air in foreground \u{2013}"));
    assert!(errors(&window).is_empty());
}

#[test]
fn numbers_are_exported_and_overwriting_asks_first() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    let table = files.path("numbers.csv");
    type_path(&mut window, PathPurpose::MaskingTable, &table);
    let text = fs::read_to_string(&table).unwrap();
    let shown = shown_report(&window);
    assert_eq!(text.lines().count(), 1 + shown.labels.len());
    assert!(text.starts_with("patch,row,column,label,probability,order,masked,air,lesion,loss,relative_loss,r_l,a_p"));
    let first = shown.order[0];
    let row = text.lines().nth(1 + first).unwrap();
    assert!(row.starts_with(&format!("{first},{},{},{}", first / 8, first % 8, shown.labels[first])), "{row}");
    set(&mut window, |controls| controls.sigma = 0.1);
    type_path(&mut window, PathPurpose::MaskingTable, &table);
    let asked =
        Dialog::Overwrite { request: state(&window).path_request(PathPurpose::MaskingTable), path: table.clone() };
    assert_eq!(state(&window).dialog, Some(asked));
    assert_eq!(fs::read_to_string(&table).unwrap(), text);
    click(&mut window, "Overwrite");
    assert_ne!(fs::read_to_string(&table).unwrap(), text);
    assert!(!document(&window).is_unsaved() && errors(&window).is_empty());
    type_path(&mut window, PathPurpose::MaskingTable, &files.path("no such folder/numbers.csv"));
    assert!(errors(&window)[0].contains("no such folder"), "{:?}", errors(&window));
}

#[test]
fn the_view_is_exported_as_a_picture() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    if screen().is_none() {
        return;
    }
    let (crop, native) = (files.path("view.png"), files.path("native.png"));
    type_path(&mut window, PathPurpose::MaskingPicture, &crop);
    show(&mut window, |shown| shown.native = true);
    type_path(&mut window, PathPurpose::MaskingPicture, &native);
    assert!(errors(&window).is_empty(), "{:?}", errors(&window));
    let pictures = [&crop, &native].map(|path| image::open(path).unwrap().to_rgb8());
    assert_eq!(pictures[0].dimensions(), (2080, 1560));
    // All categories are present: far more green than red, and purple.
    let count = |of: &dyn Fn([i32; 3]) -> bool| pictures[0].pixels().filter(|p| of(p.0.map(i32::from))).count();
    let green = count(&|[r, g, b]| g > 40 && g > r + 20 && g > b + 20);
    let purple = count(&|[r, g, b]| b > 40 && b > g + 30 && r > g);
    assert!(green > 2000 && purple > 2000, "{green} {purple}");
    assert_ne!(pictures[0], pictures[1]);
}

#[test]
fn all_masking_actions_are_in_the_palette() {
    let files = Files::new();
    let mut window = phantom_window(&files);
    let all = actions(state(&window));
    for label in
        ["Next epoch", "Export the view…", "Export the numbers…", "Cluster by t-SNE", "Foreground: Brighter cluster"]
    {
        assert!(all.iter().any(|action| action.label == label && action.enabled), "{label}");
    }
    let mut keys: Vec<&str> = all.iter().map(|action| action.shortcut).filter(|keys| !keys.is_empty()).collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
    press_with(&mut window, CTRL, Key::K);
    window.get_by_label("Search actions").type_text("patches 16");
    settle(&mut window);
    press(&mut window, Key::Enter);
    assert_eq!(shown_report(&window).grid, 16);
    for (name, _) in DisplayOptions::ALL {
        let before = state(&window).session.masking.shown;
        click(&mut window, &format!("Show {}", name.to_lowercase()));
        assert_ne!(state(&window).session.masking.shown, before, "{name}");
    }
    let loss = window.get_by_label("Relative loss").accesskit_node().value().unwrap();
    assert!(loss.contains("adapter") || loss.contains("pre-trained run"), "{loss}");
}
