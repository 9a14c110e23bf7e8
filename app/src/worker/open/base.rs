//! Reading the image that everything lies on, with its masks.

use std::path::{Path, PathBuf};

use engine::cohort::label_map_of_scan;
use engine::preprocess::{LabelMap, MapSource};
use engine::volume::{Relation, Volume};

use super::{OtherGrid, ReadMask, read_image, read_mask};
use crate::gpu::Gpu;
use crate::scene::Modality;
use crate::state::names::file_stem;
use crate::state::{ImageLayer, MaskLayer, MaskRole, Request};
use crate::worker::{Failure, JobHandle};

/// The base image of a case with its masks, and what is still to be read.
pub(super) struct Base {
    pub image: ImageLayer,
    pub masks: Vec<MaskLayer>,
    /// Masks on other voxels, which can be resampled.
    pub other_grids: Vec<(MaskRole, Vec<PathBuf>, OtherGrid)>,
    /// Masks that could not be read. The image is shown without them.
    pub failed_masks: Vec<(PathBuf, Failure)>,
    pub request: Request,
    /// Images that were read beside the base image: those that no mask fits, and the one that is to be shown.
    pub others: Vec<ImageLayer>,
    pub warnings: Vec<String>,
    /// The tumour part of each label value.
    pub label_map: (LabelMap, MapSource),
}

/// Reads the image that everything lies on: the first, or the first that the mask fits. A mask that fits
/// none, or that cannot be read, never hides the image. The image of `modality` is read too: it is the one that is shown.
pub(super) fn read_base(
    mut request: Request,
    modality: Option<&Modality>,
    given: Option<&LabelMap>,
    gpu: Option<&Gpu>,
    handle: &JobHandle,
) -> Result<Base, Failure> {
    let mut warnings = Vec::new();
    let several = request.images.len() > 1;
    let mask = request.segmentation.as_ref().or(request.reference.first()).filter(|_| several);
    // A mask that cannot be read says so below.
    let grid = mask.and_then(|mask| Volume::read_grid(mask).ok());
    let fits =
        |image: &ImageLayer| grid.as_ref().is_none_or(|grid| grid.relation(&image.volume.grid) != Relation::Different);
    let mut read = |named: &Option<String>, path: &Path| {
        handle.progress(None, file_stem(path));
        handle.check()?;
        read_image(path, named.as_deref(), several, gpu, &mut warnings)
    };
    let mut images = Vec::new();
    for (named, path) in &request.images {
        images.push(read(named, path)?);
        if images.last().is_some_and(fits) {
            break;
        }
    }
    let base = if images.last().is_some_and(fits) { images.len() - 1 } else { 0 };
    if let Some((named, path)) = modality.and_then(|modality| of_modality(&request, modality))
        && !images.iter().any(|image| image.path() == path)
    {
        images.push(read(named, path)?);
    }
    let first = request.images.remove(base);
    request.images.insert(0, first);
    let image = images.remove(base);
    let (mut masks, mut other_grids, mut failed_masks) = (Vec::new(), Vec::new(), Vec::new());
    let files: [(MaskRole, Vec<PathBuf>); 2] = [
        (MaskRole::Segmentation, request.segmentation.iter().cloned().collect()),
        (MaskRole::Reference, request.reference.clone()),
    ];
    for (role, files) in files {
        let Some(first) = files.first().cloned() else { continue };
        match read_mask(role, &files, (&image.volume, image.frame), gpu, &mut warnings) {
            Ok(ReadMask::Layer(mask)) => masks.push(*mask),
            Ok(ReadMask::OtherGrid(why)) => other_grids.push((role, files, why)),
            Err(Failure::Cancelled) => return Err(Failure::Cancelled),
            Err(failure) => failed_masks.push((first, failure)),
        }
    }
    let label_map = match given {
        Some(map) => (map.clone(), MapSource::Given),
        None => label_map(&request, image.path(), &mut warnings),
    };
    Ok(Base { image, masks, other_grids, failed_masks, request, others: images, warnings, label_map })
}

/// By the tables around the image, else a guess from the names of case and file. A table that cannot be read is named.
fn label_map(request: &Request, image: &Path, warnings: &mut Vec<String>) -> (LabelMap, MapSource) {
    let stem = file_stem(image);
    let names = [request.title.as_deref().unwrap_or(&stem), stem.as_str()];
    label_map_of_scan(image, &names).unwrap_or_else(|why| {
        warnings.push(why.to_string());
        LabelMap::guess(names.into_iter())
    })
}

/// The image of a modality, by what the cohort or the file's name says.
fn of_modality<'a>(request: &'a Request, modality: &Modality) -> Option<(&'a Option<String>, &'a Path)> {
    let is_it = |(named, path): &&(Option<String>, PathBuf)| {
        let by_name = named.as_deref().and_then(Modality::named).or_else(|| Modality::named(&file_stem(path)));
        by_name.as_ref() == Some(modality)
    };
    request.images.iter().find(is_it).map(|(named, path)| (named, path.as_path()))
}
