//! Flags for reading masks, shared by every command that reads one.

use crate::volume::MaskOptions;

/// How masks are read.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct MaskFlags {
    /// Largest distance between the corners of a mask and its image [default: 0.001 mm or 1 % of a voxel].
    #[arg(long, value_name = "MM", value_parser = positive)]
    pub grid_tolerance: Option<f64>,
    /// Threshold for masks whose values are not whole numbers: P or more is lesion.
    #[arg(long, value_name = "P", value_parser = positive)]
    pub threshold: Option<f64>,
}

impl MaskFlags {
    /// The flags as options of the mask reader.
    pub fn options(self) -> MaskOptions {
        MaskOptions { grid_tolerance_mm: self.grid_tolerance, threshold: self.threshold, frame: None }
    }

    /// The options for masks of this frame of 4-D images.
    pub fn options_for(self, frame: Option<usize>) -> MaskOptions {
        MaskOptions { frame, ..self.options() }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0).ok_or_else(|| "expected a number above 0".to_owned())
}
