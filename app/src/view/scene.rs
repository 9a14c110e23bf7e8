//! What all panes of a frame share, worked out once.

use egui::{Pos2, Rect, Vec2, pos2};
use engine::volume::{Grid, Relation};
use glam::{DAffine3, DVec2, DVec3};

use super::{DisplayGrid, PaneMap, Plane, PlaneMode};
use crate::state::view::Overlay;
use crate::state::{Document, ImageLayer, MaskLayer, PaneId, State, WindowLevel};
use crate::theme::{self, Tokens};

/// Which labels are drawn.
#[derive(Clone, Copy, Debug)]
pub enum Masks<'a> {
    /// There are none, or they are hidden.
    None,
    /// The labels of one mask.
    One(&'a MaskLayer),
    /// Prediction against truth.
    Both {
        /// The prediction.
        prediction: &'a MaskLayer,
        /// The reference.
        truth: &'a MaskLayer,
    },
}

impl<'a> Masks<'a> {
    /// What the view asks for, as far as it is there: a single mask is shown whatever the view would compare.
    pub fn of(document: &'a Document, overlay: Overlay) -> Self {
        match (&document.prediction, &document.truth) {
            (None, None) => Self::None,
            (Some(mask), None) | (None, Some(mask)) => Self::One(mask),
            (Some(prediction), Some(truth)) => match overlay {
                Overlay::Prediction => Self::One(prediction),
                Overlay::Truth => Self::One(truth),
                Overlay::Comparison => Self::Both { prediction, truth },
            },
        }
    }
}

/// A case as it is looked at in this frame.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Everything.
    pub state: &'a State,
    /// The case.
    pub document: &'a Document,
    /// The grid that slices are cut from.
    pub display: DisplayGrid,
    /// The stored grid of the first image, which projections look along.
    pub native: DisplayGrid,
    /// The labels that are drawn.
    pub masks: Masks<'a>,
    /// Colours.
    pub tokens: &'static Tokens,
    /// Physical pixels per point.
    pub pixels_per_point: f32,
    /// The stored axes are turned against the patient's.
    pub oblique: bool,
}

impl<'a> Scene<'a> {
    /// The open case in this frame.
    pub fn new(ctx: &egui::Context, state: &'a State, document: &'a Document) -> Self {
        let native = document.display(PlaneMode::Native);
        let display = match state.session.settings.planes {
            PlaneMode::Native => native.clone(),
            PlaneMode::World => document.display(PlaneMode::World),
        };
        let masks = if state.session.view.hide_overlay { Masks::None } else { Masks::of(document, state.session.view.overlay) };
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

    /// The grid that a pane looks at.
    pub fn grid(&self, pane: PaneId) -> &DisplayGrid {
        if pane.is_projection() { &self.native } else { &self.display }
    }

    /// Which image a pane shows.
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

    /// A pane at its place.
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

    /// A pane's way from places to indices, for a pane of `size` in any unit.
    pub fn map(&self, pane: PaneId, size: DVec2) -> PaneMap {
        let camera = self.state.session.view.camera(pane);
        PaneMap::new(self.grid(pane), pane.plane(), self.state.session.settings.convention, camera, size)
    }

    /// The pane that keys go to and that carries the readout: the active one if it is shown, else the first.
    pub fn active(&self, shown: &[PaneId]) -> Option<PaneId> {
        self.state.session.view.active.filter(|pane| shown.contains(pane)).or_else(|| shown.first().copied())
    }
}

/// Fractional canonical index of an image on `grid` for an index of a display grid that was made for `base`. The first
/// image's own is exact; others go through the patient.
pub fn canonical_from_display(display: &DisplayGrid, base: &Grid, grid: &Grid) -> DAffine3 {
    if grid.relation(base) == Relation::Same {
        return display.canonical_from_display;
    }
    DisplayGrid::new(grid, PlaneMode::Native).display_from_world * display.world_from_display
}

/// One pane at its place on the screen.
#[derive(Clone, Debug)]
pub struct PaneView<'a> {
    /// Which pane.
    pub id: PaneId,
    /// Its place, in points.
    pub rect: Rect,
    /// The grid that it looks at.
    pub grid: &'a DisplayGrid,
    /// How it cuts the grid.
    pub plane: Plane,
    /// From points within the pane to indices.
    pub map: PaneMap,
    /// The slice, 0-based along the display axis.
    pub slice: usize,
    /// The image, by its place in the case.
    pub image: usize,
}

impl PaneView<'_> {
    /// The size in points.
    pub fn size(&self) -> DVec2 {
        vector(self.rect.size())
    }

    /// A position on the screen as a place within the pane.
    pub fn place(&self, pos: Pos2) -> DVec2 {
        vector(pos - self.rect.min)
    }

    /// A place within the pane as a position on the screen.
    pub fn pos(&self, place: DVec2) -> Pos2 {
        pos2(self.rect.min.x + place.x as f32, self.rect.min.y + place.y as f32)
    }

    /// Where a position in the patient is seen.
    pub fn pos_of(&self, world: DVec3) -> Pos2 {
        self.pos(self.map.place_of_index(self.grid.display_from_world.transform_point3(world)))
    }

    /// Fractional number of the slice that a position in the patient lies in.
    pub fn depth_of(&self, world: DVec3) -> f64 {
        self.grid.display_from_world.transform_point3(world)[self.plane.axis()]
    }

    /// Whether a position in the patient lies in the slice that is shown.
    pub fn shows(&self, world: DVec3) -> bool {
        !self.id.is_projection() && (self.depth_of(world) - self.slice as f64).abs() <= 0.5 + 1e-6
    }

    /// The position in the patient under a position on the screen, at a depth along the display axis.
    pub fn world_at(&self, pos: Pos2, depth: f64) -> DVec3 {
        self.grid.world_from_display.transform_point3(self.map.index_in_space(self.place(pos), depth))
    }
}

fn vector(v: Vec2) -> DVec2 {
    DVec2::new(f64::from(v.x), f64::from(v.y))
}
