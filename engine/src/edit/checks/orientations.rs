//! Edits in world coordinates give the same result in the patient for any axis order.

use glam::{DAffine3, DMat3, DVec3};

use super::{edited, values_of};
use crate::edit::op_list::{self, ListedOp};
use crate::edit::{EditLabels, Scene, apply};
use crate::event::Control;
use crate::volume::{Grid, LabelVolume, Orientation, Scale, Volume, VoxelData};

/// An ellipsoid with a cavity, a small satellite, and a second label beside it.
fn phantom(grid: &Grid) -> Vec<u16> {
    let squared = |world: DVec3, centre: [f64; 3], radii: [f64; 3]| {
        ((world - DVec3::from_array(centre)) / DVec3::from_array(radii)).length_squared()
    };
    let [nx, ny, nz] = grid.shape;
    (0..nx * ny * nz)
        .map(|index| {
            let world = grid.world([index % nx, index / nx % ny, index / (nx * ny)]);
            let lesion = squared(world, [1.1, -2.3, 0.7], [9.2, 7.1, 8.3]) <= 1.0;
            let cavity = squared(world, [1.9, -2.1, 1.3], [3.3, 2.9, 3.1]) <= 1.0;
            let satellite = squared(world, [-11.3, 8.2, -6.1], [2.7, 2.2, 3.4]) <= 1.0;
            match (lesion && !cavity || satellite, world.x + 0.3 * world.y > 6.05) {
                (true, true) => 2,
                (true, false) => 1,
                _ => 0,
            }
        })
        .collect()
}

const OPS: &str = r#"[
    {"op":"fill_holes","label":1},
    {"op":"paint","label":3,"radius_mm":4.3,"points_mm":[[-6.2,5.1,3.3],[2.4,7.7,4.9]],"connected":true},
    {"op":"paint","label":1,"radius_mm":5.1,"mode":"2d","plane":"coronal","points_mm":[[-3.2,-8.6,1.9]]},
    {"op":"erase","label":2,"radius_mm":3.7,"mode":"2d","plane":"sagittal","points_mm":[[6.3,-2.2,1.4]]},
    {"op":"threshold_paint","label":4,"radius_mm":6.2,"points_mm":[[4.2,3.9,-5.1]],"min":20,"max":70},
    {"op":"adaptive_paint","label":5,"radius_mm":4.4,"points_mm":[[-4.1,-7.3,-6.2]]},
    {"op":"fill_holes","label":1,"mode":"2d","overwrite":true},
    {"op":"grow","label":1,"mm":2.6},
    {"op":"shrink","label":3,"mm":1.7},
    {"op":"smooth","label":1,"mm":2.9,"overwrite":true},
    {"op":"smooth","label":2,"method":"gaussian","mm":1.3},
    {"op":"region_grow","label":6,"point_mm":[8.1,8.3,-8.2],"tolerance":9,"max_radius_mm":7.1},
    {"op":"watershed","label":10,"inside":[{"radius_mm":2.2,"points_mm":[[-5.2,4.1,-7.3],[-2.1,5.3,-7.3]],"connected":true}],
        "outside":[{"radius_mm":1.4,"mode":"2d","points_mm":[[-12.3,8.2,-7.3],[4.2,9.1,-7.3]]},{"radius_mm":1.9,"points_mm":[[-4.1,-6.2,-9.1]]}]},
    {"op":"fill","label":7,"point_mm":[-9.3,-9.2,8.4]},
    {"op":"lasso","label":8,"plane":"axial","points_mm":[[-8.2,-8.1,-4.2],[7.9,-6.6,-4.2],[3.3,8.8,-4.2]]},
    {"op":"lasso","plane":"sagittal","action":"erase","through":true,"points_mm":[[0,-12.3,-9.7],[0,-6.1,-9.1],[0,-7.2,9.6]]},
    {"op":"paint","label":1,"radius_mm":2.1,"points_mm":[[-10.1,-11.2,12.3]]},
    {"op":"remove_small","label":1,"ml":0.06},
    {"op":"paint","label":2,"radius_mm":2.2,"points_mm":[[10.3,-11.1,11.8]]},
    {"op":"keep_largest","label":2},
    {"op":"relabel","from":3,"to":9},
    {"op":"boolean","operation":"union","a":9,"b":8},
    {"op":"remove_component","point_mm":[-11.3,8.2,-6.1]}
]"#;

/// A grid of 25 x 23 x 19 voxels along R, A and S.
fn upright() -> Grid {
    let matrix3 = DMat3::from_diagonal(DVec3::new(1.1, 1.3, 1.7));
    let grid = Grid::new([25, 23, 19], DAffine3 { matrix3, translation: DVec3::ZERO });
    let middle = grid.corners().iter().sum::<DVec3>() / 8.0;
    Grid {
        world_from_voxel: DAffine3 { translation: DVec3::new(0.05, -0.07, 0.11) - middle, ..grid.world_from_voxel },
        ..grid
    }
}

