//! Reconstructing the masked patches of the shown slice with a pre-trained network.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use engine::device::{self, DeviceChoice};
use engine::inspect::Reconstructor;
use engine::run::History;

use super::channels;
use super::pictures::{cells_of_losses, of_pixels};
use super::prepare::ShownImage;
use crate::gpu::Gpu;
use crate::state::masking::{AllChannels, ClusteredSlice, Network, ReconstructedSlice, ReconstructionRequest};
use crate::state::session::RunUse;
use crate::state::{Document, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// One reconstruction at a time.
pub const SLOT: Slot = Slot::exclusive("reconstruct");
/// Minimum of the relative loss at the end of the colour map: twice the mean.
const TOP: f32 = 2.0;

/// Reconstructs a slice.
struct Reconstruct {
    filling: ReconstructionRequest,
    found: Arc<ClusteredSlice>,
    /// The network, if it was loaded before.
    network: Option<Network>,
    device: DeviceChoice,
    document: Document,
    /// The scan in the network's modalities, as prepared for the slice before.
    channels: Option<AllChannels>,
    gpu: Option<Gpu>,
}

struct ReconstructOutput {
    network: Network,
    channels: Option<AllChannels>,
    filled: ReconstructedSlice,
}

/// Reconstructs the shown slice, if a run is chosen for it.
pub(super) fn start(state: &mut State, jobs: &mut Jobs) {
    let Some(found) = state.cache.masking.found.clone() else { return };
    let Some(run) = state.run_for(RunUse::Reconstruct).map(Path::to_path_buf) else { return };
    let filling = ReconstructionRequest { wanted: found.wanted.clone(), run };
    let masking = &mut state.cache.masking;
    let network = masking.network.clone().filter(|network| network.run == filling.run);
    // Loading a run that failed is not repeated for every slice.
    let broken = |(failed, _): &(ReconstructionRequest, String)| failed.run == filling.run && network.is_none();
    if masking.filling.failed.as_ref().is_some_and(broken) {
        return;
    }
    masking.filling.keep_failure_of(&filling);
    let known = masking.filled.as_ref().is_some_and(|filled| filled.filling == filling);
    if known || !masking.filling.is_due(&filling) || jobs.runs(SLOT) {
        return;
    }
    let Some(document) = state.document.clone() else { return };
    masking.filling.begin(filling.clone());
    let channels = masking.channels.clone();
    let (device, gpu) = (state.session.device.parse().unwrap_or_default(), jobs.gpu().cloned());
    jobs.start(Reconstruct { filling, found, network, device, document, channels, gpu });
}

impl Job for Reconstruct {
    type Output = ReconstructOutput;

    fn spec(&self) -> Spec {
        let spec = Spec::new(SLOT, "Reconstructing").of_case(self.filling.wanted.case.document);
        if self.network.is_some() { spec.quiet() } else { spec }
    }

    fn run(&self, handle: &JobHandle) -> Result<ReconstructOutput, Failure> {
        let Self { filling, found, gpu, .. } = self;
        let network = if let Some(network) = &self.network {
            network.clone()
        } else {
            handle.progress(None, "loading the network");
            load(&filling.run, self.device)?
        };
        handle.check()?;
        let channels = match &network.config.data.modality[..] {
            [] | [_] => None,
            several => Some(self.all_channels(several, handle)?),
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
        let filled = ReconstructedSlice {
            input: of_pixels(&found.slice, &made.input, channel, gpu.as_ref())?,
            output: of_pixels(&found.slice, &made.output, channel, gpu.as_ref())?,
            cells: cells_of_losses(found, &made, top, gpu.as_ref())?,
            channel,
            filling: filling.clone(),
            made,
            top,
        };
        Ok(ReconstructOutput { network, channels, filled })
    }

    fn apply(self, result: Result<ReconstructOutput, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(ReconstructOutput { network, channels, filled }) => {
                let wanted = state.mask_request().is_some_and(|wanted| wanted.case == filled.filling.wanted.case);
                let masking = &mut state.cache.masking;
                masking.filling.asked = None;
                masking.network = Some(network);
                if wanted {
                    (masking.channels, masking.filled) = (channels, Some(Arc::new(filled)));
                }
            }
            Err(failure) => {
                let chosen = state.session.runs.reconstruct.as_ref();
                let loaded = state.cache.masking.network.as_ref().map(|network| &network.run);
                // The watched run was not explicitly selected, and its error would repeat for every slice, so it is
                // shown in the pane.
                let in_pane = chosen.is_none() || chosen == loaded;
                state.cache.masking.filling.fail(&failure.reason());
                if !in_pane || failure == Failure::Cancelled {
                    failure.report(&self.spec().title, state);
                }
            }
        }
    }
}

impl Reconstruct {
    /// The scan in all `modalities` of the network, reused from the last slice if unchanged.
    fn all_channels(&self, modalities: &[String], handle: &JobHandle) -> Result<AllChannels, Failure> {
        let key = &self.filling.wanted.case;
        let same = |before: &&AllChannels| before.key == *key && before.modalities == modalities;
        if let Some(before) = self.channels.as_ref().filter(same) {
            return Ok(before.clone());
        }
        handle.progress(None, format!("preparing {}", modalities.join(", ")));
        channels::prepare(&self.document, &ShownImage::of(&self.document, key), key, modalities)
    }
}

fn load(run: &Path, device: DeviceChoice) -> Result<Network, Failure> {
    let reconstructor = Reconstructor::load(run, &device::open(device)?)?;
    let config = reconstructor.config().clone();
    // The epochs of a run whose length is set in steps are in its log only.
    let epochs = Some(History::read(run)?.epochs).filter(|epochs| *epochs > 0).unwrap_or(config.training.epochs);
    Ok(Network {
        run: run.to_path_buf(),
        config: Arc::new(config),
        epochs,
        epoch: reconstructor.epoch(),
        reconstructor: Arc::new(Mutex::new(reconstructor)),
    })
}
