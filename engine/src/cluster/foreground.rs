//! Selecting the foreground cluster and scoring the patches (paper, section 3.1).

use std::cmp::Ordering;

use super::ForegroundRule;
use super::kmeans::{means, squared_to};

/// Labels, logits and centres of the clustered patches.
pub(super) struct ScoredPatches {
    /// 1 foreground, 0 background.
    pub labels: Vec<u8>,
    /// s_i, finite.
    pub logit: Vec<f64>,
    /// Centres of background and foreground.
    pub centres: [Vec<f32>; 2],
}

/// Selects the foreground of the clusters `parts` (0 and 1) of `points` `[n][d]` by `rule` and computes the logit of every
/// point. `None` if a cluster is empty.
pub(super) fn score(
    points: &[f32],
    d: usize,
    parts: &[u8],
    rule: ForegroundRule,
    temperature: f64,
) -> Option<ScoredPatches> {
    let ones: usize = parts.iter().map(|part| usize::from(*part == 1)).sum();
    if ones == 0 || ones == parts.len() {
        return None;
    }
    let centres = means(points, d, parts);
    let foreground = u8::from(one_is_foreground([parts.len() - ones, ones], &centres, rule));
    let [zero, one] = centres;
    let (background_centre, foreground_centre) = if foreground == 1 { (zero, one) } else { (one, zero) };
    let of_point = |point| logit(point, &background_centre, &foreground_centre, temperature);
    let logit = points.chunks_exact(d).map(of_point).collect();
    let narrow = |centre: Vec<f64>| centre.into_iter().map(|v| v as f32).collect();
    Some(ScoredPatches {
        labels: parts.iter().map(|part| u8::from(*part == foreground)).collect(),
        logit,
        centres: [narrow(background_centre), narrow(foreground_centre)],
    })
}

/// s of one patch: the difference of its squared distances to the background and the foreground centre, over D t.
pub(super) fn logit(point: &[f32], background: &[f64], foreground: &[f64], temperature: f64) -> f64 {
    let unit = (point.len() as f64 * temperature).max(f64::MIN_POSITIVE);
    let s = (squared_to(point, background) - squared_to(point, foreground)) / unit;
    // Above LEFT_OUT, finite, and without negative zero.
    s.clamp(-f64::MAX / 2.0, f64::MAX / 2.0) + 0.0
}

/// True if cluster 1 is the foreground. A tie in size is broken by brightness and vice versa, then by the first pixel at
/// which the centres differ, so that the result does not depend on the order of the patches.
fn one_is_foreground(sizes: [usize; 2], centres: &[Vec<f64>; 2], rule: ForegroundRule) -> bool {
    let mean = |centre: &[f64]| centre.iter().sum::<f64>() / centre.len() as f64;
    let fewer = sizes[0].cmp(&sizes[1]);
    let brighter = mean(&centres[1]).total_cmp(&mean(&centres[0]));
    let pixel = centres[1].iter().zip(&centres[0]).map(|(one, zero)| one.total_cmp(zero)).find(|order| order.is_ne());
    let order = match rule {
        ForegroundRule::Minority => fewer.then(brighter),
        ForegroundRule::Brighter => brighter.then(fewer),
        ForegroundRule::Darker => brighter.reverse().then(fewer),
    };
    order.then(pixel.unwrap_or(Ordering::Less)).is_gt()
}

/// 1 / (1 + e^-s). Exactly 0 or 1 at the extremes, never NaN.
pub(super) fn sigmoid(s: f64) -> f64 {
    if s >= 0.0 {
        1.0 / (1.0 + (-s).exp())
    } else {
        let e = s.exp();
        e / (1.0 + e)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_rule_selects_its_cluster_and_breaks_ties() {
        use ForegroundRule::{Brighter, Darker, Minority};
        let centres = [vec![1.0, 1.0], vec![0.0, 0.0]];
        assert!(one_is_foreground([3, 2], &centres, Minority));
        assert!(!one_is_foreground([2, 3], &centres, Minority));
        assert!(!one_is_foreground([2, 2], &centres, Minority), "equal sizes: the brighter");
        assert!(!one_is_foreground([3, 2], &centres, Brighter));
        assert!(one_is_foreground([3, 2], &centres, Darker));
        let same_mean = [vec![0.0, 1.0], vec![1.0, 0.0]];
        assert!(one_is_foreground([2, 2], &same_mean, Brighter));
        assert!(one_is_foreground([2, 2], &same_mean, Minority));
        assert!(!one_is_foreground([2, 2], &[same_mean[1].clone(), same_mean[0].clone()], Minority));
    }

    #[test]
    fn the_sigmoid_of_the_logit_is_the_softmax_of_the_distances() {
        let points = [0.0f32, 0.0, 1.0, 1.0, 0.1, 0.1];
        let scored = score(&points, 2, &[0, 1, 0], ForegroundRule::Minority, 0.1).unwrap();
        assert_eq!(scored.labels, [0, 1, 0]);
        let (background, foreground) = (0.05f64, 1.0f64);
        for (s, x) in scored.logit.iter().zip([0.0f64, 1.0, 0.1]) {
            let d2 = |centre: f64| 2.0 * (x - centre).powi(2);
            let (f, b) = ((-d2(foreground) / 0.2).exp(), (-d2(background) / 0.2).exp());
            assert!((sigmoid(*s) - f / (f + b)).abs() < 1e-7, "{s}");
        }
        assert!((sigmoid(-800.0), sigmoid(800.0)) == (0.0, 1.0) && sigmoid(f64::MIN) == 0.0);
    }
}
