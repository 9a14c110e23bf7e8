//! A restart restores the session. Compares the `--state` report before and after.

use std::ffi::OsString;
use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::command::{
    Command, FileCommand, MaskingCommand, OverlayCommand, TimelineCommand, TrainCommand, ViewCommand, WindowCommand,
};
use amlp_viewer::launch::restart;
use amlp_viewer::scene::{Convention, PlaneMode};
use amlp_viewer::state::timeline::WatchView;
use amlp_viewer::state::train::{JobOutcome, TrainPage};
use amlp_viewer::state::view::Overlay;
use amlp_viewer::state::{Dialog, Intent, MaskRole, Mode, Notice, PaneId, PathPurpose, Session, Severity, ToolKind};
use amlp_viewer::theme::Theme;
use amlp_viewer::worker::{self, Failure, JobHandle, Spec};
use clap::Parser as _;
use egui::{Key, Modifiers, PointerButton, vec2};
use engine::event::Stage;
use tempfile::TempDir;

use super::program::program;
use super::training::{TrainingFixture, change, endings, use_control};
use crate::phantom::{Files, write_cohort, write_moving};
use crate::window::*;

/// The command line of a restart, and the folder with its session.
fn line_of(window: &Window) -> (Vec<OsString>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let line = restart::prepare(state(window), &[folder.path().to_path_buf()]).unwrap();
    assert_eq!(files_in(folder.path()), 1, "the session is saved");
    (line, folder)
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

fn parsed(line: &[OsString]) -> Args {
    Args::try_parse_from(std::iter::once(&"amlp-viewer".into()).chain(line)).unwrap()
}

/// A restart with the session of a window; its report must be identical.
pub(super) fn again(window: &Window) -> Window {
    let (line, folder) = line_of(window);
    let new = open(&parsed(&line));
    assert_eq!(files_in(folder.path()), 0, "the session is taken");
    assert_eq!(report(&new).to_json().unwrap(), report(window).to_json().unwrap());
    let stands = |n: &&Notice| n.severity != Severity::Info && !n.dismissed;
    let notices = |window: &Window| state(window).notices.iter().filter(stands).count();
    assert_eq!(notices(&new), notices(window), "{:?}", state(&new).notices);
    // The session that a second restart would get is the same.
    assert_eq!(Session::of(state(&new)), Session::of(state(window)));
    new
}

#[test]
fn a_case_is_restored_in_the_same_view() {
    let files = Files::new();
    let mut window =
        open(&Args { mask: Some(files.prediction.clone()), truth: Some(files.truth.clone()), ..args(&[&files.scan]) });
    let first = report(&window);
    for command in [
        Command::View(ViewCommand::SetWindow { width: 123.5, level: -7.25 }),
        Command::View(ViewCommand::StepSlice { pane: PaneId::Sagittal, by: -3 }),
        Command::View(ViewCommand::StepSlice { pane: PaneId::Coronal, by: 2 }),
        Command::View(ViewCommand::SetConvention(Convention::Neurological)),
        Command::Window(WindowCommand::SetTheme(Theme::Light)),
        Command::View(ViewCommand::SetTool(ToolKind::Ruler)),
        Command::Overlay(OverlayCommand::Show(Overlay::Reference)),
        Command::Overlay(OverlayCommand::ShowLabel(1, false)),
        Command::Window(WindowCommand::ToggleRight),
    ] {
        send(&mut window, command);
    }
    let at = rect(&window, "Axial").center();
    drag(&mut window, at, at + vec2(40.0, 25.0), PointerButton::Primary, Modifiers::NONE);
    drag(&mut window, at, at + vec2(0.0, -60.0), PointerButton::Secondary, Modifiers::NONE);
    assert_eq!(state(&window).measures().len(), 1);
    let new = again(&window);
    assert_ne!(report(&new), first);
    assert_eq!(report(&new).window, Some(123.5));

    // One pane alone, along the patient's axes.
    send(&mut window, ViewCommand::SetPlanes(PlaneMode::World));
    send(&mut window, ViewCommand::Maximise(Some(PaneId::Coronal)));
    let new = again(&window);
    assert_eq!(report(&new).panes.len(), 1);
}

#[test]
fn images_frames_and_modalities_are_restored() {
    let files = Files::new();
    let moving = files.path("moving.nii.gz");
    write_moving(&moving);
    let mut window = open_files(&[&moving]);
    send(&mut window, ViewCommand::SetFrame(2));
    send(&mut window, ViewCommand::SetModality(amlp_viewer::scene::Modality::Pet));
    let new = again(&window);
    assert_eq!(document(&new).image().frame, 2);
}

#[test]
fn a_case_is_restored_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let mut window = open(&Args::default());
    send(&mut window, Intent::UsePaths(PathPurpose::Folder.into(), vec![root.clone()]));
    let third = state(&window).cases.cases[2].id;
    send(&mut window, Intent::OpenCase(third));
    send(&mut window, FileCommand::FilterCases("patient".into()));
    let new = again(&window);
    let cases = &state(&new).cases;
    assert_eq!((cases.root.as_ref(), open_place(&new), cases.cases.len()), (Some(&root), Some(2), 3));
    assert_eq!(state(&new).session.settings.recent, state(&window).session.settings.recent);
    assert_eq!(document(&new).title, "patient_3");
}

