//! Shows the slices of a series that takes long to load, as they arrive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::volume::dicom::{ImageStack, PartialVolume};

use super::Reading;
use crate::scene::{DisplayGrid, PlaneMode, Preset, ScanInfo};
use crate::state::Thumbnail;
use crate::state::partial_series::PartialSeries;
use crate::worker::JobHandle;

/// Time after which the speed of loading is known well enough.
const MEASURED: Duration = Duration::from_millis(300);
/// A series is slow if the rest takes longer than this. Slices shown for less time would only flicker.
const SLOW: Duration = Duration::from_secs(1);
/// Maximum number of pictures, so that they take little time and memory compared with the volume.
const MAX_PICTURES: usize = 128;
/// Longer side of a picture in pixels.
const SIDE: usize = 512;

/// Whether the slices of a series are to be shown after `done` of `total` have arrived.
fn is_slow(elapsed: Duration, done: usize, total: usize) -> bool {
    let left = elapsed.mul_f64(total.saturating_sub(done) as f64 / done.max(1) as f64);
    elapsed >= MEASURED && left >= SLOW
}

/// Which slices, by number, get a picture: the first one shown and, evenly around it, at most [`MAX_PICTURES`].
fn pictured(count: usize, middle: usize) -> impl Fn(usize) -> bool {
    let every = count.div_ceil(MAX_PICTURES).max(1);
    move |number| number.abs_diff(middle).is_multiple_of(every)
}

/// Makes pictures of decoded slices for the window.
pub(super) struct SlicePreviewer<'a> {
    stack: &'a ImageStack,
    info: ScanInfo,
    /// Small values are bright.
    inverted: bool,
    handle: &'a JobHandle,
    begun: Instant,
    /// The slices, by k, that have no picture yet and get one; none if the window shows something else.
    wanted: Vec<bool>,
    /// Values that are black and white, once the first slice is shown.
    window: Option<[f32; 2]>,
}

impl<'a> SlicePreviewer<'a> {
    pub(super) fn new(stack: &'a ImageStack, info: ScanInfo, reading: &Reading<'a>) -> Self {
        let series = PartialSeries::new(DisplayGrid::new(stack.grid(), PlaneMode::Native));
        let count = if reading.shows_slices { series.slices.len() } else { 0 };
        let pictured = pictured(count, series.at);
        let wanted = (0..count).map(|k| pictured(series.number_of(k))).collect();
        let (inverted, handle) = (stack.info().inverted, reading.handle);
        Self { stack, info, inverted, handle, begun: Instant::now(), wanted, window: None }
    }

    /// Shows what is decoded, if the series is slow.
    pub(super) fn show(&mut self, partial: &PartialVolume<'_>) {
        self.show_after(self.begun.elapsed(), partial);
    }

    fn show_after(&mut self, elapsed: Duration, partial: &PartialVolume<'_>) {
        if self.window.is_some() || is_slow(elapsed, partial.done(), partial.total()) {
            self.send(partial);
        }
    }

