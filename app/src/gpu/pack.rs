//! Packs stored voxels into texels: selection, upload order and bit format.

use std::ops::Range;

use engine::edit::VoxelBox;
use engine::volume::Orientation;

/// Texels per chunk. Two chunks may be in flight, at most 16 MiB.
pub(super) const CHUNK_BYTES: usize = 8 << 20;

/// Selection of the voxels of a texture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Voxels of the stored array.
    pub stored: [usize; 3],
    /// Orientation of the stored axes along R, A, S.
    pub orientation: Orientation,
    /// Keeps every `2^shift`-th voxel along axis `a`.
    pub shift: [u32; 3],
}

/// A box of texels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub first: [usize; 3],
    pub size: [usize; 3],
}

impl Plan {
    /// Keeps all voxels if no side is longer than `longest`, else subsamples.
    pub fn new(stored: [usize; 3], orientation: Orientation, longest: usize) -> Self {
        let shift = stored.map(|n| (0..usize::BITS - 1).find(|&s| texels(n, s) <= longest.max(1)).unwrap_or(0));
        Self { stored, orientation, shift }
    }

    /// Texels along each axis.
    pub fn texels(&self) -> [usize; 3] {
        std::array::from_fn(|a| texels(self.stored[a], self.shift[a]))
    }

    /// Stored index of a texel, counted from the canonical end, so that the same voxels are kept for any axis order.
    pub fn stored_at(&self, axis: usize, texel: usize) -> usize {
        if self.orientation.flip[axis] {
            let last = self.texels()[axis] - 1;
            self.stored[axis] - 1 - ((last - texel) << self.shift[axis])
        } else {
            texel << self.shift[axis]
        }
    }

    /// All texels.
    pub fn everything(&self) -> Region {
        Region { first: [0; 3], size: self.texels() }
    }

    /// Texels whose voxels lie in a box.
    pub fn region_of(&self, voxels: &VoxelBox) -> Region {
        let mut region = self.everything();
        for axis in 0..3 {
            let Range { start, end } = self.texels_along(axis, voxels.min[axis]..voxels.max[axis] + 1);
            (region.first[axis], region.size[axis]) = (start, end - start);
        }
        region
    }

    /// Texels along an axis whose voxels have these stored indices. Both ascend.
    fn texels_along(&self, axis: usize, indices: Range<usize>) -> Range<usize> {
        let count = self.texels()[axis];
        let first = |index: usize| {
            // Stored indices are `offset + (texel << shift)`.
            let offset = self.stored_at(axis, 0);
            let step = 1_usize << self.shift[axis];
            index.saturating_sub(offset).div_ceil(step).min(count)
        };
        first(indices.start)..first(indices.end).max(first(indices.start))
    }

    /// The smallest box of stored voxels that a region of texels shows.
    pub fn voxels_of(&self, Region { first, size }: Region) -> VoxelBox {
        VoxelBox {
            min: std::array::from_fn(|a| self.stored_at(a, first[a])),
            max: std::array::from_fn(|a| self.stored_at(a, first[a] + size[a] - 1)),
        }
    }

    /// Positions within `read`, a box of stored voxels, of the texels of a region in their order.
    pub fn within(&self, Region { first, size }: Region, read: &VoxelBox) -> impl Iterator<Item = [usize; 3]> + use<> {
        let (plan, min) = (*self, read.min);
        let at = move |axis: usize, texel: usize| plan.stored_at(axis, first[axis] + texel) - min[axis];
        let texels =
            (0..size[2]).flat_map(move |z| (0..size[1]).flat_map(move |y| (0..size[0]).map(move |x| [x, y, z])));
        texels.map(move |texel| std::array::from_fn(|a| at(a, texel[a])))
    }

    fn is_reduced(&self) -> bool {
        self.shift != [0; 3]
    }

    /// Describes the subsampling for the given limit.
    pub fn note(&self, longest: usize) -> Option<String> {
        let held: Vec<String> = (0..3)
            .filter(|&a| self.shift[a] > 0)
            .map(|a| format!("every {}th voxel along {}", 1_u64 << self.shift[a], ["i", "j", "k"][a]))
            .collect();
        self.is_reduced().then(|| {
            let held = held.join(" and ").replace("every 2th", "every second");
            format!("drawn from {held}: this graphics device supports at most {longest} voxels along an axis")
        })
    }
}

