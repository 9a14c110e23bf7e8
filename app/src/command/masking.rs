//! Commands of Masking mode.

use std::path::Path;

use engine::cluster::{ForegroundRule, Method};
use engine::pretrain::amlp::mps::Order;
use glam::DVec2;

use super::action::ActionList;
use super::{Command, FileCommand};
use crate::scene::Camera;
use crate::state::masking::{Controls, DisplayOptions, RatioSource};
use crate::state::session::RunUse;
use crate::state::{Intent, Mode, PathPurpose, State};
use crate::worker::Jobs;

/// A command of Masking mode.
#[derive(Clone, Debug, PartialEq)]
pub enum MaskingCommand {
    /// Replaces the controls.
    Set(Box<Controls>),
    /// Chooses what is drawn.
    Show(DisplayOptions),
    /// Goes to an epoch of the schedule, from 1.
    SetEpoch(usize),
    /// Moves by epochs.
    StepEpoch(i64),
    /// Pins a patch. The pinned patch again, or none, unpins it.
    Pin(Option<usize>),
    /// Zooms and pans the crop (false) or the native slice (true).
    SetCamera(bool, Camera),
    /// Changes the crop's contrast: width and level, in widths.
    ChangeContrast(DVec2),
    /// Retries a failed or cancelled job.
    Retry,
    /// Closes the chosen run. The watched run, if any, reconstructs again.
    ForgetRun,
    /// Applies the settings of the run whose network reconstructs the patches.
    TakeSettings,
    /// Restores the default settings.
    Reset,
}

/// Minimum and maximum contrast width, relative to the slice's default.
const WIDTHS: [f64; 2] = [0.02, 20.0];

/// Executes a command.
pub fn dispatch(state: &mut State, _jobs: &mut Jobs, command: MaskingCommand) {
    let masking = &mut state.session.masking;
    match command {
        MaskingCommand::Set(controls) => set(state, *controls),
        MaskingCommand::Show(shown) => masking.shown = shown,
        MaskingCommand::SetEpoch(epoch) => go_to(state, epoch),
        MaskingCommand::StepEpoch(by) => {
            // The first key press returns to the last epoch.
            let by = if masking.controls.by == RatioSource::Epoch { by } else { 0 };
            let epoch = masking.controls.epoch as i64 + by;
            go_to(state, usize::try_from(epoch).unwrap_or(1));
        }
        MaskingCommand::Pin(patch) => {
            let patches = masking.controls.grid * masking.controls.grid;
            masking.pinned = patch.filter(|&patch| patch < patches && masking.pinned != Some(patch));
        }
        MaskingCommand::SetCamera(native, camera) => masking.cameras[usize::from(native)] = camera,
        MaskingCommand::ChangeContrast(by) => {
            let now = masking.contrast.unwrap_or(DVec2::new(1.0, 0.0));
            let next = DVec2::new((now.x + by.x).clamp(WIDTHS[0], WIDTHS[1]), (now.y + by.y).clamp(-10.0, 10.0));
            masking.contrast = Some(next).filter(|next| next.is_finite());
        }
        MaskingCommand::Retry => {
            let cache = &mut state.cache.masking;
            (cache.preparing.failed, cache.clustering.failed, cache.filling.failed) = (None, None, None);
        }
        MaskingCommand::ForgetRun => {
            state.session.runs.reconstruct = None;
            state.cache.masking.drop_network();
        }
        MaskingCommand::TakeSettings => {
            if let Some(network) = &state.cache.masking.network {
                let controls = masking.controls.of_run(&network.config, network.epochs);
                set(state, controls);
            }
        }
        MaskingCommand::Reset => set(state, Controls::default()),
    }
}

fn set(state: &mut State, controls: Controls) {
    let masking = &mut state.session.masking;
    let controls = controls.within_limits();
    if controls.grid != masking.controls.grid {
        masking.pinned = None;
    }
    masking.controls = controls;
}

fn go_to(state: &mut State, epoch: usize) {
    let controls = state.session.masking.controls.clone();
    set(state, Controls { by: RatioSource::Epoch, epoch, ..controls });
}

