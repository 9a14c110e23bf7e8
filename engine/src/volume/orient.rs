//! Axis permutations and flips, and reordering arrays by them.

/// Maps the voxel axes of a source grid to the axes of a target grid, or to R, A, S.
///
/// Axis `a` of the source runs along axis `axis[a]` of the target, backwards if `flip[a]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation {
    /// Target axis of each source axis: a permutation of 0, 1, 2.
    pub axis: [usize; 3],
    /// Whether the source axis runs against its target axis.
    pub flip: [bool; 3],
}

impl Orientation {
    /// Same axis order, no flips.
    pub const IDENTITY: Self = Self { axis: [0, 1, 2], flip: [false; 3] };

    /// All 48 axis orders and flips.
    pub fn all() -> impl Iterator<Item = Self> {
        PERMUTATIONS
            .into_iter()
            .flat_map(|axis| (0..8).map(move |bits| Self { axis, flip: [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0] }))
    }

    /// The letters of the directions in which the voxel indices grow, such as `RAS` or `LPI`. The target must be RAS.
    pub fn codes(&self) -> String {
        const LETTERS: [[char; 2]; 3] = [['R', 'L'], ['A', 'P'], ['S', 'I']];
        (0..3).map(|a| LETTERS[self.axis[a]][usize::from(self.flip[a])]).collect()
    }

    /// Shape of the target for a source of this shape.
    pub fn target_shape(&self, source: [usize; 3]) -> [usize; 3] {
        let mut target = [0; 3];
        for (&axis, n) in self.axis.iter().zip(source) {
            target[axis] = n;
        }
        target
    }

    /// Shape of the source for a target of this shape.
    pub fn source_shape(&self, target: [usize; 3]) -> [usize; 3] {
        self.axis.map(|axis| target[axis])
    }

    /// Index in the target of a source voxel.
    pub fn target_voxel(&self, source: [usize; 3], source_shape: [usize; 3]) -> [usize; 3] {
        let mut target = [0; 3];
        for a in 0..3 {
            target[self.axis[a]] = if self.flip[a] { source_shape[a] - 1 - source[a] } else { source[a] };
        }
        target
    }

    /// Index in the source of a target voxel.
    pub fn source_voxel(&self, target: [usize; 3], source_shape: [usize; 3]) -> [usize; 3] {
        let mut source = [0; 3];
        for a in 0..3 {
            let at = target[self.axis[a]];
            source[a] = if self.flip[a] { source_shape[a] - 1 - at } else { at };
        }
        source
    }

    /// Reorders an array of `source_shape` (first axis fastest) to the target's axes.
    pub fn apply<T: Copy>(&self, source: &[T], source_shape: [usize; 3]) -> Vec<T> {
        let strides = [1, source_shape[0], source_shape[0] * source_shape[1]];
        let (mut start, mut step) = (0_isize, [0_isize; 3]);
        for a in 0..3 {
            let stride = strides[a] as isize;
            step[self.axis[a]] = if self.flip[a] { -stride } else { stride };
            if self.flip[a] {
                start += stride * (source_shape[a] as isize - 1);
            }
        }
        gather(source, self.target_shape(source_shape), start, step)
    }

    /// Inverse of [`Orientation::apply`].
    pub fn inverse<T: Copy>(&self, target: &[T], source_shape: [usize; 3]) -> Vec<T> {
        self.inverted().apply(target, self.target_shape(source_shape))
    }

    /// The orientation that maps the target back to the source.
    #[must_use]
    pub fn inverted(&self) -> Self {
        let mut back = Self::IDENTITY;
        for a in 0..3 {
            back.axis[self.axis[a]] = a;
            back.flip[self.axis[a]] = self.flip[a];
        }
        back
    }
}

pub(super) const PERMUTATIONS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

fn gather<T: Copy>(source: &[T], shape: [usize; 3], start: isize, step: [isize; 3]) -> Vec<T> {
    debug_assert_eq!(source.len(), shape.iter().product::<usize>());
    let mut out = Vec::with_capacity(source.len());
    for k in 0..shape[2] as isize {
        for j in 0..shape[1] as isize {
            let row = start + k * step[2] + j * step[1];
            if step[0] == 1 {
                out.extend_from_slice(&source[row as usize..row as usize + shape[0]]);
            } else {
                out.extend((0..shape[0] as isize).map(|i| source[(row + i * step[0]) as usize]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apply_and_inverse_cancel_for_every_order_and_flip() {
        let shape = [4, 3, 2];
        let data: Vec<u32> = (0..24).collect();
        assert_eq!(Orientation::all().count(), 48);
        for o in Orientation::all() {
            let moved = o.apply(&data, shape);
            assert_eq!(o.inverse(&moved, shape), data, "{o:?}");
            let target = o.target_shape(shape);
            assert_eq!(o.source_shape(target), shape);
            for (index, &value) in data.iter().enumerate() {
                let voxel = [index % 4, index / 4 % 3, index / 12];
                let t = o.target_voxel(voxel, shape);
                assert_eq!(o.source_voxel(t, shape), voxel);
                assert_eq!(moved[t[0] + target[0] * (t[1] + target[1] * t[2])], value);
            }
        }
    }

    #[test]
    fn codes_name_the_directions_of_growing_indices() {
        assert_eq!(Orientation::IDENTITY.codes(), "RAS");
        assert_eq!(Orientation { axis: [2, 0, 1], flip: [true, false, true] }.codes(), "IRP");
    }
}
