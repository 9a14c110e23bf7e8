//! Kill points: a test hook that ends the process at a chosen moment of a save, like `kill -9` or a power cut.
//!
//! Builds with debug assertions read the environment variable `AMLP_FAULT`; in a release build [`point`] is empty. Its
//! value is `NAME:N` (the N-th passage of point NAME, from 1, aborts the process without running destructors) or
//! `NAME:N:full` (that passage fails like a full disk). Points, in the order of a save: `write-before`, `write-middle`,
//! `write-after`, `fsync-before`, `fsync-after` for every file; `rename-before`, `rename-after` for every rename;
//! `folder-before`, `folder-after` around every fsync of a folder; `checkpoint-staged`, `checkpoint-aside`,
//! `checkpoint-demoted`, `checkpoint-promoted` between the steps of a checkpoint; `journal-middle` within every record of an edit
//! journal; `review-middle` within every verdict of a review.

use std::io;

/// Passes the point `name`: aborts or fails if `AMLP_FAULT` selects it, otherwise does nothing.
#[cfg(debug_assertions)]
pub fn point(name: &str) -> io::Result<()> {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    let plan = PLAN.get_or_init(|| std::env::var("AMLP_FAULT").ok().and_then(|text| Plan::parse(&text)));
    let Some(plan) = plan.as_ref().filter(|plan| plan.name == name) else { return Ok(()) };
    if PASSED.fetch_add(1, Ordering::SeqCst) + 1 != plan.passage {
        return Ok(());
    }
    if plan.full { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { std::process::abort() }
}

/// Does nothing. Kill points exist only in debug builds.
#[cfg(not(debug_assertions))]
#[inline]
#[allow(clippy::unnecessary_wraps, reason = "the debug build's version can fail")]
pub fn point(_name: &str) -> io::Result<()> {
    Ok(())
}

/// The parsed `AMLP_FAULT`.
#[cfg(debug_assertions)]
#[derive(Debug, PartialEq)]
struct Plan {
    /// Name of the point.
    name: String,
    /// Number of the passage, from 1.
    passage: u64,
    /// Fail like a full disk instead of aborting.
    full: bool,
}

#[cfg(debug_assertions)]
impl Plan {
    /// Parses `NAME:N` or `NAME:N:full`; `None` for anything else.
    fn parse(text: &str) -> Option<Plan> {
        let mut fields = text.split(':');
        let (name, passage) = (fields.next()?.to_owned(), fields.next()?.parse().ok()?);
        let full = match fields.next() {
            None => false,
            Some("full") => true,
            Some(_) => return None,
        };
        fields.next().is_none().then_some(Plan { name, passage, full })
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn plans_are_parsed_from_name_and_passage() {
        let plan = |passage, full| Some(Plan { name: "rename-before".into(), passage, full });
        assert_eq!(Plan::parse("rename-before:3"), plan(3, false));
        assert_eq!(Plan::parse("rename-before:1:full"), plan(1, true));
        for wrong in ["", "rename-before", "rename-before:x", "rename-before:1:empty", "rename-before:1:full:2"] {
            assert_eq!(Plan::parse(wrong), None, "{wrong}");
        }
    }
}
