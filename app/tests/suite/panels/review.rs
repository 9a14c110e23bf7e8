//! The right panel and the strip.

use std::collections::BTreeMap;
use std::path::PathBuf;

use amlp_viewer::command::{Command, EditCommand, FileCommand, OverlayCommand, ViewCommand};
use amlp_viewer::scene::{ColourMap, Modality, Plane, PlaneMode, Unit};
use amlp_viewer::state::{
    CaseId, CaseList, Document, Entropy, Intent, ListedCase, MaskLayer, MaskRole, Measure, MeasureKind, Mode, PaneId,
    PathPurpose, State, ToolKind, table,
};
use amlp_viewer::worker;
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::metrics::boundary::BoundaryIou;
use glam::DVec3;

use super::bench::{self, Bench, click, clicked, window, window_of};

fn open(harness: &Harness<'_, Bench>) -> Document {
    harness.state().state.document.clone().unwrap()
}

/// A window in which everything of the right panel fits.
fn tall(bench: Bench) -> Harness<'static, Bench> {
    window_of([1280.0, 1600.0], bench)
}

#[test]
fn a_low_panel_scrolls_to_the_finding_that_a_step_selects() {
    let mut harness = window_of([900.0, 340.0], bench::compared());
    harness.state_mut().carry_out(OverlayCommand::GoToFinding(0));
    harness.run();
    let foot = |harness: &Harness<'_, Bench>| harness.get_by_label("Segment now").rect().top();
    let row = |harness: &Harness<'_, Bench>| harness.get_by_label("Finding 2").rect();
    assert!(row(&harness).bottom() > foot(&harness), "out of sight at first");
    harness.state_mut().carry_out(OverlayCommand::StepFinding(1));
    harness.run_steps(20);
    assert!(row(&harness).bottom() <= foot(&harness), "{:?}", row(&harness));
}

#[test]
fn seven_findings_are_visible_in_a_window_of_1280_by_800() {
    let boxes: Vec<_> = (0..7).map(|n| ([2 * n, 2, 2], [2 * n + 1, 4, 4], 1)).collect();
    let mut state = bench::ct();
    state.document.as_mut().unwrap().set_mask(bench::mask(MaskRole::Segmentation, &boxes));
    state.session.settings.minimum_ml = 0.0;
    let harness = window(Bench::new(state).analysed());
    let foot = harness.get_by_label("Segment now").rect().top();
    let last = harness.get_by_label("Finding 7").rect();
    assert!(last.bottom() <= foot, "{last:?} reaches below {foot}");
}

#[test]
fn an_edit_tool_offers_to_correct_a_copy_of_the_reference_without_a_segmentation() {
    let mut state = bench::ct();
    state.document.as_mut().unwrap().set_mask(bench::reference());
    state.session.view.tool = ToolKind::Brush;
    let copy = "Correct a copy of the reference";
    let mut harness = window(Bench::new(state.clone()));
    assert_eq!(clicked(&mut harness, copy), Command::Intent(Intent::CorrectReference));
    state.document.as_mut().unwrap().set_mask(bench::segmentation());
    assert!(window(Bench::new(state)).query_by_label(copy).is_none());
}

#[test]
fn numbers_from_before_an_edit_are_not_exported() {
    let mut bench = bench::compared();
    let tables = [PathPurpose::FindingsTable, PathPurpose::AgreementTable];
    assert!(tables.iter().all(|table| table::csv(&bench.state, *table).is_ok()));
    bench.state.document.as_mut().unwrap().masks[0].revision += 100;
    for table in tables {
        assert!(table::csv(&bench.state, table).unwrap_err().contains("still being measured"));
    }
    let bench = bench.analysed();
    assert!(tables.iter().all(|table| table::csv(&bench.state, *table).is_ok()));
}

