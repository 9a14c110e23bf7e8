//! Loads a pinned slice that is not trained on from its patient's files.

use super::Pin;
use crate::cohort::Cohort;
use crate::config::Config;
use crate::preprocess::{SliceData, prepare_case};
use crate::{Error, Result};

/// Preprocesses a pinned slice with the run's settings: its crop without a shift, and the crop's transform (voxel to world mm,
/// row by row). Its mask is read only to be drawn, never to be trained on.
///
/// # Errors
/// A patient or slice that the cohort does not have; a scan that cannot be preprocessed.
pub(crate) fn load(cohort: &Cohort, config: &Config, pin: &Pin, with_label: bool) -> Result<(SliceData, [f64; 16])> {
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
    let tissue = prepared.tissue_frame(k, origin, [size, size]);
    Ok((SliceData { pixels, target, tissue }, prepared.plan.crop_affine()))
}
