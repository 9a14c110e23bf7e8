//! Sizes of images, and memory that threads keep.

use std::cell::RefCell;

/// Number of images, and their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// Pixels of all images.
    pub fn pixels(self) -> usize {
        self.batch * self.area()
    }
}

/// Numbers that a thread keeps at hand of an image: about a sixth of a second-level cache.
pub(super) const AT_HAND: usize = 40 << 10;

thread_local! {
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Two buffers of this thread. `work` starts no other work that asks for them.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut Vec<f32>, &mut Vec<f32>) -> T) -> T {
    SCRATCH.with_borrow_mut(|(a, b)| work(a, b))
}