#[test]
fn window_and_level_can_be_typed() {
    let mut harness = window(Bench::new(bench::ct()));
    for (name, text, expected) in [("Window width", "1500", (1500.0, 50.0)), ("Window level", "-600", (1500.0, -600.0))]
    {
        harness.get_by_label(name).focus();
        harness.run();
        harness.get_by_label(name).type_text(text);
        harness.run();
        harness.key_press(egui::Key::Enter);
        harness.run();
        let state = &harness.state().state;
        let window = state.window_of(state.document.as_ref().unwrap().image());
        assert_eq!((window.width, window.level), expected, "{name}");
    }
    let lung = harness.get_by_label("Preset Lung");
    assert_eq!(lung.accesskit_node().toggled(), Some(egui::accesskit::Toggled::True), "it is the lung window now");
}

#[test]
fn presets_follow_the_modality() {
    let mut harness = window(Bench::new(bench::ct()));
    assert_eq!(clicked(&mut harness, "Preset Bone"), Command::View(ViewCommand::UsePreset(3)));
    assert_eq!(clicked(&mut harness, "Automatic contrast"), Command::View(ViewCommand::AutoContrast));
    click(&mut harness, "Modality");
    assert_eq!(clicked(&mut harness, "PET"), Command::View(ViewCommand::SetModality(Modality::Pet)));
    assert!(harness.query_by_label("Preset Bone").is_none());
    assert!(harness.query_by_label("Preset SUV 0-5").is_none(), "nothing says that the values are SUV");
    click(&mut harness, "Unit");
    assert_eq!(clicked(&mut harness, "SUV"), Command::View(ViewCommand::SetUnit(Some(Unit::Suv))));
    assert_eq!(clicked(&mut harness, "Preset SUV 0-5"), Command::View(ViewCommand::UsePreset(1)));
    click(&mut harness, "Colours");
    assert_eq!(clicked(&mut harness, "Viridis"), Command::View(ViewCommand::SetColours(ColourMap::Viridis)));
    assert_eq!(clicked(&mut harness, "Interpolation"), Command::View(ViewCommand::SetInterpolation(false)));
}

#[test]
fn the_cine_is_started_stopped_and_timed() {
    let mut harness = window(Bench::new(bench::ct()));
    assert!(harness.query_by_label("Frame").is_none(), "one frame only");
    assert_eq!(clicked(&mut harness, "Play cine"), Command::View(ViewCommand::ToggleCine));
    click(&mut harness, "Stop cine");
    click(&mut harness, "Cine");
    harness.get_by_label("Slices per second").set_value_accesskit(24.0);
    harness.run();
    assert_eq!(harness.state().state.session.settings.cine_rate, 24.0);
}

#[test]
fn frames_of_a_4d_scan_are_numbered_from_one() {
    let mut image = bench::image("bold", Modality::Other);
    let volume = std::sync::Arc::make_mut(&mut image.volume);
    volume.file_frames = 7;
    image.frame = 2;
    let state = State { document: Some(bench::document(vec![image])), ..State::default() };
    let mut harness = window(Bench::new(state));
    assert_eq!(harness.get_by_label("Frame").accesskit_node().numeric_value(), Some(3.0));
    harness.get_by_label("Frame").set_value_accesskit(7.0);
    harness.run();
    assert_eq!(harness.state().sent.last(), Some(&Command::View(ViewCommand::SetFrame(6))));
}

#[test]
fn an_empty_list_of_findings_gives_the_reason() {
    let mut harness = window(Bench::new(bench::ct()));
    let missing = harness.query_all_by_label("No segmentation. Press Segment now, or open one.").count();
    assert_eq!(missing, 2, "in the findings and in the layers");
    assert!(harness.get_by_label("Next finding").accesskit_node().is_disabled());
    harness.state_mut().state.document.as_mut().unwrap().set_mask(bench::segmentation());
    harness.run();
    assert!(harness.query_by_label("Measuring…").is_some());

    let mut state = bench::ct();
    state.document.as_mut().unwrap().set_mask(bench::mask(MaskRole::Segmentation, &[]));
    let harness = window(Bench::new(state).analysed());
    assert!(harness.query_by_label("No findings. The mask is empty.").is_some());
}

