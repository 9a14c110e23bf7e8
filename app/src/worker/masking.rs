//! Jobs of Masking mode: preparing the case, clustering the shown slice, reconstructing it.
//!
//! [`follow`] compares what is wanted with what was found and starts what is missing, so that every control and every
//! way to another slice leads to the same jobs.

mod channels;
pub mod export;
mod pictures;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use engine::cluster::{Clustering, Method};
use engine::device::{self, DeviceChoice};
use engine::draw::percentile_window;
use engine::inspect::{InspectedCase, InspectedSlice, Reconstructor, kind_of};
use engine::preprocess;
use engine::volume::Volume;

use super::{Failure, JobHandle, Jobs, Spec};
use crate::state::masking::{
    AllChannels, CaseKey, Filled, Filling, FoundSlice, MaskingState, Network, PreparedCase, Wanted,
};
use crate::state::{Document, Mode, Slot, State};
use pictures::{cells_of_losses, of_pixels, of_slice};

/// One scan is prepared at a time.
pub const PREPARE: Slot = Slot::exclusive("prepare");
/// One slice is clustered at a time.
pub const CLUSTER: Slot = Slot::exclusive("cluster");
/// One slice is reconstructed at a time.
pub const RECONSTRUCT: Slot = Slot::exclusive("reconstruct");

/// Slices whose values decide what is black and white in all of them.
const LOOKED_AT: usize = 12;
/// What is black and white, in percent of their tissue.
const PERCENTILES: (f64, f64) = (0.5, 99.5);
/// The relative loss that has the last colour, at least: twice the mean.
const TOP: f32 = 2.0;
/// Threads that may cluster side by side: the one that is wanted, and one that does not know yet that it is not.
const SIDE_BY_SIDE: usize = 2;

/// What a job of Masking mode brings.
pub enum Found {
    /// The scan is prepared.
    Prepared(PreparedCase),
    /// A slice is clustered and masked.
    Slice(Arc<FoundSlice>),
    /// A network filled the masked patches in; with the channels that it looked at, if those are several.
    Filled(Network, Option<AllChannels>, Arc<Filled>),
}

/// Starts a job of Masking mode.
fn start(jobs: &mut Jobs, spec: Spec, work: impl FnOnce(&JobHandle) -> Result<Found, Failure> + Send + 'static) {
    jobs.start_with(spec, work, |result, spec, state, jobs| match result {
        Ok(found) => apply(state, jobs, found),
        Err(failure) => {
            let shown_in_place = ended(state, spec, &failure.reason());
            if failure == Failure::Cancelled || !shown_in_place {
                failure.report(&spec.title, state);
            }
        }
    });
}

/// Lets what was found change the state. What is for another scan than the shown one is dropped.
pub fn apply(state: &mut State, _jobs: &mut Jobs, found: Found) {
    let Some(case) = state.wanted_mask().map(|wanted| wanted.case) else { return };
    let masking = &mut state.masking;
    match found {
        Found::Prepared(prepared) if prepared.key == case => masking.prepared = Some(prepared),
        Found::Slice(found) if found.wanted.case == case => masking.found = Some(found),
        Found::Filled(network, channels, filled) => {
            masking.network = Some(network);
            if filled.filling.wanted.case == case {
                (masking.channels, masking.filled) = (channels, Some(filled));
            }
        }
        Found::Prepared(_) | Found::Slice(_) => {}
    }
}

/// A job of Masking mode ended without a result: it is said in its place, and not tried again by itself. True if that
/// is all there is to say.
pub fn ended(state: &mut State, spec: &Spec, why: &str) -> bool {
    let masking = &mut state.masking;
    match spec.slot {
        PREPARE => masking.preparing.fail(why),
        CLUSTER => masking.clustering.fail(why),
        RECONSTRUCT => {
            masking.filling.fail(why);
            // The open run was not chosen for this: that its network cannot fill in is no error. What a network says of
            // one slice it says of the next as well: the pane tells it.
            return masking.run.is_none() || masking.run == masking.network.as_ref().map(|n| n.run.clone());
        }
        _ => {}
    }
    false
}

/// Starts what the shown slice and the controls need and nothing has found yet. Called every frame, before drawing.
pub fn follow(state: &mut State, jobs: &mut Jobs) {
    leave(state, jobs);
    forget_ended(&mut state.masking, jobs);
    if state.mode != Mode::Masking {
        return;
    }
    let Some(wanted) = state.wanted_mask() else { return };
    state.masking.preparing.keep_failure_of(&wanted.case);
    state.masking.clustering.keep_failure_of(&wanted);
    let prepared = state.masking.prepared.as_ref().filter(|prepared| prepared.key == wanted.case);
    if let Some(case) = prepared.map(|prepared| Arc::clone(&prepared.case)) {
        jobs.cancel_slot(PREPARE);
        cluster(state, jobs, wanted, case);
    } else if state.masking.preparing.is_due(&wanted.case) {
        prepare(state, jobs, wanted.case);
    }
    fill(state, jobs);
}

