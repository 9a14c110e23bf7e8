//! Reliability under failures at bad moments.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use amlp_viewer::Args;
use amlp_viewer::command::{Command, FileCommand, WindowCommand};
use amlp_viewer::state::{CaseId, Dialog, Intent, ListedCase, PathPurpose, ProbabilityLayer, Slot};
use amlp_viewer::worker::{self, Failure, JobHandle, Spec};
use egui::{Key, ViewportEvent, ViewportId, vec2};
use engine::volume::{Grid, Orientation, Volume};

use crate::phantom::{self, Files};
use crate::window::*;

fn spec(slot: Slot, case: Option<CaseId>, title: &str) -> Spec {
    Spec { case, ..Spec::new(slot, title) }
}

/// Starts a job that fails.
fn start_job(window: &mut Window, spec: Spec, work: impl FnOnce(&JobHandle) -> Result<(), Failure> + Send + 'static) {
    let (_, jobs) = window.state_mut().parts();
    jobs.start_with(spec, work, |result, spec, state, _| {
        if let Err(failure) = result {
            failure.report(&spec.title, state);
        }
    });
}

/// Waits until all threads have ended, including cancelled ones.
fn threads_end(window: &mut Window) {
    wait_for(window, |app| app.jobs().threads() == 0);
    window.run_steps(2);
}

/// A scan that takes a while to read.
fn write_large(path: &std::path::Path) {
    let grid = Grid::new([256, 256, 96], phantom::straight().world_from_voxel);
    phantom::write_i16(path, &grid, Orientation::IDENTITY, |[i, j, k]| ((i * j + 7 * k) % 1500) as i16);
}

/// Blocks a job until released.
struct HeldJob(mpsc::Sender<()>);

impl HeldJob {
    fn new() -> (Self, mpsc::Receiver<()>) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), receiver)
    }

    fn let_go(self) {
        self.0.send(()).unwrap();
    }
}

#[test]
fn opening_another_case_while_one_loads_shows_only_that_one() {
    let files = Files::new();
    let large = files.path("large_ct.nii.gz");
    write_large(&large);
    let mut window = start(&args(&[&large]), SIZE, None);
    window.state_mut().dispatch(Intent::open_paths(vec![files.scan.clone()]));
    window.step();
    settle(&mut window);
    assert_eq!(document(&window).base().path(), files.scan);
    threads_end(&mut window);
    assert_eq!(document(&window).base().path(), files.scan);
    assert_eq!((errors(&window).len(), recent(&window)), (0, &[files.scan.clone()][..]));
}

#[test]
fn a_late_result_of_opening_is_dropped() {
    let files = Files::new();
    let mut window = open(&Args::default());
    let (held, wait) = HeldJob::new();
    let (_, jobs) = window.state_mut().parts();
    let work = move |_: &JobHandle| wait.recv().map_err(|e| Failure::Error(e.to_string()));
    jobs.start_with(spec(worker::open::SLOT, None, "Opening A"), work, |_, _, state, _| {
        state.cases.cases = vec![ListedCase { name: "of A".into(), ..ListedCase::default() }];
    });
    window.step();
    send(&mut window, Intent::open_paths(vec![files.scan.clone()]));
    assert_eq!(window.state().jobs().threads(), 1, "A is still at work");
    held.let_go();
    threads_end(&mut window);
    assert_eq!(document(&window).base().path(), files.scan);
    assert!(state(&window).cases.cases.is_empty());
}

#[test]
fn a_late_result_for_a_closed_case_is_dropped() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let id = document(&window).id;
    let volume = Volume::from_f32(phantom::oblique(), vec![0.5; phantom::oblique().len()]);
    for close in [true, false] {
        let (held, wait) = HeldJob::new();
        let late = ProbabilityLayer { path: None, volume: std::sync::Arc::new(volume.clone()) };
        let id = if close { id } else { document(&window).id };
        // In a slot that is not cancelled by opening another case.
        let (_, jobs) = window.state_mut().parts();
        let work = move |handle: &JobHandle| {
            wait.recv().map_err(|e| Failure::Error(e.to_string()))?;
            let early = late.clone();
            handle.send(move |state, _| state.document.as_mut().unwrap().probability = Some(early));
            Ok(late)
        };
        jobs.start_with(spec(worker::save::SLOT, Some(id), "Something slow"), work, |late, _, state, _| {
            state.document.as_mut().unwrap().probability = late.ok();
        });
        if close {
            send_only(&mut window, Intent::CloseCase);
        }
        send_only(&mut window, Intent::open_paths(vec![files.scan.clone()]));
        wait_for(&mut window, |app| app.state().document.as_ref().is_some_and(|d| d.id != id));
        held.let_go();
        threads_end(&mut window);
        assert!(document(&window).probability.is_none() && document(&window).entropy.is_none());
        assert_ne!(document(&window).id, id, "no two cases of a session share a number");
    }
}

