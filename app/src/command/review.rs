//! Commands of the review queue: verdicts, comments, filter and order.

use engine::metrics::consensus::Method;
use engine::review::{Entry, FindingVerdict, Verdict};

use super::action::ActionList;
use super::{file, intent};
use crate::state::intent::ReviewFile;
use crate::state::{Dialog, Intent, Mode, PathPurpose, QueueOrder, ReviewStep, Severity, State};
use crate::worker::Jobs;
use crate::worker::review::{decide, set_order};

/// A command of the review queue.
#[derive(Clone, Debug, PartialEq)]
pub enum ReviewCommand {
    /// Takes a step, after asking for the reviewer's initials if they are unknown.
    Step(ReviewStep),
    /// Opens the comment field of the open case, filled with its current comment.
    OpenComment,
    /// Replaces the text of the comment field.
    EditComment(String),
    /// Closes the comment field and discards its text.
    CloseComment,
    /// Lists only cases of a verdict, or all.
    Filter(Option<Verdict>),
    /// Orders the list.
    SetOrder(QueueOrder),
    /// Asks for the reviewer's initials.
    AskInitials,
    /// Replaces the typed initials.
    EditInitials(String),
    /// Stores the typed initials and takes the pending step.
    KeepInitials,
}

impl From<ReviewStep> for ReviewCommand {
    fn from(step: ReviewStep) -> Self {
        Self::Step(step)
    }
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: ReviewCommand) {
    match command {
        ReviewCommand::Step(next) => step(state, jobs, next),
        ReviewCommand::OpenComment => {
            let comment = state.reviewed().map(|(case, _)| {
                state.cases.review.entry(&case.name).map(|entry| entry.comment.clone()).unwrap_or_default()
            });
            if comment.is_some() {
                // The field is in the right panel.
                state.session.settings.right_panel = true;
                state.cases.review.comment = comment;
            }
        }
        ReviewCommand::EditComment(text) => state.cases.review.comment = Some(text),
        ReviewCommand::CloseComment => state.cases.review.comment = None,
        ReviewCommand::Filter(verdict) => state.cases.review.filter = verdict,
        ReviewCommand::SetOrder(order) => set_order(state, jobs, order),
        ReviewCommand::AskInitials => {
            let text = state.session.settings.initials.clone();
            state.dialog = Some(Dialog::Initials { text, next: None });
        }
        ReviewCommand::EditInitials(typed) => {
            if let Some(Dialog::Initials { text, .. }) = &mut state.dialog {
                *text = typed;
            }
        }
        ReviewCommand::KeepInitials => {
            if let Some(Dialog::Initials { text, next }) = state.dialog.take() {
                text.trim().clone_into(&mut state.session.settings.initials);
                if let Some(next) = next {
                    intent::dispatch(state, jobs, next);
                }
            }
        }
    }
}

/// Takes a step of the review of the open case.
pub(super) fn step(state: &mut State, jobs: &mut Jobs, step: ReviewStep) {
    let Some((case, document)) = state.reviewed() else { return };
    if document.replaced.is_some() {
        return state.error("No verdict was given", "The network is still segmenting. Let it finish, or cancel it.");
    }
    let entry = state.cases.review.entry(&case.name).cloned().unwrap_or_else(|| Entry::new(&case.name));
    if state.session.settings.initials.is_empty() {
        state.dialog = Some(Dialog::Initials { text: String::new(), next: Some(Intent::Review(step)) });
        return;
    }
    match step {
        ReviewStep::Accept if document.is_unsaved() => {
            // This step is repeated after the save.
            file::save_and_continue(state, jobs, Intent::Review(step));
        }
        ReviewStep::Accept => {
            let verdict = if document.is_corrected() { Verdict::Corrected } else { Verdict::Accepted };
            give(state, jobs, Entry { verdict, ..entry }, true);
        }
        ReviewStep::Decide { verdict, next } => give(state, jobs, Entry { verdict, ..entry }, next),
        ReviewStep::Comment(text) => {
            state.cases.review.comment = None;
            let comment = text.trim().to_owned();
            if comment != entry.comment {
                give(state, jobs, Entry { comment, ..entry }, false);
            }
        }
        ReviewStep::Finding(at, verdict) => {
            let found = document.findings.as_ref().and_then(|list| list.entries.get(at));
            let Some(found) = found.filter(|_| state.judges_finding(at)) else {
                return state.error("No verdict was given", "This finding is not in the segmentation under review.");
            };
            let mut entry = entry;
            entry.mark(&found.finding, found.role.reviewed(), &document.base().volume.grid, verdict);
            give(state, jobs, entry, false);
        }
    }
}

