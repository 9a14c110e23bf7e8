//! Winograd's F(2x2, 3x3): four outputs of a 3x3 convolution from sixteen products instead of thirty-six.
//!
//! A tile is 2x2 outputs and the 4x4 inputs that they read. With the matrices of Lavin and Gray (2016),
//!
//! ```text
//! output = A' [ (G weights G') * (B' input B) ] A      * multiplies number by number
//! ```
//!
//! Each of the sixteen places is a matrix product over the channels, which [`Cpu::tile`] computes. The functions here go to the
//! sixteen places and back, for the values, the weights and the gradients of both. They add and halve only, so the result
//! differs from a plain sum by rounding: about 1e-6 of the largest number.

use crate::tile::{Vector, end, fits};
use crate::{Cpu, Kind};

/// Places of a transformed tile.
pub const PLACES: usize = 16;

/// Channels-last numbers that are read or written in tiles: `numbers[row][column][channel]`.
#[derive(Clone, Copy, Debug)]
pub struct Pixels {
    /// Index of the first number.
    pub first: usize,
    /// From one row to the next.
    pub row_stride: usize,
    /// From one column to the next.
    pub column_stride: usize,
    /// Channels, a multiple of [`Cpu::lanes`].
    pub channels: usize,
    /// Tiles along the row.
    pub tiles: usize,
}

impl Pixels {
    /// Panics unless `rows` rows and `columns` columns lie in `length` numbers.
    #[inline]
    fn check(&self, lanes: usize, rows: usize, columns: usize, length: usize) {
        assert!(self.channels.is_multiple_of(lanes), "{} channels in vectors of {lanes}", self.channels);
        let spans = [(rows - 1, self.row_stride), (columns - 1, self.column_stride)];
        assert!(fits(end(self.first, spans, self.channels), length), "a tile lies beyond its pixels");
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.tiles == 0 || self.channels == 0
    }
}

/// Columns of so many tiles and their margins.
#[inline]
fn columns(tiles: usize, margins: usize) -> usize {
    tiles.checked_mul(2).and_then(|columns| columns.checked_add(margins)).expect("a count of tiles that wraps around")
}

/// Sixteen planes of transformed tiles, `numbers[place][tile][channel]`.
#[derive(Clone, Copy, Debug)]
pub struct Planes {
    /// Index of the first number.
    pub first: usize,
    /// From one place to the next.
    pub place_stride: usize,
    /// From one tile to the next.
    pub tile_stride: usize,
}

impl Planes {
    #[inline]
    fn check(&self, tiles: usize, channels: usize, length: usize) {
        let spans = [(PLACES - 1, self.place_stride), (tiles - 1, self.tile_stride)];
        assert!(fits(end(self.first, spans, channels), length), "a tile lies beyond its planes");
    }
}

/// Calls a loop with the vectors of the instructions in use.
macro_rules! by_cpu {
    ($cpu:expr, $function:ident($($argument:expr),*)) => {
        match $cpu.0 {
            // SAFETY: `Cpu::all` saw the instructions on this processor; the indices are checked above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { wide::$function($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { narrow::$function($($argument),*) },
            // SAFETY: the indices are checked above.
            Kind::Portable => unsafe { $function::<crate::portable::Eight>($($argument),*) },
        }
    };
}

impl Cpu {
    /// `B' d B` of the 4x4 inputs `d` of every tile of a row: of tile `t`, columns `2 t` to `2 t + 3` of four rows.
    ///
    /// # Panics
    /// If an index lies outside its slice, or the channels fill no whole vectors.
    pub fn spread_input(self, from: Pixels, values: &[f32], to: Planes, planes: &mut [f32]) {
        if from.is_empty() {
            return;
        }
        from.check(self.lanes(), 4, columns(from.tiles, 2), values.len());
        to.check(from.tiles, from.channels, planes.len());
        by_cpu!(self, input(from, values.as_ptr(), to, planes.as_mut_ptr()));
    }

    /// `A' m A + bias`, the 2x2 outputs of every tile of a row, from the sixteen sums `m`. `bias` holds a number a channel.
    ///
    /// # Panics
    /// As [`Self::spread_input`].
    pub fn gather_output(self, from: Planes, planes: &[f32], bias: Option<&[f32]>, to: Pixels, values: &mut [f32]) {
        if to.is_empty() {
            return;
        }
        from.check(to.tiles, to.channels, planes.len());
        to.check(self.lanes(), 2, columns(to.tiles, 0), values.len());
        assert!(bias.is_none_or(|bias| bias.len() >= to.channels), "a bias of fewer numbers than channels");
        let bias = bias.map(<[f32]>::as_ptr);
        by_cpu!(self, output(from, planes.as_ptr(), bias, to, values.as_mut_ptr()));
    }

