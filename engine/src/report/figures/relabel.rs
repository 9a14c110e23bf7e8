//! Draws the patch labels of a slice before and after label updates, as in the paper's Fig. 4.

use crate::draw::colour::{self, BACKGROUND, FLIP, LESION};
use crate::draw::{Canvas, Mark, Panel, Rect, Row, SliceView, percentile_window, sheet};
use crate::event::Probe;
use crate::patch::PatchGrid;
use crate::words::plural;
use crate::{Error, Result};

/// Maximum number of updates shown per slice.
pub const MAX_UPDATES: usize = 5;
/// Minimum side of a patch in pixels, so that its digit is readable even at half size.
const PATCH: usize = 20;
/// Factor by which the window is widened, to darken the scan under the digits.
const DIMMED: f32 = 1.6;

/// A slice and its label updates.
#[derive(Clone, Copy, Debug)]
pub struct RelabelRow<'a> {
    /// Its name, above the row.
    pub name: &'a str,
    /// The slice as trained on, its first channel, `[S][S]`: row i along R, column j along A.
    pub pixels: &'a [f32],
    /// Its patch grid.
    pub grid: PatchGrid,
    /// The updates of this slice, in the order of their epochs; at most [`MAX_UPDATES`] are shown.
    pub updates: &'a [Probe],
}

/// At most `limit` of the indices 0 to `count - 1`, evenly spread and including the first and the last.
pub fn evenly(count: usize, limit: usize) -> Vec<usize> {
    let shown = count.min(limit.max(2));
    let step = |index: usize| if shown < 2 { 0 } else { (index * (count - 1) + (shown - 1) / 2) / (shown - 1) };
    (0..shown).map(step).collect()
}

/// A PNG with two rows per slice: the labels before each update, and below them the labels after it.
///
/// # Errors
/// Pixels that do not fit their grid; labels that are not one `0` or `1` per patch.
pub fn relabel_sheet(title: &str, slices: &[RelabelRow]) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for slice in slices {
        let side = slice.grid.size();
        if slice.pixels.len() != side * side {
            let why = format!("a slice of {side} x {side} pixels has {}", side * side);
            return Err(Error::config("pixels", slice.pixels.len(), why));
        }
        let (mut before, mut after) = (Row::default(), Row::default());
        for probe in evenly(slice.updates.len(), MAX_UPDATES).into_iter().map(|index| &slice.updates[index]) {
            let old = digits("before", &probe.before, slice.grid.count())?;
            let new = digits("after", &probe.after, slice.grid.count())?;
            let flips = old.iter().zip(&new).filter(|(old, new)| old != new).count();
            before.panels.push(Panel::new(format!("epoch {}: before", probe.epoch), picture(slice, &old, &old, &new)));
            let flips = plural(flips, "flip", "flips");
            after.panels.push(Panel::new(format!("after, {flips}"), picture(slice, &new, &old, &new)));
            slice.name.clone_into(&mut before.heading);
        }
        rows.extend([before, after]);
    }
    sheet(title, &rows, &legend()).to_png()
}

fn legend() -> Vec<(Mark, String)> {
    vec![
        (Mark::Patch(LESION, "1"), "1, green: lesion patch".into()),
        (Mark::Patch(BACKGROUND, "0"), "0, purple: background patch".into()),
        (Mark::Line(FLIP), "yellow frame: changed by this update".into()),
    ]
}

/// Parses the labels of a probe.
fn digits(field: &str, text: &str, count: usize) -> Result<Vec<u8>> {
    if text.len() != count || text.bytes().any(|b| !matches!(b, b'0' | b'1')) {
        let why = format!("the labels of {count} patches are {count} characters, 0 or 1");
        return Err(Error::config(field, format!("{} characters", text.len()), why));
    }
    Ok(text.bytes().map(|b| b - b'0').collect())
}

fn picture(slice: &RelabelRow, labels: &[u8], before: &[u8], after: &[u8]) -> Canvas {
    let grid = &slice.grid;
    let side = (grid.grid() * PATCH.max(grid.side())) as i64;
    let view = SliceView::fitted(Rect::new(0, 0, side, side), [grid.size(); 2], [1.0; 2]);
    let mut canvas = Canvas::new(side as usize, side as usize);
    let [low, high] = percentile_window(slice.pixels, 1.0, 99.5);
    // Darker than usual, so that the digits stand out.
    canvas.blit_slice(&view, slice.pixels, [low, low + (high - low) * DIMMED], true);
    for (patch, label) in labels.iter().enumerate() {
        let (rect, colour) = (view.patch(grid, patch), colour::category(*label));
        canvas.fill(rect, colour, colour::PATCH_FILL);
        canvas.outline(rect, colour, 0.75, 1);
        let digit = if *label == 1 { "1" } else { "0" };
        canvas.text_centred(rect, digit, colour::INK, ((rect.w - 6) / 7).clamp(1, 3));
    }
    canvas.mark_flips(&view, grid, before, after);
    canvas
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn first_and_last_are_always_shown() {
        assert_eq!(evenly(3, 6), [0, 1, 2]);
        assert_eq!(evenly(11, 6), [0, 2, 4, 6, 8, 10]);
        assert_eq!(evenly(12, 6), [0, 2, 4, 7, 9, 11]);
        assert_eq!((evenly(0, 6), evenly(1, 6), evenly(5, 1)), (vec![], vec![0], vec![0, 4]));
    }

    proptest! {
        #[test]
        fn columns_rise_and_spread(count in 1usize..500, limit in 0usize..20) {
            let chosen = evenly(count, limit);
            prop_assert_eq!((chosen[0], chosen[chosen.len() - 1]), (0, count - 1));
            prop_assert_eq!(chosen.len(), count.min(limit.max(2)));
            let gaps: Vec<usize> = chosen.windows(2).map(|pair| pair[1] - pair[0]).collect();
            prop_assert!(gaps.iter().all(|gap| *gap > 0 && gap.abs_diff(gaps[0]) <= 1), "{:?}", chosen);
        }
    }

    #[test]
    fn changed_labels_are_framed_and_invalid_ones_refused() {
        let grid = PatchGrid::new(8, 2).unwrap();
        let pixels: Vec<f32> = (0..64_u8).map(f32::from).collect();
        let probe = |before: &str, after: &str| Probe {
            epoch: 3,
            case: "P1".into(),
            slice: 4,
            before: before.into(),
            after: after.into(),
            cases: "0000".into(),
            ..Probe::default()
        };
        let flips = |before: &str, after: &str| {
            let updates = [probe(before, after)];
            let png = relabel_sheet("title", &[RelabelRow { name: "P1", pixels: &pixels, grid, updates: &updates }])?;
            Ok::<_, Error>(Canvas::from_png(&png).count(FLIP))
        };
        // Patches of 20 pixels: a frame of two has 144, and the legend's sample is the rest.
        let sample = flips("0101", "0101").unwrap();
        assert!(sample > 0);
        assert_eq!(flips("0101", "0111").unwrap(), sample + 2 * 144);
        assert!(flips("0101", "011").unwrap_err().to_string().starts_with("after = 3 characters"));
        assert!(flips("0121", "0111").is_err() && flips("é11", "0111").is_err());
        let short = RelabelRow { name: "P1", pixels: &pixels[1..], grid, updates: &[] };
        assert!(relabel_sheet("", &[short]).unwrap_err().to_string().contains("pixels = 63"));
        assert!(!relabel_sheet("nothing", &[]).unwrap().is_empty());
    }
}
