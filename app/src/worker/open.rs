//! Opening: files, a patient's folder, a cohort.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::cohort::Cohort;
use engine::volume::{Frames, LabelVolume, ReadOptions, Relation, Volume};

use super::analyse::{self, Analysis, Input};
pub use super::request::Request;
use super::{Failure, Jobs, Kind, Outcome, Spec, Ticket};
use crate::gpu::Gpu;
use crate::scene::{Modality, Preset, WindowLevel};
use crate::state::{CaseList, Document, ImageLayer, ListedCase, MaskLayer, ProbabilityLayer, Severity, State, View};

/// Frames of a 4-D scan that are held in memory together, in bytes.
const ALL_FRAMES: u64 = 1 << 30;

/// A case that was read.
pub struct Opened {
    document: Document,
    analysis: Analysis,
    warnings: Vec<String>,
    slice: Option<usize>,
}

/// Whether a file's name says that it is a mask.
pub fn is_mask_name(path: &Path) -> bool {
    const WORDS: [&str; 13] = [
        "seg",
        "segmentation",
        "mask",
        "label",
        "labels",
        "gtvt",
        "gtv",
        "gtvn",
        "roi",
        "lesion",
        "truth",
        "pred",
        "prediction",
    ];
    let name = file_stem(path).to_lowercase();
    name.split(|c: char| !c.is_alphanumeric()).next_back().is_some_and(|last| WORDS.contains(&last))
}

/// A file's name without the endings of NIfTI files.
pub fn file_stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let lower = name.to_lowercase();
    let ending = [".nii.gz", ".hdr.gz", ".img.gz", ".nii", ".hdr", ".img"].into_iter().find(|e| lower.ends_with(e));
    ending.map_or_else(|| name.clone(), |e| name[..name.len() - e.len()].to_owned())
}

/// A case's name from its file: with the folder's, where the file is named after its modality alone.
fn title_of(path: &Path) -> String {
    let stem = file_stem(path);
    let folder = path.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let only_modality = Modality::named(&stem).is_some() && stem.chars().all(char::is_alphanumeric);
    match folder {
        Some(folder) if only_modality => format!("{folder} {stem}"),
        _ => stem,
    }
}

/// Opens what the user pointed at: scans, masks among them, or one folder.
pub fn open_paths(state: &mut State, jobs: &mut Jobs, paths: &[PathBuf]) {
    match paths {
        [] => {}
        [folder] if folder.is_dir() => open_folder(state, jobs, folder, Request::default()),
        files => {
            let (masks, images): (Vec<&PathBuf>, Vec<&PathBuf>) = files.iter().partition(|p| is_mask_name(p));
            // Nothing but masks: the first is looked at as an image.
            let (images, masks) = if images.is_empty() { (vec![masks[0]], &masks[1..]) } else { (images, &masks[..]) };
            let predicted = |p: &&&PathBuf| file_stem(p).to_lowercase().contains("pred");
            let request = Request {
                images: images.into_iter().map(|p| (None, p.clone())).collect(),
                mask: masks.iter().find(predicted).map(|p| (*p).clone()),
                truth: masks.iter().find(|p| !predicted(p)).map(|p| (*p).clone()),
                ..Request::default()
            };
            open_request(state, jobs, request);
        }
    }
}

/// Opens a case of the list.
pub fn open_case(state: &mut State, jobs: &mut Jobs, index: usize) {
    let Some(case) = state.cases.cases.get(index) else { return };
    let request = case.request();
    state.cases.open = Some(index);
    open_request(state, jobs, request);
}

/// Starts to read a case; it replaces the open one once it is there.
pub fn open_request(state: &mut State, jobs: &mut Jobs, request: Request) {
    if let Some(folder) = request.folder.clone() {
        return open_folder(state, jobs, &folder, request);
    }
    let Some((_, first)) = request.images.first() else { return };
    // What was computed for the old case is of no use any more.
    for kind in [Kind::Layer, Kind::Analyse, Kind::Project, Kind::Frame, Kind::Segment] {
        jobs.cancel_kind(kind);
    }
    state.failed = None;
    let title = format!("Opening {}", first.display());
    let gpu = jobs.gpu().cloned();
    let id = jobs.unused_id();
    let spec = Spec { kind: Kind::Open, document: None, title, quiet: false };
    jobs.start(spec, move |ticket| Ok(Outcome::Opened(Box::new(read(id, &request, gpu.as_ref(), ticket)?))));
}

