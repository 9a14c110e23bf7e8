//! The volumes of a case: images, masks and the probability map.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::Color32;
use engine::cohort::ImageFile;
use engine::edit::{EditLabels, VoxelBox};
use engine::review::ReviewedMask;
use engine::volume::seg::Algorithm;
use engine::volume::{LabelTable, LabelVolume, Volume};
use serde::{Deserialize, Serialize};

use super::DicomInfo;
use super::edit::union;
use crate::gpu::Texture;
use crate::scene::{ColourMap, Modality, ScanInfo, WindowLevel};
use crate::theme::palette;

/// Source of an image.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A NIfTI file, or a DICOM series.
    #[serde(alias = "Nifti")]
    File(PathBuf),
    /// One frame of a 4-D NIfTI file, as a separate image.
    Channel(PathBuf, usize),
}

impl From<&ImageFile> for Source {
    fn from(file: &ImageFile) -> Self {
        let path = file.path.clone();
        match file.frame {
            None => Self::File(path),
            Some(frame) => Self::Channel(path, frame),
        }
    }
}

impl Source {
    /// The file that represents the source in messages, titles and proposed names.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Channel(path, _) => path,
        }
    }

    /// The file, as cohorts name it.
    pub fn file(&self) -> ImageFile {
        match self {
            Self::File(path) => ImageFile::new(path.clone()),
            Self::Channel(path, frame) => ImageFile { path: path.clone(), frame: Some(*frame) },
        }
    }

    /// Whether it is this file and frame.
    pub fn is(&self, file: &ImageFile) -> bool {
        let frame = match self {
            Self::File(_) => None,
            Self::Channel(_, frame) => Some(*frame),
        };
        (self.path(), frame) == (file.path.as_path(), file.frame)
    }
}

/// One image of a case.
#[derive(Clone, Debug)]
pub struct ImageLayer {
    /// What it was read from.
    pub source: Source,
    /// Displayed name: the modality if the case has several images, else the file name.
    pub name: String,
    /// Modality and unit of its values.
    pub info: ScanInfo,
    /// Metadata of a DICOM series; `None` for other files.
    pub dicom: Option<Arc<DicomInfo>>,
    /// The voxels in the file's own type: all frames if they fit into memory, else the shown one.
    pub volume: Arc<Volume>,
    /// The frame that is shown, 0-based.
    pub frame: usize,
    /// The voxels on the graphics card; none without an adapter.
    pub texture: Option<Texture>,
    /// Smallest and largest finite value.
    pub range: Option<[f64; 2]>,
    /// Window/level before the user chooses one.
    pub default_window: WindowLevel,
    /// The maximum intensity projection from the front, once it is made.
    pub projection: Option<Projection>,
}

impl ImageLayer {
    /// The file that represents its source.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// How many frames the file has.
    pub fn frames(&self) -> usize {
        self.volume.file_frames.max(1)
    }

    /// Index of the shown frame among those in memory.
    pub fn held_frame(&self) -> usize {
        if self.volume.frames() > 1 { self.frame } else { 0 }
    }

    /// The colour map to draw with. Grey is inverted for MONOCHROME1 images, and for projections of PET, which are dark
    /// on white.
    pub fn colours(&self, chosen: ColourMap, is_projection: bool) -> ColourMap {
        let is_inverted = self.dicom.as_ref().is_some_and(|dicom| dicom.inverted);
        let is_pet = is_projection && self.info.modality == Modality::Pet;
        match chosen {
            ColourMap::Grey if is_inverted || is_pet => ColourMap::GreyInverted,
            ColourMap::GreyInverted if is_inverted => ColourMap::Grey,
            chosen => chosen,
        }
    }
}

/// A projection of a volume along one axis.
#[derive(Clone, Debug)]
pub struct Projection {
    /// One voxel deep along the axis nearest to front-back.
    pub volume: Arc<Volume>,
    /// The voxels on the graphics card.
    pub texture: Option<Texture>,
    /// Separate window/level from percentiles of the projection, which is brighter than the slices. `None` for colours
    /// and without finite values.
    pub window: Option<WindowLevel>,
}

/// Role of a mask in its case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MaskRole {
    /// The segmentation under review.
    Segmentation,
    /// The reference segmentation.
    Reference,
}

impl MaskRole {
    /// Both, the segmentation first.
    pub const ALL: [Self; 2] = [Self::Segmentation, Self::Reference];

    /// The mask in the records of the review.
    pub fn reviewed(self) -> ReviewedMask {
        match self {
            Self::Segmentation => ReviewedMask::Segmentation,
            Self::Reference => ReviewedMask::Reference,
        }
    }

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segmentation => "Segmentation",
            Self::Reference => "Reference",
        }
    }

    /// The name within a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Segmentation => "segmentation",
            Self::Reference => "reference",
        }
    }
}

/// A label of a mask.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelEntry {
    /// The value in the file.
    pub value: u16,
    /// The name in the window.
    pub name: String,
    /// The colour on the image.
    pub colour: Color32,
    /// Volume of its voxels, in ml.
    pub volume_ml: f64,
}

