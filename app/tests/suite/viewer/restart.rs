//! U8: the program starts itself anew with the same view. What is compared is the report of `--state`.

use std::ffi::OsString;
use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::command::Command;
use amlp_viewer::command::masking::MaskingCommand;
use amlp_viewer::command::timeline::TimelineCommand;
use amlp_viewer::command::train::TrainCommand;
use amlp_viewer::launch::restart;
use amlp_viewer::scene::{Convention, PlaneMode};
use amlp_viewer::state::kept::KeptView;
use amlp_viewer::state::report::Report;
use amlp_viewer::state::timeline::WatchView;
use amlp_viewer::state::train::{Ending, TrainPage};
use amlp_viewer::state::view::Overlay;
use amlp_viewer::state::{Dialog, Mode, PaneId, PathPurpose, Severity, ToolKind};
use amlp_viewer::theme::Theme;
use amlp_viewer::worker::{Kind, Spec};
use clap::Parser as _;
use egui::{Key, Modifiers, PointerButton, vec2};
use engine::event::Stage;
use tempfile::TempDir;

use super::program::program;
use super::training::{Place, change, endings, use_control};
use crate::phantom::{Files, write_cohort, write_moving};
use crate::window::*;

/// The command line of a new start, and the folder in which it has the rest of the view.
fn line_of(window: &Window) -> (Vec<OsString>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let line = restart::prepare(state(window), Some(folder.path()));
    assert_eq!(files_in(folder.path()), 1, "the view is written");
    (line, folder)
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

fn parsed(line: &[OsString]) -> Args {
    Args::try_parse_from(std::iter::once(&"amlp-viewer".into()).chain(line)).unwrap()
}

/// A new start with the view of a window; what it reports is the same, word for word.
fn again(window: &Window) -> Window {
    let (line, folder) = line_of(window);
    let new = open(&parsed(&line));
    assert_eq!(files_in(folder.path()), 0, "the view is taken");
    assert_eq!(report(&new).to_json().unwrap(), report(window).to_json().unwrap());
    let notices = |window: &Window| state(window).notices.iter().filter(|n| n.severity != Severity::Info).count();
    assert_eq!(notices(&new), notices(window), "{:?}", state(&new).notices);
    // Nothing but what arrives later could still differ: the view that a third start would get is the same.
    assert_eq!(KeptView::of(state(&new)), KeptView::of(state(window)));
    new
}

#[test]
fn u8_a_case_comes_back_as_it_was_looked_at() {
    let files = Files::new();
    let mut window =
        open(&Args { mask: Some(files.prediction.clone()), truth: Some(files.truth.clone()), ..args(&[&files.scan]) });
    let first = report(&window);
    for command in [
        Command::SetWindow { width: 123.5, level: -7.25 },
        Command::StepSlice { pane: PaneId::Sagittal, by: -3 },
        Command::StepSlice { pane: PaneId::Coronal, by: 2 },
        Command::SetConvention(Convention::Neurological),
        Command::SetTheme(Theme::Light),
        Command::SetTool(ToolKind::Ruler),
        Command::SetOverlay(Overlay::Truth),
        Command::ShowLabel(1, false),
        Command::ToggleRight,
    ] {
        send(&mut window, command);
    }
    let at = rect(&window, "Axial").center();
    drag(&mut window, at, at + vec2(40.0, 25.0), PointerButton::Primary, Modifiers::NONE);
    drag(&mut window, at, at + vec2(0.0, -60.0), PointerButton::Secondary, Modifiers::NONE);
    assert_eq!(state(&window).view.measures.len(), 1);
    let new = again(&window);
    assert_ne!(report(&new), first);
    assert_eq!(report(&new).window, Some(123.5));

    // One pane alone, along the patient's axes.
    send(&mut window, Command::SetPlanes(PlaneMode::World));
    send(&mut window, Command::Maximise(Some(PaneId::Coronal)));
    let new = again(&window);
    assert_eq!(report(&new).panes.len(), 1);
}

#[test]
fn u8_several_images_frames_and_modalities_come_back() {
    let files = Files::new();
    let moving = files.path("moving.nii.gz");
    write_moving(&moving);
    let mut window = open_files(&[&moving]);
    send(&mut window, Command::SetFrame(2));
    send(&mut window, Command::SetModality(amlp_viewer::scene::Modality::Pet));
    let new = again(&window);
    assert_eq!(document(&new).image().frame, 2);
}

#[test]
fn u8_a_case_of_a_folder_comes_back_with_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let mut window = open(&Args::default());
    send(&mut window, Command::UsePaths(PathPurpose::Folder, vec![root.clone()]));
    send(&mut window, Command::OpenCase(2));
    send(&mut window, Command::FilterCases("patient".into()));
    let new = again(&window);
    let cases = &state(&new).cases;
    assert_eq!((cases.root.as_ref(), cases.open, cases.cases.len()), (Some(&root), Some(2), 3));
    assert_eq!(state(&new).settings.recent, state(&window).settings.recent);
    assert_eq!(document(&new).title, "patient_3");
}

