//! AMLP (Adaptive Masking Lesion Patches): from medical volumes to an evaluated lesion segmentation.
//!
//! # Code map
//! A module imports only modules of its own row and of the rows above it; [`config`] alone also imports [`pretrain`].
//!
//! | modules | contents |
//! |---|---|
//! | [`error`], [`log`], [`manual`], [`seed`], [`words`] | errors that name the file, the field and the value; the log; the manual; random streams; words of messages |
//! | [`disk`], [`threads`], `parallel` | atomic files; number of compute threads; parallel loops |
//! | [`volume`] | scans and masks on their grid: geometry, orientation, resampling, NIfTI, DICOM |
//! | [`findings`], [`metrics`] | components of a mask; agreement metrics |
//! | [`event`], [`edit`], [`cohort`], [`preprocess`] | events of a run; mask editing; folder layouts, split by patient; crop, resample, normalise, recorded per case and invertible; the slice store |
//! | [`patch`], [`masking`], [`cluster`] | patch grid, mask patterns, k-means and the alternatives |
//! | [`compute`], [`loss`], [`model`] | the network's operations on a CPU, the losses and the U-Net: tensors only, no paths, no events |
//! | [`draw`], [`report`] | pictures; figures and pages of results |
//! | [`evaluate`], [`review`] | scores of a cohort's segmentations; verdicts, queue order, tables |
//! | [`device`] | backends |
//! | [`config`] | settings and presets; it lists the methods of [`pretrain`], which check their settings |
//! | [`augment`], [`run`] | augmentation; run folders |
//! | [`probe`] | pinned slices |
//! | [`trainer`] | the training loop and the trait of a method |
//! | [`pretrain`] | AMLP (the paper's section 3) and the other methods |
//! | [`predict`], [`finetune`] | segmentation of whole volumes; supervised fine-tuning |
//! | [`jobs`], [`mod@bench`], [`inspect`] | complete training and evaluation jobs; time and memory of a step; one slice from the method's view |
//! | [`assess`], [`study`], [`demo`] | estimates of a job; comparison of methods, with statistics; the demo |
//! | [`cli`] | the program `amlp`, one file per command |
//!
//! # Invariants
//! - World coordinates are millimetres in RAS+. Voxel indices are 0-based and refer to voxel centres.
//! - Voxel arrays are stored as in the file, first axis fastest.
//! - On the CPU, results are bit-identical for the same seed, configuration and thread count, even if the run was interrupted.
//! - Only [`disk`], [`run`], [`volume`], [`cohort`], the slice store of [`preprocess`] and the command line access the disk.

pub mod assess;
pub mod augment;
pub mod bench;
pub mod cli;
pub mod cluster;
pub mod cohort;
pub mod compute;
pub mod config;
pub mod demo;
pub mod device;
pub mod disk;
pub mod draw;
pub mod edit;
pub mod error;
pub mod evaluate;
pub mod event;
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
pub mod report;
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
