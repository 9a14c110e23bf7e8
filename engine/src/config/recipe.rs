//! Pre-training settings beyond the paper. The defaults reproduce the paper.

use serde::{Deserialize, Serialize};

use super::MethodConfig;
use crate::config::MaskFill;
use crate::model::{MaskInput, TopSkip};
use crate::pretrain::amlp::ccl::Consistency;
use crate::pretrain::amlp::choice::ForegroundChoice;
use crate::pretrain::amlp::mps::Order;
use crate::{Error, Result};

/// How the masked patches are drawn, and how the network sees them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskConfig {
    /// Adds Gumbel noise of this temperature to the logits of the order, so that masked patches are drawn without
    /// replacement, in proportion to exp(logit / temperature). 0 takes them in order.
    pub temperature: f64,
    /// Fraction of the foreground that stays visible, redrawn in every epoch, as long as enough other patches can be masked.
    pub hints: f64,
    /// Side of a mask unit in pixels, a multiple of the side of a patch; 0 masks single patches.
    pub unit_px: usize,
    /// The ratio is a fraction of the units with tissue, and air is masked last.
    pub of_tissue: bool,
    /// What the decoder gets through the first skip connection, which has the resolution of the slice.
    pub top_skip: TopSkip,
    /// Adds the pixel mask as an input channel, which fine-tuning drops.
    pub channel: bool,
}

/// Which errors count in the losses, and how much.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Masked patches of air do not count.
    pub tissue_only: bool,
    /// Each patch is normalised by its mean and standard deviation before reconstruction, as in MAE. Flat patches do not count.
    pub normalised: bool,
    /// Largest weight that ARL gives to a patch; 0 sets no limit.
    pub attention_max: f64,
    /// Fraction of the epochs in which the weight of CCL rises linearly to `lambda`.
    pub lambda_ramp: f64,
    /// A label is reconsidered only if the mean relative loss of its patch differs from 1 by at least this much.
    pub doubt_margin: f64,
}

/// Augmentation of pre-training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Shifts each crop by a new random offset in every epoch, instead of once.
    pub shift: bool,
    /// Flips along R and A, drawn for every batch.
    pub flip: bool,
    /// Largest change of contrast (fraction) and brightness (standard deviations) of tissue.
    pub intensity: f64,
}

impl MaskConfig {
    /// An error for each setting that is unusable with this order. [`MaskConfig::unit`] checks the unit.
    pub fn errors(&self, order: Order) -> Vec<Error> {
        let Self { temperature, hints, .. } = *self;
        let mut found = Vec::new();
        if !(temperature.is_finite() && temperature >= 0.0) {
            found.push(Error::config("method.mask.temperature", temperature, "must not be negative"));
        } else if order == Order::Random && temperature > 0.0 {
            let why = "a random order has no logits. Use 0 or another method.order";
            found.push(Error::config("method.mask.temperature", temperature, why));
        }
        if !(0.0..=0.9).contains(&hints) {
            found.push(Error::config("method.mask.hints", hints, "must be between 0 and 0.9"));
        }
        found
    }

    /// Patches along the side of a mask unit, for patches of `side` pixels in a grid of `grid` per side.
    ///
    /// # Errors
    /// A unit that is not a multiple of the patch, or does not divide the crop.
    pub fn unit(&self, side: usize, grid: usize) -> Result<usize> {
        let unit = self.unit_px / side.max(1);
        let fits = self.unit_px == 0 || (unit > 0 && self.unit_px == unit * side && grid.is_multiple_of(unit));
        if fits {
            return Ok(unit.max(1));
        }
        let why = format!(
            "must be a multiple of a patch's side, {side} pixels, that divides the crop, or 0 for single patches"
        );
        Err(Error::config("method.mask.unit_px", self.unit_px, why))
    }
}

impl MethodConfig {
    /// How the network sees masks.
    pub fn mask_input(&self) -> MaskInput {
        let MaskConfig { top_skip, channel, .. } = self.mask;
        MaskInput { token: self.fill == MaskFill::Learned, channel, top_skip }
    }

