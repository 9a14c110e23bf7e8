//! The window, and reports written from it.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use eframe::WindowBuilderHook;
use engine::cohort::FingerprintCache;

use super::{APP_ID, SETTLING_FRAMES, SIZE, report, restart};
use crate::app::{App, stored_settings};
use crate::args::Args;
use crate::gpu::Gpu;
use crate::state::Settings;

/// The folder of unsaved edits, beside the settings.
const UNSAVED: &str = "unsaved";

/// Progress of a report.
#[derive(Default)]
struct ReportRequest {
    /// Frames since the program has been idle.
    settled: usize,
    asked: bool,
    picture: Arc<Mutex<Option<Arc<egui::ColorImage>>>>,
    code: Arc<Mutex<Option<ExitCode>>>,
}

/// Arguments of the restarted program, if a restart was requested.
type RestartArguments = Arc<Mutex<Option<Vec<OsString>>>>;

struct Window {
    app: App,
    args: Args,
    reporting: ReportRequest,
    restart: RestartArguments,
}

impl eframe::App for Window {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.app.logic(ctx);
        if self.args.is_report() {
            self.report(ctx);
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.app.ui(ui);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        eframe::App::save(&mut self.app, storage);
    }

    fn on_exit(&mut self) {
        if self.app.restarts() {
            // At the very end, when a run has saved its checkpoint.
            let line = restart::prepare(self.app.state(), &restart::folders()).unwrap_or_else(|why| {
                tracing::error!("the session cannot be saved, so the program restarts without it: {why}");
                Vec::new()
            });
            *self.restart.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
        }
    }

    fn clear_color(&self, _visuals: &egui::Visuals) -> [f32; 4] {
        [0.0, 0.0, 0.0, 1.0]
    }

    fn persist_egui_memory(&self) -> bool {
        !self.args.is_report()
    }
}

impl Window {
    /// Waits until the jobs are idle and the picture has settled; then writes and ends.
    fn report(&mut self, ctx: &egui::Context) {
        self.reporting.settled = if self.app.is_idle() { self.reporting.settled + 1 } else { 0 };
        ctx.request_repaint();
        if self.reporting.settled < SETTLING_FRAMES {
            return;
        }
        if self.args.screenshot.is_some() && !self.reporting.asked {
            self.reporting.asked = true;
            let (picture, waker) = (Arc::clone(&self.reporting.picture), ctx.clone());
            ctx.request_screenshot(move |image| {
                *picture.lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
                waker.request_repaint();
            });
            return;
        }
        let picture = self.reporting.picture.lock().unwrap_or_else(PoisonError::into_inner);
        if self.args.screenshot.is_some() && picture.is_none() {
            return;
        }
        let mut code = self.reporting.code.lock().unwrap_or_else(PoisonError::into_inner);
        if code.is_none() {
            *code = Some(report::write(&self.app, &self.args, picture.as_deref()));
        }
        ctx.send_viewport_cmd(egui::ViewportCommand::Close);
    }
}

/// Opens a window and runs until it is closed.
pub fn run(args: &Args) -> Result<ExitCode, String> {
    let viewport = egui::ViewportBuilder::default()
        .with_app_id(APP_ID)
        .with_title("AMLP")
        .with_inner_size(args.size.unwrap_or(SIZE))
        .with_min_inner_size([1.0, 1.0]);
    // A report has the requested size, not that of the last session.
    let sized = args.is_report() || args.size.is_some();
    let size = args.size.unwrap_or(SIZE);
    let options = eframe::NativeOptions {
        viewport,
        persist_window: !sized,
        // eframe applies the stored size even if nothing is to be stored.
        window_builder: sized.then(|| -> WindowBuilderHook {
            Box::new(move |window: egui::ViewportBuilder| {
                window.with_inner_size(size).with_maximized(false).with_fullscreen(false)
            })
        }),
        wgpu_options: crate::gpu::configuration(),
        ..eframe::NativeOptions::default()
    };
    let code = Arc::new(Mutex::new(None));
    let restart = RestartArguments::default();
    let (result, line, args) = (Arc::clone(&code), Arc::clone(&restart), args.clone());
    let create = move |context: &eframe::CreationContext<'_>| {
        let gpu = context.wgpu_render_state.as_ref().map(Gpu::new);
        let stored = if args.is_report() { Ok(Settings::default()) } else { stored_settings(context.storage) };
        let settings = stored.as_ref().cloned().unwrap_or_default();
        let mut app = App::new(&context.egui_ctx, gpu, &args, settings);
        if let Err(why) = stored {
            app.warn("Settings were reset", why);
        }
        if !args.is_report() && !args.demo {
            app.keep_fingerprints_in(FingerprintCache::of_user());
            if let Some(folder) = eframe::storage_dir(APP_ID) {
                app.autosave_in(&folder.join(UNSAVED));
            }
        }
        let reporting = ReportRequest { code: result, ..ReportRequest::default() };
        Ok(Box::new(Window { app, args, reporting, restart: line }) as Box<dyn eframe::App>)
    };
    eframe::run_native(APP_ID, options, Box::new(create)).map_err(|e| e.to_string())?;
    // By now, the window is closed, its settings are saved and the device is released.
    if let Some(line) = restart.lock().unwrap_or_else(PoisonError::into_inner).take()
        && let Err(why) = restart::spawn(&line)
    {
        tracing::error!("the program could not be restarted: {why}");
        return Ok(ExitCode::FAILURE);
    }
    let code = code.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(code.unwrap_or(ExitCode::SUCCESS))
}
