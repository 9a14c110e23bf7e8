//! View settings of a case.

use std::collections::BTreeSet;

use glam::DVec3;
use serde::{Deserialize, Serialize, Serializer};

use crate::scene::{Camera, ColourMap, Modality, Plane};

/// What the left mouse button does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToolKind {
    /// Moves the crosshair.
    #[default]
    Crosshair,
    /// Window/level: sideways the width, up and down the level.
    Window,
    /// Moves the image in its pane.
    Pan,
    /// Magnifies the image in its pane.
    Zoom,
    /// Measures a length.
    Ruler,
    /// Mean and standard deviation in an ellipse.
    Ellipse,
    /// Paints a label.
    Brush,
    /// Removes labels.
    Eraser,
    /// Paints voxels with values in a range.
    RangeBrush,
    /// Paints voxels with values similar to the one under the pointer.
    AdaptiveBrush,
    /// Fills, erases or restores an outlined area.
    Lasso,
    /// Fills the area of one label in a slice.
    Fill,
    /// Grows from a click along similar values.
    Grow,
    /// Adds the lesion of the probability map under a click.
    OneClick,
}

impl ToolKind {
    /// The tools that do not edit, in the order of their keys 1 to 6.
    pub const ALL: [Self; 6] = [Self::Crosshair, Self::Window, Self::Pan, Self::Zoom, Self::Ruler, Self::Ellipse];

    /// The tools that correct the segmentation.
    pub const EDIT: [Self; 8] = [
        Self::Brush,
        Self::Eraser,
        Self::RangeBrush,
        Self::AdaptiveBrush,
        Self::Lasso,
        Self::Fill,
        Self::Grow,
        Self::OneClick,
    ];

    /// Whether it corrects the segmentation.
    pub fn is_edit(self) -> bool {
        Self::EDIT.contains(&self)
    }

    /// Whether it paints with a round brush.
    pub fn is_brush(self) -> bool {
        matches!(self, Self::Brush | Self::Eraser | Self::RangeBrush | Self::AdaptiveBrush)
    }

    /// The key that selects it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Crosshair => "1",
            Self::Window => "2",
            Self::Pan => "3",
            Self::Zoom => "4",
            Self::Ruler => "5",
            Self::Ellipse => "6",
            Self::Brush => "B",
            Self::Eraser => "E",
            Self::RangeBrush => "R",
            Self::AdaptiveBrush => "G",
            Self::Lasso => "L",
            Self::Fill => "K",
            Self::Grow => "O",
            Self::OneClick => "V",
        }
    }

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crosshair => "Crosshair",
            Self::Window => "Window/level",
            Self::Pan => "Pan",
            Self::Zoom => "Zoom",
            Self::Ruler => "Ruler",
            Self::Ellipse => "Ellipse",
            Self::Brush => "Brush",
            Self::Eraser => "Eraser",
            Self::RangeBrush => "Range brush",
            Self::AdaptiveBrush => "Adaptive brush",
            Self::Lasso => "Lasso",
            Self::Fill => "Fill",
            Self::Grow => "Region growing",
            Self::OneClick => "One click",
        }
    }
}

/// A pane in the centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PaneId {
    /// Axial slice.
    Axial,
    /// Sagittal slice.
    Sagittal,
    /// Coronal slice.
    Coronal,
    /// Maximum intensity projection, from the front.
    Projection,
    /// An axial slice of one image, beside those of the others.
    Linked(usize),
}

impl PaneId {
    /// The four panes of Review, row by row.
    pub const REVIEW: [Self; 4] = [Self::Axial, Self::Sagittal, Self::Coronal, Self::Projection];

    /// The plane it shows.
    pub fn plane(self) -> Plane {
        match self {
            Self::Axial | Self::Linked(_) => Plane::Axial,
            Self::Sagittal => Plane::Sagittal,
            Self::Coronal | Self::Projection => Plane::Coronal,
        }
    }

    /// True for the projection, which has no slices.
    pub fn is_projection(self) -> bool {
        self == Self::Projection
    }

    /// The name in the window and for the screen reader.
    pub fn name(self) -> String {
        match self {
            Self::Projection => "MIP".into(),
            Self::Linked(image) => format!("Axial {}", image + 1),
            _ => self.plane().name().into(),
        }
    }
}

/// Settings of one pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pane {
    /// Zoom and pan.
    pub camera: Camera,
}

/// A measurement drawn on a pane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Ruler or ellipse.
    pub kind: MeasureKind,
    /// The plane it was drawn in.
    pub plane: Plane,
    /// Its two ends (ruler) or two corners (ellipse), in world mm.
    pub ends_mm: [DVec3; 2],
    /// Mean and standard deviation of the voxels inside an ellipse. Saved only if finite, since JSON has no other
    /// numbers.
    #[serde(serialize_with = "finite_only")]
    pub statistics: Option<Statistics>,
}

