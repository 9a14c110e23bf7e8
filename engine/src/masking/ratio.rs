//! The adaptive masking ratio, AMR (section 3.4, Eq. 9).

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The highest ratio a schedule gives: at least one patch in a million stays visible.
pub const HIGHEST: f64 = 1.0 - 1e-6;

/// sigma(e) = sigma_0 + ln(e) / tau for the epochs e = 1, 2, ...
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MaskRatio {
    /// From `sigma_0` at the first to `sigma_max` at the last epoch: tau = ln(E) / (`sigma_max` - `sigma_0`).
    Adaptive {
        /// Ratio of the first epoch (0.25 in the paper).
        sigma_0: f64,
        /// Ratio of the last epoch.
        sigma_max: f64,
    },
    /// tau itself, which the paper does not give.
    Tau {
        /// Ratio of the first epoch.
        sigma_0: f64,
        /// Epochs' logarithm per unit of ratio.
        tau: f64,
    },
    /// The same ratio in every epoch (0.75 in MAE).
    Fixed {
        /// The ratio.
        sigma: f64,
    },
}

impl Default for MaskRatio {
    fn default() -> Self {
        Self::Adaptive { sigma_0: 0.25, sigma_max: 0.9 }
    }
}

impl MaskRatio {
    /// Refuses ratios outside [0, 1) and schedules that fall, naming the field.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::Adaptive { sigma_0, sigma_max } => {
                share("sigma_0", sigma_0)?;
                share("sigma_max", sigma_max)?;
                if sigma_max < sigma_0 {
                    return Err(Error::config("sigma_max", sigma_max, format!("is below sigma_0, {sigma_0}")));
                }
                Ok(())
            }
            Self::Tau { sigma_0, tau } => {
                share("sigma_0", sigma_0)?;
                if tau.is_nan() || tau <= 0.0 {
                    return Err(Error::config("tau", tau, "must be positive"));
                }
                Ok(())
            }
            Self::Fixed { sigma } => share("sigma", sigma),
        }
    }

    /// sigma of epoch `epoch` (from 1) of `epochs`, below 1. One epoch only gives `sigma_0`.
    pub fn sigma(&self, epoch: usize, epochs: usize) -> f64 {
        let log = |epoch: usize| (epoch.max(1) as f64).ln();
        let sigma = match *self {
            Self::Adaptive { sigma_0, .. } if epochs <= 1 => sigma_0,
            // The quotient is exactly 1 at the last epoch.
            Self::Adaptive { sigma_0, sigma_max } => sigma_0 + (sigma_max - sigma_0) * (log(epoch) / log(epochs)),
            Self::Tau { sigma_0, tau } => sigma_0 + log(epoch) / tau,
            Self::Fixed { sigma } => sigma,
        };
        // `max` also turns the NaN of impossible settings into a number.
        sigma.max(0.0).min(HIGHEST)
    }

    /// tau for a training of `epochs` epochs; infinite where the ratio does not change.
    pub fn tau(&self, epochs: usize) -> f64 {
        match *self {
            Self::Adaptive { sigma_0, sigma_max } if epochs > 1 && sigma_max > sigma_0 => {
                (epochs as f64).ln() / (sigma_max - sigma_0)
            }
            Self::Tau { tau, .. } => tau,
            Self::Adaptive { .. } | Self::Fixed { .. } => f64::INFINITY,
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

    #[test]
    fn eq_9_at_800_epochs() {
        let to = |sigma_max| MaskRatio::Adaptive { sigma_0: 0.25, sigma_max };
        close(to(0.75).tau(800), 13.37);
        close(to(0.9).tau(800), 10.28);
        close(to(0.9).sigma(1, 800), 0.25);
        close(to(0.9).sigma(800, 800), 0.9);
        close(to(0.9).sigma(100, 800), 0.25 + 100f64.ln() / 10.28);
        close(MaskRatio::Tau { sigma_0: 0.25, tau: 10.28 }.sigma(800, 3), 0.9);
    }

    #[test]
    fn one_epoch_gives_sigma_0_and_nothing_reaches_1() {
        for epoch in [0, 1, 5] {
            close(MaskRatio::default().sigma(epoch, 1), 0.25);
        }
        assert!(MaskRatio::Tau { sigma_0: 0.25, tau: 0.5 }.sigma(800, 800) < 1.0);
        assert!(MaskRatio::default().sigma(10_000_000, 10) < 1.0);
        close(MaskRatio::Fixed { sigma: 0.75 }.sigma(3, 9), 0.75);
    }

    #[test]
    fn toml_and_validation() {
        for ratio in [MaskRatio::default(), MaskRatio::Fixed { sigma: 0.75 }, MaskRatio::Tau { sigma_0: 0.25, tau: 9.0 }] {
            ratio.validate().unwrap();
            let text = toml::to_string(&ratio).unwrap();
            assert_eq!(toml::from_str::<MaskRatio>(&text).unwrap(), ratio);
        }
        assert!(toml::from_str::<MaskRatio>("mode = \"fixed\"\nsigma = 0.5\ntau = 3.0").is_err());
        for wrong in [
            MaskRatio::Fixed { sigma: 1.0 },
            MaskRatio::Fixed { sigma: f64::NAN },
            MaskRatio::Tau { sigma_0: 0.25, tau: 0.0 },
            MaskRatio::Adaptive { sigma_0: 0.5, sigma_max: 0.25 },
        ] {
            assert!(wrong.validate().is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn never_falls_and_stays_within(epochs in 2usize..900, low in 0.0f64..0.5, more in 0.0f64..0.49) {
            let ratio = MaskRatio::Adaptive { sigma_0: low, sigma_max: low + more };
            let sigmas: Vec<f64> = (1..=epochs).map(|e| ratio.sigma(e, epochs)).collect();
            prop_assert!(sigmas.is_sorted());
            prop_assert!((sigmas[0] - low).abs() < 1e-12 && (sigmas[epochs - 1] - low - more).abs() < 1e-12);
        }
    }
}
