//! 3x3 convolutions of wide layers by Winograd's F(2x2, 3x3), which needs 4 products per output instead of 9.
//!
//! A tile is 2x2 outputs. [`Cpu::spread_input`] transforms the 4x4 inputs of every tile to sixteen positions, each position is a matrix
//! product over the channels, and [`Cpu::gather_output`] brings the sums back. The weight gradient works the
//! same way: the sixteen positions of the inputs times those of the output's gradient, summed over the tiles.

use lanes::{Cpu, Left, PLACES, Pixels, Planes, Right, Segment, Shape, Start, Tile};

use super::grid::{Grid, scratch_slice};
use super::pack::{Panel, Weights, pack, panel_of};

/// Tiles that are transformed together: enough that the weights are rarely read, few enough for the L2 cache.
const TILES: usize = 48;

/// Padding between two positions, so that their addresses do not differ by a power of two and evict each other.
const GAP: usize = 16;

/// Whether tiles are faster than sums: below 32 channels, 16 with AVX2, the transforms cost what the products
/// save. Portable sums stay as they are, because recorded results depend on them. Depends on shapes and instructions alone, as
/// the order of sums does.
pub(super) fn is_faster(cpu: Cpu, kernel: usize, grid: Grid, channels: usize, columns: usize) -> bool {
    let min_channels = if cpu.name() == "avx2" { 16 } else { 32 };
    let wide = |count: usize| count >= min_channels && count.is_multiple_of(16);
    kernel == 3 && wide(channels) && wide(columns) && grid.width.is_multiple_of(2) && grid.height.is_multiple_of(2)
}

/// Packs transformed weights panel by panel, `[16, channels, stride]` each.
pub(super) fn pack_weights(weights: &Weights<'_>, cpu: Cpu) -> Vec<f32> {
    let steps = PLACES * weights.channels();
    pack(cpu, steps, weights.columns(), |panel, stride, to| pack_panel(weights, cpu, panel, stride, to))
}

/// Channels of weights that are transformed together: few enough for the L1 cache.
const CHANNELS: usize = 8;

/// Packs one panel of transformed weights, `[16, channels, stride]`.
pub(super) fn pack_panel(weights: &Weights<'_>, cpu: Cpu, panel: Panel, stride: usize, to: &mut [f32]) {
    let channels = weights.channels();
    let mut plain = vec![0.0; 9 * CHANNELS * stride];
    for first in (0..channels).step_by(CHANNELS) {
        let some = first..channels.min(first + CHANNELS);
        let count = some.len() * stride;
        weights.pack_channels(panel, stride, some, &mut plain);
        cpu.spread_weights(&plain, count, &mut to[first * stride..], channels * stride);
    }
}

/// Rows of an image as tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub cpu: Cpu,
    /// Tiles along a row.
    pub across: usize,
    /// Input channels.
    pub channels: usize,
}

/// Sixteen planes of some rows of tiles.
struct TilePlanes {
    place_stride: usize,
    channels: usize,
}

impl TilePlanes {
    fn new(tiles: usize, channels: usize) -> Self {
        Self { place_stride: tiles * channels + GAP, channels }
    }

    fn len(&self) -> usize {
        PLACES * self.place_stride
    }

    /// The planes, starting at a tile.
    fn planes(&self, tile: usize) -> Planes {
        Planes { first: tile * self.channels, place_stride: self.place_stride, tile_stride: self.channels }
    }
}

impl Tiles {
    /// Rows of tiles that are transformed together, of `rows`.
    fn at_once(&self, rows: usize) -> usize {
        let max_rows = (TILES / self.across).clamp(1, rows.max(1));
        rows.div_ceil(rows.div_ceil(max_rows))
    }

    fn padded_row(&self) -> usize {
        (2 * self.across + 2) * self.channels
    }

    /// Transforms the input of rows of tiles, starting at row `first`, `[2 rows + 2, W + 2, C]` in `input`, to `room`.
    fn spread(&self, input: &[f32], first: usize, rows: usize, room: &TilePlanes, planes: &mut [f32]) {
        for row in 0..rows {
            let from = Pixels {
                first: 2 * (first + row) * self.padded_row(),
                row_stride: self.padded_row(),
                column_stride: self.channels,
                channels: self.channels,
                tiles: self.across,
            };
            self.cpu.spread_input(from, input, room.planes(row * self.across), planes);
        }
    }

    /// The transformed tiles of some rows, from their padded input.
    pub fn spread_rows(&self, input: &[f32]) -> Vec<f32> {
        let rows = input.len() / self.padded_row() / 2 - 1;
        let room = TilePlanes::new(rows * self.across, self.channels);
        let mut planes = vec![0.0; room.len()];
        self.spread(input, 0, rows, &room, &mut planes);
        planes
    }

