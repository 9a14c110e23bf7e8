//! Reviewed segmentations on their way to the labels of the next fine-tuning.

use engine::cohort::corrections::Verdict;

use super::action::List;
use super::{FileCommand, TrainCommand, file};
use crate::state::intent::LabelScope;
use crate::state::{CaseList, Dialog, Document, Intent, State};
use crate::worker::Jobs;
use crate::worker::add_labels::{self, Reviewed};

/// Adds what `scope` names, once it is saved and the reviewer is known.
pub(super) fn add(state: &mut State, jobs: &mut Jobs, scope: LabelScope) {
    let title = "Nothing was added to the labels";
    let Some(root) = state.cases.root.clone() else {
        return state.error(title, "Open the folder of the cohort first.");
    };
    let initials = state.session.settings.initials.clone();
    if initials.is_empty() {
        state.dialog = Some(Dialog::Initials { text: String::new(), next: Some(Intent::AddToLabels(scope)) });
        return;
    }
    match scope {
        LabelScope::Reviewed => {
            let cases = reviewed(&state.cases, &initials);
            if cases.is_empty() {
                return state.error(title, "Accept or correct a case first.");
            }
            add_labels::start(state, jobs, root, cases, false);
        }
        LabelScope::OpenCase { replace } => {
            let Some((case, document)) = state.reviewed() else {
                return state.error(title, "Open a case of the folder first.");
            };
            if document.replaced.is_some() {
                return state.error(title, "The segmentation is under way. Let it finish, or cancel it.");
            }
            if document.is_unsaved() {
                // Added once it is saved.
                return file::dispatch(state, jobs, FileCommand::SaveThen(Intent::AddToLabels(scope)));
            }
            let Some(mask) = document.segmentation().and_then(|mask| mask.path.clone()) else {
                return state.error(title, "This case has no segmentation. Press Segment now, or open one.");
            };
            let own = if document.is_corrected() { Verdict::Corrected } else { Verdict::Accepted };
            let verdict = verdict_of(&state.cases, &case.name).unwrap_or(own);
            let case = Reviewed { case: case.name.clone(), mask: Some(mask), verdict, reviewer: initials };
            add_labels::start(state, jobs, root, vec![case], replace);
        }
    }
}

/// The verdict of a case that is fit to train on.
fn verdict_of(cases: &CaseList, case: &str) -> Option<Verdict> {
    match cases.review.verdict(case) {
        engine::review::Verdict::Accepted => Some(Verdict::Accepted),
        engine::review::Verdict::Corrected => Some(Verdict::Corrected),
        engine::review::Verdict::ToDo | engine::review::Verdict::Rejected | engine::review::Verdict::SecondLook => None,
    }
}

/// The accepted and corrected cases, each by who gave its verdict.
fn reviewed(cases: &CaseList, initials: &str) -> Vec<Reviewed> {
    let of = |case: &crate::state::ListedCase| {
        let verdict = verdict_of(cases, &case.name)?;
        let reviewer = cases.review.entry(&case.name).map(|entry| entry.reviewer.clone()).unwrap_or_default();
        let reviewer = if reviewer.is_empty() { initials.to_owned() } else { reviewer };
        Some(Reviewed { case: case.name.clone(), mask: None, verdict, reviewer })
    };
    cases.cases.iter().filter_map(of).collect()
}

/// Whether the open case can be added.
pub fn can_add(state: &State) -> bool {
    let usable = |document: &Document| document.replaced.is_none() && document.segmentation().is_some();
    state.reviewed().is_some_and(|(_, document)| usable(document))
}

/// How many cases are accepted or corrected.
pub fn reviewed_count(state: &State) -> usize {
    state.cases.cases.iter().filter(|case| verdict_of(&state.cases, &case.name).is_some()).count()
}

/// What the palette offers.
pub fn actions(list: &mut List, state: &State) {
    let group = "Review";
    let add = |scope| Intent::AddToLabels(scope);
    let open = can_add(state);
    list.add_if(open, group, "Add this case to the labels", "", add(LabelScope::OpenCase { replace: false }));
    let replace = "Add this case to the labels, instead of another reviewer's mask";
    list.add_if(open, group, replace, "", add(LabelScope::OpenCase { replace: true }));
    let all = "Add all accepted and corrected cases to the labels";
    list.add_if(reviewed_count(state) > 0, group, all, "", add(LabelScope::Reviewed));
    let model = state.session.runs.segment.clone();
    list.add_if(model.is_some(), group, "Continue fine-tuning", "", TrainCommand::Retrain(model));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{CaseId, ListedCase};
    use engine::review::{Entry, Verdict as Said};

    #[test]
    fn accepted_and_corrected_cases_are_added_by_who_reviewed_them() {
        let case = |at: u64| ListedCase { id: CaseId(at), name: format!("p{at}"), ..ListedCase::default() };
        let mut cases = CaseList { cases: (0..5).map(case).collect(), ..CaseList::default() };
        for (at, (verdict, reviewer)) in
            [(Said::Accepted, "CD"), (Said::Corrected, ""), (Said::Rejected, "CD"), (Said::SecondLook, "CD")]
                .into_iter()
                .enumerate()
        {
            let name = format!("p{at}");
            let entry = Entry { verdict, reviewer: reviewer.into(), ..Entry::new(&name) };
            cases.review.written.insert(name, entry);
        }
        let found = reviewed(&cases, "AB");
        let found: Vec<_> =
            found.iter().map(|case| (case.case.as_str(), case.verdict, case.reviewer.as_str())).collect();
        assert_eq!(found, [("p0", Verdict::Accepted, "CD"), ("p1", Verdict::Corrected, "AB")]);
    }
}
