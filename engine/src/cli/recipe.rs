//! Pre-training flags that go beyond the paper.

use super::training::{parse_word, put};
use crate::config::{Config, MaskConfig};
use crate::model::TopSkip;
use crate::pretrain::amlp::choice::ForegroundChoice;

/// How the masked patches are drawn. Shared by `mask` and `pretrain`.
#[derive(Debug, clap::Args)]
pub struct DrawFlags {
    /// Draw masked patches by their logits with this temperature; 0: take them in order.
    #[arg(long, value_name = "X")]
    temperature: Option<f64>,
    /// Fraction of the foreground that stays visible.
    #[arg(long, value_name = "FRACTION")]
    hints: Option<f64>,
    /// Side of a mask unit in pixels, a multiple of the side of a patch; 0: mask single patches.
    #[arg(long, value_name = "PX")]
    unit: Option<usize>,
    /// Apply the masking ratio to the units with tissue only.
    #[arg(long)]
    sigma_of_tissue: bool,
}

impl DrawFlags {
    /// Overrides settings with the given flags.
    pub fn apply(&self, mask: &mut MaskConfig) {
        put(&mut mask.temperature, self.temperature);
        put(&mut mask.hints, self.hints);
        put(&mut mask.unit_px, self.unit);
        mask.of_tissue |= self.sigma_of_tissue;
    }
}

/// Pre-training options beyond the paper.
#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct RecipeFlags {
    #[command(flatten)]
    draw: DrawFlags,
    /// First skip connection: keep, mask (0 at masked pixels) or drop.
    #[arg(long, value_name = "NAME", value_parser = parse_word::<TopSkip>)]
    top_skip: Option<TopSkip>,
    /// Add the pixel mask as an input channel.
    #[arg(long)]
    mask_channel: bool,
    /// How the foreground cluster is chosen.
    #[arg(long, value_name = "HOW", value_enum)]
    foreground_choice: Option<ForegroundChoice>,
    /// Exclude masked patches of air from the losses.
    #[arg(long)]
    loss_of_tissue: bool,
    /// Normalise each target patch by its mean and standard deviation.
    #[arg(long)]
    normalised: bool,
    /// Largest weight of a patch in the attention loss; 0: no limit.
    #[arg(long, value_name = "X")]
    attention_max: Option<f64>,
    /// Fraction of the epochs over which the weight of the consistency loss ramps up.
    #[arg(long, value_name = "X")]
    lambda_ramp: Option<f64>,
    /// Reconsider a label only if the mean relative loss of its patch differs from 1 by at least this much.
    #[arg(long, value_name = "X")]
    doubt_margin: Option<f64>,
    /// Shift each crop by a new random offset in every epoch.
    #[arg(long)]
    epoch_shift: bool,
    /// Flip batches at random, left-right and front-back.
    #[arg(long)]
    flip: bool,
    /// Largest random change of contrast (fraction) and brightness (standard deviations).
    #[arg(long, value_name = "X")]
    intensity: Option<f64>,
    /// Skip slices with a smaller fraction of tissue in the crop.
    #[arg(long, value_name = "X")]
    min_tissue: Option<f64>,
    /// Log the reconstruction loss of the validation patients every N epochs.
    #[arg(long, value_name = "N")]
    validate: Option<usize>,
}

impl RecipeFlags {
    /// Overrides settings with the given flags.
    pub fn apply(&self, config: &mut Config) {
        put(&mut config.training.min_tissue, self.min_tissue);
        let method = &mut config.method;
        put(&mut method.foreground_choice, self.foreground_choice);
        put(&mut method.validate_every, self.validate);
        let mask = &mut method.mask;
        self.draw.apply(mask);
        put(&mut mask.top_skip, self.top_skip);
        mask.channel |= self.mask_channel;
        let loss = &mut method.loss;
        put(&mut loss.attention_max, self.attention_max);
        put(&mut loss.lambda_ramp, self.lambda_ramp);
        put(&mut loss.doubt_margin, self.doubt_margin);
        loss.tissue_only |= self.loss_of_tissue;
        loss.normalised |= self.normalised;
        let augment = &mut method.augment;
        put(&mut augment.intensity, self.intensity);
        augment.shift |= self.epoch_shift;
        augment.flip |= self.flip;
    }
}
