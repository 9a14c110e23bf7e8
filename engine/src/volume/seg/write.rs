//! Writing SEG: one bit per pixel, on the slices of the source, in explicit VR little endian (PS3.3, A.51 and C.8.20).
//!
//! Empty frames are left out, empty segments are kept. Positions, orientation and pixel spacing are copied as text, so that
//! nothing can be flipped or rounded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::bits::Packer;
use super::colour;
use super::headers::{Headers, image_reference};
use super::source::{SourceImage, SourceSeries};
use super::terms::{Code, Terms};
use crate::disk::atomic::write_atomic;
use crate::disk::clock;
use crate::volume::dicom::{DataSet, Tag, Value, Vr, file_bytes};
use crate::volume::{Grid, LabelTable, LabelVolume, MaskOptions, Relation};
use crate::{Error, Result};

/// `Segmentation Storage`.
const CLASS: &str = "1.2.840.10008.5.1.4.1.1.66.4";
/// Added to the series number of the source to give that of its segmentation.
const SERIES_NUMBER: i64 = 1000;
/// Maximum length of the value representation LO.
const MAX_TEXT_LENGTH: usize = 64;
/// Maximum length of a decimal string.
const MAX_DECIMAL_LENGTH: usize = 16;
/// The largest label that is written. Unused smaller labels become empty segments.
const MAX_LABEL: u16 = 255;

/// Who made the segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A person.
    Manual,
    /// A person with the help of this program or model.
    SemiAutomatic(String),
    /// This model, without corrections.
    Automatic(String),
}

/// How a SEG is written.
#[derive(Clone, Debug)]
pub struct SegOptions {
    /// Who made the segments.
    pub algorithm: Algorithm,
    /// Coded terms by label name.
    pub terms: Terms,
    /// The series' description; no patient text.
    pub description: String,
}

/// Writes masks as one SEG for the archive of its source, atomically. Labels become segments of the same number; masks must not
/// share labels. Returns notes on changes to the masks, one sentence each.
///
/// # Errors
/// If no voxel is labelled, if a SEG cannot describe the slices (uneven, tilted, no frame of reference), if a mask cannot be
/// resampled to the grid of the source, if a source file cannot be read, or if the SEG cannot be written.
pub fn write_seg(
    path: &Path,
    masks: &[LabelVolume],
    names: &LabelTable,
    source: &SourceSeries,
    options: &SegOptions,
) -> Result<Vec<String>> {
    if let Some(why) = &source.irregular {
        let why =
            format!("a SEG cannot store this mask: {why}. Viewers would show it in the wrong place. Save it as NIfTI");
        return Err(Error::file(path, why));
    }
    let mut notes = Vec::new();
    let mut placed = Vec::new();
    for mask in masks {
        let (mask, note) = on_source(path, mask, &source.grid)?;
        placed.push(mask);
        notes.extend(note);
    }
    let segments = segments(path, &placed, names)?;
    let headers = Headers::of(path, source)?;
    let mut data = DataSet::new();
    data.put_text(Tag::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    headers.copy_study(path, &mut data)?;
    describe(&mut data, &headers, options);
    data.put_items(Tag::SEGMENT_SEQUENCE, segments.iter().map(|segment| segment.item(options)).collect());
    data.put_items(Tag::REFERENCED_SERIES_SEQUENCE, vec![headers.reference()]);
    geometry(&mut data, &headers, source)?;
    frames(path, &mut data, &segments, source)?;
    write_atomic(path, &file_bytes(&data))?;
    Ok(notes)
}

/// The mask on the source's grid.
fn on_source(path: &Path, mask: &LabelVolume, grid: &Grid) -> Result<(LabelVolume, Option<String>)> {
    if mask.grid.relation(grid) != Relation::Different {
        let what = format!("the mask for {} and the images", path.display());
        return mask.clone().aligned(grid, &MaskOptions::default(), &what, ["mask", "images"]);
    }
    let note = format!(
        "the mask is on a different grid from the images ({} vs {}). Each voxel takes the nearest label",
        mask.grid.describe(),
        grid.describe()
    );
    Ok((mask.clone().on_grid(grid), Some(note)))
}

/// A segment to write.
struct Segment<'a> {
    number: u16,
    name: String,
    colour: [u8; 3],
    /// Its mask and slices; `None` for an empty segment.
    mask: Option<(&'a LabelVolume, BTreeSet<usize>)>,
}

/// The segments 1 to n, where n is the largest label that is named or occurs.
fn segments<'a>(path: &Path, masks: &'a [LabelVolume], names: &LabelTable) -> Result<Vec<Segment<'a>>> {
    let mut by_label: BTreeMap<u16, (&LabelVolume, BTreeSet<usize>)> = BTreeMap::new();
    for mask in masks {
        for (label, slices) in slices_by_label(mask) {
            if by_label.insert(label, (mask, slices)).is_some() {
                return Err(Error::config("label", label, "is in two masks, so its segment is ambiguous"));
            }
        }
    }
    let Some(occurs) = by_label.keys().last().copied() else {
        return Err(Error::file(path, "not written: the mask is empty, and a SEG must have at least one frame"));
    };
    let named = names.labels.keys().rev().find(|label| **label <= MAX_LABEL).copied().unwrap_or(0);
    let largest = occurs.max(named);
    if largest > MAX_LABEL {
        let why = "SEG numbers its segments from 1 without gaps. Use labels up to 255, or save the mask as NIfTI";
        return Err(Error::config("label", largest, why));
    }
    let segment = |number| {
        let style = names.labels.get(&number);
        let mask = by_label.remove(&number);
        let name = style.map(|style| text(&style.name)).filter(|name| !name.is_empty());
        let unnamed = || if mask.is_some() || style.is_some() { format!("Label {number}") } else { "unused".into() };
        let name = name.unwrap_or_else(unnamed);
        let colour = style.and_then(|style| style.colour).unwrap_or_else(|| colour::default_colour(number));
        Segment { number, name, colour, mask }
    };
    Ok((1..=largest).map(segment).collect())
}

