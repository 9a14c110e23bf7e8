//! Draws the masked patches of a slice: in the paper's order, or at random with a preference for it, in units of patches.
//!
//! With a temperature T the units are drawn without replacement, each in proportion to exp(z / T) (Gumbel top-k: Kool et al.,
//! 2019), where z is the logit towards the patch's label. Hints are foreground units that come last.

use rand::RngExt;
use rand::seq::SliceRandom;

use super::mps::{Order, order};
use crate::cluster::{Clustering, LEFT_OUT};
use crate::config::MaskConfig;
use crate::masking::masked_count;
use crate::patch::PatchGrid;
use crate::seed::stream;

/// How the masked patches of a slice are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    order: Order,
    mask: &'a MaskConfig,
    grid: &'a PatchGrid,
    /// Patches along the side of a unit.
    unit: usize,
}

/// The patches of a slice in masking order, unit by unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskingOrder {
    /// All patches.
    pub order: Vec<usize>,
    /// Units that the masking ratio is a fraction of.
    maskable: usize,
    /// Patches of a unit.
    unit: usize,
}

impl<'a> Draw<'a> {
    /// The settings must pass [`MaskConfig::errors`] and [`MaskConfig::unit`]; an invalid unit is replaced by a patch.
    pub fn new(order: Order, mask: &'a MaskConfig, grid: &'a PatchGrid) -> Self {
        Self { order, mask, grid, unit: mask.unit(grid.side(), grid.grid()).unwrap_or(1) }
    }

    /// The order of all patches with these labels. Random draws depend on seed and key (epoch, slice).
    pub fn patches(&self, labels: &[u8], clustering: &Clustering, (seed, key): (u64, &[u64])) -> MaskingOrder {
        let (kind, temperature, logit) = (self.order, self.mask.temperature, &clustering.logit);
        let patches = match kind {
            Order::Random => order(kind, labels, logit, seed, key),
            Order::LesionFirst | Order::BackgroundFirst if temperature <= 0.0 => order(kind, labels, logit, seed, key),
            Order::LesionFirst => gumbel(labels, logit, 1.0 / temperature, seed, key),
            Order::BackgroundFirst => gumbel(labels, logit, -1.0 / temperature, seed, key),
        };
        let units = Units { grid: self.grid.grid(), side: self.unit };
        let mut drawn = units.in_order(&patches);
        let mut maskable = drawn.len();
        if self.mask.of_tissue {
            let has_tissue = units.any(|patch| !clustering.air[patch]);
            maskable = has_tissue.iter().filter(|tissue| **tissue).count();
            drawn.sort_by_key(|unit| !has_tissue[*unit]);
        }
        if self.mask.hints > 0.0 {
            let foreground = units.any(|patch| labels[patch] == 1);
            let mut hints: Vec<usize> = drawn[..maskable].iter().copied().filter(|unit| foreground[*unit]).collect();
            hints.shuffle(&mut stream(seed, "mask-hints", key));
            hints.truncate((hints.len() as f64 * self.mask.hints).round() as usize);
            drawn[..maskable].sort_by_key(|unit| hints.contains(unit));
        }
        let order = drawn.into_iter().flat_map(|unit| units.patches(unit)).collect();
        MaskingOrder { order, maskable, unit: self.unit.pow(2) }
    }
}

impl MaskingOrder {
    /// The number of masked patches at a ratio. Only whole units are masked.
    pub fn count(&self, sigma: f64) -> usize {
        masked_count(self.maskable, sigma) * self.unit
    }

    /// The patches masked in training, in order; at least one unit.
    pub fn masked(mut self, sigma: f64) -> Vec<usize> {
        self.order.truncate(self.count(sigma).max(self.unit));
        self.order
    }
}

