//! Reading and preparing a case from its files.

use std::path::Path;

use rand::Rng;

use super::config::{Kind, PreprocessConfig};
use super::ct::{CtReader, check_ct};
use super::prepare::{PreparedCase, prepare};
use super::targets::Targets;
use crate::cohort::{Case, ImageFile, with_region};
use crate::volume::{LabelVolume, MaskOptions, Volume};
use crate::{Error, Result, seed};

/// Reads the images of `modalities`, in this order, and the label if it exists and `with_label` is set.
///
/// The label may be on the grid of the first image or of any other image of the case: HECKTOR 2022 has labels on the
/// CT grid only. Masks are read with `masks`.
///
/// # Errors
/// If a modality is missing, a file is unreadable or an image is in colour, or the label is on no image's grid.
pub fn read_case(
    case: &Case,
    modalities: &[String],
    with_label: bool,
    masks: &MaskOptions,
) -> Result<(Vec<Volume>, Option<LabelVolume>)> {
    let files = modalities.iter().map(|modality| image_of(case, modality)).collect::<Result<Vec<_>>>()?;
    let images = files.iter().map(|file| file.read()).collect::<Result<Vec<_>>>()?;
    let label = match images.first() {
        Some(first) if with_label => read_label(case, (first, frame_of(files[0])), masks)?,
        _ => None,
    };
    Ok((images, label))
}

/// Reads and prepares a case. Background noise is drawn from `seed` and the case's id.
pub fn prepare_case(
    case: &Case,
    modalities: &[String],
    with_label: bool,
    targets: &Targets,
    cfg: &PreprocessConfig,
    seed: u64,
) -> Result<PreparedCase> {
    let (images, label) = read_case(case, modalities, with_label, &cfg.masks())?;
    let kinds: Vec<Kind> =
        images.iter().zip(modalities).map(|(image, modality)| Kind::of(modality, image, cfg.kind)).collect();
    for ((image, &kind), modality) in images.iter().zip(&kinds).zip(modalities) {
        check_ct(image, kind, cfg, &format!("{modality} of {}", case.id), CtReader::Training)?;
    }
    if let (Some(label), Some(path)) = (&label, case.masks.first()) {
        check_labels(path, label, *targets, cfg)?;
    }
    let noise_seed = seed::stream(seed, &format!("background of {}", case.id), &[]).next_u64();
    prepare(&images, &kinds, label.as_ref(), targets, cfg, noise_seed)
}

/// Refuses labels that are part of no region.
fn check_labels(path: &Path, label: &LabelVolume, targets: Targets, cfg: &PreprocessConfig) -> Result<()> {
    let unknown = targets.unknown(label, &cfg.label_map);
    if unknown.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = unknown.iter().map(u16::to_string).collect();
    let known = cfg.label_map.known();
    let why = format!("has no meaning for WT, TC and ET (known: {known}). Give a label map, or use binary targets");
    Err(Error::field(path, "label", list.join(", "), why))
}

fn image_of<'a>(case: &'a Case, modality: &str) -> Result<&'a ImageFile> {
    case.images.get(modality).ok_or_else(|| {
        let known: Vec<&str> = case.images.keys().map(String::as_str).collect();
        Error::config("modality", modality, format!("case {} has only {}", case.id, known.join(", ")))
    })
}

/// The frame of an image, for masks with one per frame.
fn frame_of(file: &ImageFile) -> usize {
    file.frame.unwrap_or(0)
}

/// The union of the case's masks on the grid of the first image, of which this frame is read; `None` without a mask.
fn read_label(case: &Case, first: (&Volume, usize), masks: &MaskOptions) -> Result<Option<LabelVolume>> {
    let mut union: Option<LabelVolume> = None;
    for path in &case.masks {
        let region = read_mask(case, path, first, masks)?;
        union = Some(match union {
            Some(mask) => with_region(mask, region),
            None => region,
        });
    }
    Ok(union)
}

/// A mask on the first image's grid, or else on that of another image of the case.
fn read_mask(case: &Case, path: &Path, (first, frame): (&Volume, usize), masks: &MaskOptions) -> Result<LabelVolume> {
    let misfit = match LabelVolume::read_frame_for(path, first, frame, masks) {
        Ok(mask) => {
            for note in mask.notes {
                tracing::warn!(case = case.id, "{}: {note}", path.display());
            }
            return Ok(mask.labels);
        }
        Err(error) => error,
    };
    for other in case.images.values() {
        if let Ok(image) = other.read()
            && let Ok(mask) = LabelVolume::read_frame_for(path, &image, frame_of(other), masks)
        {
            tracing::info!(
                case = case.id,
                "the mask is on the grid of another image and is resampled by world position"
            );
            return Ok(mask.labels);
        }
    }
    Err(misfit)
}
