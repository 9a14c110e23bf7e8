//! Layouts with `imagesTr` and `labelsTr`: nnU-Net, the Medical Segmentation Decathlon, and HECKTOR 2022.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::dataset_json::DatasetInfo;
use super::listing::{NiftiFile, conversion_advice, list, other_format, scans_in};
use super::names::{Family, Role, split_suffix};
use super::session::patients;
use super::{Case, Cohort, DiscoverOptions, ExcludedScan, ImageFile, Layout, Problem};
use crate::volume::nifti::HeaderSummary;
use crate::{Error, Result};

/// Maximum number of datasets listed in a message.
const MAX_LISTED: usize = 8;

/// True for an nnU-Net folder: it has `imagesTr` or `imagesTs`.
pub(super) fn is_layout(root: &Path) -> bool {
    root.join("imagesTr").is_dir() || root.join("imagesTs").is_dir()
}

/// The folder of the dataset of which this is a folder of images, such as `Dataset001/imagesTs`.
pub(super) fn dataset_of(images: &Path) -> Option<PathBuf> {
    let images = std::path::absolute(images).ok()?;
    let is_part = images.file_name().is_some_and(|name| name == "imagesTr" || name == "imagesTs");
    images.parent().filter(|_| is_part).map(Path::to_path_buf)
}

/// The only dataset with `imagesTr` in the subfolders of a folder and their subfolders, such as `nnUNet_raw/Dataset001`.
///
/// # Errors
/// Several datasets, or one and other scans: their names would not say which channels and masks belong together.
pub(super) fn dataset_below(root: &Path) -> Result<Option<PathBuf>> {
    let subfolders = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir() && !is_hidden(path)).collect();
        folders.sort();
        folders
    };
    if is_layout(root) {
        return Ok(None);
    }
    let first = subfolders(root);
    let second = first.iter().filter(|folder| !is_layout(folder)).flat_map(|folder| subfolders(folder));
    let datasets: Vec<PathBuf> = first.iter().cloned().chain(second).filter(|folder| is_layout(folder)).collect();
    let [dataset] = &*datasets else {
        let name = |dataset: &PathBuf| dataset.strip_prefix(root).unwrap_or(dataset).display().to_string();
        let names: Vec<String> = datasets.iter().take(MAX_LISTED).map(name).collect();
        let more = if datasets.len() > MAX_LISTED { ", ..." } else { "" };
        let why = format!("contains {} datasets: {}{more}. Choose one of them", datasets.len(), names.join(", "));
        return if datasets.is_empty() { Ok(None) } else { Err(Error::file(root, why)) };
    };
    let others = list(root)?.folders.into_iter().find(|folder| !folder.path.starts_with(dataset));
    match others {
        None => Ok(Some(dataset.clone())),
        Some(other) => {
            let why = format!(
                "contains the dataset {} and other scans in {}. Choose one of them",
                dataset.display(),
                other.path.display()
            );
            Err(Error::file(root, why))
        }
    }
}

/// True for the folders that a listing leaves out.
fn is_hidden(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.') || name == "__MACOSX")
}

/// The number of channels that the names of a folder's images count, as in `A_0000`, `A_0001`, `B_0000`, `B_0001`; `None` if
/// four digits at the end may belong to the ids.
pub(crate) fn numbered_channels<'a>(stems: impl Iterator<Item = &'a str>) -> Option<usize> {
    let mut channels: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for stem in stems {
        let (id, channel) = split_channel(stem)?;
        channels.entry(id).or_default().insert(channel);
    }
    let mut sets = channels.into_values();
    let first = sets.next().filter(|set| set.len() > 1 && set.iter().copied().eq(0..set.len()))?;
    let others: Vec<BTreeSet<usize>> = sets.collect();
    (!others.is_empty() && others.iter().all(|set| *set == first)).then_some(first.len())
}

/// Finds the cases of such a folder.
///
/// # Errors
/// A folder without images; images whose numbers are neither channels nor ids.
pub(super) fn discover(root: &Path, info: &DatasetInfo, options: &DiscoverOptions) -> Result<Cohort> {
    let mut cohort = Cohort::new(root, Layout::NnUnet);
    let list = |folder: &str| {
        let folder = root.join(folder);
        if folder.is_dir() { scans_in(&folder) } else { Ok(Vec::new()) }
    };
    let part =
        |images, labels, held_out| Ok::<_, Error>(Part { images: list(images)?, labels: list(labels)?, held_out });
    let parts = [part("imagesTr", "labelsTr", false)?, part("imagesTs", "labelsTs", true)?];
    let numbered = parts.iter().all(Part::is_numbered);
    for part in parts {
        part.add_to(&mut cohort, info, options, numbered)?;
    }
    if cohort.cases.is_empty() {
        let other = ["imagesTr", "imagesTs"].iter().find_map(|folder| other_format(&root.join(folder)));
        let advice = conversion_advice(other.as_deref());
        let why = format!("no scans found here. {advice}Expected imagesTr/CASE_0000.nii.gz or imagesTr/ID__CT.nii.gz.");
        return Err(Error::file(root, why));
    }
    let named = patients(cohort.cases.iter().map(|case| case.id.as_str()));
    for case in &mut cohort.cases {
        (case.patient, case.session) = named.get(&case.id).cloned().unwrap_or_default();
    }
    Ok(cohort)
}

/// The files of `imagesTr` and `labelsTr`, or of `imagesTs`.
struct Part {
    images: Vec<NiftiFile>,
    labels: Vec<NiftiFile>,
    held_out: bool,
}

