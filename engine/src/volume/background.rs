//! The background of a scan: the constant value along its border, which surrounds the object.

use super::padding::is_within;
use super::{Grid, Volume};

/// Background value of a scan: 0 in skull-stripped MR, the z-score of 0 in a z-scored scan, often -1000 or padding in CT.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Background {
    /// The value in the scan's unit. NaN if the border is not finite.
    pub value: f64,
    /// Largest difference from `value` that still counts as background: half a step of stored integers, or rounding of floats.
    pub tolerance: f64,
    /// Fraction of the border's voxels with this value, 0 to 1. Padding counts as border only if it is the background.
    pub share: f64,
    /// Lowest and highest value that mark padding, which is also background.
    padding: Option<[f64; 2]>,
}

/// Minimum fraction of the border that the background value covers.
const MIN_SHARE: f64 = 0.05;
/// Minimum ratio between the frequency of the background value and that of any similar value. In noise, similar values are
/// about equally frequent.
const MIN_FREQUENCY_RATIO: usize = 4;
/// Values that differ by at most this many steps are similar.
const NEAR_STEPS: f64 = 16.0;
/// Minimum number of border voxels with the background value.
const MIN_VOXELS: usize = 8;
/// Relative rounding error of a constant stored as 32-bit floats.
const FLOAT_ROUNDING: f64 = 1e-6;

impl Background {
    /// The background of a frame in memory. `None` for colours, if no value is constant along the border, or if all voxels
    /// have the same value. Padding is the background only if there is no other constant.
    pub fn of(volume: &Volume, frame: usize) -> Option<Self> {
        Self::ignoring_padding(volume, frame).or_else(|| Self::of_padding(volume, frame))
    }

    /// The background, with padding excluded from the border.
    pub(super) fn ignoring_padding(volume: &Volume, frame: usize) -> Option<Self> {
        let first = volume.frame_range(frame)?.start;
        if volume.data.is_colour() {
            return None;
        }
        let padding = volume.padding_values();
        let value = |index: usize| volume.scale.apply(volume.data.stored(first + index));
        let no_padding = |index: &usize| !is_within(volume.padding, volume.data.stored(first + index));
        let all = border(&volume.grid).filter(no_padding).count();
        // Allocated at full size: growing would need up to three times the memory.
        let mut values = Vec::with_capacity(all);
        values.extend(border(&volume.grid).filter(no_padding).map(value).filter(|v| v.is_finite()));
        let share = |count: usize| count as f64 / all.max(1) as f64;
        if share(values.len()) < 0.5 {
            let share = 1.0 - share(values.len());
            return (all > 0).then_some(Self { value: f64::NAN, tolerance: 0.0, share, padding });
        }
        values.sort_unstable_by(f64::total_cmp);
        let largest = values.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
        let tolerance =
            if volume.data.is_integer() { volume.scale.slope.abs() / 2.0 } else { FLOAT_ROUNDING * largest };
        let runs: Vec<&[f64]> = values.chunk_by(|a, b| b - a <= tolerance).collect();
        let longest = *runs.iter().max_by_key(|run| run.len())?;
        let mode = longest[longest.len() / 2];
        // A run of dense noise is longer than the tolerance.
        let count = longest.iter().filter(|v| (**v - mode).abs() <= tolerance).count();
        // Floats are often whole numbers: their step is the smallest difference that occurs.
        let step = runs.windows(2).map(|pair| pair[1][0] - pair[0][0]).fold(f64::INFINITY, f64::min);
        let is_near = |run: &&[f64]| run[0] != longest[0] && (run[0] - mode).abs() <= NEAR_STEPS * step;
        let near: Vec<usize> = runs.iter().copied().filter(is_near).map(<[f64]>::len).collect();
        // Noise has values on both sides. A single other value is a second constant, such as padding next to air.
        let neighbour = if near.len() > 1 { near.into_iter().max().unwrap_or(0) } else { 0 };
        let is_constant = count >= MIN_VOXELS && share(count) >= MIN_SHARE && count >= MIN_FREQUENCY_RATIO * neighbour;
        let background = Self { value: mode, tolerance, share: share(count), padding };
        let is_whole = || (0..volume.grid.len()).all(|index| background.contains(value(index)));
        (is_constant && !(count == values.len() && is_whole())).then_some(background)
    }

