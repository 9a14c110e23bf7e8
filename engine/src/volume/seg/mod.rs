//! DICOM segmentations: reading SEG and RTSTRUCT as masks on the grid of their source, and writing SEG (PS3.3, A.51 and A.19).
//!
//! Segments may overlap, but a [`LabelVolume`] has one label per voxel. [`SegmentMasks`] therefore holds as many masks as the
//! overlaps need, usually one. The label of a segment is its number.

mod bits;
mod colour;
mod frames;
mod headers;
mod layers;
mod polygon;
mod read;
mod rtstruct;
mod source;
mod terms;
mod write;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; a skipped test prints why")]
mod tests;

pub use read::{open_segmentation, read, read_file, space_of};
pub use source::{SourceImage, SourceSeries};
pub use terms::{Code, Term, Terms};
pub use write::{Algorithm, SegOptions, write_seg};

use std::collections::BTreeMap;

use super::dicom::PatientSpace;
use super::{LabelStyle, LabelTable, LabelVolume};
use crate::words::plural;

/// The kind of object that a segmentation was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentationKind {
    /// Pixels, one or several bits each.
    Seg,
    /// Contours.
    Rtstruct,
}

/// A segment of a SEG, or a region of interest of an RTSTRUCT.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Segment {
    /// Its number in the file, which is its label in the masks.
    pub number: u16,
    /// Its name; empty if it has none.
    pub name: String,
    /// Red, green and blue.
    pub colour: Option<[u8; 3]>,
    /// Coded type of the segment.
    pub kind: Option<Code>,
    /// The program that made it; `None` for manual work.
    pub algorithm: Option<String>,
    /// Voxels on the grid of the masks.
    pub voxels: usize,
}

/// The masks of a SEG or RTSTRUCT.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentMasks {
    /// Kind of the file that it was read from.
    pub kind: SegmentationKind,
    /// The segments by number. Empty ones are kept.
    pub segments: Vec<Segment>,
    /// Masks on one grid, at least one. Each segment is entirely in one of them.
    pub layers: Vec<LabelVolume>,
    /// Conversions made while reading, one sentence each.
    pub notes: Vec<String>,
    /// Its frame of reference, and the images that it names.
    pub space: PatientSpace,
}

impl SegmentMasks {
    /// Names and colours of the labels.
    pub fn label_table(&self) -> LabelTable {
        let style = |segment: &Segment| {
            let style = LabelStyle { colour: segment.colour, ..LabelStyle::named(&segment.name) };
            (segment.number, style)
        };
        LabelTable { labels: self.segments.iter().map(style).collect() }
    }

    /// All segments in one mask. Where segments overlap, the smaller one is kept, so that a lesion within an organ survives. The
    /// second value is a note about the segments that lose voxels.
    pub fn merged(&self) -> (LabelVolume, Option<String>) {
        let Some((first, rest)) = self.layers.split_first() else { unreachable!("there is at least one layer") };
        let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
        self.layers
            .iter()
            .flat_map(LabelVolume::voxel_counts)
            .for_each(|(label, n)| *counts.entry(label).or_default() += n);
        let size = |label: &u16| (counts.get(label).copied().unwrap_or(0), *label);
        let mut lost: BTreeMap<u16, usize> = BTreeMap::new();
        let mut labels: Vec<u16> = first.iter().collect();
        for layer in rest {
            for (label, other) in labels.iter_mut().zip(layer.iter()).filter(|(_, other)| *other != 0) {
                let larger =
                    if *label == 0 || size(&other) < size(label) { std::mem::replace(label, other) } else { other };
                if larger != 0 {
                    *lost.entry(larger).or_default() += 1;
                }
            }
        }
        let merged = LabelVolume { grid: first.grid.clone(), data: labels.into() };
        let segments = lost.iter().map(|(label, n)| {
            let whole = counts.get(label).copied().unwrap_or(0);
            format!("segment {label} keeps {} of {}", whole - n, plural(whole, "voxel", "voxels"))
        });
        let segments: Vec<String> = segments.collect();
        let note = || format!("where segments overlap, the mask keeps the smaller one: {}", segments.join(", "));
        (merged, (!segments.is_empty()).then(note))
    }

    /// Counts the voxels of the segments on the masks.
    fn count_voxels(&mut self) {
        for (label, voxels) in self.layers.iter().flat_map(LabelVolume::voxel_counts) {
            if let Some(segment) = self.segments.iter_mut().find(|segment| segment.number == label) {
                segment.voxels = voxels;
            }
        }
    }
}
