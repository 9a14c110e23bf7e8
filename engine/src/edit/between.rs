//! Interpolation between the outlines in two slices: components are matched, aligned, and morphed by geodesic distance.
//!
//! Based on Albu et al. 2008 (morphology-based interslice interpolation) and Zukic et al. 2016. Instead of repeated median
//! dilations, each pixel of only one outline has a time at which it appears or disappears, from its geodesic distance to the
//! intersection. At time `t`, a fraction `t` of these changes is applied.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::findings::{Components, Connectivity};

/// Positions of pixels in the memory of a slice.
type Pixels = Vec<usize>;

/// A displacement in pixels.
type Shift = [isize; 2];

/// Slices of equal size and spacing.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// Pixels along both axes.
    pub size: [usize; 2],
    /// Size of a pixel along both axes, in mm.
    pub spacing_mm: [f64; 2],
}

/// The `gap - 1` slices between two outlines that are `gap` slices apart.
pub(super) fn between(from: &[bool], to: &[bool], gap: usize, frame: Frame) -> Vec<Vec<bool>> {
    let mut slices = vec![vec![false; from.len()]; gap - 1];
    for (a, b) in matched(from, to, frame) {
        frame.morph(&a, &b, &mut slices);
    }
    slices
}

/// Pairs of components to interpolate. Overlapping components form a pair. If one overlaps several, each of its pixels goes
/// to the nearest of them. A component without a partner shrinks to its centre.
fn matched(from: &[bool], to: &[bool], frame: Frame) -> Vec<(Pixels, Pixels)> {
    let (a, b) = (parts(from, frame), parts(to, frame));
    let mut pairs = Vec::new();
    let (of_a, of_b) = (owners(&a, from.len()), owners(&b, from.len()));
    for (n, pixels) in a.iter().enumerate() {
        let partners = partners(pixels, &of_b);
        if partners.is_empty() {
            pairs.push((pixels.clone(), frame.centre(pixels)));
        }
        for m in partners {
            pairs.push((share(pixels, &of_b, m, frame), share(&b[m], &of_a, n, frame)));
        }
    }
    let alone = b.iter().filter(|pixels| partners(pixels, &of_a).is_empty());
    pairs.extend(alone.map(|pixels| (frame.centre(pixels), pixels.clone())));
    pairs
}

fn parts(slice: &[bool], frame: Frame) -> Vec<Pixels> {
    let components = Components::connected(slice, [frame.size[0], frame.size[1], 1], Connectivity::Full);
    (0..components.count()).map(|c| components.ranges(c).flatten().collect()).collect()
}

/// For each pixel, the index of the component that contains it.
fn owners(parts: &[Pixels], len: usize) -> Vec<Option<usize>> {
    let mut owners = vec![None; len];
    for (n, pixels) in parts.iter().enumerate() {
        pixels.iter().for_each(|&p| owners[p] = Some(n));
    }
    owners
}

