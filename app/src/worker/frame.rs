//! Frames of 4-D scans, and projections.

use std::sync::Arc;

use engine::volume::{Frames, ReadOptions, Volume};

use super::open::{front_axis, layer_of};
use super::{Failure, Jobs, Kind, Outcome, Spec};
use crate::gpu::Gpu;
use crate::state::layer::Projection;
use crate::state::{ImageLayer, State};

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
    Ok(Projection { volume, texture })
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