    /// `A d A'` of the gradients `d` of the 2x2 outputs of every tile of a row: those of the sixteen sums.
    ///
    /// # Panics
    /// As [`Self::spread_input`].
    pub fn spread_gradient(self, from: Pixels, values: &[f32], to: Planes, planes: &mut [f32]) {
        if from.is_empty() {
            return;
        }
        from.check(self.lanes(), 2, columns(from.tiles, 0), values.len());
        to.check(from.tiles, from.channels, planes.len());
        by_cpu!(self, gradient(from, values.as_ptr(), to, planes.as_mut_ptr()));
    }

    /// `G g G'` of 3x3 weights `[3, 3, count]`, to `[16, count]`.
    ///
    /// # Panics
    /// If a slice is too short, or `count` numbers fill no whole vectors.
    pub fn spread_weights(self, values: &[f32], count: usize, to: &mut [f32]) {
        assert!(count.is_multiple_of(self.lanes()), "{count} weights in vectors of {}", self.lanes());
        assert!(fits(count.checked_mul(9), values.len()), "fewer weights than 9 x {count}");
        assert!(fits(count.checked_mul(PLACES), to.len()), "less room than 16 x {count}");
        by_cpu!(self, weights(values.as_ptr(), count, to.as_mut_ptr()));
    }

    /// `G' u G` of `[16, count]` gradients of transformed weights: those of the weights, `[3, 3, count]`.
    ///
    /// # Panics
    /// As [`Self::spread_weights`].
    pub fn gather_weights(self, places: &[f32], count: usize, to: &mut [f32]) {
        assert!(count.is_multiple_of(self.lanes()), "{count} weights in vectors of {}", self.lanes());
        assert!(fits(count.checked_mul(PLACES), places.len()), "fewer gradients than 16 x {count}");
        assert!(fits(count.checked_mul(9), to.len()), "less room than 9 x {count}");
        by_cpu!(self, weight_gradient(places.as_ptr(), count, to.as_mut_ptr()));
    }
}

