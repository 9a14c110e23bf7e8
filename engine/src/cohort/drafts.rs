//! Groups the files of one folder into scans and assigns roles, before the scans get their final names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::folder_names::FolderRole;
use super::listing::NiftiFile;
use super::names::{
    Family, Role, SEPARATORS, are_counterparts, composed, is_known_name, is_specific_modality, mask_role,
    segmented_image, split_suffix, whole_name, without_id, without_mask_word, without_modality,
};
use super::nnunet::split_channel;
use super::numbered::{are_numbered, is_of_many};
use super::{DiscoverOptions, Layout, Problem};

/// The files of a scan before it gets its final name.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Preliminary id, from its file names or its folder.
    pub id: String,
    /// Patient and session, if the file names contain them (BIDS).
    pub patient: Option<String>,
    /// The session, from its folder.
    pub session: Option<String>,
    pub layout: Layout,
    /// Its folder: the patient's own, or one shared by many patients.
    pub owner: PathBuf,
    /// The folder of its session in `owner`, or `owner`.
    pub place: PathBuf,
    /// True for the only scan of its folder.
    pub alone: bool,
    /// True if its files do not name it: its id is the folder's name.
    pub by_folder: bool,
    /// Images by modality.
    pub images: BTreeMap<String, PathBuf>,
    /// Candidates for the reference mask, by name.
    pub masks: Vec<(Role, NiftiFile)>,
    /// Masks in a subfolder, used only if the scan has no other.
    pub further_masks: Vec<NiftiFile>,
    /// A segmentation saved by this program.
    pub segmentation: Option<PathBuf>,
}

impl Draft {
    pub fn new(id: &str, owner: &Path, layout: Layout) -> Self {
        Self {
            id: id.to_owned(),
            patient: None,
            session: None,
            layout,
            owner: owner.to_path_buf(),
            place: owner.to_path_buf(),
            alone: false,
            by_folder: false,
            images: BTreeMap::new(),
            masks: Vec::new(),
            further_masks: Vec::new(),
            segmentation: None,
        }
    }

    /// Name of its folder.
    pub fn folder_name(&self) -> String {
        name_of(&self.owner)
    }

    /// True if the names of all its images begin with its id.
    pub fn is_in_names(&self) -> bool {
        self.images.values().all(|path| belongs_to(&stem_of(path), &self.id))
    }

    /// Adds a file. Of two files of a modality, the first is kept and the second reported.
    pub fn add(&mut self, role: Role, file: &NiftiFile, problems: &mut Vec<Problem>) {
        match role {
            Role::Image(modality) if self.images.contains_key(&modality) => {
                let what = format!("skipped: a second file of modality {modality}");
                problems.push(Problem::of_file(Some(&self.id), &file.path, what));
            }
            Role::Image(modality) => drop(self.images.insert(modality, file.path.clone())),
            Role::Mask | Role::MaskByWord | Role::ChosenMask | Role::OtherMask => self.masks.push((role, file.clone())),
            Role::Segmentation => self.segmentation = Some(file.path.clone()),
        }
    }
}

/// The last part of a path, also if the path is `.`.
pub(super) fn name_of(folder: &Path) -> String {
    let path = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    path.file_name().map_or_else(|| "patient".into(), |name| composed(&name.to_string_lossy()))
}

/// A mask without an image in its folder.
pub(super) struct Stray {
    pub role: Role,
    pub file: NiftiFile,
    /// The folder that may be named after its patient, and the session.
    pub owner: PathBuf,
    pub session: Option<String>,
}

/// The files of one patient's folder with its modality and mask subfolders, or of a folder shared by many patients.
pub(super) struct Group<'a> {
    pub owner: PathBuf,
    /// The folder of its session, or `owner`.
    pub place: PathBuf,
    pub session: Option<String>,
    /// The files, each with the role of its subfolder of `owner`.
    pub files: Vec<(&'a NiftiFile, Option<FolderRole>)>,
    /// True for a folder of many patients: the cohort's root, which is a patient's folder only if its files are named so.
    pub is_shared: bool,
    /// True if all its files are masks, whatever their names: `labels/P01` beside `images/P01`.
    pub is_of_masks: bool,
}

