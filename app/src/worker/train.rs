//! Jobs of Train mode: reading a cohort, estimating, training, evaluating.
//!
//! | module | idea |
//! |---|---|
//! | [`form`] | what follows from a change of the form |
//! | [`cohort`] | what is in a folder, and which of its patients train |
//! | [`assess`] | time and memory of the next job |
//! | [`same_name`] | the run that already has the name in the form |
//! | [`start_from`] | a fine-tuning run from another run |
//! | [`retrain`] | a fine-tuning run that continues with corrected masks |
//! | [`queue`] | what waits, saved beside the runs |
//! | [`run`], [`events`] | the run itself, and what it reports |
//! | [`evaluate`] | measures of the held-out patients of a run |

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

/// How many threads a job may use: as the user chose, else all but one for the window.
pub fn threads(settings: &Settings) -> usize {
    if settings.threads == 0 { engine::threads::all_but_one() } else { settings.threads }
}
