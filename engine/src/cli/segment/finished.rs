//! Records of finished cases in an output folder, so that an interrupted job can continue.
//!
//! `CASE.segmented.json` is written after a case's outputs. It contains the checksums of scans, outputs, model and settings. A
//! case counts as finished only if all of them still match. A mask that was truncated or edited, or made by another model,
//! with other options or from another scan, is made again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::inputs::Scan;
use crate::cohort::ImageFile;
use crate::disk::atomic::{sha256_file, write_atomic};
use crate::volume::dicom;
use crate::volume::nifti::HeaderSummary;
use crate::{Error, Result};

/// The record of a finished case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FinishedSegmentation {
    pub case: String,
    /// Digest of weights, settings and program version.
    pub model: String,
    /// Options that change an output.
    pub options: String,
    /// SHA-256 of each image, in channel order.
    pub images: Vec<String>,
    /// SHA-256 of each output, by file name.
    pub outputs: BTreeMap<String, String>,
    /// Total lesion volume.
    pub volume_ml: f64,
}

impl FinishedSegmentation {
    /// Records a case whose outputs are `names` in `out`.
    pub fn of(
        scan: &Scan,
        model: &str,
        options: &str,
        (out, names): (&Path, &[String]),
        volume_ml: f64,
    ) -> Result<Self> {
        let output = |name: &String| Ok((name.clone(), sha256_file(&out.join(name))?));
        Ok(Self {
            case: scan.case.clone(),
            model: model.to_owned(),
            options: options.to_owned(),
            images: scan.images.iter().map(image_checksum).collect::<Result<_>>()?,
            outputs: names.iter().map(output).collect::<Result<_>>()?,
            volume_ml,
        })
    }

    /// Writes the record beside the outputs.
    pub fn write(&self, out: &Path) -> Result<()> {
        let path = path_of(out, &self.case);
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::file(&path, e.to_string()))?;
        write_atomic(&path, &text).map(drop)
    }

    /// The record of a case if everything still matches. An unreadable record counts as not finished.
    pub fn find(scan: &Scan, model: &str, options: &str, out: &Path) -> Option<Self> {
        let text = std::fs::read(path_of(out, &scan.case)).ok()?;
        let recorded: Self = serde_json::from_slice(&text).ok()?;
        // A record must not make the program read files outside the folder.
        let names: Vec<String> = recorded.outputs.keys().cloned().collect();
        if names.is_empty() || names.iter().any(|name| Path::new(name).file_name().is_none_or(|n| n != name.as_str())) {
            return None;
        }
        let found = Self::of(scan, model, options, (out, &names), recorded.volume_ml).ok()?;
        (found == recorded).then_some(recorded)
    }
}

fn path_of(out: &Path, case: &str) -> PathBuf {
    out.join(format!("{case}.segmented.json"))
}

/// SHA-256 of an image's file, or of the UIDs of a DICOM series, with the frame of a 4-D file.
fn image_checksum(image: &ImageFile) -> Result<String> {
    let frame = image.frame.map(|frame| format!(" frame {frame}")).unwrap_or_default();
    let digest =
        if dicom::is_dicom(&image.path) { HeaderSummary::read(&image.path)?.digest } else { sha256_file(&image.path)? };
    Ok(digest + &frame)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_case_counts_as_finished_only_if_nothing_changed() {
        let temp = tempfile::tempdir().unwrap();
        let (out, image) = (temp.path().join("out"), temp.path().join("scan.nii"));
        std::fs::create_dir(&out).unwrap();
        std::fs::write(&image, b"scan").unwrap();
        std::fs::write(out.join("a.nii.gz"), b"mask").unwrap();
        let scan = Scan { case: "a".into(), images: vec![ImageFile::new(image.clone())] };
        let names = ["a.nii.gz".to_owned()];
        assert!(FinishedSegmentation::find(&scan, "m", "o", &out).is_none(), "nothing was recorded");
        let record = FinishedSegmentation::of(&scan, "m", "o", (&out, &names), 1.5).unwrap();
        record.write(&out).unwrap();
        assert_eq!(FinishedSegmentation::find(&scan, "m", "o", &out), Some(record));
        assert!(FinishedSegmentation::find(&scan, "another", "o", &out).is_none());
        assert!(FinishedSegmentation::find(&scan, "m", "another", &out).is_none());
        for (path, whole) in [(out.join("a.nii.gz"), &b"mask"[..]), (image, b"scan")] {
            std::fs::write(&path, b"cut").unwrap();
            assert!(FinishedSegmentation::find(&scan, "m", "o", &out).is_none(), "{}", path.display());
            std::fs::write(&path, whole).unwrap();
            assert!(FinishedSegmentation::find(&scan, "m", "o", &out).is_some());
        }
        std::fs::remove_file(out.join("a.nii.gz")).unwrap();
        assert!(FinishedSegmentation::find(&scan, "m", "o", &out).is_none());
    }

    #[test]
    fn a_record_with_paths_outside_the_folder_is_ignored() {
        let temp = tempfile::tempdir().unwrap();
        let (out, image) = (temp.path().join("out"), temp.path().join("scan.nii"));
        std::fs::create_dir(&out).unwrap();
        std::fs::write(&image, b"scan").unwrap();
        let scan = Scan { case: "a".into(), images: vec![ImageFile::new(image)] };
        let names = ["../scan.nii".to_owned()];
        FinishedSegmentation::of(&scan, "m", "o", (&out, &names), 0.0).unwrap().write(&out).unwrap();
        assert!(FinishedSegmentation::find(&scan, "m", "o", &out).is_none());
    }
}