/// A mask on the grid of the case's first image.
#[derive(Clone, Debug)]
pub struct MaskLayer {
    /// Segmentation or reference.
    pub role: MaskRole,
    /// The file; `None` for a mask that was never saved.
    pub path: Option<PathBuf>,
    /// Further files whose labels were merged into those of the first.
    pub more_files: Vec<PathBuf>,
    /// The labels, at the frame of the first image. A clone is a cheap snapshot, which jobs convert to a volume on their
    /// thread.
    pub labels: EditLabels,
    /// The labels that occur, ascending; empty while a segmentation is in progress.
    pub table: Vec<LabelEntry>,
    /// Names, colours and locks of labels from its table file, including unused labels.
    pub styles: LabelTable,
    /// The hidden and locked labels of the table are still to be applied.
    pub new_styles: bool,
    /// Names or colours have changed since its table was written.
    pub styles_changed: bool,
    /// The labels on the graphics card.
    pub texture: Option<Texture>,
    /// Projection from the front, and its texture.
    pub projection: Option<(Arc<LabelVolume>, Option<Texture>)>,
    /// Number of the state of the labels, unique among all masks of the session.
    pub revision: u64,
    /// The revision in the file; `None` if it was never saved.
    pub saved_revision: Option<u64>,
    /// The box that has changed since the last upload.
    pub dirty: Option<VoxelBox>,
    /// A job uploads the whole mask; later changes wait for it.
    pub awaits_texture: bool,
    /// Who created it, before any correction.
    pub algorithm: Algorithm,
}

impl MaskLayer {
    /// An unsaved mask, not uploaded yet.
    pub fn new(role: MaskRole, labels: EditLabels, revision: u64) -> Self {
        Self {
            role,
            path: None,
            more_files: Vec::new(),
            table: Self::label_table(&labels),
            styles: LabelTable::default(),
            new_styles: false,
            styles_changed: false,
            labels,
            texture: None,
            projection: None,
            revision,
            saved_revision: None,
            dirty: None,
            awaits_texture: false,
            algorithm: Algorithm::Manual,
        }
    }

    /// The slices of a running segmentation that are finished so far.
    pub fn preview(labels: EditLabels, texture: Option<Texture>, revision: u64) -> Self {
        Self { table: Vec::new(), texture, ..Self::new(MaskRole::Segmentation, labels, revision) }
    }

    /// Sets the revision of a mask just read. It is also the saved revision, unless the mask differs from its file, as
    /// after resampling.
    #[must_use]
    pub fn with_saved_revision(self, revision: u64) -> Self {
        let saved_revision = self.path.is_some().then_some(revision);
        Self { revision, saved_revision, ..self }
    }

    /// Form stored in the undo list: without texture.
    #[must_use]
    pub fn stored(self) -> Self {
        Self { texture: None, projection: None, dirty: None, awaits_texture: false, ..self }
    }

    /// The files that it was read from.
    pub fn files(&self) -> Vec<PathBuf> {
        self.path.iter().chain(&self.more_files).cloned().collect()
    }

    /// Whether it has changes that its file does not hold.
    pub fn is_unsaved(&self) -> bool {
        self.saved_revision != Some(self.revision) || self.styles_changed
    }

    /// Records that the labels have changed in a box.
    pub fn changed(&mut self, bounds: Option<VoxelBox>, revision: u64) {
        self.revision = revision;
        self.dirty = union(self.dirty, bounds);
    }

    /// The table of a mask whose labels have no names.
    pub fn label_table(labels: &EditLabels) -> Vec<LabelEntry> {
        let each = labels.grid().voxel_volume_ml();
        let entry = |(&value, &voxels): (&u16, &usize)| LabelEntry {
            value,
            name: format!("Label {value}"),
            colour: palette::label(u32::from(value)),
            volume_ml: voxels as f64 * each,
        };
        labels.voxel_counts().iter().map(entry).collect()
    }
}

/// A mask of the case that is not loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct UnloadedMask {
    /// Segmentation or reference.
    pub role: MaskRole,
    /// Its files; never empty.
    pub files: Vec<PathBuf>,
    /// The reason in short sentences.
    pub why: String,
    /// The full error.
    pub details: String,
    /// How it can be loaded anyway, if possible.
    pub remedy: Option<Remedy>,
}

impl UnloadedMask {
    /// Its first file, for messages.
    pub fn path(&self) -> &Path {
        self.files.first().map_or(Path::new(""), PathBuf::as_path)
    }
}

/// How a mask is changed to fit its image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Remedy {
    /// Resampled to the nearest voxel.
    pub resample: bool,
    /// Values of at least this threshold are lesion.
    pub threshold: Option<f64>,
}

impl Remedy {
    /// Whether the mask differs from its files.
    pub fn changes(self) -> bool {
        self != Self::default()
    }

    /// Label of its button.
    pub fn action(self) -> String {
        match (self.resample, self.threshold) {
            (false, Some(threshold)) => format!("Threshold at {threshold}"),
            _ => "Resample".to_owned(),
        }
    }
}

/// A probability map on the grid of the case's first image.
#[derive(Clone, Debug)]
pub struct ProbabilityLayer {
    /// The file; `None` for the probability map of a new segmentation.
    pub path: Option<PathBuf>,
    /// One value per voxel, 0 to 1.
    pub volume: Arc<Volume>,
}