#[test]
fn findings_are_listed_selected_and_stepped_through() {
    let mut harness = tall(bench::compared());
    let descriptions: Vec<String> = (1..=3)
        .map(|n| {
            let name = format!("Finding {n}");
            let row = harness.get_by_label(&name);
            row.accesskit_node().data().description().unwrap().to_owned()
        })
        .collect();
    // 64 voxels of 12 mm3; the diagonal of 4 x 4 voxels of 2 mm is 11.3 mm; the mean of 100 i + 10 j + k is 388.5.
    assert_eq!(descriptions[0], "0.768 ml, 11.3 mm, CT mean HU 388, max 555, hit, Label 1 0.768 ml");
    // 8 voxels are 96 µl.
    assert!(descriptions[1].starts_with("96.0 µl") && descriptions[1].contains(", extra, "), "{}", descriptions[1]);
    assert!(descriptions[2].starts_with("96.0 µl") && descriptions[2].contains(", missed, "), "{}", descriptions[2]);
    assert!(harness.query_by_label("Finding 4").is_none());

    assert_eq!(clicked(&mut harness, "Finding 2"), Command::Overlay(OverlayCommand::GoToFinding(1)));
    assert_eq!(harness.state().state.session.view.finding, Some(1));
    let lesion = harness.state().state.session.view.crosshair;
    assert!(lesion.distance(DVec3::new(25.0, 21.0, 25.5)) < 3.0, "{lesion}");
    assert_eq!(clicked(&mut harness, "Next finding"), Command::Overlay(OverlayCommand::StepFinding(1)));
    assert_eq!(harness.state().state.session.view.finding, Some(2));
    assert_eq!(clicked(&mut harness, "Previous finding"), Command::Overlay(OverlayCommand::StepFinding(-1)));
}

#[test]
fn only_visible_findings_are_laid_out() {
    let boxes: Vec<_> = (0..10 * 8 * 6)
        .map(|n| {
            let at = [2 * (n % 10), 2 * (n / 10 % 8), 2 * (n / 80)];
            (at, at.map(|a| a + 1), 1)
        })
        .collect();
    let mut state = bench::ct();
    state.document.as_mut().unwrap().set_mask(bench::mask(MaskRole::Segmentation, &boxes));
    state.session.settings.minimum_ml = 0.0;
    let mut harness = tall(Bench::new(state).analysed());
    let count = open(&harness).findings.unwrap().entries.len();
    assert_eq!(count, 480);
    let rows = |harness: &Harness<'_, Bench>| {
        (1..=count).filter(|n| harness.query_by_label(&format!("Finding {n}")).is_some()).count()
    };
    assert!((8..16).contains(&rows(&harness)), "{}", rows(&harness));
    harness.state_mut().state.session.view.finding = Some(300);
    harness.run();
    harness.run_steps(20);
    assert!(harness.query_by_label("Finding 301").is_some(), "the list scrolls to the selected one");
}

