//! Files of probes in a run folder, and reading them. Readers need no lock, even while the run is training.

use std::path::{Path, PathBuf};

use super::Pin;
use super::record::{MAX_BYTES, ProbeRecord, ProbeSlice};
use super::tensors::VERSION;
use crate::event::Stage;
use crate::run::probes;
use crate::{Error, ErrorKind, Result};

/// Maximum size of a slice's file in bytes.
const MAX_SLICE_BYTES: u64 = 4 << 20;

/// Prefix of the names of a stage's files.
fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Pretrain => "pretrain",
        Stage::Finetune => "finetune",
    }
}

/// Name of a slice's file.
pub(super) fn slice_name(stage: Stage) -> String {
    format!("{}-slice.safetensors", word(stage))
}

/// Name of an epoch's file.
pub(super) fn record_name(stage: Stage, epoch: usize) -> String {
    format!("{}-{epoch:06}.safetensors", word(stage))
}

/// The epoch that a file of this name records.
pub(super) fn epoch_of(stage: Stage, name: &str) -> Option<usize> {
    let digits = name.strip_prefix(word(stage))?.strip_prefix('-')?.strip_suffix(".safetensors")?;
    let epoch = digits.parse().ok()?;
    (record_name(stage, epoch) == name).then_some(epoch)
}

/// The stored pinned slice.
pub fn read_slice(run: &Path, pin: &Pin, stage: Stage) -> Result<ProbeSlice> {
    let (path, bytes) = bytes_of(run, pin, &slice_name(stage), MAX_SLICE_BYTES)?;
    let slice = ProbeSlice::from_bytes(&bytes, &path)?;
    if slice.pin != *pin || slice.stage != stage {
        return Err(Error::field(&path, "pin", slice.pin, format!("the path is that of {pin}")));
    }
    Ok(slice)
}

/// The record of a pinned slice at an epoch.
pub fn read(run: &Path, pin: &Pin, stage: Stage, epoch: usize) -> Result<ProbeRecord> {
    let (path, bytes) = bytes_of(run, pin, &record_name(stage, epoch), MAX_BYTES as u64)?;
    let record = ProbeRecord::from_bytes(&bytes, &path)?;
    if record.pin != *pin || record.stage != stage || record.epoch != epoch {
        let found = format!("{}, epoch {}", record.pin, record.epoch);
        return Err(Error::field(&path, "pin", found, format!("the path is that of {pin}, epoch {epoch}")));
    }
    Ok(record)
}

fn bytes_of(run: &Path, pin: &Pin, name: &str, limit: u64) -> Result<(PathBuf, Vec<u8>)> {
    let path = probes::path(run, &pin.folder(), name);
    if let Some(earlier) = probes::earlier(&path) {
        let (found, supported) = ("1".to_owned(), VERSION.to_string());
        return Err(ErrorKind::Version { path: earlier, found, supported }.into());
    }
    let bytes = probes::read(&path, limit)?;
    Ok((path, bytes))
}

/// The pinned slices of a run, in order.
pub fn pins(run: &Path) -> Result<Vec<Pin>> {
    Ok(stored_pins(run)?.unwrap_or_default())
}

/// The pinned slices stored in a run; `None` if the run has never stored any.
pub(crate) fn stored_pins(run: &Path) -> Result<Option<Vec<Pin>>> {
    probes::read_pins(run)
}

/// The recorded epochs of a pinned slice, ascending; empty if nothing can be read.
pub fn epochs(run: &Path, pin: &Pin, stage: Stage) -> Vec<usize> {
    let names = probes::files(run, &pin.folder()).unwrap_or_default();
    let mut epochs: Vec<usize> = names.iter().filter_map(|name| epoch_of(stage, name)).collect();
    epochs.sort_unstable();
    epochs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_parsed_from_the_file_name() {
        for epoch in [1, 12, 999_999, 1_000_000] {
            let name = record_name(Stage::Finetune, epoch);
            assert_eq!(epoch_of(Stage::Finetune, &name), Some(epoch));
            assert_eq!(epoch_of(Stage::Pretrain, &name), None);
        }
        assert_eq!(record_name(Stage::Pretrain, 12), "pretrain-000012.safetensors");
        for other in [
            &slice_name(Stage::Pretrain),
            "pretrain-12.safetensors",
            "pretrain-+00012.safetensors",
            "pretrain-000012.probe",
        ] {
            assert_eq!(epoch_of(Stage::Pretrain, other), None, "{other}");
        }
    }
}
