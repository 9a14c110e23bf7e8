//! Volumes as 3-D textures.

use std::sync::Arc;
use std::time::Duration;

use bytemuck::Pod;
use engine::edit::{EditLabels, VoxelBox};
use engine::volume::{Grid, LabelData, LabelVolume, Scale, Volume, VoxelData};
use glam::DAffine3;
use rayon::prelude::*;
use shaders::{Image, Kind};

use super::error::{caught, one_line};
use super::pack::{Pack, Plan, Region, pack};
use super::{Gpu, GpuError};

/// Timeout for a chunk.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A volume on the GPU. Clones share the texture, which is freed with the last of them.
#[derive(Clone)]
pub struct Texture(Arc<Inner>);

struct Inner {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
    plan: Plan,
    kind: Kind,
    scale: Scale,
    note: Option<String>,
}

impl PartialEq for Texture {
    /// Identity, not equality of content.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Texture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { plan, kind, .. } = self.0.as_ref();
        write!(f, "Texture({:?} as {:?}, {kind:?})", plan.stored, plan.texels())
    }
}

impl Texture {
    /// Voxels along each axis of the stored volume.
    pub fn shape(&self) -> [usize; 3] {
        self.0.plan.stored
    }

    /// Kind of its texels.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// From stored values to the scan's unit.
    pub fn scale(&self) -> Scale {
        self.0.scale
    }

    /// How the texture is reduced compared with the volume, if it is.
    pub fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }

    /// Bytes of GPU memory.
    pub fn memory_bytes(&self) -> u64 {
        memory_bytes(&self.0.plan, self.0.texture.format())
    }

    /// Writes kind, scale, shape, axes and subsampling into the uniforms of an image.
    pub fn fill(&self, image: &mut Image) {
        image.kind = self.0.kind as u32;
        image.scale = [self.0.scale.slope as f32, self.0.scale.inter as f32];
        self.lay_out(image);
    }

    /// Writes shape, axes and subsampling.
    pub(super) fn lay_out(&self, image: &mut Image) {
        let Plan { stored, orientation, shift } = self.0.plan;
        image.set_layout(stored.map(|n| n as u32), orientation.axis, orientation.flip, shift);
    }

    /// Whether both have the same layout.
    pub(super) fn same_layout(&self, other: &Self) -> bool {
        self.0.plan == other.0.plan
    }

    pub(super) fn view(&self) -> &wgpu::TextureView {
        &self.0.view
    }
}

fn memory_bytes(plan: &Plan, format: wgpu::TextureFormat) -> u64 {
    let bytes = u64::from(format.block_copy_size(None).unwrap_or(4));
    plan.texels().iter().map(|&n| n as u64).product::<u64>() * bytes
}

/// Converts integers to floats: the texels, and whether any is inexact.
macro_rules! as_float {
    ($v:expr, $type:ty) => {{
        let v: &[$type] = $v;
        let inexact = v.par_iter().any(|&x| (x as f32) as i128 != x as i128);
        (v, Pack::<$type, u32>::each(|x| (x as f32).to_bits()), inexact)
    }};
}

impl Gpu {
    /// Uploads a frame of a volume in chunks. Blocks; never call it on the UI thread.
    ///
    /// 8- and 16-bit values and floats keep their bits, colours are packed, other types become 32-bit floats.
    ///
    /// # Errors
    /// Missing frame, empty grid, out of memory, lost device.
    pub fn upload(&self, volume: &Volume, frame: usize) -> Result<Texture, GpuError> {
        let (n, frames) = (volume.grid.len(), volume.frames());
        if frame >= frames {
            return Err(GpuError::NoFrame { frame, frames });
        }
        let new = TextureBuilder { gpu: self, grid: &volume.grid, scale: volume.scale };
        let all = frame * n..frame * n + n;
        match &volume.data {
            VoxelData::U8(v) => new.place(Kind::Unsigned, &v[all], &Pack::AS_IS, None),
            VoxelData::I8(v) => new.place(Kind::Signed8, bytemuck::cast_slice::<i8, u8>(&v[all]), &Pack::AS_IS, None),
            VoxelData::U16(v) => new.place(Kind::Unsigned, &v[all], &Pack::AS_IS, None),
            VoxelData::I16(v) => {
                new.place(Kind::Signed16, bytemuck::cast_slice::<i16, u16>(&v[all]), &Pack::AS_IS, None)
            }
            VoxelData::F32(v) => new.place(Kind::Float, bytemuck::cast_slice::<f32, u32>(&v[all]), &Pack::AS_IS, None),
            VoxelData::U32(v) => new.place_as_float(as_float!(&v[all], u32)),
            VoxelData::I32(v) => new.place_as_float(as_float!(&v[all], i32)),
            VoxelData::U64(v) => new.place_as_float(as_float!(&v[all], u64)),
            VoxelData::I64(v) => new.place_as_float(as_float!(&v[all], i64)),
            VoxelData::F64(v) => {
                let inexact = v[all.clone()].par_iter().any(|&x| x.is_finite() && f64::from(x as f32) != x);
                new.place_as_float((&v[all], Pack::each(|x| (x as f32).to_bits()), inexact))
            }
            VoxelData::Rgb(v) => {
                let packed = Pack::each(|[r, g, b]: [u8; 3]| u32::from_le_bytes([r, g, b, 255]));
                new.place(Kind::Rgba, &v[all], &packed, None)
            }
            VoxelData::Rgba(v) => new.place(Kind::Rgba, &v[all], &Pack::each(u32::from_le_bytes), None),
        }
    }

