//! Random masks in which every slice has the same number of masked cells.
//!
//! A cell is a patch, a mask unit or the field of one bottleneck position. A mask is a list of cells of a square grid, numbered
//! row by row. Each draw depends only on the seed and its key (epoch, slice).

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::patch::PatchGrid;
use crate::seed::stream;
use crate::{Error, Result};

/// Sides of a mask unit in pixels, in order of preference.
const UNITS_PX: [usize; 2] = [32, 16];
/// Patches per image in the publications on block-wise masks. The counts below are shares of these.
const PUBLISHED_CELLS: usize = 196;
/// Natural logarithm of a block's largest aspect ratio, 1 / 0.3.
const LOG_ASPECT: f64 = 1.203_972_804_325_936;
/// Attempts to place a block before the rest of the mask is scattered.
const TRIES: usize = 10;

/// The grid of mask units of a slice of `size` pixels: 32 px per side, else 16 px.
///
/// # Errors
/// A size that is a multiple of neither.
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

/// Number of masked cells if a quarter of `cells`, rounded down, stays visible.
pub fn masked_cells(cells: usize) -> usize {
    cells - cells / 4
}

/// The first `count` entries of a random permutation of `n`.
pub fn random(n: usize, count: usize, seed: u64, key: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut stream(seed, "mask-units", key));
    order.truncate(count);
    order
}

/// Cell counts of a block-wise mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockCounts {
    /// Masked cells.
    pub masked: usize,
    /// Masked cells that are drawn in blocks; the rest is scattered.
    pub in_blocks: usize,
    /// Smallest area of a block.
    pub min_block: usize,
    /// Maximum number of cells that one block adds.
    pub max_block: usize,
}

impl BlockCounts {
    /// `MaskFeat`: 40 % of `cells`, all in blocks.
    pub fn maskfeat(cells: usize) -> Self {
        let masked = (cells * 2 / 5).max(1);
        Self { masked, in_blocks: masked, min_block: (cells * 16 / PUBLISHED_CELLS).max(1), max_block: masked }
    }

    /// BEiT: 75 of 196 cells, all in blocks.
    pub fn beit(cells: usize) -> Self {
        let masked = share(cells, 75);
        Self { masked, in_blocks: masked, min_block: share(cells, 16), max_block: masked }
    }

    /// `BootMAE`: three quarters of the cells, 120 of 196 in blocks of at most 60.
    pub fn bootmae(cells: usize) -> Self {
        let masked = masked_cells(cells);
        Self {
            masked,
            in_blocks: share(cells, 120).min(masked),
            min_block: share(cells, 16),
            max_block: share(cells, 60),
        }
    }
}

/// `of_published` of [`PUBLISHED_CELLS`], rounded, at least 1.
fn share(cells: usize, of_published: usize) -> usize {
    ((2 * cells * of_published + PUBLISHED_CELLS) / (2 * PUBLISHED_CELLS)).max(1)
}

/// A block-wise mask (Bao et al., 2022) of a grid of `side` x `side` cells: rectangles of random area and aspect until
/// `in_blocks` cells are masked or ten draws in a row do not fit, then random cells up to `masked`, so that unlike the original
/// no mask is too small.
pub fn blocks(side: usize, counts: BlockCounts, seed: u64, key: &[u64]) -> Vec<usize> {
    let cells = side * side;
    let mut draw = stream(seed, "mask-blocks", key);
    let mut masked = vec![false; cells];
    let mut chosen: Vec<usize> = Vec::with_capacity(counts.masked);
    let in_blocks = counts.in_blocks.min(counts.masked);
    while chosen.len() < in_blocks {
        let left = (in_blocks - chosen.len()).min(counts.max_block);
        let block = (0..TRIES).find_map(|_| {
            let area = counts.min_block as f64 + (left as f64 - counts.min_block as f64) * draw.random::<f64>();
            let aspect = draw.random_range(-LOG_ASPECT..LOG_ASPECT).exp();
            let [height, width] = [area * aspect, area / aspect].map(|square| square.sqrt().round() as usize);
            if height >= side || width >= side {
                return None;
            }
            let [top, first] = [side - height, side - width].map(|last| draw.random_range(0..=last));
            let rows =
                (top..top + height).flat_map(|row| (first..first + width).map(move |column| row * side + column));
            let new: Vec<usize> = rows.filter(|&cell| !masked[cell]).collect();
            (1..=left).contains(&new.len()).then_some(new)
        });
        let Some(block) = block else { break };
        block.iter().for_each(|&cell| masked[cell] = true);
        chosen.extend(block);
    }
    let mut free: Vec<usize> = (0..cells).filter(|&cell| !masked[cell]).collect();
    free.shuffle(&mut draw);
    chosen.extend(free.into_iter().take(counts.masked.saturating_sub(chosen.len())));
    chosen
}

