//! Spread of the embeddings of different slices, which shows a collapse earlier than the loss.

use crate::{ErrorKind, Result};

/// Embeddings of an epoch, normalised to unit length: their scatter about the mean of their batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// Dimensions of an embedding.
    dim: usize,
    /// Degrees of freedom: rows minus one, summed over the batches.
    degrees_of_freedom: u64,
    /// `[dim][dim]`.
    scatter: Vec<f64>,
}

impl Spread {
    /// Adds a batch's embeddings, of any length.
    pub fn add(&mut self, rows: &[&[f64]]) {
        let Some(dim) = rows.first().map(|row| row.len()) else { return };
        if self.dim != dim {
            *self = Self { dim, degrees_of_freedom: 0, scatter: vec![0.0; dim * dim] };
        }
        let mut unit: Vec<Vec<f64>> = rows.iter().map(|row| normalised(row)).collect();
        for j in 0..dim {
            let mean = unit.iter().map(|row| row[j]).sum::<f64>() / rows.len() as f64;
            unit.iter_mut().for_each(|row| row[j] -= mean);
        }
        for row in &unit {
            for (sums, a) in self.scatter.chunks_exact_mut(dim).zip(row) {
                sums.iter_mut().zip(row).for_each(|(sum, b)| *sum += a * b);
            }
        }
        self.degrees_of_freedom += rows.len() as u64 - 1;
    }

    /// Standard deviation of a coordinate, averaged over the coordinates: `1 / sqrt(dim)` for uniformly distributed embeddings,
    /// 0 if they are all equal. `None` without two embeddings in a batch.
    pub fn std(&self) -> Option<f64> {
        let diagonal = (0..self.dim).map(|j| self.scatter[j * self.dim + j]);
        let sum: f64 = diagonal.map(|sum| (sum / self.degrees_of_freedom as f64).sqrt()).sum();
        (self.degrees_of_freedom > 0).then(|| sum / self.dim as f64)
    }

    /// Effective number of dimensions of the embeddings, 1 to `dim`: `(sum of e)^2 / sum of e^2` over the eigenvalues `e` of
    /// their covariance.
    pub fn effective_rank(&self) -> Option<f64> {
        // The trace is the sum of the eigenvalues, the squared Frobenius norm that of their squares.
        let trace: f64 = (0..self.dim).map(|j| self.scatter[j * self.dim + j]).sum();
        let squares: f64 = self.scatter.iter().map(|sum| sum * sum).sum();
        (squares > 0.0).then(|| trace * trace / squares)
    }

    /// True if the spread is below a tenth of that of evenly distributed embeddings, or below a quarter along a single line.
    pub fn is_collapsed(&self) -> bool {
        let is_line = self.effective_rank().is_some_and(|rank| rank < 1.2);
        let least = if is_line { 0.25 } else { 0.1 };
        self.std().is_some_and(|std| std < least / (self.dim as f64).sqrt())
    }

    /// Serialises all sums for a checkpoint.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = [self.dim as u64, self.degrees_of_freedom].map(u64::to_le_bytes);
        head.into_iter().chain(self.scatter.iter().map(|sum| sum.to_le_bytes())).flatten().collect()
    }

    /// Inverse of [`Spread::to_bytes`].
    ///
    /// # Errors
    /// Damaged bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let [dim, degrees_of_freedom, scatter @ ..] = words else { return Err(damaged()) };
        let [dim, degrees_of_freedom] = [dim, degrees_of_freedom].map(|word| u64::from_le_bytes(*word));
        let scatter: Vec<f64> = scatter.iter().map(|word| f64::from_le_bytes(*word)).collect();
        if !rest.is_empty() || dim.checked_mul(dim) != Some(scatter.len() as u64) {
            return Err(damaged());
        }
        Ok(Self { dim: dim as usize, degrees_of_freedom, scatter })
    }
}

fn normalised(row: &[f64]) -> Vec<f64> {
    let length = row.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
    row.iter().map(|x| x / length).collect()
}

