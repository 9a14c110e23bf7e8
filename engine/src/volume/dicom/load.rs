//! Loads a stack of slices as a [`Volume`], file by file.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::super::data::for_each_type;
use super::frames::SMALL;
use super::info::ScanInfo;
use super::instance::Instance;
use super::partial::{PartialVolume, Step};
use super::stack::{Slice, Stack};
use super::suv::SuvFactor;
use super::{DicomFile, Frames, PatientSpace, Tag, hashed_uid};
use crate::parallel;
use crate::volume::{Frames as Wanted, Grid, ReadOptions, Scale, Volume, VoxelData};
use crate::words::plural;
use crate::{Error, ErrorKind, Result};

/// Number of decoded frames that are in memory besides the volume.
const BATCH: usize = 32;
/// Number of frames that each thread decodes before a step. It is small, so that slow slices are shown early.
const PER_THREAD: usize = 4;

/// Reports decoded and expected slices; returns false to cancel.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) -> bool + Sync);

/// Slices of one volume, or a single image, found by [`super::Library`].
#[derive(Clone, Debug)]
pub struct ImageStack {
    pub(super) instances: Arc<Vec<Instance>>,
    pub(super) stack: Stack,
    /// Name that distinguishes the stack within its series, such as `echo 4.92 ms` or `phase`; empty if it is the only one.
    pub name: String,
    /// Number among the stacks of its series, from 1.
    pub number: usize,
}

/// Frames that are decoded together: one frame of a file, and where its planes go.
struct Unit {
    instance: usize,
    frame: usize,
    /// Slot in the volume, plane of the instance.
    planes: Vec<(usize, usize)>,
}

impl ImageStack {
    /// Voxel grid. It is sheared for a tilted gantry.
    pub fn grid(&self) -> &Grid {
        &self.stack.grid
    }

    /// Number of frames, which are volumes at the same positions.
    pub fn frames(&self) -> usize {
        self.stack.frames.len()
    }

    /// True for two or more slices at known positions.
    pub fn is_stackable(&self) -> bool {
        self.stack.stackable
    }

