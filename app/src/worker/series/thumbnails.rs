//! Thumbnails of the listed series, each of its middle slice.

use engine::volume::dicom::ImageStack;

use crate::state::{SeriesList, Slot, State, Thumbnail};
use crate::worker::Jobs;
use crate::worker::thumbnails::MakeThumbnails;

/// Makes the missing thumbnails of the listed series in the background.
pub(in crate::worker) fn start(state: &State, jobs: &mut Jobs) {
    let series = state.series.iter().flat_map(SeriesList::series);
    let missing = series.filter(|series| series.thumbnail.is_none() && series.error.is_none());
    jobs.start(MakeThumbnails {
        slot: Slot::exclusive("pictures of series"),
        title: "Making thumbnails of the series",
        sources: missing.filter_map(|series| Some((series.id, series.stack()?.clone()))).collect(),
        make: picture,
        store: |state, id, made| match (state.series.as_mut().and_then(|list| list.get_mut(id)), made) {
            (Some(series), Ok(picture)) => series.thumbnail = Some(picture),
            (Some(series), Err(why)) => series.error = Some(why),
            (None, _) => {}
        },
    });
}

/// A picture of the middle slice of a series, at most `side` pixels per side.
///
/// # Errors
/// A slice that cannot be read.
fn picture(stack: &ImageStack, side: usize) -> engine::Result<Thumbnail> {
    let (width, height, mut pixels) = engine::draw::thumbnail(&stack.middle_slice()?, side)?;
    if stack.info().inverted {
        pixels.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
    }
    Ok(Thumbnail { size: [width, height], pixels })
}
