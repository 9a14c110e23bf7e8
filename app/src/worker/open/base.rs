//! Reads the base image of a case, whose grid the masks share, and the masks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::cohort::{ImageFile, label_map_of_scan};
use engine::findings::Comparison;
use engine::preprocess::{LabelMap, MapSource};
use engine::volume::{Relation, Volume};

use super::{ReadMask, Reading, read_image, read_mask};
use crate::scene::Modality;
use crate::state::names::file_stem;
use crate::state::{FindingList, ImageLayer, MaskLayer, MaskRole, Remedy, Request, UnloadedMask};
use crate::worker::{Failure, analyse};

/// The base image of a case with its masks, and what remains to be read.
pub(crate) struct Base {
    pub image: ImageLayer,
    pub masks: Vec<MaskLayer>,
    /// Findings of the masks. The case opens at the largest one.
    pub findings: Option<FindingList>,
    pub comparison: Option<Arc<Comparison>>,
    /// Masks that could not be read or do not fit. The image is shown without them.
    pub unloaded: Vec<UnloadedMask>,
    pub request: Request,
    /// Other images that were read: those that no mask fits, and the one to display.
    pub others: Vec<ImageLayer>,
    pub warnings: Vec<String>,
    /// The tumour part of each label value.
    pub label_map: (LabelMap, MapSource),
}

/// Reads the base image: the first one that the mask fits, else the first. A mask that fits none or cannot be read
/// never hides the image. The image of `modality` is read too, since it is the one to display.
pub(crate) fn read_base(
    mut request: Request,
    modality: Option<&Modality>,
    given: Option<&LabelMap>,
    reading: &Reading<'_>,
) -> Result<Base, Failure> {
    let Reading { gpu, handle, .. } = *reading;
    let mut warnings = Vec::new();
    let several = request.images.len() > 1;
    let mask = request.segmentation.as_ref().or(request.reference.first()).filter(|_| several);
    // A mask that cannot be read is reported below.
    let grid = mask.and_then(|mask| Volume::read_grid(mask).ok());
    let fits =
        |image: &ImageLayer| grid.as_ref().is_none_or(|grid| grid.relation(&image.volume.grid) != Relation::Different);
    let mut read = |named: &Option<String>, file: &ImageFile| {
        handle.progress(None, file_stem(&file.path));
        handle.check()?;
        read_image(file, named.as_deref(), several, reading, &mut warnings)
    };
    let mut images = Vec::new();
    for (named, file) in &request.images {
        images.push(read(named, file)?);
        if images.last().is_some_and(fits) {
            break;
        }
    }
    let base = if images.last().is_some_and(fits) { images.len() - 1 } else { 0 };
    if let Some((named, file)) = modality.and_then(|modality| of_modality(&request, modality))
        && !images.iter().any(|image| image.source.is(file))
    {
        images.push(read(named, file)?);
    }
    let first = request.images.remove(base);
    request.images.insert(0, first);
    let image = images.remove(base);
    let (mut masks, mut unloaded) = (Vec::new(), Vec::new());
    let files: [(MaskRole, Vec<PathBuf>); 2] = [
        (MaskRole::Segmentation, request.segmentation.iter().cloned().collect()),
        (MaskRole::Reference, request.reference.clone()),
    ];
    for (role, files) in files {
        if files.is_empty() {
            continue;
        }
        match read_mask(role, &files, (&image).into(), Remedy::default(), gpu, &mut warnings) {
            Ok(ReadMask::Layer(mask)) => masks.push(*mask),
            Ok(ReadMask::Unfit(mask)) => unloaded.push(mask),
            Err(Failure::Cancelled) => return Err(Failure::Cancelled),
            Err(failure) => {
                let why = failure.reason();
                unloaded.push(UnloadedMask { role, files, details: why.clone(), why, remedy: None });
            }
        }
    }
    handle.check()?;
    let labels = |role| masks.iter().find(|mask| mask.role == role).map(|mask| mask.labels.to_volume());
    let [segmentation, reference] = MaskRole::ALL.map(labels);
    let lesions = analyse::findings(segmentation.as_ref(), reference.as_ref());
    // The analysis of the opened case reports errors.
    let (findings, comparison) = lesions.unwrap_or_default();
    // A series lies in its folder, a zip archive beside the files around it.
    let beside = image.dicom.as_ref().map(|dicom| dicom.folder.join(&dicom.file_name));
    let label_map = match given {
        Some(map) => (map.clone(), MapSource::Given),
        None => label_map(&request, beside.as_deref().unwrap_or(image.path()), &mut warnings),
    };
    Ok(Base { image, masks, findings, comparison, unloaded, request, others: images, warnings, label_map })
}

/// The label map from the tables around the image, else a guess from the names of case and file. A table that cannot be
/// read adds a warning.
fn label_map(request: &Request, image: &Path, warnings: &mut Vec<String>) -> (LabelMap, MapSource) {
    let stem = file_stem(image);
    let names = [request.title.as_deref().unwrap_or(&stem), stem.as_str()];
    label_map_of_scan(image, &names).unwrap_or_else(|why| {
        warnings.push(why.to_string());
        LabelMap::guess(names.into_iter())
    })
}

/// The image of a modality, according to the cohort or the file name.
fn of_modality<'a>(request: &'a Request, modality: &Modality) -> Option<&'a (Option<String>, ImageFile)> {
    let is_it = |(named, file): &&(Option<String>, ImageFile)| {
        let by_name = named.as_deref().and_then(Modality::named).or_else(|| Modality::named(&file_stem(&file.path)));
        by_name.as_ref() == Some(modality)
    };
    request.images.iter().find(is_it)
}
