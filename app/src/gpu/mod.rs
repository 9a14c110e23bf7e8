//! The graphics card: volumes as 3-D textures, and panes that slice them with the shaders. Only this room names wgpu.
//!
//! [`Gpu`] is cloned into worker threads, where it uploads; [`paint()`] adds a pane to a frame. Whatever the card refuses
//! comes back as a [`GpuError`]; what happens to it behind our back is told by [`Gpu::lost`].

mod error;
pub mod offscreen;
mod pack;
mod paint;
mod pipeline;
mod texture;

use std::sync::{Arc, OnceLock};

use egui_wgpu::{RenderState, WgpuConfiguration, WgpuSetup, WgpuSetupCreateNew};

pub use error::GpuError;
pub use paint::{PatchPaint, SlicePaint, paint, pane_in_pixels};
pub use texture::{Part, Texture};

/// The device, shared with the window that draws. Cheap to clone, usable from every thread.
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
    /// Compiles the shaders for a window's device and leaves them with its renderer, where [`paint()`] finds them.
    /// The window must have neither multisampling nor a depth buffer.
    pub fn new(state: &RenderState) -> Self {
        let lost = Arc::new(OnceLock::new());
        let (by_loss, by_error) = (Arc::clone(&lost), Arc::clone(&lost));
        state.device.set_device_lost_callback(move |reason, message| {
            // Only the first of them is told: the others follow from it.
            let _ = by_loss.set(format!("the graphics device was lost ({reason:?}): {}", error::one_line(&message)));
        });
        // By default an error that nobody catches ends the program, with unsaved work in it.
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

    /// Name of the adapter and of the interface it is used through.
    pub fn adapter_name(&self) -> String {
        format!("{} ({})", self.info.name, self.info.backend)
    }

    /// True if the adapter draws on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// What happened to the device, if it can no longer be used; one sentence.
    pub fn lost(&self) -> Option<String> {
        self.lost.get().cloned()
    }
}

/// How to set up the window's device: as usual, but with 3-D textures as long as the adapter can hold them.
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