fn damaged() -> crate::Error {
    ErrorKind::Compute { step: "reading the spread of embeddings".into(), why: "its bytes are damaged".into() }.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn spread(batches: &[&[&[f64]]]) -> Spread {
        let mut spread = Spread::default();
        batches.iter().for_each(|rows| spread.add(rows));
        spread
    }

    #[test]
    fn opposite_embeddings_have_an_effective_rank_of_one() {
        // Unit vectors (1, 0) and (-1, 0): variances 2 and 0.
        let result = spread(&[&[&[3.0, 0.0], &[-0.1, 0.0]]]);
        assert!((result.std().unwrap() - 2.0f64.sqrt() / 2.0).abs() < 1e-12);
        assert!((result.effective_rank().unwrap() - 1.0).abs() < 1e-12 && !result.is_collapsed());
        // With (0, 1) and (0, -1) in another batch both variances are 1.
        let result = spread(&[&[&[3.0, 0.0], &[-0.1, 0.0]], &[&[0.0, 1.0], &[0.0, -1.0]]]);
        assert!((result.std().unwrap() - 1.0).abs() < 1e-12);
        assert!((result.effective_rank().unwrap() - 2.0).abs() < 1e-12);
    }

    /// A collapsed network still changes from step to step, so only differences within a batch count.
    #[test]
    fn equal_embeddings_are_collapsed_even_if_they_drift() {
        let result = spread(&[&[&[1.0, 0.0], &[1.0, 0.0]], &[&[0.0, 1.0], &[0.0, 1.0]]]);
        assert!(result.std().unwrap() < 1e-12 && result.is_collapsed() && result.effective_rank().is_none());
        let nearly = spread(&[&[&[1.0, 0.0], &[1.0, 0.1]]]);
        assert!(nearly.is_collapsed(), "{:?}", nearly.std());
        // BYOL without its predictor comes to rest on a line, at .13 of an even spread, and was not flagged.
        let line = spread(&[&[&[1.0, 0.0], &[0.3f64.cos(), 0.3f64.sin()]]]);
        assert!(line.std().unwrap() > 0.1 / 2f64.sqrt() && line.is_collapsed(), "{:?}", line.std());
        let plane = spread(&[&[&[1.0, 0.0, 0.0], &[1.0, 0.3, 0.0]], &[&[1.0, 0.0, 0.0], &[1.0, 0.0, 0.3]]]);
        assert!(plane.effective_rank().unwrap() > 1.5 && !plane.is_collapsed(), "{:?}", plane.std());
        assert!(Spread::default().std().is_none() && !Spread::default().is_collapsed());
        assert!(spread(&[&[&[1.0, 0.0]]]).std().is_none(), "one embedding has no spread");
    }

    #[test]
    fn random_directions_have_the_expected_deviation() {
        use rand::RngExt;
        let mut draw = crate::seed::stream(1, "spread", &[]);
        let rows: Vec<Vec<f64>> =
            (0..4000).map(|_| (0..16).map(|_| (0..12).map(|_| draw.random_range(-1.0..1.0)).sum()).collect()).collect();
        let actual = spread(&[&rows.iter().map(Vec::as_slice).collect::<Vec<_>>()]);
        assert!((actual.std().unwrap() - 0.25).abs() < 0.003, "{:?}", actual.std());
        assert!(actual.effective_rank().unwrap() > 15.5);
    }

    #[test]
    fn the_spread_round_trips_and_damaged_bytes_are_an_error() {
        let result = spread(&[&[&[3.0, 0.5, 1.0], &[-0.1, 0.0, 2.0]]]);
        let bytes = result.to_bytes();
        assert_eq!(Spread::from_bytes(&bytes).unwrap(), result);
        assert_eq!(Spread::from_bytes(&Spread::default().to_bytes()).unwrap(), Spread::default());
        assert!(Spread::from_bytes(&bytes[..bytes.len() - 1]).is_err() && Spread::from_bytes(&bytes[8..]).is_err());
        assert!(Spread::from_bytes(&[]).is_err() && Spread::from_bytes(&[255; 16]).is_err());
    }
}
