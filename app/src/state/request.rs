//! What to open: images, and the masks, probability and slice that go with them.

use std::path::{Path, PathBuf};

use engine::cohort::ImageFile;
use engine::volume::dicom::ImageStack;

use super::ListedCase;
use super::study::StudyMasks;

/// The files of a case by role.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The case's name; that of the first file without one.
    pub title: Option<String>,
    /// What the user selected: files, or one folder. The opening job determines which.
    pub paths: Vec<PathBuf>,
    /// Files that are known to be images, each with its modality's name where the cohort says it.
    pub images: Vec<(Option<String>, ImageFile)>,
    /// DICOM series are opened as cases of a review, not listed.
    pub as_cases: bool,
    /// DICOM series of the images whose headers are read already.
    pub stacks: KnownStacks,
    /// The segmentation.
    pub segmentation: Option<PathBuf>,
    /// The files of the reference. Several are regions, and the reference is their union.
    pub reference: Vec<PathBuf>,
    /// The network's probability.
    pub probability: Option<PathBuf>,
    /// The slice to show, 0-based, of the file's axis nearest to S-I.
    pub slice: Option<usize>,
    /// The segmentations by the methods of a study. The shown one is made by its network if no file holds it.
    pub study: Option<StudyMasks>,
    /// The journal of unsaved edits that are restored once the case is open.
    pub restore: Option<PathBuf>,
}

/// DICOM series by path, so that opening one does not read the headers of its whole place again.
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
    /// Whether anything is named beside the images.
    #[must_use]
    pub fn names_something(&self) -> bool {
        self.segmentation.is_some() || !self.reference.is_empty() || self.probability.is_some() || self.slice.is_some()
    }

    /// The first file or folder, for messages.
    pub(crate) fn first_path(&self) -> &Path {
        self.paths.first().or(self.images.first().map(|(_, file)| &file.path)).map_or(Path::new(""), PathBuf::as_path)
    }

    /// The folder that was pointed at, if it is one. Asks the disk: for jobs alone.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match &self.paths[..] {
            [folder] if folder.is_dir() => Some(folder),
            _ => None,
        }
    }

    /// The request that discovery of a folder made, with what is named here in place of what was discovered.
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
    /// How to open the case.
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
