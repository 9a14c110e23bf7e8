//! AMLP (Adaptive Masking Lesion Patches): from medical volumes to an evaluated lesion segmentation.
//!
//! # Code map
//! Each module imports only the modules above it.
//!
//! | module | contents |
//! |---|---|
//! | [`error`] | the error type, whose kind names the file, the field and the value |
//! | [`volume`] | scans and masks on their grid: geometry, orientation, resampling, NIfTI, DICOM |
//! | [`cohort`] | folder layouts, fingerprint, split by patient |
//! | [`preprocess`] | crop, resample, normalise, recorded per case and invertible; the slice store |
//! | [`patch`], [`cluster`], [`masking`] | patch grid, k-means, mask patterns |
//! | [`model`], [`loss`] | the U-Net and the losses: tensors only, no paths, no events |
//! | [`trainer`] | the training loop, and the trait that methods implement |
//! | [`pretrain`], [`finetune`] | the methods: AMLP (the paper's section 3), SimMIM, supervised fine-tuning |
//! | [`predict`] | segmentation of whole volumes |
//! | [`probe`] | pinned slices, recorded at every epoch |
//! | [`inspect`] | one slice from the method's view: patches, clusters, masked set, reconstruction |
//! | [`findings`], [`metrics`], [`evaluate`] | components of a mask, and agreement metrics |
//! | [`edit`] | mask editing: operations, undo, journal |
//! | [`run`], [`event`], [`config`] | run folders: configuration, atomic files, checkpoints, event log, lock |
//! | [`jobs`], [`assess`] | complete training and evaluation jobs, and their time and memory estimates |
//! | [`review`] | review verdicts of a cohort, queue order, tables and report pages |
//! | [`study`] | comparison of methods over folds, draws and seeds, with statistics |
//! | [`words`] | singular and plural |
//! | [`device`], [`threads`], `parallel` | available backends, number of compute threads, parallel loops |
//! | [`mod@bench`] | time and memory of a training step and of inference |
//! | [`cli`], [`manual`], [`log`] | the program `amlp` (one file per command), its manual and its log |
//!
//! # Invariants
//! - World coordinates are millimetres in RAS+. Voxel indices are 0-based and refer to voxel centres.
//! - Voxel arrays are stored as in the file, first axis fastest.
//! - On the CPU, results are bit-identical for the same seed, configuration and thread count, even if the run was interrupted.
//! - Only [`run`], the readers and writers of [`volume`], [`cohort`] discovery and the command line access the disk.

pub mod assess;
pub mod augment;
pub mod bench;
pub mod cli;
pub mod cluster;
pub mod cohort;
pub mod compute;
pub mod config;
pub mod device;
pub mod draw;
pub mod edit;
pub mod error;
pub mod evaluate;
pub mod event;
pub mod experiment;
pub mod findings;
pub mod finetune;
pub mod inspect;
pub mod jobs;
pub mod log;
pub mod loss;
pub mod manual;
pub mod masking;
pub mod metrics;
pub mod model;
mod parallel;
pub mod patch;
pub mod predict;
pub mod preprocess;
pub mod pretrain;
pub mod probe;
pub mod review;
pub mod run;
pub mod seed;
pub mod study;
#[cfg(test)]
mod test_tensors;
pub mod threads;
pub mod trainer;
pub mod volume;
pub mod words;

pub use error::{Error, ErrorKind, Result};
