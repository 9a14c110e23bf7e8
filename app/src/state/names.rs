//! Conventions of file names: which files are masks, and the name of a case.

use std::path::{Component, Path, PathBuf};

use engine::disk::atomic::PREVIOUS;
use engine::volume::dicom::{hashed_uid, split_selector};

use crate::scene::Modality;

/// Extensions of NIfTI files, longest first.
const ENDINGS: [&str; 6] = [".nii.gz", ".hdr.gz", ".img.gz", ".nii", ".hdr", ".img"];

/// Whether a file has a mask's name.
pub fn is_mask_name(path: &Path) -> bool {
    const WORDS: [&str; 13] = [
        "seg",
        "segmentation",
        "mask",
        "label",
        "labels",
        "gtvt",
        "gtv",
        "gtvn",
        "roi",
        "lesion",
        "truth",
        "pred",
        "prediction",
    ];
    last_word(path).is_some_and(|last| WORDS.contains(&last.as_str()))
}

/// Whether a mask has the name of an automatic segmentation, like those saved by this program.
pub fn is_segmentation_name(path: &Path) -> bool {
    last_word(path).is_some_and(|last| matches!(last.as_str(), "pred" | "prediction"))
}

/// The last word of a file's name, in lower case, before the number of a copy: `pred` of `ct_pred_2.nii.gz`.
fn last_word(path: &Path) -> Option<String> {
    let name = file_stem(path).to_lowercase();
    let is_number = |word: &&str| word.chars().all(|c| c.is_ascii_digit());
    name.split(|c: char| !c.is_alphanumeric()).rev().find(|word| !is_number(word)).map(str::to_owned)
}

/// Whether a path contains `..`, which only the disk can resolve.
pub fn has_parent_components(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

/// A file's name without its folder, or the name of a series, for messages.
#[must_use]
pub fn file_name(path: &Path) -> String {
    if let Some(series) = series_name(path) {
        return series;
    }
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// `ct_pred.nii.gz`, then `ct_pred_2.nii.gz` and so on: the first for which `exists` is false.
pub fn unused_path(path: &Path, exists: impl Fn(&Path) -> bool) -> PathBuf {
    if !exists(path) {
        return path.to_path_buf();
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The extension of a NIfTI file can have two parts.
    let length = ending(&name).map_or_else(|| path.extension().map_or(0, |e| e.len() + 1), str::len);
    let (stem, ending) = name.split_at(name.len() - length);
    let numbered = |n: u32| path.with_file_name(format!("{stem}_{n}{ending}"));
    // If all of these exist, the user is asked about overwriting anyway.
    (2..10_000).map(numbered).find(|path| !exists(path)).unwrap_or_else(|| path.to_path_buf())
}

/// Adds an extension to a path that has none.
pub fn with_ending(path: PathBuf, ending: &str) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.is_empty() || name.contains('.') { path } else { path.with_file_name(format!("{name}.{ending}")) }
}

/// Whether a path has the name of a NIfTI file, or of a replaced one. Does not access the disk.
pub fn is_nifti_name(path: &Path) -> bool {
    let name = path.to_string_lossy();
    ending(name.strip_suffix(PREVIOUS).unwrap_or(&name)).is_some()
}

fn ending(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    ENDINGS.into_iter().find(|ending| lower.ends_with(ending))
}

/// Display name of the series that a path selects in a DICOM folder; `None` for a file. A series that is only
/// distinguished by UID is named by a hash of it.
pub fn series_name(path: &Path) -> Option<String> {
    numbered_series(path, None)
}

/// As [`series_name`], but by the number of the series if it is known, even if the path selects by UID.
pub fn numbered_series(path: &Path, number: Option<i64>) -> Option<String> {
    let selector = split_selector(path).1?;
    let (name, part) = selector.split_once(':').map_or((selector, None), |(name, part)| (name, Some(part)));
    let by_path = || if name.contains('.') { hashed_uid(name) } else { name.to_owned() };
    let name = number.map_or_else(by_path, |number| number.to_string());
    Some(part.map_or_else(|| format!("series {name}"), |part| format!("series {name}:{part}")))
}

/// Whether a path names a DICOM file, or a series in a DICOM folder. Does not access the disk.
pub fn is_dicom_name(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    split_selector(path).1.is_some() || ending.is_some_and(|ending| ending == "dcm")
}

/// A file's name without NIfTI extension, or the name of a series.
pub fn file_stem(path: &Path) -> String {
    if let Some(series) = series_name(path) {
        return series;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let replaced = name.strip_suffix(PREVIOUS).unwrap_or(&name);
    match ending(replaced) {
        Some(ending) => replaced[..replaced.len() - ending.len()].to_owned(),
        None => name,
    }
}

/// The name of a case from its first file, with the folder's name if the file is named only by modality.
pub(crate) fn title_of(path: &Path) -> String {
    let stem = file_stem(path);
    let folder = path.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let only_modality = Modality::named(&stem).is_some() && stem.chars().all(char::is_alphanumeric);
    match folder {
        Some(folder) if only_modality => format!("{folder} {stem}"),
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_segmentations_are_recognised_by_name() {
        let kind = |name: &str| (is_mask_name(Path::new(name)), is_segmentation_name(Path::new(name)));
        assert_eq!(kind("STS_001_pet_pred.nii.gz"), (true, true));
        assert_eq!(kind("flair_pred_2.nii.gz"), (true, true));
        assert_eq!(kind("case_seg.nii.gz"), (true, false));
        assert_eq!(kind("flair_pred.nii.gz.previous"), (true, true));
        assert!(is_nifti_name(Path::new("flair_pred.nii.gz.previous")));
        assert_eq!(kind("predose_ct.nii.gz"), (false, false));
        assert_eq!(kind("case_0000.nii.gz"), (false, false));
    }

    #[test]
    fn a_free_name_has_a_number_before_the_extension() {
        let taken = ["/d/ct_pred.nii.gz", "/d/ct_pred_2.nii.gz", "/d/table.csv"];
        let free = |path: &str| unused_path(Path::new(path), |p| taken.iter().any(|t| p == Path::new(t)));
        assert_eq!(free("/d/ct_pred.nii.gz"), Path::new("/d/ct_pred_3.nii.gz"));
        assert_eq!(free("/d/table.csv"), Path::new("/d/table_2.csv"));
        assert_eq!(free("/d/new.nii"), Path::new("/d/new.nii"));
    }

    #[test]
    fn a_series_is_named_by_its_number_or_a_hash() {
        let name = |path: &str| series_name(Path::new(path));
        assert_eq!(name("/d/study/series:3").as_deref(), Some("series 3"));
        assert_eq!(name("/d/study/series:3:2").as_deref(), Some("series 3:2"));
        assert!(name("/d/study/series:1.2.840.99:2").is_some_and(|name| !name.contains("840") && name.ends_with(":2")));
        assert_eq!(name("/d/ct.nii.gz"), None);
        assert!(is_dicom_name(Path::new("/d/a.DCM")) && is_dicom_name(Path::new("/d/a.zip/series:1")));
        assert!(!is_dicom_name(Path::new("/d/ct.nii.gz")));
    }

    #[test]
    fn a_name_without_an_extension_gets_one() {
        assert_eq!(with_ending("/d/out".into(), "nii.gz"), Path::new("/d/out.nii.gz"));
        assert_eq!(with_ending("/d/out.nii".into(), "nii.gz"), Path::new("/d/out.nii"));
    }
}
