//! The settings of the preprocessing.

use serde::{Deserialize, Serialize, de};

use crate::volume::{Interpolation, LabelData, LabelVolume};
use crate::{Error, Result};

/// Below this (HU) a scan that does not name its modality is taken for a CT.
const CT_MINIMUM_HU: f32 = -500.0;

/// Settings of [`super::prepare`]. The defaults are the paper's (sections 4.1 and 4.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreprocessConfig {
    /// Voxel size of the prepared grid.
    pub spacing: Spacing,
    /// How images are resampled; labels are always resampled by the nearest neighbour.
    pub interpolation: Interpolation,
    /// Side of the training crop in pixels.
    pub size: usize,
    /// What a CT is clipped to before anything else, in HU.
    pub ct_window: [f64; 2],
    /// Percentiles of the region's voxels to which it is clipped.
    pub percentiles: [f64; 2],
    /// What stands outside the region of a scan that is not a CT.
    pub background: Background,
    /// Whether a scan is a CT.
    pub kind: KindChoice,
    /// Refuses a case whose prepared fields would take more memory than this, in MiB.
    pub memory_mib: u64,
}

impl Default for PreprocessConfig {
    fn default() -> Self {
        Self {
            spacing: Spacing::Iso,
            interpolation: Interpolation::Nearest,
            size: 160,
            ct_window: [-150.0, 150.0],
            percentiles: [1.0, 99.0],
            background: Background::Zero,
            kind: KindChoice::Auto,
            memory_mib: 8192,
        }
    }
}

impl PreprocessConfig {
    /// Refuses settings that no scan can be prepared with, naming the first.
    pub fn check(&self) -> Result<()> {
        self.errors().into_iter().next().map_or(Ok(()), Err)
    }

    /// Every setting that no scan can be prepared with.
    pub fn errors(&self) -> Vec<Error> {
        let mut found = Vec::new();
        if !(1..=8192).contains(&self.size) {
            found.push(Error::config("size", self.size, "a crop is 1 to 8192 pixels a side"));
        }
        if let Spacing::Millimetres(mm) = self.spacing
            && !mm.iter().all(|s| s.is_finite() && (0.01..=1000.0).contains(s))
        {
            found.push(Error::config("spacing", format!("{mm:?}"), "a voxel is 0.01 to 1000 mm a side"));
        }
        let [low, high] = self.ct_window;
        if !(low.is_finite() && high.is_finite() && low < high) {
            found.push(Error::config("ct_window", format!("{low}, {high}"), "the first must be below the second"));
        }
        let [low, high] = self.percentiles;
        if !(0.0..=100.0).contains(&low) || !(0.0..=100.0).contains(&high) || low >= high {
            found.push(Error::config("percentiles", format!("{low}, {high}"), "two rising numbers from 0 to 100"));
        }
        found
    }
}

/// Voxel size of the prepared grid.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Spacing {
    /// 1 x 1 x 1 mm, as the paper.
    #[default]
    Iso,
    /// The scan's own, so that an anisotropic scan is not multiplied along z.
    Native,
    /// Millimetres along R, A, S.
    Millimetres([f64; 3]),
}

impl Spacing {
    /// The millimetres along R, A, S that are asked for; `None` keeps the scan's own.
    pub fn millimetres(self) -> Option<[f64; 3]> {
        match self {
            Self::Iso => Some([1.0; 3]),
            Self::Native => None,
            Self::Millimetres(mm) => Some(mm),
        }
    }
}

impl std::str::FromStr for Spacing {
    type Err = Error;

    /// `iso`, `native`, or three numbers `x,y,z`.
    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "iso" => return Ok(Self::Iso),
            "native" => return Ok(Self::Native),
            _ => {}
        }
        let numbers: Option<Vec<f64>> = text.split([',', 'x']).map(|t| t.trim().parse().ok()).collect();
        match numbers.map(<[f64; 3]>::try_from) {
            Some(Ok(mm)) if mm.iter().all(|s| s.is_finite() && *s > 0.0) => Ok(Self::Millimetres(mm)),
            _ => Err(Error::config("spacing", text, "expected iso, native, or three sizes in mm such as 1,1,3")),
        }
    }
}

impl Serialize for Spacing {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Iso => to.serialize_str("iso"),
            Self::Native => to.serialize_str("native"),
            Self::Millimetres(mm) => mm.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Spacing {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Word(String),
            Triple([f64; 3]),
        }
        match Raw::deserialize(from)? {
            Raw::Word(word) => word.parse().map_err(de::Error::custom),
            Raw::Triple(mm) => Ok(Self::Millimetres(mm)),
        }
    }
}

/// What stands outside the region of a scan that is not a CT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    /// Zero.
    #[default]
    Zero,
    /// N(0, 1) noise, a variant known from other pipelines; drawn from the seed.
    Noise,
}

/// Whether the intensity rules of CT apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Hounsfield units: window, body mask.
    Ct,
    /// Everything else: the region is where the scan is not zero.
    Other,
}

