//! Reviewing a case: slices, contrast, findings, comparison, the palette.

use amlp_viewer::command::action::{GESTURES, actions, matching};
use amlp_viewer::scene::{PaneMap, PlaneMode};
use amlp_viewer::state::view::Overlay;
use amlp_viewer::state::{Dialog, PaneId, Session, ToolKind};
use amlp_viewer::theme::Theme;
use amlp_viewer::{App, Args};
use egui::{Key, Modifiers, PointerButton, vec2};
use egui_kittest::kittest::Queryable as _;
use engine::metrics::{Options, measure};
use engine::volume::{LabelVolume, Volume};
use glam::DVec2;

use crate::phantom::{self, Files, SHAPE, count, lesion, prediction, truth, voxels};
use crate::window::*;

fn compared(files: &Files) -> Window {
    open_files(&[&files.scan, &files.prediction, &files.truth])
}

#[test]
fn wheel_and_keys_step_through_slices() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    // 24 axial slices: the middle one is the twelfth, with eleven below it.
    assert_eq!(slices(&window), [12, 20, 18]);
    wheel(&mut window, "Axial", -1.0, Modifiers::NONE);
    assert_eq!(slices(&window), [11, 20, 18], "down is towards the feet");
    wheel(&mut window, "Coronal", -2.0, Modifiers::NONE);
    assert_eq!(slices(&window), [11, 20, 16], "down is posterior");
    wheel(&mut window, "Sagittal", 1.0, Modifiers::NONE);
    assert_eq!(slices(&window), [11, 21, 16], "up is towards the patient's right");
    window.get_by_label("Axial").hover();
    for (key, expected) in [
        (Key::ArrowUp, 12),
        (Key::PageUp, 22),
        (Key::PageUp, 24),
        (Key::ArrowUp, 24),
        (Key::PageDown, 14),
        (Key::ArrowDown, 13),
    ] {
        press(&mut window, key);
        assert_eq!(slices(&window), [expected, 21, 16], "{key:?}");
    }
    let crosshair = report(&window).crosshair.unwrap();
    let [i, j, k] = [20, 15, 12];
    assert_eq!(crosshair.value, Some(f64::from(phantom::hounsfield([i, j, k]))));
    assert_eq!(crosshair.world_mm, phantom::oblique().world([i, j, k]).to_array());
}

#[test]
fn contrast_is_changed_by_dragging_presets_and_keys() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let contrast = |window: &Window| (report(window).window.unwrap(), report(window).level.unwrap());
    let before = report(&window);
    let at = rect(&window, "Axial").center();
    drag(&mut window, at, at + vec2(64.0, -32.0), PointerButton::Primary, CTRL);
    let [low, high] = document(&window).base().range.unwrap();
    let pace = (high - low) / 1024.0;
    let (width, level) = contrast(&window);
    assert!((width - 350.0 - 64.0 * pace).abs() < 1e-6 && (level - 50.0 + 32.0 * pace).abs() < 1e-6, "{width} {level}");
    assert_eq!(report(&window).crosshair, before.crosshair);
    for (preset, expected) in [
        ("Brain", (80.0, 40.0)),
        ("Soft tissue", (350.0, 50.0)),
        ("Lung", (1500.0, -600.0)),
        ("Bone", (1000.0, 400.0)),
        ("Abdomen", (350.0, 40.0)),
    ] {
        click(&mut window, &format!("Preset {preset}"));
        assert_eq!(contrast(&window), expected, "{preset}");
    }
    press_with(&mut window, CTRL, Key::J);
    let values = voxels(SHAPE).filter(|at| at[2] == 11).map(|at| f32::from(phantom::hounsfield(at)));
    let mut values: Vec<f32> = values.collect();
    let [low, high] = [1.0, 99.0].map(|q| engine::volume::percentile(&mut values, q).unwrap());
    assert_eq!(contrast(&window), (high - low, low + (high - low) / 2.0), "from the shown slice");
}

#[test]
fn tools_are_selected_by_keys() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let keys = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6];
    for (key, tool) in keys.into_iter().zip(ToolKind::ALL).rev() {
        press(&mut window, key);
        assert_eq!(state(&window).session.view.tool, tool);
    }
    press(&mut window, Key::Num4);
    let at = rect(&window, "Axial").center();
    drag(&mut window, at, at + vec2(0.0, -100.0), PointerButton::Primary, Modifiers::NONE);
    assert!((state(&window).session.view.camera(PaneId::Axial).zoom - 2.0).abs() < 1e-9);
    press(&mut window, Key::F);
    assert_eq!(state(&window).session.view.camera(PaneId::Axial).zoom, 1.0);
}

