//! Whether a fine-tuning run has converged, from the epochs in its log.

use serde::{Deserialize, Serialize};

use crate::event::EpochSummary;

/// Lowest training Dice of a converged run. A lower value means that the network has not even fitted its training slices.
const ENOUGH_DICE: f64 = 0.8;
/// A loss is still falling if it fell by more than this fraction over the last window.
const STILL_FALLING: f64 = 0.1;
/// A smaller fall than this does not count, as for the loss of a network that fits almost perfectly.
const MIN_FALL: f64 = 0.02;
/// Minimum number of epochs in a window. A mean over fewer epochs is mostly noise.
const MIN_WINDOW: usize = 3;

/// Whether a fine-tuning run has converged. A comparison of networks that have not converged compares noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Convergence {
    /// Number of epochs in the window: the last tenth, but at least three. 0 in reports of earlier versions.
    #[serde(default)]
    pub window: usize,
    /// Mean loss over the window.
    #[serde(default)]
    pub mean_loss: f64,
    /// Mean training Dice over the window.
    pub training_dice: f64,
    /// The mean loss of the window is well below that of the previous window.
    pub loss_falling: bool,
    /// The training Dice is high enough and the loss has settled.
    pub converged: bool,
}

impl Convergence {
    /// Judges the epochs so far. `None` without a training Dice, which pre-training runs and logs of earlier versions lack.
    pub fn of(epochs: &[EpochSummary]) -> Option<Self> {
        // Never more than half of the epochs: a short run compares its halves.
        let window = (epochs.len() / 10).max(MIN_WINDOW).min(epochs.len() / 2).max(1);
        let (before, last) = epochs.split_at(epochs.len().checked_sub(window)?);
        let training_dice = mean(last, |epoch| epoch.training_dice)?;
        let before = mean(&before[before.len().saturating_sub(window)..], |epoch| Some(epoch.loss));
        let loss = mean(last, |epoch| Some(epoch.loss))?;
        let loss_falling = before.is_some_and(|before| before - loss > MIN_FALL.max(STILL_FALLING * before));
        let converged = training_dice >= ENOUGH_DICE && !loss_falling;
        Some(Self { window, mean_loss: loss, training_dice, loss_falling, converged })
    }

    /// ` (mean of the last 40 epochs)`; empty for a single one.
    pub fn over(&self) -> String {
        if self.window > 1 { format!(" (mean of the last {} epochs)", self.window) } else { String::new() }
    }

    /// What to do about it; `None` if it has converged.
    pub fn advice(&self) -> Option<String> {
        let dice = format!("the training Dice is {:.3}{}, below {ENOUGH_DICE}", self.training_dice, self.over());
        let why = match (self.training_dice >= ENOUGH_DICE, self.loss_falling) {
            (true, false) => return None,
            (true, true) => "the loss is still falling".to_owned(),
            (false, false) => dice,
            (false, true) => format!("{dice}, and the loss is still falling"),
        };
        Some(format!("Not converged: {why}. Raise the epochs or the learning rate."))
    }
}

/// The mean of a value over the epochs; `None` if an epoch lacks it.
fn mean(epochs: &[EpochSummary], of: impl Fn(&EpochSummary) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = epochs.iter().map(of).collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Epochs with these losses and training Dices.
    fn epochs(of: impl Fn(f64) -> (f64, f64)) -> Vec<EpochSummary> {
        let epoch = |epoch| {
            let (loss, dice) = of(epoch as f64 / 100.0);
            EpochSummary { epoch, loss, training_dice: Some(dice), ..EpochSummary::default() }
        };
        (1..=100).map(epoch).collect()
    }

    #[test]
    fn a_settled_loss_and_a_high_dice_have_converged() {
        let settled = Convergence::of(&epochs(|t| (0.2 + 1.8 * (-9.0 * t).exp(), 0.9))).unwrap();
        assert!(settled.converged && settled.advice().is_none(), "{settled:?}");
        // A perfect fit is approached asymptotically.
        let perfect = Convergence::of(&epochs(|t| (2.0 * (-9.0 * t).exp(), 0.99))).unwrap();
        assert!(perfect.converged, "{perfect:?}");
    }

    #[test]
    fn a_run_that_has_not_converged_says_why() {
        let falling = Convergence::of(&epochs(|t| (2.0 - 1.9 * t, 0.9))).unwrap();
        assert_eq!((falling.converged, falling.loss_falling), (false, true));
        assert!(falling.advice().unwrap().contains("the loss is still falling"));
        let low = Convergence::of(&epochs(|_| (1.25, 0.4))).unwrap();
        assert_eq!((low.converged, low.loss_falling), (false, false));
        assert!(low.advice().unwrap().contains("the training Dice is 0.400 (mean of the last 10 epochs), below 0.8"));
        let both = Convergence::of(&epochs(|t| (2.0 - 1.9 * t, 0.5))).unwrap().advice().unwrap();
        assert!(
            both.contains("0.50")
                && both.contains("still falling")
                && both.contains("Raise the epochs or the learning rate"),
            "{both}"
        );
    }

    #[test]
    fn noise_of_single_epochs_does_not_count_as_a_falling_loss() {
        // 14 settled epochs, one of them a third above the rest.
        let settled: Vec<_> = epochs(|t| (if (t - 0.13).abs() < 1e-9 { 0.4 } else { 0.3 }, 0.9))[..14].to_vec();
        assert!(Convergence::of(&settled).unwrap().converged);
        // Halves of four epochs, one of them a start from random weights.
        let short = &epochs(|t| (2.0 - 40.0 * t, 0.9))[..4];
        assert!(Convergence::of(short).unwrap().loss_falling);
    }

    #[test]
    fn only_the_last_window_counts() {
        // A single lucky epoch at the end does not make a run that has converged.
        let lucky = epochs(|t| (0.5, if t > 0.995 { 0.95 } else { 0.6 }));
        assert!(!Convergence::of(&lucky).unwrap().converged);
        let one = &epochs(|_| (0.3, 0.85))[..1];
        assert!(Convergence::of(one).unwrap().converged, "a single epoch has none before it");
    }

    #[test]
    fn convergence_is_unknown_without_a_training_dice() {
        assert_eq!(Convergence::of(&[]), None);
        assert_eq!(Convergence::of(&[EpochSummary::default()]), None);
    }
}
