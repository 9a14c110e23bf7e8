//! The controls of Masking mode, for masking and display.

use engine::cluster::{ClusterConfig, Method};
use engine::config::{Config, MaskConfig};
use engine::inspect::{MaskSettings, Sigma};
use engine::preprocess::PreprocessConfig;
use engine::pretrain::amlp::amr::MaskRatio;
use engine::pretrain::amlp::mps::Order;
use serde::{Deserialize, Serialize};

use crate::widget::format;

/// Selectable patches per side; they must divide the crop.
pub const GRIDS: [usize; 5] = [8, 10, 16, 20, 32];
/// Minimum and maximum side of the crop in pixels.
pub const SIZES: [usize; 2] = [16, 1024];
/// Maximum number of epochs of a schedule.
pub const MAX_EPOCHS: usize = 10_000;

/// Source of the masking ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RatioSource {
    /// The ratio sigma itself.
    #[default]
    Sigma,
    /// An epoch of the schedule (Eq. 9).
    Epoch,
}

/// A setting in which a slice differs from those that a network was trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The name of the setting, and the network's value.
    Value(&'static str, String),
    /// How intensities are clipped and resampled.
    Intensity,
}

impl Mismatch {
    /// The badge of a picture.
    pub fn badge(&self) -> String {
        match self {
            Self::Value(setting, _) => format!("other {setting}"),
            Self::Intensity => "other preprocessing".to_owned(),
        }
    }

    /// What the network was trained with.
    pub fn sentence(&self) -> String {
        match self {
            Self::Value(setting, value) => format!("This network was trained with another {setting}: {value}."),
            Self::Intensity => "This network was trained with other clipping, background or interpolation.".to_owned(),
        }
    }
}

/// The user's settings. Defaults as for `amlp mask`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Controls {
    /// Source of the masking ratio.
    pub by: RatioSource,
    /// Fraction of patches that are masked, 0 to 1.
    pub sigma: f64,
    /// Epoch of the schedule, from 1.
    pub epoch: usize,
    /// Epochs of the schedule.
    pub epochs: usize,
    /// The schedule.
    pub ratio: MaskRatio,
    /// Which patches are masked first.
    pub order: Order,
    /// How masked patches are drawn, and in which units. Fields for the network have no effect here.
    pub mask: MaskConfig,
    /// How patches are clustered, and which cluster is the foreground.
    pub cluster: ClusterConfig,
    /// Seed of the clustering and of random orders.
    pub seed: u64,
    /// Patches along the crop's side.
    pub grid: usize,
    /// Preprocessing, including crop and voxel size.
    pub preprocess: PreprocessConfig,
}

impl Default for Controls {
    fn default() -> Self {
        Self {
            by: RatioSource::Sigma,
            sigma: 0.5,
            epoch: 1,
            epochs: 800,
            ratio: MaskRatio::default(),
            order: Order::default(),
            mask: MaskConfig::default(),
            cluster: ClusterConfig::default(),
            seed: 0,
            grid: 16,
            preprocess: PreprocessConfig::default(),
        }
    }
}

impl Controls {
    /// The patch counts that divide the crop.
    pub fn grids(&self) -> Vec<usize> {
        GRIDS.into_iter().filter(|&grid| self.preprocess.size.is_multiple_of(grid)).collect()
    }

    /// Mask units that can be chosen, in patches per side.
    pub fn units(&self) -> Vec<usize> {
        [1, 2, 4].into_iter().filter(|&unit| self.grid.is_multiple_of(unit) && self.grid > unit).collect()
    }

    /// The side of a patch in pixels.
    pub fn patch_px(&self) -> usize {
        self.preprocess.size / self.grid.max(1)
    }

    /// Clamps every number to its limits and chooses a patch count that divides the crop, if possible.
    #[must_use]
    pub fn within_limits(mut self) -> Self {
        self.sigma = if self.sigma.is_finite() { self.sigma.clamp(0.0, 1.0) } else { 0.5 };
        self.epochs = self.epochs.clamp(1, MAX_EPOCHS);
        self.epoch = self.epoch.clamp(1, self.epochs);
        self.preprocess.size = self.preprocess.size.clamp(SIZES[0], SIZES[1]);
        if !self.preprocess.size.is_multiple_of(self.grid.max(1)) {
            let nearest = |grid: &usize| grid.abs_diff(self.grid);
            self.grid = self.grids().into_iter().min_by_key(nearest).unwrap_or(self.grid);
        }
        if self.mask.unit(self.patch_px(), self.grid.max(1)).is_err() {
            self.mask.unit_px = 0;
        }
        if self.order == Order::Random {
            self.mask.temperature = 0.0;
        }
        self
    }