/// Records the new entry of the open case and, if `next`, opens the next case.
fn give(state: &mut State, jobs: &mut Jobs, entry: Entry, next: bool) {
    let open = state.cases.open;
    // Find the next case first: with its new verdict, this one may no longer match the filter.
    let after = open.filter(|_| next).map(|open| state.cases.next_to_review(open));
    let seconds = entry.seconds + state.cases.review.clock.take();
    decide(state, jobs, Entry { seconds, ..entry });
    match after {
        Some(Some(case)) => {
            state.cases.review.comment = None;
            intent::dispatch(state, jobs, Intent::OpenCase(case));
        }
        Some(None) => {
            state.notice(Severity::Info, "This was the last case", state.cases.progress().to_string());
        }
        None => {}
    }
}

/// Counts the time spent on the open case. `used`: there was input in this frame.
pub fn note_use(state: &mut State, now: f64, used: bool) {
    let looked_at = state.reviewed().filter(|_| state.session.mode == Mode::Review && state.opening().is_none());
    match looked_at.map(|(_, document)| document.id) {
        Some(case) if used => state.cases.review.clock.used(case, now),
        Some(case) => state.cases.review.clock.shown(case, now),
        None => state.cases.review.clock.stop(),
    }
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let group = "Review";
    let open = state.reviewed().is_some();
    let cases = !state.cases.cases.is_empty();
    let decide = |verdict, next| ReviewCommand::Step(ReviewStep::Decide { verdict, next });
    list.add_if(open, group, "Accept and go to the next case", "Enter", ReviewCommand::Step(ReviewStep::Accept));
    list.add_if(open, group, "Reject and go to the next case", "X", decide(Verdict::Rejected, true));
    list.add_if(open, group, "Comment on this case", "C", ReviewCommand::OpenComment);
    for verdict in Verdict::ALL {
        let label = format!("Verdict: {}", verdict.name());
        list.add_if(open, group, label, "", decide(verdict, false));
    }
    let finding = state.session.view.finding;
    let of_finding = |verdict| ReviewCommand::Step(ReviewStep::Finding(finding.unwrap_or_default(), verdict));
    let marked = open && finding.is_some();
    list.add_if(marked, group, "Finding: accept", "", of_finding(Some(FindingVerdict::Accepted)));
    list.add_if(marked, group, "Finding: reject", "", of_finding(Some(FindingVerdict::Rejected)));
    list.add_if(marked, group, "Finding: no verdict", "", of_finding(None));
    list.add_if(cases, group, "List all cases", "", ReviewCommand::Filter(None));
    for verdict in Verdict::ALL {
        let label = format!("List cases: {}", verdict.name().to_lowercase());
        list.add_if(cases, group, label, "", ReviewCommand::Filter(Some(verdict)));
    }
    for order in QueueOrder::BUILT_IN {
        let label = format!("Order: {}", order.name().to_lowercase());
        list.add_if(cases, group, label, "", ReviewCommand::SetOrder(order));
    }
    let two = state.document.as_ref().is_some_and(crate::state::Document::has_both_masks);
    for (method, name) in [(Method::Majority, "where both agree"), (Method::Staple, "STAPLE")] {
        list.add_if(two, group, format!("Consensus of both masks: {name}"), "", Intent::Consensus(method));
    }
    let ask = |file| Intent::Ask(PathPurpose::Review(file));
    list.add_if(cases, group, "Order: by my list…", "", ask(ReviewFile::Order));
    list.add(group, "Reviewer's initials…", "", ReviewCommand::AskInitials);
    for file in ReviewFile::EXPORTS {
        let possible = if file == ReviewFile::CasePage { open } else { cases };
        list.add_if(possible, group, format!("{}…", file.name()), "", ask(file));
    }
}
