//! GPU backends of this build.

#[cfg(feature = "cuda")]
use burn::backend::DispatchDevice;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig, cache::CacheConfig};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use burn::tensor::DeviceType;

#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::DeviceKind;
use super::{Device, DeviceInfo};

type DeviceVec = Vec<(DeviceInfo, Device)>;

/// CUDA devices; none without a driver. Opens each device to query its memory.
#[cfg(feature = "cuda")]
pub(super) fn cuda() -> DeviceVec {
    let list = enumerate_safely(|| Device::enumerate(DeviceType::Cuda).into_vec());
    let numbered = list.into_iter().enumerate();
    numbered
        .map(|(i, device)| {
            let name = name_of(&device, "NVIDIA GPU");
            let memory_mib = memory_mib(&device);
            (DeviceInfo { id: format!("cuda:{i}"), name, kind: DeviceKind::Gpu, memory_mib }, device)
        })
        .collect()
}

#[cfg(not(feature = "cuda"))]
pub(super) fn cuda() -> DeviceVec {
    Vec::new()
}

/// wgpu adapters, hardware first.
#[cfg(feature = "wgpu")]
pub(super) fn wgpu() -> DeviceVec {
    use burn::tensor::DeviceKind as Adapter;
    let list = enumerate_safely(|| Device::enumerate(DeviceType::Wgpu).into_vec());
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
            // wgpu does not report device memory, only buffer limits.
            (DeviceInfo { id: format!("wgpu:{i}"), name, kind, memory_mib: None }, device)
        })
        .collect()
}

#[cfg(not(feature = "wgpu"))]
pub(super) fn wgpu() -> DeviceVec {
    Vec::new()
}

/// The device's name, if it has one.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn name_of(device: &Device, otherwise: &str) -> String {
    let debug = format!("{device:?}");
    if debug.is_empty() { otherwise.to_string() } else { format!("{otherwise} {debug}") }
}

/// Enumerates devices. A driver that panics is treated as absent.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn enumerate_safely(enumerate: impl FnOnce() -> Vec<Device>) -> Vec<Device> {
    configure_kernel_cache();
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(enumerate)).unwrap_or_default()
}

/// Caches compiled kernels and autotune results in `cubecl` in the user's cache folder, so that only the first run on a
/// device tunes them. Must run before any device is opened. An earlier configuration of the process takes precedence;
/// if the folder is not writable, kernels are tuned again in each run.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn configure_kernel_cache() {
    let mut config = CubeClRuntimeConfig::default().override_from_env();
    config.environment.path = CacheConfig::Global;
    config.compilation.cache = true;
    CubeClRuntimeConfig::try_set(config);
}

/// The device's memory, if its driver reports it. Opens the device.
#[cfg(feature = "cuda")]
fn memory_mib(device: &Device) -> Option<u64> {
    let ask = || match device.as_dispatch() {
        DispatchDevice::Cube(cube) => cube.client().properties().memory.max_memory(),
        _ => None,
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask)).ok().flatten().map(|bytes| bytes >> 20)
}