/// Carries a command out without waiting for jobs.
fn send_only(window: &mut Window, command: impl Into<Command>) {
    window.state_mut().dispatch(command);
    window.step();
}

#[test]
fn the_outcome_of_a_save_is_reported_even_if_another_case_is_open() {
    let files = Files::new();
    for (name, fails) in [("late_pred.nii.gz", false), ("no_folder/late_pred.nii.gz", true)] {
        let mut window = open_files(&[&files.scan, &files.prediction]);
        let id = document(&window).id;
        let path = files.path(name);
        let save = Intent::UsePaths(PathPurpose::SaveSegmentation.into(), vec![path.clone()]);
        window.state_mut().dispatch(save);
        window.state_mut().dispatch(Intent::open_paths(vec![files.scan.clone()]));
        let (state, _) = window.state_mut().parts();
        state.document = None;
        wait_for(&mut window, |app| app.state().document.as_ref().is_some_and(|d| d.id != id));
        threads_end(&mut window);
        if fails {
            assert!(errors(&window).len() == 1 && errors(&window)[0].contains(name), "{:?}", errors(&window));
        } else {
            assert!(path.exists() && errors(&window).is_empty());
            assert!(crate::window::state(&window).notices.iter().any(|n| n.title == "Segmentation saved"));
        }
    }
}

/// Starts a job that ends only when cancelled, which the receiver observes.
fn endless(window: &mut Window, slot: Slot) -> mpsc::Receiver<()> {
    let (sender, stopped) = mpsc::channel();
    start_job(window, spec(slot, None, "Endless"), move |handle| {
        while handle.check().is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = sender.send(());
        Err(Failure::Cancelled)
    });
    stopped
}

const SOON: Duration = Duration::from_secs(2);

#[test]
fn the_program_quits_at_once_while_a_case_loads() {
    let files = Files::new();
    let large = files.path("large_ct.nii.gz");
    write_large(&large);
    let mut window = start(&args(&[&large]), SIZE, None);
    let stopped = endless(&mut window, worker::frame::PROJECT);
    window.step();
    let begin = Instant::now();
    drop(window);
    stopped.recv_timeout(SOON).unwrap();
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

#[test]
fn closing_the_window_stops_jobs_and_asks_if_something_would_be_lost() {
    let close = |window: &mut Window| {
        window.input_mut().viewports.entry(ViewportId::ROOT).or_default().events.push(ViewportEvent::Close);
        window.step();
        window.run_steps(3);
    };
    let mut window = open(&Args::default());
    let stopped = endless(&mut window, worker::open::SLOT);
    close(&mut window);
    assert!(state(&window).quit && state(&window).dialog.is_none());
    stopped.recv_timeout(SOON).unwrap();

    let mut window = open(&Args::default());
    let stopped = endless(&mut window, worker::segment::SLOT);
    close(&mut window);
    assert!(!state(&window).quit);
    assert_eq!(state(&window).dialog, Some(Dialog::Close));
    assert!(has(&window, "Still running: Endless."));
    click_only(&mut window, "Keep open");
    assert!(!state(&window).quit && state(&window).dialog.is_none() && stopped.try_recv().is_err());
    close(&mut window);
    click_only(&mut window, "Stop and close");
    assert!(state(&window).quit);
    stopped.recv_timeout(SOON).unwrap();
}

/// Clicks while something runs that does not end.
fn click_only(window: &mut Window, label: &str) {
    use egui_kittest::kittest::Queryable as _;
    window.get_by_label(label).click();
    window.run_steps(3);
}

#[test]
fn a_panic_in_a_job_is_reported_and_everything_else_continues() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let id = document(&window).id;
    for slot in [worker::segment::SLOT, worker::open::SLOT, worker::analyse::SLOT] {
        let before = errors(&window).len();
        let title = format!("A job in {slot:?}");
        start_job(&mut window, spec(slot, Some(id), &title), |_| panic!("index 9 of 4"));
        settle(&mut window);
        let messages = errors(&window);
        assert_eq!(messages.len(), before + 1);
        assert!(messages[before].contains(&title) && messages[before].contains("index 9 of 4"), "{messages:?}");
        let heading = format!("{}: {title} failed", document(&window).title);
        assert!(has(&window, &heading), "a toast says so, and of which case");
    }
    let before = slices(&window)[0];
    press(&mut window, Key::ArrowUp);
    assert_eq!(slices(&window)[0], before + 1);
    let saved = files.path("kept_pred.nii.gz");
    type_path(&mut window, PathPurpose::SaveSegmentation, &saved);
    assert!(saved.exists() && !document(&window).is_unsaved());
    assert!(has(&window, "Segment now"), "the next segmentation can be started");
}

