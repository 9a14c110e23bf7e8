//! Messages to the user.

use super::names::file_name;
use super::{CaseId, Intent, MaskRole, State, UnloadedMask};

/// Severity of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something worth knowing.
    Info,
    /// Something unusual that did not stop the work.
    Warning,
    /// Something failed.
    Error,
}

/// A message to the user: shown as a toast and kept in the log panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Increasing number, unique in the session.
    pub id: u64,
    /// Decides icon and colour.
    pub severity: Severity,
    /// What happened, in one short sentence.
    pub title: String,
    /// Details: file, field, value.
    pub detail: String,
    /// Number of repetitions while it was displayed.
    pub count: usize,
    /// Undoes the reported action.
    pub undo: Option<Intent>,
    /// True once the toast was closed; the log keeps it.
    pub dismissed: bool,
    /// The case it is about. Warnings and errors about a case are dismissed when it is closed.
    pub case: Option<NamedCase>,
    /// Reports a failed opening; dismissed when another file is opened.
    pub failed_open: bool,
    /// Offers to load a mask of this role with its remedy.
    pub offer: Option<MaskRole>,
}

/// A case that a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCase {
    /// The case.
    pub id: CaseId,
    /// Its name.
    pub title: String,
}

impl Notice {
    /// The title, prefixed with the case unless it names it, and the number of repetitions.
    pub fn heading(&self) -> String {
        let title = match &self.case {
            Some(case) if !self.title.contains(&case.title) => format!("{}: {}", case.title, self.title),
            _ => self.title.clone(),
        };
        if self.count > 1 { format!("{title} \u{d7}{}", self.count) } else { title }
    }

    /// Whether it is shown and has the same text as another.
    fn stands_for(&self, other: &Self) -> bool {
        let says = |notice: &Self| notice.title == self.title && notice.detail == self.detail;
        !self.dismissed && self.severity == other.severity && says(other) && self.undo == other.undo
    }

    /// Whether it is a warning or an error about a case.
    fn warns_of(&self, case: CaseId) -> bool {
        self.severity != Severity::Info && self.case.as_ref().is_some_and(|of| of.id == case)
    }
}

impl State {
    /// Adds a message.
    pub fn notice(&mut self, severity: Severity, title: impl Into<String>, detail: impl Into<String>) {
        self.add_notice(severity, title.into(), detail.into(), None);
    }

    /// Adds a message about something that `undo` reverts.
    pub fn notice_with_undo(&mut self, title: impl Into<String>, detail: impl Into<String>, undo: Intent) {
        self.add_notice(Severity::Info, title.into(), detail.into(), Some(undo));
    }

    /// A repeated message increments the count of the shown one, which moves to the end and restarts its timer.
    fn add_notice(&mut self, severity: Severity, title: String, detail: String, undo: Option<Intent>) {
        let id = self.notices.last().map_or(1, |n| n.id + 1);
        let mut notice = Notice {
            id,
            severity,
            title,
            detail,
            count: 1,
            undo,
            dismissed: false,
            case: None,
            failed_open: false,
            offer: None,
        };
        if let Some(at) = self.notices.iter().position(|shown| shown.stands_for(&notice)) {
            notice.count += self.notices.remove(at).count;
        }
        self.notices.push(notice);
    }

    /// Number of the newest message.
    pub fn last_notice(&self) -> u64 {
        self.notices.last().map_or(0, |notice| notice.id)
    }

    /// Assigns the messages after `before` to `case`, if it is the open one.
    pub fn assign_notices(&mut self, before: u64, case: CaseId) {
        let Some(document) = self.document.as_ref().filter(|document| document.id == case) else { return };
        let named = NamedCase { id: case, title: document.title.clone() };
        self.notices.iter_mut().filter(|n| n.id > before).for_each(|notice| notice.case = Some(named.clone()));
    }

    /// Marks the messages after `before` as failed openings.
    pub fn mark_failed_open(&mut self, before: u64) {
        self.notices.iter_mut().filter(|notice| notice.id > before).for_each(|notice| notice.failed_open = true);
    }

