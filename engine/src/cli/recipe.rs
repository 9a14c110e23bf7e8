//! Pre-training flags that go beyond the paper.

use super::training::{parse_word, put};
use crate::config::{Config, MaskConfig};
use crate::model::TopSkip;
use crate::pretrain::amlp::choice::ForegroundChoice;

/// How the masked patches are drawn. Shared by `mask` and `pretrain`.
#[derive(Debug, clap::Args)]
pub struct DrawFlags {
    /// Draw the masked patches with this temperature of their logits; 0 takes them in order.
    #[arg(long)]
    temperature: Option<f64>,
    /// Share of the foreground that stays visible.
    #[arg(long)]
    hints: Option<f64>,
    /// Side of a mask unit in pixels, a multiple of a patch's; 0: a patch.
    #[arg(long, value_name = "PX")]
    unit: Option<usize>,
    /// Count the masking ratio over the units with tissue only.
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
    /// First skip connection of the network: keep, mask or drop.
    #[arg(long, value_parser = parse_word::<TopSkip>)]
    top_skip: Option<TopSkip>,
    /// Add the pixel mask as an input channel.
    #[arg(long)]
    mask_channel: bool,
    /// Choose the foreground cluster without labels.
    #[arg(long, value_enum)]
    foreground_choice: Option<ForegroundChoice>,
    /// Leave masked patches of air out of the losses.
    #[arg(long)]
    loss_of_tissue: bool,
    /// Reconstruct each patch normalised by its mean and standard deviation.
    #[arg(long)]
    normalised: bool,
    /// Largest weight that the attention loss gives to a patch; 0 sets no limit.
    #[arg(long)]
    attention_max: Option<f64>,
    /// Share of the epochs in which the weight of the consistency loss rises.
    #[arg(long)]
    lambda_ramp: Option<f64>,
    /// Question a label only if the mean relative loss is at least this far from 1.
    #[arg(long)]
    doubt_margin: Option<f64>,
    /// Draw a new shift of each crop in every epoch.
    #[arg(long)]
    epoch_shift: bool,
    /// Flip batches along R and A at random.
    #[arg(long)]
    flip: bool,
    /// Largest change of contrast (share) and brightness (standard deviations).
    #[arg(long)]
    intensity: Option<f64>,
    /// Leave out slices with a smaller share of tissue in the crop.
    #[arg(long)]
    min_tissue: Option<f64>,
    /// Log the reconstruction loss of the validation patients every N epochs.
    #[arg(long)]
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
