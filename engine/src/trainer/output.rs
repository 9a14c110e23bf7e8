//! The losses of a step: on the device, then as numbers.

use std::ops::Range;

use burn::tensor::Tensor;

use super::MicroBatch;
use crate::Result;
use crate::model::read_values;

/// The loss of a micro-batch on the device.
pub struct MicroLoss {
    /// The objective. Summed over the micro-batches of a batch, its gradient is that of the batch's loss.
    pub objective: Tensor<1>,
    /// The loss, as a mean over the micro-batch's slices.
    pub value: Tensor<1>,
    /// The named loss terms, unweighted; means over the slices.
    pub parts: Vec<(&'static str, Tensor<1>)>,
    /// Diagnostics such as the accuracy of the method's task; means over the slices. Their means over the epoch are
    /// [`crate::event::EpochSummary::diagnostics`].
    pub diagnostics: Vec<(&'static str, Tensor<1>)>,
    /// Values per slice that the method reads back, `[b, K]`.
    pub per_slice: Option<Tensor<2>>,
    /// The network's output, `[b, C, S, S]`.
    pub output: Tensor<4>,
}

/// The losses of a step.
#[derive(Debug, Default)]
pub struct StepOutput {
    /// The loss that was minimised.
    pub loss: f64,
    /// The named loss terms, unweighted.
    pub parts: Vec<(&'static str, f64)>,
    /// [`MicroLoss::diagnostics`].
    pub diagnostics: Vec<(&'static str, f64)>,
    /// [`MicroLoss::per_slice`].
    pub per_slice: Vec<Vec<f64>>,
    /// The network's output of some of the slices, on their device.
    pub(super) output: Vec<(Range<usize>, Tensor<4>)>,
}

impl StepOutput {
    /// The losses of a batch that is not split.
    ///
    /// # Errors
    /// Device errors.
    pub fn of(loss: MicroLoss, micro: &MicroBatch<'_>) -> Result<Self> {
        let mut output = Self::default();
        output.read(loss, micro)?;
        Ok(output)
    }

    /// Adds a micro-batch: waits for its device once and reads its values.
    pub(super) fn read(&mut self, loss: MicroLoss, micro: &MicroBatch<'_>) -> Result<()> {
        let slices = micro.range.len();
        let per_slice = loss.per_slice.map(|numbers| {
            let [rows, columns] = numbers.dims();
            numbers.inner().reshape([rows * columns])
        });
        let names_of =
            |numbers: &[(&'static str, Tensor<1>)]| numbers.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let (parts, diagnostics) = (names_of(&loss.parts), names_of(&loss.diagnostics));
        let named = loss.parts.into_iter().chain(loss.diagnostics).map(|(_, value)| value);
        let values = std::iter::once(loss.value).chain(named);
        let all: Vec<Tensor<1>> = values.map(Tensor::inner).chain(per_slice).collect();
        let numbers: Vec<f64> = read_values(Tensor::cat(all, 0), "reading the losses")?;
        let (means, rest) = numbers.split_at(1 + parts.len() + diagnostics.len());
        let means: Vec<f64> = means.iter().map(|mean| micro.share() * mean).collect();
        self.loss += means[0];
        let (of_parts, of_diagnostics) = means[1..].split_at(parts.len());
        add(&mut self.parts, parts.into_iter().zip(of_parts.iter().copied()));
        add(&mut self.diagnostics, diagnostics.into_iter().zip(of_diagnostics.iter().copied()));
        self.per_slice.extend(rest.chunks((rest.len() / slices.max(1)).max(1)).map(<[f64]>::to_vec));
        self.output.push((micro.range.clone(), loss.output.inner()));
        Ok(())
    }

    /// Appends the values of the following slices, computed by another device.
    pub(super) fn join(&mut self, other: Self) {
        self.loss += other.loss;
        add(&mut self.parts, other.parts);
        add(&mut self.diagnostics, other.diagnostics);
        self.per_slice.extend(other.per_slice);
        self.output.extend(other.output);
    }

    /// The first channel of the network's output for a slice of the batch, `[S][S]`; `None` if it has no such slice.
    ///
    /// # Errors
    /// Device errors.
    pub fn picture(&self, slice: usize) -> Result<Option<Vec<f32>>> {
        let Some((range, output)) = self.output.iter().find(|(range, _)| range.contains(&slice)) else {
            return Ok(None);
        };
        let [_, _, height, width] = output.dims();
        let row = slice - range.start;
        let output = output.clone().slice([row..row + 1, 0..1, 0..height, 0..width]);
        read_values(output, "reading a reconstruction").map(Some)
    }

    /// The named loss term, NaN if there is none.
    pub(crate) fn part(&self, name: &str) -> f64 {
        self.parts.iter().find(|(part, _)| *part == name).map_or(f64::NAN, |(_, value)| *value)
    }

    /// The first loss that is not finite, by name.
    pub fn non_finite(&self) -> Option<(&'static str, f64)> {
        let all = self.parts.iter().copied().chain([("loss", self.loss)]);
        all.into_iter().find(|(_, value)| !value.is_finite())
    }
}

/// Appends values in the same order to those of the previous slices.
fn add(sums: &mut Vec<(&'static str, f64)>, more: impl IntoIterator<Item = (&'static str, f64)>) {
    for (index, (name, value)) in more.into_iter().enumerate() {
        match sums.get_mut(index) {
            Some((_, sum)) => *sum += value,
            None => sums.push((name, value)),
        }
    }
}
