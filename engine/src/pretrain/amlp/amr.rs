//! The adaptive masking ratio, AMR (section 3.4, Eq. 9).

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Highest ratio of a schedule: at least one patch in a million stays visible.
pub const MAX_SIGMA: f64 = 1.0 - 1e-6;

/// How the schedule is parametrised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RatioMode {
    /// `sigma_0` and `sigma_max`: tau = ln(E) / (`sigma_max` - `sigma_0`).
    #[default]
    Adaptive,
    /// `sigma_0` and `tau`, which the paper does not specify.
    Tau,
    /// `sigma_0` in every epoch (0.75 in MAE).
    Fixed,
}

/// sigma(e) = `sigma_0` + ln(e) / tau for the epochs e = 1, 2, ... The default reaches 0.9 at the last epoch.
///
/// One flat table, so that configurations can be merged field by field. A mode ignores the fields that it does not use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskRatio {
    /// The parametrisation.
    pub mode: RatioMode,
    /// Ratio of the first epoch; with `fixed`, of all.
    pub sigma_0: f64,
    /// Ratio of the last epoch (`adaptive`).
    pub sigma_max: f64,
    /// Increase of ln(epoch) per unit of ratio (`tau`).
    pub tau: f64,
}

impl Default for MaskRatio {
    fn default() -> Self {
        Self { mode: RatioMode::Adaptive, sigma_0: 0.25, sigma_max: 0.9, tau: 10.28 }
    }
}

impl MaskRatio {
    /// The same ratio in every epoch.
    pub fn fixed(sigma: f64) -> Self {
        Self { mode: RatioMode::Fixed, sigma_0: sigma, ..Self::default() }
    }

    /// Refuses ratios outside [0, 1) and schedules that fall, naming the first field.
    pub fn validate(&self) -> Result<()> {
        self.errors().into_iter().next().map_or(Ok(()), Err)
    }

    /// Errors of all invalid fields.
    pub fn errors(&self) -> Vec<Error> {
        let mut errors: Vec<Error> = share("ratio.sigma_0", self.sigma_0).err().into_iter().collect();
        match self.mode {
            RatioMode::Adaptive => match share("ratio.sigma_max", self.sigma_max) {
                Err(error) => errors.push(error),
                Ok(()) if self.sigma_max < self.sigma_0 => {
                    let why = format!("is below sigma_0, {}", self.sigma_0);
                    errors.push(Error::config("ratio.sigma_max", self.sigma_max, why));
                }
                Ok(()) => {}
            },
            RatioMode::Tau if self.tau.is_nan() || self.tau <= 0.0 => {
                errors.push(Error::config("ratio.tau", self.tau, "must be positive"));
            }
            RatioMode::Tau | RatioMode::Fixed => {}
        }
        errors
    }

    /// sigma of epoch `epoch` (from 1) of `epochs`, below 1. One epoch only gives `sigma_0`.
    pub fn sigma(&self, epoch: usize, epochs: usize) -> f64 {
        let log = |epoch: usize| (epoch.max(1) as f64).ln();
        let increase = match self.mode {
            // The quotient is exactly 1 at the last epoch.
            RatioMode::Adaptive if epochs > 1 => (self.sigma_max - self.sigma_0) * (log(epoch) / log(epochs)),
            RatioMode::Tau => log(epoch) / self.tau,
            RatioMode::Adaptive | RatioMode::Fixed => 0.0,
        };
        let sigma = self.sigma_0 + increase;
        // Invalid settings are not finite here; `validate` refuses them.
        if sigma.is_nan() { 0.0 } else { sigma.clamp(0.0, MAX_SIGMA) }
    }

    /// tau for a run of `epochs` epochs; infinite if the ratio is constant.
    pub fn tau(&self, epochs: usize) -> f64 {
        match self.mode {
            RatioMode::Adaptive if epochs > 1 && self.sigma_max > self.sigma_0 => {
                (epochs as f64).ln() / (self.sigma_max - self.sigma_0)
            }
            RatioMode::Tau => self.tau,
            RatioMode::Adaptive | RatioMode::Fixed => f64::INFINITY,
        }
    }
}

fn share(field: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, value, "must be at least 0 and below 1"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 5e-3, "{a} {b}");
    }

    fn to(sigma_max: f64) -> MaskRatio {
        MaskRatio { sigma_max, ..Default::default() }
    }

    fn by_tau(tau: f64) -> MaskRatio {
        MaskRatio { mode: RatioMode::Tau, tau, ..Default::default() }
    }

    #[test]
    fn the_ratio_follows_eq_9_over_800_epochs() {
        close(to(0.75).tau(800), 13.37);
        close(to(0.9).tau(800), 10.28);
        close(to(0.9).sigma(1, 800), 0.25);
        close(to(0.9).sigma(800, 800), 0.9);
        close(to(0.9).sigma(100, 800), 0.25 + 100f64.ln() / 10.28);
        close(by_tau(10.28).sigma(800, 3), 0.9);
    }

    #[test]
    fn a_single_epoch_has_sigma_0_and_the_ratio_stays_below_1() {
        for epoch in [0, 1, 5] {
            close(MaskRatio::default().sigma(epoch, 1), 0.25);
        }
        assert!(by_tau(0.5).sigma(800, 800) < 1.0);
        assert!(MaskRatio::default().sigma(10_000_000, 10) < 1.0);
        close(MaskRatio::fixed(0.75).sigma(3, 9), 0.75);
    }

    #[test]
    fn settings_round_trip_through_toml_and_invalid_ones_are_refused() {
        for ratio in [MaskRatio::default(), MaskRatio::fixed(0.75), by_tau(9.0)] {
            ratio.validate().unwrap();
            let text = toml::to_string(&ratio).unwrap();
            assert_eq!(toml::from_str::<MaskRatio>(&text).unwrap(), ratio);
        }
        assert_eq!(toml::from_str::<MaskRatio>("mode = \"fixed\"\nsigma_0 = 0.75").unwrap(), MaskRatio::fixed(0.75));
        assert!(toml::from_str::<MaskRatio>("sigma = 0.5").is_err());
        for wrong in [MaskRatio::fixed(1.0), MaskRatio::fixed(f64::NAN), by_tau(0.0), to(0.1), to(1.0)] {
            assert!(wrong.validate().is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn the_ratio_never_falls_and_stays_within_its_limits(epochs in 2usize..900, low in 0.0f64..0.5, more in 0.0f64..0.49) {
            let ratio = MaskRatio { sigma_0: low, sigma_max: low + more, ..Default::default() };
            let sigmas: Vec<f64> = (1..=epochs).map(|e| ratio.sigma(e, epochs)).collect();
            prop_assert!(sigmas.is_sorted());
            prop_assert!((sigmas[0] - low).abs() < 1e-12 && (sigmas[epochs - 1] - low - more).abs() < 1e-12);
        }
    }
}
