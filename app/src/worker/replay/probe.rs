//! Reads records of pinned slices, a few epochs ahead of the cursor.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use engine::config::Config;
use engine::event::Stage;
use engine::probe::{self, ProbeRecord, ProbeSlice};
use engine::volume::LabelVolume;
use shaders::Cell;

use super::place::source_grid;
use crate::gpu::{Gpu, Texture};
use crate::scene::crop::{self, SlicePlacement};
use crate::state::timeline::probes::{Cells, MAX_RELATIVE, ReadResult};
use crate::state::timeline::{EpochRecord, OpenRun, PinSettings, PinnedSlice, RecordKey, SliceKey, Update, WatchView};
use crate::state::{Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

const SLOT: Slot = Slot::exclusive("probes");

/// Maximum epochs per job, because the cursor may move meanwhile.
const BATCH: usize = 8;
/// Epochs that are read ahead of the cursor and behind it.
const EPOCHS_AHEAD: usize = 4;
const EPOCHS_BEHIND: usize = 2;
/// The lowest byte that stands for a probability of one half or more.
const HALF: u8 = 128;

/// An epoch to read.
struct RecordRequest {
    key: RecordKey,
    run: PathBuf,
    config: Arc<Config>,
    /// The epoch of the last update up to this one, if it was recorded.
    update: Option<usize>,
}

/// Every epoch that is shown or may soon be, the most urgent first.
pub(super) fn wanted(state: &State) -> Vec<RecordKey> {
    let options = &state.session.timeline.options;
    let Some(run) = state.watched_run() else { return Vec::new() };
    let mut keys = Vec::new();
    if let Some(epoch) = run.epoch() {
        keys.extend(state.record_key(run, epoch));
        if options.view == WatchView::Compare {
            keys.extend(state.compared_run().and_then(|(run, epoch)| state.record_key(run, epoch)));
        }
        if options.view == WatchView::Sheet {
            let epochs = state.sheet_epochs(run, options.columns);
            keys.extend(epochs.into_iter().filter_map(|epoch| state.record_key(run, epoch)));
        }
        let recorded = state.session.timeline.pin.as_ref().map_or(&[][..], |pin| run.recorded(pin));
        let at = recorded.partition_point(|&other| other <= epoch);
        let ahead = recorded[at..].iter().take(EPOCHS_AHEAD);
        let behind = recorded[..at].iter().rev().take(EPOCHS_BEHIND + 1);
        keys.extend(ahead.chain(behind).filter_map(|&epoch| state.record_key(run, epoch)));
    }
    keys
}

/// Reads epochs and their slices.
struct ReadProbes {
    requests: Vec<RecordRequest>,
    /// Slices already read.
    slices: BTreeMap<SliceKey, Arc<PinnedSlice>>,
    gpu: Option<Gpu>,
}

/// Reads missing records, one short job at a time. Priorities are recomputed after each job.
pub fn read_missing(state: &mut State, jobs: &mut Jobs) {
    if jobs.runs(SLOT) {
        return;
    }
    let probes = &state.cache.timeline.probes;
    let mut requests: Vec<RecordRequest> = Vec::new();
    for key in wanted(state) {
        if requests.len() < BATCH && !probes.knows(&key) && requests.iter().all(|request| request.key != key) {
            requests.extend(request(state, key));
        }
    }
    if requests.is_empty() {
        return;
    }
    let known = |request: &RecordRequest| {
        Some((request.key.slice.clone(), probes.slice(&request.key.slice)?.as_ref().ok()?.clone()))
    };
    let slices = requests.iter().filter_map(known).collect();
    jobs.start(ReadProbes { requests, slices, gpu: jobs.gpu().cloned() });
}

impl Job for ReadProbes {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Reading pinned slices").quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<(), Failure> {
        let mut slices = self.slices.clone();
        for request in &self.requests {
            handle.check()?;
            let slice = slice_of(request, &mut slices, self.gpu.as_ref(), |key, seen| {
                handle.send(move |state, _| keep_slice(state, key, seen));
            });
            let seen = slice.and_then(|slice| {
                upload_epoch(request, &slice, self.gpu.as_ref()).map_err(|failure| failure.reason()).map(Arc::new)
            });
            let key = request.key.clone();
            handle.send(move |state, _| keep_epoch(state, key, seen));
        }
        Ok(())
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, jobs: &mut Jobs) {
        if let Err(failure) = result {
            // Failed reads are not retried automatically.
            for request in self.requests {
                if !state.cache.timeline.probes.knows(&request.key) {
                    keep_epoch(state, request.key, Err(failure.reason()));
                }
            }
            failure.report("Reading pinned slices", state);
        }
        read_missing(state, jobs);
    }
}

