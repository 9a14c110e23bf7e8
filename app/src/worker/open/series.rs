//! Finds out what a DICOM folder or archive contains: one image, which is opened, or several series, which are listed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::volume::dicom::{self, DicomFile, ImageStack, Library, Overlay, Series, Study, Tag};

use crate::state::dicom::{ListedPatient, ListedStudy, shown_date, shown_name};
use crate::state::names::{is_mask_name, is_nifti_name};
use crate::state::{ListedSeries, Request, SeriesId, SeriesKind, SeriesList};
use crate::worker::{Failure, JobHandle};

/// Depth to which folders are searched for a first DICOM or NIfTI file.
const DEPTH: usize = 4;
/// Number of files of a folder that are checked before it is assumed to contain no DICOM.
const SAMPLES: usize = 8;

/// What a request names.
pub(super) enum RequestContent {
    /// No DICOM images to choose from.
    Other,
    /// One image.
    Image(Box<Request>),
    /// Several images, or one with segmentations.
    List(Box<SeriesList>),
    /// A segmentation, which belongs to other files.
    Overlay(PathBuf),
}

/// Inspects what a request names. If it names other files besides the folder or archive, they belong to one image and
/// nothing is listed.
pub(super) fn content_of(request: &Request, list: u64, handle: &JobHandle) -> Result<RequestContent, Failure> {
    if request.has_more_than_images() || request.as_cases {
        return Ok(RequestContent::Other);
    }
    if let [file] = &request.paths[..]
        && is_overlay(file)
    {
        return Ok(RequestContent::Overlay(file.clone()));
    }
    let Some(source) = source_of(&request.paths) else { return Ok(RequestContent::Other) };
    let progress = |done: usize, total: usize| {
        handle.progress(Some(done as f32 / total.max(1) as f32), format!("{done} of {total} files"));
        handle.check().is_ok()
    };
    let library = Library::scan(&source, &progress)?;
    if !library.has_images() {
        return Ok(RequestContent::Other);
    }
    let list = listed(&source, &library, list);
    let only = list.only_image().and_then(|only| list.request(&[only]));
    Ok(only.map_or_else(|| RequestContent::List(Box::new(list)), |only| RequestContent::Image(Box::new(only))))
}

/// The DICOM folder or archive that paths name: a single path, or the folder of several DICOM files.
fn source_of(paths: &[PathBuf]) -> Option<PathBuf> {
    match paths {
        [] => None,
        [folder] if folder.is_dir() => holds_dicom(folder).then(|| folder.clone()),
        [file] => dicom::is_collection(file).then(|| file.clone()),
        [first, rest @ ..] => {
            let folder = first.parent()?;
            let is_file = |path: &PathBuf| path.is_file() && !is_nifti_name(path) && dicom::is_dicom(path);
            let same = rest.iter().all(|path| path.parent() == Some(folder));
            (same && paths.iter().all(is_file)).then(|| folder.to_path_buf())
        }
    }
}

/// Whether a file is a SEG or RTSTRUCT.
fn is_overlay(path: &Path) -> bool {
    let is_file = path.is_file() && !is_nifti_name(path) && dicom::is_dicom(path) && !dicom::is_collection(path);
    let modality = || DicomFile::open(path).ok()?.data.text(Tag::MODALITY);
    is_file && modality().is_some_and(|modality| matches!(modality.as_str(), "SEG" | "RTSTRUCT"))
}

