//! The meaning of a case's labels, and which of them are evaluated together.

use std::collections::BTreeSet;

use egui::Color32;
use engine::preprocess::{LabelMap, MapSource, Targets};
use engine::volume::{LabelStyle, LabelTable};

use super::edit::StyleEntry;
use super::{Document, LabelEntry, MaskLayer, MaskRole, State};
use crate::scene::Modality;
use crate::theme::palette;

/// Labels that are evaluated together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The name in the window.
    pub name: String,
    /// Values of its labels.
    pub labels: Vec<u16>,
}

/// Names of the regions WT, TC and ET, in the bit order of the engine's `regions` targets.
const REGIONS: [&str; 3] = ["WT (whole tumour)", "TC (tumour core)", "ET (enhancing)"];

/// A row of the table of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelRow {
    /// The label.
    pub value: u16,
    /// Its name, or empty.
    pub name: String,
    /// Its colour on the image.
    pub colour: Color32,
    /// Volume in the segmentation or, if the case has none, in the reference; `None` without voxels.
    pub volume_ml: Option<f64>,
}

impl LabelRow {
    /// Its name in lists.
    pub fn title(&self) -> String {
        if self.name.is_empty() { format!("Label {}", self.value) } else { self.name.clone() }
    }
}

impl Document {
    /// Name and colour of a label, from the table of the segmentation, else of the reference.
    fn style_of(&self, label: u16) -> Option<&LabelStyle> {
        self.masks.iter().find_map(|mask| mask.styles.labels.get(&label))
    }

    /// The colour of a label from its table, else from the palette.
    pub fn label_colour(&self, label: u16) -> Color32 {
        let own = self.style_of(label).and_then(|style| style.colour);
        own.map_or_else(|| palette::label(u32::from(label)), |[red, green, blue]| Color32::from_rgb(red, green, blue))
    }

    /// The labels that are used or named, ascending.
    pub fn label_rows(&self) -> Vec<LabelRow> {
        let named = self.masks.iter().flat_map(|mask| mask.styles.labels.keys());
        let values: BTreeSet<u16> = self.labels().into_iter().chain(named.copied()).collect();
        let mask = self.segmentation().or_else(|| self.reference());
        let volume = |value| Some(mask?.table.iter().find(|entry| entry.value == value)?.volume_ml);
        let name = |value| self.style_of(value).map(|style| style.name.clone()).filter(|name| !name.is_empty());
        let row = |value| LabelRow {
            value,
            name: name(value).or_else(|| self.meaning(value)).unwrap_or_default(),
            colour: self.label_colour(value),
            volume_ml: volume(value),
        };
        values.into_iter().map(row).collect()
    }

    /// The tumour part of a label, in words.
    fn meaning(&self, label: u16) -> Option<String> {
        let part = self.tumour_parts()?.part(label)?;
        Some(format!("{label} {}", part.name()))
    }

    /// The table to save with a mask, with explicit colours, names, hidden and locked labels; `None` if all are defaults.
    pub fn table_to_save(&self, role: MaskRole, hidden: &BTreeSet<u16>, locked: &[u16]) -> Option<LabelTable> {
        let mask = self.mask(role)?;
        let keeps = |value: &u16| {
            let styled = self.style_of(*value).is_some_and(|style| *style != LabelStyle::default());
            styled || hidden.contains(value) || locked.contains(value)
        };
        let own = mask.table.iter().map(|entry| entry.value).chain(mask.styles.labels.keys().copied());
        let values: BTreeSet<u16> = own.collect();
        if !values.iter().any(keeps) && mask.styles.labels.is_empty() {
            return None;
        }
        let style = |value: u16| {
            let [red, green, blue, _] = self.label_colour(value).to_array();
            let name = self.style_of(value).map(|style| style.name.clone()).unwrap_or_default();
            let (visible, locked) = (!hidden.contains(&value), locked.contains(&value));
            (value, LabelStyle { name, colour: Some([red, green, blue]), visible, locked })
        };
        Some(LabelTable { labels: values.into_iter().map(style).collect() })
    }

    /// Removes a label from the tables, and returns what they said of it.
    pub fn remove_styles(&mut self, label: u16) -> Vec<StyleEntry> {
        let listing = self.masks.iter().filter(|mask| mask.styles.labels.contains_key(&label));
        let mut styles: Vec<_> = listing.map(|mask| StyleEntry { role: mask.role, label, style: None }).collect();
        self.swap_styles(&mut styles);
        styles
    }

