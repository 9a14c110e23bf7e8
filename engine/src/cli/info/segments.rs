//! `amlp info` of a DICOM segmentation: its segments.

use serde::Serialize;

use super::{Args, number};
use crate::volume::dicom::DicomFile;
use crate::volume::seg::{Segment, SegmentationKind, open_segmentation, read_file};
use crate::words::plural;

/// The document of `--json`.
#[derive(Debug, Serialize)]
struct Document {
    /// Path as typed.
    file: String,
    format: &'static str,
    /// The grid of the frames, or of the images that contours were drawn on.
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    affine: Vec<f64>,
    segments: Vec<Entry>,
    /// Conversions, and what segments lose in a single mask because they overlap.
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Entry {
    #[serde(flatten)]
    segment: Segment,
    /// Volume of the whole segment.
    ml: f64,
}

/// The file if it is a segmentation or a structure set, and the arguments ask for all of it.
pub(super) fn file_of(args: &Args) -> Option<DicomFile> {
    let is_whole = args.series.is_none() && args.frame.is_none() && args.voxel.is_empty();
    is_whole.then(|| open_segmentation(&args.file)).flatten()
}

/// Prints the segments with their volumes.
pub(super) fn run(args: &Args, file: &DicomFile) -> anyhow::Result<()> {
    let document = Document::of(args, file)?;
    let text = if args.json { serde_json::to_string(&document)? } else { document.table() };
    crate::cli::print_line(text.trim_end())
}

impl Document {
    fn of(args: &Args, file: &DicomFile) -> crate::Result<Self> {
        let masks = read_file(file, None)?;
        let (mask, overlap) = masks.merged();
        let voxel_ml = mask.grid.voxel_volume_ml();
        let entry = |segment: Segment| Entry { ml: segment.voxels as f64 * voxel_ml, segment };
        Ok(Self {
            file: args.file.to_string_lossy().into_owned(),
            format: match masks.kind {
                SegmentationKind::Seg => "dicom seg",
                SegmentationKind::Rtstruct => "dicom rtstruct",
            },
            shape: mask.grid.shape,
            spacing_mm: mask.grid.spacing_mm(),
            affine: mask.grid.affine_rows().to_vec(),
            segments: masks.segments.into_iter().map(entry).collect(),
            warnings: masks.notes.into_iter().chain(overlap).collect(),
        })
    }

    /// A text table with one line per field.
    fn table(&self) -> String {
        let mut rows = vec![
            ("file".to_owned(), self.file.clone()),
            ("format".to_owned(), self.format.to_owned()),
            ("shape".to_owned(), self.shape.map(|n| n.to_string()).join(" x ")),
            ("spacing".to_owned(), format!("{} mm", self.spacing_mm.map(number).join(" x "))),
        ];
        for Entry { segment, ml } in &self.segments {
            let name = if segment.name.is_empty() { "no name" } else { &segment.name };
            let voxels = plural(segment.voxels, "voxel", "voxels");
            rows.push((format!("segment {}", segment.number), format!("{name}, {voxels}, {} ml", number(*ml))));
        }
        rows.extend(self.warnings.iter().map(|warning| ("warning".to_owned(), warning.clone())));
        let lines: Vec<String> = rows.iter().map(|(name, text)| format!("{name:<12}{text}")).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::cohort::convert::tests::{ct, seg};

    #[test]
    fn the_segments_of_a_seg_are_listed_with_their_volumes() {
        let folder = tempfile::tempdir().unwrap();
        ct(&folder.path().join("ct"), "3", &[0.0, 3.0, 6.0, 9.0]);
        let path = folder.path().join("seg.dcm");
        let mask = seg(&folder.path().join("ct"), &path);
        let args = |file: &std::path::Path| Args {
            file: file.to_path_buf(),
            series: None,
            voxel: Vec::new(),
            frame: None,
            json: false,
        };
        assert!(file_of(&args(&folder.path().join("ct"))).is_none(), "a folder of images");
        let args = args(&path);
        let document = Document::of(&args, &file_of(&args).unwrap()).unwrap();
        assert_eq!(document.segments[0].segment.voxels, mask.labelled_voxels());
        assert!((document.segments[0].ml - mask.volume_ml()).abs() < 1e-12);
        let text = document.table();
        for line in [
            "format      dicom seg",
            "segment 1   lesion of Testfall, 4 voxels, 0.048 ml",
            "segment 2   oedema, 0 voxels, 0 ml",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        let json = serde_json::to_value(&document).unwrap();
        assert_eq!((json["segments"][0]["number"].as_u64(), json["format"].as_str()), (Some(1), Some("dicom seg")));
    }
}
