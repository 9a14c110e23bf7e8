//! Studies: lists them, reads one, and follows those that other processes run.

pub mod outlines;
pub mod patient;

use std::path::{Path, PathBuf};

use engine::run::study::find_studies;
use engine::study::{Comparison, StudyRecord, StudyStatus, read_means, read_overview, read_status};

use super::{Failure, Job, JobHandle, Jobs, Spec, name_of};
use crate::state::study::{ListedStudy, StudyCache, StudyCell, StudySession, budget_name};
use crate::state::{Slot, State};

/// One read at a time.
pub const SLOT: Slot = Slot::exclusive("study");
/// Polling interval in seconds.
const PERIOD: f64 = 3.0;

/// Lists the studies of a workspace, and others that were opened before.
struct ListStudies {
    workspace: PathBuf,
    opened: Vec<PathBuf>,
    /// The list has been read before.
    again: bool,
}

/// Reads a study; the statistics only if another run has ended since the last read.
struct ReadStudy {
    folder: PathBuf,
    known: Option<StudyStatus>,
}

/// Opens a study.
pub fn open(state: &mut State, jobs: &mut Jobs, folder: &Path) {
    let metric = state.session.study.metric;
    state.session.study = StudySession { folder: Some(folder.to_path_buf()), metric, ..StudySession::default() };
    state.session.settings.remember_study(folder);
    state.cache.study = StudyCache { listed: state.cache.study.listed.take(), ..StudyCache::default() };
    refresh(state, jobs);
}

/// Returns to the list of studies.
pub fn close(state: &mut State, jobs: &mut Jobs) {
    let metric = state.session.study.metric;
    state.session.study = StudySession { metric, ..StudySession::default() };
    state.cache.study = StudyCache { listed: state.cache.study.listed.take(), ..StudyCache::default() };
    refresh(state, jobs);
}

/// Reads the studies again if their page is shown.
pub fn refresh_if_shown(state: &mut State, jobs: &mut Jobs) {
    if state.shows_studies() {
        refresh(state, jobs);
    }
}

/// Refreshes the open study, or the list of studies.
pub fn refresh(state: &State, jobs: &mut Jobs) {
    let cache = &state.cache.study;
    if let Some(folder) = state.study_folder() {
        let known = cache.open.as_ref().filter(|_| !cache.comparing).map(|study| study.status.clone());
        jobs.start(ReadStudy { folder: folder.to_path_buf(), known });
    } else {
        let settings = &state.session.settings;
        let (workspace, opened) = (settings.workspace(), settings.studies.clone());
        jobs.start(ListStudies { workspace, opened, again: cache.listed.is_some() });
    }
}

/// Seconds until the next read; `None` while the page is not shown.
pub fn wait(state: &State, now: f64) -> Option<f64> {
    state.shows_studies().then_some(state.cache.study.due - now)
}

/// Reads the studies again when it is time. `now` is in the window's seconds. Called every frame of a window that stays
/// open.
pub fn poll(state: &mut State, jobs: &mut Jobs, now: f64) {
    if wait(state, now).is_none_or(|wait| wait > 0.0) || jobs.runs(SLOT) {
        return;
    }
    state.cache.study.due = now + PERIOD;
    refresh(state, jobs);
}

impl Job for ListStudies {
    type Output = Vec<ListedStudy>;

    fn spec(&self) -> Spec {
        let spec = Spec::new(SLOT, "Listing the studies").quiet();
        if self.again { spec.hidden() } else { spec }
    }

    fn run(&self, handle: &JobHandle) -> Result<Vec<ListedStudy>, Failure> {
        let mut folders = find_studies(&self.workspace)?;
        folders.extend(self.opened.iter().filter(|opened| !folders.contains(opened)).cloned().collect::<Vec<_>>());
        let mut studies = Vec::new();
        for path in folders {
            handle.check()?;
            let overview = read_overview(&path).map_err(|error| error.to_string());
            studies.push(ListedStudy { path, overview });
        }
        // Newest first; studies that cannot be read last.
        let changed = |study: &ListedStudy| study.overview.as_ref().map_or(0.0, |study| study.changed);
        studies.sort_by(|a, b| changed(b).total_cmp(&changed(a)));
        Ok(studies)
    }