    /// Swaps table entries with those of the masks, which their files may not hold yet.
    pub fn swap_styles(&mut self, styles: &mut [StyleEntry]) {
        for StyleEntry { role, label, style } in styles {
            let Some(mask) = self.mask_mut(*role) else { continue };
            let table = &mut mask.styles.labels;
            let before = match style.clone() {
                Some(style) => table.insert(*label, style),
                None => table.remove(label),
            };
            mask.styles_changed |= *role == MaskRole::Segmentation && mask.path.is_some() && before != *style;
            *style = before;
        }
        self.name_labels();
    }

    /// The labels of all masks, ascending.
    pub fn labels(&self) -> BTreeSet<u16> {
        self.masks.iter().flat_map(|mask| &mask.table).map(|entry| entry.value).collect()
    }

    /// The name of a label in the window.
    pub fn label_name(&self, label: u16) -> String {
        let entries = self.masks.iter().flat_map(|mask| &mask.table);
        let named = entries.into_iter().find(|entry| entry.value == label).map(|entry| entry.name.clone());
        let styled = || self.style_of(label).map(|style| style.name.clone()).filter(|name| !name.is_empty());
        named.or_else(styled).unwrap_or_else(|| format!("Label {label}"))
    }

    /// A label within a sentence: its name if it has one, else `label 1`; for 0 `no label`.
    pub fn label_text(&self, label: u16) -> String {
        if label == 0 {
            return "no label".into();
        }
        let name = self.label_name(label);
        if name == format!("Label {label}") { format!("label {label}") } else { name }
    }

    /// The tumour parts of label values. A guess counts only if it covers all labels. The names of BraTS 2023 and later give
    /// even a single label a meaning, except 1; the convention up to 2021 is guessed only for several labels of cases with
    /// FLAIR and contrast-enhanced T1.
    fn tumour_parts(&self) -> Option<&LabelMap> {
        let (map, source) = &self.label_map;
        let labels = self.labels();
        let has = |sequence: &str| self.images.iter().any(|i| i.info.modality == Modality::Mr(sequence.to_owned()));
        let fits = labels.iter().all(|label| map.part(*label).is_some());
        let counts = match source {
            MapSource::Given | MapSource::Cohort => true,
            MapSource::CaseNames => fits && labels.iter().any(|label| *label != 1),
            MapSource::Convention => fits && labels.len() > 1 && has("flair") && has("t1ce"),
        };
        counts.then_some(map)
    }

    /// The guessed meaning of the labels, and its source; `None` if it is known or unused.
    pub fn guessed_labels(&self) -> Option<String> {
        let map = self.tumour_parts().filter(|_| self.label_map.1.is_guess())?;
        Some(format!("Label meanings {map}: {}.", self.label_map.1.describe()))
    }

    /// Names and colours the labels of the masks.
    pub fn name_labels(&mut self) {
        let rows = self.label_rows();
        for LabelEntry { value, name, colour, .. } in self.masks.iter_mut().flat_map(|mask| &mut mask.table) {
            if let Some(row) = rows.iter().find(|row| row.value == *value) {
                (*name, *colour) = (row.title(), row.colour);
            }
        }
    }

    /// Regions measured in addition to all labels together; empty if labels are not compared.
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

impl State {
    /// If the label to paint with was removed, selects `other`, or the first of the table.
    pub fn paint_instead(&mut self, gone: u16, other: u16) {
        if self.session.edit.label == gone {
            let first = self.document.as_ref().and_then(|document| document.label_rows().first().map(|row| row.value));
            self.session.edit.label = if other > 0 { other } else { first.unwrap_or(1) };
        }
    }

    /// Applies names, hidden and locked labels from the tables of newly read masks. Locks come from the segmentation. A
    /// label map given by the user overrides the names.
    pub(crate) fn take_over_styles(&mut self) {
        let Some(document) = &mut self.document else { return };
        let (map, source) = document.label_map.clone();
        let new = |mask: &mut MaskLayer| std::mem::take(&mut mask.new_styles);
        for mask in document.masks.iter_mut().filter_map(|mask| new(mask).then_some(mask)) {
            for (label, style) in mask.styles.labels.iter_mut().filter(|_| source == MapSource::Given) {
                if let Some(part) = map.part(*label) {
                    style.name = format!("{label} {}", part.name());
                }
            }
            let of = |is: fn(&LabelStyle) -> bool| {
                mask.styles.labels.iter().filter(move |(_, style)| is(style)).map(|(label, _)| *label)
            };
            self.session.view.hidden_labels.extend(of(|style| !style.visible));
            if mask.role == MaskRole::Segmentation {
                self.session.edit.locked = of(|style| style.locked).collect();
            }
        }
        document.name_labels();
    }
}

#[cfg(test)]
#[path = "labels_tests.rs"]
mod tests;
