//! `amlp bench`: time and memory of a training step and of inference.

use super::training::parse_word;
use super::{print_json, print_line, use_threads};
use crate::bench::{Options, Report, bench};
use crate::device::DeviceList;
use crate::model::{Norm, Precision};
use crate::words::plural;

pub const EXAMPLES: &str = "Examples:
  amlp bench
  amlp bench --device cuda --width 64 --size 160 --batch 36 --dtype bf16 --json
  amlp bench --device wgpu:0 --width 16 --batch 8 --runs 5
  amlp bench --device cpu --threads 1
  amlp bench --preset simmim

A training step is one pre-training step of the preset on synthetic slices: batch, losses, backward pass, AdamW and \
the update of the method. Inference uses the same batch size. Two warm-up runs are not counted.

--dtype applies to the convolutions only; weights, losses and optimiser stay in f32. A dtype that the device does not \
support is an error.";

#[derive(clap::Args)]
pub struct Args {
    /// Pre-training preset to measure.
    #[arg(long, value_name = "NAME", default_value = "amlp")]
    preset: String,
    /// Device: auto, cpu, wgpu[:i] or cuda[:i]. Devices separated by commas share each batch.
    #[arg(long, value_name = "D", default_value = "auto")]
    device: DeviceList,
    /// Channels of the network's first level.
    #[arg(long, value_name = "N", default_value_t = 16)]
    width: usize,
    /// Number of poolings in the network.
    #[arg(long, value_name = "N", default_value_t = 4)]
    depth: usize,
    /// Normalisation: batch, instance or none.
    #[arg(long, value_name = "NAME", default_value = "batch", value_parser = parse_word::<Norm>)]
    norm: Norm,
    /// Side of a slice in pixels.
    #[arg(long, value_name = "PX", default_value_t = 160)]
    size: usize,
    /// Slices per step.
    #[arg(long, value_name = "N", default_value_t = 4)]
    batch: usize,
    /// Slices per forward pass, with gradient accumulation over the batch; 0: the whole batch.
    #[arg(long, value_name = "N", default_value_t = 0)]
    micro_batch: usize,
    /// Precision of the convolutions: f32, bf16 or f16.
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = parse_word::<Precision>)]
    dtype: Precision,
    /// Number of timed runs.
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// CPU threads; 0: all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    use_threads(args.threads)?;
    let report = bench(&Options {
        preset: args.preset.clone(),
        device: args.device.clone(),
        width: args.width,
        depth: args.depth,
        norm: args.norm,
        size: args.size,
        batch: args.batch,
        micro_batch: args.micro_batch,
        dtype: args.dtype,
        runs: args.runs,
    })?;
    if args.json {
        return print_json(&report);
    }
    table(&report).iter().try_for_each(|line| print_line(line))
}

fn table(r: &Report) -> Vec<String> {
    let row =
        |what: &str, min: String, median: String, rate: String| format!("{what:<26} {min:>10} {median:>10} {rate:>10}");
    let ms = |value: f64| format!("{value:.1}");
    let phase = |what: &str, value: f64| row(what, String::new(), ms(value), String::new());
    let mut lines = vec![
        format!("{} ({}), {}", r.device, r.device_name, plural(r.threads, "thread", "threads")),
        format!(
            "{}: U-Net of width {}, depth {}, {:.2} M weights; {}x{} pixels, batch {} ({} at once), {}; {}",
            r.preset,
            r.width,
            r.depth,
            r.parameters as f64 / 1e6,
            r.size,
            r.size,
            r.batch,
            r.at_once,
            r.dtype.name(),
            plural(r.runs, "run", "runs")
        ),
        row("", "min, ms".into(), "median, ms".into(), "slices/s".into()),
        row("training step", ms(r.train_ms_min), ms(r.train_ms_median), ms(r.train_img_s)),
    ];
    if let Some(p) = &r.phases {
        lines.extend([
            phase("  data and masks", p.data_ms),
            phase("  forward", p.forward_ms),
            phase("  losses", p.losses_ms),
            phase("  backward", p.backward_ms),
            phase("  optimiser", p.optimiser_ms),
        ]);
    }
    lines.extend([
        row("inference", ms(r.infer_ms_min), ms(r.infer_ms_median), ms(r.infer_img_s)),
        r.peak_memory_mib.map_or_else(|| "peak memory unknown".into(), |mib| format!("peak memory {mib} MiB")),
    ]);
    lines
}
