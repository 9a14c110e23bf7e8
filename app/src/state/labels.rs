//! What the labels of a case mean, and which of them are measured together.

use std::collections::BTreeSet;

use super::{Document, LabelEntry, MaskLayer};
use crate::scene::Modality;

/// Labels that are measured as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The name in the window.
    pub name: String,
    /// Its labels.
    pub labels: Vec<u16>,
}

/// The labels of the BraTS challenges: necrotic core, oedema and enhancing tumour, the last of which is 4 until 2021 and 3
/// from 2023 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Brats {
    enhancing: u16,
}

impl Brats {
    fn name(self, label: u16) -> Option<&'static str> {
        match label {
            1 => Some("necrotic core"),
            2 => Some("oedema"),
            label if label == self.enhancing => Some("enhancing tumour"),
            _ => None,
        }
    }

    fn regions(self) -> [Region; 3] {
        let region = |name: &str, labels: &[u16]| Region { name: name.to_owned(), labels: labels.to_vec() };
        [
            region("WT (whole tumour)", &[1, 2, self.enhancing]),
            region("TC (tumour core)", &[1, self.enhancing]),
            region("ET (enhancing)", &[self.enhancing]),
        ]
    }
}

impl Document {
    /// The labels of all masks, ascending.
    pub fn labels(&self) -> BTreeSet<u16> {
        self.masks.iter().flat_map(|mask| &mask.table).map(|entry| entry.value).collect()
    }

    /// The name of a label in the window.
    pub fn label_name(&self, label: u16) -> String {
        let entries = self.masks.iter().flat_map(|mask| &mask.table);
        let named = entries.into_iter().find(|entry| entry.value == label);
        named.map_or_else(|| format!("Label {label}"), |entry| entry.name.clone())
    }

    /// Whether the meaning of the labels is guessed, from the labels and the modalities of the case.
    pub fn guesses_labels(&self) -> bool {
        self.brats().is_some()
    }

    /// A FLAIR and a contrast-enhanced T1 with several of the labels of BraTS and no other.
    fn brats(&self) -> Option<Brats> {
        let has = |sequence: &str| self.images.iter().any(|i| i.info.modality == Modality::Mr(sequence.to_owned()));
        let labels = self.labels();
        let enhancing = if labels.contains(&3) { 3 } else { 4 };
        let known = labels.iter().all(|label| [1, 2, enhancing].contains(label));
        (has("flair") && has("t1ce") && known && labels.len() > 1).then_some(Brats { enhancing })
    }

    /// Names the labels of the masks.
    pub fn name_labels(&mut self) {
        let brats = self.brats();
        let entries = self.masks.iter_mut().flat_map(|mask: &mut MaskLayer| &mut mask.table);
        for LabelEntry { value, name, .. } in entries {
            *name = match brats.and_then(|brats| brats.name(*value)) {
                Some(meaning) => format!("{value} {meaning}"),
                None => format!("Label {value}"),
            };
        }
    }

    /// What is measured beside all labels together; nothing if labels are not compared.
    pub fn regions(&self) -> Vec<Region> {
        if !self.compares_labels() {
            return Vec::new();
        }
        let mut regions: Vec<Region> = self.brats().into_iter().flat_map(Brats::regions).collect();
        for label in self.labels() {
            if !regions.iter().any(|region| region.labels == [label]) {
                regions.push(Region { name: self.label_name(label), labels: vec![label] });
            }
        }
        regions
    }
}
