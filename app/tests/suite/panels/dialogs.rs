//! Palette, help, log, paths and questions.

use std::path::PathBuf;

use amlp_viewer::command::{Command, FileCommand, ViewCommand, WindowCommand, actions};
use amlp_viewer::state::{Dialog, Intent, MaskLayer, PathPurpose, Severity, State, ToolKind};
use amlp_viewer::worker;
use egui::Key;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::bench::{self, Bench, click, clicked, window};

fn with(dialog: Dialog, state: State) -> Harness<'static, Bench> {
    window(Bench::new(State { dialog: Some(dialog), ..state }))
}

fn press(harness: &mut Harness<'_, Bench>, key: Key) {
    harness.key_press(key);
    harness.run();
}

fn copied(harness: &Harness<'_, Bench>) -> Option<String> {
    harness.output().platform_output.commands.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    })
}

#[test]
fn the_palette_is_operated_by_keyboard() {
    let mut harness = window(Bench::new(bench::ct()));
    click(&mut harness, "Command palette");
    let field = harness.get_by_label("Search actions");
    assert!(field.is_focused(), "one types at once");
    field.type_text("tool");
    harness.run();
    press(&mut harness, Key::ArrowDown);
    press(&mut harness, Key::ArrowDown);
    press(&mut harness, Key::ArrowUp);
    harness.state_mut().sent.clear();
    press(&mut harness, Key::Enter);
    assert_eq!(
        harness.state().sent,
        [Command::Window(WindowCommand::CloseDialog), Command::View(ViewCommand::SetTool(ToolKind::Window))]
    );
    assert_eq!(harness.state().state.dialog, None);
}

#[test]
fn a_clicked_action_runs_even_if_it_opens_a_dialog() {
    let mut harness = with(Dialog::Palette { query: "help".into(), chosen: 0 }, State::default());
    click(&mut harness, "Window: Help: mouse and keys");
    assert_eq!(harness.state().state.dialog, Some(Dialog::Help));
}

/// The scroll bar of the help covered the keys of its right column.
#[test]
fn the_help_has_a_margin_for_its_scroll_bar() {
    let state = State::default();
    let shortcuts: Vec<&str> = actions(&state).iter().map(|action| action.shortcut).filter(|s| !s.is_empty()).collect();
    let harness = with(Dialog::Help, state);
    let sheet = harness.get_by_label("Close dialog").rect().right();
    let keys = shortcuts.iter().flat_map(|keys| harness.query_all_by_label(keys)).map(|keys| keys.rect());
    let inside = keys.filter(|keys| keys.top() > harness.get_by_label("Close dialog").rect().bottom());
    let right = inside.map(|keys| keys.right()).fold(f32::MIN, f32::max);
    assert!(right > sheet - 60.0 && right <= sheet - 12.0, "{right} of {sheet}");
}

#[test]
fn the_palette_hides_disabled_actions() {
    let harness = with(Dialog::Palette { query: "segment".into(), chosen: 0 }, State::default());
    assert!(harness.query_by_label("File: Segment now").is_none());
    let mut harness = with(Dialog::Palette { query: "zebra".into(), chosen: 5 }, bench::ct());
    assert!(harness.query_by_label("No action matches.").is_some());
    press(&mut harness, Key::Enter);
    assert!(harness.state().state.dialog.is_some(), "nothing was chosen");
}

#[test]
fn the_palette_scrolls_to_the_selected_action() {
    let mut harness = with(Dialog::Palette { query: String::new(), chosen: 0 }, bench::ct());
    for _ in 0..4 {
        press(&mut harness, Key::PageDown);
    }
    harness.run_steps(20);
    let Some(Dialog::Palette { chosen, .. }) = harness.state().state.dialog else { panic!("it is open") };
    assert_eq!(chosen, 32);
    let all = actions(&harness.state().state);
    let found = amlp_viewer::command::action::matching(&all, "");
    let name = format!("{}: {}", found[32].group, found[32].label);
    assert!(harness.query_by_label(&name).is_some(), "{name}");
}

#[test]
fn help_names_every_key_and_gesture() {
    let mut harness = with(Dialog::Help, State::default());
    harness.set_size(egui::vec2(1280.0, 1400.0));
    harness.run();
    for action in actions(&State::default()).iter().filter(|action| !action.shortcut.is_empty()) {
        assert!(harness.query_all_by_label(&action.label).count() > 0, "{}", action.label);
        assert!(harness.query_all_by_label(action.shortcut).count() > 0, "{}", action.shortcut);
    }
    for (gesture, meaning) in amlp_viewer::command::action::GESTURES {
        assert!(harness.query_all_by_label(gesture).count() > 0, "{gesture}");
        assert!(harness.query_all_by_label(meaning).count() > 0, "{meaning}");
    }
    click(&mut harness, "Close dialog");
    assert_eq!(harness.state().state.dialog, None);
}

