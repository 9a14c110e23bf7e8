//! Tests common to all methods that compare views, and tests of their state besides the network.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::byol::Byol;
use super::moco::Moco;
use super::simclr::SimClr;
use super::swav::Swav;
use super::*;
use crate::config::TrainingConfig;
use crate::device::Compute;
use crate::model::Norm;
use crate::model::record::to_bytes;
use crate::pretrain::synthetic::synthetic_batch;
use crate::pretrain::testing::{check_gradient, check_slope, config, task};
use crate::test_tensors::{gradient_values, values};
use crate::trainer::{GradientEngine, Length, optimizer};

fn numbers(set: &[(&str, f64)]) -> Config {
    let mut config = config();
    config.method.numbers = set.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    config
}

/// Training on synthetic slices.
struct Trial<L> {
    task: Views<L>,
    net: ViewNet,
    optimizer: burn::optim::ModuleOptimizer,
    engine: GradientEngine,
    config: Config,
}

impl<L: ViewLoss> Trial<L> {
    fn new(config: &Config, micro: usize) -> Self {
        let (task, engine) = (task::<Views<L>>(config), GradientEngine::new(&Compute::cpu(), micro));
        let net = task.build(config.seed, engine.device());
        Self { task, net, optimizer: optimizer(&config.training), engine, config: config.clone() }
    }

    fn step(&mut self, step: usize) -> StepOutput {
        let size = self.config.training.batch;
        // Every step draws other views.
        let position = Position { epoch: step + 1, epochs: self.config.training.epochs, step: 0 };
        let data = |slice| crate::pretrain::synthetic_slice(&self.config, slice);
        let sample = |slice| Sample { slice, patient: slice, k: 0, data: data(slice) };
        let batch = self.task.collate((0..size as u64).map(sample).collect(), position).unwrap();
        let (gradients, output) = self.engine.gradients(&self.task, &self.net, &batch, size).unwrap();
        self.net = self.optimizer.step(self.config.training.lr, self.net.clone(), gradients);
        self.task.after_step(&mut self.net, &batch, &output, position).unwrap();
        output
    }

    /// The numbers of an epoch in the second half of the run.
    fn summary(&mut self, loss: f64) -> EpochSummary {
        let mut summary = EpochSummary { loss, ..EpochSummary::default() };
        let position = Position { epoch: self.config.training.epochs, epochs: self.config.training.epochs, step: 0 };
        self.task.diagnose(position, &mut summary);
        summary
    }
}

#[test]
fn gradients_are_the_slope_of_the_loss() {
    check_gradient::<Views<SimClr>>(&config());
    check_gradient::<Views<Moco>>(&config());
    check_gradient::<Views<Byol>>(&config());
}

/// Codes have no gradient, so they stay those of the start while the slope is measured.
#[test]
fn the_gradient_of_swapped_predictions_is_their_slope_at_fixed_codes() {
    let mut config = config();
    config.training.batch = 8;
    let (task, size) = (task::<Views<Swav>>(&config), config.training.batch);
    let device = GradientEngine::new(&Compute::cpu(), 0).device().clone();
    let scores = |net: &ViewNet, batch: &ViewBatch| {
        let [features, _] = task.features(net, batch, &MicroBatch::whole(size, &device));
        let [_, scores] = Swav::scores(net, &features, &net.prototypes().unwrap());
        scores
    };
    let start = task.build(3, &device);
    let of_start = scores(&start, &synthetic_batch(&task, &config, size, 0).unwrap());
    let codes = task.loss.codes(&of_start, &start.prototypes().unwrap());
    check_slope::<Views<Swav>>(&config, |net, batch| task.loss.predict(&codes, &scores(net, batch)));
}