#[test]
fn agreement_shows_the_measures() {
    let mut harness = tall(bench::compared());
    let metrics = open(&harness).metrics.unwrap();
    // 48 common voxels; 72 predicted, 72 true.
    assert!((metrics.dsc - 96.0 / 144.0).abs() < 1e-4);
    let by_slice = open(&harness).slice_boundary.unwrap();
    for label in [
        "Dice 0.667".to_owned(),
        format!("Boundary IoU, slices {:.3}", by_slice.iou),
        format!("Sensitivity {:.3}", metrics.sensitivity),
        format!("HD95 {:.1} mm", metrics.hd95_mm),
        "Segmentation 0.864 ml".to_owned(),
        "Reference 0.864 ml".to_owned(),
        "Lesions hit 1 of 2".to_owned(),
        "Lesions missed 1".to_owned(),
        "Lesions extra 1".to_owned(),
    ] {
        assert!(harness.query_by_label(&label).is_some(), "{label}");
    }
    let note = "In the slices, the boundary band is as wide as the masks, so this is plain IoU.";
    for covers_masks in [false, true] {
        let document = harness.state_mut().state.document.as_mut().unwrap();
        document.slice_boundary = Some(BoundaryIou { covers_masks, ..by_slice });
        harness.run();
        assert_eq!(harness.query_by_label(note).is_some(), covers_masks);
    }
    let worst = open(&harness).comparison.unwrap().worst_first()[1];
    assert_eq!(clicked(&mut harness, "Worst slice 2"), Command::Overlay(OverlayCommand::GoToWorst(1)));
    assert_eq!(harness.state().state.session.view.crosshair.z, 3.0 * worst as f64);

    let harness = tall(Bench::new(bench::ct()));
    assert!(harness.query_by_label("Agreement").is_none());
}

#[test]
fn a_segmentation_can_be_started_cancelled_and_saved() {
    let harness = window(Bench::new(State::default()));
    assert!(harness.get_by_label("Segment now").accesskit_node().is_disabled());

    let mut state = bench::ct();
    state.session.runs.segment = Some("/runs/fine".into());
    let info = |id: &str| engine::device::DeviceInfo {
        id: id.into(),
        name: "Device".into(),
        kind: engine::device::DeviceKind::Cpu,
        memory_mib: None,
    };
    state.cache.devices = vec![info("cpu"), info("wgpu:0")];
    let mut harness = tall(Bench::new(state));
    assert_eq!(clicked(&mut harness, "Segment now"), Command::Intent(Intent::Segment));
    assert!(harness.get_by_label("Save segmentation").accesskit_node().is_disabled());
    click(&mut harness, "Model");
    assert_eq!(clicked(&mut harness, "Choose model…"), Command::Intent(Intent::Ask(PathPurpose::Model)));
    click(&mut harness, "Device");
    assert_eq!(clicked(&mut harness, "wgpu:0: Device"), Command::File(FileCommand::SetDevice("wgpu:0".into())));
    let before = harness.get_by_label("Model fine").rect();
    harness.state_mut().state.jobs = vec![bench::job(9, worker::segment::SLOT, "Segmenting STS_001", false)];
    harness.run();
    assert_eq!(harness.get_by_label("Model fine").rect(), before, "nothing jumps when the progress appears");
    assert!(harness.query_by_label("Segment now").is_none());
    assert_eq!(clicked(&mut harness, "Cancel: Segmenting STS_001"), Command::File(FileCommand::CancelJob(9)));
    let bench = harness.state_mut();
    bench.state.jobs.clear();
    let document = bench.state.document.as_mut().unwrap();
    document.set_mask(MaskLayer { saved_revision: None, ..bench::segmentation() });
    harness.run();
    assert_eq!(clicked(&mut harness, "Save segmentation (unsaved)"), Command::File(FileCommand::Save));
    assert_eq!(clicked(&mut harness, "Use the sample model"), Command::File(FileCommand::UseSampleModel));
    assert!(harness.query_by_label("Model Sample model").is_some());
}

#[test]
fn measurements_are_listed_and_removed() {
    let mut state = bench::ct();
    let ends_mm = [DVec3::new(0.0, 0.0, 3.0), DVec3::new(30.0, 40.0, 3.0)];
    let measures = vec![
        Measure { kind: MeasureKind::Ruler, plane: Plane::Axial, ends_mm, statistics: None },
        Measure { kind: MeasureKind::Ellipse, plane: Plane::Coronal, ends_mm, statistics: None },
    ];
    state.session.measures = BTreeMap::from([(PathBuf::from("/data/ct.nii.gz"), measures)]);
    let mut harness = tall(Bench::new(state));
    assert!(harness.query_by_label("1  Ruler, axial 50.0 mm").is_some());
    assert!(harness.query_by_label("2  Ellipse, coronal no voxels").is_some());
    assert_eq!(clicked(&mut harness, "Remove the last measurement"), Command::Edit(EditCommand::RemoveMeasure));
    assert_eq!(clicked(&mut harness, "Remove all measurements"), Command::Edit(EditCommand::ClearMeasures));
    assert!(harness.query_by_label_contains("No measurements. Draw with the ruler").is_some());
}

