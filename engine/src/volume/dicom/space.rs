//! The patient space of an object: which objects share its coordinates.

use std::collections::BTreeSet;

use super::{DataSet, ImageStack, Tag};

/// What an object says about its coordinates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatientSpace {
    /// FrameOfReferenceUIDs.
    pub frames_of_reference: BTreeSet<String>,
    /// SeriesInstanceUIDs of the images that a segmentation names.
    pub series: BTreeSet<String>,
    /// SOPInstanceUIDs of the images of a series, or of those that a segmentation names.
    pub images: BTreeSet<String>,
}

impl PatientSpace {
    /// That of a SEG or RTSTRUCT.
    pub(in crate::volume) fn of_segmentation(data: &DataSet) -> Self {
        let mut space = Self::default();
        let referenced = data.items(Tag::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE).iter();
        let of_objects = referenced.chain([data]).filter_map(|item| item.uid(Tag::FRAME_OF_REFERENCE_UID));
        let rois = data.items(Tag::STRUCTURE_SET_ROI_SEQUENCE).iter();
        let of_rois = rois.filter_map(|item| item.uid(Tag::REFERENCED_FRAME_OF_REFERENCE_UID));
        space.frames_of_reference.extend(of_objects.chain(of_rois).map(str::to_owned));
        space.add_references(data);
        for groups in data.items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE) {
            let derivations = groups.items(Tag::DERIVATION_IMAGE_SEQUENCE).iter();
            let images = derivations.flat_map(|item| item.items(Tag::SOURCE_IMAGE_SEQUENCE));
            space.images.extend(images.filter_map(referenced_instance));
        }
        space
    }

    /// That of the images of a stack.
    pub(super) fn of_stack(stack: &ImageStack) -> Self {
        let instances = || stack.slices().map(|slice| &stack.instances[slice.instance]);
        let frames = instances().map(|instance| instance.frame_of_reference.clone());
        Self {
            frames_of_reference: frames.filter(|uid| !uid.is_empty()).collect(),
            series: BTreeSet::new(),
            images: instances().map(|instance| instance.uid.clone()).collect(),
        }
    }

    /// False if the two name different frames of reference, and neither an image nor a series that both belong to.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let share = |a: &BTreeSet<String>, b: &BTreeSet<String>| !a.is_disjoint(b);
        self.frames_of_reference.is_empty()
            || other.frames_of_reference.is_empty()
            || share(&self.frames_of_reference, &other.frames_of_reference)
            || share(&self.series, &other.series)
            || share(&self.images, &other.images)
    }

    /// Adds what another object says.
    pub fn join(&mut self, other: Self) {
        self.frames_of_reference.extend(other.frames_of_reference);
        self.series.extend(other.series);
        self.images.extend(other.images);
    }

    /// Adds the series and images that an object names at any depth. The parser limits the depth.
    fn add_references(&mut self, data: &DataSet) {
        for sequence in [
            Tag::REFERENCED_SERIES_SEQUENCE,
            Tag::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE,
            Tag::RT_REFERENCED_STUDY_SEQUENCE,
            Tag::RT_REFERENCED_SERIES_SEQUENCE,
        ] {
            for item in data.items(sequence) {
                self.series.extend(item.uid(Tag::SERIES_INSTANCE_UID).map(str::to_owned));
                self.add_references(item);
            }
        }
        for sequence in [Tag::REFERENCED_INSTANCE_SEQUENCE, Tag::CONTOUR_IMAGE_SEQUENCE] {
            self.images.extend(data.items(sequence).iter().filter_map(referenced_instance));
        }
    }
}

fn referenced_instance(item: &DataSet) -> Option<String> {
    item.uid(Tag::REFERENCED_SOP_INSTANCE_UID).map(str::to_owned)
}
