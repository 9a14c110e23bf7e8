//! Modalities and window/level.

use engine::preprocess::{Kind, KindChoice};
use serde::{Deserialize, Serialize};

use super::{ScanInfo, Unit};

/// Modality of a scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Modality {
    /// Computed tomography, in Hounsfield units.
    Ct,
    /// Magnetic resonance, by its sequence's name if that is known.
    Mr(String),
    /// Positron emission tomography.
    Pet,
    /// Unknown.
    Other,
}

/// A scan with lower values is assumed to be CT: air has -1000 HU.
const CT_MINIMUM_HU: f64 = -500.0;

impl Modality {
    /// From the file name, else CT if the minimum is below -500.
    pub fn of(name: &str, lowest: Option<f64>) -> Self {
        match Self::named(name) {
            Some(modality) => modality,
            None if lowest.is_some_and(|v| v < CT_MINIMUM_HU) => Self::Ct,
            None => Self::Other,
        }
    }

    /// From the name alone, if it contains a modality.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let tokens = name.split(|c: char| !c.is_alphanumeric()).filter(|t| !t.is_empty());
        // The last matching token: `ct_study_flair` is a FLAIR.
        tokens.rev().find_map(|token| match engine::cohort::canonical_modality(token).as_str() {
            "ct" => Some(Self::Ct),
            "pet" | "suv" => Some(Self::Pet),
            "t1" | "t1ce" | "t2" | "flair" | "mr" | "mri" | "adc" | "dwi" | "swi" | "pd" | "t1w" | "t1post" => {
                Some(Self::Mr(engine::cohort::canonical_modality(token)))
            }
            _ => None,
        })
    }

    /// Key of window/level across cases.
    pub fn key(&self) -> String {
        match self {
            Self::Ct => "ct".into(),
            Self::Mr(sequence) => format!("mr {sequence}"),
            Self::Pet => "pet".into(),
            Self::Other => "other".into(),
        }
    }

    /// The name in the window.
    pub fn name(&self) -> String {
        match self {
            Self::Ct => "CT".into(),
            Self::Mr(sequence) if sequence == "mr" || sequence == "mri" => "MR".into(),
            Self::Mr(sequence) => format!("MR {}", sequence.to_uppercase()),
            Self::Pet => "PET".into(),
            Self::Other => "Unknown".into(),
        }
    }

    /// The kind of preprocessing.
    pub fn kind(&self) -> KindChoice {
        match self {
            Self::Ct => KindChoice::Ct,
            Self::Mr(_) | Self::Pet => KindChoice::Other,
            Self::Other => KindChoice::Auto,
        }
    }

    /// Whether the engine treats it as CT by its name.
    pub fn is_ct(&self) -> bool {
        matches!(self, Self::Ct) || matches!(Kind::named(&self.key(), KindChoice::Auto), Some(Kind::Ct))
    }
}

/// Window/level: `width` values around `level` are mapped from black to white.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowLevel {
    /// Width, above 0.
    pub width: f64,
    /// Value at half brightness.
    pub level: f64,
}

impl WindowLevel {
    /// From the values shown as black and white.
    pub fn of_range(low: f64, high: f64) -> Self {
        // Any positive width does for a constant image.
        let width = if high > low { high - low } else { 1.0 };
        Self { width, level: low + (high - low).max(0.0) / 2.0 }
    }

    /// This window after the relative change from `before` to `now`: scaled by the same factor, shifted by the same
    /// number of widths.
    #[must_use]
    pub fn following(self, before: Self, now: Self) -> Self {
        let scale = self.width / before.width;
        Self { width: now.width * scale, level: self.level + (now.level - before.level) * scale }
    }

    /// Value shown as black.
    pub fn low(self) -> f64 {
        self.level - self.width / 2.0
    }

    /// Value shown as white.
    pub fn high(self) -> f64 {
        self.level + self.width / 2.0
    }
}

