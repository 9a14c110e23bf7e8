//! What is to be opened: images, and what is named beside them.

use std::path::PathBuf;

use crate::state::ListedCase;

/// What belongs to a case, by role.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The case's name; the first file's without one.
    pub title: Option<String>,
    /// One patient's folder: its images are opened, and its reference unless one is named.
    pub folder: Option<PathBuf>,
    /// The images, each with its modality's name if that is known from the cohort.
    pub images: Vec<(Option<String>, PathBuf)>,
    /// The automatic segmentation.
    pub mask: Option<PathBuf>,
    /// The reference.
    pub truth: Option<PathBuf>,
    /// The network's probability.
    pub probability: Option<PathBuf>,
    /// The slice to show, 0-based, of the file's axis nearest to S-I.
    pub slice: Option<usize>,
}

impl Request {
    /// Whether anything is named beside the images.
    pub fn names_something(&self) -> bool {
        self.mask.is_some() || self.truth.is_some() || self.probability.is_some() || self.slice.is_some()
    }

    /// What was `found` in a folder, with what is named here in place of the folder's own.
    pub(super) fn over(&self, found: Self) -> Self {
        Self {
            mask: self.mask.clone().or(found.mask),
            truth: self.truth.clone().or(found.truth),
            probability: self.probability.clone().or(found.probability),
            slice: self.slice.or(found.slice),
            ..found
        }
    }
}

impl ListedCase {
    /// How to open the case.
    pub(super) fn request(&self) -> Request {
        Request {
            title: Some(self.id.clone()),
            images: self.images.iter().map(|(m, p)| (Some(m.clone()), p.clone())).collect(),
            truth: self.label.clone(),
            ..Request::default()
        }
    }
}