    /// Uploads labels. Blocks; never call it on the UI thread.
    ///
    /// # Errors
    /// Empty grid, out of memory, lost device.
    pub fn upload_labels(&self, labels: &LabelVolume) -> Result<Texture, GpuError> {
        let new = TextureBuilder { gpu: self, grid: &labels.grid, scale: Scale::IDENTITY };
        match &labels.data {
            LabelData::U8(v) => new.place(Kind::Unsigned, v, &Pack::AS_IS, None),
            LabelData::U16(v) => new.place(Kind::Unsigned, v, &Pack::AS_IS, None),
        }
    }

    /// Uploads the cells of a `grid` x `grid` patch grid ([`shaders::Cell::bits`], patches along A fastest). Small enough
    /// for any thread.
    ///
    /// # Errors
    /// Not `grid * grid` patches, none, out of memory, lost device.
    pub fn upload_cells(&self, grid: usize, cells: &[u32]) -> Result<Texture, GpuError> {
        if grid.checked_mul(grid) != Some(cells.len()) {
            let expected = [grid, grid, 1];
            return Err(GpuError::Misfit { what: "a patch grid", labels: [cells.len(), 1, 1], expected });
        }
        // The pane positions the patches.
        let plane = Grid::new([grid, grid, 1], DAffine3::IDENTITY);
        let new = TextureBuilder { gpu: self, grid: &plane, scale: Scale::IDENTITY };
        new.place(Kind::Unsigned, cells, &Pack::AS_IS, None)
    }

    /// Updates the labels of a box of stored voxels in their texture. A small box takes microseconds.
    ///
    /// # Errors
    /// Labels of another shape, labels above 255 in an 8-bit texture (upload a new one), a box outside the grid, lost
    /// device.
    pub fn update_labels(&self, texture: &Texture, labels: &EditLabels, changed: &VoxelBox) -> Result<(), GpuError> {
        let plan = texture.0.plan;
        let misfit = |what| GpuError::Misfit { what, labels: labels.shape(), expected: plan.stored };
        if labels.shape() != plan.stored || labels.grid().orientation() != plan.orientation {
            return Err(misfit("a texture"));
        }
        if (0..3).any(|a| changed.min[a] > changed.max[a] || changed.max[a] >= plan.stored[a]) {
            return Err(misfit("a box beyond the end"));
        }
        let target = &texture.0.texture;
        match target.format() {
            wgpu::TextureFormat::R8Uint => {
                self.write_box(target, &plan, labels, changed, |label| u8::try_from(label).map_err(|_| GpuError::Wide))
            }
            wgpu::TextureFormat::R16Uint => self.write_box(target, &plan, labels, changed, Ok),
            _ => Err(misfit("the texture of an image")),
        }
    }

    fn write_box<T: Pod>(
        &self,
        texture: &wgpu::Texture,
        plan: &Plan,
        labels: &EditLabels,
        changed: &VoxelBox,
        texel: impl Fn(u16) -> Result<T, GpuError>,
    ) -> Result<(), GpuError> {
        self.in_blocks::<T>(texture, plan, plan.region_of(changed), |block| {
            let read = plan.voxels_of(block);
            let (voxels, shape) = (labels.copy_box(&read), read.shape());
            let texels: Result<Vec<T>, GpuError> = plan
                .within(block, &read)
                .map(|at| texel(voxels[at[0] + shape[0] * (at[1] + shape[1] * at[2])]))
                .collect();
            self.write_block(texture, block, &texels?);
            Ok(())
        })
    }

