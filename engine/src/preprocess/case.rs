//! Reading and preparing a case from its files.

use std::path::Path;

use rand::Rng;

use super::config::{Kind, PreprocessConfig, Targets};
use super::prepare::{PreparedCase, prepare};
use crate::cohort::{Case, ImageFile, with_region};
use crate::volume::{LabelVolume, Volume};
use crate::{Error, Result, seed};

/// Reads the images of `modalities`, in this order, and the label if the case has one and `with_label` is set.
///
/// The label may be on the grid of the first image or of any other image of the case: HECKTOR 2022 has labels on the
/// CT grid only.
///
/// # Errors
/// If a modality is missing, a file is unreadable or an image is in colour, or the label is on no image's grid.
pub fn read_case(case: &Case, modalities: &[String], with_label: bool) -> Result<(Vec<Volume>, Option<LabelVolume>)> {
    let images =
        modalities.iter().map(|modality| image_of(case, modality)?.read()).collect::<Result<Vec<_>>>()?;
    let label = match images.first() {
        Some(first) if with_label => read_label(case, first)?,
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
    let (images, label) = read_case(case, modalities, with_label)?;
    let kinds: Vec<Kind> = (images.iter().zip(modalities))
        .map(|(image, modality)| {
            // Decode the values only if the name does not determine the kind.
            Kind::named(modality, cfg.kind).unwrap_or_else(|| Kind::of(modality, &image.to_f32(), cfg.kind))
        })
        .collect();
    let noise_seed = seed::stream(seed, &format!("background of {}", case.id), &[]).next_u64();
    prepare(&images, &kinds, label.as_ref(), targets, cfg, noise_seed)
}

fn image_of<'a>(case: &'a Case, modality: &str) -> Result<&'a ImageFile> {
    case.images.get(modality).ok_or_else(|| {
        let known: Vec<&str> = case.images.keys().map(String::as_str).collect();
        Error::config("modality", modality, format!("case {} has only {}", case.id, known.join(", ")))
    })
}

/// The union of the case's masks on the first image's grid; `None` without a mask.
fn read_label(case: &Case, first: &Volume) -> Result<Option<LabelVolume>> {
    let mut union: Option<LabelVolume> = None;
    for path in &case.masks {
        let region = read_mask(case, path, first)?;
        union = Some(match union {
            Some(mask) => with_region(mask, region),
            None => region,
        });
    }
    Ok(union)
}

/// A mask on the first image's grid, or else on that of another image of the case.
fn read_mask(case: &Case, path: &Path, first: &Volume) -> Result<LabelVolume> {
    let misfit = match LabelVolume::read_for(path, first) {
        Ok((label, warnings)) => {
            for warning in warnings {
                tracing::warn!(case = case.id, "{warning}");
            }
            return Ok(label);
        }
        Err(error) => error,
    };
    for other in case.images.values() {
        if let Ok(image) = other.read()
            && let Ok((label, _)) = LabelVolume::read_for(path, &image)
        {
            tracing::info!(
                case = case.id,
                "the mask is on the grid of another image and is resampled by world position"
            );
            return Ok(label);
        }
    }
    Err(misfit)
}