/// A file with the scan it belongs to, if its name says so, and its role.
struct NamedFile<'a> {
    id: Option<String>,
    role: Role,
    file: &'a NiftiFile,
    layout: Layout,
}

impl Group<'_> {
    /// The names of its images, as far as names tell them from masks.
    pub fn images(&self) -> BTreeSet<&str> {
        let files = self.files.iter().filter(|(_, role)| *role != Some(FolderRole::Masks));
        files.map(|(file, _)| file.stem.as_str()).filter(|stem| mask_role(stem).is_none()).collect()
    }

    /// True if the folder has images of many patients: at least two with masks of their names or numbers, or numbered ones, in a
    /// folder that is not a patient's. A patient's folder would have the same names as another one's, so each name must be one
    /// of a kind.
    pub fn is_of_many(&self, is_unique: impl Fn(&str) -> bool, is_only: bool) -> bool {
        let images = self.images();
        let by_modality = self.files.iter().any(|(_, role)| matches!(role, Some(FolderRole::Modality(_))));
        // `train/flair/1_FLAIR_isovox` and `train/t1/1_T1_isovox`.
        let id = |image: &&str| if by_modality { without_modality(image) } else { (*image).to_owned() };
        let ids: BTreeSet<String> = images.iter().map(id).collect();
        let ids: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        if ids.len() < 2 || !images.iter().all(|image| is_unique(image)) {
            return false;
        }
        let masks: Vec<(&str, bool)> =
            self.files.iter().map(|(file, role)| (file.stem.as_str(), *role == Some(FolderRole::Masks))).collect();
        let is_paired = |id: &&&str| {
            let is_mask =
                |(mask, in_folder): &(&str, bool)| (*in_folder && belongs_to(mask, id)) || are_counterparts(mask, id);
            !is_known_name(id) && masks.iter().any(is_mask)
        };
        (ids.iter().filter(is_paired).count() > 1 || are_numbered(&ids))
            && is_of_many(&name_of(&self.owner), ids.len(), is_only)
    }

    /// True if all its images have names of other folders: `out/P01` beside `P01/flair` is a result, not a patient.
    pub fn is_named_after(&self, folders: &BTreeSet<String>) -> bool {
        let (images, own) = (self.images(), name_of(&self.owner));
        let is_other = |image: &&str| *image != own && !is_known_name(image) && folders.contains(*image);
        !images.is_empty() && images.iter().all(is_other)
    }

    /// The scans of the group, and its masks without a scan.
    pub fn drafts(&self, options: &DiscoverOptions, problems: &mut Vec<Problem>) -> (Vec<Draft>, Vec<Stray>) {
        let segmentation = |file: &NiftiFile| segmented_image(&file.stem).is_some();
        let (own, rest): (Vec<_>, Vec<_>) = self.files.iter().partition(|(file, _)| segmentation(file));
        // `masks/1_t1` is the mask of `images/1_t1`.
        let is_mask_folder = |folder: &Option<FolderRole>| *folder == Some(FolderRole::Masks);
        let elsewhere: BTreeSet<&str> =
            rest.iter().filter(|(_, folder)| !is_mask_folder(folder)).map(|(file, _)| file.stem.as_str()).collect();
        let image = |file: &NiftiFile| {
            let is_named = matches!(split_suffix(&file.stem), Some((_, Role::Image(_), _)));
            is_named && !self.is_of_masks && !elsewhere.contains(file.stem.as_str())
        };
        let (further, scans): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|(file, folder)| is_mask_folder(folder) && !image(file));
        let further: Vec<&NiftiFile> = further.into_iter().map(|(file, _)| *file).collect();
        let mut named = self.named(&scans, &further, problems);
        for file in &mut named {
            file.role = options.role(std::mem::replace(&mut file.role, Role::OtherMask), &file.file.path);
        }
        let (mut drafts, mut strays) = self.assembled(named, problems);
        for file in further {
            match (owner_of(&mut drafts, &file.stem, self.is_shared), options.role(Role::MaskByWord, &file.path)) {
                (Some(draft), Role::MaskByWord) => draft.further_masks.push(file.clone()),
                (Some(draft), role) => draft.masks.push((role, file.clone())),
                (None, role) => strays.push(self.stray(role, file)),
            }
        }
        for (file, _) in own {
            let image = segmented_image(&file.stem).unwrap_or_default();
            match drafts.iter_mut().find(|draft| draft.images.values().any(|path| stem_of(path) == image)) {
                Some(draft) => draft.segmentation = Some(file.path.clone()),
                None => problems.push(without_image(file)),
            }
        }
        (drafts, strays)
    }

    fn stray(&self, role: Role, file: &NiftiFile) -> Stray {
        Stray { role, file: file.clone(), owner: self.owner.clone(), session: self.session.clone() }
    }

    /// Interprets the file names.
    fn named<'a>(
        &self,
        scans: &[&(&'a NiftiFile, Option<FolderRole>)],
        further: &[&NiftiFile],
        problems: &mut Vec<Problem>,
    ) -> Vec<NamedFile<'a>> {
        let owner = name_of(&self.owner);
        let mut named = Vec::new();
        let mut plain: Vec<&'a NiftiFile> = Vec::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (file, _) in scans.iter().filter(|(_, folder)| matches!(folder, Some(FolderRole::Modality(_)))) {
            *counts.entry(&file.stem).or_default() += 1;
        }
        for &&(file, ref folder) in scans {
            let Some(FolderRole::Modality(modality)) = folder else {
                plain.push(file);
                continue;
            };
            let many = self.is_shared && scans.iter().filter(|(_, other)| other == folder).count() > 1;
            let split = split_suffix(&file.stem);
            let id = match &split {
                Some((id, ..)) if many => Some((*id).to_owned()),
                // A name that folders of two modalities share has none: `PT_001` in `ct` and `pet`.
                _ if counts.get(&*file.stem).is_some_and(|count| *count > 1) => many.then(|| file.stem.clone()),
                _ => many.then(|| without_modality(&file.stem)),
            };
            let role = match split {
                Some((_, role, _)) => role,
                None if is_specific_modality(&file.stem) => whole_name(&file.stem, &owner),
                None => mask_role(without_id(&file.stem, &owner)).unwrap_or_else(|| Role::Image(modality.clone())),
            };
            named.push(NamedFile { id, role, file, layout: Layout::FolderPerPatient });
        }
        let is_paired = |file: &NiftiFile| plain.iter().any(|image| are_counterparts(&file.stem, &image.stem));
        let known = plain.iter().any(|file| is_known_name(&file.stem) && !is_paired(file));
        let suffixed = plain.iter().any(|file| split_suffix(&file.stem).is_some());
        let images = plain.iter().map(|file| file.stem.as_str()).filter(|stem| mask_role(stem).is_none());
        let numbered = self.is_shared && are_numbered(&images.collect());
        let numbered_name = |file: &NiftiFile| {
            (numbered && mask_role(&file.stem).is_none()).then(|| (file.stem.clone(), Role::Image("image".into())))
        };
        if suffixed && !known && (self.is_shared || has_named_image(&plain)) {
            named.extend(suffixed_names(&plain, numbered, problems));
        } else if self.is_shared && !known {
            for &file in &plain {
                if let Some((id, role)) = paired_name(file, &plain, further).or_else(|| numbered_name(file)) {
                    named.push(NamedFile { id: Some(id), role, file, layout: Layout::FolderPerPatient });
                } else {
                    let what = "skipped: the file name matches no known layout";
                    problems.push(Problem::of_file(None, &file.path, what));
                }
            }
        } else {
            let whole = |file: &'a NiftiFile| NamedFile {
                id: None,
                role: whole_name(&file.stem, &owner),
                file,
                layout: Layout::FolderPerPatient,
            };
            named.extend(plain.into_iter().map(whole));
        }
        named
    }

    /// Files with the same id form a scan. Files without an id belong to the patient of the folder.
    fn assembled(&self, named: Vec<NamedFile<'_>>, problems: &mut Vec<Problem>) -> (Vec<Draft>, Vec<Stray>) {
        let ids: BTreeSet<&String> = named.iter().filter_map(|file| file.id.as_ref()).collect();
        let only = ids.first().filter(|_| ids.len() == 1).map_or_else(|| name_of(&self.owner), |id| (*id).clone());
        let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
        for NamedFile { id, role, file, layout } in named {
            let by_folder = id.is_none();
            let id = id.unwrap_or_else(|| only.clone());
            let draft = drafts.entry(id.clone()).or_insert_with(|| Draft::new(&id, &self.owner, layout));
            draft.session.clone_from(&self.session);
            draft.place.clone_from(&self.place);
            draft.by_folder |= by_folder;
            draft.add(role, file, problems);
            draft.layout = draft.layout.max(layout);
        }
        let (mut scans, others): (Vec<Draft>, Vec<Draft>) =
            drafts.into_values().partition(|draft| !draft.images.is_empty());
        let others = others.into_iter().flat_map(|other| adopt(&mut scans, other, problems));
        let strays = others.map(|(role, file)| self.stray(role, &file)).collect();
        let alone = scans.len() == 1;
        scans.iter_mut().for_each(|draft| draft.alone = alone);
        (scans, strays)
    }
}

