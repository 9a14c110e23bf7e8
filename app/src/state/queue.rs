//! The review of the open folder: verdicts, filter and order of the cases, time spent on the open case.

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::review::{CaseScore, Entry, FindingVerdict, LatestEntries, Progress, Verdict};
use serde::{Deserialize, Serialize};

use super::{CaseId, CaseList, Document, ListedCase, MaskRole, State};

/// The longest pause between inputs that counts as working time, in seconds.
const MAX_PAUSE_SECONDS: f64 = 30.0;

/// The order of the cases in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueOrder {
    /// By name.
    #[default]
    Listed,
    /// Highest mean entropy of the saved probability first.
    Uncertain,
    /// Lowest Dice of the segmentation against the reference first.
    LowestDice,
    /// Largest volume change since the patient's previous scan first.
    VolumeChange,
    /// By the user's table.
    List(PathBuf),
}

impl QueueOrder {
    /// The orders that need no file.
    pub const BUILT_IN: [Self; 4] = [Self::Listed, Self::Uncertain, Self::LowestDice, Self::VolumeChange];

    /// The name in the window.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Listed => "As listed",
            Self::Uncertain => "Least certain first",
            Self::LowestDice => "Lowest Dice first",
            Self::VolumeChange => "Largest volume change first",
            Self::List(_) => "By my list",
        }
    }

    /// A score with its unit.
    pub fn score(&self, score: f64) -> String {
        match self {
            Self::Listed => String::new(),
            Self::Uncertain => format!("entropy {score:.3} bit"),
            Self::LowestDice => format!("Dice {score:.3}"),
            Self::VolumeChange => format!("change {score:.2} ml"),
            Self::List(_) => format!("score {score}"),
        }
    }
}

/// A step of the review, which may have to wait for a save or for the reviewer's initials.
#[derive(Clone, Debug, PartialEq)]
pub enum ReviewStep {
    /// Accepts the segmentation, which is saved first if needed, and goes to the next case. The verdict is *corrected*
    /// if it was edited by hand.
    Accept,
    /// Gives the open case a verdict, and opens the next case if `next`.
    Decide {
        /// The verdict on its segmentation.
        verdict: Verdict,
        /// Whether the next case is opened.
        next: bool,
    },
    /// Gives the open case a comment.
    Comment(String),
    /// Sets or clears the verdict on a finding of the open case, by its index in the list.
    Finding(usize, Option<FindingVerdict>),
}

/// The review of a folder.
#[derive(Clone, Debug, Default)]
pub struct Review {
    /// The last verdict of every case in the file.
    pub written: LatestEntries,
    /// Verdicts not written yet, oldest first.
    pub waiting: Vec<Entry>,
    /// Warnings about the file, one sentence each.
    pub warnings: Vec<String>,
    /// Only cases with this verdict are listed.
    pub filter: Option<Verdict>,
    /// The order of the cases.
    pub order: QueueOrder,
    /// Scores by case name, once computed.
    pub scores: BTreeMap<String, CaseScore>,
    /// Rank of each case by name; empty for the listed order.
    pub places: BTreeMap<String, usize>,
    /// Text of the comment field while it is open.
    pub comment: Option<String>,
    /// The time spent on the open case.
    pub clock: Clock,
}

impl Review {
    /// The last verdict of a case by its name.
    pub fn entry(&self, case: &str) -> Option<&Entry> {
        self.waiting.iter().rev().find(|entry| entry.case == case).or_else(|| self.written.get(case))
    }

    /// The verdict of a case by its name.
    pub fn verdict(&self, case: &str) -> Verdict {
        self.entry(case).map_or(Verdict::ToDo, |entry| entry.verdict)
    }

    /// Adds the verdicts that another window has written since the file was read.
    pub fn merge(&mut self, entries: &[Entry]) {
        for entry in entries {
            let known = self.written.get(&entry.case);
            if known.is_none_or(|known| known.time_ms <= entry.time_ms) {
                self.written.insert(entry.case.clone(), entry.clone());
            }
        }
    }

