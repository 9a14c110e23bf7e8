//! Coded terms of segments: maps label names to DICOM vocabularies (CID 7150 and CID 7159).
//!
//! The table is a CSV file with one row per name; `terms.csv` is the default. The row `*` applies to all other names.

use std::path::Path;

use crate::{Error, Result};

/// The default table.
const BUILT_IN: &str = include_str!("terms.csv");
/// Matches every name without its own row.
const ANY: &str = "*";
/// Maximum size of a table in bytes.
const MAX_BYTES: u64 = 4 << 20;
/// Maximum length of the attribute `CodeValue` (SH).
const MAX_CODE_LENGTH: usize = 16;
/// Maximum length of `CodeMeaning` (LO).
const MAX_MEANING_LENGTH: usize = 64;

/// A term of a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Code {
    /// Code value, such as `52988006`.
    pub value: String,
    /// The vocabulary: `SCT`, `NCIt`, `DCM`, `99LOCAL`.
    pub scheme: String,
    /// Readable meaning.
    pub meaning: String,
}

/// Category and type of a segment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Term {
    /// `SegmentedPropertyCategoryCodeSequence`.
    pub category: Code,
    /// `SegmentedPropertyTypeCodeSequence`.
    pub kind: Code,
}

/// Coded terms by label name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Names in lower case.
    rows: Vec<(String, Term)>,
    any: Term,
}

impl Terms {
    /// The table of the program: lesions, tumour parts and a few organs.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN, Path::new("terms.csv")).unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// Reads a table: columns `name`, `category_code`, `category_scheme`, `category_meaning`, `type_code`, `type_scheme`
    /// and `type_meaning`.
    ///
    /// # Errors
    /// A file that cannot be read, lacks a column or the row `*`, or has an empty or too long cell. The message names the
    /// line.
    pub fn read(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
        if length > MAX_BYTES {
            return Err(Error::file(
                path,
                format!("has {length} bytes, too large for a table of terms. The limit is {MAX_BYTES}"),
            ));
        }
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let text = String::from_utf8(bytes).map_err(|_| Error::file(path, "is not UTF-8 text"))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
        let bad = |error: &csv::Error| Error::file(path, error.to_string());
        let head = reader.headers().map_err(|error| bad(&error))?.clone();
        let column = |name: &str| {
            let voxel = head.iter().position(|cell| cell.eq_ignore_ascii_case(name));
            voxel.ok_or_else(|| Error::file(path, format!("has no column {name}")))
        };
        let name_at = column("name")?;
        let columns = |of: &str| -> Result<[usize; 3]> {
            Ok([column(&format!("{of}_code"))?, column(&format!("{of}_scheme"))?, column(&format!("{of}_meaning"))?])
        };
        let (category_at, kind_at) = (columns("category")?, columns("type")?);
        let (mut rows, mut any) = (Vec::new(), None);
        for row in reader.records() {
            let row = row.map_err(|error| bad(&error))?;
            let line = row.position().map_or(0, csv::Position::line);
            let cell = |voxel: usize, longest: usize| {
                let value = row.get(voxel).unwrap_or_default();
                let name = head.get(voxel).unwrap_or_default();
                let fault = |why: String| Error::field(path, format!("line {line}, {name}"), value, why);
                match value.chars().count() {
                    0 => Err(fault("is empty".into())),
                    n if n > longest => Err(fault(format!("has {n} characters, at most {longest} fit"))),
                    _ if value.contains('\\') => Err(fault("has a backslash, which separates values in DICOM".into())),
                    _ => Ok(value.to_owned()),
                }
            };
            let code = |voxel: [usize; 3]| -> Result<Code> {
                Ok(Code {
                    value: cell(voxel[0], MAX_CODE_LENGTH)?,
                    scheme: cell(voxel[1], MAX_CODE_LENGTH)?,
                    meaning: cell(voxel[2], MAX_MEANING_LENGTH)?,
                })
            };
            let term = Term { category: code(category_at)?, kind: code(kind_at)? };
            let name = cell(name_at, usize::MAX)?.to_lowercase();
            if name == ANY {
                any = Some(term);
            } else {
                rows.push((name, term));
            }
        }
        let any = any.ok_or_else(|| Error::file(path, "has no row named *, which is needed for all other labels"))?;
        Ok(Self { rows, any })
    }

    /// The term of a label: from the row with its name, else from the first row whose name is one of its words, else from `*`.
    /// Ignores case.
    pub fn of(&self, label: &str) -> &Term {
        let label = label.trim().to_lowercase();
        let words: Vec<&str> = label.split(|c: char| !(c.is_alphanumeric() || c == '-')).collect();
        let exact = self.rows.iter().find(|(name, _)| *name == label);
        let by_word = || self.rows.iter().find(|(name, _)| words.contains(&name.as_str()));
        exact.or_else(by_word).map_or(&self.any, |(_, term)| term)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_found_by_name_then_by_word_then_by_default() {
        let terms = Terms::built_in();
        let kind = |label: &str| terms.of(label).kind.meaning.clone();
        assert_eq!(kind("Oedema"), "Edema");
        assert_eq!(kind("enhancing tumour"), "Enhancing Lesion");
        assert_eq!(kind("Tumour, left lobe"), "Neoplasm");
        assert_eq!(kind("non-enhancing core"), "Non-Enhancing Lesion");
        assert_eq!(kind("massive"), "Lesion", "only whole words count");
        assert_eq!(kind(""), "Lesion");
        assert_eq!(terms.of("liver").category.value, "91723000");
    }

    #[test]
    fn a_custom_table_is_read_and_its_errors_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("terms.csv");
        let head = "name,category_code,category_scheme,category_meaning,type_code,type_scheme,type_meaning\n";
        let read = |rows: &str| {
            std::fs::write(&path, format!("{head}{rows}")).unwrap();
            Terms::read(&path)
        };
        let terms = read("*,1,SCT,a,2,SCT,b\n Plaque ,3,99LOCAL,\"c, d\",4,99LOCAL,e\n").unwrap();
        let plaque = terms.of("PLAQUE").clone();
        assert_eq!((plaque.category.meaning.as_str(), plaque.kind.value.as_str()), ("c, d", "4"));
        for (rows, parts) in [
            ("x,1,SCT,a,2,SCT,b\n", ["row named *", "terms.csv"]),
            ("*,1,SCT,a,,SCT,b\n", ["line 2, type_code", "empty"]),
            ("*,12345678901234567,SCT,a,1,SCT,b\n", ["category_code", "at most 16"]),
            ("*,1,SCT,a\\b,1,SCT,b\n", ["category_meaning", "backslash"]),
        ] {
            let error = read(rows).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
        std::fs::write(&path, "name,code\n*,1\n").unwrap();
        assert!(Terms::read(&path).unwrap_err().to_string().contains("no column category_code"));
    }
}
