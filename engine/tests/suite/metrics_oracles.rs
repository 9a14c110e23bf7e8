//! The metrics against the packages that define them: MONAI, medpy, surface-distance and scipy.
//!
//! `oracles/make_oracles.py` wrote the phantoms and the expected numbers into `oracles/expected.json`.

use std::collections::BTreeMap;

use engine::findings::Components;
use engine::metrics::boundary::Boundary;
use engine::metrics::surface::Hd95;
use engine::metrics::{Measures, Options, measure};
use engine::volume::Grid;
use glam::{DAffine3, DMat3, DVec3};
use serde::Deserialize;

#[derive(Deserialize)]
struct Oracles {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    axial_axis: usize,
    prediction: Vec<usize>,
    truth: Vec<usize>,
    dsc: f64,
    sensitivity: f64,
    precision: f64,
    volumes_ml: [f64; 2],
    hd95: BTreeMap<String, f64>,
    boundary: BTreeMap<String, serde_json::Value>,
    sizes: [Vec<usize>; 2],
    lesions: [usize; 3],
}

/// A grid whose axis `axial` runs along the patient.
fn grid(case: &Case) -> Grid {
    let mut columns = [DVec3::ZERO; 3];
    for (axis, column) in columns.iter_mut().enumerate() {
        column[(axis + 2 - case.axial_axis) % 3] = case.spacing_mm[axis];
    }
    let matrix = DMat3::from_cols(columns[0], columns[1], columns[2]);
    Grid { shape: case.shape, world_from_voxel: DAffine3::from_mat3(matrix), oriented: true }
}

fn decode(runs: &[usize]) -> Vec<bool> {
    runs.iter().enumerate().flat_map(|(n, &len)| std::iter::repeat_n(n % 2 == 1, len)).collect()
}

/// The largest deviation of each measure from its oracle, relative to values above 1.
#[derive(Default)]
struct Deviations(BTreeMap<String, f64>);

impl Deviations {
    fn compare(&mut self, case: &Case, measure: &str, found: f64, expected: f64, tolerance: f64) {
        let deviation = (found - expected).abs() / expected.abs().max(1.0);
        assert!(deviation <= tolerance, "{}, {measure}: {found}, the oracle says {expected}", case.name);
        let worst = self.0.entry(measure.to_owned()).or_default();
        *worst = worst.max(deviation);
    }
}

#[test]
fn measures_equal_the_oracles() {
    let oracles: Oracles = serde_json::from_str(include_str!("../oracles/expected.json")).unwrap();
    assert!(oracles.cases.len() >= 25);
    let mut deviations = Deviations::default();
    for case in &oracles.cases {
        let (grid, prediction, truth) = (grid(case), decode(&case.prediction), decode(&case.truth));
        for (mask, sizes) in [&prediction, &truth].into_iter().zip(&case.sizes) {
            let components = Components::new(mask, case.shape);
            let found: Vec<usize> = (0..components.count()).map(|c| components.voxels(c)).collect();
            assert_eq!(&found, sizes, "{}: components", case.name);
        }
        let with = |options: &Options| measure(&prediction, &truth, &grid, options).unwrap();
        // The references treat a single slice as a slab whose voxels are all surface.
        let flat = case.shape.contains(&1);
        // MONAI computes in f32.
        for (name, hd95, tolerance) in [
            ("directed", Hd95::Directed, 1e-6),
            ("directed_scipy", Hd95::Directed, 1e-12),
            ("pooled", Hd95::Pooled, 1e-12),
            ("area", Hd95::Area, 1e-12),
        ]
        .into_iter()
        .filter(|_| !flat)
        {
            let found = with(&Options { hd95, ..Options::default() }).hd95_mm;
            deviations.compare(case, &format!("hd95 {name}"), found, case.hd95[name], tolerance);
        }
        check_boundaries(case, &grid, &with, &mut deviations);
        let found = with(&Options::default());
        for (name, found, expected) in [
            ("dsc", found.dsc, case.dsc),
            ("sensitivity", found.sensitivity, case.sensitivity),
            ("precision", found.precision, case.precision),
            ("volume", found.volume_ml, case.volumes_ml[0]),
            ("truth volume", found.truth_volume_ml, case.volumes_ml[1]),
        ] {
            deviations.compare(case, name, found, expected, 1e-12);
        }
        assert_eq!([found.lesions.tp, found.lesions.fp, found.lesions.missed], case.lesions, "{}", case.name);
    }
    for (measure, worst) in &deviations.0 {
        println!("{measure:16} {worst:.1e}");
    }
}

/// The oracle lists the boundary IoU by width, in 3-D and per slice; "width" is the default width. In 3-D the reference
/// packages erode the same number of voxels along every axis, as the default does only for equal spacings.
fn check_boundaries(case: &Case, grid: &Grid, with: &dyn Fn(&Options) -> Measures, deviations: &mut Deviations) {
    let default_width = case.boundary["width"].as_u64().unwrap() as usize;
    for (width, expected) in case.boundary.iter().filter(|(key, _)| *key != "width") {
        let width: usize = width.parse().unwrap();
        for (n, boundary) in [Boundary::Volume, Boundary::Slice].into_iter().enumerate() {
            let spacing = grid.spacing_mm();
            let equal = spacing.iter().all(|mm| (mm - spacing[0]).abs() < 1e-9);
            if boundary == Boundary::Volume && grid.shape.contains(&1) {
                continue;
            }
            let usual = width == default_width && (equal || boundary == Boundary::Slice);
            let widths = [Some(width), None];
            for boundary_width in widths.into_iter().take(if usual { 2 } else { 1 }) {
                let found = with(&Options { boundary, boundary_width, ..Options::default() }).boundary_iou;
                let name = format!("boundary {boundary:?}");
                deviations.compare(case, &name, found, expected[n].as_f64().unwrap(), 1e-12);
            }
        }
    }
}
