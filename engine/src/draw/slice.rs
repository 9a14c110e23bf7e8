//! Draws a slice in radiological convention: the patient's right on the left, anterior up.

use super::canvas::on_hatch;
use super::{Canvas, Rect, Rgb};

/// Placement of a slice `[nx][ny]` (row i along R, column j along A) on the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceView {
    /// The screen rectangle that the slice fills.
    pub rect: Rect,
    /// Pixels of the slice along R and A.
    pub shape: [usize; 2],
}

impl SliceView {
    /// A slice with its upper left corner at (x, y) and `scale` screen pixels per slice pixel.
    pub fn new(x: i64, y: i64, shape: [usize; 2], scale: usize) -> Self {
        let scale = scale.max(1);
        Self { rect: Rect::new(x, y, (shape[0] * scale) as i64, (shape[1] * scale) as i64), shape }
    }

    /// The largest view inside `frame` that shows pixels of `spacing_mm` in true proportion.
    pub fn fitted(frame: Rect, shape: [usize; 2], spacing_mm: [f64; 2]) -> Self {
        let side = |axis: usize| (shape[axis].max(1) as f64 * spacing_mm[axis]).max(1e-6);
        let scale = (frame.w as f64 / side(0)).min(frame.h as f64 / side(1));
        let (w, h) = ((side(0) * scale).round() as i64, (side(1) * scale).round() as i64);
        Self { rect: Rect::new(frame.x + (frame.w - w) / 2, frame.y + (frame.h - h) / 2, w, h), shape }
    }

    /// The screen rectangle of rows `i` and columns `j`, ends excluded.
    pub fn rect_of(&self, i: [usize; 2], j: [usize; 2]) -> Rect {
        // Both axes run backwards: R to the left, A up.
        let edge = |at: usize, count: usize, from: i64, size: i64| {
            let mirrored = count as f64 - at as f64;
            from + (mirrored * size as f64 / count.max(1) as f64).round() as i64
        };
        let (left, right) =
            (edge(i[1], self.shape[0], self.rect.x, self.rect.w), edge(i[0], self.shape[0], self.rect.x, self.rect.w));
        let (top, bottom) =
            (edge(j[1], self.shape[1], self.rect.y, self.rect.h), edge(j[0], self.shape[1], self.rect.y, self.rect.h));
        Rect::new(left, top, right - left, bottom - top)
    }

    /// The slice position (i, j), fractional, 0 at the centre of the first pixel, of a screen pixel's centre.
    fn position(&self, x: i64, y: i64) -> [f64; 2] {
        let along = |at: i64, from: i64, size: i64, count: usize| {
            let share = ((at - from) as f64 + 0.5) / size.max(1) as f64;
            (1.0 - share) * count as f64 - 0.5
        };
        [along(x, self.rect.x, self.rect.w, self.shape[0]), along(y, self.rect.y, self.rect.h, self.shape[1])]
    }

    /// Index in a `[nx][ny]` array of the slice pixel under a screen pixel; `None` outside.
    pub fn index_at(&self, x: i64, y: i64) -> Option<usize> {
        let inside = (self.rect.x..self.rect.x + self.rect.w).contains(&x)
            && (self.rect.y..self.rect.y + self.rect.h).contains(&y);
        if !inside || self.shape.contains(&0) {
            return None;
        }
        let [i, j] = self.position(x, y).map(|at| at.round().max(0.0) as usize);
        Some(i.min(self.shape[0] - 1) * self.shape[1] + j.min(self.shape[1] - 1))
    }

    fn pixels(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let rect = self.rect;
        (rect.y..rect.y + rect.h).flat_map(move |y| (rect.x..rect.x + rect.w).map(move |x| (x, y)))
    }
}

/// The window between two percentiles (0 to 100) of the finite values; never empty.
pub fn percentile_window(values: &[f32], low: f64, high: f64) -> [f32; 2] {
    let mut sorted: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f32::total_cmp);
    // The nearest rank, so that black and white are values of the slice.
    let at = |percent: f64| {
        let rank = (percent / 100.0 * (sorted.len().max(1) - 1) as f64).round() as usize;
        sorted.get(rank).copied().unwrap_or(0.0)
    };
    let (low, high) = (at(low), at(high));
    if high > low { [low, high] } else { [low - 0.5, low + 0.5] }
}

impl Canvas {
    /// Draws a slice `[nx][ny]` in grey: `window[0]` is black, `window[1]` white. `smooth` interpolates.
    pub fn blit_slice(&mut self, view: &SliceView, pixels: &[f32], window: [f32; 2], smooth: bool) {
        let [nx, ny] = view.shape;
        if nx == 0 || ny == 0 || pixels.len() < nx * ny {
            return;
        }
        let grey = |value: f32| {
            let share = (value - window[0]) / (window[1] - window[0]).max(f32::MIN_POSITIVE);
            [(share.clamp(0.0, 1.0) * 255.0).round() as u8; 3]
        };
        for (x, y) in view.pixels() {
            let Some(nearest) = view.index_at(x, y) else { continue };
            let value = if smooth { bilinear(pixels, view.shape, view.position(x, y)) } else { pixels[nearest] };
            self.blend(x, y, grey(value), 1.0);
        }
    }

