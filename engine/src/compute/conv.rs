//! Convolutions with odd square kernels and same padding over `[B, H, W, C]`, as matrix products without im2col copies: in a
//! padded row of channels-last pixels, the windows of successive pixels are overlapping contiguous slices.
//!
//! The order of sums depends only on shapes, so results are bit-identical for any number of threads.

use std::borrow::Cow;
use std::ops::Range;

use lanes::{Cpu, Left, PLACES, Right, Segment, Shape, Start, Tile};
use rayon::prelude::*;

use super::channels::{self, Copy};
use super::grid::{CACHED_FLOATS, Grid, scratch_slice, with_scratch};
use super::norm::Activate;
use super::pack::{PackedCache, Panel, Weights, panel_of, panels};
use super::winograd::{self, Tiles};

/// `max(0, scale x + shift)` per channel: a normalisation and its `ReLU`, applied when the values are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Activation<'a> {
    /// `[C]`, or `[B, C]` for statistics per image.
    pub scale: &'a [f32],
    /// Shape as `scale`.
    pub shift: &'a [f32],
}

/// Input of a convolution. Several sources are concatenated along the channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// `[B, H, W, C]`.
    pub values: &'a [f32],
    /// `C`.
    pub channels: usize,
    /// Applied to every value.
    pub activation: Option<Activation<'a>>,
}

/// Numbers of a batch as transformed tiles that all tasks read: as many as the L2 cache holds.
const CACHED_PLANES: usize = 512 << 10;

/// Panels of a weight gradient that share a task's input: more would not fit the cache.
const PANELS_AT_ONCE: usize = 4;

/// Rows per task: few enough for the cache and for enough tasks for all threads.
fn rows_at_once(grid: Grid, numbers_per_row: usize) -> usize {
    let fits = (CACHED_FLOATS / numbers_per_row.max(1)).max(10);
    let shared = (grid.batch * grid.height).div_ceil(2 * rayon::current_num_threads()).max(2);
    let rows = fits.min(shared).min(grid.height);
    // An even number, because a tile has two rows.
    grid.height.div_ceil(grid.height.div_ceil(rows)).next_multiple_of(2)
}

/// Reads rows of an image, padded with half a kernel of zeros on every side: `[rows + 2 halo, W + 2 halo, C]`, sources
/// concatenated along the channels. They are copied to a buffer unless the source holds them in this layout.
fn read_rows<'a>(to: &'a mut Vec<f32>, conv: &Convolution<'a>, image: usize, rows: Range<usize>) -> &'a [f32] {
    let Convolution { cpu, grid, kernel, sources } = *conv;
    let halo = kernel / 2;
    if let (0, [Source { values, channels, activation: None }]) = (halo, sources) {
        let row = grid.width * channels;
        return &values[(image * grid.height + rows.start) * row..][..rows.len() * row];
    }
    let channels: usize = sources.iter().map(|s| s.channels).sum();
    let padded = (grid.width + 2 * halo) * channels;
    let to = scratch_slice(to, (rows.len() + 2 * halo) * padded);
    for (row, line) in to.chunks_exact_mut(padded).enumerate() {
        let y = rows.start + row;
        if y < halo || y >= grid.height + halo {
            line.fill(0.0);
            continue;
        }
        let (left, rest) = line.split_at_mut(halo * channels);
        let (middle, right) = rest.split_at_mut(grid.width * channels);
        left.fill(0.0);
        right.fill(0.0);
        let mut offset = 0;
        for source in sources {
            let c = source.channels;
            let start = (image * grid.area() + (y - halo) * grid.width) * c;
            let from = &source.values[start..start + grid.width * c];
            match source.activation {
                None if c == channels => middle.copy_from_slice(from),
                None => {
                    channels::run(cpu, c, Copy { from, own: c, to: middle, channels, offset });
                }
                Some(Activation { scale, shift }) => {
                    let own = if scale.len() > c { image * c } else { 0 };
                    let (scale, shift) = (&scale[own..own + c], &shift[own..own + c]);
                    channels::run(cpu, c, Activate { from, scale, shift, to: middle, channels, offset });
                }
            }
            offset += c;
        }
    }
    to
}

