//! Frames of 4-D scans, and projections.

use std::sync::Arc;

use engine::volume::{Frames, ReadOptions, Volume};

use super::open::{front_axis, layer_of};
use super::{Failure, Jobs, Kind, Outcome, Spec};
use crate::gpu::Gpu;
use crate::scene::WindowLevel;
use crate::state::layer::Projection;
use crate::state::{ImageLayer, State};

/// What is black and white in a projection, in percent: the few brightest rays do not darken the rest.
const PERCENTILES: [f64; 2] = [1.0, 99.9];

/// Shows another frame of an image.
pub fn start(state: &State, jobs: &mut Jobs, image: usize, frame: usize) {
    let Some(document) = &state.document else { return };
    let Some(layer) = document.images.get(image).cloned() else { return };
    let frame = frame.min(layer.frames() - 1);
    if frame == layer.frame {
        return;
    }
    let several = document.images.len() > 1;
    let gpu = jobs.gpu().cloned();
    let title = format!("Frame {} of {}", frame + 1, layer.frames());
    let spec = Spec { kind: Kind::Frame, document: Some(document.id), title, quiet: true };
    jobs.start(spec, move |ticket| {
        let volume = if layer.volume.frames() > 1 {
            Arc::clone(&layer.volume)
        } else {
            let options = ReadOptions { frames: Frames::One(frame), ..ReadOptions::default() };
            Arc::new(Volume::read_with(&layer.path, &options)?)
        };
        ticket.check()?;
        let mut unsaid = Vec::new();
        let fresh = layer_of(&layer.path, None, several, volume, frame, gpu.as_ref(), &mut unsaid)?;
        let (name, modality) = (layer.name.clone(), layer.modality.clone());
        // Contrast stays while frames go by.
        let layer = ImageLayer { name, modality, default_window: layer.default_window, ..fresh };
        Ok(Outcome::Frame { image, layer: Box::new(layer) })
    });
}

/// Sees through an image from the front.
pub fn projection_of(layer: &ImageLayer, gpu: Option<&Gpu>) -> Result<Projection, Failure> {
    let axis = front_axis(&layer.volume.grid);
    let volume = Arc::new(layer.volume.max_projection(layer.held_frame(), axis)?);
    let texture = match gpu {
        Some(gpu) => Some(gpu.upload(&volume, 0)?),
        None => None,
    };
    let window = volume.percentiles(0, &PERCENTILES).map(|p| WindowLevel::of_range(p[0], p[1]));
    Ok(Projection { volume, texture, window })
}

/// Makes the projection of an image in the background.
pub fn project(state: &State, jobs: &mut Jobs, image: usize) {
    let Some(document) = &state.document else { return };
    let Some(layer) = document.images.get(image).cloned() else { return };
    if layer.volume.data.is_colour() {
        return;
    }
    let gpu = jobs.gpu().cloned();
    let spec = Spec { kind: Kind::Project, document: Some(document.id), title: "Projecting".into(), quiet: true };
    jobs.start(spec, move |_| Ok(Outcome::Projected { image, projection: projection_of(&layer, gpu.as_ref())? }));
}

/// Makes the projection of the shown image if it is not there yet.
pub fn project_missing(state: &State, jobs: &mut Jobs) {
    let Some(document) = &state.document else { return };
    if document.image().projection.is_none() {
        project(state, jobs, document.shown);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use engine::volume::Grid;
    use glam::DAffine3;

    use super::*;

    /// 10 x 20 x 10 voxels that grow from front to back, so that every ray ends bright; one of them is very bright.
    fn layer(name: &str) -> ImageLayer {
        let grid = Grid::new([10, 20, 10], DAffine3::IDENTITY);
        let mut values: Vec<f32> = (0..grid.len()).map(|n| (n / 10 % 20 * 10 + n % 10) as f32).collect();
        values[7] = 9000.0;
        let volume = Arc::new(Volume::from_f32(grid, values));
        let mut layer = layer_of(Path::new(name), None, false, volume, 0, None, &mut Vec::new()).unwrap();
        layer.projection = Some(projection_of(&layer, None).unwrap());
        layer
    }

    #[test]
    fn a_projection_of_mr_has_a_window_of_its_own_that_follows() {
        let layer = layer("case_t1.nii.gz");
        let mut state = State::default();
        let slices = state.window_of(&layer);
        let own = state.projection_window_of(&layer);
        assert!(slices.low() < 20.0 && slices.high() < 200.0, "{slices:?}");
        // Rays end at 190 to 199, but for one: the window begins there and is not set by the one alone.
        assert!(own.low() >= 190.0 && own.high() > 199.0 && own.high() < 9000.0, "{own:?}");
        state.windows.insert(layer.modality.key(), WindowLevel { width: slices.width / 2.0, ..slices });
        let narrower = state.projection_window_of(&layer);
        assert!((narrower.width - own.width / 2.0).abs() < 1e-9 && narrower.level == own.level, "{narrower:?}");
    }

    #[test]
    fn a_projection_of_ct_or_pet_shares_the_slices_window() {
        for name in ["case_ct.nii.gz", "case_pet.nii.gz"] {
            let layer = layer(name);
            let state = State::default();
            assert_eq!(state.projection_window_of(&layer), state.window_of(&layer), "{name}");
        }
    }
}
