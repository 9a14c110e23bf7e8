//! Segmentation of a whole scan with a fine-tuned network, mapped back to the source grid.

mod export;
mod model_card;
mod progress;

pub use export::{ExportedModel, export_model};
pub use model_card::ModelCard;
pub use progress::{LabelBox, Progress};

use std::ops::Range;
use std::path::Path;

use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::device::Compute;
use crate::disk::atomic::sha256;
use crate::event::{Control, Stage};
use crate::model::{Norm, PackedUNet, UNet, UNetConfig, read_finite, record};
use crate::preprocess::{CtOffset, CtReader, Kind, PreparedCase, check_ct, prepare};
use crate::run::RunFolder;
use crate::run::checkpoint::{self, Slot};
use crate::trainer::WEIGHTS;
use crate::volume::{LabelVolume, Volume};
use crate::words::plural;
use crate::{Error, Result};

/// Largest batch of slices.
const BATCH: usize = 8;
/// Larger slices are divided into tiles of this side, in pixels.
const TILE: usize = 512;
/// Margin of a tile whose output is discarded, in pixels: its receptive field is cut off at the tile's edge.
const OVERLAP: usize = 64;

/// Selects a checkpoint of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The last one.
    #[default]
    Last,
    /// The best one by validation.
    Best,
}

impl Choice {
    /// The checkpoint slot.
    pub(crate) fn slot(self) -> Slot {
        match self {
            Self::Last => Slot::Last,
            Self::Best => Slot::Best,
        }
    }

    /// Checkpoint slots to try, in order.
    pub(crate) fn slots(self) -> &'static [Slot] {
        match self {
            Self::Last => &[Slot::Last, Slot::Previous],
            Self::Best => &[Slot::Best],
        }
    }
}

/// Opens a fine-tuning run and reads its configuration.
pub(crate) fn open_finetuned(run: &Path) -> Result<(RunFolder, Config)> {
    let run = RunFolder::open(run)?;
    let config = Config::from_toml(&run.config_text()?, &run.config_path())?;
    if config.stage != Stage::Finetune {
        return Err(Error::config("model", run.root().display(), "is a pre-training run. Fine-tune it first"));
    }
    Ok((run, config))
}

/// Shape of a segmentation network: one input channel per modality, one output channel per region.
pub fn network_config(config: &Config) -> UNetConfig {
    UNetConfig {
        in_channels: config.data.modality.len(),
        out_channels: config.data.targets.count(),
        ..config.network.clone()
    }
}

/// A fine-tuned network, loaded for segmentation. It computes the box around the tissue of each slice; elsewhere, the
/// probability is 0.
pub struct Segmenter {
    network: PackedUNet,
    device: Device,
    config: Config,
    /// Batch size in slices.
    at_once: usize,
    warnings: Vec<String>,
    digest: String,
}

/// Called with the number of slices done, the total, and the probability fields so far.
type FieldCallback<'a> = dyn FnMut(usize, usize, &[Vec<f32>]) + 'a;

/// Segmentation of a scan, on its source grid.
pub struct Segmentation {
    /// Probability of each region, in file order.
    pub probability: Vec<Vec<f32>>,
    /// Labels where the probability is at least 0.5.
    pub label: LabelVolume,
}

impl Segmenter {
    /// Loads the network of a fine-tuning run.
    pub fn load(run: &Path, choice: Choice, compute: &Compute) -> Result<Self> {
        let (run, config) = open_finetuned(run)?;
        let weights = checkpoint::load_part(&run, choice.slots(), WEIGHTS)?;
        let fresh = network_config(&config).init(0, &compute.device);
        let network = record::from_bytes(fresh, &weights.content)?;
        let text =
            format!("{} {} {}", env!("CARGO_PKG_VERSION"), sha256(&weights.content), config.portable().to_toml()?);
        let (device, digest) = (compute.device.clone(), sha256(text.as_bytes()));
        Ok(Self { network: network.pack(), device, config, at_once: BATCH, warnings: weights.warnings, digest })
    }

    /// Wraps a network during training, in its current state.
    pub fn of_network(config: &Config, network: &UNet, compute: &Compute) -> Self {
        let (device, config) = (compute.device.clone(), config.clone());
        Self { network: network.pack(), device, config, at_once: BATCH, warnings: Vec::new(), digest: String::new() }
    }

    /// Limits the batch to `limit` slices; 0 sets no limit.
    pub(crate) fn at_most(self, limit: usize) -> Self {
        if limit == 0 { self } else { Self { at_once: limit.min(self.at_once), ..self } }
    }

    /// Adds `hu` to a CT whose values cannot be Hounsfield units, instead of the run's own offset.
    pub(crate) fn with_ct_offset(mut self, hu: f64) -> Self {
        self.config.preprocess.ct_offset = CtOffset::Hu(hu);
        self
    }

