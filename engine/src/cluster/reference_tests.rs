//! Agreement with scikit-learn 1.9.1. `engine/benches/torch_peer/clusters.py` makes the constants.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

/// scikit-learn's results on 256 synthetic patches of 100 pixels.
struct Reference {
    /// True for a bright disc within tissue within air, false for noise.
    tissue: bool,
    /// Labels of two clusters by Ward's linkage, one bit per patch; the first patch has label 0.
    ward: &'static str,
    /// Radius of DBSCAN at the knee of the k-distance curve.
    radius: f64,
    /// 0 for the largest cluster of DBSCAN, 1 for all else.
    dbscan: &'static str,
    /// Joint probability of t-SNE of patches 8 k and 9 k + 1, which wraps around, for k from 0 to 31.
    joint: &'static str,
    /// Kullback-Leibler divergence of the exact t-SNE after 500 steps.
    divergence: f64,
}

const REFERENCES: [Reference; 2] = [
    Reference {
        tissue: true,
        ward: "000003c00ff01ff83ffc3ffc7ffe7ffe7ffe7ffe3ffc3ffc1ff80ff003c00000",
        radius: 4.939_798_713,
        dbscan: "000000000000000000e001f001f000e000000000000000000000000000000000",
        joint: "1.039271348e-04 1.525825085e-07 1.335405609e-05 1.760058602e-08 3.969223355e-15 2.220446049e-16 2.220446049e-16 \
            3.757912021e-14 4.873268996e-09 7.977394594e-07 1.715052846e-12 4.110456666e-06 8.292768322e-16 2.418396796e-06 \
            4.543039070e-05 1.184456384e-08 4.827796858e-09 4.319955873e-06 2.220446049e-16 5.468653654e-04 4.763780082e-15 \
            2.220446049e-16 1.755041914e-13 2.220446049e-16 2.038362954e-15 2.220446049e-16 1.377220379e-05 2.220446049e-16 \
            7.094112983e-05 4.916669258e-16 5.761261465e-05 2.008322832e-08",
        divergence: 0.76538,
    },
    Reference {
        tissue: false,
        ward: "45daa7c51136374c79c3c44042b5876f82eb8952ed4cd3b03e2138905da7ffaf",
        radius: 3.697_780_954,
        dbscan: "0000000000001800000000000001000000000000000040000000000000000000",
        joint: "1.238079065e-05 5.234042009e-10 1.557055436e-06 7.047151827e-09 7.487587095e-07 1.600849200e-06 6.605828965e-08 \
            9.977600710e-06 1.818114269e-06 1.297764058e-07 8.203949825e-07 4.380992240e-07 1.068074800e-09 1.304351873e-05 \
            3.698357191e-06 4.437107501e-07 3.138368583e-06 6.326903505e-07 9.057146072e-06 2.218930127e-04 3.345322597e-07 \
            8.422621874e-07 4.345061338e-07 5.093306478e-06 2.391301955e-07 2.028062899e-06 3.107340609e-07 2.096001850e-04 \
            1.325741233e-05 3.621441454e-08 1.241727218e-05 2.335228152e-06",
        divergence: 1.58643,
    },
];

/// The patches of `made` in `clusters.py`: multiples of 1/64, whose squared distances are exact in f32.
fn made(tissue: bool) -> Vec<f32> {
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
    let slice: Vec<f32> = (0..160 * 160).map(|index| pixel(index / 160, index % 160)).collect();
    crate::patch::PatchGrid::new(160, 16).unwrap().patches(&slice, 1)
}

/// Labels as hexadecimal digits of four patches each, the first in the highest bit.
fn hexadecimal(labels: &[u8]) -> String {
    let digit = |four: &[u8]| four.iter().fold(0, |digit, label| 2 * digit + u32::from(*label));
    labels.chunks(4).map(|four| char::from_digit(digit(four), 16).unwrap()).collect()
}

/// Sum of p ln(p / q) over all pairs of the embedding `y` `[n][2]`.
fn divergence(p: &[f64], y: &[f32]) -> f64 {
    let points = y.as_chunks::<2>().0;
    let n = points.len();
    let kernel = |i: usize, j: usize| {
        let [x, y] = [0, 1].map(|axis| f64::from(points[i][axis]) - f64::from(points[j][axis]));
        1.0 / (1.0 + x * x + y * y)
    };
    let pairs = || (0..n).flat_map(|i| (0..n).filter(move |j| *j != i).map(move |j| (i, j)));
    let norm: f64 = pairs().map(|(i, j)| kernel(i, j)).sum();
    pairs().map(|(i, j)| p[i * n + j] * (p[i * n + j] * norm / kernel(i, j)).ln()).sum()
}

#[test]
fn ward_agrees_with_scikit_learn() {
    for reference in REFERENCES {
        assert_eq!(hexadecimal(&ward(&made(reference.tissue), 100).unwrap()), reference.ward);
    }
}

#[test]
fn dbscan_agrees_with_scikit_learn() {
    for reference in REFERENCES {
        let result = dbscan(&made(reference.tissue), 100, 0.0, 5).unwrap();
        assert!((result.radius / reference.radius - 1.0).abs() < 1e-9, "{}", result.radius);
        assert_eq!(hexadecimal(&result.labels), reference.dbscan);
    }
}

#[test]
fn tsne_agrees_with_scikit_learn() {
    for reference in REFERENCES {
        let patches = made(reference.tissue);
        let joint = tsne::affinities(&patches, 100, 256, 30.0);
        for (k, expected) in reference.joint.split_whitespace().enumerate() {
            let actual = joint[8 * k * 256 + (9 * k + 1) % 256];
            assert!(
                (actual / expected.parse::<f64>().unwrap() - 1.0).abs() < 1e-6,
                "{k}: {actual:e} against {expected}"
            );
        }
        let y = tsne(&patches, 100, &TsneOptions { perplexity: 30.0, iterations: 500 });
        let actual = divergence(&joint, &y);
        assert!(actual < 1.05 * reference.divergence, "{actual} against {}", reference.divergence);
    }
}