    /// Dismisses messages about failed openings.
    pub fn dismiss_failed_opens(&mut self) {
        self.dismiss(|notice| notice.failed_open);
    }

    /// Closes the case and dismisses its warnings and errors, which stay in the log.
    pub fn close_document(&mut self) {
        self.dismiss_failed_opens();
        let Some(document) = self.document.take() else { return };
        self.dismiss(|notice| notice.warns_of(document.id));
        self.session.keep_user_modalities(&document);
    }

    /// Dismisses messages.
    fn dismiss(&mut self, which: impl Fn(&Notice) -> bool) {
        self.notices.iter_mut().filter(|notice| which(notice)).for_each(|notice| notice.dismissed = true);
    }

    /// Registers a mask of the open case that could not be loaded. The left panel lists it while the case has no mask
    /// of its role. Its remedy is offered once per session if the mask was found with the case, and each time if the
    /// user opened it.
    pub fn add_unloaded(&mut self, unloaded: UnloadedMask, chosen: bool) {
        let (role, path) = (unloaded.role, unloaded.path().to_path_buf());
        let Some(document) = &mut self.document else { return };
        let (remedy, why) = (unloaded.remedy.is_some(), unloaded.why.clone());
        document.unloaded.retain(|other| other.role != role);
        document.unloaded.push(unloaded);
        let is_new = self.cache.offered_masks.insert(path.clone());
        if remedy && (is_new || chosen) {
            self.dismiss(|notice| notice.offer == Some(role));
            let title = format!("{} was not loaded", file_name(&path));
            self.notice(Severity::Warning, title, why);
            self.notices.iter_mut().last().into_iter().for_each(|notice| notice.offer = Some(role));
        }
    }

    /// Drops offers for a role after its mask was loaded.
    pub fn remove_offers(&mut self, role: MaskRole) {
        self.dismiss_failed_opens();
        self.dismiss(|notice| notice.offer == Some(role));
        if let Some(document) = &mut self.document {
            document.unloaded.retain(|unloaded| unloaded.role != role);
        }
    }

    /// Without a window, turns offers into errors.
    pub fn decline_offers(&mut self) {
        let masks = self.document.iter_mut().flat_map(|document| &mut document.unloaded);
        let declined: Vec<String> = masks
            .filter_map(|mask| mask.remedy.take().map(|_| format!("{}: {}", mask.path().display(), mask.why)))
            .collect();
        for what in declined {
            self.dismiss(|notice| notice.offer.is_some());
            self.error("The mask was not loaded", what);
        }
    }

    /// Adds an error. `error` names file, field and value.
    pub fn error(&mut self, title: impl Into<String>, error: impl std::fmt::Display) {
        self.notice(Severity::Error, title, error.to_string());
    }

    /// True if an error is shown: a toast that was not closed, or the error in place of the views.
    pub fn shows_error(&self) -> bool {
        self.failed.is_some() || self.notices.iter().any(|n| n.severity == Severity::Error && !n.dismissed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_message_is_counted_while_shown_and_added_again_once_dismissed() {
        let mut state = State::default();
        state.error("Not saved", "disk full");
        state.notice(Severity::Info, "Saved", "a.nii.gz");
        let first = state.notices[0].id;
        state.error("Not saved", "disk full");
        state.error("Not saved", "disk full");
        let headings: Vec<String> = state.notices.iter().map(Notice::heading).collect();
        assert_eq!(headings, ["Saved", "Not saved \u{d7}3"]);
        assert!(state.notices[1].id > first, "its timer restarts");
        state.error("Not saved", "no such folder");
        state.notices[1].dismissed = true;
        state.error("Not saved", "disk full");
        let headings: Vec<String> = state.notices.iter().map(Notice::heading).collect();
        assert_eq!(headings, ["Saved", "Not saved \u{d7}3", "Not saved", "Not saved"]);
    }
}
