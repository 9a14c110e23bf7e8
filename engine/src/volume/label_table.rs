//! Names, colours and locks of a mask's labels: a tab-separated table next to the mask.
//!
//! ```text
//! index  name    color    visible  locked
//! 1      oedema  #E69F00  1        0
//! 2      core    n/a      1        1
//! ```
//!
//! `index` (or `value`) and `name` are required, so that a BIDS `dseg.tsv` is such a table too. The background is not a label.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk::atomic::write_atomic;
use crate::{Error, Result};

/// Ending of the table that is saved with a mask.
const SIDECAR: &str = ".labels.tsv";
/// Maximum size of a table in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Name and display settings of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelStyle {
    /// Its name; empty if it has none.
    pub name: String,
    /// Red, green and blue; `None` for the default colour of its value.
    pub colour: Option<[u8; 3]>,
    /// True if the label is drawn.
    pub visible: bool,
    /// True if edits must not change its voxels.
    pub locked: bool,
}

impl Default for LabelStyle {
    fn default() -> Self {
        Self::named("")
    }
}

impl LabelStyle {
    /// A visible label of the default colour that can be edited.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), colour: None, visible: true, locked: false }
    }
}

/// The labels of a mask by value, from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabelTable {
    /// Name, colour and locks by value. 0 is never in it.
    pub labels: BTreeMap<u16, LabelStyle>,
}

impl LabelTable {
    /// A table of names. The background is left out.
    pub fn of_names<'a>(names: impl IntoIterator<Item = (&'a u16, &'a String)>) -> Self {
        let named = names.into_iter().filter(|(value, _)| **value > 0);
        Self { labels: named.map(|(value, name)| (*value, LabelStyle::named(name))).collect() }
    }

    /// Path of a mask's table: `seg.labels.tsv` for `seg.nii.gz`.
    pub fn path_beside(mask: &Path) -> PathBuf {
        let name = mask.file_name().unwrap_or_default().to_string_lossy();
        let lower = name.to_ascii_lowercase();
        let ending = [".nii.gz", ".nii", ".hdr.gz", ".hdr"].into_iter().find(|ending| lower.ends_with(ending));
        let stem = &name[..name.len() - ending.map_or(0, str::len)];
        mask.with_file_name(format!("{stem}{SIDECAR}"))
    }

    /// Reads a table.
    ///
    /// # Errors
    /// A file that cannot be read, or is not a label table. The message names line and value.
    pub fn read(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
        if length > MAX_BYTES {
            let why = format!("has {length} bytes, too large for a table of labels. The limit is {MAX_BYTES}");
            return Err(Error::file(path, why));
        }
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let text = String::from_utf8(bytes).map_err(|_| Error::file(path, "is not UTF-8 text"))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let head: Vec<String> = lines
            .next()
            .map(|(_, line)| line.split('\t').map(|cell| cell.trim().to_lowercase()).collect())
            .unwrap_or_default();
        let column = |names: &[&str]| head.iter().position(|cell| names.contains(&cell.as_str()));
        let required = |names: &[&str]| {
            let why =
                || Error::file(path, format!("has no column {}; expected index and name, separated by tabs", names[0]));
            column(names).ok_or_else(why)
        };
        let (index, name) = (required(&["index", "value"])?, required(&["name"])?);
        let (colour, visible, locked) = (column(&["color", "colour"]), column(&["visible"]), column(&["locked"]));
        let mut labels = BTreeMap::new();
        for (i, line) in lines {
            let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
            let cell = |column: Option<usize>| {
                column.and_then(|column| cells.get(column).copied()).filter(|cell| !cell.is_empty() && *cell != "n/a")
            };
            let bad = |column: &str, value: &str, why: &str| {
                Error::field(path, format!("line {}, {column}", i + 1), value, why)
            };
            let value = cell(Some(index)).unwrap_or_default();
            let value: u16 = value.parse().map_err(|_| bad("index", value, "is not a label value, 0 to 65535"))?;
            let flag = |column: Option<usize>, name: &str, usual: bool| match cell(column).map(str::to_lowercase) {
                None => Ok(usual),
                Some(text) => match text.as_str() {
                    "1" | "true" | "yes" => Ok(true),
                    "0" | "false" | "no" => Ok(false),
                    other => Err(bad(name, other, "is neither 1 nor 0")),
                },
            };
            let parse =
                |text: &str| colour_of(text).ok_or_else(|| bad("color", text, "is not a colour such as #E69F00"));
            let style = LabelStyle {
                name: cell(Some(name)).unwrap_or_default().to_owned(),
                colour: cell(colour).map(parse).transpose()?,
                visible: flag(visible, "visible", true)?,
                locked: flag(locked, "locked", false)?,
            };
            if value > 0 && labels.insert(value, style).is_some() {
                return Err(bad("index", &value.to_string(), "occurs twice"));
            }
        }
        Ok(Self { labels })
    }

    /// Writes the table atomically.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomic(path, self.to_tsv().as_bytes()).map(drop)
    }

    /// The table as text, which [`LabelTable::read`] reads back. Tabs and line breaks of names become spaces.
    pub fn to_tsv(&self) -> String {
        let mut text = "index\tname\tcolor\tvisible\tlocked\n".to_owned();
        for (value, style) in &self.labels {
            let name: String = style.name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let name = Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("n/a");
            let colour = style.colour.map_or_else(|| "n/a".to_owned(), |[r, g, b]| format!("#{r:02X}{g:02X}{b:02X}"));
            text += &format!("{value}\t{name}\t{colour}\t{}\t{}\n", u8::from(style.visible), u8::from(style.locked));
        }
        text
    }
}

