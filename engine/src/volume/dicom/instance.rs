//! The parts of a file's header that stacking needs: planes in patient space, their scaling, and the attributes by which
//! planes are separated into volumes.

use glam::DVec3;

use super::pixels::padding_range;
use super::source::Source;
use super::suv::{PetHeader, date_time, whole_date_time};
use super::{DataSet, DicomFile, Tag, hashed_uid, mosaic, multiframe};
use crate::Result;
use crate::words::plural;

/// SOP classes of segmentations, bit masks and label maps.
const SEGMENTATION_CLASSES: [&str; 2] = ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"];
/// FrameType of an enhanced image.
const FRAME_TYPE: Tag = Tag(0x0008, 0x9007);
/// A table in place of rescale.
const MODALITY_LUT_SEQUENCE: Tag = Tag(0x0028, 0x3000);

/// A plane of pixels: a frame, or a tile of a mosaic. Positions are those of DICOM (LPS).
#[derive(Clone, Debug)]
pub(super) struct Plane {
    /// The frame in the file, 0-based.
    pub frame: usize,
    /// Column and row of the first pixel within the frame; not 0 only in a mosaic.
    pub origin: [usize; 2],
    /// Columns and rows.
    pub size: [usize; 2],
    /// Centre of the first pixel, in mm; `None` if the file does not say.
    pub position: Option<DVec3>,
    /// Directions of a row and of a column.
    pub axes: Option<[DVec3; 2]>,
    /// Distance of pixels within a row and of rows, in mm.
    pub spacing: Option<[f64; 2]>,
    /// Distance of slices as stated, or their thickness, in mm.
    pub step: Option<f64>,
    /// `value = slope * stored + intercept`.
    pub slope: f64,
    pub intercept: f64,
    /// True if the rescale of the frame is given.
    pub rescaled: bool,
    /// Attributes that separate the planes of a series into volumes.
    pub kind: Kind,
    /// Order among planes at the same position: temporal index, number of the instance, time, frame.
    pub order: [i64; 4],
    /// StackID of an enhanced image.
    pub stack_id: Option<String>,
    /// The values of ImageType, or of FrameType.
    pub image_type: Vec<String>,
    /// AcquisitionNumber.
    pub acquisition: Option<i64>,
    /// Attributes used where positions have different numbers of repeats.
    pub phase: [Option<i64>; PHASES.len()],
}

/// What separates repeats at a position if it leaves each part complete: the name for people, and the unit.
pub(super) const PHASES: [[&str; 2]; 4] = [["time", ""], ["b", ""], ["trigger", " ms"], ["slice thickness", " mm"]];
/// Indices of [`PHASES`]. All four are multiples of 0.001.
pub(super) const B_VALUE: usize = 1;
pub(super) const THICKNESS: usize = 3;

/// Attributes that are equal in all planes of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// Echo time in microseconds.
    pub echo: Option<i64>,
    /// Magnitude, phase, real, imaginary: `M`, `P`, `R`, `I`.
    pub component: Option<char>,
    /// ConvolutionKernel of a CT.
    pub kernel: Option<String>,
    /// True for a scout, which may have the orientation of the slices.
    pub localiser: bool,
}

/// The header of one file.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub source: Source,
    pub uid: String,
    pub class_uid: String,
    pub syntax_uid: String,
    pub number: i64,
    pub modality: String,
    pub series_uid: String,
    pub study_uid: String,
    pub series_number: Option<i64>,
    /// Header text for people: shown in a study list, never logged.
    pub description: String,
    pub study_description: String,
    pub series_date: String,
    pub patient_id: String,
    pub patient_name: String,
    pub rows: usize,
    pub columns: usize,
    pub frames: usize,
    pub has_pixels: bool,
    /// One number per pixel, which means brightness.
    pub grey: bool,
    pub photometric: String,
    /// Bits allocated, signed, floating point.
    pub stored: (usize, bool, bool),
    /// Lowest and highest stored value that mark padding.
    pub padding: Option<[f64; 2]>,
    pub rescale_type: Option<String>,
    pub frame_of_reference: String,
    pub pet: Option<Box<PetHeader>>,
    pub planes: Vec<Plane>,
    pub warnings: Vec<String>,
}

