//! Preprocessed slices: the network's input, and the world position of its pixels and patches.
//!
//! A preprocessed slice has S x S pixels, `index = i * S + j`, i towards the patient's right and j towards the front. The
//! engine may keep a smaller image of it, `side` x `side` pixels over the same area.

use engine::volume::{Grid, LabelVolume, Volume};
use engine::{Error, Result};
use glam::{DAffine3, DMat3, DVec3};

use super::Convention;

/// Affine map of a crop from a 4 x 4 matrix in row-major order.
pub fn affine(rows: &[f64; 16]) -> DAffine3 {
    let column = |c: usize| DVec3::new(rows[c], rows[4 + c], rows[8 + c]);
    DAffine3 { matrix3: DMat3::from_cols(column(0), column(1), column(2)), translation: column(3) }
}

/// Affine map of slice `k` of a crop as a single-slice volume.
pub fn at_slice(world_from_crop: DAffine3, k: usize) -> DAffine3 {
    world_from_crop * DAffine3::from_translation(DVec3::new(0.0, 0.0, k as f64))
}

/// Crop pixels (centres at integers) to patch coordinates, where patch (i, j) covers i to i + 1 and j to j + 1.
pub fn patch_from_crop(size: usize, grid: usize) -> DAffine3 {
    let scale = grid as f64 / size.max(1) as f64;
    DAffine3 {
        matrix3: DMat3::from_diagonal(DVec3::new(scale, scale, 1.0)),
        translation: DVec3::new(scale / 2.0, scale / 2.0, 0.0),
    }
}

/// Crop pixels to pixels of a `side` x `side` image over the same area.
pub fn picture_from_crop(size: usize, side: usize) -> DAffine3 {
    let scale = side as f64 / size.max(1) as f64;
    DAffine3 {
        matrix3: DMat3::from_diagonal(DVec3::new(scale, scale, 1.0)),
        translation: DVec3::new((scale - 1.0) / 2.0, (scale - 1.0) / 2.0, 0.0),
    }
}

/// Column and row of patch `patch = i * grid + j` as shown, from 1: columns from the left of the screen, rows from the
/// patient's front, which is up.
pub fn shown_place(patch: usize, grid: usize, convention: Convention) -> [usize; 2] {
    let (i, j) = (patch / grid.max(1), patch % grid.max(1));
    let column = match convention {
        Convention::Radiological => grid.saturating_sub(i),
        Convention::Neurological => i + 1,
    };
    [column, grid.saturating_sub(j)]
}

/// The same in words, by the axes of the patient: `R-L 5, A-P 3`.
pub fn place_words(patch: usize, grid: usize, convention: Convention) -> String {
    let [column, row] = shown_place(patch, grid, convention);
    let across = match convention {
        Convention::Radiological => "R-L",
        Convention::Neurological => "L-R",
    };
    format!("{across} {column}, A-P {row}")
}

/// World position of a preprocessed slice of S x S pixels, stored as `side` x `side`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlicePlacement {
    /// Crop size S in pixels.
    pub size: usize,
    /// Size of the stored image in pixels.
    pub side: usize,
    /// Crop pixel (i, j, 0) to world mm.
    pub world_from_crop: DAffine3,
    /// False if the scan has no orientation.
    pub oriented: bool,
}

impl SlicePlacement {
    /// Grid of the image, a single slice.
    pub fn grid(&self) -> Grid {
        let world_from_voxel = self.world_from_crop * picture_from_crop(self.size, self.side).inverse();
        Grid { shape: [self.side, self.side, 1], world_from_voxel, oriented: self.oriented }
    }

    /// The image as a single-slice volume, for [`crate::gpu::Gpu::upload`], with NaN where `padding` is true (outside the
    /// scan).
    ///
    /// # Errors
    /// Not `side * side` values in `pixels` or `padding`.
    pub fn volume(&self, pixels: &[f32], padding: Option<&[bool]>) -> Result<Volume> {
        let mut values = self.turned("pixels", pixels)?;
        if let Some(padding) = padding {
            let padding = self.turned("padding", padding)?;
            for (value, _) in values.iter_mut().zip(padding).filter(|(_, outside)| *outside) {
                *value = f32::NAN;
            }
        }
        Ok(Volume::from_f32(self.grid(), values))
    }

    /// The same from 8-bit pixels: 0 is `range[0]`, 255 is `range[1]`.
    ///
    /// # Errors
    /// Not `side * side` pixels.
    pub fn volume_of_bytes(&self, pixels: &[u8], [low, high]: [f32; 2]) -> Result<Volume> {
        let values: Vec<f32> = pixels.iter().map(|&p| low + (high - low) * (f32::from(p) / 255.0)).collect();
        self.volume(&values, None)
    }