// SAFETY of the loops below: the pixels and planes are checked for the vector in use, and the processor has its instructions.

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
unsafe fn input<V: Vector>(from: Pixels, values: *const f32, to: Planes, planes: *mut f32) {
    unsafe {
        for channel in (0..from.channels).step_by(V::LANES) {
            let values = values.add(from.first + channel);
            let planes = planes.add(to.first + channel);
            // Down a column of four numbers. Two columns are shared with the tile before.
            let down = |x: usize| -> [V; 4] {
                let d: [V; 4] =
                    std::array::from_fn(|y| V::load(values.add(y * from.row_stride + x * from.column_stride)));
                [d[0].minus(d[2]), d[1].plus(d[2]), d[2].minus(d[1]), d[1].minus(d[3])]
            };
            let (mut a, mut b) = (down(0), down(1));
            for tile in 0..from.tiles {
                let (c, d) = (down(2 * tile + 2), down(2 * tile + 3));
                let planes = planes.add(tile * to.tile_stride);
                for y in 0..4 {
                    let place = |x: usize| planes.add((4 * y + x) * to.place_stride);
                    a[y].minus(c[y]).store(place(0));
                    b[y].plus(c[y]).store(place(1));
                    c[y].minus(b[y]).store(place(2));
                    b[y].minus(d[y]).store(place(3));
                }
                (a, b) = (c, d);
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
unsafe fn output<V: Vector>(from: Planes, planes: *const f32, bias: Option<*const f32>, to: Pixels, values: *mut f32) {
    unsafe {
        for channel in (0..to.channels).step_by(V::LANES) {
            let bias = bias.map_or_else(|| V::zero(), |bias| V::load(bias.add(channel)));
            for tile in 0..to.tiles {
                let planes = planes.add(from.first + tile * from.tile_stride + channel);
                let down: [[V; 2]; 4] = std::array::from_fn(|x| {
                    let m: [V; 4] = std::array::from_fn(|y| V::load(planes.add((4 * y + x) * from.place_stride)));
                    [m[0].plus(m[1]).plus(m[2]), m[1].minus(m[2]).minus(m[3])]
                });
                for y in 0..2 {
                    let m = [down[0][y], down[1][y], down[2][y], down[3][y]];
                    let at = to.first + y * to.row_stride + 2 * tile * to.column_stride + channel;
                    m[0].plus(m[1]).plus(m[2]).plus(bias).store(values.add(at));
                    m[1].minus(m[2]).minus(m[3]).plus(bias).store(values.add(at + to.column_stride));
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
unsafe fn gradient<V: Vector>(from: Pixels, values: *const f32, to: Planes, planes: *mut f32) {
    unsafe {
        for channel in (0..from.channels).step_by(V::LANES) {
            for tile in 0..from.tiles {
                let down: [[V; 4]; 2] = std::array::from_fn(|x| {
                    let at = from.first + (2 * tile + x) * from.column_stride + channel;
                    let d = [V::load(values.add(at)), V::load(values.add(at + from.row_stride))];
                    [d[0], d[0].plus(d[1]), d[0].minus(d[1]), V::zero().minus(d[1])]
                });
                let planes = planes.add(to.first + tile * to.tile_stride + channel);
                for y in 0..4 {
                    let d = [down[0][y], down[1][y]];
                    let place = |x: usize| planes.add((4 * y + x) * to.place_stride);
                    d[0].store(place(0));
                    d[0].plus(d[1]).store(place(1));
                    d[0].minus(d[1]).store(place(2));
                    V::zero().minus(d[1]).store(place(3));
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
unsafe fn weights<V: Vector>(weights: *const f32, count: usize, to: *mut f32) {
    unsafe {
        let half = V::splat(&0.5);
        let along = |g: [V; 3]| -> [V; 4] {
            let (sum, middle) = (g[0].plus(g[2]).times(half), g[1].times(half));
            [g[0], sum.plus(middle), sum.minus(middle), g[2]]
        };
        for at in (0..count).step_by(V::LANES) {
            let down: [[V; 4]; 3] =
                std::array::from_fn(|x| along(std::array::from_fn(|y| V::load(weights.add((3 * y + x) * count + at)))));
            for y in 0..4 {
                let row = along([down[0][y], down[1][y], down[2][y]]);
                for (x, value) in row.into_iter().enumerate() {
                    value.store(to.add((4 * y + x) * count + at));
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
unsafe fn weight_gradient<V: Vector>(places: *const f32, count: usize, to: *mut f32) {
    unsafe {
        let half = V::splat(&0.5);
        let along = |u: [V; 4]| -> [V; 3] {
            let (sum, difference) = (u[1].plus(u[2]).times(half), u[1].minus(u[2]).times(half));
            [u[0].plus(sum), difference, sum.plus(u[3])]
        };
        for at in (0..count).step_by(V::LANES) {
            let down: [[V; 3]; 4] =
                std::array::from_fn(|x| along(std::array::from_fn(|y| V::load(places.add((4 * y + x) * count + at)))));
            for y in 0..3 {
                let row = along([down[0][y], down[1][y], down[2][y], down[3][y]]);
                for (x, value) in row.into_iter().enumerate() {
                    value.store(to.add((3 * y + x) * count + at));
                }
            }
        }
    }
}

/// The loops, compiled for a set of instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled {
    ($module:ident, $vector:ty, $features:literal) => {
        mod $module {
            use super::{Pixels, Planes};
            #[target_feature(enable = $features)]
            pub unsafe fn input(from: Pixels, values: *const f32, to: Planes, planes: *mut f32) {
                unsafe { super::input::<$vector>(from, values, to, planes) }
            }
            #[target_feature(enable = $features)]
            pub unsafe fn output(
                from: Planes,
                planes: *const f32,
                bias: Option<*const f32>,
                to: Pixels,
                out: *mut f32,
            ) {
                unsafe { super::output::<$vector>(from, planes, bias, to, out) }
            }
            #[target_feature(enable = $features)]
            pub unsafe fn gradient(from: Pixels, values: *const f32, to: Planes, planes: *mut f32) {
                unsafe { super::gradient::<$vector>(from, values, to, planes) }
            }
            #[target_feature(enable = $features)]
            pub unsafe fn weights(weights: *const f32, count: usize, to: *mut f32) {
                unsafe { super::weights::<$vector>(weights, count, to) }
            }
            #[target_feature(enable = $features)]
            pub unsafe fn weight_gradient(places: *const f32, count: usize, to: *mut f32) {
                unsafe { super::weight_gradient::<$vector>(places, count, to) }
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
compiled!(wide, std::arch::x86_64::__m512, "avx512f,avx512vl,avx2,fma");
#[cfg(target_arch = "x86_64")]
compiled!(narrow, std::arch::x86_64::__m256, "avx2,fma");