    /// Irregularities of the stack and its files, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.stack.warnings.clone();
        warnings.extend(self.stack.grid.size_doubt());
        warnings.extend(self.suv().and_then(|suv| suv.warning()));
        for slice in self.slices() {
            for warning in &self.instances[slice.instance].warnings {
                if !warnings.contains(warning) {
                    warnings.push(warning.clone());
                }
            }
        }
        warnings
    }

    /// SOP class and instance UID, and the 0-based frame, of each slice of a frame; `None` where a slice is missing.
    pub fn sources(&self, frame: usize) -> Vec<Option<(&str, &str, usize)>> {
        let slots = self.stack.frames.get(frame).map(Vec::as_slice).unwrap_or_default();
        let source = |slice: &Slice| {
            let instance = &self.instances[slice.instance];
            (&*instance.class_uid, &*instance.uid, instance.planes[slice.plane].frame)
        };
        slots.iter().map(|slot| slot.as_ref().map(source)).collect()
    }

    /// A name for files that are made from the volume: modality, hash of the series UID, and number of the stack unless it is
    /// the first. It does not identify the patient.
    pub fn file_name(&self) -> String {
        let first = self.first();
        let modality: String = first.modality.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = format!("{}_{}", modality.to_lowercase(), hashed_uid(&first.series_uid));
        if self.number > 1 { format!("{name}_{}", self.number) } else { name }
    }

    /// The header of the first slice's file, for attributes that a result copies.
    ///
    /// # Errors
    /// As [`DicomFile::open`].
    pub fn first_header(&self) -> Result<DicomFile> {
        DicomFile::from_source(&self.first().source)
    }

    pub(super) fn first(&self) -> &Instance {
        &self.instances[self.stack.first().map_or(0, |slice| slice.instance)]
    }

    pub(super) fn slices(&self) -> impl Iterator<Item = &Slice> {
        self.stack.frames.iter().flatten().flatten()
    }

    /// The factor of each instance to SUV, `None` if it is not a PET. If the slices have different units, none is converted.
    fn suv_factors(&self) -> Vec<Option<SuvFactor>> {
        let headers = self.instances.iter().filter_map(|instance| instance.pet.as_deref());
        let first = headers.filter_map(|pet| pet.acquisition).min_by(f64::total_cmp);
        let factor = |instance: &Instance| instance.pet.as_deref().map(|pet| pet.factor(first));
        let mut factors: Vec<Option<SuvFactor>> = self.instances.iter().map(factor).collect();
        let unit = |slice: &Slice| factors[slice.instance].as_ref().map(|suv| suv.unit);
        let units: BTreeSet<Option<&str>> = self.slices().map(unit).collect();
        if units.len() > 1 {
            factors.iter_mut().flatten().for_each(|suv| *suv = SuvFactor::of_mixed_units());
        }
        factors
    }

    /// The factor of the first slice to SUV, `None` if it is not a PET.
    pub(super) fn suv(&self) -> Option<SuvFactor> {
        let first = self.stack.first().map_or(0, |slice| slice.instance);
        self.suv_factors().into_iter().nth(first).flatten()
    }

    /// Modality, unit, geometry and warnings of the scan.
    pub fn info(&self) -> ScanInfo {
        ScanInfo::of(self, &self.stack)
    }

    /// Reads the frames that `options` selects.
    ///
    /// # Errors
    /// A file that cannot be read or contradicts its header, a frame that does not exist, too little memory, cancelled.
    pub fn load(&self, options: &ReadOptions, progress: Progress) -> Result<Volume> {
        self.load_in_steps(options, &mut |partial| progress(partial.done(), partial.total()))
    }

    /// Like [`Self::load`], but calls `step` with the slices decoded so far; `step` returns false to cancel. If each slice
    /// has its own file, the middle one is decoded first and the others follow in both directions.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_in_steps(&self, options: &ReadOptions, step: Step) -> Result<Volume> {
        let total = self.frames();
        let kept: Range<usize> = match options.frames {
            Wanted::All => 0..total,
            Wanted::One(n) if n < total => n..n + 1,
            Wanted::One(n) => {
                let why = format!("the series has {}, counted from 0", plural(total, "frame", "frames"));
                return Err(Error::field(&self.first().source.display_path, "frame", n, why));
            }
        };
        let slots: Vec<Option<Slice>> = self.stack.frames[kept].iter().flatten().copied().collect();
        let (scale, mut data) = self.prepare(slots.len(), options)?;
        self.fill(&slots, scale, &mut data, step)?;
        let mut volume = Volume::new(self.stack.grid.clone(), data, scale.unwrap_or(Scale::IDENTITY));
        volume.padding = self.padding(scale.is_some());
        volume.file_frames = total;
        volume.warnings = self.warnings();
        volume.space = Some(Arc::new(PatientSpace::of_stack(self)));
        Ok(volume)
    }

    /// The slice nearest to the middle of the first frame, as a volume of one slice: a picture of the scan without reading
    /// all of it.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn middle_slice(&self) -> Result<Volume> {
        let slots = self.stack.frames.first().map(Vec::as_slice).unwrap_or_default();
        let middle = slots.len() / 2;
        let known = (0..slots.len()).filter(|k| slots[*k].is_some()).min_by_key(|k| k.abs_diff(middle));
        let (scale, mut data) = self.prepare(1, &ReadOptions::default())?;
        self.fill(&[known.and_then(|k| slots[k])], scale, &mut data, &mut |_| true)?;
        Ok(self.one_slice(known.unwrap_or(0), data, scale))
    }

    /// Reads a part of the first file before memory for `slots` slices is allocated, because its header may declare more
    /// pixels than the file holds.
    pub(super) fn check_first(&self, slots: usize) -> Result<()> {
        let file = DicomFile::from_source(&self.first().source)?;
        let frames = Frames::open(&file)?;
        if frames.layout.frame_bytes() * slots > SMALL {
            frames.frame(0)?;
        }
        Ok(())
    }

    /// Scaling of a plane: rescale, then the factor to SUV.
    fn scale_of(&self, slice: Slice, factors: &[f64]) -> Scale {
        let (plane, factor) = (&self.instances[slice.instance].planes[slice.plane], factors[slice.instance]);
        Scale { slope: plane.slope * factor, inter: plane.intercept * factor }
    }

    fn factors(&self) -> Vec<f64> {
        self.suv_factors().into_iter().map(|suv| suv.map_or(1.0, |suv| suv.factor)).collect()
    }

    /// Lowest and highest value of padding: stored values if `is_stored`, else scaled ones. `None` if the slices differ.
    pub(super) fn padding(&self, is_stored: bool) -> Option<[f64; 2]> {
        let factors = self.factors();
        let of = |slice: &Slice| {
            let stored = self.instances[slice.instance].padding?;
            if is_stored {
                return Some(stored);
            }
            let [a, b] = stored.map(|value| f64::from(self.scale_of(*slice, &factors).apply(value) as f32));
            Some([a.min(b), a.max(b)])
        };
        let first = of(&self.stack.first()?)?;
        self.slices().all(|slice| of(slice) == Some(first)).then_some(first)
    }

    /// Allocates the voxels. If all slices have the same type and scaling, they keep the stored type and the scaling is
    /// returned; else they become 32-bit floats. Missing slices get the padding value, or 0.
    fn prepare(&self, slots: usize, options: &ReadOptions) -> Result<(Option<Scale>, VoxelData)> {
        let first = self.first();
        let factors = self.factors();
        let scale = self.stack.first().map(|slice| self.scale_of(slice, &factors));
        let same = |slice: &Slice| {
            let instance = &self.instances[slice.instance];
            (instance.stored, instance.grey) == (first.stored, first.grey)
                && Some(self.scale_of(*slice, &factors)) == scale
        };
        let uniform = self.slices().all(same);
        let [nx, ny, _] = self.stack.grid.shape;
        let voxels = nx * ny * slots;
        let (bits, signed, float) = first.stored;
        let bytes = match (first.grey, uniform) {
            (false, _) => 3,
            (true, false) => 4,
            (true, true) => bits.div_ceil(8),
        };
        let needed = (voxels as u64).saturating_mul(bytes as u64);
        if needed > options.memory_budget {
            let what = format!("{} ({nx} x {ny} pixels in {slots} slices)", first.source.display_path.display());
            let (needed_mib, allowed_mib) = (needed.div_ceil(1 << 20), options.memory_budget >> 20);
            return Err(ErrorKind::Memory { what, needed_mib, allowed_mib }.into());
        }
        self.check_first(slots)?;
        if !first.grey {
            return Ok((Some(Scale::IDENTITY), VoxelData::Rgb(vec![[0; 3]; voxels])));
        }
        if !uniform {
            return Ok((None, VoxelData::F32(vec![0.0; voxels])));
        }
        let empty = first.padding.map_or(0.0, |[low, _]| low);
        macro_rules! room {
            ($kind:ident, $t:ty) => {
                VoxelData::$kind(vec![empty as $t; voxels])
            };
        }
        let data = match (bits, signed, float) {
            (32, _, true) => VoxelData::F32(vec![0.0; voxels]),
            (64, _, _) => VoxelData::F64(vec![0.0; voxels]),
            (1 | 8, false, _) | (1, true, _) => room!(U8, u8),
            (8, true, _) => room!(I8, i8),
            (16, false, _) => room!(U16, u16),
            (16, true, _) => room!(I16, i16),
            (_, false, _) => room!(U32, u32),
            (_, true, _) => room!(I32, i32),
        };
        Ok((scale, data))
    }

    /// The frames to decode for these slots: those of a file together, the files nearest to the middle slice first.
    fn units(&self, slots: &[Option<Slice>]) -> Vec<Unit> {
        let frame_of = |slice: Slice| (slice.instance, self.instances[slice.instance].planes[slice.plane].frame);
        let mut order: Vec<(Slice, usize)> =
            slots.iter().enumerate().filter_map(|(slot, slice)| Some(((*slice)?, slot))).collect();
        order.sort_by_key(|(slice, _)| (frame_of(*slice), *slice));
        let mut units: Vec<Unit> = Vec::new();
        for (slice, slot) in order {
            let (instance, frame) = frame_of(slice);
            match units.last_mut() {
                Some(unit) if (unit.instance, unit.frame) == (instance, frame) => unit.planes.push((slot, slice.plane)),
                _ => units.push(Unit { instance, frame, planes: vec![(slot, slice.plane)] }),
            }
        }
        let middle = self.stack.grid.shape[2] / 2;
        let distance =
            |unit: &Unit| unit.planes.iter().map(|(slot, _)| slot.abs_diff(middle)).min().unwrap_or_default();
        let mut of_file = vec![usize::MAX; self.instances.len()];
        for unit in &units {
            of_file[unit.instance] = of_file[unit.instance].min(distance(unit));
        }
        units.sort_by_key(|unit| (of_file[unit.instance], unit.instance, distance(unit)));
        units
    }

    /// Decodes every slice into its slot. Without a common `scale`, values are scaled.
    fn fill(&self, slots: &[Option<Slice>], scale: Option<Scale>, data: &mut VoxelData, step: Step) -> Result<()> {
        let factors = self.factors();
        let units = self.units(slots);
        let mut decoded = vec![false; slots.len()];
        let size = (PER_THREAD * rayon::current_num_threads()).clamp(1, BATCH);
        let mut rest = &units[..];
        while !rest.is_empty() {
            // The frames of one file, which is opened once, or files of one frame each.
            let mut files = rest.chunk_by(|a, b| a.instance == b.instance);
            let many = files.clone().next().filter(|units| units.len() > 1);
            let count = many
                .map_or_else(|| files.by_ref().take_while(|units| units.len() == 1).take(size).count(), <[Unit]>::len);
            let (now, later) = rest.split_at(count);
            let opened =
                many.map(|units| DicomFile::from_source(&self.instances[units[0].instance].source)).transpose()?;
            let frames = opened.as_ref().map(Frames::open).transpose()?;
            for batch in now.chunks(size) {
                let planes =
                    parallel::map(batch.len(), |index| self.decode(&batch[index], frames.as_ref(), scale, &factors));
                for planes in planes {
                    for (slot, values) in planes? {
                        place(data, slot, &values, || self.first().source.display_path.clone())?;
                        decoded[slot] = true;
                    }
                }
                if !step(&PartialVolume { stack: self, data, scale, decoded: &decoded }) {
                    return Err(ErrorKind::Cancelled.into());
                }
            }
            rest = later;
        }
        Ok(())
    }

    /// The planes of one frame with their slots.
    fn decode(
        &self,
        unit: &Unit,
        frames: Option<&Frames>,
        scale: Option<Scale>,
        factors: &[f64],
    ) -> Result<Vec<(usize, VoxelData)>> {
        let instance = &self.instances[unit.instance];
        let file;
        let opened;
        let frames = if let Some(frames) = frames {
            frames
        } else {
            file = DicomFile::from_source(&instance.source)?;
            opened = Frames::open(&file)?;
            &opened
        };
        if (frames.layout.rows, frames.layout.columns) != (instance.rows, instance.columns) {
            return Err(Error::file(
                &instance.source.display_path,
                format!("instance {} changed while it was read", instance.hash()),
            ));
        }
        let whole = frames.frame(unit.frame)?;
        let whole = if instance.grey { whole } else { colours(whole, frames)? };
        let planes = unit.planes.iter().map(|&(slot, index)| {
            let plane = &instance.planes[index];
            let values = cut(&whole, instance.columns, plane.origin, plane.size);
            let own = self.scale_of(Slice { instance: unit.instance, plane: index }, factors);
            (slot, if scale.is_some() { values } else { VoxelData::F32(scaled(&values, own)) })
        });
        Ok(planes.collect())
    }
}

