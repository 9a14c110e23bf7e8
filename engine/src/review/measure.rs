//! Measures the findings of a case, with their values and verdicts.

use serde::Serialize;

use super::{Entry, FindingVerdict, LatestEntries, ReviewedMask};
use crate::cohort::{Case, Cohort, ImageFile, canonical_modality, is_in_suv, read_masks, with_region};
use crate::event::Control;
use crate::findings::{Finding, Values, findings};
use crate::volume::{LabelVolume, MaskOptions, Relation, Volume};
use crate::{Error, ErrorKind, Result};

/// The images and masks of a case under review.
pub struct CaseVolumes {
    /// Modality of the image on whose grid the masks are.
    pub base_name: String,
    /// The base image, on whose grid the masks are.
    pub base: Volume,
    /// The PET in SUV, if the case has one and it is not the base image.
    pub suv: Option<(String, Volume)>,
    /// True if the base image is a PET in SUV.
    pub base_is_suv: bool,
    /// The mask under review: the segmentation, else the reference. `None` if the case has neither.
    pub mask: Option<LabelVolume>,
    /// The reference, if there is also a segmentation.
    pub reference: Option<LabelVolume>,
}

/// A case with its verdict and its findings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasuredCase {
    /// The scan's id.
    pub case: String,
    /// ID of the patient, who may have several scans.
    pub patient: String,
    /// The session, if names contain it.
    pub session: Option<String>,
    /// The last entry, or [`Entry::new`] if there is none.
    pub entry: Entry,
    /// The mask that the findings are from: `segmentation`, `reference`, or empty without a mask.
    pub mask: &'static str,
    /// Modality of the image that the values are from.
    pub image: String,
    /// True if they are SUV.
    pub is_suv: bool,
    /// Volume of the mask in millilitres; `None` without a mask.
    pub volume_ml: Option<f64>,
    /// The findings, largest first.
    pub findings: Vec<MeasuredFinding>,
    /// Why the case could not be measured.
    pub problem: Option<String>,
}

/// A finding with the values of the image inside and its verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasuredFinding {
    /// The lesion.
    pub finding: Finding,
    /// Number of its axial slice as displayed: from 1, from feet to head.
    pub slice: usize,
    /// Image values inside the finding.
    pub values: Option<Values>,
    /// The verdict on it.
    pub verdict: Option<FindingVerdict>,
}

impl CaseVolumes {
    /// Reads the images and masks of a case. The base image is the first whose voxels are those of the mask.
    ///
    /// # Errors
    /// A file that cannot be read; a case without an image; a mask that fits no image.
    pub fn read(case: &Case, masks: &MaskOptions) -> Result<Self> {
        let files = case.reviewed_mask();
        let grid = files.first().map(|_| read_masks(files, masks).map(|(mask, _)| mask.grid)).transpose()?;
        let fits = |file: &ImageFile| match &grid {
            Some(grid) => Volume::read_grid(&file.path)
                .is_ok_and(|image| grid.compare(&image, masks.grid_tolerance_mm).relation != Relation::Different),
            None => true,
        };
        let fitting = case.images.iter().find(|(_, file)| fits(file)).or_else(|| case.images.iter().next());
        let (base_name, file) = fitting.ok_or_else(|| Error::config("case", &case.id, "it has no image"))?;
        let base = file.read()?;
        let frame = file.frame.unwrap_or(0);
        let read = |paths: &[std::path::PathBuf]| -> Result<Option<LabelVolume>> {
            let mut union: Option<LabelVolume> = None;
            for path in paths {
                let region = LabelVolume::read_frame_for(path, &base, frame, masks)?.labels;
                union = Some(match union {
                    Some(mask) => with_region(mask, region),
                    None => region,
                });
            }
            Ok(union)
        };
        let mask = read(files)?;
        let reference = if case.segmentation.is_some() { read(&case.masks)? } else { None };
        let is_pet = |name: &str| canonical_modality(name) == "pet";
        let base_is_suv = is_pet(base_name) && is_in_suv(&file.path)?;
        let mut suv = None;
        if !base_is_suv && let Some((name, file)) = case.images.iter().find(|(name, _)| is_pet(name)) {
            suv = if is_in_suv(&file.path)? { Some((name.clone(), file.read()?)) } else { None };
        }
        Ok(Self { base_name: base_name.clone(), base, suv, base_is_suv, mask, reference })
    }

    /// The image that values are taken from: the PET in SUV, else the base image. The last value is true for SUV.
    pub fn valued(&self) -> (&str, &Volume, bool) {
        match &self.suv {
            Some((name, image)) => (name, image, true),
            None => (&self.base_name, &self.base, self.base_is_suv),
        }
    }
}

impl MeasuredCase {
    /// Measures the findings of a case.
    pub fn new(case: &Case, volumes: &CaseVolumes, entry: Option<&Entry>) -> Self {
        let mut measured = Self::unmeasured(case, entry);
        let (image_name, image, is_suv) = volumes.valued();
        (measured.image, measured.is_suv) = (image_name.to_owned(), is_suv);
        let Some(mask) = &volumes.mask else { return measured };
        let of = if case.segmentation.is_some() { ReviewedMask::Segmentation } else { ReviewedMask::Reference };
        measured.mask = of.key();
        measured.volume_ml = Some(mask.volume_ml());
        let measure = |finding: Finding| MeasuredFinding {
            slice: finding.axial_slice(&mask.grid) + 1,
            values: finding.values(&mask.grid, image, 0, is_suv),
            verdict: measured.entry.on_finding(&finding, of, &mask.grid),
            finding,
        };
        measured.findings = findings(mask).into_iter().map(measure).collect();
        measured
    }

    /// A case with its verdict but no findings.
    fn unmeasured(case: &Case, entry: Option<&Entry>) -> Self {
        Self {
            case: case.id.clone(),
            patient: case.patient.clone(),
            session: case.session.clone(),
            entry: entry.cloned().unwrap_or_else(|| Entry::new(&case.id)),
            mask: "",
            image: String::new(),
            is_suv: false,
            volume_ml: None,
            findings: Vec::new(),
            problem: None,
        }
    }
}

/// Measures the cases of a cohort, one after the other. `progress` gets the number of finished cases, the total and the current
/// case; `each` gets every readable case with its volumes.
///
/// A case that cannot be read is listed with its [`MeasuredCase::problem`].
///
/// # Errors
/// [`ErrorKind::Cancelled`], and errors of `each`.
pub fn measure_cohort(
    cohort: &Cohort,
    latest: &LatestEntries,
    masks: &MaskOptions,
    control: &Control,
    progress: &dyn Fn(usize, usize, &str),
    each: &mut dyn FnMut(&CaseVolumes, &MeasuredCase) -> Result<()>,
) -> Result<Vec<MeasuredCase>> {
    let mut measured = Vec::with_capacity(cohort.cases.len());
    for (done, case) in cohort.cases.iter().enumerate() {
        control.pass()?;
        progress(done, cohort.cases.len(), &case.id);
        let entry = latest.get(&case.id);
        match CaseVolumes::read(case, masks) {
            Ok(volumes) => {
                let row = MeasuredCase::new(case, &volumes, entry);
                each(&volumes, &row)?;
                measured.push(row);
            }
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error),
            Err(error) => {
                measured
                    .push(MeasuredCase { problem: Some(error.to_string()), ..MeasuredCase::unmeasured(case, entry) });
            }
        }
    }
    Ok(measured)
}
