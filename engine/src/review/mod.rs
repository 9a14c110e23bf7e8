//! Review of a cohort: a verdict for every case, queue order, tables and report pages.
//!
//! | file | contents |
//! |---|---|
//! | `entry.rs` | verdicts, one line of `review.jsonl` each; the last one of a case is valid |
//! | `measure.rs` | the findings of a case with their values and verdicts |
//! | `order.rs` | orders of the cases: most uncertain, lowest Dice, largest change, a list |
//! | `table.rs` | cases and findings as CSV |
//! | `page.rs`, `picture.rs` | report pages of each case and of the cohort |
//!
//! Nothing here writes to disk: [`crate::run::review`] stores verdicts and writes exports.

mod entry;
mod measure;
mod order;
mod page;
mod picture;
mod table;

pub use entry::{
    Entry, FindingMark, FindingVerdict, LatestEntries, Progress, ReviewedMask, Verdict, anchor_mm, latest,
};
pub use measure::{CaseVolumes, MeasuredCase, MeasuredFinding, measure_cohort};
pub use order::{CaseScore, Order, Ranking, rank, scores};
pub use page::{case_page, cohort_page, page_name};
pub use table::{cases_csv, findings_csv};
