//! Converts one image and its mask to files.

use std::path::Path;

use glam::DVec3;

use super::even::Slices;
use super::patient::PatientConversion;
use super::program;
use super::report::{ImageSidecar, MaskSidecar, write_json};
use crate::disk::atomic::sha256_file;
use crate::disk::create_folder;
use crate::volume::dicom::{ImageStack, Overlay, Series, hashed_uid, irregular};
use crate::volume::nifti::{write_label, write_volume};
use crate::volume::seg::{SourceSeries, read_file};
use crate::volume::{Frames, Grid, LabelTable, LabelVolume, ReadOptions, Scale, Volume, VoxelData};
use crate::words::plural;
use crate::{Error, Result};

/// An image that was converted, for its mask.
pub(super) struct Image<'a> {
    name: String,
    /// Grid of the written file.
    grid: Grid,
    stack: &'a ImageStack,
    /// The slices' true positions and stored grid, if they were resampled.
    resampled: Option<(Grid, Vec<DVec3>)>,
}

/// Reads a volume and writes `STEM.nii.gz` and `STEM.json` in the patient's folder.
///
/// # Errors
/// Slices that are uneven or tilted and may not be resampled; colours; a file that cannot be read or written.
pub(super) fn convert<'a>(
    work: &mut PatientConversion<'_>,
    series: &Series,
    stack: &'a ImageStack,
    folder: &Path,
    stem: &str,
) -> Result<Image<'a>> {
    let info = stack.info();
    let uneven = irregular(stack, &info);
    if let Some(why) = uneven.as_ref().and_then(|why| refusal(why, stack, work.options.resample)) {
        return Err(Error::config("series", hashed_uid(&series.uid), why));
    }
    let control = work.control;
    let options = ReadOptions { frames: Frames::All, ..ReadOptions::default() };
    let stored = stack.load(&options, &|_, _| control.check().is_ok())?;
    stored.require_numbers(Path::new(&hashed_uid(&series.uid)))?;
    let mut warnings = info.warnings.clone();
    let (volume, resampled) = if uneven.is_some() {
        let positions: Vec<DVec3> = info.positions.iter().map(|[x, y, z]| DVec3::new(-x, -y, *z)).collect();
        let (even, warning) = evenly_resampled(&stored, &positions)?;
        warnings.push(warning);
        (even, Some((stored.grid, positions)))
    } else {
        (stored, None)
    };
    if volume.file_frames > 1 {
        warnings.push(format!("has {}. Select one when you use it", plural(volume.file_frames, "frame", "frames")));
    }
    make_folder(folder, stem)?;
    let name = format!("{stem}.nii.gz");
    let sum = write_volume(&folder.join(&name), &volume)?;
    work.done.files.insert(name.clone(), sum);
    let keep_ids = work.options.keep_ids;
    let id = |uid: &str| if keep_ids { uid.to_owned() } else { hashed_uid(uid) };
    let sidecar = ImageSidecar {
        modality: info.modality.clone(),
        units: info.unit.as_deref().map(bids_unit),
        units_evidence: info.unit_evidence.clone(),
        study: id(&info.study_uid),
        series: id(&info.series_uid),
        volume: Some(stack.name.clone()).filter(|name| !name.is_empty() && !work.words.appear_in(name)),
        images: (0..stack.frames()).flat_map(|frame| stack.sources(frame)).flatten().count(),
        resampled: resampled.is_some(),
        patient: keep_ids.then(|| work.name.to_owned()),
        warnings: warnings.clone(),
        converted_by: program(),
    };
    let json = format!("{stem}.json");
    work.done.files.insert(json.clone(), write_json(&folder.join(&json), &sidecar)?);
    work.done.warnings.extend(warnings.iter().map(|warning| format!("{name}: {warning}")));
    Ok(Image { name, grid: volume.grid, stack, resampled })
}

/// Why a volume that is uneven or tilted, `why`, is not converted, if it may not be resampled.
fn refusal(why: &str, stack: &ImageStack, resample: bool) -> Option<String> {
    if !resample {
        return Some(format!("{why}, so it cannot be saved as NIfTI. Convert it with resampling"));
    }
    let frames = plural(stack.frames(), "frame", "frames");
    (stack.frames() > 1).then(|| format!("{why}, and it has {frames}. Only a single volume is resampled"))
}