    /// Changes the order and drops the scores of the previous one.
    pub fn set_order(&mut self, order: QueueOrder) {
        (self.order, self.scores, self.places) = (order, BTreeMap::new(), BTreeMap::new());
    }
}

/// Time spent on an open case: the sum of the intervals between inputs, each at most half a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clock {
    case: Option<CaseId>,
    seconds: f64,
    last_input: Option<f64>,
}

impl Clock {
    /// Records that `case` is shown at `now` (seconds). A newly shown case counts as input.
    pub fn shown(&mut self, case: CaseId, now: f64) {
        if self.case != Some(case) {
            *self = Self { case: Some(case), seconds: 0.0, last_input: None };
        }
        self.last_input.get_or_insert(now);
    }

    /// Records input at `now` while `case` is shown.
    pub fn used(&mut self, case: CaseId, now: f64) {
        self.shown(case, now);
        let pause = self.last_input.map_or(0.0, |last| now - last);
        self.seconds += pause.clamp(0.0, MAX_PAUSE_SECONDS);
        self.last_input = Some(now);
    }

    /// Stops the clock while no case is displayed. The time until the next input does not count.
    pub fn stop(&mut self) {
        self.last_input = None;
    }

    /// Returns the seconds since the last verdict and resets them.
    pub fn take(&mut self) -> f64 {
        std::mem::take(&mut self.seconds)
    }
}

impl CaseList {
    /// Progress of the review.
    pub fn progress(&self) -> Progress {
        let latest: LatestEntries = self
            .cases
            .iter()
            .filter_map(|case| Some((case.name.clone(), self.review.entry(&case.name)?.clone())))
            .collect();
        Progress::of(self.cases.iter().map(|case| case.name.as_str()), &latest)
    }

    /// The case that a folder opens with: the first without a final verdict. If all have one, the first.
    pub fn first_to_review(&self) -> Option<CaseId> {
        let shown = self.matching();
        let undecided = shown.iter().find(|case| !self.review.verdict(&case.name).is_final());
        undecided.or(shown.first()).map(|case| case.id)
    }

    /// The next case to review: the next listed one without a final verdict, wrapping around. If all have one, the next.
    pub fn next_to_review(&self, after: CaseId) -> Option<CaseId> {
        let shown = self.matching();
        let place = shown.iter().position(|case| case.id == after);
        let from = place.map_or(0, |place| place + 1);
        let (before, behind) = shown.split_at(from.min(shown.len()));
        let undecided = |case: &&&ListedCase| case.id != after && !self.review.verdict(&case.name).is_final();
        let next = behind.iter().chain(before).find(undecided).or_else(|| behind.first());
        next.map(|case| case.id)
    }
}

impl State {
    /// Whether a finding can have a verdict: it belongs to the segmentation of a listed case.
    pub fn judges_finding(&self, at: usize) -> bool {
        let Some((_, document)) = self.reviewed() else { return false };
        let entry = document.findings.as_ref().and_then(|list| list.entries.get(at));
        entry.is_some_and(|entry| entry.role == MaskRole::Segmentation || document.segmentation().is_none())
    }

    /// The verdict on a finding of the open case.
    pub fn finding_verdict(&self, at: usize) -> Option<FindingVerdict> {
        let (case, document) = self.reviewed().filter(|_| self.judges_finding(at))?;
        let found = document.findings.as_ref()?.entries.get(at)?;
        let mask = found.role.reviewed();
        self.cases.review.entry(&case.name)?.on_finding(&found.finding, mask, &document.base().volume.grid)
    }

