//! Axial slices of held-out patients: the scan, the reference, and each method's segmentation vs the reference.

use crate::draw::colour::{FALSE_NEGATIVE, FALSE_POSITIVE, INK, TRUE_POSITIVE};
use crate::draw::{Canvas, Mark, Panel, Rect, Row, SliceView, percentile_window, sheet};
use crate::{Error, Result};

/// Width of a panel in pixels: of one slice, and in a sheet of several slices.
const PANEL: i64 = 420;
const SMALL_PANEL: i64 = 280;
/// Smallest and largest height of a panel as shares of its width.
const HEIGHTS: [f64; 2] = [0.57, 1.33];
/// Opacity of the tint over true positives, so that the scan stays visible.
const TINT: f32 = 0.45;
/// Pixels from one hatching line to the next.
const HATCH: i64 = 5;
/// Percentile of a scan that becomes white, so that a single hot pixel does not darken the rest.
const BRIGHT: f64 = 99.7;

/// Input of [`overlay`] and [`overlay_rows`]. Slices are `[nx][ny]` along the patient's axes: row i along R, column j along A.
#[derive(Clone, Copy, Debug)]
pub struct OverlayInput<'a> {
    /// The patient.
    pub case: &'a str,
    /// Description of the slice ("slice 41 of 96").
    pub slice: &'a str,
    /// The modality ("PET").
    pub modality: &'a str,
    /// Unit of the image's values ("SUV"); may be empty.
    pub unit: &'a str,
    /// The scan, `nx * ny` values.
    pub image: &'a [f32],
    /// Pixels along R and A.
    pub shape: [usize; 2],
    /// Size of a pixel along R and A.
    pub spacing_mm: [f64; 2],
    /// Values shown as black and white; `None` derives them from the image.
    pub window: Option<[f32; 2]>,
    /// The reference, `nx * ny`.
    pub reference: &'a [bool],
    /// The methods' masks, in the order shown.
    pub masks: &'a [OverlayMask<'a>],
}

/// A method's mask of the slice.
#[derive(Clone, Copy, Debug)]
pub struct OverlayMask<'a> {
    /// Short name of the method.
    pub name: &'a str,
    /// DSC of the whole patient, not of the slice.
    pub dsc: f64,
    /// The mask, `nx * ny`; `None` if the method has no result.
    pub mask: Option<&'a [bool]>,
}

/// Axial slice `k` of a volume `[nx, ny, nz]` in RAS order (i fastest, as files have it), as `[nx][ny]`; empty outside.
pub fn axial_slice<T: Copy>(volume: &[T], shape: [usize; 3], k: usize) -> Vec<T> {
    let [nx, ny, _] = shape;
    let slice = volume.chunks_exact((nx * ny).max(1)).nth(k).unwrap_or_default();
    (0..nx).flat_map(|i| slice.iter().skip(i).step_by(nx).copied()).collect()
}

/// The axial slice with the most reference voxels, the first one in a tie; `None` if the reference is empty. Slices are
/// contiguous in memory, each of `slice_len` pixels.
pub fn fullest_slice(reference: &[bool], slice_len: usize) -> Option<usize> {
    let counts = reference.chunks_exact(slice_len.max(1)).map(|slice| slice.iter().filter(|v| **v).count());
    let (index, count) = counts.enumerate().min_by_key(|(_, count)| std::cmp::Reverse(*count))?;
    (count > 0).then_some(index)
}

/// A PNG of panels in radiological convention and true proportion, with a legend.
///
/// # Errors
/// An array that does not have `nx * ny` values; an invalid spacing.
pub fn overlay(input: &OverlayInput) -> Result<Vec<u8>> {
    let panels = panels(input, PANEL, false)?;
    let columns = if panels.len() <= 4 { panels.len() } else { panels.len().div_ceil(2).min(4) };
    let rows: Vec<Row> =
        panels.chunks(columns).map(|panels| Row { heading: String::new(), panels: panels.to_vec() }).collect();
    let title = format!("{}, {}", input.case, input.slice);
    sheet(&title, &rows, &legend()).to_png()
}

/// A PNG with one row per slice and the reference's contour in every panel, as in the paper's Fig. 3.
///
/// # Errors
/// As [`overlay`].
pub fn overlay_rows(title: &str, slices: &[OverlayInput]) -> Result<Vec<u8>> {
    let row = |input: &OverlayInput| {
        let heading = format!("{}, {}", input.case, input.slice);
        Ok(Row { heading, panels: panels(input, SMALL_PANEL, true)? })
    };
    sheet(title, &slices.iter().map(row).collect::<Result<Vec<_>>>()?, &legend()).to_png()
}

