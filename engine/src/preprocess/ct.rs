//! Handles a CT whose values cannot be Hounsfield units: refuses it for training, or shifts its values on request.

use serde::{Deserialize, Serialize, de};

use super::config::{Kind, PreprocessConfig};
use crate::volume::{CtDoubt, Volume, ct_doubt};
use crate::{Error, Result};

/// Handling of a CT whose values cannot be Hounsfield units ([`ct_doubt`]).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum CtOffset {
    /// It is refused for training and segmentation.
    #[default]
    None,
    /// Added to its values, in HU; 0 keeps them.
    Hu(f64),
}

impl Serialize for CtOffset {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => to.serialize_str("none"),
            Self::Hu(offset) => to.serialize_f64(*offset),
        }
    }
}

impl<'de> Deserialize<'de> for CtOffset {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Word(String),
            Number(f64),
        }
        match Raw::deserialize(from)? {
            Raw::Word(word) if word == "none" => Ok(Self::None),
            Raw::Number(offset) if offset.is_finite() => Ok(Self::Hu(offset)),
            _ => Err(de::Error::custom("ct_offset must be \"none\" or a number in HU")),
        }
    }
}

/// The doubt about an image, if it is a CT.
fn doubt(image: &Volume, kind: Kind) -> Option<CtDoubt> {
    (kind == Kind::Ct).then(|| ct_doubt(image)).flatten()
}

/// The purpose for which a CT is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtReader {
    /// A training run.
    Training,
    /// A trained network.
    Model,
}

impl CtReader {
    /// Advice to the user about a CT whose values cannot be Hounsfield units.
    pub fn remedy(self, doubt: &CtDoubt) -> &'static str {
        match (self, doubt) {
            (Self::Training, CtDoubt::Offset { .. }) => {
                "Set preprocess.ct_offset to the HU to add, or to 0 to keep the values, or preprocess.kind to other"
            }
            (Self::Training, CtDoubt::Scaled { .. }) => {
                "The window in HU would make it uniform. Set preprocess.kind to other, which normalises a scan by its own \
                 values, or use the scan as it was acquired"
            }
            (Self::Model, CtDoubt::Offset { .. }) => {
                "The model was trained on Hounsfield units. Store the scan in them, or segment it with a CT offset, the HU to \
                 add"
            }
            (Self::Model, CtDoubt::Scaled { .. }) => {
                "The model was trained on Hounsfield units, which cannot be recovered from these values. Use the scan as it was \
                 acquired"
            }
        }
    }
}

/// Refuses a CT whose values cannot be Hounsfield units, unless the configuration says what to do. `what` names the scan.
pub fn check_ct(image: &Volume, kind: Kind, cfg: &PreprocessConfig, what: &str, reader: CtReader) -> Result<()> {
    match (doubt(image, kind), cfg.ct_offset) {
        (Some(doubt), CtOffset::None) => {
            let why = format!("{what}: {doubt}. {}", reader.remedy(&doubt));
            Err(Error::config("ct_offset", "none", why))
        }
        _ => Ok(()),
    }
}

/// Shifts the values of a doubtful CT as configured. Returns the warning to report.
pub(super) fn shift_ct(image: &Volume, kind: Kind, cfg: &PreprocessConfig, values: &mut [f32]) -> Option<String> {
    let doubt = doubt(image, kind)?;
    match cfg.ct_offset {
        CtOffset::Hu(offset) if offset != 0.0 => {
            values.iter_mut().for_each(|value| *value += offset as f32);
            Some(format!("{doubt}. {offset} HU are added"))
        }
        CtOffset::Hu(_) | CtOffset::None => Some(doubt.to_string()),
    }
}
