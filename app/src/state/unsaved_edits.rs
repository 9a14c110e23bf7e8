//! Unsaved edits of an earlier session that can be restored.

use std::path::{Path, PathBuf};

use engine::run::autosave::UnsavedEdits;
use engine::words::plural;

use super::runs::date;

/// The edits found, and those to ask the user about.
#[derive(Clone, Debug, Default)]
pub struct UnsavedEditList {
    /// Edits neither restored nor discarded, newest first.
    pub found: Vec<UnsavedEdits>,
    /// Journals to ask the user about, the next one last.
    pub offers: Vec<PathBuf>,
}

impl UnsavedEditList {
    /// The edits of a journal.
    pub fn of(&self, path: &Path) -> Option<&UnsavedEdits> {
        self.found.iter().find(|left| left.path == path)
    }
}

/// "37 edits on p01, the last 12 minutes ago (2026-11-30 14:32 UTC)"; `now_ms` since 1970-01-01 UTC.
pub fn sentence(left: &UnsavedEdits, now_ms: u64) -> String {
    let edits = plural(left.names.len(), "edit", "edits");
    let minutes = now_ms.saturating_sub(left.time_ms) as usize / 60_000;
    let ago = match minutes {
        0 => "less than a minute".to_owned(),
        1..120 => plural(minutes, "minute", "minutes"),
        120..2880 => plural(minutes / 60, "hour", "hours"),
        _ => plural(minutes / 1440, "day", "days"),
    };
    format!("{edits} on {}, the last {ago} ago ({} UTC)", left.case.title, date(left.time_ms as f64 / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_has_number_case_and_time() {
        let mut left = UnsavedEdits {
            path: "1.edits".into(),
            case: engine::run::autosave::EditedCase { title: "p01".into(), ..Default::default() },
            names: vec!["Brush stroke".to_owned(); 37],
            time_ms: 1_764_032_460_000,
            cut: None,
        };
        let text = |left: &UnsavedEdits, minutes: u64| sentence(left, left.time_ms + minutes * 60_000);
        assert_eq!(text(&left, 12), "37 edits on p01, the last 12 minutes ago (2025-11-25 01:01 UTC)");
        left.names.truncate(1);
        assert!(text(&left, 0).starts_with("1 edit on p01, the last less than a minute ago"));
        assert!(text(&left, 200).contains("3 hours ago") && text(&left, 5000).contains("3 days ago"));
    }
}