    /// Weight of CCL in an epoch (from 1) of `epochs`.
    pub fn lambda_in(&self, epoch: usize, epochs: usize) -> f64 {
        let ramp = self.loss.lambda_ramp * epochs as f64;
        if ramp > 0.0 { self.lambda * (epoch as f64 / ramp).min(1.0) } else { self.lambda }
    }

    /// An error for each unusable setting; `size` is the side of the crop in pixels.
    pub(super) fn recipe_errors(&self, size: usize) -> Vec<Error> {
        let Self { mask, loss, augment, .. } = self;
        let mut found = Vec::new();
        found.extend(mask.errors(self.order));
        if !(loss.attention_max.is_finite() && loss.attention_max >= 0.0) {
            found.push(Error::config("method.loss.attention_max", loss.attention_max, "must not be negative"));
        }
        for (field, value) in [
            ("loss.lambda_ramp", loss.lambda_ramp),
            ("loss.doubt_margin", loss.doubt_margin),
            ("augment.intensity", augment.intensity),
        ] {
            if !(0.0..=0.9).contains(&value) {
                found.push(Error::config(format!("method.{field}"), value, "must be between 0 and 0.9"));
            }
        }
        if self.grid > 0 && size.is_multiple_of(self.grid) {
            found.extend(mask.unit(size / self.grid, self.grid).err());
        }
        if loss.attention_max > 0.0 && loss.attention_max < 1.0 {
            let why = "the mean weight is 1, so it must be at least 1, or 0 for no limit";
            found.push(Error::config("method.loss.attention_max", loss.attention_max, why));
        }
        if augment.shift && self.relabel {
            let why = "labels belong to the patches of one crop. Turn off method.relabel";
            found.push(Error::config("method.augment.shift", true, why));
        }
        if self.foreground_choice == ForegroundChoice::Error && augment.shift {
            let why = "it compares patches of one crop. Turn off method.augment.shift";
            found.push(Error::config("method.foreground_choice", "error", why));
        }
        if loss.normalised && self.consistency == Consistency::Logit {
            let why = "a normalised patch has lost its distance to the centres. Turn off method.consistency";
            found.push(Error::config("method.loss.normalised", true, why));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_whole_number_of_patches_and_divides_the_crop() {
        let unit = |unit_px| MaskConfig { unit_px, ..MaskConfig::default() }.unit(4, 8).ok();
        assert_eq!([0, 4, 8, 16, 32].map(unit), [Some(1), Some(1), Some(2), Some(4), Some(8)]);
        assert_eq!([2, 6, 12, 64].map(unit), [None; 4]);
    }

    #[test]
    fn the_weight_of_ccl_ramps_up_and_stays() {
        let mut method = MethodConfig { lambda: 2.0, ..MethodConfig::default() };
        assert_eq!(method.lambda_in(1, 20), 2.0);
        method.loss.lambda_ramp = 0.5;
        assert_eq!([1, 5, 10, 20].map(|epoch| method.lambda_in(epoch, 20)), [0.2, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn contradictory_settings_are_errors_that_name_the_setting() {
        type Change = fn(&mut MethodConfig);
        let wrong: [(&str, Change); 8] = [
            ("method.mask.temperature", |m| m.mask.temperature = -1.0),
            ("method.mask.temperature", |m| (m.order, m.mask.temperature) = (Order::Random, 1.0)),
            ("method.mask.hints", |m| m.mask.hints = 1.0),
            ("method.mask.unit_px", |m| m.mask.unit_px = 15),
            ("method.loss.attention_max", |m| m.loss.attention_max = 0.5),
            ("method.loss.normalised", |m| m.loss.normalised = true),
            ("method.augment.shift", |m| m.augment.shift = true),
            ("method.augment.intensity", |m| m.augment.intensity = f64::NAN),
        ];
        assert!(MethodConfig::default().recipe_errors(160).is_empty());
        for (field, change) in wrong {
            let mut method = MethodConfig::default();
            change(&mut method);
            let errors: Vec<String> = method.recipe_errors(160).iter().map(ToString::to_string).collect();
            assert!(errors.len() == 1 && errors[0].starts_with(field), "{field}: {errors:?}");
        }
    }
}
