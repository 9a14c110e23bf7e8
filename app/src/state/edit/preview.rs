//! The preview of a lesion: from the probability map at a click, or from strokes inside and around it.

use std::collections::BTreeMap;

use engine::edit::op::{Brush, Mode, Op, Plane, Seed};
use engine::edit::{Delta, EditLabels};
use engine::volume::Grid;
use glam::DVec3;

/// A lesion until it is accepted or discarded.
#[derive(Clone, Debug)]
pub struct Preview {
    /// How the lesion is found.
    pub search: Search,
    /// A stroke is being drawn.
    pub drawing: bool,
    /// The change that adds the lesion, and the lesion as a mask; `None` while it is being computed.
    pub found: Option<(Delta, EditLabels)>,
}

/// How a lesion is found.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// The component of the network's probability at a click.
    Click {
        /// World position of the click, in mm.
        at: DVec3,
        /// Probability at the click, which is the maximum of the threshold.
        highest: f64,
        /// Threshold: minimum probability in the component.
        least: f64,
    },
    /// A watershed of the displayed image between strokes, in drawing order.
    Strokes(Vec<SeedStroke>),
}

/// A stroke inside a lesion, or around it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedStroke {
    /// Around it.
    pub outside: bool,
    /// Its points in world mm.
    pub points: Vec<DVec3>,
}

/// Step of the threshold of a click.
const STEP: f64 = 0.05;

impl Preview {
    /// Search at a click, with threshold 0.5 or the probability there if lower.
    pub fn of_click(at: DVec3, probability: f64) -> Self {
        Self::new(Search::Click { at, highest: probability, least: probability.min(0.5) })
    }

    /// Search by strokes, without a stroke yet.
    pub fn of_strokes() -> Self {
        Self::new(Search::Strokes(Vec::new()))
    }

    fn new(search: Search) -> Self {
        Self { search, drawing: false, found: None }
    }

    /// The threshold of a click; `None` for strokes.
    pub fn least(&self) -> Option<f64> {
        match self.search {
            Search::Click { least, .. } => Some(least),
            Search::Strokes(_) => None,
        }
    }

    /// Moves the threshold of a click by steps. False at its limits.
    pub fn step(&mut self, steps: i64) -> bool {
        let Search::Click { highest, least, .. } = &mut self.search else { return false };
        let before = *least;
        // Thresholds are multiples of the step, whatever the initial value.
        let wanted = ((*least / STEP).round() + steps as f64) * STEP;
        *least = wanted.clamp(STEP / 5.0, 1.0).min(*highest);
        *least != before
    }

    /// The strokes, in their order.
    pub fn strokes(&self) -> &[SeedStroke] {
        match &self.search {
            Search::Click { .. } => &[],
            Search::Strokes(strokes) => strokes,
        }
    }

    /// The strokes, mutable. Drops the result, which was for fewer strokes.
    pub fn strokes_mut(&mut self) -> Option<&mut Vec<SeedStroke>> {
        self.found = None;
        match &mut self.search {
            Search::Click { .. } => None,
            Search::Strokes(strokes) => Some(strokes),
        }
    }

    /// Whether there is a stroke outside or inside the lesion.
    pub fn has(&self, outside: bool) -> bool {
        self.strokes().iter().any(|stroke| stroke.outside == outside)
    }

    /// What to draw before a lesion can be found by strokes.
    pub fn next_stroke(&self) -> Option<&'static str> {
        match self.search {
            Search::Strokes(_) if !self.has(true) => Some("Now draw around it with the right button"),
            Search::Strokes(_) if !self.has(false) => Some("Now draw inside it with the left button"),
            Search::Click { .. } | Search::Strokes(_) => None,
        }
    }

    /// The operation that finds the lesion on this grid; `None` until both sides have a stroke.
    pub fn op(&self, label: u16, grid: &Grid) -> Option<Op> {
        match &self.search {
            Search::Click { at, least, .. } => {
                let seed = Seed { voxel: None, point_mm: Some(at.to_array()) };
                Some(Op::ThresholdGrow { label, seed, min: Some(*least), max: None, overwrite: false })
            }
            Search::Strokes(strokes) => {
                let [inside, outside] = seeds(strokes, grid);
                let op = |inside, outside| {
                    let (inside, outside) = (vec![inside], vec![outside]);
                    Op::Watershed { label, inside, outside, smooth_mm: None, overwrite: false }
                };
                inside.zip(outside).map(|(inside, outside)| op(inside, outside))
            }
        }
    }
}

