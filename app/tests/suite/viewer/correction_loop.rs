//! The correction loop in the window: segment, correct, accept, add to training, continue fine-tuning.

use std::path::{Path, PathBuf};

use amlp_viewer::Args;
use amlp_viewer::command::FileCommand;
use amlp_viewer::state::intent::LabelScope;
use amlp_viewer::state::train::{JobOutcome, Labels, TrainPage};
use amlp_viewer::state::{Dialog, Intent, Mode, PathPurpose};
use egui::Key;
use egui_kittest::kittest::Queryable as _;
use engine::cohort::corrections::{Corrections, Verdict};
use engine::cohort::split::Split;
use engine::config::Config;
use engine::device::{Compute, DeviceChoice};
use engine::edit::{Delta, EditLabels};
use engine::event::Control;
use engine::jobs::{FinetuneJob, Start};
use engine::preprocess::Spacing;
use engine::run::RunFolder;
use engine::volume::{LabelVolume, nifti};

use super::segmentation::{SilentSink, patient};
use super::training::{change, endings};
use crate::window::*;

/// The first patients have a reference, the others do not yet.
const LABELLED: usize = 8;
const PATIENTS: usize = 11;

/// A cohort and a weak network that was trained on one of its patients.
fn write_cohort(folder: &Path) -> (PathBuf, PathBuf) {
    let cohort = folder.join("cohort");
    for number in 0..PATIENTS {
        let folder = cohort.join(format!("P{number:02}"));
        std::fs::create_dir_all(&folder).unwrap();
        let (image, label) = patient(number);
        nifti::write_volume(&folder.join("pet.nii.gz"), &image).unwrap();
        if number < LABELLED {
            nifti::write_label(&folder.join("seg.nii.gz"), &label, &image).unwrap();
        }
    }
    let mut config = Config::finetune();
    config.data.cohort.clone_from(&cohort);
    config.data.modality = vec!["pet".into()];
    config.device = DeviceChoice::Cpu.into();
    (config.preprocess.spacing, config.preprocess.size) = (Spacing::Native, 32);
    (config.network.width, config.network.depth) = (4, 2);
    (config.training.epochs, config.training.min_steps, config.training.batch) = (6, 0, 4);
    config.labels.labels = "1".into();
    let (run, control) = (folder.join("runs/fine"), Control::default());
    let mut job = FinetuneJob::prepare(config, &run, Start::default(), &control, &mut |_, _| {}).unwrap();
    job.train(&Compute::cpu(), &mut SilentSink, &control).unwrap();
    (cohort, run)
}

fn window(cohort: &Path, run: &Path) -> Window {
    let workspace = run.parent().map(Path::to_path_buf);
    let mut window = open(&Args { run: Some(run.to_path_buf()), workspace, ..args(&[cohort]) });
    send(&mut window, FileCommand::SetDevice("cpu".into()));
    window
}

fn open_case(window: &mut Window, name: &str) {
    let id = state(window).cases.cases.iter().find(|case| case.name == name).unwrap().id;
    send(window, Intent::OpenCase(id));
}

/// Replaces the segmentation by the reference lesion.
fn correct(window: &mut Window, number: usize) {
    let (state, jobs) = window.state_mut().parts();
    let before = state.document.as_ref().unwrap().segmentation().unwrap().labels.clone();
    let lesion = LabelVolume::new(before.grid().clone(), patient(number).1.data).unwrap();
    let delta = Delta::between(&before, &EditLabels::from_volume(&lesion));
    amlp_viewer::worker::edit::commit(state, jobs, "Lesion", &delta);
}

