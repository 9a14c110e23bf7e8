//! Flags for finding scans and masks, and the report of scans that a command leaves out.

use std::path::{Path, PathBuf};

use crate::cohort::{DiscoverOptions, ExcludedScan, NamePattern, summary};
use crate::words::plural;

/// How scans and masks are found, and whether all of them must be used.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FileFlags {
    /// File name of the reference masks without extension, such as '*_annotation' [default: recognised by name and values].
    #[arg(long, value_name = "PATTERN")]
    pub label_name: Option<NamePattern>,
    /// Read this frame of 4-D images, counted from 0.
    #[arg(long, value_name = "N")]
    pub frame: Option<usize>,
    /// Fail if a scan or a mask would be left out.
    #[arg(long)]
    pub strict: bool,
}

impl FileFlags {
    /// The flags as options of cohort discovery.
    pub fn discover_options(&self) -> DiscoverOptions {
        DiscoverOptions { label_name: self.label_name.clone(), frame: self.frame }
    }

    /// Prints to stderr how many scans are used, and which scans and masks are left out.
    ///
    /// # Errors
    /// With `--strict`, if any scan or mask is left out.
    pub fn report(&self, used: usize, left_out: &[ExcludedScan], masks_left_out: &[ExcludedScan]) -> crate::Result<()> {
        let summary = summary(used, left_out, masks_left_out);
        if self.strict && !(left_out.is_empty() && masks_left_out.is_empty()) {
            return Err(crate::Error::config("--strict", "on", summary));
        }
        eprintln!("amlp: {summary}");
        Ok(())
    }
}

/// True if both paths lead to the same existing file or folder.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Refuses to write a mask over a file that it is made from.
///
/// # Errors
/// If `out` is one of `inputs`.
pub fn keep_inputs<'a>(out: &Path, mut inputs: impl Iterator<Item = &'a PathBuf>) -> crate::Result<()> {
    if inputs.any(|input| is_same_file(out, input)) {
        return Err(crate::Error::file(out, "would overwrite one of the inputs. Choose another file"));
    }
    Ok(())
}

/// The outcome of a command for which some scans failed or were left out and the others are done.
#[derive(Debug)]
pub struct PartialFailure {
    /// What is counted: one, and several.
    things: [&'static str; 2],
    done: usize,
    left_out: Vec<ExcludedScan>,
}

impl PartialFailure {
    /// `Ok` if no scan was left out. Called after all results are written.
    ///
    /// # Errors
    /// If a scan failed or was left out. The program then exits with code 3.
    pub fn check(done: usize, left_out: Vec<ExcludedScan>) -> anyhow::Result<()> {
        Self::check_of(["scan", "scans"], done, left_out)
    }

    /// Like [`Self::check`], for files other than scans.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_of(things: [&'static str; 2], done: usize, left_out: Vec<ExcludedScan>) -> anyhow::Result<()> {
        if left_out.is_empty() { Ok(()) } else { Err(Self { things, done, left_out }.into()) }
    }
}

impl std::error::Error for PartialFailure {}

impl std::fmt::Display for PartialFailure {
    /// A table of the scans that were left out, one per line.
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = plural(self.done + self.left_out.len(), self.things[0], self.things[1]);
        let verb = if self.left_out.len() == 1 { "was" } else { "were" };
        write!(to, "{} of {all} {verb} left out:", self.left_out.len())?;
        let width = self.left_out.iter().map(|left| left.case.chars().count()).max().unwrap_or_default();
        self.left_out.iter().try_for_each(|left| write!(to, "\n  {:width$}  {}", left.case, left.why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_failure_lists_its_scans_as_a_table() {
        let left_out = vec![ExcludedScan::new("P7", "missing modality t1"), ExcludedScan::new("P10", "unreadable")];
        let text = PartialFailure { things: ["scan", "scans"], done: 3, left_out }.to_string();
        assert_eq!(text, "2 of 5 scans were left out:\n  P7   missing modality t1\n  P10  unreadable");
        let left_out = vec![ExcludedScan::new("P1 RTSTRUCT", "no image")];
        // A structure set counted as a scan.
        let one = PartialFailure { things: ["image or mask", "images and masks"], done: 13, left_out }.to_string();
        assert_eq!(one, "1 of 14 images and masks was left out:\n  P1 RTSTRUCT  no image");
        assert!(PartialFailure::check(3, Vec::new()).is_ok());
    }
}
