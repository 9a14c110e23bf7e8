//! Random masks in which every slice has the same number of masked patches.

use rand::seq::SliceRandom;

use crate::patch::PatchGrid;
use crate::seed::stream;
use crate::{Error, Result};

/// Sides of a unit in pixels, the preferred first.
const UNITS_PX: [usize; 2] = [32, 16];

/// The grid of mask units of a slice of `size` pixels: 32 px a side, else 16 px.
///
/// # Errors
/// A size that neither divides.
pub fn units(size: usize) -> Result<PatchGrid> {
    let Some(side) = UNITS_PX.into_iter().find(|side| size > 0 && size.is_multiple_of(*side)) else {
        let why = "must be a multiple of 16, the side of a mask unit";
        return Err(Error::config("preprocess.size", size, why));
    };
    PatchGrid::new(size, size / side)
}

/// How many of `units` units are masked: 60 %, rounded up.
pub fn masked_units(units: usize) -> usize {
    (units * 3).div_ceil(5)
}

/// The first `count` entries of a random permutation of `n`; seed and place (epoch, slice) decide.
pub fn random(n: usize, count: usize, seed: u64, place: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut stream(seed, "mask-units", place));
    order.truncate(count);
    order
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn units_have_the_published_side_and_counts() {
        for (size, n, masked) in [(160, 25, 15), (144, 81, 49), (96, 9, 6)] {
            let grid = units(size).unwrap();
            assert_eq!((grid.count(), masked_units(grid.count())), (n, masked), "{size}");
        }
        assert!(units(100).unwrap_err().to_string().contains("preprocess.size = 100"));
        assert!(units(0).is_err());
    }

    #[test]
    fn random_masks_are_exact_and_depend_on_seed_and_place() {
        let draw = |seed, place: &[u64]| random(25, 15, seed, place);
        let mut sorted = draw(1, &[2, 3]);
        sorted.sort_unstable();
        sorted.dedup();
        assert!(sorted.len() == 15 && sorted.iter().all(|unit| *unit < 25));
        assert_eq!(draw(1, &[2, 3]), draw(1, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(2, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(1, &[3, 3]));
    }
}
