//! The scans that a job uses, and those that it leaves out, with reasons.

use serde::{Deserialize, Serialize};

use super::{Case, Cohort};
use crate::words::plural;
use crate::{Error, Result};

/// A scan that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedScan {
    /// The scan's id, or the patient's if none of its scans was found.
    pub case: String,
    /// The reason.
    pub why: String,
}

impl ExcludedScan {
    /// A scan or patient id with the reason.
    pub fn new(case: &str, why: impl Into<String>) -> Self {
        Self { case: case.to_owned(), why: why.into() }
    }
}

/// The scans that a job uses and those that it leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Scans that are used.
    pub cases: Vec<Case>,
    /// Scans that are not used.
    pub left_out: Vec<ExcludedScan>,
    /// Masks that are not used although their scan is.
    pub masks_left_out: Vec<ExcludedScan>,
}

impl Cohort {
    /// Selects the scans of some patients that have all of `modalities`, and lists those that lack one. Ids may be of patients
    /// or scans.
    pub fn select<'a>(&self, ids: impl IntoIterator<Item = &'a String>, modalities: &[String]) -> Selection {
        let mut selection = Selection::default();
        for id in ids {
            let mut scans = self.scans_of(id).peekable();
            if scans.peek().is_none() {
                let known = self.left_out.iter().find(|left| left.case == *id);
                let why = known.map_or("the cohort does not have this patient", |left| &left.why);
                selection.leave_out(id, why);
            }
            for case in scans {
                let missing: Vec<&str> =
                    modalities.iter().filter(|m| !case.images.contains_key(*m)).map(String::as_str).collect();
                if missing.is_empty() {
                    selection.cases.push(case.clone());
                } else {
                    selection.leave_out(&case.id, format!("missing modality {}", missing.join(", ")));
                }
            }
        }
        selection
    }
}

impl Selection {
    /// Leaves a scan out.
    pub fn leave_out(&mut self, case: &str, why: impl Into<String>) {
        self.cases.retain(|used| used.id != case);
        if !self.left_out.iter().any(|left| left.case == case) {
            self.left_out.push(ExcludedScan::new(case, why));
        }
    }

    /// True if every scan and mask is used.
    pub fn is_complete(&self) -> bool {
        self.left_out.is_empty() && self.masks_left_out.is_empty()
    }

    /// Fails unless everything is used.
    ///
    /// # Errors
    /// The summary, if a scan or a mask is left out.
    pub fn require_complete(&self) -> Result<()> {
        if self.is_complete() { Ok(()) } else { Err(Error::config("strict", true, self.to_string())) }
    }

    /// Fails if no scan is selected.
    ///
    /// # Errors
    /// The reasons, if no scan is used.
    pub fn require_some(self) -> Result<Self> {
        if self.cases.is_empty() { Err(Error::config("scans", "none", self.to_string())) } else { Ok(self) }
    }
}

impl std::fmt::Display for Selection {
    /// "used 6 of 8 scans, left out 2: P3 (missing modality t1), P5 (...)".
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&summary(self.cases.len(), &self.left_out, &self.masks_left_out))
    }
}

/// "used 6 of 8 scans, left out 2: P3 (missing modality t1), P5 (...)".
pub(crate) fn summary(used: usize, left_out: &[ExcludedScan], masks_left_out: &[ExcludedScan]) -> String {
    let all = used + left_out.len();
    let mut text = format!("used {used} of {}", plural(all, "scan", "scans"));
    if !left_out.is_empty() {
        text += &format!(", left out {}: {}", left_out.len(), reasons(left_out));
    }
    if !masks_left_out.is_empty() {
        text += &format!("; masks left out {}: {}", masks_left_out.len(), reasons(masks_left_out));
    }
    text
}

fn reasons(left_out: &[ExcludedScan]) -> String {
    let reason = |left: &ExcludedScan| format!("{} ({})", left.case, left.why);
    left_out.iter().map(reason).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_and_names_the_scans_left_out() {
        let case = |id: &str| Case { id: id.into(), ..Case::default() };
        let mut selection = Selection { cases: vec![case("a"), case("b"), case("c")], ..Selection::default() };
        assert_eq!(selection.to_string(), "used 3 of 3 scans");
        assert!(selection.require_complete().is_ok());
        selection.leave_out("b", "missing modality t1");
        selection.leave_out("b", "twice");
        assert_eq!(selection.to_string(), "used 2 of 3 scans, left out 1: b (missing modality t1)");
        selection.masks_left_out.push(ExcludedScan::new("a", "label is 0.5"));
        let error = selection.require_complete().map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("left out 1: b") && text.ends_with("a (label is 0.5)")));
        assert!(Selection::default().require_some().is_err());
    }
}
