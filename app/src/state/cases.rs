//! The cases of a folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Identifies a case of the list, or one opening of a case. Never reused in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CaseId(pub u64);

/// The cases of the open folder.
#[derive(Clone, Debug, Default)]
pub struct CaseList {
    /// The folder.
    pub root: Option<PathBuf>,
    /// The cases, by name.
    pub cases: Vec<ListedCase>,
    /// The chosen one: it is open, is being opened or could not be.
    pub open: Option<CaseId>,
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
    /// Identifies it in this session.
    pub id: CaseId,
    /// The patient's name in the folder.
    pub name: String,
    /// The images by modality.
    pub images: BTreeMap<String, PathBuf>,
    /// A segmentation that was saved beside the images.
    pub segmentation: Option<PathBuf>,
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
    /// A case of the list.
    pub fn get(&self, id: CaseId) -> Option<&ListedCase> {
        self.cases.iter().find(|case| case.id == id)
    }

    /// The chosen case.
    pub fn chosen(&self) -> Option<&ListedCase> {
        self.open.and_then(|open| self.get(open))
    }

    /// A case of the list, to change it.
    pub fn get_mut(&mut self, id: CaseId) -> Option<&mut ListedCase> {
        self.cases.iter_mut().find(|case| case.id == id)
    }

    /// The case that has all of these images.
    pub fn with_images(&self, images: &[(Option<String>, PathBuf)]) -> Option<CaseId> {
        let has_all = |case: &&ListedCase| images.iter().all(|(_, path)| case.images.values().any(|own| own == path));
        self.cases.iter().find(has_all).filter(|_| !images.is_empty()).map(|case| case.id)
    }

    /// The cases whose name holds the filter's text, in the list's order.
    pub fn matching(&self) -> Vec<&ListedCase> {
        let wanted = self.filter.to_lowercase();
        self.cases.iter().filter(|case| case.name.to_lowercase().contains(&wanted)).collect()
    }

    /// The case `by` places after the chosen one among those that match the filter; the first without a chosen one.
    pub fn neighbour(&self, by: i64) -> Option<CaseId> {
        let matching = self.matching();
        let place = self.open.and_then(|open| matching.iter().position(|case| case.id == open));
        let next = place.map_or(0, |place| place as i64 + by);
        usize::try_from(next).ok().and_then(|next| matching.get(next)).map(|case| case.id)
    }
}
