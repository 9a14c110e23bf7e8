//! Masks and probabilities that are added to the open case.

use std::path::Path;
use std::sync::Arc;

use super::open::{file_stem, read_mask, read_probability};
use super::{Jobs, Kind, Outcome, Spec};
use crate::state::{MaskLayer, State};

/// What a file is to the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The automatic segmentation.
    Prediction,
    /// The reference.
    Truth,
    /// The network's probability.
    Probability,
}

/// Adds a file to the open case.
pub fn start(state: &mut State, jobs: &mut Jobs, role: Role, path: &Path) {
    let Some(document) = &state.document else {
        state.error("No image is open", format!("{}: open the image that it belongs to first", path.display()));
        return;
    };
    let (image, gpu) = (Arc::clone(&document.base().volume), jobs.gpu().cloned());
    let old = match role {
        Role::Prediction => document.prediction.as_ref(),
        Role::Truth => document.truth.as_ref(),
        Role::Probability => None,
    };
    let revision = old.map_or(0, |m| m.revision) + 1;
    let title = format!("Opening {}", file_stem(path));
    let spec = Spec { kind: Kind::Layer, document: Some(document.id), title, quiet: false };
    let path = path.to_path_buf();
    jobs.start(spec, move |_| {
        if role == Role::Probability {
            return Ok(Outcome::Probability(Box::new(read_probability(&path, &image)?)));
        }
        let mut warnings = Vec::new();
        let layer = MaskLayer { revision, ..read_mask(&path, &image, gpu.as_ref(), &mut warnings)? };
        Ok(Outcome::Mask { truth: role == Role::Truth, layer: Box::new(layer), warnings })
    });
}
