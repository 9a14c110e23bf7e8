//! Reads images, masks and probability maps into layers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::ErrorKind;
use engine::cohort::{ImageFile, label_table_of_mask, read_masks, with_region};
use engine::edit::EditLabels;
use engine::volume::dicom::is_dicom;
use engine::volume::{Frames, Grid, LabelTable, LabelVolume, MaskFrames, MaskOptions, ReadOptions, Volume, ct_doubt};

use super::dicom::{read_overlay, read_series};
use crate::gpu::{Gpu, Texture};
use crate::scene::{Evidence, Modality, Preset, ScanInfo, Sidecar};
use crate::state::names::file_stem;
use crate::state::request::KnownStacks;
use crate::state::{ImageLayer, MaskLayer, MaskRole, ProbabilityLayer, Remedy, Source, UnloadedMask};
use crate::worker::{Failure, JobHandle};

/// Maximum size of a 4-D scan whose frames are all kept in memory, in bytes.
pub(super) const ALL_FRAMES: u64 = 1 << 30;

/// Resources for reading images.
#[derive(Clone)]
pub struct Reading<'a> {
    /// The adapter to upload to.
    pub gpu: Option<&'a Gpu>,
    /// The job that reads.
    pub handle: &'a JobHandle,
    /// DICOM series whose headers have been read.
    pub stacks: KnownStacks,
    /// The window shows the slices of a DICOM series while it loads.
    pub shows_slices: bool,
}

impl<'a> Reading<'a> {
    /// For reading in the background, without showing slices.
    pub fn new(gpu: Option<&'a Gpu>, handle: &'a JobHandle) -> Self {
        Self { gpu, handle, stacks: KnownStacks::default(), shows_slices: false }
    }
}

/// Reads one image, a NIfTI file or a DICOM series, and uploads it. `named` is the cohort's name for its modality. If
/// the cohort names a frame, the image is that frame.
///
/// # Errors
/// A file that cannot be read, or an upload that the device refuses.
pub fn read_image(
    file: &ImageFile,
    named: Option<&str>,
    one_of_several: bool,
    reading: &Reading<'_>,
    warnings: &mut Vec<String>,
) -> Result<ImageLayer, Failure> {
    let path = file.path.as_path();
    if is_dicom(path) {
        return read_series(file, named, one_of_several, reading, warnings);
    }
    let volume = match file.frame {
        Some(frame) => {
            let options = ReadOptions { frames: Frames::One(frame), ..ReadOptions::default() };
            Volume { file_frames: 1, ..Volume::read_with(path, &options)? }
        }
        None => all_frames(path)?,
    };
    warnings.extend(volume.warnings.iter().map(|w| format!("{}: {w}", path.display())));
    let lowest = volume.percentiles(0, &[0.0]).map(|p| p[0]);
    let mut info = ScanInfo::new(named, &file_stem(path), &sidecar(path, warnings), lowest);
    if info.modality == Modality::Ct
        && info.unit_from == Some(Evidence::Modality)
        && let Some(doubt) = ct_doubt(&volume)
    {
        let shown = "It is shown without a unit, and the CT presets do not fit it";
        warnings.push(format!("{}: {doubt}. {shown}", path.display()));
        info.set_unit(None);
    }
    // A channel of unknown modality keeps the cohort's name.
    let own_name = named.filter(|_| one_of_several && info.modality == Modality::Other).map(str::to_owned);
    let layer = layer_of(&Source::from(file), info, one_of_several, Arc::new(volume), 0, reading.gpu, warnings)?;
    Ok(ImageLayer { name: own_name.unwrap_or_else(|| layer.name.clone()), ..layer })
}

/// All frames if they fit into memory, else the first.
fn all_frames(path: &Path) -> Result<Volume, Failure> {
    let all = ReadOptions { frames: Frames::All, memory_budget: ALL_FRAMES };
    match Volume::read_with(path, &all) {
        Err(e) if matches!(e.kind(), ErrorKind::Memory { .. }) => Ok(Volume::read_with(path, &ReadOptions::default())?),
        other => Ok(other?),
    }
}

/// The content of the JSON file beside an image, if there is one. A file that cannot be used adds a warning.
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
/// An upload that the device refuses.
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
        dicom: None,
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

/// The image that a mask is read for.
#[derive(Clone, Copy)]
pub struct MaskTarget<'a> {
    /// Its voxels.
    pub volume: &'a Volume,
    /// The displayed frame.
    pub frame: usize,
    /// The file it was read from.
    pub path: &'a Path,
}

