//! The Studies page: available studies, the open one, and the displayed part of it.

mod patients;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::Color32;
use engine::cohort::label_budget::LabelShare;
use engine::edit::EditLabels;
use engine::study::summary::{Group, MethodSummary, Metric};
use engine::study::views::TablePlan;
use engine::study::{Plan, StudyOverview, StudyRecord};
use engine::volume::LabelVolume;
use serde::{Deserialize, Serialize};

use super::train::{Column, TrainPage};
use super::{Mode, State};
use crate::gpu::Texture;
use crate::theme::palette;
use crate::widget::format;
pub use patients::StudyPatient;

/// Section below the table of a study.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StudyTab {
    /// One dot per patient, and the means over the label budgets.
    #[default]
    Plots,
    /// The patients of the chosen cell.
    Patients,
    /// Runs in progress, failed and waiting.
    #[serde(rename = "Trainings")]
    Progress,
}

impl StudyTab {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Plots, Self::Patients, Self::Progress];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plots => "Plots",
            Self::Patients => "Patients",
            Self::Progress => "Progress",
        }
    }
}

/// A method at a label budget: a cell of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyCell {
    /// The label budget, as in the plan.
    pub budget: String,
    /// Name of the method, as in the plan.
    pub method: String,
}

/// The user's choices on the page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StudySession {
    /// Folder of the open study; without one the list is shown.
    pub folder: Option<PathBuf>,
    /// The shown cohort; by default the first.
    pub cohort: Option<String>,
    /// The shown metric.
    pub metric: Metric,
    /// The method that the others are compared with; by default the first possible one.
    pub reference: Option<String>,
    /// Title of the shown table of the plan; by default all methods are shown.
    pub table: Option<String>,
    /// The chosen cell.
    pub cell: Option<StudyCell>,
    /// The tabs below the table.
    pub tab: StudyTab,
}

/// A study that can be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedStudy {
    /// Its folder.
    pub path: PathBuf,
    /// What it compares and how far it is, or why it cannot be read.
    pub overview: Result<StudyOverview, String>,
}

impl ListedStudy {
    /// The name of its plan, or of its folder if the plan cannot be read.
    pub fn name(&self) -> String {
        self.overview.as_ref().map_or_else(|_| format::file_name(&self.path), |study| study.plan.name.clone())
    }
}

/// A label budget as shown before "labelled": "5 %", "2 patients" or "all patients".
pub fn budget_name(budget: &str) -> String {
    let patients = |count| format::plural(count, "patient", "patients");
    match budget.parse() {
        Ok(LabelShare::Percent(share)) => format!("{share} %"),
        Ok(LabelShare::Count(count)) => patients(count),
        Ok(LabelShare::Patients(ids)) => patients(ids.len()),
        Ok(LabelShare::All) => "all patients".to_owned(),
        Err(_) => budget.to_owned(),
    }
}

/// What a plan compares: "lgg: 4 methods with 5 %, 10 % labelled".
pub fn contents(plan: &Plan) -> String {
    let cohorts: Vec<&str> = plan.cohorts.iter().map(|cohort| cohort.name.as_str()).collect();
    let methods = format::plural(plan.methods.len(), "method", "methods");
    let mut budgets: Vec<String> = Vec::new();
    for budget in plan.methods.iter().flat_map(|method| plan.budgets(method)) {
        let budget = budget_name(budget);
        if !budgets.contains(&budget) {
            budgets.push(budget);
        }
    }
    format!("{}: {methods} with {} labelled", cohorts.join(", "), budgets.join(", "))
}

/// Studies read from disk.
#[derive(Clone, Debug, Default)]
pub struct StudyCache {
    /// The studies of the workspace, and others opened; `None` until listed.
    pub listed: Option<Vec<ListedStudy>>,
    /// Why they could not be listed.
    pub list_failed: Option<String>,
    /// The open study.
    pub open: Option<Box<StudyRecord>>,
    /// Whether the differences between its methods are still being computed.
    pub comparing: bool,
    /// Why it could not be read.
    pub failed: Option<String>,
    /// Time of the next poll, in the window's seconds.
    pub due: f64,
}

/// A method's segmentation of the open case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyMask {
    /// Name of the method, as in the plan.
    pub method: String,
    /// The run whose last network computed it.
    pub run: PathBuf,
    /// Its file; `None` if the study did not keep it.
    pub mask: Option<PathBuf>,
    /// Dice against the reference.
    pub dice: Option<f64>,
}

/// The segmentations of the open case by every method of a study.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StudyMasks {
    /// One per method, in the order of the plan.
    pub masks: Vec<StudyMask>,
    /// The shown one, by its place.
    pub shown: usize,
}