#[test]
fn no_window_size_is_too_small() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction, &files.truth]);
    let commands = [
        Command::Window(WindowCommand::CloseDialog),
        Command::Window(WindowCommand::OpenHelp),
        Command::Window(WindowCommand::OpenPalette),
        Command::Window(WindowCommand::OpenLog),
        Command::Window(WindowCommand::OpenAbout),
        Command::File(FileCommand::TypePath(PathPurpose::SaveSegmentation)),
    ];
    for command in commands {
        send(&mut window, command.clone());
        for size in [[1.0, 800.0], [1280.0, 1.0], [1.0, 1.0], [0.0, 0.0], [40.0, 30.0], [300.0, 200.0], SIZE] {
            window.set_size(vec2(size[0], size[1]));
            window.run_steps(3);
        }
        send(&mut window, WindowCommand::CloseDialog);
    }
    // What does not need a case.
    send(&mut window, Intent::CloseCase);
    for size in [[1.0, 1.0], [0.0, 0.0], [200.0, 100.0], SIZE] {
        window.set_size(vec2(size[0], size[1]));
        window.run_steps(3);
    }
    assert_eq!(errors(&window), [""; 0]);
    assert!(has(&window, "Open sample study"));
}

#[test]
fn a_window_of_one_pixel_is_drawn() {
    let files = Files::new();
    let Some(screen) = screen() else { return };
    let mut window = start(&args(&[&files.scan, &files.prediction]), SIZE, Some(screen));
    settle(&mut window);
    for size in [[1.0, 800.0], [1280.0, 1.0], [1.0, 1.0], [700.0, 500.0]] {
        window.set_size(vec2(size[0], size[1]));
        window.run_steps(3);
        let picture = window.render().unwrap();
        assert_eq!((picture.width() as f32, picture.height() as f32), (size[0], size[1]));
    }
}

/// Resident memory of this process in bytes; `None` if unknown.
fn resident() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<i64>().ok().map(|kib| 1024 * kib)
}

/// Variable that tells the child process to do the scrolling.
const ALONE: &str = "AMLP_TEST_ALONE";

/// Runs in a separate process, since other tests would be counted too.
#[test]
fn scrolling_through_ten_thousand_slices_does_not_grow_memory() {
    if std::env::var_os(ALONE).is_some() {
        return ten_thousand_slices();
    }
    let program = std::env::current_exe().unwrap();
    // The module's path without the name of the program, which is how the test is called.
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::scrolling_through_ten_thousand_slices_does_not_grow_memory");
    let arguments = ["--exact", &name, "--nocapture", "--test-threads", "1"];
    let output = std::process::Command::new(program).args(arguments).env(ALONE, "1").output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed") && text.contains("scrolled"), "{text}");
    text.lines().filter(|line| line.starts_with("skipped: ")).for_each(|line| println!("{line}"));
}

fn ten_thousand_slices() {
    let files = Files::new();
    let mut window = start(&args(&[&files.scan, &files.prediction, &files.truth]), [900.0, 600.0], None);
    settle(&mut window);
    let scroll = |window: &mut Window, count: usize| {
        for n in 0..count {
            // Eight slices down and eight up, in one pane after the other.
            let pane = ["Axial", "Sagittal", "Coronal"][n / 16 % 3];
            if n % 16 == 0 {
                let at = rect(window, pane).center();
                window.input_mut().events.push(egui::Event::PointerMoved(at));
            }
            let notches = if n % 16 < 8 { -1.0 } else { 1.0 };
            window.input_mut().events.push(notch(notches, egui::Modifiers::NONE));
            window.step();
        }
    };
    let before = slices(&window);
    assert!(before.iter().all(|&n| n > 8), "no end is met: {before:?}");
    // Ten times through the same slices: by then everything that is made once has been made.
    scroll(&mut window, 480);
    assert_eq!(slices(&window), before, "as many up as down");
    let settled = resident();
    scroll(&mut window, 9600);
    assert_eq!(slices(&window), before);
    println!("scrolled");
    let Some((settled, after)) = settled.zip(resident()) else {
        println!("skipped: this system does not report a process's memory");
        return;
    };
    println!("{} KiB more after 9600 slices", (after - settled) / 1024);
    assert!(after - settled < 16 << 20, "{} bytes more", after - settled);
}
