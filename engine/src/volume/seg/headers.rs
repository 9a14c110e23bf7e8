//! Attributes that a SEG copies from its source images.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::{SourceImage, SourceSeries};
use crate::volume::dicom::{DataSet, Tag, hashed_uid};
use crate::{Error, Result};

/// `LossyImageCompressionRatio` and `LossyImageCompressionMethod`.
const LOSSY: [Tag; 2] = [Tag(0x0028, 0x2112), Tag(0x0028, 0x2114)];
/// Attributes that are copied from the first image: patient, study, and frame of reference.
const COPIED: [Tag; 12] = [
    Tag::STUDY_DATE,
    Tag::STUDY_TIME,
    Tag::ACCESSION_NUMBER,
    Tag::REFERRING_PHYSICIAN_NAME,
    Tag::PATIENT_NAME,
    Tag::PATIENT_ID,
    Tag::PATIENT_BIRTH_DATE,
    Tag::PATIENT_SEX,
    Tag::STUDY_INSTANCE_UID,
    Tag::STUDY_ID,
    Tag::FRAME_OF_REFERENCE_UID,
    Tag::POSITION_REFERENCE_INDICATOR,
];
/// Replaces bytes that are invalid in the file's character set.
const REPLACEMENT: char = '\u{FFFD}';

/// The headers of a series, one for each image.
pub(super) struct Headers<'a> {
    source: &'a SourceSeries,
    first: &'a SourceImage,
}

impl<'a> Headers<'a> {
    /// The headers of a source. `path` is the SEG to write, for messages.
    ///
    /// # Errors
    /// A source without images.
    pub fn of(path: &Path, source: &'a SourceSeries) -> Result<Self> {
        let first = source.images.first();
        let first = first.ok_or_else(|| Error::file(path, "a SEG needs the DICOM images that the mask was made on"))?;
        Ok(Self { source, first })
    }

    /// The first image.
    pub fn first(&self) -> &'a SourceImage {
        self.first
    }

    /// Copies patient, study and frame of reference. What the source lacks stays empty.
    ///
    /// # Errors
    /// If the study or the frame of reference is missing, or a text's character set is unknown: the archive could assign the
    /// SEG to another patient.
    pub fn copy_study(&self, path: &Path, data: &mut DataSet) -> Result<()> {
        let first = &*self.first.header;
        for (tag, name) in
            [(Tag::STUDY_INSTANCE_UID, "StudyInstanceUID"), (Tag::FRAME_OF_REFERENCE_UID, "FrameOfReferenceUID")]
        {
            if first.uid(tag).is_none() {
                let why = format!("a SEG cannot refer to these images: they have no {name}. Save the mask as NIfTI");
                return Err(Error::file(path, why));
            }
        }
        for tag in COPIED {
            data.put_text(tag, "");
            data.copy(first, tag);
            if data.texts(tag).iter().any(|text| text.contains(REPLACEMENT)) {
                let why = format!(
                    "{tag} of the images cannot be read in their character set, so the archive would not \
                                   recognise the patient. Save the mask as NIfTI"
                );
                return Err(Error::file(path, why));
            }
        }
        Ok(())
    }

    /// Copies the lossy compression of the source with its ratio and method, which a derived object must declare.
    pub fn copy_lossy(&self, data: &mut DataSet) {
        if self.first.header.text(Tag::LOSSY_IMAGE_COMPRESSION).is_some_and(|text| text == "01") {
            data.put_text(Tag::LOSSY_IMAGE_COMPRESSION, "01");
            LOSSY.into_iter().for_each(|tag| data.copy(&self.first.header, tag));
        }
    }

    /// The reference to the series and all its images.
    pub fn reference(&self) -> DataSet {
        let mut known = BTreeSet::new();
        let images = self.source.images.iter().filter(|image| known.insert(&image.instance));
        let mut item = DataSet::new();
        item.put_items(Tag::REFERENCED_INSTANCE_SEQUENCE, images.map(image_reference).collect());
        item.put_text(Tag::SERIES_INSTANCE_UID, &self.source.series);
        item
    }

    /// The text of an image's attribute as in the file. For a multi-frame image, from the frame's functional group, else from
    /// the shared one.
    ///
    /// # Errors
    /// If the image does not have it.
    pub fn text(image: &SourceImage, group: Tag, tag: Tag) -> Result<String> {
        let header = &*image.header;
        let frame = image.frame.unwrap_or(1).saturating_sub(1) as usize;
        let own = header.items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).get(frame);
        let shared = header.item(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let grouped = [own, shared].into_iter().flatten().filter_map(|groups| groups.item(group));
        let texts = grouped.chain([header]).map(|data| data.texts(tag)).find(|texts| !texts.is_empty());
        let missing = || Error::config("source", hashed_uid(&image.instance), format!("this image has no {tag}"));
        texts.map(|texts| texts.join("\\")).ok_or_else(missing)
    }
}

/// The reference to an image.
pub(super) fn image_reference(image: &SourceImage) -> DataSet {
    let mut item = DataSet::new();
    item.put_text(Tag::REFERENCED_SOP_CLASS_UID, image.header.uid(Tag::SOP_CLASS_UID).unwrap_or_default());
    item.put_text(Tag::REFERENCED_SOP_INSTANCE_UID, &image.instance);
    item
}
