//! Reading images, masks and probabilities into layers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::volume::{Frames, Grid, LabelVolume, ReadOptions, Relation, Volume};

use crate::gpu::Gpu;
use crate::scene::{Modality, Preset, SOFT_TISSUE, WindowLevel};
use crate::state::names::file_stem;
use crate::state::{ImageLayer, MaskLayer, ProbabilityLayer};
use crate::worker::Failure;

/// Frames of a 4-D scan that are held in memory together, in bytes.
const ALL_FRAMES: u64 = 1 << 30;

/// Reads one image and uploads it.
///
/// # Errors
/// What the reader or the device refuses.
pub fn read_image(
    path: &Path,
    modality: Option<&str>,
    one_of_several: bool,
    gpu: Option<&Gpu>,
    warnings: &mut Vec<String>,
) -> Result<ImageLayer, Failure> {
    let all = ReadOptions { frames: Frames::All, memory_budget: ALL_FRAMES };
    let one = ReadOptions::default();
    let volume = match Volume::read_with(path, &all) {
        Err(e) if matches!(e.kind(), engine::ErrorKind::Memory { .. }) => Volume::read_with(path, &one)?,
        other => other?,
    };
    warnings.extend(volume.warnings.iter().map(|w| format!("{}: {w}", path.display())));
    layer_of(path, modality, one_of_several, Arc::new(volume), 0, gpu, warnings)
}

/// The layer of a volume.
///
/// # Errors
/// What the device refuses.
pub fn layer_of(
    path: &Path,
    modality: Option<&str>,
    one_of_several: bool,
    volume: Arc<Volume>,
    frame: usize,
    gpu: Option<&Gpu>,
    warnings: &mut Vec<String>,
) -> Result<ImageLayer, Failure> {
    let held = if volume.frames() > 1 { frame } else { 0 };
    let percentiles = volume.percentiles(held, &[0.0, 1.0, 99.0, 100.0]);
    let lowest = percentiles.as_ref().map(|p| p[0]);
    let stem = file_stem(path);
    let modality = modality.and_then(Modality::named).unwrap_or_else(|| Modality::of(&stem, lowest));
    let texture = match gpu {
        Some(gpu) => Some(gpu.upload(&volume, held)?),
        None => None,
    };
    warnings.extend(texture.as_ref().and_then(|t| t.note()).map(|note| format!("{}: {note}", path.display())));
    let default_window = match (Preset::of(&modality)[0], &percentiles) {
        (_, None) => WindowLevel::of_range(0.0, 255.0),
        (Preset::Fixed(_, window), Some(_)) if modality == Modality::Pet => window,
        (Preset::Fixed(..), Some(_)) => SOFT_TISSUE,
        // A scan that is nearly all background has no percentiles to speak of.
        (Preset::Percentiles(..), Some(p)) if p[2] > p[1] => WindowLevel::of_range(p[1], p[2]),
        (Preset::Percentiles(..), Some(p)) => WindowLevel::of_range(p[0], p[3]),
    };
    Ok(ImageLayer {
        path: path.to_path_buf(),
        name: if one_of_several { modality.name() } else { stem },
        modality,
        range: percentiles.map(|p| [p[0], p[3]]),
        volume,
        frame,
        texture,
        default_window,
        projection: None,
    })
}

/// Reads a mask onto the grid of an image.
///
/// # Errors
/// What the reader or the device refuses; a mask of another grid.
pub fn read_mask(
    path: &Path,
    image: &Volume,
    gpu: Option<&Gpu>,
    warnings: &mut Vec<String>,
) -> Result<MaskLayer, Failure> {
    let (labels, oddities) = LabelVolume::read_for(path, image)?;
    warnings.extend(oddities.into_iter().map(|w| format!("{}: {w}", path.display())));
    mask_layer(Some(path.to_path_buf()), Arc::new(labels), gpu)
}

/// A mask's layer with its projection, uploaded.
///
/// # Errors
/// What the device refuses.
pub fn mask_layer(path: Option<PathBuf>, labels: Arc<LabelVolume>, gpu: Option<&Gpu>) -> Result<MaskLayer, Failure> {
    let axis = front_axis(&labels.grid);
    let projected = Arc::new(labels.max_projection(axis)?);
    let (texture, projected_texture) = match gpu {
        Some(gpu) => (Some(gpu.upload_labels(&labels)?), Some(gpu.upload_labels(&projected)?)),
        None => (None, None),
    };
    let present = MaskLayer::count(&labels);
    Ok(MaskLayer {
        path,
        labels,
        present,
        texture,
        projection: Some((projected, projected_texture)),
        revision: 0,
        saved_revision: None,
        not_uploaded: None,
    })
}

/// The stored axis nearest to front-back, along which the projection looks.
pub fn front_axis(grid: &Grid) -> usize {
    grid.orientation().axis.iter().position(|&axis| axis == 1).unwrap_or(1)
}

/// Reads a probability onto the grid of an image.
///
/// # Errors
/// What the reader refuses; another grid; values outside of 0 to 1.
pub fn read_probability(path: &Path, image: &Volume) -> Result<ProbabilityLayer, Failure> {
    let volume = Volume::read(path)?;
    if volume.grid.relation(&image.grid) != Relation::Same {
        let (left, right) = (volume.grid.describe(), image.grid.describe());
        let what = format!("probability {} and its image", path.display());
        return Err(engine::Error::from(engine::ErrorKind::Geometry { what, left, right }).into());
    }
    let outside = volume.percentiles(0, &[0.0, 100.0]).is_none_or(|p| p[0] < 0.0 || p[1] > 1.0);
    if outside {
        return Err(Failure::Error(format!("{}: not a probability: values lie outside of 0 to 1", path.display())));
    }
    Ok(ProbabilityLayer { path: Some(path.to_path_buf()), volume: Arc::new(volume) })
}