    /// A mask of the image as labels 0 and 1, for [`crate::gpu::Gpu::upload_labels`].
    ///
    /// # Errors
    /// Not `side * side` pixels.
    pub fn labels(&self, mask: &[bool]) -> Result<LabelVolume> {
        let labels: Vec<u8> = self.turned("mask", mask)?.into_iter().map(u8::from).collect();
        LabelVolume::new(self.grid(), labels)
    }

    /// Order `i * side + j` to volume order, where i is fastest.
    fn turned<T: Copy>(&self, field: &str, pixels: &[T]) -> Result<Vec<T>> {
        let side = self.side;
        if side == 0 || side.checked_mul(side) != Some(pixels.len()) {
            let why = format!("a slice of {side} x {side} pixels has {}", side.saturating_mul(side));
            return Err(Error::config(field, pixels.len(), why));
        }
        Ok((0..side).flat_map(|j| (0..side).map(move |i| pixels[i * side + j])).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn place(size: usize, side: usize) -> SlicePlacement {
        let matrix3 = DMat3::from_rotation_z(0.2) * DMat3::from_diagonal(DVec3::new(2.0, 3.0, 4.0));
        let world_from_crop = DAffine3 { matrix3, translation: DVec3::new(5.0, -7.0, 30.0) };
        SlicePlacement { size, side, world_from_crop, oriented: true }
    }

    /// Patch (i, j) lies i steps towards the patient's right and j towards the front, which is up.
    #[test]
    fn patches_are_numbered_as_displayed() {
        let (radiological, neurological) = (Convention::Radiological, Convention::Neurological);
        assert_eq!(shown_place(0, 4, radiological), [4, 4], "left and back: the lower right corner");
        assert_eq!(shown_place(0, 4, neurological), [1, 4]);
        assert_eq!(shown_place(15, 4, radiological), [1, 1], "right and front: the upper left corner");
        assert_eq!(place_words(3 * 4 + 2, 4, radiological), "R-L 1, A-P 2");
        assert_eq!(place_words(3 * 4 + 2, 4, neurological), "L-R 4, A-P 2");
    }

    #[test]
    fn pixels_are_at_the_world_position_of_their_index() {
        let place = place(3, 3);
        let pixels: Vec<f32> = (0..9).map(|n| n as f32).collect();
        let volume = place.volume(&pixels, None).unwrap();
        for (i, j) in [(0, 0), (2, 0), (0, 2), (1, 2)] {
            assert_eq!(volume.value([i, j, 0]), (3 * i + j) as f64);
        }
        assert_eq!(volume.grid.world_from_voxel, place.world_from_crop);
    }

    #[test]
    fn padding_has_no_value() {
        let padding = [false, true, false, false];
        let volume = place(2, 2).volume(&[1.0, 2.0, 3.0, 4.0], Some(&padding)).unwrap();
        assert!(volume.value([0, 1, 0]).is_nan());
        assert_eq!(volume.value([1, 0, 0]), 3.0);
    }

    #[test]
    fn a_smaller_picture_covers_the_same_area() {
        let place = place(8, 4);
        let grid = place.grid();
        for (of_picture, of_crop) in [(-0.5, -0.5), (3.5, 7.5), (0.0, 0.5)] {
            let a = grid.world_from_voxel.transform_point3(DVec3::new(of_picture, of_picture, 0.0));
            let b = place.world_from_crop.transform_point3(DVec3::new(of_crop, of_crop, 0.0));
            assert!(a.abs_diff_eq(b, 1e-9), "{a} {b}");
        }
        let volume = place.volume_of_bytes(&[255; 16], [-1.0, 3.0]).unwrap();
        assert_eq!(volume.value([2, 1, 0]), 3.0);
    }

    #[test]
    fn patches_begin_at_the_edge_of_the_first_pixel() {
        let patch = patch_from_crop(160, 16);
        assert!(patch.transform_point3(DVec3::new(-0.5, 9.5, 0.0)).abs_diff_eq(DVec3::new(0.0, 1.0, 0.0), 1e-12));
        assert!(patch.transform_point3(DVec3::new(159.5, 4.5, 0.0)).abs_diff_eq(DVec3::new(16.0, 0.5, 0.0), 1e-12));
    }

    #[test]
    fn an_affine_is_read_from_its_row_major_matrix() {
        let grid = place(5, 5).grid();
        assert_eq!(affine(&grid.affine_rows()), grid.world_from_voxel);
        let above = at_slice(grid.world_from_voxel, 3).transform_point3(DVec3::ZERO);
        assert!((above.z - 42.0).abs() < 1e-12);
    }

    #[test]
    fn the_wrong_number_of_pixels_is_named() {
        let why = place(3, 3).volume(&[0.0; 8], None).unwrap_err().to_string();
        assert!(why.contains("pixels") && why.contains('8') && why.contains("3 x 3"), "{why}");
        assert!(place(2, 2).labels(&[true; 3]).is_err());
    }
}