/// A convolution over concatenated sources.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convolution<'a> {
    /// Vector instructions in use.
    pub cpu: Cpu,
    /// Size of input and output.
    pub grid: Grid,
    /// Height and width of the kernel; odd, at most 7.
    pub kernel: usize,
    /// The input.
    pub sources: &'a [Source<'a>],
}

impl Convolution<'_> {
    /// `out = bias + weights * input`. `after(image, values)` is called with every finished piece, `[rows, W, columns]`, while
    /// it is in the cache. Its results are returned in the order of the pieces.
    pub fn product<T: Send>(
        &self,
        weights: &Weights<'_>,
        bias: Option<&[f32]>,
        out: &mut [f32],
        after: impl Fn(usize, &mut [f32]) -> T + Sync,
    ) -> Vec<T> {
        let grid = self.grid;
        let columns = weights.columns();
        let panels = panels(self.cpu, columns);
        // Working panel by panel divides the packing between the threads but reads the tiles once per panel. Weights that are
        // already packed do not need it, unless the tiles fit into the cache.
        let planes = PLACES * grid.pixels() / 4 * self.channels();
        let fits = weights.cache.is_none() || planes <= CACHED_PLANES;
        if fits && weights.steps() >= grid.pixels() && panels.len() >= rayon::current_num_threads() {
            return self.product_by_panels(weights, &panels, bias, out, after);
        }
        let row = grid.width * columns;
        let rows_at_once = rows_at_once(grid, self.padded_row());
        let images = out.chunks_exact_mut(grid.area() * columns).enumerate();
        let pieces = images.flat_map(|(image, out)| {
            let pieces = out.chunks_mut(rows_at_once * row).enumerate();
            pieces.map(move |(i, out)| (image, i * rows_at_once, out))
        });
        let pieces: Vec<_> = pieces.collect();
        let tiles = self.tiles(columns);
        // Only gradients: a forward pass with cached weights must round as one without.
        let single = columns == 1 && self.kernel == 3 && weights.input_range.is_some();
        let packed = match weights.cache {
            Some(cache) => Cow::Borrowed(self.cached(cache, weights, tiles)),
            None if single => Cow::Owned(weights.pack_positions(self.cpu)),
            None => Cow::Owned(self.pack(weights, tiles)),
        };
        let pieces = pieces.into_par_iter().map(|(image, first, out)| {
            with_scratch(|input, scratch| {
                let input = read_rows(input, self, image, first..first + out.len() / row);
                if single {
                    return self.single_column(input, &packed, bias, out, &mut scratch[0]);
                }
                if let Some(tiles) = tiles {
                    return tiles.product(input, &packed, &panels, bias, out, scratch);
                }
                for &panel in &panels {
                    let packed = panel_of(&packed, self.cpu, self.steps(), panel);
                    self.rows(input, packed, panel, columns, bias, out);
                }
            });
            after(image, out)
        });
        pieces.collect()
    }

    /// [`Self::product`] for more weights than pixels: each thread processes some panels of the weights and all pixels, so
    /// that every weight is read once.
    fn product_by_panels<T: Send>(
        &self,
        weights: &Weights<'_>,
        panels: &[Panel],
        bias: Option<&[f32]>,
        out: &mut [f32],
        after: impl Fn(usize, &mut [f32]) -> T + Sync,
    ) -> Vec<T> {
        let grid = self.grid;
        let tiles = self.tiles(weights.columns());
        // Images are cut into pieces, at least one per thread.
        let pieces_per_image = rayon::current_num_threads().div_ceil(grid.batch);
        let rows_at_once = grid.height.div_ceil(pieces_per_image).next_multiple_of(2);
        let pieces: Vec<_> = (0..grid.batch)
            .flat_map(|image| (0..grid.height).step_by(rows_at_once).map(move |first| (image, first)))
            .collect();
        let inputs = pieces.into_par_iter().map(|(image, first)| {
            let rows = first..grid.height.min(first + rows_at_once);
            let pixels = rows.len() * grid.width;
            with_scratch(|padded, _| {
                let input = read_rows(padded, self, image, rows);
                (image, pixels, tiles.map_or_else(|| input.to_vec(), |tiles| tiles.spread_rows(input)))
            })
        });
        let inputs: Vec<(usize, usize, Vec<f32>)> = inputs.collect();
        let cached = weights.cache.map(|cache| self.cached(cache, weights, tiles));
        let steps = self.packed_steps(tiles);
        let parts = panels.par_iter().map(|&panel| {
            let alone = Panel { first: 0, ..panel };
            let bias = bias.map(|b| &b[panel.first..]);
            let mut part = vec![0.0; grid.pixels() * panel.wide];
            with_scratch(|packed, scratch| {
                let stride = panel.vectors * self.cpu.lanes();
                let packed = if let Some(cached) = cached {
                    panel_of(cached, self.cpu, steps, panel)
                } else {
                    let packed = scratch_slice(packed, steps * stride);
                    if tiles.is_some() {
                        winograd::pack_panel(weights, self.cpu, panel, stride, packed);
                    } else {
                        packed.fill(0.0);
                        weights.pack_panel(panel, stride, packed);
                    }
                    packed
                };
                let mut rest = &mut *part;
                for (_, pixels, input) in &inputs {
                    let out = rest.split_off_mut(..pixels * panel.wide).unwrap_or_default();
                    match tiles {
                        Some(tiles) => tiles.product_of(input, packed, &[alone], bias, out, &mut scratch[0]),
                        None => self.rows(input, packed, alone, panel.wide, bias, out),
                    }
                }
            });
            part
        });
        let parts: Vec<Vec<f32>> = parts.collect();
        let mut rest = out;
        let mut before = 0;
        let pieces: Vec<_> = inputs
            .iter()
            .map(|&(image, pixels, _)| {
                before += pixels;
                (image, before - pixels, rest.split_off_mut(..pixels * weights.columns()).unwrap_or_default())
            })
            .collect();
        let done = pieces.into_par_iter().map(|(image, first, out)| {
            for (pixel, out) in out.chunks_exact_mut(weights.columns()).enumerate() {
                for (panel, part) in panels.iter().zip(&parts) {
                    let from = &part[(first + pixel) * panel.wide..][..panel.wide];
                    out[panel.first..panel.first + panel.wide].copy_from_slice(from);
                }
            }
            after(image, out)
        });
        done.collect()
    }

    /// All panels of the weights, for tiles or for sums.
    fn pack(&self, weights: &Weights<'_>, tiles: Option<Tiles>) -> Vec<f32> {
        tiles.map_or_else(|| weights.pack(self.cpu), |_| winograd::pack_weights(weights, self.cpu))
    }

    /// The packed weights of the cache, packed on the first call.
    fn cached<'a>(&self, cache: &'a PackedCache, weights: &Weights<'_>, tiles: Option<Tiles>) -> &'a [f32] {
        cache.get(tiles.is_some(), || self.pack(weights, tiles))
    }

    /// Packed numbers per column.
    fn packed_steps(&self, tiles: Option<Tiles>) -> usize {
        if tiles.is_some() { PLACES * self.channels() } else { self.steps() }
    }

    /// The tiles by which it is computed, if they are faster than sums.
    fn tiles(&self, columns: usize) -> Option<Tiles> {
        let Self { cpu, grid, kernel, .. } = *self;
        let channels = self.channels();
        let across = grid.width / 2;
        winograd::is_faster(cpu, kernel, grid, channels, columns).then_some(Tiles { cpu, across, channels })
    }

    fn channels(&self) -> usize {
        self.sources.iter().map(|s| s.channels).sum()
    }

    fn steps(&self) -> usize {
        self.kernel * self.kernel * self.channels()
    }

    /// Floats per row of the padded input.
    fn padded_row(&self) -> usize {
        (self.grid.width + self.kernel / 2 * 2) * self.channels()
    }

    /// Computes one panel of some rows of the output.
    fn rows(&self, input: &[f32], packed: &[f32], panel: Panel, columns: usize, bias: Option<&[f32]>, out: &mut [f32]) {
        let start = bias.map_or(Start::Zero, |b| Start::Row(&b[panel.first..]));
        let (channels, width) = (self.channels(), self.grid.width);
        let (stride, rows) = (panel.vectors * self.cpu.lanes(), out.len() / (width * columns));
        // One vector of columns is bound by its loads unless each serves the three products of its row.
        let windows = self.kernel == 3 && panel.vectors == 1;
        // Weights that exceed the cache are processed one kernel row at a time.
        let at_once = if packed.len() > 2 * CACHED_FLOATS { 1 } else { self.kernel };
        for (ky, y) in (0..self.kernel).step_by(at_once).flat_map(|ky| (0..rows).map(move |y| (ky, y))) {
            let length = if windows { channels } else { self.kernel * channels };
            let mut segments = [Segment { left: 0, right: 0, length }; 7];
            for (i, s) in segments[..at_once].iter_mut().enumerate() {
                s.left = (y + ky + i) * self.padded_row();
                s.right = (ky + i) * self.kernel * channels * stride;
            }
            let shape = Shape { rows: width, vectors: panel.vectors, columns: panel.wide };
            let left = Left { values: input, row_stride: channels, step_stride: 1 };
            let right = Right { values: packed, step_stride: stride };
            let start = if ky == 0 { start } else { Start::Output };
            let tile = Tile::new(shape, left, right, &segments[..at_once], start);
            let tile = if windows { tile.windows(channels * stride) } else { tile };
            self.cpu.tile(&tile, &mut out[y * width * columns + panel.first..], columns);
        }
    }

    /// Computes some rows of a single column by a 3x3 kernel. The weights are those of [`Weights::pack_positions`]: the kernel's
    /// positions are the columns of one product over the padded pixels, and each output sums nine of its results.
    fn single_column(
        &self,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        out: &mut [f32],
        products: &mut Vec<f32>,
    ) {
        const POSITIONS: usize = 9;
        let (channels, width, stride) = (self.channels(), self.grid.width, packed.len() / self.channels());
        let pixels = input.len() / channels;
        let products = scratch_slice(products, pixels * POSITIONS);
        let shape = Shape { rows: pixels, vectors: stride / self.cpu.lanes(), columns: POSITIONS };
        let left = Left { values: input, row_stride: channels, step_stride: 1 };
        let right = Right { values: packed, step_stride: stride };
        let segments = [Segment { left: 0, right: 0, length: channels }];
        self.cpu.tile(&Tile::new(shape, left, right, &segments, Start::Zero), products, POSITIONS);
        let start = bias.map_or(0.0, |b| b[0]);
        for (y, row) in out.chunks_exact_mut(width).enumerate() {
            for (x, to) in row.iter_mut().enumerate() {
                // From one column of the kernel to the next, pixel and position increase by one.
                let sums = [0, 1, 2].map(|ky| {
                    let of_row = &products[((y + ky) * (width + 2) + x) * POSITIONS + 3 * ky..][..21];
                    of_row[0] + of_row[10] + of_row[20]
                });
                *to = start + sums[0] + sums[1] + sums[2];
            }
        }
    }

    /// Gradient with respect to the weights, `[out, in, k, k]`, given that of the output, `dz` `[B, H, W, out]`.
    pub fn weight_gradient(&self, dz: &[f32], columns: usize) -> Vec<f32> {
        let (grid, kernel, channels) = (self.grid, self.kernel, self.channels());
        // Depends only on the shape, because it determines the order of the sum.
        let largest_row = self.padded_row().max(grid.width * columns);
        let rows_at_once =
            (CACHED_FLOATS / largest_row).clamp(10, grid.height.max(10)).next_multiple_of(2).min(grid.height);
        let tiles = self.tiles(columns);
        let area = kernel * kernel;
        let steps = self.packed_steps(tiles);
        let rows = |image| (0..grid.height).step_by(rows_at_once).map(move |y| (image, y));
        let pieces: Vec<(usize, usize)> = (0..grid.batch).flat_map(rows).collect();
        let panels = panels(self.cpu, columns);
        // Each partial sum has its own copy of the gradient. Fewer are needed if there are enough panels to parallelise.
        let shares = (16 / panels.len()).clamp(1, pieces.len());
        let share = pieces.len().div_ceil(shares);
        // The panels of a task read the same input. How panels are grouped does not affect the sums.
        let group = (panels.len() * shares / (2 * rayon::current_num_threads())).clamp(1, PANELS_AT_ONCE);
        // Allocated by this thread, so that one heap serves all layers. Each task zeroes its own part.
        let pieces = pieces.chunks(share);
        let mut sums: Vec<Vec<f32>> =
            pieces.clone().flat_map(|_| &panels).map(|panel| Vec::with_capacity(steps * panel.wide)).collect();
        let tasks = pieces.zip(sums.chunks_mut(panels.len())).flat_map(|(pieces, sums)| {
            panels.chunks(group).zip(sums.chunks_mut(group)).map(move |(panels, sums)| (pieces, panels, sums))
        });
        let tasks: Vec<_> = tasks.collect();
        tasks.into_par_iter().for_each(|(pieces, panels, sums)| {
            for (panel, sum) in panels.iter().zip(&mut *sums) {
                sum.resize(steps * panel.wide, 0.0);
            }
            with_scratch(|input, scratch| {
                for &(image, first) in pieces {
                    let rows = rows_at_once.min(grid.height - first);
                    let input = read_rows(input, self, image, first..first + rows);
                    let row = grid.width * columns;
                    let dz = &dz[(image * grid.height + first) * row..][..rows * row];
                    match tiles {
                        Some(tiles) => tiles.add_weight_gradient(input, dz, columns, panels, scratch, sums),
                        None => {
                            for (&panel, sum) in panels.iter().zip(&mut *sums) {
                                self.add_weight_gradient(input, dz, columns, panel, &mut scratch[0], sum);
                            }
                        }
                    }
                }
            });
        });
        // Add the partial sums in order, each panel's into its first, and transpose them to the layout of the weights.
        let (sums, others) = sums.split_at_mut(panels.len());
        let mut gradient = vec![0.0; self.steps() * columns];
        let to = gradient.par_chunks_mut(2 * self.cpu.lanes() * self.steps());
        to.zip(sums).zip(&panels).enumerate().for_each(|(index, ((to, sum), panel))| {
            for other in others.iter().skip(index).step_by(panels.len()) {
                sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
            }
            with_scratch(|plain, _| {
                let mut sum = &**sum;
                if tiles.is_some() {
                    let count = sum.len() / PLACES;
                    let plain = scratch_slice(plain, area * count);
                    self.cpu.gather_weights(sum, count, plain);
                    sum = plain;
                }
                for (n, to) in to.chunks_exact_mut(self.steps()).enumerate() {
                    for (c, to) in to.chunks_exact_mut(area).enumerate() {
                        for (position, to) in to.iter_mut().enumerate() {
                            *to = sum[(position * channels + c) * panel.wide + n];
                        }
                    }
                }
            });
        });
        gradient
    }

    /// Adds the contribution of some rows to one panel of the gradient, `[k, k, C, wide]`.
    fn add_weight_gradient(
        &self,
        input: &[f32],
        dz: &[f32],
        columns: usize,
        panel: Panel,
        edge: &mut Vec<f32>,
        sum: &mut [f32],
    ) {
        let (width, channels) = (self.grid.width, self.channels());
        let stride = panel.vectors * self.cpu.lanes();
        // The panel's columns, padded to whole vectors, which the inner loop reads repeatedly.
        let b = if columns == stride {
            dz
        } else {
            edge.clear();
            edge.resize(dz.len() / columns * stride, 0.0);
            for (to, from) in edge.chunks_exact_mut(stride).zip(dz.chunks_exact(columns)) {
                to[..panel.wide].copy_from_slice(&from[panel.first..panel.first + panel.wide]);
            }
            edge.as_slice()
        };
        // Rows per tile: few enough for the L1 cache, many enough to keep sums in registers.
        let rows: Vec<usize> = (0..dz.len() / (width * columns)).collect();
        let mut segments = Vec::new();
        for rows in rows.chunks((192 / width).max(1)) {
            for ky in 0..self.kernel {
                let run = self.kernel * channels;
                segments.clear();
                segments.extend(rows.iter().map(|y| Segment {
                    left: (y + ky) * self.padded_row(),
                    right: y * width * stride,
                    length: width,
                }));
                let shape = Shape { rows: run, vectors: panel.vectors, columns: panel.wide };
                let left = Left { values: input, row_stride: 1, step_stride: channels };
                let right = Right { values: b, step_stride: stride };
                let tile = Tile::new(shape, left, right, &segments, Start::Output);
                self.cpu.tile(&tile, &mut sum[ky * run * panel.wide..], panel.wide);
            }
        }
    }
}
