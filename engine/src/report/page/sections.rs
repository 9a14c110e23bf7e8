//! Sections of the page: header, setup, figures, footer.

use std::fmt::Write;

use super::html::{escape, facts, figure};
use super::{Figure, NOTICE, PageInput};
use crate::report::figures::Chart;

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
    out.push_str("<section id=\"setup\">\n<h2>Setup</h2>\n");
    out.push_str(
        "<p>The split was drawn by seed before any training. Pre-training used scans only. Fine-tuning, threshold and \
         ellipsoid used the masks of the labelled patients only. Nothing was tuned on the held-out patients.</p>\n",
    );
    if !setup.validation.is_empty() {
        out.push_str("<p>The weights of the best epoch on the validation patients were kept.</p>\n");
    }
    let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
    facts(out, fixed.filter(|(_, value)| !value.is_empty()).chain(setup.facts.iter().cloned()));
    if !input.method_notes.is_empty() {
        out.push_str("<h3>Methods</h3>\n");
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
        "<section id=\"overlays\" class=\"wide\">\n<h2>Held-out patients</h2>\n\
         <p>The axial slice with the most lesion of each patient. \
         <span class=\"key tp\"></span>Solid blue is segmented and in the reference, \
         <span class=\"key fp\"></span>hatched orange segmented but not in the reference, \
         <span class=\"key fn\"></span>dashed pink in the reference but missed. Radiological view: the patient's right \
         is on the left. Click a picture for full size.</p>\n",
    );
    for picture in figures {
        figure(out, picture);
    }
    out.push_str("</section>\n");
}

/// Pictures of the label updates.
pub(super) fn relabelling(out: &mut String, figures: &[Figure]) {
    if figures.is_empty() {
        return;
    }
    out.push_str(
        "<section id=\"relabelling\" class=\"wide\">\n<h2>Label updates during pre-training</h2>\n\
         <p>Pre-training sorts the patches of a slice into two clusters, at first by k-means: \
         <span class=\"key one\"></span><b>1</b>, green, is lesion; \
         <span class=\"key zero\"></span><b>0</b>, purple, background. Lesion patches are masked first. At \
         the end of each period of epochs, the label update checks how hard each masked patch was to reconstruct. If \
         that agrees with k-means, the patch gets the k-means label; if not, a coin toss decides. A patch that was \
         never masked keeps its label. <span class=\"key flip\"></span>A yellow frame marks a patch whose label the update \
         changes. No reference mask is used: a 1 is a guess, not a finding.</p>\n",
    );
    for picture in figures {
        figure(out, picture);
    }
    out.push_str("</section>\n");
}

/// Timings, command, attribution.
pub(super) fn foot(out: &mut String, input: &PageInput) {
    if !input.timings.is_empty() {
        out.push_str("<section id=\"timings\">\n<h2>Time</h2>\n<table class=\"timings\">\n<tbody>\n");
        for (part, seconds) in &input.timings {
            let _ = writeln!(out, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(part), duration(*seconds));
        }
        let total: f64 = input.timings.iter().map(|(_, seconds)| seconds).sum();
        let _ = writeln!(
            out,
            "</tbody>\n<tfoot><tr><th scope=\"row\">Total</th><td>{}</td></tr></tfoot>\n</table>\n</section>",
            duration(total)
        );
    }
    if !input.command.is_empty() {
        let _ = writeln!(
            out,
            "<section id=\"reproduce\">\n<h2>Reproduce</h2>\n<pre><code>{}</code></pre>\n\
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
        "<p>Made by amlp {}. For research use, not a medical device. Do not use this page for patient care.</p>\n</footer>",
        env!("CARGO_PKG_VERSION")
    );
}

/// A duration, such as `1 min 15 s`.
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