/// Groups scans by the name before the suffix. Another modality (`ID_dose`) is assigned to the longest matching id. A numbered
/// image without a mask (`study_0001` beside `study_0255_mask`) is its own scan.
fn suffixed_names<'a>(files: &[&'a NiftiFile], numbered: bool, problems: &mut Vec<Problem>) -> Vec<NamedFile<'a>> {
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for &file in files {
        let Some((id, role, family)) = split_suffix(&file.stem) else {
            others.push(file);
            continue;
        };
        let layout = match family {
            Family::Hecktor => Layout::Hecktor,
            Family::Brats => Layout::Brats,
            Family::General => Layout::FolderPerPatient,
        };
        named.push(NamedFile { id: Some(id.to_owned()), role, file, layout });
    }
    let ids: BTreeSet<String> = named.iter().filter_map(|file| file.id.clone()).collect();
    for file in others {
        match ids.iter().filter(|id| belongs_to(&file.stem, id)).max_by_key(|id| id.len()) {
            Some(id) => {
                let role = whole_name(&file.stem, id);
                named.push(NamedFile { id: Some(id.clone()), role, file, layout: Layout::FolderPerPatient });
            }
            None if numbered && mask_role(&file.stem).is_none() => {
                let (id, role) = (Some(file.stem.clone()), Role::Image("image".into()));
                named.push(NamedFile { id, role, file, layout: Layout::FolderPerPatient });
            }
            None => {
                let what = "skipped: the file name matches no case in this folder";
                problems.push(Problem::of_file(None, &file.path, what));
            }
        }
    }
    named
}

