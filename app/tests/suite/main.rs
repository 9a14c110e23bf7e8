//! The app's integration tests: one program, so that the dependencies are linked once.
//!
//! Only a test that needs a process of its own, such as one that counts memory, is a program beside this one.
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
