//! DICOM: the series of an open folder or archive, and metadata of an image.
//!
//! Names, ids, dates and descriptions identify patients. They appear only in the list of series and in one banner,
//! never in a title, a message or a file name. See [`State::shows_patient`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::cohort::{ImageFile, modality_name};
use engine::volume::dicom::{ImageStack, split_selector};
use engine::words::plural;

use super::names::{file_name, file_stem, numbered_series};
use super::{Document, Request, State, Thumbnail};

/// Identifies a listed series. Never reused in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeriesId {
    /// Identifies the reading of the folder or archive.
    pub list: u64,
    /// Its number in the list, from 0.
    pub at: usize,
}

/// Metadata from the header of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DicomInfo {
    /// Name and ID of the patient, and date of the study, for display only.
    pub patient: PatientInfo,
    /// Base name of derived files: modality and hash of the series' UID.
    pub file_name: String,
    /// Folder of derived files.
    pub folder: PathBuf,
    /// FrameOfReferenceUID: images that share it are aligned.
    pub frame_of_reference: String,
    /// Why a SEG cannot describe its slices; `None` if it can.
    pub irregular: Option<String>,
    /// Whether small values are bright (MONOCHROME1).
    pub inverted: bool,
    /// Whether slices are unevenly spaced. Distances across them then use their mean spacing.
    pub uneven: bool,
}

/// What identifies a patient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatientInfo {
    /// PatientName, as shown.
    pub name: String,
    /// PatientID.
    pub id: String,
    /// Date of the study, or of the series, as `2024-02-29`.
    pub date: String,
}

/// The series of a DICOM folder, zip archive or DICOMDIR.
#[derive(Clone, Debug)]
pub struct SeriesList {
    /// The folder, zip archive or DICOMDIR.
    pub source: PathBuf,
    /// Whether it is a folder, which can also be opened as a cohort.
    pub is_folder: bool,
    /// By PatientID.
    pub patients: Vec<ListedPatient>,
    /// What was left out, one sentence per item.
    pub warnings: Vec<String>,
    /// The selected series.
    pub chosen: Option<SeriesId>,
    /// The list is in the centre, in place of the views.
    pub browsing: bool,
}

/// A patient with their studies.
#[derive(Clone, Debug)]
pub struct ListedPatient {
    /// PatientName, as shown.
    pub name: String,
    /// PatientID.
    pub id: String,
    /// By date.
    pub studies: Vec<ListedStudy>,
}

/// A study with its series.
#[derive(Clone, Debug)]
pub struct ListedStudy {
    /// StudyDescription.
    pub description: String,
    /// Date of its first series, as `2024-02-29`.
    pub date: String,
    /// By number. A series with several volumes or images has an entry for each.
    pub series: Vec<ListedSeries>,
}

/// A volume, an image, or a segmentation.
#[derive(Clone, Debug)]
pub struct ListedSeries {
    /// Identifies the series in this session.
    pub id: SeriesId,
    /// Path that opens it: folder or archive with a series selector.
    pub path: PathBuf,
    /// The file of a segmentation, unless it is in an archive.
    pub file: Option<PathBuf>,
    /// How it can be opened.
    pub kind: SeriesKind,
    /// SeriesNumber.
    pub number: Option<i64>,
    /// Modality: `CT`, `MR`, `PT`, `SEG`, ...
    pub modality: String,
    /// SeriesDescription, and the difference from other volumes of its series.
    pub description: String,
    /// Date as `2024-02-29`.
    pub date: String,
    /// Number of files.
    pub files: usize,
    /// Irregularities, one sentence each.
    pub warnings: Vec<String>,
    /// A small picture, once it is made.
    pub thumbnail: Option<Arc<Thumbnail>>,
    /// Reason for a missing thumbnail.
    pub error: Option<String>,
}

/// Kind of a series.
#[derive(Clone, Debug)]
pub enum SeriesKind {
    /// A volume or a single image.
    Image(Box<ImageStack>),
    /// A SEG or RTSTRUCT, and the listed image it was made on.
    Overlay(Option<SeriesId>),
    /// A report, a dose or another object that is only listed.
    Other,
}

