//! Sorts the planes of a series into stacks of slices, one for each volume, and computes their grids.
//!
//! Order and spacing depend only on ImagePositionPatient. TemporalPosition, then InstanceNumber order repeats at a position.

use std::collections::BTreeSet;

use glam::{DAffine3, DMat3, DVec3};

use super::instance::{Instance, Plane};
use super::split;
use crate::volume::Grid;
use crate::words::plural;

/// Planes closer than this along the normal, in mm, are at the same position. Spacings that differ by less are even: 0.01 mm,
/// and what positions with two decimals lose as binary numbers.
const EVEN_MM: f64 = 0.01 + 1e-6;
/// The same as a fraction of the pixel spacing, for pixels of less than 0.04 mm.
const EVEN_SHARE: f64 = 0.25;
/// Maximum difference of direction cosines within a stack.
const COSINE_TOLERANCE: f64 = 1e-3;
/// In-plane shift between slices above which a warning is given, in mm.
const SHIFT_MM: f64 = 0.1;

/// A plane of a series: the numbers of its instance and of its plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slice {
    pub instance: usize,
    pub plane: usize,
}

/// Slices of one volume, or a single image.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    /// The slices of each frame along k; `None` where one is missing.
    pub frames: Vec<Vec<Option<Slice>>>,
    /// Centre of the first pixel of each slice in DICOM coordinates (LPS), mm. Empty for images without position.
    pub positions: Vec<DVec3>,
    pub grid: Grid,
    /// True if slices have the same distance. Single images are even.
    pub even: bool,
    /// Angle between the direction of stacking and the normal of the slices, in degrees.
    pub tilt_degrees: f64,
    /// True for two or more slices at known positions.
    pub stackable: bool,
    pub warnings: Vec<String>,
}

impl Stack {
    /// The first plane, which stands for all in size, scaling and kind.
    pub fn first(&self) -> Option<Slice> {
        self.frames.iter().flatten().find_map(|slice| *slice)
    }
}

/// Compares pixels of two instances where stacking depends on it: true if they are the same.
pub(super) type SamePixels<'a> = &'a dyn Fn(Slice, Slice) -> bool;

/// The stacks of a series, in the order of their first instances.
pub(super) fn stacks(instances: &[Instance], same_pixels: SamePixels) -> Vec<Stack> {
    let mut groups: Vec<Vec<Slice>> = Vec::new();
    let mut flat: Vec<Vec<Slice>> = Vec::new();
    for (i, instance) in instances.iter().enumerate() {
        for (p, plane) in instance.planes.iter().enumerate() {
            let slice = Slice { instance: i, plane: p };
            if !instance.grey || plane.position.is_none() || plane.axes.is_none() || plane.spacing.is_none() {
                match flat.last_mut().filter(|planes| planes[0].instance == i) {
                    Some(planes) => planes.push(slice),
                    None => flat.push(vec![slice]),
                }
                continue;
            }
            let fits = |group: &&mut Vec<Slice>| belong(plane_of(instances, group[0]), plane);
            match groups.iter_mut().find(fits) {
                Some(group) => group.push(slice),
                None => groups.push(vec![slice]),
            }
        }
    }
    let mut stacks: Vec<Stack> = groups.iter().flat_map(|group| of_group(instances, group, same_pixels)).collect();
    stacks.extend(flat.iter().map(|planes| flat_image(instances, planes)));
    stacks.sort_by_key(|stack| stack.first().map(|slice| (instances[slice.instance].number, slice)));
    stacks
}

pub(super) fn plane_of(instances: &[Instance], slice: Slice) -> &Plane {
    &instances[slice.instance].planes[slice.plane]
}

/// True if two planes can be slices of the same volume.
fn belong(a: &Plane, b: &Plane) -> bool {
    let axes_agree = match (a.axes, b.axes) {
        (Some(a), Some(b)) => (0..2).all(|index| (a[index] - b[index]).abs().max_element() <= COSINE_TOLERANCE),
        _ => false,
    };
    let spacing_agrees = match (a.spacing, b.spacing) {
        (Some(a), Some(b)) => (0..2).all(|index| (a[index] - b[index]).abs() <= 1e-3 * a[index]),
        _ => false,
    };
    a.size == b.size && a.kind == b.kind && axes_agree && spacing_agrees
}