#[test]
fn fine_tuning_on_three_corrected_cases_improves_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, run) = write_cohort(folder.path());
    let first: Split = RunFolder::open(&run).unwrap().read_split().unwrap();
    let mut window = window(&cohort, &run);
    for number in LABELLED..PATIENTS {
        let name = format!("P{number:02}");
        open_case(&mut window, &name);
        click(&mut window, "Segment now");
        correct(&mut window, number);
        let saved = cohort.join(&name).join("pet_pred.nii.gz");
        type_path(&mut window, PathPurpose::SaveSegmentation, &saved);
        press(&mut window, Key::Enter);
        if number == LABELLED {
            assert!(matches!(state(&window).dialog, Some(Dialog::Initials { .. })));
            window.get_by_label("Initials").type_text("AB");
            settle(&mut window);
            press(&mut window, Key::Enter);
        }
    }
    click(&mut window, "Add all 3 accepted and corrected cases to training");
    assert_eq!(errors(&window), [""; 0]);
    let kept = Corrections::read(&Corrections::folder_of(&cohort)).unwrap();
    let names: Vec<&str> = kept.masks.iter().map(|mask| mask.case.as_str()).collect();
    assert_eq!(names, ["P08", "P09", "P10"]);
    for mask in &kept.masks {
        let model = mask.model.as_ref().unwrap();
        assert_eq!((mask.reviewer.as_str(), mask.verdict, model.run.as_str()), ("AB", Verdict::Corrected, "fine"));
    }

    click(&mut window, "Continue fine-tuning");
    assert_eq!((state(&window).session.mode, errors(&window)), (Mode::Train, Vec::new()));
    let form = &state(&window).session.train.form;
    assert_eq!((&form.finetune.labels.from, form.labels), (&run, Labels::Picked));
    let picked: Vec<&str> = form.picked.iter().map(String::as_str).collect();
    assert!(names.iter().all(|name| picked.contains(name)) && picked.len() == 4, "{picked:?}");
    assert_eq!(form.name, "retrained-pet");
    change(&mut window, |form| {
        (form.finetune.training.epochs, form.finetune.training.lr) = (25, 1e-2);
    });
    settle(&mut window);
    assert_eq!(state(&window).training_obstacle(), None);
    click(&mut window, "Start fine-tuning");
    assert_eq!((errors(&window), &endings(&window)[0]), (Vec::new(), &JobOutcome::Finished));

    click(&mut window, "Results of retrained-pet");
    assert_eq!((errors(&window), state(&window).session.train.page), (Vec::new(), TrainPage::Results));
    let change = state(&window).cache.results.change.clone().unwrap();
    let patients: Vec<&String> = change.patients.iter().map(|row| &row.patient).collect();
    assert_eq!(patients, first.test.iter().collect::<Vec<_>>(), "on the same test patients");
    let (before, after) = (change.before.unwrap(), change.after.unwrap());
    assert!(after > before + 0.05, "Dice {before} before, {after} after");
    assert!(has(&window, &format!("Dice of Mean: {before:.3} before, {after:.3} after")));
}

#[test]
fn another_reviewers_mask_is_replaced_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, run) = write_cohort(folder.path());
    let mut window = window(&cohort, &run);
    window.state_mut().parts().0.session.settings.initials = "AB".into();
    let add = |window: &mut Window, replace| send(window, Intent::AddToLabels(LabelScope::OpenCase { replace }));
    add(&mut window, false);
    assert!(errors(&window).join(" ").contains("has no segmentation"), "{:?}", errors(&window));
    let saved = cohort.join("P08/pet_pred.nii.gz");
    let (image, label) = patient(8);
    nifti::write_label(&saved, &label, &image).unwrap();
    send(&mut window, Intent::open_paths(vec![cohort.clone()]));
    open_case(&mut window, "P08");
    click(&mut window, "Add to training");
    let of_case = || {
        let kept = Corrections::read(&Corrections::folder_of(&cohort)).unwrap();
        kept.of_case("P08").map(|mask| (mask.reviewer.clone(), mask.verdict))
    };
    assert_eq!(of_case(), Some(("AB".into(), Verdict::Accepted)));
    window.state_mut().parts().0.session.settings.initials = "CD".into();
    add(&mut window, false);
    assert!(errors(&window).join(" ").contains("already accepted by AB"), "{:?}", errors(&window));
    assert_eq!(of_case().unwrap().0, "AB");
    add(&mut window, true);
    assert_eq!(of_case(), Some(("CD".into(), Verdict::Accepted)));
}
