//! The changes of an operation: runs of voxels along i, with their labels before and after.

use super::region::Region;
use super::{EditLabels, VoxelBox};

/// Consecutive voxels along i that change from one label to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaRun {
    /// Memory position of the first voxel, counted over all frames.
    pub start: usize,
    /// Number of voxels.
    pub len: usize,
    /// Label before the change.
    pub before: u16,
    /// Label after the change.
    pub after: u16,
}

impl DeltaRun {
    fn end(&self) -> usize {
        self.start + self.len
    }
}

/// The changes of one edit. They can be inverted.
///
/// Runs ascend, do not overlap and do not cross the end of a row. Adjacent runs of a row with the same labels are merged. Equal
/// changes therefore have equal runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    dims: [usize; 4],
    runs: Vec<DeltaRun>,
    voxels: usize,
    bounds: Option<VoxelBox>,
}

/// Voxels that a change may overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WritableVoxels {
    /// All of them.
    All,
    /// Those of this label.
    Only(u16),
}

/// Voxels that get a label.
pub(super) struct Change {
    region: Region,
    pub label: u16,
    over: WritableVoxels,
}

impl Change {
    /// Gives a region a label; without `overwrite`, only where it has none.
    pub fn add(region: Region, label: u16, overwrite: bool) -> Self {
        Self { region, label, over: if overwrite { WritableVoxels::All } else { WritableVoxels::Only(0) } }
    }

    /// Gives a region a label, whatever it has.
    pub fn replace(region: Region, label: u16) -> Self {
        Self::add(region, label, true)
    }

    /// Removes the labels of a region, or the label `only`.
    pub fn remove(region: Region, only: Option<u16>) -> Self {
        Self { region, label: 0, over: only.map_or(WritableVoxels::All, WritableVoxels::Only) }
    }
}

impl Delta {
    /// An empty change of a mask with this many voxels along i, j, k, and frames ([`EditLabels::dims`]).
    pub fn empty(dims: [usize; 4]) -> Self {
        Self { dims, runs: Vec::new(), voxels: 0, bounds: None }
    }

    /// The changes in disjoint regions of the shown frame. Voxels with a locked label do not change.
    pub(super) fn of(labels: &EditLabels, changes: &[Change], locked: &[u16]) -> Self {
        let (mut runs, first) = (Vec::new(), labels.first_voxel());
        for Change { region, label, over } in changes {
            let free = |old: u16| old != *label && !locked.contains(&old);
            let wanted = |old: u16| match *over {
                WritableVoxels::All => true,
                WritableVoxels::Only(only) => old == only,
            };
            for range in region.ranges() {
                labels.each_run(range.clone(), |run, before| {
                    if free(before) && wanted(before) {
                        runs.push(DeltaRun { start: first + run.start, len: run.len(), before, after: *label });
                    }
                });
            }
        }
        runs.sort_unstable_by_key(|run| run.start);
        Self::from_runs(labels.dims(), runs)
    }

    /// The changes that turn `before` into `after`. Both must have the same shape and number of frames.
    pub fn between(before: &EditLabels, after: &EditLabels) -> Self {
        let mut delta = Self::empty(before.dims());
        let [nx, ny, nz, frames] = before.dims();
        for slab in 0..nz * frames {
            if before.shares(after, slab) {
                continue;
            }
            after.each_run_of_all(slab * nx * ny..(slab + 1) * nx * ny, |run, after| {
                before.each_run_of_all(run, |run, before| {
                    if before != after {
                        delta.push(DeltaRun { start: run.start, len: run.len(), before, after });
                    }
                });
            });
        }
        delta
    }

    /// Builds a delta from ascending runs that do not overlap.
    fn from_runs(dims: [usize; 4], runs: Vec<DeltaRun>) -> Self {
        let mut delta = Self::empty(dims);
        for run in runs {
            delta.push(run);
        }
        delta
    }

