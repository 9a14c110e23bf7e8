//! On-disk cache of prepared cases: one file per case, named by the SHA-256 of everything it depends on.
//! A damaged file or one of another version is ignored.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::frames::CaseFrames;
use super::spill::{Frame, decode, encode};
use super::{CaseMeta, LabelUse, SliceMeta, StoreOptions};
use crate::cohort::Case;
use crate::disk::create_folder;
use crate::volume::dicom;
use crate::volume::nifti::HeaderSummary;
use crate::{Error, Result};

/// Must change whenever the preprocessing result or the file layout changes.
const VERSION: &str = "amlp prepared case 1";

/// Length of a SHA-256 in bytes.
const HASH: usize = 32;

#[derive(Serialize, Deserialize)]
struct Header {
    meta: CaseMeta,
    metas: Vec<SliceMeta>,
}

/// Hash of the paths, sizes and modification times of a case's files and of all settings that affect the result.
pub(super) fn key(case: &Case, options: &StoreOptions) -> Result<String> {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(VERSION.as_bytes());
    add(case.id.as_bytes());
    let StoreOptions { modalities, labels: with_labels, targets, config, margin, keep, seed, .. } = options;
    let settings =
        serde_json::to_vec(&(modalities, *with_labels != LabelUse::None, targets, config, margin, keep, seed));
    add(&settings.map_err(|e| Error::config("cache", "settings", e.to_string()))?);
    // Includes all images, not only the channels: the label may be on the grid of any of them.
    let masks = case.masks.iter().filter(|_| *with_labels != LabelUse::None).map(|path| (path, None));
    for (path, frame) in case.images.values().map(|image| (&image.path, image.frame)).chain(masks) {
        if let Some(frame) = frame {
            add(&frame.to_le_bytes());
        }
        if dicom::is_dicom(path) {
            // A series has many files; the UIDs of its instances identify it.
            add(HeaderSummary::read(path)?.digest.as_bytes());
            continue;
        }
        let about = std::fs::metadata(path).map_err(Error::io("read", path))?;
        let absolute = std::path::absolute(path).map_err(Error::io("read", path))?;
        add(absolute.as_os_str().as_encoded_bytes());
        add(&about.len().to_le_bytes());
        let time = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        add(&time.as_nanos().to_le_bytes());
    }
    let mut name = String::with_capacity(2 * HASH);
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    Ok(name)
}

fn file_of(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.case"))
}

/// File layout: SHA-256 of the rest, length of the header (u64), header (JSON), frames.
pub(super) fn save(folder: &Path, key: &str, case: &CaseFrames) -> Result<()> {
    create_folder(folder)?;
    let path = file_of(folder, key);
    let header = serde_json::to_vec(&Header { meta: case.meta.clone(), metas: case.metas.clone() })
        .map_err(|e| Error::file(&path, e.to_string()))?;
    let mut bytes = vec![0; HASH];
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    for frame in &case.frames {
        encode(&frame.pixels, &mut bytes);
        bytes.extend(&frame.flags);
    }
    let hash = Sha256::digest(&bytes[HASH..]);
    bytes[..HASH].copy_from_slice(&hash);
    crate::disk::atomic::write_atomic(&path, &bytes).map(|_| ())
}

/// The cached case, if its file exists and is intact.
pub(super) fn load(folder: &Path, key: &str, options: &StoreOptions) -> Option<CaseFrames> {
    let bytes = std::fs::read(file_of(folder, key)).ok()?;
    let (hash, rest) = bytes.split_at_checked(HASH)?;
    if Sha256::digest(rest).as_slice() != hash {
        tracing::warn!("the cached case {key} is damaged and is prepared again");
        return None;
    }
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (header, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let Header { meta, metas } = serde_json::from_slice(header).ok()?;
    let side = options.config.size + 2 * options.margin;
    let pixels = side * side * options.modalities.len();
    let frame_bytes = pixels * 4 + side * side;
    if rest.len() != metas.len().checked_mul(frame_bytes)? {
        return None;
    }
    let frame = |bytes: &[u8]| {
        let (image, flags) = bytes.split_at(pixels * 4);
        let mut values = Vec::with_capacity(pixels);
        decode(image, &mut values);
        Frame { pixels: values, flags: flags.to_vec() }
    };
    Some(CaseFrames { meta, metas, frames: rest.chunks_exact(frame_bytes).map(frame).collect(), mask_left_out: None })
}
