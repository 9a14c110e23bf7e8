//! A preprocessed slice with its patches, as the Masking and Train modes show it.
//!
//! It shows the crop, or a slice of the scan on its native grid with the patches aligned by world position
//! ([`PatchPane::native`]). It sends no commands: the caller handles the [`PatchResponse`].

mod input;
mod write;

use egui::{Pos2, Rect, Response, Role, Stroke, StrokeKind, Ui, WidgetInfo, pos2};
use engine::volume::{Grid, Orientation};
use glam::{DAffine3, DVec2, DVec3};
use shaders::{LabelMode, PatchShow, Slice};

use super::uniforms;
use crate::gpu::{self, PatchPaint, SlicePaint, Texture, pane_in_pixels};
use crate::scene::{Camera, ColourMap, Convention, DisplayGrid, PaneMap, Plane, PlaneMode, WindowLevel, crop};
use crate::theme::{self, size};
pub use input::Surface;

/// Width of the outline of a lesion, in points.
const OUTLINE: f32 = 1.5;

/// Margin for name and letters: fraction of the shorter side, minimum and maximum in points.
const MARGIN: (f64, f64, f64) = (0.07, 17.0, 24.0);
/// Margin without a name: room for a line of small letters.
const BARE_MARGIN: f64 = 13.0;
/// Margin without a name but with a badge, which must not cover the picture.
const BADGED_MARGIN: f64 = 19.0;
/// Minimum margin beside a name and a badge.
const NAMED_BADGE_MARGIN: f64 = 23.0;

/// A slice of the scan on its native grid, instead of the crop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NativeSlice<'a> {
    /// Grid of the scan, of [`PatchPane::picture`] and of [`PatchPane::lesion`].
    pub grid: &'a Grid,
    /// Slice index from the feet, 0-based.
    pub slice: usize,
}

/// A second image over the first, such as a probability.
#[derive(Clone, Copy, Debug)]
pub struct OverlayImage<'a> {
    /// Covers the area of the crop, with any number of pixels.
    pub picture: &'a Texture,
    /// Values with the first and last colour; lower values are transparent.
    pub window: [f32; 2],
    /// Colour map.
    pub colour_map: ColourMap,
    /// Opacity, 0 to 1.
    pub opacity: f32,
}

/// A preprocessed slice with its patches.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct PatchPane<'a> {
    /// The image: texture of [`crop::SlicePlacement::volume`], or the scan if `native` is set. Without it `missing` is shown.
    pub picture: Option<&'a Texture>,
    /// A second image over it.
    pub over: Option<OverlayImage<'a>>,
    /// Labels on the grid of the image, drawn as outlines.
    pub lesion: Option<&'a Texture>,
    /// Shows this slice instead of the crop.
    pub native: Option<NativeSlice<'a>>,
    /// Crop size S in pixels.
    pub size: usize,
    /// Patches per side.
    pub grid: usize,
    /// World mm of a crop pixel (i, j, 0) of this slice, from [`crop::at_slice`].
    pub world_from_crop: DAffine3,
    /// False if the scan has no orientation: no letters are drawn.
    pub oriented: bool,
    /// Label of each patch, 1 or 0, patch = i * grid + j. Other values have no digit.
    pub labels: &'a [u8],
    /// Texture of the patch states.
    pub cells: Option<&'a Texture>,
    /// Patch layers to draw.
    pub show: PatchShow,
    /// Writes the labels into patches that are large enough.
    pub digits: bool,
    /// A number per patch, such as its masking order.
    pub numbers: Option<&'a [u16]>,
    /// Random label per patch, where one was drawn: a full disc for 1, a hollow one for 0.
    pub coins: &'a [Option<u8>],
    /// Values with the first and last colour.
    pub window: [f32; 2],
    /// Colour map of the image.
    pub colour_map: ColourMap,
    /// Interpolates between pixels.
    pub smooth: bool,
    /// The pinned patch.
    pub chosen: Option<usize>,
    /// Name, written into the corner and read by screen readers.
    pub title: &'a str,
    /// Stable id of the pane, so that it keeps the keyboard focus when `title` changes.
    pub slot: &'a str,
    /// Hides the name except from screen readers, and lets the slice fill the pane.
    pub bare: bool,
    /// Badge, such as "not trained on".
    pub badge: Option<&'a str>,
    /// Shown if there is no image.
    pub missing: &'a str,
    /// Zoom and pan.
    pub camera: Camera,
    /// Which side of the patient is on the left.
    pub convention: Convention,
}

