//! Decides which images at the same positions belong to different volumes, such as water and fat, or two b-values.
//!
//! The attributes are hints: each splits only where every part is then regular.

use std::collections::{BTreeMap, BTreeSet};

use glam::DVec3;

use super::instance::{B_VALUE, Instance, PHASES, THICKNESS};
use super::stack::{Level, Slice, levels, plane_of, tolerance_mm};

/// The parts of planes of the same size, direction and kind; `None` if they form one volume, or cannot be told apart.
///
/// - Stacks of an enhanced image are parts, unless all are at one place.
/// - Types of image are parts where a position has several images, unless each type has b-values of its own.
/// - Where positions have different numbers of images, times, b-values, trigger times or slice thicknesses are parts. Those
///   that cover the same positions stay together as frames.
/// - Slices of one thickness between those of another are a part.
pub(super) fn parts(instances: &[Instance], group: &[Slice], found: &[Level]) -> Option<Vec<Vec<Slice>>> {
    let plane = |slice: &Slice| plane_of(instances, *slice);
    let tolerance = tolerance_mm(plane(&group[0]));
    let levels_of = |part: &Vec<Slice>| levels(instances, part);
    let is_regular = |part: &Vec<Slice>| {
        let levels = levels_of(part);
        levels.iter().all(|level| level.slices.len() == levels[0].slices.len())
    };
    let by_phase = |phase: usize| split(group, |slice| plane(slice).phase[phase]);
    let stacks = split(group, |slice| plane(slice).stack_id.clone());
    let is_elsewhere = |parts: &[Vec<Slice>]| {
        let ends = |part: &Vec<Slice>| {
            let levels = levels_of(part);
            [levels.first(), levels.last()].map(|level| level.and_then(|level| plane(&level.slices[0]).position))
        };
        let first = ends(&parts[0]);
        let is_same = |ends: [Option<DVec3>; 2]| {
            ends.iter().zip(first).all(|(a, b)| a.zip(b).is_some_and(|(a, b)| a.distance(b) <= tolerance))
        };
        !parts[1..].iter().all(|part| is_same(ends(part)))
    };
    let stacks = stacks
        .filter(|parts| parts.iter().all(|part| is_regular(part) && levels_of(part).len() > 1) && is_elsewhere(parts));
    if stacks.is_some() {
        return stacks;
    }
    let counts = || found.iter().map(|level| level.slices.len());
    if counts().any(|count| count > 1) {
        let types = split(group, |slice| Some(plane(slice).image_type.clone()));
        let b_values =
            |part: &Vec<Slice>| part.iter().map(|slice| plane(slice).phase[B_VALUE]).collect::<BTreeSet<_>>();
        let are_weightings = |parts: &[Vec<Slice>]| {
            let all: Vec<BTreeSet<Option<i64>>> = parts.iter().map(b_values).collect();
            let distinct =
                all.iter().flatten().collect::<BTreeSet<_>>().len() == all.iter().map(BTreeSet::len).sum::<usize>();
            distinct && all.iter().flatten().all(Option::is_some)
        };
        let types = types.filter(|parts| parts.iter().all(is_regular) && !are_weightings(parts));
        if types.is_some() {
            return types;
        }
    }
    if counts().any(|count| count != found[0].slices.len()) {
        let is_volume = |part: &Vec<Slice>| is_regular(part) && levels_of(part).len() > 1;
        let phases = (0..PHASES.len()).filter_map(by_phase).find(|parts| parts.iter().all(is_volume));
        return phases.map(|parts| joined(parts, levels_of, tolerance)).filter(|parts| parts.len() > 1);
    }
    if is_even(found, tolerance) {
        return None;
    }
    by_phase(THICKNESS).filter(|parts| are_interleaved(&parts.iter().map(levels_of).collect::<Vec<_>>(), tolerance))
}

/// True if levels are at the same distance.
fn is_even(levels: &[Level], tolerance: f64) -> bool {
    let steps = || levels.windows(2).map(|pair| pair[1].along - pair[0].along);
    steps().fold(0.0, f64::max) - steps().fold(f64::INFINITY, f64::min) <= tolerance
}

/// True for even parts of which each begins before the one below it ends.
fn are_interleaved(parts: &[Vec<Level>], tolerance: f64) -> bool {
    let range = |levels: &Vec<Level>| [levels[0].along, levels[levels.len() - 1].along];
    let mut ranges: Vec<[f64; 2]> = parts.iter().map(range).collect();
    ranges.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let overlap = ranges.windows(2).all(|pair| pair[1][0] < pair[0][1]);
    overlap && parts.iter().all(|levels| levels.len() > 2 && is_even(levels, tolerance))
}

/// The images of acquisitions that have one at every position; `None` if there is no such acquisition.
pub(super) fn of_complete_acquisitions(
    instances: &[Instance],
    group: &[Slice],
    found: &[Level],
) -> Option<BTreeSet<Slice>> {
    let parts = split(group, |slice| plane_of(instances, *slice).acquisition)?;
    let is_complete = |part: &BTreeSet<Slice>| {
        found.iter().all(|level| level.slices.iter().filter(|slice| part.contains(slice)).count() == 1)
    };
    let parts = parts.into_iter().map(BTreeSet::from_iter);
    let kept: BTreeSet<Slice> = parts.filter(is_complete).flatten().collect();
    (!kept.is_empty()).then_some(kept)
}

/// Planes by an attribute that all of them have; `None` if it is the same in all.
fn split<K: Ord>(group: &[Slice], attribute: impl Fn(&Slice) -> Option<K>) -> Option<Vec<Vec<Slice>>> {
    let mut parts: BTreeMap<K, Vec<Slice>> = BTreeMap::new();
    for slice in group {
        parts.entry(attribute(slice)?).or_default().push(*slice);
    }
    (parts.len() > 1).then(|| parts.into_values().collect())
}

/// Joins parts that have images at the same positions.
fn joined(parts: Vec<Vec<Slice>>, levels_of: impl Fn(&Vec<Slice>) -> Vec<Level>, tolerance: f64) -> Vec<Vec<Slice>> {
    let mut joined: Vec<(Vec<f64>, Vec<Slice>)> = Vec::new();
    for part in parts {
        let positions: Vec<f64> = levels_of(&part).iter().map(|level| level.along).collect();
        let is_same = |known: &[f64]| {
            known.len() == positions.len() && known.iter().zip(&positions).all(|(a, b)| (a - b).abs() <= tolerance)
        };
        match joined.iter_mut().find(|(known, _)| is_same(known)) {
            Some((_, slices)) => slices.extend(part),
            None => joined.push((positions, part)),
        }
    }
    joined.into_iter().map(|(_, slices)| slices).collect()
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
