//! `amlp info` for a DICOM folder, zip archive or DICOMDIR: lists its series.

use serde::Serialize;

use super::{Args, Padding};
use crate::Result;
use crate::volume::dicom::{self, ImageStack, Library, Series};
use crate::volume::{Frames, ReadOptions, Volume};

/// The document of `--json`. It contains no patient names or ids.
#[derive(Debug, Serialize)]
struct Document {
    patients: Vec<PatientEntry>,
}

#[derive(Debug, Serialize)]
struct PatientEntry {
    studies: Vec<StudyEntry>,
}

#[derive(Debug, Serialize)]
struct StudyEntry {
    series: Vec<Entry>,
}

/// A volume or single image of a series, or a series without images. A series of several volumes has several entries.
#[derive(Debug, Default, Serialize)]
struct Entry {
    uid: String,
    number: Option<i64>,
    modality: String,
    description: String,
    shape: Vec<usize>,
    spacing_mm: Option<[f64; 3]>,
    affine: Option<Vec<f64>>,
    frames: usize,
    unit: Option<String>,
    min: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    padding: Option<Padding>,
    transfer_syntax: String,
    stackable: bool,
    warnings: Vec<String>,
    /// Argument for `--series`.
    #[serde(skip)]
    selector: String,
    /// What distinguishes it from the other volumes of its series.
    #[serde(rename = "volume", skip_serializing_if = "String::is_empty")]
    name: String,
}

/// True if the arguments ask for a list of series.
pub(super) fn is_listing(args: &Args) -> bool {
    args.series.is_none() && args.frame.is_none() && args.voxel.is_empty() && dicom::is_collection(&args.file)
}

/// Prints the list. Text is made from headers alone; JSON also reads the voxels for the range of their values.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let library = Library::scan(&args.file, &|_, _| true)?;
    if library.patients.is_empty() {
        let why = match library.warnings.first() {
            Some(warning) => format!("contains no DICOM file ({warning})"),
            None if args.file.is_dir() => {
                "contains no DICOM file. amlp cohort lists a folder of NIfTI scans".to_owned()
            }
            None => "contains no DICOM file".to_owned(),
        };
        return Err(crate::Error::file(&args.file, why).into());
    }
    for warning in &library.warnings {
        eprintln!("warning: {warning}");
    }
    let document = Document::of(&library, args.json);
    let text = if args.json { serde_json::to_string(&document)? } else { document.table() };
    crate::cli::print_line(text.trim_end())
}

impl Document {
    fn of(library: &Library, with_values: bool) -> Self {
        let study = |study: &dicom::Study| StudyEntry {
            series: study.series.iter().flat_map(|series| entries(library, series, with_values)).collect(),
        };
        let patient = |patient: &dicom::Patient| PatientEntry { studies: patient.studies.iter().map(study).collect() };
        Self { patients: library.patients.iter().map(patient).collect() }
    }

    /// One line per entry, followed by its warnings.
    fn table(&self) -> String {
        let mut lines = Vec::new();
        for (p, patient) in self.patients.iter().enumerate() {
            for (s, study) in patient.studies.iter().enumerate() {
                lines.push(format!("patient {}, study {}", p + 1, s + 1));
                for entry in &study.series {
                    lines.push(entry.line());
                    lines.extend(entry.warnings.iter().map(|warning| format!("{:14}{warning}", "")));
                }
            }
        }
        lines.join("\n")
    }
}

impl Entry {
    fn line(&self) -> String {
        let shape: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        let shape = if shape.is_empty() { "no image".to_owned() } else { shape.join(" x ") };
        let spacing = self.spacing_mm.map_or_else(String::new, |mm| {
            let mm = mm.map(|mm| format!("{}", (mm * 1000.0).round() / 1000.0));
            format!(", {} mm", mm.join(" x "))
        });
        let unit = self.unit.as_ref().map_or_else(String::new, |unit| format!(", {unit}"));
        let name = [&*self.description, &*self.name].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
        format!("  {:>9}  {:4} {shape}{spacing}{unit}  {}", self.selector, self.modality, name.join(", "))
    }
}

/// One entry per volume or image of a series.
fn entries(library: &Library, series: &Series, with_values: bool) -> Vec<Entry> {
    let base = || Entry {
        uid: series.uid.clone(),
        number: series.number,
        modality: series.modality.clone(),
        description: series.description.clone(),
        transfer_syntax: series.transfer_syntax.clone(),
        warnings: series.warnings.clone(),
        selector: series.number.map_or_else(|| series.uid.clone(), |number| number.to_string()),
        ..Entry::default()
    };
    if series.stacks.is_empty() {
        return vec![base()];
    }
    let one = |(at, stack): (usize, &ImageStack)| {
        let mut entry = base();
        let info = stack.info();
        let frames = Some(stack.frames()).filter(|frames| *frames > 1);
        entry.shape = stack.grid().shape.into_iter().chain(frames).collect();
        entry.spacing_mm = Some(stack.grid().spacing_mm());
        entry.affine = Some(stack.grid().affine_rows().to_vec());
        entry.frames = stack.frames();
        entry.unit = info.unit;
        entry.stackable = stack.is_stackable();
        entry.warnings.extend(info.warnings);
        entry.selector = library.selector(series, at);
        entry.name.clone_from(&stack.name);
        if with_values {
            entry.add_values(stack);
        }
        entry
    };
    series.stacks.iter().enumerate().map(one).collect()
}

impl Entry {
    /// Reads the voxels for the range of their values. A volume that cannot be read gets a warning instead.
    fn add_values(&mut self, stack: &ImageStack) {
        let options = ReadOptions { frames: Frames::All, ..ReadOptions::default() };
        let read: Result<Volume> = stack.load(&options, &|_, _| true);
        match read {
            Ok(volume) => {
                let stats = volume.stats();
                self.min = stats.and_then(|stats| stats.min);
                self.max = stats.and_then(|stats| stats.max);
                self.mean = stats.and_then(|stats| stats.mean);
                self.padding = Padding::of(&volume);
                self.warnings.extend(volume.value_warnings());
            }
            Err(error) => self.warnings.push(error.to_string()),
        }
    }
}
