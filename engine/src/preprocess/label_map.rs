//! The meaning of a cohort's label values, which differs between the years of BraTS.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::{Deserialize, Serialize, de};

use crate::{Error, Result};

/// Part of a tumour, from which the regions WT, TC and ET are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TumourPart {
    /// Necrotic or other core that does not enhance: in WT and TC.
    Core,
    /// Oedema and infiltration: in WT.
    Oedema,
    /// Enhancing tumour: in WT, TC and ET.
    Enhancing,
    /// Not tumour, such as a resection cavity: in no region.
    Other,
}

impl TumourPart {
    /// The name in [`LabelMap`]'s text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Oedema => "oedema",
            Self::Enhancing => "enhancing",
            Self::Other => "other",
        }
    }

    /// From a name as in `dataset.json` or a paper: `NCR`, `edema`, `Enhancing tumor`, `resection cavity`, ...
    fn named(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let words: BTreeSet<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        let is = |known: &[&str]| known.iter().any(|word| words.contains(word));
        if has(&["cavity", "resection", "healthy", "other"]) || is(&["rc"]) {
            Some(Self::Other)
        } else if has(&["edema", "oedema", "infiltrat", "peritumo"]) || is(&["ed", "snfh"]) {
            Some(Self::Oedema)
        } else if has(&["necro", "core", "cyst", "non_enh", "nonenh", "non-enh", "non enh"])
            || is(&["ncr", "net", "netc", "cc", "ncrnet"])
        {
            Some(Self::Core)
        } else if has(&["enhanc"]) || is(&["et"]) {
            Some(Self::Enhancing)
        } else {
            None
        }
    }
}

/// The tumour part of each label value. Empty: not known yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelMap(BTreeMap<u16, TumourPart>);

/// Source of a [`LabelMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapSource {
    /// The user or the configuration.
    Given,
    /// The cohort's own table of labels.
    Cohort,
    /// The case names are those of BraTS 2023 or later.
    CaseNames,
    /// Nothing is known: BraTS up to 2021.
    Convention,
}

impl MapSource {
    /// True if the map is only inferred from case names or convention.
    pub fn is_guess(self) -> bool {
        matches!(self, Self::CaseNames | Self::Convention)
    }

    /// The source in words, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Given => "as given",
            Self::Cohort => "from the cohort's label names",
            Self::CaseNames => {
                "a guess from the case names (BraTS 2023 and later). A dataset.json or a given label map overrides it"
            }
            Self::Convention => "a guess (BraTS up to 2021). A dataset.json or a given label map overrides it",
        }
    }
}

impl LabelMap {
    /// BraTS up to 2021 has 1, 2 and 4; a 3 is read as 4, as in BraTS 2023.
    pub fn brats_2021() -> Self {
        use TumourPart::{Core, Enhancing, Oedema};
        Self(BTreeMap::from([(1, Core), (2, Oedema), (3, Enhancing), (4, Enhancing)]))
    }

    /// The map by the names of label values and of regions of values; `None` if they do not name tumour parts.
    pub fn of_names(names: &BTreeMap<u16, String>, regions: &BTreeMap<String, Vec<u16>>) -> Option<Self> {
        let named = names.iter().filter(|(value, _)| **value > 0);
        let parts: Option<BTreeMap<u16, TumourPart>> =
            named.map(|(value, name)| Some((*value, TumourPart::named(name)?))).collect();
        let parts = parts.filter(|parts| !parts.is_empty()).or_else(|| of_regions(regions))?;
        // A table with a single lesion label knows no parts.
        parts.values().any(|part| *part == TumourPart::Enhancing).then_some(Self(parts))
    }

    /// The map that case names suggest.
    pub fn guess<'a>(case_ids: impl Iterator<Item = &'a str>) -> (Self, MapSource) {
        use TumourPart::{Core, Enhancing, Oedema, Other};
        let of = |parts: [TumourPart; 4]| Self((1..).zip(parts).collect());
        for id in case_ids {
            let mut words = id.split('-');
            if words.next().is_some_and(|first| first.eq_ignore_ascii_case("brats"))
                && let Some(challenge) = words.next()
            {
                let paediatric = challenge.eq_ignore_ascii_case("ped");
                let parts = if paediatric { [Enhancing, Core, Core, Oedema] } else { [Core, Oedema, Enhancing, Other] };
                return (of(parts), MapSource::CaseNames);
            }
        }
        (Self::brats_2021(), MapSource::Convention)
    }

    /// True if nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This map, or that of BraTS 2021 if it is empty.
    #[must_use]
    pub fn known(&self) -> Self {
        if self.is_empty() { Self::brats_2021() } else { self.clone() }
    }

    /// The part of a label.
    pub fn part(&self, label: u16) -> Option<TumourPart> {
        self.0.get(&label).copied()
    }

    /// The label values that a mask is written with: for WT without core, TC without enhancing tumour, and ET. A part that
    /// the cohort does not have gets a value of BraTS 2021, or the next free one.
    pub fn written(&self) -> [u8; 3] {
        let map = self.known();
        let mut taken: Vec<u8> = map.0.keys().filter_map(|label| u8::try_from(*label).ok()).collect();
        [(TumourPart::Oedema, 2), (TumourPart::Core, 1), (TumourPart::Enhancing, 4)].map(|(part, usual)| {
            // Of 3 and 4, BraTS 2021 writes 4.
            let own = map.0.iter().rev().find(|(_, p)| **p == part).and_then(|(label, _)| u8::try_from(*label).ok());
            own.unwrap_or_else(|| {
                let free = (usual..=u8::MAX).chain(1..usual).find(|label| !taken.contains(label)).unwrap_or(usual);
                taken.push(free);
                free
            })
        })
    }
}

