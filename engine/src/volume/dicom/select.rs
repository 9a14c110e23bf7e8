//! Finds the series that a path names, and opens its volume.
//!
//! A path names a DICOM file, a folder, a zip archive or a DICOMDIR. If it holds several volumes, a last component
//! `series:SELECTOR` selects one: `study/series:3` or `study/series:1.2.840...`. A suffix `:2` selects the second volume of a
//! series.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::library::{Library, Series};
use super::load::ImageStack;
use super::{DicomFile, Tag, listing, parse};
use crate::disk::atomic::sha256;
use crate::volume::seg::open_segmentation;
use crate::volume::{Grid, ReadOptions, Volume};
use crate::{Error, Result};

/// Start of the path component that selects a series.
const PREFIX: &str = "series:";

/// `path` with a component that selects a series.
pub fn with_series(path: &Path, selector: &str) -> PathBuf {
    path.join(format!("{PREFIX}{selector}"))
}

/// Splits a path into the file or folder and the series selector.
pub fn split_selector(path: &Path) -> (&Path, Option<&str>) {
    let selector = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(PREFIX));
    match (selector, path.parent()) {
        (Some(selector), Some(place)) => (place, Some(selector)),
        _ => (path, None),
    }
}

/// True if a path names DICOM: it selects a series, or is a folder, a zip archive, or a file that starts like DICOM. A file
/// without preamble is not DICOM if it has a NIfTI name.
pub fn is_dicom(path: &Path) -> bool {
    let (place, selector) = split_selector(path);
    if selector.is_some() || place.is_dir() || listing::is_zip(place) {
        return true;
    }
    let mut head = Vec::new();
    let read = File::open(place).and_then(|file| file.take(1 << 8).read_to_end(&mut head));
    let name = place.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let nifti = [".nii", ".gz", ".hdr", ".img"].iter().any(|ending| name.ends_with(ending));
    read.is_ok() && parse::looks_like_dicom(&head) && (!nifti || parse::start_of(&head) == 132)
}

/// True if a path names a folder, a zip archive or a DICOMDIR and does not select a series.
pub fn is_collection(path: &Path) -> bool {
    let (place, selector) = split_selector(path);
    let is_directory = || {
        is_dicom(place)
            && DicomFile::open(place).is_ok_and(|file| file.data.get(Tag::DIRECTORY_RECORD_SEQUENCE).is_some())
    };
    selector.is_none() && (place.is_dir() || listing::is_zip(place) || is_directory())
}

/// Reads the volume that a path names.
///
/// # Errors
/// As [`open`] and [`ImageStack::load`].
pub fn read(path: &Path, options: &ReadOptions) -> Result<Volume> {
    open(path)?.load(options, &|_, _| true)
}

/// The grid of the volume that a path names, from headers.
///
/// # Errors
/// As [`open`].
pub fn read_grid(path: &Path) -> Result<Grid> {
    Ok(open(path)?.grid().clone())
}

/// Number of frames, and a digest of their instances. For a segmentation, 1 and the digest of its instance.
///
/// # Errors
/// As [`open`].
pub fn summary(path: &Path) -> Result<(usize, String)> {
    if let Some(file) = open_segmentation(path) {
        return Ok((1, sha256(file.instance_uid().as_bytes())));
    }
    let stack = open(path)?;
    let uids = (0..stack.frames()).flat_map(|frame| stack.sources(frame)).flatten();
    let lines: Vec<String> = uids.map(|(_, uid, frame)| format!("{uid} {frame}")).collect();
    Ok((stack.frames(), sha256(lines.join("\n").as_bytes())))
}

/// The volume that a path names, from headers.
///
/// # Errors
/// As [`Library::scan`] and [`Library::select`].
pub fn open(path: &Path) -> Result<ImageStack> {
    let (place, selector) = split_selector(path);
    Library::scan(place, &|_, _| true)?.select(place, selector)
}

/// Maximum number of series that an error lists.
const MAX_LISTED: usize = 10;

impl Library {
    /// The volume that `selector` names: a series number or UID, followed by `:2` for the second volume. Without a
    /// selector the only one, where single images do not count beside volumes. `place` is named in errors.
    ///
    /// # Errors
    /// No DICOM image, no such series, or several volumes; the message lists them.
    pub fn select(&self, place: &Path, selector: Option<&str>) -> Result<ImageStack> {
        let all: Vec<(&Series, usize)> =
            self.series().flat_map(|series| (0..series.stacks.len()).map(move |index| (series, index))).collect();
        if all.is_empty() {
            let mut others: Vec<&str> =
                self.series().map(|series| &*series.modality).filter(|m| !m.is_empty()).collect();
            others.sort_unstable();
            others.dedup();
            let found =
                if others.is_empty() { String::new() } else { format!(". Modalities found: {}", others.join(", ")) };
            let mut warnings = self.warnings.iter().chain(self.series().flat_map(|series| &series.warnings));
            let why = warnings.next().map(|warning| format!(" ({warning})")).unwrap_or_default();
            return Err(Error::file(place, format!("contains no DICOM image{why}{found}")));
        }
        let candidates: Vec<(&Series, usize)> = match selector {
            Some(selector) => Self::matching(selector, &all),
            None => all.iter().filter(|(series, index)| series.stacks[*index].is_stackable()).copied().collect(),
        };
        if let Some(joined) = joined(&candidates, selector) {
            return Ok(joined);
        }
        match (&candidates[..], &all[..], selector) {
            ([(series, index)], ..) | ([], [(series, index)], None) => Ok(series.stacks[*index].clone()),
            ([], _, Some(selector)) => {
                let has_none = |series: &&Series| series.stacks.is_empty() && series.is_named(selector);
                if let Some(other) = self.series().find(has_none) {
                    let why =
                        format!("is {}, which has no images. A segmentation is read from its file", other.modality);
                    return Err(Error::config("series", selector, why));
                }
                let why = format!("not in {}, which has {}", place.display(), self.list(&all));
                Err(Error::config("series", selector, why))
            }
            (several, ..) => {
                let listed = self.list(if several.is_empty() { &all } else { several });
                Err(Error::file(place, format!("contains several series. Choose one: {listed}")))
            }
        }
    }

