//! `dataset.json` of nnU-Net and the Medical Segmentation Decathlon, in the variants found in practice.
//!
//! Channels are `channel_names` (nnU-Net v2) or `modality` (v1): an object by number, an inverted object, or a list. Labels
//! are by value (v1), by name (v2), regions of several values, or a list. A byte order mark, `NaN` and trailing commas,
//! which Python writes or tolerates, are accepted.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::{Error, Result};

/// File name.
pub(super) const DATASET_JSON: &str = "dataset.json";

/// Largest `dataset.json` that is read: the real ones list a few thousand files.
const JSON_BYTES: u64 = 64 << 20;

/// The meaning of a cohort's label values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LabelNames {
    /// Name of each label value, such as 1: "lesion". 0 is the background.
    pub names: BTreeMap<u16, String>,
    /// Label values of each named region, such as "whole tumor": 1, 2, 3. Empty without regions.
    pub regions: BTreeMap<String, Vec<u16>>,
}

impl LabelNames {
    /// True if nothing is known about the labels.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.regions.is_empty()
    }
}

/// The part of `dataset.json` that discovery needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DatasetInfo {
    /// Channel names by number, in lower case. Duplicates get their number appended.
    pub channels: BTreeMap<usize, String>,
    /// Label values.
    pub labels: LabelNames,
}

impl DatasetInfo {
    /// Reads `root/dataset.json`; empty if missing.
    ///
    /// # Errors
    /// A file that is not JSON, or whose channels or labels are invalid. The message names key and value.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join(DATASET_JSON);
        if !path.is_file() {
            return Ok(Self::default());
        }
        let length = std::fs::metadata(&path).map_err(Error::io("read", &path))?.len();
        if length > JSON_BYTES {
            let why = format!("has {length} bytes, too large for a dataset.json. The limit is {JSON_BYTES}");
            return Err(Error::file(&path, why));
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let whole: Value = serde_json::from_str(&strict_json(&text)).map_err(|e| Error::file(&path, e.to_string()))?;
        let keys = Keys { path: &path };
        let mut channels = BTreeMap::new();
        for key in ["channel_names", "modality"] {
            let found = keys.channels(key, &whole[key])?;
            if channels.is_empty() {
                channels = found;
            } else if !found.is_empty() && found != channels {
                let why = "differs from channel_names. Keep one of the two";
                return Err(keys.wrong("modality", &whole["modality"], why));
            }
        }
        Ok(Self { channels: unique(channels), labels: keys.labels(&whole["labels"])? })
    }
}

/// Reads values of one file and names them in errors.
struct Keys<'a> {
    path: &'a Path,
}

impl Keys<'_> {
    fn wrong(&self, key: &str, value: &Value, why: &str) -> Error {
        Error::field(self.path, key, value, why)
    }

    fn channels(&self, key: &str, value: &Value) -> Result<BTreeMap<usize, String>> {
        let expected = "channels are named by number, such as {\"0\": \"FLAIR\", \"1\": \"T1\"}";
        let mut pairs = Vec::new();
        match value {
            Value::Null => {}
            Value::String(name) => pairs.push((0, name.as_str())),
            Value::Array(names) => {
                for (number, name) in names.iter().enumerate() {
                    let name = name.as_str();
                    pairs.push((number, name.ok_or_else(|| self.wrong(key, value, expected))?));
                }
            }
            Value::Object(entries) => {
                for (name, value) in entries {
                    let pair = match (whole_number(name), value.as_str(), number_of(value)) {
                        (Some(number), Some(name), _) => Some((number, name)),
                        (None, _, Some(number)) => Some((number, name.as_str())),
                        _ => None,
                    };
                    pairs.push(pair.ok_or_else(|| self.wrong(&format!("{key}.{name}"), value, expected))?);
                }
            }
            _ => return Err(self.wrong(key, value, expected)),
        }
        let mut channels = BTreeMap::new();
        for (number, name) in pairs {
            if channels.insert(number, name.trim().to_lowercase()).is_some() {
                return Err(self.wrong(key, value, &format!("channel {number} has two names")));
            }
        }
        Ok(channels)
    }

    fn labels(&self, value: &Value) -> Result<LabelNames> {
        let expected =
            "labels are named by value, such as {\"background\": 0, \"lesion\": 1} or {\"0\": \"background\"}";
        let mut table = LabelNames::default();
        match value {
            Value::Null => {}
            Value::Array(names) => {
                for (label, name) in names.iter().enumerate() {
                    let name = name.as_str().ok_or_else(|| self.wrong("labels", value, expected))?;
                    let label = u16::try_from(label).map_err(|_| self.wrong("labels", value, expected))?;
                    table.names.insert(label, name.to_owned());
                }
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    let wrong = || self.wrong(&format!("labels.{key}"), value, expected);
                    if let Value::Array(labels) = value {
                        let labels: Option<Vec<u16>> = labels.iter().map(label_of).collect();
                        table.regions.insert(key.clone(), labels.ok_or_else(wrong)?);
                        continue;
                    }
                    let named = match (label_of(value), key.parse().ok(), value.as_str()) {
                        (_, Some(label), Some(name)) => (label, name),
                        (Some(label), ..) => (label, key.as_str()),
                        _ => return Err(wrong()),
                    };
                    table.names.insert(named.0, named.1.to_owned());
                }
            }
            _ => return Err(self.wrong("labels", value, expected)),
        }
        Ok(table)
    }
}

