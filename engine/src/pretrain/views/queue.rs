//! A queue of embeddings from earlier batches.

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::batch::SliceId;
use crate::run::checkpoint::CheckpointData;
use crate::seed::stream;
use crate::trainer::Parts;
use crate::{ErrorKind, Result};

/// A ring buffer of rows of `dim` numbers. A new row replaces the oldest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    dim: usize,
    capacity: usize,
    /// Index of the next row to write.
    next: usize,
    /// The slice that each row embeds; `None` for a random row.
    owners: Vec<Option<SliceId>>,
    /// `[rows][dim]`.
    #[serde(skip)]
    rows: Vec<f32>,
}

impl Queue {
    /// An empty queue.
    pub fn empty(capacity: usize, dim: usize) -> Self {
        Self { dim, capacity, next: 0, owners: Vec::new(), rows: Vec::new() }
    }

    /// A full queue of random unit vectors, the initial state of MoCo.
    pub fn random(capacity: usize, dim: usize, seed: u64) -> Self {
        let mut draw = stream(seed, "queue", &[]);
        let mut queue = Self::empty(capacity, dim);
        for _ in 0..capacity {
            let row: Vec<f64> = (0..dim).map(|_| StandardNormal.sample(&mut draw)).collect();
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            let unit: Vec<f64> = row.iter().map(|x| x / length).collect();
            queue.push(&unit, None);
        }
        queue
    }

    /// Capacity in rows.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// True once the queue has reached its capacity.
    pub fn is_full(&self) -> bool {
        self.owners.len() == self.capacity
    }

    /// Adds a row, replacing the oldest if the queue is full.
    pub fn push(&mut self, row: &[f64], owner: Option<SliceId>) {
        if self.capacity == 0 {
            return;
        }
        let row = row.iter().map(|x| *x as f32);
        if self.is_full() {
            self.owners[self.next] = owner;
            self.rows[self.next * self.dim..][..self.dim].iter_mut().zip(row).for_each(|(to, x)| *to = x);
        } else {
            self.owners.push(owner);
            self.rows.extend(row);
        }
        self.next = (self.next + 1) % self.capacity;
    }

    /// The rows, `[K, dim]`.
    pub fn rows(&self, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(self.rows.clone(), [self.owners.len(), self.dim]), device)
    }

    /// `[B, K]`: 1 where a row belongs to a slice within `distance` of the query's, 0 elsewhere; and the fraction of such pairs.
    pub fn near(&self, queries: &[SliceId], distance: usize, device: &Device) -> (Tensor<2>, f64) {
        let is_near = |query: &SliceId, owner: &Option<SliceId>| owner.is_some_and(|id| id.is_near(*query, distance));
        let row = |query| self.owners.iter().map(move |owner| f32::from(u8::from(is_near(query, owner))));
        let values: Vec<f32> = queries.iter().flat_map(row).collect();
        let share = values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len().max(1) as f64;
        (Tensor::from_data(TensorData::new(values, [queries.len(), self.owners.len()]), device), share)
    }

    /// The queue as parts of a checkpoint.
    ///
    /// # Errors
    /// If serialisation fails, which does not happen in practice.
    pub fn state(&self, name: &str) -> Result<Parts> {
        let head = serde_json::to_vec(self).map_err(|e| damaged(name, &e.to_string()))?;
        let rows = self.rows.iter().flat_map(|x| x.to_le_bytes()).collect();
        Ok(vec![(format!("{name}.json"), head), (format!("{name}.bin"), rows)])
    }

    /// Restores [`Queue::state`].
    ///
    /// # Errors
    /// Parts that are missing, damaged or of a queue of another size.
    pub fn restore(&mut self, name: &str, parts: &mut CheckpointData) -> Result<()> {
        let (head, rows) = (parts.take(&format!("{name}.json"))?, parts.take(&format!("{name}.bin"))?);
        let mut queue: Self = serde_json::from_slice(&head).map_err(|e| damaged(name, &e.to_string()))?;
        let (numbers, rest) = rows.as_chunks::<4>();
        queue.rows = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let whole = rest.is_empty() && queue.rows.len() == queue.owners.len() * queue.dim;
        let fits = [queue.dim, queue.capacity] == [self.dim, self.capacity] && queue.owners.len() <= queue.capacity;
        if !whole || !fits || queue.next >= queue.capacity.max(1) {
            return Err(damaged(name, "its size is not that of this run"));
        }
        *self = queue;
        Ok(())
    }
}

fn damaged(name: &str, why: &str) -> crate::Error {
    ErrorKind::Compute { step: format!("reading {name}"), why: why.into() }.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::test_tensors::values;

    fn id(patient: u64, k: u32) -> SliceId {
        SliceId { patient, k }
    }

    #[test]
    fn a_full_queue_replaces_its_oldest_row() {
        let device = Device::flex();
        let mut queue = Queue::empty(3, 1);
        for (index, full) in [(1.0, false), (2.0, false), (3.0, true), (4.0, true)] {
            queue.push(&[index], Some(id(index as u64, 0)));
            assert_eq!(queue.is_full(), full);
        }
        assert_eq!(values(queue.rows(&device)), [4.0, 2.0, 3.0]);
        queue.push(&[5.0], None);
        assert_eq!(values(queue.rows(&device)), [4.0, 5.0, 3.0]);
        let (near, share) = queue.near(&[id(3, 0), id(4, 2), id(2, 0)], 2, &device);
        assert_eq!(values(near), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert!((share - 2.0 / 9.0).abs() < 1e-12);
        let mut none = Queue::empty(0, 1);
        none.push(&[1.0], None);
        assert!(none.is_full() && none == Queue::empty(0, 1));
    }

    #[test]
    fn a_random_queue_is_full_of_unit_vectors_without_owners() {
        let device = Device::flex();
        let queue = Queue::random(50, 8, 3);
        assert!(queue.is_full() && queue == Queue::random(50, 8, 3) && queue != Queue::random(50, 8, 4));
        let lengths = values(queue.rows(&device).powf_scalar(2.0).sum_dim(1));
        assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-5));
        assert!(queue.near(&[id(0, 0)], 1000, &device).1.abs() < 1e-12);
    }

    #[test]
    fn a_queue_round_trips_through_a_checkpoint() {
        let mut queue = Queue::random(3, 2, 1);
        queue.push(&[0.1, 0.2], Some(id(7, 9)));
        let parts = || CheckpointData { parts: queue.state("queue").unwrap(), ..CheckpointData::default() };
        let mut read = Queue::empty(3, 2);
        read.restore("queue", &mut parts()).unwrap();
        assert_eq!(read, queue);
        assert!(Queue::empty(4, 2).restore("queue", &mut parts()).is_err());
        let mut cut = parts();
        cut.parts[1].1.pop();
        assert!(read.restore("queue", &mut cut).is_err() && read == queue);
        assert!(read.restore("queue", &mut CheckpointData::default()).is_err());
    }
}
