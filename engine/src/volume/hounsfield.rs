//! Checks whether the values of a CT can be Hounsfield units.

use super::{Background, Volume};

/// Why the values of a CT cannot be Hounsfield units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CtDoubt {
    /// The range is too narrow, as for values scaled to 0 to 1, z-scores, or an 8-bit picture.
    Scaled {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
    },
    /// Air does not have -1000 HU, so an intercept is missing or was applied twice.
    Offset {
        /// The value of air, or of the darkest voxels.
        air: f64,
        /// Estimated offset that gives Hounsfield units when added.
        offset: f64,
    },
}

/// Smallest range that a CT of tissue, bone and air can span, in HU.
const MIN_RANGE_HU: f64 = 50.0;
/// Upper limit of air, in HU.
const AIR_HU: f64 = -200.0;
/// Upper limit of fat, in HU. Only a scan of the inside of an organ has no fat.
const FAT_HU: f64 = -50.0;
/// Range of soft tissue, in HU.
const SOFT_TISSUE_HU: [f64; 2] = [-200.0, 300.0];
/// Smallest fraction of soft tissue in a scan.
const SOFT_TISSUE_SHARE: f64 = 0.005;
/// Range of the difference between soft tissue and air, in HU.
const TISSUE_ABOVE_AIR_HU: [f64; 2] = [800.0, 1300.0];

/// The reason why the first frame of a CT cannot be in Hounsfield units; `None` if it can be.
pub fn ct_doubt(volume: &Volume) -> Option<CtDoubt> {
    let [low, dark, middle, high] = volume.percentiles(0, &[0.0, 0.1, 50.0, 100.0])?.try_into().ok()?;
    if high - low <= MIN_RANGE_HU {
        return Some(CtDoubt::Scaled { low, high });
    }
    let background = Background::ignoring_padding(volume, 0).filter(|b| b.value.is_finite());
    let offset = |air: f64| CtDoubt::Offset { air, offset: if air.abs() < 10.0 { -1024.0 } else { -1000.0 - air } };
    if dark < AIR_HU {
        // The scan has air or padding. It must also have soft tissue, unless an intercept was applied twice.
        let tissue = volume.histogram(0, SOFT_TISSUE_HU, 1)?[0] as f64 / volume.grid.len() as f64;
        return (tissue < SOFT_TISSUE_SHARE && high < 0.0).then(|| offset(background.map_or(dark, |b| b.value)));
    }
    if dark < FAT_HU {
        return None;
    }
    // No voxel is darker than tissue. Without a background this is the inside of an organ.
    let air = background.map(|b| b.value).filter(|air| *air < SOFT_TISSUE_HU[1]);
    match air {
        None if middle < SOFT_TISSUE_HU[1] => None,
        None => Some(offset(dark)),
        Some(air) => {
            let tissue = tissue_median(volume, air).unwrap_or(middle);
            let [near, far] = TISSUE_ABOVE_AIR_HU;
            let shifted = (near..far).contains(&(tissue - air));
            Some(if shifted { offset(air) } else { CtDoubt::Scaled { low, high } })
        }
    }
}

/// Median of the values above air.
fn tissue_median(volume: &Volume, air: f64) -> Option<f64> {
    let mut values = volume.to_f32();
    volume.replace_padding(0, &mut values, f32::NAN);
    values.retain(|v| f64::from(*v) > air + 1.0);
    super::percentile(&mut values, 50.0)
}

impl std::fmt::Display for CtDoubt {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let round = |v: f64| (v * 1000.0).round() / 1000.0;
        match self {
            Self::Scaled { low, high } => {
                let (low, high) = (round(*low), round(*high));
                write!(
                    to,
                    "the values, {low} to {high}, cannot be Hounsfield units, in which air is -1000 and water 0. The scan was \
                     rescaled"
                )
            }
            Self::Offset { air, offset } => write!(
                to,
                "the values cannot be Hounsfield units: air is at {} instead of -1000, so an offset of about {} is missing",
                round(*air),
                round(*offset)
            ),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::{Grid, Scale, VoxelData};
    use glam::DAffine3;

    /// A body of 40 HU with a rim of fat in air, as `change` stores it.
    fn ct(change: impl Fn(f64) -> f64) -> Volume {
        let grid = Grid::new([20, 20, 6], DAffine3::IDENTITY);
        let hu = |index: usize| {
            let r = (index % 20).abs_diff(10).pow(2) + (index / 20 % 20).abs_diff(10).pow(2);
            let noise = (index * 7919 % 31) as f64 - 15.0;
            if r < 36 {
                40.0 + noise
            } else if r < 49 {
                -100.0 + noise
            } else {
                -1000.0
            }
        };
        Volume::new(grid, VoxelData::F64((0..2400).map(|index| change(hu(index))).collect()), Scale::IDENTITY)
    }

    #[test]
    fn hounsfield_units_are_not_doubted() {
        assert_eq!(ct_doubt(&ct(|hu| hu)), None);
        // Padding outside the field of view, a window of soft tissue, the inside of an organ.
        assert_eq!(ct_doubt(&ct(|hu| if hu < -900.0 { -3024.0 } else { hu })), None);
        assert_eq!(ct_doubt(&ct(|hu| hu.clamp(-160.0, 240.0))), None);
        let organ = Volume::new(
            Grid::new([8, 8, 8], DAffine3::IDENTITY),
            VoxelData::I16((0..512).map(|index| (index * 7919 % 97) as i16).collect()),
            Scale::IDENTITY,
        );
        assert_eq!(ct_doubt(&organ), None);
    }

    #[test]
    fn a_missing_intercept_is_named_with_the_offset() {
        let offset = |change: &dyn Fn(f64) -> f64| match ct_doubt(&ct(change)) {
            Some(CtDoubt::Offset { offset, .. }) => offset.round() as i64,
            other => panic!("{other:?}"),
        };
        assert_eq!(offset(&|hu| hu + 1024.0), -1024);
        assert_eq!(offset(&|hu| hu + 1000.0), -1024);
        assert_eq!(offset(&|hu| (hu + 1024.0).max(0.0)), -1024);
        // Applied twice.
        assert_eq!(offset(&|hu| hu - 1024.0), 1024);
        let text = ct_doubt(&ct(|hu| hu + 1024.0)).unwrap().to_string();
        assert!(text.contains("air is at 24 instead of -1000") && text.contains("offset of about -1024"), "{text}");
    }

    #[test]
    fn scaled_values_are_named_with_their_range() {
        let changes: [&dyn Fn(f64) -> f64; 3] = [&|hu| (hu + 1000.0) / 1300.0, &|hu| (hu + 500.0) / 480.0, &|hu| {
            ((hu + 160.0) / 400.0 * 255.0).clamp(0.0, 255.0)
        }];
        for change in changes {
            assert!(matches!(ct_doubt(&ct(change)), Some(CtDoubt::Scaled { .. })));
        }
        let text = ct_doubt(&ct(changes[0])).unwrap().to_string();
        assert!(text.starts_with("the values, 0 to 0.8"), "{text}");
    }
}
