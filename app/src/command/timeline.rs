//! Commands of the timeline: cursors, pins, comparison.

use std::path::PathBuf;

use engine::event::Stage;
use engine::probe::Pin;

use super::Command;
use super::action::ActionList;
use crate::scene::Camera;
use crate::state::timeline::{Compare, Labels, Layer, OpenRun, Series, WatchView};
use crate::state::train::TrainPage;
use crate::state::{Intent, Mode, PathPurpose, State};
use crate::worker::{Jobs, replay};

/// A command of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub enum TimelineCommand {
    /// Shows the run of a folder.
    Open(PathBuf),
    /// Shows the first of several runs of one stage and compares it with the others. A single run is compared with the
    /// one shown.
    Compare(Vec<PathBuf>),
    /// Sets the epoch to compare the current one with.
    CompareEpoch(usize),
    /// Ends the comparison of runs or epochs.
    EndComparison,
    /// Closes the shown run.
    Close,
    /// Reads the shown run again, in case another process has continued it.
    Reload,
    /// Selects the track whose cursor the keys move.
    Activate(Stage),
    /// Moves the cursor of a track to an epoch, from 1.
    SetEpoch {
        /// The track.
        stage: Stage,
        /// The epoch.
        epoch: usize,
    },
    /// Moves the cursor of the shown run by epochs.
    StepEpoch(i64),
    /// Goes to the first epoch.
    FirstEpoch,
    /// Goes to the last epoch.
    LastEpoch,
    /// Keeps the cursor at the newest epoch while the run trains.
    Follow,
    /// Starts or stops playing.
    TogglePlay,
    /// Sets the playing rate, epochs a second.
    SetRate(f32),
    /// Shows a pinned slice.
    ChoosePin(Pin),
    /// Pins the shown slice of the open case.
    Pin,
    /// Pins a slice.
    AddPin(Pin),
    /// Unpins a slice.
    Unpin(Pin),
    /// Chooses what the Watch page shows.
    Show(WatchView),
    /// Chooses which labels of an epoch are drawn.
    ShowLabels(Labels),
    /// Shows or hides a layer.
    ShowLayer(Layer, bool),
    /// Draws losses on a logarithmic or linear scale.
    SetLog(bool),
    /// Sets the weight of the past in smoothed losses, 0 to 0.95.
    SetSmoothing(f64),
    /// Sets the number of columns of Fig. 4.
    SetColumns(usize),
    /// Chooses the patch whose numbers are shown.
    ChoosePatch(Option<usize>),
    /// Sets zoom and pan of all probe panes.
    SetCamera(Camera),
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: TimelineCommand) {
    use TimelineCommand as Do;
    match command {
        Do::Open(path) => {
            state.session.mode = Mode::Train;
            state.session.train.go_to(TrainPage::Watch);
            replay::open(state, jobs, &path, None);
        }
        Do::Compare(paths) => {
            state.session.mode = Mode::Train;
            state.session.train.go_to(TrainPage::Watch);
            replay::compare(state, jobs, &paths);
        }
        Do::CompareEpoch(epoch) => compare_epoch(state, epoch),
        Do::EndComparison => replay::end_comparison(state),
        Do::Close => replay::leave(state, state.session.timeline.active),
        Do::Reload => reload(state, jobs),
        Do::Activate(stage) => {
            if state.cache.timeline.track(stage).is_some() {
                state.session.timeline.active = stage;
                state.settle_pin();
            }
        }
        Do::SetEpoch { stage, epoch } => replay::go_to(state, stage, epoch),
        Do::StepEpoch(by) => replay::step(state, by),
        Do::FirstEpoch => replay::step(state, i64::MIN),
        Do::LastEpoch => replay::step(state, i64::MAX),
        Do::Follow => replay::follow_newest(state),
        Do::TogglePlay => replay::toggle(state),
        Do::SetRate(rate) => state.session.settings.epoch_rate = rate.clamp(0.5, 60.0),
        Do::ChoosePin(pin) => {
            state.cache.timeline.probes.forget_failures();
            state.session.timeline.pin = Some(pin);
        }
        Do::Pin => replay::pin_shown_slice(state, jobs),
        Do::AddPin(pin) => {
            let of = state.pin_settings(&pin);
            replay::add_pin(state, pin, of);
        }
        Do::Unpin(pin) => replay::remove_pin(state, &pin),
        Do::Show(view) => {
            state.session.timeline.options.view = view;
            if view == WatchView::Compare {
                state.cache.timeline.compare.get_or_insert_with(Compare::default);
            }
        }
        Do::ShowLabels(labels) => state.session.timeline.options.labels = labels,
        Do::ShowLayer(layer, on) => state.session.timeline.options.show(layer, on),
        Do::SetLog(log) => state.session.timeline.options.log = log,
        Do::SetSmoothing(weight) => smooth(state, weight.clamp(0.0, 0.95)),
        Do::SetColumns(count) => state.session.timeline.options.columns = count.max(1),
        Do::ChoosePatch(patch) => state.session.timeline.options.patch = patch,
        Do::SetCamera(camera) => state.session.timeline.options.camera = camera,
    }
}

