//! What was measured: one row per test patient of every cell.

use super::job::{Cell, Job};
use super::runner::JobState;
use crate::metrics::Measures;
use crate::run::study::StudyFolder;
use crate::{Error, Result};

/// A test patient, segmented by one method.
#[derive(Clone, Debug)]
pub struct Row {
    /// Cohort, budget, method, fold, draw and seed.
    pub cell: Cell,
    /// Labelled patients that were fine-tuned on.
    pub labelled: usize,
    /// The patient.
    pub patient: String,
    /// Agreement with the reference.
    pub measures: Measures,
    /// Name of the run.
    pub run: String,
}

/// A cell without results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The cell.
    pub cell: Cell,
    /// The error that ended it; `None` if it did not run yet.
    pub failed: Option<String>,
}

/// All results of a study.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The measured patients.
    pub rows: Vec<Row>,
    /// Cells that failed or did not run.
    pub gaps: Vec<Gap>,
    /// Cells whose network marks nothing in any patient.
    pub collapsed: Vec<Cell>,
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
                    let labelled = job.finetune.labels.labels.split(',').count();
                    let measured = evaluation.patients.into_iter().filter_map(|row| Some((row.case, row.measures?)));
                    let measured: Vec<_> = measured.collect();
                    if !measured.is_empty() && measured.iter().all(|(_, measures)| measures.volume_ml == 0.0) {
                        results.collapsed.push(cell.clone());
                    }
                    results.rows.extend(measured.into_iter().map(|(patient, measures)| Row {
                        cell: cell.clone(),
                        labelled,
                        patient,
                        measures,
                        run: job.name.clone(),
                    }));
                }
            }
        }
        Ok(results)
    }

    /// The rows as CSV, one per patient and cell.
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
        for Row { cell, labelled, patient, measures: m, run } in &self.rows {
            to.write_record([
                cell.cohort.clone(),
                cell.budget.clone(),
                cell.method.clone(),
                cell.fold.to_string(),
                cell.draw.to_string(),
                cell.seed.to_string(),
                labelled.to_string(),
                patient.clone(),
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