/// Every gradient, without running statistics: no head uses its own, and every pass over the batch moves them.
fn check_micro<L: ViewLoss>() {
    let mut config = config();
    config.network.norm = Norm::None;
    let (task, size) = (task::<Views<L>>(&config), config.training.batch);
    let batch = synthetic_batch(&task, &config, size, 0).unwrap();
    let of = |micro: usize| {
        let engine = GradientEngine::new(&Compute::cpu(), micro);
        let net = task.build(3, engine.device());
        let (gradients, output) = engine.gradients(&task, &net, &batch, size).unwrap();
        (gradient_values(&net, &gradients), output)
    };
    let (whole, expected) = of(0);
    let largest = whole.iter().fold(0.0f32, |most, g| most.max(g.abs()));
    assert!(largest > 1e-3, "nothing to compare");
    for micro in [1, 2, 3] {
        let (split, output) = of(micro);
        let off = whole.iter().zip(&split).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(whole.len() == split.len() && off < 3e-5 * largest.max(1.0), "{micro}: off by {off} of {largest}");
        assert!((output.loss / expected.loss - 1.0).abs() < 1e-5, "{} {}", output.loss, expected.loss);
        for ((name, a), (_, b)) in output.diagnostics.iter().zip(&expected.diagnostics) {
            assert!((a - b).abs() < 1e-4, "{name}: {a} {b}");
        }
        for (a, b) in output.per_slice.iter().zip(&expected.per_slice) {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3 * a.abs().max(1.0)), "another order of slices");
        }
    }
}

#[test]
fn micro_batches_give_the_loss_and_gradient_of_the_whole_batch() {
    check_micro::<SimClr>();
    check_micro::<Moco>();
    check_micro::<Byol>();
    check_micro::<Swav>();
}

/// Compares a run that is stored and restored after two steps with an uninterrupted one.
fn check_resume<L: ViewLoss>(set: &[(&str, f64)]) {
    let config = numbers(set);
    let run = |stored: bool| {
        let mut trial = Trial::<L>::new(&config, 0);
        (0..2).for_each(|step| drop(trial.step(step)));
        if stored {
            let mut parts = CheckpointData { parts: trial.task.state().unwrap(), ..Default::default() };
            let fresh = Trial::<L>::new(&config, 0);
            trial.task = fresh.task;
            trial.task.restore(&mut parts).unwrap();
        }
        let losses: Vec<f64> = (2..4).map(|step| trial.step(step).loss).collect();
        (losses, to_bytes(&trial.net).unwrap(), trial.task.state().unwrap(), trial.summary(1.0))
    };
    let (plain, stored) = (run(false), run(true));
    assert!(plain == stored, "{:?} {:?}", plain.0, stored.0);
    let mut missing = CheckpointData::default();
    assert!(Trial::<L>::new(&config, 0).task.restore(&mut missing).is_err());
}

#[test]
fn a_resumed_run_continues_bit_for_bit() {
    check_resume::<SimClr>(&[]);
    check_resume::<Moco>(&[("queue", 6.0)]);
    check_resume::<Byol>(&[]);
    // The queue is full after the second step.
    check_resume::<Swav>(&[("queue", 8.0)]);
}

/// The numbers of an epoch of one step.
fn diagnosed<L: ViewLoss>() -> EpochSummary {
    let mut trial = Trial::<L>::new(&config(), 0);
    let output = trial.step(0);
    let mut summary = EpochSummary { loss: output.loss, ..EpochSummary::default() };
    summary.diagnostics.add(output.diagnostics.iter().copied(), 1.0);
    trial.task.diagnose(Position { epoch: 1, epochs: 10, step: 0 }, &mut summary);
    summary
}

#[test]
fn each_method_reports_its_diagnostics() {
    let names =
        |summary: &EpochSummary| summary.diagnostics.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    let spread = ["emb_std", "effective_rank"];
    assert_eq!(names(&diagnosed::<Byol>()), spread);
    for summary in [diagnosed::<SimClr>(), diagnosed::<Moco>()] {
        assert_eq!(names(&summary), [ACCURACY, NEIGHBOUR_SHARE, spread[0], spread[1], "loss_ratio"]);
        let ratio = summary.diagnostics.get("loss_ratio").unwrap();
        assert!((0.01..3.0).contains(&ratio), "{ratio}");
    }
    let swav = diagnosed::<Swav>();
    assert_eq!(names(&swav), [ACCURACY, spread[0], spread[1], "perplexity", "loss_ratio"]);
    // Eight assignments at most, to 32 prototypes.
    assert!((1.0..=8.0).contains(&swav.diagnostics.get("perplexity").unwrap()));
    assert!(swav.warnings.is_empty(), "it is too early to tell");
}

