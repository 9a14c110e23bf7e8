//! Packing the right factor of a matrix product into panels of one or two vectors of columns, in the inner loop's order.

use std::ops::Range;
use std::sync::OnceLock;

use lanes::Cpu;
use rayon::prelude::*;

/// Columns processed together by the inner loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    /// First column.
    pub first: usize,
    /// Number of columns.
    pub wide: usize,
    /// Number of vectors that hold them, 1 or 2.
    pub vectors: usize,
}

/// Divides the columns of a product into panels.
pub(super) fn panels(cpu: Cpu, columns: usize) -> Vec<Panel> {
    let lanes = cpu.lanes();
    let mut panels = Vec::new();
    let mut first = 0;
    while first < columns {
        let vectors = if columns - first > lanes { 2 } else { 1 };
        let wide = (columns - first).min(vectors * lanes);
        panels.push(Panel { first, wide, vectors });
        first += wide;
    }
    panels
}

/// Packs a right factor `steps x columns` panel by panel, padded with zero columns. `fill(panel, stride, to)` writes the columns
/// of one panel to `[steps, stride]`.
pub(super) fn pack(cpu: Cpu, steps: usize, columns: usize, fill: impl Fn(Panel, usize, &mut [f32]) + Sync) -> Vec<f32> {
    let panels = panels(cpu, columns);
    let total: usize = panels.iter().map(|p| p.vectors * cpu.lanes() * steps).sum();
    let mut packed = vec![0.0; total];
    let full = (2 * cpu.lanes() * steps).max(1);
    packed.par_chunks_mut(full).zip(panels).for_each(|(to, panel)| fill(panel, panel.vectors * cpu.lanes(), to));
    packed
}

/// One panel of a packed factor.
pub(super) fn panel_of(packed: &[f32], cpu: Cpu, steps: usize, panel: Panel) -> &[f32] {
    &packed[panel.first * steps..][..steps * panel.vectors * cpu.lanes()]
}

/// Convolution weights `[out, in, k, k]` as the right factor of a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'a> {
    /// Values in burn's order.
    pub values: &'a [f32],
    /// Output channels.
    pub output: usize,
    /// Input channels.
    pub input: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Set for the gradient of the input: first index and number of the input channels. The kernel is then mirrored, and input
    /// and output are swapped.
    pub input_range: Option<(usize, usize)>,
    /// Cache of the packed weights, for weights that do not change.
    pub cache: Option<&'a PackedCache>,
}

/// Cache of packed weights.
#[derive(Debug, Default)]
pub(super) struct PackedCache {
    /// For sums and for Winograd's tiles. Which of them a call reads depends on the size of its image.
    packed: [OnceLock<Vec<f32>>; 2],
}

impl PackedCache {
    /// The packed weights, for tiles or for sums. `pack` packs them on the first call.
    pub fn get(&self, tiles: bool, pack: impl FnOnce() -> Vec<f32>) -> &[f32] {
        let cell = &self.packed[usize::from(tiles)];
        if let Some(packed) = cell.get() {
            return packed;
        }
        // Not inside `get_or_init`: packing uses the thread pool, where this thread may begin another forward pass of the same
        // network while it waits.
        let packed = pack();
        cell.get_or_init(|| packed)
    }
}

impl Weights<'_> {
    /// Columns of the product.
    pub fn columns(&self) -> usize {
        self.input_range.map_or(self.output, |(_, count)| count)
    }

    /// Number of terms of each sum.
    pub fn steps(&self) -> usize {
        self.kernel * self.kernel * self.channels()
    }

    /// Channels that the product sums over.
    pub fn channels(&self) -> usize {
        if self.input_range.is_some() { self.output } else { self.input }
    }

    /// Packs all panels.
    pub fn pack(&self, cpu: Cpu) -> Vec<f32> {
        pack(cpu, self.steps(), self.columns(), |panel, stride, to| self.pack_panel(panel, stride, to))
    }

    /// Packs the gradient of a single input channel with the positions of the kernel as columns, `[channels, stride]`.
    pub fn pack_positions(&self, cpu: Cpu) -> Vec<f32> {
        let (area, first) = (self.kernel * self.kernel, self.input_range.map_or(0, |(first, _)| first));
        pack(cpu, self.channels(), area, |_, stride, to| {
            for (channel, to) in to.chunks_exact_mut(stride).enumerate() {
                let window = &self.values[(channel * self.input + first) * area..][..area];
                to.iter_mut().zip(window.iter().rev()).for_each(|(to, weight)| *to = *weight);
            }
        })
    }

    /// Packs one panel, `[k, k, channels, stride]`.
    pub fn pack_panel(&self, panel: Panel, stride: usize, to: &mut [f32]) {
        self.pack_channels(panel, stride, 0..self.channels(), to);
    }

    /// Packs some channels of a panel, `[k, k, channels, stride]`.
    pub fn pack_channels(
        &self,
        Panel { first, wide, .. }: Panel,
        stride: usize,
        channels: Range<usize>,
        to: &mut [f32],
    ) {
        let (area, input) = (self.kernel * self.kernel, self.input);
        let count = channels.len();
        // Whole rows and a few channels at a time: addresses of adjacent kernel positions are often a power of two apart and
        // would evict each other from the cache.
        if let Some((start, _)) = self.input_range {
            for (c, channel) in channels.enumerate() {
                let windows = &self.values[(channel * input + start + first) * area..][..wide * area];
                for index in 0..area {
                    let to = &mut to[((area - 1 - index) * count + c) * stride..][..wide];
                    for (to, window) in to.iter_mut().zip(windows.chunks_exact(area)) {
                        *to = window[index];
                    }
                }
            }
            return;
        }
        for c in (0..count).step_by(16) {
            let some = 16.min(count - c);
            for index in 0..area {
                let to = &mut to[(index * count + c) * stride..][..some * stride];
                for column in 0..wide {
                    let windows = &self.values[((first + column) * input + channels.start + c) * area..][..some * area];
                    for (to, window) in to.chunks_exact_mut(stride).zip(windows.chunks_exact(area)) {
                        to[column] = window[index];
                    }
                }
            }
        }
    }
}