impl StudyMasks {
    /// True if the selected segmentation was computed here by its network, so that it can be computed again at any time.
    pub fn is_remade(&self) -> bool {
        self.masks.get(self.shown).is_some_and(|mask| mask.mask.is_none())
    }
}

/// The name of the reference among the methods.
pub const REFERENCE: &str = "Reference";

/// The segmentations of all methods and the reference, drawn together as outlines.
#[derive(Clone, Debug)]
pub struct MethodOutlines {
    /// Their names, each in the colour of its place ([`palette::LABELS`]).
    pub names: Vec<String>,
    /// Bit n of a voxel: it is in the n-th segmentation.
    pub bits: Arc<LabelVolume>,
    /// The bits on the graphics card.
    pub texture: Option<Texture>,
}

impl MethodOutlines {
    /// Maximum number of distinct colours.
    pub const MAX_COLOURS: usize = palette::LABELS.len();

    /// The outlines of masks on one grid: at most the first [`Self::MAX_COLOURS`]. `None` without any.
    pub fn of(masks: &[(String, EditLabels)], texture: impl FnOnce(&LabelVolume) -> Option<Texture>) -> Option<Self> {
        let masks = &masks[..masks.len().min(Self::MAX_COLOURS)];
        let grid = masks.first()?.1.grid().clone();
        let mut bits = vec![0_u16; grid.len()];
        for (n, (_, mask)) in masks.iter().enumerate() {
            mask.each_run(0..grid.len(), |run, label| {
                if label > 0 {
                    bits[run].iter_mut().for_each(|bits| *bits |= 1 << n);
                }
            });
        }
        let bits = LabelVolume::new(grid, bits).ok()?;
        let names = masks.iter().map(|(name, _)| name.clone()).collect();
        Some(Self { names, texture: texture(&bits), bits: Arc::new(bits) })
    }

    /// The colour of a method or of the reference, by its name.
    pub fn colour(&self, name: &str) -> Option<Color32> {
        self.names.iter().position(|other| other == name).map(|at| palette::LABELS[at])
    }
}

/// The column of the table of patients that shows a metric.
pub fn column_of(metric: Metric) -> Column {
    match metric {
        Metric::Dsc => Column::Dice,
        Metric::Sensitivity => Column::Sensitivity,
        Metric::Precision => Column::Precision,
        Metric::BoundaryIou => Column::Boundary,
        Metric::Hd95Mm => Column::Hd95,
    }
}

/// True if smaller values are better.
pub fn is_distance(metric: Metric) -> bool {
    metric == Metric::Hd95Mm
}

impl State {
    /// Whether the Studies page is on the screen.
    pub fn shows_studies(&self) -> bool {
        self.session.mode == Mode::Train && self.session.train.page == TrainPage::Studies
    }

    /// Folder of the open study.
    pub fn study_folder(&self) -> Option<&Path> {
        self.session.study.folder.as_deref()
    }

    /// The shown cohort of the open study.
    pub fn study_cohort(&self) -> Option<&str> {
        let plan = &self.cache.study.open.as_ref()?.plan;
        let chosen = |name: &&str| Some(*name) == self.session.study.cohort.as_deref();
        let mut names = plan.cohorts.iter().map(|cohort| cohort.name.as_str());
        names.clone().find(chosen).or_else(|| names.next())
    }

    /// The shown metric: the selected one, or the plan's first if the plan lacks it.
    pub fn study_metric(&self) -> Metric {
        let chosen = self.session.study.metric;
        let metrics = self.cache.study.open.as_ref().map_or(&[][..], |study| &study.plan.metrics);
        if metrics.contains(&chosen) { chosen } else { metrics.first().copied().unwrap_or(chosen) }
    }

    /// The shown table of the plan; `None` shows all methods.
    pub fn study_table(&self) -> Option<&TablePlan> {
        let (study, title) = (self.cache.study.open.as_ref()?, self.session.study.table.as_ref()?);
        study.plan.tables.iter().find(|table| table.title == *title)
    }

    /// The shown methods, in the order of the table or of the plan.
    pub fn study_methods(&self) -> Vec<&str> {
        let all = self.cache.study.open.iter().flat_map(|study| &study.plan.methods);
        self.study_table().map_or_else(
            || all.map(|method| method.name.as_str()).collect(),
            |table| table.methods.iter().map(String::as_str).collect(),
        )
    }

