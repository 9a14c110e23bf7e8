//! Results: one row per test scan and cell.

use super::job::{Cell, Job};
use super::runner::{JobState, converged, pretraining_warnings, training_left_out};
use crate::cohort::ExcludedScan;
use crate::jobs::evaluation::RunEvaluation;
use crate::metrics::Measures;
use crate::run::study::StudyFolder;
use crate::{Error, Result};

/// A scan of a test patient, segmented by one method.
#[derive(Clone, Debug)]
pub struct Row {
    /// Cohort, budget, method, fold, draw and seed.
    pub cell: Cell,
    /// Labelled patients that were fine-tuned on.
    pub labelled: usize,
    /// The patient. Statistics are per patient: several scans of a patient count once, with their mean.
    pub patient: String,
    /// Id of the scan.
    pub scan: String,
    /// Agreement with the reference.
    pub measures: Measures,
    /// Name of the run.
    pub run: String,
}

/// A cell without results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Method, cohort, label budget, fold, draw and seed of the missing run.
    pub cell: Cell,
    /// The error that ended the run; `None` if it has not run yet.
    pub failed: Option<String>,
}

/// All results of a study.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The measured scans.
    pub rows: Vec<Row>,
    /// Cells that failed or did not run.
    pub gaps: Vec<Gap>,
    /// Cells whose network segments no voxel in any patient.
    pub collapsed: Vec<Cell>,
    /// Cells whose fine-tuning has not converged.
    pub unconverged: Vec<Cell>,
    /// Warnings of the last epoch of a cell's pre-training, such as a collapse.
    pub warnings: Vec<(Cell, String)>,
    /// Scans of test patients that a cell could not segment or measure.
    pub left_out: Vec<(Cell, ExcludedScan)>,
    /// Scans that the training of a cell left out.
    pub training_left_out: Vec<(Cell, ExcludedScan)>,
}

impl Results {
    /// Reads the results of `finals` of a study.
    ///
    /// # Errors
    /// An evaluation that is damaged.
    pub fn read(finals: &[(Cell, Job)], folder: &StudyFolder) -> Result<Self> {
        let mut results = Self::default();
        for (cell, job) in finals {
            let gap = |failed| Gap { cell: cell.clone(), failed };
            match JobState::of(job, folder)? {
                JobState::Missing => results.gaps.push(gap(None)),
                JobState::Failed(why) => results.gaps.push(gap(Some(why))),
                JobState::Done(evaluation) => {
                    let before = results.rows.len();
                    results.add(cell, job, *evaluation);
                    if converged(folder, &job.name) == Some(false) {
                        results.unconverged.push(cell.clone());
                    }
                    let warnings = pretraining_warnings(folder, job).into_iter().map(|warning| (cell.clone(), warning));
                    results.warnings.extend(warnings);
                    let left_out = training_left_out(folder, job).into_iter().map(|left| (cell.clone(), left));
                    results.training_left_out.extend(left_out);
                    let own = &results.rows[before..];
                    if own.is_empty() {
                        results.gaps.push(gap(Some("no test scan could be measured".into())));
                    } else if own.iter().all(|row| row.measures.volume_ml == 0.0) {
                        results.collapsed.push(cell.clone());
                    }
                }
            }
        }
        Ok(results)
    }

    fn add(&mut self, cell: &Cell, job: &Job, evaluation: RunEvaluation) {
        let labelled = job.finetune.labels.labels.split(',').count();
        self.left_out.extend(evaluation.left_out.into_iter().map(|left| (cell.clone(), left)));
        for row in evaluation.patients {
            // Evaluations of earlier versions have no patient; the scan id is used.
            let patient = if row.patient.is_empty() { row.case.clone() } else { row.patient };
            match row.measures {
                Some(measures) => {
                    let (cell, run) = (cell.clone(), job.name.clone());
                    self.rows.push(Row { cell, labelled, patient, scan: row.case, measures, run });
                }
                None => self.left_out.push((cell.clone(), ExcludedScan::new(&row.case, "has no reference mask"))),
            }
        }
    }

    /// The rows as CSV, one per scan and cell.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let failed = |e: csv::Error| Error::config("results", "", e.to_string());
        let mut to = csv::Writer::from_writer(Vec::new());
        to.write_record([
            "cohort",
            "budget",
            "method",
            "fold",
            "draw",
            "seed",
            "labelled",
            "patient",
            "scan",
            "dsc",
            "sensitivity",
            "precision",
            "boundary_iou",
            "hd95_mm",
            "lesions_hit",
            "lesions_missed",
            "lesions_false_positive",
            "volume_ml",
            "reference_ml",
            "notes",
            "run",
        ])
        .map_err(failed)?;
        for Row { cell, labelled, patient, scan, measures: m, run } in &self.rows {
            to.write_record([
                cell.cohort.clone(),
                cell.budget.clone(),
                cell.method.clone(),
                cell.fold.to_string(),
                cell.draw.to_string(),
                cell.seed.to_string(),
                labelled.to_string(),
                patient.clone(),
                scan.clone(),
                m.dsc.to_string(),
                m.sensitivity.to_string(),
                m.precision.to_string(),
                m.boundary_iou.to_string(),
                m.hd95_mm.to_string(),
                m.lesions.tp.to_string(),
                m.lesions.missed.to_string(),
                m.lesions.fp.to_string(),
                m.volume_ml.to_string(),
                m.truth_volume_ml.to_string(),
                m.notes.join("; "),
                run.clone(),
            ])
            .map_err(failed)?;
        }
        to.into_inner().map_err(|e| Error::config("results", "", e.to_string()))
    }
}