/// Without its predictor BYOL has nothing that keeps embeddings apart.
#[test]
fn byol_without_its_predictor_collapses_and_is_flagged() {
    let summary = |predictor: f64| {
        let mut config = numbers(&[("predictor", predictor)]);
        config.training = TrainingConfig { lr: 3e-2, batch: 8, ..config.training };
        let mut trial = Trial::<Byol>::new(&config, 0);
        let mut loss = 0.0;
        for step in 0..COLLAPSE_STEPS {
            // Only the last 20 steps count.
            if step + 20 == COLLAPSE_STEPS {
                trial.summary(0.0);
            }
            loss = trial.step(step).loss;
        }
        trial.summary(loss)
    };
    let (healthy, collapsed) = (summary(1.0), summary(0.0));
    let std = |summary: &EpochSummary| summary.diagnostics.get("emb_std").unwrap();
    assert!(std(&collapsed) < 0.2 * std(&healthy), "{} and {}", std(&collapsed), std(&healthy));
    assert!(collapsed.warnings[0].contains("collapsed") && healthy.warnings.is_empty(), "{collapsed:?} {healthy:?}");
}

const COLLAPSE_STEPS: usize = 60;

#[test]
fn a_loss_of_equal_embeddings_is_flagged() {
    let mut trial = Trial::<SimClr>::new(&config(), 0);
    trial.step(0);
    // Four slices: ln 7.
    let flagged = trial.summary(1.945_91);
    assert!((flagged.diagnostics.get("loss_ratio").unwrap() - 1.0).abs() < 1e-5);
    assert!(flagged.warnings.iter().any(|warning| warning.contains("equal embeddings")), "{:?}", flagged.warnings);
    assert!(!trial.summary(1.0).warnings.iter().any(|warning| warning.contains("equal embeddings")));
}

/// With batch norm, keys of one chunk share statistics: the shuffle decides which. With instance norm, they are what they would be
/// in order.
#[test]
fn shuffled_keys_come_back_in_order() {
    let keys = |norm: Norm, chunks: usize| {
        let mut config = config();
        config.network.norm = norm;
        config.training.batch = 8;
        let mut task = task::<Views<Moco>>(&config);
        task.plan.teacher_chunks = chunks;
        let engine = GradientEngine::new(&Compute::cpu(), 0);
        let batch = synthetic_batch(&task, &config, 8, 0).unwrap();
        let net = task.build(3, engine.device());
        let [_, keys] = task.features(&net, &batch, &MicroBatch::whole(8, engine.device()));
        values(keys[0].clone().inner())
    };
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    let in_order = keys(Norm::Instance, 1);
    assert!(!near(&in_order[..32], &in_order[32..64]), "the keys are too similar to show their order");
    assert!(near(&keys(Norm::Instance, 4), &in_order));
    assert!(!near(&keys(Norm::Batch, 4), &keys(Norm::Batch, 1)));
}

#[test]
fn keys_enter_the_queue_after_the_step() {
    let config = numbers(&[("queue", 6.0)]);
    let mut trial = Trial::<Moco>::new(&config, 0);
    let before = values(trial.task.loss.queue.rows(&Device::flex()));
    let output = trial.step(0);
    let after = values(trial.task.loss.queue.rows(&Device::flex()));
    assert_eq!(before[4 * 128..], after[4 * 128..], "six entries, four slices");
    let keys: Vec<f32> = output.per_slice.iter().flat_map(|row| row[128..].iter().map(|x| *x as f32)).collect();
    assert_eq!(after[..4 * 128], keys);
    let lengths = keys.chunks(128).map(|key| key.iter().map(|x| x * x).sum::<f32>());
    lengths.for_each(|length| assert!((length - 1.0).abs() < 1e-5));
}

