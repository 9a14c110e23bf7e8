#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use rand::RngExt;

use super::*;

/// Patches of `d` noisy values, each around one level.
fn blobs(levels: &[f32], d: usize, noise: f32, seed: u64) -> Vec<f32> {
    let mut stream = seed::stream(seed, "test", &[]);
    levels
        .iter()
        .flat_map(|level| (0..d).map(|_| level + noise * (stream.random::<f32>() - 0.5)).collect::<Vec<_>>())
        .collect()
}

fn run(patches: &[f32], d: usize, config: &ClusterConfig) -> Clustering {
    let n = patches.len() / d;
    let air: Vec<bool> = patches.chunks(d).map(|p| p.iter().all(|v| *v == 0.0)).collect();
    cluster(patches, n, d, &air, config, 7, &[3])
}

fn with(method: Method) -> ClusterConfig {
    ClusterConfig { method, ..Default::default() }
}

const METHODS: [Method; 4] = [Method::Kmeans, Method::Agglomerative, Method::Tsne, Method::Dbscan];

#[test]
fn every_method_separates_blobs() {
    let mut levels = vec![0.2f32; 40];
    levels.extend([3.0; 12]);
    let patches = blobs(&levels, 25, 0.5, 1);
    for method in METHODS {
        let actual = run(&patches, 25, &with(method));
        let expected: Vec<u8> = levels.iter().map(|l| u8::from(*l > 1.0)).collect();
        assert_eq!(actual.labels, expected, "{method:?}");
        assert!(actual.logit.iter().zip(&expected).all(|(s, l)| (*s > 0.0) == (*l == 1)), "{method:?}");
        assert!((actual.centres[1][0] - 3.0).abs() < 0.3 && actual.centres[0].len() == 25);
        assert_eq!(actual, run(&patches, 25, &with(method)), "deterministic: {method:?}");
    }
}

#[test]
fn each_foreground_rule_selects_its_cluster() {
    let levels: Vec<f32> = (0..30).map(|i| if i < 20 { 2.0 } else { -1.0 }).collect();
    let patches = blobs(&levels, 9, 0.1, 2);
    let first = |foreground| run(&patches, 9, &ClusterConfig { foreground, ..Default::default() }).labels[0];
    assert_eq!(first(ForegroundRule::Minority), 0);
    assert_eq!(first(ForegroundRule::Brighter), 1);
    assert_eq!(first(ForegroundRule::Darker), 0);
    let even: Vec<f32> = (0..30).map(|i| if i % 2 == 0 { 2.0 } else { -1.0 }).collect();
    assert_eq!(run(&blobs(&even, 9, 0.1, 2), 9, &ClusterConfig::default()).labels[0], 1, "equal sizes: the brighter");
}

#[test]
fn fewer_than_two_distinct_patches_have_no_foreground() {
    for method in METHODS {
        for patches in [vec![], vec![0.5; 4], vec![0.5; 40], vec![f32::NAN; 40]] {
            let result = run(&patches, 4, &with(method));
            assert!(!result.has_foreground() && result.centres.iter().all(Vec::is_empty));
            assert!(result.logit.iter().all(|s| *s == 0.0) && result.probability.iter().all(|p| *p == 0.0));
            assert_eq!((result.labels.len(), result.air_share()), (patches.len() / 4, None));
        }
    }
    let mut one_differs = vec![0.0f32; 400];
    one_differs[37] = f32::MIN_POSITIVE;
    assert_eq!(run(&one_differs, 4, &ClusterConfig::default()).labels.iter().position(|l| *l == 1), Some(9));
}

