//! Finds the patients in a folder: one folder per patient, BraTS, HECKTOR, nnU-Net.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::listing::{Folder, Scan, folders};
use super::names::{Family, Role, is_known_name, split_suffix, whole_name};
use super::{Case, Cohort, Layout, Problem, nnunet};
use crate::{Error, Result};

pub(super) fn discover(root: &Path) -> Result<Cohort> {
    if !root.is_dir() {
        let why = if root.exists() { "is a file. Choose the folder that holds the patients" } else { "does not exist" };
        return Err(Error::file(root, why));
    }
    if let Some(cohort) = nnunet::discover(root)? {
        return Ok(cohort);
    }
    let folders = folders(root)?;
    let mut cohort =
        Cohort { root: root.to_path_buf(), layout: Layout::FolderAPatient, cases: vec![], problems: vec![] };
    let mut found = Vec::new();
    for folder in &folders {
        found.extend(cases_of(folder, root, &mut cohort.problems));
    }
    let layouts = [Layout::FolderAPatient, Layout::Brats, Layout::Hecktor];
    let count = |layout: &Layout| found.iter().filter(|f| f.layout == *layout).count();
    if let Some(layout) = layouts.into_iter().rev().max_by_key(count) {
        cohort.layout = layout;
    }
    name_by_folder(&mut found);
    // Of duplicates the first by path stays, so that a copy in a subfolder never wins.
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for Found { case, .. } in found {
        if taken.insert(case.id.clone()) {
            cohort.cases.push(case);
        } else {
            let file = case.images.values().chain(&case.label).next().map(|p| p.display().to_string());
            let what = "skipped: another folder has a case with the same id".to_owned();
            cohort.problems.push(Problem { case: Some(case.id), file, what });
        }
    }
    if cohort.cases.is_empty() {
        let expected = "Expected one folder per patient with .nii.gz files, ID_t1.nii.gz, ID_ct.nii.gz or \
                        imagesTr/CASE_0000.nii.gz.";
        return Err(Error::file(root, format!("no scans found here. {expected}")));
    }
    Ok(cohort)
}

/// A case and where it came from.
struct Found {
    case: Case,
    layout: Layout,
    /// The name of its folder, and whether it is the only case there.
    folder: String,
    alone: bool,
}

/// The cases in one folder: several of them by suffixed names, or one whose files are named by their modality.
fn cases_of(folder: &Folder, root: &Path, problems: &mut Vec<Problem>) -> Vec<Found> {
    let suffixed = folder.scans.iter().filter(|s| split_suffix(&s.stem).is_some()).count();
    let known = folder.scans.iter().any(|s| is_known_name(&s.stem));
    let at_root = folder.path == root;
    if suffixed > 0 && !known {
        return suffixed_cases(folder, problems);
    }
    if at_root && !known {
        for scan in &folder.scans {
            report(problems, None, scan, "skipped: the file name matches no known layout");
        }
        return Vec::new();
    }
    one_patient(folder, problems)
}

fn report(problems: &mut Vec<Problem>, case: Option<&str>, scan: &Scan, what: &str) {
    let (case, file) = (case.map(str::to_owned), Some(scan.path.display().to_string()));
    problems.push(Problem { case, file, what: what.to_owned() });
}

/// A patient's own folder. Without a single image (a folder of masks) it is no patient.
fn one_patient(folder: &Folder, problems: &mut Vec<Problem>) -> Vec<Found> {
    let path = std::path::absolute(&folder.path).unwrap_or_else(|_| folder.path.clone());
    let id = path.file_name().map_or_else(|| "patient".into(), |name| name.to_string_lossy().into_owned());
    let mut case = Case { id: id.clone(), ..Case::default() };
    for scan in &folder.scans {
        put(&mut case, whole_name(&scan.stem), scan, problems);
    }
    if case.images.is_empty() {
        for scan in &folder.scans {
            report(problems, Some(&id), scan, "skipped: a mask without an image in the same folder");
        }
        return Vec::new();
    }
    vec![Found { case, layout: Layout::FolderAPatient, folder: id, alone: true }]
}

