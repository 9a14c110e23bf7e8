//! Pictures of the Studies page with synthetic results: four methods that differ, one of them failed.

use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::args::ModeArg;
use amlp_viewer::command::{Command, StudyCommand, WindowCommand};
use amlp_viewer::state::study::{StudyCell, StudyTab};
use amlp_viewer::state::train::TrainPage;
use amlp_viewer::theme::Theme;
use engine::findings::Lesions;
use engine::metrics::Measures;
use engine::study::{Cell, Plan, Results, Row, StudyRecord, StudyRun, StudyRunState, StudyStatus, summarise};

use crate::picture::Pictures;
use crate::window::*;

const PICTURES: Pictures = Pictures { size: [1280.0, 800.0], off: 300, most: 300 << 10 };

const PLAN: &str = r#"
    name = "Low-grade glioma, FLAIR"
    labels = { budgets = ["5%", "10%"], draws = 3 }
    cohorts = [{ name = "lgg", path = "lgg", modality = ["flair"] }]
    pretrain = {}
    finetune = {}
    [[methods]]
    name = "sup"
    [[methods]]
    name = "base"
    preset = "base"
    [[methods]]
    name = "amlp"
    preset = "amlp"
    [[methods]]
    name = "amlp own grid"
    preset = "amlp"
"#;

/// A number from 0 to 1 that looks random.
fn noise(seeds: [usize; 4]) -> f64 {
    let mixed = seeds.iter().fold(0x9E37_79B9_u64, |h, s| (h ^ (*s as u64 + 1)).wrapping_mul(0x0100_0000_01B3));
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

fn measures(dsc: f64, reference_ml: f64) -> Measures {
    Measures {
        dsc,
        sensitivity: (dsc * 1.08).min(1.0),
        precision: dsc * 0.95,
        boundary_iou: dsc * 0.6,
        hd95_mm: 4.0 + 60.0 * (1.0 - dsc),
        volume_ml: reference_ml * (0.8 + 0.3 * dsc),
        truth_volume_ml: reference_ml,
        lesions: Lesions { tp: 1, missed: usize::from(dsc < 0.2), fp: (4.0 * (1.0 - dsc)) as usize },
        notes: Vec::new(),
    }
}

fn record() -> StudyRecord {
    let plan = Plan::from_toml(PLAN, Path::new("plan.toml")).unwrap();
    let (mut results, mut runs) = (Results::default(), Vec::new());
    for (m, (method, gain)) in
        [("sup", 0.0), ("base", 0.01), ("amlp", 0.09), ("amlp own grid", 0.06)].into_iter().enumerate()
    {
        for (b, (budget, labelled)) in [("5%", 4), ("10%", 8)].into_iter().enumerate() {
            for draw in 0..3 {
                let (cohort, budget, method) = ("lgg".to_owned(), budget.to_owned(), method.to_owned());
                let cell = Cell { cohort, budget, method, fold: 0, draw, seed: 0 };
                let why = "the device ran out of memory at a batch of 16. Set training.micro_batch to 4".to_owned();
                let failed = (m, b, draw) == (3, 1, 2);
                let state = if failed { StudyRunState::Failed(why.clone()) } else { StudyRunState::Done };
                runs.push(StudyRun {
                    label: cell.to_string(),
                    cell: Some(cell.clone()),
                    folder: "runs/a".into(),
                    state,
                });
                if failed {
                    results.gaps.push(engine::study::Gap { cell, failed: Some(why) });
                    continue;
                }
                results.rows.extend((0..20).map(|p| {
                    let hard = 0.25 + 0.5 * noise([p, 7, 7, 7]);
                    let dsc = hard + gain + 0.12 * b as f64 + 0.1 * (noise([p, m, b, draw]) - 0.5);
                    let (cell, patient) = (cell.clone(), format!("TCGA_{:04}", 4941 + 37 * p));
                    let measures = measures(dsc.clamp(0.0, 1.0), 3.0 + 40.0 * noise([p, 1, 2, 3]));
                    Row { cell, labelled, scan: patient.clone(), patient, measures, run: "a".into() }
                }));
            }
        }
    }
    let groups = summarise(&plan, &results);
    let status = StudyStatus { runs, frozen: true, processes: 0, seconds_left: Some(0.0) };
    StudyRecord { plan, status, results, groups }
}

fn study(window: &mut Window, command: StudyCommand) {
    send(window, Command::Study(command));
}

#[test]
fn the_studies_page_matches_its_pictures() {
    let Some(mut window) = PICTURES.window(&Args { mode: ModeArg::Train, ..Args::default() }) else { return };
    let (state, _) = window.state_mut().parts();
    state.session.study.folder = Some("studies/lgg".into());
    state.cache.study.open = Some(Box::new(record()));
    // Disk polling must not replace it.
    state.cache.study.due = f64::INFINITY;
    state.session.train.page = TrainPage::Studies;
    settle(&mut window);
    PICTURES.compare(&mut window, "studies");
    study(&mut window, StudyCommand::ChooseCell(StudyCell { budget: "5%".into(), method: "amlp".into() }));
    send(&mut window, WindowCommand::SetTheme(Theme::Light));
    PICTURES.compare(&mut window, "studies_patients_light");
    study(&mut window, StudyCommand::ShowTab(StudyTab::Plots));
    PICTURES.compare(&mut window, "studies_light");
    send(&mut window, WindowCommand::SetTheme(Theme::Dark));
    study(&mut window, StudyCommand::ShowTab(StudyTab::Progress));
    PICTURES.compare(&mut window, "studies_progress");
}
