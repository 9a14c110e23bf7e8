//! Creates the sample study `assets/sample` from the sts cohort.
//!
//! The scans of that cohort are cropped to 5 cm around the tumour, so that the centre of the scan alone predicts the tumour.
//! This program crops each patient again, with a random margin of 1 to 5 cm on each of the six sides.
//!
//! `cargo run -p engine --example make_sample -- ../shared/data/sts assets/sample --seed 20 --patients 14 --ct 6`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use engine::cohort::{Case, Cohort};
use engine::disk::atomic::write_atomic;
use engine::seed;
use engine::volume::nifti::write_volume;
use engine::volume::{Grid, LabelVolume, Volume, VoxelData, crop};
use rand::RngExt;
use rand::seq::SliceRandom;

/// Size limit of all files together, in bytes.
const BUDGET_BYTES: u64 = 16 << 20;

/// Margins around the tumour, in mm.
const MARGIN_MM: std::ops::RangeInclusive<f64> = 10.0..=50.0;

/// Create the sample study: some patients, cropped asymmetrically around their tumours
#[derive(Parser)]
struct Args {
    /// The sts cohort: <patient>/ct.nii.gz, pet.nii.gz, seg.nii.gz
    source: PathBuf,
    /// Output folder; must not exist or be empty
    out: PathBuf,
    /// Seed for the choice of patients and their margins
    #[arg(long, default_value_t = 20)]
    seed: u64,
    /// Number of patients, all with PET and mask
    #[arg(long, default_value_t = 14)]
    patients: usize,
    /// Number of patients that also have a CT
    #[arg(long, default_value_t = 6)]
    ct: usize,
}

#[allow(clippy::print_stdout, reason = "a program of the command line")]
fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(args.ct <= args.patients, "--ct {}: more than the {} patients", args.ct, args.patients);
    if std::fs::read_dir(&args.out).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{}: not empty", args.out.display());
    }
    let cohort = Cohort::discover(&args.source)?;
    let mut candidates: Vec<&Case> = cohort.cases.iter().filter(|case| is_complete(case)).collect();
    ensure!(candidates.len() >= args.patients, "only {} patients have CT, PET and mask", candidates.len());
    candidates.shuffle(&mut seed::stream(args.seed, "sample: patients", &[]));
    candidates.truncate(args.patients);
    let mut total = 0;
    for (place, case) in candidates.iter().enumerate() {
        let modalities: &[&str] = if place < args.ct { &["pet", "ct"] } else { &["pet"] };
        let bytes = write_patient(case, modalities, &args)?;
        println!("{}: {} and mask, {} KiB", case.id, modalities.join(", "), bytes >> 10);
        total += bytes;
    }
    let ids: Vec<&str> = candidates.iter().map(|case| case.id.as_str()).collect();
    write_atomic(&args.out.join("ATTRIBUTION.md"), attribution(&args, &ids).as_bytes())?;
    println!("{} patients, {:.1} MiB", candidates.len(), total as f64 / f64::from(1 << 20));
    ensure!(total <= BUDGET_BYTES, "{total} bytes are more than {BUDGET_BYTES}: fewer patients or fewer CTs");
    Ok(())
}

fn is_complete(case: &Case) -> bool {
    ["ct", "pet"].iter().all(|modality| case.images.contains_key(*modality)) && !case.masks.is_empty()
}

/// Crops and writes a patient's files and returns their size in bytes.
fn write_patient(case: &Case, modalities: &[&str], args: &Args) -> anyhow::Result<u64> {
    let label = case.masks.first().context("no mask")?;
    let mask = LabelVolume::read(label)?;
    let (origin, shape) = margins(&case.id, &mask, args.seed).with_context(|| format!("{}", label.display()))?;
    let folder = args.out.join(&case.id);
    std::fs::create_dir_all(&folder)?;
    let images = modalities.iter().filter_map(|m| Some((*m, &case.images.get(*m)?.path)));
    let mut bytes = 0;
    for (name, path) in images.chain([("seg", label)]) {
        let volume = Volume::read(path)?;
        ensure!(volume.grid.shape == mask.grid.shape, "{}: not on the mask's grid", path.display());
        bytes += write_small(&folder.join(format!("{name}.nii.gz")), &cropped(&volume, origin, shape)?)?;
    }
    Ok(bytes)
}

