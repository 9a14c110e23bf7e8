//! The results of an inspected slice as JSON (`amlp mask --json`) and as CSV with one row per patch.

use serde::Serialize;

use super::{InspectedSlice, Masking, Reconstruction};
use crate::cluster::Clustering;
use crate::masking::select::{recall_of_foreground, recall_of_masked};
use crate::preprocess::CasePlan;
use crate::{Error, Result};

/// Position of a slice's training crop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Crop {
    /// Prepared voxel (i, j) at the first pixel.
    pub origin: [i64; 2],
    /// Side in pixels.
    pub size: usize,
    /// Voxel size along R, A, S in mm.
    pub spacing_mm: [f64; 3],
    /// Shape of the file.
    pub source_shape: [usize; 3],
    /// 4x4 matrix, row by row, from crop voxel (i, j, k) to world mm.
    pub affine: [f64; 16],
}

impl Crop {
    pub(super) fn of(plan: &CasePlan, size: usize) -> Self {
        Self {
            origin: plan.crop_origin(),
            size,
            spacing_mm: plan.spacing_mm(),
            source_shape: plan.source_shape,
            affine: plan.crop_affine(),
        }
    }
}

/// Clustering and masking of a slice, as printed by `amlp mask --json`. Lists have one entry per patch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaskReport {
    /// Patches per row and column.
    pub grid: usize,
    /// Masking ratio.
    pub sigma: f64,
    /// Slice index in the file.
    pub slice: usize,
    /// Slice index after preprocessing.
    pub preprocessed_slice: usize,
    /// 1 foreground, 0 background.
    pub labels: Vec<u8>,
    /// Foreground probability.
    pub probability: Vec<f32>,
    /// All patches in masking order.
    pub order: Vec<usize>,
    /// True for masked patches.
    pub masked: Vec<bool>,
    /// Fraction of foreground among all patches.
    pub foreground_share: f64,
    /// Fraction of air among the foreground patches; `None` without a foreground.
    pub air_share: Option<f64>,
    /// Fraction of lesion patches that are foreground; `None` without lesion.
    pub lesion_recall_foreground: Option<f64>,
    /// Fraction of lesion patches that are masked; `None` without lesion.
    pub lesion_recall_masked: Option<f64>,
    /// Position of the crop.
    pub crop: Crop,
}

/// CSV columns. `row` and `column` index the crop, from 0 along R and A. `r_l` and `a_p` are the same position as shown in the
/// window: from 1 along L and P.
const COLUMNS: [&str; 13] = [
    "patch",
    "row",
    "column",
    "label",
    "probability",
    "order",
    "masked",
    "air",
    "lesion",
    "loss",
    "relative_loss",
    "r_l",
    "a_p",
];

impl InspectedSlice {
    /// Summarises a clustering and masking of this slice.
    pub fn report(&self, found: &Clustering, masking: &Masking) -> MaskReport {
        let lesion = self.lesion.as_deref();
        MaskReport {
            grid: self.grid.grid(),
            sigma: masking.sigma,
            slice: self.file_slice,
            preprocessed_slice: self.prepared_slice,
            foreground_share: found.foreground_share(),
            air_share: found.air_share(),
            lesion_recall_foreground: lesion.and_then(|lesion| recall_of_foreground(lesion, &found.labels)),
            lesion_recall_masked: lesion.and_then(|lesion| recall_of_masked(lesion, &masking.masked)),
            labels: found.labels.clone(),
            probability: found.probability.clone(),
            order: masking.order.clone(),
            masked: masking.masked.clone(),
            crop: self.crop.clone(),
        }
    }

    /// CSV with a header and one row per patch. `order` is the rank in the masking order, from 0; flags are 1 and 0.
    /// Unknown values (lesion without a reference, losses of visible patches) are empty.
    ///
    /// # Errors
    /// If serialisation fails, which no slice causes.
    pub fn csv(
        &self,
        found: &Clustering,
        masking: &Masking,
        reconstruction: Option<&Reconstruction>,
    ) -> Result<Vec<u8>> {
        let bad = |e: csv::Error| Error::config("patches", "CSV", e.to_string());
        let (n, side) = (self.grid.count(), self.grid.grid());
        let mut rank = vec![String::new(); n];
        for (place, &patch) in masking.order.iter().enumerate().filter(|(_, patch)| **patch < n) {
            rank[patch] = place.to_string();
        }
        let flag = |flags: Option<&[bool]>, at: usize| {
            let flag = flags.and_then(|flags| flags.get(at));
            flag.map_or_else(String::new, |flag| u8::from(*flag).to_string())
        };
        let number = |values: Option<&[Option<f32>]>, at: usize| {
            let value = values.and_then(|values| values.get(at).copied().flatten());
            value.map_or_else(String::new, text)
        };
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(COLUMNS).map_err(bad)?;
        for (at, rank) in rank.into_iter().enumerate() {
            csv.write_record([
                at.to_string(),
                (at / side).to_string(),
                (at % side).to_string(),
                found.labels.get(at).map_or_else(String::new, u8::to_string),
                found.probability.get(at).copied().map_or_else(String::new, text),
                rank,
                flag(Some(&masking.masked), at),
                flag(Some(&self.air), at),
                flag(self.lesion.as_deref(), at),
                number(reconstruction.map(|made| made.losses.as_slice()), at),
                number(reconstruction.map(|made| made.relative.as_slice()), at),
                (side - at / side).to_string(),
                (side - at % side).to_string(),
            ])
            .map_err(bad)?;
        }
        csv.into_inner().map_err(|e| Error::config("patches", "CSV", e.error().to_string()))
    }
}

/// All digits of a value. A very small one is in scientific notation instead of with dozens of zeros.
fn text(value: f32) -> String {
    if value != 0.0 && value.abs() < 1e-4 { format!("{value:e}") } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_probability_is_written_without_dozens_of_zeros() {
        assert_eq!([8.670_972e-34, 0.25, 0.0, 1.0].map(text), ["8.670972e-34", "0.25", "0", "1"]);
    }
}
