//! The DICOM SEG of a mask, for the archive that its images came from.

use std::path::{Path, PathBuf};

use engine::disk::atomic::keep_previous;
use engine::volume::seg::{Algorithm, SegOptions, SourceSeries, Terms, read, write_seg};
use engine::volume::{LabelStyle, LabelTable, LabelVolume, dicom};

use crate::state::names::is_dicom_name;
use crate::state::{Document, MaskRole};
use crate::worker::Failure;

/// Content of a SEG apart from the labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SegFile {
    /// The DICOM images of the mask; `None` if they are not DICOM.
    images: Option<PathBuf>,
    names: LabelTable,
    algorithm: Algorithm,
}

impl SegFile {
    /// The content for a mask of a case; `None` unless `path` names a SEG.
    pub fn of(document: &Document, role: MaskRole, path: &Path) -> Option<Self> {
        if !is_dicom_name(path) {
            return None;
        }
        let images = document.dicom().map(|_| document.base().path().to_path_buf());
        let named = |row: crate::state::LabelRow| {
            let [red, green, blue, _] = row.colour.to_array();
            (row.value, LabelStyle { colour: Some([red, green, blue]), ..LabelStyle::named(&row.name) })
        };
        let own = |row: &crate::state::LabelRow| {
            document.mask(role).is_some_and(|mask| {
                mask.table.iter().any(|entry| entry.value == row.value) || mask.styles.labels.contains_key(&row.value)
            })
        };
        let labels = document.label_rows().into_iter().filter(own).map(named).collect();
        Some(Self { images, names: LabelTable { labels }, algorithm: algorithm(document, role) })
    }

    /// Writes the labels and reads them back. An existing file is kept as the previous version. Returns notes on
    /// changes to the labels, one sentence each.
    ///
    /// # Errors
    /// Images that are not DICOM, or whose slices a SEG cannot describe; errors of the writer.
    pub fn write(&self, path: &Path, labels: &LabelVolume) -> Result<Vec<String>, Failure> {
        let Some(images) = &self.images else {
            let why = "a DICOM SEG refers to DICOM images, and these images are NIfTI. Save as .nii.gz instead";
            return Err(Failure::Error(format!("{}: {why}", path.display())));
        };
        let source = SourceSeries::of(&dicom::open(images)?)?;
        let options = SegOptions {
            algorithm: self.algorithm.clone(),
            terms: Terms::built_in(),
            description: "Segmentation, not for diagnosis".into(),
        };
        if source.irregular.is_none() {
            keep_previous(path)?;
        }
        let notes = write_seg(path, std::slice::from_ref(labels), &self.names, &source, &options)?;
        let (written, _) = read(path, Some(&source))?.merged();
        if !written.iter().eq(labels.iter()) {
            return Err(Failure::Error(format!("{}: the file differs from what was written to it", path.display())));
        }
        Ok(notes)
    }
}

/// The author of a mask: the network, a person correcting it, or a person.
fn algorithm(document: &Document, role: MaskRole) -> Algorithm {
    let made_by = document.mask(role).map_or(Algorithm::Manual, |mask| mask.algorithm.clone());
    match made_by {
        Algorithm::Automatic(name) if role == MaskRole::Segmentation && document.is_corrected() => {
            Algorithm::SemiAutomatic(name)
        }
        other => other,
    }
}
