//! Joins what belongs to one scan but lies in different folders: images and masks in parallel trees, and results in subfolders of
//! a patient's folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Problem;
use super::drafts::{Draft, Stray, belongs_to, name_of, stem_of, without_image};
use super::folder_names::{may_name_patient, names_modality};
use super::names::{Role, are_counterparts, mask_role, split_suffix, without_id, without_mask_word};
use super::session::{is_session_folder, is_session_of_patients};

/// Subfolders with scans of a patient's folder above which the folder is one of many patients.
const MAX_NESTED: usize = 2;

/// Joins drafts of one id in different folders, if their files are named after it and their modalities differ:
/// `images_structural/ID/ID_T1` and `images_DTI/ID/ID_DTI_FA`, `IXI-T1/ID-T1` and `IXI-T2/ID-T2`.
pub(super) fn join_trees(drafts: &mut Vec<Draft>, root: &Path) {
    let mut first: BTreeMap<(String, Option<String>, Option<PathBuf>), Draft> = BTreeMap::new();
    let mut others = Vec::new();
    for draft in std::mem::take(drafts) {
        if draft.patient.is_some() || !draft.is_in_names() || !is_of_id(&draft) {
            others.push(draft);
            continue;
        }
        // `baseline/P1` and `followup/P1` are two scans.
        let key = (draft.id.clone(), draft.session.clone(), session_above(&draft.owner, root));
        match first.get_mut(&key) {
            None => drop(first.insert(key, draft)),
            Some(known) if draft.images.keys().any(|modality| known.images.contains_key(modality)) => {
                others.push(draft);
            }
            Some(known) => {
                known.images.extend(draft.images);
                known.masks.extend(draft.masks);
                known.further_masks.extend(draft.further_masks);
                known.segmentation = known.segmentation.take().or(draft.segmentation);
                known.layout = known.layout.max(draft.layout);
                known.by_folder &= draft.by_folder;
            }
        }
    }
    drafts.extend(first.into_values().chain(others));
    // Of duplicates, the first by path is kept.
    drafts.sort_by(|a, b| a.place.cmp(&b.place));
}

/// True if a scan's id is unlikely to be that of another patient, as in `P1/scan_t1` and `P2/scan_t2`: its folder has the same
/// name, or is one of many patients.
fn is_of_id(draft: &Draft) -> bool {
    let folder = draft.folder_name();
    draft.id == folder || names_modality(&folder) || (!draft.alone && !may_name_patient(&folder))
}

/// The nearest folder of a session above a folder.
fn session_above(folder: &Path, root: &Path) -> Option<PathBuf> {
    let mut above = folder.ancestors().take_while(|above| *above != root).skip(1);
    above.find(|above| is_session_of_patients(&name_of(above))).map(Path::to_path_buf)
}

/// Scans in a subfolder of a patient's folder are copies or results, not another patient, unless the subfolder is named like a
/// patient or a session. Returns their masks. A folder with many such subfolders is one of many patients, unless other patients
/// have the same subfolders.
pub(super) fn absorb_nested(drafts: &mut Vec<Draft>, root: &Path, problems: &mut Vec<Problem>) -> Vec<Stray> {
    let owners: BTreeSet<PathBuf> =
        drafts.iter().filter(|draft| draft.alone && draft.place != root).map(|draft| draft.place.clone()).collect();
    let owner_of =
        |place: &Path| place.ancestors().skip(1).find(|above| owners.contains(*above)).map(Path::to_path_buf);
    let (mut counts, mut repeats): (BTreeMap<PathBuf, usize>, BTreeMap<PathBuf, usize>) = Default::default();
    let is_free = |draft: &Draft| draft.patient.is_none() && draft.session.is_none();
    for draft in drafts.iter().filter(|draft| is_free(draft)) {
        if let Some(owner) = owner_of(&draft.place) {
            *repeats.entry(below(&draft.place, &owner)).or_default() += 1;
            *counts.entry(owner).or_default() += 1;
        }
    }
    let is_nested = |draft: &Draft| {
        let Some(owner) = owner_of(&draft.place).filter(|_| is_free(draft)) else { return false };
        let names_scan = |name: &str| may_name_patient(name) || is_session_folder(name, "");
        if below(&draft.place, &owner).iter().any(|part| names_scan(&part.to_string_lossy())) {
            return false;
        }
        let count = |of: &BTreeMap<PathBuf, usize>, key: &Path| of.get(key).copied().unwrap_or_default();
        count(&counts, &owner) <= MAX_NESTED || count(&repeats, &below(&draft.place, &owner)) > 1
    };
    let mut strays = Vec::new();
    for draft in drafts.extract_if(.., |draft| is_nested(draft)) {
        let what = "not used: scans in a subfolder of a patient's folder";
        problems.push(Problem::of_file(None, &draft.place, what));
        let further = draft.further_masks.into_iter().map(|file| (Role::MaskByWord, file));
        let (owner, session) = (draft.owner, draft.session);
        let stray = |(role, file)| Stray { role, file, owner: owner.clone(), session: session.clone() };
        strays.extend(draft.masks.into_iter().chain(further).map(stray));
    }
    strays
}

