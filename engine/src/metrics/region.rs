//! The bounding box of a pair of masks with a margin, so that neighbours need no bounds checks.

use crate::parallel;

/// Both masks cropped to their common bounding box, with one voxel of background on every side.
pub(super) struct Region {
    /// Shape with the margin.
    pub shape: [usize; 3],
    /// Segmentation, first axis fastest.
    pub segmentation: Vec<bool>,
    /// Reference, first axis fastest.
    pub reference: Vec<bool>,
}

/// First and one past the last index along each axis.
type Bounds = [[usize; 2]; 3];

const NOTHING: Bounds = [[usize::MAX, 0]; 3];

impl Region {
    /// Crops two masks of this shape. If both are empty, only the margin remains.
    pub fn around(segmentation: &[bool], reference: &[bool], shape: [usize; 3]) -> Self {
        let mut bounds = join(&bounds(segmentation, shape), &bounds(reference, shape));
        if bounds == NOTHING {
            bounds = [[0, 0]; 3];
        }
        let padded = bounds.map(|[low, high]| high - low + 2);
        let (segmentation, reference) =
            rayon::join(|| cut(segmentation, shape, &bounds, padded), || cut(reference, shape, &bounds, padded));
        Self { shape: padded, segmentation, reference }
    }
}

fn join(a: &Bounds, b: &Bounds) -> Bounds {
    std::array::from_fn(|axis| [a[axis][0].min(b[axis][0]), a[axis][1].max(b[axis][1])])
}

/// The bounding box of a mask, or [`NOTHING`].
fn bounds(mask: &[bool], [nx, ny, _]: [usize; 3]) -> Bounds {
    if mask.is_empty() {
        return NOTHING;
    }
    let of_row = |row: usize| {
        let values = &mask[row * nx..(row + 1) * nx];
        let first = values.iter().position(|&v| v)?;
        let last = values.iter().rposition(|&v| v)?;
        let (j, k) = (row % ny, row / ny);
        Some([[first, last + 1], [j, j + 1], [k, k + 1]])
    };
    let of_plane = |k: usize| (k * ny..(k + 1) * ny).filter_map(of_row).fold(NOTHING, |a, b| join(&a, &b));
    parallel::map(mask.len() / (nx * ny), of_plane).iter().fold(NOTHING, |a, b| join(&a, b))
}

/// Crops a box of a mask and pads it by one voxel on every side.
fn cut(mask: &[bool], [nx, ny, _]: [usize; 3], bounds: &Bounds, padded: [usize; 3]) -> Vec<bool> {
    let mut out = vec![false; padded.iter().product()];
    let [[i0, i1], [j0, j1], [k0, k1]] = *bounds;
    for k in k0..k1 {
        for j in j0..j1 {
            let from = nx * (j + ny * k);
            let to = 1 + padded[0] * (j - j0 + 1 + padded[1] * (k - k0 + 1));
            out[to..to + i1 - i0].copy_from_slice(&mask[from + i0..from + i1]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_the_box_of_both_masks_with_a_margin() {
        let shape = [6, 5, 4];
        let mut segmentation = vec![false; 120];
        let mut reference = vec![false; 120];
        segmentation[1 + 6 * (2 + 5)] = true;
        reference[5 + 6 * (3 + 5 * 3)] = true;
        let region = Region::around(&segmentation, &reference, shape);
        assert_eq!(region.shape, [5 + 2, 2 + 2, 3 + 2]);
        let set = |mask: &[bool]| mask.iter().enumerate().filter(|(_, v)| **v).map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(set(&region.segmentation), [1 + 7 * (1 + 4)]);
        assert_eq!(set(&region.reference), [5 + 7 * (2 + 4 * 3)]);
        assert_eq!(Region::around(&[false; 120], &[false; 120], shape).shape, [2, 2, 2]);
    }
}
