//! What a tile is, and the loop that computes it with any vector.

/// The left factor, `a[m, k]`.
#[derive(Clone, Copy, Debug)]
pub struct Left<'a> {
    /// The numbers.
    pub values: &'a [f32],
    /// From one row `m` to the next.
    pub row_stride: usize,
    /// From one step `k` to the next.
    pub step_stride: usize,
}

/// The right factor, `b[k, n]`; the numbers of one step lie side by side.
#[derive(Clone, Copy, Debug)]
pub struct Right<'a> {
    /// The numbers.
    pub values: &'a [f32],
    /// From one step `k` to the next.
    pub step_stride: usize,
}

/// A stretch of the sum: `length` steps from these places of the factors.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Index of the first step's first row in the left factor.
    pub left: usize,
    /// Index of the first step in the right factor.
    pub right: usize,
    /// Number of steps.
    pub length: usize,
}

/// The size of a tile.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Height: one that [`crate::Cpu::height`] gives.
    pub rows: usize,
    /// Width in vectors: 1 or 2.
    pub vectors: usize,
    /// Width that is written.
    pub columns: usize,
}

/// What the sums start from.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// Zero.
    Zero,
    /// One number per column, at least [`Shape::columns`] of them.
    Row(&'a [f32]),
    /// The numbers in the output.
    Output,
}

/// `out[m, n] = start + sum over segments and k of a[m, k] b[k, n]`, or with [`Tile::windows`]
/// `start + sum over segments, taps t and k of a[m + t, k] b[t, k, n]`.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    pub(crate) shape: Shape,
    pub(crate) left: Left<'a>,
    pub(crate) right: Right<'a>,
    pub(crate) segments: &'a [Segment],
    pub(crate) start: Start<'a>,
    /// In the right factor, from one tap to the next.
    pub(crate) tap_stride: Option<usize>,
}

impl<'a> Tile<'a> {
    /// A tile of this product. [`crate::Cpu::tile`] checks it against the output and the vectors in use.
    #[inline]
    pub fn new(shape: Shape, left: Left<'a>, right: Right<'a>, segments: &'a [Segment], start: Start<'a>) -> Self {
        Self { shape, left, right, segments, start, tap_stride: None }
    }

    /// The same of windows of three rows: row `m` of the output sums the rows `m` to `m + 2` of the left factor, each times a
    /// right factor of its own, `tap_stride` numbers apart. A number of the left factor is loaded once for three products.
    #[inline]
    #[must_use]
    pub fn windows(self, tap_stride: usize) -> Self {
        Self { tap_stride: Some(tap_stride), ..self }
    }

    /// Panics unless every index that the loops will use lies in its slice.
    #[inline]
    pub(crate) fn check(&self, lanes: usize, out: usize, out_stride: usize) {
        let Shape { rows, vectors, columns } = self.shape;
        assert!(rows >= 1 && (1..=2).contains(&vectors), "no tile of {rows} rows and {vectors} vectors");
        let width = lanes * vectors;
        assert!(columns <= width, "a tile of {columns} columns in vectors of {width}");
        let (taps, tap_stride) = self.tap_stride.map_or((1, 0), |stride| (TAPS, stride));
        let rows = rows - 1;
        for s in self.segments.iter().filter(|s| s.length > 0) {
            let steps = s.length - 1;
            let left = end(s.left, [(rows + taps - 1, self.left.row_stride), (steps, self.left.step_stride)], 1);
            assert!(fits(left, self.left.values.len()), "a tile reads beyond its left factor");
            let right = end(s.right, [(steps, self.right.step_stride), (taps - 1, tap_stride)], width);
            assert!(fits(right, self.right.values.len()), "a tile reads beyond its right factor");
        }
        assert!(fits(end(0, [(rows, out_stride), (0, 0)], columns), out), "a tile writes beyond its output");
        if let Start::Row(row) = self.start {
            assert!(row.len() >= columns, "a tile starts from {} numbers for {columns} columns", row.len());
        }
    }
}

/// `first + the sum of count * stride + length`, or `None` beyond `usize`.
#[inline]
pub(crate) fn end(first: usize, spans: [(usize, usize); 2], length: usize) -> Option<usize> {
    let [(count, stride), (other, other_stride)] = spans;
    let last = first.checked_add(count.checked_mul(stride)?)?.checked_add(other.checked_mul(other_stride)?)?;
    last.checked_add(length)
}

#[inline]
pub(crate) fn fits(end: Option<usize>, length: usize) -> bool {
    end.is_some_and(|end| end <= length)
}