fn texels(stored: usize, shift: u32) -> usize {
    (stored.saturating_sub(1) >> shift) + 1
}

impl Region {
    pub fn is_empty(&self) -> bool {
        self.size.contains(&0)
    }

    /// The box in chunks: whole planes if small enough, else rows.
    pub fn blocks(self, bytes_per_texel: usize) -> impl Iterator<Item = Self> {
        let [width, height, depth] = self.size;
        let row = (width * bytes_per_texel).max(1);
        let rows = (CHUNK_BYTES / row).clamp(1, height.max(1));
        let planes = if rows == height { (CHUNK_BYTES / (row * height).max(1)).max(1) } else { 1 };
        (0..depth).step_by(planes).flat_map(move |z| {
            (0..height).step_by(rows).map(move |y| Self {
                first: [self.first[0], self.first[1] + y, self.first[2] + z],
                size: [width, rows.min(height - y), planes.min(depth - z)],
            })
        })
    }
}

/// Conversion of stored values to texels.
pub(super) struct Pack<S, T> {
    /// Stored values that are texels.
    pub borrow: fn(&[S]) -> Option<&[T]>,
    pub convert: fn(S) -> T,
}

impl<V> Pack<V, V> {
    /// Copies the bits.
    pub const AS_IS: Self = Self { borrow: |stored| Some(stored), convert: |stored| stored };
}

impl<S, T> Pack<S, T> {
    /// Converts each value.
    pub const fn each(convert: fn(S) -> T) -> Self {
        Self { borrow: |_| None, convert }
    }
}

