//! Back in Train mode: to the previous page, or from a comparison to the probe.

use super::Command;
use super::timeline::TimelineCommand;
use super::train::TrainCommand;
use crate::state::timeline::WatchView;
use crate::state::train::TrainPage;
use crate::state::{Mode, State};

/// Label and command of going back with Escape or the button; `None` on the first page.
pub fn destination(state: &State) -> Option<(String, Command)> {
    if state.session.mode != Mode::Train {
        return None;
    }
    let watched = state.session.train.page == TrainPage::Watch && state.watched_run().is_some();
    if watched && state.session.timeline.options.view == WatchView::Compare {
        let probe = format!("Back to {}", WatchView::Probe.name());
        return Some((probe, Command::Timeline(TimelineCommand::EndComparison)));
    }
    let before = state.session.train.before()?;
    Some((format!("Back to {}", before.name()), Command::Train(TrainCommand::Back)))
}
