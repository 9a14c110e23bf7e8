//! Entropy of a network's probabilities per slice. It indicates uncertain slices but is not calibrated.

use super::check_len;
use crate::Result;
use crate::volume::Grid;

/// Voxels with a lower probability do not count. Otherwise the many voxels of certain background would hide the few uncertain
/// ones.
pub const CONSIDERED_ABOVE: f32 = 0.01;

/// Mean binary entropy in bits (0 to 1) of each axial slice's probabilities, in canonical order from feet to head.
///
/// The mean is over the voxels with p > [`CONSIDERED_ABOVE`], including those near 1. A slice without such voxels has 0. NaN
/// is ignored, and values above 1 count as 1. `probability` has one value per voxel in the memory order of `grid`. The
/// result is bit-identical for any number of threads.
///
/// # Errors
/// If `probability` does not have one value per voxel.
pub fn slice_entropy(probability: &[f32], grid: &Grid) -> Result<Vec<f64>> {
    Ok(sums(probability, grid)?.into_iter().map(mean).collect())
}

/// As [`slice_entropy`], but over the whole volume: the network's uncertainty about a case.
///
/// # Errors
/// As [`slice_entropy`].
pub fn mean_entropy(probability: &[f32], grid: &Grid) -> Result<f64> {
    let all = sums(probability, grid)?.into_iter().fold((0.0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    Ok(mean(all))
}

/// Sum of the entropies and number of the voxels that count, by slice.
fn sums(probability: &[f32], grid: &Grid) -> Result<Vec<(f64, u64)>> {
    check_len(probability.len(), grid)?;
    let add = |(sum, voxels): &mut (f64, u64), at: usize| {
        // Also false for NaN.
        if probability[at] > CONSIDERED_ABOVE {
            *sum += entropy_bits(f64::from(probability[at].min(1.0)));
            *voxels += 1;
        }
    };
    Ok(grid.sum_axial(add, |all: &mut (f64, u64), one: &(f64, u64)| *all = (all.0 + one.0, all.1 + one.1)))
}

fn mean((sum, voxels): (f64, u64)) -> f64 {
    if voxels == 0 { 0.0 } else { sum / voxels as f64 }
}

/// Binary entropy of `p` in bits.
fn entropy_bits(p: f64) -> f64 {
    let term = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    term(p) + term(1.0 - p)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::Orientation;
    use glam::DAffine3;

    #[test]
    fn entropies_match_values_computed_by_hand_in_every_axis_order() {
        let upright = Grid::new([2, 2, 4], DAffine3::IDENTITY);
        let quarter = 2.0 - 0.75 * 3.0_f64.log2();
        let slices: [([f32; 4], f64); 4] = [
            // One bit, and the entropy of 0.25; 0.01 itself and 0 do not count.
            ([0.5, 0.25, 0.01, 0.0], f64::midpoint(1.0, quarter)),
            ([0.01, 0.0, -3.0, f32::NAN], 0.0),
            // A certain lesion counts with entropy 0; values above 1 are certain.
            ([1.0, 0.5, 0.005, 7.0], 1.0 / 3.0),
            ([0.75, f32::NAN, f32::NAN, 0.0], quarter),
        ];
        let probability: Vec<f32> = slices.iter().flat_map(|(p, _)| *p).collect();
        for o in Orientation::all() {
            let found = slice_entropy(&o.apply(&probability, upright.shape), &upright.reoriented(&o)).unwrap();
            for (found, (_, expected)) in found.iter().zip(&slices) {
                assert!((found - expected).abs() < 1e-7, "{o:?}: {found} {expected}");
            }
            assert_eq!(found.len(), 4);
            // Six voxels count, each with the same weight.
            let whole = mean_entropy(&o.apply(&probability, upright.shape), &upright.reoriented(&o)).unwrap();
            assert!((whole - (1.0 + quarter + 1.0 + quarter) / 6.0).abs() < 1e-7, "{o:?}: {whole}");
        }
        assert!(slice_entropy(&[0.5; 15], &upright).is_err());
    }
}
