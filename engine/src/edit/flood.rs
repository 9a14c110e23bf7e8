//! Flood fill: voxels connected to a start through voxels that satisfy a condition.

use super::region::{BoxMask, Region, VoxelBox};
use crate::Result;
use crate::event::Control;
use crate::findings::Connectivity;

/// The voxels connected to `start`, including `start`, within `bounds` of a grid of this `shape`. `wanted` gets memory
/// positions.
pub(super) fn flood(
    start: [usize; 3],
    bounds: &VoxelBox,
    shape: [usize; 3],
    connectivity: Connectivity,
    wanted: impl Fn(usize) -> bool,
    control: &Control,
) -> Result<Region> {
    let box_shape = bounds.shape();
    let local = |voxel: [usize; 3]| {
        let [i, j, k] = std::array::from_fn(|a| voxel[a] - bounds.min[a]);
        i + box_shape[0] * (j + box_shape[1] * k)
    };
    let mut seen = vec![false; bounds.len()];
    let mut reached = vec![false; bounds.len()];
    let (first, mut stack) = (local(start), vec![local(start)]);
    (seen[first], reached[first]) = (true, true);
    let neighbours = neighbours(connectivity);
    let mut visited = 0_usize;
    while let Some(index) = stack.pop() {
        visited += 1;
        if visited.is_multiple_of(1 << 16) {
            control.check()?;
        }
        let voxel = bounds.voxel(index);
        for step in &neighbours {
            let next: [usize; 3] = std::array::from_fn(|a| voxel[a].wrapping_add_signed(step[a]));
            if !bounds.contains(next) || seen[local(next)] {
                continue;
            }
            let to = local(next);
            seen[to] = true;
            if wanted(next[0] + shape[0] * (next[1] + shape[1] * next[2])) {
                reached[to] = true;
                stack.push(to);
            }
        }
    }
    Ok(BoxMask::region(bounds, &reached, shape))
}

fn neighbours(connectivity: Connectivity) -> Vec<[isize; 3]> {
    let all = (0..27_isize).map(|n| [n % 3 - 1, n / 3 % 3 - 1, n / 9 - 1]);
    let steps = |step: &[isize; 3]| step.iter().map(|d| d.abs()).sum::<isize>();
    match connectivity {
        Connectivity::Face => all.filter(|step| steps(step) == 1).collect(),
        Connectivity::Full => all.filter(|step| steps(step) > 0).collect(),
    }
}
