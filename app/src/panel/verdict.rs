//! How verdicts look: each has an icon and a word, and its colour only repeats them.

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

/// Its tone.
pub(super) fn tone_of(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::ToDo => Tone::Neutral,
        Verdict::Accepted | Verdict::Corrected => Tone::Ok,
        Verdict::Rejected => Tone::Error,
        Verdict::SecondLook => Tone::Warn,
    }
}