fn below(folder: &Path, above: &Path) -> PathBuf {
    folder.strip_prefix(above).unwrap_or(folder).to_path_buf()
}

/// Assigns masks without an image in their folder: by the name of a scan or of one of its images, by a folder with the name of a
/// scan's folder or of a scan, or to the scan of a folder above.
pub(super) fn assign_strays(drafts: &mut [Draft], strays: Vec<Stray>, root: &Path, problems: &mut Vec<Problem>) {
    let mut images: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        // `ct/PT_001` and `pet/PT_001` are images of one scan.
        let stems: BTreeSet<String> = draft.images.values().map(|path| stem_of(path)).collect();
        stems.into_iter().for_each(|stem| images.entry(stem).or_default().push(at));
    }
    let by_image = |mask: &str| match images.get(mask).map(Vec::as_slice) {
        Some([only]) => Some(*only),
        _ => None,
    };
    let folders: Vec<Vec<String>> = drafts.iter().map(|draft| names_up(&draft.owner, root)).collect();
    for stray in strays {
        let found = by_name(drafts, &stray.file.stem)
            .or_else(|| by_image(&stray.file.stem))
            .or_else(|| by_folder(drafts, &folders, &stray, root))
            .or_else(|| by_owner(drafts, &stray, root))
            .or_else(|| by_place(drafts, &stray, root));
        let Some(draft) = found.and_then(|at| drafts.get_mut(at)) else {
            problems.push(without_image(&stray.file));
            continue;
        };
        let by_suffix = split_suffix(&stray.file.stem).filter(|_| belongs_to(&stray.file.stem, &draft.id));
        let is_other = mask_role(without_id(&stray.file.stem, &draft.id)) == Some(Role::OtherMask);
        match (stray.role, by_suffix) {
            (role @ (Role::ChosenMask | Role::OtherMask), _) => draft.masks.push((role, stray.file)),
            (_, Some(_)) if is_other => draft.masks.push((Role::OtherMask, stray.file)),
            (_, Some((_, role @ (Role::Mask | Role::MaskByWord), _))) => draft.masks.push((role, stray.file)),
            _ => draft.further_masks.push(stray.file),
        }
    }
}

/// The scan with the longest id that a mask is named after, if there is one such scan.
fn by_name(drafts: &[Draft], mask: &str) -> Option<usize> {
    let plain = without_mask_word(mask);
    let names = |draft: &Draft| {
        mask == draft.id
            || plain == draft.id
            || (belongs_to(mask, &draft.id) && mask_role(without_id(mask, &draft.id)).is_some())
            || are_counterparts(mask, &draft.id)
    };
    only_longest(drafts, |_, draft| names(draft).then_some(draft.id.len()))
}

/// The scan with the name of the mask's folder, if it is of the same session.
fn by_owner(drafts: &[Draft], stray: &Stray, root: &Path) -> Option<usize> {
    let found = by_name(drafts, &name_of(&stray.owner)).filter(|_| stray.owner != root)?;
    drafts.get(found).filter(|draft| is_of_session(draft, stray)).map(|_| found)
}

/// True if a mask's folders name no session, or that of the scan.
fn is_of_session(draft: &Draft, stray: &Stray) -> bool {
    stray.session.is_none() || draft.session == stray.session
}

/// The scan of a folder with the name of the mask's folder, and of the same session, if there is one such scan: the one with the
/// most folders above of the same names.
fn by_folder(drafts: &[Draft], folders: &[Vec<String>], stray: &Stray, root: &Path) -> Option<usize> {
    let own = names_up(&stray.owner, root);
    only_longest(drafts, |at, draft| {
        let same = folders.get(at)?.iter().zip(&own).take_while(|(a, b)| a == b).count();
        (draft.alone && same > 0 && is_of_session(draft, stray)).then_some(same)
    })
}

/// The names of a folder and of those above it, up to `root`.
fn names_up(folder: &Path, root: &Path) -> Vec<String> {
    folder.ancestors().take_while(|above| *above != root).map(name_of).collect()
}

/// The scan of the nearest folder above a mask, if it is a patient's, and of the same session.
fn by_place(drafts: &[Draft], stray: &Stray, root: &Path) -> Option<usize> {
    let is_above = |draft: &Draft| {
        draft.alone && draft.place != root && is_of_session(draft, stray) && stray.file.path.starts_with(&draft.place)
    };
    only_longest(drafts, |_, draft| is_above(draft).then(|| draft.place.components().count()))
}

/// The position of the draft of the greatest length, if no other has the same.
fn only_longest(drafts: &[Draft], length: impl Fn(usize, &Draft) -> Option<usize>) -> Option<usize> {
    let lengths: Vec<(usize, usize)> =
        drafts.iter().enumerate().filter_map(|(at, draft)| Some((length(at, draft)?, at))).collect();
    let longest = lengths.iter().map(|(length, _)| *length).max()?;
    let mut of_longest = lengths.iter().filter(|(length, _)| *length == longest);
    of_longest.next().filter(|_| of_longest.next().is_none()).map(|(_, at)| *at)
}
