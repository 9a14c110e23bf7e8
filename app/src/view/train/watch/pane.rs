//! Panes of a recorded slice.

use std::sync::Arc;

use egui::{Rect, Ui};
use engine::event::Stage;
use engine::probe::PictureKind;
use shaders::PatchShow;

use crate::scene::{Camera, ColourMap, Convention, crop};
use crate::state::State;
use crate::state::timeline::{EpochRecord, Layer, OpenRun, PinnedSlice, RecordKey};
use crate::view::patch_pane::{OverlayImage, PatchPane, PatchResponse};

/// Opacity of the probability over the slice.
const HEAT: f32 = 0.65;
/// Lower probabilities are transparent.
const MIN_PROBABILITY: f32 = 0.02;

/// Content of a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PaneContent {
    /// The slice with the labels before the update.
    Before,
    /// The slice with the labels after the update; in fine-tuning with the probability.
    After,
    /// Input of the network.
    Input,
    /// The output of the network or the method.
    Output,
    /// Relative loss of each masked patch; in fine-tuning the outline at probability 0.5.
    Loss,
}

impl PaneContent {
    /// Independent of the epoch, unlike the title.
    fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Input => "input",
            Self::Output => "output",
            Self::Loss => "loss",
        }
    }
}

/// A slice at an epoch.
#[derive(Clone, Debug)]
pub(super) struct SliceAtEpoch {
    pub slice: Arc<PinnedSlice>,
    /// The wanted epoch, or until it is read the nearest one.
    pub epoch: Arc<EpochRecord>,
    /// The run's method labels patches.
    pub labelled: bool,
}

/// The selected slice at an epoch of a run, or why it cannot be shown.
pub(super) fn probed(state: &State, run: &OpenRun, epoch: usize) -> Result<SliceAtEpoch, String> {
    let probes = &state.cache.timeline.probes;
    let Some(pin) = &state.session.timeline.pin else {
        return Err("No pinned slices in this run. Pin a slice during training to record it at every epoch.".into());
    };
    let name = state.pin_name_in(run, pin);
    let Some(key) = state.record_key(run, epoch) else {
        return Err(not_recorded(run, epoch, pin, &name));
    };
    let found = match probes.record(&key) {
        Some(Err(why)) => return Err(format!("Cannot show epoch {epoch} of {name}: {why}")),
        Some(Ok(seen)) => Some(seen),
        None => probes.nearest(&key),
    };
    let slice = match probes.slice(&key.slice) {
        Some(Err(why)) => return Err(format!("Cannot show {name}: {why}")),
        Some(Ok(slice)) => Some(slice),
        None => None,
    };
    let reading = || format!("Reading epoch {epoch} of {name}\u{2026}");
    match (slice, found) {
        (Some(slice), Some(epoch)) => {
            Ok(SliceAtEpoch { slice: Arc::clone(slice), epoch: Arc::clone(epoch), labelled: run.has_labels() })
        }
        _ => Err(reading()),
    }
}

fn not_recorded(run: &OpenRun, epoch: usize, pin: &engine::probe::Pin, name: &str) -> String {
    match run.recorded(pin) {
        [] if run.live => format!("{name} is not pinned in {}. Press + beside it to record it.", run.name),
        [] => format!("{} did not record {name}. Choose another pinned slice.", run.name),
        [first, ..] if *first > epoch => format!("{name} was pinned later: its first recorded epoch is {first}."),
        [.., last] if *last < epoch => format!("{name} is recorded up to epoch {last}."),
        _ => format!("Epoch {epoch} of {name} was not recorded."),
    }
}

/// Whether the shown record is the wanted one.
pub(super) fn is_settled(probed: &SliceAtEpoch, key: Option<&RecordKey>) -> bool {
    key.is_none_or(|key| key.epoch == probed.epoch.record.epoch)
}

/// Draws a pane.
pub(super) fn show(
    ui: &mut Ui,
    rect: Rect,
    state: &State,
    probed: &SliceAtEpoch,
    content: PaneContent,
    title: &str,
    camera: Camera,
) -> PatchResponse {
    pane_of(state, probed, content, title, camera, |pane| pane.show(ui, rect))
}