    /// Appends a run. It is split at row ends and merged with the last run if it continues it.
    fn push(&mut self, run: DeltaRun) {
        let [nx, ny, nz, _] = self.dims;
        let mut rest = run;
        while rest.len > 0 {
            let i = rest.start % nx;
            let piece = DeltaRun { len: rest.len.min(nx - i), ..rest };
            rest = DeltaRun { start: piece.end(), len: rest.len - piece.len, ..rest };
            let (j, k) = (piece.start / nx % ny, piece.start / (nx * ny) % nz);
            let row = VoxelBox { min: [i, j, k], max: [i + piece.len - 1, j, k] };
            self.bounds = Some(self.bounds.map_or(row, |all| all.union(&row)));
            self.voxels += piece.len;
            match self.runs.last_mut() {
                Some(last)
                    if i > 0
                        && last.end() == piece.start
                        && (last.before, last.after) == (piece.before, piece.after) =>
                {
                    last.len += piece.len;
                }
                _ => self.runs.push(piece),
            }
        }
    }

    /// Voxels along i, j, k, and frames of the changed mask.
    pub fn dims(&self) -> [usize; 4] {
        self.dims
    }

    /// The first changed frame, 0-based. An operation changes only one frame. `None` if nothing changes.
    pub fn frame(&self) -> Option<usize> {
        let [nx, ny, nz, _] = self.dims;
        self.runs.first().map(|run| run.start / (nx * ny * nz))
    }

    /// The runs, in memory order.
    pub fn runs(&self) -> &[DeltaRun] {
        &self.runs
    }

    /// Number of voxels that change.
    pub fn voxels(&self) -> usize {
        self.voxels
    }

    /// The bounding box of the changed voxels over all frames, which must be redrawn. `None` if nothing changes.
    pub fn bounds(&self) -> Option<VoxelBox> {
        self.bounds
    }

    /// True if no voxel changes.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The inverse changes.
    #[must_use]
    pub fn inverted(&self) -> Self {
        let back = |run: &DeltaRun| DeltaRun { before: run.after, after: run.before, ..*run };
        Self { runs: self.runs.iter().map(back).collect(), ..self.clone() }
    }

    /// True if every run has the label it expects, so that [`Delta::apply`] will succeed.
    pub fn fits(&self, labels: &EditLabels) -> bool {
        if self.dims != labels.dims() {
            return false;
        }
        let mut fits = true;
        for run in &self.runs {
            labels.each_run_of_all(run.start..run.end(), |_, label| fits &= label == run.before);
            if !fits {
                break;
            }
        }
        fits
    }

    /// Changes the labels. Returns false, without a change, if the delta belongs to another state of the mask.
    #[must_use = "false means that nothing was changed"]
    pub fn apply(&self, labels: &mut EditLabels) -> bool {
        if !self.fits(labels) {
            return false;
        }
        for run in &self.runs {
            labels.replace(run.start..run.end(), run.before, run.after);
        }
        true
    }

    /// This change followed by `next`, such as the parts of a stroke. Both must belong to the same mask.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        let mut both = Self::empty(self.dims);
        let (mut first, mut second) = (self.runs.iter().copied(), next.runs.iter().copied());
        let (mut a, mut b) = (first.next(), second.next());
        loop {
            let (x, y) = match (a, b) {
                (None, None) => return both,
                (Some(x), Some(y)) => (x, y),
                (Some(x), None) => {
                    both.push(x);
                    a = first.next();
                    continue;
                }
                (None, Some(y)) => {
                    both.push(y);
                    b = second.next();
                    continue;
                }
            };
            // The part before the other run begins.
            let alone_a = y.start.saturating_sub(x.start).min(x.len);
            let alone_b = x.start.saturating_sub(y.start).min(y.len);
            if alone_a > 0 {
                both.push(DeltaRun { len: alone_a, ..x });
                a = rest(x, alone_a).or_else(|| first.next());
            } else if alone_b > 0 {
                both.push(DeltaRun { len: alone_b, ..y });
                b = rest(y, alone_b).or_else(|| second.next());
            } else {
                let len = x.len.min(y.len);
                if x.before != y.after {
                    both.push(DeltaRun { start: x.start, len, before: x.before, after: y.after });
                }
                a = rest(x, len).or_else(|| first.next());
                b = rest(y, len).or_else(|| second.next());
            }
        }
    }

    /// The changes packed to two or three bytes per run.
    pub fn pack(&self) -> PackedDelta {
        let mut bytes = Vec::with_capacity(4 * self.runs.len() + 8);
        put(&mut bytes, self.runs.len());
        let (mut end, mut labels) = (0, (0, 0));
        for run in &self.runs {
            let same = labels == (run.before, run.after);
            put(&mut bytes, run.start - end);
            put(&mut bytes, run.len << 1 | usize::from(same));
            if !same {
                put(&mut bytes, usize::from(run.before));
                put(&mut bytes, usize::from(run.after));
            }
            end = run.end();
            labels = (run.before, run.after);
        }
        PackedDelta { bytes, dims: self.dims, voxels: self.voxels, bounds: self.bounds }
    }
}

