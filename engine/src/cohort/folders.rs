//! Finds scans in folders: one folder per patient with or without sessions, BIDS, BraTS, HECKTOR.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::drafts::{Draft, Group, name_of, stem_of};
use super::folder_names::{FolderRole, folder_role, is_named_for_masks, is_processed_folder};
use super::listing::{Folder, Listing, NiftiFile, conversion_advice};
use super::masks::MaskCheck;
use super::names::{
    Role, canonical_modality, is_consensus, is_corrected, is_known_modality, is_of_rater, is_specific_modality,
    mask_rank, mask_role, without_id,
};
use super::naming::name_scans;
use super::session::{MAX_SCANS, is_session_folder, patients};
use super::trees::{absorb_nested, assign_strays, join_trees};
use super::{Case, Cohort, DiscoverOptions, ExcludedScan, ImageFile, Layout, Problem, bids};
use crate::words::plural;
use crate::{Error, Result};

/// Maximum number of files listed in a message.
const MAX_LISTED: usize = 4;

/// Finds the scans of a listing.
///
/// # Errors
/// If there is none.
pub(super) fn discover(root: &Path, listing: Listing, options: &DiscoverOptions) -> Result<Cohort> {
    let mut cohort = Cohort::new(root, Layout::FolderPerPatient);
    let problems = &mut cohort.problems;
    let other_format = listing.other_format;
    let (mut drafts, folders) = bids_drafts(listing.folders, options, problems);
    let mut strays = Vec::new();
    let groups = groups(&folders, root);
    let names: BTreeSet<String> = patients_of(&groups, root).map(|group| name_of(&group.owner)).collect();
    for group in groups {
        if group.owner != root && group.is_named_after(&names) {
            let what =
                "not used: its files are named like the folders of patients. Put masks into a folder named masks";
            problems.push(Problem::of_file(None, &group.owner, what));
            continue;
        }
        let (found, masks) = group.drafts(options, problems);
        drafts.extend(found);
        strays.extend(masks);
    }
    let mut check = MaskCheck::default();
    absorb_folders_of_masks(&mut drafts, root, &mut check, problems);
    strays.extend(absorb_nested(&mut drafts, root, problems));
    join_trees(&mut drafts, root);
    let layouts = [Layout::FolderPerPatient, Layout::Bids, Layout::Brats, Layout::Hecktor];
    let count = |layout: &Layout| drafts.iter().filter(|draft| draft.layout == *layout).count();
    if let Some(layout) = layouts.into_iter().rev().max_by_key(count) {
        cohort.layout = layout;
    }
    name_scans(&mut drafts, root);
    assign_strays(&mut drafts, strays, root, problems);
    let ids: Vec<String> = drafts.iter().map(|draft| draft.id.clone()).collect();
    let by_name = patients(ids.iter().map(String::as_str));
    // Of duplicates, the first by path is kept, so that a copy in a subfolder never wins.
    let mut known: BTreeSet<String> = BTreeSet::new();
    for draft in drafts {
        if known.insert(draft.id.clone()) {
            let (patient, session) = by_name.get(&draft.id).cloned().unwrap_or_default();
            let mut case = case_of(draft, &mut check, problems);
            if case.patient.is_empty() {
                (case.patient, case.session) = (patient, session);
            }
            cohort.cases.push(case);
        } else {
            let file = draft.images.values().next().map(|path| path.display().to_string()).unwrap_or_default();
            let what = "skipped: another folder has a case with the same id";
            problems.push(Problem { case: Some(draft.id.clone()), file: Some(file.clone()), what: what.into() });
            cohort
                .left_out
                .push(ExcludedScan::new(&draft.id, format!("another folder has a case with the same id ({file})")));
        }
    }
    if cohort.cases.is_empty() {
        let advice = conversion_advice(other_format.as_deref());
        let expected = "Expected one folder per patient with .nii.gz files, ID_t1.nii.gz, ID_ct.nii.gz or \
                        imagesTr/CASE_0000.nii.gz.";
        return Err(Error::file(root, format!("no scans found here. {advice}{expected}")));
    }
    Ok(cohort)
}