impl Instance {
    /// Reads a file's header; `None` if the file is not DICOM, or a DICOMDIR.
    ///
    /// # Errors
    /// As [`DicomFile::open`].
    pub fn read(source: &Source) -> Result<Option<Self>> {
        let file = DicomFile::if_dicom(source)?;
        // A DICOMDIR within a folder is not an instance.
        let file = file.filter(|file| file.data.get(Tag::DIRECTORY_RECORD_SEQUENCE).is_none());
        Ok(file.map(|file| Self::of(&file)))
    }

    pub fn of(file: &DicomFile) -> Self {
        let data = &file.data;
        let text = |tag| data.text(tag).unwrap_or_default();
        let uid = |tag| data.uid(tag).unwrap_or_default().to_owned();
        let photometric = data.text(Tag::PHOTOMETRIC_INTERPRETATION).unwrap_or_else(|| "MONOCHROME2".to_owned());
        let mut instance = Self {
            source: file.source.clone(),
            uid: file.instance_uid().to_owned(),
            class_uid: uid(Tag::SOP_CLASS_UID),
            syntax_uid: file.syntax_uid.clone(),
            number: data.number(Tag::INSTANCE_NUMBER).map_or(0, |n| n as i64),
            modality: text(Tag::MODALITY),
            series_uid: uid(Tag::SERIES_INSTANCE_UID),
            study_uid: uid(Tag::STUDY_INSTANCE_UID),
            series_number: data.number(Tag::SERIES_NUMBER).map(|n| n as i64),
            description: text(Tag::SERIES_DESCRIPTION),
            study_description: text(Tag::STUDY_DESCRIPTION),
            series_date: data.text(Tag::SERIES_DATE).or_else(|| data.text(Tag::STUDY_DATE)).unwrap_or_default(),
            patient_id: text(Tag::PATIENT_ID),
            patient_name: text(Tag::PATIENT_NAME),
            rows: data.count(Tag::ROWS).unwrap_or(0),
            columns: data.count(Tag::COLUMNS).unwrap_or(0),
            frames: data.count(Tag::NUMBER_OF_FRAMES).unwrap_or(1).max(1),
            has_pixels: file.pixels.is_some(),
            grey: data.count(Tag::SAMPLES_PER_PIXEL).unwrap_or(1) == 1 && photometric.starts_with("MONOCHROME"),
            photometric,
            stored: stored(file),
            padding: padding_range(data, data.count(Tag::PIXEL_REPRESENTATION) == Some(1)),
            rescale_type: rescale_type(data),
            frame_of_reference: uid(Tag::FRAME_OF_REFERENCE_UID),
            pet: None,
            planes: Vec::new(),
            warnings: file.warnings.clone(),
        };
        if instance.modality == "PT" {
            instance.pet = Some(Box::new(PetHeader::of(data)));
        }
        // Segmentations and presentation states are layers, not images.
        let is_layer = SEGMENTATION_CLASSES.contains(&&*instance.class_uid);
        if !is_layer && instance.has_pixels {
            if instance.rows > 0 && instance.columns > 0 {
                instance.add_planes(data);
            } else {
                let why = "Rows (0028,0010) or Columns (0028,0011) is missing or 0, so its pixels are not read";
                instance.warnings.push(why.to_owned());
            }
        }
        instance
    }

