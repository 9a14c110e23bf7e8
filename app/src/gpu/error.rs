//! Errors of the graphics device.

/// Why a volume cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// No adapter or no device.
    #[error("no graphics adapter: {0}")]
    NoAdapter(String),
    /// Missing frame.
    #[error("frame {frame} does not exist: frames count from 0, and the volume has {frames}")]
    NoFrame {
        /// Requested frame, 0-based.
        frame: usize,
        /// Number of frames.
        frames: usize,
    },
    /// Empty grid, or too many voxels along an axis.
    #[error("a grid of {0:?} voxels cannot be drawn")]
    Shape([usize; 3]),
    /// Out of GPU memory.
    #[error("not enough graphics memory for a volume of {mib} MiB: {why}")]
    Memory {
        /// Size of the texture.
        mib: u64,
        /// Message of the driver.
        why: String,
    },
    /// Labels whose shape differs from that of their texture or image.
    #[error("labels of {labels:?} voxels do not fit {what} of {expected:?} voxels")]
    Misfit {
        /// Their target.
        what: &'static str,
        /// Voxels along each axis of the labels.
        labels: [usize; 3],
        /// Voxels along each axis of the target.
        expected: [usize; 3],
    },
    /// Labels above 255 in an 8-bit texture.
    #[error("labels above 255 do not fit a texture that was made for labels up to 255")]
    Wide,
    /// Device error or lost device.
    #[error("graphics: {0}")]
    Device(String),
}

/// The message without line breaks.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs `f` and returns device errors, which would otherwise panic.
pub(super) fn caught<T>(device: &wgpu::Device, bytes: u64, work: impl FnOnce() -> T) -> Result<T, GpuError> {
    use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
    let scopes = [Internal, Validation, OutOfMemory].map(|filter| device.push_error_scope(filter));
    let result = work();
    let mut first = None;
    // Scopes close in reverse order.
    for scope in scopes.into_iter().rev() {
        let error = super::future::block_on(scope.pop());
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
