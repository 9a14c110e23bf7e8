//! One frame of the window: logic first, then drawing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::cohort::FingerprintCache;

use crate::args::Args;
use crate::command::{self, Command, EditCommand, Sender, TrainCommand, WindowCommand, dispatch, keys};
use crate::demo::Demo;
use crate::gpu::Gpu;
use crate::launch::restart;
use crate::state::train::{CohortState, Phase, TrainPage, TrainSettings};
use crate::state::{Dialog, Intent, Mode, Session, Settings, Severity, State};
use crate::worker::{self, Jobs, Wake};
use crate::{dialog, panel, theme, view};

/// The key of the stored settings.
const SETTINGS: &str = "settings";
/// Seconds until the next frame while a poll is overdue.
const OVERDUE_INTERVAL: f64 = 0.5;
/// Maximum seconds until the next frame, while one is due.
const MAX_WAIT_SECONDS: f64 = 60.0;

/// The program: state, jobs and start options.
pub struct App {
    state: State,
    jobs: Jobs,
    sender: Sender,
    demo: Option<Demo>,
    shown: Option<(theme::Theme, String)>,
    /// False for a report, which ends by itself. Otherwise settings are saved and changes on disk are followed.
    stays_open: bool,
    loss_reported: bool,
}

impl App {
    /// A window for the command line's request. Without a `gpu` slices are not drawn; everything else works.
    pub fn new(ctx: &egui::Context, gpu: Option<Gpu>, args: &Args, settings: Settings) -> Self {
        let waker = ctx.clone();
        let wake: Wake = Arc::new(move || waker.request_repaint());
        let remembered = settings.training.clone().map_or_else(|| Ok(TrainSettings::default()), serde_json::from_value);
        let adapter = gpu.as_ref().map_or_else(|| "no graphics adapter".to_owned(), Gpu::adapter_name);
        let mut app = Self {
            state: State {
                session: Session {
                    settings,
                    mode: args.mode.into(),
                    label_map: args.label_map.clone(),
                    ..Session::default()
                },
                adapter,
                anonymous: args.demo || args.is_report(),
                ..State::default()
            },
            jobs: Jobs::new(gpu, wake),
            sender: Sender::default(),
            demo: args.demo.then(|| args.demo_steps.map_or_else(Demo::default, Demo::of_steps)),
            shown: None,
            stays_open: !args.is_report(),
            loss_reported: false,
        };
        app.jobs.set_painter(view::export);
        match remembered {
            Ok(TrainSettings { form, cohort }) => {
                app.state.session.train.form = form;
                app.state.cache.train.cohort = cohort.map_or(CohortState::None, CohortState::Remembered);
            }
            Err(why) => app.warn("The form of the last run was reset", why.to_string()),
        }
        app.start(args);
        app
    }

    fn start(&mut self, args: &Args) {
        match args.session.as_deref().map(restart::take) {
            Some(Ok(session)) => worker::restore::start(&mut self.state, &mut self.jobs, session),
            Some(Err(why)) => {
                self.warn("The last session could not be restored", why);
                self.show(args);
            }
            None => self.show(args),
        }
        // A report of another mode must not depend on the home folder.
        if !args.is_report() || self.state.session.mode == Mode::Train || args.workspace.is_some() {
            worker::runs::list(&mut self.state, &mut self.jobs);
        }
        self.jobs.start(worker::devices::ProbeDevices);
    }

    /// Shows what the command line names.
    fn show(&mut self, args: &Args) {
        if let Some(theme) = args.theme {
            self.state.session.settings.theme = theme.into();
        }
        if let Some(run) = &args.run {
            self.state.session.runs.segment = Some(run.clone());
            self.state.session.train.page = TrainPage::Watch;
            worker::replay::open(&mut self.state, &mut self.jobs, run, args.epoch);
        }
        if let Some(workspace) = &args.workspace {
            self.state.session.settings.workspace = Some(workspace.clone());
        }
        if let Some(request) = args.request() {
            self.dispatch(Intent::Open(Box::new(request)));
        }
        if let (Mode::Train, [folder]) = (self.state.session.mode, &args.paths[..])
            && !crate::state::names::is_nifti_name(folder)
        {
            self.dispatch(Command::Train(TrainCommand::UseCohort(folder.clone())));
        }
    }