/// Draws a pane as in the paper: labels and flips only.
pub(super) fn show_plain(
    ui: &mut Ui,
    rect: Rect,
    state: &State,
    probed: &SliceAtEpoch,
    content: PaneContent,
    title: &str,
    camera: Camera,
) -> PatchResponse {
    pane_of(state, probed, content, title, camera, |pane| {
        let shown = PatchShow::GRID | PatchShow::FRAME | PatchShow::CATEGORIES | PatchShow::FLIPS;
        // Without labels, the masks change from epoch to epoch.
        let shown = if probed.labelled { shown } else { shown | PatchShow::MASKED };
        let show = pane.show.only(shown);
        PatchPane { show, coins: &[], bare: true, slot: title, ..pane }.show(ui, rect)
    })
}

fn pane_of<R>(
    state: &State,
    probed: &SliceAtEpoch,
    content: PaneContent,
    title: &str,
    camera: Camera,
    draw: impl FnOnce(PatchPane<'_>) -> R,
) -> R {
    let (slice, epoch) = (&*probed.slice, &*probed.epoch);
    let options = &state.session.timeline.options;
    let finetune = epoch.record.stage == Stage::Finetune;
    let missing = format!("Not drawn: {}.", state.adapter);
    let cells = epoch.cells.as_ref();
    let main = matches!(content, PaneContent::Before | PaneContent::After);
    let base = PatchPane {
        picture: slice.picture.as_ref(),
        size: slice.slice.size.max(1),
        grid: slice.slice.grid.max(1),
        world_from_crop: slice.world_from_crop,
        oriented: slice.oriented,
        window: slice.window,
        smooth: state.session.settings.interpolate,
        chosen: options.patch.filter(|_| !finetune),
        title,
        slot: content.name(),
        badge: (main && !slice.slice.trained).then_some("not trained on"),
        missing: &missing,
        camera,
        convention: state.session.settings.convention,
        ..PatchPane::default()
    };
    let lesion = slice.lesion.as_ref().filter(|_| main && options.shows(Layer::Lesion));
    let pane = match content {
        PaneContent::Before | PaneContent::After if finetune => PatchPane {
            over: epoch
                .picture
                .as_ref()
                .filter(|_| options.shows(Layer::Heat))
                .map(|picture| probability(picture, HEAT)),
            lesion: if options.shows(Layer::Edge) { epoch.edge.as_ref() } else { lesion },
            ..base
        },
        PaneContent::Before | PaneContent::After => {
            let before = content == PaneContent::Before;
            let record = &epoch.record;
            let shown = PatchPane {
                lesion,
                cells: cells.map(|cells| if before { &cells.before } else { &cells.after }),
                show: patches(state, probed),
                ..base
            };
            if probed.labelled {
                PatchPane {
                    labels: if before { &record.before } else { &record.after },
                    digits: options.shows(Layer::Digits),
                    coins: if before { before_coins(state, epoch) } else { coins(state, epoch) },
                    ..shown
                }
            } else {
                shown
            }
        }
        PaneContent::Input => PatchPane {
            cells: cells.map(|cells| &cells.after),
            show: if finetune { PatchShow::NONE } else { PatchShow::BLANK | PatchShow::MASKED },
            ..base
        },
        PaneContent::Output if finetune => {
            PatchPane { picture: epoch.picture.as_ref(), window: [0.0, 1.0], colour_map: ColourMap::Hot, ..base }
        }
        PaneContent::Output => output(epoch, &base),
        PaneContent::Loss if finetune => PatchPane { lesion: epoch.edge.as_ref(), ..base },
        PaneContent::Loss => PatchPane { cells: cells.map(|cells| &cells.relative), show: PatchShow::HEAT, ..base },
    };
    draw(pane)
}

/// The method's output for the slice in pre-training.
fn output<'a>(epoch: &'a EpochRecord, base: &PatchPane<'a>) -> PatchPane<'a> {
    let [low, high] = epoch.record.range;
    let own = [low, if high > low { high } else { low + 1.0 }];
    let shown = PatchPane { picture: epoch.picture.as_ref(), ..*base };
    match epoch.record.kind {
        PictureKind::Output => shown,
        // Views are rotated, flipped and placed side by side, so there are no orientation letters.
        PictureKind::Views => PatchPane { oriented: false, ..shown },
        PictureKind::Gradients => PatchPane { window: own, ..shown },
        PictureKind::Codes => PatchPane { window: own, colour_map: ColourMap::Viridis, smooth: false, ..shown },
    }
}

fn probability(picture: &crate::gpu::Texture, opacity: f32) -> OverlayImage<'_> {
    OverlayImage { picture, window: [MIN_PROBABILITY, 1.0], colour_map: ColourMap::Hot, opacity }
}