    /// The results of the shown methods at a label budget.
    pub fn study_results<'a>(&self, group: &'a Group) -> Vec<&'a MethodSummary> {
        let of = |name: &str| group.methods.iter().find(|method| method.method == name);
        self.study_methods().into_iter().filter_map(of).collect()
    }

    /// The shown label budgets of the shown cohort, in the order of the plan.
    pub fn study_groups(&self) -> Vec<&Group> {
        let (Some(study), Some(cohort)) = (&self.cache.study.open, self.study_cohort()) else { return Vec::new() };
        let budgets = self.study_table().map_or(&[][..], |table| &table.budgets);
        let is_shown =
            |group: &&Group| group.cohort == cohort && (budgets.is_empty() || budgets.contains(&group.budget));
        study.groups.iter().filter(is_shown).collect()
    }

    /// The methods that others can be compared with, in the plan's order.
    pub fn study_references(&self) -> Vec<&str> {
        let groups = self.study_groups();
        let mut found: Vec<&str> = Vec::new();
        for method in groups.into_iter().flat_map(Group::references) {
            if !found.contains(&method) {
                found.push(method);
            }
        }
        found
    }

    /// The method that the others are compared with.
    pub fn study_reference(&self) -> Option<&str> {
        let possible = self.study_references();
        let chosen = possible.iter().find(|name| Some(**name) == self.session.study.reference.as_deref());
        chosen.or(possible.first()).copied()
    }

    /// The chosen cell.
    pub fn study_cell(&self) -> Option<(&Group, &MethodSummary)> {
        let cell = self.session.study.cell.as_ref()?;
        let group = self.study_groups().into_iter().find(|group| group.budget == cell.budget)?;
        Some((group, group.methods.iter().find(|method| method.method == cell.method)?))
    }

    /// The label budget whose patients are drawn: the selected cell's, else the first.
    pub fn study_group(&self) -> Option<&Group> {
        self.study_cell().map(|(group, _)| group).or_else(|| self.study_groups().into_iter().next())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use engine::volume::Grid;

    use super::*;

    fn mask(voxels: [u8; 4]) -> EditLabels {
        let grid = Grid::new([4, 1, 1], glam::DAffine3::IDENTITY);
        EditLabels::from_volume(&LabelVolume::new(grid, voxels.to_vec()).unwrap())
    }

    /// A plan may write "5 %", which got two spaces. A bare number was read as anything but patients.
    #[test]
    fn a_label_budget_is_named_with_its_unit() {
        let names = ["5%", "5 %", "2.5%", "1", "12", "all", "patients:A,B", "half"].map(budget_name);
        let shown = ["5 %", "5 %", "2.5 %", "1 patient", "12 patients", "all patients", "2 patients", "half"];
        assert_eq!(names, shown);
    }

    /// The list had only the names of folders.
    #[test]
    fn a_listed_study_is_described_by_its_plan() {
        let text = "name = 'Small study'\nlabels = { budgets = ['5%', '10%'] }\npretrain = {}\nfinetune = {}\n\
                    cohorts = [{ name = 'lgg', path = 'c', modality = ['flair'] }]\n\
                    methods = [{ name = 'sup' }, { name = 'more', budgets = ['10%', 'all'] }]\n";
        let plan = Plan::from_toml(text, Path::new("plan.toml")).unwrap();
        assert_eq!(contents(&plan), "lgg: 2 methods with 5 %, 10 %, all patients labelled");
        let (status, path) = (engine::study::StudyStatus::default(), PathBuf::from("runs/small"));
        let overview = Ok(StudyOverview { plan, status, changed: 1.0 });
        let listed = ListedStudy { path, overview };
        assert_eq!(listed.name(), "Small study");
        assert_eq!(ListedStudy { overview: Err("damaged".into()), ..listed }.name(), "small");
    }

    #[test]
    fn outlines_have_a_bit_per_segmentation_up_to_the_number_of_colours() {
        let masks = [("a".to_owned(), mask([0, 1, 4, 0])), ("b".to_owned(), mask([0, 0, 1, 1]))];
        let outlines = MethodOutlines::of(&masks, |_| None).unwrap();
        assert_eq!(outlines.bits.iter().collect::<Vec<_>>(), [0, 1, 3, 2]);
        assert_eq!(
            ["a", "b", "c"].map(|name| outlines.colour(name)),
            [Some(palette::LABELS[0]), Some(palette::LABELS[1]), None]
        );
        let many: Vec<_> = (0..20).map(|n| (n.to_string(), mask([1, 0, 0, 0]))).collect();
        let outlines = MethodOutlines::of(&many, |_| None).unwrap();
        assert_eq!((outlines.names.len(), outlines.bits.get(0)), (16, u16::MAX));
        assert!(MethodOutlines::of(&[], |_| None).is_none());
    }
}
