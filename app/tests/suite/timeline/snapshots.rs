//! Pictures of the Watch page and the timeline.

use amlp_viewer::Args;
use amlp_viewer::command::{Command, TimelineCommand, ViewCommand, WindowCommand};
use amlp_viewer::state::timeline::WatchView;
use amlp_viewer::theme::Theme;
use engine::event::Stage;

use super::record::folder;
use super::replay::args_of;
use crate::picture::Pictures;
use crate::window::*;

const PICTURES: Pictures = Pictures { size: [1100.0, 700.0], off: 300, most: 600 << 10 };

/// A window with room for the page.
fn window(args: &Args) -> Option<Window> {
    let mut window = PICTURES.window(args)?;
    // Nearest-neighbour pixels compress better than interpolated ones.
    send(&mut window, ViewCommand::SetInterpolation(false));
    send(&mut window, WindowCommand::ToggleLeft);
    Some(window)
}

#[test]
fn probe_and_timeline_match_their_pictures_in_both_themes() {
    let Some(mut window) = window(&args_of(&folder("finetune"), Some(8))) else { return };
    PICTURES.compare(&mut window, "watch_finetune");
    send(&mut window, Command::Timeline(TimelineCommand::SetEpoch { stage: Stage::Pretrain, epoch: 8 }));
    PICTURES.compare(&mut window, "watch_probe");
    send(&mut window, WindowCommand::SetTheme(Theme::Light));
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Curves)));
    PICTURES.compare(&mut window, "watch_curves_light");
}

#[test]
fn figure_4_and_the_comparison_match_their_pictures() {
    let Some(mut window) = window(&args_of(&folder("pretrain"), None)) else { return };
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Sheet)));
    PICTURES.compare(&mut window, "watch_figure_4");
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Compare)));
    send(&mut window, Command::Timeline(TimelineCommand::CompareEpoch(2)));
    PICTURES.compare(&mut window, "watch_compare");
}