/// The groups with images in a folder below the cohort's.
fn patients_of<'a, 'b>(groups: &'b [Group<'a>], root: &'b Path) -> impl Iterator<Item = &'b Group<'a>> {
    let has_images = |group: &&Group<'_>| !group.is_of_masks && !group.images().is_empty();
    groups.iter().filter(move |group| group.owner != root).filter(has_images)
}

/// The scans with BIDS names, which identify patient and session regardless of the folder, and the other files.
fn bids_drafts(
    folders: Vec<Folder>,
    options: &DiscoverOptions,
    problems: &mut Vec<Problem>,
) -> (Vec<Draft>, Vec<Folder>) {
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    let mut others = Vec::new();
    // Of two images of a modality, the first is used: the scan itself, not one that was derived from it.
    let (derived, raw): (Vec<Folder>, Vec<Folder>) =
        folders.into_iter().partition(|folder| folder.path.iter().any(|part| part == "derivatives"));
    for Folder { path, files } in raw.into_iter().chain(derived) {
        let mut rest = Vec::new();
        for file in files {
            let Some(name) = bids::parse(&file.stem) else {
                rest.push(file);
                continue;
            };
            let id = name.session.iter().fold(name.patient.clone(), |id, session| format!("{id}_{session}"));
            let draft = drafts.entry(id.clone()).or_insert_with(|| Draft::new(&id, &path, Layout::Bids));
            (draft.patient, draft.session) = (Some(name.patient), name.session);
            draft.add(options.role(name.role, &file.path), &file, problems);
        }
        if !rest.is_empty() {
            others.push(Folder { path, files: rest });
        }
    }
    let (scans, masks): (Vec<Draft>, Vec<Draft>) = drafts.into_values().partition(|draft| !draft.images.is_empty());
    for (_, mask) in masks.iter().flat_map(|draft| &draft.masks) {
        problems.push(Problem::of_file(None, &mask.path, "skipped: a mask without an image of the same patient"));
    }
    (scans, others)
}

/// Groups the files by patient folder and session.
fn groups<'a>(folders: &'a [Folder], root: &Path) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(PathBuf, Option<String>), Group<'a>> = BTreeMap::new();
    // `pre` beside `orig` has the preprocessed scans. Otherwise it is a session.
    let is_stage = |folder: &Path, name: &str| {
        name == "pre" && folders.iter().any(|other| other.path == folder.with_file_name("orig"))
    };
    let top = folders.iter().filter_map(|folder| folder.path.strip_prefix(root).ok()?.components().next());
    let top: BTreeSet<_> = top.collect();
    // Above many folders, the root is not a patient's, so `MR0001` is not a session.
    let patient_of =
        |folder: &Path| if folder == root && top.len() > MAX_SCANS { String::new() } else { name_of(folder) };
    for folder in folders {
        let (mut owner, mut role, mut session, mut place) = (folder.path.as_path(), None, None, None);
        while let Some(parent) = owner.parent().filter(|_| owner != root) {
            let name = name_of(owner);
            let is_patient = parent == root && names_other_modality(folder, &name);
            let own = if is_stage(owner, &name) { Some(FolderRole::Scans) } else { folder_role(&name) };
            if let Some(own) = own.filter(|_| !is_patient) {
                role = role.or(Some(own));
            } else if session.is_none() && is_session_folder(&name, &patient_of(parent)) {
                (session, place) = (Some(name), Some(owner.to_path_buf()));
            } else {
                break;
            }
            owner = parent;
        }
        let role = role.filter(|role| *role != FolderRole::Scans);
        let group = groups.entry((owner.to_path_buf(), session.clone())).or_insert_with(|| Group {
            owner: owner.to_path_buf(),
            place: place.unwrap_or_else(|| owner.to_path_buf()),
            session: session.clone(),
            files: Vec::new(),
            is_shared: owner == root,
            is_of_masks: false,
        });
        group.files.extend(folder.files.iter().map(|file| (file, role.clone())));
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    let is_processed =
        |file: &NiftiFile| file.path.parent().is_some_and(|folder| is_processed_folder(&name_of(folder)));
    for group in &mut groups {
        group.files.sort_by_key(|(file, _)| !is_processed(file));
    }
    mark_folders_of_masks(&mut groups, root);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for image in groups.iter().filter(|group| !group.is_of_masks).flat_map(Group::images) {
        *counts.entry(image.to_owned()).or_default() += 1;
    }
    let is_only = groups.iter().filter(|group| !group.is_of_masks && !group.images().is_empty()).count() == 1;
    for group in groups.iter_mut().filter(|group| !group.is_of_masks) {
        group.is_shared |= group.is_of_many(|image| counts.get(image) == Some(&1), is_only);
    }
    groups
}

