//! Frames of 4-D scans, and projections.

use std::sync::Arc;

use engine::edit::EditLabels;
use engine::volume::{Background, Frames, ReadOptions, Volume, percentile};

use super::open::{MaskProjection, front_axis, layer_of, mask_textures};
use super::{Failure, Job, JobHandle, Jobs, Spec, analyse, edit, values};
use crate::gpu::{Gpu, Texture};
use crate::scene::WindowLevel;
use crate::state::layer::Projection;
use crate::state::{CaseId, ImageLayer, MaskRole, Slot, State};

/// Only the last requested frame is read.
pub const FRAME: Slot = Slot::exclusive("frame");
/// One projection is made at a time.
pub const PROJECT: Slot = Slot::exclusive("project");

/// Percentiles of the rays' maxima that are drawn black and white.
const PERCENTILES: [f64; 2] = [1.0, 99.9];
/// Limits white to this many times the distance of the 5th percentile from the median ray, so that a few hot voxels,
/// which end many rays, do not darken all others.
const FENCE: f64 = 4.0;

/// Shows another frame of a 4-D image.
struct ShowFrame {
    case: CaseId,
    /// Place of the image in the case.
    image: usize,
    layer: ImageLayer,
    frame: usize,
    several: bool,
    /// The masks that follow the frame, with their revisions.
    masks: Vec<(MaskRole, u64, EditLabels)>,
    gpu: Option<Gpu>,
}

/// A frame of an image and of the masks that follow it.
struct FrameLayers {
    image: ImageLayer,
    masks: Vec<MaskFrame>,
}

struct MaskFrame {
    role: MaskRole,
    revision: u64,
    texture: Option<Texture>,
    projection: MaskProjection,
}

/// Shows another frame of an image.
pub fn start(state: &State, jobs: &mut Jobs, image: usize, frame: usize) {
    let Some(document) = &state.document else { return };
    let Some(layer) = document.images.get(image).cloned() else { return };
    let frame = frame.min(layer.frames() - 1);
    if frame == layer.frame {
        // Cancels an earlier request.
        return jobs.cancel_slot(FRAME);
    }
    let (case, several, gpu) = (document.id, document.images.len() > 1, jobs.gpu().cloned());
    // Masks are on the first image's grid. A mask of one frame applies to all of them.
    let follows = document.masks.iter().filter(|mask| image == 0 && mask.labels.frames() > 1);
    let masks = follows.map(|mask| (mask.role, mask.revision, mask.labels.clone())).collect();
    jobs.start(ShowFrame { case, image, layer, frame, several, masks, gpu });
}

impl Job for ShowFrame {
    type Output = FrameLayers;