    /// Warns the user.
    pub fn warn(&mut self, title: &str, detail: impl Into<String>) {
        self.state.notice(Severity::Warning, title, detail);
    }

    /// Records unsaved edits in a folder, and offers those of earlier sessions.
    pub fn autosave_in(&mut self, folder: &Path) {
        worker::autosave::start(&mut self.state, &mut self.jobs, folder);
    }

    /// Caches cohort fingerprints here, so that only changed files are read next time.
    pub fn keep_fingerprints_in(&mut self, cache: Option<FingerprintCache>) {
        self.state.fingerprints = cache;
    }

    /// The state that the window shows.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The running jobs.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The state and the jobs, for tests that start jobs.
    #[doc(hidden)]
    pub fn parts(&mut self) -> (&mut State, &mut Jobs) {
        (&mut self.state, &mut self.jobs)
    }

    /// The settings as JSON.
    ///
    /// # Errors
    /// A value that JSON cannot hold.
    pub fn settings(&self) -> Result<String, serde_json::Error> {
        let training = Some(serde_json::to_value(TrainSettings::of(&self.state))?);
        Session::settings_json(&Settings { training, ..self.state.session.settings.clone() })
    }

    /// Executes a command.
    pub fn dispatch(&mut self, command: impl Into<Command>) {
        dispatch(&mut self.state, &mut self.jobs, command);
    }

    /// See [`State::decline_offers`].
    pub fn decline_offers(&mut self) {
        self.state.decline_offers();
    }

    /// True if the program is to restart with the same session after it ends.
    pub fn restarts(&self) -> bool {
        self.state.quit && self.state.restart
    }

    /// True if no job is running and the demo is over.
    pub fn is_idle(&self) -> bool {
        let settled = worker::edit::wait(&self.state, 0.0).is_none();
        settled && self.jobs.idle() && self.demo.as_ref().is_none_or(Demo::is_over)
    }

    /// Everything but drawing: results of jobs, keys, dropped files, cine.
    pub fn logic(&mut self, ctx: &egui::Context) {
        self.apply_theme(ctx);
        worker::deliver(&mut self.state, &mut self.jobs);
        command::dispatch_intents(&mut self.state, &mut self.jobs);
        worker::edit::upload_changes(&mut self.state, &mut self.jobs);
        self.report_lost_device();
        if let Some(text) = self.state.copied.take() {
            ctx.copy_text(text);
        }
        // Before the keys, so that the time of a verdict includes the press that gives it.
        let (now, used) = ctx.input(|i| (i.time, !i.events.is_empty()));
        command::review::note_use(&mut self.state, now, used);
        for command in keys::commands(ctx, &self.state) {
            self.dispatch(command);
        }
        let dropped: Vec<_> = ctx.input(|i| i.raw.dropped_files.iter().map(|f| f.path().to_path_buf()).collect());
        if !dropped.is_empty() {
            self.dispatch(Intent::open_paths(dropped));
        }
        if command::view::advance_cine(&mut self.state, now) {
            worker::update(&mut self.state, &mut self.jobs);
        }
        worker::replay::advance(&mut self.state, &mut self.jobs, now);
        worker::edit::advance(&mut self.state, &mut self.jobs, now);
        if self.stays_open {
            worker::replay::follow::poll(&mut self.state, &mut self.jobs, now);
            worker::study::poll(&mut self.state, &mut self.jobs, now);
        }
        if let Some(demo) = &mut self.demo {
            for command in demo.next(&self.state, now) {
                dispatch(&mut self.state, &mut self.jobs, command);
            }
        }
        worker::autosave::follow(&mut self.state, &mut self.jobs);
        self.wake_later(ctx, now);
        self.on_close(ctx);
    }

    /// Reports once that the graphics device is lost, and offers a restart.
    fn report_lost_device(&mut self) {
        let lost = self.jobs.gpu().and_then(Gpu::lost);
        if let (Some(why), false) = (lost, self.loss_reported) {
            self.loss_reported = true;
            let what = format!("{why}. Nothing else is lost. Restarting reopens this case in the same view.");
            self.state.error("Images can no longer be drawn", what);
            if self.state.dialog.replace(Dialog::DeviceLost { why }).is_some() {
                self.state.after_saving = None;
            }
        }
    }

