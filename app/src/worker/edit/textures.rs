//! Masks on the graphics card: partial and full uploads, and projections.

use std::sync::Arc;

use engine::edit::EditLabels;
use engine::volume::LabelVolume;

use super::PROJECT;
use crate::gpu::{Gpu, GpuError, Texture};
use crate::state::{CaseId, MaskRole, Slot, State};
use crate::worker::open::mask_projection;
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// One mask of a role is uploaded at a time: segmentation, reference.
pub const UPLOADS: [Slot; 2] = [Slot::exclusive("upload segmentation"), Slot::exclusive("upload reference")];

/// Uploads changes of the masks. A few slices or the box of a stroke take less time than a frame.
pub fn upload_changes(state: &mut State, jobs: &mut Jobs) {
    let (Some(document), Some(gpu)) = (&mut state.document, jobs.gpu()) else { return };
    let (mut failed, mut too_narrow) = (None, Vec::new());
    for mask in document.masks.iter_mut().filter(|mask| !mask.awaits_texture) {
        let Some(changed) = mask.dirty.take() else { continue };
        let Some(texture) = &mask.texture else { continue };
        match gpu.update_labels(texture, &mask.labels, &changed) {
            Ok(()) => {}
            Err(GpuError::Wide) => too_narrow.push(mask.role),
            Err(error) => failed = Some(error),
        }
    }
    for role in too_narrow {
        upload_whole(state, jobs, role);
    }
    if let Some(error) = failed {
        state.error("The overlay could not be updated", error);
    }
}

/// Uploads a whole mask in the background. Changes made meanwhile are uploaded after it.
pub fn upload_whole(state: &mut State, jobs: &mut Jobs, role: MaskRole) {
    let Some(gpu) = jobs.gpu().cloned() else { return };
    let Some(document) = &mut state.document else { return };
    let case = document.id;
    let Some(mask) = document.mask_mut(role) else { return };
    (mask.dirty, mask.awaits_texture) = (None, true);
    let labels = mask.labels.clone();
    jobs.start(Upload { case, role, labels, gpu });
}

struct Upload {
    case: CaseId,
    role: MaskRole,
    labels: EditLabels,
    gpu: Gpu,
}

impl Job for Upload {
    type Output = Texture;

    fn spec(&self) -> Spec {
        let slot = UPLOADS[usize::from(self.role == MaskRole::Reference)];
        Spec::new(slot, format!("Uploading the {}", self.role.word())).of_case(self.case).quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<Texture, Failure> {
        Ok(self.gpu.upload_labels(&self.labels.to_volume())?)
    }

    fn apply(self, result: Result<Texture, Failure>, state: &mut State, _: &mut Jobs) {
        let mask = state.document.as_mut().and_then(|document| document.mask_mut(self.role));
        // If it is no longer pending, it was replaced.
        let Some(mask) = mask.filter(|mask| mask.awaits_texture) else { return };
        mask.awaits_texture = false;
        match result {
            Ok(texture) => mask.texture = Some(texture),
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

/// Projects the segmentation, and every mask without a projection, again.
pub fn project(state: &State, jobs: &mut Jobs) {
    let Some(document) = &state.document else { return };
    let wanted = document.masks.iter().filter(|mask| mask.role == MaskRole::Segmentation || mask.projection.is_none());
    let masks: Vec<_> = wanted.map(|mask| (mask.role, mask.labels.clone())).collect();
    if !masks.is_empty() {
        jobs.start(Project { case: document.id, masks, gpu: jobs.gpu().cloned() });
    }
}

struct Project {
    case: CaseId,
    masks: Vec<(MaskRole, EditLabels)>,
    gpu: Option<Gpu>,
}

impl Job for Project {
    type Output = Vec<(MaskRole, (Arc<LabelVolume>, Option<Texture>))>;

    fn spec(&self) -> Spec {
        Spec::new(PROJECT, "Projecting the masks").of_case(self.case).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure> {
        let project = |(role, labels): &(MaskRole, EditLabels)| {
            handle.check()?;
            Ok((*role, mask_projection(&labels.to_volume(), self.gpu.as_ref())?))
        };
        self.masks.iter().map(project).collect()
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(projections) => {
                let Some(document) = &mut state.document else { return };
                for (role, projection) in projections {
                    if let Some(mask) = document.mask_mut(role) {
                        mask.projection = Some(projection);
                    }
                }
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}
