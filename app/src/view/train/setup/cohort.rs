//! The cohort card: contents of the folder and problems found in it.

use std::path::Path;

use egui::{Frame, Label, Margin, RichText, Stroke, Ui};
use engine::cohort::Problem;

use crate::command::{Command, FileCommand, Sender, TrainCommand};
use crate::state::train::{CohortCard, CohortState};
use crate::state::{Intent, PathPurpose, State};
use crate::theme::{self, font, icon, radius, space};
use crate::widget::{ButtonKind, CardButton, IconButton, ListRow, ProgressRow, PropertyRow, PushButton, Section};
use crate::widget::{format, list_area, text};
use crate::worker;

/// Height above which the problems scroll.
const PROBLEMS: f32 = 180.0;
/// Maximum number of values listed for a property.
const NAMED: usize = 4;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let t = theme::tokens(ui);
    let card = Frame::new().fill(t.panel).stroke(Stroke::new(1.0, t.line)).corner_radius(radius::L);
    card.inner_margin(Margin::same(space::M as i8)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::XS;
        match &state.cache.train.cohort {
            CohortState::None | CohortState::Remembered(_) => choose(ui, state, sender),
            CohortState::Reading(folder) => show_reading(ui, state, folder, sender),
            CohortState::Failed(folder, why) => failed(ui, folder, why, sender),
            CohortState::Ready(card) => show_card(ui, state, card, sender),
        }
    });
}

fn send(sender: &Sender, command: TrainCommand) {
    sender.send(Command::Train(command));
}

/// Shown without a cohort.
fn choose(ui: &mut Ui, state: &State, sender: &Sender) {
    let t = theme::tokens(ui);
    ui.add(Label::new(RichText::new("Choose a cohort to train on").font(font::heading()).color(t.text)));
    text::sentence(ui, "A folder of patients. All scans and masks are checked once, and problems are listed.");
    ui.add_space(space::S);
    if let Some(open) = &state.cases.root {
        let title = format!("Use {}", format::file_name(open));
        let what = "The folder that is open in Review";
        if ui.add(CardButton::new(icon::COHORT, &title, what).primary()).clicked() {
            send(sender, TrainCommand::UseOpenFolder);
        }
        ui.add_space(space::XS);
    }
    let folder =
        CardButton::new(icon::OPEN_FOLDER, "Choose cohort…", "One folder per patient, BraTS, HECKTOR or nnU-Net");
    if ui.add(folder).clicked() {
        sender.send(Intent::Ask(PathPurpose::Cohort));
    }
    ui.add_space(space::XS);
    if ui.add(CardButton::new(icon::SAMPLE, "Use the sample study", "A small cohort with PET and CT")).clicked() {
        send(sender, TrainCommand::UseSample);
    }
    if ui.add(PushButton::new("Type a path…").kind(ButtonKind::Quiet)).clicked() {
        sender.send(FileCommand::TypePath(PathPurpose::Cohort));
    }
}

fn show_reading(ui: &mut Ui, state: &State, folder: &Path, sender: &Sender) {
    let job = state.jobs.iter().find(|job| job.slot == worker::train::cohort::SLOT);
    let title = format!("Reading {}", format::file_name(folder));
    let progress = ProgressRow::new(&title, job.and_then(|job| job.progress));
    let progress = progress.detail(job.map_or("", |job| job.detail.as_str()));
    if let (true, Some(job)) = (progress.show(ui), job) {
        sender.send(FileCommand::CancelJob(job.id));
    }
}

fn failed(ui: &mut Ui, folder: &Path, why: &str, sender: &Sender) {
    let t = theme::tokens(ui);
    text::with_icon(ui, icon::ERROR, t.error, |ui| {
        let title = format!("Cannot train on {}", format::file_name(folder));
        ui.add(Label::new(RichText::new(title).font(font::strong()).color(t.text)).wrap());
        text::sentence(ui, why);
    });
    ui.horizontal(|ui| {
        if ui.add(PushButton::new("Check again").icon(icon::RETRY)).clicked() {
            send(sender, TrainCommand::ReadCohortAgain);
        }
        if ui.add(PushButton::new("Choose cohort…").icon(icon::OPEN_FOLDER)).clicked() {
            sender.send(Intent::Ask(PathPurpose::Cohort));
        }
        if ui.add(PushButton::new("Use the sample study").kind(ButtonKind::Quiet)).clicked() {
            send(sender, TrainCommand::UseSample);
        }
    });
}

fn show_card(ui: &mut Ui, state: &State, card: &CohortCard, sender: &Sender) {
    let root = &card.cohort.root;
    let path = root.display().to_string();
    let name = format::file_name(root);
    let row = ListRow::new(&name).subtitle(&path).icon(icon::COHORT);
    let (response, ()) = row.show_with(ui, |ui| {
        if ui.add(IconButton::new(icon::RETRY, "Check the cohort again").small()).clicked() {
            send(sender, TrainCommand::ReadCohortAgain);
        }
        if ui.add(IconButton::new(icon::OPEN_FOLDER, "Choose another cohort…").small()).clicked() {
            sender.send(Intent::Ask(PathPurpose::Cohort));
        }
    });
    response.accessible_name(format!("Cohort {name}"));
    // Keeps labels of the right column clear of values of the left one.
    ui.spacing_mut().item_spacing.x = space::XL;
    ui.columns(2, |columns| {
        let (left, right) = facts(state, card);
        for (ui, facts) in columns.iter_mut().zip([left, right]) {
            ui.spacing_mut().item_spacing.y = 0.0;
            for (label, value, unit) in facts {
                ui.add(PropertyRow::new(label, &value).unit(unit));
            }
        }
    });
    ui.spacing_mut().item_spacing.x = space::S;
    problems(ui, card, sender);
}

