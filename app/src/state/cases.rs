//! The cases of a folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The cases of the open folder.
#[derive(Clone, Debug, Default)]
pub struct CaseList {
    /// The folder.
    pub root: Option<PathBuf>,
    /// The cases, by name.
    pub cases: Vec<ListedCase>,
    /// The open one.
    pub open: Option<usize>,
    /// What is wrong with the folder, by file.
    pub problems: Vec<String>,
    /// What the list is narrowed down to.
    pub filter: String,
    /// The folder is being looked through.
    pub loading: bool,
}

/// One case of a folder.
#[derive(Clone, Debug, Default)]
pub struct ListedCase {
    /// Its name.
    pub id: String,
    /// The images by modality.
    pub images: BTreeMap<String, PathBuf>,
    /// The reference mask.
    pub label: Option<PathBuf>,
    /// A small picture, once it is made.
    pub thumbnail: Option<Arc<Thumbnail>>,
    /// Why there is no picture.
    pub error: Option<String>,
}

/// A small grey picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Grey values, row by row.
    pub pixels: Vec<u8>,
}

impl CaseList {
    /// The place of the case that has all of these images.
    pub fn place_of(&self, images: &[(Option<String>, PathBuf)]) -> Option<usize> {
        let has_all = |case: &ListedCase| images.iter().all(|(_, path)| case.images.values().any(|own| own == path));
        self.cases.iter().position(has_all).filter(|_| !images.is_empty())
    }

    /// The cases that the filter lets through, by their place in the list.
    pub fn matching(&self) -> Vec<usize> {
        if self.filter.is_empty() {
            return (0..self.cases.len()).collect();
        }
        let wanted = self.filter.to_lowercase();
        (0..self.cases.len()).filter(|&i| self.cases[i].id.to_lowercase().contains(&wanted)).collect()
    }
}
