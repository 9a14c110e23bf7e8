//! What file names say: which files are masks, and what a case is called.

use std::path::Path;

use crate::scene::Modality;

/// Endings of NIfTI files, longest first.
const ENDINGS: [&str; 6] = [".nii.gz", ".hdr.gz", ".img.gz", ".nii", ".hdr", ".img"];

/// Whether a file's name says that it is a mask.
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
    let name = file_stem(path).to_lowercase();
    name.split(|c: char| !c.is_alphanumeric()).next_back().is_some_and(|last| WORDS.contains(&last))
}

/// Whether a mask's name says that it is an automatic segmentation.
pub fn is_segmentation_name(path: &Path) -> bool {
    file_stem(path).to_lowercase().contains("pred")
}

/// Whether a path ends like a NIfTI file. Asks the name alone, never the disk.
pub fn is_nifti_name(path: &Path) -> bool {
    ending(&path.to_string_lossy()).is_some()
}

fn ending(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    ENDINGS.into_iter().find(|ending| lower.ends_with(ending))
}

/// A file's name without the endings of NIfTI files.
pub fn file_stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match ending(&name) {
        Some(ending) => name[..name.len() - ending.len()].to_owned(),
        None => name,
    }
}

/// A case's name from its first file; with the folder's name where the file is named after its modality alone.
pub(crate) fn title_of(path: &Path) -> String {
    let stem = file_stem(path);
    let folder = path.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let only_modality = Modality::named(&stem).is_some() && stem.chars().all(char::is_alphanumeric);
    match folder {
        Some(folder) if only_modality => format!("{folder} {stem}"),
        _ => stem,
    }
}
