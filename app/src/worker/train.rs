//! Jobs of Train mode: reading a cohort, estimating, training, evaluating.
//!
//! | module | contents |
//! |---|---|
//! | [`form`] | effects of a change of the form |
//! | [`cohort`] | reads a cohort and its split |
//! | [`assess`] | time and memory of the next job |
//! | [`same_name`] | the run that already has the name in the form |
//! | [`start_from`] | a fine-tuning run from another run |
//! | [`retrain`] | a fine-tuning run that continues with corrected masks |
//! | [`queue`] | the queue, saved in the workspace |
//! | [`run`], [`events`] | the run and its events |
//! | [`evaluate`] | metrics of the held-out patients of a run |

pub mod assess;
pub mod cohort;
pub mod evaluate;
pub mod events;
pub mod form;
pub mod queue;
pub mod retrain;
pub mod run;
pub mod same_name;
pub mod start_from;

use crate::state::Settings;

/// Number of threads for a job: the user's setting, else all but one.
pub fn threads(settings: &Settings) -> usize {
    if settings.threads == 0 { engine::threads::all_but_one() } else { settings.threads }
}