    fn add_planes(&mut self, data: &DataSet) {
        let per_frame = data.items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        let shared = data.item(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let transforms = || {
            per_frame.iter().chain(shared).filter_map(|groups| groups.item(Tag::PIXEL_VALUE_TRANSFORMATION_SEQUENCE))
        };
        for (tag, name) in [(Tag::RESCALE_SLOPE, "RescaleSlope"), (Tag::RESCALE_INTERCEPT, "RescaleIntercept")] {
            let is_no_number = |set: &DataSet| set.text(tag).is_some() && set.number(tag).is_none();
            if is_no_number(data) || transforms().any(is_no_number) {
                self.warnings.push(format!("{name} {tag} is not a number and is not applied"));
            }
        }
        let is_zero = |set: &DataSet| set.number(Tag::RESCALE_SLOPE) == Some(0.0);
        if is_zero(data) || transforms().any(is_zero) {
            self.warnings.push(format!("RescaleSlope {} is 0 and is not applied", Tag::RESCALE_SLOPE));
        }
        if self.grey && data.get(MODALITY_LUT_SEQUENCE).is_some() {
            let why = "the table from stored values to a unit (0028,3000) is not applied. Values are as stored";
            self.warnings.push(why.to_owned());
        }
        match mosaic::tiles(data) {
            Some(Ok(mosaic)) => {
                self.planes = mosaic.planes(&Context::of(data, &[]).plane(0, [self.columns, self.rows]));
                return;
            }
            Some(Err(why)) => {
                self.warnings.push(why);
                return;
            }
            None => {}
        }
        // A header can declare more frames than it could hold; the pixels are checked when they are read.
        let frames = if per_frame.is_empty() { self.frames.min(1 << 16) } else { per_frame.len().min(self.frames) };
        if !per_frame.is_empty() && per_frame.len() != self.frames {
            let described = plural(per_frame.len(), "frame is", "frames are");
            self.warnings.push(format!(
                "NumberOfFrames (0028,0008) is {}, but {described} described. {} read",
                self.frames,
                plural(frames, "frame is", "frames are")
            ));
        }
        self.planes = (0..frames)
            .map(|frame| {
                let groups: Vec<&DataSet> = per_frame.get(frame).into_iter().chain(shared).collect();
                Context::of(data, &groups).plane(frame, [self.columns, self.rows])
            })
            .collect();
        if per_frame.is_empty() {
            self.warnings.extend(multiframe::place(data, &mut self.planes));
        }
    }

    /// The hash that names the instance in messages.
    pub fn hash(&self) -> String {
        hashed_uid(&self.uid)
    }
}

/// Bits allocated, signed, floating point.
fn stored(file: &DicomFile) -> (usize, bool, bool) {
    let signed = file.data.count(Tag::PIXEL_REPRESENTATION) == Some(1);
    match file.pixels.map(|pixels| pixels.tag) {
        Some(Tag::FLOAT_PIXEL_DATA) => (32, false, true),
        Some(Tag::DOUBLE_FLOAT_PIXEL_DATA) => (64, false, true),
        _ => (file.data.count(Tag::BITS_ALLOCATED).unwrap_or(16), signed, false),
    }
}

/// RescaleType of the image, or of the first frame.
fn rescale_type(data: &DataSet) -> Option<String> {
    let groups = [Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE];
    let of_frame = |tag: &Tag| data.item(*tag)?.item(Tag::PIXEL_VALUE_TRANSFORMATION_SEQUENCE)?.text(Tag::RESCALE_TYPE);
    data.text(Tag::RESCALE_TYPE).or_else(|| groups.iter().find_map(of_frame))
}

/// Data sets in which the attributes of a frame are looked up: its functional groups, the shared ones, and the top level.
struct Context<'a> {
    data: &'a DataSet,
    groups: &'a [&'a DataSet],
}

impl<'a> Context<'a> {
    fn of(data: &'a DataSet, groups: &'a [&'a DataSet]) -> Self {
        Self { data, groups }
    }

    /// The data set that holds `tag`: the macro of the frame, of all frames, or the top level.
    fn holder(&self, sequence: Tag, tag: Tag) -> Option<&'a DataSet> {
        let macros = self.groups.iter().filter_map(|group| group.item(sequence));
        macros.chain([self.data]).find(|set| set.bytes(tag).is_some())
    }

    fn vector<const N: usize>(&self, sequence: Tag, tag: Tag) -> Option<[f64; N]> {
        self.holder(sequence, tag)?.array(tag)
    }

