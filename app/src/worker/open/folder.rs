//! Finds out what a path names: the files of a patient by role, or a cohort.

use std::path::{Path, PathBuf};

use engine::Error;
use engine::cohort::{Cohort, ImageFile, scan_paths};
use engine::review::latest;
use engine::run::review::read;

use super::series::holds_dicom;
use crate::state::names::{file_stem, is_mask_name, is_segmentation_name};
use crate::state::{CaseList, ListedCase, Request, Review};
use crate::widget::distinctions;
use crate::worker::Failure;

/// The files of a request by role. Masks are recognised by name unless roles are given. If all files are masks, the
/// first one opens as an image.
pub(super) fn by_role(request: &Request) -> Request {
    if request.paths.is_empty() {
        return request.clone();
    }
    let all = || request.paths.iter().cloned();
    let mut masks: Vec<PathBuf> = Vec::new();
    let mut images: Vec<PathBuf> = Vec::new();
    if request.has_more_than_images() {
        images.extend(all());
    } else {
        (masks, images) = all().partition(|path| is_mask_name(path));
        if images.is_empty() {
            images.push(masks.remove(0));
        }
    }
    let discovered = Request {
        title: request.title.clone(),
        images: images.into_iter().map(|path| (None, ImageFile::new(path))).collect(),
        segmentation: newest_segmentation(&masks),
        reference: references(masks),
        ..Request::default()
    };
    request.over(discovered)
}

/// Content of a folder.
pub(super) enum FolderContents {
    Patient(Request),
    Cohort(CaseList),
}

/// Inspects a folder: the files of one patient are opened, several patients become the list of cases. Files in `named`
/// besides the folder belong to a single patient.
pub(super) fn inspect(folder: &Path, named: &Request) -> Result<FolderContents, Failure> {
    match Cohort::discover(folder) {
        Ok(cohort) if !named.has_more_than_images() => Ok(FolderContents::Cohort(case_list(cohort))),
        Ok(cohort) => match &case_list(cohort).cases[..] {
            [case] => Ok(FolderContents::Patient(named.over(case.request()))),
            cases => Err(Failure::Error(format!(
                "{} has {} patients: --mask, --truth, --probability and --slice need the scans of one patient",
                folder.display(),
                cases.len()
            ))),
        },
        Err(no_cohort) => {
            let (masks, images): (Vec<PathBuf>, Vec<PathBuf>) =
                scan_paths(folder).unwrap_or_default().into_iter().partition(|path| is_mask_name(path));
            if images.is_empty() {
                return Err(without_scans(folder, no_cohort));
            }
            let request = Request {
                title: folder.file_name().map(|n| n.to_string_lossy().into_owned()),
                images: images.into_iter().map(|path| (None, ImageFile::new(path))).collect(),
                segmentation: newest_segmentation(&masks),
                reference: references(masks),
                ..Request::default()
            };
            Ok(FolderContents::Patient(named.over(request)))
        }
    }
}

/// The error for a folder without NIfTI images. Its DICOM images, if any, have been looked for before.
fn without_scans(folder: &Path, no_cohort: Error) -> Failure {
    match (folder.is_dir(), holds_dicom(folder)) {
        (false, _) => no_cohort.into(),
        (true, true) => {
            Failure::Error(format!("{}: its DICOM files contain no image that can be opened.", folder.display()))
        }
        (true, false) => Failure::Error(format!("{no_cohort} Folders of DICOM images open too.")),
    }
}

/// The masks that are not saved segmentations.
fn references(masks: Vec<PathBuf>) -> Vec<PathBuf> {
    masks.into_iter().filter(|path| !is_segmentation_name(path)).collect()
}

/// Of several saved segmentations the last one by name: `ct_pred_2.nii.gz` was saved after `ct_pred.nii.gz`.
fn newest_segmentation(masks: &[PathBuf]) -> Option<PathBuf> {
    let segmentations = masks.iter().filter(|path| is_segmentation_name(path));
    segmentations.max_by_key(|path| (file_stem(path).len(), file_stem(path))).cloned()
}

fn case_list(cohort: Cohort) -> CaseList {
    let problems = cohort.problems.iter().map(|p| {
        let place = p.file.clone().or_else(|| p.case.clone()).unwrap_or_default();
        format!("{place}: {}", p.what)
    });
    let problems = cohort.left_out_summary().into_iter().chain(problems).collect();
    let distinct = distinctions(&cohort.cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>());
    let cases = cohort.cases.into_iter().zip(distinct).map(|(case, distinct)| ListedCase {
        images: case.images,
        masks: case.masks,
        segmentation: case.segmentation,
        name: case.id,
        distinct,
        ..ListedCase::default()
    });
    let review = verdicts(&cohort.root);
    CaseList { cases: cases.collect(), root: Some(cohort.root), problems, review, ..CaseList::default() }
}

/// The verdicts on the cases of a folder. A file that cannot be read gives a warning and no verdicts.
fn verdicts(root: &Path) -> Review {
    match read(root) {
        Ok(log) => Review { written: latest(&log.entries), warnings: log.warnings(), ..Review::default() },
        Err(error) => Review { warnings: vec![error.to_string()], ..Review::default() },
    }
}