#[test]
fn the_manual_can_be_searched() {
    let mut harness = with(Dialog::Help, State::default());
    click(&mut harness, "Manual");
    assert_eq!(harness.state().state.dialog, Some(Dialog::Manual));
    assert!(harness.query_by_label_contains("amlp-viewer patients").is_some(), "it begins with starting");
    let field = harness.get_by_label("Search the manual");
    assert!(field.is_focused(), "one types at once");
    field.type_text("calipers");
    harness.run();
    assert!(harness.query_all_by_label("Findings").count() > 0 && harness.query_by_label("Settings").is_none());
    assert!(harness.query_by_label_contains("26-connected").is_some(), "the first section found is shown");
    harness.get_by_label("Search the manual").type_text(" zebra");
    harness.run();
    assert!(harness.query_by_label("No section contains these words.").is_some());
}

#[test]
fn the_engine_manual_opens_in_the_same_dialog() {
    let mut harness = with(Dialog::Manual, State::default());
    click(&mut harness, "Engine");
    click(&mut harness, "Presets");
    assert!(harness.query_by_label_contains("the paper omits CCL").is_some());
    harness.get_by_label("Search the manual").focus();
    harness.run();
    harness.get_by_label("Search the manual").type_text("failed.txt");
    harness.run();
    assert!(harness.query_by_label_contains("Two processes cannot write to the same run.").is_some());
    click(&mut harness, "Close dialog");
    assert_eq!(harness.state().state.dialog, None);
}

#[test]
fn a_path_is_typed_and_used() {
    let mut harness =
        with(Dialog::Path { request: PathPurpose::Segmentation.into(), text: String::new() }, bench::ct());
    press(&mut harness, Key::Enter);
    assert_eq!(harness.state().sent, [], "there is nothing to open");
    let field = harness.get_by_label("Path");
    assert!(field.is_focused());
    field.type_text("/data/mask.nii.gz");
    harness.run();
    press(&mut harness, Key::Enter);
    let expected = FileCommand::UsePath(PathPurpose::Segmentation.into(), PathBuf::from("/data/mask.nii.gz"));
    assert_eq!(harness.state().sent.last(), Some(&Command::File(expected)));
    click(&mut harness, "Cancel");
    assert_eq!(harness.state().state.dialog, None);
}

#[test]
fn the_path_dialog_describes_the_file_to_save() {
    let text = "/data/ct_pred.nii.gz".to_owned();
    let harness = with(Dialog::Path { request: PathPurpose::SaveSegmentation.into(), text }, bench::ct());
    assert!(harness.query_by_label_contains("on the grid of the image").is_some());
    assert_eq!(harness.get_by_label("Path").value().as_deref(), Some("/data/ct_pred.nii.gz"));
}

#[test]
fn enter_never_overwrites_a_file() {
    let path = PathBuf::from("/data/ct_pred.nii.gz");
    let mut harness =
        with(Dialog::Overwrite { request: PathPurpose::SaveSegmentation.into(), path: path.clone() }, bench::ct());
    assert!(harness.query_by_label_contains("ct_pred.nii.gz already exists").is_some());
    press(&mut harness, Key::Enter);
    assert_eq!(harness.state().sent, [Command::Intent(Intent::Ask(PathPurpose::SaveSegmentation))]);
    assert_eq!(
        clicked(&mut harness, "Overwrite"),
        Command::File(FileCommand::SaveOver(PathPurpose::SaveSegmentation.into(), path))
    );
    assert_eq!(clicked(&mut harness, "Cancel"), Command::Window(WindowCommand::CloseDialog));
}

#[test]
fn the_close_dialog_names_what_would_be_lost() {
    let mut harness = with(Dialog::Close, unsaved());
    assert!(harness.query_by_label("The segmentation of STS_001 is not saved.").is_some());
    press(&mut harness, Key::Enter);
    assert_eq!(harness.state().sent, [Command::File(FileCommand::SaveThen(Intent::QuitNow))]);
    assert_eq!(clicked(&mut harness, "Close without saving"), Command::Intent(Intent::QuitNow));
    assert_eq!(clicked(&mut harness, "Cancel"), Command::Window(WindowCommand::CloseDialog));

    let mut state = bench::ct();
    state.jobs = vec![bench::job(4, worker::segment::SLOT, "Segmenting STS_001", false)];
    let mut harness = with(Dialog::Close, state);
    assert!(harness.query_by_label("Still running: Segmenting STS_001.").is_some());
    assert_eq!(clicked(&mut harness, "Stop and close"), Command::Intent(Intent::QuitNow));
    press(&mut harness, Key::Enter);
    assert_eq!(harness.state().state.dialog, None, "by default it stays open");
}

