//! Reads a DICOM series as an image, and a SEG or RTSTRUCT as a mask of it.

use std::path::Path;
use std::sync::Arc;

use engine::ErrorKind;
use engine::cohort::{ImageFile, modality_name};
use engine::edit::EditLabels;
use engine::volume::dicom::{self, DataSet, ImageStack, PartialVolume, Tag};
use engine::volume::seg::{self, Algorithm, SourceSeries};
use engine::volume::{Frames, ReadOptions, Relation, Volume};

use super::read::{ALL_FRAMES, MaskTarget, Reading, layer_of, mask_layer};
use super::slice_preview::SlicePreviewer;
use crate::gpu::Gpu;
use crate::scene::{Modality, ScanInfo, Unit};
use crate::state::dicom::{PatientInfo, shown_date, shown_name, source_of};
use crate::state::names::file_name;
use crate::state::names::numbered_series;
use crate::state::{DicomInfo, ImageLayer, MaskLayer, MaskRole, Source};
use crate::worker::Failure;

/// Reads a series and uploads it. `named` is the cohort's name for its modality.
///
/// # Errors
/// What the reader or the device refuses; cancelled.
pub(super) fn read_series(
    file: &ImageFile,
    named: Option<&str>,
    one_of_several: bool,
    reading: &Reading<'_>,
    warnings: &mut Vec<String>,
) -> Result<ImageLayer, Failure> {
    let (path, handle) = (file.path.as_path(), reading.handle);
    let stack = match reading.stacks.get(path) {
        Some(stack) => stack.clone(),
        None => dicom::open(path)?,
    };
    handle.check()?;
    let slices = stack.grid().shape[2] * if file.frame.is_some() { 1 } else { stack.frames() };
    handle.progress(Some(0.0), format!("0 of {slices} slices"));
    let header = stack.first_header()?.data;
    let info = scan_info(&stack, &header, named);
    let mut previewer = SlicePreviewer::new(&stack, info.clone(), reading);
    let mut step = |partial: &PartialVolume<'_>| {
        let (done, total) = (partial.done(), partial.total());
        handle.progress(Some(done as f32 / total.max(1) as f32), format!("{done} of {total} slices"));
        previewer.show(partial);
        handle.check().is_ok()
    };
    let mut load = |(frames, memory_budget)| stack.load_in_steps(&ReadOptions { frames, memory_budget }, &mut step);
    let one = |frame| (Frames::One(frame), ReadOptions::default().memory_budget);
    let volume = match file.frame {
        Some(frame) => Volume { file_frames: 1, ..load(one(frame))? },
        None => match load((Frames::All, ALL_FRAMES)) {
            Err(error) if matches!(error.kind(), ErrorKind::Memory { .. }) => load(one(0))?,
            other => other?,
        },
    };
    let number = header.text(Tag::SERIES_NUMBER).and_then(|number| number.trim().parse().ok());
    let series = numbered_series(path, number);
    let label = series.clone().unwrap_or_else(|| file_name(path));
    warnings.extend(volume.warnings.iter().map(|warning| format!("{label}: {warning}")));
    let dicom = Some(Arc::new(dicom_info(path, &stack, &header)));
    let layer = layer_of(&Source::from(file), info, one_of_several, Arc::new(volume), 0, reading.gpu, warnings)?;
    let own_name = series.filter(|_| !one_of_several);
    Ok(ImageLayer { dicom, name: own_name.unwrap_or_else(|| layer.name.clone()), ..layer })
}

/// Modality and unit: the modality by the header, and of an MR by its description.
fn scan_info(stack: &ImageStack, header: &DataSet, named: Option<&str>) -> ScanInfo {
    let info = stack.info();
    let description = header.text(Tag::SERIES_DESCRIPTION).unwrap_or_default();
    let by_header = Modality::named(&modality_name(&info.modality, &description));
    let modality = by_header.or_else(|| named.and_then(Modality::named)).unwrap_or(Modality::Other);
    ScanInfo::of_dicom(modality, info.unit.as_deref().and_then(Unit::parse))
}

fn dicom_info(path: &Path, stack: &ImageStack, header: &DataSet) -> DicomInfo {
    let (info, text) = (stack.info(), |tag| header.text(tag).unwrap_or_default());
    let source_path = source_of(path);
    let folder = if source_path.is_dir() { Some(source_path) } else { source_path.parent() };
    let dates = [text(Tag::STUDY_DATE), text(Tag::SERIES_DATE)];
    let date = dates.iter().find(|date| !date.is_empty()).map(|date| shown_date(date)).unwrap_or_default();
    DicomInfo {
        patient: PatientInfo { name: shown_name(&text(Tag::PATIENT_NAME)), id: text(Tag::PATIENT_ID), date },
        file_name: stack.file_name(),
        folder: folder.map(Path::to_path_buf).unwrap_or_default(),
        irregular: dicom::irregular(stack, &info),
        inverted: info.inverted,
        uneven: !info.evenly_spaced,
        frame_of_reference: info.frame_of_reference,
    }
}

/// Reads a SEG or RTSTRUCT on the grid of its image. Where segments overlap, the smaller one is kept and the warnings say so.
///
/// # Errors
/// What the reader or the device refuses, such as another frame of reference.
pub(super) fn read_overlay(
    role: MaskRole,
    file: &Path,
    target: MaskTarget<'_>,
    gpu: Option<&Gpu>,
    warnings: &mut Vec<String>,
) -> Result<MaskLayer, Failure> {
    let source = if dicom::is_dicom(target.path) { Some(SourceSeries::of(&dicom::open(target.path)?)?) } else { None };
    let masks = seg::read(file, source.as_ref())?;
    let (labels, overlap) = masks.merged();
    let mut notes = masks.notes.clone();
    notes.extend(overlap);
    let labels = if labels.grid.relation(&target.volume.grid) == Relation::Different {
        notes.push("it is on a different grid from the image, so each voxel gets the nearest label".to_owned());
        labels.on_grid(&target.volume.grid)
    } else {
        labels
    };
    let label = file_name(file);
    warnings.extend(notes.iter().map(|note| format!("{label}: {note}")));
    // The file does not record whether somebody corrected the network's result.
    let made_by = masks.segments.iter().find_map(|segment| segment.algorithm.clone());
    let algorithm = made_by.map_or(Algorithm::Manual, Algorithm::SemiAutomatic);
    let layer = mask_layer(role, Some(file.to_path_buf()), EditLabels::from_volume(&labels), gpu)?;
    Ok(MaskLayer { styles: masks.label_table(), new_styles: true, algorithm, ..layer })
}
