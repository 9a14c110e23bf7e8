//! The user's order of cases, from a CSV.

use std::collections::BTreeMap;
use std::path::Path;

use crate::review::Ranking;
use crate::words::plural;
use crate::{Error, Result};

/// Reads a CSV with a column `case`. The order is that of the rows or, with a column `score`, by falling score. An empty score
/// means that the case has none.
///
/// # Errors
/// A file that cannot be read or has no column `case`; a duplicate case; a score that is not a number.
pub fn read_ranking(path: &Path) -> Result<Ranking> {
    let bad = |e: csv::Error| Error::file(path, e.to_string());
    let mut table = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(bad)?;
    let columns = table.headers().map_err(bad)?.clone();
    // Spreadsheets start a file with a byte order mark.
    let named =
        |name: &str| columns.iter().position(|c| c.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name));
    let case = named("case").ok_or_else(|| Error::file(path, "has no column case"))?;
    let score = named("score");
    let (mut scores, mut notes, mut without) = (BTreeMap::new(), Vec::new(), 0);
    for (number, row) in table.records().enumerate() {
        let row = row.map_err(bad)?;
        let id = row.get(case).unwrap_or_default().trim();
        if id.is_empty() {
            continue;
        }
        let value = match score.map(|index| row.get(index).unwrap_or_default().trim()) {
            None => -(number as f64),
            Some("") => {
                without += 1;
                continue;
            }
            Some(text) => {
                let value: Option<f64> = text.parse().ok().filter(|value: &f64| !value.is_nan());
                value.ok_or_else(|| Error::field(path, format!("score of {id}"), text, "is not a number"))?
            }
        };
        if scores.insert(id.to_owned(), value).is_some() {
            return Err(Error::field(path, "case", id, "occurs twice"));
        }
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if without > 0 {
        notes.push(format!("{name}: {} no score", plural(without, "row has", "rows have")));
    }
    Ok(Ranking { name, scores, notes })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Ranking> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, text).unwrap();
        read_ranking(&path)
    }

    #[test]
    fn rows_or_scores_give_the_order() {
        let by_rows = read("\u{feff}Case,note\np3,x\np1,y\n,\n").unwrap();
        assert!(by_rows.scores["p3"] > by_rows.scores["p1"] && by_rows.scores.len() == 2);
        let by_score = read("score, case\n0.5,p1\n7,p2\n,p3\n").unwrap();
        assert_eq!((by_score.scores["p1"], by_score.scores["p2"], by_score.scores.get("p3")), (0.5, 7.0, None));
        assert_eq!(by_score.notes, ["list.csv: 1 row has no score"]);
    }

    #[test]
    fn an_invalid_ranking_is_refused_with_the_reason() {
        for (text, said) in [
            ("id\np1\n", "has no column case"),
            ("case\np1\np1\n", "case is p1: occurs twice"),
            ("case,score\np1,high\n", "score of p1 is high: is not a number"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
