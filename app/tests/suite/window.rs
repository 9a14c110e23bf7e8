//! The program in an offscreen window, with simulated input.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use amlp_viewer::command::{Command, FileCommand};
use amlp_viewer::gpu::{self, Gpu};
use amlp_viewer::state::report::Report;
use amlp_viewer::state::{Dialog, Document, PathPurpose, Settings, Severity, State};
use amlp_viewer::{App, Args};
use egui::{Event, Key, Modifiers, MouseWheelUnit, PointerButton, Pos2, Rect, UiBuilder, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use egui_wgpu::{RenderState, RendererOptions, WgpuSetup};

/// Time limit for jobs. Only a job that hangs reaches it, even on a machine that is busy with other work.
pub const TIMEOUT: Duration = Duration::from_mins(4);
/// Ctrl as a window reports it.
pub const CTRL: Modifiers = Modifiers { ctrl: true, command: true, ..Modifiers::NONE };
/// The usual size of a window.
pub const SIZE: [f32; 2] = [1280.0, 800.0];

/// The program in its window.
pub type Window = Harness<'static, App>;

/// Starts the program without an adapter and waits until it is idle.
pub fn open(args: &Args) -> Window {
    let mut window = start(args, SIZE, None);
    settle(&mut window);
    window
}

/// As [`open`], with files on the command line.
pub fn open_files(paths: &[&Path]) -> Window {
    open(&args(paths))
}

/// A command line of files.
pub fn args(paths: &[&Path]) -> Args {
    Args { paths: paths.iter().map(|p| p.to_path_buf()).collect(), ..Args::default() }
}

/// Starts the program without waiting for anything.
pub fn start(args: &Args, size: [f32; 2], screen: Option<RenderState>) -> Window {
    start_of(args, Settings::default(), size, screen)
}

/// As [`start`], with the settings of an earlier session and without an adapter.
pub fn start_with(args: &Args, settings: Settings) -> Window {
    start_of(args, settings, SIZE, None)
}

fn start_of(args: &Args, settings: Settings, size: [f32; 2], screen: Option<RenderState>) -> Window {
    let gpu = screen.as_ref().map(Gpu::new);
    let app = App::new(&egui::Context::default(), gpu, args, settings);
    let builder = Harness::builder().with_size(size).with_step_dt(1.0 / 60.0).with_render_cursor(false);
    let builder = match screen {
        Some(screen) => builder.renderer(WgpuTestRenderer::from_render_state(screen)),
        None => builder,
    };
    let frame = |ui: &mut egui::Ui, app: &mut App| {
        let ctx = ui.ctx().clone();
        app.logic(&ctx);
        // Scrolling is immediate.
        ctx.all_styles_mut(|style| style.scroll_animation = egui::style::ScrollAnimation::none());
        // Without the harness's margin.
        let mut whole = ui.new_child(UiBuilder::new().max_rect(ctx.content_rect()));
        whole.set_clip_rect(ctx.content_rect());
        app.ui(&mut whole);
    };
    builder.build_ui_state(frame, app)
}

/// A render device, preferably software; `None` with a message if there is none.
pub fn screen() -> Option<RenderState> {
    crate::common::offscreen()?;
    let mut setup = gpu::configuration().wgpu_setup;
    if let (WgpuSetup::CreateNew(ours), WgpuSetup::CreateNew(emulated)) = (&mut setup, default_wgpu_setup()) {
        ours.native_adapter_selector = emulated.native_adapter_selector;
    }
    Some(create_render_state(setup, RendererOptions::PREDICTABLE))
}

/// Draws frames until the program is idle.
pub fn settle(window: &mut Window) {
    wait_for(window, App::is_idle);
    window.run_steps(3);
    // The last frame may have started more.
    wait_for(window, App::is_idle);
}

/// Draws frames until something is true of the program.
pub fn wait_for(window: &mut Window, ready: impl Fn(&App) -> bool) {
    let begin = Instant::now();
    loop {
        window.step();
        if ready(window.state()) {
            return;
        }
        let state = window.state().state();
        assert!(begin.elapsed() < TIMEOUT, "jobs: {:?}, notices: {:?}", state.jobs, state.notices);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The state of the program.
pub fn state(window: &Window) -> &State {
    window.state().state()
}

/// Index of the selected case in the list.
pub fn open_place(window: &Window) -> Option<usize> {
    let cases = &state(window).cases;
    cases.cases.iter().position(|case| Some(case.id) == cases.open)
}

/// The open case.
pub fn document(window: &Window) -> &Document {
    state(window).document.as_ref().expect("a case is open")
}

/// The `--state` report.
pub fn report(window: &Window) -> Report {
    Report::of(state(window))
}

/// The numbers of the shown slices, of every pane but the projection.
pub fn slices(window: &Window) -> Vec<usize> {
    report(window).panes.into_iter().filter_map(|pane| pane.slice).collect()
}

/// All errors, title and detail.
pub fn errors(window: &Window) -> Vec<String> {
    let errors = state(window).notices.iter().filter(|n| n.severity == Severity::Error);
    errors.flat_map(|n| std::iter::repeat_n(format!("{}: {}", n.title, n.detail), n.count)).collect()
}

/// Whether a control with this name exists.
pub fn has(window: &Window, label: &str) -> bool {
    window.query_all_by_label(label).next().is_some()
}

pub fn send(window: &mut Window, command: impl Into<Command>) {
    window.state_mut().dispatch(command);
    settle(window);
}

pub fn click(window: &mut Window, label: &str) {
    // A panel may have to be scrolled first.
    window.get_by_label(label).scroll_to_me();
    window.run_steps(3);
    window.get_by_label(label).click();
    settle(window);
}

pub fn press(window: &mut Window, key: Key) {
    window.key_press(key);
    settle(window);
}

pub fn press_with(window: &mut Window, modifiers: Modifiers, key: Key) {
    window.key_press_modifiers(modifiers, key);
    settle(window);
}

/// Types a path for a purpose into the path field.
pub fn type_path(window: &mut Window, purpose: PathPurpose, path: &Path) {
    send(window, FileCommand::TypePath(purpose));
    window.get_by_label("Path").focus();
    settle(window);
    window.get_by_label("Path").type_text(&path.display().to_string());
    settle(window);
    // The question about unsaved work follows the path.
    let request = if purpose == PathPurpose::Files { purpose.into() } else { state(window).path_request(purpose) };
    let typed = Dialog::Path { request, text: path.display().to_string() };
    assert_eq!(state(window).dialog, Some(typed));
    press(window, Key::Enter);
}

/// Rectangle of a pane.
pub fn rect(window: &Window, pane: &str) -> Rect {
    window.get_by_label(pane).rect()
}

/// Turns the wheel by notches over a pane; towards the user is negative.
pub fn wheel(window: &mut Window, pane: &str, notches: f32, modifiers: Modifiers) {
    window.get_by_label(pane).hover();
    window.event(notch(notches, modifiers));
    settle(window);
}

/// A turn of the wheel.
pub fn notch(notches: f32, modifiers: Modifiers) -> Event {
    Event::MouseWheel {
        unit: MouseWheelUnit::Line,
        delta: vec2(0.0, notches),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Unknown,
        modifiers,
    }
}

/// Drags from one position to another.
pub fn drag(window: &mut Window, from: Pos2, to: Pos2, button: PointerButton, modifiers: Modifiers) {
    let press = |pos, pressed| Event::PointerButton { pos, button, pressed, modifiers };
    window.event(Event::ModifiersChanged(modifiers));
    window.event(Event::PointerMoved(from));
    window.event(press(from, true));
    window.event(Event::PointerMoved(from + (to - from) / 2.0));
    window.event(Event::PointerMoved(to));
    window.event(press(to, false));
    window.event(Event::ModifiersChanged(Modifiers::NONE));
    settle(window);
    // The next press must not count as a double click.
    pass_time(window);
}

/// Lets more than half a second pass in few frames. Then the next press does not count as a double click, and animations have
/// ended.
pub fn pass_time(window: &mut Window) {
    let now = window.ctx.input(|input| input.time);
    window.input_mut().time = Some(now + 0.6);
    window.step();
    window.input_mut().time = None;
    // What appears only after a pause fades in.
    window.run_steps(8);
}

/// The recent files and folders of a session.
pub fn recent(window: &Window) -> &[PathBuf] {
    &state(window).session.settings.recent
}
