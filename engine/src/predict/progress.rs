//! Intermediate results of a segmentation: labels of the completed slices, on the source grid.

use std::ops::Range;

use super::mask;
use crate::preprocess::CasePlan;
use crate::volume::LabelVolume;
use crate::words::plural;
use crate::{Error, Result};

/// Progress of a segmentation after a batch of slices.
///
/// The network processes prepared slices from feet to head. A source slice, also numbered from the feet, is settled when
/// all prepared slices it is restored from are done. Settled slices equal the final segmentation exactly.
pub struct Progress<'a> {
    /// Prepared slices done.
    pub done: usize,
    /// Total number of prepared slices.
    pub total: usize,
    plan: &'a CasePlan,
    fields: &'a [Vec<f32>],
    /// The label written in each region.
    region_labels: &'a [u8],
}

impl<'a> Progress<'a> {
    pub(super) fn new(
        done: usize,
        total: usize,
        plan: &'a CasePlan,
        fields: &'a [Vec<f32>],
        region_labels: &'a [u8],
    ) -> Self {
        Self { done, total, plan, fields, region_labels }
    }

    /// Number of settled axial source slices, from the feet.
    pub fn settled(&self) -> usize {
        self.plan.settled_slices(self.done)
    }

    /// Labels of a range of settled slices. The new ones are `earlier.settled()..self.settled()`. The cost is
    /// proportional to the range.
    ///
    /// # Errors
    /// If a slice is not settled.
    pub fn labels(&self, slices: Range<usize>) -> Result<LabelBox> {
        let settled = self.settled();
        if slices.start > slices.end || slices.end > settled {
            return Err(Error::config(
                "slices",
                format!("{slices:?}"),
                format!("only {} settled so far", plural(settled, "slice is", "slices are")),
            ));
        }
        let axis = self.plan.source_slice_axis();
        let stored = self.plan.stored_slices(slices.clone())?;
        let restore = |field: &Vec<f32>| self.plan.restore_slices(field, slices.clone());
        let probability = self.fields.iter().map(restore).collect::<Result<Vec<_>>>()?;
        let (mut origin, mut shape) = ([0; 3], self.plan.source_shape);
        (origin[axis], shape[axis]) = (stored.start, stored.len());
        Ok(LabelBox { origin, shape, labels: mask(&probability, self.region_labels) })
    }

    /// The whole mask; slices that are not settled are 0.
    pub fn mask(&self) -> Result<LabelVolume> {
        let grid = self.plan.source_grid();
        let mut labels = vec![0; grid.len()];
        self.labels(0..self.settled())?.copy_to(&mut labels, grid.shape)?;
        LabelVolume::new(grid, labels)
    }
}

/// Labels within a box of the source grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelBox {
    /// First voxel of the box.
    pub origin: [usize; 3],
    /// Number of voxels along i, j, k.
    pub shape: [usize; 3],
    /// One label per voxel of the box, first axis fastest.
    pub labels: Vec<u8>,
}

