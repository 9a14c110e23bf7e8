//! Small cohorts for the tests of this module.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use glam::{DAffine3, DMat3, DVec3};

use super::{Case, Cohort};
use crate::volume::nifti::write_volume;
use crate::volume::{Grid, Scale, Volume, VoxelData};

pub fn grid(shape: [usize; 3]) -> Grid {
    let matrix3 = DMat3::from_diagonal(DVec3::new(-1.0, -1.0, 2.0));
    Grid::new(shape, DAffine3 { matrix3, translation: DVec3::ZERO })
}

/// Empty files, with their folders.
pub fn touch(root: &Path, names: &[&str]) {
    for name in names {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }
}

/// A scan of 4 x 3 x 2 voxels with values 0 to 23 / `divisor`.
pub fn write(root: &Path, name: &str, divisor: u8) {
    write_on(&grid([4, 3, 2]), root, name, divisor);
}

pub fn write_on(grid: &Grid, root: &Path, name: &str, divisor: u8) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let data = VoxelData::U8((0..grid.len()).map(|v| v as u8 / divisor).collect());
    let volume = Volume { data, scale: Scale::IDENTITY, ..Volume::from_f32(grid.clone(), vec![0.0; grid.len()]) };
    write_volume(&path, &volume).unwrap();
}

/// Ids with their modalities, and a `+` for each file of the mask.
pub fn summary(cohort: &Cohort) -> Vec<String> {
    let of = |case: &Case| {
        let images: Vec<&str> = case.images.keys().map(String::as_str).collect();
        format!("{} {}{}", case.id, images.join(","), "+".repeat(case.masks.len()))
    };
    cohort.cases.iter().map(of).collect()
}

pub fn problems(cohort: &Cohort) -> Vec<&str> {
    cohort.problems.iter().map(|p| p.what.as_str()).collect()
}
