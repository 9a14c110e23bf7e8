//! Maximum-intensity projections along a stored axis.

use super::{Grid, LabelData, LabelVolume, Volume, VoxelData};
use crate::parallel;
use crate::words::plural;
use crate::{Error, Result};
use glam::DAffine3;

/// Minimum and maximum of two voxel values. A NaN loses to any other value.
trait Extreme: Copy + Send + Sync {
    fn larger(self, other: Self) -> Self;
    fn smaller(self, other: Self) -> Self;
}

macro_rules! extremes {
    ($($t:ty: $of:path),*) => {$(
        impl Extreme for $t {
            fn larger(self, other: Self) -> Self {
                <$t as $of>::max(self, other)
            }
            fn smaller(self, other: Self) -> Self {
                <$t as $of>::min(self, other)
            }
        }
    )*};
}
extremes!(u8: Ord, i8: Ord, u16: Ord, i16: Ord, u32: Ord, i32: Ord, u64: Ord, i64: Ord);

macro_rules! extremes_of_floats {
    ($($t:ty),*) => {$(
        impl Extreme for $t {
            fn larger(self, other: Self) -> Self {
                self.max(other)
            }
            fn smaller(self, other: Self) -> Self {
                self.min(other)
            }
        }
    )*};
}
extremes_of_floats!(f32, f64);

/// Folds an array (first axis fastest) along `axis` with `pick`. The array must not be empty.
fn project<T: Copy + Send + Sync>(
    values: &[T],
    shape: [usize; 3],
    axis: usize,
    pick: impl Fn(T, T) -> T + Sync,
) -> Vec<T> {
    let row = shape[0];
    if axis == 0 {
        return parallel::map_chunks(values, row, |row| row.iter().copied().reduce(&pick).unwrap_or(row[0]));
    }
    // Stride between layers along `axis`. Each output row folds the same row of every layer.
    let distance: usize = shape[..axis].iter().product();
    let mut out = vec![values[0]; values.len() / shape[axis]];
    parallel::chunks_mut(&mut out, row, |number, out| {
        let index = number * row;
        let first = index / distance * distance * shape[axis] + index % distance;
        out.copy_from_slice(&values[first..first + row]);
        for layer in 1..shape[axis] {
            let start = first + layer * distance;
            for (out, &value) in out.iter_mut().zip(&values[start..start + row]) {
                *out = pick(*out, value);
            }
        }
    });
    out
}

/// The maximum along an axis, or the minimum if `smallest`.
fn extreme<T: Extreme>(values: &[T], shape: [usize; 3], axis: usize, smallest: bool) -> Vec<T> {
    if smallest { project(values, shape, axis, T::smaller) } else { project(values, shape, axis, T::larger) }
}

impl Grid {
    /// The grid of a projection along a stored axis: one voxel along it that spans the whole extent.
    #[must_use]
    pub fn projected(&self, axis: usize) -> Self {
        let (mut shape, mut middle) = (self.shape, glam::DVec3::ZERO);
        let mut matrix3 = self.world_from_voxel.matrix3;
        middle[axis] = (shape[axis] as f64 - 1.0) / 2.0;
        *matrix3.col_mut(axis) *= shape[axis] as f64;
        shape[axis] = 1;
        let translation = self.world_from_voxel.transform_point3(middle);
        Self { shape, world_from_voxel: DAffine3 { matrix3, translation }, oriented: self.oriented }
    }

    fn check_projection(&self, axis: usize) -> Result<()> {
        if axis > 2 {
            return Err(Error::config("axis", axis, "a volume has the axes 0, 1 and 2"));
        }
        if self.is_empty() {
            return Err(Error::config("grid", self.describe(), "a maximum projection needs at least one voxel"));
        }
        Ok(())
    }
}

