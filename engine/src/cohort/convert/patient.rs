//! Converts one patient: decides which series become images and which segmentation becomes the mask, and writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::names::{PatientWords, image_name, unused_name};
use super::report::{ConvertedPatient, REPORT, RefusedImage};
use super::{ConvertOptions, image};
use crate::disk::atomic::sha256;
use crate::event::Control;
use crate::volume::dicom::{ImageStack, Overlay, Patient, Series, hashed_uid};
use crate::words::plural;
use crate::{Error, ErrorKind, Result};

/// Version of the output files. Increment it when they change, so that finished patients are converted again.
const FORMAT: u32 = 4;

/// Why an older segmentation is left out.
const OLDER: &str = "a newer version of this segmentation, with the same segments, is used as the mask";

/// A patient's conversion in progress.
pub(super) struct PatientConversion<'a> {
    /// Pseudonym or id: the folder's name.
    pub name: &'a str,
    pub options: &'a ConvertOptions,
    pub control: &'a Control,
    /// Words that identify the patient and must not appear in a file.
    pub words: PatientWords,
    pub done: ConvertedPatient,
}

/// An image series of a patient with its volumes.
struct Scan<'a> {
    series: &'a Series,
    stack: &'a ImageStack,
    /// Indices of the segmentations made on it, newest first.
    overlays: Vec<usize>,
}

/// Converts a patient. `parts` are the patient's studies from each source.
pub(super) fn convert(
    name: &str,
    parts: &[Patient],
    out: &Path,
    options: &ConvertOptions,
    control: &Control,
) -> Result<ConvertedPatient> {
    let folder = out.join(name);
    let mut overlays = overlays(parts)?;
    overlays.sort_by(|a, b| b.made.cmp(&a.made));
    let made_from = made_from(parts, &overlays, options);
    if !options.again
        && let Some(finished) = ConvertedPatient::finished(&folder, &made_from)
    {
        return Ok(finished);
    }
    clear(&folder)?;
    let texts: Vec<&str> = parts.iter().flat_map(|part| [part.id.as_str(), part.name.as_str()]).collect();
    // `made_from` stays empty until the end, so an interrupted conversion does not count as finished.
    let done = ConvertedPatient { patient: name.to_owned(), ..ConvertedPatient::default() };
    let mut work = PatientConversion { name, options, control, words: PatientWords::of(&texts), done };
    let (mut used, mut masks) = (BTreeSet::new(), Vec::new());
    let studies = work.studies(parts, &overlays);
    let sessions = studies.len();
    for (at, scans) in studies.iter().enumerate() {
        let below = if sessions > 1 { format!("ses-{}/", at + 1) } else { String::new() };
        masks.extend(work.study(scans, &overlays, &folder, &below, &mut used)?);
    }
    for at in (0..overlays.len()).filter(|at| !used.contains(at)) {
        work.leave_out(at, &overlays, &masks, &studies);
    }
    work.done.made_from = made_from;
    if parts.iter().any(|part| part.id.is_empty()) {
        work.done.warnings.push("has no PatientID, so each study becomes a separate patient".to_owned());
    }
    work.done.write(&folder)?;
    Ok(work.done)
}

fn series_of(parts: &[Patient]) -> impl Iterator<Item = &Series> {
    parts.iter().flat_map(|part| &part.studies).flat_map(|study| &study.series)
}

/// The segmentations of a patient, without duplicates.
fn overlays(parts: &[Patient]) -> Result<Vec<Overlay>> {
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for series in series_of(parts) {
        found.extend(series.overlays()?.into_iter().filter(|overlay| known.insert(overlay.instance_uid.clone())));
    }
    Ok(found)
}

fn instances(stack: &ImageStack) -> BTreeSet<&str> {
    (0..stack.frames()).flat_map(|frame| stack.sources(frame)).flatten().map(|(_, instance, _)| instance).collect()
}

/// Hash of the instances and of the options that change an output.
fn made_from(parts: &[Patient], overlays: &[Overlay], options: &ConvertOptions) -> String {
    let stacks = series_of(parts).flat_map(|series| &series.stacks);
    let mut all: BTreeSet<&str> = stacks.flat_map(instances).collect();
    all.extend(overlays.iter().map(|overlay| overlay.instance_uid.as_str()));
    let instances: Vec<&str> = all.into_iter().collect();
    let options = format!("format {FORMAT}, keep_ids {}, resample {}", options.keep_ids, options.resample);
    sha256([instances.join("\n"), options].join("\n").as_bytes())
}

