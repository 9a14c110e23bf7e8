//! Cache of a cohort's fingerprint, so that only changed files are read again.
//!
//! One JSON file per cohort. A case is cached as long as size, modification time and first bytes of all its files are
//! unchanged. Cache files that cannot be read or written are ignored.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::fingerprint::CaseReport;
use super::{Case, Cohort};
use crate::disk::atomic::{sha256, write_atomic};
use crate::disk::create_folder;
use crate::volume::MaskOptions;

/// Bytes compared per file: enough for the header, even of a compressed file.
const HEAD: u64 = 4096;
/// Minimum age of a file. A younger one may change again within the resolution of its modification time.
const MIN_AGE: Duration = Duration::from_secs(2);

/// A folder of cached fingerprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FingerprintCache {
    folder: PathBuf,
}

/// The file of one cohort.
#[derive(Default, Serialize, Deserialize)]
struct CacheFile {
    /// Program version that wrote it. Another version may read files differently.
    version: String,
    /// Reports by the stamp of the case's files.
    cases: BTreeMap<String, CaseReport>,
}

/// The cached cases of one cohort.
pub(super) struct CachedCases {
    path: PathBuf,
    /// Settings that are part of a stamp.
    settings: String,
    kept: CacheFile,
}

impl FingerprintCache {
    /// A cache in this folder, which is created on the first write.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The user's cache folder: `amlp` in `$XDG_CACHE_HOME` or `~/.cache`, in `~/Library/Caches` or in `%LOCALAPPDATA%`. None
    /// where the environment names no home.
    pub fn of_user() -> Option<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = |folder: &str| set("HOME").map(|home| home.join(folder));
        let caches = if cfg!(windows) {
            set("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            home("Library/Caches")
        } else {
            set("XDG_CACHE_HOME").filter(|folder| folder.is_absolute()).or_else(|| home(".cache"))
        };
        caches.map(|folder| Self::new(folder.join("amlp").join("cohorts")))
    }

    /// The cached cases of a cohort read with these settings.
    pub(super) fn open(&self, cohort: &Cohort, modality: Option<&str>, masks: &MaskOptions) -> CachedCases {
        let root = std::path::absolute(&cohort.root).unwrap_or_else(|_| cohort.root.clone());
        let settings = format!("{modality:?} {masks:?}");
        let name = sha256(format!("{} {settings}", root.display()).as_bytes());
        let path = self.folder.join(format!("{name}.json"));
        let read = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<CacheFile>(&bytes).ok());
        CachedCases { path, settings, kept: read.filter(|kept| kept.version == VERSION).unwrap_or_default() }
    }
}

/// Changes with every version of the program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl CachedCases {
    /// The stamp of a case, and its cached report. Without a stamp the case must be read.
    pub fn find(&self, case: &Case) -> (Option<String>, Option<&CaseReport>) {
        let stamp = self.stamp(case);
        let report = stamp.as_ref().and_then(|stamp| self.kept.cases.get(stamp));
        (stamp, report)
    }

    /// Replaces the cache file's content.
    pub fn replace<'a>(self, cases: impl Iterator<Item = (String, &'a CaseReport)>) {
        let cases: BTreeMap<String, CaseReport> = cases.map(|(stamp, report)| (stamp, report.clone())).collect();
        if cases.keys().eq(self.kept.cases.keys()) {
            return;
        }
        let kept = CacheFile { version: VERSION.to_owned(), cases };
        let written = || -> crate::Result<()> {
            if let Some(folder) = self.path.parent() {
                create_folder(folder)?;
            }
            let bytes = serde_json::to_vec(&kept).unwrap_or_default();
            write_atomic(&self.path, &bytes).map(|_| ())
        };
        if let Err(error) = written() {
            tracing::debug!("the fingerprint is not cached: {error}");
        }
    }

    /// A stamp that changes whenever a file of the case changes.
    fn stamp(&self, case: &Case) -> Option<String> {
        let mut text = format!("{} {case:?}", self.settings);
        let images = case.images.values().map(|image| image.path.as_path());
        for path in images.chain(case.masks.iter().map(PathBuf::as_path)) {
            text += &file_stamp(path)?;
        }
        Some(sha256(text.as_bytes()))
    }
}

/// Size, time and first bytes of a NIfTI file. `None` for a folder, a pair of files, or a file that is being written.
fn file_stamp(path: &Path) -> Option<String> {
    let plain = if is(path, "gz") { path.with_extension("") } else { path.to_path_buf() };
    if !is(&plain, "nii") {
        return None;
    }
    let file = File::open(path).ok()?;
    let about = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let changed = about.modified().ok()?;
    if SystemTime::now().duration_since(changed).is_ok_and(|age| age < MIN_AGE) {
        return None;
    }
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head).ok()?;
    Some(format!(" {} {changed:?} {}", about.len(), sha256(&head)))
}

fn is(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}
