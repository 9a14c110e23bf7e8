//! The cases of a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use engine::cohort::ImageFile;
use engine::words::plural;

use super::{Review, State};

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
    /// The selected case: open, being opened, or failed to open.
    pub open: Option<CaseId>,
    /// Problems with the folder, by file.
    pub problems: Vec<String>,
    /// Text that filters the list.
    pub filter: String,
    /// Verdicts on the cases.
    pub review: Review,
}

/// One case of a folder.
#[derive(Clone, Debug, Default)]
pub struct ListedCase {
    /// Identifies the case in this session.
    pub id: CaseId,
    /// The patient's name in the folder.
    pub name: String,
    /// The characters of the name that tell it from all others of the folder.
    pub distinct: Range<usize>,
    /// The images by modality.
    pub images: BTreeMap<String, ImageFile>,
    /// A segmentation saved next to the images.
    pub segmentation: Option<PathBuf>,
    /// The files of the reference mask, which is their union.
    pub masks: Vec<PathBuf>,
    /// A small picture, once it is made.
    pub thumbnail: Option<Arc<Thumbnail>>,
    /// Reason for a missing thumbnail.
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
    /// Summary of the folder's problems, in one line.
    pub fn problem_title(&self) -> String {
        let patient = |problem: &String| Some(problem.rsplit_once(": missing modality ")?.0.to_owned());
        let patients: Option<BTreeSet<String>> = self.problems.iter().map(patient).collect();
        match (patients.map(|patients| patients.len()), self.problems.len()) {
            (Some(count), _) => plural(count, "patient lacks a modality", "patients lack a modality"),
            (None, count) => format!("{} in this folder", plural(count, "problem", "problems")),
        }
    }

    /// A case of the list.
    pub fn get(&self, id: CaseId) -> Option<&ListedCase> {
        self.cases.iter().find(|case| case.id == id)
    }

    /// The selected case.
    pub fn chosen(&self) -> Option<&ListedCase> {
        self.open.and_then(|open| self.get(open))
    }

    /// A case of the list, mutable.
    pub fn get_mut(&mut self, id: CaseId) -> Option<&mut ListedCase> {
        self.cases.iter_mut().find(|case| case.id == id)
    }

    /// The case with all of these images.
    pub fn with_images(&self, images: &[(Option<String>, ImageFile)]) -> Option<CaseId> {
        let has_all = |case: &&ListedCase| images.iter().all(|(_, file)| case.images.values().any(|own| own == file));
        self.cases.iter().find(has_all).filter(|_| !images.is_empty()).map(|case| case.id)
    }

    /// The cases that match the filter's text and verdict, in review order.
    pub fn matching(&self) -> Vec<&ListedCase> {
        let (wanted, review) = (self.filter.to_lowercase(), &self.review);
        let is_wanted = |case: &&ListedCase| {
            case.name.to_lowercase().contains(&wanted)
                && review.filter.is_none_or(|verdict| review.verdict(&case.name) == verdict)
        };
        let mut matching: Vec<&ListedCase> = self.cases.iter().filter(is_wanted).collect();
        matching.sort_by_key(|case| review.places.get(&case.name).copied().unwrap_or(usize::MAX));
        matching
    }

    /// The case `by` places after the selected one among those that match the filter. The first one if none is selected.
    pub fn neighbour(&self, by: i64) -> Option<CaseId> {
        let matching = self.matching();
        let place = self.open.and_then(|open| matching.iter().position(|case| case.id == open));
        let next = place.map_or(0, |place| place as i64 + by);
        usize::try_from(next).ok().and_then(|next| matching.get(next)).map(|case| case.id)
    }
}

/// Whether a listed case is in the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CasePlace {
    /// Displayed in the panes, or its error is displayed.
    Shown,
    /// Being read: the panes still show another patient, or none.
    Opening,
    /// Neither.
    Other,
}

impl State {
    /// Whether a listed case is in the views. Derived from the open case, as title and panes are, so that the list
    /// never marks another patient.
    pub fn place_of(&self, case: CaseId) -> CasePlace {
        let (chosen, shown) = (self.cases.open == Some(case), self.document.as_ref().map(|document| document.listed));
        match (shown, self.opening()) {
            (Some(listed), _) if listed == Some(case) => CasePlace::Shown,
            (_, Some(_)) if chosen => CasePlace::Opening,
            (None, None) if chosen => CasePlace::Shown,
            _ => CasePlace::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patients_that_lack_a_modality_are_counted_once_each() {
        let title = |problems: &[&str]| {
            let problems = problems.iter().map(|problem| (*problem).to_owned()).collect();
            CaseList { problems, ..CaseList::default() }.problem_title()
        };
        assert_eq!(title(&["A: missing modality t1"]), "1 patient lacks a modality");
        assert_eq!(
            title(&["A: missing modality t1", "A: missing modality t2", "B: missing modality t1"]),
            "2 patients lack a modality"
        );
        assert_eq!(title(&["A: missing modality t1", "x.nii: skipped"]), "2 problems in this folder");
        assert_eq!(title(&["x.nii: skipped"]), "1 problem in this folder");
    }
}
