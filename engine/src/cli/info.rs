//! `amlp info`: prints the format, grid, type and values of a volume.

mod segments;
mod series;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Value, json};

use crate::preprocess::{CtReader, Kind, KindChoice};
use crate::volume::dicom;
use crate::volume::{Background, Frames, ReadOptions, Scale, Volume, VoxelData, ct_doubt};
use crate::words::plural;
use crate::{Error, Result};

pub const EXAMPLES: &str = "\
Examples:
  amlp info scan.nii.gz
  amlp info scan.nii.gz --voxel 120,110,70 --voxel 0,0,0
  amlp info series.nii --frame 3 --json
  amlp info STUDY                        (lists the series of a DICOM study)
  amlp info STUDY --series 3 --json";

#[derive(clap::Args, Debug)]
pub struct Args {
    /// NIfTI (.nii, .nii.gz, or either file of a .hdr/.img pair) or DICOM (a file, folder, zip archive or DICOMDIR, whose
    /// series are listed).
    pub file: PathBuf,
    /// Show this series of a DICOM study, by number or UID. 3:2 is the second volume of series 3.
    #[arg(long, value_name = "N|UID")]
    pub series: Option<String>,
    /// Print the value of this voxel, counted from 0 in file order. I,J,K,T selects a frame. Repeatable.
    #[arg(long, value_name = "I,J,K", allow_hyphen_values = true)]
    pub voxel: Vec<VoxelIndex>,
    /// Read only this frame, counted from 0 [default: all frames].
    #[arg(long, value_name = "N")]
    pub frame: Option<usize>,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Voxel indices from the command line: `i,j`, `i,j,k` or more, 0-based in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoxelIndex(pub Vec<i64>);

impl FromStr for VoxelIndex {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts: std::result::Result<Vec<i64>, _> = text.split(',').map(|p| p.trim().parse()).collect();
        match parts {
            Ok(v) if (2..=7).contains(&v.len()) => Ok(Self(v)),
            _ => Err("expected two to seven whole numbers separated by commas, such as 12,0,40".to_owned()),
        }
    }
}

/// The document of `--json`.
#[derive(Debug, Serialize)]
pub struct Info {
    /// Path as typed.
    pub file: String,
    /// `nifti-1`, `nifti-2 pair gzip`, `dicom`, ...
    pub format: String,
    /// Dimensions in the file, at least three.
    pub shape: Vec<usize>,
    /// Distance of voxel centres along i, j, k.
    pub spacing_mm: [f64; 3],
    /// Voxel index to RAS+ millimetres, row by row.
    pub affine: Vec<f64>,
    /// Directions in which i, j, k grow, such as `RAS`; null if the file records no orientation.
    pub orientation: Option<String>,
    /// Stored type.
    pub dtype: &'static str,
    /// Slope and intercept.
    pub scale: [f64; 2],
    /// Number of frames.
    pub frames: usize,
    /// Smallest finite value; null for colour images and for images without finite values.
    pub min: Option<f64>,
    /// Largest finite value.
    pub max: Option<f64>,
    /// Mean of the finite values.
    pub mean: Option<f64>,
    /// Number of NaN and infinite values.
    pub nonfinite: Option<u64>,
    /// Padding voxels of a DICOM scan. `min`, `max` and `mean` above include them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding: Option<Padding>,
    /// The value that is constant along the border of the first frame read; null if there is none.
    pub background: Option<f64>,
    /// Anything unusual about the file, one sentence each.
    pub warnings: Vec<String>,
    /// `[index, value]` for each `--voxel`.
    pub voxels: Vec<Value>,
    /// Modality and unit of a scan from DICOM.
    #[serde(skip)]
    scan: Option<dicom::ScanInfo>,
    /// The background in words.
    #[serde(skip)]
    background_row: Option<String>,
}

/// Voxels outside the field of view, which the file marks.
#[derive(Debug, Serialize)]
pub struct Padding {
    /// Smallest and largest padding value.
    pub values: [f64; 2],
    /// Number of padding voxels.
    pub voxels: u64,
    /// Smallest finite value of the other voxels; null if there is none.
    pub min_without: Option<f64>,
    /// Largest finite value of the other voxels.
    pub max_without: Option<f64>,
    /// Mean of the finite values of the other voxels.
    pub mean_without: Option<f64>,
}

