//! Panes as paint callbacks.

use std::sync::{Mutex, PoisonError};

use egui_wgpu::{Callback, CallbackResources, CallbackTrait, ScreenDescriptor};
use shaders::{Image, Layers, Slice};

use super::pipeline::Panes;
use super::{GpuError, Texture};

/// What a pane shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlicePaint {
    /// The image.
    pub base: Option<Texture>,
    /// Another image over it, on any grid.
    pub fused: Option<Texture>,
    /// Labels on the base's grid.
    pub labels: Option<Texture>,
    /// True labels on the base's grid.
    pub truth: Option<Texture>,
    /// How to draw them. What follows from the textures (shape, kind, axes, scale, layers) and from the pane (origin,
    /// pixels per point, kind of target) is filled in by [`paint`]; the rest is the view's: rows, windows, colour maps,
    /// interpolation, opacities, labels.
    pub uniforms: Slice,
}

impl SlicePaint {
    /// The uniforms with everything that follows from the textures.
    ///
    /// # Errors
    /// Labels or a truth on another grid than the base's.
    pub fn complete(&self) -> Result<Slice, GpuError> {
        let mut slice = self.uniforms;
        fill(&mut slice.base, self.base.as_ref());
        fill(&mut slice.fused, self.fused.as_ref());
        // Labels alone: their grid is the pane's.
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
        Ok(slice)
    }
}

fn fill(image: &mut Image, texture: Option<&Texture>) {
    match texture {
        Some(texture) => texture.fill(image),
        None => image.kind = shaders::Kind::None as u32,
    }
}

/// The pixels that a pane covers: its top left corner in the frame, and its width and height. [`Image::rows`] counts
/// pixels from that corner.
pub fn pane_in_pixels(rect: egui::Rect, pixels_per_point: f32) -> ([i32; 2], [u32; 2]) {
    let [left, top, right, bottom] =
        [rect.min.x, rect.min.y, rect.max.x, rect.max.y].map(|v| (pixels_per_point * v).round() as i32);
    ([left, top], [right.saturating_sub(left).max(0) as u32, bottom.saturating_sub(top).max(0) as u32])
}

/// Adds a pane to the frame.
///
/// # Errors
/// Labels or a truth on another grid than the base's; nothing is added then.
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
    /// Belongs to the frame and ends with it: kept anywhere else it would hold on to closed volumes.
    bound: Mutex<Option<wgpu::BindGroup>>,
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
        let SlicePaint { base, fused, labels, truth, .. } = &self.paint;
        let views = [base, fused, labels, truth].map(|texture| texture.as_ref().map(Texture::view));
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
        resources: &CallbackResources,
    ) {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(panes), Some(bound)) = (resources.get::<Panes>(), bound.as_ref()) {
            panes.draw(pass, bound);
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
    fn nothing_to_draw_is_no_image_and_no_layer() {
        let slice = SlicePaint::default().complete().unwrap();
        assert_eq!((slice.base.kind, slice.fused.kind, slice.layers), (0, 0, 0));
    }

    #[test]
    fn colours_are_the_reports_own() {
        use engine::draw::colour;
        assert_eq!(shaders::colour::TRUE_POSITIVE, colour::TRUE_POSITIVE);
        assert_eq!(shaders::colour::FALSE_POSITIVE, colour::FALSE_POSITIVE);
        assert_eq!(shaders::colour::FALSE_NEGATIVE, colour::FALSE_NEGATIVE);
    }
}
