//! Lists the scans under a folder, for cohorts, for scans to segment and for segmentations to evaluate.
//!
//! It leaves out everything that is not a user's scan: hidden files and `AppleDouble` companions (`._scan.nii.gz`), `__MACOSX`,
//! run folders, corrected masks, probabilities and finished masks of `amlp segment`. Each folder is visited once, so links
//! cannot loop.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::corrections::Corrections;
use super::names::composed;
use crate::disk::RUN_CONFIG;
use crate::volume::dicom::{self, Library, Overlay};
use crate::volume::seg::open_segmentation;
use crate::{Error, Result};

/// Depth to which folders are searched: `root/derivatives/labels/sub-1/ses-1/anat/file` and one more.
const DEPTH: usize = 6;

/// Extensions of NIfTI files with a header. The `.img` of a pair belongs to its `.hdr`.
const ENDINGS: [&str; 4] = [".nii.gz", ".nii", ".hdr.gz", ".hdr"];

/// Ending of the SEGs that `amlp segment` writes.
pub(super) const SEG_ENDING: &str = ".dcm";

/// Extensions of image formats that are not read.
const OTHER_FORMATS: [&str; 6] = ["nrrd", "nhdr", "mha", "mhd", "mgz", "mgh"];

/// Files with other names that are sampled to detect DICOM.
const SAMPLES: usize = 4;

/// Stem that a DICOM segmentation gets, which is a mask whatever its file name.
const MASK: &str = "seg";

/// Extension of the record that `amlp segment` writes for a finished mask.
const RECORD: &str = ".segmented.json";

/// A NIfTI file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NiftiFile {
    /// Its path.
    pub path: PathBuf,
    /// The file name without its extension.
    pub stem: String,
}

/// The scans of one folder, by name.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub path: PathBuf,
    pub files: Vec<NiftiFile>,
}

/// The scans under a folder.
pub(super) struct Listing {
    /// Every folder with scans, by path.
    pub folders: Vec<Folder>,
    /// Folders that were not searched, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
    /// An image of a format that is not read, if there is one.
    pub other_format: Option<PathBuf>,
}

/// Says to convert an image of a format that is not read; empty without one.
pub(super) fn conversion_advice(image: Option<&Path>) -> String {
    let name = image.and_then(Path::file_name).map(|name| name.to_string_lossy());
    name.map(|name| format!("{name} is not NIfTI. Convert such files to .nii.gz. ")).unwrap_or_default()
}

/// An image of a format that is not read, directly in a folder.
pub(super) fn other_format(folder: &Path) -> Option<PathBuf> {
    entries(folder).ok()?.other_format()
}

/// The name without its NIfTI extension; `None` for other and hidden files.
pub(crate) fn stem(name: &str) -> Option<&str> {
    let lower = name.to_ascii_lowercase();
    let length = ENDINGS.iter().find_map(|ending| lower.strip_suffix(ending))?.len();
    (length > 0 && !name.starts_with('.')).then(|| &name[..length])
}

/// True for the name of probabilities that `amlp segment` writes: `CASE_prob`, `CASE_prob_REGION`.
fn is_probability(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    stem.ends_with("_prob") || ["_prob_wt", "_prob_tc", "_prob_et"].iter().any(|ending| stem.ends_with(ending))
}

/// The scans directly in a folder, by name, without masks that `amlp segment` made there.
pub(crate) fn scans_in(folder: &Path) -> Result<Vec<NiftiFile>> {
    Ok(entries(folder)?.without_outputs())
}

/// The files of the scans directly in a folder, by name.
///
/// # Errors
/// A folder that cannot be listed.
pub fn scan_paths(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(scans_in(folder)?.into_iter().map(|file| file.path).collect())
}

/// The masks directly in a folder, by name, including those of `amlp segment`. DICOM SEGs are named `CASE.dcm`.
pub(crate) fn masks_in(folder: &Path) -> Result<Vec<NiftiFile>> {
    let mut masks = entries(folder)?.files;
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))?.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if let Some(stem) = name.strip_suffix(SEG_ENDING).filter(|_| open_segmentation(&path).is_some()) {
            masks.push(NiftiFile { stem: composed(stem), path });
        }
    }
    masks.sort();
    Ok(masks)
}

