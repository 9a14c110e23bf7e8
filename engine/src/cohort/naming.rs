//! Gives every scan its id, patient and session, from the names of its files and folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::drafts::{Draft, name_of, stem_of};
use super::folder_names::{is_named_patient, may_name_patient};
use super::names::{has_digit, without_id};
use super::session::{MAX_SCANS, is_session_folder, is_session_of_patients, names_session, session_after};

/// Gives every scan a unique id: from its files, its folder, or patient and session.
pub(super) fn name_scans(drafts: &mut [Draft], root: &Path) {
    name_by_repeated_files(drafts, root);
    name_by_session_in_files(drafts, root);
    name_by_session_above(drafts, root);
    name_by_parent(drafts, root);
    for draft in drafts.iter_mut().filter(|draft| draft.patient.is_none()) {
        if let Some(session) = &draft.session {
            let patient = draft.id.strip_suffix(session.as_str()).map(|id| id.trim_end_matches(['_', '-']));
            let patient = patient.filter(|id| !id.is_empty()).unwrap_or(&draft.id).to_owned();
            // The folder above the sessions is the patient's if the files begin with its name:
            // `P3/Timepoint_1/P3_Timepoint_1_brain_t1c`.
            let folder = draft.folder_name();
            let is_named = draft.alone && draft.owner != root && without_id(&patient, &folder) != patient;
            let patient = if is_named { folder } else { patient };
            draft.id = format!("{patient}_{session}");
            draft.patient = Some(patient);
        }
    }
    name_by_own_folder(drafts, root);
}

/// If every folder uses the same file names (`P1/scan_t1`, `P2/scan_t1`), the folder names are the ids. If folders of patients
/// have several scans of the same names (`P1/flair_1`, `P1/flair_2`, `P2/flair_1`), their names are part of the ids.
fn name_by_repeated_files(drafts: &mut [Draft], root: &Path) {
    let location = |draft: &Draft| (draft.folder_name(), draft.session.clone());
    let by_files = |draft: &Draft| draft.id != draft.folder_name() && draft.patient.is_none();
    let files: Vec<&Draft> = drafts.iter().filter(|draft| by_files(draft)).collect();
    let ids: BTreeSet<_> = files.iter().map(|draft| (&draft.id, &draft.session)).collect();
    let locations: BTreeSet<_> = files.iter().map(|draft| location(draft)).collect();
    if ids.len() == files.len() {
        return;
    }
    if locations.len() == files.len() && files.iter().all(|draft| draft.alone) {
        for draft in drafts.iter_mut().filter(|draft| by_files(draft)) {
            draft.id = draft.folder_name();
        }
        return;
    }
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    files.iter().for_each(|draft| *counts.entry(&draft.id).or_default() += 1);
    let repeated = files.iter().filter(|draft| counts.get(&draft.id).is_some_and(|count| *count > 1));
    let folders: BTreeSet<PathBuf> = repeated.map(|draft| draft.owner.clone()).collect();
    if folders.iter().all(|folder| folder != root && may_name_patient(&name_of(folder))) {
        let is_in = |draft: &Draft| by_files(draft) && draft.session.is_none() && folders.contains(&draft.owner);
        for draft in drafts.iter_mut().filter(|draft| is_in(draft)) {
            draft.session = Some(std::mem::take(&mut draft.id));
            draft.id = draft.folder_name();
        }
    }
}

/// Files that name only a session are of the folder's patient: `P01/2019_flair`, `P01/visit1_flair`. A folder without a number
/// has few.
fn name_by_session_in_files(drafts: &mut [Draft], root: &Path) {
    let is_session = |draft: &Draft| {
        let is_free = draft.patient.is_none() && draft.session.is_none() && !draft.by_folder;
        let names_only = names_session(&draft.id) && is_session_folder(&draft.id, &draft.folder_name());
        is_free && draft.owner != root && names_only
    };
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for draft in drafts.iter().filter(|draft| is_session(draft)) {
        *counts.entry(draft.owner.clone()).or_default() += 1;
    }
    for draft in drafts.iter_mut().filter(|draft| is_session(draft)) {
        let are_few = counts.get(&draft.owner).is_some_and(|count| *count <= MAX_SCANS);
        if are_few || may_name_patient(&draft.folder_name()) {
            draft.session = Some(std::mem::take(&mut draft.id));
            draft.id = draft.folder_name();
        }
    }
}

