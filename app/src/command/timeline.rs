//! Commands of the timeline: cursors, pins, comparison.

use std::path::PathBuf;

use engine::event::Stage;
use engine::probe::Pin;

use super::Command;
use super::action::List;
use crate::scene::Camera;
use crate::state::timeline::{Compare, Labels, Layer, Series, WatchView};
use crate::state::train::TrainPage;
use crate::state::{Mode, PathPurpose, State};
use crate::worker::{Jobs, replay};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum TimelineCommand {
    /// Shows the run of a folder.
    Open(PathBuf),
    /// Opens another run beside the shown one.
    Compare(PathBuf),
    /// The epoch that the shown one is compared with.
    CompareEpoch(usize),
    /// Looks at one epoch again.
    EndComparison,
    /// Takes the shown run off its track.
    Close,
    /// Reads the shown run again: another process may have gone on with it.
    Reload,
    /// Chooses the track that keys move.
    Activate(Stage),
    /// Puts the cursor of a track onto an epoch, from 1.
    SetEpoch {
        /// The track.
        stage: Stage,
        /// The epoch.
        epoch: usize,
    },
    /// Moves the cursor of the shown run by epochs.
    StepEpoch(i64),
    /// To the first epoch.
    FirstEpoch,
    /// To the last epoch.
    LastEpoch,
    /// Stays at the newest epoch.
    Follow,
    /// Starts or stops playing.
    TogglePlay,
    /// Epochs a second.
    SetRate(f32),
    /// Looks at a pinned slice.
    ChoosePin(Pin),
    /// Pins the shown slice of the open case.
    Pin,
    /// Pins a slice.
    AddPin(Pin),
    /// Lets a slice go.
    Unpin(Pin),
    /// What the Watch page shows.
    Show(WatchView),
    /// Which labels of an epoch are drawn.
    ShowLabels(Labels),
    /// Draws a part or leaves it out.
    ShowLayer(Layer, bool),
    /// Losses on a logarithmic scale.
    SetLog(bool),
    /// Weight of the past in smoothed losses, 0 to 0.95.
    SetSmoothing(f64),
    /// Columns of Fig. 4.
    SetColumns(usize),
    /// The patch whose numbers are shown.
    ChoosePatch(Option<usize>),
    /// Zoom and pan of all probes.
    SetCamera(Camera),
}

/// Carries out a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: TimelineCommand) {
    use TimelineCommand as Do;
    match command {
        Do::Open(path) => {
            state.mode = Mode::Train;
            state.train.go_to(TrainPage::Watch);
            replay::open(state, jobs, &path, None);
        }
        Do::Compare(path) => replay::compare(state, jobs, &path),
        Do::Close => {
            let stage = state.timeline.active;
            replay::leave(state, stage);
        }
        Do::Reload => {
            if let Some(run) = state.timeline.shown().filter(|run| !run.live) {
                let (path, cursor) = (run.path.clone(), run.cursor);
                replay::open(state, jobs, &path, cursor);
            }
        }
        Do::Pin => replay::pin_shown_slice(state, jobs),
        Do::AddPin(pin) => replay::add_pin(state, pin),
        Do::Unpin(pin) => replay::remove_pin(state, &pin),
        Do::CompareEpoch(_) | Do::EndComparison | Do::Show(_) => compare(state, &command),
        Do::Activate(_)
        | Do::SetEpoch { .. }
        | Do::StepEpoch(_)
        | Do::FirstEpoch
        | Do::LastEpoch
        | Do::Follow
        | Do::TogglePlay
        | Do::SetRate(_) => cursors(state, &command),
        other => look(state, other),
    }
}

fn compare(state: &mut State, command: &TimelineCommand) {
    match *command {
        TimelineCommand::CompareEpoch(epoch) => {
            let last = state.timeline.compared().map_or(1, |(run, _)| run.last().max(1));
            let compare = state.timeline.compare.get_or_insert_with(Compare::default);
            compare.epoch = Some(epoch.clamp(1, last));
        }
        TimelineCommand::EndComparison => {
            replay::end_comparison(state);
            if state.timeline.look.view == WatchView::Compare {
                state.timeline.look.view = WatchView::Probe;
            }
        }
        TimelineCommand::Show(view) => {
            state.timeline.look.view = view;
            if view == WatchView::Compare {
                state.timeline.compare.get_or_insert_with(Compare::default);
            }
        }
        _ => {}
    }
}

fn cursors(state: &mut State, command: &TimelineCommand) {
    match *command {
        TimelineCommand::Activate(stage) if state.timeline.track(stage).is_some() => {
            state.timeline.active = stage;
            state.timeline.settle_pin();
        }
        TimelineCommand::SetEpoch { stage, epoch } => replay::go_to(state, stage, epoch),
        TimelineCommand::StepEpoch(by) => replay::step(state, by),
        TimelineCommand::FirstEpoch => replay::step(state, i64::MIN),
        TimelineCommand::LastEpoch => replay::step(state, i64::MAX),
        TimelineCommand::Follow => replay::follow_newest(state),
        TimelineCommand::TogglePlay => replay::toggle(state),
        TimelineCommand::SetRate(rate) => state.settings.epoch_rate = rate.clamp(0.5, 60.0),
        _ => {}
    }
}