impl Padding {
    /// `None` for a volume without padding.
    fn of(volume: &Volume) -> Option<Self> {
        let (stats, voxels) = volume.stats_without_padding().filter(|(_, voxels)| *voxels > 0)?;
        let values = volume.padding_values()?;
        Some(Self { values, voxels, min_without: stats.min, max_without: stats.max, mean_without: stats.mean })
    }
}

#[allow(clippy::needless_pass_by_value, reason = "every command takes its arguments by value")]
pub fn run(args: Args) -> anyhow::Result<()> {
    if series::is_listing(&args) {
        return series::run(&args);
    }
    if let Some(file) = segments::file_of(&args) {
        return segments::run(&args, &file);
    }
    let info = inspect(&args)?;
    let text = if args.json { serde_json::to_string(&info)? } else { info.table() };
    super::print_line(text.trim_end())
}

/// Reads the file and the values of the voxels.
///
/// # Errors
/// As [`run`].
pub fn inspect(args: &Args) -> Result<Info> {
    let frames = args.frame.map_or(Frames::All, Frames::One);
    let path = args.series.as_ref().map_or_else(|| args.file.clone(), |name| dicom::with_series(&args.file, name));
    let volume = Volume::read_with(&path, &ReadOptions { frames, ..ReadOptions::default() })?;
    let scan = dicom::is_dicom(&path).then(|| dicom::open(&path)).transpose()?.map(|stack| stack.info());
    let mut shape = volume.header.as_ref().map_or_else(|| shape_of(&volume), |h| h.dims.clone());
    shape.resize(shape.len().max(3), 1);
    let voxels = args.voxel.iter().map(|v| {
        let at = locate(&args.file, &volume, &shape, &v.0, args.frame)?;
        Ok(json!([v.0, value(&volume.data, volume.scale, at)]))
    });
    let stats = volume.stats();
    let (background, mut warnings) = (Background::of(&volume, 0), volume.warnings.clone());
    warnings.extend(ct_warning(&args.file, &volume));
    Ok(Info {
        voxels: voxels.collect::<Result<_>>()?,
        file: args.file.to_string_lossy().into_owned(),
        scan,
        format: volume.header.as_ref().map_or("dicom", |h| &h.format).to_owned(),
        spacing_mm: volume.grid.spacing_mm(),
        affine: volume.grid.affine_rows().to_vec(),
        orientation: volume.grid.axis_codes(),
        dtype: volume.data.type_name(),
        scale: [volume.scale.slope, volume.scale.inter],
        frames: volume.file_frames,
        min: stats.and_then(|s| s.min),
        max: stats.and_then(|s| s.max),
        mean: stats.and_then(|s| s.mean),
        nonfinite: stats.map(|s| s.nonfinite),
        padding: Padding::of(&volume),
        background: background.map(|b| b.value),
        background_row: background_row(&volume, background),
        warnings,
        shape,
    })
}

/// Shape of a volume without NIfTI header, with its frames if there are several.
pub(super) fn shape_of(volume: &Volume) -> Vec<usize> {
    let frames = Some(volume.file_frames).filter(|frames| *frames > 1);
    volume.grid.shape.into_iter().chain(frames).collect()
}

/// Describes the background; `None` for colour images.
fn background_row(volume: &Volume, background: Option<Background>) -> Option<String> {
    let share = |b: Background| format!("{b}, constant on {:.0} % of the border", b.share * 100.0);
    let none = || "none: no value is constant along the border".to_owned();
    (!volume.data.is_colour()).then(|| background.map_or_else(none, share))
}

/// A warning if the file is named as a CT but its values cannot be Hounsfield units.
fn ct_warning(path: &Path, volume: &Volume) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let is_ct = Kind::named(&name, KindChoice::Auto) == Some(Kind::Ct);
    let doubt = is_ct.then(|| ct_doubt(volume)).flatten()?;
    Some(format!("{doubt}. Training refuses it. {}", CtReader::Training.remedy(&doubt)))
}

