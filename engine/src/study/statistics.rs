//! Statistics of paired comparisons: the exact Wilcoxon signed-rank test, Holm's correction, and intervals from crossed
//! resamples of draws and patients.

use rand::RngExt;

use crate::volume::percentile;
use crate::{parallel, seed};

/// Number of [`Resamples`] where all of them are too many to enumerate.
pub const RESAMPLES: usize = 10_000;

/// Result of a Wilcoxon signed-rank test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wilcoxon {
    /// The smaller of the two rank sums.
    pub w: f64,
    /// Two-sided p value, exact; ties share their mean rank.
    pub p: f64,
    /// Differences that are not 0.
    pub n: usize,
}

/// Exact two-sided Wilcoxon signed-rank test of paired differences. Zeros are left out (Wilcoxon's own rule); without any other
/// difference p is 1.
///
/// Dynamic programming counts the null distribution of the rank sum over all 2^n signs, in units of half a rank so that mean
/// ranks of ties are integers.
pub fn wilcoxon(differences: &[f64]) -> Wilcoxon {
    let mut nonzero: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    nonzero.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let n = nonzero.len();
    let mut half_ranks = Vec::with_capacity(n);
    for tied in nonzero.chunk_by(|a, b| a.abs() == b.abs()) {
        // Ranks first + 1 to first + k have the mean first + (k + 1) / 2.
        let twice = 2 * half_ranks.len() + tied.len() + 1;
        half_ranks.extend(std::iter::repeat_n(twice, tied.len()));
    }
    let total: usize = half_ranks.iter().sum();
    let positive: usize = half_ranks.iter().zip(&nonzero).filter(|(_, d)| **d > 0.0).map(|(rank, _)| rank).sum();
    let smaller = positive.min(total - positive);
    // Probability of each rank sum.
    let mut probability = vec![0.0; total + 1];
    probability[0] = 1.0;
    for rank in half_ranks {
        for sum in (0..=total).rev() {
            let with = if sum >= rank { probability[sum - rank] } else { 0.0 };
            probability[sum] = 0.5 * (probability[sum] + with);
        }
    }
    let tail: f64 = probability[..=smaller].iter().sum();
    Wilcoxon { w: smaller as f64 / 2.0, p: (2.0 * tail).min(1.0), n }
}

/// Holm's step-down correction of a family of p values, in the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        corrected[index] = largest;
    }
    corrected
}

/// Mean of a table of values, with its variation under resampling of both rows and columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Mean of all values.
    pub mean: f64,
    /// 2.5th percentile of the resampled means.
    pub low: f64,
    /// 97.5th percentile of the resampled means.
    pub high: f64,
    /// Standard deviation of the resampled means (over all of them, n).
    pub sd: f64,
}

/// Resamples of the rows and columns of a table, with replacement. Tables of one shape share them: drawing them takes longer
/// than their means.
pub struct Resamples {
    rows: usize,
    columns: usize,
    /// Drawn rows, and the drawn columns, of each resample.
    drawn: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Resamples {
    /// Resamples of tables of `rows` x `columns` values: all of them if there are at most [`RESAMPLES`], otherwise that many
    /// drawn with `seed`.
    pub fn new([rows, columns]: [usize; 2], seed: u64) -> Self {
        let all = |n: usize| u32::try_from(n).ok().and_then(|power| n.checked_pow(power));
        let drawn = match all(rows).zip(all(columns)).and_then(|(a, b)| a.checked_mul(b)) {
            Some(count) if count <= RESAMPLES => {
                let column_draws = every_draw(columns);
                let with_columns =
                    |row: Vec<usize>| column_draws.iter().map(move |column| (row.clone(), column.clone()));
                every_draw(rows).into_iter().flat_map(with_columns).collect()
            }
            _ => {
                let mut stream = seed::stream(seed, "crossed resamples", &[rows as u64, columns as u64]);
                let mut draw = |n: usize| (0..n).map(|_| stream.random_range(0..n)).collect::<Vec<_>>();
                (0..RESAMPLES).map(|_| (draw(rows), draw(columns))).collect()
            }
        };
        Self { rows, columns, drawn }
    }

    /// 95 % percentile intervals of the means of tables `[draw][patient]`: draws and patients are resampled independently.
    /// `None` if a table is empty or has another shape.
    pub fn intervals(&self, tables: &[&[Vec<f64>]]) -> Option<Vec<Interval>> {
        let size = self.rows * self.columns;
        let fits = |table: &[Vec<f64>]| table.len() == self.rows && table.iter().all(|row| row.len() == self.columns);
        if size == 0 || !tables.iter().all(|table| fits(table)) {
            return None;
        }
        // Values of the same cell are adjacent in memory, table by table, so that a resample is evaluated for all tables in one pass.
        let mut values = vec![0.0; size * tables.len()];
        for (t, table) in tables.iter().enumerate() {
            for (cell, value) in table.iter().flatten().enumerate() {
                values[cell * tables.len() + t] = *value;
            }
        }
        let means_of = |rows: &[usize], columns: &[usize]| -> Vec<f64> {
            let mut sums = vec![0.0; tables.len()];
            for (row, column) in rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column))) {
                let from = (row * self.columns + column) * tables.len();
                sums.iter_mut().zip(&values[from..from + tables.len()]).for_each(|(sum, value)| *sum += value);
            }
            sums.iter_mut().for_each(|sum| *sum /= size as f64);
            sums
        };
        let (rows, columns): (Vec<usize>, Vec<usize>) = ((0..self.rows).collect(), (0..self.columns).collect());
        let whole = means_of(&rows, &columns);
        let drawn: Vec<Vec<f64>> = self.drawn.iter().map(|(rows, columns)| means_of(rows, columns)).collect();
        let interval = |t: usize| {
            let mut means: Vec<f64> = drawn.iter().map(|means| means[t]).collect();
            let n = means.len() as f64;
            let centre = means.iter().sum::<f64>() / n;
            let sd = (means.iter().map(|mean| (mean - centre).powi(2)).sum::<f64>() / n).sqrt();
            Some(Interval {
                mean: whole[t],
                low: percentile(&mut means, 2.5)?,
                high: percentile(&mut means, 97.5)?,
                sd,
            })
        };
        parallel::map(tables.len(), interval).into_iter().collect()
    }
}

