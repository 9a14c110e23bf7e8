//! A fine-tuned network made small for passing on.

use std::path::Path;

use super::{Choice, Segmenter, open_finetuned};
use crate::Result;
use crate::device::Compute;
use crate::run::atomic::sha256;
use crate::run::checkpoint::{self, CheckpointData};
use crate::run::export::export_run;
use crate::trainer::WEIGHTS;

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Epochs that the network was trained for.
    pub epoch: usize,
    /// Size of the weights in bytes.
    pub bytes: u64,
    /// SHA-256 of the weights, `checkpoints/last/model.safetensors`.
    pub sha256: String,
}

/// Copies what segmenting needs of a fine-tuning run into the new folder `to`, which [`Segmenter::load`] takes like any
/// run: the settings without paths ([`crate::config::Config::portable`]), the split, and the weights alone, without the
/// optimiser's state.
pub fn export_model(run: &Path, choice: Choice, to: &Path) -> Result<Exported> {
    let (run, config) = open_finetuned(run)?;
    let weights = checkpoint::load_part(&run, choice.slots(), WEIGHTS)?;
    let epoch = checkpoint::manifest(&run, weights.slot)?.epoch;
    let exported = Exported { epoch, bytes: weights.content.len() as u64, sha256: sha256(&weights.content) };
    let data = CheckpointData { epoch, step: 0, parts: vec![(WEIGHTS.to_owned(), weights.content)] };
    export_run(&run, &config.portable().to_toml()?, &data, to)?;
    // What cannot be loaded must not be passed on.
    Segmenter::load(to, Choice::Last, &Compute::cpu())?;
    Ok(exported)
}