    /// SHA-256 over the weights, the settings and the program version, which together determine the segmentation. Empty
    /// for a network during training.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Reasons why an older checkpoint was loaded instead of the last one, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The run's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Segments a scan. `images` are its channels in the order of the run's modalities. `progress` is called after every
    /// batch of slices, from feet to head, and can request the labels completed so far.
    ///
    /// # Errors
    /// If the number of images differs from the run's, preprocessing fails, the network's output is not finite, or
    /// `control` cancels.
    pub fn segment(
        &self,
        images: &[Volume],
        progress: &mut dyn FnMut(Progress<'_>),
        control: &Control,
    ) -> Result<Segmentation> {
        let modalities = &self.config.data.modality;
        if images.len() != modalities.len() {
            let why =
                format!("the model needs {} ({})", plural(modalities.len(), "image", "images"), modalities.join(", "));
            return Err(Error::config("input", plural(images.len(), "image", "images"), why));
        }
        let choice = self.config.preprocess.kind;
        let kinds: Vec<Kind> =
            images.iter().zip(modalities).map(|(image, modality)| Kind::of(modality, image, choice)).collect();
        for ((image, &kind), modality) in images.iter().zip(&kinds).zip(modalities) {
            check_ct(image, kind, &self.config.preprocess, modality, CtReader::Model)?;
        }
        let (seed, targets) = (self.config.seed, self.config.data.targets);
        let prepared = prepare(images, &kinds, None, &targets, &self.config.preprocess, seed)?;
        let (plan, labels) = (&prepared.plan, targets.written(&self.config.preprocess.label_map));
        let mut report = |done, total, fields: &[Vec<f32>]| progress(Progress::new(done, total, plan, fields, &labels));
        let fields = self.fields(&prepared, &mut report, control)?;
        let probability: Vec<Vec<f32>> = fields.iter().map(|field| plan.restore(field)).collect::<Result<_>>()?;
        let grid = images.first().map_or_else(|| plan.source_grid(), |image| image.grid.clone());
        let label = LabelVolume::new(grid, mask(&probability, &labels))?;
        Ok(Segmentation { probability, label })
    }

    /// Probability of each region on the prepared grid, slice-major. `progress(done, total)` counts slices.
    pub fn probability(
        &self,
        prepared: &PreparedCase,
        progress: &mut dyn FnMut(usize, usize),
        control: &Control,
    ) -> Result<Vec<Vec<f32>>> {
        self.fields(prepared, &mut |done, total, _| progress(done, total), control)
    }

    /// As [`Segmenter::probability`], but the callback also receives the fields. Their finished slices are final.
    fn fields(
        &self,
        prepared: &PreparedCase,
        report: &mut FieldCallback<'_>,
        control: &Control,
    ) -> Result<Vec<Vec<f32>>> {
        let [nx, ny, nz] = prepared.shape;
        let regions = self.config.data.targets.count();
        let mut out = vec![vec![0.0f32; nx * ny * nz]; regions];
        let slices = self.tiled_slices(prepared);
        let end = slices.last().map_or(0, |slice| slice.k + 1);
        // Slices of a batch have the same input shape, so a slice's probability does not depend on its batch.
        let batches = slices.chunk_by(TiledSlice::same_shape).flat_map(|run| run.chunks(self.at_once));
        for batch in batches {
            // While paused, the finished slices stay in memory.
            control.pass()?;
            for (row, column) in batch[0].tiles() {
                let values = self.tile(prepared, batch, [row, column])?;
                for (b, slice) in batch.iter().enumerate() {
                    let (row, column) = (&slice.rows[row], &slice.columns[column]);
                    for (region, out) in out.iter_mut().enumerate() {
                        let tile = &values[(b * regions + region) * row.side * column.side..];
                        for i in row.keep.clone() {
                            let from = (i as i64 - row.origin) as usize * column.side;
                            let from = from + (column.keep.start as i64 - column.origin) as usize;
                            let to = (slice.k * nx + i) * ny;
                            out[to + column.keep.start..to + column.keep.end]
                                .copy_from_slice(&tile[from..from + column.keep.len()]);
                        }
                    }
                }
            }
            let done = batch.last().map(|slice| slice.k + 1);
            report(done.filter(|&done| done < end).unwrap_or(nz), nz, &out);
        }
        Ok(out)
    }

    /// The slices with tissue, and what is computed of each: the box around its tissue, with a margin of a cell of the
    /// coarsest level, so that the edge of the network's input stays clear of tissue. A normalisation of each image depends on
    /// the whole input, which therefore stays the same for all slices: the box around the tissue of the scan.
    fn tiled_slices(&self, prepared: &PreparedCase) -> Vec<TiledSlice> {
        let margin = self.config.network.multiple();
        let [scan_rows, scan_columns, _] = prepared.plan.region_box.map(|[low, high]| low..high);
        let tiles = |range: Range<usize>, length: usize| {
            tiles(range.start.saturating_sub(margin)..(range.end + margin).min(length), margin)
        };
        let [nx, ny, nz] = prepared.shape;
        (0..nz)
            .filter_map(|k| {
                let [rows, columns] = match (prepared.tissue_box(k)?, self.config.network.norm) {
                    (_, Norm::Instance) => [scan_rows.clone(), scan_columns.clone()],
                    (own, Norm::Batch | Norm::None) => own,
                };
                Some(TiledSlice { k, rows: tiles(rows, nx), columns: tiles(columns, ny) })
            })
            .collect()
    }

    /// Probabilities of one tile of each slice, by its row and column of tiles: `[slices][R][row.side][column.side]`.
    fn tile(&self, prepared: &PreparedCase, slices: &[TiledSlice], [row, column]: [usize; 2]) -> Result<Vec<f32>> {
        let (mut pixels, mut side) = (Vec::new(), [0; 2]);
        for slice in slices {
            let (row, column) = (&slice.rows[row], &slice.columns[column]);
            side = [row.side, column.side];
            pixels.extend(prepared.frame(slice.k, [row.origin, column.origin], side).0);
        }
        let shape = [slices.len(), prepared.channels.len(), side[0], side[1]];
        let input = Tensor::<4>::from_data(TensorData::new(pixels, shape), &self.device);
        read_finite(sigmoid(self.network.forward(input)), "segmentation")
    }
}

/// The tiles of slice `k` along its rows and columns.
struct TiledSlice {
    k: usize,
    rows: Vec<Tile>,
    columns: Vec<Tile>,
}

impl TiledSlice {
    /// Indices of row and column of every tile.
    fn tiles(&self) -> impl Iterator<Item = (usize, usize)> {
        let columns = self.columns.len();
        (0..self.rows.len() * columns).map(move |at| (at / columns, at % columns))
    }