#[test]
fn all_48_orientations_give_the_same_result_in_the_patient() {
    let grid = upright();
    let start = phantom(&grid);
    let values: Vec<i16> = (0..grid.len()).map(|index| ((index * 7919 + index / 25 * 31) % 97) as i16).collect();
    let list = op_list::parse(OPS).unwrap();
    let run = |orientation: Orientation| -> Vec<Vec<u16>> {
        let own = grid.reoriented(&orientation);
        let mut labels = edited(&own, &orientation.apply(&start, grid.shape));
        let image = VoxelData::I16(orientation.apply(&values, grid.shape));
        let image = Volume::new(own, image, Scale::IDENTITY);
        let scene = Scene { image: Some(&image), ..Scene::default() };
        let after = |listed: &ListedOp| {
            let ListedOp::Edit(op) = listed else { panic!("{listed:?}") };
            apply(op, &mut labels, &scene, &Control::default()).unwrap();
            orientation.inverse(&values_of(&labels), grid.shape)
        };
        list.iter().map(after).collect()
    };
    let expected = run(Orientation::IDENTITY);
    for (n, pair) in std::iter::once(&start).chain(&expected).collect::<Vec<_>>().windows(2).enumerate() {
        assert!(pair[0] != pair[1], "{} changes nothing, so it is not tested", list[n].name());
    }
    for orientation in Orientation::all() {
        for (n, (found, expected)) in run(orientation).iter().zip(&expected).enumerate() {
            let differ = found.iter().zip(expected).filter(|(a, b)| a != b).count();
            assert_eq!(differ, 0, "{} in {orientation:?}", list[n].name());
        }
    }
}

/// Slices are drawn across the head-foot axis, and the gaps between them are filled in every orientation.
#[test]
fn interpolation_is_the_same_in_all_48_orientations() {
    let grid = upright();
    let drawn: Vec<u16> = phantom(&grid)
        .iter()
        .enumerate()
        .map(|(index, &l)| if index / (25 * 23) % 4 == 1 { l.min(1) } else { 0 })
        .collect();
    let run = |orientation: Orientation| {
        let mut labels = edited(&grid.reoriented(&orientation), &orientation.apply(&drawn, grid.shape));
        let text = format!(r#"[{{"op":"interpolate","label":1,"axis":{}}}]"#, orientation.axis[2]);
        let ListedOp::Edit(op) = op_list::parse(&text).unwrap().remove(0) else { panic!("no edit") };
        apply(&op, &mut labels, &Scene::default(), &Control::default()).unwrap();
        orientation.inverse(&values_of(&labels), grid.shape)
    };
    let expected = run(Orientation::IDENTITY);
    let whole = phantom(&grid).iter().map(|&l| l.min(1)).collect::<Vec<u16>>();
    let both = expected.iter().zip(&whole).filter(|(a, b)| **a == 1 && **b == 1).count();
    let all = expected.iter().chain(&whole).filter(|l| **l == 1).count();
    assert!(2.0 * both as f64 / all as f64 > 0.85, "Dice {}", 2.0 * both as f64 / all as f64);
    for orientation in Orientation::all() {
        let found = run(orientation);
        let differ: Vec<usize> = (0..found.len()).filter(|&index| found[index] != expected[index]).collect();
        assert!(differ.is_empty(), "{orientation:?}: {differ:?}");
    }
}

/// Drawn slices and everything outside the gaps stay unchanged.
#[test]
fn interpolation_fills_gaps_only() {
    let grid = upright();
    let drawn: Vec<u16> = phantom(&grid)
        .iter()
        .enumerate()
        .map(|(index, &l)| if [4, 5, 9, 14].contains(&(index / (25 * 23))) { l } else { 0 })
        .collect();
    let mut labels: EditLabels = edited(&grid, &drawn);
    let ListedOp::Edit(op) = op_list::parse(r#"[{"op":"interpolate","label":1,"axis":2}]"#).unwrap().remove(0) else {
        panic!("no edit")
    };
    let delta = apply(&op, &mut labels, &Scene::default(), &Control::default()).unwrap();
    let slices: std::collections::BTreeSet<usize> = delta.runs().iter().map(|run| run.start / (25 * 23)).collect();
    assert_eq!(slices.into_iter().collect::<Vec<_>>(), [6, 7, 8, 10, 11, 12, 13]);
    assert!(delta.runs().iter().all(|run| (run.before, run.after) == (0, 1)));
    assert_eq!(LabelVolume::new(grid, drawn).unwrap().labels(), [1, 2]);
}
