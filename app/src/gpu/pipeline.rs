//! Render pipelines and uniform buffers of panes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use shaders::{Parts, Slice};

/// Shared by all panes of a renderer, stored in its callback resources.
pub(super) struct Panes {
    module: wgpu::ShaderModule,
    layout: wgpu::BindGroupLayout,
    pipeline_layout: wgpu::PipelineLayout,
    target: wgpu::TextureFormat,
    /// One per combination of layers, created on demand.
    pipelines: HashMap<Parts, wgpu::RenderPipeline>,
    /// Bound in place of absent textures.
    nothing: wgpu::TextureView,
    /// One per pane of the largest frame so far.
    parameters: Vec<wgpu::Buffer>,
    used: AtomicUsize,
}

/// A pane of this frame, ready to draw.
pub(super) struct PaneBinding {
    pipeline: wgpu::RenderPipeline,
    group: wgpu::BindGroup,
}

impl PaneBinding {
    pub fn draw(&self, pass: &mut wgpu::RenderPass<'static>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.draw(0..3, 0..1);
    }
}

impl Panes {
    pub fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        let layout = bind_group_layout(device);
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("pane"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("slice"),
            source: wgpu::ShaderSource::Wgsl(shaders::SLICE_WGSL.into()),
        });
        let mut panes = Self {
            module,
            layout,
            pipeline_layout,
            target,
            pipelines: HashMap::new(),
            nothing: nothing(device),
            parameters: Vec::new(),
            used: AtomicUsize::new(0),
        };
        // Detects unsupported shaders at start.
        panes.pipeline(device, Parts::of(&Slice::default()));
        panes
    }

    /// The pipeline for these layers, created on demand.
    fn pipeline(&mut self, device: &wgpu::Device, parts: Parts) -> wgpu::RenderPipeline {
        if let Some(pipeline) = self.pipelines.get(&parts) {
            return pipeline.clone();
        }
        let pipeline = self.make(device, parts);
        self.pipelines.insert(parts, pipeline.clone());
        pipeline
    }

    fn make(&self, device: &wgpu::Device, parts: Parts) -> wgpu::RenderPipeline {
        let constants = parts.constants();
        device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("pane"),
            layout: Some(&self.pipeline_layout),
            vertex: wgpu::VertexState {
                module: &self.module,
                entry_point: Some("vs_main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &self.module,
                entry_point: Some("fs_main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    ..wgpu::PipelineCompilationOptions::default()
                },
                // Opaque.
                targets: &[Some(wgpu::ColorTargetState {
                    format: self.target,
                    blend: None,
                    write_mask: wgpu::ColorWrites::ALL,
                })],
            }),
            multiview_mask: None,
            cache: None,
        })
    }

    /// Fills the next buffer of this frame and binds it with the textures.
    pub fn bind(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        mut slice: Slice,
        textures: [Option<&wgpu::TextureView>; 5],
    ) -> PaneBinding {
        slice.srgb_target = u32::from(self.target.is_srgb());
        let pipeline = self.pipeline(device, Parts::of(&slice));
        let at = self.used.fetch_add(1, Ordering::Relaxed);
        while self.parameters.len() <= at {
            self.parameters.push(parameter_buffer(device));
        }
        let buffer = &self.parameters[at];
        queue.write_buffer(buffer, 0, bytemuck::bytes_of(&slice));
        let parameters = wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() };
        let [base, fused, labels, truth, cells] = textures.map(|view| view.unwrap_or(&self.nothing));
        let view = |binding, view| wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::TextureView(view) };
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("pane"),
            layout: &self.layout,
            entries: &[parameters, view(1, base), view(2, fused), view(3, labels), view(4, truth), view(5, cells)],
        });
        PaneBinding { pipeline, group }
    }

    /// Reuses the buffers from the first one in the next frame.
    pub fn end_frame(&self) {
        self.used.store(0, Ordering::Relaxed);
    }
}

fn bind_group_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let parameters = wgpu::BindingType::Buffer {
        ty: wgpu::BufferBindingType::Storage { read_only: true },
        has_dynamic_offset: false,
        min_binding_size: std::num::NonZeroU64::new(size_of::<Slice>() as u64),
    };
    let texture = wgpu::BindingType::Texture {
        sample_type: wgpu::TextureSampleType::Uint,
        view_dimension: wgpu::TextureViewDimension::D3,
        multisampled: false,
    };
    let entries = [parameters, texture, texture, texture, texture, texture];
    let mut binding = 0;
    let entries = entries.map(|ty| {
        let entry = wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::FRAGMENT, ty, count: None };
        binding += 1;
        entry
    });
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some("pane"), entries: &entries })
}

fn parameter_buffer(device: &wgpu::Device) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("pane"),
        size: size_of::<Slice>() as u64,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// A texture with a single 0.
fn nothing(device: &wgpu::Device) -> wgpu::TextureView {
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("no volume"),
        size: wgpu::Extent3d { width: 1, height: 1, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D3,
        format: wgpu::TextureFormat::R8Uint,
        usage: wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    });
    texture.create_view(&wgpu::TextureViewDescriptor::default())
}
