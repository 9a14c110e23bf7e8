//! The page's text: head, how the experiment was made, figures, foot.

use std::fmt::Write;

use super::html::{escape, facts, figure};
use super::{Figure, NOTICE, PageInput};
use crate::experiment::figures::Chart;

/// Title, notice, summary.
pub(super) fn head(out: &mut String, input: &PageInput) {
    let _ = writeln!(
        out,
        "<header>\n<p class=\"notice\" role=\"note\">{NOTICE}</p>\n<h1>{}</h1>\n<p class=\"summary\">{}</p>\n</header>\n<main>",
        escape(&input.title),
        escape(&input.summary)
    );
}

/// Patients, seed, budget, methods.
pub(super) fn setup(out: &mut String, input: &PageInput) {
    let setup = &input.setup;
    let list = |patients: &[String]| match patients.len() {
        0 => "none".to_owned(),
        n => format!("{n}: {}", patients.join(", ")),
    };
    let fixed = [
        ("Cohort", setup.cohort.clone()),
        ("Modality", setup.modality.clone()),
        ("Pre-training", list(&setup.train)),
        ("Labelled", list(&setup.labelled)),
        ("Validation", list(&setup.validation)),
        ("Held out", list(&setup.test)),
        ("Seed", setup.seed.to_string()),
    ];
    out.push_str("<section id=\"setup\">\n<h2>How the experiment was made</h2>\n");
    out.push_str(
        "<p>The split was drawn by the seed before any result was seen. Pre-training saw the scans of its patients \
         without their masks; whatever learns from masks (fine-tuning, threshold, ellipsoid) saw those of the labelled \
         patients alone; nothing was tuned on the held-out patients.</p>\n",
    );
    if !setup.validation.is_empty() {
        out.push_str("<p>The masks of the validation patients chose which epoch's weights were kept.</p>\n");
    }
    let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
    facts(out, fixed.filter(|(_, value)| !value.is_empty()).chain(setup.facts.iter().cloned()));
    if !input.method_notes.is_empty() {
        out.push_str("<h3>The methods</h3>\n");
        facts(out, input.method_notes.iter().cloned());
    }
    out.push_str("</section>\n");
}

/// Training curves.
pub(super) fn charts(out: &mut String, charts: &[Chart]) {
    if charts.is_empty() {
        return;
    }
    out.push_str("<section id=\"training\" class=\"wide\">\n<h2>Training</h2>\n<div class=\"charts\">\n");
    for chart in charts {
        let note = if chart.note.is_empty() {
            String::new()
        } else {
            format!("<figcaption>{}</figcaption>", escape(&chart.note))
        };
        let _ = writeln!(out, "<figure>{}{note}</figure>", chart.svg());
    }
    out.push_str("</div>\n</section>\n");
}

/// Masks of the held-out patients.
pub(super) fn overlays(out: &mut String, figures: &[Figure]) {
    if figures.is_empty() {
        return;
    }
    out.push_str(
        "<section id=\"overlays\" class=\"wide\">\n<h2>The held-out patients</h2>\n\
         <p>One axial slice of each, the one with the most lesion. \
         <span class=\"key tp\"></span>Solid blue is predicted and true, \
         <span class=\"key fp\"></span>hatched orange predicted but not true, \
         <span class=\"key fn\"></span>dashed pink true but missed. The patient's right is on the left, as radiologists \
         look at it. A picture opens in full size.</p>\n",
    );
    for picture in figures {
        figure(out, picture);
    }
    out.push_str("</section>\n");
}

/// What the label updates did.
pub(super) fn relabelling(out: &mut String, figures: &[Figure]) {
    if figures.is_empty() {
        return;
    }
    out.push_str(
        "<section id=\"relabelling\" class=\"wide\">\n<h2>Relabelling while pre-training</h2>\n\
         <p>Pre-training sorts the patches of a slice into two categories, at first by k-means alone: \
         <span class=\"key one\"></span><b>1</b>, green, counts as lesion; \
         <span class=\"key zero\"></span><b>0</b>, purple, as background. Lesion patches are masked first. At \
         the end of a period of epochs the label update looks at how hard each masked patch was to reconstruct: where \
         that agrees with k-means, so does the digit; where it does not, a coin decides. A patch that was never masked \
         keeps its digit. <span class=\"key flip\"></span>A yellow frame marks a patch whose digit the update changes. No mask drawn by a \
         person takes part in this: a 1 is a guess, not a finding.</p>\n",
    );
    for picture in figures {
        figure(out, picture);
    }
    out.push_str("</section>\n");
}

/// Timings, how to make the page again, attribution.
pub(super) fn foot(out: &mut String, input: &PageInput) {
    if !input.timings.is_empty() {
        out.push_str("<section id=\"timings\">\n<h2>Time</h2>\n<table class=\"timings\">\n<tbody>\n");
        for (part, seconds) in &input.timings {
            let _ = writeln!(out, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(part), duration(*seconds));
        }
        let total: f64 = input.timings.iter().map(|(_, seconds)| seconds).sum();
        let _ = writeln!(
            out,
            "</tbody>\n<tfoot><tr><th scope=\"row\">Together</th><td>{}</td></tr></tfoot>\n</table>\n</section>",
            duration(total)
        );
    }
    if !input.command.is_empty() {
        let _ = writeln!(
            out,
            "<section id=\"reproduce\">\n<h2>Make it again</h2>\n<pre><code>{}</code></pre>\n\
             <p>On the CPU the same seed, version and number of threads give the same masks and scores.</p>\n</section>",
            escape(&input.command)
        );
    }
    out.push_str("</main>\n<footer>\n");
    if !input.attribution.is_empty() {
        out.push_str("<h2>Data</h2>\n");
        for paragraph in &input.attribution {
            let _ = writeln!(out, "<p>{}</p>", escape(paragraph));
        }
    }
    let _ = writeln!(
        out,
        "<p>Made by amlp {}. For research use, not a medical device: nothing on this page may guide the care of a \
         patient.</p>\n</footer>",
        env!("CARGO_PKG_VERSION")
    );
}

/// A time span in words.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes} min {rest:02} s"),
        _ => format!("{hours} h {minutes:02} min"),
    }
}
