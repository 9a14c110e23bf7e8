//! Options for finding a cohort's files.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::names::{Role, SEPARATORS};
use crate::{Error, Result};

/// The user's choices for ambiguous files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoverOptions {
    /// Which files are the reference masks. By default, they are recognised by name and values.
    pub label_name: Option<NamePattern>,
    /// The frame, from 0, of 4-D images that are not channels of `dataset.json`.
    pub frame: Option<usize>,
}

impl DiscoverOptions {
    /// The role of a file, given its role by name. If the user names the masks, all other masks are ignored.
    pub(super) fn role(&self, by_name: Role, path: &Path) -> Role {
        match (&self.label_name, by_name) {
            (Some(pattern), _) if pattern.matches(path) => Role::ChosenMask,
            (Some(_), Role::Mask | Role::MaskByWord) => Role::OtherMask,
            (_, by_name) => by_name,
        }
    }
}

/// A pattern of file names without extension, ignoring case. `*` matches any text. Without `*` it matches the whole name or
/// its last part (`annotation` matches `P07_annotation.nii.gz`). With `/` it includes the folder (`segmentations/liver`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern(String);

impl std::str::FromStr for NamePattern {
    type Err = Error;

    /// # Errors
    /// An empty pattern, or one of `*` only.
    fn from_str(text: &str) -> Result<Self> {
        let name = super::listing::stem(text).unwrap_or(text);
        if name.chars().all(|c| c == '*') {
            return Err(Error::config("label-name", text, "use a file name without extension, such as *_annotation"));
        }
        Ok(Self(name.to_lowercase()))
    }
}

impl TryFrom<String> for NamePattern {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.0
    }
}

impl std::fmt::Display for NamePattern {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.0)
    }
}

impl NamePattern {
    /// True if a file's name matches the pattern.
    pub fn matches(&self, path: &Path) -> bool {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let file = name(path);
        let stem = super::listing::stem(&file).unwrap_or(&file);
        let folder = path.parent().map(name).unwrap_or_default();
        let whole = if self.0.contains('/') { format!("{folder}/{stem}") } else { stem.to_owned() };
        let last = whole.strip_suffix(self.0.as_str()).is_some_and(|rest| rest.ends_with(SEPARATORS));
        last || glob(&self.0, &whole)
    }
}

/// True if `text` matches `pattern`, where `*` matches any text.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            starts.any(|at| glob(rest, &text[at..]))
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_without_extension() {
        for (pattern, path, expected) in [
            ("annotation", "p/P07_annotation.nii.gz", true),
            ("annotation", "p/annotation.nii", true),
            ("Annotation.nii.gz", "p/ANNOTATION.nii.gz", true),
            ("annotation", "p/annotations.nii", false),
            ("*_consensus*", "p/P1_consensus_gt.nii.gz", true),
            ("rater*_x", "p/rater1_y.nii.gz", false),
            ("segmentations/liver", "p/segmentations/liver.nii.gz", true),
            ("segmentations/liver", "p/other/liver.nii.gz", false),
        ] {
            let pattern: NamePattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(Path::new(path)), expected, "{pattern} {path}");
        }
        assert!("**".parse::<NamePattern>().is_err() && "".parse::<NamePattern>().is_err());
    }
}
