//! All measures of a pair of 240 x 240 x 155 masks. The goal is under 1 s on two cores.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use divan::Bencher;
use engine::findings::findings;
use engine::metrics::surface::Hd95;
use engine::metrics::{Options, measure};
use engine::volume::{Grid, LabelVolume};
use glam::{DAffine3, DVec3};

fn main() {
    divan::main();
}

const SHAPE: [usize; 3] = [240, 240, 155];

/// Content of the masks.
#[derive(Clone, Copy, Debug)]
enum Pair {
    /// A tumour of about 100 ml and a few small ones.
    Tumour,
    /// The whole brain, the largest smooth mask in practice.
    Brain,
    /// Every voxel with a probability of 0.1: very many components and a large surface.
    Noise,
}

fn grid() -> Grid {
    Grid { shape: SHAPE, world_from_voxel: DAffine3::from_scale(DVec3::ONE), oriented: true }
}

fn ellipsoids(all: &[([f64; 3], [f64; 3])]) -> Vec<bool> {
    let [nx, ny, nz] = SHAPE;
    let inside = |at: [usize; 3]| {
        all.iter().any(|(centre, radius)| {
            (0..3).map(|a| ((at[a] as f64 - centre[a]) / radius[a]).powi(2)).sum::<f64>() <= 1.0
        })
    };
    let voxels = (0..nz).flat_map(|k| (0..ny).flat_map(move |j| (0..nx).map(move |i| [i, j, k])));
    voxels.map(inside).collect()
}

fn noise(seed: u64) -> Vec<bool> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).is_multiple_of(10)
    };
    (0..SHAPE.iter().product()).map(|_| next()).collect()
}

fn masks(pair: Pair) -> (Vec<bool>, Vec<bool>) {
    let small = ([60.0, 170.0, 90.0], [4.0, 3.0, 3.0]);
    match pair {
        Pair::Tumour => (
            ellipsoids(&[([150.0, 120.0, 80.0], [30.0, 34.0, 25.0]), small]),
            ellipsoids(&[([146.0, 123.0, 82.0], [31.0, 31.0, 27.0]), ([80.0, 60.0, 40.0], [5.0; 3])]),
        ),
        Pair::Brain => (
            ellipsoids(&[([120.0, 120.0, 77.0], [70.0, 90.0, 70.0])]),
            ellipsoids(&[([122.0, 118.0, 75.0], [71.0, 88.0, 72.0])]),
        ),
        Pair::Noise => (noise(1), noise(2)),
    }
}

const PAIRS: [Pair; 3] = [Pair::Tumour, Pair::Brain, Pair::Noise];

#[divan::bench(args = PAIRS, sample_count = 5)]
fn all_measures(bencher: Bencher, pair: Pair) {
    let ((prediction, truth), grid) = (masks(pair), grid());
    bencher.bench_local(|| measure(&prediction, &truth, &grid, &Options::default()).unwrap());
}

#[divan::bench(args = PAIRS, sample_count = 5)]
fn all_measures_area_weighted(bencher: Bencher, pair: Pair) {
    let ((prediction, truth), grid) = (masks(pair), grid());
    let options = Options { hd95: Hd95::Area, ..Options::default() };
    bencher.bench_local(|| measure(&prediction, &truth, &grid, &options).unwrap());
}

#[divan::bench(args = PAIRS, sample_count = 5)]
fn all_findings(bencher: Bencher, pair: Pair) {
    let (_, truth) = masks(pair);
    let mask = LabelVolume::new(grid(), truth.into_iter().map(u8::from).collect::<Vec<_>>()).unwrap();
    bencher.bench_local(|| findings(&mask));
}
