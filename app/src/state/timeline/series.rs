//! The log of a run as curves over its epochs.

use std::collections::BTreeMap;

use engine::event::CaseCounts;
use engine::run::History;

/// Most points of a curve: more than any screen has columns.
const MOST: usize = 2000;

/// A quantity that an epoch may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Mean training loss.
    Loss,
    /// Reconstruction loss.
    Pred,
    /// Reconstruction loss of the validation patients.
    ValidationLoss,
    /// Attention reconstruction loss (Eq. 6).
    Rrl,
    /// Category consistency loss (Eq. 7).
    Lcl,
    /// Norm of the gradient of the reconstruction loss.
    PredGradient,
    /// Norm of the gradient of the attention loss.
    RrlGradient,
    /// Norm of the gradient of the consistency loss.
    LclGradient,
    /// Masking ratio.
    Sigma,
    /// Learning rate.
    Rate,
    /// Patches whose label an update changed.
    Flips,
    /// Patches whose label differs from k-means after an update.
    Differs,
    /// Agreement of k-means with the loss.
    Agreement,
    /// Lesion recall of the patches labelled 1.
    RecallForeground,
    /// Lesion recall of the masked patches.
    RecallMasked,
    /// Air among the patches labelled 1.
    Air,
    /// Entropy before training (Eq. 1).
    H1,
    /// Entropy as the network changes it (Eq. 2).
    H2,
    /// Entropy of the best assignment known (Eq. 3).
    H3,
    /// Batch Dice of the training slices.
    TrainingDice,
    /// Mean Dice of the validation patients.
    Dice,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Loss,
        Self::Pred,
        Self::ValidationLoss,
        Self::Rrl,
        Self::Lcl,
        Self::PredGradient,
        Self::RrlGradient,
        Self::LclGradient,
        Self::Sigma,
        Self::Rate,
        Self::Flips,
        Self::Differs,
        Self::Agreement,
        Self::RecallForeground,
        Self::RecallMasked,
        Self::Air,
        Self::H1,
        Self::H2,
        Self::H3,
        Self::TrainingDice,
        Self::Dice,
    ];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "Loss",
            Self::Pred | Self::PredGradient => "pred",
            Self::Rrl | Self::RrlGradient => "rrl",
            Self::Lcl | Self::LclGradient => "lcl",
            Self::Sigma => "sigma",
            Self::Rate => "Rate",
            Self::Flips => "Flips",
            Self::Differs => "Differs from k-means",
            Self::Agreement => "Agreement",
            Self::RecallForeground => "Lesion recall",
            Self::RecallMasked => "Masked recall",
            Self::Air => "Air",
            Self::H1 => "H1",
            Self::H2 => "H2",
            Self::H3 => "H3",
            Self::TrainingDice => "training",
            Self::Dice | Self::ValidationLoss => "validation",
        }
    }

    /// The name in an exported table.
    pub fn key(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Pred => "loss_pred",
            Self::ValidationLoss => "validation_loss",
            Self::Rrl => "loss_rrl",
            Self::Lcl => "loss_lcl",
            Self::PredGradient => "gradient_norm_pred",
            Self::RrlGradient => "gradient_norm_rrl",
            Self::LclGradient => "gradient_norm_lcl",
            Self::Sigma => "sigma",
            Self::Rate => "learning_rate",
            Self::Flips => "flips",
            Self::Differs => "differs_from_kmeans",
            Self::Agreement => "agreement",
            Self::RecallForeground => "lesion_recall_foreground",
            Self::RecallMasked => "lesion_recall_masked",
            Self::Air => "air_share",
            Self::H1 => "h1_nat",
            Self::H2 => "h2_nat",
            Self::H3 => "h3_nat",
            Self::TrainingDice => "training_dice",
            Self::Dice => "validation_dice",
        }
    }

    /// Its value in an epoch; none where it was not logged, or is not finite.
    pub fn value(self, history: &History, epoch: usize) -> Option<f64> {
        let relabel = || history.relabel(epoch);
        let value = match self {
            Self::Flips => relabel()?.flips as f64,
            Self::Differs => relabel()?.differs as f64,
            Self::Dice => {
                let rows = &history.validations;
                rows.get(rows.partition_point(|row| row.0 < epoch)).filter(|row| row.0 == epoch)?.1
            }
            _ => self.of_summary(history.summary(epoch)?)?,
        };
        value.is_finite().then_some(value)
    }

    /// Whether a legend names it: a validation loss only where one was asked for.
    pub fn is_listed(self, history: &History) -> bool {
        self != Self::ValidationLoss || history.summaries.iter().any(|row| row.validation_loss.is_some())
    }

    fn of_summary(self, row: &engine::event::EpochSummary) -> Option<f64> {
        let entropy = |n: usize| row.entropy.and_then(|values| values[n]);
        match self {
            Self::Loss => Some(row.loss),
            Self::Pred => row.parts.as_ref()?.get("pred"),
            Self::ValidationLoss => row.validation_loss,
            Self::Rrl => row.parts.as_ref()?.get("rrl"),
            Self::Lcl => row.parts.as_ref()?.get("lcl"),
            Self::PredGradient => row.gradient_norm.as_ref()?.get("pred"),
            Self::RrlGradient => row.gradient_norm.as_ref()?.get("rrl"),
            Self::LclGradient => row.gradient_norm.as_ref()?.get("lcl"),
            Self::Sigma => row.sigma,
            Self::Rate => Some(row.learning_rate),
            Self::Agreement => row.agreement,
            Self::RecallForeground => row.lesion_recall_foreground,
            Self::RecallMasked => row.lesion_recall_masked,
            Self::Air => row.air_share,
            Self::TrainingDice => row.training_dice,
            Self::H1 => entropy(0),
            Self::H2 => entropy(1),
            Self::H3 => entropy(2),
            Self::Flips | Self::Differs | Self::Dice => None,
        }
    }

    /// Whether it is noisy enough to be smoothed.
    fn is_noisy(self) -> bool {
        matches!(
            self,
            Self::Loss
                | Self::Pred
                | Self::Rrl
                | Self::Lcl
                | Self::PredGradient
                | Self::RrlGradient
                | Self::LclGradient
        )
    }
}

