//! Loads a pinned slice that is not trained on from its patient's files.

use super::Pin;
use crate::cohort::Cohort;
use crate::config::Config;
use crate::preprocess::prepare_case;
use crate::{Error, Result};

/// The training crop of one slice, without a shift.
pub(crate) struct Source {
    /// `[C][S][S]`.
    pub pixels: Vec<f32>,
    /// Bit r of a byte is set if the pixel is in region r, `[S][S]`; `None` without a label.
    pub target: Option<Vec<u8>>,
    /// True for tissue, `[S][S]`.
    pub tissue: Vec<bool>,
    /// Maps crop voxel (i, j, k) to world mm, row by row.
    pub world_from_crop: [f64; 16],
}

/// Preprocesses a pinned slice with the run's settings. Its mask is read only to be drawn, never to be trained on.
///
/// # Errors
/// A patient or slice that the cohort does not have; a scan that cannot be preprocessed.
pub(crate) fn load(cohort: &Cohort, config: &Config, pin: &Pin, with_label: bool) -> Result<Source> {
    let Some(case) = cohort.case(&pin.case) else {
        return Err(Error::config("patient", &pin.case, "it is not in the cohort"));
    };
    let d = &config.data;
    let prepared = prepare_case(case, &d.modality, with_label, &d.targets, &config.preprocess, config.seed)?;
    let (k, slices) = (pin.slice as usize, prepared.shape[2]);
    if k >= slices {
        return Err(Error::config("slice", k, format!("{} has {slices} prepared slices", pin.case)));
    }
    let (origin, size) = (prepared.plan.crop_origin(), config.preprocess.size);
    let (pixels, target) = prepared.window(k, origin, size);
    Ok(Source {
        pixels,
        target,
        tissue: prepared.tissue_frame(k, origin, [size, size]),
        world_from_crop: prepared.plan.crop_affine(),
    })
}
