//! Reading images, masks and probabilities into layers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::ErrorKind;
use engine::cohort::{read_masks, with_region};
use engine::volume::{AlignedMask, Frames, Grid, LabelVolume, MaskOptions, ReadOptions, Volume, ct_doubt};

use crate::gpu::Gpu;
use crate::scene::{Evidence, Modality, Preset, ScanInfo, Sidecar};
use crate::state::names::file_stem;
use crate::state::{ImageLayer, MaskLayer, MaskRole, ProbabilityLayer, Source};
use crate::worker::Failure;

/// Frames of a 4-D scan that are held in memory together, in bytes.
const ALL_FRAMES: u64 = 1 << 30;

/// Reads one image and uploads it. `named` is the cohort's name for its modality.
///
/// # Errors
/// What the reader or the device refuses.
pub fn read_image(
    path: &Path,
    named: Option<&str>,
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
    let lowest = volume.percentiles(0, &[0.0]).map(|p| p[0]);
    let mut info = ScanInfo::new(named, &file_stem(path), &sidecar(path, warnings), lowest);
    if info.modality == Modality::Ct
        && info.unit_from == Some(Evidence::Modality)
        && let Some(doubt) = ct_doubt(&volume)
    {
        warnings.push(format!("{}: {doubt}. They are shown without a unit", path.display()));
        info.set_unit(None);
    }
    layer_of(&Source::Nifti(path.to_path_buf()), info, one_of_several, Arc::new(volume), 0, gpu, warnings)
}

/// What the JSON file beside an image says. Without one: nothing. One that cannot be used is named.
fn sidecar(image: &Path, warnings: &mut Vec<String>) -> Sidecar {
    let path = image.with_file_name(format!("{}.json", file_stem(image)));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Sidecar::default(),
        Err(e) => {
            warnings.push(format!("{}: {e}", path.display()));
            return Sidecar::default();
        }
    };
    Sidecar::parse(&text).unwrap_or_else(|why| {
        warnings.push(format!("{}: {why}", path.display()));
        Sidecar::default()
    })
}

/// The layer of a volume.
///
/// # Errors
/// What the device refuses.
pub fn layer_of(
    source: &Source,
    info: ScanInfo,
    one_of_several: bool,
    volume: Arc<Volume>,
    frame: usize,
    gpu: Option<&Gpu>,
    warnings: &mut Vec<String>,
) -> Result<ImageLayer, Failure> {
    let held = if volume.frames() > 1 { frame } else { 0 };
    let percentiles = volume.percentiles(held, &[0.0, 1.0, 99.0, 100.0]);
    let texture = match gpu {
        Some(gpu) => Some(gpu.upload(&volume, held)?),
        None => None,
    };
    let path = source.path();
    warnings.extend(texture.as_ref().and_then(|t| t.note()).map(|note| format!("{}: {note}", path.display())));
    Ok(ImageLayer {
        source: source.clone(),
        name: if one_of_several { info.modality.name() } else { file_stem(path) },
        default_window: Preset::default_window(&info, percentiles.as_deref()),
        info,
        range: percentiles.map(|p| [p[0], p[3]]),
        volume,
        frame,
        texture,
        projection: None,
    })
}

/// A mask that was read for its image.
pub enum ReadMask {
    /// It lies on the image's voxels.
    Layer(Box<MaskLayer>),
    /// It lies on other voxels: it can be resampled.
    OtherGrid(OtherGrid),
}

/// How a mask's grid differs from its image's.
pub struct OtherGrid {
    /// Both grids, and how much of the mask lies in the image, in short sentences.
    pub summary: String,
    /// Both grids and the difference in full.
    pub details: String,
}

/// Reads the mask of a frame onto the grid of its image: the union of its files, as trainings and evaluations read it.
///
/// # Errors
/// What the reader or the device refuses.
pub fn read_mask(
    role: MaskRole,
    files: &[PathBuf],
    (image, frame): (&Volume, usize),
    gpu: Option<&Gpu>,
    warnings: &mut Vec<String>,
) -> Result<ReadMask, Failure> {
    let options = MaskOptions::default();
    let mut union: Option<AlignedMask> = None;
    for path in files {
        let region = match LabelVolume::read_frame_for(path, image, frame, &options) {
            Ok(region) => region,
            Err(error) if matches!(error.kind(), ErrorKind::Geometry { .. }) => {
                return Ok(ReadMask::OtherGrid(other_grid(files, image, error.to_string())?));
            }
            Err(error) => return Err(error.into()),
        };
        warnings.extend(region.notes.iter().map(|note| format!("{}: {note}", path.display())));
        union = Some(match union {
            Some(AlignedMask { labels, frames, notes }) => {
                AlignedMask { labels: with_region(labels, region.labels), frames: frames.max(region.frames), notes }
            }
            None => region,
        });
    }
    let Some(mask) = union else { return Err(Failure::Error(format!("no file of the {} is named", role.word()))) };
    let layer = mask_layer(role, files.first().cloned(), Arc::new(mask.labels), gpu)?;
    let more_files = files.get(1..).unwrap_or_default().to_vec();
    Ok(ReadMask::Layer(Box::new(MaskLayer { file_frames: mask.frames, more_files, ..layer })))
}

fn other_grid(files: &[PathBuf], image: &Volume, details: String) -> Result<OtherGrid, Failure> {
    let (mask, _) = read_masks(files, &MaskOptions::default())?;
    let short = |grid: &Grid| {
        let ([x, y, z], [dx, dy, dz]) = (grid.shape, grid.spacing_mm());
        format!("{x}\u{d7}{y}\u{d7}{z} at {dx:.2}\u{d7}{dy:.2}\u{d7}{dz:.2} mm")
    };
    let (own, kept) = (mask.volume_ml(), mask.clone().on_grid(&image.grid).volume_ml());
    let summary = format!(
        "This mask belongs to another image. Mask: {}. Image: {}. Resampled to the nearest voxel, {kept:.2} of its {own:.2} \
         ml lie in the image.",
        short(&mask.grid),
        short(&image.grid)
    );
    Ok(OtherGrid { summary, details })
}

/// A mask's layer with its projection, uploaded.
///
/// # Errors
/// What the device refuses.
pub fn mask_layer(
    role: MaskRole,
    path: Option<PathBuf>,
    labels: Arc<LabelVolume>,
    gpu: Option<&Gpu>,
) -> Result<MaskLayer, Failure> {
    let axis = front_axis(&labels.grid);
    let projected = Arc::new(labels.max_projection(axis)?);
    let (texture, projected_texture) = match gpu {
        Some(gpu) => (Some(gpu.upload_labels(&labels)?), Some(gpu.upload_labels(&projected)?)),
        None => (None, None),
    };
    let table = MaskLayer::label_table(&labels);
    Ok(MaskLayer {
        role,
        path,
        labels,
        table,
        texture,
        more_files: Vec::new(),
        projection: Some((projected, projected_texture)),
        revision: 0,
        saved_revision: None,
        dirty: None,
        file_frames: 1,
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
    volume.grid.require_same(&image.grid, || format!("probability {} and its image", path.display()))?;
    let outside = volume.percentiles(0, &[0.0, 100.0]).is_none_or(|p| p[0] < 0.0 || p[1] > 1.0);
    if outside {
        return Err(Failure::Error(format!("{}: not a probability: values lie outside of 0 to 1", path.display())));
    }
    Ok(ProbabilityLayer { path: Some(path.to_path_buf()), volume: Arc::new(volume) })
}
