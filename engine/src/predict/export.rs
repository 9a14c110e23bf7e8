//! Exporting a fine-tuned network for distribution.

use std::path::Path;

use super::{Choice, Segmenter, open_finetuned};
use crate::Result;
use crate::device::Compute;
use crate::disk::atomic::sha256;
use crate::run::checkpoint::{self, CheckpointData};
use crate::run::export::export_run;
use crate::trainer::WEIGHTS;

/// Summary of an exported model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedModel {
    /// Number of training epochs.
    pub epoch: usize,
    /// Size of the weights in bytes.
    pub bytes: u64,
    /// SHA-256 of the weights, `checkpoints/last/model.safetensors`.
    pub sha256: String,
}

/// Exports a fine-tuning run to the new folder `to`, which [`Segmenter::load`] reads like any run. It holds the settings
/// without paths ([`crate::config::Config::portable`]), the split and the weights, but not the optimiser's state.
///
/// # Errors
/// If `run` is not a fine-tuning run or has no such checkpoint, `to` exists, or the exported model cannot be loaded.
pub fn export_model(run: &Path, choice: Choice, to: &Path) -> Result<ExportedModel> {
    let (run, config) = open_finetuned(run)?;
    let weights = checkpoint::load_part(&run, choice.slots(), WEIGHTS)?;
    let epoch = checkpoint::manifest(&run, weights.slot)?.epoch;
    let exported = ExportedModel { epoch, bytes: weights.content.len() as u64, sha256: sha256(&weights.content) };
    let data = CheckpointData { epoch, step: 0, parts: vec![(WEIGHTS.to_owned(), weights.content)] };
    export_run(&run, &config.portable().to_toml()?, &data, to)?;
    // Check that the exported model can be loaded.
    Segmenter::load(to, Choice::Last, &Compute::cpu())?;
    Ok(exported)
}