/// Another case is open, or none: nothing of the last one is kept.
fn leave(state: &mut State, jobs: &mut Jobs) {
    let open = state.document.as_ref().map(|document| document.id);
    if state.masking.document != open {
        for slot in [PREPARE, CLUSTER, RECONSTRUCT] {
            jobs.cancel_slot(slot);
        }
        state.masking.forget();
        state.masking.document = open;
    }
}

fn forget_ended(masking: &mut MaskingState, jobs: &Jobs) {
    if !jobs.runs(PREPARE) {
        masking.preparing.asked = None;
    }
    if !jobs.runs(CLUSTER) {
        masking.clustering.asked = None;
    }
    if !jobs.runs(RECONSTRUCT) {
        masking.filling.asked = None;
    }
}

fn prepare(state: &mut State, jobs: &mut Jobs, key: CaseKey) {
    let Some(document) = &state.document else { return };
    let shown = ShownImage::of(document, &key);
    let truth = document.truth.as_ref().map(|truth| Arc::clone(&truth.labels));
    let title = format!("Preparing {}", document.image().name);
    let spec = Spec::new(PREPARE, title).of_case(document.id);
    state.masking.preparing.begin(key.clone());
    start(jobs, spec, move |handle| {
        handle.progress(None, "resampling and normalising");
        let image = shown.image()?;
        let kind = shown.kind(&image);
        handle.check()?;
        let case = InspectedCase::prepare(&[image], &[kind], truth.as_deref(), &key.preprocess, 0)?;
        handle.check()?;
        let window = window_of(&case)?;
        Ok(Found::Prepared(PreparedCase { key, case: Arc::new(case), window }))
    });
}

/// The shown image, for a job.
struct ShownImage {
    volume: Arc<Volume>,
    path: PathBuf,
    frame: usize,
    kind: Option<preprocess::Kind>,
}

impl ShownImage {
    fn of(document: &Document, key: &CaseKey) -> Self {
        let layer = document.image();
        let (volume, path) = (Arc::clone(&layer.volume), layer.path.clone());
        Self { volume, path, frame: layer.held_frame(), kind: key.kind }
    }

    /// Its shown frame.
    fn image(&self) -> Result<Arc<Volume>, Failure> {
        self.volume.require_numbers(&self.path)?;
        Ok(match self.frame {
            0 => Arc::clone(&self.volume),
            frame => Arc::new(self.volume.like(self.volume.frame_to_f32(frame))),
        })
    }

