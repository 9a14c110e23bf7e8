//! The edited mask, stored in copy-on-write slabs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{Delta, VoxelBox};
use crate::Result;
use crate::volume::{Grid, LabelData, LabelVolume};

/// A mask on its grid. It consists of one slab of labels for each index along k of each frame.
///
/// Labels are read from the shown frame. A [`Delta`] changes the frame that it was made for.
///
/// A clone costs one pointer per slab, so it serves as a snapshot for saving, analysis and comparison. Only a [`Delta`] changes
/// labels. A slab that a clone shares is copied before the change.
#[derive(Clone, Debug)]
pub struct EditLabels {
    grid: Arc<Grid>,
    /// Slabs of the first frame, then of the next.
    slabs: Vec<Arc<LabelData>>,
    /// For each frame, the number of voxels of every label that occurs, except 0.
    voxels: Vec<BTreeMap<u16, usize>>,
    /// The shown frame, 0-based.
    frame: usize,
}

impl PartialEq for EditLabels {
    /// Equal grid and labels in every frame. Slab types and the shown frame do not matter.
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<LabelData>, &Arc<LabelData>)| Arc::ptr_eq(a, b) || same_labels(a, b);
        self.grid == other.grid && self.voxels == other.voxels && self.slabs.iter().zip(&other.slabs).all(same)
    }
}

fn same_labels(a: &LabelData, b: &LabelData) -> bool {
    match (a, b) {
        (LabelData::U8(a), LabelData::U8(b)) => a == b,
        (LabelData::U16(a), LabelData::U16(b)) => a == b,
        (LabelData::U8(narrow), LabelData::U16(wide)) | (LabelData::U16(wide), LabelData::U8(narrow)) => {
            narrow.iter().zip(wide).all(|(&n, &w)| u16::from(n) == w)
        }
    }
}

impl EditLabels {
    /// An empty mask.
    pub fn new(grid: Grid) -> Self {
        let [nx, ny, nz] = grid.shape;
        let slab = Arc::new(LabelData::U8(vec![0; nx * ny]));
        Self { grid: Arc::new(grid), slabs: vec![slab; nz], voxels: vec![BTreeMap::new()], frame: 0 }
    }

    /// A mask with one frame of these labels.
    pub fn from_volume(labels: &LabelVolume) -> Self {
        let mut mask = Self::new(labels.grid.clone());
        (mask.slabs, mask.voxels) = mask.stored(labels);
        mask
    }