impl Default for PatchPane<'_> {
    /// No image, one patch.
    fn default() -> Self {
        Self {
            picture: None,
            over: None,
            lesion: None,
            native: None,
            size: 1,
            grid: 1,
            world_from_crop: DAffine3::IDENTITY,
            oriented: true,
            labels: &[],
            cells: None,
            show: PatchShow::NONE,
            digits: false,
            numbers: None,
            coins: &[],
            window: [0.0, 1.0],
            colour_map: ColourMap::Grey,
            smooth: true,
            chosen: None,
            title: "",
            slot: "",
            bare: false,
            badge: None,
            missing: "No image yet.",
            camera: Camera::default(),
            convention: Convention::Radiological,
        }
    }
}

/// User input on a pane.
#[derive(Clone, Debug)]
pub struct PatchResponse {
    /// The patch under the pointer.
    pub hovered: Option<usize>,
    /// The patch that was clicked, or selected by a key.
    pub clicked: Option<usize>,
    /// It was double-clicked.
    pub double_clicked: bool,
    /// World mm under the pointer.
    pub world: Option<DVec3>,
    /// Slices to step, positive towards the head.
    pub notches: i64,
    /// Zoom and pan, if the user changed them.
    pub camera: Option<Camera>,
    /// Drag that changes window/level, in points: right widens, down raises the level.
    pub window: Option<DVec2>,
    /// The widget.
    pub response: Response,
}

/// A pane on the screen.
struct PanePlacement<'a> {
    pane: &'a PatchPane<'a>,
    rect: Rect,
    display: DisplayGrid,
    slice: f64,
    patch_from_display: DAffine3,
    /// In points.
    map: PaneMap,
    /// Screen position of the grid origin, and its steps along i and j.
    lattice: [DVec2; 3],
}

