//! Panes as paint callbacks.

use std::sync::{Mutex, PoisonError};

use egui_wgpu::{Callback, CallbackResources, CallbackTrait, ScreenDescriptor};
use shaders::{Image, Layers, PatchShow, Patches, Slice};

use super::pipeline::{PaneBinding, Panes};
use super::{GpuError, Texture};

/// Input of a pane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlicePaint {
    /// The image.
    pub base: Option<Texture>,
    /// A second image over it, on any grid.
    pub fused: Option<Texture>,
    /// Segmentation on the grid of the base.
    pub labels: Option<Texture>,
    /// Reference on the grid of the base.
    pub truth: Option<Texture>,
    /// Patch grid on top.
    pub patches: Option<PatchPaint>,
    /// Rows, windows, colour maps, interpolation, opacities and label modes. [`paint`] fills in the fields of textures
    /// (shape, kind, axes, scale, layers) and pane (origin, pixels per point, target), and the uniforms of
    /// [`SlicePaint::patches`].
    pub uniforms: Slice,
}

/// The patch grid of a pane.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchPaint {
    /// States of the patches, from [`super::Gpu::upload_cells`]. Without them only lines, frame and padding are drawn.
    pub cells: Option<Texture>,
    /// Position and layers of the grid, and the number of patches if there is no texture.
    pub uniforms: Patches,
}

impl PatchPaint {
    /// The uniforms completed from the texture.
    ///
    /// # Errors
    /// A texture that is not a square patch grid.
    fn complete(&self) -> Result<Patches, GpuError> {
        let mut patches = self.uniforms;
        match self.cells.as_ref().map(Texture::shape) {
            None => {
                patches.grid = patches.grid.max(1);
                patches.show &= PatchShow::WITHOUT_CELLS.bits();
            }
            Some([n, m, 1]) if n == m => patches.grid = n as u32,
            Some(labels) => {
                return Err(GpuError::Misfit { what: "a patch grid", labels, expected: [labels[0], labels[0], 1] });
            }
        }
        Ok(patches)
    }
}

impl SlicePaint {
    /// The uniforms completed from the textures.
    ///
    /// # Errors
    /// Segmentation or reference on a grid other than the base's, or a patch grid that is not square.
    pub fn complete(&self) -> Result<Slice, GpuError> {
        let mut slice = self.uniforms;
        fill(&mut slice.base, self.base.as_ref());
        fill(&mut slice.fused, self.fused.as_ref());
        // Without a base the labels define the grid.
        let below = self.base.as_ref().or(self.labels.as_ref()).or(self.truth.as_ref());
        for mask in [&self.labels, &self.truth].into_iter().flatten() {
            match below {
                Some(below) if !below.same_layout(mask) => {
                    let (labels, expected) = (mask.shape(), below.shape());
                    return Err(GpuError::Misfit { what: "an image", labels, expected });
                }
                _ => mask.lay_out(&mut slice.base),
            }
        }
        slice.layers = Layers::of(self.labels.is_some(), self.truth.is_some()) as u32;
        slice.patches = self.patches.as_ref().map_or_else(|| Ok(Patches::default()), PatchPaint::complete)?;
        Ok(slice)
    }
}

fn fill(image: &mut Image, texture: Option<&Texture>) {
    match texture {
        Some(texture) => texture.fill(image),
        None => image.kind = shaders::Kind::None as u32,
    }
}

/// Top left corner, width and height of a pane in pixels of the frame. [`Image::rows`] counts from that corner.
pub fn pane_in_pixels(rect: egui::Rect, pixels_per_point: f32) -> ([i32; 2], [u32; 2]) {
    let [left, top, right, bottom] =
        [rect.min.x, rect.min.y, rect.max.x, rect.max.y].map(|v| (pixels_per_point * v).round() as i32);
    ([left, top], [right.saturating_sub(left).max(0) as u32, bottom.saturating_sub(top).max(0) as u32])
}