/// Scans below the folder of a session: `002_S_0295/2006-04-18/S13408` is a scan of the patient above the session, or of the
/// patient of a folder that the file names. `baseline/P01` and `followup/P01` are sessions of one patient.
fn name_by_session_above(drafts: &mut [Draft], root: &Path) {
    let session = |draft: &Draft| {
        let folder = draft.owner.parent().filter(|folder| draft.owner != root && *folder != root)?;
        let above = folder.parent()?;
        let is_free = draft.patient.is_none() && draft.session.is_none() && draft.alone;
        let name = name_of(folder);
        let is_session = is_session_folder(&name, &name_of(above)) || (above == root && is_session_of_patients(&name));
        (is_free && is_session).then(|| (folder.to_path_buf(), above.to_path_buf()))
    };
    let found: Vec<Option<(PathBuf, PathBuf)>> = drafts.iter().map(session).collect();
    let above: BTreeSet<&PathBuf> = found.iter().flatten().map(|(_, above)| above).collect();
    let is_above_patients =
        above.len() == 1 && above.iter().all(|above| *above == root || !may_name_patient(&name_of(above)));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (draft, _) in drafts.iter().zip(&found).filter(|(_, found)| found.is_some()) {
        *counts.entry(draft.id.clone()).or_default() += 1;
    }
    for (draft, found) in drafts.iter_mut().zip(&found) {
        let Some((folder, above)) = found else { continue };
        if is_above_patients {
            if counts.get(&draft.id).is_some_and(|count| *count > 1) {
                draft.session = Some(name_of(folder));
            }
        } else if above != root && !(draft.is_in_names() && counts.get(&draft.id) == Some(&1)) {
            let stems: Vec<String> = draft.images.values().map(|path| stem_of(path)).collect();
            let names = |folder: &Path| stems.iter().all(|stem| stem.contains(&name_of(folder)));
            let mut candidates = above.ancestors().take_while(|candidate| *candidate != root);
            let patient = name_of(candidates.find(|candidate| names(candidate)).unwrap_or(above));
            draft.session = Some(format!("{}_{}", name_of(folder), draft.id));
            draft.id = patient;
        }
    }
}

/// Folder names that repeat are sessions if they are few (`P1/first`, `P2/first`), else patients (`site1/001`, `site2/001`,
/// `HGG/001`, `LGG/001`). Both get the parent folder's name as prefix.
fn name_by_parent(drafts: &mut [Draft], root: &Path) {
    let unnamed = |draft: &Draft| draft.by_folder && draft.session.is_none() && draft.patient.is_none();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for draft in drafts.iter().filter(|draft| unnamed(draft)) {
        *counts.entry(draft.id.clone()).or_default() += 1;
    }
    let parent = |draft: &Draft| draft.owner.parent().filter(|parent| *parent != root).map(Path::to_path_buf);
    let repeated =
        drafts.iter().filter(|draft| unnamed(draft) && counts.get(&draft.id).is_some_and(|count| *count > 1));
    let parents: BTreeSet<PathBuf> = repeated.filter_map(parent).collect();
    let below = |draft: &Draft| unnamed(draft) && parent(draft).is_some_and(|parent| parents.contains(&parent));
    let names: BTreeSet<String> = drafts.iter().filter(|draft| below(draft)).map(|draft| draft.id.clone()).collect();
    let like_patients =
        parents.iter().all(|parent| has_digit(&name_of(parent))) || !names.iter().any(|name| has_digit(name));
    let are_sessions =
        names.len() <= parents.len() && like_patients && !names.iter().any(|name| is_named_patient(name));
    for draft in drafts.iter_mut().filter(|draft| below(draft)) {
        let parent = draft.owner.parent().map(name_of).unwrap_or_default();
        if are_sessions {
            draft.session = Some(std::mem::replace(&mut draft.id, parent));
        } else {
            draft.id = format!("{parent}_{}", draft.id);
        }
    }
}

/// A folder whose name its scans continue by a session is the patient's, unless it has too many: `training01/training01_01_flair`,
/// `RHUH-0001/0/RHUH-0001_0_t1`.
fn name_by_own_folder(drafts: &mut [Draft], root: &Path) {
    let found: Vec<Option<(PathBuf, String)>> = drafts
        .iter()
        .map(|draft| {
            let is_free = draft.patient.is_none() && !draft.by_folder && draft.owner != root;
            let own = draft.folder_name();
            let above = draft.owner.parent().filter(|above| *above != root);
            let in_own = session_after(&draft.id, &own).map(|session| (draft.owner.clone(), session.to_owned()));
            let in_above = || {
                let session = session_after(&draft.id, &name_of(above?)).filter(|session| *session == own)?;
                Some((above?.to_path_buf(), session.to_owned()))
            };
            in_own.or_else(in_above).filter(|_| is_free)
        })
        .collect();
    let mut counts: BTreeMap<&PathBuf, usize> = BTreeMap::new();
    found.iter().flatten().for_each(|(folder, _)| *counts.entry(folder).or_default() += 1);
    for (draft, found) in drafts.iter_mut().zip(&found) {
        if let Some((folder, session)) = found
            && counts.get(folder).is_some_and(|count| *count <= MAX_SCANS)
        {
            (draft.patient, draft.session) = (Some(name_of(folder)), Some(session.clone()));
        }
    }
}