/// A frame of colours as RGB voxels.
fn colours(frame: VoxelData, frames: &Frames) -> Result<VoxelData> {
    let layout = &frames.layout;
    match frame {
        VoxelData::U8(values) if layout.samples == 3 && frames.is_rgb() => {
            Ok(VoxelData::Rgb(values.as_chunks::<3>().0.to_vec()))
        }
        VoxelData::U8(values) if layout.samples == 3 && frames.is_ybr() => {
            Ok(VoxelData::Rgb(values.as_chunks::<3>().0.iter().map(|pixel| rgb_from_ybr(*pixel)).collect()))
        }
        _ => Err(frames.error(Tag::PHOTOMETRIC_INTERPRETATION, "colours of this kind cannot be shown")),
    }
}

/// Red, green and blue of YBR_FULL (PS3.3 C.7.6.3.1.2).
fn rgb_from_ybr([y, b, r]: [u8; 3]) -> [u8; 3] {
    let [y, b, r] = [f64::from(y), f64::from(b) - 128.0, f64::from(r) - 128.0];
    [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b].map(|value| value.round().clamp(0.0, 255.0) as u8)
}

/// A rectangle of a frame.
fn cut(whole: &VoxelData, columns: usize, origin: [usize; 2], size: [usize; 2]) -> VoxelData {
    macro_rules! rows {
        ($kind:ident, $v:ident) => {{
            if origin == [0, 0] && size[0] == columns && size[1] * columns == $v.len() {
                return whole.clone();
            }
            let row = |y: usize| &$v[(origin[1] + y) * columns + origin[0]..][..size[0]];
            VoxelData::$kind((0..size[1]).flat_map(row).copied().collect())
        }};
    }
    match whole {
        VoxelData::U8(v) => rows!(U8, v),
        VoxelData::I8(v) => rows!(I8, v),
        VoxelData::U16(v) => rows!(U16, v),
        VoxelData::I16(v) => rows!(I16, v),
        VoxelData::U32(v) => rows!(U32, v),
        VoxelData::I32(v) => rows!(I32, v),
        VoxelData::U64(v) => rows!(U64, v),
        VoxelData::I64(v) => rows!(I64, v),
        VoxelData::F32(v) => rows!(F32, v),
        VoxelData::F64(v) => rows!(F64, v),
        VoxelData::Rgb(v) => rows!(Rgb, v),
        VoxelData::Rgba(v) => rows!(Rgba, v),
    }
}