/// `#RRGGBB`.
fn colour_of(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let channel = |index: usize| u8::from_str_radix(&digits[index..index + 2], 16).ok();
    Some([channel(0)?, channel(2)?, channel(4)?])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LabelTable> {
        LabelTable::parse(text, Path::new("seg.labels.tsv"))
    }

    #[test]
    fn a_table_is_written_and_read_back() {
        let style = |name: &str, colour, visible, locked| LabelStyle { name: name.into(), colour, visible, locked };
        let table = LabelTable {
            labels: BTreeMap::from([
                (1, style("oedema", Some([0xE6, 0x9F, 0]), true, false)),
                (2, style("", None, false, true)),
                (65535, style("Läsion \"a\", b", None, true, true)),
            ]),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = LabelTable::path_beside(&folder.path().join("p01.seg.nii.gz"));
        assert_eq!(path, folder.path().join("p01.seg.labels.tsv"));
        table.write(&path).unwrap();
        assert_eq!(LabelTable::read(&path).unwrap(), table);
        let broken = LabelTable { labels: BTreeMap::from([(3, LabelStyle::named("a\tb\nc"))]) };
        assert_eq!(parse(&broken.to_tsv()).unwrap().labels[&3].name, "a b c");
    }

    #[test]
    fn tables_of_bids_and_tables_written_by_hand_are_read() {
        let bids = "\u{feff}index\tname\tabbreviation\tcolor\tmapping\r\n0\tBackground\tBG\tn/a\t0\r\n\r\n7\tCore\tC\t#ff00aa\t7\r\n";
        let table = parse(bids).unwrap();
        assert_eq!(table.labels.keys().copied().collect::<Vec<_>>(), [7], "the background is not a label");
        assert_eq!(table.labels[&7], LabelStyle { colour: Some([255, 0, 170]), ..LabelStyle::named("Core") });
        assert!(parse("Value\tName\tLocked\n2\tx\tyes\n3\ty\n").unwrap().labels[&2].locked);
        assert!(parse("index\tname\n").unwrap().labels.is_empty());
    }

    #[test]
    fn an_error_in_a_table_names_line_and_value() {
        for (text, parts) in [
            ("", ["seg.labels.tsv", "no column index"]),
            ("index\tcolor\n", ["seg.labels.tsv", "no column name"]),
            ("index,name\n1,x\n", ["seg.labels.tsv", "no column index"]),
            ("index\tname\n-1\tx\n", ["line 2, index is -1", "not a label value"]),
            ("index\tname\n1\tx\n1\ty\n", ["line 3, index is 1", "twice"]),
            ("index\tname\tcolor\n1\tx\tred\n", ["line 2, color is red", "#E69F00"]),
            ("index\tname\tcolor\n1\tx\t#12345\u{e9}\n", ["line 2, color", "#E69F00"]),
            ("index\tname\tvisible\n1\tx\tmaybe\n", ["line 2, visible is maybe", "neither 1 nor 0"]),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        std::fs::write(&path, b"index\tname\n1\t\xff\n").unwrap();
        assert!(LabelTable::read(&path).unwrap_err().to_string().contains("not UTF-8"));
    }

    #[test]
    fn the_table_is_stored_next_to_its_mask() {
        for (mask, table) in [
            ("a/seg.nii", "a/seg.labels.tsv"),
            ("SEG.NII.GZ", "SEG.labels.tsv"),
            ("seg.hdr", "seg.labels.tsv"),
            ("seg", "seg.labels.tsv"),
        ] {
            assert_eq!(LabelTable::path_beside(Path::new(mask)), Path::new(table));
        }
    }
}