/// All n^n draws of n indices with replacement.
fn every_draw(n: usize) -> Vec<Vec<usize>> {
    (0..n).fold(vec![Vec::new()], |draws, _| {
        draws.iter().flat_map(|draw| (0..n).map(|index| [draw.as_slice(), &[index]].concat())).collect()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const DIFFERENCES: [f64; 10] = [0.05, 0.02, -0.01, 0.08, 0.03, 0.04, -0.025, 0.06, 0.07, 0.015];

    #[test]
    fn wilcoxon_p_values_are_exact() {
        // Ten of the 1024 sign patterns have a rank sum of at most 5, on either side.
        let test = wilcoxon(&DIFFERENCES);
        assert_eq!((test.w, test.p, test.n), (5.0, 0.019_531_25, 10));
        let negated: Vec<f64> = DIFFERENCES.iter().map(|d| -d).collect();
        assert_eq!(wilcoxon(&negated), test);
        // Five pairs cannot be significant at 5 %.
        assert_eq!(wilcoxon(&[0.1, 0.2, 0.3, 0.4, 0.5]).p, 0.0625);
    }

    #[test]
    fn ties_share_ranks_and_zeros_are_left_out() {
        // Ranks 1.5, 1.5, 3: of the eight sign patterns, W <= 1.5 has three (none, either of the ties).
        let test = wilcoxon(&[0.25, -0.25, 0.0, 0.5]);
        assert_eq!((test.w, test.p, test.n), (1.5, 0.75, 3));
        assert_eq!(wilcoxon(&[0.0, 0.0]), Wilcoxon { w: 0.0, p: 1.0, n: 0 });
    }

    #[test]
    fn holm_correction_steps_down() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (actual, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((actual - expected).abs() < 1e-12, "{corrected:?}");
        }
        assert_eq!(holm(&[0.6, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    fn interval(values: &[Vec<f64>], seed: u64) -> Option<Interval> {
        Resamples::new([values.len(), values.first()?.len()], seed).intervals(&[values])?.pop()
    }

    #[test]
    fn two_by_two_has_sixteen_resamples() {
        let interval = interval(&[vec![0.1, 0.3], vec![0.2, 0.0]], 0).unwrap();
        assert!((interval.mean - 0.15).abs() < 1e-12 && (interval.sd - 0.061_237_2).abs() < 1e-7, "{interval:?}");
        // With one draw and one patient the extremes are the smallest and the largest value.
        assert!(interval.low >= 0.0 && interval.low < 0.05 && interval.high > 0.25 && interval.high <= 0.3);
    }

    #[test]
    fn random_resamples_agree_with_full_enumeration() {
        let table = |rows: usize, columns: usize| -> Vec<Vec<f64>> {
            (0..rows).map(|r| (0..columns).map(|c| ((r * 7 + c * 3) % 11) as f64 / 10.0).collect()).collect()
        };
        // 5 x 12 values: the variance of a mean of resampled rows and columns, in closed form.
        let values = table(5, 12);
        let actual = interval(&values, 1).unwrap();
        let grand = values.iter().flatten().sum::<f64>() / 60.0;
        let row_means: Vec<f64> = values.iter().map(|row| row.iter().sum::<f64>() / 12.0).collect();
        let column_means: Vec<f64> = (0..12).map(|c| values.iter().map(|row| row[c]).sum::<f64>() / 5.0).collect();
        let spread =
            |means: &[f64]| means.iter().map(|m| (m - grand).powi(2)).sum::<f64>() / (means.len().pow(2)) as f64;
        let rest: f64 = values
            .iter()
            .enumerate()
            .flat_map(|(r, row)| row.iter().enumerate().map(move |(c, v)| (r, c, v)))
            .map(|(r, c, v)| (v - row_means[r] - column_means[c] + grand).powi(2))
            .sum::<f64>()
            / 3600.0;
        let expected = (spread(&row_means) + spread(&column_means) + rest).sqrt();
        assert!((actual.mean - grand).abs() < 1e-12);
        assert!((actual.sd / expected - 1.0).abs() < 0.05, "{} {expected}", actual.sd);
        assert_eq!(interval(&values, 1), Some(actual), "the same seed gives the same interval");
        assert_eq!(interval(&[], 0), None);
        assert_eq!(interval(&[vec![], vec![]], 0), None);
        assert_eq!(interval(&[vec![1.0], vec![1.0, 2.0]], 0), None);
        let resamples = Resamples::new([5, 12], 1);
        assert_eq!(resamples.intervals(&[&table(5, 11)]), None, "a table of another shape");
        let others: Vec<Vec<f64>> = table(6, 12).split_off(1);
        let both = resamples.intervals(&[&others, &values]).unwrap();
        assert_eq!((both[1], Some(both[0])), (actual, interval(&others, 1)), "tables do not mix");
    }
}
