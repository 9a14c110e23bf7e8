//! Body mask of a CT: voxels above -500 HU, largest component, holes filled.

use crate::findings::{Components, Connectivity};
use crate::parallel;

/// Body voxels are above this value, in HU.
pub(super) const BODY_HU: f32 = -500.0;

/// Body mask of a CT in HU: the largest 6-connected component of voxels above -500 HU, with holes filled. `shape` is
/// that of `hu`, first axis fastest; axial slices are stacked along `axial`.
///
/// Holes are filled slice by slice, because a 3-D fill would miss the lungs of a scan that ends in the chest. All false
/// if no voxel is above the threshold.
pub fn body_mask(hu: &[f32], shape: [usize; 3], axial: usize) -> Vec<bool> {
    let [nx, ny, nz] = shape;
    let mut mask = vec![false; hu.len()];
    if hu.len() != nx * ny * nz || hu.is_empty() {
        return mask;
    }
    let dense = parallel::map_values(hu, |v| v > BODY_HU);
    let components = Components::connected(&dense, shape, Connectivity::Face);
    if components.count() == 0 {
        return mask;
    }
    for range in components.ranges(0) {
        mask[range].fill(true);
    }
    fill_holes(&mut mask, shape, axial);
    mask
}

/// Fills holes slice by slice: 4-connected background that does not reach the border of the slice.
fn fill_holes(mask: &mut [bool], shape: [usize; 3], axial: usize) {
    let strides = [1, shape[0], shape[0] * shape[1]];
    let (u, v) = match axial {
        0 => (1, 2),
        1 => (0, 2),
        _ => (0, 1),
    };
    let (width, height) = (shape[u], shape[v]);
    let holes_of = |slice: usize| {
        let base = slice * strides[axial.min(2)];
        let place = |pixel: usize| base + (pixel % width) * strides[u] + (pixel / width) * strides[v];
        let outside: Vec<bool> = (0..width * height).map(|pixel| !mask[place(pixel)]).collect();
        let components = Components::connected(&outside, [width, height, 1], Connectivity::Face);
        let is_open = |c: usize| {
            components.runs(c).iter().any(|run| {
                let [i, j, end] = [run.i, run.j, run.i + run.len].map(|at| at as usize);
                i == 0 || end == width || j == 0 || j + 1 == height
            })
        };
        let closed = (0..components.count()).filter(|&c| !is_open(c));
        closed.flat_map(|c| components.ranges(c)).flatten().map(place).collect::<Vec<usize>>()
    };
    let holes = parallel::map(shape[axial.min(2)], holes_of);
    for voxel in holes.into_iter().flatten() {
        mask[voxel] = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(shape: [usize; 3], dense: impl Fn([usize; 3]) -> bool) -> Vec<f32> {
        let mut hu = Vec::new();
        for k in 0..shape[2] {
            for j in 0..shape[1] {
                for i in 0..shape[0] {
                    hu.push(if dense([i, j, k]) { 40.0 } else { -1000.0 });
                }
            }
        }
        hu
    }

    /// A tube of wall 1 along k, open at both ends, with a table below it.
    fn tube([i, j, _]: [usize; 3]) -> bool {
        let inside = |v: usize, low, high| (low..=high).contains(&v);
        let wall = inside(i, 1, 6) && inside(j, 1, 6) && !(inside(i, 2, 5) && inside(j, 2, 5));
        wall || j == 8
    }

    #[test]
    fn the_body_excludes_the_table_and_includes_open_lungs() {
        let body = body_mask(&scan([8, 10, 5], tube), [8, 10, 5], 2);
        for (voxel, &set) in body.iter().enumerate() {
            let (i, j) = (voxel % 8, voxel / 8 % 10);
            assert_eq!(set, (1..=6).contains(&i) && (1..=6).contains(&j), "at {i}, {j}");
        }
    }

    #[test]
    fn the_axial_axis_may_be_any() {
        let along_z = body_mask(&scan([8, 10, 5], tube), [8, 10, 5], 2);
        let along_x = body_mask(&scan([5, 8, 10], |[k, i, j]| tube([i, j, k])), [5, 8, 10], 0);
        let along_y = body_mask(&scan([8, 5, 10], |[i, k, j]| tube([i, j, k])), [8, 5, 10], 1);
        for k in 0..5 {
            for j in 0..10 {
                for i in 0..8 {
                    let expected = along_z[i + 8 * (j + 10 * k)];
                    assert_eq!(along_x[k + 5 * (i + 8 * j)], expected);
                    assert_eq!(along_y[i + 8 * (k + 5 * j)], expected);
                }
            }
        }
    }

    #[test]
    fn agrees_with_a_flood_fill() {
        use rand::RngExt;
        for seed in 0..20 {
            let mut stream = crate::seed::stream(seed, "body", &[]);
            let shape = [7, 6, 5];
            let hu: Vec<f32> = (0..210).map(|_| if stream.random::<f32>() < 0.45 { 0.0 } else { -900.0 }).collect();
            assert_eq!(body_mask(&hu, shape, 2), flooded(&hu, shape), "seed {seed}");
        }
    }

    /// The same by flood fills over voxels.
    fn flooded(hu: &[f32], [nx, ny, nz]: [usize; 3]) -> Vec<bool> {
        let neighbours = |v: usize, flat: bool| {
            let (i, j, k) = (v % nx, v / nx % ny, v / (nx * ny));
            let mut list = Vec::new();
            let steps = [(i, nx, 1, false), (j, ny, nx, false), (k, nz, nx * ny, flat)];
            for (at, count, stride, _) in steps.into_iter().filter(|step| !step.3) {
                list.extend((at > 0).then(|| v - stride));
                list.extend((at + 1 < count).then(|| v + stride));
            }
            list
        };
        let flood = |seen: &mut Vec<bool>, start: usize, flat: bool, ok: &dyn Fn(usize) -> bool| {
            let (mut stack, mut part) = (vec![start], Vec::new());
            seen[start] = true;
            while let Some(v) = stack.pop() {
                part.push(v);
                for n in neighbours(v, flat) {
                    if !seen[n] && ok(n) {
                        seen[n] = true;
                        stack.push(n);
                    }
                }
            }
            part
        };
        let mut seen = vec![false; hu.len()];
        let mut best = Vec::new();
        for v in 0..hu.len() {
            if !seen[v] && hu[v] > BODY_HU {
                let part = flood(&mut seen, v, false, &|n| hu[n] > BODY_HU);
                if part.len() > best.len() {
                    best = part;
                }
            }
        }
        let mut mask = vec![false; hu.len()];
        for v in best {
            mask[v] = true;
        }
        let solid = mask.clone();
        let mut seen = vec![false; hu.len()];
        for v in 0..hu.len() {
            if !seen[v] && !solid[v] {
                let part = flood(&mut seen, v, true, &|n| !solid[n]);
                let border = |v: usize| [0, nx - 1].contains(&(v % nx)) || [0, ny - 1].contains(&(v / nx % ny));
                if !part.iter().any(|&v| border(v)) {
                    for v in part {
                        mask[v] = true;
                    }
                }
            }
        }
        mask
    }

    #[test]
    fn a_scan_without_dense_voxels_has_no_body() {
        assert!(!body_mask(&[-1000.0; 8], [2, 2, 2], 2).contains(&true));
    }
}
