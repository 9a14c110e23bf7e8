//! The Studies page, over small studies that the engine carries out.

mod snapshots;

use std::fs;
use std::path::{Path, PathBuf};

use amlp_viewer::command::{Command, FileCommand, StudyCommand, TrainCommand, WindowCommand};
use amlp_viewer::state::study::{StudyCell, StudyTab};
use amlp_viewer::state::train::TrainPage;
use amlp_viewer::state::{Mode, PathPurpose};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::device::Compute;
use engine::event::Control;
use engine::predict::Choice;
use engine::run::lock::Lock;
use engine::study::summary::Metric;
use engine::study::{Plan, Shard, StudyContext, read_study, run};
use engine::volume::LabelVolume;

use super::runs::open_in;
use crate::small_cohort::{Watcher, cohort, small_study};
use crate::window::*;

/// Two methods with two rates to choose from, two label budgets and two draws, on ten made-up patients.
fn plan(cohort: &Path) -> Plan {
    let study = r#"
        name = "Small study"
        labels = { budgets = ["2", "4"], draws = 2 }
        split = { test = "3", validation = "2" }
        methods = [{ name = "sup" }, { name = "base", preset = "base" }]
        tables = [{ title = "Base only", methods = ["base"], budgets = ["4"] }]
    "#;
    small_study(study, cohort, 4, (12, "[1e-2, 3e-2]"))
}

/// Runs the study, or `steps` training steps of it.
fn carry_out(plan: &Plan, out: &Path, steps: usize) -> engine::Result<()> {
    let control = Control::default();
    let mut watcher = Watcher::new(&control, steps);
    let context = StudyContext { out, compute: &Compute::cpu(), control: &control, sink: &mut watcher };
    run(plan, context, Shard::WHOLE, &mut |_| {}).map(|_| ())
}

/// A workspace with a study in it.
fn study(folder: &Path, steps: usize) -> (PathBuf, PathBuf, Plan) {
    let plan = plan(&cohort(folder, 10));
    let workspace = folder.join("workspace");
    let out = workspace.join("small");
    let ended = carry_out(&plan, &out, steps);
    assert_eq!(ended.is_ok(), steps == usize::MAX);
    (workspace, out, plan)
}

fn page(workspace: &Path) -> Window {
    let mut window = open_in(workspace);
    send(&mut window, FileCommand::SetDevice("cpu".into()));
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Studies)));
    window
}

/// The description of a control.
fn described(window: &Window, label: &str) -> String {
    window.get_by_label(label).accesskit_node().data().description().unwrap_or_default().to_owned()
}

fn mask_of(window: &Window) -> Option<PathBuf> {
    document(window).segmentation().and_then(|mask| mask.path.clone())
}

