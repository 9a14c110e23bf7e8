//! Where probes lie in a run folder, and reading them. Readers need no lock, also while the run is training.

use std::path::Path;

use super::Pin;
use super::record::{MOST_BYTES, ProbeRecord, ProbeSlice};
use crate::event::Stage;
use crate::run::probes;
use crate::{Error, Result};

/// A slice's own file holds at most this many bytes.
const MOST_SLICE_BYTES: u64 = 4 << 20;

/// The first part of the names of a stage's files.
fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Pretrain => "pretrain",
        Stage::Finetune => "finetune",
    }
}

/// Name of a slice's file.
pub(super) fn slice_name(stage: Stage) -> String {
    format!("{}-slice.probe", word(stage))
}

/// Name of an epoch's file.
pub(super) fn record_name(stage: Stage, epoch: usize) -> String {
    format!("{}-{epoch:06}.probe", word(stage))
}

/// The epoch that a file of this name records.
pub(super) fn epoch_of(stage: Stage, name: &str) -> Option<usize> {
    let digits = name.strip_prefix(word(stage))?.strip_prefix('-')?.strip_suffix(".probe")?;
    let epoch = digits.parse().ok()?;
    (record_name(stage, epoch) == name).then_some(epoch)
}

/// The pinned slice as it was stored once.
pub fn read_slice(run: &Path, pin: &Pin, stage: Stage) -> Result<ProbeSlice> {
    let path = probes::path(run, &pin.folder(), &slice_name(stage));
    let slice = ProbeSlice::from_bytes(&probes::read(&path, MOST_SLICE_BYTES)?, &path)?;
    if slice.pin != *pin || slice.stage != stage {
        return Err(Error::field(&path, "pin", slice.pin, format!("the file's place is that of {pin}")));
    }
    Ok(slice)
}

/// What an epoch of the run recorded of a pinned slice.
pub fn read(run: &Path, pin: &Pin, stage: Stage, epoch: usize) -> Result<ProbeRecord> {
    let path = probes::path(run, &pin.folder(), &record_name(stage, epoch));
    let record = ProbeRecord::from_bytes(&probes::read(&path, MOST_BYTES as u64)?, &path)?;
    if record.pin != *pin || record.stage != stage || record.epoch != epoch {
        let found = format!("{}, epoch {}", record.pin, record.epoch);
        return Err(Error::field(&path, "pin", found, format!("the file's place is that of {pin}, epoch {epoch}")));
    }
    Ok(record)
}

/// The slices that are pinned in a run, in order; none if nothing was ever pinned there.
pub fn pins(run: &Path) -> Result<Vec<Pin>> {
    Ok(stored_pins(run)?.unwrap_or_default())
}

/// The slices that are pinned in a run, if that was ever stored.
pub(crate) fn stored_pins(run: &Path) -> Result<Option<Vec<Pin>>> {
    probes::read_pins(run)
}

/// The epochs that a run recorded of a pinned slice, rising; none where nothing can be read.
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
    fn names_lead_back_to_their_epochs() {
        for epoch in [1, 12, 999_999, 1_000_000] {
            let name = record_name(Stage::Finetune, epoch);
            assert_eq!(epoch_of(Stage::Finetune, &name), Some(epoch));
            assert_eq!(epoch_of(Stage::Pretrain, &name), None);
        }
        assert_eq!(record_name(Stage::Pretrain, 12), "pretrain-000012.probe");
        for other in [&slice_name(Stage::Pretrain), "pretrain-12.probe", "pretrain-+00012.probe", "pretrain-.probe"] {
            assert_eq!(epoch_of(Stage::Pretrain, other), None, "{other}");
        }
    }
}
