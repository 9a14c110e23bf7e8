//! What to open: images, and the masks, probability and slice that go with them.

use std::path::{Path, PathBuf};

use engine::cohort::ImageFile;
use engine::volume::dicom::ImageStack;

use super::ListedCase;
use super::study::StudyMasks;

/// The files of a case by role.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The case's name; by default the first file's.
    pub title: Option<String>,
    /// What the user selected: files, or one folder. The opening job determines which.
    pub paths: Vec<PathBuf>,
    /// Known image files, each with its modality's name in the cohort.
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
    /// The segmentations by the methods of a study. The shown one is computed by its network if its file does not exist.
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
    /// Whether anything besides images is named.
    #[must_use]
    pub fn names_something(&self) -> bool {
        self.segmentation.is_some() || !self.reference.is_empty() || self.probability.is_some() || self.slice.is_some()
    }

    /// The first file or folder, for messages.
    pub(crate) fn first_path(&self) -> &Path {
        self.paths.first().or(self.images.first().map(|(_, file)| &file.path)).map_or(Path::new(""), PathBuf::as_path)
    }

    /// The requested path, if it is a folder. Accesses the disk, so call it from jobs only.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match &self.paths[..] {
            [folder] if folder.is_dir() => Some(folder),
            _ => None,
        }
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