    fn apply(self, result: Result<Vec<ListedStudy>, Failure>, state: &mut State, _: &mut Jobs) {
        if self.workspace != state.session.settings.workspace() {
            return;
        }
        let cache = &mut state.cache.study;
        match result {
            Ok(studies) => (cache.listed, cache.list_failed) = (Some(studies), None),
            Err(failure) => (cache.listed, cache.list_failed) = (Some(Vec::new()), Some(failure.reason())),
        }
    }
}

/// Result of reading a study.
struct StudyUpdate {
    status: StudyStatus,
    /// The whole study, if a run has ended since the last read.
    study: Option<Box<StudyRecord>>,
}

impl Job for ReadStudy {
    type Output = StudyUpdate;

    fn spec(&self) -> Spec {
        let spec = Spec::new(SLOT, format!("Reading {}", name_of(&self.folder))).quiet();
        if self.known.is_some() { spec.hidden() } else { spec }
    }

    fn run(&self, handle: &JobHandle) -> Result<StudyUpdate, Failure> {
        let status = read_status(&self.folder)?;
        handle.check()?;
        let ended = |status: &StudyStatus| (status.frozen, status.done(), status.failed());
        if self.known.as_ref().is_some_and(|known| ended(known) == ended(&status)) {
            if self.known.as_ref() == Some(&status) {
                handle.report_no_change();
            }
            return Ok(StudyUpdate { status, study: None });
        }
        let mut study = read_means(&self.folder)?;
        if self.known.is_none() {
            let (folder, means) = (self.folder.clone(), Box::new(study.clone()));
            handle.send(move |state, _| {
                if state.study_folder() == Some(&folder) {
                    let cache = &mut state.cache.study;
                    (cache.open, cache.failed, cache.comparing) = (Some(means), None, true);
                }
            });
        }
        let mut comparison = Comparison::new(&study.plan, &study.results);
        let all = study.groups.len();
        for (at, group) in study.groups.iter_mut().enumerate() {
            handle.check()?;
            let detail = format!("comparing the methods, label budget {} of {all}", at + 1);
            handle.progress(Some(at as f32 / all as f32), detail);
            comparison.add_differences(group);
        }
        Ok(StudyUpdate { status, study: Some(Box::new(study)) })
    }

    fn apply(self, result: Result<StudyUpdate, Failure>, state: &mut State, _: &mut Jobs) {
        if state.study_folder() != Some(&self.folder) {
            return;
        }
        let cache = &mut state.cache.study;
        match result {
            Ok(StudyUpdate { status, study }) => {
                cache.failed = None;
                if let Some(study) = study {
                    (cache.open, cache.comparing) = (Some(study), false);
                } else if let Some(open) = &mut cache.open {
                    open.status = status;
                }
            }
            Err(Failure::Cancelled) => {}
            Err(failure) => {
                (cache.open, cache.comparing, cache.failed) = (None, false, Some(failure.reason()));
            }
        }
    }
}

/// Opens a patient of a cell at its worst slice, with every method's segmentation.
pub fn open_patient(state: &mut State, jobs: &mut Jobs, cell: &StudyCell, patient: &str) {
    let Some(folder) = state.study_folder().map(Path::to_path_buf) else { return };
    let Some((shown, rows)) = state.study_segmentations(cell, patient) else {
        let what = format!("{patient} has no result of {} with {} labelled.", cell.method, budget_name(&cell.budget));
        return state.error("The patient was not opened", what);
    };
    jobs.start(patient::FindPatient { folder, patient: patient.to_owned(), shown, rows });
}