/// The texels of a chunk in order, borrowed from the stored values where contiguous, else collected in `buffer`.
pub(super) fn pack<'a, S: Copy, T: Copy>(
    plan: &Plan,
    block: Region,
    stored: &'a [S],
    how: &Pack<S, T>,
    buffer: &'a mut Vec<T>,
) -> &'a [T] {
    let [nx, ny, _] = plan.stored;
    let Region { first, size } = block;
    let whole_rows = size[0] == nx && (size[1] == ny || size[2] == 1);
    if whole_rows && !plan.is_reduced() {
        let start = nx * (first[1] + ny * first[2]);
        if let Some(texels) = (how.borrow)(&stored[start..start + size.iter().product::<usize>()]) {
            return texels;
        }
    }
    buffer.clear();
    for z in first[2]..first[2] + size[2] {
        for y in first[1]..first[1] + size[1] {
            let row = nx * (plan.stored_at(1, y) + ny * plan.stored_at(2, z));
            if plan.shift[0] == 0 {
                let at = row + first[0];
                buffer.extend(stored[at..at + size[0]].iter().map(|&v| (how.convert)(v)));
            } else {
                let texels = first[0]..first[0] + size[0];
                buffer.extend(texels.map(|x| (how.convert)(stored[row + plan.stored_at(0, x)])));
            }
        }
    }
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FLIPPED: Orientation = Orientation { axis: [0, 1, 2], flip: [true, false, false] };

    #[test]
    fn only_axes_beyond_the_limit_are_subsampled() {
        let plan = Plan::new([16, 17, 5], Orientation::IDENTITY, 8);
        assert_eq!((plan.shift, plan.texels()), ([1, 2, 0], [8, 5, 5]));
        let note = plan.note(8).unwrap();
        assert!(note.contains("every second voxel along i and every 4th voxel along j"), "{note}");
        assert!(note.contains("at most 8 voxels"), "{note}");
        assert_eq!(Plan::new([8, 8, 8], Orientation::IDENTITY, 8).note(8), None);
    }

    #[test]
    fn a_flipped_axis_is_counted_from_its_end() {
        let plan = Plan::new([5, 1, 1], FLIPPED, 3);
        assert_eq!([0, 1, 2].map(|t| plan.stored_at(0, t)), [0, 2, 4]);
        let plan = Plan::new([6, 1, 1], FLIPPED, 3);
        assert_eq!([0, 1, 2].map(|t| plan.stored_at(0, t)), [1, 3, 5]);
        let along = |first: usize, last: usize| VoxelBox { min: [first, 0, 0], max: [last, 0, 0] };
        assert_eq!(plan.region_of(&along(2, 4)), Region { first: [1, 0, 0], size: [1, 1, 1] });
        assert!(plan.region_of(&along(4, 4)).is_empty());
        assert!(plan.region_of(&along(0, 0)).is_empty());
    }

    #[test]
    fn blocks_are_bounded_and_cover_the_box_once() {
        for (size, bytes) in [([512, 512, 300], 2), ([2048, 2048, 3], 4), ([4096, 1, 1], 4), ([1, 1, 9000], 1)] {
            let region = Region { first: [0; 3], size };
            let mut rows = vec![0_u8; size[1] * size[2]];
            for block in region.blocks(bytes) {
                assert!(block.size.iter().product::<usize>() * bytes <= CHUNK_BYTES, "{size:?}");
                assert_eq!(block.size[0], size[0]);
                for z in block.first[2]..block.first[2] + block.size[2] {
                    for y in block.first[1]..block.first[1] + block.size[1] {
                        rows[y + size[1] * z] += 1;
                    }
                }
            }
            assert!(rows.iter().all(|&n| n == 1), "{size:?}");
        }
    }

    #[test]
    fn whole_planes_are_not_copied() {
        let stored: Vec<u16> = (0..60).collect();
        let plan = Plan::new([5, 4, 3], Orientation::IDENTITY, 2048);
        let mut buffer = Vec::new();
        let planes = plan.region_of(&VoxelBox { min: [0, 0, 1], max: [4, 3, 2] });
        let texels = pack(&plan, planes, &stored, &Pack::AS_IS, &mut buffer);
        assert_eq!(texels.as_ptr(), stored[20..].as_ptr());
        assert_eq!(texels.len(), 40);
    }

    proptest! {
        #[test]
        fn texels_hold_the_voxels_they_stand_for(
            stored in prop::array::uniform3(1..8_usize),
            flip in prop::array::uniform3(any::<bool>()),
            longest in 1..8_usize,
            corners in prop::array::uniform3((0..8_usize, 0..8_usize)),
        ) {
            let orientation = Orientation { axis: [0, 1, 2], flip };
            let plan = Plan::new(stored, orientation, longest);
            prop_assert!(plan.texels().iter().all(|&n| n <= longest));
            let voxels: Vec<u32> = (0..stored.iter().product::<usize>() as u32).collect();
            let clip = |a: usize, n: usize| n.min(stored[a] - 1);
            let wanted = VoxelBox {
                min: std::array::from_fn(|a| clip(a, corners[a].0.min(corners[a].1))),
                max: std::array::from_fn(|a| clip(a, corners[a].0.max(corners[a].1))),
            };
            let region = plan.region_of(&wanted);
            let mut expected = Vec::new();
            let texels = plan.texels();
            for z in 0..texels[2] {
                for y in 0..texels[1] {
                    for x in 0..texels[0] {
                        let at = [x, y, z];
                        let v: [usize; 3] = std::array::from_fn(|a| plan.stored_at(a, at[a]));
                        if wanted.contains(v) {
                            expected.push(voxels[v[0] + stored[0] * (v[1] + stored[1] * v[2])]);
                        }
                    }
                }
            }
            prop_assert_eq!(region.is_empty(), expected.is_empty());
            if !region.is_empty() {
                let mut buffer = Vec::new();
                prop_assert_eq!(pack(&plan, region, &voxels, &Pack::AS_IS, &mut buffer), &expected[..]);
                // The same via a copy of the box.
                let read = plan.voxels_of(region);
                let voxel = |at: [usize; 3]| -> u32 {
                    let v: [usize; 3] = std::array::from_fn(|a| read.min[a] + at[a]);
                    voxels[v[0] + stored[0] * (v[1] + stored[1] * v[2])]
                };
                let copied: Vec<u32> = plan.within(region, &read).map(voxel).collect();
                prop_assert_eq!(copied, expected);
            }
        }
    }
}