    /// Whether both slices have the same number of tiles, of the same size.
    fn same_shape(&self, other: &Self) -> bool {
        let sides = |tiles: &[Tile]| tiles.iter().map(|tile| tile.side).collect::<Vec<_>>();
        sides(&self.rows) == sides(&other.rows) && sides(&self.columns) == sides(&other.columns)
    }
}

/// A tile along one axis: the network's input (`origin`, `side`) and the range of the axis its output is used for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tile {
    origin: i64,
    side: usize,
    keep: Range<usize>,
}

/// Covers a range of an axis with one tile, padded evenly to `multiple`, or with several overlapping ones.
fn tiles(range: Range<usize>, multiple: usize) -> Vec<Tile> {
    let (length, first) = (range.len(), range.start as i64);
    let side = length.div_ceil(multiple).max(1) * multiple;
    if side <= TILE.next_multiple_of(multiple) {
        return vec![Tile { origin: first - ((side - length) / 2) as i64, side, keep: range }];
    }
    let side = TILE.next_multiple_of(multiple);
    let inner = side - 2 * OVERLAP;
    range
        .clone()
        .step_by(inner)
        .map(|start| Tile { origin: start as i64 - OVERLAP as i64, side, keep: start..(start + inner).min(range.end) })
        .collect()
}

/// Labels at a threshold of 0.5: in each voxel that of the innermost region. `labels` has one value per region.
fn mask(probability: &[Vec<f32>], labels: &[u8]) -> Vec<u8> {
    let voxels = probability.first().map_or(0, Vec::len);
    let mut mask = vec![0u8; voxels];
    for (region, &label) in probability.iter().zip(labels) {
        for (mask, p) in mask.iter_mut().zip(region) {
            if *p >= 0.5 {
                *mask = label;
            }
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_keep_every_voxel_once_within_their_input() {
        for (first, length) in [1, 15, 16, 17, 240, 512, 513, 1000, 1537].into_iter().flat_map(|n| [(0, n), (37, n)]) {
            let tiles = tiles(first..first + length, 16);
            let mut next = first;
            for tile in &tiles {
                assert_eq!(tile.keep.start, next);
                next = tile.keep.end;
                assert_eq!(tile.side % 16, 0);
                assert!(tile.origin <= tile.keep.start as i64);
                assert!(tile.keep.end as i64 <= tile.origin + tile.side as i64);
            }
            assert_eq!(next, first + length);
        }
    }

    #[test]
    fn nested_regions_become_brats_labels() {
        let p = vec![vec![0.9, 0.9, 0.9, 0.1], vec![0.1, 0.9, 0.9, 0.1], vec![0.1, 0.1, 0.9, 0.1]];
        assert_eq!(mask(&p, &[2, 1, 4]), [2, 1, 4, 0]);
        assert_eq!(mask(&p[..1], &[1]), [1, 1, 1, 0]);
    }
}
