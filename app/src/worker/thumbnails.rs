//! Small pictures for the list of cases.

use std::path::PathBuf;
use std::sync::Arc;

use engine::volume::Volume;

use super::{Jobs, Kind, Outcome, Spec};
use crate::state::{State, Thumbnail};

/// Side of the pictures in pixels: twice their size in the list, for dense screens.
const SIDE: usize = 96;

/// Makes the pictures of all cases, one after the other, in the background.
pub fn start(state: &State, jobs: &mut Jobs) {
    let files: Vec<(usize, PathBuf)> = state.cases.cases.iter().enumerate().filter_map(first_image).collect();
    let spec = Spec { kind: Kind::Thumbnails, document: None, title: "Making thumbnails".into(), quiet: true };
    jobs.start(spec, move |ticket| {
        for (n, (case, path)) in files.iter().enumerate() {
            ticket.check()?;
            ticket.progress(Some(n as f32 / files.len() as f32), "");
            let picture = Volume::read(path).and_then(|volume| engine::draw::thumbnail(&volume, SIDE));
            let picture = picture.map(|(width, height, pixels)| Arc::new(Thumbnail { size: [width, height], pixels }));
            ticket.send(Outcome::Thumbnail { case: *case, picture: picture.map_err(|e| e.to_string()) });
        }
        Ok(Outcome::Nothing)
    });
}

fn first_image((index, case): (usize, &crate::state::ListedCase)) -> Option<(usize, PathBuf)> {
    case.images.values().next().map(|path| (index, path.clone()))
}