    /// The settings for the engine.
    pub fn mask_settings(&self) -> MaskSettings {
        let sigma = match self.by {
            RatioSource::Sigma => Sigma::Fixed(self.sigma),
            RatioSource::Epoch => Sigma::Epoch { epoch: self.epoch, epochs: self.epochs, ratio: self.ratio.clone() },
        };
        let (cluster, mask) = (self.cluster.clone(), self.mask.clone());
        MaskSettings { cluster, order: self.order, mask, sigma, seed: self.seed }
    }

    /// The settings of a run, with the ratio by epoch of its schedule.
    #[must_use]
    pub fn of_run(&self, config: &Config, epochs: usize) -> Self {
        let epochs = epochs.max(1);
        let method = &config.method;
        let controls = Self {
            by: RatioSource::Epoch,
            epoch: self.epoch.min(epochs),
            epochs,
            ratio: method.ratio.clone(),
            order: method.order,
            mask: method.mask.clone(),
            cluster: method.cluster.clone(),
            seed: config.seed,
            grid: method.grid,
            preprocess: config.preprocess.clone(),
            sigma: self.sigma,
        };
        controls.within_limits()
    }

    /// The first setting in which the slice differs from those that the network of a run was trained on.
    pub fn mismatch(&self, config: &Config) -> Option<Mismatch> {
        let (own, theirs) = (&self.preprocess, &config.preprocess);
        let grid = config.method.grid;
        // Iso and 1 x 1 x 1 mm are the same.
        if own.spacing.millimetres() != theirs.spacing.millimetres() {
            Some(Mismatch::Value("spacing", format::spacing(theirs.spacing)))
        } else if own.size != theirs.size {
            Some(Mismatch::Value("crop", format!("{} px", theirs.size)))
        } else if self.grid != grid {
            Some(Mismatch::Value("patch grid", format!("{grid} \u{d7} {grid}")))
        } else {
            let values = |config: &PreprocessConfig| {
                (config.interpolation, config.ct_window, config.percentiles, config.background, config.ct_offset)
            };
            (values(own) != values(theirs)).then_some(Mismatch::Intensity)
        }
    }

    /// Whether clustering takes less than a frame.
    pub fn is_quick(&self) -> bool {
        self.cluster.method == Method::Kmeans
    }
}

/// The layers drawn over a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct DisplayOptions {
    /// Show the slice on the scan's grid instead of the crop.
    pub native: bool,
    /// Fill and outline in the colour of the category.
    pub categories: bool,
    /// Foreground probability as heat.
    pub heat: bool,
    /// Hatching of masked patches.
    pub masked: bool,
    /// Rank of each patch in the masking order.
    pub numbers: bool,
    /// The digit 1 or 0.
    pub digits: bool,
    /// Lines between patches.
    pub grid: bool,
    /// Outline of the reference.
    pub lesion: bool,
}

impl Default for DisplayOptions {
    fn default() -> Self {
        Self {
            native: false,
            categories: true,
            heat: false,
            masked: false,
            numbers: false,
            digits: false,
            grid: true,
            lesion: true,
        }
    }
}

impl DisplayOptions {
    /// All switches with their names.
    pub const ALL: [(&'static str, Switch); 8] = [
        ("Categories", |s| &mut s.categories),
        ("Masked", |s| &mut s.masked),
        ("Probability", |s| &mut s.heat),
        ("Digits", |s| &mut s.digits),
        ("Order", |s| &mut s.numbers),
        ("Grid", |s| &mut s.grid),
        ("Reference", |s| &mut s.lesion),
        ("Native slice", |s| &mut s.native),
    ];
}

/// Accessor of a switch.
pub type Switch = fn(&mut DisplayOptions) -> &mut bool;

#[cfg(test)]
mod tests {
    use engine::preprocess::Spacing;

    use super::*;

    #[test]
    fn the_patch_count_always_divides_the_crop() {
        let of = |size| {
            let preprocess = PreprocessConfig { size, ..PreprocessConfig::default() };
            Controls { preprocess, ..Controls::default() }.within_limits()
        };
        assert_eq!((of(160).grid, of(144).grid, of(160).grids()), (16, 16, vec![8, 10, 16, 20, 32]));
        assert_eq!((of(100).grids(), of(100).grid), (vec![10, 20], 20), "the nearest to 16");
        assert_eq!(of(97).grid, 16, "none divides it: the engine says so");
        assert_eq!((of(0).preprocess.size, of(9000).preprocess.size), (16, 1024));
    }