    /// Tints the pixels of a mask `[nx][ny]`.
    pub fn tint(&mut self, view: &SliceView, mask: &[bool], colour: Rgb, alpha: f32) {
        for (x, y) in view.pixels().filter(|(x, y)| holds(view, mask, *x, *y)) {
            self.blend(x, y, colour, alpha);
        }
    }

    /// Hatches the pixels of a mask `[nx][ny]`.
    pub fn hatch_mask(&mut self, view: &SliceView, mask: &[bool], colour: Rgb, alpha: f32, spacing: i64) {
        for (x, y) in view.pixels().filter(|(x, y)| on_hatch(*x, *y, spacing) && holds(view, mask, *x, *y)) {
            self.blend(x, y, colour, alpha);
        }
    }

    /// Draws the contour of a mask `[nx][ny]`, `width` pixels wide on its inner side; `dashed` leaves gaps.
    pub fn contour(&mut self, view: &SliceView, mask: &[bool], colour: Rgb, width: i64, dashed: bool) {
        let near = |x: i64, y: i64| {
            (1..=width).any(|by| {
                [(-by, 0), (by, 0), (0, -by), (0, by)].iter().any(|(dx, dy)| !holds(view, mask, x + dx, y + dy))
            })
        };
        for (x, y) in view.pixels().filter(|(x, y)| holds(view, mask, *x, *y) && near(*x, *y)) {
            if !dashed || (x + y).rem_euclid(8) < 5 {
                self.blend(x, y, colour, 1.0);
            }
        }
    }

    /// Writes R and L at the sides of a view, R on the left.
    pub fn side_letters(&mut self, view: &SliceView, colour: Rgb) {
        let middle = view.rect.y + view.rect.h / 2 - 4;
        self.text(view.rect.x + 3, middle, "R", colour, 1);
        self.text(view.rect.x + view.rect.w - 8, middle, "L", colour, 1);
    }
}

fn holds(view: &SliceView, mask: &[bool], x: i64, y: i64) -> bool {
    view.index_at(x, y).and_then(|at| mask.get(at)).copied().unwrap_or(false)
}

/// The value at a fractional position, edges repeated.
fn bilinear(pixels: &[f32], [nx, ny]: [usize; 2], [i, j]: [f64; 2]) -> f32 {
    let split = |at: f64, count: usize| {
        let at = at.clamp(0.0, (count - 1) as f64);
        let low = at.floor() as usize;
        (low, (low + 1).min(count - 1), (at - at.floor()) as f32)
    };
    let ((i0, i1, u), (j0, j1, v)) = (split(i, nx), split(j, ny));
    let row = |i: usize| pixels[i * ny + j0] * (1.0 - v) + pixels[i * ny + j1] * v;
    row(i0) * (1.0 - u) + row(i1) * u
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "windows are values of the slice itself, not computed")]
mod tests {
    use super::*;

    #[test]
    fn the_patients_right_is_on_the_left_and_anterior_is_up() {
        let mut canvas = Canvas::new(6, 4);
        let view = SliceView::new(0, 0, [3, 2], 2);
        // The only bright pixel is the rightmost (largest i) and most anterior (largest j).
        canvas.blit_slice(&view, &[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 1.0], false);
        for (x, y) in view.pixels() {
            assert_eq!(canvas.get(x, y), Some(if x < 2 && y < 2 { [255; 3] } else { [0; 3] }), "{x} {y}");
        }
        assert_eq!(view.rect_of([2, 3], [1, 2]), Rect::new(0, 0, 2, 2));
        assert_eq!((view.index_at(5, 3), view.index_at(0, 0), view.index_at(6, 0)), (Some(0), Some(5), None));
    }

    #[test]
    fn a_contour_stays_inside_the_mask() {
        let view = SliceView::new(0, 0, [5, 5], 1);
        let mask: Vec<bool> = (0..25).map(|at| (1..4).contains(&(at / 5)) && (1..4).contains(&(at % 5))).collect();
        let mut canvas = Canvas::new(5, 5);
        canvas.contour(&view, &mask, [1; 3], 1, false);
        for (x, y) in view.pixels() {
            let edge = (1..4).contains(&x) && (1..4).contains(&y) && (x, y) != (2, 2);
            assert_eq!(canvas.get(x, y), Some([u8::from(edge); 3]), "{x} {y}");
        }
    }

    #[test]
    fn a_fitted_view_keeps_proportions() {
        let view = SliceView::fitted(Rect::new(0, 0, 100, 100), [50, 25], [1.0, 4.0]);
        assert_eq!((view.rect.w, view.rect.h, view.rect.x), (50, 100, 25));
        assert_eq!(percentile_window(&[f32::NAN], 1.0, 99.0), [-0.5, 0.5]);
        assert_eq!(percentile_window(&[0.0, 1.0, 2.0, 3.0], 0.0, 100.0), [0.0, 3.0]);
    }
}