    fn spec(&self) -> Spec {
        let title = format!("Frame {} of {}", self.frame + 1, self.layer.frames());
        Spec::new(FRAME, title).of_case(self.case).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<FrameLayers, Failure> {
        let Self { layer, frame, several, gpu, .. } = self;
        let volume = if layer.volume.frames() > 1 {
            Arc::clone(&layer.volume)
        } else {
            let options = ReadOptions { frames: Frames::One(*frame), ..ReadOptions::default() };
            Arc::new(Volume::read_with(layer.path(), &options)?)
        };
        handle.check()?;
        // Warnings about the file were shown when it was opened.
        let mut warnings = Vec::new();
        let fresh = layer_of(&layer.source, layer.info.clone(), *several, volume, *frame, gpu.as_ref(), &mut warnings)?;
        // The contrast is the same for all frames.
        let image = ImageLayer {
            name: layer.name.clone(),
            default_window: layer.default_window,
            dicom: layer.dicom.clone(),
            ..fresh
        };
        let upload = |(role, revision, labels): &(MaskRole, u64, EditLabels)| {
            handle.check()?;
            let mut labels = labels.clone();
            labels.show(*frame);
            let (texture, projection) = mask_textures(&labels, gpu.as_ref())?;
            Ok(MaskFrame { role: *role, revision: *revision, texture, projection })
        };
        let masks = self.masks.iter().map(upload).collect::<Result<_, Failure>>()?;
        Ok(FrameLayers { image, masks })
    }

    fn apply(self, result: Result<FrameLayers, Failure>, state: &mut State, jobs: &mut Jobs) {
        match result {
            Ok(FrameLayers { image, masks }) => {
                let Some(document) = &mut state.document else { return };
                if let Some(slot) = document.images.get_mut(self.image) {
                    *slot = image;
                }
                let follow = self.image == 0 && document.show_frame(self.frame);
                // Masks that were edited or replaced meanwhile are uploaded in their current state.
                let mut changed = Vec::new();
                for mask in document.masks.iter_mut().filter(|mask| self.image == 0 && mask.labels.frames() > 1) {
                    (mask.dirty, mask.awaits_texture, mask.projection) = (None, false, None);
                    match masks.iter().find(|new| (new.role, new.revision) == (mask.role, mask.revision)) {
                        Some(MaskFrame { texture, projection, .. }) => {
                            (mask.texture, mask.projection) = (texture.clone(), Some(projection.clone()));
                        }
                        None => changed.push(mask.role),
                    }
                }
                if follow {
                    // The findings belong to another frame.
                    jobs.cancel_slot(edit::PROJECT);
                    jobs.cancel_slot(edit::PREVIEW);
                }
                if !changed.is_empty() {
                    edit::project(state, jobs);
                }
                changed.into_iter().for_each(|role| edit::upload_whole(state, jobs, role));
                project(state, jobs, self.image);
                if follow {
                    analyse::start(state, jobs);
                } else {
                    values::start(state, jobs);
                }
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

/// Makes the maximum intensity projection of an image.
struct Project {
    case: CaseId,
    /// Place of the image in the case.
    image: usize,
    layer: ImageLayer,
    gpu: Option<Gpu>,
}

impl Job for Project {
    type Output = Projection;

    fn spec(&self) -> Spec {
        Spec::new(PROJECT, "Projecting").of_case(self.case).quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<Projection, Failure> {
        projection_of(&self.layer, self.gpu.as_ref())
    }

    fn apply(self, result: Result<Projection, Failure>, state: &mut State, jobs: &mut Jobs) {
        match result {
            Ok(projection) => {
                if let Some(layer) = state.document.as_mut().and_then(|d| d.images.get_mut(self.image)) {
                    layer.projection = Some(projection);
                    project_missing(state, jobs);
                }
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

/// The maximum intensity projection of an image from the front.
pub fn projection_of(layer: &ImageLayer, gpu: Option<&Gpu>) -> Result<Projection, Failure> {
    let axis = front_axis(&layer.volume.grid);
    let volume = Arc::new(layer.volume.max_projection(layer.held_frame(), axis)?);
    let texture = match gpu {
        Some(gpu) => Some(gpu.upload(&volume, 0)?),
        None => None,
    };
    let window = projection_window(&volume, Background::of(&layer.volume, layer.held_frame()));
    Ok(Projection { volume, texture, window })
}

/// The window of a projection, from its rays' maxima. Rays through background only do not affect white.
fn projection_window(projected: &Volume, background: Option<Background>) -> Option<WindowLevel> {
    let [low, brightest] = projected.percentiles(0, &PERCENTILES)?.try_into().ok()?;
    let is_tissue = |v: &f32| v.is_finite() && background.is_none_or(|b| !b.contains(f64::from(*v)));
    let mut rays: Vec<f32> = projected.to_f32().into_iter().filter(is_tissue).collect();
    let mut at = |q| percentile(&mut rays, q);
    let (Some(dark), Some(middle), Some(bright)) = (at(5.0), at(50.0), at(PERCENTILES[1])) else {
        return Some(WindowLevel::of_range(low, brightest));
    };
    let high = bright.min(middle + FENCE * (middle - dark));
    Some(WindowLevel::of_range(low, if high > low { high } else { brightest }))
}

/// Makes the projection of an image in the background.
pub fn project(state: &State, jobs: &mut Jobs, image: usize) {
    let Some(document) = &state.document else { return };
    let Some(layer) = document.images.get(image).filter(|layer| !layer.volume.data.is_colour()).cloned() else {
        return;
    };
    let (case, gpu) = (document.id, jobs.gpu().cloned());
    jobs.start(Project { case, image, layer, gpu });
}

/// Makes missing projections, first of the shown image, then of the overlaid one.
pub fn project_missing(state: &State, jobs: &mut Jobs) {
    let Some(document) = &state.document else { return };
    let missing = |at: &usize| document.images.get(*at).is_some_and(|layer| layer.projection.is_none());
    let images = [Some(document.shown), state.session.view.fused];
    if let Some(image) = images.into_iter().flatten().find(missing) {
        project(state, jobs, image);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use engine::volume::Grid;
    use glam::DAffine3;

    use super::*;
    use crate::scene::{ScanInfo, Sidecar, Unit};
    use crate::state::Source;

    /// 10 x 20 x 10 voxels with values rising from front to back, so that every ray is bright; one is very bright.
    fn layer(name: &str, unit: Option<Unit>) -> ImageLayer {
        let grid = Grid::new([10, 20, 10], DAffine3::IDENTITY);
        let mut values: Vec<f32> = (0..grid.len()).map(|n| (n / 10 % 20 * 10 + n % 10) as f32).collect();
        values[7] = 9000.0;
        let volume = Arc::new(Volume::from_f32(grid, values));
        let mut info = ScanInfo::new(None, name, &Sidecar::default(), None);
        if unit.is_some() {
            info.set_unit(unit);
        }
        let source = Source::File(name.into());
        let mut layer = layer_of(&source, info, false, volume, 0, None, &mut Vec::new()).unwrap();
        layer.projection = Some(projection_of(&layer, None).unwrap());
        layer
    }

    #[test]
    fn a_projection_of_mr_has_its_own_window_that_follows_the_slices() {
        let layer = layer("case_t1", None);
        let mut state = State::default();
        let slices = state.window_of(&layer);
        let own = state.projection_window_of(&layer);
        assert!(slices.low() < 20.0 && slices.high() < 200.0, "{slices:?}");
        // Ray maxima are 190 to 199 except for one. The window starts there and is not set by the outlier.
        assert!(own.low() >= 190.0 && own.high() > 199.0 && own.high() < 9000.0, "{own:?}");
        state.session.windows.insert(layer.info.window_key(), WindowLevel { width: slices.width / 2.0, ..slices });
        let narrower = state.projection_window_of(&layer);
        assert!((narrower.width - own.width / 2.0).abs() < 1e-9 && narrower.level == own.level, "{narrower:?}");
    }

    /// A head in a background of 0 in which 0.26 % of the voxels are hot, as by a failed bias correction: they end more
    /// than a tenth of the rays.
    #[test]
    fn a_few_hot_voxels_do_not_darken_the_projection() {
        let grid = Grid::new([60, 60, 60], DAffine3::IDENTITY);
        let inside =
            |n: usize| [n % 60, n / 60 % 60, n / 3600].iter().map(|v| v.abs_diff(30).pow(2)).sum::<usize>() < 600;
        let value = |n: usize| match n {
            n if !inside(n) => 0.0,
            n if n % 109 == 0 => 60_000.0,
            n => 300.0 + (n * 31 % 200) as f32,
        };
        let volume = Volume::from_f32(grid.clone(), (0..grid.len()).map(value).collect());
        let flat = volume.max_projection(0, 1).unwrap();
        let hot = flat.to_f32().iter().filter(|v| **v > 1e4).count();
        assert!(hot > 360, "{hot} of 3600 rays");
        let window = projection_window(&flat, Background::of(&volume, 0)).unwrap();
        assert!(window.low() < 300.0 && window.high() > 400.0 && window.high() < 2000.0, "{window:?}");
    }

    #[test]
    fn a_projection_of_hounsfield_units_or_suv_shares_the_slices_window() {
        for (name, unit) in [("case_ct", None), ("case_pet", Some(Unit::Suv))] {
            let layer = layer(name, unit);
            let state = State::default();
            assert_eq!(state.projection_window_of(&layer), state.window_of(&layer), "{name}");
        }
    }
}
