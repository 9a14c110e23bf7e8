//! Pictures of the Watch page and the timeline, compared with those that lie beside this folder; see the snapshots of the
//! other test program. `UPDATE_SNAPSHOTS=1` draws them anew.

use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::command::Command;
use amlp_viewer::command::timeline::TimelineCommand;
use amlp_viewer::gpu::Gpu;
use amlp_viewer::state::timeline::WatchView;
use amlp_viewer::theme::Theme;
use egui::{Rect, pos2};
use egui_kittest::SnapshotOptions;
use engine::event::Stage;

use crate::record::folder;
use crate::replay::args_of;
use crate::window::*;

const SIZE: [f32; 2] = [1100.0, 700.0];
/// How far the colour of a pixel may be off (squared distance in YIQ), and how many pixels may be off by more.
const TOLERANCE: (f32, usize) = (2.0, 300);

/// A window that is drawn by an adapter on the processor; `None` without one.
fn window(args: &Args) -> Option<Window> {
    let screen = screen()?;
    if !Gpu::new(&screen).is_software() {
        println!("skipped: the pictures are of an adapter on the processor");
        return None;
    }
    let mut window = start(args, SIZE, Some(screen));
    settle(&mut window);
    // Pixels as they are make a smaller file than what is interpolated between them.
    send(&mut window, Command::SetInterpolation(false));
    send(&mut window, Command::ToggleLeft);
    Some(window)
}

/// Compares the window with its picture. Adapter and memory, at the left of the line at the bottom, are left out.
fn compare(window: &mut Window, name: &str) {
    send(window, Command::DismissAll);
    window.remove_cursor();
    window.run_steps(60);
    window.mask(Rect::from_min_max(pos2(0.0, SIZE[1] - 24.0), pos2(420.0, SIZE[1])));
    let (threshold, pixels) = TOLERANCE;
    window.snapshot_options(name, &SnapshotOptions::new().threshold(threshold).max_failed_pixels(pixels));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.png"));
    // A picture that is drawn anew is written once its window is gone.
    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
    assert!(size < 600 << 10, "{} is too large", path.display());
}

#[test]
fn the_probe_and_the_timeline_in_both_themes() {
    let Some(mut window) = window(&args_of(&folder("finetune"), Some(8))) else { return };
    compare(&mut window, "watch_finetune");
    send(&mut window, Command::Timeline(TimelineCommand::SetEpoch { stage: Stage::Pretrain, epoch: 8 }));
    compare(&mut window, "watch_probe");
    send(&mut window, Command::SetTheme(Theme::Light));
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Curves)));
    compare(&mut window, "watch_curves_light");
}

#[test]
fn figure_4() {
    let Some(mut window) = window(&args_of(&folder("pretrain"), None)) else { return };
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Sheet)));
    compare(&mut window, "watch_figure_4");
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Compare)));
    send(&mut window, Command::Timeline(TimelineCommand::CompareEpoch(2)));
    compare(&mut window, "watch_compare");
}