/// Parses `0`, `0001` or `1`.
fn whole_number(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

/// A whole number, as a JSON number or text.
fn number_of(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).or_else(|| whole_number(value.as_str()?))
}

fn label_of(value: &Value) -> Option<u16> {
    number_of(value).and_then(|label| u16::try_from(label).ok())
}

/// Appends the number to duplicate names ("MRI", "MRI").
fn unique(channels: BTreeMap<usize, String>) -> BTreeMap<usize, String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in channels.values() {
        *counts.entry(name.clone()).or_default() += 1;
    }
    let named = |(number, name): (usize, String)| {
        let name = if counts[&name] > 1 { format!("{name}_{number:04}") } else { name };
        (number, name)
    };
    channels.into_iter().map(named).collect()
}

/// The text without byte order mark and trailing commas, and with `null` for `NaN` and infinities. Quoted text is not changed.
fn strict_json(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut strict = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| rest.starts_with(word));
        let taken = if first == '"' {
            let length = quoted(rest);
            strict.push_str(&rest[..length]);
            length
        } else if let Some(word) = word {
            strict.push_str("null");
            word.len()
        } else {
            let closes = |next: &str| next.trim_start().starts_with(['}', ']']);
            if first != ',' || !closes(&rest[1..]) {
                strict.push(first);
            }
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    strict
}

/// Length in bytes of the quoted text that `text` begins with.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DatasetInfo> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(DATASET_JSON), text).unwrap();
        DatasetInfo::read(folder.path())
    }

    #[test]
    fn channels_are_read_in_every_variant() {
        for text in [
            r#"{"channel_names": {"0": "FLAIR", "1": "T1"}}"#,
            r#"{"channel_names": {"0000": "FLAIR", "0001": "T1"}}"#,
            r#"{"channel_names": {"FLAIR": 0, "T1": 1}}"#,
            r#"{"channel_names": {"FLAIR": "0", "T1": "0001"}}"#,
            r#"{"channel_names": ["FLAIR", "T1"]}"#,
            r#"{"modality": {"0": "FLAIR", "1": "T1"}}"#,
            r#"{"channel_names": {"0": "FLAIR", "1": "T1"}, "modality": {"0": "FLAIR", "1": "t1"}}"#,
            "\u{feff}{\"modality\": [\"FLAIR\", \"T1\"]}",
            r#"{"modality": {"0": "FLAIR", "1": "T1",}, "voxel": NaN, "range": [-Infinity, Infinity,], "why": "a, ]NaN\","}"#,
        ] {
            let channels = read(text).unwrap().channels;
            assert_eq!(channels, BTreeMap::from([(0, "flair".into()), (1, "t1".into())]), "{text}");
        }
        let same = read(r#"{"modality": ["MRI", "MRI"]}"#).unwrap().channels;
        assert_eq!(same.into_values().collect::<Vec<_>>(), ["mri_0000", "mri_0001"]);
    }

    #[test]
    fn labels_are_read_in_every_variant() {
        let names = BTreeMap::from([(0, "background".to_owned()), (1, "edema".to_owned())]);
        for text in [
            r#"{"labels": {"background": 0, "edema": 1}}"#,
            r#"{"labels": {"background": "0", "edema": "1"}}"#,
            r#"{"labels": {"0": "background", "1": "edema"}}"#,
            r#"{"labels": ["background", "edema"]}"#,
        ] {
            assert_eq!(
                read(text).unwrap().labels,
                LabelNames { names: names.clone(), ..LabelNames::default() },
                "{text}"
            );
        }
        let regions = read(r#"{"labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3]}}"#).unwrap().labels;
        assert_eq!(regions.regions, BTreeMap::from([("whole".into(), vec![1, 2, 3]), ("core".into(), vec![2, 3])]));
    }

    #[test]
    fn errors_name_the_key_and_the_value() {
        for (text, key, value) in [
            (r#"{"channel_names": {"0": 7}}"#, "channel_names.0", "7"),
            (r#"{"channel_names": {"FLAIR": "first"}}"#, "channel_names.FLAIR", "first"),
            (r#"{"modality": ["FLAIR", 3]}"#, "modality", "3"),
            (r#"{"modality": 5}"#, "modality", "5"),
            (r#"{"modality": {"0": "CT", "0000": "PET"}}"#, "modality", "two names"),
            (r#"{"channel_names": ["CT"], "modality": ["PET"]}"#, "modality", "PET"),
            (r#"{"labels": {"lesion": -1}}"#, "labels.lesion", "-1"),
            (r#"{"labels": {"lesion": [1, "x"]}}"#, "labels.lesion", "x"),
            ("{", "dataset.json", "EOF"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("dataset.json") && error.contains(key) && error.contains(value), "{error}");
        }
    }
}
