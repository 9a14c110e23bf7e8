//! The labels of a slice's patches before and after label updates, as the paper's Fig. 4.

use super::{Sheet, Source};
use crate::Result;
use crate::config::Config;
use crate::event::{Event, Probe, Stage};
use crate::jobs::slice_name;
use crate::patch::PatchGrid;
use crate::probe;
use crate::report::figures::{RelabelRow, relabel_sheet};
use crate::run::RunFolder;
use crate::run::log::read_events;

/// Title and sheet for every cohort and method that updates labels: one pinned slice of the pre-training run of the first fold
/// and seed. Methods that share a pre-training run share the sheet.
pub(super) fn sheets(source: Source<'_>) -> Vec<(String, Result<Option<Sheet>>)> {
    let mut sheets = Vec::new();
    let mut drawn: Vec<&str> = Vec::new();
    for cohort in &source.plan.cohorts {
        for method in &source.plan.methods {
            let own = |cell: &crate::study::job::Cell| cell.cohort == cohort.name && cell.method == method.name;
            let pretrain = source.finals.iter().find(|(cell, _)| own(cell)).and_then(|(_, job)| job.pretrain.as_ref());
            let Some((run, config)) = pretrain.filter(|(_, config)| config.method.relabel) else { continue };
            if drawn.contains(&run.as_str()) {
                continue;
            }
            drawn.push(run);
            let what = format!("label updates {} {}", cohort.name, method.name);
            let title = format!("{}, {}: patch labels during pre-training", cohort.name, method.name);
            sheets.push((what, sheet(source, run, &title, config)));
        }
    }
    sheets
}

/// The sheet of a pre-training run; `None` if it did not run, or updated no labels.
fn sheet(source: Source<'_>, run: &str, title: &str, config: &Config) -> Result<Option<Sheet>> {
    let path = source.folder.run(run);
    if !RunFolder::is_run(&path) {
        return Ok(None);
    }
    let Some(pin) = probe::pins(&path)?.into_iter().next() else { return Ok(None) };
    let updates: Vec<Probe> = read_events(&RunFolder::open(&path)?.events_path())?
        .into_iter()
        .filter_map(|(_, event)| match event {
            Event::Probe(probe) => Some(*probe),
            _ => None,
        })
        .filter(|probe| probe.case == pin.case && probe.slice == pin.slice && !probe.cases.is_empty())
        .collect();
    if updates.is_empty() {
        return Ok(None);
    }
    let slice = probe::read_slice(&path, &pin, Stage::Pretrain)?;
    let size = config.preprocess.size;
    let pixels = enlarged(&slice.values(), slice.side, size);
    // The cohort may have moved since, and only its scan numbers the slices as views do.
    let name = slice_name(config, &pin.case, pin.slice as usize)
        .unwrap_or_else(|_| format!("{}, prepared slice {}", pin.case, pin.slice + 1));
    let grid = PatchGrid::new(size, slice.grid)?;
    let png = relabel_sheet(title, &[RelabelRow { name: &name, pixels: &pixels, grid, updates: &updates }])?;
    Ok(Some(Sheet {
        png,
        alt: format!("Patch labels of {} before and after each update", pin.case),
        caption: format!("{title}, before and after updates. {name}: the fullest slice of a training patient."),
    }))
}

/// A stored picture `[side][side]` in the pixels of the slice `[size][size]`: large slices are stored block-averaged.
fn enlarged(values: &[f32], side: usize, size: usize) -> Vec<f32> {
    let source = |index: usize| index * side / size.max(1);
    let pixel = |index: usize| {
        values.get(source(index / size.max(1)) * side + source(index % size.max(1))).copied().unwrap_or(0.0)
    };
    (0..size * size).map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_blocks_fill_their_pixels() {
        assert_eq!(enlarged(&[1.0, 2.0, 3.0, 4.0], 2, 2), [1.0, 2.0, 3.0, 4.0]);
        let large = enlarged(&[1.0, 2.0, 3.0, 4.0], 2, 4);
        assert_eq!(large[..4], [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(large[12..], [3.0, 3.0, 4.0, 4.0]);
    }
}