#[test]
fn with_tissue_only_air_is_never_foreground() {
    // Air is the minority here, a known weakness of the paper's rule.
    let mut levels = vec![1.0f32; 30];
    levels.extend([2.0; 8]);
    let mut patches = blobs(&levels, 9, 0.1, 3);
    patches.extend(vec![0.0; 9 * 6]);
    let paper = run(&patches, 9, &ClusterConfig { foreground: ForegroundRule::Darker, ..Default::default() });
    assert!(paper.air_share().unwrap() > 0.0);
    for method in METHODS {
        let config = ClusterConfig { tissue_only: true, ..with(method) };
        let result = run(&patches, 9, &config);
        assert_eq!(result.air_share(), Some(0.0), "{method:?}");
        assert_eq!(result.labels[30..38], [1; 8], "{method:?}");
        assert!(result.logit[38..].iter().all(|s| *s == LEFT_OUT) && result.probability[38..] == [0.0; 6]);
    }
}

#[test]
fn extreme_values_stay_finite() {
    let mut patches = vec![0.0f32; 40];
    (patches[0], patches[5], patches[9], patches[13]) = (f32::MAX, f32::MIN, f32::NAN, f32::INFINITY);
    for method in METHODS {
        let result = run(&patches, 4, &ClusterConfig { temperature: 1e-300, ..with(method) });
        assert!(result.logit.iter().all(|s| s.is_finite()) && result.probability.iter().all(|p| p.is_finite()));
        assert!(result.centres.iter().flatten().all(|c| c.is_finite()));
    }
}

