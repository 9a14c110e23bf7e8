//! Segmentations and structure sets of a library, and the images that they belong to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frames::SMALL;
use super::listing::files_in;
use super::source::Source;
use super::{DataSet, DicomFile, ImageStack, Library, PatientSpace, ScanInfo, Series, Tag, split_selector};
use crate::parallel;
use crate::volume::seg::{SourceImage, SourceSeries};
use crate::{Error, Result};

/// Modalities of objects that are shown over images.
pub(in crate::volume) const SEGMENTATIONS: [&str; 2] = ["SEG", "RTSTRUCT"];
/// Number of files of a folder that are read to find its patient.
const SAMPLES: usize = 4;
/// Slices shifted by more than this within their planes are irregular, in mm.
const SHIFT_MM: f64 = 0.1;

/// A SEG or RTSTRUCT.
#[derive(Clone, Debug)]
pub struct Overlay {
    source: Source,
    /// `SEG` or `RTSTRUCT`.
    pub modality: String,
    /// SOPInstanceUID.
    pub instance_uid: String,
    /// SeriesInstanceUID.
    pub series_uid: String,
    /// Its frame of reference, and the images that it names.
    pub space: PatientSpace,
    /// Date and time of its content as stored in the file, used for sorting.
    pub made: String,
    /// Names of its segments or regions; numbers of those without a name.
    pub segments: BTreeSet<String>,
}

impl Overlay {
    /// Its file; `None` for a member of a zip archive.
    pub fn file(&self) -> Option<&Path> {
        Some(&*self.source.path).filter(|_| self.source.member.is_none())
    }

    fn of(file: &DicomFile) -> Self {
        let data = &file.data;
        let text = |tag| data.text(tag).unwrap_or_default();
        let uid = |tag| data.uid(tag).unwrap_or_default().to_owned();
        let dates = [Tag::CONTENT_DATE, STRUCTURE_SET_DATE, Tag::SERIES_DATE].map(text);
        let times = [Tag::CONTENT_TIME, STRUCTURE_SET_TIME, Tag::SERIES_TIME].map(text);
        let names = |sequence, name, number| {
            let name_of = move |item: &DataSet| item.text(name).or_else(|| Some(item.number(number)?.to_string()));
            data.items(sequence).iter().filter_map(name_of)
        };
        let first = |texts: [String; 3]| texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        Self {
            source: file.source.clone(),
            modality: text(Tag::MODALITY),
            instance_uid: file.instance_uid().to_owned(),
            series_uid: uid(Tag::SERIES_INSTANCE_UID),
            space: PatientSpace::of_segmentation(data),
            made: first(dates) + " " + &first(times),
            segments: names(Tag::SEGMENT_SEQUENCE, Tag::SEGMENT_LABEL, Tag::SEGMENT_NUMBER)
                .chain(names(Tag::STRUCTURE_SET_ROI_SEQUENCE, Tag::ROI_NAME, Tag::ROI_NUMBER))
                .collect(),
        }
    }

    /// True if it is a later version of another object: of the same kind, with every segment of it.
    pub fn supersedes(&self, other: &Self) -> bool {
        self.modality == other.modality && self.made >= other.made && self.segments.is_superset(&other.segments)
    }

    /// The file that holds it: an archive for a member of one.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Opens the file.
    ///
    /// # Errors
    /// As [`DicomFile::open`].
    pub fn open(&self) -> Result<DicomFile> {
        DicomFile::from_source(&self.source)
    }

    /// True if it was made on the images of a stack: it names one of them or, where it names no image, their series or
    /// frame of reference.
    pub fn belongs_to(&self, stack: &ImageStack) -> bool {
        let PatientSpace { frames_of_reference, series, images } = &self.space;
        if !images.is_empty() {
            return stack.slices().any(|slice| images.contains(&stack.instances[slice.instance].uid));
        }
        let first = stack.first();
        if series.is_empty() {
            frames_of_reference.contains(&first.frame_of_reference)
        } else {
            series.contains(&first.series_uid)
        }
    }
}

/// `StructureSetDate` and `StructureSetTime`.
const STRUCTURE_SET_DATE: Tag = Tag(0x3006, 0x0008);
const STRUCTURE_SET_TIME: Tag = Tag(0x3006, 0x0009);

impl Series {
    /// True for segmentations and structure sets.
    pub fn is_overlay(&self) -> bool {
        SEGMENTATIONS.contains(&self.modality.as_str())
    }

    /// Its segmentations and structure sets; none for images.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn overlays(&self) -> Result<Vec<Overlay>> {
        if !self.is_overlay() {
            return Ok(Vec::new());
        }
        self.instances.iter().map(|instance| Ok(Overlay::of(&DicomFile::from_source(&instance.source)?))).collect()
    }
}

/// Opens the SEG or RTSTRUCT that a path names: a file, or a place and the part that chooses a series, followed by `:2`
/// for the second file of that series.
///
/// # Errors
/// A file that cannot be read, a series that does not exist or holds neither.
pub fn open_overlay(path: &Path) -> Result<DicomFile> {
    let (place, Some(selector)) = split_selector(path) else { return DicomFile::open(path) };
    let library = Library::scan(place, &|_, _| true)?;
    for series in library.series().filter(|series| series.is_overlay()) {
        for (index, instance) in series.instances.iter().enumerate() {
            if library.selector(series, index) == selector {
                return DicomFile::from_source(&instance.source);
            }
        }
    }
    Err(Error::file(place, "contains no segmentation or structure set of the chosen series"))
}