/// Looks through a folder: one patient's files are opened, more become the list of cases. What `named` names beside the
/// folder belongs to one patient.
fn open_folder(state: &mut State, jobs: &mut Jobs, folder: &Path, named: Request) {
    let (folder, gpu) = (folder.to_path_buf(), jobs.gpu().cloned());
    let id = jobs.unused_id();
    state.failed = None;
    let spec = Spec { kind: Kind::Open, document: None, title: format!("Opening {}", folder.display()), quiet: false };
    jobs.start(spec, move |ticket| match Cohort::discover(&folder) {
        Ok(cohort) if !named.names_something() => Ok(Outcome::Cases(Box::new(case_list(cohort)))),
        Ok(cohort) => match &case_list(cohort).cases[..] {
            [case] => Ok(Outcome::Opened(Box::new(read(id, &named.over(case.request()), gpu.as_ref(), ticket)?))),
            cases => Err(Failure::Error(format!(
                "{} has {} patients: --mask, --truth, --probability and --slice go with the scans of one",
                folder.display(),
                cases.len()
            ))),
        },
        Err(no_cohort) => {
            let files = scans_in(&folder);
            if files.is_empty() {
                return Err(no_cohort.into());
            }
            let (masks, images): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|p| is_mask_name(p));
            let request = Request {
                title: folder.file_name().map(|n| n.to_string_lossy().into_owned()),
                images: images.into_iter().map(|p| (None, p)).collect(),
                truth: masks.into_iter().next(),
                ..Request::default()
            };
            if request.images.is_empty() {
                return Err(no_cohort.into());
            }
            Ok(Outcome::Opened(Box::new(read(id, &named.over(request), gpu.as_ref(), ticket)?)))
        }
    });
}

fn scans_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let is_scan = |p: &PathBuf| {
        let name = p.to_string_lossy().to_lowercase();
        p.is_file() && [".nii", ".nii.gz", ".hdr"].iter().any(|ending| name.ends_with(ending))
    };
    let mut files: Vec<PathBuf> = entries.filter(is_scan).collect();
    files.sort();
    files
}

fn case_list(cohort: Cohort) -> CaseList {
    let problems = cohort.problems.iter().map(|p| {
        let place = p.file.clone().or_else(|| p.case.clone()).unwrap_or_default();
        format!("{place}: {}", p.what)
    });
    let problems = problems.collect();
    let cases = cohort.cases.into_iter().map(|case| ListedCase {
        id: case.id,
        images: case.images,
        label: case.label,
        thumbnail: None,
        error: None,
    });
    CaseList { cases: cases.collect(), root: Some(cohort.root), problems, ..CaseList::default() }
}

/// Reads everything that belongs to a case.
fn read(id: u64, request: &Request, gpu: Option<&Gpu>, ticket: &Ticket) -> Result<Opened, Failure> {
    let mut warnings = Vec::new();
    let mut images = Vec::new();
    let parts = request.images.len() as f32 + 1.0;
    for (i, (modality, path)) in request.images.iter().enumerate() {
        ticket.progress(Some(i as f32 / parts), file_stem(path));
        ticket.check()?;
        let layer = read_image(path, modality.as_deref(), request.images.len() > 1, gpu, &mut warnings)?;
        images.push(layer);
    }
    ticket.progress(Some(1.0 - 1.0 / parts), "masks and findings");
    let first_mask = request.mask.as_ref().or(request.truth.as_ref());
    if let Some(mask) = first_mask {
        put_first(&mut images, mask)?;
    }
    let base = Arc::clone(&images[0].volume);
    let mut mask = |path: &Option<PathBuf>| match path {
        Some(path) => read_mask(path, &base, gpu, &mut warnings).map(Some),
        None => Ok(None),
    };
    let (prediction, truth) = (mask(&request.mask)?, mask(&request.truth)?);
    let probability = match &request.probability {
        Some(path) => Some(read_probability(path, &base)?),
        None => None,
    };
    let path = request.images[0].1.clone();
    let title = request.title.clone().unwrap_or_else(|| title_of(&path));
    let mut document = Document {
        id,
        title,
        path,
        images,
        shown: 0,
        prediction,
        truth,
        probability,
        findings: None,
        comparison: None,
        metrics: None,
        entropy: None,
        unsaved: false,
        replaced: None,
    };
    project(&mut document, gpu, &mut warnings);
    let analysis = analyse::analyse(&Input::of(&document), ticket)?;
    ticket.check()?;
    Ok(Opened { document, analysis, warnings, slice: request.slice })
}