/// Display text of a PatientName: `Doe^Jane^^Dr.` becomes `Doe, Jane, Dr.` A name in several scripts,
/// `Yamada^Tarou=山田^太郎`, keeps each.
pub fn shown_name(name: &str) -> String {
    let parts = |script: &str| {
        let parts: Vec<&str> = script.split('^').map(str::trim).filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    };
    let scripts: Vec<String> = name.split('=').map(parts).filter(|script| !script.is_empty()).collect();
    scripts.join(" = ")
}

/// Display text of a DICOM date, `20240229`.
pub fn shown_date(date: &str) -> String {
    match (date.get(..4), date.get(4..6), date.get(6..8)) {
        (Some(year), Some(month), Some(day)) if date.len() == 8 => format!("{year}-{month}-{day}"),
        _ => date.to_owned(),
    }
}

impl ListedSeries {
    /// Its name without anything that identifies the patient: `PET series 3`.
    pub fn title(&self) -> String {
        let modality = match self.modality.as_str() {
            "PT" => "PET",
            "" => "Unknown",
            other => other,
        };
        let series = numbered_series(&self.path, self.number);
        format!("{modality} {}", series.unwrap_or_else(|| file_name(&self.path)))
    }

    /// The volume or image.
    pub fn stack(&self) -> Option<&ImageStack> {
        match &self.kind {
            SeriesKind::Image(stack) => Some(stack),
            SeriesKind::Overlay(_) | SeriesKind::Other => None,
        }
    }

    /// Whether it is a volume of this modality.
    fn is_volume_of(&self, modality: &str) -> bool {
        self.modality == modality && self.stack().is_some_and(ImageStack::is_stackable)
    }

    /// The image, as a request names it.
    fn image(&self) -> (Option<String>, ImageFile) {
        (Some(modality_name(&self.modality, &self.description)), ImageFile::new(self.path.clone()))
    }
}

impl ListedStudy {
    /// An aligned pair of CT and PET volumes. Prefers a PET in SUV, and the CT with the most slices.
    pub fn ct_and_pet(&self) -> Option<[SeriesId; 2]> {
        let info = |series: &ListedSeries| series.stack().map(ImageStack::info);
        let pets = self.series.iter().filter(|series| series.is_volume_of("PT"));
        let pet = pets.max_by_key(|pet| info(pet).is_some_and(|info| info.unit.as_deref() == Some("SUVbw")))?;
        let frame = info(pet)?.frame_of_reference;
        let aligned = |ct: &&ListedSeries| info(ct).is_some_and(|info| info.frame_of_reference == frame);
        let cts = self.series.iter().filter(|series| series.is_volume_of("CT")).filter(aligned);
        let ct = cts.max_by_key(|ct| ct.stack().map_or(0, |stack| stack.grid().shape[2]))?;
        Some([ct.id, pet.id])
    }
}

impl SeriesList {
    /// Every series, by patient and study.
    pub fn series(&self) -> impl Iterator<Item = &ListedSeries> {
        self.studies().flat_map(|study| &study.series)
    }

    /// Every study, by patient.
    pub fn studies(&self) -> impl Iterator<Item = &ListedStudy> {
        self.patients.iter().flat_map(|patient| &patient.studies)
    }

    /// A series of the list.
    pub fn get(&self, id: SeriesId) -> Option<&ListedSeries> {
        self.series().find(|series| series.id == id)
    }

    /// The series of this list that another list of the same source has as `other`. Paths of segmentations change when
    /// another one with their number is saved.
    pub fn same(&self, other: &ListedSeries) -> Option<&ListedSeries> {
        let is_same = |series: &&ListedSeries| match &other.file {
            Some(file) => series.file.as_ref() == Some(file),
            None => series.path == other.path,
        };
        self.series().find(is_same)
    }

    /// A series of the list, mutable.
    pub fn get_mut(&mut self, id: SeriesId) -> Option<&mut ListedSeries> {
        self.series_mut().find(|series| series.id == id)
    }

    /// Every series, mutable.
    pub fn series_mut(&mut self) -> impl Iterator<Item = &mut ListedSeries> {
        self.patients.iter_mut().flat_map(|patient| &mut patient.studies).flat_map(|study| &mut study.series)
    }