    /// The listed case that is open, with its document.
    pub fn reviewed(&self) -> Option<(&ListedCase, &Document)> {
        let document = self.document.as_ref()?;
        let case = self.cases.get(document.listed?)?;
        (self.cases.open == Some(case.id)).then_some((case, document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(verdicts: &[Verdict]) -> CaseList {
        let case = |at: usize| ListedCase { id: CaseId(at as u64), name: format!("p{at}"), ..ListedCase::default() };
        let mut list = CaseList { cases: (0..verdicts.len()).map(case).collect(), ..CaseList::default() };
        for (case, verdict) in list.cases.iter().zip(verdicts) {
            let entry = Entry { verdict: *verdict, ..Entry::new(&case.name) };
            list.review.written.insert(case.name.clone(), entry);
        }
        list
    }

    #[test]
    fn the_next_case_is_the_next_without_a_final_verdict() {
        use Verdict::{Accepted, Rejected, SecondLook, ToDo};
        let mut cases = list(&[ToDo, Accepted, SecondLook, Rejected]);
        let next = |cases: &CaseList, after: u64| cases.next_to_review(CaseId(after)).map(|case| case.0);
        assert_eq!([0, 1, 2, 3].map(|after| next(&cases, after)), [Some(2), Some(2), Some(0), Some(0)]);
        cases.review.filter = Some(Accepted);
        assert_eq!(next(&cases, 1), None, "the only one of this verdict");
        let decided = list(&[Accepted, Rejected]);
        assert_eq!((next(&decided, 0), next(&decided, 1)), (Some(1), None));
    }

    #[test]
    fn a_folder_opens_with_the_first_case_without_a_final_verdict() {
        use Verdict::{Accepted, Rejected, SecondLook, ToDo};
        let first = |verdicts: &[Verdict]| list(verdicts).first_to_review().map(|case| case.0);
        assert_eq!(first(&[Accepted, Rejected, SecondLook, ToDo]), Some(2));
        assert_eq!((first(&[Accepted, Rejected]), first(&[])), (Some(0), None));
    }

    #[test]
    fn unwritten_verdicts_count_and_filter_and_order_apply() {
        let mut cases = list(&[Verdict::ToDo, Verdict::Accepted, Verdict::ToDo]);
        cases.review.waiting.push(Entry { verdict: Verdict::Rejected, seconds: 12.0, ..Entry::new("p0") });
        assert_eq!(cases.review.verdict("p0"), Verdict::Rejected);
        assert_eq!(cases.progress().to_string(), "2 of 3 done, 6 s each");
        cases.review.places = BTreeMap::from([("p2".into(), 0), ("p1".into(), 1), ("p0".into(), 2)]);
        let names = |cases: &CaseList| cases.matching().iter().map(|case| case.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&cases), ["p2", "p1", "p0"]);
        cases.review.filter = Some(Verdict::ToDo);
        assert_eq!(names(&cases), ["p2"]);
    }

    #[test]
    fn newer_verdicts_of_another_window_are_merged() {
        let at = |case: &str, verdict, time_ms| Entry { verdict, time_ms, ..Entry::new(case) };
        let mut review = Review::default();
        review.written.insert("p1".into(), at("p1", Verdict::Accepted, 20));
        review.merge(&[
            at("p1", Verdict::Rejected, 10),
            at("p2", Verdict::Rejected, 15),
            at("p2", Verdict::Accepted, 16),
        ]);
        assert_eq!((review.verdict("p1"), review.verdict("p2")), (Verdict::Accepted, Verdict::Accepted));
        review.merge(&[at("p1", Verdict::Corrected, 30)]);
        assert_eq!(review.verdict("p1"), Verdict::Corrected);
    }

    #[test]
    fn long_pauses_do_not_count_as_working_time() {
        let mut clock = Clock::default();
        for now in [100.0, 104.0, 164.0, 165.0] {
            clock.used(CaseId(1), now);
        }
        assert_eq!((clock.take(), clock.take()), (4.0 + 30.0 + 1.0, 0.0));
        clock.stop();
        clock.used(CaseId(1), 170.0);
        clock.used(CaseId(1), 172.0);
        assert_eq!(clock.take(), 2.0);
        clock.shown(CaseId(2), 180.0);
        clock.shown(CaseId(2), 184.0);
        clock.used(CaseId(2), 186.0);
        assert_eq!(clock.take(), 6.0, "from the moment another case is shown");
    }
}