impl<'a> PatchPane<'a> {
    /// Draws it in `rect`, with the slice fitted to it.
    pub fn show(&'a self, ui: &mut Ui, rect: Rect) -> PatchResponse {
        let placed = self.placed(rect);
        let response = input::sense(ui, self.salt(), rect, self.chosen.is_some());
        let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
        let tokens = theme::tokens(ui);
        painter.rect_filled(rect, 0.0, tokens.image);
        let missing = self.paint(&painter, &placed);
        let found = input::interact(ui, &placed, &response);
        match &missing {
            None => write::marks(&painter, &placed, found.hovered),
            Some(why) => write::missing(&painter, rect, why),
        }
        write::frame(ui, &painter, &placed, missing.is_none());
        if found.response.has_focus() {
            let ring = Stroke::new(size::FOCUS_RING, tokens.overlay_accent);
            painter.rect_stroke(rect, 0.0, ring, StrokeKind::Inside);
        }
        found.response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::Canvas, ui.is_enabled(), self.title);
            info.current_text_value = Some(self.spoken(missing.as_deref()));
            info
        });
        found
    }

    fn salt(&self) -> &str {
        if self.slot.is_empty() { self.title } else { self.slot }
    }

    fn placed(&'a self, rect: Rect) -> PanePlacement<'a> {
        let (display, slice) = if let Some(NativeSlice { grid, slice }) = self.native {
            (DisplayGrid::new(grid, PlaneMode::Native), slice as f64)
        } else {
            let shape = [self.size.max(1), self.size.max(1), 1];
            let grid = Grid { shape, world_from_voxel: self.world_from_crop, oriented: self.oriented };
            (DisplayGrid::new(&grid, PlaneMode::Native), 0.0)
        };
        let patch_from_display = crop::patch_from_crop(self.size, self.grid) * self.crop_from_display(&display);
        let size = vector(rect.size());
        let map = self.map(&display, size, self.margin(size));
        let lattice = lattice(&patch_from_display, &map, slice);
        PanePlacement { pane: self, rect, display, slice, patch_from_display, map, lattice }
    }

    /// Fits the slice and the crop into the area inside the margin, centred on the slice.
    fn map(&self, display: &DisplayGrid, size: DVec2, margin: f64) -> PaneMap {
        let scale = |size: DVec2, extent: DVec2| (size / extent).min_element().max(1e-9);
        let usable = (size - 2.0 * margin).max(DVec2::ONE);
        let fitted = scale(usable, self.extent_mm(display));
        let fit = fitted / scale(size.max(DVec2::ONE), display.extent_mm(Plane::Axial));
        let camera = Camera { zoom: self.camera.zoom * fit, ..self.camera };
        PaneMap::new(display, Plane::Axial, self.convention, camera, size)
    }

    /// Extent of the slice in mm, extended symmetrically to contain the crop.
    fn extent_mm(&self, display: &DisplayGrid) -> DVec2 {
        let extent = display.extent_mm(Plane::Axial);
        if self.native.is_none() {
            return extent;
        }
        let [x, y] = Plane::Axial.screen_axes();
        let display_from_crop = display.display_from_world * self.world_from_crop;
        let (low, high) = (-0.5, self.size as f64 - 0.5);
        let corners = [(low, low), (low, high), (high, low), (high, high)].map(|(i, j)| {
            let at = display_from_crop.transform_point3(DVec3::new(i, j, 0.0));
            let from_middle =
                |axis: usize| (at[axis] + 0.5) * display.spacing_mm[axis] - 0.5 * extent_of(display, axis);
            2.0 * DVec2::new(from_middle(x), from_middle(y)).abs()
        });
        corners.into_iter().fold(extent, DVec2::max)
    }

    /// Margin in a pane of `size` points.
    fn margin(&self, size: DVec2) -> f64 {
        if self.bare {
            return if self.badge.is_some() { BADGED_MARGIN } else { BARE_MARGIN };
        }
        let (share, least, most) = MARGIN;
        let least = if self.badge.is_some() { NAMED_BADGE_MARGIN } else { least };
        (share * size.min_element()).clamp(least, most)
    }

    /// Exactly the identity for the crop.
    fn crop_from_display(&self, display: &DisplayGrid) -> DAffine3 {
        if self.native.is_none() && display.orientation == Orientation::IDENTITY {
            return DAffine3::IDENTITY;
        }
        self.world_from_crop.inverse() * display.world_from_display
    }

    /// Adds the image to the frame. Returns the reason if that fails.
    fn paint(&self, painter: &egui::Painter, placed: &PanePlacement<'_>) -> Option<String> {
        let Some(picture) = self.picture else { return Some(self.missing.to_owned()) };
        let slice = self.slice_paint(picture, placed, painter.pixels_per_point());
        gpu::paint(painter, placed.rect, slice).err().map(|why| format!("Cannot draw this slice: {why}."))
    }

    fn slice_paint(&self, picture: &Texture, placed: &PanePlacement<'_>, pixels_per_point: f32) -> SlicePaint {
        let (_, [width, height]) = pane_in_pixels(placed.rect, pixels_per_point);
        let size = DVec2::new(f64::from(width), f64::from(height));
        let pixels = f64::from(pixels_per_point);
        let map = self.map(&placed.display, size, self.margin(vector(placed.rect.size())) * pixels);
        let crop_from_display = self.crop_from_display(&placed.display);
        let of_crop = |texture: &Texture| {
            let from_crop = crop::picture_from_crop(self.size, texture.shape()[0]);
            // A single slice at every depth.
            uniforms::projected(uniforms::rows(&(from_crop * crop_from_display), &map, placed.slice), 2)
        };
        let rows = match self.native {
            Some(_) => uniforms::rows(&placed.display.canonical_from_display, &map, placed.slice),
            None => of_crop(picture),
        };
        let base = uniforms::image(rows, window(self.window), self.colour_map, self.smooth, 1.0);
        let mut uniforms = Slice {
            base,
            label_mode: LabelMode::Outline as u32,
            outline_px: (OUTLINE * pixels_per_point).round().max(1.0),
            ..Slice::default()
        };
        if let Some(over) = self.over {
            let rows = of_crop(over.picture);
            let opacity = f64::from(over.opacity.clamp(0.0, 1.0));
            let image = uniforms::image(rows, window(over.window), over.colour_map, self.smooth, opacity);
            uniforms.fused = shaders::Image { transparent_low: 1, ..image };
        }
        let layer = uniforms::patches(&placed.patch_from_display, &map, placed.slice, self.show);
        let layer = shaders::Patches { grid: self.grid as u32, ..layer };
        SlicePaint {
            base: Some(picture.clone()),
            fused: self.over.map(|over| over.picture.clone()),
            labels: self.lesion.cloned(),
            truth: None,
            patches: Some(PatchPaint { cells: self.cells.cloned(), uniforms: layer }),
            uniforms,
        }
    }

    /// The pane for screen readers, besides its name.
    fn spoken(&self, missing: Option<&str>) -> String {
        let lesion = self.labels.iter().filter(|&&label| label == 1).count();
        let patches = match self.labels.len() {
            0 => format!("{0} by {0} patches", self.grid),
            count => format!("{lesion} of {count} patches are foreground"),
        };
        let more = self.badge.into_iter().chain(missing);
        more.fold(patches, |text, more| format!("{text}. {more}"))
    }
}