fn compare_epoch(state: &mut State, epoch: usize) {
    let last = state.compared_run().map_or(1, |(run, _)| run.last().max(1));
    let compare = state.cache.timeline.compare.get_or_insert_with(Compare::default);
    compare.epoch = Some(epoch.clamp(1, last));
}

fn reload(state: &mut State, jobs: &mut Jobs) {
    if let Some(run) = state.watched_run().filter(|run| !run.live) {
        let (path, cursor) = (run.path.clone(), run.cursor);
        replay::open(state, jobs, &path, cursor);
    }
}

fn smooth(state: &mut State, weight: f64) {
    state.session.timeline.options.smoothing = weight;
    for run in state.cache.timeline.runs_mut() {
        run.series = Series::of(&run.history, weight);
    }
}

/// Adds this topic's palette entries. The shortcuts apply only in Train mode; elsewhere the same keys have other
/// meanings.
pub fn actions(list: &mut ActionList, state: &State) {
    let (group, timeline) = ("Timeline", &state.session.timeline);
    let train = state.session.mode == Mode::Train;
    let key = |key: &'static str| if train { key } else { "" };
    let run = state.watched_run();
    let has_epochs = train && run.is_some_and(|run| run.last() > 0);
    let mut add = |enabled: bool, label: String, key: &'static str, command: TimelineCommand| {
        list.add_if(enabled, group, label, key, Command::Timeline(command));
    };
    add(has_epochs, "Next epoch".into(), key("Right"), TimelineCommand::StepEpoch(1));
    add(has_epochs, "Previous epoch".into(), key("Left"), TimelineCommand::StepEpoch(-1));
    add(has_epochs, "First epoch".into(), key("Home"), TimelineCommand::FirstEpoch);
    add(has_epochs, "Last epoch".into(), key("End"), TimelineCommand::LastEpoch);
    add(has_epochs, "Play or stop the timeline".into(), key("Space"), TimelineCommand::TogglePlay);
    add(has_epochs, "Follow the newest epoch".into(), "", TimelineCommand::Follow);
    for stage in [Stage::Pretrain, Stage::Finetune] {
        let other = timeline.active != stage && state.cache.timeline.track(stage).is_some();
        add(other, format!("Track: {}", stage_name(stage)), "", TimelineCommand::Activate(stage));
    }
    for view in WatchView::ALL {
        add(train && run.is_some(), format!("Watch: {}", view.name()), "", TimelineCommand::Show(view));
    }
    let patches = run.is_some_and(OpenRun::has_labels);
    for labels in Labels::ALL {
        add(train && patches, format!("Labels: {}", labels.name()), "", TimelineCommand::ShowLabels(labels));
    }
    for layer in Layer::ALL {
        let drawn = train && run.is_some_and(|run| layer.belongs_to(run));
        let on = timeline.options.shows(layer);
        let word = if on { "Hide" } else { "Show" };
        let label = format!("{word} on the probe: {}", layer.name());
        add(drawn, label, "", TimelineCommand::ShowLayer(layer, !on));
    }
    for pin in state.pins() {
        let other = timeline.pin.as_ref() != Some(&pin);
        let name = state.pin_name(&pin);
        add(other, format!("Show {name}"), "", TimelineCommand::ChoosePin(pin.clone()));
        if state.is_pinned(&pin) {
            add(true, format!("Unpin {name}"), "", TimelineCommand::Unpin(pin));
        }
    }
    let open = state.document.is_some() && state.pin_config().is_some();
    add(open, "Pin the shown slice".into(), "", TimelineCommand::Pin);
    add(has_epochs, "Losses on a logarithmic scale".into(), "", TimelineCommand::SetLog(!timeline.options.log));
    add(state.cache.timeline.compare.is_some(), "End the comparison".into(), "", TimelineCommand::EndComparison);
    add(run.is_some_and(|run| !run.live), "Reload the run".into(), "", TimelineCommand::Reload);
    add(run.is_some(), "Close the run".into(), "", TimelineCommand::Close);
    list.add(group, "Open run…", "", Command::Intent(Intent::Ask(PathPurpose::Run)));
    let compare = Command::Intent(Intent::Ask(PathPurpose::CompareRun));
    list.add_if(run.is_some(), group, "Compare with another run…", "", compare);
}

/// The displayed name of a stage.
pub fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Pretrain => "Pre-training",
        Stage::Finetune => "Fine-tuning",
    }
}