    /// CT or not: as the user or the cohort says, else by name and values.
    fn kind(&self, image: &Volume) -> preprocess::Kind {
        self.kind.unwrap_or_else(|| kind_of(&file_name(&self.path), None, image))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What is just black and just white in every slice of a scan: percentiles of the tissue of some of them.
fn window_of(case: &InspectedCase) -> Result<[f32; 2], Failure> {
    let slices = case.file_slices();
    let mut values = Vec::new();
    for k in (0..slices).step_by(slices.div_ceil(LOOKED_AT).max(1)) {
        let slice = case.slice(k, 1)?;
        values.extend(slice.pixels.iter().zip(&slice.tissue).filter(|(_, tissue)| **tissue).map(|(value, _)| *value));
    }
    Ok(percentile_window(&values, PERCENTILES.0, PERCENTILES.1))
}

/// Clusters and masks the wanted slice, unless that is what is shown or what a job is about.
fn cluster(state: &mut State, jobs: &mut Jobs, wanted: Wanted, case: Arc<InspectedCase>) {
    let masking = &mut state.masking;
    if masking.found.as_ref().is_some_and(|found| found.wanted == wanted) {
        jobs.cancel_slot(CLUSTER);
        return;
    }
    if !masking.clustering.is_due(&wanted) {
        return;
    }
    // What is about to end anyway is shown, so that the picture follows while a control is dragged.
    let quick = |wanted: &Wanted| wanted.settings.cluster.method == Method::Kmeans;
    let soon = masking.clustering.asked.as_ref().is_some_and(quick);
    if jobs.runs(CLUSTER) && (soon || jobs.at_work(CLUSTER) >= SIDE_BY_SIDE) {
        return;
    }
    let (before, gpu) = (masking.found.clone(), jobs.gpu().cloned());
    let document = wanted.case.document;
    let title = format!("Clustering slice {}", wanted.slice + 1);
    let spec = Spec { quiet: quick(&wanted), ..Spec::new(CLUSTER, title).of_case(document) };
    masking.clustering.begin(wanted.clone());
    start(jobs, spec, move |handle| {
        let before = before.filter(|before| before.wanted.same_slice(&wanted));
        let (slice, clusters) = clusters(before.as_deref(), &wanted, &case)?;
        handle.check()?;
        let masking = slice.mask(&clusters, &wanted.settings)?;
        let kept = before.as_ref().map(|before| &before.pictures);
        let pictures = of_slice(&slice, &clusters, &masking, kept, case.plan(), gpu.as_ref())?;
        let report = slice.report(&clusters, &masking);
        let mut places = vec![0; masking.order.len()];
        for (place, &patch) in masking.order.iter().enumerate() {
            places[patch] = u16::try_from(place + 1).unwrap_or(u16::MAX);
        }
        let found = FoundSlice { wanted, slice, clusters, masking, places, report, pictures };
        Ok(Found::Slice(Arc::new(found)))
    });
}

/// The pixels and clusters of what is wanted, taken from `before` as far as they are the same.
fn clusters(
    before: Option<&FoundSlice>,
    wanted: &Wanted,
    case: &InspectedCase,
) -> Result<(Arc<InspectedSlice>, Arc<Clustering>), Failure> {
    if let Some(before) = before.filter(|before| before.wanted.same_clusters(wanted)) {
        return Ok((Arc::clone(&before.slice), Arc::clone(&before.clusters)));
    }
    let slice = match before {
        Some(before) => Arc::clone(&before.slice),
        None => Arc::new(case.slice(wanted.slice, wanted.grid)?),
    };
    let clusters = Arc::new(slice.cluster(&wanted.settings)?);
    Ok((slice, clusters))
}

/// Fills the masked patches of the shown slice in, if a run is there to do so. One job at a time: it ends, then the
/// next begins.
fn fill(state: &mut State, jobs: &mut Jobs) {
    let (Some(found), Some(run)) = (state.masking.found.clone(), state.filling_run()) else { return };
    let filling = Filling { wanted: found.wanted.clone(), run: run.to_path_buf() };
    let masking = &mut state.masking;
    let network = masking.network.clone().filter(|network| network.run == filling.run);
    // A run that could not be loaded is not loaded for every slice again.
    let broken = |(failed, _): &(Filling, String)| failed.run == filling.run && network.is_none();
    if masking.filling.failed.as_ref().is_some_and(broken) {
        return;
    }
    masking.filling.keep_failure_of(&filling);
    let there = masking.filled.as_ref().is_some_and(|filled| filled.filling == filling);
    if there || !masking.filling.is_due(&filling) || jobs.runs(RECONSTRUCT) {
        return;
    }
    let device: DeviceChoice = state.segment.device.parse().unwrap_or_default();
    let Some(document) = state.document.clone() else { return };
    let (channels, gpu) = (masking.channels.clone(), jobs.gpu().cloned());
    let spec = Spec {
        quiet: network.is_some(),
        ..Spec::new(RECONSTRUCT, "Reconstructing").of_case(filling.wanted.case.document)
    };
    masking.filling.begin(filling.clone());
    start(jobs, spec, move |handle| {
        let network = if let Some(network) = network {
            network
        } else {
            handle.progress(None, "loading the network");
            load(&filling.run, device)?
        };
        handle.check()?;
        let channels = match &network.config.data.modality[..] {
            [] | [_] => None,
            several => Some(all_channels(channels, &document, &filling.wanted.case, several, handle)?),
        };
        let slice = match &channels {
            Some(channels) => Arc::new(channels.case.slice_like(&found.slice)?),
            None => Arc::clone(&found.slice),
        };
        let made = {
            let reconstructor = network.reconstructor.lock().unwrap_or_else(PoisonError::into_inner);
            reconstructor.reconstruct(&slice, &found.masking)?
        };
        let channel = channels.as_ref().map_or(0, |channels| channels.shown);
        let top = made.relative.iter().flatten().copied().fold(TOP, f32::max);
        let filled = Filled {
            input: of_pixels(&found.slice, &made.input, channel, gpu.as_ref())?,
            output: of_pixels(&found.slice, &made.output, channel, gpu.as_ref())?,
            cells: cells_of_losses(&found, &made, top, gpu.as_ref())?,
            channel,
            filling,
            made,
            top,
        };
        Ok(Found::Filled(network, channels, Arc::new(filled)))
    });
}

/// The scan in all `modalities` of a network: those of the last slice, if they are the same.
fn all_channels(
    before: Option<AllChannels>,
    document: &Document,
    key: &CaseKey,
    modalities: &[String],
    handle: &JobHandle,
) -> Result<AllChannels, Failure> {
    if let Some(before) = before.filter(|before| before.key == *key && before.modalities == modalities) {
        return Ok(before);
    }
    handle.progress(None, format!("preparing {}", modalities.join(", ")));
    channels::prepare(document, &ShownImage::of(document, key), key, modalities)
}

fn load(run: &Path, device: DeviceChoice) -> Result<Network, Failure> {
    let reconstructor = Reconstructor::load(run, &device::open(device)?)?;
    Ok(Network {
        run: run.to_path_buf(),
        config: Arc::new(reconstructor.config().clone()),
        epoch: reconstructor.epoch(),
        reconstructor: Arc::new(Mutex::new(reconstructor)),
    })
}