/// The rest of a run after its first `len` voxels; `None` if nothing is left.
fn rest(run: DeltaRun, len: usize) -> Option<DeltaRun> {
    (run.len > len).then(|| DeltaRun { start: run.start + len, len: run.len - len, ..run })
}

/// A [`Delta`] packed to two or three bytes per run, for history and journal.
///
/// All numbers are in LEB128. The first is the number of runs. For each run there follow the gap since the end of the
/// previous run and twice its length, plus 1 if its labels equal those of the previous run. Otherwise its labels before and
/// after follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedDelta {
    bytes: Vec<u8>,
    dims: [usize; 4],
    voxels: usize,
    bounds: Option<VoxelBox>,
}

impl PackedDelta {
    /// The packed bytes, as a journal stores them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Voxels along i, j, k, and frames of the changed mask.
    pub fn dims(&self) -> [usize; 4] {
        self.dims
    }

    /// Number of voxels that change.
    pub fn voxels(&self) -> usize {
        self.voxels
    }

    /// The bounding box of the changed voxels over all frames.
    pub fn bounds(&self) -> Option<VoxelBox> {
        self.bounds
    }

    /// Unpacks the changes of a mask with these dimensions, and checks them.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn read(bytes: &[u8], dims: [usize; 4]) -> Result<Delta, &'static str> {
        let mut left = bytes;
        let mut get = || take(&mut left).ok_or("a number is truncated");
        let size: usize = dims.iter().product();
        let runs = get()?;
        let mut delta = Delta::empty(dims);
        let (mut end, mut labels) = (0_usize, (0, 0));
        for _ in 0..runs {
            let start = end.checked_add(get()?).ok_or("a run extends beyond the mask")?;
            let len = get()?;
            if len & 1 == 0 {
                let label = |value: usize| u16::try_from(value).map_err(|_| "a label is larger than 65535");
                labels = (label(get()?)?, label(get()?)?);
            }
            let len = len >> 1;
            end = start.checked_add(len).filter(|&end| end <= size).ok_or("a run extends beyond the mask")?;
            if len == 0 || labels.0 == labels.1 {
                return Err("a run does not change any label");
            }
            delta.push(DeltaRun { start, len, before: labels.0, after: labels.1 });
        }
        if left.is_empty() { Ok(delta) } else { Err("bytes follow the changes") }
    }

    /// The unpacked changes.
    ///
    /// # Panics
    /// Never: the bytes were packed from a [`Delta`], or checked when they were read.
    pub fn unpack(&self) -> Delta {
        Self::read(&self.bytes, self.dims).unwrap_or_else(|why| unreachable!("{why}"))
    }
}

/// Appends a number as LEB128.
pub(super) fn put(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Reads a number from the front. `None` if it is truncated or too large.
pub(super) fn take(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = usize::from(byte & 0x7f);
        value |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
#[path = "delta_tests.rs"]
mod tests;
