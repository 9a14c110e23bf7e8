//! Reading SEG: binary, fractional and label map, on the grid of the source.

use std::collections::BTreeSet;
use std::path::Path;

use glam::DVec3;

use super::frames::{FramePlace, on_source, own_grid};
use super::layers::{Layers, Plane};
use super::source::SourceSeries;
use super::{Code, Segment, SegmentMasks, SegmentationKind, colour, rtstruct};
use crate::Result;
use crate::volume::dicom::{self, DataSet, DicomFile, Frames, PatientSpace, Tag, open_overlay};
use crate::volume::{Grid, Relation};
use crate::words::plural;

/// Smallest fraction of the maximum at which a fractional pixel is inside.
const INSIDE: f64 = 0.5;

/// How the pixels of a SEG are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pixels {
    /// A bit each.
    Binary,
    /// One byte per pixel, with the value of probability 1.
    Fractional(u16),
    /// A segment number each, of 8 or 16 bits.
    Labels,
}

/// The header of a SEG or RTSTRUCT; `None` if `path` names anything else.
pub fn open_segmentation(path: &Path) -> Option<DicomFile> {
    if !path.is_file() || !dicom::is_dicom(path) {
        return None;
    }
    let is_segmentation = |file: &DicomFile| {
        file.data.text(Tag::MODALITY).is_some_and(|modality| dicom::SEGMENTATIONS.contains(&&*modality))
    };
    DicomFile::open(path).ok().filter(is_segmentation)
}

/// Reads a SEG or RTSTRUCT: a file, or a series selected as for [`open_overlay`]. With its source series, the masks are on that
/// grid. Without, a SEG is on its own grid, and an RTSTRUCT on the grid of its images, found in the same folder, in a subfolder
/// or in a sibling folder.
///
/// # Errors
/// A file that cannot be read or is neither; frames with another frame of reference or without position; an RTSTRUCT whose
/// images are not found, or form several volumes.
pub fn read(path: &Path, source: Option<&SourceSeries>) -> Result<SegmentMasks> {
    read_file(&open_overlay(path)?, source)
}

/// [`read`] of an open file.
///
/// # Errors
/// As [`read`].
pub fn read_file(file: &DicomFile, source: Option<&SourceSeries>) -> Result<SegmentMasks> {
    match file.data.text(Tag::MODALITY).as_deref() {
        Some("RTSTRUCT") => rtstruct::read(file, source),
        Some("SEG") => read_seg(file, source),
        _ => Err(file.error(Tag::MODALITY, "is neither SEG nor RTSTRUCT")),
    }
}

fn read_seg(file: &DicomFile, source: Option<&SourceSeries>) -> Result<SegmentMasks> {
    let data = &file.data;
    let size = |tag| data.count(tag).filter(|n| *n > 0).ok_or_else(|| file.error(tag, "is missing or 0"));
    let size = [size(Tag::COLUMNS)?, size(Tag::ROWS)?];
    let space = space_of(file, source.map(SourceSeries::space).as_ref())?;
    let pixels = pixels(file)?;
    let places = places(file)?;
    let segments = segments(data);
    let largest = segments.iter().map(|segment| segment.number).max().unwrap_or(0);
    let mut notes = Vec::new();
    // Segment 0 of a label map describes its background.
    let is_background = |item: &&DataSet| pixels == Pixels::Labels && item.number(Tag::SEGMENT_NUMBER) == Some(0.0);
    let items = data.items(Tag::SEGMENT_SEQUENCE);
    let unread = items.len() - segments.len() - items.iter().filter(is_background).count();
    if unread > 0 {
        let unread = plural(unread, "segment has", "segments have");
        notes.push(format!("{unread} no number (0062,0004), or that of another segment, and the name is not used"));
    }
    let positions: Vec<FramePlace> = places.iter().map(|(place, _)| place.clone()).collect();
    let exact = source.and_then(|source| Some((source, on_source(&positions, size, source)?)));
    let (grid, slices) = match exact {
        Some((source, (slices, masks))) => {
            notes.extend(masks);
            (source.grid.clone(), slices)
        }
        None => own_grid(&positions, size, spacing_between(data))
            .map_err(|why| file.error(Tag::PLANE_POSITION_SEQUENCE, format!("the frames cannot be placed: {why}")))?,
    };
    let mut layers = Layers::new(&grid, largest);
    fill(file, pixels, &places, &slices, &segments, &mut layers)?;
    if let Pixels::Fractional(maximum) = pixels {
        notes.push(format!("fractional values of at least {INSIDE} of the maximum {maximum} are inside"));
    }
    let mut layers = layers.into_volumes();
    if let Some(source) = source.filter(|source| source.grid.relation(&grid) != Relation::Same) {
        notes.push(moved_note(&grid, &source.grid));
        layers = layers.into_iter().map(|layer| layer.on_grid(&source.grid)).collect();
    }
    let mut masks = SegmentMasks { kind: SegmentationKind::Seg, segments, layers, notes, space };
    masks.count_voxels();
    Ok(masks)
}

