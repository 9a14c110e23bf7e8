//! Plain arrays, which the compiler turns into instructions that every processor of the target has.

use crate::tile::{Shape, Tile, Vector, by_shape};

#[derive(Clone, Copy)]
pub(crate) struct Eight([f32; 8]);

// SAFETY of all below: as the trait requires.
impl Vector for Eight {
    const LANES: usize = 8;
    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 8])
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        Self([unsafe { *from }; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }
    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }
}

/// # Safety
/// [`Tile::check`] has passed.
pub(crate) unsafe fn run(t: &Tile<'_>, out: &mut [f32], out_stride: usize) {
    unsafe { by_shape!(Eight, t, out, out_stride, [1 2 3 4], [1 2]) }
}
