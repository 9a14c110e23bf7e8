//! What the labels of a case mean, and which of them are measured together.

use std::collections::BTreeSet;

use engine::preprocess::{LabelMap, MapSource, Targets, TumourPart};

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

/// The regions of the targets "regions", in bit order.
const REGIONS: [&str; 3] = ["WT (whole tumour)", "TC (tumour core)", "ET (enhancing)"];

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

    /// The tumour parts that label values stand for. A guess counts only if it knows all of several labels, and the
    /// convention of BraTS up to 2021 only beside the FLAIR and contrast-enhanced T1 of a brain tumour.
    fn tumour_parts(&self) -> Option<&LabelMap> {
        let (map, source) = &self.label_map;
        let labels = self.labels();
        let has = |sequence: &str| self.images.iter().any(|i| i.info.modality == Modality::Mr(sequence.to_owned()));
        let fits = labels.len() > 1 && labels.iter().all(|label| map.part(*label).is_some());
        let counts = match source {
            MapSource::Given | MapSource::Cohort => true,
            MapSource::CaseNames => fits,
            MapSource::Convention => fits && has("flair") && has("t1ce"),
        };
        counts.then_some(map)
    }

    /// The guessed meaning of the labels, and from what it is guessed; nothing if it is known or not used.
    pub fn guessed_labels(&self) -> Option<String> {
        let map = self.tumour_parts().filter(|_| self.label_map.1.is_guess())?;
        Some(format!("Label meanings {map}: {}.", self.label_map.1.describe()))
    }

    /// Names the labels of the masks.
    pub fn name_labels(&mut self) {
        let map = self.tumour_parts().cloned().unwrap_or_default();
        let entries = self.masks.iter_mut().flat_map(|mask: &mut MaskLayer| &mut mask.table);
        for LabelEntry { value, name, .. } in entries {
            *name = match map.part(*value).map(TumourPart::name) {
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
        let labels = self.labels();
        let of_map = |map: &LabelMap| {
            let labels_of = |bit: usize| {
                labels.iter().copied().filter(|label| (Targets::Regions.bits(*label, map) >> bit) & 1 == 1).collect()
            };
            REGIONS
                .iter()
                .enumerate()
                .map(|(bit, name)| Region { name: (*name).to_owned(), labels: labels_of(bit) })
                .collect()
        };
        let mut regions: Vec<Region> = self.tumour_parts().map(of_map).unwrap_or_default();
        for label in labels {
            if !regions.iter().any(|region| region.labels == [label]) {
                regions.push(Region { name: self.label_name(label), labels: vec![label] });
            }
        }
        regions
    }
}