#[test]
fn masking_mode_is_restored_with_its_numbers() {
    let files = Files::new();
    let mut window = open(&Args { truth: Some(files.truth.clone()), ..args(&[&files.scan]) });
    send(&mut window, WindowCommand::SetMode(Mode::Masking));
    let mut controls = state(&window).session.masking.controls.clone();
    (controls.grid, controls.seed) = (8, 3);
    send(&mut window, Command::Masking(MaskingCommand::Set(Box::new(controls))));
    send(&mut window, Command::Masking(MaskingCommand::SetEpoch(40)));
    send(&mut window, Command::Masking(MaskingCommand::Pin(Some(9))));
    let new = again(&window);
    assert!(report(&new).masking.is_some_and(|masking| masking.grid == 8));
    assert_eq!(state(&new).session.masking.pinned, Some(9));
}

/// A run of two epochs, on the timeline.
fn trained(fixture: &TrainingFixture) -> Window {
    let mut window = fixture.window();
    click(&mut window, "Start pre-training");
    assert_eq!(endings(&window), [JobOutcome::Finished]);
    window
}

#[test]
fn the_timeline_and_the_training_form_are_restored() {
    let fixture = TrainingFixture::new();
    let mut window = trained(&fixture);
    let run = fixture.runs().join("amlp-pet");
    for command in [
        TimelineCommand::SetEpoch { stage: Stage::Pretrain, epoch: 1 },
        TimelineCommand::Show(WatchView::Curves),
        TimelineCommand::SetSmoothing(0.5),
    ] {
        send(&mut window, Command::Timeline(command));
    }
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Watch)));
    // Such a short run has learned nothing, which it warned of.
    send(&mut window, WindowCommand::DismissAll);
    change(&mut window, |form| form.pretrain.training.lr = 0.25);
    settle(&mut window);
    let new = again(&window);
    let run_report = report(&new).run.unwrap();
    assert_eq!((run_report.folder, run_report.epoch), (run.display().to_string(), Some(1)));
    assert!(run_report.summary.is_some() && run_report.probe.is_some());
    assert_eq!(state(&new).session.train.page, TrainPage::Watch);
    assert_eq!(state(&new).session.train.form, state(&window).session.train.form);

    // Compared with another epoch of itself, and with another run.
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Compare)));
    send(&mut window, Command::Timeline(TimelineCommand::CompareEpoch(2)));
    again(&window);
    send(&mut window, Command::Timeline(TimelineCommand::Compare(vec![run])));
    send(&mut window, Command::Timeline(TimelineCommand::CompareEpoch(1)));
    let new = again(&window);
    assert!(state(&new).compared_run().is_some_and(|(run, epoch)| run.name == "amlp-pet" && epoch == 1));
}

#[test]
fn a_missing_session_file_is_reported_and_the_program_starts() {
    let files = Files::new();
    let mut window = open(&Args { mask: Some(files.prediction.clone()), ..args(&[&files.scan]) });
    for command in [
        Command::View(ViewCommand::StepSlice { pane: PaneId::Axial, by: 4 }),
        Command::Window(WindowCommand::SetTheme(Theme::Light)),
        Command::Window(WindowCommand::SetMode(Mode::Masking)),
    ] {
        send(&mut window, command);
    }
    let (line, folder) = line_of(&window);
    drop(folder);
    let new = open(&parsed(&line));
    assert!(state(&new).document.is_none());
    let warned = |n: &amlp_viewer::state::Notice| n.severity == Severity::Warning && n.detail.contains("session-");
    assert!(state(&new).notices.iter().any(warned), "{:?}", state(&new).notices);
}