#[test]
fn decays_follow_the_length_of_the_run() {
    let setup = |steps: usize, config: &Config| {
        let length = Length { epochs: 1, steps_per_epoch: steps, steps };
        let setup = TaskSetup { config, slices: 1130, length, device: &Device::flex() };
        (Byol::new(&setup).unwrap(), Moco::new(&setup).unwrap())
    };
    let config = config();
    for (steps, first) in [(100, 0.97), (20_000, 0.98), (1_000_000, 0.996)] {
        let (byol, _) = setup(steps, &config);
        assert!((byol.decay(0) - first).abs() < 1e-12 && (byol.decay(steps) - 1.0).abs() < 1e-12, "{steps}");
    }
    let (_, moco) = setup(200, &config);
    assert!((moco.decay(7) - 0.9).abs() < 1e-12 && moco.queue.capacity() == 565);
    let (_, long) = setup(100_000, &config);
    assert!((long.decay(7) - 0.99).abs() < 1e-12);
}

#[test]
fn the_numbers_of_prototypes_and_queue_entries_follow_the_number_of_slices() {
    let mut config = config();
    config.training.batch = 36;
    for (size, side) in [(160, 64), (144, 64), (96, 48), (32, 16)] {
        config.preprocess.size = size;
        let sides: Vec<usize> = Swav::plan(&config).shapes.iter().map(|shape| shape.side).collect();
        assert_eq!(sides, [&[size; 2][..], &[side; 6]].concat());
    }
    for (slices, prototypes, queue) in [(1130, 70, 252), (100, 32, 36), (40_000, 300, 1188)] {
        let length = Length { epochs: 1, steps_per_epoch: 1000, steps: 1000 };
        let swav = Swav::new(&TaskSetup { config: &config, slices, length, device: &Device::flex() }).unwrap();
        assert_eq!(Swav::heads(&config, slices).prototypes, prototypes);
        assert_eq!((swav.queues[0].capacity(), swav.queue_from, swav.frozen), (queue, 80, 10), "{slices}");
    }
}

/// Prototypes are frozen for the first hundredth of the steps, then move and keep their length.
#[test]
fn prototypes_are_frozen_then_move_at_unit_length() {
    let mut trial = Trial::<Swav>::new(&config(), 0);
    trial.task.loss.frozen = 1;
    let of = |trial: &Trial<Swav>| values(trial.net.prototypes().unwrap().inner());
    let start = of(&trial);
    trial.step(0);
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near(&start, &of(&trial)));
    trial.step(1);
    assert!(!near(&start, &of(&trial)));
    for prototype in of(&trial).chunks(128) {
        assert!((prototype.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_batch_of_one_is_refused() {
    let mut config = config();
    config.training.batch = 1;
    assert!(<Views<SimClr> as PretextTask>::errors(&config)[0].to_string().contains("at least 2"));
    config.training.batch = 2;
    assert!(<Views<SimClr> as PretextTask>::errors(&config).is_empty());
}

fn picture<L: ViewLoss>() -> Vec<f32> {
    let (task, device) = (task::<Views<L>>(&config()), Device::flex());
    let sample = Sample { slice: 5, patient: 1, k: 2, data: crate::pretrain::synthetic_slice(&config(), 1) };
    let position = Position { epoch: 3, epochs: 10, step: 0 };
    task.picture(&task.build(1, &device), sample, position, &device).unwrap().pixels
}

#[test]
fn a_picture_shows_every_view() {
    let (two, eight) = (picture::<SimClr>(), picture::<Swav>());
    assert_eq!((two.len(), eight.len()), (1024, 1024));
    // `[i][j]`: i from right to left on the screen, j upwards.
    let part = |of: &[f32], i: std::ops::Range<usize>, j: std::ops::Range<usize>| -> Vec<f32> {
        i.flat_map(|i| of[32 * i..][j.clone()].to_vec()).collect()
    };
    let is_empty = |pixels: Vec<f32>| pixels.iter().all(|x| *x == 0.0);
    assert_ne!(part(&two, 16..32, 8..24), part(&two, 0..16, 8..24), "the two views are the same");
    assert!(!is_empty(part(&two, 16..32, 8..24)) && is_empty(part(&two, 0..32, 0..8)), "two are in the middle");
    assert!(is_empty(part(&two, 0..32, 24..32)));
    assert!(!is_empty(part(&eight, 0..32, 16..32)), "large ones above");
    assert!(!is_empty(part(&eight, 0..32, 0..8)) && !is_empty(part(&eight, 0..32, 8..16)), "small ones below");
}
