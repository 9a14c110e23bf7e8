//! Findings, agreement and measurements as tables, the views as a picture.

use std::fs;

use amlp_viewer::command::EditCommand;
use amlp_viewer::scene::Plane;
use amlp_viewer::state::{Dialog, Intent, Measure, MeasureKind, PathPurpose, table};
use egui_kittest::kittest::Queryable as _;
use glam::DVec3;

use crate::phantom::{Files, lesion, voxels};
use crate::window::*;

/// Cells of a table whose cells need no quotes.
fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn exported_tables_match_the_window() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction, &files.truth]);
    let ends_mm = [DVec3::ZERO, DVec3::new(30.0, 40.0, 0.0)];
    let ruler = Measure { kind: MeasureKind::Ruler, plane: Plane::Axial, ends_mm, statistics: None };
    send(&mut window, EditCommand::AddMeasure(Box::new(ruler)));
    let csv = |purpose| rows(&table::csv(state(&window), purpose).unwrap());
    let shown = report(&window);

    let findings = csv(PathPurpose::FindingsTable);
    assert_eq!(findings.len(), 1 + shown.findings.len());
    let column = |name: &str| findings[0].iter().position(|head| head == name).unwrap();
    for (row, finding) in findings[1..].iter().zip(&shown.findings) {
        assert_eq!(row[column("volume_ml")].parse(), Ok(finding.volume_ml));
        assert_eq!(row[column("mean")].parse(), Ok(finding.mean.unwrap()));
        assert_eq!((row[column("status")].as_str(), row[column("unit")].as_str()), (finding.status, "HU"));
    }
    let missed = findings.iter().find(|row| row[column("status")] == "missed").unwrap();
    assert_eq!(missed[column("mask")], "reference");
    assert!(voxels(crate::phantom::SHAPE).any(|at| lesion(at) == Some(2)));

    let agreement = csv(PathPurpose::AgreementTable);
    let value = |measure: &str| agreement.iter().find(|row| row[2] == measure).unwrap()[3].clone();
    assert_eq!(value("dice").parse(), Ok(shown.metrics.unwrap().dsc));
    assert_eq!((value("lesions_hit").as_str(), value("lesions_missed").as_str()), ("2", "1"));

    let measurements = csv(PathPurpose::MeasurementsTable);
    assert_eq!((measurements.len(), measurements[1][2].as_str(), measurements[1][4].as_str()), (2, "ruler", "50"));
}

/// The clipboard text of the last frame.
fn copied(window: &Window) -> Option<String> {
    window.output().platform_output.commands.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    })
}

#[test]
fn tables_are_copied_and_exported_by_button() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.truth]);
    let expected = table::csv(state(&window), PathPurpose::FindingsTable).unwrap();
    window.get_by_label("Copy findings as CSV").scroll_to_me();
    window.run_steps(3);
    window.get_by_label("Copy findings as CSV").click();
    let seen = (0..6).find_map(|_| {
        window.step();
        copied(&window)
    });
    assert_eq!(seen.as_deref(), Some(expected.as_str()));
    let path = files.path("findings");
    type_path(&mut window, PathPurpose::FindingsTable, &path);
    assert_eq!(fs::read_to_string(files.path("findings.csv")).unwrap(), expected);
    // An existing file is only replaced after a question.
    type_path(&mut window, PathPurpose::FindingsTable, &files.path("findings.csv"));
    assert!(matches!(state(&window).dialog, Some(Dialog::Overwrite { .. })));
    assert!(!has(&window, "Copy measurements as CSV"), "there is nothing to copy");
}

#[test]
fn the_views_are_exported_as_a_picture() {
    if crate::common::offscreen().is_none() {
        return;
    }
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction, &files.truth]);
    let path = files.path("view");
    send(&mut window, Intent::UsePaths(PathPurpose::ViewPicture.into(), vec![path]));
    assert_eq!(errors(&window), [""; 0]);
    let bytes = fs::read(files.path("view.png")).unwrap();
    let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
    let colours: std::collections::BTreeSet<[u8; 3]> = picture.pixels().map(|p| p.0).collect();
    assert!(colours.len() > 200, "anatomy and overlay are drawn: {}", colours.len());
}

#[test]
fn the_buttons_of_an_error_fit_a_small_window() {
    let files = Files::new();
    let bad = files.path("bad_ct.nii");
    fs::write(&bad, b"no scan").unwrap();
    let failed = |size| {
        let mut window = start(&args(&[&bad]), size, None);
        settle(&mut window);
        window
    };
    let (large, mut small) = (failed([1600.0, 900.0]), failed([900.0, 600.0]));
    let buttons = |window: &Window| {
        ["Try again", "Open another file", "Copy details"].map(|label| window.get_by_label(label).rect())
    };
    let (wide, narrow) = (buttons(&large), buttons(&small));
    for at in 0..narrow.len() {
        assert!(narrow[at].width() >= wide[at].width() - 0.5, "button {at} is cut: {} of {}", narrow[at], wide[at]);
        let overlaps = |other: usize| other != at && narrow[other].intersects(narrow[at].shrink(1.0));
        assert!(!(0..narrow.len()).any(overlaps), "button {at} lies on another: {narrow:?}");
    }
    small.get_by_label("Copy details").click();
    let seen = (0..6).find_map(|_| {
        small.step();
        copied(&small)
    });
    let seen = seen.unwrap_or_default();
    assert!(seen.starts_with(&bad.display().to_string()) && seen.lines().count() > 1, "{seen}");
}