fn moved_note(own: &Grid, source: &Grid) -> String {
    format!(
        "the segmentation is on a different grid from its source ({} vs {}). Each voxel takes the nearest label",
        own.describe(),
        source.describe()
    )
}

fn pixels(file: &DicomFile) -> Result<Pixels> {
    let data = &file.data;
    let kind = data.text(Tag::SEGMENTATION_TYPE).unwrap_or_default();
    let bits = data.count(Tag::BITS_ALLOCATED).unwrap_or(0);
    match (kind.as_str(), bits) {
        ("BINARY", 1) => Ok(Pixels::Binary),
        ("FRACTIONAL", 8) => {
            let maximum = data.count(Tag::MAXIMUM_FRACTIONAL_VALUE).filter(|n| (1..=255).contains(n));
            let missing = || file.error(Tag::MAXIMUM_FRACTIONAL_VALUE, "is missing or not 1 to 255");
            Ok(Pixels::Fractional(maximum.ok_or_else(missing)? as u16))
        }
        ("LABELMAP", 8 | 16) => Ok(Pixels::Labels),
        ("BINARY" | "FRACTIONAL" | "LABELMAP", _) => {
            Err(file.error(Tag::BITS_ALLOCATED, format!("{bits} does not fit the segmentation type {kind}")))
        }
        _ => Err(file.error(Tag::SEGMENTATION_TYPE, "is not BINARY, FRACTIONAL or LABELMAP")),
    }
}

