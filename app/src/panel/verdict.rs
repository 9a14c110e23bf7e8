//! Appearance of verdicts: icon and word; the colour is redundant.

use engine::review::Verdict;

use crate::theme::{Icon, icon};
use crate::widget::Tone;

/// The icon of a verdict.
pub(super) fn icon_of(verdict: Verdict) -> Icon {
    match verdict {
        Verdict::ToDo => icon::PENDING,
        Verdict::Accepted => icon::DONE,
        Verdict::Corrected => icon::EDIT,
        Verdict::Rejected => icon::REJECTED,
        Verdict::SecondLook => icon::FLAG,
    }
}

/// Its tone. Tones alone do not distinguish all verdicts.
pub(super) fn tone_of(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::ToDo => Tone::Neutral,
        Verdict::Accepted | Verdict::Corrected => Tone::Ok,
        Verdict::Rejected => Tone::Error,
        Verdict::SecondLook => Tone::Warn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_its_own_icon_and_word() {
        let all = Verdict::ALL;
        for (at, verdict) in all.into_iter().enumerate() {
            assert!(
                all[..at].iter().all(|other| icon_of(*other) != icon_of(verdict) && other.name() != verdict.name())
            );
        }
    }
}