    /// Sends pictures of the slices that were decoded since the last call.
    fn send(&mut self, partial: &PartialVolume<'_>) {
        let first = self.window.is_none();
        let mut pictures = Vec::new();
        for (k, wanted) in self.wanted.iter_mut().enumerate().filter(|(_, wanted)| **wanted) {
            let Some(slice) = partial.slice(k) else { continue };
            let window = *self.window.get_or_insert_with(|| {
                let percentiles = slice.percentiles(0, &[0.0, 1.0, 99.0, 100.0]);
                let window = Preset::default_window(&self.info, percentiles.as_deref());
                [window.low() as f32, window.high() as f32]
            });
            // Opening the series says what is wrong with it.
            let Ok((width, height, mut pixels)) = engine::draw::thumbnail_in_window(&slice, SIDE, Some(window)) else {
                continue;
            };
            if self.inverted {
                pixels.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
            }
            *wanted = false;
            pictures.push((k, Arc::new(Thumbnail { size: [width, height], pixels })));
        }
        if pictures.is_empty() {
            return;
        }
        let new = first.then(|| PartialSeries::new(DisplayGrid::new(self.stack.grid(), PlaneMode::Native)));
        self.handle.send(move |state, _| {
            state.cache.partial_series = new.or(state.cache.partial_series.take());
            let Some(series) = &mut state.cache.partial_series else { return };
            for (k, picture) in pictures {
                let number = series.number_of(k);
                if let Some(slice) = series.slices.get_mut(number) {
                    *slice = Some(picture);
                }
            }
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use engine::volume::ReadOptions;
    use engine::volume::dicom::{self, DataSet, Tag, Value, Vr, file_bytes};

    use super::*;
    use crate::scene::{Modality, Plane, SOFT_TISSUE, Unit};
    use crate::state::State;
    use crate::worker::Jobs;

    const SLICES: usize = 60;

    #[test]
    fn only_slow_series_are_shown_while_loading() {
        let ms = Duration::from_millis;
        assert!(!is_slow(ms(299), 1, 500), "the speed is not known yet");
        assert!(is_slow(ms(300), 100, 500));
        assert!(!is_slow(ms(300), 250, 500), "the rest takes as long again");
        assert!(!is_slow(ms(5000), 490, 500), "it is nearly complete");
        assert!(!is_slow(ms(300), 0, 0));
    }

    /// A CT from head to feet, whose values grow by 10 HU a slice.
    fn series(folder: &std::path::Path) -> ImageStack {
        for k in 0..SLICES {
            let mut data = DataSet::new();
            for (tag, value) in [
                (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2"),
                (Tag::SOP_INSTANCE_UID, &*format!("1.2.{k}")),
                (Tag::SERIES_INSTANCE_UID, "1.2"),
                (Tag::MODALITY, "CT"),
                (Tag::IMAGE_POSITION_PATIENT, &*format!("0\\0\\{}", 2 * k)),
                (Tag::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0"),
                (Tag::PIXEL_SPACING, "1\\1"),
                (Tag::RESCALE_INTERCEPT, "-300"),
                (Tag::RESCALE_SLOPE, "1"),
            ] {
                data.put_text(tag, value);
            }
            for (tag, value) in [(Tag::ROWS, 2), (Tag::COLUMNS, 3), (Tag::BITS_ALLOCATED, 16)] {
                data.put_u16(tag, &[value]);
            }
            let stored = (0..6).flat_map(|at| (10 * k as u16 + at).to_le_bytes()).collect();
            data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(stored));
            std::fs::write(folder.join(k.to_string()), file_bytes(&data)).unwrap();
        }
        dicom::open(folder).unwrap()
    }

    #[test]
    fn slices_arrive_step_by_step_and_are_those_of_the_volume() {
        let folder = tempfile::tempdir().unwrap();
        let stack = series(folder.path());
        let handle = JobHandle::new(Arc::new(|| ()));
        let (mut state, mut jobs) = (State::default(), Jobs::new(None, Arc::new(|| ())));
        let reading = Reading { shows_slices: true, ..Reading::new(None, &handle) };
        let info = ScanInfo::of_dicom(Modality::Ct, Some(Unit::Hounsfield));
        let (mut fast, mut previewer) =
            (SlicePreviewer::new(&stack, info.clone(), &reading), SlicePreviewer::new(&stack, info, &reading));
        let mut counts = Vec::new();
        let volume = stack.load_in_steps(&ReadOptions::default(), &mut |partial| {
            fast.show_after(Duration::ZERO, partial);
            assert!(handle.take_partial().is_empty(), "a fast series does not flicker");
            previewer.show_after(Duration::from_hours(1), partial);
            handle.take_partial().into_iter().for_each(|part| part(false, &mut state, &mut jobs));
            let series = state.cache.partial_series.as_mut().unwrap();
            let shown = series.slices.iter().filter(|slice| slice.is_some()).count();
            assert_eq!(shown, partial.done());
            if counts.is_empty() {
                assert_eq!(series.shown().map(|(at, _)| at), Some((SLICES - 1) / 2));
                series.step(1);
            }
            counts.push(shown);
            true
        });
        let volume = volume.unwrap();
        assert!(counts.len() > 1 && counts.is_sorted() && counts.last() == Some(&SLICES), "{counts:?}");
        let series = state.cache.partial_series.unwrap();
        assert_eq!((series.plane, series.at), (Plane::Axial, SLICES.div_ceil(2)), "the chosen slice stays");
        let window = [SOFT_TISSUE.low() as f32, SOFT_TISSUE.high() as f32];
        for (number, picture) in series.slices.iter().enumerate() {
            let picture = picture.as_ref().unwrap();
            // Feet first, as the views count.
            let value = volume.value([2, 0, number]) as f32;
            let grey = ((value - window[0]) / (window[1] - window[0])).clamp(0.0, 1.0) * 255.0;
            // The corner that is left and in front of the patient: right and up on the screen.
            let [width, height] = picture.size;
            assert_eq!((width, height, picture.pixels[width - 1]), (512, 341, grey.round() as u8), "slice {number}");
        }
    }

    #[test]
    fn a_background_series_makes_no_pictures_and_a_long_one_few() {
        let folder = tempfile::tempdir().unwrap();
        let stack = series(folder.path());
        let handle = JobHandle::new(Arc::new(|| ()));
        let reading = Reading::new(None, &handle);
        let info = ScanInfo::of_dicom(Modality::Ct, Some(Unit::Hounsfield));
        let mut previewer = SlicePreviewer::new(&stack, info, &reading);
        let loaded = stack.load_in_steps(&ReadOptions::default(), &mut |partial| {
            previewer.send(partial);
            true
        });
        assert!(loaded.is_ok() && handle.take_partial().is_empty(), "a background job shows no slices");
        for (count, pictures) in [(1, 1), (128, 128), (129, 65), (500, 125), (5000, 125)] {
            let middle = (count - 1) / 2;
            let pictured = pictured(count, middle);
            assert_eq!((0..count).filter(|number| pictured(*number)).count(), pictures, "{count}");
            assert!(pictured(middle), "{count}");
        }
    }
}