    fn number(&self, sequence: Tag, tag: Tag) -> Option<f64> {
        self.holder(sequence, tag)?.number(tag)
    }

    fn plane(&self, frame: usize, size: [usize; 2]) -> Plane {
        let cosines: Option<[f64; 6]> = self.vector(Tag::PLANE_ORIENTATION_SEQUENCE, Tag::IMAGE_ORIENTATION_PATIENT);
        let spacing: Option<[f64; 2]> = self.vector(Tag::PIXEL_MEASURES_SEQUENCE, Tag::PIXEL_SPACING);
        let measure = |tag| self.number(Tag::PIXEL_MEASURES_SEQUENCE, tag).filter(|mm| *mm > 0.0);
        let rescale = |tag| self.number(Tag::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tag);
        let slope = rescale(Tag::RESCALE_SLOPE).filter(|slope| *slope != 0.0);
        let content = self.groups.iter().find_map(|group| group.item(Tag::FRAME_CONTENT_SEQUENCE));
        let image_type = self.image_type();
        let kernel = self.holder(Tag::CT_RECONSTRUCTION_SEQUENCE, Tag::CONVOLUTION_KERNEL);
        Plane {
            frame,
            origin: [0, 0],
            size,
            position: self.vector(Tag::PLANE_POSITION_SEQUENCE, Tag::IMAGE_POSITION_PATIENT).map(DVec3::from_array),
            axes: cosines.and_then(axes),
            spacing: spacing.filter(|mm| mm.iter().all(|mm| *mm > 0.0)).map(|[row, column]| [column, row]),
            step: measure(Tag::SPACING_BETWEEN_SLICES).or_else(|| measure(Tag::SLICE_THICKNESS)),
            slope: slope.unwrap_or(1.0),
            intercept: rescale(Tag::RESCALE_INTERCEPT).unwrap_or(0.0),
            rescaled: slope.is_some(),
            kind: Kind {
                echo: self.echo(),
                component: self.component(&image_type),
                kernel: kernel.map(|set| set.texts(Tag::CONVOLUTION_KERNEL).join("\\")),
                localiser: image_type.get(2).is_some_and(|value| value == "LOCALIZER"),
            },
            order: self.order(content, frame),
            stack_id: content.and_then(|item| item.text(Tag::STACK_ID)),
            image_type,
            acquisition: self.data.number(Tag::ACQUISITION_NUMBER).map(|n| n as i64),
            phase: self.phase(content),
        }
    }

    fn echo(&self) -> Option<i64> {
        let effective = self.number(Tag::MR_ECHO_SEQUENCE, Tag::EFFECTIVE_ECHO_TIME);
        let ms = effective.or_else(|| self.data.number(Tag::ECHO_TIME))?;
        Some((ms * 1000.0).round() as i64)
    }