/// A vector of a processor.
///
/// # Safety of every function
/// The processor has the vector's instructions; `from` and `to` point to `LANES` numbers (`splat`: to one).
pub(crate) trait Vector: Copy {
    const LANES: usize;
    unsafe fn zero() -> Self;
    unsafe fn splat(from: *const f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self + a b`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    unsafe fn plus(self, other: Self) -> Self;
    unsafe fn minus(self, other: Self) -> Self;
    unsafe fn times(self, other: Self) -> Self;
}

/// Rows of a window.
pub(crate) const TAPS: usize = 3;

/// The widest tile: two vectors of 16 numbers.
pub(crate) const WIDEST: usize = 32;

/// The loop. Inlined into functions that are compiled for the vector's instructions.
///
/// # Safety
/// [`Tile::check`] has passed for `V::LANES` and this output, the tile's shape is `ROWS` and `VECTORS`, and the processor has
/// the vector's instructions.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
pub(crate) unsafe fn compute<V: Vector, const ROWS: usize, const VECTORS: usize, const TAPS: usize>(
    t: &Tile<'_>,
    out: &mut [f32],
    out_stride: usize,
) {
    const { assert!(V::LANES * VECTORS <= WIDEST) }
    let (columns, tap_stride) = (t.shape.columns, t.tap_stride.unwrap_or(0));
    // SAFETY: see above; the copies at the edges are bounded by `columns`.
    unsafe {
        let mut sum = [[V::zero(); VECTORS]; ROWS];
        let whole = columns == V::LANES * VECTORS;
        let mut edge = [0.0f32; WIDEST];
        match t.start {
            Start::Zero => {}
            Start::Row(row) => {
                edge[..columns].copy_from_slice(&row[..columns]);
                let first: [V; VECTORS] = std::array::from_fn(|v| V::load(edge.as_ptr().add(v * V::LANES)));
                sum = [first; ROWS];
            }
            Start::Output => {
                for (m, sum) in sum.iter_mut().enumerate() {
                    let mut from = out.as_ptr().add(m * out_stride);
                    if !whole {
                        edge[..columns].copy_from_slice(std::slice::from_raw_parts(from, columns));
                        from = edge.as_ptr();
                    }
                    *sum = std::array::from_fn(|v| V::load(from.add(v * V::LANES)));
                }
            }
        }
        // The indices of an empty segment are not checked, so no pointer may be made of them.
        for s in t.segments.iter().filter(|s| s.length > 0) {
            let mut a = t.left.values.as_ptr().add(s.left);
            let mut b = t.right.values.as_ptr().add(s.right);
            for _ in 0..s.length {
                let right: [[V; VECTORS]; TAPS] =
                    std::array::from_fn(|tap| std::array::from_fn(|v| V::load(b.add(tap * tap_stride + v * V::LANES))));
                for row in 0..ROWS + TAPS - 1 {
                    let left = V::splat(a.add(row * t.left.row_stride));
                    for tap in 0..TAPS {
                        // A plain bound would keep the loop from being unrolled.
                        if row >= tap && row - tap < ROWS {
                            for v in 0..VECTORS {
                                sum[row - tap][v] = sum[row - tap][v].add_product(left, right[tap][v]);
                            }
                        }
                    }
                }
                // Wrapping, as the last step leads beyond the slice; it is not read there.
                a = a.wrapping_add(t.left.step_stride);
                b = b.wrapping_add(t.right.step_stride);
            }
        }
        for (m, sum) in sum.iter().enumerate() {
            let to = out.as_mut_ptr().add(m * out_stride);
            if whole {
                for v in 0..VECTORS {
                    sum[v].store(to.add(v * V::LANES));
                }
            } else {
                for v in 0..VECTORS {
                    sum[v].store(edge.as_mut_ptr().add(v * V::LANES));
                }
                std::slice::from_raw_parts_mut(to, columns).copy_from_slice(&edge[..columns]);
            }
        }
    }
}

/// Calls [`compute`] with the tile's shape as constants, and with a row stride of 1 as a constant where it is 1. Windows have
/// heights of their own.
macro_rules! by_shape {
    ($v:ty, $t:expr, $out:expr, $stride:expr, [$($one:literal)*], [$($two:literal)*], windows [$($window:literal)*]) => {{
        use $crate::tile::{Left, TAPS, Tile, compute};
        // Rows side by side need no multiplication for their address.
        let unit = Tile { left: Left { row_stride: 1, ..$t.left }, ..*$t };
        match ($t.shape.vectors, $t.shape.rows, $t.left.row_stride == 1, $t.tap_stride.is_some()) {
            $((1, $window, _, true) => compute::<$v, $window, 1, TAPS>($t, $out, $stride),)*
            $((1, $one, true, false) => compute::<$v, $one, 1, 1>(&unit, $out, $stride),
              (1, $one, false, false) => compute::<$v, $one, 1, 1>($t, $out, $stride),)*
            $((2, $two, true, false) => compute::<$v, $two, 2, 1>(&unit, $out, $stride),
              (2, $two, false, false) => compute::<$v, $two, 2, 1>($t, $out, $stride),)*
            (vectors, rows, _, windows) => panic!("no tile of {rows} rows and {vectors} vectors (windows: {windows})"),
        }
    }};
}
pub(crate) use by_shape;
