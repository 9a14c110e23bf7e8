//! Masking mode runs three jobs in sequence: preprocess the scan, cluster and mask the shown slice, reconstruct the
//! masked patches. Every change of a control or of the slice starts those that are needed.

mod channels;
mod cluster;
pub(super) mod pictures;
mod prepare;
mod reconstruct;

use std::sync::Arc;

use super::Jobs;
use crate::state::{Mode, State};

pub use cluster::SLOT as CLUSTER;
pub use prepare::SLOT as PREPARE;
pub use reconstruct::SLOT as RECONSTRUCT;

/// Starts the missing jobs for the shown slice and controls. Called after every command and result.
pub fn update(state: &mut State, jobs: &mut Jobs) {
    leave_closed_case(state, jobs);
    if state.session.mode != Mode::Masking {
        return;
    }
    let Some(wanted) = state.mask_request() else { return };
    let masking = &mut state.cache.masking;
    masking.preparing.keep_failure_of(&wanted.case);
    masking.clustering.keep_failure_of(&wanted);
    let prepared = masking.prepared.as_ref().filter(|prepared| prepared.key == wanted.case);
    if let Some(case) = prepared.map(|prepared| Arc::clone(&prepared.case)) {
        jobs.cancel_slot(PREPARE);
        masking.preparing.asked = None;
        cluster::start(state, jobs, wanted, case);
    } else if masking.preparing.is_due(&wanted.case) {
        prepare::start(state, jobs, wanted.case);
    }
    reconstruct::start(state, jobs);
}

/// After the case changed, drops everything except the controls.
fn leave_closed_case(state: &mut State, jobs: &mut Jobs) {
    let open = state.document.as_ref().map(|document| document.id);
    if state.cache.masking.document == open {
        return;
    }
    for slot in [PREPARE, CLUSTER, RECONSTRUCT] {
        jobs.cancel_slot(slot);
    }
    state.cache.masking.change_case(open);
    (state.session.masking.pinned, state.session.masking.cameras) = Default::default();
}