/// Position and segment number of each frame. Frames of a label map have no segment number.
fn places(file: &DicomFile) -> Result<Vec<(FramePlace, Option<u16>)>> {
    let data = &file.data;
    let shared = data.item(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let own = data.items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let frames = data.count(Tag::NUMBER_OF_FRAMES).unwrap_or(1);
    if own.len() != frames && !(own.is_empty() && frames == 1) {
        let groups = plural(own.len(), "frame's functional groups", "frames' functional groups");
        return Err(file.error(Tag::NUMBER_OF_FRAMES, format!("is {frames}, but the file has {groups}")));
    }
    let place = |frame: usize| {
        let own = own.get(frame);
        let group = |sequence: Tag| [own, shared].into_iter().flatten().find_map(|groups| groups.item(sequence));
        let position = group(Tag::PLANE_POSITION_SEQUENCE);
        let position = position.and_then(|item| item.array(Tag::IMAGE_POSITION_PATIENT));
        let position = position.map(|[x, y, z]: [f64; 3]| DVec3::new(-x, -y, z));
        let orientation = group(Tag::PLANE_ORIENTATION_SEQUENCE);
        let orientation = orientation.map(|item| item.numbers(Tag::IMAGE_ORIENTATION_PATIENT));
        let spacing = group(Tag::PIXEL_MEASURES_SEQUENCE).map(|item| item.numbers(Tag::PIXEL_SPACING));
        let steps = orientation.zip(spacing).and_then(|(cosines, spacing)| steps(&cosines, &spacing));
        let derivations = own.map(|own| own.items(Tag::DERIVATION_IMAGE_SEQUENCE)).unwrap_or_default();
        let images = derivations.iter().flat_map(|item| item.items(Tag::SOURCE_IMAGE_SEQUENCE));
        let sources = images.filter_map(|image| {
            let frame = image.number(Tag::REFERENCED_FRAME_NUMBER).map(|n| n as u32);
            Some((image.uid(Tag::REFERENCED_SOP_INSTANCE_UID)?.to_owned(), frame))
        });
        let segment = group(Tag::SEGMENT_IDENTIFICATION_SEQUENCE);
        let segment = segment.and_then(|item| item.number(Tag::REFERENCED_SEGMENT_NUMBER)).map(|n| n as u16);
        (FramePlace { position, steps, sources: sources.collect() }, segment)
    };
    Ok((0..frames).map(place).collect())
}

/// Steps to the next column and the next row, in RAS.
fn steps(cosines: &[f64], spacing: &[f64]) -> Option<[DVec3; 2]> {
    let (&[a, b, c, d, e, f], &[row_mm, column_mm]) = (cosines, spacing) else { return None };
    let (along_row, along_column) = (DVec3::new(-a, -b, c), DVec3::new(-d, -e, f));
    let are_lengths = [row_mm, column_mm].iter().all(|mm| mm.is_finite() && *mm > 0.0);
    are_lengths.then(|| [along_row * column_mm, along_column * row_mm])
}

fn spacing_between(data: &DataSet) -> Option<f64> {
    let shared = data.item(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let own = data.item(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let groups = [shared, own].into_iter().flatten();
    let mut measures = groups.filter_map(|groups| groups.item(Tag::PIXEL_MEASURES_SEQUENCE));
    measures.find_map(|item| item.number(Tag::SPACING_BETWEEN_SLICES))
}

fn segments(data: &DataSet) -> Vec<Segment> {
    let segment = |item: &DataSet| {
        let number = item.number(Tag::SEGMENT_NUMBER).filter(|n| (1.0..=65535.0).contains(n))?;
        let lab: Vec<u16> = item.numbers(Tag::RECOMMENDED_DISPLAY_CIELAB_VALUE).iter().map(|&n| n as u16).collect();
        let lab: Option<[u16; 3]> = lab.try_into().ok();
        let kind = item.item(Tag::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
        let is_manual = item.text(Tag::SEGMENT_ALGORITHM_TYPE).is_some_and(|kind| kind == "MANUAL");
        Some(Segment {
            number: number as u16,
            name: item.text(Tag::SEGMENT_LABEL).unwrap_or_default(),
            colour: lab.map(colour::rgb_from_cielab),
            kind: kind.map(|item| Code {
                value: item.text(Tag::CODE_VALUE).unwrap_or_default(),
                scheme: item.text(Tag::CODING_SCHEME_DESIGNATOR).unwrap_or_default(),
                meaning: item.text(Tag::CODE_MEANING).unwrap_or_default(),
            }),
            algorithm: item.text(Tag::SEGMENT_ALGORITHM_NAME).filter(|name| !is_manual && !name.is_empty()),
            voxels: 0,
        })
    };
    let mut segments: Vec<Segment> = data.items(Tag::SEGMENT_SEQUENCE).iter().filter_map(segment).collect();
    segments.sort_by_key(|segment| segment.number);
    segments.dedup_by_key(|segment| segment.number);
    segments
}

/// The space of a segmentation. `images` is that of the images that it is shown on, if they are known.
///
/// # Errors
/// If both name frames of reference, none of them is common, and the segmentation names none of the images.
pub fn space_of(file: &DicomFile, images: Option<&PatientSpace>) -> Result<PatientSpace> {
    let space = PatientSpace::of_segmentation(&file.data);
    if images.is_none_or(|images| space.agrees_with(images)) {
        return Ok(space);
    }
    let why = "has a different frame of reference from the images, so its position is unknown";
    Err(file.error(Tag::FRAME_OF_REFERENCE_UID, why))
}

/// Decodes the frames and paints the segments.
fn fill(
    file: &DicomFile,
    pixels: Pixels,
    places: &[(FramePlace, Option<u16>)],
    slices: &[usize],
    segments: &[Segment],
    layers: &mut Layers,
) -> Result<()> {
    let decoded = Frames::open(file)?;
    let numbers: BTreeSet<u16> = segments.iter().map(|segment| segment.number).collect();
    if pixels == Pixels::Labels {
        for (frame, &k) in slices.iter().enumerate() {
            let values = decoded.frame(frame)?;
            let labels: Vec<u16> = (0..values.len()).map(|index| values.stored(index) as u16).collect();
            if let Some(unknown) = labels.iter().find(|label| **label != 0 && !numbers.contains(label)) {
                return Err(
                    file.error(Tag::PIXEL_DATA, format!("a pixel is {unknown}, but no segment has this number"))
                );
            }
            layers.add_labels(k, &labels);
        }
        return Ok(());
    }
    if places.iter().any(|(_, number)| number.is_none_or(|number| !numbers.contains(&number))) {
        return Err(file.error(Tag::REFERENCED_SEGMENT_NUMBER, "a frame names no segment of the file"));
    }
    let limit = match pixels {
        Pixels::Fractional(maximum) => INSIDE * f64::from(maximum),
        Pixels::Binary | Pixels::Labels => 1.0,
    };
    for segment in segments {
        let mut planes: Vec<Plane> = Vec::new();
        for (frame, (_, &k)) in
            places.iter().zip(slices).enumerate().filter(|(_, ((_, number), _))| *number == Some(segment.number))
        {
            let values = decoded.frame(frame)?;
            planes.push((k, (0..values.len()).map(|index| values.stored(index) >= limit).collect()));
        }
        layers.add(segment.number, &planes);
    }
    Ok(())
}
