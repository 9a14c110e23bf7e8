//! Pictures of a window, compared with stored ones.
//!
//! They are drawn by a software adapter, whose pixels are the same on every machine. Other adapters are not compared.
//! `UPDATE_SNAPSHOTS=1` redraws them.

use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::command::{Command, WindowCommand};
use amlp_viewer::gpu::Gpu;
use egui::{Rect, pos2};
use egui_kittest::SnapshotOptions;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use crate::window::*;

/// Tolerance of a pixel's colour: squared distance in YIQ.
const THRESHOLD: f32 = 2.0;

/// Size and tolerance of a group of pictures.
pub struct Pictures {
    /// Size of the window.
    pub size: [f32; 2],
    /// Maximum number of pixels beyond the tolerance.
    pub off: usize,
    /// Maximum size of a picture in bytes.
    pub most: u64,
}

impl Pictures {
    /// A window drawn by a software adapter; `None` without one.
    pub fn window(&self, args: &Args) -> Option<Window> {
        let screen = screen()?;
        if !Gpu::new(&screen).is_software() {
            println!("skipped: the pictures are of an adapter on the processor");
            return None;
        }
        // An empty workspace, since the welcome screen lists the user's runs.
        let nowhere = || Some(std::env::temp_dir().join("amlp-no-runs"));
        let args = Args { workspace: args.workspace.clone().or_else(nowhere), ..args.clone() };
        let mut window = start(&args, self.size, Some(screen));
        settle(&mut window);
        Some(window)
    }

    /// Compares the window with its picture. Adapter and memory, at the left of the line at the bottom, are left out.
    pub fn compare(&self, window: &mut Window, name: &str) {
        send(window, Command::Window(WindowCommand::DismissAll));
        // Let animations finish.
        window.remove_cursor();
        window.run_steps(60);
        window.mask(Rect::from_min_max(pos2(0.0, self.size[1] - 24.0), pos2(420.0, self.size[1])));
        window.snapshot_options(name, &SnapshotOptions::new().threshold(THRESHOLD).max_failed_pixels(self.off));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.png"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            pack(&path);
        }
        let size = std::fs::metadata(&path).map_or(0, |file| file.len());
        assert!(size < self.most, "{} is too large", path.display());
    }
}

/// Rewrites a picture as small as possible.
fn pack(path: &Path) {
    // A redrawn one may be written only after its window has closed.
    let Ok(picture) = image::open(path) else { return };
    let picture = picture.to_rgb8();
    let encoded = |filter| {
        let mut bytes = Vec::new();
        let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Level(9), filter);
        picture.write_with_encoder(encoder).unwrap();
        bytes
    };
    // Flat panels compress best unfiltered, soft images by differences.
    let all = [FilterType::NoFilter, FilterType::Up, FilterType::Paeth, FilterType::Adaptive].map(encoded);
    std::fs::write(path, all.iter().min_by_key(|bytes| bytes.len()).unwrap()).unwrap();
}
