//! The charts of a run.

use super::chart::{Chart, Scale, Series, XScale};
use crate::event::EpochSummary;

/// Note on the source of lesion patches in a run without labels.
const LESION_NOTE: &str = "Agreement is the fraction of masked patches whose label by reconstruction loss equals their k-means label. \
    Lesion patches are counted with the reference masks, which training never sees.";

/// The curves of a fine-tuning run.
#[derive(Clone, Debug, Default)]
pub struct FinetuneCurve {
    /// Name in the legend ("from pre-training").
    pub name: String,
    /// The epochs' summaries.
    pub epochs: Vec<EpochSummary>,
    /// Epoch and Dice of each validation.
    pub validation: Vec<(usize, f64)>,
}

/// Losses, masking ratio, agreement and recalls of a pre-training run. Curves without a value are left out.
pub fn pretraining_charts(epochs: &[EpochSummary]) -> Vec<Chart> {
    let part = |name: &str, key: &str| series(name, epochs, |e| e.parts.as_ref()?.get(key));
    let losses = Chart {
        x_scale: XScale::Epochs,
        title: "Pre-training: losses".into(),
        x: "epoch".into(),
        y: "mean of an epoch".into(),
        scale: Scale::Auto,
        series: vec![
            part("reconstruction", "pred"),
            part("attention (ARL)", "rrl"),
            part("consistency (CCL)", "lcl"),
            part("masked L1", "l1"),
            series("reconstruction, validation patients", epochs, |e| e.validation_loss),
        ],
        note: String::new(),
    };
    let shares = Chart {
        x_scale: XScale::Epochs,
        title: "Pre-training: masking".into(),
        x: "epoch".into(),
        y: "share".into(),
        scale: Scale::Share,
        series: vec![
            series("masking ratio σ", epochs, |e| e.sigma),
            series("agreement with k-means", epochs, |e| e.agreement),
            series("lesion patches labelled 1", epochs, |e| e.lesion_recall_foreground),
            series("lesion patches masked", epochs, |e| e.lesion_recall_masked),
        ],
        note: LESION_NOTE.into(),
    };
    measured(vec![losses, shares])
}

/// Training loss, training Dice and validation Dice of several fine-tuning runs.
pub fn finetuning_charts(runs: &[FinetuneCurve]) -> Vec<Chart> {
    let losses = Chart {
        x_scale: XScale::Epochs,
        title: "Fine-tuning: training loss".into(),
        x: "epoch".into(),
        y: "Dice + cross-entropy".into(),
        scale: Scale::Linear,
        series: runs.iter().map(|run| series(&run.name, &run.epochs, |e| Some(e.loss))).collect(),
        note: String::new(),
    };
    let dices = Chart {
        x_scale: XScale::Epochs,
        title: "Fine-tuning: training Dice".into(),
        x: "epoch".into(),
        y: "Dice".into(),
        scale: Scale::Share,
        series: runs.iter().map(|run| series(&run.name, &run.epochs, |e| e.training_dice)).collect(),
        note: String::new(),
    };
    let validation = Chart {
        x_scale: XScale::Epochs,
        title: "Fine-tuning: validation".into(),
        x: "epoch".into(),
        y: "Dice".into(),
        scale: Scale::Share,
        series: runs
            .iter()
            .map(|run| Series {
                name: run.name.clone(),
                points: run.validation.iter().map(|(epoch, dice)| [*epoch as f64, *dice]).collect(),
                dots: Vec::new(),
            })
            .collect(),
        note: String::new(),
    };
    measured(vec![losses, dices, validation])
}

fn series(name: &str, epochs: &[EpochSummary], value: impl Fn(&EpochSummary) -> Option<f64>) -> Series {
    let points = epochs.iter().filter_map(|e| value(e).map(|v| [e.epoch as f64, v])).collect();
    Series { name: name.into(), points, dots: Vec::new() }
}

/// Removes series without points and charts without series.
fn measured(mut charts: Vec<Chart>) -> Vec<Chart> {
    for chart in &mut charts {
        chart.series.retain(|series| !series.points.is_empty());
    }
    charts.retain(|chart| !chart.series.is_empty());
    charts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_and_charts_without_values_are_omitted() {
        let epoch = |epoch, recall| EpochSummary {
            epoch,
            parts: Some([("pred", 1.0), ("rrl", 0.5), ("lcl", 0.1)].into_iter().collect()),
            sigma: Some(0.3),
            lesion_recall_masked: recall,
            ..EpochSummary::default()
        };
        let charts = pretraining_charts(&[epoch(1, None), epoch(2, Some(0.5))]);
        let names: Vec<&str> = charts[1].series.iter().map(|s| s.name.as_str()).collect();
        assert_eq!((charts.len(), names), (2, vec!["masking ratio σ", "lesion patches masked"]));
        assert_eq!(charts[1].series[1].points, [[2.0, 0.5]]);

        let run = FinetuneCurve { name: "a".into(), epochs: vec![epoch(1, None)], validation: vec![] };
        assert_eq!(finetuning_charts(&[run]).len(), 1, "never validated: no chart of it");
        assert!(pretraining_charts(&[]).is_empty());
    }
}