/// The bounding box of all labels with a random margin of 1 to 5 cm on each side, clipped to the scan.
fn margins(id: &str, mask: &LabelVolume, seed: u64) -> anyhow::Result<([i64; 3], [usize; 3])> {
    let Grid { shape, .. } = mask.grid;
    let (mut low, mut high) = (shape, [0; 3]);
    for at in (0..mask.len()).filter(|&at| mask.get(at) != 0) {
        let voxel = [at % shape[0], at / shape[0] % shape[1], at / (shape[0] * shape[1])];
        for a in 0..3 {
            low[a] = low[a].min(voxel[a]);
            high[a] = high[a].max(voxel[a] + 1);
        }
    }
    ensure!(high[0] > 0, "the mask is empty");
    let mut stream = seed::stream(seed, &format!("sample: margins of {id}"), &[]);
    let spacing = mask.grid.spacing_mm();
    let (mut origin, mut size) = ([0; 3], [0; 3]);
    for a in 0..3 {
        let [below, above] = [(); 2].map(|()| (stream.random_range(MARGIN_MM) / spacing[a]).round() as usize);
        let first = low[a].saturating_sub(below);
        origin[a] = first as i64;
        size[a] = (high[a] + above).min(shape[a]) - first;
    }
    Ok((origin, size))
}

/// A box of a volume, with unchanged voxel type and scaling.
fn cropped(volume: &Volume, origin: [i64; 3], shape: [usize; 3]) -> anyhow::Result<Volume> {
    let from = volume.grid.shape;
    let data = match &volume.data {
        VoxelData::U8(v) => VoxelData::U8(crop(v, from, origin, shape, 0)),
        VoxelData::I16(v) => VoxelData::I16(crop(v, from, origin, shape, 0)),
        VoxelData::U16(v) => VoxelData::U16(crop(v, from, origin, shape, 0)),
        other => bail!("voxels of type {} are not expected in this cohort", other.type_name()),
    };
    Ok(Volume { grid: volume.grid.cropped(origin, shape), data, warnings: Vec::new(), ..volume.clone() })
}

/// Writes a volume with maximum compression and returns the file size in bytes.
fn write_small(path: &Path, volume: &Volume) -> anyhow::Result<u64> {
    let plain = path.with_extension("").with_extension("nii");
    write_volume(&plain, volume)?;
    let bytes = std::fs::read(&plain)?;
    std::fs::remove_file(&plain)?;
    // The gzip header holds neither time nor name, so that the same seed gives the same files.
    let mut gzip = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    gzip.write_all(&bytes)?;
    let small = gzip.finish()?;
    write_atomic(path, &small)?;
    Ok(small.len() as u64)
}

fn attribution(args: &Args, ids: &[&str]) -> String {
    let Args { seed, patients, ct, .. } = args;
    let (mut sorted, with_ct) = (ids.to_vec(), ids[..*ct].join(", "));
    sorted.sort_unstable();
    format!(
        "# Sample study: where it comes from

{patients} patients with soft-tissue sarcoma: FDG-PET (`pet.nii.gz`, SUV), gross tumour volume (`seg.nii.gz`), and for some CT
(`ct.nii.gz`, HU). Licence of everything in this folder: Creative Commons Attribution 3.0 Unported (CC BY 3.0,
<https://creativecommons.org/licenses/by/3.0/>). It is not covered by the licence of the program.

- Source: The Cancer Imaging Archive, collection Soft-tissue-Sarcoma, <https://doi.org/10.7937/K9/TCIA.2015.7GO2GSKS>:
  M. Vallieres, C. R. Freeman, S. R. Skamene, I. El Naqa: A radiomics model from joint FDG-PET and MRI texture features for
  the prediction of lung metastases in soft-tissue sarcomas of the extremities. Physics in Medicine and Biology 60 (2015)
  5471-5496, <https://doi.org/10.1088/0031-9155/60/14/5471>.
- As prepared for the validation set of the Image Biomarker Standardisation Initiative (IBSI) by A. Zwanenburg with MIRP.
- Earlier changes: cropped to 5 cm around the tumour, resampled to 2 x 2 x 3 mm, re-quantised (PET to 0.001 SUV as unsigned
  16-bit integers, CT to whole HU).
- Changes made here: a selection of patients, and a further crop with random margins of 1 to 5 cm around the tumour, drawn
  separately for each side (less where the scan ends), so that the tumour's position in the scan reveals little. Voxel values
  are unchanged. Made with
  `cargo run -p engine --example make_sample -- <source> assets/sample --seed {seed} --patients {patients} --ct {ct}`

Patients: {}.
With CT: {with_ct}.

For research and testing of software only; not for clinical use.
",
        sorted.join(", ")
    )
}