/// Indices of the components of the other slice that overlap `pixels`, ascending.
fn partners(pixels: &[usize], others: &[Option<usize>]) -> Vec<usize> {
    let mut found: Vec<usize> = pixels.iter().filter_map(|&p| others[p]).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The pixels whose nearest overlapping component is `m`.
fn share(pixels: &[usize], others: &[Option<usize>], m: usize, frame: Frame) -> Pixels {
    let all = partners(pixels, others);
    if all.len() == 1 {
        return pixels.to_vec();
    }
    let overlap = |n: usize| pixels.iter().copied().filter(|&p| others[p] == Some(n)).collect::<Pixels>();
    let own = frame.geodesic(pixels, &overlap(m));
    let rest: Vec<Vec<u32>> = all.iter().filter(|&&n| n != m).map(|&n| frame.geodesic(pixels, &overlap(n))).collect();
    let nearest = |index: &usize| rest.iter().all(|other| own[*index] <= other[*index]);
    (0..pixels.len()).filter(nearest).map(|index| pixels[index]).collect()
}

impl Frame {
    fn position(self, p: usize) -> [isize; 2] {
        [(p % self.size[0]) as isize, (p / self.size[0]) as isize]
    }

    fn pixel(self, [u, v]: [isize; 2]) -> Option<usize> {
        let inside = (0..self.size[0] as isize).contains(&u) && (0..self.size[1] as isize).contains(&v);
        inside.then(|| u as usize + self.size[0] * v as usize)
    }

    fn moved(self, p: usize, by: Shift) -> Option<usize> {
        let [u, v] = self.position(p);
        self.pixel([u + by[0], v + by[1]])
    }

    fn bits(self, pixels: &[usize]) -> Vec<bool> {
        let mut bits = vec![false; self.size[0] * self.size[1]];
        pixels.iter().for_each(|&p| bits[p] = true);
        bits
    }

    fn centroid(self, pixels: &[usize]) -> [f64; 2] {
        let positions = || pixels.iter().map(|&p| self.position(p));
        std::array::from_fn(|a| positions().map(|position| position[a] as f64).sum::<f64>() / pixels.len() as f64)
    }

    /// The pixels nearest to the centroid, including ties, so that no direction is preferred.
    fn centre(self, pixels: &[usize]) -> Pixels {
        let middle = self.centroid(pixels);
        let squared = |p: usize| {
            let position = self.position(p);
            (0..2).map(|a| ((position[a] as f64 - middle[a]) * self.spacing_mm[a]).powi(2)).sum::<f64>()
        };
        let smallest = pixels.iter().map(|&p| squared(p)).fold(f64::INFINITY, f64::min);
        pixels.iter().copied().filter(|&p| squared(p) <= smallest * (1.0 + 1e-9) + 1e-12).collect()
    }

    /// Geodesic distance of each pixel, inside `pixels`, to the nearest of `seeds`; in thousandths of the smaller spacing, so
    /// that sums are exact. `u32::MAX` where no path exists.
    fn geodesic(self, pixels: &[usize], seeds: &[usize]) -> Vec<u32> {
        const OUTSIDE: u32 = u32::MAX;
        let mut index = vec![OUTSIDE; self.size[0] * self.size[1]];
        for (n, &p) in pixels.iter().enumerate() {
            index[p] = n as u32;
        }
        let unit = 1000.0 / self.spacing_mm[0].min(self.spacing_mm[1]);
        let steps: Vec<(Shift, u32)> = (0..9)
            .map(|n| [n % 3 - 1, n / 3 - 1])
            .filter(|step| *step != [0, 0])
            .map(|step: Shift| {
                let mm = (step[0] as f64 * self.spacing_mm[0]).hypot(step[1] as f64 * self.spacing_mm[1]);
                (step, (mm * unit).round() as u32)
            })
            .collect();
        let mut distance = vec![u32::MAX; pixels.len()];
        let mut queue: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
        for &seed in seeds.iter().filter(|&&p| index[p] != OUTSIDE) {
            distance[index[seed] as usize] = 0;
            queue.push(Reverse((0, index[seed])));
        }
        while let Some(Reverse((far, n))) = queue.pop() {
            if far > distance[n as usize] {
                continue;
            }
            for (step, length) in &steps {
                let Some(to) = self.moved(pixels[n as usize], *step).map(|p| index[p]) else { continue };
                if to != OUTSIDE && far + length < distance[to as usize] {
                    distance[to as usize] = far + length;
                    queue.push(Reverse((far + length, to)));
                }
            }
        }
        distance
    }

    /// The displacement of `a` with the largest overlap with `b`, or the shortest of several. Found by hill climbing from zero and
    /// from the displacement of the centroids.
    fn align(self, a: &[usize], b: &[usize]) -> Shift {
        let inside = self.bits(a);
        let back = |shift: Shift, p: usize| self.moved(p, shift.map(|d| -d)).is_some_and(|p| inside[p]);
        let score = |shift: Shift| {
            let overlap = b.iter().filter(|&&p| back(shift, p)).count();
            let mm2 = (0..2).map(|n| (shift[n] as f64 * self.spacing_mm[n]).powi(2)).sum::<f64>();
            (overlap, Reverse((mm2 * 1e6).round() as u64))
        };
        let (from, to) = (self.centroid(a), self.centroid(b));
        let centred: Shift = std::array::from_fn(|n| (to[n] - from[n]).round() as isize);
        let climb = |start: Shift| {
            // All equally good shifts are followed, so that no direction is preferred.
            let mut best = (score(start), vec![start]);
            loop {
                let steps =
                    best.1.iter().flat_map(|shift| (0..9).map(move |n| [shift[0] + n % 3 - 1, shift[1] + n / 3 - 1]));
                let mut around: Vec<Shift> = steps.collect();
                around.sort_unstable();
                around.dedup();
                let scored: Vec<_> = around.into_iter().map(|shift| (score(shift), shift)).collect();
                let top = scored.iter().map(|(score, _)| *score).max().unwrap_or(best.0);
                let next: Vec<Shift> = scored.iter().filter(|(score, _)| *score == top).map(|(_, s)| *s).collect();
                if next == best.1 {
                    return best;
                }
                best = (top, next);
            }
        };
        let (still, centred) = (climb([0, 0]), climb(centred));
        if centred.0 > still.0 { centred.1[0] } else { still.1[0] }
    }

    /// Adds the interpolation between `a` and `b` to each slice.
    fn morph(self, a: &[usize], b: &[usize], slices: &mut [Vec<bool>]) {
        let gap = slices.len() + 1;
        let shift = self.align(a, b);
        let early = a.len() >= b.len();
        // `b` moved onto `a`, in a frame with a sufficient margin.
        let margin = shift.map(isize::unsigned_abs);
        let wide = Self { size: std::array::from_fn(|n| self.size[n] + 2 * margin[n]), ..self };
        let into_wide = |pixels: &[usize], by: Shift| -> Pixels {
            let offset: Shift = std::array::from_fn(|n| margin[n] as isize + by[n]);
            let moved = |p: usize| wide.pixel(std::array::from_fn(|n| self.position(p)[n] + offset[n]));
            pixels.iter().filter_map(|&p| moved(p)).collect()
        };
        let out_of_wide =
            |p: usize, by: Shift| self.pixel(std::array::from_fn(|n| wide.position(p)[n] - margin[n] as isize + by[n]));
        let (a, b) = (into_wide(a, [0, 0]), into_wide(b, shift.map(|d| -d)));
        let (in_a, in_b) = (wide.bits(&a), wide.bits(&b));
        let both: Pixels = a.iter().copied().filter(|&p| in_b[p]).collect();
        let vanish =
            wide.times(&a, &both, &in_b).map(|(pixel, time)| Change { time: END - time, pixel, appears: false });
        let appear = wide.times(&b, &both, &in_a).map(|(pixel, time)| Change { time, pixel, appears: true });
        let mut changes: Vec<Change> = vanish.chain(appear).collect();
        changes.sort_by_key(|change| change.time);
        for (n, slice) in slices.iter_mut().enumerate() {
            let share = (n + 1) as f64 / gap as f64;
            let due = count_due(&changes, share * changes.len() as f64, early);
            let by = shift.map(|d| round(share * d as f64, early));
            let remaining = changes[due..].iter().filter(|change| !change.appears);
            let added = changes[..due].iter().filter(|change| change.appears);
            let inside = both.iter().copied().chain(remaining.chain(added).map(|change| change.pixel));
            inside.filter_map(|p| out_of_wide(p, by)).for_each(|p| slice[p] = true);
        }
    }

    /// The pixels outside `other`, each with its geodesic distance to `both` as a fraction of the largest one, in units of [`END`].
    fn times(self, pixels: &[usize], both: &[usize], other: &[bool]) -> impl Iterator<Item = (usize, u32)> {
        let distance = self.geodesic(pixels, both);
        let reached = |far: &&u32| **far < u32::MAX;
        // Half a pixel more, so that the farthest pixel also changes before the end.
        let largest = f64::from(distance.iter().filter(reached).max().copied().unwrap_or(0)) + 500.0;
        let time = move |far: u32| ((f64::from(far) / largest).min(1.0) * f64::from(END)).round() as u32;
        let alone = pixels.iter().zip(distance).filter(|(p, _)| !other[**p]);
        alone.map(|(&p, far)| (p, time(far))).collect::<Vec<_>>().into_iter()
    }
}

/// End time. An integer, so that both directions give the same result.
const END: u32 = 1 << 20;

/// A pixel that belongs to only one of two outlines.
#[derive(Clone, Copy)]
struct Change {
    time: u32,
    pixel: usize,
    appears: bool,
}

/// Number of changes to apply, in order of time, for a target of `wanted` changes. Simultaneous changes are applied together. A
/// tie goes to the number that keeps more pixels, then to the smaller number if `early`, else to the larger one, so that both
/// directions give the same result.
fn count_due(changes: &[Change], wanted: f64, early: bool) -> usize {
    let Some(last) = changes.len().checked_sub(1) else { return 0 };
    let time = changes[(wanted as usize).min(last)].time;
    let before = changes.partition_point(|change| change.time < time);
    let after = changes.partition_point(|change| change.time <= time);
    let appearing = changes[before..after].iter().filter(|change| change.appears).count();
    let (to_before, to_after) = (wanted - before as f64, after as f64 - wanted);
    let tie = (2 * appearing).cmp(&(after - before)).then(if early { Ordering::Less } else { Ordering::Greater });
    if to_before.total_cmp(&to_after).then(tie) == Ordering::Greater { after } else { before }
}

/// Rounds to the nearest integer. A half is rounded towards zero if `half_to_zero`, else away from it.
fn round(value: f64, half_to_zero: bool) -> isize {
    let whole = value.abs().fract() == 0.5 && half_to_zero;
    (if whole { value.trunc() } else { value.round() }) as isize
}
