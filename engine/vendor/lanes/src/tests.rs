//! Every tile shape on every instruction set against a plain sum, and every index that must be refused.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::tile::TAPS;
use crate::{Cpu, Left, Loop, Right, Segment, Shape, Start, Tile};

/// Numbers in -0.5 to 0.5.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut x = seed | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// A product whose slices end right after the last number that it needs.
struct Product {
    shape: Shape,
    left: Vec<f32>,
    row_stride: usize,
    step_stride: usize,
    right: Vec<f32>,
    right_stride: usize,
    tap_stride: Option<usize>,
    segments: Vec<Segment>,
    row: Vec<f32>,
    out: Vec<f32>,
    out_stride: usize,
}

impl Product {
    fn new(cpu: Cpu, shape: Shape, side_by_side: bool) -> Self {
        Self::of(cpu, shape, side_by_side, false)
    }

    fn of(cpu: Cpu, shape: Shape, side_by_side: bool, windows: bool) -> Self {
        let Shape { rows, vectors, columns } = shape;
        let width = cpu.lanes() * vectors;
        // Consecutive rows of the left factor, or consecutive steps.
        let (row_stride, step_stride) = if side_by_side { (1, rows + 2) } else { (7, 1) };
        let (right_stride, out_stride) = (width + 3, columns + 5);
        let segments =
            vec![Segment { left: 0, right: 4, length: 5 }, Segment { left: 3, right: 2 * right_stride, length: 3 }];
        let tap_stride = windows.then_some(5 * right_stride);
        let taps = if windows { TAPS - 1 } else { 0 };
        let end = |s: &Segment| s.left + (rows + taps - 1) * row_stride + (s.length - 1) * step_stride + 1;
        let right_end = |s: &Segment| s.right + (s.length - 1) * right_stride + taps * tap_stride.unwrap_or(0) + width;
        Self {
            shape,
            left: numbers(segments.iter().map(end).max().unwrap(), 1),
            row_stride,
            step_stride,
            right: numbers(segments.iter().map(right_end).max().unwrap(), 2),
            right_stride,
            tap_stride,
            segments,
            row: numbers(columns, 3),
            out: numbers((rows - 1) * out_stride + columns, 4),
            out_stride,
        }
    }

    fn left(&self) -> Left<'_> {
        Left { values: &self.left, row_stride: self.row_stride, step_stride: self.step_stride }
    }

    fn right(&self) -> Right<'_> {
        Right { values: &self.right, step_stride: self.right_stride }
    }

    /// The output, computed by the crate.
    fn run(&self, cpu: Cpu, start: Start<'_>) -> Vec<f32> {
        let mut out = self.out.clone();
        let tile = Tile::new(self.shape, self.left(), self.right(), &self.segments, start);
        cpu.tile(&self.tap_stride.map_or(tile, |stride| tile.windows(stride)), &mut out, self.out_stride);
        out
    }

    /// The output by its definition; numbers between the rows stay as they are.
    fn expected(&self, start: Start<'_>) -> Vec<f64> {
        let mut out: Vec<f64> = self.out.iter().map(|v| f64::from(*v)).collect();
        for m in 0..self.shape.rows {
            for n in 0..self.shape.columns {
                let at = m * self.out_stride + n;
                let mut sum = match start {
                    Start::Zero => 0.0,
                    Start::Row(row) => f64::from(row[n]),
                    Start::Output => out[at],
                };
                let taps = if self.tap_stride.is_some() { TAPS } else { 1 };
                for (s, tap) in self.segments.iter().flat_map(|s| (0..taps).map(move |tap| (s, tap))) {
                    for k in 0..s.length {
                        let a = self.left[s.left + (m + tap) * self.row_stride + k * self.step_stride];
                        let b = s.right + tap * self.tap_stride.unwrap_or(0) + k * self.right_stride + n;
                        sum += f64::from(a) * f64::from(self.right[b]);
                    }
                }
                out[at] = sum;
            }
        }
        out
    }
}

/// Whether the product is refused.
fn refused(cpu: Cpu, product: &Product, start: Start<'_>) -> bool {
    catch_unwind(AssertUnwindSafe(|| product.run(cpu, start))).is_err()
}

/// Every height of a block and some of several, with the widths at and around the vectors of this instruction set.
fn shapes(cpu: Cpu) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for vectors in [1, 2] {
        let width = cpu.lanes() * vectors;
        for rows in (1..=13).chain([25, 38]) {
            for columns in [0, 1, width / 2, width - 1, width] {
                shapes.push(Shape { rows, vectors, columns });
            }
        }
    }
    shapes
}

#[test]
fn a_tile_is_the_sum_that_defines_it() {
    for cpu in Cpu::all() {
        for shape in shapes(cpu) {
            for (side_by_side, windows) in [(true, false), (false, false), (true, true), (false, true)] {
                if windows && shape.vectors == 2 {
                    continue;
                }
                let product = Product::of(cpu, shape, side_by_side, windows);
                for start in [Start::Zero, Start::Row(&product.row), Start::Output] {
                    let found = product.run(cpu, start);
                    for (at, (found, expected)) in found.iter().zip(product.expected(start)).enumerate() {
                        let off = (f64::from(*found) - expected).abs();
                        assert!(off < 1e-5, "{cpu:?} {shape:?} {start:?}: {at} is {found}, not {expected}");
                    }
                }
            }
        }
    }
}