/// Chooses the run that reconstructs masked patches.
pub fn choose_run(state: &mut State, path: &Path) {
    state.session.runs.reconstruct = Some(path.to_path_buf());
    state.cache.masking.drop_network();
}

/// Clustering methods with their names in Masking and Train.
pub const METHODS: [(Method, &str); 4] = [
    (Method::Kmeans, "k-means"),
    (Method::Agglomerative, "Agglomerative"),
    (Method::Tsne, "t-SNE"),
    (Method::Dbscan, "DBSCAN"),
];

/// Foreground rules with their names.
pub const RULES: [(ForegroundRule, &str); 3] = [
    (ForegroundRule::Minority, "Minority cluster"),
    (ForegroundRule::Brighter, "Brighter cluster"),
    (ForegroundRule::Darker, "Darker cluster"),
];

/// Masking orders with their names.
pub const ORDERS: [(Order, &str); 3] =
    [(Order::LesionFirst, "Lesion first"), (Order::BackgroundFirst, "Background first"), (Order::Random, "Random")];

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    if state.session.mode != Mode::Masking {
        return;
    }
    let group = "Masking";
    let open = state.document.is_some();
    let send = Command::Masking;
    list.add(group, "Next epoch", "Right", send(MaskingCommand::StepEpoch(1)));
    list.add(group, "Previous epoch", "Left", send(MaskingCommand::StepEpoch(-1)));
    list.add(group, "First epoch", "", send(MaskingCommand::SetEpoch(1)));
    list.add(group, "Last epoch", "", send(MaskingCommand::SetEpoch(state.session.masking.controls.epochs)));
    for (name, switch) in DisplayOptions::ALL {
        let mut shown = state.session.masking.shown;
        *switch(&mut shown) ^= true;
        list.add(group, format!("{name} on or off"), "", send(MaskingCommand::Show(shown)));
    }
    let mut change = |label: String, change: &dyn Fn(&mut Controls)| {
        let mut controls = state.session.masking.controls.clone();
        change(&mut controls);
        list.add(group, label, "", send(MaskingCommand::Set(Box::new(controls))));
    };
    change("Ratio by sigma".into(), &|c| c.by = RatioSource::Sigma);
    change("Next seed".into(), &|c| c.seed = c.seed.wrapping_add(1));
    change("Tissue only on or off".into(), &|c| c.cluster.tissue_only ^= true);
    for (method, name) in METHODS {
        change(format!("Cluster by {name}"), &|c| c.cluster.method = method);
    }
    for (rule, name) in RULES {
        change(format!("Foreground: {name}"), &|c| c.cluster.foreground = rule);
    }
    for (order, name) in ORDERS {
        change(format!("Order: {name}"), &|c| c.order = order);
    }
    for grid in state.session.masking.controls.grids() {
        change(format!("Patches: {grid} \u{d7} {grid}"), &|c| c.grid = grid);
    }
    list.add(group, "Default settings", "", send(MaskingCommand::Reset));
    let pinned = state.session.masking.pinned.is_some();
    list.add_if(pinned, group, "Unpin the patch", "", send(MaskingCommand::Pin(None)));
    let run = state.run_for(RunUse::Reconstruct).is_some();
    list.add(group, "Choose pre-trained run…", "", Command::Intent(Intent::Ask(PathPurpose::MaskingRun)));
    list.add(group, "Pre-trained run by path…", "", Command::File(FileCommand::TypePath(PathPurpose::MaskingRun)));
    list.add_if(run, group, "Use the run's settings", "", send(MaskingCommand::TakeSettings));
    list.add_if(
        state.session.runs.reconstruct.is_some(),
        group,
        "Close the pre-trained run",
        "",
        send(MaskingCommand::ForgetRun),
    );
    let export = |purpose| Command::Intent(Intent::Ask(purpose));
    list.add_if(open, group, "Export the view…", "Ctrl+E", export(PathPurpose::MaskingPicture));
    list.add_if(open, group, "Export the numbers…", "Ctrl+Shift+E", export(PathPurpose::MaskingTable));
    list.add_if(state.cache.masking.failure().is_some(), group, "Try again", "", send(MaskingCommand::Retry));
}