/// Lists the scans under `root`, itself included.
pub(super) fn list(root: &Path) -> Result<Listing> {
    let mut listing = Listing { folders: Vec::new(), skipped: Vec::new(), other_format: None };
    // A link to a parent of the root would list everything beside the root too.
    let above = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let mut visited: BTreeSet<PathBuf> = above.ancestors().skip(1).map(Path::to_path_buf).collect();
    let mut level = vec![root.to_path_buf()];
    for depth in 0..=DEPTH {
        let mut next = Vec::new();
        for path in level {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if depth > 0 && (path.join(RUN_CONFIG).is_file() || Corrections::is_folder(&path)) {
                continue;
            }
            if !visited.insert(real) {
                listing
                    .skipped
                    .push((path, "is a link to a folder that is already listed or contains this one".into()));
                continue;
            }
            let mut found = match entries(&path) {
                Ok(found) => found,
                Err(error) if depth > 0 => {
                    listing.skipped.push((path, error.to_string()));
                    continue;
                }
                Err(error) => return Err(error),
            };
            listing.other_format = listing.other_format.or_else(|| found.other_format());
            let (volumes, masks) = dicom_volumes(&path, &found.others, &mut listing.skipped);
            // A folder of slices is one image of the patient of its parent folder, and a folder with one segmentation is the
            // mask. Next to folders of slices, the segmentation is in the patient's folder.
            let parent = if depth > 1 { path.parent().unwrap_or(&path) } else { &path };
            let folder_of_masks = if volumes.is_empty() && !found.folders.is_empty() { &path } else { parent };
            for (owner, files) in [(parent, volumes), (folder_of_masks, masks)] {
                if !files.is_empty() {
                    listing.folders.push(Folder { path: owner.to_path_buf(), files });
                }
            }
            next.append(&mut found.folders);
            let files = found.without_outputs();
            if !files.is_empty() {
                listing.folders.push(Folder { path, files });
            }
        }
        level = next;
    }
    listing.skipped.extend(level.into_iter().map(|path| (path, "is nested too deep and was not searched".into())));
    listing.folders.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

/// The volumes among the DICOM files directly in a folder, named by modality and, for MR, by the series description, and its
/// SEGs and RTSTRUCTs, newest first.
fn dicom_volumes(
    folder: &Path,
    others: &[PathBuf],
    skipped: &mut Vec<(PathBuf, String)>,
) -> (Vec<NiftiFile>, Vec<NiftiFile>) {
    if !others.iter().any(|path| dicom::is_dicom(path)) {
        return Default::default();
    }
    let library = match Library::of_folder(folder) {
        Ok(library) => library,
        Err(error) => {
            skipped.push((folder.to_path_buf(), error.to_string()));
            return Default::default();
        }
    };
    let (mut files, mut overlays) = (Vec::new(), Vec::<Overlay>::new());
    for series in library.series() {
        match series.overlays() {
            Ok(found) => overlays.extend(found),
            Err(error) => skipped.push((folder.to_path_buf(), error.to_string())),
        }
        for (at, stack) in series.stacks.iter().enumerate().filter(|(_, stack)| stack.is_stackable()) {
            let path = dicom::with_series(folder, &library.selector(series, at));
            files.push(NiftiFile { path, stem: modality_name(&series.modality, &series.description) });
            skipped.extend(stack.warnings().into_iter().map(|warning| (folder.to_path_buf(), warning)));
        }
    }
    overlays.sort_by(|a, b| b.made.cmp(&a.made));
    let mask = |overlay: &Overlay| NiftiFile { path: overlay.path().to_owned(), stem: MASK.to_owned() };
    (files, overlays.iter().map(mask).collect())
}

/// The name of a modality as cohorts use it: `ct`, `pt`, of an MR series `flair`, `t1ce`, `t1`, `t2`, ..., else `mr`.
pub fn modality_name(modality: &str, description: &str) -> String {
    let words = description.to_lowercase();
    let has = |words_of: &[&str]| words_of.iter().any(|word| words.contains(word));
    let name = match modality {
        "MR" if is_flair(&words) => "flair",
        "MR" if has(&["adc"]) => "adc",
        "MR" if has(&["dwi", "diff"]) => "dwi",
        "MR" if has(&["swi"]) => "swi",
        "MR" if has(&["t1"]) && is_enhanced(&words) => "t1ce",
        "MR" if has(&["t1"]) => "t1",
        "MR" if has(&["t2"]) => "t2",
        other => return other.to_lowercase(),
    };
    name.to_owned()
}

/// True if a description in lower case names FLAIR, by any vendor's name. `T1 FLAIR` is a T1 sequence.
fn is_flair(description: &str) -> bool {
    let names = ["flair", "dark-fluid", "dark fluid", "darkfluid", "dark_fluid"];
    let flair = names.iter().filter_map(|name| description.find(name)).min();
    flair.is_some_and(|flair| description.find("t1").is_none_or(|t1| flair < t1))
}

/// True if a description in lower case names a contrast agent. It must be a word of its own, or one with `t1` before it:
/// `ce` is also a part of `space` and `slice`.
fn is_enhanced(description: &str) -> bool {
    const AGENTS: [&str; 9] = ["ce", "gd", "gad", "gado", "gadolinium", "km", "post", "postcontrast", "postgd"];
    let mut words = description.split(|c: char| !c.is_alphanumeric());
    let names_agent = |word: &str| match word.rsplit_once("t1") {
        Some((_, rest)) => rest == "c" || AGENTS.contains(&rest),
        None => AGENTS.contains(&word),
    };
    description.contains("+c") || words.any(names_agent)
}

/// The entries of a folder, without subfolders' contents.
#[derive(Default)]
struct Entries {
    files: Vec<NiftiFile>,
    /// The first files of other names, which may be DICOM.
    others: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    /// Cases that `amlp segment` finished here.
    segmented: BTreeSet<String>,
}

impl Entries {
    fn other_format(&self) -> Option<PathBuf> {
        let is_other = |path: &&PathBuf| {
            path.extension().is_some_and(|own| OTHER_FORMATS.iter().any(|other| own.eq_ignore_ascii_case(other)))
        };
        self.others.iter().find(is_other).cloned()
    }

    fn without_outputs(self) -> Vec<NiftiFile> {
        let segmented = self.segmented;
        self.files.into_iter().filter(|file| !segmented.contains(&file.stem)).collect()
    }
}

fn entries(folder: &Path) -> Result<Entries> {
    let mut found = Entries::default();
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let Some(name) = path.file_name().map(|n| n.to_string_lossy().into_owned()) else { continue };
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        if path.is_dir() {
            found.folders.push(path);
        } else if let Some(case) = name.strip_suffix(RECORD) {
            found.segmented.insert(composed(case));
        } else if let Some(stem) = stem(&name).filter(|stem| !is_probability(stem)) {
            found.files.push(NiftiFile { stem: composed(stem), path });
        } else if found.others.len() < SAMPLES && stem(&name).is_none() {
            found.others.push(path);
        }
    }
    found.files.sort();
    found.folders.sort();
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::cohort::test_files::touch;

    fn names(root: &Path) -> Vec<String> {
        let folders = list(root).unwrap().folders;
        let files = folders.iter().flat_map(|folder| &folder.files);
        files.map(|file| file.path.strip_prefix(root).unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn hidden_files_run_folders_and_outputs_of_amlp_are_not_listed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, &["p0/flair.nii.gz", "p0/._flair.nii.gz", "__MACOSX/p0/._flair.nii.gz", ".git/x.nii", "p0/b.HDR"]);
        touch(root, &["p0/b.IMG", "p0/notes.txt", "runs/fine/config.toml", "runs/fine/evaluation/P1.nii.gz"]);
        touch(
            root,
            &[
                "masks/P1.nii.gz",
                "p1/P1_prob.nii",
                "masks/P1_prob.nii.gz",
                "masks/P1_prob_WT.nii.gz",
                "masks/P1.segmented.json",
            ],
        );
        assert_eq!(names(root), ["p0/b.HDR", "p0/flair.nii.gz"]);
        let masks: Vec<String> = masks_in(&root.join("masks")).unwrap().into_iter().map(|file| file.stem).collect();
        assert_eq!(masks, ["P1"]);
    }

    #[test]
    fn series_are_named_by_modality_and_description() {
        let name = |modality, description| modality_name(modality, description);
        assert_eq!([name("CT", "T1"), name("PT", "WB"), name("MR", "survey")], ["ct", "pt", "mr"]);
        assert_eq!([name("MR", "AX T2 FLAIR"), name("MR", "t1_mprage +C"), name("MR", "T2w")], ["flair", "t1ce", "t2"]);
        for flair in ["t2_tirm_tra_dark-fluid", "FLAIR registered to T1"] {
            assert_eq!(name("MR", flair), "flair", "{flair}");
        }
        for enhanced in ["T1_CE", "AXT1POST", "T1 post Gd", "t1c", "sag T1 mit KM"] {
            assert_eq!(name("MR", enhanced), "t1ce", "{enhanced}");
        }
        for plain in ["T1 SPACE sag", "t1 ref slice", "T1 posterior fossa", "T1 C spine", "T1 10km", "Ax T1 FLAIR"] {
            assert_eq!(name("MR", plain), "t1", "{plain}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_loop() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, &["p0/flair.nii.gz"]);
        std::os::unix::fs::symlink(root, root.join("p0/up")).unwrap();
        assert_eq!(names(root), ["p0/flair.nii.gz"]);
        assert_eq!(list(root).unwrap().skipped.len(), 1);
        // A link out of the folder, to one that contains it.
        let cohort = root.join("cohort");
        touch(&cohort, &["p1/flair.nii.gz"]);
        std::os::unix::fs::symlink("..", cohort.join("all")).unwrap();
        assert_eq!(names(&cohort), ["p1/flair.nii.gz"]);
        let [(skipped, why)] = &*list(&cohort).unwrap().skipped else { panic!("one folder is skipped") };
        assert!(skipped.ends_with("all") && why.contains("contains this one"), "{why}");
    }
}
