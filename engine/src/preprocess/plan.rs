//! The recorded preprocessing of one case, which maps every prepared voxel back to the source grid.

use std::ops::Range;

use glam::{DAffine3, DMat3, DVec3};
use serde::{Deserialize, Serialize};

use super::config::{Kind, PreprocessConfig, Spacing};
use super::gather::{self, AxisMap, Tap};
use crate::volume::{Grid, Interpolation};
use crate::words::plural;
use crate::{Error, Result};

/// Relative difference below which two spacings are equal; such an axis is not resampled.
const SAME_SPACING: f64 = 1e-4;

/// The recorded preprocessing of one case. Prepared axes are R, A, S in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CasePlan {
    /// Format version.
    pub version: u32,
    /// Shape of the first channel's file.
    pub source_shape: [usize; 3],
    /// `world_from_voxel` of the source, row by row, RAS+ mm.
    pub source_affine: [f64; 16],
    /// False if the file records no orientation, so that the usual guess is used (see [`Grid::oriented`]).
    pub oriented: bool,
    /// Source axis along each of R, A, S.
    pub axes: [usize; 3],
    /// Whether that source axis runs against R, A, S.
    pub flipped: [bool; 3],
    /// Position of prepared voxel 0 in source voxels, along R, A, S.
    pub start: [f64; 3],
    /// Source voxels per prepared voxel along R, A, S.
    pub step: [f64; 3],
    /// Shape of the prepared grid.
    pub prepared_shape: [usize; 3],
    /// `world_from_voxel` of the prepared grid, row by row, RAS+ mm.
    pub prepared_affine: [f64; 16],
    /// Interpolation of images.
    pub interpolation: Interpolation,
    /// Normalisation of each channel.
    pub channels: Vec<ChannelPlan>,
    /// Bounding box of the foreground regions on the prepared grid: first and one past the last voxel along R, A, S.
    pub region_box: [[usize; 2]; 3],
    /// Side of the training crop in prepared voxels.
    pub crop_size: usize,
    /// Prepared voxel (i, j) at the crop's first pixel; negative where the crop extends beyond the scan.
    pub crop_origin: [i64; 2],
    /// Lesion voxels on the prepared grid; `None` without a reference.
    pub lesion_voxels: Option<u64>,
    /// Lesion voxels outside the training crop.
    pub lesion_voxels_outside_crop: Option<u64>,
    /// Irregularities, one sentence each.
    pub warnings: Vec<String>,
}

/// The recorded normalisation of one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelPlan {
    /// Intensity rules.
    pub kind: Kind,
    /// Clipping range: the lower and upper percentile of the region, in the scan's unit.
    pub clip: [f64; 2],
    /// Mean over the clipped region.
    pub mean: f64,
    /// Population standard deviation over the clipped region.
    pub std: f64,
    /// Normalised value outside the region and the scan.
    pub fill: f32,
    /// Voxels of the foreground region (not background, or the body in a CT) on the prepared grid.
    pub region_voxels: u64,
    /// Non-finite voxels of the file; they count as background.
    pub nonfinite: u64,
}

/// The version written and read.
const VERSION: u32 = 1;

