//! The review of the open folder: verdicts on their way to the disk, scores of the cases, tables and pages.

mod consensus;
mod export;
mod prefetch;
mod score;
mod write;

pub use consensus::{CONSENSUS, join};
pub use export::{EXPORT, export, proposed_path};
pub(super) use prefetch::{Ahead, Prefetched};
pub use prefetch::{PREFETCH, prefetch};
pub use score::{SCORE, set_order};
pub(super) use write::Keeper;
pub use write::{KEEP, decide};