impl SourceSeries {
    /// The images that a structure set was drawn on: in its folder, or in a folder below or beside it.
    ///
    /// # Errors
    /// If they are missing, form several volumes, or cannot be read.
    pub fn near(file: &DicomFile) -> Result<Self> {
        let overlay = Overlay::of(file);
        for folder in folders_near(file)? {
            let library = Library::of_folder(&folder)?;
            let stacks = library.series().flat_map(|series| &series.stacks);
            let candidates: Vec<&ImageStack> =
                stacks.filter(|stack| stack.is_stackable() && overlay.belongs_to(stack)).collect();
            match candidates[..] {
                [] => {}
                [only] => return Self::of(only),
                _ => {
                    let why = "several volumes near it fit the contours. Convert the one that they were drawn on";
                    return Err(file.error(Tag::ROI_CONTOUR_SEQUENCE, why));
                }
            }
        }
        let why = "the images that the contours were drawn on are neither in its folder nor in one below or beside it";
        Err(file.error(Tag::ROI_CONTOUR_SEQUENCE, why))
    }

    /// The slices of a stack with the headers of their images.
    ///
    /// # Errors
    /// A file that cannot be read, or a large grid whose first image has fewer pixels than it declares: a mask on it would take
    /// as much memory.
    pub fn of(stack: &ImageStack) -> Result<Self> {
        if stack.grid().len() > SMALL {
            stack.check_first(stack.grid().shape[2])?;
        }
        let info = stack.info();
        let is_mosaic = stack.stack.frames.iter().flatten().flatten().any(|slice| {
            let instance = &stack.instances[slice.instance];
            instance.planes[slice.plane].size != [instance.columns, instance.rows]
        });
        let used: BTreeSet<usize> = stack.stack.frames.iter().flatten().flatten().map(|slice| slice.instance).collect();
        let used: Vec<usize> = used.into_iter().collect();
        let headers = parallel::map(used.len(), |index| {
            Ok(Arc::new(DicomFile::from_source(&stack.instances[used[index]].source)?.data))
        });
        let headers = headers.into_iter().collect::<Result<Vec<Arc<DataSet>>>>()?;
        let mut images = Vec::new();
        for (k, slice) in stack.stack.frames.iter().flat_map(|frame| frame.iter().enumerate()) {
            let (Some(slice), Some(position)) = (slice, stack.stack.positions.get(k)) else { continue };
            let instance = &stack.instances[slice.instance];
            let Ok(index) = used.binary_search(&slice.instance) else { continue };
            let frame = instance.planes[slice.plane].frame as u32 + 1;
            images.push(SourceImage {
                k,
                header: Arc::clone(&headers[index]),
                instance: instance.uid.clone(),
                frame: (instance.frames > 1).then_some(frame),
                position: glam::DVec3::new(-position.x, -position.y, position.z),
            });
        }
        let irregular = if is_mosaic {
            Some("each image is a mosaic of several slices, which a SEG cannot refer to".to_owned())
        } else {
            irregular(stack, &info)
        };
        Ok(Self {
            grid: stack.grid().clone(),
            series: info.series_uid,
            frame_of_reference: Some(info.frame_of_reference).filter(|uid| !uid.is_empty()),
            images,
            irregular,
        })
    }
}

/// The folder of a file, and those of its subfolders and sibling folders whose first file belongs to the same patient. The
/// siblings may be a whole cohort.
fn folders_near(file: &DicomFile) -> Result<Vec<PathBuf>> {
    let own = std::path::absolute(&file.source.path).map_err(Error::io("read", &file.source.display_path))?;
    let own = own.parent().unwrap_or(&own);
    let folders_in = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    };
    let patient = file.data.text(Tag::PATIENT_ID).unwrap_or_default();
    let is_same_patient = |folder: &PathBuf| {
        let files = files_in(folder).unwrap_or_default();
        let mut opened = files.iter().take(SAMPLES).filter_map(|source| DicomFile::if_dicom(source).ok().flatten());
        opened.next().is_some_and(|first| first.data.text(Tag::PATIENT_ID).unwrap_or_default() == patient)
    };
    let beside = own.parent().map(folders_in).unwrap_or_default();
    let others = folders_in(own).into_iter().chain(beside.into_iter().filter(|folder| *folder != own));
    Ok(std::iter::once(own.to_path_buf()).chain(others.filter(is_same_patient)).collect())
}

/// Why the slices of a stack do not lie on an even grid; `None` if they do.
pub fn irregular(stack: &ImageStack, info: &ScanInfo) -> Option<String> {
    if !info.evenly_spaced {
        return Some("the slices are unevenly spaced".to_owned());
    }
    if info.tilt_degrees > 0.0 {
        return Some(format!("the slices are tilted by {:.1} degrees relative to the stack", info.tilt_degrees));
    }
    let off = info
        .positions
        .iter()
        .enumerate()
        .map(|(k, [x, y, z])| stack.grid().world([0, 0, k]).distance(glam::DVec3::new(-x, -y, *z)));
    let shift = off.fold(0.0, f64::max);
    (shift > SHIFT_MM).then(|| format!("the slices are shifted relative to each other by up to {shift:.2} mm"))
}
