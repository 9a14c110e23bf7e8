//! Edit operations against scipy and ITK. `oracles/make_edit_oracles.py` wrote `oracles/edit_expected.json`.

use std::collections::BTreeMap;
use std::path::Path;

use engine::edit::op_list::{self, ListedOp};
use engine::edit::{EditLabels, Scene, apply};
use engine::event::Control;
use engine::volume::{Grid, LabelVolume, Scale, Volume, VoxelData};
use glam::{DAffine3, DVec3};
use serde::Deserialize;

#[derive(Deserialize)]
struct Oracles {
    shape: [usize; 3],
    masks: Vec<Vec<i64>>,
    interpolation: Vec<Interpolation>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    spacing_mm: [f64; 3],
    /// Which of the masks.
    mask: usize,
    op: serde_json::Value,
    /// The new label of every voxel that changes, -1 where none does.
    new: Vec<i64>,
}

#[derive(Deserialize)]
struct Interpolation {
    case: String,
    gap: usize,
    dice: f64,
}

fn oracles() -> Oracles {
    serde_json::from_str(include_str!("../oracles/edit_expected.json")).unwrap()
}

/// Values from runs (value, length, value, length, ...).
fn decode(runs: &[i64]) -> Vec<i64> {
    runs.chunks(2).flat_map(|run| std::iter::repeat_n(run[0], run[1] as usize)).collect()
}

fn only_op(op: &serde_json::Value) -> engine::edit::Op {
    let mut list = op_list::parse(&format!("[{op}]")).unwrap();
    let Some(ListedOp::Edit(op)) = list.pop() else { panic!("{op} is not an operation") };
    op
}

#[test]
fn operations_equal_scipy() {
    let Oracles { shape, masks, cases, .. } = oracles();
    assert!(cases.len() >= 80);
    let mut by_op = BTreeMap::<String, usize>::new();
    for case in &cases {
        let grid = Grid::new(shape, DAffine3::from_scale(DVec3::from_array(case.spacing_mm)));
        let pattern = |at: usize| {
            let [i, j, k] = [at % shape[0], at / shape[0] % shape[1], at / (shape[0] * shape[1])];
            ((i * i + j * j / 2 + 3 * k) % 23) as i16
        };
        let image = Volume::new(grid.clone(), VoxelData::I16((0..grid.len()).map(pattern).collect()), Scale::IDENTITY);
        let before: Vec<u16> = decode(&masks[case.mask]).into_iter().map(|label| label as u16).collect();
        let mut labels = EditLabels::from_volume(&LabelVolume::new(grid, before.clone()).unwrap());
        let op = only_op(&case.op);
        let scene = Scene { image: Some(&image), ..Scene::default() };
        apply(&op, &mut labels, &scene, &Control::default()).unwrap();
        let new = decode(&case.new).into_iter();
        let expected: Vec<u16> = new.zip(&before).map(|(new, &old)| u16::try_from(new).unwrap_or(old)).collect();
        let found: Vec<u16> = labels.to_volume().iter().collect();
        let differ = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "{} {}: voxels that differ", case.name, case.op);
        *by_op.entry(op.name().to_owned()).or_default() += 1;
    }
    println!("{by_op:?}");
}

/// On the masks of the sample study with every second, fourth and sixth slice drawn.
#[test]
fn interpolation_is_as_good_as_itk() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample");
    let mut means = BTreeMap::<usize, Vec<[f64; 2]>>::new();
    for Interpolation { case, gap, dice } in oracles().interpolation {
        let mask = LabelVolume::read(&sample.join(&case).join("seg.nii.gz")).unwrap();
        let plane = mask.grid.shape[0] * mask.grid.shape[1];
        let drawn: Vec<u16> = mask
            .iter()
            .enumerate()
            .map(|(at, l)| if (at / plane).is_multiple_of(gap) { l.min(1) } else { 0 })
            .collect();
        let used: Vec<usize> =
            drawn.chunks(plane).enumerate().filter(|(_, s)| s.contains(&1)).map(|(k, _)| k).collect();
        let mut labels = EditLabels::from_volume(&LabelVolume::new(mask.grid.clone(), drawn).unwrap());
        let op = only_op(&serde_json::json!({"op": "interpolate", "label": 1, "axis": 2}));
        apply(&op, &mut labels, &Scene::default(), &Control::default()).unwrap();
        let left_out = (0..mask.len()).filter(|at| {
            let k = at / plane;
            !k.is_multiple_of(gap) && (used[0]..used[used.len() - 1]).contains(&k)
        });
        let (mut both, mut all) = (0_usize, 0_usize);
        for at in left_out {
            let (a, b) = (labels.get(at) != 0, mask.get(at) != 0);
            both += usize::from(a && b);
            all += usize::from(a) + usize::from(b);
        }
        means.entry(gap).or_default().push([2.0 * both as f64 / all as f64, dice]);
    }
    for (gap, pairs) in means {
        let mean = |n: usize| pairs.iter().map(|pair| pair[n]).sum::<f64>() / pairs.len() as f64;
        println!("every {gap}th slice drawn, {} masks: Dice {:.4}, ITK {:.4}", pairs.len(), mean(0), mean(1));
        assert!(pairs.len() >= 10 && mean(0) > mean(1) - 0.01, "gap {gap}: {} vs {}", mean(0), mean(1));
        for [own, itk] in pairs {
            assert!(own > itk - 0.03, "gap {gap}: {own} vs {itk}");
        }
    }
}
