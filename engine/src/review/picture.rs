//! Axial slices of a case with the outlines of its masks.

use super::CaseVolumes;
use crate::Result;
use crate::draw::colour::{FALSE_NEGATIVE, INK, TRUE_POSITIVE};
use crate::draw::{Canvas, Rect, SliceView};
use crate::report::figures::{axial_slice, window_of};
use crate::volume::LabelVolume;

/// Width of a picture in pixels.
const WIDTH: i64 = 420;
/// Smallest and largest height as shares of the width.
const HEIGHTS: [f64; 2] = [0.57, 1.33];

/// The images and masks of a case, reoriented to R, A, S.
pub(super) struct Slices {
    shape: [usize; 3],
    spacing_mm: [f64; 2],
    image: Vec<f32>,
    mask: Vec<bool>,
    /// Empty unless there are both segmentation and reference.
    reference: Vec<bool>,
}

impl Slices {
    /// Reorients the base image and the masks of a case.
    pub(super) fn new(volumes: &CaseVolumes) -> Self {
        let base = &volumes.base;
        let (grid, orientation) = base.grid.reoriented_to_ras();
        let source = base.grid.shape;
        let turned = |mask: &Option<LabelVolume>| {
            mask.as_ref().map(|mask| orientation.apply(&mask.inside(), source)).unwrap_or_default()
        };
        let [dx, dy, _] = grid.spacing_mm();
        Self {
            shape: grid.shape,
            spacing_mm: [dx, dy],
            image: orientation.apply(&base.to_f32(), source),
            mask: turned(&volumes.mask),
            reference: turned(&volumes.reference),
        }
    }

    /// A PNG of axial slice `k` (from 0, from the feet) in radiological convention. The mask is outlined in solid blue, the
    /// reference in dashed pink.
    pub(super) fn png(&self, k: usize) -> Result<Vec<u8>> {
        let [nx, ny, _] = self.shape;
        let mm = |axis: usize| self.shape[axis] as f64 * self.spacing_mm[axis];
        let height = (WIDTH as f64 * (mm(1) / mm(0)).clamp(HEIGHTS[0], HEIGHTS[1])).round() as i64;
        let frame = Rect::new(0, 0, WIDTH, height);
        let mut canvas = Canvas::new(frame.w as usize, frame.h as usize);
        let view = SliceView::fitted(frame, [nx, ny], self.spacing_mm);
        let image = axial_slice(&self.image, self.shape, k);
        canvas.blit_slice(&view, &image, window_of(&image), true);
        canvas.contour(&view, &axial_slice(&self.reference, self.shape, k), FALSE_NEGATIVE, 2, true);
        canvas.contour(&view, &axial_slice(&self.mask, self.shape, k), TRUE_POSITIVE, 2, false);
        canvas.side_letters(&view, INK);
        canvas.to_png()
    }
}