/// True if a file is named as the image of an id, or an image begins with the id of a mask. Otherwise the names are of one
/// patient: `flair_time01_on_middle_space`, `brain_mask`, `ground_truth` and `ground_truth_expert1`.
fn has_named_image(files: &[&NiftiFile]) -> bool {
    let ids: BTreeSet<&str> = files.iter().filter_map(|file| Some(split_suffix(&file.stem)?.0)).collect();
    files.iter().any(|file| match split_suffix(&file.stem) {
        Some((_, role, _)) => matches!(role, Role::Image(_)),
        None => mask_role(&file.stem).is_none() && ids.iter().any(|id| belongs_to(&file.stem, id)),
    })
}

/// Id and role of a file in a folder of many patients, if another file has the same name in a folder of masks, the same number
/// after another word (`volume-0` and `segmentation-0`), or lacks only the channel (`P1_0000` and `P1`).
fn paired_name(file: &NiftiFile, plain: &[&NiftiFile], further: &[&NiftiFile]) -> Option<(String, Role)> {
    let stem = &file.stem;
    let is_mask = |mask: &NiftiFile| belongs_to(&mask.stem, stem) || are_counterparts(&mask.stem, stem);
    if further.iter().any(|mask| is_mask(mask)) || plain.iter().any(|mask| are_counterparts(&mask.stem, stem)) {
        return Some((stem.clone(), Role::Image("image".into())));
    }
    if let Some((id, channel)) = split_channel(stem).filter(|(id, _)| further.iter().any(|mask| mask.stem == *id)) {
        return Some((id.to_owned(), Role::Image(format!("{channel:04}"))));
    }
    let image = plain.iter().find(|image| are_counterparts(stem, &image.stem))?;
    Some((image.stem.clone(), Role::MaskByWord))
}