    fn of_padding(volume: &Volume, frame: usize) -> Option<Self> {
        let (first, padding) = (volume.frame_range(frame)?.start, volume.padding_values()?);
        let all = border(&volume.grid).count();
        let stored = border(&volume.grid).map(|index| volume.data.stored(first + index));
        let mut values: Vec<f64> = stored.filter(|stored| is_within(volume.padding, *stored)).collect();
        values.sort_unstable_by(f64::total_cmp);
        let share = values.len() as f64 / all.max(1) as f64;
        let is_constant = values.len() >= MIN_VOXELS && share >= MIN_SHARE;
        let value = volume.scale.apply(*values.get(values.len() / 2)?);
        is_constant.then_some(Self { value, tolerance: 0.0, share, padding: Some(padding) })
    }

    /// Whether a value of the scan is background. Values that are not finite always are.
    pub fn contains(&self, value: f64) -> bool {
        // Values may have passed through 32-bit floats since.
        let near = |to: f64, tolerance: f64| (value - to).abs() <= tolerance.max(FLOAT_ROUNDING * to.abs());
        let is_padding = |[low, high]: [f64; 2]| (low..=high).contains(&value) || near(low, 0.0) || near(high, 0.0);
        !value.is_finite() || near(self.value, self.tolerance) || self.padding.is_some_and(is_padding)
    }
}

impl std::fmt::Display for Background {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.value.is_nan() { to.write_str("NaN") } else { write!(to, "{}", (self.value * 1e4).round() / 1e4 + 0.0) }
    }
}

