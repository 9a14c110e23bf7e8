//! k-means of one slice: 256 patches of 100 pixels, ten starts, one core (scikit-learn 1.x: 9.6 ms).

use engine::cluster::{ClusterConfig, cluster};
use engine::seed;
use rand::RngExt;

fn main() {
    divan::main();
}

/// Unstructured noise, on which k-means converges slowest, or a bright disc in tissue surrounded by air.
fn patches(noise_only: bool) -> Vec<f32> {
    let mut stream = seed::stream(1, "bench", &[]);
    let mut pixel = |i: usize, j: usize| {
        let radius = (i as f32 - 80.0).hypot(j as f32 - 80.0);
        let noise = stream.random::<f32>() - 0.5;
        match radius {
            _ if noise_only => noise,
            r if r > 70.0 => 0.0,
            _ if (i as f32 - 60.0).hypot(j as f32 - 95.0) < 18.0 => 2.0 + noise,
            r => (r / 9.0).sin() * 0.5 + noise,
        }
    };
    let slice: Vec<f32> = (0..160 * 160).map(|at| pixel(at / 160, at % 160)).collect();
    engine::patch::PatchGrid::new(160, 16).map(|grid| grid.patches(&slice, 1)).unwrap_or_default()
}

#[divan::bench(args = [false, true])]
fn slice_of_256_patches(bencher: divan::Bencher, noise_only: bool) {
    let patches = patches(noise_only);
    let config = ClusterConfig::default();
    let mut slice = 0;
    bencher.bench_local(|| {
        slice += 1;
        cluster(&patches, 256, 100, &[false; 256], &config, 0, &[slice])
    });
}
