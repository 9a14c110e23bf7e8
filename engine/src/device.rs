//! Which device computes. The only place that knows which backends this build has.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// What the user asks for: `auto`, `cpu`, `wgpu[:i]` or `cuda[:i]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA, else a hardware wgpu adapter, else the CPU; never a software adapter.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A wgpu adapter by its number in [`probe`]'s list; software adapters only by number.
    Wgpu(usize),
    /// A CUDA device by its number.
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
                index.parse().map_err(|_| Error::config("device", text, format!("{index} is not a device number")))
            }
        };
        match name {
            "auto" if index.is_none() => Ok(Self::Auto),
            "cpu" if index.is_none() => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu(number()?)),
            "cuda" => Ok(Self::Cuda(number()?)),
            _ => Err(Error::config("device", text, "expected auto, cpu, wgpu[:i] or cuda[:i]")),
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

impl Serialize for DeviceChoice {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceChoice {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What computes on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// This machine's processor.
    Cpu,
    /// A graphics card.
    Gpu,
    /// A graphics adapter emulated on the processor: slow, for tests.
    Software,
}

/// One device that can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// What to ask for: `cpu`, `wgpu:0`, `cuda:0`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What computes.
    pub kind: DeviceKind,
}

/// The devices that this build can use on this machine, best first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Devices {
    /// Those found, in the order in which `auto` prefers them.
    pub devices: Vec<DeviceInfo>,
    /// What `auto` takes.
    pub auto: String,
    /// Backends compiled into this build.
    pub backends: Vec<&'static str>,
}

/// Looks for devices. Never panics, and opens none of them.
pub fn probe() -> Devices {
    let mut devices: Vec<DeviceInfo> = Vec::new();
    let gpus = [gpu::cuda(), gpu::wgpu()];
    devices.extend(gpus.into_iter().flatten().map(|(info, _)| info));
    let threads = rayon::current_num_threads();
    devices.push(DeviceInfo { id: "cpu".into(), name: format!("CPU, {threads} threads"), kind: DeviceKind::Cpu });
    devices.sort_by_key(|d| d.kind == DeviceKind::Software);
    let auto = devices.first().map_or_else(|| "cpu".to_string(), |d| d.id.clone());
    let mut backends = vec!["cpu"];
    if cfg!(feature = "wgpu") {
        backends.push("wgpu");
    }
    if cfg!(feature = "cuda") {
        backends.push("cuda");
    }
    Devices { devices, auto, backends }
}

/// A device that was opened.
#[derive(Clone, Debug)]
pub struct Compute {
    /// Its id and name, for logs.
    pub name: String,
    /// The handle for inference.
    pub device: Device,
}

impl Compute {
    /// The CPU.
    pub fn cpu() -> Self {
        Self { name: "cpu".into(), device: Device::flex() }
    }

    /// The handle whose tensors are tracked for gradients.
    pub fn training(&self) -> Device {
        self.device.clone().autodiff()
    }
}

/// Opens the device of a choice. A device that is absent is an error that names what was found instead.
pub fn open(choice: DeviceChoice) -> Result<Compute> {
    if choice == DeviceChoice::Cpu {
        // Without looking for anything else: drivers may be slow to start, and talk while they do.
        return Ok(Compute::cpu());
    }
    let found = probe();
    let wanted = match choice {
        DeviceChoice::Auto => found.auto.parse()?,
        other => other,
    };
    if wanted == DeviceChoice::Cpu {
        return Ok(Compute::cpu());
    }
    let id = wanted.to_string();
    let all = gpu::cuda().into_iter().chain(gpu::wgpu());
    for (info, device) in all {
        if info.id == id {
            return Ok(Compute { name: format!("{id} ({})", info.name), device });
        }
    }
    let backend = id.split(':').next().unwrap_or_default();
    let why = if found.backends.contains(&backend) {
        "there is no such device".to_string()
    } else {
        format!("this program was built without the feature {backend}")
    };
    let list: Vec<String> = found.devices.iter().map(|d| format!("{} ({})", d.id, d.name)).collect();
    Err(ErrorKind::Device { requested: id, why, found: list.join(", ") }.into())
}

/// The graphics backends of this build.
mod gpu {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    use super::DeviceKind;
    use super::{Device, DeviceInfo};
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    use burn::tensor::DeviceType;

    type Found = Vec<(DeviceInfo, Device)>;

    /// CUDA devices; none without a driver.
    #[cfg(feature = "cuda")]
    pub(super) fn cuda() -> Found {
        let list = quietly(|| Device::enumerate(DeviceType::Cuda).into_vec());
        let numbered = list.into_iter().enumerate();
        numbered
            .map(|(i, device)| {
                let name = name_of(&device, "NVIDIA GPU");
                (DeviceInfo { id: format!("cuda:{i}"), name, kind: DeviceKind::Gpu }, device)
            })
            .collect()
    }

    #[cfg(not(feature = "cuda"))]
    pub(super) fn cuda() -> Found {
        Vec::new()
    }

    /// wgpu adapters, hardware first.
    #[cfg(feature = "wgpu")]
    pub(super) fn wgpu() -> Found {
        use burn::tensor::DeviceKind as Adapter;
        let list = quietly(|| Device::enumerate(DeviceType::Wgpu).into_vec());
        let software = Device::wgpu(Adapter::Cpu);
        let (emulated, hardware): (Vec<Device>, Vec<Device>) = list.into_iter().partition(|d| *d == software);
        let kinds = hardware.into_iter().map(|d| (d, DeviceKind::Gpu));
        let kinds = kinds.chain(emulated.into_iter().map(|d| (d, DeviceKind::Software)));
        kinds
            .enumerate()
            .map(|(i, (device, kind))| {
                let name = match kind {
                    DeviceKind::Software => "software adapter".to_string(),
                    _ => name_of(&device, "GPU"),
                };
                (DeviceInfo { id: format!("wgpu:{i}"), name, kind }, device)
            })
            .collect()
    }

    #[cfg(not(feature = "wgpu"))]
    pub(super) fn wgpu() -> Found {
        Vec::new()
    }

    /// The device's own name, where it can be had.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    fn name_of(device: &Device, otherwise: &str) -> String {
        let debug = format!("{device:?}");
        if debug.is_empty() { otherwise.to_string() } else { format!("{otherwise} {debug}") }
    }

    /// A driver that panics while it is looked at counts as absent.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    fn quietly(look: impl FnOnce() -> Vec<Device>) -> Vec<Device> {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(look)).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_written_alike() {
        for text in ["auto", "cpu", "wgpu:0", "wgpu:3", "cuda:1"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for text in ["", "gpu", "cpu:1", "auto:0", "cuda:x", "cuda:-1"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_cpu_is_always_there_and_auto_is_never_software() {
        let found = probe();
        assert!(found.devices.iter().any(|d| d.id == "cpu"));
        let auto = found.devices.iter().find(|d| d.id == found.auto).unwrap();
        assert_ne!(auto.kind, DeviceKind::Software);
        open(DeviceChoice::Auto).unwrap();
    }

    #[test]
    fn an_absent_device_is_an_error_that_names_what_was_found() {
        let error = open(DeviceChoice::Cuda(77)).unwrap_err().to_string();
        assert!(error.contains("cuda:77") && error.contains("cpu ("), "{error}");
    }
}