/// A named window/level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Preset {
    /// Fixed values.
    Fixed(&'static str, WindowLevel),
    /// Between two percentiles of the scan, in percent.
    Percentiles(&'static str, [f64; 2]),
}

const fn fixed(name: &'static str, width: f64, level: f64) -> Preset {
    Preset::Fixed(name, WindowLevel { width, level })
}

/// Presets of CT, in Hounsfield units.
pub const CT_PRESETS: [Preset; 5] = [
    fixed("Brain", 80.0, 40.0),
    fixed("Soft tissue", 350.0, 50.0),
    fixed("Lung", 1500.0, -600.0),
    fixed("Bone", 1000.0, 400.0),
    fixed("Abdomen", 350.0, 40.0),
];
/// Initial window of CT.
pub const SOFT_TISSUE: WindowLevel = WindowLevel { width: 350.0, level: 50.0 };
/// Presets of PET, in SUV.
pub const SUV_PRESETS: [Preset; 3] =
    [fixed("SUV 0-10", 10.0, 5.0), fixed("SUV 0-5", 5.0, 2.5), fixed("SUV 0-20", 20.0, 10.0)];
/// Presets of everything else.
pub const PERCENTILE_PRESETS: [Preset; 3] = [
    Preset::Percentiles("1-99 %", [1.0, 99.0]),
    Preset::Percentiles("5-95 %", [5.0, 95.0]),
    Preset::Percentiles("Full range", [0.0, 100.0]),
];

impl Preset {
    /// The presets of a scan; fixed ones only for the matching unit.
    pub fn of(info: &ScanInfo) -> &'static [Self] {
        match (&info.modality, &info.unit) {
            (Modality::Ct, Some(Unit::Hounsfield)) => &CT_PRESETS,
            (Modality::Pet, Some(Unit::Suv)) => &SUV_PRESETS,
            _ => &PERCENTILE_PRESETS,
        }
    }

    /// Window/level before the user chooses one. `percentiles` are the minimum, the 1st, the 99th and the maximum; none
    /// for colours and without a finite value.
    pub fn default_window(info: &ScanInfo, percentiles: Option<&[f64]>) -> WindowLevel {
        match (Self::of(info)[0], percentiles) {
            (_, None) => WindowLevel::of_range(0.0, 255.0),
            (Self::Fixed(..), Some(_)) if info.modality == Modality::Ct => SOFT_TISSUE,
            (Self::Fixed(_, window), Some(_)) => window,
            // A scan that is nearly all background has no meaningful percentiles.
            (Self::Percentiles(..), Some(p)) if p[2] > p[1] => WindowLevel::of_range(p[1], p[2]),
            (Self::Percentiles(..), Some(p)) => WindowLevel::of_range(p[0], p[3]),
        }
    }

    /// The name in the window.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fixed(name, _) | Self::Percentiles(name, _) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modality_from_the_name_else_from_the_values() {
        assert_eq!(Modality::of("CHUM-001_ct", Some(0.0)), Modality::Ct);
        assert_eq!(Modality::of("CHUM-001__PT", Some(-1000.0)), Modality::Pet);
        assert_eq!(Modality::of("BraTS20_Training_001_t1ce", None), Modality::Mr("t1ce".into()));
        assert_eq!(Modality::of("flair.nii.gz", None), Modality::Mr("flair".into()));
        assert_eq!(Modality::of("case_0000", Some(-1024.0)), Modality::Ct);
        assert_eq!(Modality::of("case_0000", Some(-499.0)), Modality::Other);
        // Only whole tokens count.
        assert_eq!(Modality::of("actor_petra", Some(0.0)), Modality::Other);
    }

    #[test]
    fn a_window_and_its_range_are_equivalent() {
        let window = WindowLevel::of_range(-160.0, 240.0);
        assert_eq!((window.width, window.level), (400.0, 40.0));
        assert_eq!((window.low(), window.high()), (-160.0, 240.0));
        assert!(WindowLevel::of_range(3.0, 3.0).width > 0.0);
    }

    #[test]
    fn a_second_window_follows_in_proportion() {
        let (slices, own) = (WindowLevel::of_range(0.0, 100.0), WindowLevel::of_range(50.0, 250.0));
        assert_eq!(own.following(slices, slices), own);
        // Half as wide, and higher by a tenth of the width.
        let now = WindowLevel { width: 50.0, level: 60.0 };
        assert_eq!(own.following(slices, now), WindowLevel { width: 100.0, level: 170.0 });
    }
}
