//! A report without a window: the same program, drawn into memory, or not drawn at all where there is no adapter.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::report;
use super::{SETTLING_FRAMES, SIZE};
use crate::app::App;
use crate::args::Args;
use crate::gpu::offscreen::Offscreen;
use crate::state::Settings;

/// Polling interval.
const PAUSE: Duration = Duration::from_millis(10);

/// Runs the program until its jobs are idle, then writes the report.
pub fn run(args: &Args) -> ExitCode {
    let screen = match Offscreen::open() {
        Ok(screen) => Some(screen),
        Err(why) => {
            tracing::warn!("{why}: slices are not drawn");
            None
        }
    };
    let ctx = egui::Context::default();
    let mut app = App::new(&ctx, screen.as_ref().map(|s| s.gpu().clone()), args, Settings::default());
    ctx.set_pixels_per_point(scale());
    let size = args.size.unwrap_or(SIZE);
    let begin = Instant::now();
    let mut settled = 0;
    loop {
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, size.into())),
            time: Some(begin.elapsed().as_secs_f64()),
            ..egui::RawInput::default()
        };
        let mut output = ctx.run_ui(input, |ui| {
            app.logic(ui.ctx());
            app.ui(ui);
        });
        match &screen {
            Some(screen) => screen.take_textures(&mut output),
            // Without an adapter they are not drawn.
            None => output.textures_delta.clear(),
        }
        app.decline_offers();
        settled = if app.is_idle() { settled + 1 } else { 0 };
        if settled >= SETTLING_FRAMES {
            return finish(&app, args, screen.as_ref(), &ctx, &output);
        }
        std::thread::sleep(PAUSE);
    }
}

fn finish(
    app: &App,
    args: &Args,
    screen: Option<&Offscreen>,
    ctx: &egui::Context,
    output: &egui::FullOutput,
) -> ExitCode {
    let picture = screen.filter(|_| args.screenshot.is_some()).map(|screen| screen.draw(ctx, output));
    match picture.transpose() {
        Ok(picture) => report::write(app, args, picture.as_ref()),
        Err(why) => {
            tracing::error!("{why}");
            report::write(app, args, None)
        }
    }
}

/// Pixels per point, from the same variable as a window.
fn scale() -> f32 {
    let named = std::env::var("WINIT_X11_SCALE_FACTOR").ok().and_then(|text| text.parse::<f32>().ok());
    named.filter(|scale| (0.5..=8.0).contains(scale)).unwrap_or(1.0)
}
