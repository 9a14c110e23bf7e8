//! A slice that a run records at every epoch.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::disk::atomic::sha256;
use crate::{Error, Result};

/// Maximum length of a recorded patient name in bytes, as for file names.
const MAX_NAME_BYTES: usize = 255;

/// A slice of a patient, written `CASE:SLICE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin {
    /// The patient.
    pub case: String,
    /// Index of the preprocessed slice, from 0.
    pub slice: u32,
}

impl Pin {
    /// Pins a slice.
    pub fn new(case: impl Into<String>, slice: u32) -> Self {
        Self { case: case.into(), slice }
    }

    /// Number for random streams, different from those of training slices.
    pub(crate) fn key(&self) -> u64 {
        u64::from_str_radix(&sha256(self.to_string().as_bytes())[..16], 16).unwrap_or_default() | 1 << 63
    }

    /// Name of its folder: readable, and unique even on file systems that ignore case.
    pub(crate) fn folder(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
        let case: String = self.case.chars().take(60).map(plain).collect();
        format!("{case}-{}-{}", self.slice, &sha256(self.to_string().as_bytes())[..8])
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:{}", self.case, self.slice)
    }
}

impl FromStr for Pin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::config("probe", text, why);
        let (case, slice) =
            text.rsplit_once(':').ok_or_else(|| bad("expected PATIENT:SLICE, with the preprocessed slice, from 0"))?;
        if case.is_empty() || case.len() > MAX_NAME_BYTES {
            return Err(bad("the patient's name must have 1 to 255 bytes"));
        }
        let slice = slice.parse().map_err(|_| bad("the slice after the last colon must be a number from 0"))?;
        Ok(Self::new(case, slice))
    }
}

impl Serialize for Pin {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_pin_round_trips_as_text() {
        for (case, slice) in [("P01", 3), ("a b:c", 0), ("é", u32::MAX)] {
            let pin = Pin::new(case, slice);
            assert_eq!(pin.to_string().parse::<Pin>().unwrap(), pin);
            assert_eq!(serde_json::from_str::<Pin>(&serde_json::to_string(&pin).unwrap()).unwrap(), pin);
        }
        for text in ["", "P01", ":3", "P01:", "P01:-1", "P01:x", "P01:4294967296", &format!("{}:1", "x".repeat(256))] {
            let error = text.parse::<Pin>().unwrap_err().to_string();
            assert!(error.starts_with("probe = "), "{error}");
        }
    }

    #[test]
    fn folder_names_are_unique_and_contain_no_path() {
        let pins = ["P:1", "p:1", "../P:1", "..:1", "a/b:1", "a\\b:1", "a_b:1", "P:11", "é:1"];
        let folders: Vec<String> = pins.iter().map(|text| text.parse::<Pin>().unwrap().folder()).collect();
        for folder in &folders {
            assert!(folder.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')), "{folder}");
        }
        let apart: BTreeSet<String> = folders.iter().map(|folder| folder.to_lowercase()).collect();
        assert_eq!(apart.len(), pins.len(), "{folders:?}");
        assert!(Pin::new("x".repeat(255), u32::MAX).folder().len() < 100);
    }
}