/// Panels of the scan, the reference and each mask. `contours` also draws the reference's contour into the panels of the masks.
fn panels(input: &OverlayInput, width: i64, contours: bool) -> Result<Vec<Panel>> {
    check(input)?;
    let window = input.window.filter(|w| w[1] > w[0]).unwrap_or_else(|| window_of(input.image));
    let frame = Rect::new(0, 0, width, height(input, width));
    let view = SliceView::fitted(frame, input.shape, input.spacing_mm);
    let mut image = Canvas::new(frame.w as usize, frame.h as usize);
    image.blit_slice(&view, input.image, window, true);
    let scan = |paint: &dyn Fn(&mut Canvas, &SliceView)| {
        let mut canvas = image.clone();
        paint(&mut canvas, &view);
        let side = |x| Rect::new(x, view.rect.y + view.rect.h / 2 - 10, 20, 20);
        canvas.text_centred(side(view.rect.x + 4), "R", INK, 2);
        canvas.text_centred(side(view.rect.x + view.rect.w - 24), "L", INK, 2);
        canvas
    };
    let range = format!("{} to {} {}", short(window[0]), short(window[1]), input.unit);
    let mut panels = vec![
        Panel::new(format!("{}\n{}", input.modality, range.trim_end()), scan(&|_, _| {})),
        Panel::new("reference", scan(&|canvas, view| canvas.contour(view, input.reference, INK, 2, false))),
    ];
    for method in input.masks {
        let Some(mask) = method.mask else {
            panels.push(Panel::new(format!("{}\nno result", method.name), scan(&|_, _| {})));
            continue;
        };
        let paint = |canvas: &mut Canvas, view: &SliceView| {
            compare(canvas, view, mask, input.reference);
            if contours {
                canvas.contour(view, input.reference, INK, 1, false);
            }
        };
        panels.push(Panel::new(format!("{}\n{}", method.name, dsc(method.dsc)), scan(&paint)));
    }
    Ok(panels)
}

fn legend() -> Vec<(Mark, String)> {
    vec![
        (Mark::Solid(TRUE_POSITIVE, TINT), "solid blue: segmented, in the reference".into()),
        (Mark::Hatched(FALSE_POSITIVE), "hatched orange: segmented, not in the reference".into()),
        (Mark::Dashed(FALSE_NEGATIVE), "dashed pink: in the reference, missed".into()),
        (Mark::Line(INK), "white line: reference".into()),
        (
            Mark::None,
            "DSC of the whole patient, not of this slice. R, L: the patient's right and left; anterior is up.".into(),
        ),
    ]
}

fn check(input: &OverlayInput) -> Result<()> {
    let count = input.shape[0] * input.shape[1];
    let wrong = |field: String, length: usize| {
        let why = format!("a slice of {} x {} pixels has {count}", input.shape[0], input.shape[1]);
        Err(Error::config(&field, length, why))
    };
    if count == 0 || input.image.len() != count {
        return wrong("image".into(), input.image.len());
    }
    if input.reference.len() != count {
        return wrong("reference".into(), input.reference.len());
    }
    if let Some(method) = input.masks.iter().find(|m| m.mask.is_some_and(|mask| mask.len() != count)) {
        return wrong(format!("mask of {}", method.name), method.mask.map_or(0, <[bool]>::len));
    }
    if input.spacing_mm.iter().any(|mm| !(mm.is_finite() && *mm > 0.0)) {
        return Err(Error::config("spacing_mm", format!("{:?}", input.spacing_mm), "not two positive lengths"));
    }
    Ok(())
}

/// Height of a panel that the slice fills in true proportion, within limits.
fn height(input: &OverlayInput, width: i64) -> i64 {
    let mm = |axis: usize| input.shape[axis] as f64 * input.spacing_mm[axis];
    (width as f64 * (mm(1) / mm(0)).clamp(HEIGHTS[0], HEIGHTS[1])).round() as i64
}

/// The window from 0 (or a low percentile, if the scan has negative values) to a high percentile.
pub(crate) fn window_of(image: &[f32]) -> [f32; 2] {
    let [low, high] = percentile_window(image, 0.5, BRIGHT);
    let negative = image.iter().any(|v| *v < 0.0);
    if negative || high <= 0.0 { [low, high] } else { [0.0, high] }
}

