//! Slices and patches on the graphics card.

use engine::cluster::Clustering;
use engine::inspect::{InspectedSlice, Masking, Reconstruction};
use engine::preprocess::CasePlan;
use shaders::Cell;

use crate::gpu::{Gpu, Texture};
use crate::scene::crop::{self, SlicePlacement};
use crate::state::masking::{ClusteredSlice, Pictures};
use crate::worker::Failure;

fn place(slice: &InspectedSlice) -> SlicePlacement {
    let size = slice.grid.size();
    let world_from_crop = crop::at_slice(crop::affine(&slice.world_from_crop), slice.prepared_slice);
    SlicePlacement { size, side: size, world_from_crop, oriented: slice.oriented }
}

/// The textures of a slice; reuses the pixels of `kept` if they are of this slice.
pub(super) fn of_slice(
    slice: &InspectedSlice,
    clusters: &Clustering,
    masking: &Masking,
    kept: Option<&Pictures>,
    plan: &CasePlan,
    gpu: Option<&Gpu>,
) -> Result<Pictures, Failure> {
    let Some(gpu) = gpu else { return Ok(Pictures::default()) };
    let place = place(slice);
    let padding = padding(slice, plan);
    let (picture, lesion) = if let Some(Pictures { slice: Some(picture), lesion, .. }) = kept {
        (picture.clone(), lesion.clone())
    } else {
        let pixels = slice.pixels.get(..padding.len()).unwrap_or_default();
        let picture = gpu.upload(&place.volume(pixels, Some(&padding))?, 0)?;
        let lesion = match &slice.lesion_pixels {
            Some(lesion) => Some(gpu.upload_labels(&place.labels(lesion)?)?),
            None => None,
        };
        (picture, lesion)
    };
    let outside = outside(slice, &padding);
    let cells: Vec<u32> = (0..slice.grid.count())
        .map(|patch| {
            let foreground = clusters.labels[patch] == 1;
            let cell = Cell {
                foreground,
                masked: masking.masked[patch],
                // Foreground outside the scan is a finding and must be shown.
                padding: outside[patch] && !foreground,
                heat: Some(byte(clusters.probability[patch])),
                ..Cell::default()
            };
            cell.bits()
        })
        .collect();
    let cells = gpu.upload_cells(slice.grid.grid(), &cells)?;
    Ok(Pictures { slice: Some(picture), lesion, cells: Some(cells), padded: padding.contains(&true) })
}

/// Pixels `[C][S][S]` of a slice's crop on the card: channel `channel`.
pub(in crate::worker) fn of_pixels(
    slice: &InspectedSlice,
    pixels: &[f32],
    channel: usize,
    gpu: Option<&Gpu>,
) -> Result<Option<Texture>, Failure> {
    let Some(gpu) = gpu else { return Ok(None) };
    let place = place(slice);
    let area = place.size * place.size;
    let shown = pixels.get(channel * area..(channel + 1) * area).unwrap_or_default();
    Ok(Some(gpu.upload(&place.volume(shown, None)?, 0)?))
}

/// The patches with their relative losses as heat, 0 to `top`.
pub(in crate::worker) fn cells_of_losses(
    found: &ClusteredSlice,
    made: &Reconstruction,
    top: f32,
    gpu: Option<&Gpu>,
) -> Result<Option<Texture>, Failure> {
    let Some(gpu) = gpu else { return Ok(None) };
    let cell = |patch: usize| {
        let heat = made.relative[patch].map(|relative| byte(relative / top));
        let foreground = found.clusters.labels[patch] == 1;
        Cell { foreground, masked: found.masking.masked[patch], heat, ..Cell::default() }.bits()
    };
    let cells: Vec<u32> = (0..found.slice.grid.count()).map(cell).collect();
    Ok(Some(gpu.upload_cells(found.slice.grid.grid(), &cells)?))
}

fn byte(share: f32) -> u8 {
    (share.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Pixels of the crop, `[S][S]`, outside the scan.
fn padding(slice: &InspectedSlice, plan: &CasePlan) -> Vec<bool> {
    let size = slice.grid.size();
    let beyond = |axis: usize, at: usize| {
        let index = slice.crop.origin[axis] + at as i64;
        index < 0 || index >= plan.prepared_shape[axis] as i64
    };
    (0..size * size).map(|pixel| beyond(0, pixel / size) || beyond(1, pixel % size)).collect()
}

/// Patches that have no pixel of the scan.
fn outside(slice: &InspectedSlice, padding: &[bool]) -> Vec<bool> {
    let size = slice.grid.size();
    let all = |patch| {
        let (mut rows, columns) = slice.grid.pixels_of(patch);
        rows.all(|i| padding[i * size..][columns.clone()].iter().all(|outside| *outside))
    };
    (0..slice.grid.count()).map(all).collect()
}

/// All textures of a slice, uploaded to another graphics device.
pub(in crate::worker) fn again(found: &ClusteredSlice, plan: &CasePlan, gpu: &Gpu) -> Result<Pictures, Failure> {
    of_slice(&found.slice, &found.clusters, &found.masking, None, plan, Some(gpu))
}
