//! k-means of one slice: 256 patches of 100 pixels, ten starts, one core, compared with scikit-learn on the same patches.
//!
//! `cargo bench -p engine --bench kmeans`, with `AMLP_PEER_PYTHON` set for the comparison.
#![allow(clippy::print_stdout, reason = "this program exists to print its table")]

mod common;

use engine::cluster::{ClusterConfig, cluster};
use engine::patch::PatchGrid;

use common::{Seconds, ms, ratio};

const RUNS: usize = 50;

/// The patches of `made` in `torch_peer/clusters.py`: unstructured noise, on which k-means converges slowest, or a bright disc in
/// tissue surrounded by air.
fn patches(tissue: bool) -> engine::Result<Vec<f32>> {
    let mut state = 1u32;
    let mut pixel = |i: i32, j: i32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 26) as i32;
        let radius = (i - 80).pow(2) + (j - 80).pow(2);
        let level = if !tissue {
            noise
        } else if radius > 4900 {
            noise / 16
        } else if (i - 60).pow(2) + (j - 95).pow(2) < 324 {
            128 + noise
        } else {
            radius / 256 % 3 * 16 + noise
        };
        level as f32 / 64.0
    };
    let slice: Vec<f32> = (0..160 * 160).map(|at| pixel(at / 160, at % 160)).collect();
    Ok(PatchGrid::new(160, 16)?.patches(&slice, 1))
}

fn main() -> anyhow::Result<()> {
    let peer = common::peer_with("clusters.py", &["kmeans".into(), RUNS.to_string()], &[("OMP_NUM_THREADS", "1")]);
    if let Err(why) = &peer {
        println!("no comparison with scikit-learn: {why}");
    }
    let config = ClusterConfig::default();
    let mut rows = Vec::new();
    for (name, tissue) in [("tissue", true), ("noise", false)] {
        let patches = patches(tissue)?;
        let mut slice = 0;
        let ours = common::time(2, RUNS, || {
            slice += 1;
            cluster(&patches, 256, 100, &[false; 256], &config, 0, &[slice])
        });
        let theirs = peer.as_ref().ok().and_then(|peer| Seconds::from_json(&peer[name]));
        let [cell, lead] = theirs.map_or(["-".into(), "-".into()], |s| [ms(s.median), ratio(s.median, ours.median)]);
        rows.push(vec![name.into(), format!("{:.2}", 1e3 * ours.median), cell, lead]);
    }
    common::print_table(&["256 patches of", "engine, ms", "scikit-learn, ms", "scikit-learn / engine"], &rows);
    Ok(())
}
