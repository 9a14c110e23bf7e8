//! Length and learning-rate schedule of a run.

use crate::config::TrainingConfig;

/// Epochs and steps of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Epochs; the last may be cut short by `steps`.
    pub epochs: usize,
    /// Steps of a whole epoch.
    pub steps_per_epoch: usize,
    /// Total steps.
    pub steps: usize,
}

impl Length {
    /// The length for `slices` slices per epoch. A last batch below half the batch size is left out, because its batch statistics
    /// would be poor; the shuffled order leaves out different slices in each epoch.
    pub fn new(training: &TrainingConfig, slices: usize) -> Self {
        let (whole, rest) = (slices / training.batch.max(1), slices % training.batch.max(1));
        let steps_per_epoch = (whole + usize::from(2 * rest >= training.batch)).max(1);
        if training.steps > 0 {
            let epochs = training.steps.div_ceil(steps_per_epoch);
            return Self { epochs, steps_per_epoch, steps: training.steps };
        }
        let epochs = training.epochs.max(training.min_steps.div_ceil(steps_per_epoch));
        Self { epochs, steps_per_epoch, steps: epochs * steps_per_epoch }
    }

    /// Learning rate of step `index` (from 0) of epoch `epoch` (from 1).
    pub fn rate(&self, training: &TrainingConfig, epoch: usize, index: usize) -> f64 {
        training.rate((epoch - 1) * self.steps_per_epoch + index, self.steps)
    }

    /// Steps of epoch `epoch`.
    pub fn steps_of(&self, epoch: usize) -> usize {
        self.steps.saturating_sub((epoch - 1) * self.steps_per_epoch).min(self.steps_per_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_in_steps_shortens_the_last_epoch() {
        let training = TrainingConfig { batch: 4, steps: 7, ..TrainingConfig::default() };
        let length = Length::new(&training, 10);
        assert_eq!(length, Length { epochs: 3, steps_per_epoch: 3, steps: 7 });
        assert_eq!([1, 2, 3].map(|e| length.steps_of(e)), [3, 3, 1]);
        let whole = Length::new(&TrainingConfig { steps: 0, epochs: 5, ..training }, 10);
        assert_eq!((whole.steps, whole.steps_of(5)), (15, 3));
    }

    #[test]
    fn epochs_are_added_to_reach_the_minimum_number_of_steps() {
        let training = TrainingConfig { batch: 4, steps: 0, epochs: 5, min_steps: 100, ..TrainingConfig::default() };
        let length = |slices| Length::new(&training, slices);
        assert_eq!(length(10), Length { epochs: 34, steps_per_epoch: 3, steps: 102 }, "only whole epochs are added");
        assert_eq!(length(80), Length { epochs: 5, steps_per_epoch: 20, steps: 100 });
        assert_eq!(length(400), Length { epochs: 5, steps_per_epoch: 100, steps: 500 });
        let named = Length::new(&TrainingConfig { steps: 7, ..training.clone() }, 10);
        assert_eq!(named.steps, 7, "a length in steps is exact");
    }

    #[test]
    fn a_last_batch_below_half_the_size_is_left_out() {
        let steps = |slices, batch| {
            let training = TrainingConfig { batch, steps: 0, epochs: 1, ..TrainingConfig::default() };
            Length::new(&training, slices).steps
        };
        assert_eq!([8, 9, 11, 12, 15, 16].map(|slices| steps(slices, 8)), [1, 1, 1, 2, 2, 2]);
        assert_eq!([1, 3].map(|slices| steps(slices, 8)), [1, 1], "the only batch stays, however small");
        assert_eq!([1, 5].map(|slices| steps(slices, 1)), [1, 5]);
        assert_eq!([7, 8].map(|slices| steps(slices, 5)), [1, 2]);
    }
}
