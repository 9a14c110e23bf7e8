//! Saving the segmentation on exactly the image's grid.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::volume::{LabelVolume, Relation, nifti};

use super::{Failure, Jobs, Kind, Outcome, Spec};
use crate::state::{Dialog, PathPurpose, State};
use crate::worker::open::file_stem;

/// The name that is proposed for the open case's segmentation.
pub fn proposed_name(state: &State) -> String {
    let stem = state.document.as_ref().map_or_else(|| "case".into(), |d| file_stem(&d.base().path));
    format!("{stem}_pred.nii.gz")
}

/// The same beside the image.
pub fn proposed_path(state: &State) -> PathBuf {
    let folder = state.document.as_ref().and_then(|d| d.base().path.parent().map(Path::to_path_buf));
    folder.unwrap_or_default().join(proposed_name(state))
}

/// Saves the open case's segmentation. A file that is there already is only written over if the user said so.
pub fn to(state: &mut State, jobs: &mut Jobs, path: &Path, overwrite: bool) {
    let Some(document) = &state.document else { return };
    let Some(prediction) = &document.prediction else {
        state.error("Nothing to save", "there is no segmentation of this case");
        return;
    };
    if jobs.runs(Kind::Segment) {
        state.after_saving = None;
        state.error("Nothing was saved", "the segmentation is under way: let it finish, or cancel it");
        return;
    }
    if path.exists() && !overwrite {
        state.dialog = Some(Dialog::Overwrite { purpose: PathPurpose::SaveMask, path: path.to_path_buf() });
        return;
    }
    let (labels, image) = (Arc::clone(&prediction.labels), Arc::clone(&document.base().volume));
    let path = path.to_path_buf();
    let title = format!("Saving {}", path.display());
    let spec = Spec { kind: Kind::Save, document: Some(document.id), title, quiet: false };
    jobs.start(spec, move |_| {
        // The guard before: labels that belong to another grid are never written as this image's.
        if labels.grid.relation(&image.grid) != Relation::Same {
            let what = "the segmentation and its image".to_owned();
            let (left, right) = (labels.grid.describe(), image.grid.describe());
            return Err(engine::Error::from(engine::ErrorKind::Geometry { what, left, right }).into());
        }
        nifti::write_label(&path, &labels, &image)?;
        check_written(&path, &labels, &image)?;
        Ok(Outcome::Saved { path })
    });
}

/// The guard after: the file holds the same labels at the same places.
fn check_written(path: &Path, labels: &LabelVolume, image: &engine::volume::Volume) -> Result<(), Failure> {
    let (read, _) = LabelVolume::read_for(path, image)?;
    if read.len() != labels.len() || !read.iter().eq(labels.iter()) {
        return Err(Failure::Error(format!("{}: the file does not hold what was written to it", path.display())));
    }
    Ok(())
}
