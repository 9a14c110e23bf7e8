//! Features of a whole batch, even if it goes through the network in micro-batches.
//!
//! The losses compare slices with each other, so a micro-batch has no separate loss. But they depend on a slice only through
//! the encoder's features, which are few numbers. So a first pass without gradients gathers the features of the whole batch.
//! Then each micro-batch recomputes its own features with gradients, combines them with the others, and computes the loss of
//! the whole batch. The encoder's gradients add up exactly to that of the batch, because every feature gets its gradient
//! once. The heads, and their batch norm, see the whole batch each time.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::seq::SliceRandom;

use super::batch::ViewBatch;
use super::{ViewLoss, Views};
use crate::Result;
use crate::model::{ViewNet, read_values};
use crate::seed::stream;
use crate::trainer::MicroBatch;

impl<L: ViewLoss> Views<L> {
    /// Features `[B, d]` of the network's views and of the teacher's. Of a micro-batch, only its own rows have a gradient.
    pub(super) fn features(&self, net: &ViewNet, batch: &ViewBatch, micro: &MicroBatch<'_>) -> [Vec<Tensor<2>>; 2] {
        let live = self.student_features(net, batch, micro);
        if micro.is_whole() {
            let (slices, rows) = self.teacher_features(batch, micro);
            return [live, in_order(rows, &slices, micro.device)];
        }
        let mut gathered = self.gathered(micro);
        let teacher = gathered.split_off(live.len());
        let combine = |(own, whole): (Tensor<2>, Tensor<2>)| among(own, whole, &micro.range);
        [live.into_iter().zip(gathered).map(combine).collect(), teacher]
    }

    /// This micro-batch's features as [`crate::trainer::Objective::batch_statistics`]: `[view][B][d]`, 0 for other slices, so that
    /// the sum over micro-batches has those of all. The teacher's views follow the network's.
    pub(super) fn gather(&self, net: &ViewNet, batch: &ViewBatch, micro: &MicroBatch<'_>) -> Result<Vec<f64>> {
        let own: Vec<usize> = micro.range.clone().collect();
        let student = self.student_features(net, batch, micro);
        let (slices, teacher) = self.teacher_features(batch, micro);
        let owners: Vec<&[usize]> =
            student.iter().map(|_| own.as_slice()).chain(teacher.iter().map(|_| slices.as_slice())).collect();
        let all = Tensor::cat(student.into_iter().chain(teacher).map(Tensor::inner).collect(), 0);
        let d = all.dims()[1];
        let values: Vec<f64> = read_values(all, "the features of a batch")?;
        let mut sums = vec![0.0; owners.len() * micro.of * d];
        let rows = owners.iter().enumerate().flat_map(|(view, slices)| slices.iter().map(move |slice| (view, *slice)));
        for ((view, slice), row) in rows.zip(values.chunks_exact(d)) {
            sums[(view * micro.of + slice) * d..][..d].copy_from_slice(row);
        }
        Ok(sums)
    }

    /// The features from [`Self::gather`], `[B, d]` for each view.
    fn gathered(&self, micro: &MicroBatch<'_>) -> Vec<Tensor<2>> {
        let d = self.heads.projector.input;
        let view = |rows: &[f64]| {
            let values: Vec<f32> = rows.iter().map(|x| *x as f32).collect();
            Tensor::from_data(TensorData::new(values, [micro.of, d]), micro.device)
        };
        micro.statistics.chunks_exact(micro.of * d).map(view).collect()
    }

    /// The network's features of a micro-batch, `[b, d]` for each of its views.
    fn student_features(&self, net: &ViewNet, batch: &ViewBatch, micro: &MicroBatch<'_>) -> Vec<Tensor<2>> {
        let slices: Vec<usize> = micro.range.clone().collect();
        let pass = |views: &Vec<usize>| self.encode(net, batch, views, &slices, micro.device);
        self.plan.student.iter().flat_map(pass).collect()
    }

    /// The teacher's features `[b, d]`, for each of its views, and the slices they belong to. If the teacher processes a
    /// batch in chunks, the slices are shuffled. Otherwise batch norm would leak which key belongs to which query, because
    /// both would be normalised with the same slices.
    fn teacher_features(&self, batch: &ViewBatch, micro: &MicroBatch<'_>) -> (Vec<usize>, Vec<Tensor<2>>) {
        let Some(teacher) = &self.teacher else { return (Vec::new(), Vec::new()) };
        let (teacher, chunks) = (teacher.on(micro.device), self.plan.teacher_chunks);
        let mut order: Vec<usize> = (0..micro.of).collect();
        if chunks > 1 {
            order.shuffle(&mut stream(self.config.seed, "teacher-chunks", &batch.stream_key));
        }
        let slices = order[micro.range.clone()].to_vec();
        let pass = |views: &Vec<usize>| {
            let parts = slices.chunks(micro.of.div_ceil(chunks.max(1)));
            let parts: Vec<_> = parts.map(|part| self.encode(&teacher, batch, views, part, micro.device)).collect();
            let view = |index: usize| Tensor::cat(parts.iter().map(|part| part[index].clone()).collect(), 0).detach();
            (0..views.len()).map(view).collect::<Vec<_>>()
        };
        let rows = self.plan.teacher.iter().flat_map(pass).collect();
        (slices, rows)
    }

    /// Features of some views of some slices, which go through the encoder together: `[slices, d]` for each view.
    fn encode(
        &self,
        net: &ViewNet,
        batch: &ViewBatch,
        views: &[usize],
        slices: &[usize],
        device: &Device,
    ) -> Vec<Tensor<2>> {
        let images = Tensor::cat(views.iter().map(|&view| batch.of(view, slices, device)).collect(), 0);
        let features = net.features(images, self.config.training.precision);
        (0..views.len()).map(|index| features.clone().narrow(0, index * slices.len(), slices.len())).collect()
    }
}

/// Rows of these slices in the batch's order.
fn in_order(rows: Vec<Tensor<2>>, slices: &[usize], device: &Device) -> Vec<Tensor<2>> {
    if slices.is_sorted() {
        return rows;
    }
    let mut row_of_slice = vec![0i32; slices.len()];
    slices.iter().enumerate().for_each(|(row, &slice)| row_of_slice[slice] = row as i32);
    let order = Tensor::<1, Int>::from_ints(row_of_slice.as_slice(), device);
    rows.into_iter().map(|rows| rows.select(0, order.clone())).collect()
}

/// The rows of the whole batch, with those of a micro-batch replaced by its own.
fn among(own: Tensor<2>, whole: Tensor<2>, range: &Range<usize>) -> Tensor<2> {
    let after = whole.dims()[0] - range.end;
    let mut rows = Vec::with_capacity(3);
    if range.start > 0 {
        rows.push(whole.clone().narrow(0, 0, range.start));
    }
    rows.push(own);
    if after > 0 {
        rows.push(whole.narrow(0, range.end, after));
    }
    Tensor::cat(rows, 0)
}
