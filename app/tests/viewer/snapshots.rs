//! A few pictures of the window, compared with those that lie beside this folder.
//!
//! They were drawn by an adapter on the processor, whose pixels are the same everywhere; others are not compared with
//! them. `UPDATE_SNAPSHOTS=1` draws them anew.

use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::command::Command;
use amlp_viewer::command::masking::MaskingCommand;
use amlp_viewer::gpu::Gpu;
use amlp_viewer::state::masking::Shown;
use amlp_viewer::theme::Theme;
use egui::{Rect, pos2};
use egui_kittest::SnapshotOptions;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use crate::phantom::{Files, straight};
use crate::window::*;

const SIZE: [f32; 2] = [900.0, 600.0];
/// How far the colour of a pixel may be off (squared distance in YIQ), and how many pixels may be off by more.
const TOLERANCE: (f32, usize) = (2.0, 200);

/// A window that is drawn by an adapter on the processor; `None` without one.
fn window(args: &Args) -> Option<Window> {
    let screen = screen()?;
    if !Gpu::new(&screen).is_software() {
        println!("skipped: the pictures are of an adapter on the processor");
        return None;
    }
    let mut window = start(args, SIZE, Some(screen));
    settle(&mut window);
    Some(window)
}

/// Compares the window with its picture. Adapter and memory, at the left of the line at the bottom, are left out.
fn compare(window: &mut Window, name: &str) {
    send(window, Command::DismissAll);
    // What moves has come to rest.
    window.remove_cursor();
    window.run_steps(60);
    window.mask(Rect::from_min_max(pos2(0.0, SIZE[1] - 24.0), pos2(420.0, SIZE[1])));
    let (threshold, pixels) = TOLERANCE;
    window.snapshot_options(name, &SnapshotOptions::new().threshold(threshold).max_failed_pixels(pixels));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.png"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        pack(&path);
    }
    assert!(std::fs::metadata(&path).is_ok_and(|file| file.len() < 100 << 10), "{} is too large", path.display());
}

/// Writes a picture again, as small as it can be.
fn pack(path: &Path) {
    let picture = image::open(path).unwrap().to_rgb8();
    let encoded = |filter| {
        let mut bytes = Vec::new();
        let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Level(9), filter);
        picture.write_with_encoder(encoder).unwrap();
        bytes
    };
    // Flat panels are smallest as they are, soft images by their differences.
    let all = [FilterType::NoFilter, FilterType::Up, FilterType::Paeth, FilterType::Adaptive].map(encoded);
    std::fs::write(path, all.iter().min_by_key(|bytes| bytes.len()).unwrap()).unwrap();
}

#[test]
fn welcome() {
    let Some(mut window) = window(&Args::default()) else { return };
    compare(&mut window, "welcome");
}

#[test]
fn review_with_a_reference_in_both_themes() {
    let files = Files::on(&straight());
    let Some(mut window) = window(&args(&[&files.scan, &files.prediction, &files.truth])) else { return };
    // Voxels as they are make a smaller file than what is interpolated between them.
    send(&mut window, Command::SetInterpolation(false));
    compare(&mut window, "review");
    send(&mut window, Command::SetTheme(Theme::Light));
    compare(&mut window, "review_light");
}

#[test]
fn a_case_that_cannot_be_opened() {
    // The error names the path: one that is the same everywhere.
    let path = Path::new("missing_scan.nii.gz");
    let Some(mut window) = window(&args(&[path])) else { return };
    compare(&mut window, "failed");
}

#[test]
fn masking() {
    let files = Files::on(&straight());
    let start = Args { mode: amlp_viewer::args::ModeArg::Masking, slice: Some(9), ..args(&[&files.scan]) };
    let start = Args { truth: Some(files.truth.clone()), ..start };
    let Some(mut window) = window(&start) else { return };
    send(&mut window, Command::SetInterpolation(false));
    let mut controls = window.state().state().masking.controls.clone();
    (controls.preprocess.size, controls.grid, controls.cluster.tissue_only) = (64, 16, true);
    send(&mut window, Command::Masking(MaskingCommand::Set(Box::new(controls))));
    let shown = Shown { masked: true, digits: true, ..Shown::default() };
    send(&mut window, Command::Masking(MaskingCommand::Show(shown)));
    compare(&mut window, "masking");
}