impl<'a> From<&'a ImageLayer> for MaskTarget<'a> {
    fn from(layer: &'a ImageLayer) -> Self {
        Self { volume: &layer.volume, frame: layer.frame, path: layer.path() }
    }
}

/// A mask read for an image.
pub enum ReadMask {
    /// It shares the voxel grid of the image.
    Layer(Box<MaskLayer>),
    /// It is on another grid, or its values are not labels.
    Unfit(UnloadedMask),
}

/// Reads a mask for the displayed frame of its image: the union of its files, as in training and evaluation. A mask
/// that the remedy has changed has no file.
///
/// # Errors
/// A file that cannot be read, or an upload that the device refuses.
pub fn read_mask(
    role: MaskRole,
    files: &[PathBuf],
    target: MaskTarget<'_>,
    remedy: Remedy,
    gpu: Option<&Gpu>,
    warnings: &mut Vec<String>,
) -> Result<ReadMask, Failure> {
    let MaskTarget { volume: image, frame, .. } = target;
    if let [file] = files
        && is_dicom(file)
    {
        return Ok(ReadMask::Layer(Box::new(read_overlay(role, file, target, gpu, warnings)?)));
    }
    let options = MaskOptions { threshold: remedy.threshold, ..MaskOptions::default() };
    let mut styles = LabelTable::default();
    if let Some(first) = files.first() {
        let (table, messages) = label_table_of_mask(first);
        warnings.extend(messages);
        styles = table;
    }
    if remedy.resample {
        let resampled = EditLabels::from_volume(&read_masks(files, &options)?.0.on_grid(&image.grid));
        let layer = MaskLayer { styles, new_styles: true, ..mask_layer(role, None, resampled, gpu)? };
        return Ok(ReadMask::Layer(Box::new(layer)));
    }
    let mut labels = match read_frames(files, image, options, warnings) {
        Ok(Some(labels)) => labels,
        Ok(None) => return Err(Failure::Error(format!("no file of the {} is named", role.word()))),
        Err(error) => return unfit(role, files, image, remedy, error).map(ReadMask::Unfit),
    };
    labels.show(frame);
    let path = files.first().filter(|_| !remedy.changes()).cloned();
    let layer = MaskLayer { styles, new_styles: true, ..mask_layer(role, path, labels, gpu)? };
    if remedy.changes() {
        return Ok(ReadMask::Layer(Box::new(layer)));
    }
    let more_files = files.get(1..).unwrap_or_default().to_vec();
    Ok(ReadMask::Layer(Box::new(MaskLayer { more_files, ..layer })))
}

/// The union of the files of a mask, in every frame; none without a file.
fn read_frames(
    files: &[PathBuf],
    image: &Volume,
    options: MaskOptions,
    warnings: &mut Vec<String>,
) -> engine::Result<Option<EditLabels>> {
    let masks = files.iter().map(|path| LabelVolume::read_frames_for(path, image, options));
    let masks = masks.collect::<engine::Result<Vec<_>>>()?;
    let mut labels: Option<EditLabels> = None;
    for frame in 0..masks.iter().map(MaskFrames::frames).max().unwrap_or_default() {
        let mut union: Option<LabelVolume> = None;
        for (path, mask) in files.iter().zip(&masks) {
            let region = mask.read(frame)?;
            let notes = region.notes.iter().map(|note| format!("{}: {note}", path.display()));
            notes.for_each(|note| {
                // A note that applies to all frames is given once.
                if !warnings.contains(&note) {
                    warnings.push(note);
                }
            });
            union = Some(match union {
                Some(labels) => with_region(labels, region.labels),
                None => region.labels,
            });
        }
        match (&mut labels, union) {
            (Some(labels), Some(union)) => labels.push_frame(&union)?,
            (labels, union) => *labels = union.map(|union| EditLabels::from_volume(&union)),
        }
    }
    Ok(labels)
}

/// A mask that does not fit its image, with the remedy.
///
/// # Errors
/// An error that has no remedy.
fn unfit(
    role: MaskRole,
    files: &[PathBuf],
    image: &Volume,
    remedy: Remedy,
    error: engine::Error,
) -> Result<UnloadedMask, Failure> {
    let (why, remedy) = match error.kind() {
        ErrorKind::Geometry { difference, .. } => {
            let remedy = Remedy { resample: true, ..remedy };
            (other_grid(files, image, difference, remedy)?, remedy)
        }
        ErrorKind::NotALabel { largest, .. } => {
            let threshold = Some(if *largest > 1.0 { largest / 2.0 } else { 0.5 });
            let why = "Its values are not labels, as in a soft mask. A threshold separates lesion from background.";
            (why.to_owned(), Remedy { threshold, ..remedy })
        }
        _ => return Err(error.into()),
    };
    Ok(UnloadedMask { role, files: files.to_vec(), why, details: error.to_string(), remedy: Some(remedy) })
}