/// The middle of a slice's bar in a strip.
fn bar(harness: &Harness<'_, Bench>, title: &str, slice: usize) -> egui::Pos2 {
    let strip = harness.get_by_role_and_label(Role::Slider, title).rect();
    // The strip's left gutter and right margin.
    let (left, right) = (strip.left() + 34.0, strip.right() - 12.0);
    egui::pos2(left + (right - left) * (slice as f32 + 0.5) / bench::SHAPE[2] as f32, strip.center().y)
}

fn click_at(harness: &mut Harness<'_, Bench>, at: egui::Pos2) {
    harness.hover_at(at);
    harness.drag_at(at);
    harness.drop_at(at);
    harness.run();
}

#[test]
fn a_click_on_the_strip_goes_to_the_slice() {
    for planes in [PlaneMode::Native, PlaneMode::World] {
        let mut bench = bench::compared();
        bench.state.session.settings.planes = planes;
        let mut harness = window(bench);
        let at = bar(&harness, "Dice per slice", 4);
        click_at(&mut harness, at);
        assert!((harness.state().state.session.view.crosshair.z - 12.0).abs() < 1e-9, "{planes:?}");
        let native = Command::View(ViewCommand::GoToSlice { pane: PaneId::Axial, slice: 4 });
        assert_eq!(harness.state().sent.contains(&native), planes == PlaneMode::Native);
        let value = harness.get_by_role_and_label(Role::Slider, "Dice per slice").accesskit_node().numeric_value();
        assert_eq!(value, Some(5.0), "the cursor follows");
    }
}

#[test]
fn the_height_of_the_strip_is_changed_by_dragging_and_kept() {
    let mut harness = window(bench::compared());
    let chart = |harness: &Harness<'_, Bench>| harness.get_by_role_and_label(Role::Slider, "Dice per slice").rect();
    let before = chart(&harness);
    let edge = before.center_top();
    harness.hover_at(edge);
    harness.run();
    harness.drag_at(edge);
    harness.hover_at(edge - egui::vec2(0.0, 60.0));
    harness.run();
    harness.drop_at(edge - egui::vec2(0.0, 60.0));
    harness.run();
    let settings = harness.state().state.session.settings.clone();
    assert!((settings.strip_height - before.height() - 60.0).abs() < 3.0, "{}", settings.strip_height);
    let dragged = chart(&harness).height();
    assert!((dragged - before.height() - 60.0).abs() < 3.0, "the bars use it: {dragged} after {before}");
    // The next window starts with it.
    let mut bench = bench::compared();
    bench.state.session.settings = settings;
    assert!((chart(&window(bench)).height() - dragged).abs() < 3.0);
}

#[test]
fn the_strip_steps_through_slices_from_the_worst() {
    let mut harness = window(bench::compared());
    let worst = open(&harness).comparison.unwrap().worst_first();
    let shown = |harness: &Harness<'_, Bench>| (harness.state().state.session.view.crosshair.z / 3.0) as usize;
    click(&mut harness, "Worst slice");
    assert_eq!(shown(&harness), worst[0]);
    assert!(harness.get_by_label("Next worse slice").accesskit_node().is_disabled());
    click(&mut harness, "Next better slice");
    assert_eq!(shown(&harness), worst[1]);
    click(&mut harness, "Next better slice");
    click(&mut harness, "Next worse slice");
    assert_eq!(shown(&harness), worst[1]);
}