/// A case with a segmentation that is not saved.
fn unsaved() -> State {
    let mut state = bench::ct();
    let document = state.document.as_mut().unwrap();
    document.set_mask(MaskLayer { saved_revision: None, ..bench::segmentation() });
    state
}

#[test]
fn actions_that_would_discard_a_segmentation_ask_first() {
    let remove = Intent::RemoveSegmentation;
    let mut bench = Bench::new(unsaved());
    bench.carry_out(remove.clone());
    assert!(bench.state.document.as_ref().unwrap().segmentation().is_some());
    let mut harness = window(bench);
    assert!(harness.query_by_label_contains("The segmentation of STS_001 is not saved").is_some());
    press(&mut harness, Key::Enter);
    let first = Command::File(FileCommand::SaveThen(remove));
    assert_eq!(harness.state().sent, [first], "saving is the default");
    assert_eq!(clicked(&mut harness, "Continue without saving"), Command::File(FileCommand::Discard));
    harness.state_mut().carry_out(FileCommand::Discard);
    harness.run();
    let document = harness.state().state.document.as_ref().unwrap();
    assert!(document.segmentation().is_none() && !document.is_unsaved());
    assert_eq!(harness.state().state.dialog, None);
}

#[test]
fn the_program_quits_only_after_a_successful_save() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(unsaved());
    bench.state.after_saving = Some(Intent::QuitNow);
    bench.carry_out(FileCommand::SaveOver(
        PathPurpose::SaveSegmentation.into(),
        folder.path().join("no such folder/mask.nii.gz"),
    ));
    assert!(bench.state.shows_error() && !bench.state.quit);
    assert_eq!(bench.state.after_saving, None, "nothing is pending any more");

    let mut bench = Bench::new(unsaved());
    bench.state.after_saving = Some(Intent::QuitNow);
    bench.carry_out(FileCommand::SaveOver(PathPurpose::SaveSegmentation.into(), folder.path().join("mask.nii.gz")));
    assert!(bench.state.quit, "{:?}", bench.state.notices);
    assert!(!bench.state.document.as_ref().unwrap().is_unsaved());
}

#[test]
fn the_log_keeps_dismissed_messages_and_can_be_copied() {
    let mut state = bench::with_messages(Severity::Warning, 2);
    state.notices.iter_mut().for_each(|notice| notice.dismissed = true);
    let mut harness = with(Dialog::Log, state);
    assert!(harness.query_by_label("Message 1").is_some());
    assert!(harness.query_by_label("detail 2").is_some());
    harness.get_by_label("Copy all").click();
    harness.step();
    assert_eq!(copied(&harness).as_deref(), Some("warning: Message 1: detail 1\nwarning: Message 2: detail 2"));
    let harness = with(Dialog::Log, State::default());
    assert!(harness.query_by_label("No messages in this session.").is_some());
}

#[test]
fn about_names_licences_and_adapter() {
    let mut harness = with(Dialog::About, State { adapter: "llvmpipe (vulkan)".into(), ..State::default() });
    for text in ["Lucide", "CC BY 3.0", "MIT or Apache 2.0"] {
        assert!(harness.query_all_by_label_contains(text).count() > 0, "{text}");
    }
    let version = format!("Version {}", env!("CARGO_PKG_VERSION"));
    assert!(harness.query_by_label(&version).is_some());
    harness.get_by_label("Copy version and adapter").click();
    harness.step();
    assert!(copied(&harness).unwrap().contains("llvmpipe"));
}

#[test]
fn a_click_beside_a_sheet_only_closes_it() {
    let mut harness = with(Dialog::About, bench::ct());
    let beside = harness.get_by_label("Tool: Ruler").rect().center();
    harness.hover_at(beside);
    harness.drag_at(beside);
    harness.drop_at(beside);
    harness.run();
    assert_eq!(harness.state().sent, [Command::Window(WindowCommand::CloseDialog)]);
    assert_eq!(harness.state().state.session.view.tool, ToolKind::Crosshair);
}

#[test]
fn a_dialog_hides_the_tooltip_of_the_control_below() {
    let mut harness = window(Bench::new(State::default()));
    harness.get_by_label("Left panel").hover();
    harness.run_steps(8);
    assert!(harness.query_by_label("Ctrl+B").is_some(), "the keys are in the tooltip");
    harness.state_mut().state.dialog = Some(Dialog::About);
    harness.run_steps(4);
    assert!(harness.query_by_label("Ctrl+B").is_none());
    harness.state_mut().state.dialog = None;
    harness.run_steps(8);
    assert!(harness.query_by_label("Ctrl+B").is_some(), "the pointer is still there");
}