#[test]
fn u8_masking_comes_back_with_its_numbers() {
    let files = Files::new();
    let mut window = open(&Args { truth: Some(files.truth.clone()), ..args(&[&files.scan]) });
    send(&mut window, Command::SetMode(Mode::Masking));
    let mut controls = state(&window).masking.controls.clone();
    (controls.grid, controls.seed) = (8, 3);
    send(&mut window, Command::Masking(MaskingCommand::Set(Box::new(controls))));
    send(&mut window, Command::Masking(MaskingCommand::SetEpoch(40)));
    send(&mut window, Command::Masking(MaskingCommand::Pin(Some(9))));
    let new = again(&window);
    assert!(report(&new).masking.is_some_and(|masking| masking.grid == 8));
    assert_eq!(state(&new).masking.pinned, Some(9));
}

/// A run of two epochs, on the timeline.
fn trained(place: &Place) -> Window {
    let mut window = place.window();
    click(&mut window, "Start pre-training");
    assert_eq!(endings(&window), [Ending::Finished]);
    window
}

#[test]
fn u8_a_run_comes_back_at_its_epoch_and_training_with_its_form() {
    let place = Place::new();
    let mut window = trained(&place);
    let run = place.runs().join("amlp-pet");
    for command in [
        TimelineCommand::SetEpoch { stage: Stage::Pretrain, epoch: 1 },
        TimelineCommand::Show(WatchView::Curves),
        TimelineCommand::SetSmoothing(0.5),
    ] {
        send(&mut window, Command::Timeline(command));
    }
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Watch)));
    change(&mut window, |form| form.pretrain.training.lr = 0.25);
    settle(&mut window);
    let new = again(&window);
    let told = report(&new).run.unwrap();
    assert_eq!((told.folder, told.epoch), (run.display().to_string(), Some(1)));
    assert!(told.summary.is_some() && told.probe.is_some());
    assert_eq!(state(&new).train.page, TrainPage::Watch);
    assert_eq!(state(&new).train.form, state(&window).train.form);

    // Beside another epoch of itself, and beside another run.
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Compare)));
    send(&mut window, Command::Timeline(TimelineCommand::CompareEpoch(2)));
    again(&window);
    send(&mut window, Command::Timeline(TimelineCommand::Compare(run)));
    send(&mut window, Command::Timeline(TimelineCommand::CompareEpoch(1)));
    let new = again(&window);
    assert!(state(&new).timeline.compared().is_some_and(|(run, epoch)| run.name == "amlp-pet" && epoch == 1));
}

