//! The desktop program of AMLP: reviews lesion segmentations, and sets up and shows training runs.
//!
//! # Code map
//! A module imports only the modules below it.
//!
//! | module | contents |
//! |---|---|
//! | [`args`], [`launch`] | command line; opens a window, or writes a screenshot without one |
//! | [`app`] | one frame: job results, keys and commands, then drawing |
//! | [`panel`], [`dialog`] | lists, controls and dialogs, which read the state and send commands |
//! | [`view`] | panes: slices, overlays, pointer tools |
//! | [`command`] | all user actions; the only place that changes the state on request |
//! | [`worker`] | background jobs: what they compute, and how their results change the state |
//! | [`state`] | everything the window shows, as plain data |
//! | [`scene`] | display geometry: planes, cameras, window/level, colour maps |
//! | [`gpu`] | volumes on the graphics card, sliced by shaders |
//! | [`theme`], [`widget`] | colours, fonts, icons, and the widgets that panels are built from |
//!
//! # Invariants
//! - Panels and views get `&State` and a [`command::Sender`]. Nothing is computed while drawing.
//! - The main thread never blocks: reading, writing and computing are jobs.
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