/// Below a folder of masks, a folder with the name of a patient's folder has only masks: `labels/P01` beside `images/P01`.
fn mark_folders_of_masks(groups: &mut [Group<'_>], root: &Path) {
    let is_below_masks = |group: &Group<'_>| {
        let mut above = group.owner.ancestors().skip(1).take_while(|above| above.starts_with(root) && *above != root);
        group.owner != root && above.any(|above| is_named_for_masks(&name_of(above)))
    };
    let patients: BTreeSet<String> =
        groups.iter().filter(|group| !is_below_masks(group)).map(|group| name_of(&group.owner)).collect();
    for group in groups.iter_mut().filter(|group| is_below_masks(group) && patients.contains(&name_of(&group.owner))) {
        group.is_of_masks = true;
        group.files.iter_mut().for_each(|(_, role)| *role = Some(FolderRole::Masks));
    }
}

/// True if a folder is named like a modality but has images that are named after another one: it is a patient's, who happens
/// to be called `T1`.
fn names_other_modality(folder: &Folder, name: &str) -> bool {
    let Some(FolderRole::Modality(own)) = folder_role(name) else { return false };
    folder.files.iter().any(|file| {
        let stem = without_id(&file.stem, name);
        is_specific_modality(stem) && canonical_modality(stem) != own
    })
}

/// A subfolder that contains only masks of the patient's image is not a patient.
fn absorb_folders_of_masks(drafts: &mut Vec<Draft>, root: &Path, check: &mut MaskCheck, problems: &mut Vec<Problem>) {
    let owners: BTreeMap<PathBuf, PathBuf> = drafts
        .iter()
        .filter(|draft| draft.owner != root)
        .filter_map(|draft| Some((draft.owner.clone(), draft.images.values().next()?.clone())))
        .collect();
    drafts.retain(|draft| {
        let Some(image) = draft.owner.parent().and_then(|parent| owners.get(parent)) else { return true };
        let is_patient = !draft.alone
            || draft
                .images
                .iter()
                .any(|(name, path)| is_known_modality(name) || !check.by_values(path, &stem_of(path), image));
        if !is_patient {
            let masks = plural(draft.images.len(), "mask in a separate folder is", "masks in a separate folder are");
            let what = format!("{masks} not used. Select one by its name");
            problems.push(Problem::of_file(None, &draft.owner, what));
        }
        is_patient
    });
}

