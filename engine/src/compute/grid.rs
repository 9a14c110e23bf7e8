//! Image sizes and thread-local scratch buffers.

use std::cell::RefCell;

/// Size of a batch of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grid {
    /// Images.
    pub batch: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Grid {
    /// Pixels of one image.
    pub fn area(self) -> usize {
        self.height * self.width
    }

    /// After a 2x2 pooling.
    pub fn half(self) -> Self {
        Self { height: self.height / 2, width: self.width / 2, ..self }
    }

    /// Pixels of all images.
    pub fn pixels(self) -> usize {
        self.batch * self.area()
    }
}

/// Floats of an image that a thread processes at a time, about a sixth of an L2 cache.
pub(super) const CACHED_FLOATS: usize = 40 << 10;

thread_local! {
    static SCRATCH: RefCell<(Vec<f32>, [Vec<f32>; 2])> = const { RefCell::new((Vec::new(), [Vec::new(), Vec::new()])) };
}

/// Passes thread-local buffers to `work`, which must not call this function again.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut Vec<f32>, &mut [Vec<f32>; 2]) -> T) -> T {
    SCRATCH.with_borrow_mut(|(input, others)| work(input, others))
}

/// The first `length` numbers of a buffer, which grows if it is shorter. Its contents are not cleared.
pub(super) fn scratch_slice(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    &mut buffer[..length]
}
