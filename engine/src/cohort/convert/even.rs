//! Resamples uneven or tilted slices to an even grid, along their normal and at their smallest distance.

use glam::{DAffine3, DMat3, DVec3};

use crate::volume::{Grid, LabelVolume};
use crate::{Error, Result};

/// Slices closer than this, in mm, have the same position.
const SAME_MM: f64 = 1e-3;

/// Slices at their true positions.
pub(super) struct Slices<'a> {
    /// The grid of the slices; it shares their columns and rows.
    pub grid: &'a Grid,
    /// World position of each slice's first voxel in mm, RAS, ascending along the slices' normal.
    pub positions: &'a [DVec3],
}

/// The two slices around a slice of the even grid.
struct SlicePair {
    /// The slices below and above.
    slices: [usize; 2],
    /// Interpolation weight of the one above, 0 to 1.
    weight: f64,
    /// Column and row of the even grid's first voxel in either slice.
    shift: [[f64; 2]; 2],
}

impl Slices<'_> {
    /// The even grid. It covers all slices, including shifted ones.
    ///
    /// # Errors
    /// If two slices have the same position, or there are fewer than two.
    pub fn even_grid(&self) -> Result<Grid> {
        let m = self.grid.world_from_voxel.matrix3;
        let along = self.along();
        let step = along.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        let (Some(first), Some(last)) = (along.first(), along.last()) else {
            return Err(Error::config("slices", 0, "at least two are needed to resample them"));
        };
        if !step.is_finite() || step < SAME_MM {
            return Err(Error::config(
                "slices",
                along.len(),
                "cannot be resampled: two of them are at the same position",
            ));
        }
        let depth = ((last - first) / step - 1e-6).ceil() as usize + 1;
        let (mut low, mut high) = ([0_f64; 2], [0_f64; 2]);
        for &position in self.positions {
            let at = self.in_plane(position - self.positions[0]);
            for a in 0..2 {
                low[a] = low[a].min(at[a].floor());
                high[a] = high[a].max(at[a].ceil());
            }
        }
        let [columns, rows] = std::array::from_fn(|a| self.grid.shape[a] + (high[a] - low[a]) as usize);
        let matrix3 = DMat3::from_cols(m.x_axis, m.y_axis, self.normal() * step);
        let translation = self.positions[0] + m.x_axis * low[0] + m.y_axis * low[1];
        Ok(Grid::new([columns, rows, depth], DAffine3 { matrix3, translation }))
    }

    fn normal(&self) -> DVec3 {
        let m = self.grid.world_from_voxel.matrix3;
        let normal = m.x_axis.cross(m.y_axis).normalize_or_zero();
        if normal.dot(m.z_axis) < 0.0 { -normal } else { normal }
    }

    /// Distance of each slice along the normal, in mm.
    fn along(&self) -> Vec<f64> {
        let normal = self.normal();
        self.positions.iter().map(|position| (*position - self.positions[0]).dot(normal)).collect()
    }

    /// A vector in steps of columns and rows.
    fn in_plane(&self, vector: DVec3) -> [f64; 2] {
        let m = self.grid.world_from_voxel.matrix3;
        [m.x_axis, m.y_axis].map(|axis| vector.dot(axis) / axis.length_squared())
    }

    /// The slices around slice `k` of the even grid.
    fn pair(&self, to: &Grid, k: usize, along: &[f64]) -> SlicePair {
        let at = to.spacing_mm()[2] * k as f64;
        let above = along.partition_point(|mm| *mm <= at).clamp(1, along.len() - 1);
        let weight = ((at - along[above - 1]) / (along[above] - along[above - 1])).clamp(0.0, 1.0);
        let slices = [above - 1, above];
        let first = to.world([0, 0, k]);
        SlicePair { slices, weight, shift: slices.map(|slice| self.in_plane(first - self.positions[slice])) }
    }

    /// Values on the even grid by linear interpolation; `outside` where a neighbour is missing.
    pub fn values(&self, values: &[f32], to: &Grid, outside: f32) -> Vec<f32> {
        let [columns, rows, _] = self.grid.shape;
        let value = |slice: usize, column: f64, row: f64| -> Option<f64> {
            let (i, j) = (column.floor(), row.floor());
            let (u, v) = (column - i, row - j);
            let mut sum = 0.0;
            for (dj, weight_j) in [(0.0, 1.0 - v), (1.0, v)] {
                for (di, weight_i) in [(0.0, 1.0 - u), (1.0, u)] {
                    let weight: f64 = weight_i * weight_j;
                    // A neighbour without weight may lie outside: shifts are whole numbers up to rounding errors.
                    if weight > 1e-6 {
                        let (i, j) = (i + di, j + dj);
                        let inside = i >= 0.0 && j >= 0.0 && i < columns as f64 && j < rows as f64;
                        let at = inside.then(|| i as usize + columns * (j as usize + rows * slice))?;
                        sum += weight * f64::from(values[at]);
                    }
                }
            }
            Some(sum)
        };
        self.sampled(to, |pair, i, j| {
            let mut sum = 0.0;
            for (which, weight) in [(0, 1.0 - pair.weight), (1, pair.weight)] {
                if weight > 1e-6 {
                    let [column, row] = pair.shift[which];
                    match value(pair.slices[which], column + i, row + j) {
                        Some(value) => sum += weight * value,
                        None => return outside,
                    }
                }
            }
            sum as f32
        })
    }

    /// Labels on the even grid, from the nearest slice and pixel; 0 outside.
    pub fn labels(&self, labels: &LabelVolume, to: &Grid) -> Result<LabelVolume> {
        let [columns, rows, _] = self.grid.shape;
        let found: Vec<u16> = self.sampled(to, |pair, i, j| {
            let which = usize::from(pair.weight > 0.5);
            let [column, row] = pair.shift[which];
            let (i, j) = ((column + i).round(), (row + j).round());
            if i < 0.0 || j < 0.0 || i >= columns as f64 || j >= rows as f64 {
                return 0;
            }
            labels.get(i as usize + columns * (j as usize + rows * pair.slices[which]))
        });
        LabelVolume::new(to.clone(), found)
    }

    fn sampled<T>(&self, to: &Grid, sample: impl Fn(&SlicePair, f64, f64) -> T) -> Vec<T> {
        let along = self.along();
        let mut found = Vec::with_capacity(to.len());
        for k in 0..to.shape[2] {
            let pair = self.pair(to, k, &along);
            for j in 0..to.shape[1] {
                found.extend((0..to.shape[0]).map(|i| sample(&pair, i as f64, j as f64)));
            }
        }
        found
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn grid(shape: [usize; 3], z: f64) -> Grid {
        Grid::new(shape, DAffine3::from_scale(DVec3::new(2.0, 2.0, z)))
    }

    /// A linear field is sampled exactly at any slice positions.
    fn check(positions: &[DVec3], shape: [usize; 2], expected: [usize; 3]) {
        let grid = grid([shape[0], shape[1], positions.len()], 3.0);
        let field = |p: DVec3| 3.0 * p.x - 2.0 * p.y + 0.5 * p.z + 7.0;
        let mut values = Vec::new();
        for position in positions {
            for j in 0..shape[1] {
                for i in 0..shape[0] {
                    values.push(field(*position + DVec3::new(2.0 * i as f64, 2.0 * j as f64, 0.0)) as f32);
                }
            }
        }
        let slices = Slices { grid: &grid, positions };
        let even = slices.even_grid().unwrap();
        assert_eq!(even.shape, expected);
        let found = slices.values(&values, &even, f32::NAN);
        let mut inside = 0;
        for k in 0..even.shape[2] {
            for j in 0..even.shape[1] {
                for i in 0..even.shape[0] {
                    let value = f64::from(found[even.index([i, j, k])]);
                    if !value.is_nan() {
                        inside += 1;
                        assert!((value - field(even.world([i, j, k]))).abs() < 1e-3, "{i} {j} {k}: {value}");
                    }
                }
            }
        }
        assert!(inside * 10 >= shape[0] * shape[1] * expected[2] * 9, "only {inside} voxels are inside");
    }

    #[test]
    fn uneven_slices_are_interpolated_at_their_true_positions() {
        check(&[0.0, 1.0, 4.0, 6.0].map(|z| DVec3::new(0.0, 0.0, z)), [4, 3], [4, 3, 7]);
    }

    #[test]
    fn tilted_slices_are_shifted_back() {
        let positions: Vec<DVec3> = (0..5).map(|k| DVec3::new(0.0, -0.9 * f64::from(k), 3.0 * f64::from(k))).collect();
        check(&positions, [5, 40], [5, 42, 5]);
    }

    #[test]
    fn labels_use_the_nearest_slice() {
        let grid = grid([1, 1, 3], 3.0);
        let positions = [0.0, 1.0, 5.0].map(|z| DVec3::new(0.0, 0.0, z));
        let slices = Slices { grid: &grid, positions: &positions };
        let even = slices.even_grid().unwrap();
        let labels = LabelVolume::new(grid.clone(), vec![1_u8, 2, 3]).unwrap();
        let found: Vec<u16> = slices.labels(&labels, &even).unwrap().iter().collect();
        assert_eq!(found, [1, 2, 2, 2, 3, 3]);
        let twice = [0.0, 0.0].map(|z| DVec3::new(0.0, 0.0, z));
        assert!(Slices { grid: &grid, positions: &twice }.even_grid().is_err());
        assert!(Slices { grid: &grid, positions: &[] }.even_grid().is_err());
    }
}