/// The stack of the planes of a file that have no usable position, or colours, and can only be viewed. They become frames.
fn flat_image(instances: &[Instance], planes: &[Slice]) -> Stack {
    let (instance, plane) = (&instances[planes[0].instance], plane_of(instances, planes[0]));
    let [x, y] = plane.spacing.unwrap_or([1.0, 1.0]);
    // As for a NIfTI file without orientation: x grows towards the left, y towards the front.
    let world_from_voxel = DAffine3::from_scale(DVec3::new(-x, -y, plane.step.unwrap_or(1.0)));
    let why = match (instance.grey, plane.position.and(plane.axes)) {
        (false, _) => "colours",
        (true, None) => "no position in space",
        (true, Some(_)) => "no pixel spacing",
    };
    let mut warnings = vec![format!("an image with {why}, to be viewed in 2-D only")];
    if plane.spacing.is_none() {
        warnings.push(
            "its PixelSpacing (0028,0030) is missing. Each pixel counts as 1 mm, so distances are not valid".to_owned(),
        );
    }
    Stack {
        frames: planes.iter().map(|slice| vec![Some(*slice)]).collect(),
        positions: Vec::new(),
        grid: Grid { oriented: false, ..Grid::new([plane.size[0], plane.size[1], 1], world_from_voxel) },
        even: true,
        tilt_degrees: 0.0,
        stackable: false,
        warnings,
    }
}

/// The planes of a group at one position along the normal.
pub(super) struct Level {
    /// Position along the normal in mm.
    pub along: f64,
    pub slices: Vec<Slice>,
}

/// The stacks of planes of the same size, direction and kind.
fn of_group(instances: &[Instance], group: &[Slice], same_pixels: SamePixels) -> Vec<Stack> {
    let mut warnings = Vec::new();
    let mut levels = levels(instances, group);
    let repeats = |levels: &[Level]| {
        let counts = levels.iter().map(|level| level.slices.len());
        [counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0)]
    };
    let [mut fewest, mut most] = repeats(&levels);
    if let Some(parts) = split::parts(instances, group, &levels) {
        return parts.iter().flat_map(|part| of_group(instances, part, same_pixels)).collect();
    }
    if fewest != most {
        let dropped = drop_duplicates(&mut levels, fewest, same_pixels);
        if dropped > 0 {
            let images = plural(dropped, "image duplicates", "images duplicate");
            warnings.push(format!(
                "{images} the pixels of another at the same position and {} left out",
                if dropped == 1 { "is" } else { "are" }
            ));
        }
        [fewest, most] = repeats(&levels);
    }
    if fewest != most
        && let Some(kept) = split::of_complete_acquisitions(instances, group, &levels)
    {
        let all: usize = levels.iter().map(|level| level.slices.len()).sum();
        levels.iter_mut().for_each(|level| level.slices.retain(|slice| kept.contains(slice)));
        let left_out = all - levels.iter().map(|level| level.slices.len()).sum::<usize>();
        warnings.push(format!(
            "positions have {fewest} to {most} images each. {} left out, from incomplete acquisitions (0020,0012)",
            plural(left_out, "image is", "images are")
        ));
        [fewest, most] = repeats(&levels);
    }
    if fewest != most {
        let left_out: usize = levels.iter().map(|level| level.slices.len() - fewest).sum();
        warnings.push(format!(
            "positions have {fewest} to {most} images each. The first {} at each position {} used, {} left out",
            plural(fewest, "image", "images"),
            if fewest == 1 { "is" } else { "are" },
            plural(left_out, "image is", "images are"),
        ));
        levels.iter_mut().for_each(|level| level.slices.truncate(fewest));
    }
    warnings.extend(disagreements(instances, &levels));
    vec![stack_of(instances, &levels, fewest, warnings)]
}

/// What the slices of a volume should share but do not, one sentence each.
fn disagreements(instances: &[Instance], levels: &[Level]) -> Vec<String> {
    let slices = || levels.iter().flat_map(|level| &level.slices);
    let frames = slices().map(|slice| &*instances[slice.instance].frame_of_reference);
    let frames: BTreeSet<&str> = frames.filter(|uid| !uid.is_empty()).collect();
    let all = slices().count();
    let scaled = slices().filter(|slice| plane_of(instances, **slice).rescaled).count();
    let types: BTreeSet<Option<&str>> =
        slices().map(|slice| instances[slice.instance].rescale_type.as_deref()).collect();
    let inverted = slices().filter(|slice| instances[slice.instance].photometric == "MONOCHROME1").count();
    let mut warnings = Vec::new();
    if types.len() > 1 {
        warnings.push("the slices have different RescaleTypes (0028,1054), so the unit is unknown".to_owned());
    }
    if inverted > 0 && inverted < all {
        let inverted = plural(inverted, "slice", "slices");
        warnings
            .push(format!("small values are bright in {inverted} of {all} (0028,0004), but all are displayed alike"));
    }
    if frames.len() > 1 {
        let several = plural(frames.len(), "frame of reference", "frames of reference");
        warnings.push(format!("the slices have {several} (0020,0052), so they may not belong together"));
    }
    if scaled > 0 && scaled < all {
        warnings.push(format!(
            "{} no RescaleSlope (0028,1053), so {} values are as stored",
            plural(all - scaled, "slice has", "slices have"),
            if all - scaled == 1 { "its" } else { "their" }
        ));
    }
    warnings
}