/// The slices in which each label occurs.
fn slices_by_label(mask: &LabelVolume) -> BTreeMap<u16, BTreeSet<usize>> {
    let size = mask.grid.shape[0] * mask.grid.shape[1];
    let mut slices: BTreeMap<u16, BTreeSet<usize>> = BTreeMap::new();
    let mut last = None;
    for (index, label) in mask.iter().enumerate().filter(|(_, label)| *label != 0) {
        let here = (label, index / size);
        // Neighbours mostly have the same label.
        if last != Some(here) {
            slices.entry(label).or_default().insert(here.1);
            last = Some(here);
        }
    }
    slices
}

impl Segment<'_> {
    fn item(&self, options: &SegOptions) -> DataSet {
        let term = options.terms.of(&self.name);
        let (kind, algorithm) = match &options.algorithm {
            Algorithm::Manual => ("MANUAL", None),
            Algorithm::SemiAutomatic(name) => ("SEMIAUTOMATIC", Some(name)),
            Algorithm::Automatic(name) => ("AUTOMATIC", Some(name)),
        };
        let mut item = DataSet::new();
        item.put_u16(Tag::SEGMENT_NUMBER, &[self.number]);
        item.put_text(Tag::SEGMENT_LABEL, &self.name);
        item.put_text(Tag::SEGMENT_ALGORITHM_TYPE, kind);
        item.put_items(Tag::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, vec![coded(&term.category)]);
        item.put_items(Tag::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![coded(&term.kind)]);
        item.put_u16(Tag::RECOMMENDED_DISPLAY_CIELAB_VALUE, &colour::cielab_from_rgb(self.colour));
        if let Some(name) = algorithm {
            item.put_text(Tag::SEGMENT_ALGORITHM_NAME, &text(name));
        }
        item
    }

    /// The slices that are not empty.
    fn slices(&self) -> impl Iterator<Item = usize> {
        self.mask.iter().flat_map(|(_, slices)| slices.iter().copied())
    }
}

/// A text reduced to the characters and the length that LO allows.
fn text(value: &str) -> String {
    let clean = value.chars().map(|c| if c.is_control() || c == '\\' { ' ' } else { c });
    clean.take(MAX_TEXT_LENGTH).collect::<String>().trim().to_owned()
}

fn coded(code: &Code) -> DataSet {
    let mut item = DataSet::new();
    item.put_text(Tag::CODE_VALUE, &code.value);
    item.put_text(Tag::CODING_SCHEME_DESIGNATOR, &code.scheme);
    item.put_text(Tag::CODE_MEANING, &code.meaning);
    item
}