/// How the grids of a mask and its image differ, in short sentences.
///
/// # Errors
/// A mask that cannot be read, or of which resampling would leave no lesion.
fn other_grid(files: &[PathBuf], image: &Volume, difference: &str, remedy: Remedy) -> Result<String, Failure> {
    let options = MaskOptions { threshold: remedy.threshold, ..MaskOptions::default() };
    let (mask, _) = read_masks(files, &options)?;
    let short = |grid: &Grid| {
        let ([x, y, z], [dx, dy, dz]) = (grid.shape, grid.spacing_mm());
        format!("{x}\u{d7}{y}\u{d7}{z} at {dx:.2}\u{d7}{dy:.2}\u{d7}{dz:.2} mm")
    };
    let (of_mask, of_image) = (short(&mask.grid), short(&image.grid));
    let sizes = if of_mask == of_image {
        format!("Both are {of_mask}.")
    } else {
        format!("Mask: {of_mask}. Image: {of_image}.")
    };
    let (own, kept) = (mask.volume_ml(), mask.clone().on_grid(&image.grid).volume_ml());
    if kept == 0.0 && own > 0.0 {
        let path = files.first().map_or(Path::new(""), PathBuf::as_path).display();
        let why = format!(
            "{path}: no lesion is left on the grid of the image. The lesions lie outside it or between its voxels. {sizes} \
             Choose the mask of this image."
        );
        return Err(Failure::Error(why));
    }
    Ok(format!(
        "The mask is on a different grid from the image: {difference}. {sizes} Resampled to the nearest voxel, {kept:.2} of \
         its {own:.2} ml lie in the image."
    ))
}

/// A mask's layer with its projection, uploaded.
///
/// # Errors
/// An upload that the device refuses.
pub fn mask_layer(
    role: MaskRole,
    path: Option<PathBuf>,
    labels: EditLabels,
    gpu: Option<&Gpu>,
) -> Result<MaskLayer, Failure> {
    let (texture, projection) = mask_textures(&labels, gpu)?;
    Ok(MaskLayer { path, texture, projection: Some(projection), ..MaskLayer::new(role, labels, 0) })
}

/// The projection of a mask from the front, and its texture.
pub type MaskProjection = (Arc<LabelVolume>, Option<Texture>);

/// The shown frame of a mask, uploaded, and its projection.
///
/// # Errors
/// An upload that the device refuses.
pub fn mask_textures(labels: &EditLabels, gpu: Option<&Gpu>) -> Result<(Option<Texture>, MaskProjection), Failure> {
    let shown = labels.to_volume();
    let projection = mask_projection(&shown, gpu)?;
    let texture = match gpu {
        Some(gpu) => Some(gpu.upload_labels(&shown)?),
        None => None,
    };
    Ok((texture, projection))
}

/// Projects a mask from the front and uploads the projection.
///
/// # Errors
/// An upload that the device refuses.
pub fn mask_projection(labels: &LabelVolume, gpu: Option<&Gpu>) -> Result<MaskProjection, Failure> {
    let projected = labels.max_projection(front_axis(&labels.grid))?;
    let texture = match gpu {
        Some(gpu) => Some(gpu.upload_labels(&projected)?),
        None => None,
    };
    Ok((Arc::new(projected), texture))
}

/// The stored axis nearest to front-back, along which the projection looks.
pub fn front_axis(grid: &Grid) -> usize {
    grid.orientation().axis.iter().position(|&axis| axis == 1).unwrap_or(1)
}

/// Reads a probability map on the grid of an image.
///
/// # Errors
/// A file that cannot be read, another grid, or values outside 0 to 1.
pub fn read_probability(path: &Path, image: &Volume) -> Result<ProbabilityLayer, Failure> {
    let volume = Volume::read(path)?;
    volume.grid.require_same(&image.grid, || format!("probability {} and its image", path.display()))?;
    let outside = volume.percentiles(0, &[0.0, 100.0]).is_none_or(|p| p[0] < 0.0 || p[1] > 1.0);
    if outside {
        return Err(Failure::Error(format!(
            "{}: not a probability map. Its values must be from 0 to 1.",
            path.display()
        )));
    }
    Ok(ProbabilityLayer { path: Some(path.to_path_buf()), volume: Arc::new(volume) })
}
