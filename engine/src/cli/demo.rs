//! `amlp demo`: runs the whole pipeline on the sample study.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::export::{read_attribution, write_card};
use super::progress::{self, Progress};
use super::{interruptible, print_json, print_line, use_threads};
use crate::Error;
use crate::demo::documents::documents;
use crate::demo::{DemoData, DemoOptions, DemoReport, MASKS, MODEL_RUN, demo};
use crate::device::{DeviceChoice, open};
use crate::disk::atomic::write_atomic;
use crate::disk::create_folder;
use crate::predict::ModelCard;
use crate::predict::{Choice, export_model};

pub const EXAMPLES: &str = "Examples:
  amlp demo
  amlp demo --out my-demo --seed 7

The output folder contains report.html, segmentations of the held-out patients, images, scores and three run \
folders. The folder model is the exported network for `amlp segment --model` or the viewer.";

#[derive(clap::Args)]
pub struct Args {
    /// Folder for the results [default: amlp-demo, or the first free amlp-demo-N].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder of the sample study [default: assets/sample of the sources or of the current folder].
    #[arg(long, value_name = "DIR")]
    sample: Option<PathBuf>,
    /// Seed of split, weights and training.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Number of pre-training steps.
    #[arg(long, value_name = "N", default_value_t = 120)]
    steps: usize,
    /// Number of steps of each fine-tuning run.
    #[arg(long, value_name = "N", default_value_t = 400)]
    fine_steps: usize,
    /// Device: auto, cpu, wgpu[:i] or cuda[:i].
    #[arg(long, value_name = "D", default_value = "auto")]
    device: DeviceChoice,
    /// CPU threads; 0: all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print the report as one JSON document.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    use_threads(args.threads)?;
    let control = interruptible()?;
    let compute = open(args.device)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => first_free("amlp-demo"),
    };
    refuse_used(&out)?;
    for folder in [out.clone(), out.join(MASKS[0]), out.join(MASKS[1])] {
        create_folder(&folder)?;
    }
    let sample = match &args.sample {
        Some(sample) => sample.clone(),
        None => sample_folder()?,
    };
    let Args { seed, steps, fine_steps, .. } = *args;
    let options = DemoOptions { sample, out: out.clone(), seed, steps, fine_steps };
    let started = Instant::now();
    let say = |line: &str| eprintln!("[{:>4.0} s] {line}", started.elapsed().as_secs_f64());
    let (report, data) = demo(&options, &compute, &mut Progress::new(), &control, &mut { say })?;
    write_documents(&out, &report, &data)?;
    let model = export_with_card(&out, args, &options.sample, &report)?;
    say("done");
    if args.json {
        return print_json(&report);
    }
    for line in table(&report) {
        print_line(&line)?;
    }
    print_line(&format!("Model: {}", model.display()))?;
    print_line(&format!(
        "Report: {} ({} in total). Research use, not a medical device.",
        out.join("report.html").display(),
        progress::duration(started.elapsed().as_secs_f64())
    ))
}

/// Exports the network that was fine-tuned after pre-training, with a model card.
fn export_with_card(out: &Path, args: &Args, sample: &Path, report: &DemoReport) -> anyhow::Result<PathBuf> {
    let model = out.join("model");
    let exported = export_model(&out.join(MODEL_RUN), Choice::Last, &model)?;
    let attribution = sample.join("ATTRIBUTION.md");
    let attribution = attribution.exists().then(|| read_attribution(&attribution)).transpose()?;
    let threads = rayon::current_num_threads();
    // The card names the device that was used and no local paths, so that the command gives the same network elsewhere.
    let device = report.device.split(' ').next().unwrap_or_default();
    let mut command = format!(
        "amlp demo --seed {} --steps {} --fine-steps {} --device {device} --threads {threads}",
        args.seed, args.steps, args.fine_steps
    );
    if let Some(name) = args.sample.as_deref().and_then(Path::file_name) {
        command += &format!(" --sample {}", name.to_string_lossy());
    }
    let card = ModelCard {
        exported: &exported,
        command: Some(&command),
        device: Some(&report.device),
        pretrained: &report.train,
        labelled: &report.labelled,
        test: &report.test,
        scores: report.methods.first(),
        attribution: attribution.as_deref(),
    };
    write_card(&model, &card)?;
    Ok(model)
}

/// Refuses to write into a folder that is not empty.
fn refuse_used(out: &Path) -> anyhow::Result<()> {
    let used = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if used { Err(Error::file(out, "is not empty. Choose another folder with --out").into()) } else { Ok(()) }
}

fn first_free(name: &str) -> PathBuf {
    let numbered = (2..).map(|n| PathBuf::from(format!("{name}-{n}")));
    std::iter::once(PathBuf::from(name)).chain(numbered).find(|path| !path.exists()).unwrap_or_default()
}

/// A text table of the DSC of each held-out patient and method, with mean and standard deviation.
fn table(report: &DemoReport) -> Vec<String> {
    let mut lines = vec![format!("{:32}", "DSC")];
    for case in report.methods.first().map_or(&[][..], |m| &m.cases) {
        lines[0] += &format!(" {:>9}", case.case);
    }
    lines[0] += "      mean (SD)";
    for method in &report.methods {
        let mut line = format!("{:32}", method.name);
        for case in &method.cases {
            line += &format!(" {:>9.3}", case.dsc);
        }
        lines.push(format!("{line}  {:.3} ({:.3})", method.mean_dsc, method.sd_dsc));
    }
    lines.extend(report.verdict.iter().cloned());
    lines
}

/// Writes the figures, the tables and `report.html`.
fn write_documents(out: &Path, report: &DemoReport, data: &DemoData) -> anyhow::Result<()> {
    for (name, bytes) in documents(report, data)? {
        let path = out.join(name);
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        write_atomic(&path, &bytes)?;
    }
    Ok(())
}

/// The folder of the sample study: next to the sources of this program, or below the working folder.
fn sample_folder() -> crate::Result<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample");
    let candidates = [built, PathBuf::from("assets/sample")];
    candidates.into_iter().find(|path| path.is_dir()).ok_or_else(|| {
        Error::config(
            "sample",
            "assets/sample",
            "not found next to the sources or in the current folder. Give its path with --sample",
        )
    })
}