/// A code of the vocabulary DCM.
fn dicom_code(value: &str, meaning: &str) -> DataSet {
    coded(&Code { value: value.into(), scheme: "DCM".into(), meaning: meaning.into() })
}

/// Adds type, dates, equipment and pixel format.
fn describe(data: &mut DataSet, headers: &Headers<'_>, options: &SegOptions) {
    let now: String = clock::utc(clock::now_ms()).chars().filter(char::is_ascii_digit).collect();
    let (date, time) = now.split_at(8);
    let number = headers.first().header.number(Tag::SERIES_NUMBER).unwrap_or(0.0) as i64;
    let description = text(&options.description);
    for (tag, value) in [
        (Tag::IMAGE_TYPE, "DERIVED\\PRIMARY"),
        (Tag::SOP_CLASS_UID, CLASS),
        (Tag::SOP_INSTANCE_UID, &new_uid()),
        (Tag::SERIES_DATE, date),
        (Tag::CONTENT_DATE, date),
        (Tag::SERIES_TIME, time),
        (Tag::CONTENT_TIME, time),
        (Tag::MODALITY, "SEG"),
        (Tag::MANUFACTURER, "AMLP"),
        (Tag::SERIES_DESCRIPTION, &description),
        (Tag::MANUFACTURER_MODEL_NAME, "amlp"),
        (Tag::DEVICE_SERIAL_NUMBER, "1"),
        (Tag::SOFTWARE_VERSIONS, env!("CARGO_PKG_VERSION")),
        (Tag::SERIES_INSTANCE_UID, &new_uid()),
        (Tag::SERIES_NUMBER, &(SERIES_NUMBER + number).to_string()),
        (Tag::INSTANCE_NUMBER, "1"),
        (Tag::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2"),
        (Tag::LOSSY_IMAGE_COMPRESSION, "00"),
        (Tag::SEGMENTATION_TYPE, "BINARY"),
        (Tag::CONTENT_LABEL, "SEGMENTATION"),
        (Tag::CONTENT_DESCRIPTION, &description),
        (Tag::CONTENT_CREATOR_NAME, ""),
    ] {
        data.put_text(tag, value);
    }
    for (tag, value) in [
        (Tag::SAMPLES_PER_PIXEL, 1),
        (Tag::BITS_ALLOCATED, 1),
        (Tag::BITS_STORED, 1),
        (Tag::HIGH_BIT, 0),
        (Tag::PIXEL_REPRESENTATION, 0),
    ] {
        data.put_u16(tag, &[value]);
    }
    headers.copy_lossy(data);
}

/// Adds the orientation and measures that all frames share, and the dimensions: segment, then position.
fn geometry(data: &mut DataSet, headers: &Headers<'_>, source: &SourceSeries) -> Result<()> {
    let first = headers.first();
    let step = decimal(source.grid.spacing_mm()[2]);
    let thickness = Headers::text(first, Tag::PIXEL_MEASURES_SEQUENCE, Tag::SLICE_THICKNESS).ok();
    let thickness = thickness.filter(|text| text.parse().is_ok_and(|mm: f64| mm > 0.0));
    let (mut shared, mut plane, mut measures) = (DataSet::new(), DataSet::new(), DataSet::new());
    let orientation = Headers::text(first, Tag::PLANE_ORIENTATION_SEQUENCE, Tag::IMAGE_ORIENTATION_PATIENT)?;
    plane.put_text(Tag::IMAGE_ORIENTATION_PATIENT, &orientation);
    measures.put_text(Tag::SLICE_THICKNESS, thickness.as_ref().unwrap_or(&step));
    // Without this some readers close the gaps between slices.
    measures.put_text(Tag::SPACING_BETWEEN_SLICES, &step);
    let spacing = Headers::text(first, Tag::PIXEL_MEASURES_SEQUENCE, Tag::PIXEL_SPACING)?;
    measures.put_text(Tag::PIXEL_SPACING, &spacing);
    shared.put_items(Tag::PLANE_ORIENTATION_SEQUENCE, vec![plane]);
    shared.put_items(Tag::PIXEL_MEASURES_SEQUENCE, vec![measures]);
    data.put_items(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    data.put_u16(Tag::ROWS, &[source.grid.shape[1] as u16]);
    data.put_u16(Tag::COLUMNS, &[source.grid.shape[0] as u16]);

    let organization_uid = new_uid();
    let mut organization = DataSet::new();
    organization.put_text(Tag::DIMENSION_ORGANIZATION_UID, &organization_uid);
    data.put_items(Tag::DIMENSION_ORGANIZATION_SEQUENCE, vec![organization]);
    let index = |pointer, group, label: &str| {
        let mut item = DataSet::new();
        item.put_text(Tag::DIMENSION_ORGANIZATION_UID, &organization_uid);
        item.put(Tag::DIMENSION_INDEX_POINTER, Vr::AT, pointer_to(pointer));
        item.put(Tag::FUNCTIONAL_GROUP_POINTER, Vr::AT, pointer_to(group));
        item.put_text(Tag::DIMENSION_DESCRIPTION_LABEL, label);
        item
    };
    let by_segment =
        index(Tag::REFERENCED_SEGMENT_NUMBER, Tag::SEGMENT_IDENTIFICATION_SEQUENCE, "Referenced Segment Number");
    let by_position = index(Tag::IMAGE_POSITION_PATIENT, Tag::PLANE_POSITION_SEQUENCE, "Image Position (Patient)");
    data.put_items(Tag::DIMENSION_INDEX_SEQUENCE, vec![by_segment, by_position]);
    Ok(())
}

fn pointer_to(tag: Tag) -> Value {
    Value::Bytes([tag.0, tag.1].iter().flat_map(|half| half.to_le_bytes()).collect())
}

/// Adds the frames that are not empty, by segment and position.
fn frames(path: &Path, data: &mut DataSet, segments: &[Segment<'_>], source: &SourceSeries) -> Result<()> {
    let used: BTreeSet<usize> = segments.iter().flat_map(Segment::slices).collect();
    let rank: BTreeMap<usize, u32> = used.into_iter().zip(1..).collect();
    let size = source.grid.shape[0] * source.grid.shape[1];
    let (mut groups, mut packer) = (Vec::new(), Packer::default());
    for segment in segments {
        let Some((mask, slices)) = &segment.mask else { continue };
        for &k in slices {
            let Some(image) = source.images.iter().find(|image| image.k == k) else {
                let why = format!("slice {k} is labelled, but no image shows it. Erase the label there, or save NIfTI");
                return Err(Error::file(path, why));
            };
            packer.frame((k * size..(k + 1) * size).map(|index| mask.get(index) == segment.number));
            groups.push(frame_group(segment.number, rank[&k], image)?);
        }
    }
    let pixels = packer.into_bytes();
    if u32::try_from(pixels.len()).is_err() {
        let why = format!("{} bytes of pixels exceed the limit of a SEG. Save the mask as NIfTI", pixels.len());
        return Err(Error::file(path, why));
    }
    data.put_text(Tag::NUMBER_OF_FRAMES, &groups.len().to_string());
    data.put_items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups);
    data.put(Tag::PIXEL_DATA, Vr::OB, Value::Bytes(pixels));
    Ok(())
}

/// The functional groups of one frame. `position_index` counts the positions with frames, from 1.
fn frame_group(segment: u16, position_index: u32, image: &SourceImage) -> Result<DataSet> {
    let mut source = image_reference(image);
    if let Some(frame) = image.frame {
        source.put_text(Tag::REFERENCED_FRAME_NUMBER, &frame.to_string());
    }
    let purpose = dicom_code("121322", "Source image for image processing operation");
    source.put_items(PURPOSE_OF_REFERENCE_CODE_SEQUENCE, vec![purpose]);
    let mut derivation = DataSet::new();
    derivation.put_items(Tag::DERIVATION_CODE_SEQUENCE, vec![dicom_code("113076", "Segmentation")]);
    derivation.put_items(Tag::SOURCE_IMAGE_SEQUENCE, vec![source]);
    let mut content = DataSet::new();
    content.put_u32(Tag::DIMENSION_INDEX_VALUES, &[u32::from(segment), position_index]);
    let mut plane = DataSet::new();
    let position = Headers::text(image, Tag::PLANE_POSITION_SEQUENCE, Tag::IMAGE_POSITION_PATIENT)?;
    plane.put_text(Tag::IMAGE_POSITION_PATIENT, &position);
    let mut identification = DataSet::new();
    identification.put_u16(Tag::REFERENCED_SEGMENT_NUMBER, &[segment]);
    let mut group = DataSet::new();
    group.put_items(Tag::DERIVATION_IMAGE_SEQUENCE, vec![derivation]);
    group.put_items(Tag::FRAME_CONTENT_SEQUENCE, vec![content]);
    group.put_items(Tag::PLANE_POSITION_SEQUENCE, vec![plane]);
    group.put_items(Tag::SEGMENT_IDENTIFICATION_SEQUENCE, vec![identification]);
    Ok(group)
}

/// `PurposeOfReferenceCodeSequence`.
const PURPOSE_OF_REFERENCE_CODE_SEQUENCE: Tag = Tag(0x0040, 0xA170);

/// A new UID: a random UUID under the root 2.25 (PS3.5, B.2).
fn new_uid() -> String {
    uid_of(rand::random())
}

fn uid_of(random: u128) -> String {
    // Version 4, variant 1 of RFC 4122.
    let uuid = random & !(0xF << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    format!("2.25.{uuid}")
}

/// A number as a decimal string of at most 16 characters.
fn decimal(value: f64) -> String {
    let shortest = format!("{value}");
    if shortest.len() <= MAX_DECIMAL_LENGTH {
        return shortest;
    }
    let fits = |digits: &usize| format!("{value:.digits$}").len() <= MAX_DECIMAL_LENGTH;
    let digits = (0..MAX_DECIMAL_LENGTH).rev().find(fits);
    digits.map_or_else(|| format!("{value:.9e}"), |digits| format!("{value:.digits$}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::LabelStyle;

    #[test]
    fn decimal_strings_have_at_most_16_characters() {
        for (value, expected) in [
            (1.25, "1.25"),
            (1.0 / 3.0, "0.33333333333333"),
            (-1_234.567_890_123_456_7, "-1234.5678901235"),
            (1e-7, "0.0000001"),
            (1.234_567_89e-9, "0.00000000123457"),
        ] {
            assert_eq!(decimal(value), expected);
            assert!(decimal(value).len() <= 16);
        }
    }

    #[test]
    fn a_new_uid_is_a_uuid_of_version_4() {
        assert_eq!(uid_of(0), format!("2.25.{}", 0x0000_0000_0000_4000_8000_0000_0000_0000_u128));
        assert_eq!(uid_of(u128::MAX), format!("2.25.{}", 0xFFFF_FFFF_FFFF_4FFF_BFFF_FFFF_FFFF_FFFF_u128));
        assert!(new_uid().len() <= 64);
        assert_ne!(new_uid(), new_uid());
    }

    fn mask(labels: [u8; 4]) -> LabelVolume {
        LabelVolume::new(Grid::new([2, 1, 2], glam::DAffine3::IDENTITY), labels.to_vec()).unwrap()
    }

    fn named(names: &[(u16, &str)]) -> LabelTable {
        LabelTable { labels: names.iter().map(|&(label, name)| (label, LabelStyle::named(name))).collect() }
    }

    #[test]
    fn labels_are_segment_numbers_and_named_ones_are_kept_empty() {
        let masks = [mask([0, 4, 0, 4]), mask([1, 0, 0, 0])];
        let names = named(&[(1, "core\\a"), (2, ""), (5, "cyst")]);
        let actual = segments(Path::new("a.dcm"), &masks, &names).unwrap();
        let listed: Vec<(u16, &str, Vec<usize>)> =
            actual.iter().map(|segment| (segment.number, segment.name.as_str(), segment.slices().collect())).collect();
        let expected = [
            (1, "core a", vec![0]),
            (2, "Label 2", vec![]),
            (3, "unused", vec![]),
            (4, "Label 4", vec![0, 1]),
            (5, "cyst", vec![]),
        ];
        assert_eq!(listed, expected);
    }

    #[test]
    fn an_empty_mask_and_labels_that_do_not_fit_are_refused() {
        let refused = |masks: &[LabelVolume]| {
            segments(Path::new("a.dcm"), masks, &named(&[(1, "core")])).err().unwrap().to_string()
        };
        assert!(refused(&[mask([0; 4])]).contains("the mask is empty"));
        assert!(refused(&[mask([1, 0, 0, 0]), mask([0, 1, 0, 0])]).contains("in two masks"));
        let large = LabelVolume::new(mask([0; 4]).grid, vec![0_u16, 300, 0, 0]).unwrap();
        assert!(refused(&[large]).contains("up to 255"));
    }
}
