//! Relative losses (Eq. 6) and the literal value of the category consistency loss (Eq. 7): plain numbers, for the log,
//! the label update and the window. The differentiable losses are in [`crate::loss`].

/// Below this sum of losses a slice is taken as perfectly reconstructed, and no patch as harder than another.
pub const VANISHING: f64 = 1e-12;

/// xi of Eq. 7, which keeps the logarithm finite.
pub const XI: f64 = 1e-10;

/// `rel_i` = n L_i / sum L over the n masked patches of one slice. Their mean is 1 by construction; if the sum is below
/// 1e-12 (or no number at all) each is 1.
pub fn relative_losses(losses: &[f64]) -> Vec<f64> {
    let sum: f64 = losses.iter().sum();
    if !sum.is_finite() || sum < VANISHING {
        return vec![1.0; losses.len()];
    }
    losses.iter().map(|loss| losses.len() as f64 * loss / sum).collect()
}

/// True for a patch that counts as important: its (mean) relative loss is at least the mean of all, 1.
pub fn important(relative_loss: f64) -> bool {
    relative_loss >= 1.0
}

/// Eq. 7 for one patch as printed: a cross-entropy between two hard labels, 23.03 where they differ and 0 otherwise.
pub fn literal_consistency(label_ori: u8, label_new: u8) -> f64 {
    let (ori, new) = (f64::from(label_ori.min(1)), f64::from(label_new.min(1)));
    // The loss is taken where the labels differ; where they agree the formula would leave -ln(1 + xi).
    if label_ori.min(1) == label_new.min(1) {
        return 0.0;
    }
    -(new * (ori + XI).ln() + (1.0 - new) * (1.0 - ori + XI).ln())
}

/// The literal value of Eq. 7 for a slice, normalised as the default loss is: summed over the masked patches whose
/// labels differ, divided by the number of masked patches. 0 if nothing is masked.
pub fn literal_consistency_of_slice(label_ori: &[u8], label_new: &[u8], masked: &[bool]) -> f64 {
    let labels = label_ori.iter().zip(label_new);
    let sum: f64 =
        labels.zip(masked).filter(|(_, masked)| **masked).map(|((ori, new), _)| literal_consistency(*ori, *new)).sum();
    sum / masked.iter().filter(|masked| **masked).count().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn eq_6() {
        assert_eq!(relative_losses(&[1.0, 3.0]), [0.5, 1.5]);
        assert_eq!(relative_losses(&[0.0, 0.0, 1e-13]), [1.0; 3]);
        assert_eq!(relative_losses(&[f64::NAN, 1.0]), [1.0; 2]);
        assert!(relative_losses(&[]).is_empty());
        assert!(important(1.0) && !important(0.999));
    }

    #[test]
    fn eq_7_is_a_constant_per_flip() {
        for (ori, new, expected) in [(0, 1, 23.0259), (1, 0, 23.0259), (1, 1, 0.0), (0, 0, 0.0)] {
            assert!((literal_consistency(ori, new) - expected).abs() < 1e-4, "{ori} {new}");
        }
        let value = literal_consistency_of_slice(&[0, 0, 1, 1], &[1, 0, 1, 0], &[true, true, true, false]);
        assert!((value - 23.0259 / 3.0).abs() < 1e-4);
        assert!(literal_consistency_of_slice(&[0], &[1], &[false]).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn the_mean_is_one(losses in prop::collection::vec(1e-6f64..1e6, 1..300)) {
            let relative = relative_losses(&losses);
            prop_assert!((relative.iter().sum::<f64>() / losses.len() as f64 - 1.0).abs() < 1e-9);
        }
    }
}
