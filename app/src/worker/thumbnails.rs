//! Thumbnails for the list of cases.

use std::sync::Arc;

use engine::cohort::ImageFile;
use engine::volume::{Frames, ReadOptions, Volume};

use super::{Failure, Job, JobHandle, Jobs, Spec};
use crate::state::{CaseId, ListedCase, Slot, State, Thumbnail};

/// Side in pixels: twice that in the list, for dense screens.
const SIDE: usize = 96;

/// Makes the thumbnails of all cases, one after the other.
struct MakeThumbnails {
    files: Vec<(CaseId, ImageFile)>,
}

/// Makes the thumbnails of the listed cases in the background.
pub fn start(state: &State, jobs: &mut Jobs) {
    let first_image = |case: &ListedCase| case.images.values().next().map(|file| (case.id, file.clone()));
    jobs.start(MakeThumbnails { files: state.cases.cases.iter().filter_map(first_image).collect() });
}

impl Job for MakeThumbnails {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(Slot::exclusive("thumbnails"), "Making thumbnails").quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<(), Failure> {
        for (n, (case, file)) in self.files.iter().enumerate() {
            handle.check()?;
            handle.progress(Some(n as f32 / self.files.len() as f32), "");
            let frames = Frames::One(file.frame.unwrap_or(0));
            let volume = Volume::read_with(&file.path, &ReadOptions { frames, ..ReadOptions::default() });
            let made = volume.and_then(|volume| engine::draw::thumbnail(&volume, SIDE));
            let made = made.map(|(width, height, pixels)| Arc::new(Thumbnail { size: [width, height], pixels }));
            let (case, made) = (*case, made.map_err(|e| e.to_string()));
            handle.send(move |state, _| {
                if let Some(case) = state.cases.get_mut(case) {
                    match made {
                        Ok(thumbnail) => case.thumbnail = Some(thumbnail),
                        Err(why) => case.error = Some(why),
                    }
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
