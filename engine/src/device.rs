//! Compute devices. The only module that knows the backends of this build.

mod choice;
mod failure;
mod gpu;

use burn::tensor::Device;
use serde::Serialize;

use crate::disk::machine;
use crate::model::Precision;
use crate::words::plural;
use crate::{Error, ErrorKind, Result};

pub use choice::{DeviceChoice, DeviceList};
pub use failure::Failure;

/// Kind of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// A graphics card.
    Gpu,
    /// A graphics adapter emulated on the processor. Slow, for tests.
    Software,
}

/// An available device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// Its name in `--device`: `cpu`, `wgpu:0`, `cuda:0`.
    pub id: String,
    /// Name of the hardware.
    pub name: String,
    /// CPU, GPU or software adapter.
    pub kind: DeviceKind,
    /// Its memory, or the memory available to this process for the CPU; `None` if the driver does not report it.
    pub memory_mib: Option<u64>,
}

/// The devices this build can use on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Devices {
    /// Available devices, best first.
    pub devices: Vec<DeviceInfo>,
    /// The device that `auto` selects.
    pub auto: String,
    /// Backends compiled into this build.
    pub backends: Vec<&'static str>,
}

/// Lists the available devices. Never panics. Opens only CUDA devices, to query their memory.
pub fn probe() -> Devices {
    let mut devices: Vec<DeviceInfo> = Vec::new();
    let gpus = [gpu::cuda(), gpu::wgpu()];
    devices.extend(gpus.into_iter().flatten().map(|(info, _)| info));
    let threads = rayon::current_num_threads();
    let name = machine::processor().unwrap_or_else(|| "CPU".into());
    let name = format!("{name}, {}", plural(threads, "thread", "threads"));
    let memory_mib = machine::memory_mib();
    devices.push(DeviceInfo { id: "cpu".into(), name, kind: DeviceKind::Cpu, memory_mib });
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

/// An opened device, or several that share each batch.
#[derive(Clone, Debug)]
pub struct Compute {
    /// Id and name, for logs.
    pub name: String,
    /// The device for inference; with several devices, the one that holds the weights.
    pub device: Device,
    /// Further devices that share each batch.
    pub others: Vec<Device>,
    /// Memory of the device, or of the smallest of several; `None` if unknown.
    pub memory_mib: Option<u64>,
}

impl Compute {
    /// The CPU as the only device, with the memory of the machine.
    pub fn cpu() -> Self {
        Self { name: "cpu".into(), device: Device::flex(), others: Vec::new(), memory_mib: machine::memory_mib() }
    }

    /// The device with autodiff enabled.
    pub fn training(&self) -> Device {
        self.device.clone().autodiff()
    }

    /// Every device, the one with the weights first.
    pub fn all(&self) -> impl Iterator<Item = &Device> {
        std::iter::once(&self.device).chain(&self.others)
    }

    /// True if all devices are the CPU.
    pub fn is_cpu(&self) -> bool {
        let cpu = Device::flex();
        self.all().all(|device| *device == cpu)
    }

    /// # Errors
    /// If a device does not support `precision`.
    pub fn check_precision(&self, precision: Precision) -> Result<()> {
        let Some(dtype) = precision.reduced() else { return Ok(()) };
        let cpu = Device::flex();
        let why = |device: &Device| {
            if *device == cpu {
                // The convolution kernels are f32; other types would use burn's slow generic path.
                Some("the CPU supports f32 only")
            } else {
                (!device.supports_dtype(dtype)).then_some("the device does not support it")
            }
        };
        match self.all().find_map(why) {
            Some(why) => Err(Error::config("dtype", precision.name(), format!("{why} ({})", self.name))),
            None => Ok(()),
        }
    }

    /// Memory reserved by the device's allocator in MiB, if reported. It never shrinks.
    pub fn reserved_mib(&self) -> Option<u64> {
        Some(self.device.memory_pool_usage()?.bytes_reserved >> 20)
    }
}

/// Opens a device.
///
/// # Errors
/// If the device is not available; the message lists the available ones. A wrong `AMLP_SIMD`.
pub fn open(choice: DeviceChoice) -> Result<Compute> {
    crate::compute::instructions()?;
    if choice == DeviceChoice::Cpu {
        // Probing loads the GPU drivers, which may be slow and print messages.
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
            let (name, memory_mib) = (format!("{id} ({})", info.name), info.memory_mib);
            return Ok(Compute { name, device, others: Vec::new(), memory_mib });
        }
    }
    let backend = id.split(':').next().unwrap_or_default();
    let why = if found.backends.contains(&backend) {
        "no such device".to_string()
    } else {
        format!("this program was built without {backend}. Rebuild it with --features {backend}")
    };
    let list: Vec<String> = found.devices.iter().map(|d| format!("{} ({})", d.id, d.name)).collect();
    Err(ErrorKind::Device { requested: id, why, found: list.join(", ") }.into())
}

/// Opens all devices of a list. The first holds the weights; each batch is split among all.
pub fn open_all(list: &DeviceList) -> Result<Compute> {
    let mut compute = open(list.first())?;
    for choice in &list.all()[1..] {
        let other = open(*choice)?;
        compute.name = format!("{}, {}", compute.name, other.name);
        compute.memory_mib = compute.memory_mib.zip(other.memory_mib).map(|(a, b)| a.min(b));
        compute.others.push(other.device);
    }
    Ok(compute)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_available_and_auto_is_never_software() {
        let found = probe();
        assert!(found.devices.iter().any(|d| d.id == "cpu"));
        let auto = found.devices.iter().find(|d| d.id == found.auto).unwrap();
        assert_ne!(auto.kind, DeviceKind::Software);
        open(DeviceChoice::Auto).unwrap();
    }

    #[test]
    fn several_devices_are_opened_in_their_order() {
        let compute = open_all(&"cpu,cpu".parse().unwrap()).unwrap();
        assert_eq!((compute.all().count(), compute.name.as_str(), compute.is_cpu()), (2, "cpu, cpu", true));
        assert!(open_all(&"cpu,cuda:77".parse().unwrap()).is_err());
    }

    #[test]
    fn a_precision_that_the_device_lacks_is_refused() {
        let compute = Compute::cpu();
        compute.check_precision(Precision::F32).unwrap();
        for precision in [Precision::Bf16, Precision::F16] {
            let error = compute.check_precision(precision).unwrap_err().to_string();
            assert!(error.contains(precision.name()) && error.contains("f32 only"), "{error}");
        }
    }

    #[test]
    fn an_unavailable_device_is_an_error_that_lists_the_available_ones() {
        let error = open(DeviceChoice::Cuda(77)).unwrap_err().to_string();
        assert!(error.contains("cuda:77") && error.contains("cpu ("), "{error}");
    }
}