/// Scaled values; none of colours.
#[allow(clippy::unnecessary_cast, reason = "the code is the same for every type, including f64")]
fn scaled(values: &VoxelData, scale: Scale) -> Vec<f32> {
    for_each_type!(values, v => v.iter().map(|&x| scale.apply(x as f64) as f32).collect(), c => vec![0.0; c.len()])
}

/// Copies a slice to its slot.
fn place(data: &mut VoxelData, slot: usize, slice: &VoxelData, path: impl Fn() -> std::path::PathBuf) -> Result<()> {
    macro_rules! copy {
        ($to:ident, $from:ident) => {
            match $to.get_mut(slot * $from.len()..(slot + 1) * $from.len()) {
                Some(room) => {
                    room.copy_from_slice($from);
                    return Ok(());
                }
                None => {}
            }
        };
    }
    match (data, slice) {
        (VoxelData::U8(to), VoxelData::U8(from)) => copy!(to, from),
        (VoxelData::I8(to), VoxelData::I8(from)) => copy!(to, from),
        (VoxelData::U16(to), VoxelData::U16(from)) => copy!(to, from),
        (VoxelData::I16(to), VoxelData::I16(from)) => copy!(to, from),
        (VoxelData::U32(to), VoxelData::U32(from)) => copy!(to, from),
        (VoxelData::I32(to), VoxelData::I32(from)) => copy!(to, from),
        (VoxelData::F32(to), VoxelData::F32(from)) => copy!(to, from),
        (VoxelData::F64(to), VoxelData::F64(from)) => copy!(to, from),
        (VoxelData::Rgb(to), VoxelData::Rgb(from)) => copy!(to, from),
        _ => {}
    }
    Err(Error::file(&path(), "the slices of the series differ in type or size"))
}