/// Planes by position along the normal, ascending; planes at one position in the order of acquisition.
pub(super) fn levels(instances: &[Instance], group: &[Slice]) -> Vec<Level> {
    let normal = normal_of(plane_of(instances, group[0]));
    let tolerance = tolerance_mm(plane_of(instances, group[0]));
    let along = |slice: &Slice| plane_of(instances, *slice).position.map_or(0.0, |position| position.dot(normal));
    let mut sorted: Vec<(f64, Slice)> = group.iter().map(|slice| (along(slice), *slice)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut levels: Vec<Level> = Vec::new();
    for (along, slice) in sorted {
        match levels.last_mut() {
            Some(level) if along - level.along <= tolerance => level.slices.push(slice),
            _ => levels.push(Level { along, slices: vec![slice] }),
        }
    }
    for level in &mut levels {
        level.slices.sort_by_key(|slice| (plane_of(instances, *slice).order, *slice));
    }
    levels
}

/// How far positions along the normal may differ and count as the same, in mm.
pub(super) fn tolerance_mm(plane: &Plane) -> f64 {
    plane.spacing.map_or(EVEN_MM, |[x, y]| EVEN_MM.min(EVEN_SHARE * x.min(y)))
}

fn normal_of(plane: &Plane) -> DVec3 {
    plane.axes.map_or(DVec3::Z, |[row, column]| row.cross(column).normalize_or(DVec3::Z))
}

/// Where a position has more than `fewest` images, drops those with the pixels of another image there. Returns their number.
fn drop_duplicates(levels: &mut [Level], fewest: usize, same_pixels: SamePixels) -> usize {
    let mut dropped = 0;
    for level in levels {
        let mut index = 1;
        while index < level.slices.len() && level.slices.len() > fewest {
            if level.slices[..index].iter().any(|other| same_pixels(*other, level.slices[index])) {
                level.slices.remove(index);
                dropped += 1;
            } else {
                index += 1;
            }
        }
    }
    dropped
}

/// How many steps of the common distance lie between neighbours, if single slices are missing from an even stack.
fn steps_with_gaps(steps: &[f64], tolerance: f64) -> Option<Vec<usize>> {
    let mut sorted = steps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let base = sorted[sorted.len() / 2];
    let counts: Vec<usize> = steps.iter().map(|step| (step / base).round() as usize).collect();
    let fits =
        steps.iter().zip(&counts).all(|(step, n)| *n >= 1 && (step - base * *n as f64).abs() <= tolerance * *n as f64);
    let single = counts.iter().filter(|n| **n == 1).count();
    // A stack that consists mostly of gaps is refused. Computed in floats, because a spacing may be huge.
    let slices: f64 = counts.iter().map(|n| *n as f64).sum();
    (fits && single < counts.len() && 2 * single > counts.len() && slices <= 4.0 * counts.len() as f64)
        .then_some(counts)
}

/// The distances between neighbouring levels.
struct Distances {
    /// The smallest and the largest, in mm; `None` for a single level.
    range: Option<[f64; 2]>,
    /// True if they are the same, also for a single level.
    even: bool,
    /// Steps of the common distance between neighbours, if single slices are missing from an even stack.
    gaps: Option<Vec<usize>>,
}

impl Distances {
    /// `tolerance` is that of [`tolerance_mm`].
    fn between(levels: &[Level], tolerance: f64) -> Self {
        let steps: Vec<f64> = levels.windows(2).map(|pair| pair[1].along - pair[0].along).collect();
        let range = steps.iter().fold(None, |range: Option<[f64; 2]>, step| {
            Some(range.map_or([*step, *step], |[min, max]| [min.min(*step), max.max(*step)]))
        });
        let even = range.is_none_or(|[min, max]| max - min <= tolerance);
        let gaps = if even { None } else { steps_with_gaps(&steps, tolerance) };
        Self { range, even, gaps }
    }

    /// True if the slices have the same distance once missing ones are filled in.
    fn are_even(&self) -> bool {
        self.even || self.gaps.is_some()
    }

    fn warning(&self) -> Option<String> {
        let [min, max] = self.range.filter(|_| !self.are_even())?;
        Some(format!(
            "slices are {min:.3} to {max:.3} mm apart. They are kept with their true positions, and the grid has their mean \
             distance. Resample before training"
        ))
    }
}

/// The slices of a stack along k.
struct Slots<'a> {
    /// `None` where a slice is missing.
    levels: Vec<Option<&'a Level>>,
    /// Centre of the first pixel of each.
    positions: Vec<DVec3>,
}