impl LabelBox {
    /// Copies the box into a mask of `shape` (first axis fastest).
    ///
    /// # Errors
    /// If `mask` does not have one entry per voxel or does not contain the box.
    pub fn copy_to(&self, mask: &mut [u8], shape: [usize; 3]) -> Result<()> {
        let outside = (0..3).any(|a| self.origin[a] + self.shape[a] > shape[a]);
        if outside || mask.len() != shape.iter().product::<usize>() {
            let why = format!("does not contain the box of {:?} voxels at {:?}", self.shape, self.origin);
            return Err(Error::config("mask", format!("{shape:?}"), why));
        }
        let ([nx, ny, _], [i, j, k]) = (shape, self.origin);
        let [width, height, _] = self.shape;
        for (row, labels) in self.labels.chunks(width.max(1)).enumerate() {
            let start = i + nx * (j + row % height + ny * (k + row / height));
            mask[start..start + width].copy_from_slice(labels);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::device::Compute;
    use crate::event::Control;
    use crate::model::Norm;
    use crate::predict::{Segmenter, network_config};
    use crate::preprocess::{Spacing, Targets};
    use crate::volume::{Grid, Orientation, Volume};
    use glam::{DAffine3, DVec3};

    fn segmenter(spacing: Spacing, targets: Targets, seed: u64) -> Segmenter {
        let mut config = Config::finetune();
        config.data.modality = vec!["pet".into()];
        config.data.targets = targets;
        config.preprocess.spacing = spacing;
        config.preprocess.size = 16;
        (config.network.width, config.network.depth) = (2, 1);
        config.network.norm = Norm::Instance;
        let compute = Compute::cpu();
        let network = network_config(&config).init(seed, &compute.device);
        Segmenter::of_network(&config, &network, &compute)
    }

    fn scan(orientation: &Orientation) -> Volume {
        let grid = Grid::new([14, 11, 21], DAffine3::from_scale(DVec3::new(2.0, 2.5, 3.0)));
        let values: Vec<f32> = (0..grid.len()).map(|at| 1.0 + ((at * 7919) % 1009) as f32).collect();
        Volume::from_f32(grid.reoriented(orientation), orientation.apply(&values, grid.shape))
    }

    /// A random network that segments part of the scan, the same for every axis order.
    fn undecided(spacing: Spacing, targets: Targets) -> Segmenter {
        let mixed = |segmenter: &Segmenter| {
            let image = scan(&Orientation::IDENTITY);
            let label = segmenter.segment(&[image], &mut |_| {}, &Control::default()).unwrap().label;
            label.iter().any(|l| l == 0) && label.labels().len() >= targets.count().min(2)
        };
        (0..50).map(|seed| segmenter(spacing, targets, seed)).find(mixed).unwrap()
    }

    /// Segments, and checks at every report that settled slices are final and that in the end all are settled.
    fn check(segmenter: &Segmenter, orientation: &Orientation) {
        let image = scan(orientation);
        let (mut pieces, mut wholes, mut shown) = (Vec::new(), Vec::new(), 0);
        let mut watch = |progress: Progress<'_>| {
            let settled = progress.settled();
            assert!(progress.done <= progress.total && settled >= shown && settled <= 21);
            pieces.push(progress.labels(shown..settled).unwrap());
            wholes.push((settled, progress.mask().unwrap()));
            assert!(settled == 21 || progress.labels(shown..settled + 1).is_err());
            shown = settled;
        };
        let last = segmenter.segment(std::slice::from_ref(&image), &mut watch, &Control::default()).unwrap().label;
        assert!(pieces.len() >= 2 && shown == 21, "{} reports, {shown} slices", pieces.len());
        assert!(!last.labels().is_empty() && last.iter().any(|label| label == 0), "nothing to tell apart");
        let mut mask = vec![0; image.grid.len()];
        for piece in &pieces {
            piece.copy_to(&mut mask, image.grid.shape).unwrap();
        }
        assert_eq!(LabelVolume::new(image.grid.clone(), mask).unwrap(), last, "{orientation:?}");
        // In the mask so far, settled slices are final and the others empty.
        let slices = image.grid.axial_slices();
        for (settled, whole) in &wholes {
            for at in 0..image.grid.len() {
                let [nx, ny, _] = image.grid.shape;
                let voxel = [at % nx, at / nx % ny, at / (nx * ny)];
                let inside = slices.canonical(voxel[slices.axis]) < *settled;
                assert_eq!(whole.get(at), if inside { last.get(at) } else { 0 }, "{voxel:?}");
            }
        }
    }

    #[test]
    fn settled_slices_are_final_when_nothing_is_resampled() {
        let segmenter = undecided(Spacing::Native, Targets::Binary);
        Orientation::all().step_by(5).for_each(|orientation| check(&segmenter, &orientation));
    }

    #[test]
    fn settled_slices_are_final_when_the_scan_is_resampled() {
        // Finer and coarser than the scan, along and within slices.
        for (number, mm) in [[2.0, 2.0, 1.3], [1.9, 2.5, 3.0], [4.0, 2.5, 4.1], [2.0, 2.5, 1.0]].into_iter().enumerate()
        {
            let segmenter = undecided(Spacing::Millimetres(mm), Targets::Regions);
            Orientation::all().skip(number).step_by(11).for_each(|orientation| check(&segmenter, &orientation));
        }
    }

    /// The scan with background around it, by `width` voxels on each side.
    fn surrounded(width: usize) -> Volume {
        let scan = scan(&Orientation::IDENTITY);
        let shape = scan.grid.shape.map(|length| length + 2 * width);
        let corner = DVec3::splat(width as f64);
        let mut grid = Grid::new(shape, scan.grid.world_from_voxel);
        grid.world_from_voxel.translation = scan.grid.world_from_voxel.transform_point3(-corner);
        let (inner, values) = (scan.grid.shape, scan.to_f32());
        let at = |place: [usize; 3]| {
            let [i, j, k] = place.map(|at| at.wrapping_sub(width));
            let inside = i < inner[0] && j < inner[1] && k < inner[2];
            if inside { values[i + inner[0] * (j + inner[1] * k)] } else { 0.0 }
        };
        let [nx, ny, _] = shape;
        let voxels = (0..grid.len()).map(|at| [at % nx, at / nx % ny, at / (nx * ny)]);
        Volume::from_f32(grid.clone(), voxels.map(at).collect())
    }

    #[test]
    fn more_background_around_a_scan_changes_no_probability_and_has_none() {
        let segmenter = undecided(Spacing::Native, Targets::Binary);
        let mut ends = Vec::new();
        let found = [4, 7].map(|width| {
            let image = surrounded(width);
            let mut watch = |progress: Progress<'_>| ends.push((progress.done, progress.total, progress.settled()));
            let made = segmenter.segment(std::slice::from_ref(&image), &mut watch, &Control::default()).unwrap();
            let [nx, ny, nz] = image.grid.shape;
            let mut near = Vec::new();
            for (at, &p) in made.probability[0].iter().enumerate() {
                // The box around the tissue, with the margin of a network of depth 1.
                let place = [at % nx, at / nx % ny, at / (nx * ny)];
                let margins = [2, 2, 0];
                let inside = (0..3).all(|axis| {
                    let margin = width - margins[axis];
                    place[axis] >= margin && place[axis] < [nx, ny, nz][axis] - margin
                });
                if inside { near.push(p) } else { assert_eq!(p.to_bits(), 0, "{place:?}") }
            }
            near
        });
        assert!(found[0] == found[1] && found[0].iter().any(|&p| p >= 0.5), "the probabilities differ");
        assert!(found[0].iter().all(|&p| p > 0.0), "the margin is computed");
        assert!(ends.contains(&(29, 29, 29)) && ends.last() == Some(&(35, 35, 35)), "{ends:?}");
    }

    /// A cone whose slices grow towards the head, with an empty slice in its middle.
    fn cone() -> Volume {
        let grid = Grid::new([40, 36, 9], DAffine3::from_scale(DVec3::new(2.0, 2.5, 3.0)));
        let value = |at: usize| {
            let [i, j, k] = [at % 40, at / 40 % 36, at / (40 * 36)];
            let inside = k != 4 && i.abs_diff(20).max(j.abs_diff(18)) < 2 * k;
            if inside { 1.0 + ((at * 7919) % 1009) as f32 } else { 0.0 }
        };
        Volume::from_f32(grid.clone(), (0..grid.len()).map(value).collect())
    }

    #[test]
    fn a_slice_is_computed_around_its_own_tissue_whatever_its_batch() {
        let with = |norm, limit| {
            let mut config = segmenter(Spacing::Native, Targets::Binary, 0).config().clone();
            config.network.norm = norm;
            let compute = Compute::cpu();
            let network = network_config(&config).init(3, &compute.device);
            let segmenter = Segmenter::of_network(&config, &network, &compute).at_most(limit);
            segmenter.segment(&[cone()], &mut |_| {}, &Control::default()).unwrap().probability.swap_remove(0)
        };
        let probability = with(Norm::None, 0);
        assert!(probability == with(Norm::None, 1) && probability == with(Norm::None, 3), "the batch matters");
        let whole = with(Norm::Instance, 0);
        for (at, (&p, &whole)) in probability.iter().zip(&whole).enumerate() {
            let [i, j, k] = [at % 40, at / 40 % 36, at / (40 * 36)];
            // The margin of a network of depth 1 is 2.
            let from_centre = i.abs_diff(20).max(j.abs_diff(18));
            let empty = k == 0 || k == 4;
            assert!(!empty || (p.to_bits(), whole.to_bits()) == (0, 0), "slice {k} is empty");
            assert!(empty || from_centre >= 2 * k || (p > 0.0 && whole > 0.0), "{i}, {j}, {k}");
            assert!(p.to_bits() == 0 || from_centre < 2 * k + 2, "{i}, {j}, {k}: {p}");
            // All slices of a scan are normalised over the same box.
            assert!(empty || whole > 0.0 || from_centre > 15, "{i}, {j}, {k}");
        }
    }

    #[test]
    fn a_box_outside_the_mask_is_refused() {
        let piece = LabelBox { origin: [1, 0, 0], shape: [2, 1, 1], labels: vec![1, 2] };
        let mut mask = [0; 3];
        piece.copy_to(&mut mask, [3, 1, 1]).unwrap();
        assert_eq!(mask, [0, 1, 2]);
        assert!(piece.copy_to(&mut mask, [2, 1, 1]).is_err() && piece.copy_to(&mut mask[..2], [3, 1, 1]).is_err());
    }
}