    /// Writes a box of texels, and waits for all but the last chunk.
    fn write<S: Copy, T: Pod>(
        &self,
        texture: &wgpu::Texture,
        plan: &Plan,
        region: Region,
        stored: &[S],
        how: &Pack<S, T>,
    ) -> Result<(), GpuError> {
        let mut buffer = Vec::new();
        self.in_blocks::<T>(texture, plan, region, |block| {
            self.write_block(texture, block, pack(plan, block, stored, how, &mut buffer));
            Ok(())
        })
    }

    /// Writes a region chunk by chunk; at most two are in flight.
    fn in_blocks<T>(
        &self,
        texture: &wgpu::Texture,
        plan: &Plan,
        region: Region,
        mut write: impl FnMut(Region) -> Result<(), GpuError>,
    ) -> Result<(), GpuError> {
        if region.is_empty() {
            return Ok(());
        }
        let bytes = memory_bytes(plan, texture.format());
        caught(&self.device, bytes, || {
            let mut last = None;
            for block in region.blocks(size_of::<T>()) {
                write(block)?;
                let sent = self.queue.submit(std::iter::empty());
                if let Some(before) = last.replace(sent) {
                    let wait = wgpu::PollType::Wait { submission_index: Some(before), timeout: Some(TIMEOUT) };
                    self.device.poll(wait).map_err(|e| GpuError::Device(one_line(&e.to_string())))?;
                }
                if let Some(lost) = self.lost() {
                    return Err(GpuError::Device(lost));
                }
            }
            Ok(())
        })?
    }

    fn write_block<T: Pod>(&self, texture: &wgpu::Texture, Region { first, size }: Region, texels: &[T]) {
        let [width, height, depth] = size.map(|n| n as u32);
        let [x, y, z] = first.map(|n| n as u32);
        let target = wgpu::TexelCopyTextureInfo {
            texture,
            mip_level: 0,
            origin: wgpu::Origin3d { x, y, z },
            aspect: wgpu::TextureAspect::All,
        };
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(width * size_of::<T>() as u32),
            rows_per_image: Some(height),
        };
        let extent = wgpu::Extent3d { width, height, depth_or_array_layers: depth };
        self.queue.write_texture(target, bytemuck::cast_slice(texels), layout, extent);
    }
}

/// Description of a texture.
struct TextureBuilder<'a> {
    gpu: &'a Gpu,
    grid: &'a Grid,
    scale: Scale,
}

impl TextureBuilder<'_> {
    fn place_as_float<S: Copy>(&self, (stored, how, inexact): (&[S], Pack<S, u32>, bool)) -> Result<Texture, GpuError> {
        let note = "drawn as 32-bit floats, to about seven digits; the readout shows the stored values";
        self.place(Kind::Float, stored, &how, inexact.then_some(note))
    }

    fn place<S: Copy, T: Pod>(
        &self,
        kind: Kind,
        stored: &[S],
        how: &Pack<S, T>,
        note: Option<&str>,
    ) -> Result<Texture, GpuError> {
        let shape = self.grid.shape;
        if shape.iter().any(|&n| n == 0 || u32::try_from(n).is_err()) {
            return Err(GpuError::Shape(shape));
        }
        let longest = self.gpu.device.limits().max_texture_dimension_3d as usize;
        let plan = Plan::new(shape, self.grid.orientation(), longest);
        let format = match size_of::<T>() {
            1 => wgpu::TextureFormat::R8Uint,
            2 => wgpu::TextureFormat::R16Uint,
            _ => wgpu::TextureFormat::R32Uint,
        };
        let (texture, view) = self.create(&plan, format)?;
        self.gpu.write(&texture, &plan, plan.everything(), stored, how)?;
        let notes: Vec<String> = plan.note(longest).into_iter().chain(note.map(str::to_owned)).collect();
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        Ok(Texture(Arc::new(Inner { texture, view, plan, kind, scale: self.scale, note })))
    }

    fn create(&self, plan: &Plan, format: wgpu::TextureFormat) -> Result<(wgpu::Texture, wgpu::TextureView), GpuError> {
        let [width, height, depth_or_array_layers] = plan.texels().map(|n| n as u32);
        if let Some(lost) = self.gpu.lost() {
            return Err(GpuError::Device(lost));
        }
        caught(&self.gpu.device, memory_bytes(plan, format), || {
            let texture = self.gpu.device.create_texture(&wgpu::TextureDescriptor {
                label: Some("volume"),
                size: wgpu::Extent3d { width, height, depth_or_array_layers },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D3,
                format,
                usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
                view_formats: &[],
            });
            let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
            (texture, view)
        })
    }
}