    /// Size and number of images, or the image a segmentation was made on. With the date if the patient is shown.
    pub fn facts(&self, series: &ListedSeries, shows_patient: bool) -> String {
        let mut facts = Vec::new();
        match &series.kind {
            SeriesKind::Image(stack) => {
                let [x, y, z] = stack.grid().shape;
                let frames = if stack.frames() > 1 { format!(" \u{d7} {}", stack.frames()) } else { String::new() };
                let depth = if z > 1 { format!(" \u{d7} {z}") } else { String::new() };
                facts.push(format!("{x} \u{d7} {y}{depth}{frames}"));
                facts.push(plural(series.files, "image", "images"));
            }
            SeriesKind::Overlay(of) => facts.push(match of.and_then(|of| self.get(of)) {
                Some(image) => format!("segmentation of {}", image.title()),
                None => "its images are missing".to_owned(),
            }),
            SeriesKind::Other => facts.push(plural(series.files, "file, listed only", "files, listed only")),
        }
        facts.extend(Some(series.date.clone()).filter(|date| shows_patient && !date.is_empty()));
        facts.join(", ")
    }

    /// The image that must be open to display a series: itself, or the source of a segmentation.
    pub fn image_of(&self, id: SeriesId) -> Option<&ListedSeries> {
        match self.get(id)?.kind {
            SeriesKind::Image(_) => self.get(id),
            SeriesKind::Overlay(of) => self.get(of?),
            SeriesKind::Other => None,
        }
    }

    /// A request to open images of the list. Segmentations are on the grid of the first one.
    pub fn request(&self, images: &[SeriesId]) -> Option<Request> {
        let images = images.iter().map(|id| self.get(*id)).collect::<Option<Vec<_>>>()?;
        let titles: Vec<String> = images.iter().map(|series| series.title()).collect();
        let stacks = images.iter().filter_map(|series| Some((series.path.clone(), series.stack()?.clone()))).collect();
        Some(Request {
            title: Some(titles.join(" + ")),
            images: images.into_iter().map(ListedSeries::image).collect(),
            stacks,
            ..Request::default()
        })
    }

    /// The only image of a folder without segmentations, ignoring single images next to a volume.
    pub fn only_image(&self) -> Option<SeriesId> {
        if self.series().any(|series| matches!(series.kind, SeriesKind::Overlay(_))) {
            return None;
        }
        let images: Vec<&ListedSeries> = self.series().filter(|series| series.stack().is_some()).collect();
        let is_volume = |series: &&ListedSeries| series.stack().is_some_and(ImageStack::is_stackable);
        let volumes: Vec<&ListedSeries> = images.iter().copied().filter(is_volume).collect();
        match (&volumes[..], &images[..]) {
            ([only], _) | ([], [only]) => Some(only.id),
            _ => None,
        }
    }
}

impl Document {
    /// DICOM metadata of the image whose grid the masks use.
    pub fn dicom(&self) -> Option<&DicomInfo> {
        self.base().dicom.as_deref()
    }

    /// Whether one of its images was read from this path.
    pub fn has_image(&self, path: &Path) -> bool {
        self.images.iter().any(|image| image.path() == path)
    }

    /// Folder and base name of files derived from the case.
    pub fn default_output(&self) -> (PathBuf, String) {
        if let Some(dicom) = self.dicom() {
            return (dicom.folder.clone(), dicom.file_name.clone());
        }
        let path = self.base().path();
        (path.parent().map(Path::to_path_buf).unwrap_or_default(), file_stem(path))
    }
}

impl State {
    /// Whether names, ids, dates and descriptions of patients are drawn. Not if the user hid them, in the demo or in a
    /// screenshot.
    pub fn shows_patient(&self) -> bool {
        !self.session.settings.hide_patient && !self.anonymous
    }

    /// The list of series, if it is in the centre: while no case is open or the user is browsing.
    pub fn browsed(&self) -> Option<&SeriesList> {
        let free = self.failed.is_none() && self.opening().is_none();
        self.series.as_ref().filter(|list| free && (list.browsing || self.document.is_none()))
    }

    /// Whether a listed series is displayed, as an image or as a mask. A saved segmentation is known by its file, one
    /// opened from the list by its path there.
    pub fn is_open_series(&self, series: &ListedSeries) -> bool {
        let Some(document) = &self.document else { return false };
        let is_listed = |file: &PathBuf| *file == series.path || Some(file) == series.file.as_ref();
        document.has_image(&series.path) || document.masks.iter().any(|mask| mask.files().iter().any(is_listed))
    }