/// Whether a folder contains DICOM files and no NIfTI images, which would open as cases.
pub(super) fn holds_dicom(root: &Path) -> bool {
    let mut level = vec![root.to_path_buf()];
    let mut found = false;
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for folder in level {
            let mut samples = 0;
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()).filter(|path| !is_hidden(path)) {
                if path.is_dir() {
                    next.push(path);
                } else if is_nifti_name(&path) {
                    if !is_mask_name(&path) {
                        return false;
                    }
                } else if !found && samples < SAMPLES {
                    samples += 1;
                    found = dicom::is_dicom(&path);
                }
            }
        }
        level = next;
    }
    found
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// The listed series of a library. `list` identifies this reading of the folder.
pub(in crate::worker) fn listed(source: &Path, library: &Library, list: u64) -> SeriesList {
    let mut count = 0;
    let mut unused = || {
        count += 1;
        SeriesId { list, at: count - 1 }
    };
    let mut overlays: Vec<(SeriesId, Overlay)> = Vec::new();
    let mut study = |study: &Study| {
        let mut series: Vec<ListedSeries> = Vec::new();
        // By number: whether its series, of one slice each, are listed as one.
        let mut joined: BTreeMap<i64, bool> = BTreeMap::new();
        for one in &study.series {
            let is_part = one.number.filter(|_| one.files == 1).is_some_and(|number| {
                *joined.entry(number).or_insert_with(|| {
                    let entry = joined_entry(source, library, one, &mut unused);
                    let found = entry.is_some();
                    series.extend(entry);
                    found
                })
            });
            if !is_part {
                series.extend(entries(source, library, one, &mut unused, &mut overlays));
            }
        }
        let dates = series.iter().map(|series| series.date.clone()).filter(|date| !date.is_empty());
        ListedStudy { description: study.description.clone(), date: dates.min().unwrap_or_default(), series }
    };
    let mut patients = Vec::new();
    for patient in &library.patients {
        let studies = patient.studies.iter().map(&mut study).collect();
        patients.push(ListedPatient { name: shown_name(&patient.name), id: patient.id.clone(), studies });
    }
    let mut list = SeriesList {
        source: source.to_path_buf(),
        is_folder: source.is_dir(),
        patients,
        warnings: library.warnings.clone(),
        chosen: None,
        browsing: true,
    };
    for (id, overlay) in overlays {
        let of = list.series().find(|series| series.stack().is_some_and(|stack| overlay.belongs_to(stack)));
        let of = of.map(|series| series.id);
        if let Some(series) = list.get_mut(id) {
            series.kind = SeriesKind::Overlay(of);
        }
    }
    let first = list.series().find(|series| series.stack().is_some()).map(|series| series.id);
    list.chosen = first;
    list
}

/// The entry of the volume that series of one slice each are joined to.
fn joined_entry(
    source: &Path,
    library: &Library,
    series: &Series,
    unused: &mut impl FnMut() -> SeriesId,
) -> Option<ListedSeries> {
    let (selector, stack) = library.joined(series)?;
    let files = files_of(&stack);
    let mut warnings = vec![format!("{files} series of one image with this number are joined")];
    warnings.extend(stack.warnings());
    Some(ListedSeries {
        files,
        ..entry(source, series, unused(), &selector, SeriesKind::Image(Box::new(stack)), warnings)
    })
}

/// An entry of a series.
fn entry(
    source: &Path,
    series: &Series,
    id: SeriesId,
    selector: &str,
    kind: SeriesKind,
    warnings: Vec<String>,
) -> ListedSeries {
    ListedSeries {
        id,
        path: dicom::with_series(source, selector),
        file: None,
        kind,
        number: series.number,
        modality: series.modality.clone(),
        description: series.description.clone(),
        date: shown_date(&series.date),
        files: series.files,
        warnings,
        thumbnail: None,
        error: None,
    }
}

/// Number of images of a volume, over all frames.
fn files_of(stack: &ImageStack) -> usize {
    (0..stack.frames()).flat_map(|frame| stack.sources(frame)).flatten().count()
}

/// One entry for each volume, image or segmentation of a series; one for a series of anything else.
fn entries(
    source: &Path,
    library: &Library,
    series: &Series,
    unused: &mut impl FnMut() -> SeriesId,
    overlays: &mut Vec<(SeriesId, Overlay)>,
) -> Vec<ListedSeries> {
    let entry = |id, selector: &str, kind, warnings: Vec<String>| {
        let warnings = series.warnings.iter().cloned().chain(warnings).collect();
        entry(source, series, id, selector, kind, warnings)
    };
    let image = |(at, stack): (usize, &ImageStack), unused: &mut dyn FnMut() -> SeriesId| {
        let selector = library.selector(series, at);
        let listed = entry(unused(), &selector, SeriesKind::Image(Box::new(stack.clone())), stack.warnings());
        let description = [listed.description.as_str(), stack.name.as_str()];
        let description: Vec<&str> = description.into_iter().filter(|text| !text.is_empty()).collect();
        let files = if series.stacks.len() > 1 { files_of(stack) } else { series.files };
        ListedSeries { description: description.join(", "), files, ..listed }
    };
    if !series.stacks.is_empty() {
        return series.stacks.iter().enumerate().map(|stack| image(stack, unused)).collect();
    }
    match series.overlays() {
        Ok(found) if !found.is_empty() => {
            let listed = found.into_iter().enumerate().map(|(at, overlay)| {
                let id = unused();
                let file = overlay.file().map(Path::to_path_buf);
                overlays.push((id, overlay));
                let selector = library.selector(series, at);
                ListedSeries { files: 1, file, ..entry(id, &selector, SeriesKind::Overlay(None), Vec::new()) }
            });
            listed.collect()
        }
        Ok(_) => vec![entry(unused(), &library.selector(series, 0), SeriesKind::Other, Vec::new())],
        Err(error) => {
            let why = vec![error.to_string()];
            vec![entry(unused(), &library.selector(series, 0), SeriesKind::Other, why)]
        }
    }
}