/// Accept and Reject were small chips at the left edge, above two larger buttons without an edge.
#[test]
fn the_buttons_for_a_finding_are_in_two_aligned_columns() {
    let mut state = bench::ct();
    let document = state.document.as_mut().unwrap();
    document.set_mask(bench::mask(MaskRole::Segmentation, &[([2, 2, 2], [6, 6, 6], 1)]));
    document.listed = Some(CaseId(1));
    let case = ListedCase { id: CaseId(1), name: "p1".into(), ..ListedCase::default() };
    state.cases = CaseList { cases: vec![case], open: Some(CaseId(1)), ..CaseList::default() };
    let mut harness = tall(Bench::new(state).analysed());
    click(&mut harness, "Finding 1");
    let rect = |name: &str| harness.get_by_label(name).rect();
    let [accept, reject] = ["Accept finding 1", "Reject finding 1"].map(rect);
    let [keep, remove] = ["Keep only 1 in the segmentation", "Remove 1 from the segmentation"].map(rect);
    for (above, below) in [(accept, keep), (reject, remove)] {
        assert_eq!((above.x_range(), above.height()), (below.x_range(), below.height()));
    }
    assert_eq!((accept.y_range(), keep.y_range()), (reject.y_range(), remove.y_range()));
}

/// It said "rank 28 of 36", but not what was ranked, nor which end came first.
#[test]
fn the_strip_says_what_its_buttons_step_through_and_in_which_order() {
    let mut harness = window(bench::compared());
    let count = open(&harness).comparison.unwrap().worst_first().len();
    click(&mut harness, "Worst slice");
    click(&mut harness, "Next better slice");
    assert!(harness.query_by_label(&format!("2 of {count}")).is_some());
    assert!(harness.query_by_label("Slices, lowest Dice first.").is_some());
    // All of it is above the status line, also in the lowest strip.
    harness.state_mut().state.session.settings.strip_height = 0.0;
    let note = harness.get_by_label("Segmentation vs reference. Blank: neither present.").rect();
    assert!(note.bottom() <= 800.0 - 24.0, "{note:?}");
    let mut state = bench::ct();
    let by_slice = (0..bench::SHAPE[2]).map(|k| Some(k as f64 / 20.0)).collect();
    state.document.as_mut().unwrap().entropy = Some(Entropy { by_slice });
    let harness = window(Bench::new(state));
    assert!(harness.query_by_label("Slices, highest entropy first.").is_some());
}

#[test]
fn without_a_reference_the_strip_shows_uncertainty_or_what_is_missing() {
    let mut state = bench::ct();
    let harness = window(Bench::new(state.clone()));
    assert!(
        harness.query_by_label_contains("Segment this case, or open a segmentation, to see the agreement or").is_some()
    );
    let document = state.document.as_mut().unwrap();
    document.entropy = Some(Entropy { by_slice: (0..bench::SHAPE[2]).map(|k| Some(k as f64 / 20.0)).collect() });
    let mut harness = window(Bench::new(state.clone()));
    assert!(harness.query_by_label("Entropy of the network's probability. Not calibrated.").is_some());
    click(&mut harness, "Worst slice");
    assert_eq!(harness.state().state.session.view.crosshair.z, 33.0, "the last slice is the most uncertain one");
    let mut single = state.clone();
    let by_slice = (0..bench::SHAPE[2]).map(|k| (k + 1 == bench::SHAPE[2]).then_some(0.5)).collect();
    single.document.as_mut().unwrap().entropy = Some(Entropy { by_slice });
    assert!(window(Bench::new(single)).query_by_label("1 slice").is_some());

    let before = harness.get_by_label("Worst slice").rect().top();
    state.session.mode = Mode::Train;
    let harness = window(Bench::new(state));
    let foot = harness.get_by_label("Pause").rect();
    assert!(foot.top() > before, "without a run, Train has no strip, and its panels use the height: {foot}");
}