/// A volume resampled to even slices, and a warning that says so. `positions` are the true ones of its slices.
fn evenly_resampled(stored: &Volume, positions: &[DVec3]) -> Result<(Volume, String)> {
    let slices = Slices { grid: &stored.grid, positions };
    let grid = slices.even_grid()?;
    let mut values = stored.to_f32();
    // As NaN, padding does not mix with tissue in the interpolation.
    stored.replace_padding(0, &mut values, f32::NAN);
    let outside = values.iter().copied().filter(|value| value.is_finite()).fold(f32::INFINITY, f32::min);
    let mut sampled = slices.values(&values, &grid, outside);
    sampled.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = outside);
    let [_, _, step] = grid.spacing_mm();
    let warning = format!("resampled to even slices every {step:.3} mm, {outside} outside");
    Ok((Volume::from_f32(grid, sampled), warning))
}

/// Reads a segmentation and writes `STEM.nii.gz`, `STEM.labels.tsv` and `STEM.json` next to its image.
///
/// # Errors
/// As [`read_file`], or a file that cannot be written.
pub(super) fn convert_mask(
    work: &mut PatientConversion<'_>,
    overlay: &Overlay,
    image: &Image<'_>,
    folder: &Path,
    stem: &str,
) -> Result<()> {
    let mut found = read_file(&overlay.open()?, Some(&SourceSeries::of(image.stack)?))?;
    let mut warnings = std::mem::take(&mut found.notes);
    let mut renamed = 0;
    for segment in &mut found.segments {
        let code = segment.kind.as_ref().map(|code| code.meaning.as_str()).unwrap_or_default();
        if !work.options.keep_ids && (work.words.appear_in(&segment.name) || work.words.appear_in(code)) {
            segment.name = format!("segment {}", segment.number);
            segment.kind = None;
            renamed += 1;
        }
        segment.algorithm = segment.algorithm.take().filter(|name| !work.words.appear_in(name));
    }
    if renamed > 0 {
        let segments = plural(renamed, "segment's name names", "segments' names name");
        warnings.push(format!("{segments} the patient and is left out"));
    }
    let (mut mask, overlap) = found.merged();
    warnings.extend(overlap);
    if let Some((grid, positions)) = &image.resampled {
        mask = Slices { grid, positions }.labels(&mask, &image.grid)?;
    }
    // Those of the mask, which may lack what others overlap.
    found.segments.iter_mut().for_each(|segment| segment.voxels = 0);
    count(&mask, &mut found.segments);
    if mask.labelled_voxels() == 0 {
        warnings.push("the segmentation is empty".to_owned());
    }
    make_folder(folder, stem)?;
    let name = format!("{stem}.nii.gz");
    let path = folder.join(&name);
    let like = Volume::new(image.grid.clone(), VoxelData::U8(Vec::new()), Scale::IDENTITY);
    work.done.files.insert(name.clone(), write_label(&path, &mask, &like)?);
    let table = LabelTable::path_beside(&path);
    found.label_table().write(&table)?;
    work.done.files.insert(format!("{stem}.labels.tsv"), sha256_file(&table)?);
    let keep_ids = work.options.keep_ids;
    let sidecar = MaskSidecar {
        kind: found.kind,
        image: image.name.rsplit('/').next().unwrap_or_default().to_owned(),
        series: if keep_ids { overlay.series_uid.clone() } else { hashed_uid(&overlay.series_uid) },
        segments: found.segments,
        warnings: warnings.clone(),
        converted_by: program(),
    };
    let json = format!("{stem}.json");
    work.done.files.insert(json.clone(), write_json(&folder.join(&json), &sidecar)?);
    work.done.warnings.extend(warnings.iter().map(|warning| format!("{name}: {warning}")));
    Ok(())
}

fn count(mask: &LabelVolume, segments: &mut [crate::volume::seg::Segment]) {
    for (label, voxels) in mask.voxel_counts() {
        if let Some(segment) = segments.iter_mut().find(|segment| segment.number == label) {
            segment.voxels = voxels;
        }
    }
}

/// The unit as BIDS and [`crate::cohort::is_in_suv`] write it.
fn bids_unit(unit: &str) -> String {
    match unit {
        "Bq/ml" => "Bq/mL".into(),
        other => other.into(),
    }
}

fn make_folder(folder: &Path, stem: &str) -> Result<()> {
    let path = folder.join(stem);
    let parent = path.parent().unwrap_or(folder);
    create_folder(parent)
}