type Facts = Vec<(&'static str, String, &'static str)>;

/// Properties of the cohort in two columns.
fn facts(state: &State, card: &CohortCard) -> (Facts, Facts) {
    let found = &card.fingerprint;
    let counted = |pairs: Vec<(String, usize)>| {
        let all = found.cases.len();
        let shown = pairs.iter().take(NAMED).map(|(what, n)| {
            // Counts are shown only for values that some cases lack.
            if *n == all { what.clone() } else { format!("{what} ({n})") }
        });
        let mut text = shown.collect::<Vec<_>>().join(", ");
        if pairs.len() > NAMED {
            text.push_str(&format!(" and {} more", pairs.len() - NAMED));
        }
        if text.is_empty() { format::NONE.to_owned() } else { text }
    };
    let modalities = counted(found.modalities.iter().map(|(m, n)| (m.clone(), *n)).collect());
    let labels = counted(found.labels.iter().map(|(l, n)| (l.to_string(), *n)).collect());
    let commonest = |text: Option<String>, unit: &str, kinds: usize, what: &str| match text {
        Some(text) if kinds == 2 => format!("{text}{unit} and 1 other {what}"),
        Some(text) if kinds > 2 => format!("{text}{unit} and {} other {what}s", kinds - 1),
        Some(text) => text + unit,
        None => format::NONE.into(),
    };
    let spacing = found.spacings_mm.first().map(|t| t.value.map(|mm| format!("{mm:.2}")).join(" \u{d7} "));
    let shape = found.shapes.first().map(|t| t.value.map(|n| n.to_string()).join(" \u{d7} "));
    let volumes = found.lesion_ml.map_or_else(
        || format::NONE.to_owned(),
        |range| format!("{:.1} / {:.1} / {:.1}", range.min, range.median, range.max),
    );
    let split = match &state.cache.train.split {
        Some(Ok(split)) => format!("{} / {} / {}", split.train.len(), split.val.len(), split.test.len()),
        _ => format::NONE.into(),
    };
    let patients = match found.patients {
        patients if patients == found.scans => patients.to_string(),
        patients => format!("{patients} with {}", format::plural(found.scans, "scan", "scans")),
    };
    let left = vec![
        ("Patients", patients, ""),
        ("With reference", found.labelled.to_string(), ""),
        ("Modalities", modalities, ""),
        ("Train / val / test", split, ""),
    ];
    let right = vec![
        ("Voxels", commonest(shape, "", found.shapes.len(), "size"), ""),
        ("Spacing", commonest(spacing, " mm", found.spacings_mm.len(), "spacing"), ""),
        ("Labels", labels, ""),
        ("Lesion min / med / max", volumes, "ml"),
    ];
    (left, right)
}

/// The case and the file of a problem; the folder of a case has its name and is not repeated.
fn place_of(problem: &Problem) -> String {
    let case = problem.case.clone().unwrap_or_default();
    match problem.file.as_deref().map(|file| format::file_name(Path::new(file))) {
        Some(file) if file != case => format!("{case}  {file}").trim_start().to_owned(),
        _ => case,
    }
}

/// Problems, each with a button that opens the file.
fn problems(ui: &mut Ui, card: &CohortCard, sender: &Sender) {
    let problems = &card.fingerprint.problems;
    if problems.is_empty() {
        let ok = theme::tokens(ui).ok;
        text::with_icon(ui, icon::DONE, ok, |ui| {
            text::note(ui, "All files are readable, and all masks fit their scans.")
        });
        return;
    }
    let count = problems.len().to_string();
    Section::new("Problems in this cohort").note(&count).closed().show(ui, |ui| {
        list_area("problems", PROBLEMS).show(ui, |ui| {
            for (at, problem) in problems.iter().enumerate() {
                let (what, place) = (format::capitalised(&problem.what), place_of(problem));
                let warn = theme::tokens(ui).warn;
                let row = ListRow::new(&what).subtitle(&place).icon_colored(icon::WARN, warn);
                let label = format!("Open problem {}", at + 1);
                let (response, open) =
                    row.show_with(ui, |ui| ui.add(IconButton::new(icon::EXTERNAL, &label).small()).clicked());
                if response.clicked() || open {
                    send(sender, TrainCommand::OpenProblem(at));
                }
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_case_once() {
        let place = |case: Option<&str>, file: Option<&str>| {
            let what = "missing modality ct".to_owned();
            place_of(&Problem { case: case.map(str::to_owned), file: file.map(str::to_owned), what })
        };
        assert_eq!(place(Some("STS_001"), Some("/cohort/STS_001")), "STS_001");
        assert_eq!(place(Some("STS_001"), Some("/cohort/STS_001/ct.nii.gz")), "STS_001  ct.nii.gz");
        assert_eq!(place(Some("STS_001"), None), "STS_001");
        assert_eq!(place(None, Some("/cohort/notes.txt")), "notes.txt");
    }
}