fn look(state: &mut State, command: TimelineCommand) {
    let timeline = &mut state.timeline;
    match command {
        TimelineCommand::ChoosePin(pin) => {
            timeline.probes.forget_failures();
            timeline.pin = Some(pin);
        }
        TimelineCommand::ShowLabels(labels) => timeline.look.labels = labels,
        TimelineCommand::ShowLayer(layer, on) => timeline.look.show(layer, on),
        TimelineCommand::SetLog(log) => timeline.look.log = log,
        TimelineCommand::SetSmoothing(weight) => {
            let weight = weight.clamp(0.0, 0.95);
            timeline.look.smoothing = weight;
            let other = timeline.compare.as_mut().and_then(|compare| compare.run.as_deref_mut());
            for run in [timeline.pretrain.as_mut(), timeline.finetune.as_mut(), other].into_iter().flatten() {
                run.series = Series::of(&run.history, weight);
            }
        }
        TimelineCommand::SetColumns(count) => timeline.look.columns = count.max(1),
        TimelineCommand::ChoosePatch(patch) => timeline.look.patch = patch,
        TimelineCommand::SetCamera(camera) => timeline.look.camera = camera,
        _ => {}
    }
}

/// What the palette offers. Keys belong to Train mode: elsewhere the same keys do other things.
pub fn actions(list: &mut List, state: &State) {
    let (group, timeline) = ("Timeline", &state.timeline);
    let train = state.mode == Mode::Train;
    let key = |key: &'static str| if train { key } else { "" };
    let run = timeline.shown();
    let told = train && run.is_some_and(|run| run.last() > 0);
    let mut add = |enabled: bool, label: String, key: &'static str, command: TimelineCommand| {
        list.add_if(enabled, group, label, key, Command::Timeline(command));
    };
    add(told, "Next epoch".into(), key("Right"), TimelineCommand::StepEpoch(1));
    add(told, "Previous epoch".into(), key("Left"), TimelineCommand::StepEpoch(-1));
    add(told, "First epoch".into(), key("Home"), TimelineCommand::FirstEpoch);
    add(told, "Last epoch".into(), key("End"), TimelineCommand::LastEpoch);
    add(told, "Play or stop the timeline".into(), key("Space"), TimelineCommand::TogglePlay);
    add(told, "Follow the newest epoch".into(), "", TimelineCommand::Follow);
    for stage in [Stage::Pretrain, Stage::Finetune] {
        let other = timeline.active != stage && timeline.track(stage).is_some();
        add(other, format!("Track: {}", stage_name(stage)), "", TimelineCommand::Activate(stage));
    }
    for view in WatchView::ALL {
        add(train && run.is_some(), format!("Watch: {}", view.name()), "", TimelineCommand::Show(view));
    }
    let patches = run.is_some_and(|run| run.stage() == Stage::Pretrain);
    for labels in Labels::ALL {
        add(train && patches, format!("Labels: {}", labels.name()), "", TimelineCommand::ShowLabels(labels));
    }
    for layer in Layer::ALL {
        let drawn = train && run.is_some_and(|run| layer.belongs_to(run.stage()));
        let on = timeline.look.shows(layer);
        let word = if on { "Hide" } else { "Show" };
        let label = format!("{word} on the probe: {}", layer.name());
        add(drawn, label, "", TimelineCommand::ShowLayer(layer, !on));
    }
    for pin in timeline.pins() {
        let other = timeline.pin.as_ref() != Some(&pin);
        add(other, format!("Look at the pinned slice {pin}"), "", TimelineCommand::ChoosePin(pin.clone()));
        if timeline.is_pinned(&pin) {
            add(true, format!("Unpin {pin}"), "", TimelineCommand::Unpin(pin));
        }
    }
    let open = state.document.is_some() && run.is_some();
    add(open, "Pin the shown slice".into(), "", TimelineCommand::Pin);
    add(told, "Losses on a logarithmic scale".into(), "", TimelineCommand::SetLog(!timeline.look.log));
    add(timeline.compare.is_some(), "End the comparison".into(), "", TimelineCommand::EndComparison);
    add(run.is_some_and(|run| !run.live), "Read the run again".into(), "", TimelineCommand::Reload);
    add(run.is_some(), "Close the run".into(), "", TimelineCommand::Close);
    list.add(group, "Open run…", "", Command::Ask(PathPurpose::Run));
    list.add_if(run.is_some(), group, "Compare with another run…", "", Command::Ask(PathPurpose::CompareRun));
}

/// A loop's name in the window.
pub fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Pretrain => "Pre-training",
        Stage::Finetune => "Fine-tuning",
    }
}