#[test]
fn the_table_leads_to_patients_and_all_methods_segmentations() {
    let folder = tempfile::tempdir().unwrap();
    let (workspace, out, _) = study(folder.path(), usize::MAX);
    let record = read_study(&out).unwrap();
    let mut window = page(&workspace);
    click(&mut window, "Study small");
    assert!(errors(&window).is_empty(), "{:?}", errors(&window));
    assert_eq!(state(&window).study_groups().len(), 2);
    // The cell agrees with the engine's summary.
    let group = record.groups.iter().find(|group| group.budget == "4").unwrap();
    let base = group.methods.iter().find(|method| method.method == "base").unwrap();
    let difference = base.differences.iter().find(|d| d.to == "sup" && d.metric == Metric::Dsc).unwrap();
    let message = described(&window, "base with 4 patients labelled");
    for number in [base.metrics[&Metric::Dsc].mean, base.metrics[&Metric::Dsc].sd_patients, difference.p_holm] {
        assert!(message.contains(&format!("{number:.3}")), "{number} in {message}");
    }
    assert!(has(&window, "Dice similarity coefficient by label budget"), "the learning curves");
    assert!(has(&window, "Dice similarity coefficient by patient, 2 patients labelled"));
    click(&mut window, "HD95");
    assert!(described(&window, "base with 4 patients labelled").starts_with("HD95"));
    click(&mut window, "Dice");
    click(&mut window, "Progress");
    assert!(has(&window, "All runs are done. None failed."));

    // A table of the plan has its own methods and label budgets.
    click(&mut window, "Table");
    click(&mut window, "Base only");
    assert!(
        has(&window, "base with 4 patients labelled")
            && !has(&window, "sup with 4 patients labelled")
            && !has(&window, "base with 2 patients labelled")
    );
    click(&mut window, "Table");
    click(&mut window, "All methods");
    assert!(has(&window, "sup with 4 patients labelled") && has(&window, "base with 2 patients labelled"));

    // A cell lists its patients, the worst first.
    click(&mut window, "base with 4 patients labelled");
    let session = &state(&window).session.study;
    let cell = StudyCell { budget: "4".into(), method: "base".into() };
    assert_eq!((session.tab, session.cell.as_ref()), (StudyTab::Patients, Some(&cell)));
    let patients = state(&window).study_patients(state(&window).study_cell().unwrap().0, "base");
    let names: Vec<String> = patients.iter().map(|patient| patient.name.to_owned()).collect();
    assert_eq!(names.len(), 3);
    let top = |name: &str| window.get_by_label(&format!("Open {name} at its worst slice")).rect().top();
    assert!(names.windows(2).all(|pair| top(&pair[0]) < top(&pair[1])), "{names:?}");
    let worst = patients[0].worst(Metric::Dsc).unwrap().clone();

    // A patient opens at the worst slice of the worst draw, with the segmentation that the table measures.
    click(&mut window, &format!("Open {} at its worst slice", names[0]));
    assert_eq!((state(&window).session.mode, errors(&window)), (Mode::Review, Vec::new()));
    assert_eq!(document(&window).title, names[0]);
    assert_eq!(report(&window).metrics.unwrap().dsc, worst.measures.dsc);
    let evaluation = engine::jobs::evaluation::stored_evaluation(&out.join("runs").join(&worst.run), Choice::Last);
    let row = evaluation.unwrap().unwrap().patients.into_iter().find(|row| row.case == names[0]).unwrap();
    assert_eq!(mask_of(&window).as_ref(), Some(&row.mask));
    assert_eq!(slices(&window)[0], row.worst_slice.unwrap() + 1);
    let shown = slices(&window);

    // The other method's segmentation replaces it; the view stays.
    let methods: Vec<&str> =
        document(&window).study.as_ref().unwrap().masks.iter().map(|mask| mask.method.as_str()).collect();
    assert_eq!(methods, ["sup", "base"]);
    click(&mut window, "Segmentation by sup");
    let sup = mask_of(&window).unwrap();
    assert!(sup != row.mask && sup.file_name() == row.mask.file_name(), "{}", sup.display());
    assert_eq!(slices(&window), shown);
    assert!(report(&window).metrics.is_some(), "it is compared with the reference");

    // All at once, each in its own colour, until one is chosen.
    click(&mut window, "All methods as outlines");
    let outlines = document(&window).outlines.clone().unwrap();
    assert_eq!(outlines.names, ["sup", "base", "Reference"]);
    let bit = |n: u16| outlines.bits.iter().filter(|bits| bits >> n & 1 == 1).count();
    let voxels = |path: &Path| LabelVolume::read(path).unwrap().iter().filter(|label| *label > 0).count();
    assert_eq!((bit(0), bit(1)), (voxels(&sup), voxels(&row.mask)));
    assert!(has(&window, "Reference") && errors(&window).is_empty());
    click(&mut window, "Segmentation by base");
    assert!(document(&window).outlines.is_none() && mask_of(&window).as_ref() == Some(&row.mask));

    // Back to the same cell of the study.
    click(&mut window, "Back to the study");
    assert_eq!((state(&window).session.mode, state(&window).session.train.page), (Mode::Train, TrainPage::Studies));
    assert_eq!(state(&window).session.study.cell, Some(cell));
}