/// Whether a run is still open; otherwise its result is stale.
fn is_open(state: &State, run: u64) -> bool {
    state.cache.timeline.runs().any(|open| open.id == run)
}

pub(super) fn keep_slice(state: &mut State, key: SliceKey, seen: ReadResult<PinnedSlice>) {
    if is_open(state, key.run) {
        state.cache.timeline.probes.keep_slice(key, seen);
    }
}

pub(super) fn keep_epoch(state: &mut State, key: RecordKey, seen: ReadResult<EpochRecord>) {
    if is_open(state, key.slice.run) {
        let needed = wanted(state).into_iter().collect();
        state.cache.timeline.probes.keep(key, seen, &needed);
    }
}

fn request(state: &State, key: RecordKey) -> Option<RecordRequest> {
    let run: &OpenRun = state.cache.timeline.runs().find(|run| run.id == key.slice.run)?;
    let update = run.update_at(key.epoch).filter(|epoch| run.recorded(&key.slice.pin).contains(epoch));
    Some(RecordRequest { key, run: run.path.clone(), config: Arc::clone(&run.config), update })
}

/// The slice of an epoch. If it has not been read yet, it is read and handed over.
fn slice_of(
    request: &RecordRequest,
    slices: &mut BTreeMap<SliceKey, Arc<PinnedSlice>>,
    gpu: Option<&Gpu>,
    hand_over: impl FnOnce(SliceKey, ReadResult<PinnedSlice>),
) -> ReadResult<PinnedSlice> {
    let key = &request.key.slice;
    if let Some(slice) = slices.get(key) {
        return Ok(Arc::clone(slice));
    }
    let seen = upload_slice(request, gpu).map_err(|failure| failure.reason()).map(Arc::new);
    if let Ok(slice) = &seen {
        slices.insert(key.clone(), Arc::clone(slice));
    }
    hand_over(key.clone(), seen.clone());
    seen
}

/// Reads and uploads a pinned slice.
fn upload_slice(request: &RecordRequest, gpu: Option<&Gpu>) -> Result<PinnedSlice, Failure> {
    let (run, key) = (&request.run, &request.key.slice);
    let slice = probe::read_slice(run, &key.pin, key.stage)?;
    // Records do not store whether the scan records left and right, so the scan itself is read.
    let grid = source_grid(&PinSettings::of(&request.config, Some(run)), &key.pin.case);
    let oriented = grid.is_some_and(|grid| grid.oriented);
    let world_from_crop = crop::at_slice(crop::affine(&slice.world_from_crop), slice.pin.slice as usize);
    let place = place(&slice, slice.side, world_from_crop);
    let picture = match gpu.filter(|_| slice.side > 0) {
        Some(gpu) => Some(gpu.upload(&place.volume_of_bytes(&slice.pixels, slice.range)?, 0)?),
        None => None,
    };
    let lesion = match (gpu, &slice.lesion_pixels) {
        (Some(gpu), Some(pixels)) if slice.side > 0 => {
            let pixels = resampled(pixels, slice.size, slice.side);
            Some(gpu.upload_labels(&place.labels(&pixels)?)?)
        }
        _ => None,
    };
    let window = window_of(&slice);
    Ok(PinnedSlice { slice, world_from_crop, oriented, window, picture, lesion })
}

fn place(slice: &ProbeSlice, side: usize, world_from_crop: glam::DAffine3) -> SlicePlacement {
    SlicePlacement { size: slice.size, side, world_from_crop, oriented: true }
}

/// The window of a slice, from its 1st to its 99.5th percentile.
fn window_of(slice: &ProbeSlice) -> [f32; 2] {
    let mut values = slice.values();
    values.sort_by(f32::total_cmp);
    let at = |share: f64| values.get(((values.len().max(1) - 1) as f64 * share).round() as usize).copied();
    match (at(0.01), at(0.995)) {
        (Some(low), Some(high)) if high > low => [low, high],
        _ => slice.range,
    }
}

/// Resamples a square field by nearest neighbour.
fn resampled<T: Copy>(field: &[T], from: usize, to: usize) -> Vec<T> {
    let at = |n: usize| n * from / to.max(1);
    (0..to * to).filter_map(|n| field.get(at(n / to) * from + at(n % to)).copied()).collect()
}