impl PanePlacement<'_> {
    /// World mm at a screen position.
    fn world_at(&self, pos: Pos2) -> DVec3 {
        self.display.world_from_display.transform_point3(self.display_at(pos))
    }

    /// Display index at a screen position.
    fn display_at(&self, pos: Pos2) -> DVec3 {
        self.map.index_in_space(vector(pos - self.rect.min), self.slice)
    }

    /// The patch at a screen position; none if the slice is not divided into patches.
    fn patch_at(&self, pos: Pos2) -> Option<usize> {
        if self.pane.grid < 2 {
            return None;
        }
        let at = self.patch_from_display.transform_point3(self.display_at(pos));
        let inside = |v: f64| v >= 0.0 && v < self.pane.grid as f64;
        (inside(at.x) && inside(at.y)).then(|| at.x as usize * self.pane.grid + at.y as usize)
    }

    /// Screen positions of the corners of a patch, in order.
    fn corners(&self, patch: usize) -> [Pos2; 4] {
        let (i, j) = ((patch / self.pane.grid) as f64, (patch % self.pane.grid) as f64);
        [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(|(u, v)| self.pos_of(i + u, j + v))
    }

    /// Screen position of patch coordinates.
    fn pos_of(&self, i: f64, j: f64) -> Pos2 {
        let [origin, along_i, along_j] = self.lattice;
        let place = origin + along_i * i + along_j * j;
        pos2(self.rect.min.x + place.x as f32, self.rect.min.y + place.y as f32)
    }
}

/// Screen position of the grid origin, and its steps along i and j.
fn lattice(patch_from_display: &DAffine3, map: &PaneMap, slice: f64) -> [DVec2; 3] {
    let display_from_patch = patch_from_display.inverse();
    // The grid is viewed along the slices' axis.
    let depth = patch_from_display.transform_point3(DVec3::new(0.0, 0.0, slice)).z;
    let at = |i: f64, j: f64| map.place_of_index(display_from_patch.transform_point3(DVec3::new(i, j, depth)));
    let origin = at(0.0, 0.0);
    [origin, at(1.0, 0.0) - origin, at(0.0, 1.0) - origin]
}

fn extent_of(display: &DisplayGrid, axis: usize) -> f64 {
    display.shape[axis] as f64 * display.spacing_mm[axis]
}

fn window([low, high]: [f32; 2]) -> WindowLevel {
    WindowLevel::of_range(f64::from(low), f64::from(high))
}

fn vector(v: egui::Vec2) -> DVec2 {
    DVec2::new(f64::from(v.x), f64::from(v.y))
}

#[cfg(test)]
#[path = "patch_pane/tests.rs"]
mod tests;
