//! The views of a batch on the host, and which slices are neighbours.

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::draw::{ViewShape, view};
use crate::pretrain::task::Sample;
use crate::pretrain::tensors::images;
use crate::seed::stream;

/// Identifies a slice by patient and position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceId {
    /// Number of the patient.
    pub patient: u64,
    /// Prepared slice, along S.
    pub k: u32,
}

impl SliceId {
    /// True for slices of the same patient at most `distance` apart, including the slice itself. They are not negatives of
    /// each other.
    pub fn is_near(self, other: Self, distance: usize) -> bool {
        self.patient == other.patient && self.k.abs_diff(other.k) as usize <= distance
    }
}

/// Several views of every slice of a batch.
pub struct ViewBatch {
    views: Vec<View>,
    channels: usize,
    /// The slices, in order.
    pub ids: Vec<SliceId>,
    /// Epoch and first slice, which seed the batch's draws.
    pub stream_key: [u64; 2],
}

struct View {
    side: usize,
    /// `[C][side][side]` of each slice.
    pixels: Vec<Vec<f32>>,
}

impl ViewBatch {
    /// Draws views of slices of `size` pixels per side in an epoch. Equal seeds, epochs and slices give equal views.
    pub fn draw(samples: &[Sample], shapes: &[ViewShape], size: usize, seed: u64, epoch: usize) -> Self {
        let draw = |number: usize, shape: ViewShape| {
            let pixels = |(index, sample): (usize, &Sample)| {
                // A slice that fills a short batch may be in it twice.
                let again = samples[..index].iter().filter(|other| other.slice == sample.slice).count();
                let stream_key = [epoch as u64, sample.slice, number as u64, again as u64];
                view(&sample.data, size, shape, &mut stream(seed, "view", &stream_key))
            };
            View { side: shape.side, pixels: samples.par_iter().enumerate().map(pixels).collect() }
        };
        Self {
            views: shapes.iter().enumerate().map(|(number, shape)| draw(number, *shape)).collect(),
            channels: samples.first().map_or(1, |sample| sample.data.pixels.len() / (size * size)),
            ids: samples.iter().map(|sample| SliceId { patient: sample.patient, k: sample.k }).collect(),
            stream_key: [epoch as u64, samples.first().map_or(0, |sample| sample.slice)],
        }
    }

    /// A view of these slices, `[b, C, side, side]`.
    pub fn of(&self, view: usize, slices: &[usize], device: &Device) -> Tensor<4> {
        let View { side, pixels } = &self.views[view];
        let chosen: Vec<&Vec<f32>> = slices.iter().map(|&slice| &pixels[slice]).collect();
        images(chosen.into_iter(), self.channels, *side, device)
    }

    /// The first channel of every view of the first slice: its side and `[side][side]`.
    pub fn pictures(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.views.iter().filter_map(|view| Some((view.side, &view.pixels.first()?[..view.side * view.side])))
    }

    /// Among the first `n` slices: 1 for two that are not negatives of each other, 0 elsewhere and on the diagonal, `[n, n]`, and
    /// the fraction of such pairs.
    pub fn neighbours(&self, n: usize, distance: usize, device: &Device) -> (Tensor<2>, f64) {
        let near = |pair: usize| pair / n != pair % n && self.ids[pair / n].is_near(self.ids[pair % n], distance);
        let values: Vec<f32> = (0..n * n).map(|pair| f32::from(u8::from(near(pair)))).collect();
        let share = values.iter().map(|x| f64::from(*x)).sum::<f64>() / (n * n - n).max(1) as f64;
        (Tensor::from_data(TensorData::new(values, [n, n]), device), share)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::preprocess::SliceData;
    use crate::test_tensors::values;

    fn sample(slice: u64, patient: u64, k: u32) -> Sample {
        let pixels = (0..2 * 64).map(|v| (v % 7) as f32 + slice as f32).collect();
        Sample { slice, patient, k, data: SliceData { pixels, target: None, tissue: vec![true; 64] } }
    }

    const SHAPES: [ViewShape; 2] = [
        ViewShape { side: 8, area: [0.3, 1.0], intensity: 0.4, blur: 1.0 },
        ViewShape { side: 4, area: [0.3, 1.0], intensity: 0.4, blur: 0.1 },
    ];

    #[test]
    fn neighbouring_slices_of_a_patient_are_not_negatives() {
        let samples = [sample(0, 1, 5), sample(1, 1, 8), sample(2, 1, 9), sample(3, 2, 5), sample(0, 1, 5)];
        let batch = ViewBatch::draw(&samples, &SHAPES, 8, 1, 1);
        let (mask, share) = batch.neighbours(5, 3, &Device::flex());
        let row = |index: usize| values(mask.clone())[5 * index..5 * index + 5].to_vec();
        assert_eq!(row(0), [0.0, 1.0, 0.0, 0.0, 1.0], "slices 5 and 8 are near, 5 and 9 are not, 5 is itself");
        assert_eq!(row(3), [0.0; 5], "another patient");
        assert!((share - 8.0 / 20.0).abs() < 1e-12, "{share}");
        // The literal rule still keeps a slice from being its own negative.
        let (mask, share) = batch.neighbours(5, 0, &Device::flex());
        assert_eq!(values(mask)[..5], [0.0, 0.0, 0.0, 0.0, 1.0]);
        assert!((share - 0.1).abs() < 1e-12);
    }

    #[test]
    fn views_are_in_the_order_of_the_batch() {
        let samples = [sample(4, 1, 5), sample(7, 1, 8), sample(9, 2, 1)];
        let device = Device::flex();
        let batch = ViewBatch::draw(&samples, &SHAPES, 8, 1, 3);
        let all = values(batch.of(0, &[0, 1, 2], &device));
        assert_eq!(batch.of(0, &[0, 1, 2], &device).dims(), [3, 2, 8, 8]);
        assert_eq!(values(batch.of(0, &[2, 0], &device)), [&all[256..], &all[..128]].concat());
        let pictures: Vec<_> = batch.pictures().collect();
        assert_eq!((pictures[0], pictures[1].0, pictures[1].1.len()), ((8, &all[..64]), 4, 16));
        // The views of a slice depend on seed, epoch and slice, not on its batch.
        let alone = ViewBatch::draw(&samples[1..2], &SHAPES, 8, 1, 3);
        assert_eq!(values(alone.of(0, &[0], &device)), &all[128..256]);
        for (seed, epoch) in [(2, 3), (1, 4)] {
            let other = ViewBatch::draw(&samples[1..2], &SHAPES, 8, seed, epoch);
            assert_ne!(values(other.of(0, &[0], &device)), &all[128..256]);
        }
        let twice = ViewBatch::draw(&[sample(4, 1, 5), sample(4, 1, 5)], &SHAPES, 8, 1, 3);
        assert_ne!(values(twice.of(0, &[0], &device)), values(twice.of(0, &[1], &device)));
    }
}
