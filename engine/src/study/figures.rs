//! Figures of a study, each a file in the study's folder `figures` and a part of `report.html`.
//!
//! | file | contents |
//! |---|---|
//! | `segmentations.rs` | slices x methods with the reference's contour (the paper's Fig. 3) |
//! | `updates.rs` | patch labels before and after label updates (Fig. 4) |
//! | `charts.rs` | learning curves over label budgets, and a dot per patient |

pub mod charts;
mod segmentations;
mod updates;

use super::job::{Cell, Job};
use super::plan::Plan;
use super::results::Results;
use super::summary::Group;
use crate::Result;
use crate::report::figures::svg_file;
use crate::report::page::Figure;
use crate::run::study::StudyFolder;

/// Input of the figures.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The plan of the study.
    pub plan: &'a Plan,
    /// The runs that are measured on test patients.
    pub finals: &'a [(Cell, Job)],
    /// Their results.
    pub results: &'a Results,
    /// The summary of the results.
    pub groups: &'a [Group],
    /// The study's folder.
    pub folder: &'a StudyFolder,
}

/// The pictures of a study.
#[derive(Default)]
pub struct Pictures {
    /// Fig. 3: a sheet for each cohort and label budget.
    pub segmentations: Vec<Figure>,
    /// Fig. 4: a sheet for each cohort and method that updates its labels.
    pub updates: Vec<Figure>,
    /// Pictures that could not be drawn, with the reason.
    pub missing: Vec<String>,
}

impl Source<'_> {
    /// Draws the pictures and writes them to the study's folder. A picture that cannot be drawn, for example because the cohort was
    /// moved, is named in the report and does not affect the tables.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn draw(self) -> Result<Pictures> {
        let mut pictures = Pictures::default();
        for group in self.groups {
            let drawn = segmentations::sheet(self, group);
            let what = format!("segmentations {} {}", group.cohort, group.budget);
            self.store(&what, drawn, &mut pictures.missing, &mut pictures.segmentations)?;
        }
        for (what, drawn) in updates::sheets(self) {
            self.store(&what, drawn, &mut pictures.missing, &mut pictures.updates)?;
        }
        for group in self.groups {
            let name = format!("figures/{}.svg", file_name(&format!("patients {} {}", group.cohort, group.budget)));
            self.folder.write(&name, svg_file(&charts::dots(group, self.results)).as_bytes())?;
        }
        for (cohort, chart) in charts::learning_curves(self) {
            let name = format!("figures/{}.svg", file_name(&format!("budgets {cohort}")));
            self.folder.write(&name, svg_file(&chart.svg()).as_bytes())?;
        }
        Ok(pictures)
    }

    /// Writes a picture next to the report and lists it there, or records why it is missing.
    fn store(
        self,
        what: &str,
        drawn: Result<Option<Sheet>>,
        missing: &mut Vec<String>,
        to: &mut Vec<Figure>,
    ) -> Result<()> {
        match drawn {
            Ok(Some(Sheet { png, alt, caption })) => {
                let name = format!("figures/{}.png", file_name(what));
                self.folder.write(&name, &png)?;
                to.push(Figure::new(name, alt, caption, &png));
            }
            Ok(None) => {}
            Err(error) => missing.push(format!("No picture of the {what}: {error}")),
        }
        Ok(())
    }
}

/// A picture as PNG, with its title and caption.
struct Sheet {
    png: Vec<u8>,
    alt: String,
    caption: String,
}

/// Converts a name of a plan, which may contain spaces, percent signs and brackets, to letters, digits, `.`, `_`, `+` and `-`.
fn file_name(words: &str) -> String {
    let words = words.replace('%', "-percent");
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '-' };
    let name: String = words.chars().map(plain).collect();
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_named_by_letters_and_no_dash_is_left_at_the_end() {
        let names = ["patients lgg 5%", "patients lgg 5", "label updates lgg, amlp (fold 1)"].map(file_name);
        assert_eq!(names, ["patients-lgg-5-percent", "patients-lgg-5", "label-updates-lgg--amlp--fold-1"]);
    }
}