/// Draws true positives, false positives and false negatives. None is marked by colour alone.
fn compare(canvas: &mut Canvas, view: &SliceView, mask: &[bool], reference: &[bool]) {
    let part = |chosen: fn(bool, bool) -> bool| -> Vec<bool> {
        mask.iter().zip(reference).map(|(mask, reference)| chosen(*mask, *reference)).collect()
    };
    canvas.tint(view, &part(|mask, reference| mask && reference), TRUE_POSITIVE, TINT);
    canvas.hatch_mask(view, &part(|mask, reference| mask && !reference), FALSE_POSITIVE, 1.0, HATCH);
    canvas.contour(view, &part(|mask, reference| reference && !mask), FALSE_NEGATIVE, 3, true);
}

fn dsc(value: f64) -> String {
    if value.is_finite() { format!("DSC {value:.3}") } else { "DSC not defined".into() }
}

/// Formats a value in few characters.
fn short(value: f32) -> String {
    if value == 0.0 || value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn disc(centre: [f64; 2], radius: f64) -> Vec<bool> {
        let inside = |i: usize, j: usize| (i as f64 - centre[0]).hypot(j as f64 - centre[1]) < radius;
        (0..40 * 30).map(|index| inside(index / 30, index % 30)).collect()
    }

    fn size(png: &[u8]) -> [u32; 2] {
        let read = Canvas::from_png(png);
        [read.width(), read.height()].map(|side| side as u32)
    }

    #[test]
    fn every_mask_gets_a_panel_with_its_hits_and_errors() {
        let image: Vec<f32> = (0..1200_u16).map(|v| f32::from(v) / 100.0).collect();
        let (reference, other) = (disc([20.0, 15.0], 8.0), disc([24.0, 15.0], 8.0));
        let two = [
            OverlayMask { name: "one", dsc: 0.75, mask: Some(&other) },
            OverlayMask { name: "two", dsc: f64::NAN, mask: Some(&reference) },
        ];
        let mut input = OverlayInput {
            case: "P1",
            slice: "slice 3 of 9",
            modality: "PET",
            unit: "SUV",
            image: &image,
            shape: [40, 30],
            spacing_mm: [2.0, 2.0],
            window: None,
            reference: &reference,
            masks: &two[..1],
        };
        let png = overlay(&input).unwrap();
        assert_eq!(size(&png)[0], 20 + 3 * 440);
        let pixels = Canvas::from_png(&png);
        for colour in [FALSE_POSITIVE, FALSE_NEGATIVE, INK] {
            assert!(pixels.count(colour) > 50, "{colour:?}");
        }
        input.masks = &two;
        assert_eq!(size(&overlay(&input).unwrap())[0], 20 + 4 * 440);
        // A sheet has a row for every slice, and the reference's contour in every panel of a mask.
        let sheet = |masks: &[OverlayMask], rows: usize| {
            Canvas::from_png(&overlay_rows("title", &vec![OverlayInput { masks, ..input }; rows]).unwrap())
        };
        let (one, three) = (sheet(&two, 1), sheet(&two, 3));
        assert_eq!((one.width(), three.width()), (20 + 4 * 300, 20 + 4 * 300));
        assert!(three.height() > one.height() + 2 * 160);
        let no_result = [two[0], OverlayMask { mask: None, ..two[1] }];
        let contour = one.count(INK) as i64 - sheet(&no_result, 1).count(INK) as i64;
        assert!(contour > 100, "a contour more than without a result: {contour}");
        input.spacing_mm = [2.0, f64::NAN];
        assert!(overlay(&input).unwrap_err().to_string().contains("spacing_mm"));
        input.spacing_mm = [2.0, 2.0];
        input.reference = &reference[1..];
        assert!(overlay(&input).unwrap_err().to_string().contains("reference = 1199"));
    }

    #[test]
    fn the_fullest_slice_is_the_first_one_in_a_tie() {
        let reference = [false, false, true, false, true, true, true, true];
        assert_eq!(fullest_slice(&reference, 2), Some(2));
        assert_eq!(fullest_slice(&[false; 6], 2), None);
        assert_eq!(fullest_slice(&[], 0), None);
    }

    #[test]
    fn an_axial_slice_has_its_second_axis_fastest() {
        let volume: Vec<u8> = (0..24).collect();
        assert_eq!(axial_slice(&volume, [2, 3, 4], 1), [6, 8, 10, 7, 9, 11]);
        assert!(axial_slice(&volume, [2, 3, 4], 4).is_empty() && axial_slice(&volume, [0, 3, 4], 0).is_empty());
    }

    #[test]
    fn windows_of_nonnegative_scans_start_at_zero() {
        assert_eq!((window_of(&[1.0, 2.0, 3.0]), window_of(&[-1.0, 2.0])), ([0.0, 3.0], [-1.0, 2.0]));
        assert_eq!((window_of(&[0.0; 4]), window_of(&[-1.0; 4])), ([0.0, 0.5], [-1.5, -0.5]));
    }
}