/// The voxels under the inside strokes, and under the outside ones. Where strokes cross, the later one wins.
fn seeds(strokes: &[SeedStroke], grid: &Grid) -> [Option<Brush>; 2] {
    let fine = grid.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    let voxel_from_world = grid.voxel_from_world();
    let mut sides = BTreeMap::new();
    for SeedStroke { outside, points } in strokes {
        let ends = points.iter().zip(points.iter().skip(1).chain(points.last()));
        for (from, to) in ends {
            let steps = (from.distance(*to) / (fine / 2.0)).ceil().max(1.0);
            for n in 0..=steps as usize {
                let voxel = voxel_from_world.transform_point3(from.lerp(*to, n as f64 / steps)).round();
                sides.insert(voxel.to_array().map(|v| v as i64), *outside);
            }
        }
    }
    [false, true].map(|wanted| {
        let of_side = sides.iter().filter(|(_, outside)| **outside == wanted);
        let centre = |voxel: &[i64; 3]| {
            grid.world_from_voxel.transform_point3(DVec3::from_array(voxel.map(|v| v as f64))).to_array()
        };
        let points_mm: Vec<[f64; 3]> = of_side.map(|(voxel, _)| centre(voxel)).collect();
        // A ball this small contains only the voxel at its centre.
        let brush = |points_mm| Brush {
            radius_mm: fine / 4.0,
            mode: Mode::Volume,
            plane: Plane::default(),
            points_mm,
            connected: false,
        };
        (!points_mm.is_empty()).then(|| brush(points_mm))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::DAffine3;

    #[test]
    fn a_threshold_moves_in_steps_and_keeps_the_click_inside() {
        let mut preview = Preview::of_click(DVec3::ZERO, 0.83);
        let least = |preview: &Preview| preview.least().unwrap_or_default();
        assert_eq!(least(&preview), 0.5);
        assert!(preview.step(2) && (least(&preview) - 0.6).abs() < 1e-9);
        assert!(preview.step(20) && least(&preview) == 0.83);
        assert!(!preview.step(1));
        assert!(preview.step(-100) && least(&preview) == 0.01);
        assert_eq!(least(&Preview::of_click(DVec3::ZERO, 0.2)), 0.2);
    }

    #[test]
    fn where_strokes_cross_the_later_one_wins() {
        let grid = Grid::new([9, 9, 3], DAffine3::from_scale(DVec3::new(2.0, 2.0, 5.0)));
        let line = |outside, from: [f64; 3], to: [f64; 3]| SeedStroke {
            outside,
            points: vec![DVec3::from_array(from), DVec3::from_array(to)],
        };
        let mut preview = Preview::of_strokes();
        let op = |preview: &Preview| preview.op(3, &grid);
        assert!(op(&preview).is_none());
        preview.strokes_mut().unwrap_or(&mut Vec::new()).push(line(false, [0.2, 4.3, 5.0], [6.1, 3.9, 5.0]));
        assert!(op(&preview).is_none() && preview.has(false) && !preview.has(true), "one side alone finds nothing");
        preview.strokes_mut().unwrap_or(&mut Vec::new()).push(line(true, [4.0, 0.0, 5.0], [4.0, 8.0, 5.0]));
        let Some(Op::Watershed { label: 3, inside, outside, .. }) = op(&preview) else { panic!("{preview:?}") };
        assert_eq!(inside[0].points_mm, [[0.0, 4.0, 5.0], [2.0, 4.0, 5.0], [6.0, 4.0, 5.0]]);
        assert_eq!(outside[0].points_mm.len(), 5);
        assert!(!inside[0].connected && inside[0].radius_mm < 1.0);
    }
}
