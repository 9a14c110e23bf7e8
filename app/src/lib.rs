//! The desktop program of AMLP: review lesion segmentations, and watch a network train.
//!
//! # Code map
//! From top to bottom; a room imports only rooms below it.
//!
//! | room | contents |
//! |---|---|
//! | [`args`], [`launch`] | command line; opens a window, or writes a picture without one |
//! | [`app`] | one frame: results of jobs, keys and commands, then drawing |
//! | [`panel`], [`dialog`] | lists, controls and dialogs: they read the state and send commands |
//! | [`view`] | panes: slices, overlays, pointer tools |
//! | [`command`] | everything the user can do; the only place that changes the state on request |
//! | [`worker`] | background jobs: what they compute, and how results change the state |
//! | [`state`] | everything the window shows, as plain data |
//! | [`scene`] | display geometry: planes, cameras, window/level, colour maps |
//! | [`gpu`] | volumes on the graphics card, sliced by the shaders |
//! | [`theme`], [`widget`] | colours, type, icons; the widgets all panels are built from |
//!
//! # Invariants
//! - Panels and views get `&State` and a [`command::Sender`]. Nothing is computed while drawing.
//! - The window's thread never waits: whatever reads, writes or computes is a job.
//! - A result for a case that is no longer open is dropped.

pub mod app;
pub mod args;
pub mod command;
pub mod demo;
pub mod dialog;
pub mod gpu;
pub mod launch;
pub mod panel;
pub mod sample;
pub mod scene;
pub mod state;
pub mod theme;
pub mod view;
pub mod widget;
pub mod worker;

pub use app::App;
pub use args::Args;