/// Parts from overlapping regions, such as nnU-Net's whole tumour, tumour core and enhancing tumour.
fn of_regions(regions: &BTreeMap<String, Vec<u16>>) -> Option<BTreeMap<u16, TumourPart>> {
    let find = |words: &[&str]| {
        let named = |name: &str| words.iter().all(|word| name.to_lowercase().contains(word));
        regions.iter().find(|(name, _)| named(name)).map(|(_, values)| values)
    };
    let (whole, enhancing) = (find(&["whole"])?, find(&["enhanc"])?);
    let core = find(&["core"])?;
    let part = |value: &u16| match (enhancing.contains(value), core.contains(value)) {
        (true, _) => TumourPart::Enhancing,
        (false, true) => TumourPart::Core,
        (false, false) => TumourPart::Oedema,
    };
    Some(whole.iter().filter(|value| **value > 0).map(|value| (*value, part(value))).collect())
}

impl std::fmt::Display for LabelMap {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(label, part)| format!("{label}={}", part.name())).collect();
        to.write_str(&parts.join(","))
    }
}

impl FromStr for LabelMap {
    type Err = Error;

    /// `1=core,2=oedema,3=enhancing,4=other`, also with the names of BraTS (`NCR`, `ED`, `ET`, `RC`). Empty: not known.
    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::config("label_map", text, why);
        let mut parts = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (label, name) =
                entry.split_once('=').ok_or_else(|| bad("must look like 1=core,2=oedema,3=enhancing,4=other"))?;
            let label = label.trim().parse().ok().filter(|label| (1..=255).contains(label));
            let label: u16 = label.ok_or_else(|| bad("labels are 1 to 255"))?;
            let part = TumourPart::named(name.trim());
            let part = part.ok_or_else(|| bad(&format!("{name} is not core, oedema, enhancing or other")))?;
            if parts.insert(label, part).is_some() {
                return Err(bad(&format!("label {label} has two meanings")));
            }
        }
        Ok(Self(parts))
    }
}

impl Serialize for LabelMap {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LabelMap {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn names(table: &[(u16, &str)]) -> BTreeMap<u16, String> {
        table.iter().map(|(value, name)| (*value, (*name).to_owned())).collect()
    }

    #[test]
    fn a_map_is_read_and_written() {
        let map: LabelMap = "1=NCR, 2=ED,3=ET,4=RC".parse().unwrap();
        assert_eq!(map.to_string(), "1=core,2=oedema,3=enhancing,4=other");
        assert_eq!(map.to_string().parse::<LabelMap>().unwrap(), map);
        assert!("".parse::<LabelMap>().unwrap().is_empty());
        for bad in ["1", "0=core", "300=core", "1=liver", "1=core,1=ET", "x=core"] {
            assert!(bad.parse::<LabelMap>().is_err(), "{bad}");
        }
    }

    /// BraTS 2024 (nnU-Net#2374): 4 is the resection cavity, 3 enhances. In BraTS 2018, 4 enhances.
    #[test]
    fn case_names_tell_the_year() {
        let (new, source) = LabelMap::guess(["BraTS-GLI-00002-100"].into_iter());
        assert_eq!((new.part(3), new.part(4)), (Some(TumourPart::Enhancing), Some(TumourPart::Other)));
        assert_eq!((new.written(), source), ([2, 1, 3], MapSource::CaseNames));
        let (old, source) = LabelMap::guess(["BraTS2021_00000", "patient"].into_iter());
        assert_eq!(old.part(4), Some(TumourPart::Enhancing));
        assert_eq!((old.written(), source), ([2, 1, 4], MapSource::Convention));
        let (children, _) = LabelMap::guess(["BraTS-PED-00010-000"].into_iter());
        assert_eq!(children.written(), [4, 3, 1]);
    }

    #[test]
    fn names_of_the_cohort_take_precedence() {
        let none = BTreeMap::new();
        // nnU-Net's conversion of BraTS 2021.
        let table = [(0, "background"), (1, "edema"), (2, "non-enhancing tumor"), (3, "enhancing tumour")];
        let map = LabelMap::of_names(&names(&table), &none).unwrap();
        assert_eq!(map.to_string(), "1=oedema,2=core,3=enhancing");
        assert_eq!(map.written(), [1, 2, 3]);
        assert_eq!(LabelMap::of_names(&names(&[(1, "lesion")]), &none), None);
        assert_eq!(LabelMap::of_names(&names(&[]), &none), None);
        let regions = BTreeMap::from([
            ("whole tumor".to_owned(), vec![1, 2, 3]),
            ("tumor core".to_owned(), vec![2, 3]),
            ("enhancing tumor".to_owned(), vec![3]),
        ]);
        assert_eq!(LabelMap::of_names(&names(&[]), &regions).unwrap(), map);
    }

    #[test]
    fn a_part_without_a_label_gets_a_free_one() {
        let map: LabelMap = "1=enhancing,2=core".parse().unwrap();
        assert_eq!(map.written(), [3, 2, 1]);
    }
}
