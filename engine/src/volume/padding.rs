//! Padding: pixels outside the field of view, marked by PixelPaddingValue in DICOM (PS3.3 C.7.5.1.1.2). They keep their values
//! but do not count in statistics, background or tissue.

use super::data::for_each_type;
use super::{Volume, VoxelData};

/// True if a stored value is padding.
pub(super) fn is_within(padding: Option<[f64; 2]>, stored: f64) -> bool {
    padding.is_some_and(|[low, high]| (low..=high).contains(&stored))
}

impl Volume {
    /// Lowest and highest scaled value that mark padding; `None` without padding.
    pub fn padding_values(&self) -> Option<[f64; 2]> {
        let [a, b] = self.padding?.map(|stored| self.scale.apply(stored));
        Some([a.min(b), a.max(b)])
    }

    /// Replaces padding in the values of a frame, as [`Volume::frame_to_f32`] returns them, by `by`. Returns the number of
    /// padding voxels.
    #[allow(clippy::unnecessary_cast, reason = "the code is the same for every type, including f64")]
    pub fn replace_padding(&self, frame: usize, values: &mut [f32], by: f32) -> u64 {
        let (Some(voxels), Some(_)) = (self.frame_range(frame), self.padding) else { return 0 };
        let mut padded = 0;
        for_each_type!(
            &self.data,
            v => for (value, _) in values.iter_mut().zip(&v[voxels]).filter(|(_, x)| is_within(self.padding, **x as f64)) {
                *value = by;
                padded += 1;
            },
            _c => {}
        );
        padded
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use glam::DAffine3;

    use super::*;
    use crate::volume::{Background, Grid, Scale, ct_doubt};

    const SHAPE: [usize; 3] = [24, 24, 6];

    /// A body of -20 to 100 HU in air of -1000 HU with noise up to `noise`, in a round field of view; stored as HU + 1024, with
    /// -2000 outside of it.
    fn ct(noise: f64) -> Volume {
        let stored = |index: usize| {
            let [i, j] = [index % 24, index / 24 % 24].map(|n| n as f64 - 11.5);
            let random = (index * 7919 % 21) as f64 / 10.0 - 1.0;
            match i.hypot(j) {
                r if r > 11.8 => -2000.0,
                r if r > 7.0 => 24.0 + noise * random,
                _ => 1064.0 + 60.0 * random,
            }
        };
        let data = VoxelData::I16((0..SHAPE.iter().product()).map(|index| stored(index) as i16).collect());
        let mut volume = Volume::new(Grid::new(SHAPE, DAffine3::IDENTITY), data, Scale { slope: 1.0, inter: -1024.0 });
        volume.padding = Some([-2000.0, -2000.0]);
        volume
    }

    #[test]
    fn padding_keeps_its_values_but_is_excluded_from_statistics() {
        let volume = ct(10.0);
        assert_eq!((volume.value([0, 0, 0]), volume.padding_values()), (-3024.0, Some([-3024.0, -3024.0])));
        assert_eq!(volume.stats().unwrap().min, Some(-3024.0));
        let (stats, padded) = volume.stats_without_padding().unwrap();
        let mut values = volume.to_f32();
        assert_eq!(volume.replace_padding(0, &mut values, f32::NAN), padded);
        let others: Vec<f64> = values.iter().filter(|v| !v.is_nan()).map(|v| f64::from(*v)).collect();
        assert_eq!((others.len() as u64 + padded, padded > 300), (3456, true));
        let mean = others.iter().sum::<f64>() / others.len() as f64;
        assert_eq!((stats.min, stats.max, stats.nonfinite), (Some(-1010.0), Some(100.0), 0));
        assert!((stats.mean.unwrap() - mean).abs() < 1e-9);
        assert_eq!(volume.percentiles(0, &[0.0, 100.0]).unwrap(), [-1010.0, 100.0]);
        let counted: u64 = volume.histogram(0, [-4000.0, 4000.0], 8).unwrap().iter().sum();
        assert_eq!(counted, others.len() as u64);
        // A range, and values that no voxel of the type can have.
        let range = Volume { padding: Some([-2000.0, 30.0]), ..volume.clone() };
        assert_eq!(range.percentiles(0, &[0.0]).unwrap(), [-993.0]);
        let beyond = Volume { padding: Some([63536.0, 63536.0]), ..volume };
        assert_eq!(beyond.stats_without_padding().unwrap().1, 0);
        assert_eq!(beyond.percentiles(0, &[0.0]).unwrap(), [-3024.0]);
    }

    #[test]
    fn padding_is_background_besides_the_constant_border() {
        let noisy = Background::of(&ct(10.0), 0).unwrap();
        assert_eq!((noisy.value, noisy.contains(-3024.0), noisy.contains(40.0)), (-3024.0, true, false));
        let result = Background::of(&ct(0.0), 0).unwrap();
        assert_eq!((result.value, result.contains(-1000.0), result.contains(-3024.0)), (-1000.0, true, true));
    }

    #[test]
    fn padding_does_not_hide_a_missing_intercept() {
        assert_eq!(ct_doubt(&ct(0.0)), None);
        // As stored: padding at -2000 is not air.
        let raw = Volume { scale: Scale::IDENTITY, ..ct(0.0) };
        assert!(ct_doubt(&raw).is_some());
        assert_eq!(ct_doubt(&Volume { padding: None, ..raw }), None);
        // All air is padding: the rest is the inside of the body.
        let mut inside = ct(0.0);
        if let VoxelData::I16(values) = &mut inside.data {
            values.iter_mut().filter(|v| **v < 500).for_each(|v| *v = -2000);
        }
        assert_eq!(ct_doubt(&inside), None);
    }
}
