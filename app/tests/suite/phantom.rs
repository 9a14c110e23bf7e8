//! Synthetic scans and masks, defined voxel by voxel so that tests can compute expected values.

use std::path::{Path, PathBuf};

use engine::volume::{Grid, LabelVolume, Orientation, Scale, Volume, VoxelData, nifti};
use glam::{DAffine3, DMat3, DVec3};
use tempfile::TempDir;

/// Voxels along R, A, S.
pub const SHAPE: [usize; 3] = [40, 36, 24];

/// Axis order of scans in tests for which it does not matter. Not canonical.
pub const STORED: Orientation = Orientation { axis: [1, 0, 2], flip: [true, false, true] };

/// Canonical voxel index, along R, A, S.
pub type Voxel = [usize; 3];

/// An oblique, anisotropic grid along R, A, S: voxels of 1.75 x 1.75 x 3.5 mm.
///
/// Columns of whole numbers with length 7 are at right angles to each other, and a quarter of a whole number is exact in
/// a header's 32-bit floats: every axis order of this grid has the very same positions.
pub fn oblique() -> Grid {
    let columns = [DVec3::new(6.0, 2.0, -3.0), DVec3::new(-3.0, 6.0, -2.0), DVec3::new(2.0, 3.0, 6.0)];
    let matrix3 = DMat3::from_cols(columns[0] / 4.0, columns[1] / 4.0, columns[2] / 2.0);
    Grid::new(SHAPE, DAffine3 { matrix3, translation: DVec3::new(-40.5, -30.25, 12.0) })
}

/// A grid along the patient's axes: voxels of 1.5 x 1.75 x 3.5 mm.
pub fn straight() -> Grid {
    let matrix3 = DMat3::from_diagonal(DVec3::new(1.5, 1.75, 3.5));
    Grid::new(SHAPE, DAffine3 { matrix3, translation: DVec3::new(-30.25, -28.5, 40.0) })
}

/// Whether a voxel is in an ellipsoid, sheared so that it has one longest diameter.
fn blob(at: Voxel, middle: [f64; 3], radii: [f64; 3]) -> bool {
    let d: [f64; 3] = std::array::from_fn(|a| at[a] as f64 - middle[a]);
    let u = [d[0] + 0.35 * d[1] + 0.2 * d[2], d[1] - 0.15 * d[2], d[2]];
    (0..3).map(|a| (u[a] / radii[a]).powi(2)).sum::<f64>() <= 1.0
}

/// The true lesions, largest first.
pub fn lesion(at: Voxel) -> Option<usize> {
    let blobs = [([13.3, 20.2, 8.1], [6.2, 4.1, 2.6]), ([28.2, 14.4, 15.3], [4.1, 3.2, 2.3])];
    let small = ([20.4, 26.3, 19.2], [2.7, 1.9, 1.4]);
    blobs.into_iter().chain([small]).position(|(middle, radii)| blob(at, middle, radii))
}

/// The reference mask.
pub fn truth(at: Voxel) -> bool {
    lesion(at).is_some()
}

/// A segmentation: the first lesion is shifted by two voxels, the second is right, the third is missed, and one is a
/// false positive.
pub fn prediction(at: Voxel) -> bool {
    let first = at[0] >= 2 && lesion([at[0] - 2, at[1], at[2]]) == Some(0);
    first || lesion(at) == Some(1) || blob(at, [29.4, 25.2, 5.1], [2.6, 1.7, 1.3])
}

/// Hounsfield units: air, a body with soft slopes, brighter lesions.
pub fn hounsfield(at: Voxel) -> i16 {
    let [x, y, z] = at.map(|n| n as f64);
    let body = ((x - 19.6) / 18.5).powi(2) + ((y - 17.2) / 16.0).powi(2) + ((z - 11.4) / 13.0).powi(2) <= 1.0;
    if !body {
        return -1000;
    }
    let slope = 40.0 + 25.0 * (0.23 * x + 0.4).sin() + 20.0 * (0.31 * y).cos() + 2.0 * z;
    let bright = lesion(at).map_or(0.0, |n| 90.0 + 20.0 * n as f64);
    (slope + bright).round() as i16
}

