//! View keys do nothing where no views are shown.

use amlp_viewer::Args;
use amlp_viewer::command::{Command, TrainCommand, ViewCommand, WindowCommand};
use amlp_viewer::state::train::TrainPage;
use amlp_viewer::state::{Dialog, Mode, PaneId, PathPurpose, ToolKind};
use egui::{Event, Key, Modifiers, Role};
use egui_kittest::kittest::Queryable as _;

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

/// The view state that keys change.
fn looks(window: &Window) -> String {
    let state = state(window);
    let settings = &state.session.settings;
    format!("{:?} {} {} {}", state.session.view, settings.opacity, settings.interpolate, settings.fill)
}

/// Presses every key, and holds S.
fn assert_no_effect(window: &mut Window, where_: &str) {
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
fn view_keys_do_nothing_without_views() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction, &files.truth]);
    send(&mut window, ViewCommand::SetTool(ToolKind::Pan));
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    for page in TrainPage::ALL {
        send(&mut window, Command::Train(TrainCommand::ShowPage(page)));
        assert_no_effect(&mut window, page.name());
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
    // The views disappear while the key is held.
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    assert!(!state(&window).session.view.hide_overlay);
    window.key_up(Key::S);
    window.run_steps(2);
}

#[test]
fn arrow_keys_move_through_an_open_list_and_not_through_slices() {
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
fn view_keys_do_nothing_on_the_welcome_screen() {
    let mut window = open(&Args::default());
    assert_no_effect(&mut window, "the welcome");
    send(&mut window, WindowCommand::SetMode(Mode::Masking));
    assert_no_effect(&mut window, "Masking without a scan");
}

/// A slow frame contains several keys.
#[test]
fn keys_typed_after_one_that_opens_a_field_go_to_that_field() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let before = (looks(&window), state(&window).session.settings.theme);
    let key = |key, pressed, modifiers| Event::Key { key, physical_key: None, pressed, repeat: false, modifiers };
    let in_one_frame = |window: &mut Window, opening: (Key, Modifiers), text: &str| {
        let mut events = vec![key(opening.0, true, opening.1), key(opening.0, false, opening.1)];
        for letter in text.chars() {
            let pressed = Key::from_name(&letter.to_uppercase().to_string()).unwrap();
            events.extend([key(pressed, true, Modifiers::NONE), Event::Text(letter.into())]);
            events.push(key(pressed, false, Modifiers::NONE));
        }
        window.input_mut().events.extend(events);
        window.step();
    };
    in_one_frame(&mut window, (Key::K, CTRL), "light");
    settle(&mut window);
    assert_eq!(state(&window).dialog, Some(Dialog::Palette { query: "light".to_owned(), chosen: 0 }));
    assert_eq!((looks(&window), state(&window).session.settings.theme), before);
    press(&mut window, Key::Enter);
    assert!(state(&window).session.settings.theme != before.1 && state(&window).dialog.is_none());
    in_one_frame(&mut window, (Key::L, CTRL), "scan");
    settle(&mut window);
    let request = PathPurpose::Files.into();
    assert_eq!(state(&window).dialog, Some(Dialog::Path { request, text: "scan".to_owned() }));
    assert_eq!(looks(&window), before.0);
    press(&mut window, Key::Escape);
    // A key that opens nothing does not delay others.
    in_one_frame(&mut window, (Key::Num3, Modifiers::NONE), "f");
    settle(&mut window);
    assert_eq!(state(&window).session.view.tool, ToolKind::Pan);
}

#[test]
fn a_failed_save_shows_the_reason() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let path = files.path("a folder with a long name that is not there/and one more below/segmentation_of_today");
    type_path(&mut window, PathPurpose::SaveSegmentation, &path);
    let notice = state(&window).notices.last().unwrap();
    assert_eq!(notice.title, "Saving segmentation_of_today.nii.gz failed");
    let message = window.get_by_role(Role::Alert).rect();
    assert!(message.width() > 400.0, "alone it has room: {message:?}");
    assert!(notice.detail.contains("No such file"), "{}", notice.detail);
}
