//! Pseudonyms of patients, and the key file that identifies them, which is stored outside the cohort.
//!
//! ```text
//! pseudonym  patient_id
//! P0001      4711
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::disk::atomic::write_atomic;
use crate::{Error, Result};

/// Largest key file that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// The pseudonyms assigned so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    path: PathBuf,
    /// Pseudonym by patient id.
    by_patient: BTreeMap<String, String>,
}

impl Key {
    /// Default key file of a cohort: `COHORT.key.tsv` next to its folder.
    pub fn path_beside(cohort: &Path) -> PathBuf {
        let mut name = cohort.file_name().unwrap_or_default().to_owned();
        name.push(".key.tsv");
        cohort.with_file_name(name)
    }

    /// Opens a key file, or starts one. Nothing is written yet.
    ///
    /// # Errors
    /// A key file inside the cohort, one that cannot be read, or one with a duplicate pseudonym.
    pub fn open(path: &Path, cohort: &Path) -> Result<Self> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(Error::io("read", path));
        // Links are followed where the folders exist already.
        let real = |path: &Path| path.canonicalize().or_else(|_| absolute(path));
        let folder = absolute(path)?.parent().map(Path::to_path_buf).unwrap_or_default();
        if real(&folder)?.starts_with(real(cohort)?) {
            let why = "the key file identifies the patients, so it must not be in the cohort. Choose another folder";
            return Err(Error::config("key", path.display(), why));
        }
        let mut key = Self { path: path.to_path_buf(), by_patient: BTreeMap::new() };
        if path.is_file() {
            key.read()?;
        }
        Ok(key)
    }

    fn read(&mut self) -> Result<()> {
        let path = self.path.as_path();
        let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
        if length > MAX_BYTES {
            return Err(Error::file(
                path,
                format!("has {length} bytes, too large for a key file. The limit is {MAX_BYTES}"),
            ));
        }
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').from_reader(text.as_bytes());
        // The CSV reader's message may quote a line, which identifies a patient.
        let unreadable = |_| {
            Error::file(path, "is not a key file. It must have the columns pseudonym and patient_id, separated by tabs")
        };
        if reader.headers().map_err(unreadable)? != vec!["pseudonym", "patient_id"] {
            return Err(Error::file(
                path,
                "is not a key file. It must have the columns pseudonym and patient_id, separated by tabs",
            ));
        }
        for row in reader.records() {
            let row = row.map_err(unreadable)?;
            let (pseudonym, patient) = (row[0].to_owned(), row[1].to_owned());
            if !is_pseudonym(&pseudonym) {
                return Err(Error::file(path, "has a pseudonym that is not P and a number, such as P0001"));
            }
            let twice = self.by_patient.values().any(|known| *known == pseudonym);
            if twice || self.by_patient.insert(patient, pseudonym.clone()).is_some() {
                return Err(Error::field(
                    path,
                    "pseudonym",
                    pseudonym,
                    "the pseudonym or its patient occurs twice. Remove one of the lines",
                ));
            }
        }
        Ok(())
    }

    /// The pseudonym of a patient. A new one is written to the key file before this returns, so that every folder can be
    /// traced to its patient.
    ///
    /// # Errors
    /// If the key file cannot be written.
    pub fn pseudonym(&mut self, patient: &str) -> Result<String> {
        if let Some(known) = self.by_patient.get(patient) {
            return Ok(known.clone());
        }
        let number = |name: &String| name[1..].parse::<u64>().unwrap_or(0);
        let next = self.by_patient.values().map(number).max().unwrap_or(0) + 1;
        let pseudonym = format!("P{next:04}");
        self.by_patient.insert(patient.to_owned(), pseudonym.clone());
        self.write()?;
        Ok(pseudonym)
    }

    fn write(&self) -> Result<()> {
        let mut writer = csv::WriterBuilder::new().delimiter(b'\t').from_writer(Vec::new());
        let mut rows: Vec<[&str; 2]> = self.by_patient.iter().map(|(id, name)| [name.as_str(), id.as_str()]).collect();
        rows.sort_unstable();
        let failed = |error: &dyn std::fmt::Display| Error::file(&self.path, error.to_string());
        writer.write_record(["pseudonym", "patient_id"]).map_err(|error| failed(&error))?;
        for row in rows {
            writer.write_record(row).map_err(|error| failed(&error))?;
        }
        let bytes = writer.into_inner().map_err(|error| failed(&error))?;
        write_atomic(&self.path, &bytes)?;
        self.keep_private()
    }

    /// Only the user may read the key file.
    #[cfg(unix)]
    fn keep_private(&self) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let only_mine = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&self.path, only_mine).map_err(Error::io("make private", &self.path))
    }

    #[cfg(not(unix))]
    #[allow(clippy::unnecessary_wraps, reason = "the same signature on every system")]
    fn keep_private(&self) -> Result<()> {
        Ok(())
    }
}

fn is_pseudonym(name: &str) -> bool {
    name.strip_prefix('P').is_some_and(|digits| digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_patient_keeps_its_pseudonym() {
        let folder = tempfile::tempdir().unwrap();
        let cohort = folder.path().join("cohort");
        let path = Key::path_beside(&cohort);
        assert_eq!(path, folder.path().join("cohort.key.tsv"));
        let mut key = Key::open(&path, &cohort).unwrap();
        assert!(!path.exists(), "nothing is written before a patient is converted");
        let ids = ["4711", "tab\tand \"quotes\"", "", "line\nbreak"];
        let names = ids.map(|id| key.pseudonym(id).unwrap());
        assert_eq!(names, ["P0001", "P0002", "P0003", "P0004"]);
        let mut again = Key::open(&path, &cohort).unwrap();
        assert_eq!(again, key);
        assert_eq!(ids.map(|id| again.pseudonym(id).unwrap()), names);
        assert_eq!(again.pseudonym("new").unwrap(), "P0005");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_file_inside_the_cohort_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cohort = folder.path().join("cohort");
        for exists in [false, true] {
            if exists {
                std::fs::create_dir_all(cohort.join("below")).unwrap();
            }
            for inside in [cohort.join("key.tsv"), cohort.join("below/key.tsv")] {
                let error = Key::open(&inside, &cohort).unwrap_err().to_string();
                assert!(error.contains("must not be in the cohort"), "{error}");
            }
        }
        assert!(Key::open(&folder.path().join("cohort_key.tsv"), &cohort).is_ok());
    }

    #[test]
    fn errors_about_a_damaged_key_file_do_not_quote_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.tsv");
        for text in [
            "patient_id\tpseudonym\nDoe\tP0001\n",
            "pseudonym\tpatient_id\nP0001\tDoe\nP0001\tRoe\n",
            "pseudonym\tpatient_id\nP0001\tDoe\nP0002\tDoe\n",
            "pseudonym\tpatient_id\nP0001\tDoe\textra\n",
            "pseudonym\tpatient_id\nJohn Doe\t1\n",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Key::open(&path, &folder.path().join("cohort")).unwrap_err().to_string();
            assert!(error.contains("key.tsv") && !error.contains("Doe"), "{error}");
        }
    }
}
