//! The engine's integration tests: one program, so that the dependencies are linked once.
//!
//! Tests that need a separate process, such as memory counts, are separate programs.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; a skipped test prints why")]

mod assess;
mod cohorts;
mod command_line;
mod common;
mod comparison;
mod corpus;
mod corpus_dicom;
mod corpus_nifti;
mod correction_loop;
mod device_parity;
mod devices;
mod dicom_cohort;
mod dicom_everywhere;
mod edit_command;
mod edit_oracles;
mod evaluate_golden;
mod evaluation;
mod inspect;
mod job_array;
mod jobs;
mod learning;
mod metrics_oracles;
mod odd_files;
mod own_method;
mod presets;
mod probes;
mod recipe;
mod reference_recalls;
mod review;
mod run_folder_faults;
mod sample_model;
mod study;
mod study_golden;
mod study_plans;
mod torch_step;
mod training;
mod volume_roundtrip;
