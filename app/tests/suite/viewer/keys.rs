//! Keys that work on views are dead where none are shown.

use amlp_viewer::Args;
use amlp_viewer::command::{Command, TrainCommand, ViewCommand, WindowCommand};
use amlp_viewer::state::train::TrainPage;
use amlp_viewer::state::{Mode, PaneId, ToolKind};
use egui::Key;

use crate::phantom::Files;
use crate::window::*;

/// Every key without Ctrl that works on the views of a case.
const KEYS: [Key; 23] = [
    Key::Num1,
    Key::Num2,
    Key::Num3,
    Key::Num4,
    Key::Num5,
    Key::Num6,
    Key::N,
    Key::P,
    Key::T,
    Key::A,
    Key::D,
    Key::W,
    Key::F,
    Key::M,
    Key::C,
    Key::I,
    Key::Enter,
    Key::Backspace,
    Key::ArrowUp,
    Key::ArrowDown,
    Key::PageUp,
    Key::PageDown,
    Key::S,
];

/// What keys change of the views.
fn looks(window: &Window) -> String {
    let state = state(window);
    let settings = &state.session.settings;
    format!("{:?} {} {} {}", state.session.view, settings.opacity, settings.interpolate, settings.fill)
}

/// Presses every key, and holds S.
fn assert_dead(window: &mut Window, where_: &str) {
    let before = looks(window);
    for key in KEYS {
        press(window, key);
        assert_eq!(looks(window), before, "{key:?} on {where_}");
    }
    window.key_down(Key::S);
    window.run_steps(2);
    assert_eq!(looks(window), before, "S held on {where_}");
    window.key_up(Key::S);
    window.run_steps(2);
}

#[test]
fn keys_of_the_views_are_dead_where_there_are_none() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction, &files.truth]);
    send(&mut window, ViewCommand::SetTool(ToolKind::Pan));
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    for page in TrainPage::ALL {
        send(&mut window, Command::Train(TrainCommand::ShowPage(page)));
        assert_dead(&mut window, page.name());
    }
    send(&mut window, WindowCommand::SetMode(Mode::Review));
    for key in [Key::Num2, Key::N, Key::D, Key::T] {
        let before = looks(&window);
        press(&mut window, key);
        assert_ne!(looks(&window), before, "{key:?} in Review");
    }
    window.key_down(Key::S);
    window.run_steps(2);
    assert!(state(&window).session.view.hide_overlay);
    // The views go while the key is held.
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    assert!(!state(&window).session.view.hide_overlay);
    window.key_up(Key::S);
    window.run_steps(2);
}

#[test]
fn arrows_go_through_an_open_list_and_not_through_the_slices() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let before = slices(&window);
    let map = |window: &Window| state(window).session.view.colour_map;
    let (first, maximised) = (map(&window), Some(PaneId::Axial));
    send(&mut window, ViewCommand::Maximise(maximised));
    let mut keys = |keys: &[Key]| {
        click(&mut window, "Colours");
        for key in keys {
            press(&mut window, *key);
        }
        assert_eq!(slices(&window)[0], before[0], "{keys:?}");
        assert_eq!(state(&window).session.view.maximised, maximised, "{keys:?}");
        map(&window)
    };
    assert_eq!(keys(&[Key::ArrowDown, Key::ArrowDown, Key::Escape]), first);
    assert_ne!(keys(&[Key::ArrowDown, Key::Enter]), first);
}

#[test]
fn keys_of_the_views_are_dead_on_the_first_page() {
    let mut window = open(&Args::default());
    assert_dead(&mut window, "the welcome");
    send(&mut window, WindowCommand::SetMode(Mode::Masking));
    assert_dead(&mut window, "Masking without a scan");
}