#[test]
fn u8_the_arguments_alone_say_what_they_can() {
    let files = Files::new();
    let mut window = open(&Args { mask: Some(files.prediction.clone()), ..args(&[&files.scan]) });
    for command in [
        Command::StepSlice { pane: PaneId::Axial, by: 4 },
        Command::SetTheme(Theme::Light),
        Command::SetMode(Mode::Masking),
    ] {
        send(&mut window, command);
    }
    let (line, folder) = line_of(&window);
    drop(folder);
    let new = open(&parsed(&line));
    let axial = |window: &Window| report(window).panes[0].slice;
    assert_eq!((axial(&new), report(&new).mode), (axial(&window), Mode::Masking));
    assert_eq!(document(&new).prediction.as_ref().unwrap().path.as_ref(), Some(&files.prediction));
    assert_eq!(state(&new).settings.theme, Theme::Light);
    let warned = |n: &amlp_viewer::state::Notice| n.severity == Severity::Warning && n.detail.contains("view-");
    assert!(state(&new).notices.iter().any(warned), "{:?}", state(&new).notices);

    // A run and its epoch.
    let place = Place::new();
    let mut window = trained(&place);
    let to = TimelineCommand::SetEpoch { stage: Stage::Pretrain, epoch: 1 };
    send(&mut window, Command::Timeline(to));
    let args = parsed(&restart::prepare(state(&window), None));
    assert_eq!(args.view, None);
    assert_eq!((args.paths.clone(), args.workspace.clone()), (vec![place.cohort()], Some(place.runs())));
    // The estimate of the paper's settings, which no argument changes, is not waited for.
    let mut new = start(&args, SIZE, None);
    let wanted = report(&window).run;
    wait_for(&mut new, |app| Report::of(app.state()).run == wanted);
}

#[test]
fn u8_the_built_program_brings_the_view_back() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.truth]);
    send(&mut window, Command::StepSlice { pane: PaneId::Coronal, by: 5 });
    let (line, folder) = line_of(&window);
    let out = files.path("state.json");
    let output = program().arg("--state").arg(&out).args(&line).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), report(&window).to_json().unwrap());
    assert_eq!(files_in(folder.path()), 0);
}

#[test]
fn u8_what_is_gone_is_said_and_the_rest_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let mut window = open(&Args::default());
    send(&mut window, Command::UsePaths(PathPurpose::Folder, vec![root.clone()]));
    send(&mut window, Command::OpenCase(1));
    let (line, _kept) = line_of(&window);
    let gone = document(&window).base().path.clone();
    std::fs::remove_file(&gone).unwrap();
    let new = open(&parsed(&line));
    assert_eq!(state(&new).cases.root.as_ref(), Some(&root));
    assert!(state(&new).document.as_ref().is_none_or(|document| document.base().path != gone));
}

#[test]
fn u8_a_restart_asks_what_closing_asks() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    window.state_mut().parts().0.document.as_mut().unwrap().unsaved = true;
    let ask = |window: &mut Window, command: Command| {
        window.state_mut().dispatch(command);
        window.run_steps(3);
        assert_eq!(state(window).dialog, Some(Dialog::Close));
    };
    ask(&mut window, Command::Restart);
    assert!(has(&window, "Restart AMLP?"));
    click(&mut window, "Cancel");
    ask(&mut window, Command::Quit);
    assert!(has(&window, "Close AMLP?"));
    click(&mut window, "Close without saving");
    assert!(state(&window).quit && !window.state().starts_anew(), "closed, not restarted");

    let mut window = open_files(&[&files.scan, &files.prediction]);
    window.state_mut().parts().0.document.as_mut().unwrap().unsaved = true;
    ask(&mut window, Command::Restart);
    click(&mut window, "Restart without saving");
    assert!(window.state().starts_anew());

    let mut window = open_files(&[&files.scan]);
    let spec = Spec { kind: Kind::Segment, document: None, title: "Endless".into(), quiet: false };
    window.state_mut().start_job(spec, |ticket| {
        while ticket.check().is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Err(amlp_viewer::worker::Failure::Cancelled)
    });
    ask(&mut window, Command::Restart);
    use_control(&mut window, "Stop and restart");
    assert!(window.state().starts_anew());
}

#[test]
fn u8_a_lost_device_offers_to_start_anew() {
    let files = Files::new();
    let Some(screen) = screen() else { return };
    let device = screen.device.clone();
    let mut window = start(&args(&[&files.scan]), SIZE, Some(screen));
    settle(&mut window);
    send(&mut window, Command::OpenHelp);
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
    assert!(window.state().starts_anew(), "Enter is enough where nothing can be seen");
}