#[test]
fn an_invalid_number_in_the_form_does_not_make_the_session_unreadable() {
    let fixture = TrainingFixture::new();
    let mut window = fixture.window();
    change(&mut window, |form| form.enter("Batch", Some("Not a number".into())));
    let (line, _folder) = line_of(&window);
    let new = open(&parsed(&line));
    assert_eq!(state(&new).session.train.form.name, state(&window).session.train.form.name);
    let warned = state(&new).notices.iter().any(|notice| notice.severity == Severity::Warning);
    assert!(!warned, "{:?}", state(&new).notices);
}

#[test]
fn the_built_program_restores_the_view() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.truth]);
    send(&mut window, ViewCommand::StepSlice { pane: PaneId::Coronal, by: 5 });
    let (line, folder) = line_of(&window);
    let out = files.path("state.json");
    let output = program().arg("--state").arg(&out).args(&line).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), report(&window).to_json().unwrap());
    assert_eq!(files_in(folder.path()), 0);
}

#[test]
fn missing_files_are_reported_and_the_rest_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let mut window = open(&Args::default());
    send(&mut window, Intent::UsePaths(PathPurpose::Folder.into(), vec![root.clone()]));
    let second = state(&window).cases.cases[1].id;
    send(&mut window, Intent::OpenCase(second));
    let (line, _kept) = line_of(&window);
    let gone = document(&window).base().path().to_path_buf();
    std::fs::remove_file(&gone).unwrap();
    let new = open(&parsed(&line));
    assert_eq!(state(&new).cases.root.as_ref(), Some(&root));
    assert!(state(&new).document.as_ref().is_none_or(|document| document.base().path() != gone));
    let name = gone.file_name().unwrap().to_string_lossy().into_owned();
    assert!(errors(&new).iter().any(|message| message.contains(&name)), "{name} is reported: {:?}", errors(&new));
}

#[test]
fn a_restart_asks_the_same_questions_as_closing() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    window.state_mut().parts().0.document.as_mut().unwrap().mask_mut(MaskRole::Segmentation).unwrap().saved_revision =
        None;
    let ask = |window: &mut Window, command: Command| {
        window.state_mut().dispatch(command);
        window.run_steps(3);
        assert_eq!(state(window).dialog, Some(Dialog::Close));
    };
    ask(&mut window, Command::Window(WindowCommand::Restart));
    assert!(has(&window, "Restart AMLP?"));
    click(&mut window, "Cancel");
    ask(&mut window, Command::Window(WindowCommand::Quit));
    assert!(has(&window, "Close AMLP?"));
    click(&mut window, "Close without saving");
    assert!(state(&window).quit && !window.state().restarts(), "closed, not restarted");

    let mut window = open_files(&[&files.scan, &files.prediction]);
    window.state_mut().parts().0.document.as_mut().unwrap().mask_mut(MaskRole::Segmentation).unwrap().saved_revision =
        None;
    ask(&mut window, Command::Window(WindowCommand::Restart));
    click(&mut window, "Restart without saving");
    assert!(window.state().restarts());

    let mut window = open_files(&[&files.scan]);
    let endless = |handle: &JobHandle| {
        while handle.check().is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Err::<(), _>(Failure::Cancelled)
    };
    window.state_mut().parts().1.start_with(Spec::new(worker::segment::SLOT, "Endless"), endless, |_, _, _, _| ());
    ask(&mut window, Command::Window(WindowCommand::Restart));
    use_control(&mut window, "Stop and restart");
    assert!(window.state().restarts());
}

#[test]
fn a_lost_device_offers_a_restart() {
    let files = Files::new();
    let Some(screen) = screen() else { return };
    let device = screen.device.clone();
    let mut window = start(&args(&[&files.scan]), SIZE, Some(screen));
    settle(&mut window);
    send(&mut window, WindowCommand::OpenHelp);
    device.destroy();
    drop(device.poll(wgpu::PollType::Poll));
    window.run_steps(3);
    assert!(matches!(&state(&window).dialog, Some(Dialog::DeviceLost { why }) if why.contains("lost")));
    assert!(has(&window, "Images can no longer be drawn"));
    use_control(&mut window, "Not now");
    assert_eq!((&state(&window).dialog, state(&window).quit), (&None, false));
    window.run_steps(3);
    assert_eq!(state(&window).dialog, None, "it is asked once");
    assert_eq!(errors(&window).len(), 1);

    window.state_mut().parts().0.dialog = Some(Dialog::DeviceLost { why: "the device was lost".into() });
    window.run_steps(3);
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert!(window.state().restarts(), "Enter restarts, since nothing may be visible");
}