/// Adds a pane to the frame.
///
/// # Errors
/// Errors of [`SlicePaint::complete`]; nothing is added then.
pub fn paint(painter: &egui::Painter, rect: egui::Rect, paint: SlicePaint) -> Result<(), GpuError> {
    let slice = paint.complete()?;
    let pane = Pane { slice, paint, rect, bound: Mutex::new(None) };
    painter.add(Callback::new_paint_callback(rect, pane));
    Ok(())
}

struct Pane {
    slice: Slice,
    /// Keeps the textures alive until the frame is drawn.
    paint: SlicePaint,
    rect: egui::Rect,
    /// Dropped with the frame, so that it does not keep closed volumes alive.
    bound: Mutex<Option<PaneBinding>>,
}

impl CallbackTrait for Pane {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let Some(panes) = resources.get_mut::<Panes>() else {
            tracing::error!("a pane cannot be drawn: its renderer was not given the shaders");
            return Vec::new();
        };
        let (origin, _) = pane_in_pixels(self.rect, screen.pixels_per_point);
        let slice = Slice { origin: origin.map(|v| v as f32), pixels_per_point: screen.pixels_per_point, ..self.slice };
        let SlicePaint { base, fused, labels, truth, patches, .. } = &self.paint;
        let cells = patches.as_ref().and_then(|patches| patches.cells.as_ref());
        let [base, fused, labels, truth] = [base, fused, labels, truth].map(Option::as_ref);
        let views = [base, fused, labels, truth, cells].map(|texture| texture.map(Texture::view));
        let bound = panes.bind(device, queue, slice, views);
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = Some(bound);
        Vec::new()
    }

    fn finish_prepare(
        &self,
        _device: &wgpu::Device,
        _queue: &wgpu::Queue,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(panes) = resources.get::<Panes>() {
            panes.end_frame();
        }
        Vec::new()
    }

    fn paint(
        &self,
        _info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        _resources: &CallbackResources,
    ) {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bound) = bound.as_ref() {
            bound.draw(pass);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pane_covers_whole_pixels() {
        let rect = egui::Rect::from_min_max(egui::pos2(10.3, -4.0), egui::pos2(20.2, 0.4));
        assert_eq!(pane_in_pixels(rect, 1.0), ([10, -4], [10, 4]));
        assert_eq!(pane_in_pixels(rect, 2.0), ([21, -8], [19, 9]));
        assert_eq!(pane_in_pixels(egui::Rect::NOTHING, 1.0).1, [0, 0]);
    }

    #[test]
    fn an_empty_pane_has_no_image_and_no_layers() {
        let slice = SlicePaint::default().complete().unwrap();
        assert_eq!((slice.base.kind, slice.fused.kind, slice.layers, slice.patches.show), (0, 0, 0, 0));
    }

    #[test]
    fn a_grid_without_cells_has_lines_and_frame_only() {
        let show = PatchShow::GRID | PatchShow::CATEGORIES | PatchShow::BLANK | PatchShow::FRAME;
        let uniforms = Patches { grid: 16, show: show.bits(), ..Patches::default() };
        let paint = SlicePaint { patches: Some(PatchPaint { cells: None, uniforms }), ..SlicePaint::default() };
        let patches = paint.complete().unwrap().patches;
        assert_eq!((patches.grid, patches.show), (16, (PatchShow::GRID | PatchShow::FRAME).bits()));
    }

    #[test]
    fn patch_colours_are_those_of_the_reports() {
        use engine::draw::colour;
        assert_eq!(shaders::colour::TRUE_POSITIVE, colour::TRUE_POSITIVE);
        assert_eq!(shaders::colour::FALSE_POSITIVE, colour::FALSE_POSITIVE);
        assert_eq!(shaders::colour::FALSE_NEGATIVE, colour::FALSE_NEGATIVE);
        assert_eq!(shaders::colour::PATCH_LESION, colour::LESION);
        assert_eq!(shaders::colour::PATCH_BACKGROUND, colour::BACKGROUND);
        assert_eq!(shaders::colour::PATCH_FLIP, colour::FLIP);
        assert_eq!(shaders::colour::INK, colour::INK);
        assert_eq!(shaders::colour::PADDING, colour::FAINT);
        assert!((shaders::colour::PATCH_FILL - colour::PATCH_FILL).abs() < f32::EPSILON);
    }
}
