//! The images for a multi-modality network: those of the open case, and others in its folder.

use std::collections::BTreeMap;
use std::path::{Path, absolute};
use std::sync::Arc;

use engine::cohort::{Cohort, ImageFile, canonical_modality};
use engine::inspect::InspectedCase;

use super::prepare::{ShownImage, kind_of_file};
use crate::scene::Modality;
use crate::state::masking::{AllChannels, CaseKey};
use crate::state::{Document, ImageLayer};
use crate::worker::Failure;

/// Prepares the scan in all `modalities` of a network, in their order, on the grid of the shown image.
pub(super) fn prepare(
    document: &Document,
    shown: &ShownImage,
    key: &CaseKey,
    modalities: &[String],
) -> Result<AllChannels, Failure> {
    let found = find(document, modalities)?;
    // The shown image comes first and defines the grid.
    let mut images = vec![shown.image()?];
    let mut kinds = vec![shown.kind(&images[0])];
    for (modality, source) in modalities.iter().zip(&found.sources) {
        let (image, path) = match source {
            ChannelSource::Shown => continue,
            ChannelSource::Layer(layer) => (Arc::clone(&layer.volume), layer.path()),
            ChannelSource::File(file) => (Arc::new(file.read()?), file.path.as_path()),
        };
        image.require_numbers(path)?;
        kinds.push(kind_of_file(path, Some(modality), &image));
        images.push(image);
    }
    let case = InspectedCase::prepare(&images, &kinds, None, &key.preprocess, 0)?;
    // Those before the shown one are shifted by one from the network's order.
    let mut order: Vec<usize> = (1..images.len()).collect();
    order.insert(found.shown, 0);
    let (key, modalities) = (key.clone(), modalities.to_vec());
    Ok(AllChannels { key, modalities, shown: found.shown, case: Arc::new(case.reordered(&order)) })
}

/// Sources of the images.
struct ChannelSources<'a> {
    sources: Vec<ChannelSource<'a>>,
    /// The modality that is shown, by its index.
    shown: usize,
}

enum ChannelSource<'a> {
    Shown,
    Layer(&'a ImageLayer),
    File(ImageFile),
}

fn find<'a>(document: &'a Document, modalities: &[String]) -> Result<ChannelSources<'a>, Failure> {
    let files = beside(document.image().path());
    let mut missing = Vec::new();
    let mut sources = Vec::new();
    for modality in modalities.iter().map(|modality| canonical_modality(modality)) {
        let file = files.get(&modality);
        let is_it = |layer: &ImageLayer| named(layer) == modality || file.is_some_and(|file| is_file(layer, file));
        if is_it(document.image()) {
            sources.push(ChannelSource::Shown);
        } else if let Some(layer) = document.images.iter().find(|layer| is_it(layer)) {
            sources.push(ChannelSource::Layer(layer));
        } else if let Some(file) = file {
            sources.push(ChannelSource::File(file.clone()));
        } else {
            missing.push(modality);
        }
    }
    let needs = format!("the network was trained on {}", modalities.join(", "));
    if !missing.is_empty() {
        let why = format!("{needs}. Neither {} nor its folder has {}", document.title, missing.join(" or "));
        return Err(Failure::Error(why));
    }
    let shown = sources.iter().position(|source| matches!(source, ChannelSource::Shown));
    let shown = shown
        .ok_or_else(|| Failure::Error(format!("{needs}. Show one of these instead of {}", document.image().name)))?;
    Ok(ChannelSources { sources, shown })
}

/// The images of a file's case by modality, in a cohort layout: in the file's folder or its parent.
fn beside(path: &Path) -> BTreeMap<String, ImageFile> {
    let folders = path.ancestors().skip(1).take(2);
    let cases = folders.filter_map(|folder| Cohort::discover(folder).ok()).flat_map(|cohort| cohort.cases);
    let mut cases = cases.filter(|case| case.images.values().any(|image| same(&image.path, path)));
    let images = cases.next().map(|case| case.images).unwrap_or_default();
    images.into_iter().map(|(modality, file)| (canonical_modality(&modality), file)).collect()
}

/// Whether a layer was read from a file. Each frame of a 4-D file is an image of its own.
fn is_file(layer: &ImageLayer, file: &ImageFile) -> bool {
    same(&file.path, layer.path()) && layer.source.file().frame == file.frame
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || absolute(a).is_ok_and(|a| absolute(b).is_ok_and(|b| a == b))
}

/// The modality of an image, as a cohort names it.
fn named(layer: &ImageLayer) -> String {
    match &layer.info.modality {
        Modality::Mr(sequence) => canonical_modality(sequence),
        other => other.key(),
    }
}
