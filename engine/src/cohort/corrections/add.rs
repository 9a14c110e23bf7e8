//! Adding a reviewed mask to the corrected masks of a cohort.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Serialize;

use super::{Correction, Corrections, ModelId, RECORD, Verdict, is_plain};
use crate::cohort::{Case, Cohort};
use crate::disk::atomic::survive_size_limit;
use crate::disk::clock::now_ms;
use crate::disk::create_folder;
use crate::volume::nifti::write_label;
use crate::volume::{LabelVolume, MaskOptions, Volume};
use crate::{Error, Result};

/// Longest initials in characters.
const LONGEST_INITIALS: usize = 20;

/// A reviewed mask to add.
#[derive(Clone, Debug)]
pub struct Addition<'a> {
    /// The scan's id in the cohort.
    pub case: &'a str,
    /// The mask, on the voxels of one of the case's images.
    pub mask: &'a Path,
    /// The reviewer's verdict.
    pub verdict: Verdict,
    /// The reviewer's initials.
    pub reviewer: &'a str,
    /// The network whose segmentation was reviewed.
    pub model: Option<ModelId>,
    /// Replace another reviewer's mask of the case. A reviewer's own mask is always replaced.
    pub replace: bool,
}

/// Outcome of an [`Addition`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AddOutcome {
    /// The record.
    pub correction: Correction,
    /// The previous mask of this case. Its file is kept.
    pub replaced: Option<Correction>,
    /// How the mask was fitted to its image, one sentence each.
    pub notes: Vec<String>,
}

impl Corrections {
    /// Adds a reviewed mask of a case of `cohort` to `folder`, which is created if missing. The mask is written on the grid of
    /// its image. Adding the same mask and verdict again changes nothing.
    ///
    /// # Errors
    /// A case that the cohort does not have; a mask on other voxels, or with a label that `dataset.json` does not name;
    /// another reviewer's mask of the case, unless [`Addition::replace`] is set; initials that are empty or too long; a file
    /// that cannot be read or written.
    pub fn add(cohort: &Cohort, folder: &Path, addition: &Addition<'_>, options: &MaskOptions) -> Result<AddOutcome> {
        let reviewer = initials(addition.reviewer)?;
        let case = cohort.case(addition.case).ok_or_else(|| {
            let known: Vec<&str> = cohort.cases.iter().take(10).map(|case| case.id.as_str()).collect();
            let others = if cohort.cases.len() > known.len() { " and others" } else { "" };
            let why = format!("is not a case of {}, which has {}{others}", cohort.root.display(), known.join(", "));
            Error::config("case", addition.case, why)
        })?;
        if !is_plain(&case.id) {
            return Err(Error::config("case", &case.id, "cannot be the name of a file"));
        }
        let earlier = Self::read(folder)?.of_case(&case.id).cloned();
        if let Some(other) = earlier.as_ref().filter(|other| other.reviewer != reviewer && !addition.replace) {
            let why = format!("{} is already {}. Replace that mask, or keep it", case.id, other.describe());
            return Err(Error::config("reviewer", reviewer, why));
        }
        let (labels, image, notes) = fitted(case, addition.mask, options)?;
        check_labels(cohort, addition.mask, &labels)?;
        create_folder(folder)?;
        let (mask, sha256) = write_mask(folder, &case.id, &labels, &image)?;
        if let Some(same) = earlier.as_ref().filter(|earlier| {
            earlier.sha256 == sha256 && earlier.verdict == addition.verdict && earlier.reviewer == reviewer
        }) {
            return Ok(AddOutcome { correction: same.clone(), replaced: None, notes });
        }
        let correction = Correction {
            case: case.id.clone(),
            patient: case.patient.clone(),
            mask,
            sha256,
            lesion_ml: labels.volume_ml(),
            verdict: addition.verdict,
            reviewer,
            time_ms: now_ms(),
            model: addition.model.clone(),
        };
        append(&folder.join(RECORD), &correction)?;
        Ok(AddOutcome { correction, replaced: earlier, notes })
    }
}

/// The initials without surrounding spaces.
fn initials(text: &str) -> Result<String> {
    let text = text.trim();
    let count = text.chars().count();
    if count == 0 || count > LONGEST_INITIALS || text.chars().any(char::is_control) {
        let why = format!("enter the reviewer's initials, 1 to {LONGEST_INITIALS} characters");
        return Err(Error::config("reviewer", text, why));
    }
    Ok(text.to_owned())
}

/// The mask on the grid of the first image that it matches, that image, and notes.
fn fitted(case: &Case, mask: &Path, options: &MaskOptions) -> Result<(LabelVolume, Volume, Vec<String>)> {
    let mut first_error = None;
    for file in case.images.values() {
        let image = file.read()?;
        match LabelVolume::read_frame_for(mask, &image, file.frame.unwrap_or(0), options) {
            Ok(aligned) => return Ok((aligned.labels, image, aligned.notes)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| Error::config("case", &case.id, "has no image")))
}

/// Refuses labels that the cohort's table does not name: they would be trained on as something else.
fn check_labels(cohort: &Cohort, path: &Path, labels: &LabelVolume) -> Result<()> {
    let known = &cohort.labels.names;
    if known.is_empty() {
        return Ok(());
    }
    let unknown = labels.labels().into_iter().find(|label| !known.contains_key(label));
    unknown.map_or(Ok(()), |label| {
        let names: Vec<String> = known.iter().map(|(value, name)| format!("{value} {name}")).collect();
        let why = format!("the cohort's labels are {}. Relabel it", names.join(", "));
        Err(Error::field(path, "label", label, why))
    })
}

/// Writes a mask under a name that contains its digest, and returns name and digest.
fn write_mask(folder: &Path, case: &str, labels: &LabelVolume, image: &Volume) -> Result<(String, String)> {
    // Written under a temporary name first, because the final name contains the digest of the finished file.
    let draft = folder.join(format!(".{case}.{}.{}.nii.gz", std::process::id(), now_ms()));
    let sha256 = write_label(&draft, labels, image)?;
    let name = format!("{case}.{}.nii.gz", &sha256[..8]);
    let path = folder.join(&name);
    let placed = std::fs::rename(&draft, &path).map_err(Error::io("write", &path));
    if placed.is_err() {
        // Best effort. The first error is returned.
        let _ = std::fs::remove_file(&draft);
    }
    placed.map(|()| (name, sha256))
}

/// Appends a line and flushes it to the disk.
fn append(path: &Path, correction: &Correction) -> Result<()> {
    survive_size_limit();
    let mut line = serde_json::to_vec(correction).map_err(|error| Error::file(path, error.to_string()))?;
    line.push(b'\n');
    let mut write = || {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.seek(SeekFrom::Start(length - 1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            // Keeps a truncated line separate.
            line.insert(0, b'\n');
        }
        file.write_all(&line)?;
        file.sync_all()
    };
    let outcome: std::io::Result<()> = write();
    outcome.map_err(Error::io("write", path))
}