/// The case of a draft: chooses its masks, and notes which masks are joined or not used.
fn case_of(draft: Draft, check: &mut MaskCheck, problems: &mut Vec<Problem>) -> Case {
    let Draft { id, patient, session, mut images, masks, mut further_masks, mut segmentation, .. } = draft;
    let mut note = |path: &Path, what: String| problems.push(Problem::of_file(Some(&id), path, what));
    let (mut certain, mut by_word, mut chosen) = (Vec::new(), Vec::new(), Vec::new());
    for (role, file) in masks {
        let name = without_id(&file.stem, &id).to_lowercase();
        match role {
            Role::ChosenMask => chosen.push(file),
            Role::Mask => certain.push(file),
            Role::MaskByWord if check.by_word(&file.path, &name) => by_word.push(file),
            Role::MaskByWord => {
                note(&file.path, "is named like a mask, but its values are not labels. It is used as an image".into());
                images.insert(name, file.path);
            }
            _ => note(&file.path, "not used: not a lesion mask".into()),
        }
    }
    certain.sort_by_key(|file| mask_rank(without_id(&file.stem, &id)));
    let raters = without_consensus(&mut by_word);
    if chosen.is_empty() {
        chosen = if certain.is_empty() { std::mem::take(&mut by_word) } else { certain.drain(..1).collect() };
    }
    for file in certain.iter().chain(&by_word).chain(&raters) {
        note(&file.path, "skipped: a second mask of the same case".into());
    }
    for file in masks_by_values(&mut images, check) {
        let why = "it has the image's grid, and its values are a few whole numbers";
        if chosen.is_empty() {
            note(&file.path, format!("is used as the mask: {why}"));
            chosen.push(file);
        } else if segmentation.is_none() {
            note(&file.path, format!("is used as the segmentation: {why}"));
            segmentation = Some(file.path);
        } else {
            note(&file.path, format!("not used: {why}, but the case already has a segmentation"));
        }
    }
    if chosen.is_empty() {
        let is_other = |file: &NiftiFile| mask_role(without_id(&file.stem, &id)) == Some(Role::OtherMask);
        for file in further_masks.extract_if(.., |file| is_other(file)) {
            note(&file.path, "not used: not a lesion mask".into());
        }
        for file in without_consensus(&mut further_masks) {
            note(&file.path, "skipped: a second mask of the same case".into());
        }
    }
    if chosen.is_empty()
        && let [only] = &*further_masks
    {
        chosen.push(only.clone());
    } else if let Some(first) = further_masks.first() {
        let folder = first.path.parent().unwrap_or(&first.path);
        let further = plural(further_masks.len(), "more mask is", "more masks are");
        note(folder, format!("{further} not used. Select one by its name"));
    }
    if let [first, _, ..] = &*chosen {
        let mut names: Vec<&str> = chosen.iter().take(MAX_LISTED).map(|file| file.stem.as_str()).collect();
        if chosen.len() > MAX_LISTED {
            names.push("more");
        }
        note(&first.path, format!("the mask is the union of {} files: {}", chosen.len(), names.join(", ")));
    }
    let images = images.into_iter().map(|(modality, path)| (modality, ImageFile::new(path))).collect();
    let masks = chosen.into_iter().map(|file| file.path).collect();
    Case { id, patient: patient.unwrap_or_default(), session, images, masks, segmentation, held_out: false }
}

/// Leaves only the mask of all raters: the one file named as their consensus, or beside files of raters the one that is not.
/// Returns the others.
fn without_consensus(masks: &mut Vec<NiftiFile>) -> Vec<NiftiFile> {
    for is_of_all in [is_consensus, |stem: &str| !is_of_rater(stem)] {
        if masks.iter().filter(|file| is_of_all(&file.stem)).count() == 1 {
            return masks.extract_if(.., |file| !is_of_all(&file.stem)).collect();
        }
    }
    Vec::new()
}

/// Moves files with unknown names and mask-like values out of `images`, by name, corrected ones first.
fn masks_by_values(images: &mut BTreeMap<String, PathBuf>, check: &mut MaskCheck) -> Vec<NiftiFile> {
    let specific = images.iter().find(|(name, _)| is_specific_modality(name));
    // Beside `ID__CT`, a file named `ID` is not sure to be an image: in HECKTOR 2025, it is the mask.
    let is_sure = |name: &str| if specific.is_some() { is_specific_modality(name) } else { is_known_modality(name) };
    let known = specific.or_else(|| images.iter().find(|(name, _)| is_sure(name))).or_else(|| images.iter().next());
    let Some((_, image)) = known else { return Vec::new() };
    let unsure: BTreeSet<String> = images.keys().filter(|name| !is_sure(name)).cloned().collect();
    let image = image.clone();
    let is_mask = |name: &String, path: &mut PathBuf| {
        unsure.contains(name) && *path != image && check.by_values(path, name, &image)
    };
    let masks = images.extract_if(.., is_mask);
    let mut masks: Vec<NiftiFile> = masks.map(|(_, path)| NiftiFile { stem: stem_of(&path), path }).collect();
    masks.sort_by_key(|mask| !is_corrected(&mask.stem));
    masks
}
