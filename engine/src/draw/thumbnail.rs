//! Thumbnails of scans, for lists.

use super::percentile_window;
use crate::volume::Volume;
use crate::{Error, Result};

/// Percentiles of the slice's finite values that become black and white.
const WINDOW: [f64; 2] = [1.0, 99.0];
/// The largest side that is drawn.
const MAX_SIDE: usize = 4096;

/// The middle axial slice of the first loaded frame, in 8-bit grey: width, height, and the pixels row by row from the top.
/// If the volume is a single sagittal or coronal slice, that slice.
///
/// Radiological: the patient's right is on the left, anterior is up or, in a sagittal slice, on the left. The picture has
/// the slice's proportions in mm and its longer side has `side` pixels (1 to 4096), the other at least one. Smaller
/// pictures are averaged, larger ones repeat the nearest voxel. The window is from the 1st to the 99th percentile of the
/// slice; colours are shown by their luminance, and non-finite values are black. The middle one of `n` slices is number
/// `n / 2`, counted from the feet.
///
/// Only the slice's voxels are touched.
///
/// # Errors
/// For another `side`, or a volume without voxels.
pub fn thumbnail(volume: &Volume, side: usize) -> Result<(usize, usize, Vec<u8>)> {
    thumbnail_in_window(volume, side, None)
}

/// As [`thumbnail`], but with a given window: the values that become black and white.
///
/// # Errors
/// As [`thumbnail`].
pub fn thumbnail_in_window(volume: &Volume, side: usize, window: Option<[f32; 2]>) -> Result<(usize, usize, Vec<u8>)> {
    if !(1..=MAX_SIDE).contains(&side) {
        return Err(Error::config("side", side, format!("a thumbnail has 1 to {MAX_SIDE} pixels per side")));
    }
    if volume.grid.is_empty() || volume.frames() == 0 {
        return Err(Error::config("grid", volume.grid.describe(), "a thumbnail needs at least one voxel"));
    }
    let (ras, orientation) = volume.grid.reoriented_to_ras();
    let source = volume.grid.shape;
    let [x, y, through] = match ras.shape {
        [1, ny, nz] if ny > 1 && nz > 1 => [1, 2, 0],
        [nx, 1, nz] if nx > 1 && nz > 1 => [0, 2, 1],
        _ => [0, 1, 2],
    };
    let (nx, ny, spacing) = (ras.shape[x], ras.shape[y], ras.spacing_mm());
    // Both screen axes run against R, A and S.
    let mut slice = Vec::with_capacity(nx * ny);
    for j in (0..ny).rev() {
        for i in (0..nx).rev() {
            let mut voxel = [0; 3];
            (voxel[x], voxel[y], voxel[through]) = (i, j, ras.shape[through] / 2);
            slice.push(volume.value(orientation.source_voxel(voxel, source)) as f32);
        }
    }
    let (wide, high) = (nx as f64 * spacing[x], ny as f64 * spacing[y]);
    let pixels = |mm: f64| ((side as f64 * mm / wide.max(high)).round() as usize).clamp(1, side);
    let (columns, lines) = (shares(nx, pixels(wide)), shares(ny, pixels(high)));
    let [black, white] = window.unwrap_or_else(|| percentile_window(&slice, WINDOW[0], WINDOW[1]));
    let grey = |value: f32| (((value - black) / (white - black)).clamp(0.0, 1.0) * 255.0).round() as u8;
    let mut picture = Vec::with_capacity(columns.len() * lines.len());
    for line in &lines {
        picture.extend(columns.iter().map(|column| mean(&slice, nx, line, column).map_or(0, grey)));
    }
    Ok((columns.len(), lines.len(), picture))
}

/// For each of `pixels` along a side: the voxels out of `voxels` that it shows, and how much of each.
fn shares(voxels: usize, pixels: usize) -> Vec<Vec<(usize, f32)>> {
    let width = voxels as f64 / pixels as f64;
    (0..pixels)
        .map(|pixel| {
            if width <= 1.0 {
                let nearest = ((pixel as f64 + 0.5) * width) as usize;
                return vec![(nearest.min(voxels - 1), 1.0)];
            }
            let (first, last) = (pixel as f64 * width, (pixel + 1) as f64 * width);
            let share = |voxel: usize| (last.min(voxel as f64 + 1.0) - first.max(voxel as f64)) as f32;
            let inside = first as usize..(last.ceil() as usize).min(voxels);
            inside.map(|voxel| (voxel, share(voxel))).filter(|(_, share)| *share > 1e-6).collect()
        })
        .collect()
}