/// A mask (Li et al., 2022) that leaves one cell of every 2 x 2 visible. A last odd row or column is masked.
pub fn uniform(side: usize, seed: u64, key: &[u64]) -> Vec<usize> {
    let mut draw = stream(seed, "mask-uniform", key);
    let mut visible = vec![false; side * side];
    for row in (0..side / 2 * 2).step_by(2) {
        for column in (0..side / 2 * 2).step_by(2) {
            let cell = draw.random_range(0..4);
            visible[(row + cell / 2) * side + column + cell % 2] = true;
        }
    }
    (0..side * side).filter(|&cell| !visible[cell]).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Sides of the crop in pixels and of its grid of 16 px cells.
    const GRIDS: [(usize, usize); 3] = [(160, 10), (144, 9), (96, 6)];

    fn is_distinct(mask: &[usize], cells: usize) -> bool {
        let mut sorted = mask.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        sorted.len() == mask.len() && sorted.iter().all(|cell| *cell < cells)
    }

    /// Mean number of neighbouring cells that are both masked: high where masks are clumped.
    fn neighbours(side: usize, draws: u64, mask: impl Fn(u64) -> Vec<usize>) -> f64 {
        let of = |mask: Vec<usize>| {
            let mut masked = vec![false; side * side];
            mask.into_iter().for_each(|cell| masked[cell] = true);
            let beside = |cell: usize| cell % side + 1 < side && masked[cell + 1];
            let below = |cell: usize| cell + side < side * side && masked[cell + side];
            let pairs = |cell: usize| usize::from(beside(cell)) + usize::from(below(cell));
            (0..side * side).filter(|&cell| masked[cell]).map(pairs).sum::<usize>()
        };
        (0..draws).map(|seed| of(mask(seed))).sum::<usize>() as f64 / draws as f64
    }

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
    fn random_masks_are_exact_and_depend_on_seed_and_key() {
        let draw = |seed, key: &[u64]| random(25, 15, seed, key);
        assert!(draw(1, &[2, 3]).len() == 15 && is_distinct(&draw(1, &[2, 3]), 25));
        assert_eq!(draw(1, &[2, 3]), draw(1, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(2, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(1, &[3, 3]));
    }

    #[test]
    fn block_counts_follow_the_publications_at_three_sizes() {
        let counts = |masked, in_blocks, min_block, max_block| BlockCounts { masked, in_blocks, min_block, max_block };
        let expected = [
            (75, counts(40, 40, 8, 40), counts(38, 38, 8, 38), counts(75, 61, 8, 31)),
            (61, counts(32, 32, 6, 32), counts(31, 31, 7, 31), counts(61, 50, 7, 25)),
            (27, counts(14, 14, 2, 14), counts(14, 14, 3, 14), counts(27, 22, 3, 11)),
        ];
        for ((size, side), expected) in GRIDS.into_iter().zip(expected) {
            let cells = side * side;
            let actual = (
                masked_cells(cells),
                BlockCounts::maskfeat(cells),
                BlockCounts::beit(cells),
                BlockCounts::bootmae(cells),
            );
            assert_eq!(actual, expected, "{size}");
        }
    }

    #[test]
    fn block_masks_have_their_exact_count_on_every_grid() {
        for side in 1..=12 {
            for counts in [BlockCounts::maskfeat, BlockCounts::beit, BlockCounts::bootmae].map(|of| of(side * side)) {
                for slice in 0..200 {
                    let mask = blocks(side, counts, 3, &[slice]);
                    assert!(mask.len() == counts.masked && is_distinct(&mask, side * side), "{side} {counts:?}");
                }
            }
        }
        let counts = BlockCounts::beit(100);
        assert_eq!(blocks(10, counts, 1, &[2, 3]), blocks(10, counts, 1, &[2, 3]));
        assert_ne!(blocks(10, counts, 1, &[2, 3]), blocks(10, counts, 1, &[2, 4]));
    }

    /// Against 20,000 draws of an implementation in Python of the original's rule with the top-up; scattered masks have 28.4,
    /// 25.6, 100.9 and 8.7.
    #[test]
    fn block_masks_are_as_clumped_as_the_original() {
        for (side, of, expected) in [
            (10, BlockCounts::maskfeat as fn(usize) -> BlockCounts, 62.17),
            (10, BlockCounts::beit, 58.53),
            (10, BlockCounts::bootmae, 117.06),
            (6, BlockCounts::beit, 17.32),
        ] {
            let actual = neighbours(side, 4000, |slice| blocks(side, of(side * side), 5, &[slice]));
            assert!((actual / expected - 1.0).abs() < 0.01, "{side}: {actual}, not {expected}");
        }
    }

    #[test]
    fn uniform_masks_leave_one_cell_of_every_four() {
        let mut positions = [0usize; 4];
        for slice in 0..100 {
            let mask = uniform(16, 7, &[slice]);
            assert!(mask.len() == 192 && is_distinct(&mask, 256));
            let mut hidden = [[0usize; 8]; 8];
            mask.iter().for_each(|cell| hidden[cell / 32][cell % 16 / 2] += 1);
            assert_eq!(hidden, [[3; 8]; 8]);
            let first = [0, 1, 16, 17].into_iter().position(|cell| !mask.contains(&cell)).unwrap();
            positions[first] += 1;
        }
        assert!(positions.iter().all(|count| *count > 5), "{positions:?}");
        assert_eq!(uniform(3, 7, &[0]).len(), 8);
    }
}
