//! The whole program without a window, worked with as a user does: by the names of its controls, by keys and mouse.
//! What is asserted is what it shows in numbers, the report of `--state`.

mod autosave;
mod cases;
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
mod rounds;
mod runs;
mod segmentation;
mod snapshots;
mod studies;
mod train_reliability;
mod training;
mod way_back;
mod workflow;
