//! Body mask of a CT: voxels above -500 HU, largest component, holes filled.
//!
//! Connected components use run-length union-find: a 512x512x300 scan takes about a second.

use rayon::prelude::*;

/// Body voxels are above this value, in HU.
pub(super) const BODY_HU: f32 = -500.0;

/// A run of voxels `start..end` along the first axis.
#[derive(Clone, Copy)]
struct Run {
    start: u32,
    end: u32,
}

/// The runs of a mask, row by row, with a union-find forest over them.
struct Runs {
    list: Vec<Run>,
    /// The runs of row r are `rows[r]..rows[r + 1]`.
    rows: Vec<usize>,
    parent: Vec<u32>,
}

impl Runs {
    /// Finds runs of voxels with `is(voxel index)` in rows of `width` voxels and joins those that overlap in adjacent
    /// rows (6-connected): row r is adjacent to row r - 1 within a plane of `height` rows, and to row r - height.
    fn new(width: usize, height: usize, planes: usize, is: impl Fn(usize) -> bool) -> Self {
        let mut found = Self { list: Vec::new(), rows: vec![0], parent: Vec::new() };
        for row in 0..height * planes {
            let base = row * width;
            let mut x = 0;
            while x < width {
                if !is(base + x) {
                    x += 1;
                    continue;
                }
                let start = x;
                while x < width && is(base + x) {
                    x += 1;
                }
                found.parent.push(found.list.len() as u32);
                found.list.push(Run { start: start as u32, end: x as u32 });
            }
            found.rows.push(found.list.len());
            if row % height > 0 {
                found.join(row, row - 1);
            }
            if row >= height {
                found.join(row, row - height);
            }
        }
        found
    }

    fn root(&mut self, mut run: u32) -> u32 {
        while self.parent[run as usize] != run {
            let grandparent = self.parent[self.parent[run as usize] as usize];
            self.parent[run as usize] = grandparent;
            run = grandparent;
        }
        run
    }

    fn join(&mut self, row: usize, other: usize) {
        let (mut a, end_a) = (self.rows[row], self.rows[row + 1]);
        let (mut b, end_b) = (self.rows[other], self.rows[other + 1]);
        while a < end_a && b < end_b {
            let (left, right) = (self.list[a], self.list[b]);
            if left.start < right.end && right.start < left.end {
                let (p, q) = (self.root(a as u32), self.root(b as u32));
                // The lower number becomes the root, so that components do not depend on the order of joining.
                self.parent[p.max(q) as usize] = p.min(q);
            }
            if left.end <= right.end {
                a += 1;
            } else {
                b += 1;
            }
        }
    }

    /// Every run with its row and its root.
    fn each(&self, roots: &[u32]) -> impl Iterator<Item = (usize, Run, usize)> {
        let rows = self.rows.windows(2).enumerate();
        rows.flat_map(move |(row, ends)| (ends[0]..ends[1]).map(move |run| (row, self.list[run], roots[run] as usize)))
    }

    /// The root of every run.
    fn roots(&mut self) -> Vec<u32> {
        (0..self.list.len() as u32).map(|run| self.root(run)).collect()
    }
}

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
    let mut runs = Runs::new(nx, ny, nz, |voxel| hu[voxel] > BODY_HU);
    let roots = runs.roots();
    let mut sizes = vec![0u64; roots.len()];
    for (run, &root) in runs.list.iter().zip(&roots) {
        sizes[root as usize] += u64::from(run.end - run.start);
    }
    // On a tie the first component wins.
    let Some(largest) = (0..sizes.len()).max_by_key(|&root| (sizes[root], std::cmp::Reverse(root))) else {
        return mask;
    };
    for (row, Run { start, end }, _) in runs.each(&roots).filter(|(_, _, root)| *root == largest) {
        mask[row * nx + start as usize..row * nx + end as usize].fill(true);
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
    let holes: Vec<Vec<usize>> = (0..shape[axial.min(2)])
        .into_par_iter()
        .map(|slice| {
            let base = slice * strides[axial.min(2)];
            let place = |pixel: usize| base + (pixel % width) * strides[u] + (pixel / width) * strides[v];
            let plane: Vec<bool> = (0..width * height).map(|pixel| mask[place(pixel)]).collect();
            let mut runs = Runs::new(width, height, 1, |pixel| !plane[pixel]);
            let roots = runs.roots();
            let mut open = vec![false; roots.len()];
            for (row, Run { start, end }, root) in runs.each(&roots) {
                open[root] |= row == 0 || row + 1 == height || start == 0 || end as usize == width;
            }
            let mut inside = Vec::new();
            for (row, Run { start, end }, _) in runs.each(&roots).filter(|(_, _, root)| !open[*root]) {
                inside.extend((start as usize..end as usize).map(|x| place(row * width + x)));
            }
            inside
        })
        .collect();
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
    fn the_table_goes_and_open_lungs_are_filled() {
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
    fn nothing_dense_is_no_body() {
        assert!(!body_mask(&[-1000.0; 8], [2, 2, 2], 2).contains(&true));
    }
}
