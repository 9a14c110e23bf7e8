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

/// Number of columns of `tiles` tiles and their margins.
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

    /// `A' m A + bias`, the 2x2 outputs of every tile of a row, from the sixteen sums `m`. `bias` holds one number per channel.
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

    /// `G g G'` of 3x3 weights `[3, 3, count]`, to sixteen times `count`, `place_stride` numbers apart.
    ///
    /// # Panics
    /// If a slice is too short, or `count` numbers fill no whole vectors.
    pub fn spread_weights(self, values: &[f32], count: usize, to: &mut [f32], place_stride: usize) {
        assert!(count.is_multiple_of(self.lanes()), "{count} weights in vectors of {}", self.lanes());
        assert!(fits(count.checked_mul(9), values.len()), "fewer weights than 9 x {count}");
        assert!(fits(end(0, [(PLACES - 1, place_stride), (0, 0)], count), to.len()), "less room than 16 x {count}");
        by_cpu!(self, weights(values.as_ptr(), count, to.as_mut_ptr(), place_stride));
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

// No closures: they would be compiled without the vector's instructions, and call each of them.

/// Down one column of a 4x4 input.
#[inline(always)]
unsafe fn down_input<V: Vector>(values: *const f32, row_stride: usize) -> [V; 4] {
    unsafe {
        let d = [
            V::load(values),
            V::load(values.add(row_stride)),
            V::load(values.add(2 * row_stride)),
            V::load(values.add(3 * row_stride)),
        ];
        [d[0].minus(d[2]), d[1].plus(d[2]), d[2].minus(d[1]), d[1].minus(d[3])]
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
unsafe fn input<V: Vector>(from: Pixels, values: *const f32, to: Planes, planes: *mut f32) {
    unsafe {
        // Channels innermost: sixteen streams are written in order, while a vector at a time would touch every line of the
        // planes as often as it holds vectors. The two columns shared with the tile before are computed again.
        for tile in 0..from.tiles {
            let values = values.add(from.first + 2 * tile * from.column_stride);
            let planes = planes.add(to.first + tile * to.tile_stride);
            for channel in (0..from.channels).step_by(V::LANES) {
                let values = values.add(channel);
                let a = down_input::<V>(values, from.row_stride);
                let b = down_input::<V>(values.add(from.column_stride), from.row_stride);
                let c = down_input::<V>(values.add(2 * from.column_stride), from.row_stride);
                let d = down_input::<V>(values.add(3 * from.column_stride), from.row_stride);
                for y in 0..4 {
                    let place = planes.add(channel + 4 * y * to.place_stride);
                    a[y].minus(c[y]).store(place);
                    b[y].plus(c[y]).store(place.add(to.place_stride));
                    c[y].minus(b[y]).store(place.add(2 * to.place_stride));
                    b[y].minus(d[y]).store(place.add(3 * to.place_stride));
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
unsafe fn output<V: Vector>(from: Planes, planes: *const f32, bias: Option<*const f32>, to: Pixels, values: *mut f32) {
    unsafe {
        for tile in 0..to.tiles {
            let planes = planes.add(from.first + tile * from.tile_stride);
            let values = values.add(to.first + 2 * tile * to.column_stride);
            for channel in (0..to.channels).step_by(V::LANES) {
                let mut start = V::zero();
                if let Some(bias) = bias {
                    start = V::load(bias.add(channel));
                }
                let mut down = [[V::zero(); 2]; 4];
                for x in 0..4 {
                    let mut m = [V::zero(); 4];
                    for y in 0..4 {
                        m[y] = V::load(planes.add(channel + (4 * y + x) * from.place_stride));
                    }
                    down[x] = [m[0].plus(m[1]).plus(m[2]), m[1].minus(m[2]).minus(m[3])];
                }
                for y in 0..2 {
                    let m = [down[0][y], down[1][y], down[2][y], down[3][y]];
                    let to_row = values.add(y * to.row_stride + channel);
                    m[0].plus(m[1]).plus(m[2]).plus(start).store(to_row);
                    m[1].minus(m[2]).minus(m[3]).plus(start).store(to_row.add(to.column_stride));
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
unsafe fn gradient<V: Vector>(from: Pixels, values: *const f32, to: Planes, planes: *mut f32) {
    unsafe {
        for tile in 0..from.tiles {
            let values = values.add(from.first + 2 * tile * from.column_stride);
            let planes = planes.add(to.first + tile * to.tile_stride);
            for channel in (0..from.channels).step_by(V::LANES) {
                let mut down = [[V::zero(); 4]; 2];
                for x in 0..2 {
                    let at = x * from.column_stride + channel;
                    let d = [V::load(values.add(at)), V::load(values.add(at + from.row_stride))];
                    down[x] = [d[0], d[0].plus(d[1]), d[0].minus(d[1]), V::zero().minus(d[1])];
                }
                for y in 0..4 {
                    let d = [down[0][y], down[1][y]];
                    let place = planes.add(channel + 4 * y * to.place_stride);
                    d[0].store(place);
                    d[0].plus(d[1]).store(place.add(to.place_stride));
                    d[0].minus(d[1]).store(place.add(2 * to.place_stride));
                    V::zero().minus(d[1]).store(place.add(3 * to.place_stride));
                }
            }
        }
    }
}

/// `G` along three weights.
#[inline(always)]
unsafe fn along_weights<V: Vector>(g: [V; 3], half: V) -> [V; 4] {
    unsafe {
        let (sum, middle) = (g[0].plus(g[2]).times(half), g[1].times(half));
        [g[0], sum.plus(middle), sum.minus(middle), g[2]]
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
unsafe fn weights<V: Vector>(weights: *const f32, count: usize, to: *mut f32, place_stride: usize) {
    unsafe {
        let half = V::splat(&0.5);
        for at in (0..count).step_by(V::LANES) {
            let mut down = [[V::zero(); 4]; 3];
            for x in 0..3 {
                let mut g = [V::zero(); 3];
                for y in 0..3 {
                    g[y] = V::load(weights.add((3 * y + x) * count + at));
                }
                down[x] = along_weights(g, half);
            }
            for y in 0..4 {
                let row = along_weights([down[0][y], down[1][y], down[2][y]], half);
                for x in 0..4 {
                    row[x].store(to.add((4 * y + x) * place_stride + at));
                }
            }
        }
    }
}

/// `G'` along four gradients.
#[inline(always)]
unsafe fn along_gradient<V: Vector>(u: [V; 4], half: V) -> [V; 3] {
    unsafe {
        let (sum, difference) = (u[1].plus(u[2]).times(half), u[1].minus(u[2]).times(half));
        [u[0].plus(sum), difference, sum.plus(u[3])]
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
unsafe fn weight_gradient<V: Vector>(places: *const f32, count: usize, to: *mut f32) {
    unsafe {
        let half = V::splat(&0.5);
        for at in (0..count).step_by(V::LANES) {
            let mut down = [[V::zero(); 3]; 4];
            for x in 0..4 {
                let mut u = [V::zero(); 4];
                for y in 0..4 {
                    u[y] = V::load(places.add((4 * y + x) * count + at));
                }
                down[x] = along_gradient(u, half);
            }
            for y in 0..3 {
                let row = along_gradient([down[0][y], down[1][y], down[2][y], down[3][y]], half);
                for x in 0..3 {
                    row[x].store(to.add((3 * y + x) * count + at));
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
            pub unsafe fn weights(weights: *const f32, count: usize, to: *mut f32, place_stride: usize) {
                unsafe { super::weights::<$vector>(weights, count, to, place_stride) }
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