/// The partition with the lowest inertia among all of them, for a few points.
fn exhaustive(points: &[f32], d: usize) -> f64 {
    let n = points.len() / d;
    (1..(1u32 << n) - 1)
        .map(|bits| {
            let labels: Vec<u8> = (0..n).map(|i| (bits >> i & 1) as u8).collect();
            let centres = kmeans::means(points, d, &labels);
            let own = |(p, l): (&[f32], &u8)| kmeans::squared_to(p, &centres[usize::from(*l)]);
            points.chunks(d).zip(&labels).map(own).sum::<f64>()
        })
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn kmeans_finds_the_optimum_of_small_sets() {
    // Noise without clusters has many local optima, of which ten starts may miss the best; fifty find it.
    let options = ClusterConfig { n_init: 50, ..ClusterConfig::default() }.kmeans();
    for seed in 0..40 {
        let points = blobs(&[0.0; 9], 3, 2.0, seed);
        let result = kmeans(&points, 3, &options, &mut seed::stream(seed, "test", &[])).unwrap();
        let best = exhaustive(&points, 3);
        assert!((result.inertia - best).abs() < 1e-9, "seed {seed}: {} against {best}", result.inertia);
    }
}

#[test]
fn ward_matches_its_greedy_definition() {
    for seed in 0..20 {
        let points = blobs(&[0.0, 0.2, 0.5, 0.9, 1.0, 1.4, 0.3, 2.0, 0.0, 1.1, 0.7], 2, 1.5, seed);
        let n = points.len() / 2;
        // By definition: always join the two clusters whose union adds the least squared error.
        let mut groups: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
        let error = |group: &[usize]| {
            let members: Vec<f32> = group.iter().flat_map(|i| points[i * 2..i * 2 + 2].to_vec()).collect();
            let [centre, _] = kmeans::means(&members, 2, &vec![0; group.len()]);
            members.chunks(2).map(|p| kmeans::squared_to(p, &centre)).sum::<f64>()
        };
        while groups.len() > 2 {
            let mut best = (f64::INFINITY, 0, 0);
            for a in 0..groups.len() {
                for b in 0..a {
                    let cost =
                        error(&[groups[a].clone(), groups[b].clone()].concat()) - error(&groups[a]) - error(&groups[b]);
                    if cost < best.0 {
                        best = (cost, a, b);
                    }
                }
            }
            let merged = groups.remove(best.1);
            groups[best.2].extend(merged);
        }
        let with_first = groups.iter().find(|group| group.contains(&0)).unwrap();
        let expected: Vec<u8> = (0..n).map(|i| u8::from(!with_first.contains(&i))).collect();
        assert_eq!(ward(&points, 2).unwrap(), expected, "seed {seed}");
    }
}

#[test]
fn dbscan_labels_noise_like_the_small_clusters() {
    let mut points: Vec<f32> = (0..20).map(|i| i as f32 * 0.1).collect();
    points.extend([10.0, 10.1, 10.2, 10.3, 10.4, 50.0]);
    let labels = dbscan(&points, 1, 0.25, 4).unwrap().labels;
    assert_eq!(labels[..20], [0; 20]);
    assert_eq!(labels[20..], [1; 6]);
    assert_eq!(dbscan(&points[..20], 1, 0.25, 4), None, "one cluster and no noise");
    assert_eq!(dbscan(&points, 1, 0.01, 4), None, "nothing is dense");
    assert_eq!(dbscan(&points, 1, 0.0, 4).unwrap().labels[25], 1, "the radius comes from the data");
}

#[test]
fn tsne_keeps_neighbours_together() {
    let levels: Vec<f32> = (0..60).map(|i| if i % 3 == 0 { 5.0 } else { 0.0 }).collect();
    let y = tsne(&blobs(&levels, 10, 1.0, 5), 10, &TsneOptions { perplexity: 10.0, iterations: 300 });
    let distance = |a: usize, b: usize| (y[2 * a] - y[2 * b]).hypot(y[2 * a + 1] - y[2 * b + 1]);
    for a in 0..60 {
        let nearest = (0..60).filter(|b| *b != a).min_by(|b, c| distance(a, *b).total_cmp(&distance(a, *c))).unwrap();
        assert!((levels[a] - levels[nearest]).abs() < f32::EPSILON, "point {a}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_the_patches_does_not_matter(seed in 0u64..1000, few in 1usize..9, method in 0usize..3) {
        // Not t-SNE: rounding in another order can lead its descent to another optimum.
        let method = [Method::Kmeans, Method::Agglomerative, Method::Dbscan][method];
        let levels: Vec<f32> = (0..30).map(|i| if i < few { 4.0 } else { 0.0 }).collect();
        let patches = blobs(&levels, 8, 1.0, seed);
        let mut order: Vec<usize> = (0..30).collect();
        rand::seq::SliceRandom::shuffle(&mut order[..], &mut seed::stream(seed, "shuffle", &[]));
        let shuffled: Vec<f32> = order.iter().flat_map(|i| patches[i * 8..(i + 1) * 8].to_vec()).collect();
        let config = with(method);
        let (a, b) = (run(&patches, 8, &config), run(&shuffled, 8, &config));
        for (index, i) in order.iter().enumerate() {
            prop_assert_eq!(a.labels[*i], b.labels[index]);
            prop_assert!((a.logit[*i] - b.logit[index]).abs() < 1e-9);
        }
    }

    #[test]
    fn kmeans_is_a_fixed_point(points in prop::collection::vec(-5.0f32..5.0, 8..160), seed in 0u64..99) {
        let points = &points[..points.len() / 4 * 4];
        let result = kmeans(points, 4, &ClusterConfig::default().kmeans(), &mut seed::stream(seed, "test", &[])).unwrap();
        prop_assert!(result.labels.contains(&0) && result.labels.contains(&1));
        let mut inertia = 0.0;
        for (point, label) in points.chunks(4).zip(&result.labels) {
            let own = kmeans::squared_to(point, &result.centres[usize::from(*label)]);
            prop_assert!(own <= kmeans::squared_to(point, &result.centres[usize::from(1 - label)]) + 1e-12);
            inertia += own;
        }
        prop_assert!((inertia - result.inertia).abs() <= 1e-9 * (1.0 + inertia));
    }

    #[test]
    fn logits_agree_with_labels_and_probability(points in prop::collection::vec(-5.0f32..5.0, 12..200)) {
        let n = points.len() / 3;
        let result = run(&points[..n * 3], 3, &ClusterConfig::default());
        for i in 0..n {
            prop_assert!(result.logit[i] == 0.0 || (result.logit[i] > 0.0) == (result.labels[i] == 1));
            prop_assert!((0.0..=1.0).contains(&result.probability[i]));
        }
    }
}
