//! Review of the open folder: writes verdicts, scores cases, exports tables and pages.

mod consensus;
mod export;
mod prefetch;
mod score;
mod write;

pub use consensus::{CONSENSUS, join};
pub use export::{EXPORT, NOTHING, export, proposed_path, refusal};
pub use prefetch::{PREFETCH, prefetch};
pub(super) use prefetch::{PrefetchSlot, PrefetchedCase};
pub use score::{SCORE, set_order};
pub(super) use write::SharedVerdictQueue;
pub use write::{KEEP, decide};
