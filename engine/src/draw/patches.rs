//! Draws patches over a slice: categories, masked patches, label flips.

use super::colour::{self, FLIP, PATCH_FILL};
use super::{Canvas, Rect, SliceView};
use crate::patch::PatchGrid;

/// Patches at least this many pixels wide carry their label as a digit.
const DIGIT_FROM: i64 = 14;

impl SliceView {
    /// The screen rectangle of a patch.
    pub fn patch(&self, grid: &PatchGrid, patch: usize) -> Rect {
        let (rows, columns) = grid.pixels_of(patch);
        self.rect_of([rows.start, rows.end], [columns.start, columns.end])
    }
}

impl Canvas {
    /// Shows the category of each patch: fill and outline in its colour, and its digit where there is room.
    pub fn categories(&mut self, view: &SliceView, grid: &PatchGrid, labels: &[u8]) {
        for (patch, label) in labels.iter().enumerate().take(grid.count()) {
            let (rect, colour) = (view.patch(grid, patch), colour::category(*label));
            self.fill(rect, colour, PATCH_FILL);
            self.outline(rect, colour, 0.75, 1);
            if rect.w >= DIGIT_FROM {
                let scale = (rect.w / 24).max(1);
                self.text_centred(rect, if *label == 1 { "1" } else { "0" }, colour::INK, scale);
            }
        }
    }

    /// Hatches the masked patches.
    pub fn hatch_patches(&mut self, view: &SliceView, grid: &PatchGrid, masked: &[bool]) {
        for (patch, _) in masked.iter().enumerate().take(grid.count()).filter(|(_, masked)| **masked) {
            self.hatch(view.patch(grid, patch), colour::INK, 0.45, 6);
        }
    }

    /// Frames the patches whose label changed.
    pub fn mark_flips(&mut self, view: &SliceView, grid: &PatchGrid, before: &[u8], after: &[u8]) {
        for patch in (0..grid.count().min(before.len()).min(after.len())).filter(|i| before[*i] != after[*i]) {
            self.outline(view.patch(grid, patch), FLIP, 1.0, 2);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_drawn_over_its_own_pixels() {
        let grid = PatchGrid::new(4, 2).unwrap();
        let view = SliceView::new(0, 0, [4, 4], 10);
        // Patch 1: low i, high j: the patient's left, anterior: upper right on screen.
        assert_eq!(view.patch(&grid, 1), Rect::new(20, 0, 20, 20));
        let mut canvas = Canvas::new(40, 40);
        canvas.mark_flips(&view, &grid, &[0, 0, 1, 1], &[0, 1, 1, 1]);
        assert_eq!((canvas.get(21, 1), canvas.get(25, 5), canvas.get(1, 1)), (Some(FLIP), Some([0; 3]), Some([0; 3])));
        canvas.categories(&view, &grid, &[0, 1, 0, 0]);
        let green = canvas.get(25, 3).unwrap();
        assert!(green[1] > green[0] && green[1] <= 51, "a fill of at most 20 %: {green:?}");
    }
}