/// Reads one image and puts it on the graphics card.
pub fn read_image(
    path: &Path,
    modality: Option<&str>,
    one_of_several: bool,
    gpu: Option<&Gpu>,
    warnings: &mut Vec<String>,
) -> Result<ImageLayer, Failure> {
    let all = ReadOptions { frames: Frames::All, memory_budget: ALL_FRAMES };
    let one = ReadOptions::default();
    let volume = match Volume::read_with(path, &all) {
        Err(e) if matches!(e.kind(), engine::ErrorKind::Memory { .. }) => Volume::read_with(path, &one)?,
        other => other?,
    };
    warnings.extend(volume.warnings.iter().map(|w| format!("{}: {w}", path.display())));
    layer_of(path, modality, one_of_several, Arc::new(volume), 0, gpu, warnings)
}

/// An image of a volume that was read.
pub fn layer_of(
    path: &Path,
    modality: Option<&str>,
    one_of_several: bool,
    volume: Arc<Volume>,
    frame: usize,
    gpu: Option<&Gpu>,
    warnings: &mut Vec<String>,
) -> Result<ImageLayer, Failure> {
    let held = if volume.frames() > 1 { frame } else { 0 };
    let percentiles = volume.percentiles(held, &[0.0, 1.0, 99.0, 100.0]);
    let lowest = percentiles.as_ref().map(|p| p[0]);
    let stem = file_stem(path);
    let modality = modality.and_then(Modality::named).unwrap_or_else(|| Modality::of(&stem, lowest));
    let texture = match gpu {
        Some(gpu) => Some(gpu.upload(&volume, held)?),
        None => None,
    };
    warnings.extend(texture.as_ref().and_then(|t| t.note()).map(|note| format!("{}: {note}", path.display())));
    let default_window = match (Preset::of(&modality)[0], &percentiles) {
        (_, None) => WindowLevel::of_range(0.0, 255.0),
        (Preset::Fixed(_, window), Some(_)) if modality == crate::scene::Modality::Pet => window,
        (Preset::Fixed(..), Some(_)) => crate::scene::SOFT_TISSUE,
        // A scan that is nearly all background has no percentiles to speak of.
        (Preset::Percentiles(..), Some(p)) if p[2] > p[1] => WindowLevel::of_range(p[1], p[2]),
        (Preset::Percentiles(..), Some(p)) => WindowLevel::of_range(p[0], p[3]),
    };
    Ok(ImageLayer {
        path: path.to_path_buf(),
        name: if one_of_several { modality.name() } else { stem },
        modality,
        range: percentiles.map(|p| [p[0], p[3]]),
        volume,
        frame,
        texture,
        default_window,
        projection: None,
    })
}

/// Puts the image first that a mask was made for. None fits: both geometries are named by the mask's own reading.
fn put_first(images: &mut [ImageLayer], mask: &Path) -> Result<(), Failure> {
    if images.len() > 1 {
        let grid = LabelVolume::read(mask)?.grid;
        let fits = |image: &ImageLayer| grid.relation(&image.volume.grid) != Relation::Different;
        if let Some(at) = images.iter().position(fits) {
            images[..=at].rotate_right(1);
        }
    }
    Ok(())
}

/// Reads a mask onto the grid of an image.
pub fn read_mask(
    path: &Path,
    image: &Volume,
    gpu: Option<&Gpu>,
    warnings: &mut Vec<String>,
) -> Result<MaskLayer, Failure> {
    let (labels, found) = LabelVolume::read_for(path, image)?;
    warnings.extend(found.into_iter().map(|w| format!("{}: {w}", path.display())));
    mask_layer(Some(path.to_path_buf()), Arc::new(labels), gpu)
}

