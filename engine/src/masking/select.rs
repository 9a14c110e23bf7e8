//! The masked set and its lesion recall.

/// n_m = floor(N sigma + 1e-9) patches, at most N. The epsilon compensates for rounding in products such as 100 * 0.29, which
/// would lose a patch.
pub fn masked_count(patches: usize, sigma: f64) -> usize {
    ((patches as f64 * sigma + 1e-9).floor().max(0.0) as usize).min(patches)
}

/// 1 or true at the chosen of `patches` patches, 0 or false at the others.
pub fn indicator<T: Copy + From<bool>>(patches: usize, chosen: &[usize]) -> Vec<T> {
    let mut is_chosen = vec![T::from(false); patches];
    chosen.iter().for_each(|&patch| is_chosen[patch] = T::from(true));
    is_chosen
}

/// Which patches are masked at `sigma`: the first n_m of `order`, by patch index.
pub fn masked_patches(order: &[usize], sigma: f64) -> Vec<bool> {
    let mut masked = vec![false; order.len()];
    for i in &order[..masked_count(order.len(), sigma)] {
        if let Some(masked) = masked.get_mut(*i) {
            *masked = true;
        }
    }
    masked
}

/// Fraction of the foreground among all patches, 0 to 1; 0 without patches.
pub fn foreground_share(labels: &[u8]) -> f64 {
    let foreground: usize = labels.iter().map(|label| usize::from(*label == 1)).sum();
    foreground as f64 / labels.len().max(1) as f64
}

/// Fraction of air among the foreground; `None` without a foreground.
pub fn air_share(labels: &[u8], air: &[bool]) -> Option<f64> {
    let foreground = labels.iter().map(|label| *label == 1);
    share(foreground.zip(air).filter(|(foreground, _)| *foreground).map(|(_, air)| *air))
}

/// Fraction of the lesion patches that are in `chosen`; `None` without lesion patches.
pub fn recall(lesion: &[bool], chosen: impl IntoIterator<Item = bool>) -> Option<f64> {
    share(lesion.iter().zip(chosen).filter(|(lesion, _)| **lesion).map(|(_, chosen)| chosen))
}

/// Recall of the lesion patches by the patches labelled 1.
pub fn recall_of_foreground(lesion: &[bool], labels: &[u8]) -> Option<f64> {
    recall(lesion, labels.iter().map(|label| *label == 1))
}

/// Recall of the lesion patches by the masked patches.
pub fn recall_of_masked(lesion: &[bool], masked: &[bool]) -> Option<f64> {
    recall(lesion, masked.iter().copied())
}

fn share(hits: impl Iterator<Item = bool>) -> Option<f64> {
    let (all, hit) = hits.fold((0usize, 0usize), |(all, hit), yes| (all + 1, hit + usize::from(yes)));
    (all > 0).then(|| hit as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_masked_count_is_robust_to_rounding() {
        assert_eq!(masked_count(256, 0.25), 64);
        assert_eq!(masked_count(256, 0.9), 230);
        // 100 * 0.29 is 28.999999999999996 in binary.
        assert_eq!(masked_count(100, 0.29), 29);
        assert_eq!(masked_count(256, 1.0 - 1e-6), 255);
        assert_eq!((masked_count(256, 1.0), masked_count(256, 7.0)), (256, 256));
        assert_eq!((masked_count(256, -1.0), masked_count(256, f64::NAN), masked_count(0, 0.5)), (0, 0, 0));
    }

    #[test]
    fn shares_and_recalls_match_values_computed_by_hand() {
        assert_eq!(masked_patches(&[2, 0, 3, 1], 0.5), [true, false, true, false]);
        assert!((foreground_share(&[1, 0, 0, 0]) - 0.25).abs() < f64::EPSILON);
        assert_eq!(air_share(&[1, 1, 0, 0], &[true, false, true, true]), Some(0.5));
        assert_eq!(air_share(&[0, 0], &[true, true]), None);
        assert_eq!(recall_of_foreground(&[true, true, false], &[1, 0, 1]), Some(0.5));
        assert_eq!(recall_of_masked(&[false, true, false], &[true, true, false]), Some(1.0));
        assert_eq!(recall_of_masked(&[false; 3], &[true; 3]), None);
    }
}