/// Ascending memory positions of the voxels on the faces of a volume. Faces across an axis of one voxel are skipped, since they
/// contain every voxel.
pub(super) fn border(grid: &Grid) -> impl Iterator<Item = usize> {
    let [nx, ny, nz] = grid.shape;
    let on_face = |index: usize, n: usize| n > 1 && (index == 0 || index + 1 == n);
    let is_one = grid.len() == 1;
    (0..nz).flat_map(move |k| (0..ny).map(move |j| (k, j))).flat_map(move |(k, j)| {
        let row = nx * (j + ny * k);
        let step = if on_face(k, nz) || on_face(j, ny) || is_one {
            1
        } else if nx > 1 {
            nx - 1
        } else {
            nx + 1
        };
        // Without a face across the first axis, a row inside has no voxel on the border.
        let end = if step > nx { row } else { row + nx };
        (row..end).step_by(step)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests, also of exact values")]
mod tests {
    use super::*;
    use crate::volume::{Scale, VoxelData};
    use glam::DAffine3;

    const SHAPE: [usize; 3] = [12, 10, 8];

    fn grid() -> Grid {
        Grid::new(SHAPE, DAffine3::IDENTITY)
    }

    /// Distance in voxels from the nearest face.
    fn depth(index: usize) -> usize {
        let voxel = [index % 12, index / 12 % 10, index / 120];
        (0..3).map(|a| voxel[a].min(SHAPE[a] - 1 - voxel[a])).min().unwrap()
    }

    /// A value that differs in every voxel.
    fn tissue(index: usize) -> f32 {
        400.0 + (index as f32 * 0.61).sin() * 90.0
    }

    fn of(values: impl Fn(usize) -> f32) -> Option<Background> {
        Background::of(&Volume::from_f32(grid(), (0..960).map(values).collect()), 0)
    }

    #[test]
    fn the_border_consists_of_the_faces_of_a_volume_or_the_outline_of_a_slice() {
        let count = |shape| border(&Grid::new(shape, DAffine3::IDENTITY)).count();
        assert_eq!([count([4, 4, 4]), count([4, 5, 1]), count([1, 4, 5]), count([4, 1, 5])], [56, 14, 14, 14]);
        assert_eq!([count([1, 1, 1]), count([6, 1, 1]), count([1, 1, 6]), count([0, 2, 2])], [1, 2, 2, 0]);
        let expected: Vec<usize> = (0..960).filter(|&index| depth(index) == 0).collect();
        assert_eq!(border(&grid()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_constant_border_of_any_value_is_background() {
        for value in [0.0, -0.769_198_24, 1000.0, -3024.0] {
            let result = of(|index| if depth(index) == 0 { value } else { tissue(index) }).unwrap();
            assert_eq!((result.value, result.share), (f64::from(value), 1.0));
            assert!(result.contains(f64::from(value)) && !result.contains(f64::from(tissue(77))));
        }
        // Rounding of a z-score, tissue on one face.
        let result = of(|index| {
            if index < 120 {
                tissue(index)
            } else if depth(index) == 0 {
                -0.769 + (index % 3) as f32 * 6e-8
            } else {
                tissue(index)
            }
        });
        let result = result.unwrap();
        assert!((result.value + 0.769).abs() < 1e-6 && result.share > 0.5, "{result:?}");
        assert!(result.contains(-0.769_000_1));
    }

    #[test]
    fn noise_and_tissue_have_no_background() {
        assert_eq!(of(tissue), None);
        let noise: Vec<i16> = (0..960).map(|index| (index * 7919 % 13) as i16).collect();
        assert_eq!(Background::of(&Volume::new(grid(), VoxelData::I16(noise), Scale::IDENTITY), 0), None);
        // Low noise, as in the air of 8-bit MR. The most frequent value, 2, covers more than a third of the border.
        let quiet: Vec<u8> = (0..960).map(|index| [2, 2, 1, 3, 2, 0, 1, 3, 2, 4][index * 7919 % 1013 % 10]).collect();
        assert_eq!(Background::of(&Volume::new(grid(), VoxelData::U8(quiet), Scale::IDENTITY), 0), None);
        // Of two distant constants, such as padding and air, the more frequent one.
        let two = of(|index| {
            if depth(index) > 0 {
                tissue(index)
            } else if index % 3 == 0 {
                -3024.0
            } else {
                -1000.0
            }
        })
        .unwrap();
        assert_eq!(two.value, -1000.0);
        // A tenth of the border is 0, as around a tightly cropped head, and no other value repeats.
        let close = of(|index| if index % 10 == 0 && depth(index) == 0 { 0.0 } else { tissue(index) }).unwrap();
        assert!(close.value == 0.0 && close.share < 0.25, "{close:?}");
    }

    #[test]
    fn the_tolerance_of_integers_is_half_a_stored_step() {
        let stored: Vec<i16> = (0..960).map(|index| if depth(index) == 0 { -7 } else { index as i16 }).collect();
        let volume = Volume::new(grid(), VoxelData::I16(stored), Scale { slope: 0.1, inter: 0.5 });
        let result = Background::of(&volume, 0).unwrap();
        assert!((result.value + 0.2).abs() < 1e-12 && result.tolerance == 0.05);
        assert!(result.contains(-0.24) && !result.contains(-0.1));
    }

    #[test]
    fn a_scan_of_one_value_has_no_background() {
        assert_eq!(of(|_| 7.0), None);
        let few = Volume::from_f32(Grid::new([3, 1, 1], DAffine3::IDENTITY), vec![5.0, 1.0, 0.0]);
        assert_eq!(Background::of(&few, 0), None);
    }

    #[test]
    fn a_border_of_nan_is_background() {
        let result = of(|index| if depth(index) == 0 { f32::NAN } else { tissue(index) }).unwrap();
        assert!(result.value.is_nan() && result.contains(f64::NAN) && !result.contains(0.0));
        assert_eq!(result.to_string(), "NaN");
    }
}
