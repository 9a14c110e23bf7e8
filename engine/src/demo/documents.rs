//! The demo's figures, scores table and report page.

use super::{DemoData, DemoReport, HeldOutPatient, RecordedSlice};
use crate::Result;
use crate::report::figures::{
    FinetuneCurve, OverlayInput, OverlayMask, RelabelRow, axial_slice, finetuning_charts, fullest_slice, overlay,
    pretraining_charts, relabel_sheet,
};
use crate::report::page::{Figure, PageInput, Setup, page};

/// Every document of the demo: its path below the output folder, and its bytes.
pub fn documents(report: &DemoReport, data: &DemoData) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut overlays = Vec::new();
    for (index, patient) in data.held_out.iter().enumerate() {
        let Some((slice, bytes)) = picture(patient, report, index)? else { continue };
        let name = format!("overlay_{}.png", patient.id);
        overlays.push(Figure {
            file: name.clone(),
            alt: format!("Axial PET slice of {} with the reference and each method's segmentation", patient.id),
            caption: format!("{}, axial slice {}: the slice with the most lesion.", patient.id, slice + 1),
            size: None,
        });
        files.push((name, bytes));
    }
    let mut relabelling = Vec::new();
    for (number, RecordedSlice { name: slice, pixels, updates }) in data.probes.iter().enumerate() {
        if updates.is_empty() {
            continue;
        }
        let name = format!("relabelling_{}.png", number + 1);
        let row = RelabelRow { name: slice, pixels, grid: data.grid, updates };
        files.push((name.clone(), relabel_sheet("Patch labels during pre-training", &[row])?));
        relabelling.push(Figure {
            file: name,
            alt: format!("Patch labels of {slice} before and after each update"),
            caption: format!("{slice}: patch labels before and after updates during pre-training."),
            size: None,
        });
    }
    files.push(("scores.csv".into(), scores_csv(report).into_bytes()));
    files.push(("report.html".into(), page(&input(report, data, overlays, relabelling)).into_bytes()));
    Ok(files)
}

/// The overlay of a held-out patient, and the index of the slice it shows.
fn picture(patient: &HeldOutPatient, report: &DemoReport, index: usize) -> Result<Option<(usize, Vec<u8>)>> {
    let (grid, orientation) = patient.image.grid.reoriented_to_ras();
    let source = patient.image.grid.shape;
    let reference: Vec<bool> = patient.reference.iter().map(|label| label > 0).collect();
    let reference = orientation.apply(&reference, source);
    let image = orientation.apply(&patient.image.to_f32(), source);
    let [nx, ny, _] = grid.shape;
    let Some(k) = fullest_slice(&reference, nx * ny) else { return Ok(None) };
    let slices: Vec<Vec<bool>> =
        patient.masks.iter().map(|(_, mask)| axial_slice(&orientation.apply(mask, source), grid.shape, k)).collect();
    let masks: Vec<OverlayMask<'_>> = patient
        .masks
        .iter()
        .zip(&slices)
        .zip(&report.methods)
        .map(|(((name, _), mask), method)| OverlayMask { name, dsc: method.cases[index].dsc, mask: Some(mask) })
        .collect();
    let [sx, sy, _] = grid.spacing_mm();
    let bytes = overlay(&OverlayInput {
        case: &patient.id,
        slice: &format!("axial slice {}", k + 1),
        modality: "PET",
        unit: "SUV",
        image: &axial_slice(&image, grid.shape, k),
        shape: [nx, ny],
        spacing_mm: [sx, sy],
        window: None,
        reference: &axial_slice(&reference, grid.shape, k),
        masks: &masks,
    })?;
    Ok(Some((k, bytes)))
}

fn scores_csv(report: &DemoReport) -> String {
    let mut text = String::from("method,case,dsc,sensitivity,precision,hd95_mm,volume_ml,truth_volume_ml\n");
    for method in &report.methods {
        for c in &method.cases {
            text += &format!(
                "\"{}\",{},{:.6},{:.6},{:.6},{:.4},{:.4},{:.4}\n",
                method.name, c.case, c.dsc, c.sensitivity, c.precision, c.hd95_mm, c.volume_ml, c.truth_volume_ml
            );
        }
    }
    text
}

fn input(report: &DemoReport, data: &DemoData, overlays: Vec<Figure>, relabelling: Vec<Figure>) -> PageInput {
    let curves: Vec<FinetuneCurve> = data
        .finetuning
        .iter()
        .map(|(name, epochs)| FinetuneCurve { name: name.clone(), epochs: epochs.clone(), validation: Vec::new() })
        .collect();
    let notes = [
        "U-Net pre-trained without labels on all training patients, then fine-tuned",
        "the same network, labels, steps and seed without pre-training",
        "one threshold on the PET for all patients, tuned on the labelled training patients",
        "mean position and shape of the labelled training masks; ignores the image",
    ];
    PageInput {
        title: "AMLP on the sample study".into(),
        summary: format!(
            "A U-Net was pre-trained on the PET of {} patients without labels, fine-tuned with the masks of {} of them, \
             and tested on {} held-out patients drawn before training.",
            report.train.len(),
            report.labelled.len(),
            report.test.len()
        ),
        method_notes: report.methods.iter().map(|m| m.name.clone()).zip(notes.map(String::from)).collect(),
        methods: report.methods.clone(),
        verdicts: report.verdict.clone(),
        setup: Setup {
            cohort: "soft-tissue sarcoma, FDG-PET, re-cropped asymmetrically".into(),
            modality: "PET".into(),
            train: report.train.clone(),
            labelled: report.labelled.clone(),
            validation: Vec::new(),
            test: report.test.clone(),
            seed: report.seed,
            facts: vec![
                ("steps of pre-training".into(), report.steps.to_string()),
                ("steps of each fine-tuning run".into(), report.fine_steps.to_string()),
                ("labelled patients".into(), "drawn stratified by the lesion volumes of all training masks".into()),
                ("device".into(), report.device.clone()),
                ("tuned threshold".into(), format!("SUV {:.2}", report.threshold_suv)),
            ],
        },
        charts: pretraining_charts(&data.epochs).into_iter().chain(finetuning_charts(&curves)).collect(),
        overlays,
        relabelling,
        timings: report.seconds.clone(),
        command: format!("amlp demo --seed {} --steps {} --fine-steps {}", report.seed, report.steps, report.fine_steps),
        attribution: vec![
            "Scans and masks: Soft-tissue-Sarcoma collection, The Cancer Imaging Archive (Vallieres et al.), CC BY 3.0, \
             as prepared for the IBSI validation set by A. Zwanenburg with MIRP; resampled, re-quantised and re-cropped."
                .into(),
        ],
    }
}
