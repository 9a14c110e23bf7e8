//! The whole program without a window, worked with as a user does: by the names of its controls, by keys and mouse.
//! What is asserted is what it shows in numbers, the report of `--state`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; says when something had to be skipped")]

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod demo;
mod finetuning;
mod keys;
mod masking;
mod orientation;
mod phantom;
#[path = "../common/picture.rs"]
mod picture;
mod pretrained;
mod program;
mod reliability;
mod restart;
mod review;
mod runs;
mod segmentation;
mod snapshots;
mod train_reliability;
mod training;
mod window;
mod workflow;
