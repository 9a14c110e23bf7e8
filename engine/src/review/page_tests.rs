//! Pages and tables of a small synthetic case.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use glam::{DAffine3, DVec3};

use super::*;
use crate::cohort::{Case, Cohort, ImageFile};
use crate::draw::Canvas;
use crate::draw::colour::TRUE_POSITIVE;
use crate::event::Control;
use crate::review::{Entry, FindingVerdict, ReviewedMask, cases_csv, findings_csv, latest, measure_cohort};
use crate::volume::nifti::{write_label, write_volume};
use crate::volume::{Grid, LabelVolume, MaskOptions, Volume};

/// A folder with one patient: a PET in SUV of value 10 k, and two lesions of 8 and 1 voxels of 1 ml.
fn patient(folder: &std::path::Path) -> Cohort {
    let grid = Grid::new([6, 5, 4], DAffine3::from_scale(DVec3::splat(10.0)));
    let image = Volume::from_f32(grid.clone(), (0..120).map(|index| (index / 30 * 10) as f32).collect());
    let mut labels = vec![0_u8; 120];
    for (i, j, k) in (0..8).map(|n| (1 + n % 2, 1 + n / 2 % 2, 1 + n / 4)) {
        labels[grid.index([i, j, k])] = 1;
    }
    labels[grid.index([5, 4, 3])] = 2;
    let place = folder.join("p <1>");
    std::fs::create_dir_all(&place).unwrap();
    write_volume(&place.join("pet.nii.gz"), &image).unwrap();
    std::fs::write(place.join("pet.json"), r#"{"Units": "SUV"}"#).unwrap();
    write_label(&place.join("seg.nii.gz"), &LabelVolume::new(grid, labels).unwrap(), &image).unwrap();
    Cohort::discover(folder).unwrap()
}

fn measured(cohort: &Cohort, latest: &LatestEntries, page: &mut String) -> Vec<MeasuredCase> {
    let each = &mut |volumes: &CaseVolumes, row: &MeasuredCase| {
        *page = case_page(row, Some(volumes))?;
        Ok(())
    };
    measure_cohort(cohort, latest, &MaskOptions::default(), &Control::default(), &|_, _, _| (), each).unwrap()
}

#[test]
fn tables_and_pages_contain_verdicts_and_findings() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = patient(folder.path());
    let mut page = String::new();
    let first = measured(&cohort, &LatestEntries::new(), &mut page);
    let grid = Volume::read_grid(&cohort.cases[0].images["pet"].path).unwrap();
    let mut entry = Entry {
        verdict: Verdict::Corrected,
        comment: "edge, \"left\" <b>".into(),
        reviewer: "AB".into(),
        time_ms: 1_767_225_600_000,
        seconds: 48.25,
        ..Entry::new("p <1>")
    };
    entry.mark(&first[0].findings[1].finding, ReviewedMask::Reference, &grid, Some(FindingVerdict::Rejected));
    let latest = latest(&[entry]);
    let cases = measured(&cohort, &latest, &mut page);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let table = text(cases_csv(&cases).unwrap());
    let row = "p <1>,p <1>,,corrected,\"edge, \"\"left\"\" <b>\",AB,2026-01-01T00:00:00Z,48.2,reference,2,0,1,9,8,";
    assert_eq!(table.lines().nth(1), Some(row), "{table}");
    let table = text(findings_csv(&cases).unwrap());
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3);
    // Voxels of the slices 1 and 2, with the values 10 and 20.
    assert!(lines[1].starts_with("p <1>,1,,reference,1,8,") && lines[1].contains(",pet,15,20,15,20,"), "{table}");
    assert!(lines[2].starts_with("p <1>,2,rejected,reference,2,1,") && lines[2].contains(",30,30,30"), "{table}");
    assert!(page.contains("<h1>p &lt;1&gt;</h1>") && page.contains("edge, &quot;left&quot; &lt;b&gt;"), "escaped");
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 2);
    assert!(page.contains("<dd>2026-01-01 00:00:00 UTC</dd>"), "{page}");
    assert!(page.contains("Corrected. 2 lesions, 9.00 ml.") && page.contains("SUVpeak") && !page.contains("<script"));
    let whole = cohort_page("the cohort", &cases, &latest);
    assert!(whole.contains("1 of 1 done, 48 s each."), "{whole}");
    assert!(whole.contains("href=\"p__1_.html\""), "{whole}");
}

#[test]
fn an_unreadable_case_is_reported_in_its_row_and_page() {
    let images = BTreeMap::from([("ct".to_owned(), ImageFile::new(PathBuf::from("absent/ct.nii")))]);
    let case = Case { id: "gone".into(), patient: "gone".into(), images, ..Case::default() };
    let folder = tempfile::tempdir().unwrap();
    let cohort = Cohort { cases: vec![case], ..patient(folder.path()) };
    let cases = measured(&cohort, &LatestEntries::new(), &mut String::new());
    let why = cases[0].problem.clone().unwrap();
    assert!(why.contains("ct.nii"), "{why}");
    let page = case_page(&cases[0], None).unwrap();
    assert!(page.contains("To do. The case could not be read.") && page.contains("ct.nii"), "{page}");
    let table = String::from_utf8(cases_csv(&cases).unwrap()).unwrap();
    assert!(table.lines().nth(1).unwrap().starts_with("gone,gone,,to_do,,,,,,,,,,,"), "{table}");
}

#[test]
fn a_slice_is_drawn_with_the_outline_of_the_mask() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = patient(folder.path());
    let volumes = CaseVolumes::read(&cohort.cases[0], &MaskOptions::default()).unwrap();
    assert!(volumes.base_is_suv && volumes.suv.is_none() && volumes.reference.is_none());
    let slices = Slices::new(&volumes);
    let outlined = |k: usize| Canvas::from_png(&slices.png(k).unwrap()).count(TRUE_POSITIVE);
    assert!(outlined(1) > 100 && outlined(3) > 50 && outlined(0) == 0);
}