/// The weighted mean of the finite values in a box of the slice; `None` without any.
fn mean(slice: &[f32], width: usize, line: &[(usize, f32)], column: &[(usize, f32)]) -> Option<f32> {
    let (mut sum, mut weight) = (0.0, 0.0);
    for &(row, by) in line {
        for &(at, share) in column {
            let value = slice[row * width + at];
            if value.is_finite() {
                sum += f64::from(value) * f64::from(by * share);
                weight += f64::from(by * share);
            }
        }
    }
    (weight > 0.0).then(|| (sum / weight) as f32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::{Grid, Orientation, Scale, VoxelData};
    use glam::{DAffine3, DVec3};

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Grid {
        Grid::new(shape, DAffine3::from_scale(DVec3::from(spacing)))
    }

    #[test]
    fn every_axis_order_gives_the_same_radiological_thumbnail() {
        let upright = grid([3, 2, 4], [1.0; 3]);
        // Slice 2 from the feet; its brightest voxel is the rightmost and most anterior, 0 the opposite corner.
        let values: Vec<f32> =
            (0..24).map(|at| if at / 6 == 2 { (at % 6) as f32 } else { 1000.0 + at as f32 }).collect();
        for o in Orientation::all() {
            let volume = Volume::from_f32(upright.reoriented(&o), o.apply(&values, upright.shape));
            let (width, height, pixels) = thumbnail(&volume, 3).unwrap();
            assert_eq!((width, height), (3, 2), "{o:?}");
            assert_eq!(pixels, [255, 204, 153, 102, 51, 0], "{o:?}");
        }
    }

    #[test]
    fn a_single_sagittal_or_coronal_slice_is_shown_itself() {
        let values: Vec<f32> = (0..6).map(|at| at as f32).collect();
        for shape in [[1, 3, 2], [3, 1, 2]] {
            let upright = grid(shape, [1.0; 3]);
            for o in Orientation::all() {
                let volume = Volume::from_f32(upright.reoriented(&o), o.apply(&values, upright.shape));
                // Superior is up; anterior, or the patient's right, is on the left.
                assert_eq!(thumbnail(&volume, 3).unwrap(), (3, 2, vec![255, 204, 153, 102, 51, 0]), "{shape:?} {o:?}");
            }
        }
    }

    #[test]
    fn values_outside_the_window_are_black_or_white() {
        let volume = Volume::from_f32(grid([4, 1, 1], [1.0; 3]), vec![9.0, 20.0, 15.0, -3.0]);
        let (_, _, pixels) = thumbnail_in_window(&volume, 4, Some([10.0, 20.0])).unwrap();
        assert_eq!(pixels, [0, 128, 255, 0]);
    }

    #[test]
    fn thumbnails_keep_proportions_in_mm() {
        let size = |shape, spacing, side| {
            let grid = grid(shape, spacing);
            let volume = Volume::from_f32(grid.clone(), vec![1.0; grid.len()]);
            let (width, height, pixels) = thumbnail(&volume, side).unwrap();
            // One value throughout is the middle of the window.
            assert!(pixels.len() == width * height && pixels.iter().all(|&p| p == 128));
            (width, height)
        };
        assert_eq!(size([10, 10, 1], [1.0, 2.0, 9.0], 64), (32, 64));
        assert_eq!(size([10, 40, 3], [4.0, 1.0, 1.0], 64), (64, 64));
        assert_eq!(size([100, 1, 1], [1.0; 3], 16), (16, 1));
    }

    #[test]
    fn shrinking_averages_the_finite_values() {
        // Along R 0, 10, 20, ... 70; the two pixels show the means of four.
        let mut values: Vec<f32> = (0..8).map(|i| 10.0 * i as f32).collect();
        let pixels = |values: &[f32]| {
            let (width, height, pixels) =
                thumbnail(&Volume::from_f32(grid([8, 1, 1], [1.0, 4.0, 1.0]), values.to_vec()), 2).unwrap();
            assert_eq!((width, height), (2, 1));
            pixels
        };
        let grey = |value: f32| (value / 70.0 * 255.0).round() as u8;
        assert_eq!(pixels(&values), [grey(55.0), grey(15.0)]);
        values[6] = f32::NAN;
        assert_eq!(pixels(&values), [grey((40.0 + 50.0 + 70.0) / 3.0), grey(15.0)]);
        assert_eq!(pixels(&[f32::NAN; 8]), [0, 0]);
        // Three voxels in two pixels: the middle one counts half in each.
        let thirds = shares(3, 2);
        assert_eq!(thirds, [vec![(0, 1.0), (1, 0.5)], vec![(1, 0.5), (2, 1.0)]]);
        assert_eq!(shares(2, 4).concat(), [(0, 1.0), (0, 1.0), (1, 1.0), (1, 1.0)]);
    }

    #[test]
    fn colour_images_use_luminance_and_bad_sizes_are_refused() {
        let colours = VoxelData::Rgb(vec![[255, 255, 255], [0, 0, 0], [9, 9, 9], [9, 9, 9]]);
        let volume = Volume::new(grid([2, 1, 1], [1.0; 3]), colours, Scale::IDENTITY);
        assert_eq!(thumbnail(&volume, 2).unwrap(), (2, 1, vec![0, 255]));
        for side in [0, MAX_SIDE + 1] {
            assert!(thumbnail(&volume, side).unwrap_err().to_string().starts_with(&format!("side = {side}")));
        }
        let empty = Volume::from_f32(grid([0, 1, 1], [1.0; 3]), Vec::new());
        assert!(thumbnail(&empty, 8).unwrap_err().to_string().contains("0x1x1"));
    }
}
