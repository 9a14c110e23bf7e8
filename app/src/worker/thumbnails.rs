//! Thumbnails of the listed cases and series.

use std::sync::Arc;

use engine::cohort::ImageFile;
use engine::volume::{Frames, ReadOptions, Volume};

use super::{Failure, Job, JobHandle, Jobs, Spec};
use crate::state::{ListedCase, Slot, State, Thumbnail};

/// Side in pixels: twice that in the list, for dense screens.
const SIDE: usize = 96;

/// A thumbnail, or the reason why there is none.
type ThumbnailResult = Result<Arc<Thumbnail>, String>;

/// Makes the thumbnails of a list one after the other.
pub(super) struct MakeThumbnails<Id, Source> {
    pub slot: Slot,
    pub title: &'static str,
    pub sources: Vec<(Id, Source)>,
    /// Makes a thumbnail of at most this side in pixels.
    pub make: fn(&Source, usize) -> engine::Result<Thumbnail>,
    /// Stores the result, if the item is still listed.
    pub store: fn(&mut State, Id, ThumbnailResult),
}

/// Makes the thumbnails of the listed cases in the background.
pub fn start(state: &State, jobs: &mut Jobs) {
    let first_image = |case: &ListedCase| case.images.values().next().map(|file| (case.id, file.clone()));
    jobs.start(MakeThumbnails {
        slot: Slot::exclusive("thumbnails"),
        title: "Making thumbnails",
        sources: state.cases.cases.iter().filter_map(first_image).collect(),
        make: of_file,
        store: |state, case, made| match (state.cases.get_mut(case), made) {
            (Some(case), Ok(thumbnail)) => case.thumbnail = Some(thumbnail),
            (Some(case), Err(why)) => case.error = Some(why),
            (None, _) => {}
        },
    });
}

fn of_file(file: &ImageFile, side: usize) -> engine::Result<Thumbnail> {
    let frames = Frames::One(file.frame.unwrap_or(0));
    let volume = Volume::read_with(&file.path, &ReadOptions { frames, ..ReadOptions::default() })?;
    let (width, height, pixels) = engine::draw::thumbnail(&volume, side)?;
    Ok(Thumbnail { size: [width, height], pixels })
}

impl<Id: Copy + Send + 'static, Source: Send + 'static> Job for MakeThumbnails<Id, Source> {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(self.slot, self.title).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<(), Failure> {
        for (n, (id, source)) in self.sources.iter().enumerate() {
            handle.check()?;
            handle.progress(Some(n as f32 / self.sources.len() as f32), "");
            let made = (self.make)(source, SIDE).map(Arc::new).map_err(|error| error.to_string());
            let (id, store) = (*id, self.store);
            handle.send(move |state, _| store(state, id, made));
        }
        Ok(())
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, _: &mut Jobs) {
        if let Err(failure) = result {
            failure.report(self.title, state);
        }
    }
}