#[allow(clippy::ref_option, reason = "the signature that serde asks for")]
fn finite_only<S: Serializer>(statistics: &Option<Statistics>, serializer: S) -> Result<S::Ok, S::Error> {
    statistics.filter(|s| s.mean.is_finite() && s.sd.is_finite()).serialize(serializer)
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeasureKind {
    /// A length.
    Ruler,
    /// Values inside of an ellipse.
    Ellipse,
}

/// Values of the voxels inside of a region.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Index of the image that was measured.
    pub image: usize,
    /// Its frame, 0-based.
    pub frame: usize,
    /// Number of voxels.
    pub voxels: usize,
    /// Mean of the voxels, in the image's unit.
    pub mean: f64,
    /// Standard deviation (of the voxels, not of the mean).
    pub sd: f64,
    /// Area of the region in mm2.
    pub area_mm2: f64,
}

/// The cine in progress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cine {
    /// The pane that plays.
    pub pane: PaneId,
    /// When the next slice is due, in the window's seconds.
    pub due: f64,
}

/// How segmentation and reference are drawn if both exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overlay {
    /// Only the segmentation.
    Segmentation,
    /// Only the reference.
    Reference,
    /// True positives, false positives, false negatives and wrong labels in different colours.
    #[default]
    Comparison,
}

impl Overlay {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Comparison, Self::Segmentation, Self::Reference];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Comparison => "Compare",
            Self::Segmentation => "Segmentation",
            Self::Reference => "Reference",
        }
    }
}

/// View settings of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The crosshair, in world mm.
    pub crosshair: DVec3,
    /// What the left button does.
    pub tool: ToolKind,
    /// Zoom and pan of axial, sagittal, coronal and the projection.
    pub panes: [Pane; 4],
    /// The pane that fills the centre.
    pub maximised: Option<PaneId>,
    /// One axial slice of each image, instead of the four panes.
    pub linked: bool,
    /// The pane that receives keys: the one under the pointer or last used.
    pub active: Option<PaneId>,
    /// The overlay is hidden while a key is held.
    #[serde(skip)]
    pub hide_overlay: bool,
    /// What is drawn of segmentation and reference.
    pub overlay: Overlay,
    /// Labels that are switched off.
    pub hidden_labels: BTreeSet<u16>,
    /// Colour map of the displayed image.
    pub colour_map: ColourMap,
    /// Index of the image fused over the displayed one.
    pub fused: Option<usize>,
    /// Opacity of the fused image, 0 to 1.
    pub fused_opacity: f32,
    /// Colour map of the fused image.
    pub fused_colour_map: ColourMap,
    /// The modality that the user displayed. The next case of the cohort shows it too.
    pub modality: Option<Modality>,
    /// The modality that the user fused.
    pub fused_modality: Option<Modality>,
    /// Index of the selected finding in the list.
    pub finding: Option<usize>,
    /// Findings below the minimum volume are listed too.
    pub small_findings: bool,
    /// The cine in progress.
    #[serde(skip)]
    pub cine: Option<Cine>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            crosshair: DVec3::ZERO,
            tool: ToolKind::default(),
            panes: [Pane::default(); 4],
            maximised: None,
            linked: false,
            active: None,
            hide_overlay: false,
            overlay: Overlay::default(),
            hidden_labels: BTreeSet::new(),
            colour_map: ColourMap::Grey,
            fused: None,
            fused_opacity: 0.5,
            // Grey over grey would be indistinguishable.
            fused_colour_map: ColourMap::Hot,
            modality: None,
            fused_modality: None,
            finding: None,
            small_findings: false,
            cine: None,
        }
    }
}

impl View {
    /// Index of a pane's camera. All linked axial slices share one.
    pub fn slot(pane: PaneId) -> usize {
        match pane {
            PaneId::Axial | PaneId::Linked(_) => 0,
            PaneId::Sagittal => 1,
            PaneId::Coronal => 2,
            PaneId::Projection => 3,
        }
    }

    /// A pane's zoom and pan.
    pub fn camera(&self, pane: PaneId) -> Camera {
        self.panes[Self::slot(pane)].camera
    }

    /// The visible panes in reading order. `images` is the number of images of the case.
    pub fn shown(&self, images: usize) -> Vec<PaneId> {
        match self.maximised {
            Some(pane) => vec![pane],
            None if self.linked && images > 1 => (0..images).map(PaneId::Linked).collect(),
            None => PaneId::REVIEW.to_vec(),
        }
    }
}