impl<'a> Slots<'a> {
    /// The levels, with `gaps[k]` steps between k and its successor; without `gaps`, one.
    fn of(instances: &[Instance], levels: &'a [Level], gaps: Option<&[usize]>) -> Self {
        let position = |level: &Level| plane_of(instances, level.slices[0]).position.unwrap_or_default();
        let mut slots = Self { levels: vec![Some(&levels[0])], positions: vec![position(&levels[0])] };
        for (index, pair) in levels.windows(2).enumerate() {
            let n = gaps.map_or(1, |gaps| gaps[index]);
            let (before, here) = (position(&pair[0]), position(&pair[1]));
            for missing in 1..n {
                slots.levels.push(None);
                slots.positions.push(before.lerp(here, missing as f64 / n as f64));
            }
            slots.levels.push(Some(&pair[1]));
            slots.positions.push(here);
        }
        slots
    }

    fn warning(&self) -> Option<String> {
        let missing: Vec<String> =
            (0..self.levels.len()).filter(|k| self.levels[*k].is_none()).map(|k| k.to_string()).collect();
        let slices = if missing.len() == 1 { "slice is" } else { "slices are" };
        let first = missing.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
        let more = if missing.len() > 20 { " and more" } else { "" };
        let warning = || format!("{} {slices} missing and left empty: k = {first}{more}", missing.len());
        (!missing.is_empty()).then(warning)
    }
}

/// The stack of levels that hold `frames` images each.
fn stack_of(instances: &[Instance], levels: &[Level], frames: usize, mut warnings: Vec<String>) -> Stack {
    let reference = plane_of(instances, levels[0].slices[0]);
    let normal = normal_of(reference);
    let distances = Distances::between(levels, tolerance_mm(reference));
    let slots = Slots::of(instances, levels, distances.gaps.as_deref());
    warnings.extend(slots.warning());
    warnings.extend(distances.warning());
    let Slots { levels, positions } = slots;
    let n = levels.len();
    let whole = positions[n - 1] - positions[0];
    let step = if n > 1 { whole / (n - 1) as f64 } else { normal * reference.step.unwrap_or(1.0) };
    // In a single image nothing is stacked sideways.
    let is_tilted = (whole - normal * whole.dot(normal)).length() > SHIFT_MM;
    let tilt_degrees = if is_tilted { step.angle_between(normal).to_degrees() } else { 0.0 };
    if is_tilted {
        warnings.push(format!(
            "the slices are tilted by {tilt_degrees:.1} degrees relative to the direction in which they are stacked. The grid is \
             sheared. Nothing is resampled"
        ));
    }
    let shift = largest_shift(&positions, normal);
    if shift > SHIFT_MM {
        warnings.push(format!("slices are shifted within their planes by up to {shift:.2} mm"));
    }
    if n == 1 {
        warnings.push("a single image, to be viewed in 2-D only".to_owned());
    }
    let [row, column] = reference.axes.unwrap_or([DVec3::X, DVec3::Y]);
    let spacing = reference.spacing.unwrap_or([1.0, 1.0]);
    Stack {
        frames: (0..frames).map(|t| levels.iter().map(|level| level.map(|level| level.slices[t])).collect()).collect(),
        grid: grid(
            [reference.size[0], reference.size[1], n],
            [row * spacing[0], column * spacing[1], step],
            positions[0],
        ),
        positions,
        even: distances.are_even(),
        tilt_degrees,
        stackable: n > 1,
        warnings,
    }
}

/// How far slices stray from the line through the first and the last, in mm.
fn largest_shift(positions: &[DVec3], normal: DVec3) -> f64 {
    let whole = positions[positions.len() - 1] - positions[0];
    let shift = |position: &DVec3| {
        let from_first = *position - positions[0];
        let share = if whole.dot(normal).abs() > 0.0 { from_first.dot(normal) / whole.dot(normal) } else { 0.0 };
        (from_first - whole * share).length()
    };
    positions.iter().map(shift).fold(0.0, f64::max)
}

/// The grid with these steps along i, j, k and this first voxel, both in DICOM coordinates (LPS).
fn grid(shape: [usize; 3], steps: [DVec3; 3], first: DVec3) -> Grid {
    // RAS negates x and y. Adding 0 turns -0 into 0.
    let ras = |v: DVec3| DVec3::new(-v.x, -v.y, v.z) + DVec3::ZERO;
    let matrix3 = DMat3::from_cols(ras(steps[0]), ras(steps[1]), ras(steps[2]));
    Grid::new(shape, DAffine3 { matrix3, translation: ras(first) })
}

#[cfg(test)]
#[path = "stack_tests.rs"]
pub(super) mod tests;
