//! Writes a segmentation: as NIfTI, or as a DICOM SEG for the archive that the images came from.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::disk::atomic::{keep_previous, sha256_file};
use crate::predict::Segmenter;
use crate::preprocess::{Targets, TumourPart};
use crate::volume::nifti::replace_label;
use crate::volume::seg::{Algorithm, SegOptions, SourceSeries, Terms, write_seg};
use crate::volume::{LabelStyle, LabelTable, LabelVolume, Volume, dicom};
use crate::{Error, Result};

use super::inputs::Scan;

/// The format of the masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// NIfTI, .nii.gz.
    #[default]
    Nifti,
    /// DICOM SEG, .dcm, for scans in DICOM.
    Seg,
}

/// Writer of the masks of one call.
pub(super) struct Output {
    format: Format,
    options: SegOptions,
    names: LabelTable,
    /// The options that affect the output files, for the record of finished cases.
    pub described: String,
}

impl Output {
    /// # Errors
    /// If the table of terms cannot be read.
    pub fn new(format: Format, terms: Option<&PathBuf>, model: &Path, segmenter: &Segmenter) -> Result<Self> {
        let described = match (format, terms) {
            (Format::Nifti, _) => String::new(),
            (Format::Seg, None) => ", format seg".into(),
            (Format::Seg, Some(path)) => format!(", format seg, terms {}", sha256_file(path)?),
        };
        let terms = terms.map_or_else(|| Ok(Terms::built_in()), |path| Terms::read(path))?;
        let name = model.file_name().unwrap_or_default().to_string_lossy();
        let version: String = segmenter.digest().chars().take(8).collect();
        let algorithm = format!("{name} {version}, amlp {}", env!("CARGO_PKG_VERSION"));
        let options = SegOptions {
            algorithm: Algorithm::Automatic(algorithm),
            terms,
            description: "Segmentation, not for diagnosis".into(),
        };
        Ok(Self { format, options, names: names(segmenter.config()), described })
    }

    /// File name of a case's mask.
    pub fn name(&self, case: &str) -> String {
        format!("{case}.{}", if self.format == Format::Seg { "dcm" } else { "nii.gz" })
    }

    /// The DICOM series of a scan, which a SEG refers to; `None` for NIfTI.
    ///
    /// # Errors
    /// For a SEG, if the scan is not DICOM or its slices are uneven or tilted.
    pub fn source(&self, scan: &Scan) -> Result<Option<SourceSeries>> {
        let Some(image) = scan.images.first().filter(|_| self.format == Format::Seg) else { return Ok(None) };
        if !dicom::is_dicom(&image.path) {
            let why = "a DICOM SEG needs DICOM images, and this scan is NIfTI. Write NIfTI instead";
            return Err(Error::config("format", "seg", why));
        }
        let source = SourceSeries::of(&dicom::open(&image.path)?)?;
        match &source.irregular {
            Some(why) => Err(Error::config("format", "seg", format!("{why}, which a SEG cannot store. Write NIfTI"))),
            None => Ok(Some(source)),
        }
    }

    /// Writes a mask. An existing file is kept as `.previous`. Returns notes on changes to the mask.
    ///
    /// # Errors
    /// As [`replace_label`] and [`write_seg`], which refuses an empty mask.
    pub fn write(
        &self,
        path: &Path,
        mask: &LabelVolume,
        image: &Volume,
        source: Option<&SourceSeries>,
    ) -> Result<Vec<String>> {
        let Some(source) = source else { return replace_label(path, mask, image).map(|_| Vec::new()) };
        keep_previous(path)?;
        write_seg(path, std::slice::from_ref(mask), &self.names, source, &self.options)
    }
}

/// The names of the labels that a model writes.
fn names(config: &Config) -> LabelTable {
    if config.data.targets == Targets::Binary {
        return LabelTable { labels: [(1, LabelStyle::named("lesion"))].into() };
    }
    let parts = [TumourPart::Oedema, TumourPart::Core, TumourPart::Enhancing];
    let labels = config.preprocess.label_map.written().into_iter().map(u16::from);
    LabelTable { labels: labels.zip(parts.map(|part| LabelStyle::named(part.name()))).collect() }
}
