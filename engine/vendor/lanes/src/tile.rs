//! What a tile is, and the loop that computes it with any vector.

/// A stretch of the sum: `length` steps from these places of `a` and `b`.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Index of the first row's first number in `a`.
    pub a: usize,
    /// Index of the first row of `b`.
    pub b: usize,
    /// Number of steps.
    pub length: usize,
}

/// What the sums start from.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// Nothing.
    Zero,
    /// These numbers, one a column (at least as many as the tile is wide).
    Row(&'a [f32]),
    /// What is in the output.
    Output,
}

/// `out[m, n] = start + sum over segments and k of a[m, k] b[k, n]`, for `rows` rows and `vectors` vectors of columns, of which
/// the first `columns` are written.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// The left factor.
    pub a: &'a [f32],
    /// From one row of `a` to the next.
    pub a_row: usize,
    /// From one step of `a` to the next.
    pub a_step: usize,
    /// The right factor: numbers of one step lie side by side.
    pub b: &'a [f32],
    /// From one step of `b` to the next.
    pub b_step: usize,
    /// The sum.
    pub segments: &'a [Segment],
    /// Height of the tile: one that [`crate::Cpu::height`] gives.
    pub rows: usize,
    /// Width in vectors: 1 or 2.
    pub vectors: usize,
    /// Width that is written.
    pub columns: usize,
    /// From one row of the output to the next.
    pub out_row: usize,
    /// What the sums start from.
    pub start: Start<'a>,
}

impl Tile<'_> {
    /// Panics unless every index that the loops will use lies in its slice.
    #[inline]
    pub(crate) fn check(&self, lanes: usize, out: usize) {
        let width = lanes * self.vectors;
        assert!(self.rows >= 1 && (1..=2).contains(&self.vectors) && self.columns <= width, "shape of a tile");
        for s in self.segments {
            if s.length > 0 {
                let last = s.a + (self.rows - 1) * self.a_row + (s.length - 1) * self.a_step;
                assert!(last < self.a.len(), "a tile reads beyond its left factor");
                assert!(
                    s.b + (s.length - 1) * self.b_step + width <= self.b.len(),
                    "a tile reads beyond its right factor"
                );
            }
        }
        assert!((self.rows - 1) * self.out_row + self.columns <= out, "a tile writes beyond its output");
        if let Start::Row(row) = self.start {
            assert!(row.len() >= self.columns, "a tile starts from too short a row");
        }
    }
}

/// A vector of a processor.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    unsafe fn zero() -> Self;
    unsafe fn splat(from: *const f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self + a b`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
}

/// The widest tile.
const WIDEST: usize = 32;

/// The loop. Inlined into functions that are compiled for the vector's instructions.
///
/// # Safety
/// [`Tile::check`] has passed, and the processor has the vector's instructions.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "registers by number: the loops are unrolled")]
pub(crate) unsafe fn compute<V: Vector, const ROWS: usize, const VECTORS: usize>(t: &Tile<'_>, out: &mut [f32]) {
    // SAFETY: see above; the copies at the edges are bounded by `columns`.
    unsafe {
        let mut sum = [[V::zero(); VECTORS]; ROWS];
        let whole = t.columns == V::LANES * VECTORS;
        let mut edge = [0.0f32; WIDEST];
        match t.start {
            Start::Zero => {}
            Start::Row(row) => {
                edge[..t.columns].copy_from_slice(&row[..t.columns]);
                let first: [V; VECTORS] = std::array::from_fn(|v| V::load(edge.as_ptr().add(v * V::LANES)));
                sum = [first; ROWS];
            }
            Start::Output => {
                for (m, sum) in sum.iter_mut().enumerate() {
                    let mut from = out.as_ptr().add(m * t.out_row);
                    if !whole {
                        edge[..t.columns].copy_from_slice(std::slice::from_raw_parts(from, t.columns));
                        from = edge.as_ptr();
                    }
                    *sum = std::array::from_fn(|v| V::load(from.add(v * V::LANES)));
                }
            }
        }
        for s in t.segments {
            let mut a = t.a.as_ptr().add(s.a);
            let mut b = t.b.as_ptr().add(s.b);
            for _ in 0..s.length {
                let right: [V; VECTORS] = std::array::from_fn(|v| V::load(b.add(v * V::LANES)));
                for (m, sum) in sum.iter_mut().enumerate() {
                    let left = V::splat(a.add(m * t.a_row));
                    for v in 0..VECTORS {
                        sum[v] = sum[v].add_product(left, right[v]);
                    }
                }
                a = a.wrapping_add(t.a_step);
                b = b.wrapping_add(t.b_step);
            }
        }
        for (m, sum) in sum.iter().enumerate() {
            let to = out.as_mut_ptr().add(m * t.out_row);
            if whole {
                for v in 0..VECTORS {
                    sum[v].store(to.add(v * V::LANES));
                }
            } else {
                for v in 0..VECTORS {
                    sum[v].store(edge.as_mut_ptr().add(v * V::LANES));
                }
                std::slice::from_raw_parts_mut(to, t.columns).copy_from_slice(&edge[..t.columns]);
            }
        }
    }
}

/// Calls [`compute`] with the tile's shape as constants, and with `a_row = 1` where that is so.
macro_rules! by_shape {
    ($v:ty, $t:expr, $out:expr, [$($one:literal)*], [$($two:literal)*]) => {{
        // A row next to the other needs no multiplication for its address.
        let unit = $crate::tile::Tile { a_row: 1, ..*$t };
        match ($t.vectors, $t.rows, $t.a_row == 1) {
            $((1, $one, true) => $crate::tile::compute::<$v, $one, 1>(&unit, $out),
              (1, $one, false) => $crate::tile::compute::<$v, $one, 1>($t, $out),)*
            $((2, $two, true) => $crate::tile::compute::<$v, $two, 2>(&unit, $out),
              (2, $two, false) => $crate::tile::compute::<$v, $two, 2>($t, $out),)*
            (vectors, rows, _) => panic!("no tile of {rows} rows and {vectors} vectors"),
        }
    }};
}
pub(crate) use by_shape;
