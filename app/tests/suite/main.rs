//! The app's integration tests: one program, so that the dependencies are linked once.
//!
//! Tests that need a separate process, such as memory counts, are separate programs.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; a skipped one says why")]

mod common;
mod dicom_study;
#[cfg(target_os = "linux")]
mod display;
mod gpu_twin;
mod panels;
mod phantom;
mod picture;
mod screens;
#[path = "../../../engine/tests/suite/common.rs"]
#[allow(dead_code, reason = "the engine's tests use all of it")]
mod small_cohort;
mod timeline;
mod viewer;
mod views;
mod widgets;
mod window;
