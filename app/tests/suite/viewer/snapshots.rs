//! Pictures of the whole window.

use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::command::{Command, MaskingCommand, ViewCommand, WindowCommand};
use amlp_viewer::state::masking::DisplayOptions;
use amlp_viewer::theme::Theme;

use crate::phantom::{Files, straight};
use crate::picture::Pictures;
use crate::window::*;

const PICTURES: Pictures = Pictures { size: [900.0, 600.0], off: 200, most: 100 << 10 };

#[test]
fn the_welcome_screen_matches_its_picture() {
    let Some(mut window) = PICTURES.window(&Args::default()) else { return };
    PICTURES.compare(&mut window, "welcome");
}

#[test]
fn review_with_a_reference_matches_its_pictures() {
    let files = Files::on(&straight());
    let Some(mut window) = PICTURES.window(&args(&[&files.scan, &files.prediction, &files.truth])) else { return };
    // Nearest-neighbour voxels compress better than interpolated ones.
    send(&mut window, ViewCommand::SetInterpolation(false));
    PICTURES.compare(&mut window, "review");
    send(&mut window, WindowCommand::SetTheme(Theme::Light));
    PICTURES.compare(&mut window, "review_light");
}

#[test]
fn a_failed_opening_matches_its_picture() {
    // The error names the path: one that is the same everywhere.
    let path = Path::new("missing_scan.nii.gz");
    let Some(mut window) = PICTURES.window(&args(&[path])) else { return };
    PICTURES.compare(&mut window, "failed");
}

#[test]
fn masking_matches_its_picture() {
    let files = Files::on(&straight());
    let start = Args { mode: amlp_viewer::args::ModeArg::Masking, slice: Some(9), ..args(&[&files.scan]) };
    let start = Args { truth: Some(files.truth.clone()), ..start };
    let Some(mut window) = PICTURES.window(&start) else { return };
    send(&mut window, ViewCommand::SetInterpolation(false));
    let mut controls = window.state().state().session.masking.controls.clone();
    (controls.preprocess.size, controls.grid, controls.cluster.tissue_only) = (64, 8, true);
    send(&mut window, Command::Masking(MaskingCommand::Set(Box::new(controls))));
    let shown = DisplayOptions { masked: true, digits: true, ..DisplayOptions::default() };
    send(&mut window, Command::Masking(MaskingCommand::Show(shown)));
    PICTURES.compare(&mut window, "masking");
}