    fn apply_theme(&mut self, ctx: &egui::Context) {
        let title = match &self.state.document {
            // The system draws the title bar, which may be the only text that is still visible.
            _ if matches!(self.state.dialog, Some(Dialog::DeviceLost { .. })) => {
                "AMLP - graphics lost: Enter restarts with the same view".to_owned()
            }
            Some(document) => format!("{} - AMLP", document.title),
            None => "AMLP".to_owned(),
        };
        let wanted = (self.state.session.settings.theme, title);
        if self.shown.as_ref() != Some(&wanted) {
            theme::install(ctx, wanted.0);
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(wanted.1.clone()));
            self.shown = Some(wanted);
        }
    }

    /// Requests the next frame for a cine, the demo or running jobs, which need frames without user input.
    fn wake_later(&self, ctx: &egui::Context, now: f64) {
        let mut waits = Vec::new();
        waits.extend(self.state.session.view.cine.map(|cine| cine.due - now));
        waits.extend(self.state.session.timeline.playing.map(|due| due - now));
        waits.extend(worker::edit::wait(&self.state, now));
        if self.stays_open {
            // One that is overdue still runs.
            let polls = [worker::replay::follow::wait(&self.state, now), worker::study::wait(&self.state, now)];
            waits.extend(polls.into_iter().flatten().map(|wait| if wait > 0.0 { wait } else { OVERDUE_INTERVAL }));
        }
        waits.extend(self.demo.as_ref().and_then(|demo| demo.wait(now)));
        let paused = self.state.training.running.as_ref().filter(|job| job.phase == Phase::Paused).map(|job| job.job);
        if self.jobs.moves(paused) {
            // A software adapter competes with the job for the processor.
            let software = self.jobs.gpu().is_some_and(Gpu::is_software);
            waits.push(if software { 0.5 } else { 0.1 });
        }
        if let Some(wait) = waits.into_iter().reduce(f64::min) {
            ctx.request_repaint_after(Duration::from_secs_f64(wait.clamp(0.0, MAX_WAIT_SECONDS)));
        }
    }

    /// Handles a request to close the window, possibly after a question.
    fn on_close(&mut self, ctx: &egui::Context) {
        if ctx.input(|i| i.viewport().close_requested()) && !self.state.quit {
            self.dispatch(WindowCommand::Quit);
            if !self.state.quit {
                ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            }
        } else if self.state.quit {
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
    }

    /// Draws, then executes the commands.
    pub fn ui(&mut self, ui: &mut egui::Ui) {
        let (state, sender) = (&self.state, &self.sender);
        dialog::below(ui, state, |ui| {
            panel::top::show(ui, state, sender);
            panel::status::show(ui, state, sender);
            panel::strip::show(ui, state, sender);
            panel::left::show(ui, state, sender);
            panel::right::show(ui, state, sender);
            panel::banner::show(ui, state, sender);
            view::show(ui, state, sender);
            panel::toasts::show(ui.ctx(), state, sender);
        });
        dialog::show(ui.ctx(), state, sender);
        let commands = self.sender.take();
        if !commands.is_empty() {
            ui.ctx().request_repaint();
        }
        for command in commands {
            self.dispatch(command);
        }
        // A stroke whose release was not delivered to a pane, for example after a layout change.
        if self.state.is_drawing() && !ui.input(|i| i.pointer.any_down()) {
            self.dispatch(EditCommand::EndStroke);
        }
        // Drawn in this frame: its panes are painted after this.
        worker::edit::upload_changes(&mut self.state, &mut self.jobs);
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        Self::logic(self, ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        Self::ui(self, ui);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        if !self.stays_open {
            return;
        }
        match self.settings() {
            Ok(text) => storage.set_string(SETTINGS, text),
            Err(e) => tracing::error!("settings cannot be saved: {e}"),
        }
    }

    /// Settings are written only if they changed.
    fn auto_save_interval(&self) -> Duration {
        Duration::from_secs(3)
    }

    fn clear_color(&self, _visuals: &egui::Visuals) -> [f32; 4] {
        [0.0, 0.0, 0.0, 1.0]
    }
}

/// The settings of the last session, or the defaults.
///
/// # Errors
/// Settings that this version cannot read.
pub fn stored_settings(storage: Option<&dyn eframe::Storage>) -> Result<Settings, String> {
    let text = storage.and_then(|s| s.get_string(SETTINGS));
    text.map_or_else(|| Ok(Settings::default()), |text| Session::from_json(&text).map(|session| session.settings))
}
