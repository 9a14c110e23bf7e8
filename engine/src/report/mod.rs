//! Scores of methods, and the figures and HTML pages that show them.

pub mod figures;
pub mod page;

use serde::{Deserialize, Serialize};

use crate::metrics::Measures;

/// One method's scores on the held-out patients.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodScores {
    /// Short description of the method.
    pub name: String,
    /// One per held-out patient, in the same order for every method.
    pub cases: Vec<CaseScore>,
    /// Mean DSC over the patients.
    pub mean_dsc: f64,
    /// Standard deviation of DSC over the patients (n - 1).
    pub sd_dsc: f64,
}

/// Scores of one segmentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseScore {
    /// The patient.
    pub case: String,
    /// DSC (Eq. 10).
    pub dsc: f64,
    /// Sensitivity (Eq. 11).
    pub sensitivity: f64,
    /// Fraction of the segmented voxels that are in the reference.
    pub precision: f64,
    /// HD95 in mm (Eq. 13).
    pub hd95_mm: f64,
    /// Volume of the segmentation in ml.
    pub volume_ml: f64,
    /// Volume of the reference in ml.
    pub truth_volume_ml: f64,
}

impl CaseScore {
    /// The scores among a segmentation's measures.
    pub fn new(case: &str, m: &Measures) -> Self {
        Self {
            case: case.into(),
            dsc: m.dsc,
            sensitivity: m.sensitivity,
            precision: m.precision,
            hd95_mm: m.hd95_mm,
            volume_ml: m.volume_ml,
            truth_volume_ml: m.truth_volume_ml,
        }
    }
}

impl CaseScore {
    /// The mean over a patient's scans; `None` without a scan.
    pub fn mean(scans: &[Self]) -> Option<Self> {
        let mean = |of: fn(&Self) -> f64| scans.iter().map(of).sum::<f64>() / scans.len() as f64;
        Some(Self {
            case: scans.first()?.case.clone(),
            dsc: mean(|s| s.dsc),
            sensitivity: mean(|s| s.sensitivity),
            precision: mean(|s| s.precision),
            hd95_mm: mean(|s| s.hd95_mm),
            volume_ml: mean(|s| s.volume_ml),
            truth_volume_ml: mean(|s| s.truth_volume_ml),
        })
    }
}

impl MethodScores {
    /// Computes mean and SD of the DSC.
    pub fn new(name: impl Into<String>, cases: Vec<CaseScore>) -> Self {
        let (mean_dsc, sd_dsc) = mean_sd(&cases.iter().map(|c| c.dsc).collect::<Vec<_>>());
        Self { name: name.into(), cases, mean_dsc, sd_dsc }
    }
}

/// Mean and standard deviation (n - 1; 0 for a single value, NaN for none).
pub fn mean_sd(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, if values.len() == 1 { 0.0 } else { (squares / (n - 1.0)).sqrt() })
}
