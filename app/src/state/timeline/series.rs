//! The log of a run as curves over its epochs.

use std::collections::BTreeMap;

use engine::event::{CaseCounts, EpochSummary, Losses};
use engine::run::History;

use crate::widget::format;

/// Maximum number of points of a curve: more than a screen has columns.
const MAX_POINTS: usize = 2000;

/// A quantity that an epoch may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Another loss term, by its name in the log.
    Part(String),
    /// A diagnostic of the method.
    Diagnostic(String),
}

impl Quantity {
    /// Series with a fixed name.
    pub const NAMED: [Self; 21] = [
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

    /// The loss terms of an epoch in the log, in the method's order; the loss itself if there are none.
    pub fn losses(history: &History) -> Vec<Self> {
        let names = names(history, |row| row.parts.as_ref());
        let part = |name: &str| match name {
            "pred" => Self::Pred,
            "rrl" => Self::Rrl,
            "lcl" => Self::Lcl,
            name => Self::Part(name.to_owned()),
        };
        if names.is_empty() { vec![Self::Loss] } else { names.into_iter().map(part).collect() }
    }

    /// The diagnostics that an epoch of the log has, in the order of the method.
    pub fn diagnostics(history: &History) -> Vec<Self> {
        names(history, |row| Some(&row.diagnostics)).into_iter().map(|name| Self::Diagnostic(name.to_owned())).collect()
    }

    /// All that the log may have.
    fn all(history: &History) -> impl Iterator<Item = Self> {
        let parts = Self::losses(history).into_iter().filter(|quantity| !Self::NAMED.contains(quantity));
        Self::NAMED.into_iter().chain(parts).chain(Self::diagnostics(history))
    }

    /// The name in the window.
    pub fn name(&self) -> &str {
        match self {
            Self::Part(name) => name,
            Self::Diagnostic(name) => diagnostic(name).0,
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

    /// Explanation, if the name needs one.
    pub fn meaning(&self) -> &str {
        if let Self::Diagnostic(name) = self { diagnostic(name).1 } else { "" }
    }

    /// The name in an exported table.
    pub fn key(&self) -> String {
        let name = match self {
            Self::Part(name) => return format!("loss_{name}"),
            Self::Diagnostic(name) => name,
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
        };
        name.to_owned()
    }

    /// Its value in an epoch; `None` if it was not logged or is not finite.
    pub fn value(&self, history: &History, epoch: usize) -> Option<f64> {
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

    /// A value as text. A Dice that is only the smoothing constant is 0.
    pub fn text(&self, value: f64) -> String {
        match self {
            Self::Dice | Self::TrainingDice => format::ratio(value),
            // Counts of patches.
            Self::Flips | Self::Differs => format::fixed(value, 0),
            _ => format::figures(value),
        }
    }

    /// Whether a legend lists it. A validation loss and gradient norms are listed only if they were logged.
    pub fn is_listed(&self, history: &History) -> bool {
        let is_optional =
            matches!(self, Self::ValidationLoss | Self::PredGradient | Self::RrlGradient | Self::LclGradient);
        !is_optional || history.summaries.iter().any(|row| self.of_summary(row).is_some())
    }

    fn of_summary(&self, row: &EpochSummary) -> Option<f64> {
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
            Self::Part(name) => row.parts.as_ref()?.get(name),
            Self::Diagnostic(name) => row.diagnostics.get(name),
            Self::Flips | Self::Differs | Self::Dice => None,
        }
    }

    /// Whether it is noisy enough to be smoothed.
    fn is_noisy(&self) -> bool {
        matches!(
            self,
            Self::Loss
                | Self::Pred
                | Self::Rrl
                | Self::Lcl
                | Self::Part(_)
                | Self::PredGradient
                | Self::RrlGradient
                | Self::LclGradient
        )
    }
}

/// The names of all logged numbers, in order of their first appearance.
fn names<'a>(history: &'a History, of: impl Fn(&'a EpochSummary) -> Option<&'a Losses>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in history.summaries.iter().filter_map(of).flat_map(Losses::iter) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A diagnostic's name and explanation in the window. An unknown one is shown with its name in the log.
fn diagnostic(name: &str) -> (&str, &str) {
    match name {
        "loss_ratio" => {
            ("Loss ratio", "Loss divided by that of an output that ignores the input. 1: nothing is learned")
        }
        "accuracy" => ("Accuracy", "Fraction of views matched to their partner"),
        "neighbour_pairs" => ("Neighbour pairs", "Fraction of slice pairs left out because they are neighbours"),
        "emb_std" => ("Embedding SD", "Standard deviation of normalised embeddings. Near 0: collapse"),
        "effective_rank" => ("Effective rank", "Number of directions that the embeddings use"),
        "perplexity" => ("Prototype perplexity", "Number of prototypes in use. 1: collapse"),
        "code_perplexity" => ("Code perplexity", "Number of codes in use. 1: collapse"),
        "code_accuracy" => ("Code accuracy", "Fraction of masked cells whose code is predicted"),
        "flat_share" => ("Flat patches", "Fraction of masked patches without contrast, left out of the loss"),
        "target_sd" => ("Target SD", "Standard deviation of the teacher's features. Near 0: collapse"),
        "pairs_right" => ("Pairs in order", "Fraction of patch pairs ranked in the order of their losses. 0.5: chance"),
        "high_error" => ("High-frequency error", "Error of the output's high frequencies, at full size"),
        "low_error" => ("Low-frequency error", "Error of the output's low frequencies, at a quarter of the size"),
        "air_of_hard" => ("Air among hard patches", "Fraction of air among the patches chosen as hard"),
        "lesion_recall_of_hard" => ("Lesion recall, hard patches", "Fraction of lesion patches chosen as hard"),
        "air_of_salient" => ("Air among salient cells", "Fraction of air among the cells that the teacher chooses"),
        "lesion_recall_of_salient" => {
            ("Lesion recall, salient cells", "Fraction of lesion cells that the teacher chooses")
        }
        name => (name, ""),
    }
}

/// The curves of a run, ready to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    lines: BTreeMap<Quantity, Vec<[f64; 2]>>,
    /// For each update, its first and last epoch, and the shares of the four cases and of patches never masked.
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
        let lines = Quantity::all(history).map(line).filter(|(_, points)| !points.is_empty()).collect();
        Self { lines, cases: cases(history) }
    }

    /// The points of a curve, by epoch; none if no epoch has the number.
    pub fn line(&self, quantity: &Quantity) -> &[[f64; 2]] {
        self.lines.get(quantity).map_or(&[], Vec::as_slice)
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

/// An update covers the epochs since the previous one.
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
    if points.len() <= MAX_POINTS {
        return points;
    }
    let each = points.len().div_ceil(MAX_POINTS / 2);
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
        assert!(thin.len() <= MAX_POINTS);
        assert!(thin.contains(&[54_321.0, 9.0]) && thin.contains(&[77_777.0, -9.0]));
        assert!(thin.windows(2).all(|pair| pair[0][0] < pair[1][0]));
    }

    #[test]
    fn loss_terms_and_diagnostics_of_every_method_have_curves() {
        let row = |epoch, parts: &[(&str, f64)], diagnostics: &[(&str, f64)]| EpochSummary {
            epoch,
            loss: 2.0,
            parts: Some(parts.iter().copied().collect()),
            diagnostics: diagnostics.iter().copied().collect(),
            ..EpochSummary::default()
        };
        let summaries = vec![
            row(1, &[("mae", 1.0)], &[("loss_ratio", 0.9)]),
            row(2, &[("ce", 5.5)], &[("code_accuracy", 0.25), ("own", 7.0)]),
        ];
        let history = History { summaries, ..History::default() };
        let series = Series::of(&history, 0.0);
        assert_eq!(Quantity::losses(&history), ["mae", "ce"].map(|name| Quantity::Part(name.into())));
        assert_eq!(series.line(&Quantity::Part("ce".into())), [[2.0, 5.5]]);
        let diagnostics = Quantity::diagnostics(&history);
        assert_eq!(diagnostics.iter().map(Quantity::name).collect::<Vec<_>>(), ["Loss ratio", "Code accuracy", "own"]);
        assert_eq!(diagnostics.iter().map(|d| series.line(d)[0][1]).collect::<Vec<_>>(), [0.9, 0.25, 7.0]);
        let logged = ["high_error", "low_error", "lesion_recall_of_hard", "target_sd", "emb_std", "code_perplexity"];
        for name in logged {
            let shown = Quantity::Diagnostic(name.to_owned());
            assert!(shown.name() != name && !shown.meaning().is_empty(), "{name} has no words in the window");
        }
        // SimCLR has a loss without parts.
        let plain = History { summaries: vec![row(1, &[], &[])], ..History::default() };
        assert_eq!(Quantity::losses(&plain), [Quantity::Loss]);
    }

    #[test]
    fn patch_counts_are_written_as_whole_numbers() {
        assert_eq!([Quantity::Flips, Quantity::Differs].map(|counts| counts.text(11_300.0)), ["11300", "11300"]);
        assert_eq!((Quantity::Rate.text(2.5e-6), Quantity::Dice.text(0.5)), ("2.50e\u{2212}6".into(), "0.500".into()));
    }

    #[test]
    fn without_patches_all_shares_are_zero() {
        assert_eq!(shares(&CaseCounts::default()), [0.0; 5]);
        let counts = CaseCounts { kept_foreground: 1, never_masked: 3, ..CaseCounts::default() };
        assert_eq!(shares(&counts), [0.25, 0.0, 0.0, 0.0, 0.75]);
    }
}