#[test]
fn a_segmentation_that_was_not_kept_is_recomputed_by_its_network() {
    let folder = tempfile::tempdir().unwrap();
    let (workspace, out, _) = study(folder.path(), usize::MAX);
    let mut window = page(&workspace);
    send(&mut window, Command::Study(StudyCommand::Open(out)));
    let cell = |method: &str| StudyCell { budget: "2".into(), method: method.into() };
    let group = state(&window).study_groups()[0].clone();
    let patient = state(&window).study_patients(&group, "base")[0].name.to_owned();
    send(&mut window, Command::Study(StudyCommand::OpenPatient(cell("base"), patient.clone())));
    let masks = document(&window).study.clone().unwrap().masks;
    let kept: Vec<LabelVolume> =
        masks.iter().map(|mask| LabelVolume::read(mask.mask.as_ref().unwrap()).unwrap()).collect();
    masks.iter().for_each(|mask| fs::remove_file(mask.mask.as_ref().unwrap()).unwrap());

    // The shown one immediately, the other when selected.
    send(&mut window, Command::Study(StudyCommand::OpenPatient(cell("base"), patient)));
    assert_eq!(errors(&window), Vec::<String>::new());
    let labels = |window: &Window| document(window).segmentation().unwrap().labels.to_volume();
    assert!(mask_of(&window).is_none() && labels(&window).data == kept[1].data);
    click(&mut window, "Segmentation by sup");
    assert!(state(&window).dialog.is_none(), "the segmentation can be recomputed");
    assert_eq!(errors(&window), Vec::<String>::new());
    assert!(labels(&window).data == kept[0].data);
    assert_eq!(state(&window).session.runs.segment.as_ref(), Some(&masks[0].run));
}

#[test]
fn a_study_run_by_another_process_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    // Stopped in the second of the four pilots.
    let (workspace, out, plan) = study(folder.path(), 15);
    let mut window = page(&workspace);
    let status = |window: &Window| state(window).cache.study.open.as_ref().unwrap().status.clone();
    click(&mut window, "Study small");
    assert_eq!((status(&window).done(), status(&window).runs.len()), (1, 4 + 8));
    assert!(has(&window, "1 of 12 runs done, 11 waiting, stopped"));
    assert!(has(&window, "The learning rates are being chosen on validation patients. Results follow."));

    let held = Lock::take(&status(&window).runs[1].folder).unwrap();
    wait_for(&mut window, |app| app.state().cache.study.open.as_ref().unwrap().status.running() == 1);
    window.run_steps(2);
    assert!(has(&window, "1 of 12 runs done, 1 running, 10 waiting"));
    drop(held);
    carry_out(&plan, &out, usize::MAX).unwrap();
    wait_for(&mut window, |app| app.state().cache.study.open.as_ref().unwrap().status.is_complete());
    window.run_steps(2);
    assert!(has(&window, "12 of 12 runs done") && has(&window, "sup with 4 patients labelled"));

    // A run that fails is named with its reason, in the table and below it.
    let last = status(&window).runs.last().unwrap().clone();
    fs::remove_dir_all(last.folder.join("evaluation")).unwrap();
    fs::create_dir_all(out.join("failed")).unwrap();
    let name = last.folder.file_name().unwrap().to_str().unwrap();
    fs::write(out.join(format!("failed/{name}.txt")), "the device ran out of memory").unwrap();
    wait_for(&mut window, |app| app.state().cache.study.open.as_ref().unwrap().status.failed() == 1);
    window.run_steps(2);
    click(&mut window, "Progress (1 failed)");
    assert!(has(&window, &last.label) && has(&window, "the device ran out of memory"));
    // Nothing is polled while another page is shown.
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Runs)));
    fs::remove_dir_all(&out).unwrap();
    window.run_steps(400);
    settle(&mut window);
    assert_eq!(status(&window).failed(), 1);
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Studies)));
    assert!(has(&window, "small cannot be read") && has(&window, "Try again"));
    click(&mut window, "Choose another study");
    assert!(state(&window).study_folder().is_none());
}

#[test]
fn a_folder_without_a_study_is_reported_and_opened_studies_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = page(&folder.path().join("empty"));
    assert!(has(&window, "No studies yet. Start one with amlp study, or open its folder."));
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    type_path(&mut window, PathPurpose::Study, &elsewhere);
    assert!(state(&window).cache.study.failed.as_ref().is_some_and(|why| why.contains("is not a study folder")));
    click(&mut window, "Choose another study");
    assert!(has(&window, "Study elsewhere"), "it can be opened again once it is one");
    assert_eq!(state(&window).session.settings.studies, [elsewhere]);
}
