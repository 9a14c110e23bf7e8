//! The whole program without a window, operated as by a user: by the names of its controls, by keys and mouse. Most
//! assertions use the numbers of the `--state` report.

mod autosave;
mod case_switching;
mod cases;
mod correction_loop;
mod demo;
mod dicom;
mod edit_clicks;
mod edit_frames;
mod edit_steps;
mod edit_tools;
mod export;
mod findings;
mod finetuning;
mod guards;
mod keys;
mod labels;
mod letters;
mod masking;
mod odd_masks;
mod orientation;
mod pretrained;
mod program;
mod queue;
mod reliability;
mod restart;
mod review;
mod run_comparison;
mod runs;
mod segmentation;
mod snapshots;
mod studies;
mod train_reliability;
mod training;
mod workflow;