impl Volume {
    /// The largest scaled value along a stored axis (0, 1 or 2 for i, j or k) of a frame in memory. Data type and
    /// scaling stay; with a negative slope this is the smallest stored value. NaN is ignored unless all values are NaN.
    ///
    /// The result has one frame, no header, and [`Grid::projected`]'s grid.
    ///
    /// # Errors
    /// For colours, an axis above 2, a frame that is not in memory, or an empty grid.
    pub fn max_projection(&self, frame: usize, axis: usize) -> Result<Self> {
        self.grid.check_projection(axis)?;
        let Some(voxels) = self.frame_range(frame) else {
            return Err(Error::config(
                "frame",
                frame,
                format!("the volume has {}, counted from 0", plural(self.frames(), "frame", "frames")),
            ));
        };
        // A negative slope reverses the order: the largest scaled value is the smallest stored one.
        let (shape, smallest) = (self.grid.shape, self.scale.slope < 0.0);
        macro_rules! each {
            ($($variant:ident),*) => {
                match &self.data {
                    $(VoxelData::$variant(v) => VoxelData::$variant(extreme(&v[voxels], shape, axis, smallest)),)*
                    VoxelData::Rgb(_) | VoxelData::Rgba(_) => {
                        let why = "a maximum projection needs numbers, but colours have no order";
                        return Err(Error::config("voxels", self.data.type_name(), why));
                    }
                }
            };
        }
        let data = each!(U8, I8, U16, I16, U32, I32, U64, I64, F32, F64);
        Ok(Self::new(self.grid.projected(axis), data, self.scale))
    }
}