/// How a scan's [`Kind`] is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindChoice {
    /// From the modality's name, else a CT if the lowest value is below -500.
    #[default]
    Auto,
    /// A CT.
    Ct,
    /// Not a CT.
    Other,
}

impl Kind {
    /// The kind of a scan: `choice` if it says so, else by the modality's name, else by the lowest value.
    pub fn of(modality: &str, values: &[f32], choice: KindChoice) -> Self {
        let lowest = || values.iter().copied().filter(|v| v.is_finite()).fold(f32::INFINITY, f32::min);
        let by_value = || if lowest() < CT_MINIMUM_HU { Self::Ct } else { Self::Other };
        Self::named(modality, choice).unwrap_or_else(by_value)
    }

    /// The kind that `choice` or the modality's name tells, if they do.
    pub fn named(modality: &str, choice: KindChoice) -> Option<Self> {
        const NOT_CT: [&str; 14] =
            ["pt", "pet", "t1", "t1ce", "t1c", "t1n", "t1gd", "t2", "t2w", "t2f", "flair", "mr", "mri", "adc"];
        let name = modality.to_lowercase();
        let has = |known: &[&str]| name.split(|c: char| !c.is_alphanumeric()).any(|token| known.contains(&token));
        match choice {
            KindChoice::Ct => Some(Self::Ct),
            KindChoice::Other => Some(Self::Other),
            KindChoice::Auto if has(&["ct"]) => Some(Self::Ct),
            KindChoice::Auto if has(&NOT_CT) => Some(Self::Other),
            KindChoice::Auto => None,
        }
    }
}

/// What a label volume is turned into: one bit a region, `bit r` of a target byte belonging to region r.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Targets {
    /// One region: every label above 0.
    #[default]
    Binary,
    /// BraTS: whole tumour {1, 2, 4}, tumour core {1, 4}, enhancing tumour {4}; label 3 counts as 4 (BraTS 2023).
    Regions,
}

impl Targets {
    /// The regions' names, in bit order.
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

    /// The target byte of a label.
    pub fn bits(self, label: u16) -> u8 {
        match (self, label) {
            (_, 0) | (Self::Regions, 5..) => 0,
            (Self::Binary, _) | (Self::Regions, 2) => 0b001,
            (Self::Regions, 1) => 0b011,
            (Self::Regions, 3 | 4) => 0b111,
        }
    }

    /// The target bytes of a whole label volume, in file order.
    pub fn encode(self, label: &LabelVolume) -> Vec<u8> {
        match &label.data {
            LabelData::U8(values) => values.iter().map(|&v| self.bits(v.into())).collect(),
            LabelData::U16(values) => values.iter().map(|&v| self.bits(v)).collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn spacing_reads_words_and_triples() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Holder {
            spacing: Spacing,
        }
        for (text, spacing) in [
            ("spacing = \"iso\"\n", Spacing::Iso),
            ("spacing = \"native\"\n", Spacing::Native),
            ("spacing = [1.0, 1.0, 3.0]\n", Spacing::Millimetres([1.0, 1.0, 3.0])),
        ] {
            let holder: Holder = toml::from_str(text).unwrap();
            assert_eq!(holder.spacing, spacing);
            assert_eq!(toml::to_string(&holder).unwrap(), text);
        }
        assert_eq!("2,2,3".parse::<Spacing>().unwrap(), Spacing::Millimetres([2.0, 2.0, 3.0]));
        for bad in ["", "1,1", "1,1,0", "fine", "1,1,1,1", "a,1,1,1"] {
            assert!(bad.parse::<Spacing>().is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(toml::from_str::<PreprocessConfig>("sise = 160").is_err());
        assert_eq!(toml::from_str::<PreprocessConfig>("").unwrap(), PreprocessConfig::default());
    }

    #[test]
    fn kinds_come_from_the_name_then_from_the_values() {
        assert_eq!(Kind::of("ct", &[0.0], KindChoice::Auto), Kind::Ct);
        assert_eq!(Kind::of("CT_venous", &[0.0], KindChoice::Auto), Kind::Ct);
        assert_eq!(Kind::of("pet", &[-900.0], KindChoice::Auto), Kind::Other);
        assert_eq!(Kind::of("image", &[-900.0, 20.0], KindChoice::Auto), Kind::Ct);
        assert_eq!(Kind::of("image", &[-400.0, f32::NAN], KindChoice::Auto), Kind::Other);
        assert_eq!(Kind::of("ct", &[-900.0], KindChoice::Other), Kind::Other);
    }

    #[test]
    fn regions_follow_brats() {
        let bits = |l| Targets::Regions.bits(l);
        assert_eq!([bits(0), bits(1), bits(2), bits(3), bits(4), bits(9)], [0, 3, 1, 7, 7, 0]);
        assert_eq!([Targets::Binary.bits(0), Targets::Binary.bits(7)], [0, 1]);
    }
}