    /// The volume of all series that share the number of this one, if each has one image: some scanners give every slice a
    /// series UID of its own. With it, what selects the volume.
    pub fn joined(&self, series: &Series) -> Option<(String, ImageStack)> {
        let selector = series.number.filter(|_| series.files == 1)?.to_string();
        let all: Vec<(&Series, usize)> =
            self.series().flat_map(|series| (0..series.stacks.len()).map(move |index| (series, index))).collect();
        let stack = joined(&Self::matching(&selector, &all), Some(&selector))?;
        Some((selector, stack))
    }

    /// Lists selectors with modality, shape and volume, but without descriptions, which may name the patient.
    fn list(&self, stacks: &[(&Series, usize)]) -> String {
        let shown = stacks.iter().take(MAX_LISTED).map(|(series, index)| {
            let stack = &series.stacks[*index];
            let [x, y, z] = stack.grid().shape;
            let volume = if stack.name.is_empty() { String::new() } else { format!(", {}", stack.name) };
            format!("{} ({} {x}x{y}x{z}{volume})", self.selector(series, *index), series.modality)
        });
        let more =
            if stacks.len() > MAX_LISTED { format!(" and {} more", stacks.len() - MAX_LISTED) } else { String::new() };
        shown.collect::<Vec<_>>().join(", ") + &more
    }

    /// The shortest selector of volume `index` of a series, or of file `index` of segmentations: the number of the series, or its UID
    /// where another one has that number, with the number of the part if there are several. Volumes compete for a number
    /// with volumes alone. Copies of a study under two patient ids share UIDs: their parts are counted together.
    pub fn selector(&self, series: &Series, index: usize) -> String {
        let of_its_kind = || self.series().filter(|other| other.stacks.is_empty() == series.stacks.is_empty());
        let is_shared = |number: i64| of_its_kind().any(|one| one.number == Some(number) && one.uid != series.uid);
        let number = series.number.filter(|number| !is_shared(*number));
        let name = number.map_or_else(|| series.uid.clone(), |number| number.to_string());
        let same = || of_its_kind().filter(|other| other.uid == series.uid);
        let before: usize = same().take_while(|other| !std::ptr::eq(*other, series)).map(Series::parts).sum();
        if same().map(Series::parts).sum::<usize>() > 1 { format!("{name}:{}", before + index + 1) } else { name }
    }

    fn matching<'a>(selector: &str, all: &[(&'a Series, usize)]) -> Vec<(&'a Series, usize)> {
        let (name, volume) = match selector.rsplit_once(':') {
            Some((name, volume)) => (name, volume.parse::<usize>().ok()),
            None => (selector, None),
        };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut stacks: Vec<(&Series, usize)> = Vec::new();
        for &(series, index) in all {
            let count = counts.entry(&series.uid).or_default();
            *count += 1;
            if series.is_named(name) && volume.is_none_or(|volume| volume == *count) {
                stacks.push((series, index));
            }
        }
        // Single images do not count beside a volume.
        let volumes: Vec<_> =
            stacks.iter().filter(|(series, index)| series.stacks[*index].is_stackable()).copied().collect();
        if volume.is_none() && volumes.len() == 1 { volumes } else { stacks }
    }
}

/// The volume of series of one image each that share the chosen number: some scanners give every slice a series UID. Images
/// of different studies or modalities share a number by chance.
fn joined(candidates: &[(&Series, usize)], selector: Option<&str>) -> Option<ImageStack> {
    let one_image = |(series, _): &(&Series, usize)| series.files == 1 && series.stacks.len() == 1;
    if selector.is_none() || candidates.len() < 2 || !candidates.iter().all(one_image) {
        return None;
    }
    let study_of = |(series, _): &(&Series, usize)| series.instances.first().map(|first| first.study_uid.clone());
    let study = candidates.first().map(|first| (study_of(first), &first.0.modality));
    if !candidates.iter().all(|one| Some((study_of(one), &one.0.modality)) == study) {
        return None;
    }
    let instances = candidates.iter().flat_map(|(series, index)| series.stacks[*index].instances.iter().cloned());
    let mut series = Series::of(instances.collect());
    (series.stacks.len() == 1 && series.stacks[0].is_stackable()).then(|| series.stacks.remove(0))
}