#[test]
fn findings_have_the_expected_measures() {
    let files = Files::new();
    let window = open_files(&[&files.scan, &files.truth]);
    let found = report(&window).findings;
    let voxel_ml = 1.75 * 1.75 * 3.5 / 1000.0;
    assert_eq!(found.len(), 3);
    for (n, finding) in found.iter().enumerate() {
        let inside = voxels(SHAPE).filter(|&at| lesion(at) == Some(n));
        let values: Vec<f64> = inside.map(|at| f64::from(phantom::hounsfield(at))).collect();
        assert!((finding.volume_ml - values.len() as f64 * voxel_ml).abs() < 1e-9, "{n}");
        assert!((finding.mean.unwrap() - values.iter().sum::<f64>() / values.len() as f64).abs() < 1e-9, "{n}");
        let slice = finding.slice - 1;
        assert!(voxels(SHAPE).any(|at| at[2] == slice && lesion(at) == Some(n)), "{n}: slice {slice}");
        assert!(finding.diameter_mm > 0.0 && finding.status.is_empty());
    }
    // The largest is shown first.
    assert_eq!(slices(&window)[0], found[0].slice);
    assert_eq!(report(&window).crosshair.unwrap().label, Some(1));
}

/// Where a pane shows the crosshair, as a fraction of its size.
fn crosshair_place(window: &Window, pane: PaneId) -> DVec2 {
    let (state, rect) = (state(window), rect(window, &pane.name()));
    let size = DVec2::new(f64::from(rect.width()), f64::from(rect.height()));
    let display = document(window).display_of(pane, state.session.settings.planes);
    let map =
        PaneMap::new(&display, pane.plane(), state.session.settings.convention, state.session.view.camera(pane), size);
    map.place_of_index(display.display_from_world.transform_point3(state.session.view.crosshair)) / size
}

#[test]
fn stepping_to_a_finding_centres_it_in_all_panes() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.truth]);
    for pane in [PaneId::Axial, PaneId::Sagittal, PaneId::Coronal] {
        wheel(&mut window, &pane.name(), 10.0, CTRL);
        let at = rect(&window, &pane.name()).center();
        drag(&mut window, at, at + vec2(70.0, 50.0), PointerButton::Middle, Modifiers::NONE);
    }
    for (key, expected) in [(Key::N, 1), (Key::N, 2), (Key::N, 0), (Key::P, 2), (Key::P, 1)] {
        press(&mut window, key);
        assert_eq!(state(&window).session.view.finding, Some(expected));
        // On the lesion, in the axial slice where its diameter is the longest.
        let display = document(&window).display(PlaneMode::Native);
        let at = display.index_at(state(&window).session.view.crosshair);
        assert_eq!(lesion(at), Some(expected), "{at:?}");
        assert_eq!(slices(&window)[0], report(&window).findings[expected].slice);
        assert_eq!(state(&window).session.view.crosshair, display.world(at), "in the middle of a voxel");
        for pane in [PaneId::Axial, PaneId::Sagittal, PaneId::Coronal] {
            let position = crosshair_place(&window, pane);
            assert!((position - DVec2::splat(0.5)).length() < 1e-6, "finding {expected}, {pane:?}: {position}");
        }
    }
    click(&mut window, "Finding 3");
    assert_eq!(state(&window).session.view.finding, Some(2));
}

#[test]
fn slice_dice_and_metrics_have_the_expected_values() {
    let files = Files::new();
    let mut window = compared(&files);
    let shown = report(&window);
    let in_slice = |k: usize, inside: &dyn Fn(phantom::Voxel) -> bool| count(|at| at[2] == k && inside(at));
    let dice: Vec<Option<f64>> = (0..SHAPE[2])
        .map(|k| {
            let (p, t) = (in_slice(k, &prediction), in_slice(k, &truth));
            let both = in_slice(k, &|at| prediction(at) && truth(at));
            (p + t > 0).then(|| 2.0 * both as f64 / (p + t) as f64)
        })
        .collect();
    assert_eq!(shown.slice_dice.as_ref(), Some(&dice));

    let image = Volume::read(&files.scan).unwrap();
    let mask = |path| LabelVolume::read_for(path, &image).unwrap().0.mask(&[1]);
    let (p, t) = (mask(&files.prediction), mask(&files.truth));
    assert_eq!(shown.metrics, Some(measure(&p, &t, &image.grid, &Options::default()).unwrap()));
    let metrics = shown.metrics.unwrap();
    assert_eq!((metrics.lesions.tp, metrics.lesions.fp, metrics.lesions.missed), (2, 1, 1));
    let mut statuses: Vec<&str> = shown.findings.iter().map(|f| f.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["extra", "hit", "hit", "missed"]);

    // The worst slices are those where only one of the masks has voxels, the largest area first.
    let wrong = |k: usize| count(|at| at[2] == k && prediction(at) != truth(at));
    let zeros: Vec<usize> = (0..SHAPE[2]).filter(|&k| dice[k] == Some(0.0)).collect();
    let worst = zeros.iter().copied().max_by_key(|&k| (wrong(k), std::cmp::Reverse(k))).unwrap();
    click(&mut window, "Worst slice");
    assert_eq!(slices(&window)[0], worst + 1);
    let at = document(&window).display(PlaneMode::Native).index_at(state(&window).session.view.crosshair);
    assert!(prediction(at) != truth(at), "the crosshair is on the error, not in the middle of the slice: {at:?}");
    press(&mut window, Key::PageUp);
    press(&mut window, Key::W);
    assert_eq!(slices(&window)[0], worst + 1);
}