/// Adds a file to a case; the first of two that claim the same role stays.
fn put(case: &mut Case, role: Role, scan: &Scan, problems: &mut Vec<Problem>) {
    let free = match &role {
        Role::Image(modality) => !case.images.contains_key(modality),
        Role::Label => case.label.is_none(),
    };
    match role {
        Role::Image(modality) if free => {
            case.images.insert(modality, scan.path.clone());
        }
        Role::Label if free => case.label = Some(scan.path.clone()),
        Role::Image(modality) => {
            report(problems, Some(&case.id), scan, &format!("skipped: a second file of modality {modality}"));
        }
        Role::Label => report(problems, Some(&case.id), scan, "skipped: a second mask of the same case"),
    }
}

/// Cases by the part of the names before the suffix.
fn suffixed_cases(folder: &Folder, problems: &mut Vec<Problem>) -> Vec<Found> {
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    let mut hecktor: BTreeSet<String> = BTreeSet::new();
    let mut others = Vec::new();
    for scan in &folder.scans {
        let Some((id, role, family)) = split_suffix(&scan.stem) else {
            others.push(scan);
            continue;
        };
        if family == Family::Hecktor {
            hecktor.insert(id.to_owned());
        }
        let case = cases.entry(id.to_owned()).or_insert_with(|| Case { id: id.to_owned(), ..Case::default() });
        put(case, role, scan, problems);
    }
    adopt_stray_label(&mut cases, problems);
    for scan in others {
        // A further modality (ID_dose): by the longest id that the name begins with.
        let fits = |id: &&String| scan.stem.strip_prefix(id.as_str()).is_some_and(|rest| rest.starts_with(['_', '-']));
        let owner = cases.keys().filter(fits).max_by_key(|id| id.len()).cloned();
        match owner.and_then(|id| cases.get_mut(&id)) {
            Some(case) => {
                let name = scan.stem[case.id.len()..].trim_start_matches(['_', '-']).to_lowercase();
                let role = if name.is_empty() { Role::Image("image".into()) } else { Role::Image(name) };
                put(case, role, scan, problems);
            }
            None => report(problems, None, scan, "skipped: the file name matches no case in this folder"),
        }
    }
    let name = folder.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    cases.retain(|id, case| {
        if case.images.is_empty()
            && let Some(path) = &case.label
        {
            let (case, file) = (Some(id.clone()), Some(path.display().to_string()));
            problems.push(Problem { case, file, what: "skipped: a mask without an image in the same folder".into() });
        }
        !case.images.is_empty()
    });
    let alone = cases.len() == 1;
    let layout = |id: &String| if hecktor.contains(id) { Layout::Hecktor } else { Layout::Brats };
    cases.into_iter().map(|(id, case)| Found { layout: layout(&id), case, folder: name.clone(), alone }).collect()
}

/// One patient of BraTS 2020 (355) has its mask under another name (`W39_1998.09.19_Segm.nii`): a mask without images
/// belongs to the folder's only patient if that has none.
fn adopt_stray_label(cases: &mut BTreeMap<String, Case>, problems: &mut Vec<Problem>) {
    let with_images: Vec<String> = cases.values().filter(|c| !c.images.is_empty()).map(|c| c.id.clone()).collect();
    let strays: Vec<String> = cases.values().filter(|c| c.images.is_empty()).map(|c| c.id.clone()).collect();
    let ([owner], [stray]) = (with_images.as_slice(), strays.as_slice()) else { return };
    if cases.get(owner).is_none_or(|case| case.label.is_some()) {
        return;
    }
    let label = cases.remove(stray).and_then(|case| case.label);
    if let (Some(case), Some(path)) = (cases.get_mut(owner), label) {
        let what = format!(
            "the mask is named after another id, {stray}. It is used because it is the only mask in this folder"
        );
        problems.push(Problem { case: Some(owner.clone()), file: Some(path.display().to_string()), what });
        case.label = Some(path);
    }
}

/// Where every folder names its files alike (`P1/scan_t1`, `P2/scan_t1`), the folders' names are the ids.
fn name_by_folder(found: &mut [Found]) {
    let ids: BTreeSet<&String> = found.iter().map(|f| &f.case.id).collect();
    let names: BTreeSet<&String> = found.iter().map(|f| &f.folder).collect();
    if ids.len() < found.len() && names.len() == found.len() && found.iter().all(|f| f.alone) {
        for one in found {
            one.case.id.clone_from(&one.folder);
        }
    }
}
