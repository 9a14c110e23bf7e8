//! Pictures of the listed series, each of its middle slice.

use std::sync::Arc;

use engine::volume::dicom::ImageStack;

use crate::state::{SeriesId, SeriesList, Slot, State, Thumbnail};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// Side in pixels: twice that in the list, for dense screens.
const SIDE: usize = 96;

/// Makes the pictures of all series, one after the other.
struct MakePictures {
    stacks: Vec<(SeriesId, ImageStack)>,
}

/// Makes the missing pictures of the listed series in the background.
pub(in crate::worker) fn start(state: &State, jobs: &mut Jobs) {
    let series = state.series.iter().flat_map(SeriesList::series);
    let missing = series.filter(|series| series.thumbnail.is_none() && series.error.is_none());
    let stacks = missing.filter_map(|series| Some((series.id, series.stack()?.clone()))).collect();
    jobs.start(MakePictures { stacks });
}

/// A picture of the middle slice of a series.
///
/// # Errors
/// A slice that cannot be read.
fn picture(stack: &ImageStack) -> engine::Result<Thumbnail> {
    let (width, height, mut pixels) = engine::draw::thumbnail(&stack.middle_slice()?, SIDE)?;
    if stack.info().inverted {
        pixels.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
    }
    Ok(Thumbnail { size: [width, height], pixels })
}

impl Job for MakePictures {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(Slot::exclusive("pictures of series"), "Making pictures of the series").quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<(), Failure> {
        for (n, (id, stack)) in self.stacks.iter().enumerate() {
            handle.check()?;
            handle.progress(Some(n as f32 / self.stacks.len() as f32), "");
            let (id, made) = (*id, picture(stack).map(Arc::new).map_err(|error| error.to_string()));
            handle.send(move |state, _| {
                let series = state.series.as_mut().and_then(|list| list.get_mut(id));
                match (series, made) {
                    (Some(series), Ok(picture)) => series.thumbnail = Some(picture),
                    (Some(series), Err(why)) => series.error = Some(why),
                    (None, _) => {}
                }
            });
        }
        Ok(())
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, _: &mut Jobs) {
        if let Err(failure) = result {
            failure.report(&self.spec().title, state);
        }
    }
}
