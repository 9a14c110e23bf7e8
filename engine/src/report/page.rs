//! The report of the demo: one self-contained HTML page without scripts, for screen, phone and print.

mod html;
mod results;
mod sections;

use super::MethodScores;
use super::figures::Chart;

pub use html::{embedded, escape, figure};
pub(crate) use html::{facts, href};

/// Notice on every page.
pub const NOTICE: &str = "Research use only. Not a medical device.";

/// Contents of the page. The page escapes all text.
#[derive(Clone, Debug, Default)]
pub struct PageInput {
    /// The page's title.
    pub title: String,
    /// Summary, one paragraph.
    pub summary: String,
    /// The methods' scores, columns of the table in this order.
    pub methods: Vec<MethodScores>,
    /// Each method's name, and a sentence on how it segments.
    pub method_notes: Vec<(String, String)>,
    /// Sentences below the table: whether the fine-tuned model beats the threshold and the ellipsoid.
    pub verdicts: Vec<String>,
    /// Cohort, patients and settings.
    pub setup: Setup,
    /// Curves of the runs.
    pub charts: Vec<Chart>,
    /// Slices of the held-out patients with the methods' masks.
    pub overlays: Vec<Figure>,
    /// Pictures of the label updates.
    pub relabelling: Vec<Figure>,
    /// Seconds of each part of the job.
    pub timings: Vec<(String, f64)>,
    /// The command that reproduces this page.
    pub command: String,
    /// Origin and licence of the data, one paragraph each.
    pub attribution: Vec<String>,
}

/// Cohort, patients and settings of an experiment.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The cohort in a few words.
    pub cohort: String,
    /// The modality ("PET").
    pub modality: String,
    /// Pre-training patients, without their masks.
    pub train: Vec<String>,
    /// Pre-training patients whose masks fine-tuning, threshold and ellipsoid used.
    pub labelled: Vec<String>,
    /// Validation patients; may be empty.
    pub validation: Vec<String>,
    /// Held-out patients.
    pub test: Vec<String>,
    /// The seed of split, weights and training.
    pub seed: u64,
    /// More facts by name: steps of each stage, network, device.
    pub facts: Vec<(String, String)>,
}

/// A picture in the page's folder.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// Path relative to the page, `/` between its parts.
    pub file: String,
    /// Text alternative.
    pub alt: String,
    /// Caption below the picture.
    pub caption: String,
    /// Width and height in pixels, if known, to avoid layout shifts while loading.
    pub size: Option<[u32; 2]>,
}

impl Figure {
    /// A picture in `file`. Its size is read from `png`.
    pub fn new(file: impl Into<String>, alt: impl Into<String>, caption: impl Into<String>, png: &[u8]) -> Self {
        Self { file: file.into(), alt: alt.into(), caption: caption.into(), size: html::png_size(png) }
    }
}

/// The page as a complete HTML document.
pub fn page(input: &PageInput) -> String {
    let title = escape(&input.title);
    let mut body = String::new();
    sections::head(&mut body, input);
    results::scores(&mut body, input);
    sections::setup(&mut body, input);
    sections::charts(&mut body, &input.charts);
    sections::overlays(&mut body, &input.overlays);
    sections::relabelling(&mut body, &input.relabelling);
    results::measures(&mut body, &input.methods);
    sections::foot(&mut body, input);
    document(&title, &body)
}

/// A complete HTML document in the style of all pages; `title` is escaped, `body` is HTML.
pub fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        include_str!("page/style.css")
    )
}

#[cfg(test)]
mod tests;
