//! What all panes of a frame share, computed once.

use egui::{Pos2, Rect, Vec2, pos2};
use engine::volume::{Grid, Relation};
use glam::{DAffine3, DVec2, DVec3};

use crate::scene::{DisplayGrid, PaneMap, Plane, PlaneMode, WindowLevel};
use crate::state::study::MethodOutlines;
use crate::state::view::Overlay;
use crate::state::{Document, ImageLayer, MaskLayer, PaneId, State};
use crate::theme::{self, Tokens};

/// The masks that a pane draws.
#[derive(Clone, Copy, Debug)]
pub enum PaneMasks<'a> {
    /// None, or hidden.
    None,
    /// One mask.
    One(&'a MaskLayer),
    /// Segmentation compared with the reference.
    Both {
        /// The segmentation.
        segmentation: &'a MaskLayer,
        /// The reference.
        reference: &'a MaskLayer,
    },
    /// Outlines of the segmentations of a study's methods.
    Methods(&'a MethodOutlines),
}

impl<'a> PaneMasks<'a> {
    /// The masks that `overlay` selects; a single mask is always shown. Outlines of all methods replace them.
    pub fn of(document: &'a Document, overlay: Overlay) -> Self {
        if let Some(outlines) = &document.outlines {
            return Self::Methods(outlines);
        }
        match (document.segmentation(), document.reference()) {
            (None, None) => Self::None,
            (Some(mask), None) | (None, Some(mask)) => Self::One(mask),
            (Some(segmentation), Some(reference)) => match overlay {
                Overlay::Segmentation => Self::One(segmentation),
                Overlay::Reference => Self::One(reference),
                Overlay::Comparison => Self::Both { segmentation, reference },
            },
        }
    }
}

/// The open case in a frame.
#[derive(Debug)]
pub struct CaseView<'a> {
    /// The state of the program.
    pub state: &'a State,
    /// The case.
    pub document: &'a Document,
    /// The grid of the slice panes.
    pub display: DisplayGrid,
    /// The native grid of the first image, along whose axes projections are taken.
    pub native: DisplayGrid,
    /// Masks to draw.
    pub masks: PaneMasks<'a>,
    /// Theme colours.
    pub tokens: &'static Tokens,
    /// Physical pixels per point.
    pub pixels_per_point: f32,
    /// Whether the stored axes are oblique to the patient's.
    pub oblique: bool,
}

impl<'a> CaseView<'a> {
    /// The view of the open case in this frame.
    pub fn new(ctx: &egui::Context, state: &'a State, document: &'a Document) -> Self {
        let native = document.display(PlaneMode::Native);
        let display = match state.session.settings.planes {
            PlaneMode::Native => native.clone(),
            PlaneMode::World => document.display(PlaneMode::World),
        };
        let masks = if state.session.view.hide_overlay {
            PaneMasks::None
        } else {
            PaneMasks::of(document, state.session.view.overlay)
        };
        Self {
            state,
            document,
            display,
            native,
            masks,
            tokens: theme::tokens(ctx),
            pixels_per_point: ctx.pixels_per_point(),
            oblique: document.base().volume.grid.is_oblique(),
        }
    }

    /// The grid of a pane.
    pub fn grid(&self, pane: PaneId) -> &DisplayGrid {
        if pane.is_projection() { &self.native } else { &self.display }
    }

    /// The image of a pane, as an index into the case.
    pub fn image(&self, pane: PaneId) -> usize {
        match pane {
            PaneId::Linked(image) if image < self.document.images.len() => image,
            _ => self.document.shown.min(self.document.images.len().saturating_sub(1)),
        }
    }

    /// The layer of an image.
    pub fn layer(&self, image: usize) -> &'a ImageLayer {
        self.document.images.get(image).unwrap_or_else(|| self.document.base())
    }

    /// A pane on the screen.
    pub fn pane(&self, pane: PaneId, rect: Rect) -> PaneView<'_> {
        let (grid, plane) = (self.grid(pane), pane.plane());
        PaneView {
            id: pane,
            rect,
            grid,
            plane,
            map: self.map(pane, vector(rect.size())),
            slice: grid.index_at(self.state.session.view.crosshair)[plane.axis()],
            image: self.image(pane),
        }
    }

    /// Window/level of an image in a pane.
    pub fn window(&self, pane: PaneId, layer: &ImageLayer) -> WindowLevel {
        if pane.is_projection() { self.state.projection_window_of(layer) } else { self.state.window_of(layer) }
    }

    /// Map from screen positions to indices, for a pane of `size` in any unit.
    pub fn map(&self, pane: PaneId, size: DVec2) -> PaneMap {
        let camera = self.state.session.view.camera(pane);
        PaneMap::new(self.grid(pane), pane.plane(), self.state.session.settings.convention, camera, size)
    }

    /// The pane that receives keys and shows the readout: the active one if shown, else the first.
    pub fn active(&self, shown: &[PaneId]) -> Option<PaneId> {
        self.state.session.view.active.filter(|pane| shown.contains(pane)).or_else(|| shown.first().copied())
    }
}

/// Fractional canonical index of an image on `grid` for an index of the display grid of `base`. Exact for images on the
/// grid of `base`, else by world position.
pub fn canonical_from_display(display: &DisplayGrid, base: &Grid, grid: &Grid) -> DAffine3 {
    if grid.relation(base) == Relation::Same {
        return display.canonical_from_display;
    }
    DisplayGrid::new(grid, PlaneMode::Native).display_from_world * display.world_from_display
}

/// A pane on the screen.
#[derive(Clone, Debug)]
pub struct PaneView<'a> {
    /// The pane.
    pub id: PaneId,
    /// Its rectangle in points.
    pub rect: Rect,
    /// Its display grid.
    pub grid: &'a DisplayGrid,
    /// Sagittal, coronal or axial.
    pub plane: Plane,
    /// Map from points within the pane to indices.
    pub map: PaneMap,
    /// Slice index, 0-based along the display axis.
    pub slice: usize,
    /// Index of its image in the case.
    pub image: usize,
}

impl PaneView<'_> {
    /// Size in points.
    pub fn size(&self) -> DVec2 {
        vector(self.rect.size())
    }

    /// Position within the pane of a screen position.
    pub fn place(&self, pos: Pos2) -> DVec2 {
        vector(pos - self.rect.min)
    }

    /// Screen position of a position within the pane.
    pub fn pos(&self, place: DVec2) -> Pos2 {
        pos2(self.rect.min.x + place.x as f32, self.rect.min.y + place.y as f32)
    }

    /// Screen position of a world position (mm).
    pub fn pos_of(&self, world: DVec3) -> Pos2 {
        self.pos(self.map.place_of_index(self.grid.display_from_world.transform_point3(world)))
    }

    /// Fractional slice index of a world position.
    pub fn depth_of(&self, world: DVec3) -> f64 {
        self.grid.display_from_world.transform_point3(world)[self.plane.axis()]
    }

    /// Whether a world position lies in the shown slice.
    pub fn shows(&self, world: DVec3) -> bool {
        !self.id.is_projection() && (self.depth_of(world) - self.slice as f64).abs() <= 0.5 + 1e-6
    }

    /// World mm at a screen position, at a fractional slice index.
    pub fn world_at(&self, pos: Pos2, depth: f64) -> DVec3 {
        self.grid.world_from_display.transform_point3(self.map.index_in_space(self.place(pos), depth))
    }
}

fn vector(v: Vec2) -> DVec2 {
    DVec2::new(f64::from(v.x), f64::from(v.y))
}