/// All patches in descending order of `scale z + G`, where z is |logit| for patches labelled 1 and -|logit| for others, and G
/// is standard Gumbel noise. Air that was not clustered comes last.
fn gumbel(labels: &[u8], logit: &[f64], scale: f64, seed: u64, key: &[u64]) -> Vec<usize> {
    let mut draw = stream(seed, "mask-gumbel", key);
    let scores: Vec<f64> = labels
        .iter()
        .zip(logit)
        .map(|(label, logit)| {
            // In (0, 1], so that the noise is finite.
            let uniform: f64 = 1.0 - draw.random::<f64>();
            let towards = if *label == 1 { logit.abs() } else { -logit.abs() };
            let score = towards * scale - (f64::MIN_POSITIVE - uniform.ln()).ln();
            if *logit == LEFT_OUT { f64::NEG_INFINITY } else { score }
        })
        .collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

/// Squares of `side` x `side` patches.
struct Units {
    grid: usize,
    side: usize,
}

impl Units {
    fn count(&self) -> usize {
        (self.grid / self.side).pow(2)
    }

    fn of(&self, patch: usize) -> usize {
        patch / self.grid / self.side * (self.grid / self.side) + patch % self.grid / self.side
    }

    /// The patches of a unit, by index.
    fn patches(&self, unit: usize) -> impl Iterator<Item = usize> + use<> {
        let (grid, side) = (self.grid, self.side);
        let (row, column) = (unit / (grid / side) * side, unit % (grid / side) * side);
        (row..row + side).flat_map(move |i| (column..column + side).map(move |j| i * grid + j))
    }

    /// The units, each at the place of its first patch.
    fn in_order(&self, patches: &[usize]) -> Vec<usize> {
        let mut seen = vec![false; self.count()];
        patches.iter().map(|&patch| self.of(patch)).filter(|&unit| !std::mem::replace(&mut seen[unit], true)).collect()
    }

    /// For each unit, whether any of its patches has the property.
    fn any(&self, has: impl Fn(usize) -> bool) -> Vec<bool> {
        (0..self.count()).map(|unit| self.patches(unit).any(&has)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::mps::PatchState;
    use super::*;
    use crate::config::MethodConfig;

    /// Patches 0 to 7 of 16 are foreground; the first row is air.
    fn state(logit: f64) -> PatchState {
        let labels: Vec<u8> = (0..16).map(|i| u8::from(i < 8)).collect();
        let logit = labels.iter().map(|l| if *l == 1 { logit } else { -logit }).collect();
        let air = (0..16).map(|i| i < 4).collect();
        let clustering = Clustering { labels: labels.clone(), logit, air, ..Clustering::default() };
        PatchState { clustering, label: labels, lesion: None }
    }

    fn draw(change: impl Fn(&mut MethodConfig), state: &PatchState, sigma: f64, slice: u64) -> Vec<usize> {
        let mut method = MethodConfig { grid: 4, ..MethodConfig::default() };
        change(&mut method);
        let grid = PatchGrid::new(16, 4).unwrap();
        let draw = Draw::new(method.order, &method.mask, &grid);
        draw.patches(&state.label, &state.clustering, (7, &[1, slice])).masked(sigma)
    }

    #[test]
    fn by_default_the_masked_patches_are_the_papers() {
        assert_eq!(draw(|_| (), &state(3.0), 0.5, 1), (0..8).collect::<Vec<_>>());
        let random = draw(|m| m.order = Order::Random, &state(3.0), 0.5, 1);
        assert_eq!(random, order(Order::Random, &[0; 16], &[0.0; 16], 7, &[1, 1])[..8]);
        assert_eq!(draw(|_| (), &state(3.0), 0.0, 1).len(), 1, "at least one");
    }

    /// The first unit that is drawn is foreground with probability 8 e^(s/T) / (8 e^(s/T) + 8 e^(-s/T)).
    #[test]
    fn units_are_drawn_in_proportion_to_their_weight() {
        for (logit, temperature, order) in [(2.0, 4.0, Order::LesionFirst), (2.0, 4.0, Order::BackgroundFirst)] {
            let with = |m: &mut MethodConfig| (m.mask.temperature, m.order) = (temperature, order);
            let state = state(logit);
            let first = (0..4000).filter(|&slice| draw(with, &state, 0.01, slice)[0] < 8).count();
            let sign = if order == Order::LesionFirst { 1.0 } else { -1.0 };
            let expected = 1.0 / (1.0 + (-sign * 2.0 * logit / temperature).exp());
            assert!((first as f64 / 4000.0 - expected).abs() < 0.03, "{first} of 4000, expected {expected}");
        }
        let cold = draw(|m| m.mask.temperature = 1e-3, &state(3.0), 0.5, 3);
        assert!(cold.len() == 8 && cold.iter().all(|patch| *patch < 8), "{cold:?}");
        let other = draw(|m| m.mask.temperature = 1e-3, &state(3.0), 0.5, 4);
        assert_ne!(cold, other, "equal logits are drawn, not sorted");
    }

    #[test]
    fn hints_stay_visible_and_are_redrawn_every_epoch() {
        let with = |m: &mut MethodConfig| m.mask.hints = 0.25;
        let visible = |slice| {
            let masked = draw(with, &state(3.0), 0.75, slice);
            assert_eq!(masked.len(), 12);
            (0..8).filter(|patch| !masked.contains(patch)).collect::<Vec<_>>()
        };
        assert_eq!(visible(1).len(), 2);
        assert!((2..10).any(|slice| visible(slice) != visible(1)));
        assert_eq!(draw(with, &state(3.0), 0.9999, 1).len(), 15, "hints give way to the ratio");
    }

    #[test]
    fn only_whole_units_are_masked() {
        let masked = draw(|m| m.mask.unit_px = 8, &state(3.0), 0.5, 1);
        assert_eq!(masked, [0, 1, 4, 5, 2, 3, 6, 7]);
        let random = draw(|m| (m.mask.unit_px, m.order) = (8, Order::Random), &state(3.0), 0.25, 5);
        assert_eq!((random.len(), random[1] - random[0], random[2] - random[0]), (4, 1, 4));
    }

    #[test]
    fn with_a_ratio_of_tissue_air_stays_visible() {
        let masked = draw(|m| m.mask.of_tissue = true, &state(3.0), 0.5, 1);
        assert_eq!(masked, [4, 5, 6, 7, 8, 9], "half of the twelve patches with tissue, foreground first");
        let units = |m: &mut MethodConfig| (m.mask.of_tissue, m.mask.unit_px) = (true, 8);
        assert_eq!(draw(units, &state(3.0), 0.5, 1).len(), 8, "every unit has tissue");
        let mut air = state(3.0);
        air.clustering.air = vec![true; 16];
        assert_eq!(draw(|m| m.mask.of_tissue = true, &air, 0.5, 1).len(), 1);
    }
}