/// Offset in memory of a voxel given by two or more indices.
fn locate(path: &Path, volume: &Volume, shape: &[usize], voxel: &[i64], frame: Option<usize>) -> Result<usize> {
    let outside = |why: String| Error::field(path, "voxel", format!("{voxel:?}"), why);
    // In a file of five or more dimensions, the fourth of four indices counts frames over all further dimensions.
    let axes: Vec<usize> = match voxel.len() {
        n if n <= 4 => [&shape[..3], &[volume.file_frames]].concat(),
        n if n == shape.len() => shape.to_vec(),
        n => return Err(outside(format!("{n} indices for the shape {shape:?}"))),
    };
    let (mut at, mut stride) = (0, 1);
    for (a, &n) in axes.iter().enumerate() {
        let index = voxel.get(a).copied().unwrap_or(0);
        let index = usize::try_from(index).ok().filter(|&i| i < n);
        at += stride * index.ok_or_else(|| outside(format!("outside the shape {shape:?}")))?;
        stride *= n;
    }
    let n = volume.grid.len();
    match frame {
        // Only the requested frame is in memory.
        Some(loaded) if voxel.len() > 3 && at / n != loaded => {
            Err(outside(format!("only frame {loaded} was requested")))
        }
        Some(_) => Ok(at % n),
        None => Ok(at),
    }
}

/// A voxel value as JSON: integers exactly, colours as a list, NaN and infinity as null.
fn value(data: &VoxelData, scale: Scale, at: usize) -> Value {
    match data {
        VoxelData::Rgb(v) => json!(v[at]),
        VoxelData::Rgba(v) => json!(v[at]),
        VoxelData::U64(v) if scale == Scale::IDENTITY => json!(v[at]),
        VoxelData::I64(v) if scale == Scale::IDENTITY => json!(v[at]),
        _ if data.is_integer() && scale == Scale::IDENTITY => json!(data.stored(at) as i64),
        _ => json!(scale.apply(data.stored(at))),
    }
}

impl Info {
    /// A text table with one line per field.
    fn table(&self) -> String {
        let list = |v: &[f64]| v.iter().map(|x| number(*x)).collect::<Vec<_>>().join(" x ");
        let shape: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        let orientation = self.orientation.as_deref().unwrap_or("not recorded");
        let mut rows = vec![
            ("file", self.file.clone()),
            ("format", self.format.clone()),
            ("shape", shape.join(" x ")),
            ("spacing", format!("{} mm", list(&self.spacing_mm))),
            ("orientation", orientation.to_owned()),
            ("type", self.dtype.to_owned()),
        ];
        if let Some(scan) = &self.scan {
            rows.push(("modality", scan.modality.clone()));
            rows.push(("unit", format!("{} ({})", scan.unit.as_deref().unwrap_or("none"), scan.unit_evidence)));
        }
        let identity = [Scale::IDENTITY.slope, Scale::IDENTITY.inter];
        if self.scale.iter().zip(identity).any(|(a, b)| (a - b).abs() > 0.0) {
            rows.push(("scale", format!("{} * stored + {}", number(self.scale[0]), number(self.scale[1]))));
        }
        if self.frames > 1 {
            rows.push(("frames", self.frames.to_string()));
        }
        let values = |min: f64, max: f64, mean: Option<f64>| {
            let mean = mean.map_or_else(String::new, |m| format!(", mean {}", number(m)));
            format!("{} to {}{mean}", number(min), number(max))
        };
        if let (Some(min), Some(max)) = (self.min, self.max) {
            rows.push(("values", values(min, max, self.mean)));
        }
        if let Some(Padding { values: [low, high], voxels, min_without, max_without, mean_without }) = self.padding {
            let range = if low == high { number(low) } else { format!("{} to {}", number(low), number(high)) };
            let voxels = plural(voxels as usize, "voxel", "voxels");
            let rest = min_without.zip(max_without).map(|(min, max)| values(min, max, mean_without));
            let rest = rest.map_or_else(String::new, |rest| format!(". Without it {rest}"));
            rows.push(("padding", format!("{range}, {voxels}{rest}")));
        }
        if let Some(background) = &self.background_row {
            rows.push(("background", background.clone()));
        }
        if let Some(n) = self.nonfinite.filter(|&n| n > 0) {
            rows.push(("not finite", n.to_string()));
        }
        for (r, row) in self.affine.chunks(4).take(3).enumerate() {
            let cells: Vec<String> = row.iter().map(|v| format!("{v:>12.5}")).collect();
            rows.push((if r == 0 { "affine" } else { "" }, cells.join("")));
        }
        for voxel in &self.voxels {
            rows.push(("voxel", format!("{} = {}", voxel[0], voxel[1])));
        }
        for warning in &self.warnings {
            rows.push(("warning", warning.clone()));
        }
        let lines: Vec<String> = rows.iter().map(|(name, text)| format!("{name:<12}{text}")).collect();
        lines.join("\n")
    }
}