/// One number less in any slice is one too few.
#[test]
fn a_slice_that_is_one_number_short_is_refused() {
    for cpu in Cpu::all() {
        let shapes = shapes(cpu).into_iter().filter(|shape| shape.columns > 0);
        for (shape, windows) in shapes.flat_map(|s| [false, s.vectors == 1].map(|windows| (s, windows))) {
            let whole = || Product::of(cpu, shape, false, windows);
            let row = numbers(shape.columns, 3);
            assert!(!refused(cpu, &whole(), Start::Row(&row)));
            let cuts: [fn(&mut Product); 3] = [
                |p| p.left.truncate(p.left.len() - 1),
                |p| p.right.truncate(p.right.len() - 1),
                |p| {
                    p.out.truncate(p.out.len() - 1);
                },
            ];
            for cut in cuts {
                let mut short = whole();
                cut(&mut short);
                assert!(refused(cpu, &short, Start::Zero), "{cpu:?} {shape:?}");
            }
            assert!(refused(cpu, &whole(), Start::Row(&row[1..])), "{cpu:?} {shape:?}");
        }
    }
}

/// Changes one index of a product.
type Edit = fn(&mut Product, usize);

/// Strides and places whose products or sums wrap around to an index in range.
#[test]
fn an_index_that_overflows_is_refused() {
    for cpu in Cpu::all() {
        // Two rows, so that one stride is used once: 2 * (MAX / 2 + 1) wraps to 0.
        let shape = Shape { rows: 2, vectors: 1, columns: 3 };
        let half = usize::MAX / 2 + 1;
        let edits: [(&str, Edit); 8] = [
            ("row stride", |p, v| p.row_stride = v),
            ("step stride", |p, v| p.step_stride = v),
            ("left place", |p, v| p.segments[1].left = v),
            ("right place", |p, v| p.segments[1].right = v),
            ("right stride", |p, v| p.right_stride = v),
            ("length", |p, v| p.segments[1].length = v),
            ("output stride", |p, v| p.out_stride = v),
            ("tap stride", |p, v| p.tap_stride = Some(v)),
        ];
        for (name, edit) in edits {
            for value in [usize::MAX, usize::MAX - 1, half, half - 1, usize::MAX / 4 + 1] {
                let mut product = Product::new(cpu, shape, false);
                edit(&mut product, value);
                assert!(refused(cpu, &product, Start::Zero), "{cpu:?}: {name} = {value}");
            }
        }
        // Both terms are in range, and their sum wraps to 0.
        let mut product = Product::new(cpu, shape, false);
        (product.segments[0].left, product.row_stride) = (1, usize::MAX);
        product.segments[0].length = 1;
        product.segments.truncate(1);
        assert!(refused(cpu, &product, Start::Zero), "{cpu:?}: the sum of place and row");
    }
}

#[test]
fn a_shape_that_is_not_compiled_is_refused() {
    for cpu in Cpu::all() {
        let width = cpu.lanes();
        let good = Shape { rows: 1, vectors: 1, columns: width };
        assert!(!refused(cpu, &Product::new(cpu, good, false), Start::Zero));
        for bad in [
            Shape { rows: 0, ..good },
            Shape { rows: 100, ..good },
            Shape { rows: usize::MAX, ..good },
            Shape { vectors: 0, columns: 0, ..good },
            Shape { vectors: 3, ..good },
            Shape { vectors: usize::MAX, ..good },
            Shape { columns: width + 1, ..good },
            Shape { columns: usize::MAX, ..good },
        ] {
            let mut product = Product::new(cpu, good, false);
            (product.left, product.right, product.out) = (vec![0.0; 999], vec![0.0; 999], vec![0.0; 999]);
            product.shape = bad;
            assert!(refused(cpu, &product, Start::Zero), "{cpu:?} {bad:?}");
        }
        let wide = Product::of(cpu, Shape { vectors: 2, ..good }, false, true);
        assert!(refused(cpu, &wide, Start::Zero), "{cpu:?}: windows of two vectors");
    }
}

/// A segment without steps reads nothing, so its places may lie anywhere.
#[test]
fn an_empty_segment_adds_nothing() {
    for cpu in Cpu::all() {
        let mut product = Product::new(cpu, Shape { rows: 2, vectors: 1, columns: 5 }, false);
        let before = product.run(cpu, Start::Output);
        product.segments.push(Segment { left: usize::MAX, right: usize::MAX / 2, length: 0 });
        assert_eq!(product.run(cpu, Start::Output), before);
    }
}

/// Sums of products, which a fused operation would round otherwise.
struct Sums<'a>(&'a [f32]);

impl Loop for Sums<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        self.0.windows(3).map(|w| w[0] * w[1] + w[2]).collect()
    }
}

#[test]
fn plain_code_gives_the_same_numbers_with_all_instructions() {
    let values = numbers(999, 5);
    for cpu in Cpu::all() {
        assert_eq!(cpu.run(Sums(&values)), Sums(&values).run(), "{cpu:?}");
    }
}