/// Patch layers of a large pane.
fn patches(state: &State, probed: &SliceAtEpoch) -> PatchShow {
    let options = &state.session.timeline.options;
    if probed.slice.slice.grid == 0 {
        return PatchShow::FRAME;
    }
    (PatchShow::GRID | PatchShow::FRAME)
        .with(PatchShow::CATEGORIES, probed.labelled && options.shows(Layer::Labels))
        .with(PatchShow::MASKED, options.shows(Layer::Masked))
        .with(PatchShow::FLIPS, probed.labelled && options.shows(Layer::Flips))
}

fn coins<'a>(state: &State, epoch: &'a EpochRecord) -> &'a [Option<u8>] {
    let shown = state.session.timeline.options.shows(Layer::Coins);
    epoch.update.as_ref().filter(|_| shown).map_or(&[], |update| update.coins.as_slice())
}

/// Random labels before the epoch's own update.
fn before_coins<'a>(state: &State, epoch: &'a EpochRecord) -> &'a [Option<u8>] {
    let own = epoch.update.as_ref().is_some_and(|update| update.epoch == epoch.record.epoch);
    if own { &[] } else { coins(state, epoch) }
}

/// The small panes next to a probe, with their names.
pub(super) fn column(probed: &SliceAtEpoch) -> Vec<(PaneContent, &'static str)> {
    let record = &probed.epoch.record;
    let output = (PaneContent::Output, kind_name(record.kind));
    match record.stage {
        Stage::Finetune => {
            vec![
                (PaneContent::Input, "Input"),
                (PaneContent::Output, "Probability"),
                (PaneContent::Loss, "Outline at 0.5"),
            ]
        }
        Stage::Pretrain if probed.labelled => {
            vec![(PaneContent::Input, "Input"), output, (PaneContent::Loss, "Relative loss")]
        }
        // Masks of other methods may not be patches; then the input is unknown.
        Stage::Pretrain if probed.slice.slice.grid > 0 => vec![(PaneContent::Input, "Input"), output],
        Stage::Pretrain => vec![output],
    }
}

/// What a picture of pre-training shows, in a word or two.
pub(super) fn kind_name(kind: PictureKind) -> &'static str {
    match kind {
        PictureKind::Output => "Reconstruction",
        PictureKind::Views => "Views",
        PictureKind::Gradients => "Oriented gradients",
        PictureKind::Codes => "Codes",
    }
}

/// A patch in one line.
pub(super) fn patch_words(probed: &SliceAtEpoch, patch: usize, convention: Convention) -> String {
    let (record, grid) = (&probed.epoch.record, probed.slice.slice.grid);
    let mut parts = vec![format!("Patch {}", crop::place_words(patch, grid, convention))];
    let labels = record.before.get(patch).zip(record.after.get(patch));
    if let Some((before, after)) = labels.filter(|_| probed.labelled) {
        let flip = before != after;
        parts.push(if flip { format!("label {before} \u{2192} {after}") } else { format!("label {after}") });
    }
    parts.extend(case_words(record.cases.get(patch).copied()).map(str::to_owned));
    if let Some(coin) = record.coins.get(patch).copied().flatten() {
        parts.push(format!("coin {coin}"));
    }
    if record.masked.get(patch) == Some(&true) {
        parts.push("masked".into());
    }
    let figures =
        |value: Option<&Option<f32>>| value.copied().flatten().map(|v| crate::widget::format::figures(f64::from(v)));
    parts.extend(figures(record.losses.get(patch)).map(|loss| format!("loss {loss}")));
    parts.extend(figures(record.relative.get(patch)).map(|relative| format!("relative {relative}")));
    parts.join(" · ")
}

/// A case of the label update in words.
pub(super) fn case_words(case: Option<u8>) -> Option<&'static str> {
    match case? {
        1 => Some("case 1: k-means 1, important"),
        2 => Some("case 2: k-means 0, not important"),
        3 => Some("case 3: k-means 1, not important"),
        4 => Some("case 4: k-means 0, important"),
        _ => Some("never masked since the last update"),
    }
}
