//! Description of a scan: modality, unit, geometry and warnings.

use super::load::ImageStack;
use super::stack::{Slice, Stack};
use super::suv::SuvFactor;

/// Modality, unit, geometry and warnings of a volume from DICOM. Holds no patient text.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanInfo {
    /// Modality (0008,0060): `CT`, `MR`, `PT`, ...
    pub modality: String,
    /// Unit of the scaled values: `HU`, `SUVbw`, `Bq/ml`, `counts`; `None` if they have none.
    pub unit: Option<String>,
    /// Evidence for the unit, or the reason why a better one is not known.
    pub unit_evidence: String,
    /// Centre of the first pixel of each slice in DICOM coordinates (LPS), mm: the true positions, also where slices are
    /// unevenly spaced.
    pub positions: Vec<[f64; 3]>,
    /// False if slices are unevenly spaced, so that only `positions` say where they are.
    pub evenly_spaced: bool,
    /// Angle between the direction of stacking and the normal of the slices, in degrees; 0 if not tilted.
    pub tilt_degrees: f64,
    /// Lowest and highest scaled value that mark padding.
    pub padding: Option<[f64; 2]>,
    /// True if small values are bright (MONOCHROME1), so that the image must be inverted for display.
    pub inverted: bool,
    /// StudyInstanceUID.
    pub study_uid: String,
    /// SeriesInstanceUID.
    pub series_uid: String,
    /// UID of the frame of reference: scans that share it are aligned.
    pub frame_of_reference: String,
    /// Irregularities, one sentence each.
    pub warnings: Vec<String>,
}

impl ScanInfo {
    pub(super) fn of(images: &ImageStack, stack: &Stack) -> Self {
        let first = images.first();
        let suv = images.suv();
        let factor = suv.as_ref().map_or(1.0, |suv| suv.factor);
        let (unit, unit_evidence) = unit(images, suv);
        let plane = stack.first().map(|slice| &images.instances[slice.instance].planes[slice.plane]);
        let scaled = |stored: f64| plane.map_or(stored, |plane| (plane.slope * stored + plane.intercept) * factor);
        Self {
            modality: first.modality.clone(),
            unit,
            unit_evidence,
            positions: stack.positions.iter().map(glam::DVec3::to_array).collect(),
            evenly_spaced: stack.even,
            tilt_degrees: stack.tilt_degrees,
            padding: first.padding.map(|range| range.map(scaled)),
            inverted: first.photometric == "MONOCHROME1",
            study_uid: first.study_uid.clone(),
            series_uid: first.series_uid.clone(),
            frame_of_reference: first.frame_of_reference.clone(),
            warnings: images.warnings(),
        }
    }
}

/// The unit of the scaled values, and the evidence for it.
fn unit(images: &ImageStack, suv: Option<SuvFactor>) -> (Option<String>, String) {
    let first = images.first();
    if let Some(suv) = suv {
        return (Some(suv.unit.to_owned()), suv.evidence);
    }
    let other_type = |slice: &Slice| images.instances[slice.instance].rescale_type != first.rescale_type;
    if images.slices().any(other_type) {
        return (None, "the slices have different RescaleTypes (0028,1054)".to_owned());
    }
    let rescaled = images.slices().all(|slice| images.instances[slice.instance].planes[slice.plane].rescaled);
    match (&*first.modality, first.rescale_type.as_deref()) {
        (_, Some("HU")) => (Some("HU".to_owned()), "RescaleType (0028,1054) is HU".to_owned()),
        (_, Some("US")) => (None, "RescaleType (0028,1054) is unspecified".to_owned()),
        ("CT", None) if rescaled => (Some("HU".to_owned()), "a CT image with RescaleSlope (0028,1053)".to_owned()),
        ("CT", _) => (None, "a CT image without rescale to Hounsfield units".to_owned()),
        _ => (None, "the modality has no unit".to_owned()),
    }
}