    /// The item that describes the type of the frame.
    fn frame_type(&self) -> Option<&'a DataSet> {
        let types =
            [Tag::MR_IMAGE_FRAME_TYPE_SEQUENCE, Tag::CT_IMAGE_FRAME_TYPE_SEQUENCE, Tag::PET_FRAME_TYPE_SEQUENCE];
        types.iter().find_map(|sequence| self.groups.iter().find_map(|group| group.item(*sequence)))
    }

    fn image_type(&self) -> Vec<String> {
        let of_frame = self.frame_type().map(|item| item.texts(FRAME_TYPE)).filter(|values| !values.is_empty());
        of_frame.unwrap_or_else(|| self.data.texts(Tag::IMAGE_TYPE))
    }

    /// Which part of a complex image the frame is.
    fn component(&self, image_type: &[String]) -> Option<char> {
        let named = self.frame_type().and_then(|item| item.text(Tag::COMPLEX_IMAGE_COMPONENT));
        let named = named.and_then(|name| match &*name {
            "MAGNITUDE" => Some('M'),
            "PHASE" => Some('P'),
            "REAL" => Some('R'),
            "IMAGINARY" => Some('I'),
            _ => None,
        });
        if named.is_some() {
            return named;
        }
        // GE says it in a private attribute only: 0 to 3.
        if let Some(tag) = self.data.private_tag(0x0043, "GEMS_PARM_01", 0x2f)
            && let Some(code) = self.data.get(tag).map(super::Element::bytes).and_then(|bytes| bytes.first())
        {
            return ['M', 'P', 'R', 'I'].get(usize::from(*code)).copied();
        }
        image_type.iter().skip(2).find_map(|value| match &**value {
            "M" | "MAGNITUDE" | "M_FFE" | "M_SE" | "M_IR" => Some('M'),
            "P" | "PHASE" | "PHASE MAP" | "PHASE_MAP" => Some('P'),
            "R" | "REAL" => Some('R'),
            "I" | "IMAGINARY" => Some('I'),
            _ => None,
        })
    }

    fn temporal(&self, content: Option<&DataSet>) -> Option<f64> {
        let index = content.and_then(|item| item.number(Tag::TEMPORAL_POSITION_INDEX));
        index.or_else(|| self.data.number(Tag::TEMPORAL_POSITION_IDENTIFIER))
    }

    /// TemporalPosition, number of the instance, time of acquisition in microseconds, and the frame.
    fn order(&self, content: Option<&DataSet>, frame: usize) -> [i64; 4] {
        let temporal = self.temporal(content).unwrap_or(0.0);
        let number = self.data.number(Tag::INSTANCE_NUMBER).unwrap_or(0.0);
        let at = |date: Tag, time: Tag| date_time(&self.data.text(date)?, &self.data.text(time)?);
        let acquired = self.data.text(Tag::ACQUISITION_DATE_TIME).and_then(|text| whole_date_time(&text));
        let acquired = acquired
            .or_else(|| at(Tag::ACQUISITION_DATE, Tag::ACQUISITION_TIME))
            .or_else(|| at(Tag::CONTENT_DATE, Tag::CONTENT_TIME));
        [temporal as i64, number as i64, acquired.map_or(0, |seconds| (seconds * 1e6) as i64), frame as i64]
    }

    fn phase(&self, content: Option<&DataSet>) -> [Option<i64>; PHASES.len()] {
        let b_value = self.number(Tag::MR_DIFFUSION_SEQUENCE, Tag::DIFFUSION_B_VALUE);
        let thickness = self.number(Tag::PIXEL_MEASURES_SEQUENCE, Tag::SLICE_THICKNESS);
        let whole = |value: Option<f64>| value.map(|v| (v * 1000.0).round() as i64);
        [
            whole(self.temporal(content)),
            whole(b_value.or_else(|| private_b_value(self.data))),
            whole(self.data.number(Tag::TRIGGER_TIME)),
            whole(thickness),
        ]
    }
}

/// The b-value that Siemens, GE and Philips write where the standard attribute is missing.
fn private_b_value(data: &DataSet) -> Option<f64> {
    let number = |group, creator, element| data.number(data.private_tag(group, creator, element)?);
    let philips = || {
        let bytes = data.bytes(data.private_tag(0x2001, "Philips Imaging DD 001", 0x03)?)?;
        Some(f64::from(f32::from_le_bytes(bytes.try_into().ok()?)))
    };
    // GE adds 10^9 to some.
    let ge = || number(0x0043, "GEMS_PARM_01", 0x39).map(|b| b % 1e5);
    number(0x0019, "SIEMENS MR HEADER", 0x0c).or_else(ge).or_else(philips)
}

/// Row and column direction of length 1; `None` if they are not directions, or not at right angles.
pub(super) fn axes(cosines: [f64; 6]) -> Option<[DVec3; 2]> {
    let [a, b, c, d, e, f] = cosines;
    let (row, column) = (DVec3::new(a, b, c).try_normalize()?, DVec3::new(d, e, f).try_normalize()?);
    (row.dot(column).abs() < 1e-2).then_some([row, column])
}