/// Formats a number with at most seven significant digits, without trailing zeros.
fn number(v: f64) -> String {
    if v == 0.0 || (1e-4..1e9).contains(&v.abs()) {
        let digits = 6 - v.abs().max(1.0).log10().floor() as i32;
        let factor = 10_f64.powi(digits.max(0));
        // Adding 0 turns -0 into 0.
        return format!("{}", (v * factor).round() / factor + 0.0);
    }
    format!("{v:.6e}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::{Grid, nifti};
    use glam::{DAffine3, DVec3};

    fn file(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("v.nii.gz");
        let grid = Grid::new([3, 2, 2], DAffine3::from_scale(DVec3::new(-1.0, 2.0, 3.0)));
        let mut volume = Volume::from_f32(grid, vec![0.0; 12]);
        volume.data = VoxelData::I16((0..24).collect());
        volume.scale = Scale { slope: 0.5, inter: -1.0 };
        nifti::write_volume(&path, &volume).unwrap();
        path
    }

    fn inspect_file(voxels: &[&str], frame: Option<usize>) -> Result<Info> {
        let folder = tempfile::tempdir().unwrap();
        let voxel = voxels.iter().map(|v| v.parse().unwrap()).collect();
        inspect(&Args { file: file(&folder), series: None, voxel, frame, json: true })
    }

    #[test]
    fn info_reports_scaled_values_of_voxels_and_frames() {
        let info = inspect_file(&["1,0,0", "2,1,1", "0,0,0,1"], None).unwrap();
        assert_eq!((info.shape, info.frames), (vec![3, 2, 2, 2], 2));
        assert_eq!((info.min, info.max, info.mean), (Some(-1.0), Some(10.5), Some(4.75)));
        assert_eq!((info.orientation.as_deref(), info.dtype, info.scale), (Some("LAS"), "int16", [0.5, -1.0]));
        assert_eq!(info.voxels, [json!([[1, 0, 0], -0.5]), json!([[2, 1, 1], 4.5]), json!([[0, 0, 0, 1], 5.0])]);
        assert!(info.warnings.is_empty());
        let second = inspect_file(&["1,0,0", "1,0,0,1"], Some(1)).unwrap();
        assert_eq!((second.min, second.voxels), (Some(5.0), vec![json!([[1, 0, 0], 5.5]), json!([[1, 0, 0, 1], 5.5])]));
    }

    #[test]
    fn a_folder_of_nifti_files_is_referred_to_the_cohort_command() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder);
        let args = Args { file: folder.path().into(), series: None, voxel: Vec::new(), frame: None, json: false };
        let error = run(args).unwrap_err().to_string();
        assert!(error.contains("no DICOM file") && error.contains("amlp cohort"), "{error}");
    }

    #[test]
    fn an_index_outside_the_file_is_named_in_the_error() {
        for (voxel, frame) in
            [("3,0,0", None), ("-1,0,0", None), ("0,0,0,2", None), ("0,0,0,0", Some(1)), ("0,0,0,0,0", None)]
        {
            let message = inspect_file(&[voxel], frame).unwrap_err().to_string();
            assert!(message.contains(&voxel.replace(',', ", ")), "{message}");
        }
        let message = inspect_file(&[], Some(2)).unwrap_err().to_string();
        assert!(message.contains("frame is 2"), "{message}");
        assert!("1".parse::<VoxelIndex>().is_err() && "a,b".parse::<VoxelIndex>().is_err());
    }

    #[test]
    fn the_table_rounds_numbers() {
        let table = inspect_file(&["1,0,0"], None).unwrap().table();
        assert!(table.contains("spacing     1 x 2 x 3 mm") && table.contains("voxel       [1,0,0] = -0.5"), "{table}");
        assert_eq!(
            [number(0.1), number(1_234.567_89), number(-0.0), number(1e12)],
            ["0.1", "1234.568", "0", "1.000000e12"]
        );
    }
}
