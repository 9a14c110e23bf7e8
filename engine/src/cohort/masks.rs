//! Detects masks by their values where names are ambiguous.
//!
//! A file whose name contains a mask word (`ct_mask`, `GT`, `Finding1_ROI`) is a mask if its values are a few whole numbers.
//! A file with an unknown name must also be on the image's grid and mostly background. Only a few files per kind of name are
//! read, never the whole cohort.

use std::collections::BTreeMap;
use std::path::Path;

use crate::volume::{LabelVolume, Relation, Volume};

/// Maximum number of label values of a file named as a mask.
const LABELS_BY_WORD: usize = 64;

/// Maximum number of label values for a file to be recognised as a mask by its values.
const LABELS_BY_VALUES: usize = 10;

/// Confirms masks by their values, once per kind of name.
#[derive(Default)]
pub(super) struct MaskCheck {
    by_kind: BTreeMap<String, bool>,
}

impl MaskCheck {
    /// True if a file with a mask word in its name contains labels. An unreadable file is classified by name.
    pub fn by_word(&mut self, path: &Path, name: &str) -> bool {
        let has_labels = || match LabelVolume::read_first_frame(path) {
            Ok(mask) => Some(mask.labels().len() <= LABELS_BY_WORD),
            // Readable, but no labels: an image, unless few numbers such as -1 are to blame. Reading the mask names them.
            Err(_) => Volume::read(path).ok().map(|volume| has_few_whole_numbers(&volume)),
        };
        self.decide(&format!("word {}", kind_of(name)), has_labels).unwrap_or(true)
    }

    /// True if a file with an unknown name is a mask of `image`.
    pub fn by_values(&mut self, path: &Path, name: &str, image: &Path) -> bool {
        let is_mask = || {
            let grid = Volume::read_grid(image).ok()?;
            let Ok(mask) = LabelVolume::read_first_frame(path) else { return Some(false) };
            let background = mask.iter().filter(|label| *label == 0).count();
            let few = (1..=LABELS_BY_VALUES).contains(&mask.labels().len());
            Some(few && 2 * background >= mask.len() && mask.grid.relation(&grid) != Relation::Different)
        };
        self.decide(&format!("values {}", kind_of(name)), is_mask).unwrap_or(false)
    }

    /// The stored decision for a kind of name, or that of `check`. If `check` cannot decide, the next file of the kind is
    /// checked.
    fn decide(&mut self, kind: &str, check: impl FnOnce() -> Option<bool>) -> Option<bool> {
        if let Some(known) = self.by_kind.get(kind) {
            return Some(*known);
        }
        let decision = check();
        if let Some(decision) = decision {
            self.by_kind.insert(kind.to_owned(), decision);
        }
        decision
    }
}

/// True if an image has few values, all whole numbers.
fn has_few_whole_numbers(volume: &Volume) -> bool {
    let mut known: Vec<f32> = Vec::new();
    volume.to_f32().iter().filter(|value| !value.is_nan()).all(|value| {
        if !known.contains(value) {
            known.push(*value);
        }
        value.fract() == 0.0 && known.len() <= LABELS_BY_WORD
    })
}

/// A name without its digits, so that `Finding1_ROI` and `Finding2_ROI` are of one kind.
fn kind_of(name: &str) -> String {
    name.to_lowercase().chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect()
}