/// The canonical voxels of a shape, in memory order.
pub fn voxels(shape: [usize; 3]) -> impl Iterator<Item = Voxel> {
    let [nx, ny, nz] = shape;
    (0..nx * ny * nz).map(move |n| [n % nx, n / nx % ny, n / nx / ny])
}

/// Number of voxels inside.
pub fn count(inside: impl Fn(Voxel) -> bool) -> usize {
    voxels(SHAPE).filter(|&at| inside(at)).count()
}

/// Writes 16-bit values on a canonical grid in another axis order.
pub fn write_i16(path: &Path, grid: &Grid, order: Orientation, value: impl Fn(Voxel) -> i16) {
    let values: Vec<i16> = voxels(grid.shape).map(value).collect();
    let data = VoxelData::I16(order.apply(&values, grid.shape));
    nifti::write_volume(path, &Volume::new(grid.reoriented(&order), data, Scale::IDENTITY)).unwrap();
}

/// Writes a mask of label 1 on a canonical grid in another axis order.
pub fn write_mask(path: &Path, grid: &Grid, order: Orientation, inside: impl Fn(Voxel) -> bool) {
    let labels: Vec<u8> = voxels(grid.shape).map(|at| u8::from(inside(at))).collect();
    let (grid, labels) = (grid.reoriented(&order), order.apply(&labels, grid.shape));
    let like = Volume::new(grid.clone(), VoxelData::U8(labels.clone()), Scale::IDENTITY);
    nifti::write_label(path, &LabelVolume::new(grid, labels).unwrap(), &like).unwrap();
}

/// Writes a PET-like scan of floats on a different grid, coarser and not oblique.
pub fn write_pet(path: &Path) {
    let matrix3 = DMat3::from_diagonal(DVec3::new(4.0, 4.0, 5.0));
    let grid = Grid::new([24, 22, 20], DAffine3 { matrix3, translation: DVec3::new(-60.0, -40.0, -30.0) });
    let value = |[i, j, k]: Voxel| 1.0 + (0.4 * i as f32).sin().abs() + 0.1 * (j + k) as f32;
    nifti::write_volume(path, &Volume::from_f32(grid.clone(), voxels(grid.shape).map(value).collect())).unwrap();
}

/// The value of a 4-D scan.
pub fn moving(frame: usize, [i, j, k]: Voxel) -> i16 {
    (1000 * frame + 100 * k + 10 * j + i) as i16
}

/// Frames of the 4-D scan.
pub const FRAMES: usize = 5;

/// Writes a 4-D scan of 9 x 8 x 7 voxels.
pub fn write_moving(path: &Path) {
    let grid = Grid::new([9, 8, 7], straight().world_from_voxel);
    let values = (0..FRAMES).flat_map(|frame| voxels([9, 8, 7]).map(move |at| moving(frame, at)));
    nifti::write_volume(path, &Volume::new(grid, VoxelData::I16(values.collect()), Scale::IDENTITY)).unwrap();
}

/// A scan of one patient with its masks, in a separate folder.
pub struct Files {
    pub folder: TempDir,
    pub scan: PathBuf,
    pub truth: PathBuf,
    pub prediction: PathBuf,
}

impl Files {
    /// Files on the oblique grid.
    pub fn new() -> Self {
        Self::on(&oblique())
    }

    /// Files on a grid along R, A, S.
    pub fn on(grid: &Grid) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (scan, reference, predicted) = (path("scan_ct.nii.gz"), path("scan_seg.nii.gz"), path("scan_pred.nii.gz"));
        write_i16(&scan, grid, STORED, hounsfield);
        write_mask(&reference, grid, STORED, truth);
        write_mask(&predicted, grid, STORED, prediction);
        Self { scan, truth: reference, prediction: predicted, folder }
    }

    /// Path of another file in the same folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A folder of three patients, each with a scan and a reference.
pub fn write_cohort(folder: &Path) -> PathBuf {
    let root = folder.join("cohort");
    for patient in 1..=3 {
        let folder = root.join(format!("patient_{patient}"));
        std::fs::create_dir_all(&folder).unwrap();
        write_i16(&folder.join("ct.nii.gz"), &straight(), STORED, |at| hounsfield(at) + patient);
        write_mask(&folder.join("seg.nii.gz"), &straight(), STORED, truth);
    }
    root
}
