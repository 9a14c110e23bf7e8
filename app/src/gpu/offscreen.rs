//! Off-screen rendering with the renderer of the window.

use std::sync::mpsc;
use std::time::Duration;

use egui_wgpu::{RenderState, RendererOptions, ScreenDescriptor, WgpuSetup, wgpu};

use super::error::{caught, one_line};
use super::future::block_on;
use super::{Gpu, GpuError};

/// Timeout for a frame; software adapters are slow.
const TIMEOUT: Duration = Duration::from_mins(1);

/// An off-screen renderer.
pub struct Offscreen {
    state: RenderState,
    gpu: Gpu,
}

impl Offscreen {
    /// Opens a device without a window.
    ///
    /// # Errors
    /// No adapter or no device.
    pub fn open() -> Result<Self, GpuError> {
        let setup = WgpuSetup::CreateNew(super::setup());
        let configuration = egui_wgpu::WgpuConfiguration { wgpu_setup: setup.clone(), ..super::configuration() };
        let state = block_on(async {
            let instance = setup.new_instance().await;
            RenderState::create(&configuration, &instance, None, RendererOptions::PREDICTABLE).await
        });
        let state = state.map_err(|e| GpuError::NoAdapter(one_line(&e.to_string())))?;
        Ok(Self::of(state))
    }

    /// Uses an existing device.
    pub fn of(state: RenderState) -> Self {
        let gpu = Gpu::new(&state);
        Self { state, gpu }
    }

    /// The device, for uploads.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Applies the texture updates of a frame's output. Required for every output, drawn or not.
    pub fn take_textures(&self, output: &mut egui::FullOutput) {
        let mut renderer = self.state.renderer.write();
        for (id, deltas) in output.textures_delta.set.drain() {
            for delta in deltas {
                renderer.update_texture(&self.state.device, &self.state.queue, id, &delta);
            }
        }
        for id in output.textures_delta.free.drain() {
            renderer.free_texture(&id);
        }
    }

    /// Draws a frame's output as an image in physical pixels.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn draw(&self, ctx: &egui::Context, output: &egui::FullOutput) -> Result<egui::ColorImage, GpuError> {
        let size = ctx.content_rect().size() * output.pixels_per_point;
        let size = [size.x.round() as u32, size.y.round() as u32].map(|n| n.max(1));
        let bytes = u64::from(size[0]) * u64::from(size[1]) * 8;
        caught(&self.state.device, bytes, || {
            let texture = self.target(size);
            self.render(ctx, output, size, &texture);
            self.read(&texture, size)
        })?
    }

    fn target(&self, [width, height]: [u32; 2]) -> wgpu::Texture {
        self.state.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("offscreen"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: self.state.target_format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        })
    }

    fn render(&self, ctx: &egui::Context, output: &egui::FullOutput, size: [u32; 2], target: &wgpu::Texture) {
        let RenderState { device, queue, renderer, .. } = &self.state;
        let screen = ScreenDescriptor { size_in_pixels: size, pixels_per_point: output.pixels_per_point };
        let primitives = ctx.tessellate(output.shapes.clone(), output.pixels_per_point);
        let mut renderer = renderer.write();
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut commands = renderer.update_buffers(device, queue, &mut encoder, &primitives, &screen);
        let view = target.create_view(&wgpu::TextureViewDescriptor::default());
        let mut pass = encoder
            .begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("offscreen"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &view,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                ..wgpu::RenderPassDescriptor::default()
            })
            .forget_lifetime();
        renderer.render(&mut pass, &primitives, &screen);
        drop(pass);
        commands.push(encoder.finish());
        queue.submit(commands);
    }

    fn read(&self, texture: &wgpu::Texture, [width, height]: [u32; 2]) -> Result<egui::ColorImage, GpuError> {
        let RenderState { device, queue, .. } = &self.state;
        let refused = |why: &dyn std::fmt::Display| GpuError::Device(one_line(&why.to_string()));
        let pitch = (4 * width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("picture"),
            size: u64::from(pitch) * u64::from(height),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(pitch), rows_per_image: None };
        let into = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), into, texture.size());
        let index = queue.submit([encoder.finish()]);
        let (sender, receiver) = mpsc::channel();
        // The receiver is gone only after a timeout.
        buffer.slice(..).map_async(wgpu::MapMode::Read, move |mapped| drop(sender.send(mapped)));
        let wait = wgpu::PollType::Wait { submission_index: Some(index), timeout: Some(TIMEOUT) };
        device.poll(wait).map_err(|e| refused(&e))?;
        receiver.recv().map_err(|e| refused(&e))?.map_err(|e| refused(&e))?;
        let mapped = buffer.slice(..).get_mapped_range().map_err(|e| refused(&e))?;
        let blue_first =
            matches!(self.state.target_format, wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Bgra8UnormSrgb);
        let rows = mapped.chunks_exact(pitch as usize).map(|row| &row[..4 * width as usize]);
        let pixels = rows.flat_map(|row| row.as_chunks::<4>().0).map(|&[a, g, c, _]| {
            let [r, b] = if blue_first { [c, a] } else { [a, c] };
            egui::Color32::from_rgb(r, g, b)
        });
        Ok(egui::ColorImage::new([width as usize, height as usize], pixels.collect()))
    }
}

/// Encodes an image as PNG without alpha.
///
/// # Errors
/// Errors of the encoder, such as an empty image.
pub fn to_png(picture: &egui::ColorImage) -> Result<Vec<u8>, String> {
    let pixels: Vec<u8> = picture.pixels.iter().flat_map(|c| [c.r(), c.g(), c.b()]).collect();
    let [width, height] = picture.size.map(|n| n as u32);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&pixels)?;
        writer.finish()
    });
    written.map(|()| bytes).map_err(|e| e.to_string())
}
