//! Rendering: volumes as 3-D textures, and panes that slice them in shaders. Only this module names wgpu.
//!
//! [`Gpu`] is cloned into worker threads for uploads; [`paint()`] adds a pane to a frame. Failed calls return a
//! [`GpuError`]; [`Gpu::lost`] reports a lost device.

mod error;
mod future;
pub mod offscreen;
mod pack;
mod paint;
mod pipeline;
mod texture;

use std::sync::{Arc, OnceLock};

use egui_wgpu::{RenderState, WgpuConfiguration, WgpuSetup, WgpuSetupCreateNew};

pub use error::GpuError;
pub use paint::{PatchPaint, SlicePaint, paint, pane_in_pixels};
pub use texture::Texture;

/// The device of the window. Cheap to clone, usable from every thread.
#[derive(Clone)]
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: Arc<wgpu::AdapterInfo>,
    lost: Arc<OnceLock<String>>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({})", self.adapter_name())
    }
}

impl Gpu {
    /// Compiles the shaders for a window's device and stores them in its renderer for [`paint()`]. The window must have
    /// neither multisampling nor a depth buffer.
    pub fn new(state: &RenderState) -> Self {
        let lost = Arc::new(OnceLock::new());
        let (by_loss, by_error) = (Arc::clone(&lost), Arc::clone(&lost));
        state.device.set_device_lost_callback(move |reason, message| {
            // Only the first error is kept; later ones follow from it.
            let _ = by_loss.set(format!("the graphics device was lost ({reason:?}): {}", error::one_line(&message)));
        });
        // The default handler panics, which would lose unsaved work.
        state.device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let text = error::one_line(&error.to_string());
            tracing::error!("graphics: {text}");
            let _ = by_error.set(format!("drawing failed: {text}"));
        }));
        let panes = pipeline::Panes::new(&state.device, state.target_format);
        state.renderer.write().callback_resources.insert(panes);
        Self {
            device: state.device.clone(),
            queue: state.queue.clone(),
            info: Arc::new(state.adapter.get_info()),
            lost,
        }
    }

    /// Name of the adapter and its graphics API.
    pub fn adapter_name(&self) -> String {
        format!("{} ({})", self.info.name, self.info.backend)
    }

    /// Whether the adapter renders on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// Why the device can no longer be used, if it is lost.
    pub fn lost(&self) -> Option<String> {
        self.lost.get().cloned()
    }
}

/// Device setup of the window, with the largest 3-D textures that the adapter supports.
pub fn configuration() -> WgpuConfiguration {
    WgpuConfiguration { wgpu_setup: WgpuSetup::CreateNew(setup()), ..WgpuConfiguration::default() }
}

fn setup() -> WgpuSetupCreateNew {
    let mut setup = WgpuSetupCreateNew::without_display_handle();
    let usual = Arc::clone(&setup.device_descriptor);
    setup.device_descriptor = Arc::new(move |adapter| {
        let mut descriptor = usual(adapter);
        descriptor.required_limits.max_texture_dimension_3d = adapter.limits().max_texture_dimension_3d;
        descriptor
    });
    setup
}