impl CasePlan {
    /// A plan with only the geometry set: `source` reoriented to RAS+ and resampled to `spacing` about its centre, so
    /// that the result does not depend on the file's storage order.
    pub(super) fn new(source: &Grid, spacing: Spacing, interpolation: Interpolation) -> Result<Self> {
        let (ras, orientation) = source.reoriented_to_ras();
        let (mut axes, mut flipped) = ([0; 3], [false; 3]);
        for (axis, (&along, flip)) in orientation.axis.iter().zip(orientation.flip).enumerate() {
            axes[along] = axis;
            flipped[along] = flip;
        }
        let own = ras.spacing_mm();
        if ras.is_empty() || !own.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(Error::config("grid", source.describe(), "voxels of positive size are needed"));
        }
        let wanted = spacing.millimetres().unwrap_or(own);
        let kept = |a: usize| (wanted[a] - own[a]).abs() <= SAME_SPACING * own[a];
        let target: [f64; 3] = std::array::from_fn(|a| if kept(a) { own[a] } else { wanted[a] });
        let prepared = ras.with_spacing(target);
        let step: [f64; 3] = std::array::from_fn(|a| target[a] / own[a]);
        // Both boxes have the same centre.
        let middle = |n: usize| (n as f64 - 1.0) / 2.0;
        let start = std::array::from_fn(|a| middle(ras.shape[a]) - middle(prepared.shape[a]) * step[a]);
        let prepared_shape = prepared.shape;
        Ok(Self {
            version: VERSION,
            source_shape: source.shape,
            source_affine: source.affine_rows(),
            oriented: source.oriented,
            axes,
            flipped,
            start,
            step,
            prepared_shape,
            prepared_affine: prepared.affine_rows(),
            interpolation,
            channels: Vec::new(),
            region_box: prepared_shape.map(|n| [0, n]),
            crop_size: 0,
            crop_origin: [0, 0],
            lesion_voxels: None,
            lesion_voxels_outside_crop: None,
            warnings: Vec::new(),
        })
    }

    /// Centres the training crop on the bounding box of the foreground.
    pub(super) fn set_crop(&mut self, size: usize) {
        self.crop_size = size;
        for (origin, [low, high]) in self.crop_origin.iter_mut().zip(self.region_box) {
            *origin = (low as i64 + high as i64 - size as i64).div_euclid(2);
        }
    }

    /// The grid that the case is resampled to.
    pub fn prepared_grid(&self) -> Grid {
        let world_from_voxel = affine(&self.prepared_affine);
        Grid { shape: self.prepared_shape, world_from_voxel, oriented: self.oriented }
    }

    /// The grid of the source file.
    pub fn source_grid(&self) -> Grid {
        let world_from_voxel = affine(&self.source_affine);
        Grid { shape: self.source_shape, world_from_voxel, oriented: self.oriented }
    }

    /// Voxel size of the prepared grid along R, A, S in mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.prepared_grid().spacing_mm()
    }

    /// True if an axis was resampled. Otherwise the prepared voxels are a permutation of the source voxels.
    #[allow(clippy::float_cmp, reason = "an axis that is not resampled has a step of exactly 1")]
    pub fn resampled(&self) -> bool {
        self.step.iter().any(|&step| step != 1.0)
    }

    /// Prepared voxel (i, j) at the first pixel of the training crop.
    pub fn crop_origin(&self) -> [i64; 2] {
        self.crop_origin
    }

    /// 4x4 matrix, row by row, from crop voxel (i, j, k) to world mm.
    pub fn crop_affine(&self) -> [f64; 16] {
        self.shifted_affine([0, 0])
    }

    /// [`CasePlan::crop_affine`] for a crop shifted by `shift` voxels along R and A.
    pub fn shifted_affine(&self, shift: [i32; 2]) -> [f64; 16] {
        self.affine_at([0, 1].map(|a| self.crop_origin[a] + i64::from(shift[a])))
    }

    /// [`CasePlan::crop_affine`] for a crop whose first pixel is prepared voxel (i, j).
    pub fn affine_at(&self, [i, j]: [i64; 2]) -> [f64; 16] {
        let shift = DVec3::new(i as f64, j as f64, 0.0);
        let world_from_voxel = affine(&self.prepared_affine) * DAffine3::from_translation(shift);
        Grid { shape: self.prepared_shape, world_from_voxel, oriented: self.oriented }.affine_rows()
    }

    /// Source axis closest to S-I.
    pub fn source_slice_axis(&self) -> usize {
        self.axes[2]
    }

    /// Number of source slices along [`CasePlan::source_slice_axis`].
    pub fn source_slices(&self) -> usize {
        self.source_shape[self.axes[2].min(2)]
    }

    /// The prepared slice nearest to source slice `k_source` (0-based, along [`CasePlan::source_slice_axis`]); the
    /// lower one on a tie.
    pub fn prepared_slice_of(&self, k_source: usize) -> usize {
        let at = (self.from_feet(k_source) as f64 - self.start[2]) / self.step[2];
        nearest(at, self.prepared_shape[2])
    }

    /// Source slice `k_source`, counted from the feet instead of along [`CasePlan::source_slice_axis`], both from 0.
    pub fn from_feet(&self, k_source: usize) -> usize {
        let last = self.source_slices().saturating_sub(1);
        if self.flipped[2] { last - k_source.min(last) } else { k_source.min(last) }
    }

    /// The source slice nearest to a prepared slice, both counted from the feet, from 0; the lower one on a tie.
    pub fn source_slice_of(&self, prepared: usize) -> usize {
        nearest(self.start[2] + prepared as f64 * self.step[2], self.source_slices())
    }

    /// Maps a slice-major field on the prepared grid to the source grid, in file order. A resampled case is
    /// interpolated linearly; otherwise the permutation is inverted exactly. Source voxels beyond the outermost
    /// prepared centres take the nearest value.
    ///
    /// # Errors
    /// If `field` does not have one value per prepared voxel.
    pub fn restore(&self, field: &[f32]) -> Result<Vec<f32>> {
        let taps = self.taps_to_source(field.len())?;
        Ok(if self.resampled() { gather::linear(field, &taps) } else { gather::nearest(field, &taps) })
    }

    /// [`CasePlan::restore`] by nearest neighbour.
    #[cfg(test)]
    pub(crate) fn restore_nearest(&self, field: &[u8]) -> Result<Vec<u8>> {
        Ok(gather::nearest(field, &self.taps_to_source(field.len())?))
    }

    /// Taps into the source (file order) for every prepared voxel: k slowest, then i, then j.
    pub(super) fn taps_from_source(&self) -> [Vec<Tap>; 3] {
        let strides = [1, self.source_shape[0], self.source_shape[0] * self.source_shape[1]];
        [2, 0, 1].map(|a| {
            let map = AxisMap {
                start: self.start[a],
                step: self.step[a],
                count: self.prepared_shape[a],
                source: self.source_shape[self.axes[a]],
                flipped: self.flipped[a],
                stride: strides[self.axes[a]],
            };
            map.taps()
        })
    }

    /// Number of axial source slices, from the feet, that [`CasePlan::restore`] computes from the first `prepared`
    /// prepared slices alone.
    pub fn settled_slices(&self, prepared: usize) -> usize {
        let mut needs: Vec<usize> = self.to_source(2, 1).taps().iter().map(|tap| self.farthest(tap)).collect();
        if self.flipped[2] {
            needs.reverse();
        }
        needs.iter().take_while(|&&slice| slice < prepared).count()
    }

    /// The last prepared position that a tap reads.
    fn farthest(&self, tap: &Tap) -> usize {
        if !self.resampled() {
            tap.near
        } else if tap.weight == 0.0 {
            // The upper neighbour has weight 0 and is not read.
            tap.low
        } else {
            tap.high
        }
    }

    /// [`CasePlan::restore`] for a range of axial slices, numbered from the feet. Returns that box of the source in file
    /// order, bit-identical to the whole.
    pub fn restore_slices(&self, field: &[f32], slices: Range<usize>) -> Result<Vec<f32>> {
        let mut taps = self.taps_to_source(field.len())?;
        let stored = self.stored_slices(slices)?;
        // Taps are ordered from the slowest source axis to the fastest.
        let along = &mut taps[2 - self.axes[2]];
        *along = along[stored].to_vec();
        Ok(if self.resampled() { gather::linear(field, &taps) } else { gather::nearest(field, &taps) })
    }

    /// Converts slice numbers counted from the feet to indices along [`CasePlan::source_slice_axis`].
    pub fn stored_slices(&self, slices: Range<usize>) -> Result<Range<usize>> {
        let count = self.source_slices();
        if slices.start > slices.end || slices.end > count {
            return Err(Error::config(
                "slices",
                format!("{slices:?}"),
                format!("the scan has {}", plural(count, "slice", "slices")),
            ));
        }
        Ok(if self.flipped[2] { count - slices.end..count - slices.start } else { slices })
    }

    /// Maps source positions along R, A or S to the prepared axis, whose memory stride is `stride`.
    fn to_source(&self, a: usize, stride: usize) -> AxisMap {
        let count = self.source_shape[self.axes[a]];
        let (first, sign) = if self.flipped[a] { (count as f64 - 1.0, -1.0) } else { (0.0, 1.0) };
        AxisMap {
            start: (first - self.start[a]) / self.step[a],
            step: sign / self.step[a],
            count,
            source: self.prepared_shape[a],
            flipped: false,
            stride,
        }
    }

    /// Taps into a slice-major prepared field of `len` voxels for every source voxel, in file order.
    fn taps_to_source(&self, len: usize) -> Result<[Vec<Tap>; 3]> {
        self.check()?;
        let [nx, ny, nz] = self.prepared_shape;
        if len != nx * ny * nz {
            let why = format!("the prepared grid has {} voxels", nx * ny * nz);
            return Err(Error::config("field", format!("{len} values"), why));
        }
        let strides = [ny, 1, nx * ny];
        let mut by_source_axis: [Vec<Tap>; 3] = Default::default();
        for a in 0..3 {
            by_source_axis[self.axes[a]] = self.to_source(a, strides[a]).taps();
        }
        by_source_axis.reverse();
        Ok(by_source_axis)
    }

    /// Checks a plan read from a file.
    pub fn check(&self) -> Result<()> {
        let bad = |field: &str, value: String, why: &str| Err(Error::config(format!("plan.{field}"), value, why));
        if self.version != VERSION {
            return bad("version", self.version.to_string(), "this program reads version 1");
        }
        let mut axes = self.axes;
        axes.sort_unstable();
        if axes != [0, 1, 2] {
            return bad("axes", format!("{:?}", self.axes), "must be a permutation of 0, 1, 2");
        }
        if !self.step.iter().chain(&self.start).all(|v| v.is_finite()) || self.step.iter().any(|&s| s <= 0.0) {
            return bad("step", format!("{:?}", self.step), "steps must be positive and start positions finite");
        }
        for (field, shape) in [("source_shape", self.source_shape), ("prepared_shape", self.prepared_shape)] {
            let voxels = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
            if voxels.is_none_or(|n| n == 0 || n > isize::MAX as usize / 16) {
                return bad(field, format!("{shape:?}"), "must be positive and fit the address space");
            }
        }
        Ok(())
    }
}

/// The plan of a scan on `source` with only the geometry set, which needs no values.
///
/// # Errors
/// If `source` is empty or a voxel size is not positive.
pub fn geometry(source: &Grid, config: &PreprocessConfig) -> Result<CasePlan> {
    CasePlan::new(source, config.spacing, config.interpolation)
}

/// The slice nearest to a fractional position among `count`; the lower one on a tie.
fn nearest(at: f64, count: usize) -> usize {
    (at - 0.5 - 1e-6).ceil().clamp(0.0, count.saturating_sub(1) as f64) as usize
}

/// The transform of a row-major 4x4 matrix.
fn affine(rows: &[f64; 16]) -> DAffine3 {
    let column = |c: usize| DVec3::new(rows[c], rows[4 + c], rows[8 + c]);
    DAffine3 { matrix3: DMat3::from_cols(column(0), column(1), column(2)), translation: column(3) }
}