    /// Computes some panels of rows of the output, `[rows, W, columns]`, from their padded input. `packed` holds the panels'
    /// [`pack_panel`], and `bias` one number per column.
    pub fn product(
        &self,
        input: &[f32],
        packed: &[f32],
        panels: &[Panel],
        bias: Option<&[f32]>,
        out: &mut [f32],
        [inputs, outputs]: &mut [Vec<f32>; 2],
    ) {
        let columns: usize = panels.iter().map(|panel| panel.wide).sum();
        let row = 2 * self.across * columns;
        let rows = out.len() / (2 * row);
        let at_once = self.at_once(rows);
        for (chunk, out) in out.chunks_mut(2 * at_once * row).enumerate() {
            let rows = out.len() / (2 * row);
            let room = TilePlanes::new(rows * self.across, self.channels);
            let inputs = scratch_slice(inputs, room.len());
            self.spread(input, chunk * at_once, rows, &room, inputs);
            self.product_of(inputs, packed, panels, bias, out, outputs);
        }
    }

    /// [`Self::product`] of transformed tiles, all of whose rows are computed together.
    pub fn product_of(
        &self,
        spread: &[f32],
        packed: &[f32],
        panels: &[Panel],
        bias: Option<&[f32]>,
        out: &mut [f32],
        outputs: &mut Vec<f32>,
    ) {
        let columns: usize = panels.iter().map(|panel| panel.wide).sum();
        let row = 2 * self.across * columns;
        let rows = out.len() / (2 * row);
        let tiles = rows * self.across;
        let from = TilePlanes::new(tiles, self.channels);
        // Panel by panel, so that the sums of a panel are still in the cache when they are transformed back.
        for &panel in panels {
            let sums = TilePlanes::new(tiles, panel.wide);
            let outputs = scratch_slice(outputs, sums.len());
            let weights = panel_of(packed, self.cpu, PLACES * self.channels, panel);
            for position in 0..PLACES {
                let to = &mut outputs[position * sums.place_stride..];
                self.multiply(&from, spread, position, weights, panel, tiles, to);
            }
            for index in 0..rows {
                let to = Pixels {
                    first: 2 * index * row + panel.first,
                    row_stride: row,
                    column_stride: columns,
                    channels: panel.wide,
                    tiles: self.across,
                };
                let bias = bias.map(|bias| &bias[panel.first..]);
                self.cpu.gather_output(sums.planes(index * self.across), outputs, bias, to, out);
            }
        }
    }

    /// The products of one position and panel.
    #[allow(clippy::too_many_arguments, reason = "a matrix product has two factors, a result and their strides")]
    fn multiply(
        &self,
        spread: &TilePlanes,
        inputs: &[f32],
        position: usize,
        weights: &[f32],
        Panel { wide, vectors, .. }: Panel,
        tiles: usize,
        out: &mut [f32],
    ) {
        let stride = vectors * self.cpu.lanes();
        let left = Left { values: inputs, row_stride: self.channels, step_stride: 1 };
        let right = Right { values: weights, step_stride: stride };
        let shape = Shape { rows: tiles, vectors, columns: wide };
        let segment = Segment {
            left: position * spread.place_stride,
            right: position * self.channels * stride,
            length: self.channels,
        };
        let product = Tile::new(shape, left, right, std::slice::from_ref(&segment), Start::Zero);
        self.cpu.tile(&product, out, wide);
    }

    /// Adds rows to some panels of the gradient of transformed weights, `[16, C, stride]` each, given the padded input of the
    /// rows and the gradient of their output, `dz` `[rows, W, columns]`.
    pub fn add_weight_gradient(
        &self,
        input: &[f32],
        dz: &[f32],
        columns: usize,
        panels: &[Panel],
        [inputs, outputs]: &mut [Vec<f32>; 2],
        sums: &mut [Vec<f32>],
    ) {
        let row = 2 * self.across * columns;
        let rows = dz.len() / (2 * row);
        let at_once = self.at_once(rows);
        for first in (0..rows).step_by(at_once) {
            let rows = at_once.min(rows - first);
            let tiles = rows * self.across;
            let spread = TilePlanes::new(tiles, self.channels);
            let inputs = scratch_slice(inputs, spread.len());
            self.spread(input, first, rows, &spread, inputs);
            for (panel, sum) in panels.iter().zip(&mut *sums) {
                let stride = panel.vectors * self.cpu.lanes();
                let gradients = TilePlanes::new(tiles, stride);
                let outputs = scratch_slice(outputs, gradients.len());
                for index in 0..rows {
                    let from = Pixels {
                        first: 2 * (first + index) * row + panel.first,
                        row_stride: row,
                        column_stride: columns,
                        channels: panel.wide,
                        tiles: self.across,
                    };
                    self.cpu.spread_gradient(from, dz, gradients.planes(index * self.across), outputs);
                }
                let left = Left { values: inputs, row_stride: 1, step_stride: self.channels };
                let right = Right { values: outputs, step_stride: stride };
                let shape = Shape { rows: self.channels, vectors: panel.vectors, columns: stride };
                for (position, sum) in sum.chunks_exact_mut(self.channels * stride).enumerate() {
                    let segment = Segment {
                        left: position * spread.place_stride,
                        right: position * gradients.place_stride,
                        length: tiles,
                    };
                    let product = Tile::new(shape, left, right, std::slice::from_ref(&segment), Start::Output);
                    self.cpu.tile(&product, sum, stride);
                }
            }
        }
    }
}
