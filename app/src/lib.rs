//! The desktop viewer of AMLP: review of lesion segmentations, and training as it happens.
//!
//! # Code map
//! | room | idea |
//! |---|---|
//! | [`args`], [`launch`] | the command line; a window, a picture without one, or the terminal |
//! | [`app`] | one frame: what jobs brought, what keys and panels want, then drawing |
//! | [`state`] | everything that is shown, as plain data |
//! | [`command`] | everything the user can do; the one place that changes the state |
//! | [`worker`] | jobs on named threads behind promises |
//! | [`view`] | panes: slices, overlays, pointer tools |
//! | [`scene`] | display geometry: planes, cameras, window/level, colour maps |
//! | [`panel`], [`dialog`] | lists, controls, windows on top: they read the state and send commands |
//! | [`gpu`] | volumes on the graphics card, sliced by the shaders |
//! | [`theme`], [`widget`] | colours, type, icons, and the few building blocks of all panels |
//!
//! # Invariants
//! - Panels and views get `&State` and a [`command::Sender`]; [`command::dispatch()`] and [`worker::apply`] alone change
//!   the state; nothing is drawn there and nothing is computed while drawing.
//! - The thread of the window never waits: everything that reads, writes or computes is a job.
//! - Results for a case that is no longer open are dropped.

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