/// Reads and uploads one epoch of a pinned slice.
fn upload_epoch(request: &RecordRequest, slice: &PinnedSlice, gpu: Option<&Gpu>) -> Result<EpochRecord, Failure> {
    let SliceKey { pin, stage, .. } = &request.key.slice;
    let record = probe::read(&request.run, pin, *stage, request.key.epoch)?;
    let update = match (Update::of(&record), request.update) {
        (Some(own), _) => Some(own),
        (None, Some(epoch)) => Update::of(&probe::read(&request.run, pin, *stage, epoch)?),
        (None, None) => None,
    };
    let mut seen = EpochRecord { record, update, picture: None, cells: None, edge: None };
    let Some(gpu) = gpu else { return Ok(seen) };
    let record = &seen.record;
    if record.side > 0 {
        let place = place(&slice.slice, record.side, slice.world_from_crop);
        seen.picture = Some(gpu.upload(&place.volume_of_bytes(&record.picture, record.range)?, 0)?);
        // A reconstruction has no threshold, a probability has.
        if slice.slice.stage == Stage::Finetune && slice.slice.side > 0 {
            seen.edge = Some(gpu.upload_labels(&edge(record, slice)?)?);
        }
    }
    let grid = slice.slice.grid;
    if grid > 0 && record.before.len() == grid * grid {
        seen.cells = Some(cells(gpu, grid, record, seen.update.as_ref())?);
    }
    Ok(seen)
}

/// Mask of probability 0.5 or more, on the slice's grid.
fn edge(record: &ProbeRecord, slice: &PinnedSlice) -> Result<LabelVolume, Failure> {
    let inside: Vec<bool> = record.picture.iter().map(|byte| *byte >= HALF).collect();
    let inside = resampled(&inside, record.side, slice.slice.side);
    let ones = place(&slice.slice, slice.slice.side, slice.world_from_crop).labels(&inside)?;
    // Label 2, so that its colour differs from the reference's.
    let twos: Vec<u8> = ones.iter().map(|label| if label == 0 { 0 } else { 2 }).collect();
    Ok(LabelVolume::new(ones.grid.clone(), twos)?)
}

/// The patches in the shader's format.
fn cells(gpu: &Gpu, grid: usize, record: &ProbeRecord, update: Option<&Update>) -> Result<Cells, Failure> {
    let upload = |cell: &dyn Fn(usize) -> Cell| -> Result<Texture, Failure> {
        let bits: Vec<u32> = (0..grid * grid).map(|patch| cell(patch).bits()).collect();
        Ok(gpu.upload_cells(grid, &bits)?)
    };
    let masked = |patch: usize| record.masked.get(patch).copied().unwrap_or(false);
    let own = update.is_some_and(|update| update.epoch == record.epoch);
    let flipped = |patch: usize| update.is_some_and(|update| update.flipped.get(patch).copied().unwrap_or(false));
    let label = |labels: &[u8], patch: usize| labels.get(patch) == Some(&1);
    let before = upload(&|patch| Cell {
        foreground: label(&record.before, patch),
        masked: masked(patch),
        // Flips of this epoch's own update come later.
        flipped: !own && flipped(patch),
        ..Cell::default()
    })?;
    let after = upload(&|patch| Cell {
        foreground: label(&record.after, patch),
        masked: masked(patch),
        flipped: flipped(patch),
        ..Cell::default()
    })?;
    let relative = upload(&|patch| Cell {
        masked: masked(patch),
        heat: record.relative.get(patch).copied().flatten().map(heat),
        ..Cell::default()
    })?;
    Ok(Cells { before, after, relative })
}

/// A relative loss as a colour: 0 to [`MAX_RELATIVE`].
fn heat(relative: f32) -> u8 {
    (relative / MAX_RELATIVE * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_resampled_by_nearest_neighbour() {
        assert_eq!(resampled(&[1, 2, 3, 4], 2, 4)[..8], [1, 1, 2, 2, 1, 1, 2, 2]);
        assert_eq!(resampled(&[1, 2, 3, 4], 2, 1), [1]);
        assert!(resampled::<u8>(&[], 0, 0).is_empty());
    }

    #[test]
    fn the_mean_relative_loss_is_the_middle_of_the_colours() {
        assert_eq!([0.0, 1.0, 2.0, 9.0, f32::NAN].map(heat), [0, 128, 255, 255, 0]);
    }
}
