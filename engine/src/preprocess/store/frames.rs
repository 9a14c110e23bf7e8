//! Loads the training slices of one case, from its files or from the cache.

use super::spill::{Frame, TISSUE};
use super::{CaseMeta, LabelUse, SliceFilter, SliceMeta, StoreOptions, cache};
use crate::Result;
use crate::cohort::Case;
use crate::preprocess::case::prepare_case;
use crate::preprocess::prepare::PreparedCase;

/// The training slices of one case. `meta.first` and `metas[..].case` are set when it joins the store.
pub(super) struct CaseFrames {
    pub meta: CaseMeta,
    pub metas: Vec<SliceMeta>,
    pub frames: Vec<Frame>,
    /// Why the case's existing label was not read.
    pub mask_left_out: Option<String>,
}

/// The training slices of a case, from the cache if possible.
pub(super) fn load_or_prepare_frames(case: &Case, options: &StoreOptions) -> Result<CaseFrames> {
    if let Some(folder) = &options.cache {
        let key = cache::key(case, options)?;
        if let Some(found) = cache::load(folder, &key, options) {
            return Ok(found);
        }
        let prepared = prepare_frames(case, options)?;
        // If cached, the case would later count as one without a label, without a warning.
        if prepared.mask_left_out.is_none()
            && let Err(error) = cache::save(folder, &key, &prepared)
        {
            tracing::warn!(case = case.id, "cannot cache the prepared case: {error}");
        }
        return Ok(prepared);
    }
    prepare_frames(case, options)
}

fn prepare_frames(case: &Case, options: &StoreOptions) -> Result<CaseFrames> {
    let StoreOptions { modalities, labels, targets, config, seed, .. } = options;
    let prepare = |with_label| prepare_case(case, modalities, with_label, targets, config, *seed);
    let mut mask_left_out = None;
    let prepared = match prepare(*labels != LabelUse::None) {
        // The error may come from an image. Then it occurs again.
        Err(error) if *labels == LabelUse::Optional && !case.masks.is_empty() => {
            mask_left_out = Some(error.to_string());
            prepare(false)?
        }
        prepared => prepared?,
    };
    Ok(CaseFrames { mask_left_out, ..cut_frames(&case.id, &prepared, options) })
}

/// Cuts the training frames out of a prepared case.
fn cut_frames(id: &str, prepared: &PreparedCase, options: &StoreOptions) -> CaseFrames {
    let (size, margin) = (options.config.size, options.margin);
    let side = size + 2 * margin;
    let origin = prepared.plan.crop_origin().map(|o| o - margin as i64);
    let rows = margin * side..(margin + size) * side;
    let (mut metas, mut frames) = (Vec::new(), Vec::new());
    for k in 0..prepared.shape[2] {
        let tissue = prepared.tissue_frame(k, origin, [side, side]);
        let central = tissue[rows.clone()].chunks(side).flat_map(|row| &row[margin..margin + size]);
        let tissue_pixels = central.filter(|t| **t).count() as u32;
        if options.keep == SliceFilter::NonZero && tissue_pixels == 0 {
            continue;
        }
        let (pixels, target) = prepared.window(k, origin, side);
        let mut flags = target.unwrap_or_else(|| vec![0; side * side]);
        let central = flags[rows.clone()].chunks(side).flat_map(|row| &row[margin..margin + size]);
        let lesion_pixels = central.filter(|flag| **flag != 0).count() as u32;
        flags.iter_mut().zip(tissue).for_each(|(flag, t)| *flag |= if t { TISSUE } else { 0 });
        metas.push(SliceMeta { case: 0, k: k as u32, lesion_pixels, tissue_pixels, nonzero: tissue_pixels > 0 });
        frames.push(Frame { pixels, flags });
    }
    let lesions: Vec<f64> = metas.iter().filter(|m| m.lesion_pixels > 0).map(|m| f64::from(m.lesion_pixels)).collect();
    let meta = CaseMeta {
        id: id.to_owned(),
        labelled: prepared.target.is_some(),
        plan: prepared.plan.clone(),
        first: 0,
        slices: metas.len(),
        lesion_slices: lesions.len(),
        mean_lesion_pixels: lesions.iter().sum::<f64>() / (lesions.len() as f64).max(1.0),
    };
    CaseFrames { meta, metas, frames, mask_left_out: None }
}