    /// Whether a series shares its frame of reference with the open case, so that both can be shown together.
    pub fn is_aligned(&self, series: &ListedSeries) -> bool {
        let open = self.document.as_ref().and_then(Document::dicom);
        let own = series.stack().map(|stack| stack.info().frame_of_reference);
        open.zip(own).is_some_and(|(open, own)| !own.is_empty() && open.frame_of_reference == own)
    }
}

/// The folder, zip archive or DICOMDIR of a path to a series.
pub fn source_of(path: &Path) -> &Path {
    split_selector(path).0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn titles_and_facts_do_not_identify_a_hidden_patient() {
        let mut list = two_patients();
        let seg = list.series().last().unwrap().clone();
        assert_eq!(seg.title(), "SEG series 1003");
        assert_eq!(list.facts(&seg, true), "segmentation of CT series 2:2, 2024-02-29");
        assert_eq!(list.facts(&seg, false), "segmentation of CT series 2:2");
        list.get_mut(seg.id).unwrap().kind = SeriesKind::Overlay(None);
        let seg = list.get(seg.id).unwrap();
        assert_eq!(list.facts(seg, false), "its images are missing");
        let mut state = State::default();
        assert!(state.shows_patient());
        state.anonymous = true;
        assert!(!state.shows_patient());
    }

    /// Each with a CT series 2, so that paths name them by UID; the second with a SEG of it.
    fn two_patients() -> SeriesList {
        let series = |at, uid: &str, number, modality: &str, kind| ListedSeries {
            id: SeriesId { list: 1, at },
            path: format!("/d/study/series:{uid}").into(),
            file: None,
            kind,
            number,
            modality: modality.into(),
            description: "Lesions of Jane".into(),
            date: shown_date("20240229"),
            files: 1,
            warnings: Vec::new(),
            thumbnail: None,
            error: None,
        };
        let of = Some(SeriesId { list: 1, at: 1 });
        let all = [
            vec![series(0, "1.2.3", Some(2), "CT", SeriesKind::Other)],
            vec![
                series(1, "1.2.4:2", Some(2), "CT", SeriesKind::Other),
                series(2, "1003", Some(1003), "SEG", SeriesKind::Overlay(of)),
            ],
        ];
        let patient = |series| ListedPatient {
            name: shown_name("Doe^Jane"),
            id: "1".into(),
            studies: vec![ListedStudy { description: String::new(), date: String::new(), series }],
        };
        SeriesList {
            source: "/d/study".into(),
            is_folder: true,
            patients: all.map(patient).into(),
            warnings: Vec::new(),
            chosen: None,
            browsing: true,
        }
    }

    #[test]
    fn titles_use_series_numbers_even_if_paths_use_uids() {
        let list = two_patients();
        let titles: Vec<String> = list.series().map(ListedSeries::title).collect();
        assert_eq!(titles, ["CT series 2", "CT series 2:2", "SEG series 1003"]);
        let unnumbered = ListedSeries { number: None, ..list.series().next().unwrap().clone() };
        assert!(unnumbered.title().starts_with("CT series ") && !unnumbered.title().contains("1.2.3"));
    }

    #[test]
    fn patient_names_keep_every_script() {
        for (name, shown) in [
            ("Doe^Jane", "Doe, Jane"),
            ("M\u{fc}ller^Anna^^Dr.^", "M\u{fc}ller, Anna, Dr."),
            ("PHANTOM 12", "PHANTOM 12"),
            ("Yamada^Tarou=\u{5c71}\u{7530}^\u{592a}\u{90ce}=", "Yamada, Tarou = \u{5c71}\u{7530}, \u{592a}\u{90ce}"),
            ("^^", ""),
            ("", ""),
        ] {
            assert_eq!(shown_name(name), shown, "{name}");
        }
    }

    #[test]
    fn dates_in_other_formats_are_shown_unchanged() {
        assert_eq!(shown_date("2024.02.29"), "2024.02.29");
        assert_eq!(shown_date(""), "");
    }
}