/// True if a name equals an id, or begins with it and a separator.
pub(super) fn belongs_to(stem: &str, id: &str) -> bool {
    stem.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATORS))
}

/// The scan of a mask in a subfolder: the only one, unless the mask may be of another patient, else by name.
fn owner_of<'a>(drafts: &'a mut [Draft], stem: &str, is_shared: bool) -> Option<&'a mut Draft> {
    let names_none = !is_shared || is_known_name(stem);
    let is_only = drafts.len() == 1 && drafts.iter().all(|only| only.by_folder || names_none);
    let is_owner = |id: &str| belongs_to(stem, id) || are_counterparts(stem, id) || without_mask_word(stem) == id;
    drafts.iter_mut().filter(|draft| is_only || is_owner(&draft.id)).max_by_key(|draft| draft.id.len())
}

/// Assigns masks without a matching image name to the scan that their name begins with, or to the folder's only scan without a
/// mask: patient 355 of BraTS 2020 has its mask under another name (`W39_1998.09.19_Segm.nii`). Returns the others.
fn adopt(scans: &mut [Draft], other: Draft, problems: &mut Vec<Problem>) -> Vec<(Role, NiftiFile)> {
    let by_name = scans.iter_mut().filter(|scan| belongs_to(&other.id, &scan.id)).max_by_key(|scan| scan.id.len());
    if let Some(owner) = by_name {
        // Without the scan's id, the name may say that the mask is of the brain.
        let id = owner.id.clone();
        let role_of = |role: Role, file: &NiftiFile| match mask_role(without_id(&file.stem, &id)) {
            Some(Role::OtherMask) if role != Role::ChosenMask => Role::OtherMask,
            _ => role,
        };
        owner.masks.extend(other.masks.into_iter().map(|(role, file)| (role_of(role, &file), file)));
        return Vec::new();
    }
    match scans {
        [only] if only.masks.is_empty() => {
            // `P3_tumorMask` beside `P3_brain_t1c` names the same id.
            for (_, mask) in other.masks.iter().filter(|_| !belongs_to(&only.id, &other.id)) {
                let what = format!(
                    "the mask is named after another id, {}. It is used because it is the only mask in this folder",
                    other.id
                );
                problems.push(Problem::of_file(Some(&only.id), &mask.path, what));
            }
            only.masks.extend(other.masks);
            Vec::new()
        }
        _ => other.masks,
    }
}

pub(super) fn without_image(mask: &NiftiFile) -> Problem {
    Problem::of_file(None, &mask.path, "skipped: no image matches this mask by name or folder")
}

/// The file name without its extension.
pub(super) fn stem_of(path: &Path) -> String {
    let name = composed(&path.file_name().unwrap_or_default().to_string_lossy());
    super::listing::stem(&name).map_or_else(|| name.clone(), str::to_owned)
}
