//! What is known of a scan besides its voxels.

use super::load::ImageStack;
use super::stack::Stack;

/// Modality, unit, geometry and warnings of a volume from DICOM. Holds no patient text.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanInfo {
    /// Modality (0008,0060): `CT`, `MR`, `PT`, ...
    pub modality: String,
    /// Unit of the scaled values: `HU`, `SUVbw`, `Bq/ml`, `counts`; `None` if they have none.
    pub unit: Option<String>,
    /// Why the values have this unit, or why no better one.
    pub unit_evidence: String,
    /// Centre of the first pixel of each slice in DICOM coordinates (LPS), mm: the true positions, also where slices are
    /// unevenly spaced.
    pub positions: Vec<[f64; 3]>,
    /// False if slices are unevenly spaced, so that only `positions` say where they are.
    pub evenly_spaced: bool,
    /// Angle between the direction of stacking and the normal of the slices, in degrees; 0 if not tilted.
    pub tilt_degrees: f64,
    /// Scaled values, from and to, that mark pixels without tissue.
    pub padding: Option<[f64; 2]>,
    /// True if small values are bright (MONOCHROME1): to be inverted for display.
    pub inverted: bool,
    /// UID of the study.
    pub study_uid: String,
    /// UID of the series.
    pub series_uid: String,
    /// UID of the frame of reference: scans that share it are aligned.
    pub frame_of_reference: String,
    /// Irregularities, one sentence each.
    pub warnings: Vec<String>,
}

impl ScanInfo {
    pub(super) fn of(images: &ImageStack, stack: &Stack) -> Self {
        let first = images.first();
        let (unit, unit_evidence) = unit(images);
        let plane = stack.first().map(|slice| &images.instances[slice.instance].planes[slice.plane]);
        let factor = images.factor(first).map_or(1.0, |suv| suv.factor);
        let scaled = |stored: f64| plane.map_or(stored, |plane| (plane.slope * stored + plane.intercept) * factor);
        Self {
            modality: first.modality.clone(),
            unit,
            unit_evidence,
            positions: stack.positions.iter().map(glam::DVec3::to_array).collect(),
            evenly_spaced: stack.is_even(),
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

/// The unit of scaled values and what it rests on.
fn unit(images: &ImageStack) -> (Option<String>, String) {
    let first = images.first();
    if let Some(suv) = images.factor(first) {
        return (Some(suv.unit.to_owned()), suv.evidence);
    }
    let rescaled = first.planes.iter().any(|plane| plane.rescaled);
    match (&*first.modality, first.rescale_type.as_deref()) {
        (_, Some("HU")) => (Some("HU".to_owned()), "RescaleType (0028,1054) is HU".to_owned()),
        (_, Some("US")) => (None, "RescaleType (0028,1054) is unspecified".to_owned()),
        ("CT", None) if rescaled => (Some("HU".to_owned()), "a CT image with RescaleSlope (0028,1053)".to_owned()),
        ("CT", _) => (None, "a CT image without rescale to Hounsfield units".to_owned()),
        _ => (None, "the modality has no unit".to_owned()),
    }
}