#[test]
fn the_overlay_is_swapped_hidden_and_faded_by_keys() {
    let files = Files::new();
    let mut window = compared(&files);
    let overlay = |window: &Window| state(window).session.view.overlay;
    assert_eq!(overlay(&window), Overlay::Comparison);
    for expected in [Overlay::Segmentation, Overlay::Reference, Overlay::Segmentation] {
        press(&mut window, Key::T);
        assert_eq!(overlay(&window), expected);
    }
    click(&mut window, "Show reference");
    assert_eq!(overlay(&window), Overlay::Comparison);

    window.key_down(Key::S);
    window.run_steps(5);
    assert!(state(&window).session.view.hide_overlay, "as long as the key is held");
    window.key_up(Key::S);
    window.run_steps(2);
    assert!(!state(&window).session.view.hide_overlay);

    let opacity = |window: &Window| state(window).session.settings.opacity;
    let before = opacity(&window);
    press(&mut window, Key::D);
    assert!((opacity(&window) - before - 0.1).abs() < 1e-6);
    press(&mut window, Key::A);
    press(&mut window, Key::A);
    assert!((opacity(&window) - before + 0.1).abs() < 1e-6);
    for _ in 0..12 {
        press(&mut window, Key::A);
    }
    assert_eq!(opacity(&window), 0.0);
}

#[test]
fn the_palette_finds_and_runs_every_action() {
    let files = Files::new();
    let mut window = compared(&files);
    press_with(&mut window, CTRL, Key::K);
    window.get_by_label("Search actions").type_text("lung");
    settle(&mut window);
    press(&mut window, Key::Enter);
    assert_eq!((report(&window).window, report(&window).level), (Some(1500.0), Some(-600.0)));
    assert_eq!(state(&window).dialog, None);
    // Every enabled action is found by its name, among the first in the list.
    let all = actions(state(&window));
    for action in all.iter().filter(|action| action.enabled) {
        let found = matching(&all, &action.label);
        assert!(found.iter().take(8).any(|a| a.command == action.command), "{}", action.label);
    }
}

#[test]
fn help_lists_every_action_that_has_keys() {
    let files = Files::new();
    let mut window = start(&args(&[&files.scan, &files.truth]), [1280.0, 1500.0], None);
    settle(&mut window);
    window.event(egui::Event::Text("?".into()));
    settle(&mut window);
    assert_eq!(state(&window).dialog, Some(Dialog::Help));
    for action in actions(state(&window)).iter().filter(|action| !action.shortcut.is_empty()) {
        assert!(has(&window, &action.label) && has(&window, action.shortcut), "{}", action.label);
    }
    for (gesture, meaning) in GESTURES {
        assert!(has(&window, gesture) && has(&window, meaning), "{gesture}");
    }
    press(&mut window, Key::Escape);
    assert_eq!(state(&window).dialog, None);
}

#[test]
fn the_theme_is_kept_for_the_next_session() {
    let mut window = open(&Args::default());
    let dark = |window: &Window| window.ctx.global_style().visuals.dark_mode;
    assert!(dark(&window));
    click(&mut window, "Light theme");
    assert!(!dark(&window) && state(&window).session.settings.theme == Theme::Light);
    let kept = Session::settings_json(&state(&window).session.settings).unwrap();
    let settings = Session::from_json(&kept).unwrap().settings;
    let app = App::new(&egui::Context::default(), None, &Args::default(), settings);
    assert_eq!(app.state().session.settings.theme, Theme::Light);
    click(&mut window, "Dark theme");
    assert!(dark(&window));
}

#[test]
fn a_held_key_repeats_steps_but_not_toggles() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let before = slices(&window)[0];
    let hold = |window: &mut Window, modifiers: Modifiers, key: Key, times: usize| {
        for _ in 0..times {
            window.key_down_modifiers(modifiers, key);
            window.run_steps(1);
        }
        window.key_up_modifiers(modifiers, key);
        window.run_steps(1);
    };
    hold(&mut window, Modifiers::NONE, Key::ArrowUp, 3);
    assert_eq!(slices(&window)[0], before + 3);
    hold(&mut window, Modifiers::SHIFT, Key::C, 4);
    assert!(state(&window).session.view.cine.is_some(), "four would have stopped it again");
    hold(&mut window, Modifiers::SHIFT, Key::C, 3);
    assert!(state(&window).session.view.cine.is_none());
}
