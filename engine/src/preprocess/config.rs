//! Preprocessing settings.

use serde::{Deserialize, Serialize, de};

use super::ct::CtOffset;
use super::label_map::LabelMap;
#[cfg(doc)]
use crate::volume::Grid;
use crate::volume::{Interpolation, MaskOptions, Volume};
use crate::{Error, Result};

/// A scan of unknown modality whose lowest value is below this is treated as a CT in HU.
const CT_MINIMUM_HU: f64 = -500.0;

/// Settings of [`super::prepare`]. The defaults are the paper's (sections 4.1 and 4.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreprocessConfig {
    /// Voxel size of the prepared grid.
    pub spacing: Spacing,
    /// Interpolation of images. Labels always use the nearest neighbour.
    pub interpolation: Interpolation,
    /// Side of the training crop in pixels.
    pub size: usize,
    /// Window a CT is clipped to first, in HU.
    pub ct_window: [f64; 2],
    /// Percentiles of the foreground region's voxels that values are clipped to.
    pub percentiles: [f64; 2],
    /// Values outside the foreground region of a scan other than CT.
    pub background: BackgroundFill,
    /// Whether a scan is treated as CT.
    pub kind: KindChoice,
    /// HU added to a CT whose values cannot be Hounsfield units. By default such a scan is refused.
    pub ct_offset: CtOffset,
    /// Meaning of the labels for the regions WT, TC and ET. Empty: the cohort's, else a guess.
    pub label_map: LabelMap,
    /// Largest difference between corners of a mask and its image, in mm; 0: the default of [`Grid::compare`].
    pub grid_tolerance_mm: f64,
    /// For masks with values that are not whole numbers: values of this or more are lesion; 0: such masks are refused.
    pub mask_threshold: f64,
    /// A case whose prepared fields need more memory than this, in MiB, is refused.
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
            background: BackgroundFill::Zero,
            kind: KindChoice::Auto,
            ct_offset: CtOffset::None,
            label_map: LabelMap::default(),
            grid_tolerance_mm: 0.0,
            mask_threshold: 0.0,
            memory_mib: 8192,
        }
    }
}

impl PreprocessConfig {
    /// Returns the first of [`PreprocessConfig::errors`].
    pub fn check(&self) -> Result<()> {
        self.errors().into_iter().next().map_or(Ok(()), Err)
    }

    /// How masks are read.
    pub fn masks(&self) -> MaskOptions {
        let above_zero = |value: f64| Some(value).filter(|v| *v > 0.0);
        MaskOptions {
            grid_tolerance_mm: above_zero(self.grid_tolerance_mm),
            threshold: above_zero(self.mask_threshold),
            frame: None,
        }
    }

    /// One error for each setting out of range.
    pub fn errors(&self) -> Vec<Error> {
        let mut found = Vec::new();
        if !(1..=8192).contains(&self.size) {
            found.push(Error::config("size", self.size, "must be 1 to 8192 pixels"));
        }
        if let Spacing::Millimetres(mm) = self.spacing
            && !mm.iter().all(|s| s.is_finite() && (0.01..=1000.0).contains(s))
        {
            found.push(Error::config("spacing", format!("{mm:?}"), "must be 0.01 to 1000 mm"));
        }
        for (field, value) in [("grid_tolerance_mm", self.grid_tolerance_mm), ("mask_threshold", self.mask_threshold)] {
            if !(value.is_finite() && value >= 0.0) {
                found.push(Error::config(field, value, "must not be negative"));
            }
        }
        let [low, high] = self.ct_window;
        if !(low.is_finite() && high.is_finite() && low < high) {
            found.push(Error::config("ct_window", format!("{low}, {high}"), "the first must be below the second"));
        }
        if let CtOffset::Hu(offset) = self.ct_offset
            && !offset.is_finite()
        {
            found.push(Error::config("ct_offset", offset, "must be a number in HU"));
        }
        let [low, high] = self.percentiles;
        if !(0.0..=100.0).contains(&low) || !(0.0..=100.0).contains(&high) || low >= high {
            found.push(Error::config(
                "percentiles",
                format!("{low}, {high}"),
                "must be two ascending numbers from 0 to 100",
            ));
        }
        found
    }
}

/// Voxel size of the prepared grid.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Spacing {
    /// 1 x 1 x 1 mm, as in the paper.
    #[default]
    Iso,
    /// The scan's own spacing. Avoids upsampling anisotropic scans along z.
    Native,
    /// Millimetres along R, A, S.
    Millimetres([f64; 3]),
}

impl Spacing {
    /// Voxel size in mm along R, A, S; `None` keeps the scan's spacing.
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
            _ => Err(Error::config("spacing", text, "must be iso, native, or three numbers in mm such as 1,1,3")),
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

/// Values outside the foreground region of a scan other than CT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackgroundFill {
    /// Zero.
    #[default]
    Zero,
    /// N(0, 1) noise drawn from the seed, as some published pipelines use.
    Noise,
}

/// Intensity rules: CT or other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Hounsfield units. Clipped to a window; the foreground region is the body.
    Ct,
    /// Any other modality. The foreground is everything except [`crate::volume::Background`].
    Other,
}

/// How the [`Kind`] of a scan is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindChoice {
    /// By the modality's name, else CT if the lowest value is below -500.
    #[default]
    Auto,
    /// Always CT.
    Ct,
    /// Never CT.
    Other,
}

impl Kind {
    /// The kind of a scan: as `choice` sets it, else by the modality's name, else by the lowest value but padding.
    pub fn of(modality: &str, scan: &Volume, choice: KindChoice) -> Self {
        let is_ct = || scan.percentiles(0, &[0.0]).is_some_and(|lowest| lowest[0] < CT_MINIMUM_HU);
        let by_value = || if is_ct() { Self::Ct } else { Self::Other };
        Self::named(modality, choice).unwrap_or_else(by_value)
    }

    /// The kind that `choice` or the modality's name determines, if any.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn spacing_reads_words_and_triples() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct SpacingTable {
            spacing: Spacing,
        }
        for (text, spacing) in [
            ("spacing = \"iso\"\n", Spacing::Iso),
            ("spacing = \"native\"\n", Spacing::Native),
            ("spacing = [1.0, 1.0, 3.0]\n", Spacing::Millimetres([1.0, 1.0, 3.0])),
        ] {
            let holder: SpacingTable = toml::from_str(text).unwrap();
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
        let scan = |values: &[f32]| {
            let grid = crate::volume::Grid::new([values.len(), 1, 1], glam::DAffine3::IDENTITY);
            Volume::from_f32(grid, values.to_vec())
        };
        assert_eq!(Kind::of("ct", &scan(&[0.0]), KindChoice::Auto), Kind::Ct);
        assert_eq!(Kind::of("CT_venous", &scan(&[0.0]), KindChoice::Auto), Kind::Ct);
        assert_eq!(Kind::of("pet", &scan(&[-900.0]), KindChoice::Auto), Kind::Other);
        assert_eq!(Kind::of("image", &scan(&[-900.0, 20.0]), KindChoice::Auto), Kind::Ct);
        assert_eq!(Kind::of("image", &scan(&[-400.0, f32::NAN]), KindChoice::Auto), Kind::Other);
        assert_eq!(Kind::of("ct", &scan(&[-900.0]), KindChoice::Other), Kind::Other);
        // An MR with padding.
        let padded = Volume { padding: Some([-2000.0, -2000.0]), ..scan(&[-2000.0, 20.0]) };
        assert_eq!(Kind::of("image", &padded, KindChoice::Auto), Kind::Other);
    }
}