/// The curves of a run, ready to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    lines: BTreeMap<Quantity, Vec<[f64; 2]>>,
    /// For each update its first and last epoch, and the shares of the four cases and of patches never masked.
    pub cases: Vec<([f64; 2], [f64; 5])>,
}

impl Series {
    /// The curves of a log. `smoothing` is the weight of the past in losses and their gradients.
    pub fn of(history: &History, smoothing: f64) -> Self {
        let mut epochs: Vec<usize> = history.summaries.iter().map(|row| row.epoch).collect();
        epochs.extend(history.relabels.iter().map(|row| row.epoch));
        epochs.extend(history.validations.iter().map(|row| row.0));
        epochs.sort_unstable();
        epochs.dedup();
        let line = |quantity: Quantity| {
            let point = |&epoch: &usize| Some([epoch as f64, quantity.value(history, epoch)?]);
            let mut points: Vec<[f64; 2]> = epochs.iter().filter_map(point).collect();
            if quantity.is_noisy() {
                smooth(&mut points, smoothing);
            }
            (quantity, thinned(points))
        };
        let lines = Quantity::ALL.into_iter().map(line).filter(|(_, points)| !points.is_empty()).collect();
        Self { lines, cases: cases(history) }
    }

    /// The points of a curve, by epoch; none if no epoch has the number.
    pub fn line(&self, quantity: Quantity) -> &[[f64; 2]] {
        self.lines.get(&quantity).map_or(&[], Vec::as_slice)
    }
}

/// The counts of an update as shares.
pub fn shares(cases: &CaseCounts) -> [f64; 5] {
    let counts = [
        cases.kept_foreground,
        cases.kept_background,
        cases.doubted_foreground,
        cases.doubted_background,
        cases.never_masked,
    ];
    let all = counts.iter().sum::<u64>().max(1) as f64;
    counts.map(|count| count as f64 / all)
}

/// An update judges the epochs since the one before it.
fn cases(history: &History) -> Vec<([f64; 2], [f64; 5])> {
    let mut from = 0.0;
    let row = |row: &engine::run::history::RelabelRow| {
        let to = row.epoch as f64;
        let span = [from, to];
        from = to;
        (span, shares(&row.cases))
    };
    history.relabels.iter().map(row).collect()
}

/// Exponential moving average.
fn smooth(points: &mut [[f64; 2]], weight: f64) {
    let Some(first) = points.first() else { return };
    let mut mean = first[1];
    for point in points {
        mean = weight * mean + (1.0 - weight) * point[1];
        point[1] = mean;
    }
}

/// The lowest and the highest point of each group of neighbours, so that no spike is lost.
fn thinned(points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    if points.len() <= MOST {
        return points;
    }
    let each = points.len().div_ceil(MOST / 2);
    let extremes = |part: &[[f64; 2]]| {
        let low = part.iter().copied().reduce(|a, b| if b[1] < a[1] { b } else { a });
        let high = part.iter().copied().reduce(|a, b| if b[1] > a[1] { b } else { a });
        let mut both: Vec<[f64; 2]> = low.into_iter().chain(high).collect();
        both.sort_by(|a, b| a[0].total_cmp(&b[0]));
        both.dedup();
        both
    };
    points.chunks(each).flat_map(extremes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_the_start_and_a_constant() {
        let mut points = vec![[1.0, 4.0], [2.0, 0.0], [3.0, 0.0]];
        smooth(&mut points, 0.5);
        assert_eq!(points, [[1.0, 4.0], [2.0, 2.0], [3.0, 1.0]]);
        let mut constant = vec![[1.0, 3.0], [2.0, 3.0]];
        smooth(&mut constant, 0.9);
        assert!(constant.iter().all(|p| (p[1] - 3.0).abs() < 1e-12));
    }

    #[test]
    fn a_long_curve_keeps_its_spikes() {
        let mut points: Vec<[f64; 2]> = (0..100_000).map(|n| [f64::from(n), 1.0]).collect();
        points[54_321][1] = 9.0;
        points[77_777][1] = -9.0;
        let thin = thinned(points);
        assert!(thin.len() <= MOST);
        assert!(thin.contains(&[54_321.0, 9.0]) && thin.contains(&[77_777.0, -9.0]));
        assert!(thin.windows(2).all(|pair| pair[0][0] < pair[1][0]));
    }

    #[test]
    fn shares_of_no_patches_are_none() {
        assert_eq!(shares(&CaseCounts::default()), [0.0; 5]);
        let counts = CaseCounts { kept_foreground: 1, never_masked: 3, ..CaseCounts::default() };
        assert_eq!(shares(&counts), [0.25, 0.0, 0.0, 0.0, 0.75]);
    }
}
