//! Segmentation targets made from labels.

use serde::{Deserialize, Serialize};

use super::label_map::{LabelMap, TumourPart};
use crate::volume::LabelVolume;

/// Segmentation targets derived from a label volume. Bit r of a target byte marks region r.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Targets {
    /// One region: every label above 0.
    #[default]
    Binary,
    /// Whole tumour, tumour core and enhancing tumour, by the [`LabelMap`]: {1, 2, 4}, {1, 4} and {4} in BraTS 2018.
    Regions,
}

impl Targets {
    /// Region names, in bit order.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Binary => &["lesion"],
            Self::Regions => &["WT", "TC", "ET"],
        }
    }

    /// Number of regions.
    pub fn count(self) -> usize {
        self.names().len()
    }

    /// Target byte of a label. A label of no region has none.
    pub fn bits(self, label: u16, map: &LabelMap) -> u8 {
        match self {
            Self::Binary => u8::from(label > 0),
            Self::Regions => match map.part(label) {
                Some(TumourPart::Oedema) => 0b001,
                Some(TumourPart::Core) => 0b011,
                Some(TumourPart::Enhancing) => 0b111,
                Some(TumourPart::Other) | None => 0,
            },
        }
    }

    /// Target bytes of a label volume, in file order.
    pub fn encode(self, label: &LabelVolume, map: &LabelMap) -> Vec<u8> {
        let map = map.known();
        let bits: Vec<u8> = (0..=u16::MAX).map(|label| self.bits(label, &map)).collect();
        label.iter().map(|label| bits[usize::from(label)]).collect()
    }

    /// The labels of a mask that are in no region.
    pub fn unknown(self, label: &LabelVolume, map: &LabelMap) -> Vec<u16> {
        let map = map.known();
        let is_unknown = |label: &u16| self == Self::Regions && map.part(*label).is_none();
        label.labels().into_iter().filter(is_unknown).collect()
    }

    /// The label value that a mask is written with in each region, in bit order; the innermost region wins.
    pub fn written(self, map: &LabelMap) -> Vec<u8> {
        match self {
            Self::Binary => vec![1],
            Self::Regions => map.written().to_vec(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::Grid;

    #[test]
    fn regions_follow_the_label_map() {
        let old = LabelMap::default().known();
        let bits = |l| Targets::Regions.bits(l, &old);
        assert_eq!([bits(0), bits(1), bits(2), bits(3), bits(4), bits(9)], [0, 3, 1, 7, 7, 0]);
        let new: LabelMap = "1=NETC,2=SNFH,3=ET,4=RC".parse().unwrap();
        let bits = |l| Targets::Regions.bits(l, &new);
        assert_eq!([bits(1), bits(2), bits(3), bits(4)], [3, 1, 7, 0]);
        // Binary: all nonzero labels.
        assert_eq!([0, 7, 255].map(|l| Targets::Binary.bits(l, &new)), [0, 1, 1]);
    }

    #[test]
    fn labels_of_no_region_are_found() {
        let grid = Grid::new([4, 1, 1], glam::DAffine3::IDENTITY);
        let mask = LabelVolume::new(grid, vec![0_u8, 1, 255, 4]).unwrap();
        assert_eq!(Targets::Regions.unknown(&mask, &LabelMap::default()), [255]);
        assert!(Targets::Binary.unknown(&mask, &LabelMap::default()).is_empty());
        assert_eq!(Targets::Regions.encode(&mask, &LabelMap::default()), [0, 3, 0, 7]);
    }
}
