//! Device selection by the user.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A device selection: `auto`, `cpu`, `wgpu[:i]` or `cuda[:i]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA, else a hardware wgpu adapter, else the CPU; never a software adapter.
    #[default]
    Auto,
    /// The CPU, even if there are other devices.
    Cpu,
    /// A wgpu adapter by its index in the list of [`super::probe`], which has hardware adapters first.
    Wgpu(usize),
    /// A CUDA device by its index.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index)),
            None => (text, None),
        };
        let number = || match index {
            None => Ok(0),
            Some(index) => {
                index.parse().map_err(|_| Error::config("device", text, format!("{index} is not a device index")))
            }
        };
        match name {
            "auto" if index.is_none() => Ok(Self::Auto),
            "cpu" if index.is_none() => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu(number()?)),
            "cuda" => Ok(Self::Cuda(number()?)),
            _ => Err(Error::config("device", text, "must be auto, cpu, wgpu[:i] or cuda[:i]")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu(i) => write!(f, "wgpu:{i}"),
            Self::Cuda(i) => write!(f, "cuda:{i}"),
        }
    }
}

/// One device, or several separated by commas that share each batch, such as `cuda:0,cuda:1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceList(Vec<DeviceChoice>);

impl DeviceList {
    /// All devices, at least one.
    pub fn all(&self) -> &[DeviceChoice] {
        &self.0
    }

    /// The device that holds the weights.
    pub fn first(&self) -> DeviceChoice {
        self.0.first().copied().unwrap_or_default()
    }
}

impl Default for DeviceList {
    fn default() -> Self {
        DeviceChoice::Auto.into()
    }
}

impl From<DeviceChoice> for DeviceList {
    fn from(choice: DeviceChoice) -> Self {
        Self(vec![choice])
    }
}

impl FromStr for DeviceList {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let list = text.split(',').map(|part| part.trim().parse()).collect::<Result<Vec<DeviceChoice>>>()?;
        if list.len() > 1 && list.contains(&DeviceChoice::Auto) {
            return Err(Error::config("device", text, "auto selects a single device. Name each of several devices"));
        }
        let twice = |(at, choice): (usize, &DeviceChoice)| *choice != DeviceChoice::Cpu && list[..at].contains(choice);
        if let Some((_, choice)) = list.iter().enumerate().find(|pair| twice(*pair)) {
            return Err(Error::config("device", text, format!("{choice} is listed twice")));
        }
        Ok(Self(list))
    }
}

impl fmt::Display for DeviceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(","))
    }
}

impl Serialize for DeviceList {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceList {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn choices_round_trip_as_text() {
        for text in ["auto", "cpu", "wgpu:0", "wgpu:3", "cuda:1"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for text in ["", "gpu", "cpu:1", "auto:0", "cuda:x", "cuda:-1"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn lists_round_trip_as_text() {
        for text in ["auto", "cuda:0,cuda:1", "cpu,cpu", "wgpu:0,cpu"] {
            assert_eq!(text.parse::<DeviceList>().unwrap().to_string(), text);
        }
        for text in ["", "cuda:0,", "auto,cpu", "cuda:1,cuda:1"] {
            assert!(text.parse::<DeviceList>().is_err(), "{text}");
        }
    }
}