/// A mask's layer, on the graphics card and seen through from the front.
pub fn mask_layer(path: Option<PathBuf>, labels: Arc<LabelVolume>, gpu: Option<&Gpu>) -> Result<MaskLayer, Failure> {
    let axis = front_axis(&labels.grid);
    let projected = Arc::new(labels.max_projection(axis)?);
    let (texture, projected_texture) = match gpu {
        Some(gpu) => (Some(gpu.upload_labels(&labels)?), Some(gpu.upload_labels(&projected)?)),
        None => (None, None),
    };
    let present = MaskLayer::count(&labels);
    Ok(MaskLayer { path, labels, present, texture, projection: Some((projected, projected_texture)), revision: 1 })
}

/// The stored axis nearest to front-back, along which the projection looks.
pub fn front_axis(grid: &engine::volume::Grid) -> usize {
    grid.orientation().axis.iter().position(|&axis| axis == 1).unwrap_or(1)
}

/// Reads a probability onto the grid of an image.
pub fn read_probability(path: &Path, image: &Volume) -> Result<ProbabilityLayer, Failure> {
    let volume = Volume::read(path)?;
    if volume.grid.relation(&image.grid) != Relation::Same {
        let (left, right) = (volume.grid.describe(), image.grid.describe());
        let what = format!("probability {} and its image", path.display());
        return Err(engine::Error::from(engine::ErrorKind::Geometry { what, left, right }).into());
    }
    let outside = volume.percentiles(0, &[0.0, 100.0]).is_none_or(|p| p[0] < 0.0 || p[1] > 1.0);
    if outside {
        return Err(Failure::Error(format!("{}: not a probability: values lie outside of 0 to 1", path.display())));
    }
    Ok(ProbabilityLayer { path: Some(path.to_path_buf()), volume: Arc::new(volume) })
}

/// The projection of the first image; of the others when they are shown.
fn project(document: &mut Document, gpu: Option<&Gpu>, warnings: &mut Vec<String>) {
    let layer = &mut document.images[0];
    if layer.volume.data.is_colour() {
        return;
    }
    match super::frame::projection_of(layer, gpu) {
        Ok(projection) => layer.projection = Some(projection),
        Err(why) => warnings.push(format!("{}: no projection: {why:?}", layer.path.display())),
    }
}

/// Shows a case that was read: layout, tools and window/level stay, the largest finding is in the middle.
pub fn show(state: &mut State, jobs: &mut Jobs, opened: Opened) {
    let Opened { mut document, analysis, warnings, slice } = opened;
    analysis.enter(&mut document);
    for warning in warnings {
        state.notice(Severity::Warning, "About this file", warning);
    }
    let several = document.images.len() > 1;
    let view = std::mem::take(&mut state.view);
    state.view = View {
        tool: view.tool,
        maximised: view
            .maximised
            .filter(|p| !matches!(p, crate::state::PaneId::Linked(i) if *i >= document.images.len())),
        linked: view.linked && several,
        overlay: view.overlay,
        colour_map: view.colour_map,
        fused_colour_map: view.fused_colour_map,
        fused_opacity: if view.fused_opacity > 0.0 { view.fused_opacity } else { 0.5 },
        crosshair: document.first_look(state.settings.planes),
        finding: document.findings.as_ref().filter(|f| !f.list.is_empty()).map(|_| 0),
        ..View::default()
    };
    if let Some(k) = slice {
        let grid = &document.base().volume.grid;
        let axis = engine::findings::axial_axis(grid);
        if k < grid.shape[axis] {
            let display = document.display(crate::scene::PlaneMode::Native);
            let mut voxel = display.voxel_at(state.view.crosshair).unwrap_or_default();
            voxel[axis] = k;
            state.view.crosshair = grid.world(voxel);
            state.view.finding = None;
        } else {
            let why = format!(
                "--slice {k}: {} has {} slices, 0 to {}",
                document.title,
                grid.shape[axis],
                grid.shape[axis] - 1
            );
            state.error("No such slice", why);
        }
    }
    let path = state.cases.root.clone().filter(|_| state.cases.open.is_some()).unwrap_or_else(|| document.path.clone());
    state.settings.remember(&path);
    state.document = Some(document);
    state.failed = None;
    super::restore::case_arrived(state, jobs);
    super::frame::project_missing(state, jobs);
}