    /// Slabs and voxel counts of a frame. Empty slabs are shared, since most slices are empty.
    fn stored(&self, labels: &LabelVolume) -> (Vec<Arc<LabelData>>, Vec<BTreeMap<u16, usize>>) {
        let plane = (labels.grid.shape[0] * labels.grid.shape[1]).max(1);
        let empty = self.slabs.iter().find(|slab| matches!(&***slab, LabelData::U8(v) if v.iter().all(|&l| l == 0)));
        let share = |data: LabelData| match empty {
            Some(empty) if same_labels(empty, &data) => Arc::clone(empty),
            _ => Arc::new(data),
        };
        let slabs = match &labels.data {
            LabelData::U8(v) => v.chunks(plane).map(|slab| share(LabelData::U8(slab.to_vec()))).collect(),
            LabelData::U16(v) => v.chunks(plane).map(|slab| share(LabelData::from(slab.to_vec()))).collect(),
        };
        (slabs, vec![labels.voxel_counts().into_iter().collect()])
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// If it is on another grid.
    pub fn push_frame(&mut self, labels: &LabelVolume) -> Result<()> {
        let what = || format!("frame {} of the mask and its first one", self.frames() + 1);
        labels.grid.require_same(&self.grid, what)?;
        let (slabs, voxels) = self.stored(labels);
        self.slabs.extend(slabs);
        self.voxels.extend(voxels);
        Ok(())
    }

    /// A mask with `frames` copies of the shown frame, which share slabs until they are edited.
    #[must_use]
    pub fn repeated(&self, frames: usize) -> Self {
        let slabs = &self.slabs[self.first_slab()..][..self.grid.shape[2]];
        let slabs = slabs.iter().cycle().take(frames * slabs.len()).cloned().collect();
        let voxels = vec![self.voxels[self.frame].clone(); frames];
        Self { grid: Arc::clone(&self.grid), slabs, voxels, frame: 0 }
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.voxels.len()
    }

    /// The shown frame, 0-based.
    pub fn frame(&self) -> usize {
        self.frame
    }

    /// Shows another frame, clamped to the last. A mask of one frame applies to all frames of its image.
    pub fn show(&mut self, frame: usize) {
        self.frame = frame.min(self.frames() - 1);
    }

    /// All frames as volumes, in their order.
    pub fn to_volumes(&self) -> impl Iterator<Item = LabelVolume> {
        (0..self.frames()).map(|frame| Self { frame, ..self.clone() }.to_volume())
    }

    fn first_slab(&self) -> usize {
        self.frame * self.grid.shape[2]
    }

    /// Position of the shown frame's first voxel among all frames.
    pub(super) fn first_voxel(&self) -> usize {
        self.frame * self.grid.len()
    }

    /// The shown frame as a volume, in the smallest type that fits its labels.
    pub fn to_volume(&self) -> LabelVolume {
        let narrow = self.voxel_counts().keys().all(|&label| label <= 255);
        let slabs = &self.slabs[self.first_slab()..][..self.grid.shape[2]];
        let data = if narrow {
            let mut all = Vec::with_capacity(self.grid.len());
            for slab in slabs {
                match &**slab {
                    LabelData::U8(v) => all.extend_from_slice(v),
                    LabelData::U16(v) => all.extend(v.iter().map(|&label| label as u8)),
                }
            }
            LabelData::U8(all)
        } else {
            let mut all = Vec::with_capacity(self.grid.len());
            for slab in slabs {
                match &**slab {
                    LabelData::U8(v) => all.extend(v.iter().map(|&label| u16::from(label))),
                    LabelData::U16(v) => all.extend_from_slice(v),
                }
            }
            LabelData::U16(all)
        };
        LabelVolume { grid: (*self.grid).clone(), data }
    }

    /// Shape and position in patient space.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Voxels along i, j, k.
    pub fn shape(&self) -> [usize; 3] {
        self.grid.shape
    }

    /// Voxels along i, j, k, and frames.
    pub fn dims(&self) -> [usize; 4] {
        let [nx, ny, nz] = self.grid.shape;
        [nx, ny, nz, self.frames()]
    }

    /// The labels of the slab at index `k`, first axis fastest.
    pub fn slab(&self, k: usize) -> &LabelData {
        &self.slabs[self.first_slab() + k]
    }

    /// Label at a position in memory (see [`Grid::index`]).
    pub fn get(&self, index: usize) -> u16 {
        let plane = self.grid.shape[0] * self.grid.shape[1];
        match self.slab(index / plane) {
            LabelData::U8(v) => u16::from(v[index % plane]),
            LabelData::U16(v) => v[index % plane],
        }
    }

    /// The labels that occur, without 0, each with its number of voxels.
    pub fn voxel_counts(&self) -> &BTreeMap<u16, usize> {
        &self.voxels[self.frame]
    }

    /// The volume of every label that occurs, in millilitres.
    pub fn volumes_ml(&self) -> BTreeMap<u16, f64> {
        let voxel_ml = self.grid.voxel_volume_ml();
        self.voxel_counts().iter().map(|(&label, &voxels)| (label, voxels as f64 * voxel_ml)).collect()
    }

    /// The labels of a box, first axis fastest, for a texture update.
    pub fn copy_box(&self, bounds: &VoxelBox) -> Vec<u16> {
        let mut copy = Vec::with_capacity(bounds.len());
        for (_, row) in bounds.rows(self.shape()) {
            self.each_run(row, |run, label| copy.resize(copy.len() + run.len(), label));
        }
        copy
    }

    /// Bounding box of the voxels whose label `wanted` selects.
    pub fn bounds_of(&self, wanted: impl Fn(u16) -> bool + Sync) -> Option<VoxelBox> {
        let [nx, ny, _] = self.shape();
        let of_slab = |k: usize| {
            let mut found: Option<VoxelBox> = None;
            for j in 0..ny {
                let start = nx * (j + ny * k);
                self.each_run(start..start + nx, |run, label| {
                    if wanted(label) {
                        let row = VoxelBox { min: [run.start - start, j, k], max: [run.end - 1 - start, j, k] };
                        found = Some(found.map_or(row, |all| all.union(&row)));
                    }
                });
            }
            found
        };
        (0..self.grid.shape[2]).into_par_iter().filter_map(of_slab).reduce_with(|a, b| a.union(&b))
    }

    /// Calls `f` for each maximal run of one label in a range of memory positions. Runs end with their slab.
    pub fn each_run(&self, range: Range<usize>, mut f: impl FnMut(Range<usize>, u16)) {
        let first = self.first_voxel();
        self.each_run_of_all(first + range.start..first + range.end, |run, label| {
            f(run.start - first..run.end - first, label);
        });
    }

    /// [`EditLabels::each_run`] with positions over all frames.
    pub(super) fn each_run_of_all(&self, range: Range<usize>, mut f: impl FnMut(Range<usize>, u16)) {
        let plane = self.grid.shape[0] * self.grid.shape[1];
        let mut start = range.start;
        while start < range.end {
            let (slab, first) = (start / plane, start / plane * plane);
            let end = range.end.min(first + plane);
            let emit = |from: usize, len: usize, label: u16| f(first + from..first + from + len, label);
            match &*self.slabs[slab] {
                LabelData::U8(v) => runs_of(&v[start - first..end - first], start - first, emit),
                LabelData::U16(v) => runs_of(&v[start - first..end - first], start - first, emit),
            }
            start = end;
        }
    }

    /// Whether both masks share this slab, so that it cannot differ. `slab` counts over all frames.
    pub(super) fn shares(&self, other: &Self, slab: usize) -> bool {
        Arc::ptr_eq(&self.slabs[slab], &other.slabs[slab])
    }

    /// The changes that turn an empty mask into this one, in all frames.
    pub fn as_delta(&self) -> Delta {
        Delta::between(&Self::new((*self.grid).clone()).repeated(self.frames()), self)
    }

    /// Hexadecimal SHA-256 of shape and labels of all frames, independent of the source file.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let frames = Some(self.frames()).filter(|&frames| frames > 1);
        for n in self.shape().into_iter().chain(frames) {
            hash.update((n as u64).to_le_bytes());
        }
        hash.update(self.as_delta().pack().bytes());
        hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// Changes the label of a run of voxels. The run, in positions over all frames, must lie in one slab and have the label
    /// `before` throughout.
    pub(super) fn replace(&mut self, range: Range<usize>, before: u16, after: u16) {
        let plane = self.grid.shape[0] * self.grid.shape[1];
        let (slab, first) = (range.start / plane, range.start / plane * plane);
        let within = range.start - first..range.end - first;
        let data = Arc::make_mut(&mut self.slabs[slab]);
        if let (LabelData::U8(narrow), true) = (&*data, after > 255) {
            *data = LabelData::U16(narrow.iter().map(|&label| u16::from(label)).collect());
        }
        match data {
            LabelData::U8(v) => v[within].fill(after as u8),
            LabelData::U16(v) => v[within].fill(after),
        }
        let counts = &mut self.voxels[slab / self.grid.shape[2]];
        if let Some(left) = counts.get_mut(&before) {
            *left -= range.len();
            if *left == 0 {
                counts.remove(&before);
            }
        }
        if after != 0 {
            *counts.entry(after).or_default() += range.len();
        }
    }
}

/// Calls `emit(first, length, label)` for each run of equal labels; `offset` is the position of the first one.
fn runs_of<T: Copy + PartialEq + Into<u16>>(labels: &[T], offset: usize, mut emit: impl FnMut(usize, usize, u16)) {
    let mut start = 0;
    while start < labels.len() {
        let label = labels[start];
        let len = labels[start..].iter().position(|&other| other != label).unwrap_or(labels.len() - start);
        emit(offset + start, len, label.into());
        start += len;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use glam::DAffine3;

    fn mask(labels: Vec<u16>) -> EditLabels {
        let grid = Grid::new([3, 2, 2], DAffine3::IDENTITY);
        EditLabels::from_volume(&LabelVolume::new(grid, labels).unwrap())
    }

    #[test]
    fn to_volume_uses_the_smallest_type_that_fits() {
        let labels = vec![0, 1, 1, 0, 0, 2, 7, 0, 0, 0, 0, 300];
        let edited = mask(labels.clone());
        assert_eq!(edited.to_volume().data, LabelData::U16(labels));
        assert!(matches!(edited.slab(0), LabelData::U8(_)) && matches!(edited.slab(1), LabelData::U16(_)));
        assert_eq!(
            edited.voxel_counts().iter().map(|(&l, &n)| (l, n)).collect::<Vec<_>>(),
            [(1, 2), (2, 1), (7, 1), (300, 1)]
        );
        assert_eq!(edited.get(5), 2);
        assert_eq!(edited.bounds_of(|label| label == 1).unwrap(), VoxelBox { min: [1, 0, 0], max: [2, 0, 0] });
        assert_eq!(edited.bounds_of(|label| label == 9), None);
        assert_eq!(edited.copy_box(&VoxelBox { min: [1, 0, 0], max: [2, 1, 1] }), [1, 1, 0, 2, 0, 0, 0, 300]);
    }

    #[test]
    fn a_change_of_one_frame_leaves_the_others() {
        let first = mask(vec![0, 1, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
        let mut edited = first.clone();
        let second = LabelVolume::new(first.grid().clone(), vec![0_u16, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 400]).unwrap();
        edited.push_frame(&second).unwrap();
        assert_eq!((edited.dims(), edited.frame()), ([3, 2, 2, 2], 0));
        assert_eq!(edited.voxel_counts(), first.voxel_counts());
        edited.show(1);
        assert_eq!(edited.to_volume(), second);
        assert_eq!((edited.get(1), edited.get(11)), (7, 400));
        assert_eq!(edited.bounds_of(|label| label == 400).unwrap(), VoxelBox { min: [2, 1, 1], max: [2, 1, 1] });
        // The change belongs to the second frame, whichever frame is shown when it is applied.
        let start = edited.clone();
        let mut changed = second.clone();
        changed.data = LabelData::from(vec![0_u16, 7, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut after = first.clone();
        after.push_frame(&changed).unwrap();
        let delta = Delta::between(&edited, &after);
        assert_eq!((delta.frame(), delta.bounds()), (Some(1), Some(VoxelBox { min: [2, 0, 0], max: [2, 1, 1] })));
        edited.show(0);
        assert!(delta.apply(&mut edited));
        assert_eq!((edited.to_volume(), edited.voxel_counts()), (first.to_volume(), first.voxel_counts()));
        assert_eq!(edited.to_volumes().collect::<Vec<_>>(), [first.to_volume(), changed]);
        assert!(edited != start && edited.sha256() != start.sha256());
        assert!(delta.pack().unpack().inverted().apply(&mut edited));
        assert_eq!((&edited, edited.sha256()), (&start, start.sha256()));
        assert!(!delta.apply(&mut first.clone()), "a mask of one frame does not fit the change");
        let mut other = Grid::new([3, 2, 2], DAffine3::IDENTITY);
        other.world_from_voxel.translation.x = 4.0;
        let shifted = LabelVolume { grid: other, ..second };
        assert!(edited.push_frame(&shifted).unwrap_err().to_string().contains("frame 3 of the mask and its first one"));
    }

    #[test]
    fn a_mask_of_one_frame_can_be_repeated_for_every_frame() {
        let one = mask(vec![1; 12]);
        let each = one.repeated(3);
        assert_eq!((each.frames(), each.to_volumes().all(|frame| frame == one.to_volume())), (3, true));
        assert!(Arc::ptr_eq(&each.slabs[4], &one.slabs[0]), "unedited frames share their slabs");
        assert_ne!(one.sha256(), each.sha256());
        let mut far = each.clone();
        far.show(9);
        assert_eq!((far.frame(), far == each), (2, true), "the shown frame does not affect equality");
    }

    #[test]
    fn a_snapshot_keeps_its_labels_and_shares_unchanged_slabs() {
        let mut edited = mask(vec![1; 12]);
        let snapshot = edited.clone();
        edited.replace(0..3, 1, 500);
        assert_eq!(snapshot.to_volume().data, LabelData::U8(vec![1; 12]));
        assert_eq!(edited.get(2), 500);
        assert!(
            !Arc::ptr_eq(&edited.slabs[0], &snapshot.slabs[0]) && Arc::ptr_eq(&edited.slabs[1], &snapshot.slabs[1])
        );
        edited.replace(0..3, 500, 1);
        // One slab has a wider type than that of the snapshot, with the same labels.
        assert_eq!(edited, snapshot);
        assert_eq!(edited.to_volume().data, LabelData::U8(vec![1; 12]));
        assert_eq!(edited.sha256(), snapshot.sha256());
    }
}