    #[test]
    fn numbers_stay_within_their_limits() {
        let controls = Controls { sigma: 7.0, epoch: 9, epochs: 4, ..Controls::default() }.within_limits();
        assert_eq!((controls.sigma, controls.epoch), (1.0, 4));
        let controls = Controls { sigma: f64::NAN, epoch: 0, epochs: 0, ..Controls::default() }.within_limits();
        assert_eq!((controls.sigma, controls.epoch, controls.epochs), (0.5, 1, 1));
    }

    #[test]
    fn mask_units_follow_grid_and_crop_and_a_random_order_has_no_temperature() {
        let mask = MaskConfig { unit_px: 20, temperature: 3.0, ..MaskConfig::default() };
        let controls = Controls { mask, ..Controls::default() }.within_limits();
        assert_eq!((controls.mask.unit_px, controls.patch_px(), controls.units()), (20, 10, vec![1, 2, 4]));
        let coarse = Controls { grid: 10, ..controls.clone() }.within_limits();
        assert_eq!((coarse.mask.unit_px, coarse.units()), (0, vec![1, 2]), "20 px is not a multiple of 16 px");
        assert_eq!(Controls { order: Order::Random, ..controls }.within_limits().mask.temperature, 0.0);
    }

    #[test]
    fn defaults_are_those_of_the_command_line() {
        let settings = Controls::default().mask_settings();
        assert_eq!(settings, MaskSettings::default());
        assert_eq!(settings.sigma, Sigma::Fixed(0.5));
    }

    #[test]
    fn the_settings_of_a_run_are_applied() {
        let mut config = engine::config::preset("amlp-plus", &["pet".into()]).unwrap_or_default();
        (config.method.grid, config.preprocess.size, config.seed) = (8, 96, 5);
        let controls = Controls { epoch: 300, ..Controls::default() };
        assert_eq!(controls.mismatch(&config), Some(Mismatch::Value("crop", "96 px".into())));
        let taken = controls.of_run(&config, 20);
        assert_eq!(taken.mismatch(&config), None);
        assert_eq!((taken.by, taken.epoch, taken.epochs, taken.seed), (RatioSource::Epoch, 20, 20, 5));
        assert_eq!(taken.cluster, config.method.cluster);
    }

    /// The wrong spacing was one of several possible differences, in a note away from the picture.
    #[test]
    fn the_setting_that_the_network_was_not_trained_with_is_named_with_its_value() {
        let mut config = Config::default();
        let controls = Controls { grid: config.method.grid, ..Controls::default() };
        config.preprocess.spacing = Spacing::Millimetres([2.0, 2.0, 2.5]);
        let spacing = Some(Mismatch::Value("spacing", "2 \u{d7} 2 \u{d7} 2.5 mm".into()));
        assert_eq!(controls.mismatch(&config), spacing);
        config.preprocess.size = 96;
        assert_eq!(controls.mismatch(&config), spacing, "the one that changes the scale of the anatomy comes first");
        // "Trained with another spacing: 1 x 1 x 1 mm" was shown beside the same spacing.
        config.preprocess.spacing = Spacing::Millimetres([1.0; 3]);
        assert_eq!(controls.mismatch(&config), Some(Mismatch::Value("crop", "96 px".into())));
        config.preprocess.size = controls.preprocess.size;
        config.method.grid = 8;
        assert_eq!(controls.mismatch(&config), Some(Mismatch::Value("patch grid", "8 \u{d7} 8".into())));
        config.method.grid = controls.grid;
        config.preprocess.percentiles = [0.0, 100.0];
        assert_eq!(controls.mismatch(&config), Some(Mismatch::Intensity));
        config.preprocess = PreprocessConfig { memory_mib: 1, ..controls.preprocess.clone() };
        assert_eq!(controls.mismatch(&config), None, "the picture does not depend on it");
    }

    #[test]
    fn a_mismatch_names_the_setting_or_what_is_meant_by_preprocessing() {
        let crop = Mismatch::Value("crop", "96 px".into());
        assert_eq!(crop.badge(), "other crop");
        assert_eq!(crop.sentence(), "This network was trained with another crop: 96 px.");
        let why = "This network was trained with other clipping, background or interpolation.";
        assert_eq!(
            (Mismatch::Intensity.badge().as_str(), Mismatch::Intensity.sentence().as_str()),
            ("other preprocessing", why)
        );
    }

    #[test]
    fn every_switch_changes_a_different_option() {
        let mut all = DisplayOptions::default();
        for (name, switch) in DisplayOptions::ALL {
            let before = all;
            *switch(&mut all) ^= true;
            assert_ne!(before, all, "{name}");
        }
        let opposite = DisplayOptions::ALL.into_iter().fold(DisplayOptions::default(), |mut s, (_, switch)| {
            *switch(&mut s) ^= true;
            s
        });
        assert_eq!(all, opposite);
    }
}
