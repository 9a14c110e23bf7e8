//! Layouts with `imagesTr` and `labelsTr`: nnU-Net, and HECKTOR 2022.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use serde::Deserialize;

use super::listing::{Scan, scans_in};
use super::names::{Family, Role, split_suffix};
use super::{Case, Cohort, Layout, Problem};
use crate::{Error, Result};

/// Largest `dataset.json` that is read: the real ones list a few thousand files.
const JSON_BYTES: u64 = 64 << 20;

/// The part of `dataset.json` that matters here: version 1 says `modality`, version 2 `channel_names`.
#[derive(Deserialize, Default)]
struct Dataset {
    #[serde(alias = "modality", default)]
    channel_names: BTreeMap<String, String>,
}

/// Reads such a folder; `None` if it has no `imagesTr` or `imagesTs`.
pub(super) fn discover(root: &Path) -> Result<Option<Cohort>> {
    if !root.join("imagesTr").is_dir() && !root.join("imagesTs").is_dir() {
        return Ok(None);
    }
    let mut cohort = Cohort { root: root.to_path_buf(), layout: Layout::NnUnet, cases: vec![], problems: vec![] };
    let channels = channel_names(root)?;
    for (images, labels, held_out) in [("imagesTr", "labelsTr", false), ("imagesTs", "labelsTs", true)] {
        let (images, labels) = (root.join(images), root.join(labels));
        let list = |folder: &Path| if folder.is_dir() { scans_in(folder) } else { Ok(Vec::new()) };
        let (images, labels) = (list(&images)?, list(&labels)?);
        group(&mut cohort, &channels, images, labels, held_out);
    }
    if cohort.cases.is_empty() {
        return Err(Error::file(root, "imagesTr holds no image named CASE_0000.nii.gz or ID__CT.nii.gz"));
    }
    Ok(Some(cohort))
}

/// Names of the channels by number; none without a `dataset.json`.
fn channel_names(root: &Path) -> Result<BTreeMap<usize, String>> {
    let path = root.join("dataset.json");
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    let length = std::fs::metadata(&path).map_err(Error::io("read", &path))?.len();
    if length > JSON_BYTES {
        return Err(Error::file(
            &path,
            format!("{length} bytes is too large for a dataset.json; at most {JSON_BYTES} are read"),
        ));
    }
    let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
    let dataset: Dataset = serde_json::from_slice(&text).map_err(|e| Error::file(&path, e.to_string()))?;
    let named = |(number, name): (String, String)| number.parse().ok().map(|n: usize| (n, name.to_lowercase()));
    let names: BTreeMap<usize, String> = dataset.channel_names.into_iter().filter_map(named).collect();
    let mut counts = BTreeMap::new();
    for name in names.values() {
        *counts.entry(name.clone()).or_insert(0) += 1;
    }
    // Names that stand twice ("MRI", "MRI") are told apart by their number.
    let unique = |(number, name): (usize, String)| {
        let name = if counts[&name] > 1 { format!("{name}_{number:04}") } else { name };
        (number, name)
    };
    Ok(names.into_iter().map(unique).collect())
}

/// What an image's name says: its case, its modality, and whether it follows HECKTOR 2022.
fn image_name(stem: &str, channels: &BTreeMap<usize, String>) -> Option<(String, String, bool)> {
    if let Some((id, number)) = stem.rsplit_once('_')
        && !id.is_empty()
        && number.len() == 4
        && let Ok(channel) = number.parse::<usize>()
    {
        let modality = channels.get(&channel).cloned().unwrap_or_else(|| number.to_owned());
        return Some((id.to_owned(), modality, false));
    }
    match split_suffix(stem) {
        Some((id, Role::Image(modality), Family::Hecktor)) => Some((id.to_owned(), modality, true)),
        _ => None,
    }
}

fn group(
    cohort: &mut Cohort,
    channels: &BTreeMap<usize, String>,
    images: Vec<Scan>,
    labels: Vec<Scan>,
    held_out: bool,
) {
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    let mut report = |case: Option<&str>, scan: &Scan, what: &str| {
        let (case, file) = (case.map(str::to_owned), Some(scan.path.display().to_string()));
        cohort.problems.push(Problem { case, file, what: what.to_owned() });
    };
    for scan in images {
        let Some((id, modality, hecktor)) = image_name(&scan.stem, channels) else {
            report(None, &scan, "skipped: the file name has no channel. Expected CASE_0000.nii.gz or ID__CT.nii.gz");
            continue;
        };
        if hecktor {
            cohort.layout = Layout::Hecktor;
        }
        let case = cases.entry(id.clone()).or_insert_with(|| Case { id, held_out, ..Case::default() });
        match case.images.entry(modality) {
            Entry::Vacant(free) => drop(free.insert(scan.path)),
            Entry::Occupied(_) => report(Some(&case.id), &scan, "skipped: a second file of the same modality"),
        }
    }
    for scan in labels {
        match cases.get_mut(&scan.stem) {
            Some(case) if case.label.is_none() => case.label = Some(scan.path),
            Some(_) => report(Some(&scan.stem), &scan, "skipped: a second mask of the same case"),
            None => report(None, &scan, "skipped: a mask without an image"),
        }
    }
    for (id, case) in cases {
        if cohort.cases.iter().any(|other| other.id == id) {
            let file = case.images.values().next().map(|p| p.display().to_string());
            let what = "skipped: imagesTr has a case with the same id".to_owned();
            cohort.problems.push(Problem { case: Some(id), file, what });
        } else {
            cohort.cases.push(case);
        }
    }
}