impl LabelVolume {
    /// The largest label along a stored axis, on [`Grid::projected`]'s grid.
    ///
    /// # Errors
    /// For an axis above 2 or an empty grid.
    pub fn max_projection(&self, axis: usize) -> Result<Self> {
        self.grid.check_projection(axis)?;
        let data = match &self.data {
            LabelData::U8(v) => LabelData::U8(project(v, self.grid.shape, axis, Ord::max)),
            LabelData::U16(v) => LabelData::U16(project(v, self.grid.shape, axis, Ord::max)),
        };
        Ok(Self { grid: self.grid.projected(axis), data })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::{Orientation, Scale};
    use glam::{DMat3, DVec3};

    fn grid(shape: [usize; 3]) -> Grid {
        let matrix3 = DMat3::from_rotation_z(0.3) * DMat3::from_diagonal(DVec3::new(-1.0, 2.0, 3.0));
        Grid::new(shape, DAffine3 { matrix3, translation: DVec3::new(4.0, 5.0, -6.0) })
    }

    /// The definition, voxel by voxel, of scaled values; `None` where all are NaN.
    fn brute(volume: &Volume, frame: usize, axis: usize, at: [usize; 3]) -> Option<f64> {
        let along = (0..volume.grid.shape[axis]).map(|layer| {
            let mut voxel = at;
            voxel[axis] = layer;
            volume.value_at(voxel, frame)
        });
        along.filter(|value| !value.is_nan()).max_by(f64::total_cmp)
    }

    fn assert_projects(volume: &Volume, frame: usize) {
        for axis in 0..3 {
            let flat = volume.max_projection(frame, axis).unwrap();
            assert_eq!((flat.data.type_name(), flat.frames()), (volume.data.type_name(), 1));
            let [nx, ny, nz] = flat.grid.shape;
            assert_eq!(flat.grid.shape[axis], 1);
            for (i, j, k) in (0..nz).flat_map(|k| (0..ny).flat_map(move |j| (0..nx).map(move |i| (i, j, k)))) {
                let (actual, expected) = (flat.value([i, j, k]), brute(volume, frame, axis, [i, j, k]));
                assert!(expected.map_or(actual.is_nan(), |e| e == actual), "axis {axis}: {actual} {expected:?}");
            }
        }
    }

    #[test]
    fn a_projection_has_the_largest_value_for_every_type_axis_and_slope() {
        let shape = [4, 3, 5];
        let n: i64 = 2 * 60;
        let mixed = |index: i64| (index * 7919 + 13) % 251 - 125;
        for (slope, inter) in [(1.0, 0.0), (0.5, -3.0), (-2.0, 1.0)] {
            let scale = Scale { slope, inter };
            for data in [
                VoxelData::I16((0..n).map(|index| mixed(index) as i16).collect()),
                VoxelData::U8((0..n).map(|index| (mixed(index) + 125) as u8).collect()),
                VoxelData::I64((0..n).map(mixed).collect()),
                VoxelData::F64((0..n).map(|index| mixed(index) as f64 / 8.0).collect()),
            ] {
                let volume = Volume::new(grid(shape), data, scale);
                assert_projects(&volume, 0);
                assert_projects(&volume, 1);
            }
        }
    }

    #[test]
    fn nan_is_ignored_unless_all_values_are_nan() {
        let values = [f32::NAN, -1.0, f32::NAN, f32::NAN, 3.0, f32::NEG_INFINITY, f32::INFINITY, f32::NAN];
        let mut volume = Volume::from_f32(grid([2, 2, 2]), values.to_vec());
        assert_projects(&volume, 0);
        volume.scale.slope = -1.0;
        assert_projects(&volume, 0);
    }

    #[test]
    fn the_projected_grid_spans_the_extent_of_the_volume() {
        for o in Orientation::all() {
            let source = grid([5, 4, 3]).reoriented(&o);
            for axis in 0..3 {
                let flat = source.projected(axis);
                assert!(
                    (flat.spacing_mm()[axis] - source.shape[axis] as f64 * source.spacing_mm()[axis]).abs() < 1e-12
                );
                let middle = |g: &Grid| g.corners().iter().sum::<DVec3>() / 8.0;
                assert!(middle(&flat).distance(middle(&source)) < 1e-12);
                assert_eq!(flat.axis_codes(), source.axis_codes());
                // Every voxel of the source falls into the projection's voxel that took it up.
                let last = source.shape.map(|n| n - 1);
                let there = flat.voxel_from_world().transform_point3(source.world(last));
                let mut expected = last;
                expected[axis] = 0;
                assert_eq!(there.to_array().map(|v| v.round() as usize), expected);
            }
        }
    }

    #[test]
    fn a_projection_of_labels_has_the_largest_label() {
        let labels: Vec<u16> = vec![0, 300, 2, 0, 1, 5, 0, 0];
        let mask = LabelVolume::new(grid([2, 2, 2]), labels).unwrap();
        let flat = |axis| mask.max_projection(axis).unwrap();
        assert_eq!(flat(0).iter().collect::<Vec<_>>(), [300, 2, 5, 0]);
        assert_eq!(flat(1).iter().collect::<Vec<_>>(), [2, 300, 1, 5]);
        assert_eq!((flat(2).iter().collect::<Vec<_>>(), flat(2).shape()), (vec![1, 300, 2, 0], [2, 2, 1]));
    }

    #[test]
    fn an_impossible_projection_is_refused_with_the_reason() {
        let message = |volume: &Volume, frame, axis| volume.max_projection(frame, axis).unwrap_err().to_string();
        let colours = Volume::new(grid([1, 1, 1]), VoxelData::Rgb(vec![[1, 2, 3]]), Scale::IDENTITY);
        assert_eq!(
            message(&colours, 0, 2),
            "voxels = rgb24: a maximum projection needs numbers, but colours have no order"
        );
        let volume = Volume::from_f32(grid([1, 1, 1]), vec![1.0]);
        assert!(message(&volume, 0, 3).starts_with("axis = 3"));
        assert!(message(&volume, 1, 0).starts_with("frame = 1: the volume has 1"));
        assert!(message(&Volume::from_f32(grid([0, 1, 1]), Vec::new()), 0, 0).contains("0x1x1"));
        assert!(LabelVolume::new(grid([1, 1, 1]), vec![1_u8]).unwrap().max_projection(7).is_err());
    }
}