/// Interpretation of an image's name.
enum ImageName<'a> {
    /// `CASE_0000`.
    Channel(&'a str, usize),
    /// `ID__CT`.
    Hecktor(&'a str, String),
    /// `CASE`: the image has all channels.
    Whole(&'a str),
}

impl Part {
    fn name<'a>(&self, stem: &'a str, numbered: bool) -> ImageName<'a> {
        if let Some((id, Role::Image(modality), Family::Hecktor)) = split_suffix(stem) {
            return ImageName::Hecktor(id, modality);
        }
        match split_channel(stem) {
            Some((id, channel)) if numbered || self.has_label(id) => ImageName::Channel(id, channel),
            _ => ImageName::Whole(stem),
        }
    }

    fn has_label(&self, id: &str) -> bool {
        self.labels.iter().any(|label| label.stem == id)
    }

    /// True if four digits at the end of a name are a channel. They are part of the id if the masks have them too
    /// (`labelsTr/vert_0003`).
    fn is_numbered(&self) -> bool {
        let numbered = || self.images.iter().filter_map(|image| split_channel(&image.stem).map(|(id, _)| (image, id)));
        !numbered().any(|(image, id)| self.has_label(&image.stem) && !self.has_label(id))
    }

    fn add_to(self, cohort: &mut Cohort, info: &DatasetInfo, options: &DiscoverOptions, numbered: bool) -> Result<()> {
        self.check_channels(cohort, info, numbered)?;
        let mut cases: BTreeMap<String, Case> = BTreeMap::new();
        for file in &self.images {
            let (id, images) = match self.name(&file.stem, numbered) {
                ImageName::Channel(id, channel) => {
                    let modality = info.channels.get(&channel).cloned().unwrap_or_else(|| format!("{channel:04}"));
                    (id, vec![(modality, ImageFile::new(file.path.clone()))])
                }
                ImageName::Hecktor(id, modality) => {
                    cohort.layout = Layout::Hecktor;
                    (id, vec![(modality, ImageFile::new(file.path.clone()))])
                }
                ImageName::Whole(id) => (id, channels_of(file, info, options)),
            };
            let new = || Case { id: id.to_owned(), held_out: self.held_out, ..Case::default() };
            let case = cases.entry(id.to_owned()).or_insert_with(new);
            for (modality, image) in images {
                match case.images.entry(modality) {
                    Entry::Vacant(free) => drop(free.insert(image)),
                    Entry::Occupied(_) => {
                        let what = "skipped: a second file of the same modality";
                        cohort.problems.push(Problem::of_file(Some(&case.id), &file.path, what));
                    }
                }
            }
        }
        for label in self.labels {
            match cases.get_mut(&label.stem) {
                Some(case) if case.masks.is_empty() => case.masks.push(label.path),
                Some(_) => {
                    let what = "skipped: a second mask of the same case";
                    cohort.problems.push(Problem::of_file(Some(&label.stem), &label.path, what));
                }
                None => cohort.problems.push(Problem::of_file(None, &label.path, "skipped: a mask without an image")),
            }
        }
        for (id, case) in cases {
            if cohort.case(&id).is_some() {
                let file = case.images.values().next().map(|image| image.path.display().to_string());
                let what = "skipped: imagesTr has a case with the same id".to_owned();
                cohort.left_out.push(ExcludedScan::new(&id, "imagesTr has a case with the same id"));
                cohort.problems.push(Problem { case: Some(id), file, what });
            } else {
                cohort.cases.push(case);
            }
        }
        Ok(())
    }

    /// Refuses numbers that are not channels in `dataset.json`: they are probably part of the id.
    fn check_channels(&self, cohort: &Cohort, info: &DatasetInfo, numbered: bool) -> Result<()> {
        let unknown = |file: &&NiftiFile| match self.name(&file.stem, numbered) {
            ImageName::Channel(_, channel) => !info.channels.is_empty() && !info.channels.contains_key(&channel),
            _ => false,
        };
        let unknown: BTreeSet<&NiftiFile> = self.images.iter().filter(unknown).collect();
        let Some(first) = unknown.first() else { return Ok(()) };
        let names: Vec<String> = info.channels.iter().map(|(number, name)| format!("{number} ({name})")).collect();
        let why = format!(
            "the four digits at the end are not a channel of {}, which has {}. If they belong to the id, put the masks into \
             labelsTr under the same names, or append _0000 to the images",
            cohort.root.join(super::dataset_json::DATASET_JSON).display(),
            names.join(", ")
        );
        Err(Error::file(&first.path, why))
    }
}

/// Splits `CASE_0000`.
pub(super) fn split_channel(stem: &str) -> Option<(&str, usize)> {
    let (id, number) = stem.rsplit_once('_')?;
    let four_digits = number.len() == 4 && number.chars().all(|c| c.is_ascii_digit());
    (four_digits && !id.is_empty()).then(|| number.parse().ok().map(|channel| (id, channel))).flatten()
}

/// The channels of an image without a number: the frames of a 4-D image by the names of `dataset.json`, else one image. A
/// 4-D image that does not fit them is refused when it is read.
fn channels_of(file: &NiftiFile, info: &DatasetInfo, options: &DiscoverOptions) -> Vec<(String, ImageFile)> {
    let frames = HeaderSummary::read(&file.path).map_or(1, |header| header.frames);
    if options.frame.is_none() && frames > 1 && frames == info.channels.len() {
        let frame =
            |(frame, name): (usize, &String)| (name.clone(), ImageFile { path: file.path.clone(), frame: Some(frame) });
        return info.channels.values().enumerate().map(frame).collect();
    }
    let name = info.channels.get(&0).filter(|_| info.channels.len() == 1 || options.frame.is_some()).cloned();
    vec![(name.unwrap_or_else(|| "image".into()), ImageFile::new(file.path.clone()))]
}
