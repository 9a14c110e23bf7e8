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
    /// Height, at least 1.
    pub rows: usize,
    /// Width in vectors: 1 or 2.
    pub vectors: usize,
    /// Width that is written.
    pub columns: usize,
}

/// What the sums start from.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// Every sum starts from zero.
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

/// Computes `ROWS` rows, starting at `first`. Inlined into functions that are compiled for the vector's instructions; without
/// closures, which would be compiled without them.
///
/// # Safety
/// [`Tile::check`] has passed for `V::LANES` and this output, the tile has these rows and `VECTORS`, and the processor has the
/// vector's instructions.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
pub(crate) unsafe fn compute<V: Vector, const ROWS: usize, const VECTORS: usize, const TAPS: usize>(
    t: &Tile<'_>,
    first: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    const { assert!(V::LANES * VECTORS <= WIDEST) }
    let (columns, tap_stride) = (t.shape.columns, t.tap_stride.unwrap_or(0));
    let Left { values: left, row_stride, step_stride } = t.left;
    // SAFETY: see above; the copies at the edges are bounded by `columns`.
    unsafe {
        let out = out.as_mut_ptr().add(first * out_stride);
        let mut sum = [[V::zero(); VECTORS]; ROWS];
        let whole = columns == V::LANES * VECTORS;
        let mut edge = [0.0f32; WIDEST];
        match t.start {
            Start::Zero => {}
            Start::Row(row) => {
                edge[..columns].copy_from_slice(&row[..columns]);
                for v in 0..VECTORS {
                    let start = V::load(edge.as_ptr().add(v * V::LANES));
                    for m in 0..ROWS {
                        sum[m][v] = start;
                    }
                }
            }
            Start::Output => {
                for m in 0..ROWS {
                    let mut from = out.add(m * out_stride).cast_const();
                    if !whole {
                        edge[..columns].copy_from_slice(std::slice::from_raw_parts(from, columns));
                        from = edge.as_ptr();
                    }
                    for v in 0..VECTORS {
                        sum[m][v] = V::load(from.add(v * V::LANES));
                    }
                }
            }
        }
        for s in t.segments {
            // The indices of an empty segment are not checked, so no pointer may be made of them.
            if s.length == 0 {
                continue;
            }
            let mut a = left.as_ptr().add(s.left + first * row_stride);
            let mut b = t.right.values.as_ptr().add(s.right);
            for _ in 0..s.length {
                let mut right = [[V::zero(); VECTORS]; TAPS];
                for tap in 0..TAPS {
                    for v in 0..VECTORS {
                        right[tap][v] = V::load(b.add(tap * tap_stride + v * V::LANES));
                    }
                }
                for row in 0..ROWS + TAPS - 1 {
                    let left = V::splat(a.add(row * row_stride));
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
                a = a.wrapping_add(step_stride);
                b = b.wrapping_add(t.right.step_stride);
            }
        }
        for m in 0..ROWS {
            let to = out.add(m * out_stride);
            if whole {
                for v in 0..VECTORS {
                    sum[m][v].store(to.add(v * V::LANES));
                }
            } else {
                for v in 0..VECTORS {
                    sum[m][v].store(edge.as_mut_ptr().add(v * V::LANES));
                }
                std::slice::from_raw_parts_mut(to, columns).copy_from_slice(&edge[..columns]);
            }
        }
    }
}

/// Calls [`compute`] with blocks of at most the last of these heights, which the registers hold, for one vector, two vectors and
/// windows. Heights differ by one at most, so that the last block is not a sliver. Heights are constants, and so is a row stride
/// of 1.
macro_rules! by_shape {
    ($v:ty, $t:expr, $out:expr, $stride:expr, [$($one:literal)*], [$($two:literal)*]) => {{
        use $crate::tile::{Left, TAPS, Tile, compute};
        let Tile { shape: Shape { rows, vectors, .. }, tap_stride, .. } = *$t;
        let unit = $t.left.row_stride == 1;
        // Rows side by side need no multiplication for their address.
        let beside = Tile { left: Left { row_stride: 1, ..$t.left }, ..*$t };
        let most = if vectors == 1 { [$($one),*].len() } else { [$($two),*].len() };
        let blocks = rows.div_ceil(most);
        let mut first = 0;
        for block in 0..blocks {
            let height = rows / blocks + usize::from(block < rows % blocks);
            match (vectors, height, unit, tap_stride.is_some()) {
                $((1, $one, _, true) => compute::<$v, $one, 1, TAPS>($t, first, $out, $stride),
                  (1, $one, true, false) => compute::<$v, $one, 1, 1>(&beside, first, $out, $stride),
                  (1, $one, false, false) => compute::<$v, $one, 1, 1>($t, first, $out, $stride),)*
                $((2, $two, true, false) => compute::<$v, $two, 2, 1>(&beside, first, $out, $stride),
                  (2, $two, false, false) => compute::<$v, $two, 2, 1>($t, first, $out, $stride),)*
                (_, _, _, windows) => panic!("no tile of {rows} rows and {vectors} vectors (windows: {windows})"),
            }
            first += height;
        }
    }};
}
pub(crate) use by_shape;