/// Removes the files of an earlier conversion from a patient's folder, beginning with the record. Keeps other files.
fn clear(folder: &Path) -> Result<()> {
    let Some(recorded) = ConvertedPatient::read(folder) else { return Ok(()) };
    for path in std::iter::once(folder.join(REPORT)).chain(recorded.files.keys().map(|name| folder.join(name))) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// True for an error that affects all series: cancellation, or a cohort that cannot be written.
fn stops(error: &Error, folder: &Path) -> bool {
    match error.kind() {
        ErrorKind::Cancelled => true,
        ErrorKind::Io { path, .. } => path.starts_with(folder),
        _ => false,
    }
}

impl PatientConversion<'_> {
    /// Reports a series that should have been converted. `uid` is hashed.
    fn refuse(&mut self, modality: &str, uid: &str, why: impl Into<String>) {
        let refused = self.named(modality, uid, why.into());
        self.done.refused.push(refused);
    }

    /// Says why the segmentation numbered `at` is in no file. `masks` are those that are.
    fn leave_out(&mut self, at: usize, overlays: &[Overlay], masks: &[usize], studies: &[Vec<Scan<'_>>]) {
        let overlay = &overlays[at];
        let scans = || studies.iter().flatten().filter(move |scan| scan.overlays.contains(&at));
        let is_newer =
            |mask: &usize| overlays[*mask].supersedes(overlay) && scans().any(|scan| scan.overlays.contains(mask));
        if masks.iter().any(is_newer) {
            let older = self.named(&overlay.modality, &overlay.series_uid, OLDER.to_owned());
            self.done.warnings.push(format!("{} {}: {OLDER}", older.modality, older.id));
            self.done.skipped.push(older);
            return;
        }
        let why = if scans().next().is_some() && !masks.is_empty() {
            "another segmentation of the same study is used as the mask"
        } else if scans().next().is_some() {
            "the images that it was made on were refused"
        } else {
            "the images that it was made on are not in the source, or do not form a volume"
        };
        self.refuse(&overlay.modality, &overlay.series_uid, why);
    }

    fn named(&self, modality: &str, uid: &str, why: String) -> RefusedImage {
        RefusedImage { patient: Some(self.name.to_owned()), modality: modality.to_owned(), id: hashed_uid(uid), why }
    }

    /// The volumes of each study, by date. Other objects are refused or skipped.
    fn studies<'p>(&mut self, parts: &'p [Patient], overlays: &[Overlay]) -> Vec<Vec<Scan<'p>>> {
        let mut studies: Vec<(&str, Vec<Scan<'p>>)> = Vec::new();
        let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for study in parts.iter().flat_map(|part| &part.studies) {
            for series in study.series.iter().filter(|series| !series.is_overlay()) {
                let here: BTreeSet<&str> = series.stacks.iter().flat_map(instances).collect();
                if let Some(before) = known.get(series.uid.as_str()) {
                    if *before != here {
                        let why = "the series is spread over several sources. Name a folder that contains all of it";
                        self.refuse(&series.modality, &series.uid, why);
                    }
                    continue;
                }
                known.insert(&series.uid, here);
                let volumes = self.volumes(series);
                let scans = volumes.into_iter().map(|stack| {
                    let made_on = |(at, overlay): (usize, &Overlay)| overlay.belongs_to(stack).then_some(at);
                    Scan { series, stack, overlays: overlays.iter().enumerate().filter_map(made_on).collect() }
                });
                let scans: Vec<Scan<'p>> = scans.collect();
                match studies.iter_mut().find(|(uid, _)| *uid == study.uid) {
                    Some((_, known)) => known.extend(scans),
                    None => studies.push((&study.uid, scans)),
                }
            }
        }
        let mut studies: Vec<Vec<Scan<'p>>> = studies.into_iter().map(|(_, scans)| scans).collect();
        studies.retain(|scans| !scans.is_empty());
        // The image of the mask gets the plain name.
        studies.iter_mut().for_each(|scans| scans.sort_by_key(|scan| scan.overlays.is_empty()));
        studies
    }

    /// The volumes of a series.
    fn volumes<'p>(&mut self, series: &'p Series) -> Vec<&'p ImageStack> {
        let (volumes, single): (Vec<&ImageStack>, Vec<&ImageStack>) =
            series.stacks.iter().partition(|stack| stack.is_stackable());
        if volumes.is_empty() || !single.is_empty() {
            let images = || plural(single.len(), "single image that is", "single images that are");
            let beside = || format!("{} not part of its volume", images());
            let warnings = single.first().map(|stack| stack.warnings()).unwrap_or_default();
            let why = warnings.into_iter().next().or_else(|| series.warnings.first().cloned());
            let alone = || why.unwrap_or_else(|| "it has no image".to_owned());
            let why = if volumes.is_empty() { alone() } else { beside() };
            let skipped = self.named(&series.modality, &series.uid, why);
            self.done.skipped.push(skipped);
        }
        volumes
    }

    /// Converts the volumes of a study, and the newest segmentation of the first volume that has one, which is returned.
    fn study(
        &mut self,
        scans: &[Scan<'_>],
        overlays: &[Overlay],
        folder: &Path,
        below: &str,
        used: &mut BTreeSet<usize>,
    ) -> Result<Option<usize>> {
        let (mut names, mut mask) = (Vec::new(), None);
        for scan in scans {
            self.done.write(folder)?;
            self.control.check()?;
            let (series, stack) = (scan.series, scan.stack);
            let name = unused_name(&image_name(&series.modality, &series.description), &names);
            let stem = format!("{below}{name}");
            let image = match image::convert(self, series, stack, folder, &stem) {
                Ok(image) => image,
                Err(error) if stops(&error, folder) => return Err(error),
                Err(error) => {
                    let why = error.without_path();
                    self.refuse(&series.modality, &series.uid, why);
                    continue;
                }
            };
            names.push(name);
            for &at in &scan.overlays {
                if mask.is_some() {
                    break;
                }
                if !used.insert(at) {
                    continue;
                }
                let overlay = &overlays[at];
                match image::convert_mask(self, overlay, &image, folder, &format!("{below}seg")) {
                    Ok(()) => mask = Some(at),
                    Err(error) if stops(&error, folder) => return Err(error),
                    Err(error) => {
                        let why = error.without_path();
                        self.refuse(&overlay.modality, &overlay.series_uid, why);
                    }
                }
            }
        }
        Ok(mask)
    }
}
