//! What a graphics card can refuse.

/// Why a volume cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// There is no adapter, or it gives no device.
    #[error("no graphics adapter: {0}")]
    NoAdapter(String),
    /// The volume holds no such frame.
    #[error("frame {frame} of {frames} cannot be drawn: there is no such frame (counted from 0)")]
    NoFrame {
        /// The frame asked for, 0-based.
        frame: usize,
        /// How many are held.
        frames: usize,
    },
    /// The grid has no voxel, or more along an axis than can be counted.
    #[error("a grid of {0:?} voxels cannot be drawn")]
    Shape([usize; 3]),
    /// The card's memory does not suffice.
    #[error("not enough graphics memory for a volume of {mib} MiB: {why}")]
    Memory {
        /// Size of the texture.
        mib: u64,
        /// The driver's words.
        why: String,
    },
    /// Labels that do not fit their texture or their image.
    #[error("labels of {labels:?} voxels do not fit {what} of {expected:?} voxels")]
    Misfit {
        /// What they were meant for.
        what: &'static str,
        /// Voxels along each axis of the labels.
        labels: [usize; 3],
        /// Voxels along each axis of what they were meant for.
        expected: [usize; 3],
    },
    /// Labels above 255 for a texture of labels up to 255.
    #[error("labels above 255 do not fit a texture that was made for labels up to 255")]
    Wide,
    /// The device refused or was lost.
    #[error("graphics: {0}")]
    Device(String),
}

/// The driver's words without line breaks.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Catches what the device refuses while something is done on this thread, instead of ending the program.
pub(super) fn caught<T>(device: &wgpu::Device, bytes: u64, work: impl FnOnce() -> T) -> Result<T, GpuError> {
    use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
    let scopes = [Internal, Validation, OutOfMemory].map(|filter| device.push_error_scope(filter));
    let result = work();
    let mut first = None;
    // Scopes end in the reverse order of their beginning.
    for scope in scopes.into_iter().rev() {
        let error = super::offscreen::block_on(scope.pop());
        first = first.or(error);
    }
    match first {
        None => Ok(result),
        Some(wgpu::Error::OutOfMemory { source }) => {
            Err(GpuError::Memory { mib: bytes.div_ceil(1 << 20), why: one_line(&source.to_string()) })
        }
        Some(error) => Err(GpuError::Device(one_line(&error.to_string()))),
    }
}
