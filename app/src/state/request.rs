//! What to open: images with their masks, probability map and slice.

use std::path::{Path, PathBuf};

use engine::cohort::ImageFile;
use engine::volume::dicom::ImageStack;

use super::ListedCase;
use super::study::StudyMasks;

/// The files of a case by role.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Name of the case; by default that of the first file.
    pub title: Option<String>,
    /// What the user selected: files, or one folder. The opening job determines which.
    pub paths: Vec<PathBuf>,
    /// Known image files, each with its modality's name in the cohort.
    pub images: Vec<(Option<String>, ImageFile)>,
    /// DICOM patients are opened as cases of a review instead of a list of series.
    pub as_cases: bool,
    /// DICOM series whose headers have been read.
    pub stacks: KnownStacks,
    /// The file of the segmentation.
    pub segmentation: Option<PathBuf>,
    /// The files of the reference, which is their union.
    pub reference: Vec<PathBuf>,
    /// The probability map.
    pub probability: Option<PathBuf>,
    /// The slice to show, 0-based, along the file's axis nearest to S-I.
    pub slice: Option<usize>,
    /// The segmentations of a study's methods. The selected one is computed by its network if its file does not exist.
    pub study: Option<StudyMasks>,
    /// The journal of unsaved edits to restore once the case is open.
    pub restore: Option<PathBuf>,
}

/// DICOM series by path, so that opening one does not read the headers of its whole folder again.
#[derive(Clone, Default)]
pub struct KnownStacks(Vec<(PathBuf, ImageStack)>);

impl KnownStacks {
    /// A series.
    pub fn get(&self, path: &Path) -> Option<&ImageStack> {
        self.0.iter().find(|(known, _)| known == path).map(|(_, stack)| stack)
    }
}

impl FromIterator<(PathBuf, ImageStack)> for KnownStacks {
    fn from_iter<T: IntoIterator<Item = (PathBuf, ImageStack)>>(stacks: T) -> Self {
        Self(stacks.into_iter().collect())
    }
}

impl PartialEq for KnownStacks {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(|(path, _)| path).eq(other.0.iter().map(|(path, _)| path))
    }
}

impl std::fmt::Debug for KnownStacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers identify the patient.
        write!(f, "{} series", self.0.len())
    }
}

impl Request {
    /// Whether anything besides images is named.
    #[must_use]
    pub fn has_more_than_images(&self) -> bool {
        self.segmentation.is_some() || !self.reference.is_empty() || self.probability.is_some() || self.slice.is_some()
    }

    /// The first file or folder, for messages.
    pub(crate) fn first_path(&self) -> &Path {
        self.paths.first().or(self.images.first().map(|(_, file)| &file.path)).map_or(Path::new(""), PathBuf::as_path)
    }

    /// A request discovered from a folder, overridden by the files named here.
    pub(crate) fn over(&self, discovered: Self) -> Self {
        Self {
            segmentation: self.segmentation.clone().or(discovered.segmentation),
            reference: if self.reference.is_empty() { discovered.reference } else { self.reference.clone() },
            probability: self.probability.clone().or(discovered.probability),
            slice: self.slice.or(discovered.slice),
            ..discovered
        }
    }
}

impl ListedCase {
    /// The request that opens the case.
    pub(crate) fn request(&self) -> Request {
        Request {
            title: Some(self.name.clone()),
            images: self.images.iter().map(|(m, file)| (Some(m.clone()), file.clone())).collect(),
            segmentation: self.segmentation.clone(),
            reference: self.masks.clone(),
            ..Request::default()
        }
    }
}
