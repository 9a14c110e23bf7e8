//! The whole window as pictures, on the sample study: at both sizes that the layout is made for, in both themes.
//!
//! The pictures are written to cargo's temporary folder for inspection. Asserts only that they are usable: something is
//! drawn, the views have an image, panels have their colour, and no error is shown.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common;
use crate::dicom_study::write_study;
use amlp_viewer::args::ModeArg;
use amlp_viewer::command::{Command, FileCommand, TrainCommand, WindowCommand};
use amlp_viewer::gpu::offscreen::Offscreen;
use amlp_viewer::state::dicom::ListedStudy;
use amlp_viewer::state::train::{Form, JobOutcome, Labels};
use amlp_viewer::state::{Intent, Mode, PathPurpose, SeriesKind, Settings, Severity};
use amlp_viewer::theme::Theme;
use amlp_viewer::{App, Args};
use egui::{Color32, ColorImage, Pos2, Rect, Vec2, ViewportId, ViewportInfo};
use engine::device::DeviceChoice;
use engine::preprocess::Spacing;
use engine::volume::{LabelVolume, Volume, nifti};

/// Time limit for jobs.
const TIMEOUT: Duration = Duration::from_mins(2);

/// An offscreen window.
struct Screen {
    offscreen: Offscreen,
    ctx: egui::Context,
    app: App,
    size: Vec2,
    scale: f32,
    begin: Instant,
}

impl Screen {
    /// A window of `size` points; `None` without an adapter.
    fn open(size: [f32; 2], scale: f32, args: &Args) -> Option<Self> {
        let offscreen = common::offscreen()?;
        let ctx = egui::Context::default();
        let app = App::new(&ctx, Some(offscreen.gpu().clone()), args, Settings::default());
        Some(Self { offscreen, ctx, app, size: size.into(), scale, begin: Instant::now() })
    }

    fn frame(&mut self) -> egui::FullOutput {
        let info = ViewportInfo { native_pixels_per_point: Some(self.scale), ..ViewportInfo::default() };
        let input = egui::RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, self.size)),
            viewports: std::iter::once((ViewportId::ROOT, info)).collect(),
            time: Some(self.begin.elapsed().as_secs_f64()),
            ..egui::RawInput::default()
        };
        let app = &mut self.app;
        let mut output = self.ctx.run_ui(input, |ui| {
            app.logic(ui.ctx());
            app.ui(ui);
        });
        self.offscreen.take_textures(&mut output);
        output
    }

    /// Draws until the program is idle.
    fn settle(&mut self) {
        let mut idle = 0;
        while idle < 4 {
            drop(self.frame());
            idle = if self.app.is_idle() { idle + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(10));
            assert!(self.begin.elapsed() < TIMEOUT, "jobs do not end: {:?}", self.app.state().jobs);
        }
    }

    fn send(&mut self, command: impl Into<Command>) {
        self.app.dispatch(command);
        self.settle();
    }

    /// Draws a picture and saves it under a name.
    fn picture(&mut self, name: &str) -> ColorImage {
        self.settle();
        // Small animations end before the picture is taken.
        std::thread::sleep(Duration::from_millis(250));
        drop(self.frame());
        let output = self.frame();
        let picture = self.offscreen.draw(&self.ctx, &output).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screens");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.png"));
        let bytes: Vec<u8> = picture.pixels.iter().flat_map(|c| [c.r(), c.g(), c.b()]).collect();
        let [width, height] = picture.size.map(|n| n as u32);
        image::save_buffer(&path, &bytes, width, height, image::ExtendedColorType::Rgb8).unwrap();
        println!("{}", path.display());
        let pixels = self.size * self.scale;
        assert_eq!(picture.size, [pixels.x as usize, pixels.y as usize]);
        picture
    }

    /// The colour at a position in points.
    fn color(&self, picture: &ColorImage, x: f32, y: f32) -> Color32 {
        let at = [x, y].map(|v| (v * self.scale) as usize);
        picture.pixels[at[1] * picture.size[0] + at[0]]
    }

    /// Number of colours in the middle of the window, which is large only if anatomy is visible there.
    fn colors(&self, picture: &ColorImage) -> usize {
        let mut found = std::collections::BTreeSet::new();
        for y in 60..self.size.y as usize - 140 {
            for x in 240..self.size.x as usize - 300 {
                found.insert(self.color(picture, x as f32, y as f32).to_array());
            }
        }
        found.len()
    }
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample")
}

/// A patient with both modalities.
fn patient() -> PathBuf {
    sample().join("STS_006")
}

/// A nearly correct segmentation: the reference shifted by two voxels to the right, and a small false positive.
fn prediction(folder: &Path) -> PathBuf {
    let image = Volume::read(&patient().join("pet.nii.gz")).unwrap();
    let (truth, _) = LabelVolume::read_for(&patient().join("seg.nii.gz"), &image).unwrap();
    let [nx, ny, nz] = truth.shape();
    let mut labels = vec![0_u8; truth.len()];
    for k in 0..nz {
        for j in 0..ny {
            for i in 2..nx {
                let extra = (4..8).contains(&i) && (4..8).contains(&j) && (4..7).contains(&k);
                let true_there = truth.get(truth.grid.index([i - 2, j, k])) > 0;
                labels[truth.grid.index([i, j, k])] = u8::from(true_there || extra);
            }
        }
    }
    let path = folder.join("STS_006_pred.nii.gz");
    nifti::write_label(&path, &LabelVolume::new(truth.grid, labels).unwrap(), &image).unwrap();
    path
}

const SIZES: [([f32; 2], f32, &str); 2] = [([1280.0, 800.0], 1.0, "small"), ([1280.0, 720.0], 2.0, "dense")];

#[test]
fn the_welcome_screen_is_drawn() {
    for (size, scale, name) in SIZES {
        let Some(mut screen) = Screen::open(size, scale, &Args::default()) else { return };
        let picture = screen.picture(&format!("welcome_{name}"));
        // Left panel, right panel, strip and status line have the panels' colour.
        let panel = Theme::Dark.tokens().panel;
        for (x, y) in [(4.0, 300.0), (size[0] - 4.0, 300.0), (4.0, size[1] - 60.0), (4.0, size[1] - 3.0)] {
            assert_eq!(screen.color(&picture, x, y), panel, "{name} at {x}, {y}");
        }
    }
}

#[test]
fn review_of_a_compared_case_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let mask = prediction(folder.path());
    for (size, scale, name) in SIZES {
        let Some(mut screen) = Screen::open(size, scale, &Args::default()) else { return };
        screen.send(Intent::UsePaths(PathPurpose::Folder.into(), vec![sample()]));
        let cases = &screen.app.state().cases.cases;
        let case = cases.iter().find(|case| case.name == "STS_006").unwrap().id;
        screen.send(Intent::OpenCase(case));
        screen.send(Intent::UsePaths(PathPurpose::Segmentation.into(), vec![mask.clone()]));
        assert!(screen.app.state().document.as_ref().unwrap().comparison.is_some());
        screen.send(WindowCommand::DismissAll);
        let dark = screen.picture(&format!("review_{name}"));
        assert!(screen.colors(&dark) > 100, "no anatomy is visible");
        screen.send(WindowCommand::SetTheme(Theme::Light));
        let light = screen.picture(&format!("review_light_{name}"));
        assert_eq!(screen.color(&light, 4.0, 400.0), Theme::Light.tokens().panel);
        assert!(!screen.app.state().shows_error());
    }
}

#[test]
fn dialogs_and_messages_are_drawn() {
    for (size, scale, name) in SIZES {
        let Some(mut screen) = Screen::open(size, scale, &Args::default()) else { return };
        let plain = screen.picture(&format!("before_dialogs_{name}"));
        let path = patient().join("pet.nii.gz");
        screen.send(Intent::open_paths(vec![path]));
        for (dialog, command) in [
            ("palette", Command::Window(WindowCommand::OpenPalette)),
            ("help", Command::Window(WindowCommand::OpenHelp)),
            ("manual", Command::Window(WindowCommand::OpenManual)),
            ("about", Command::Window(WindowCommand::OpenAbout)),
            ("log", Command::Window(WindowCommand::OpenLog)),
            ("path", Command::File(FileCommand::TypePath(PathPurpose::SaveSegmentation))),
        ] {
            screen.send(command);
            let picture = screen.picture(&format!("{dialog}_{name}"));
            assert_ne!(screen.color(&picture, 4.0, 300.0), screen.color(&plain, 4.0, 300.0), "{dialog} dims the rest");
            screen.send(WindowCommand::CloseDialog);
        }
        screen.send(WindowCommand::SetTheme(Theme::Light));
        screen.send(WindowCommand::OpenManual);
        screen.picture(&format!("manual_light_{name}"));
        screen.send(WindowCommand::CloseDialog);
        // An invalid file: the error stays, and so does the open case.
        screen.send(Intent::UsePaths(PathPurpose::Segmentation.into(), vec![sample().join("ATTRIBUTION.md")]));
        let errors = screen.app.state().notices.iter().filter(|notice| notice.severity == Severity::Error);
        assert_eq!(errors.count(), 1);
        screen.picture(&format!("error_{name}"));
    }
}

#[test]
fn the_series_browser_and_a_fusion_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path());
    for (size, scale, name) in SIZES {
        // As for a picture of the window, without patient names.
        let args = Args { paths: vec![study.clone()], screenshot: Some("picture.png".into()), ..Args::default() };
        let Some(mut screen) = Screen::open(size, scale, &args) else { return };
        screen.picture(&format!("series_{name}"));
        screen.send(WindowCommand::SetTheme(Theme::Light));
        let light = screen.picture(&format!("series_light_{name}"));
        assert_eq!(screen.color(&light, 4.0, 400.0), Theme::Light.tokens().panel);
        screen.send(WindowCommand::SetTheme(Theme::Dark));
        let list = screen.app.state().series.clone().unwrap();
        let pair = list.studies().find_map(ListedStudy::ct_and_pet).unwrap();
        screen.send(Intent::FuseSeries(pair));
        let overlay = list.series().find(|series| matches!(series.kind, SeriesKind::Overlay(_))).unwrap();
        screen.send(Intent::OpenSeries(overlay.id));
        screen.send(WindowCommand::DismissAll);
        let dark = screen.picture(&format!("fusion_{name}"));
        assert!(screen.colors(&dark) > 100, "no anatomy is visible");
        screen.send(WindowCommand::SetTheme(Theme::Light));
        screen.picture(&format!("fusion_light_{name}"));
        assert!(!screen.app.state().shows_error(), "{:?}", screen.app.state().notices);
    }
}

/// Changes the form of Train mode as a user does.
fn change(screen: &mut Screen, change: impl FnOnce(&mut Form)) {
    let mut form = screen.app.state().session.train.form.clone();
    change(&mut form);
    screen.send(Command::Train(TrainCommand::Edit(Box::new(form))));
}

/// Settings for a very short training.
fn tiny(form: &mut Form) {
    for config in [&mut form.pretrain, &mut form.finetune] {
        config.device = DeviceChoice::Cpu.into();
        (config.preprocess.size, config.preprocess.spacing) = (64, Spacing::Native);
        (config.network.width, config.network.depth) = (2, 2);
        (config.training.epochs, config.training.batch, config.method.grid) = (1, 16, 4);
        config.training.min_steps = 0;
    }
}

#[test]
fn train_mode_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    for (n, (size, scale, name)) in SIZES.into_iter().enumerate() {
        let workspace = Some(folder.path().join(name));
        let args = Args { mode: ModeArg::Train, workspace, ..Args::default() };
        let Some(mut screen) = Screen::open(size, scale, &args) else { return };
        screen.picture(&format!("train_empty_{name}"));
        screen.app.dispatch(Command::Train(TrainCommand::UseCohort(sample())));
        // Before the slow estimate of the paper's settings reaches its first step.
        while screen.app.state().cache.train.cohort.card().is_none() {
            drop(screen.frame());
            std::thread::sleep(Duration::from_millis(5));
        }
        change(&mut screen, tiny);
        screen.picture(&format!("train_setup_{name}"));
        screen.send(WindowCommand::SetTheme(Theme::Light));
        let light = screen.picture(&format!("train_setup_light_{name}"));
        assert_eq!(screen.color(&light, size[0] - 4.0, 300.0), Theme::Light.tokens().panel);
        screen.send(WindowCommand::SetTheme(Theme::Dark));
        if n > 0 {
            continue;
        }
        screen.send(Command::Train(TrainCommand::Start));
        assert!(screen.app.state().training.ended.iter().all(|job| job.how == JobOutcome::Finished));
        let run = screen.app.state().training.ended[0].run.clone();
        screen.send(Command::Train(TrainCommand::FinetuneFrom(run)));
        change(&mut screen, |form| (form.labels, form.finetune.training.epochs) = (Labels::Picked, 1));
        let split = screen.app.state().cache.train.split.clone().unwrap().unwrap();
        change(&mut screen, |form| form.picked.extend(split.train[..3].iter().cloned()));
        screen.picture(&format!("train_finetune_{name}"));
        screen.send(Command::Train(TrainCommand::Start));
        let run = screen.app.state().training.ended[0].run.clone().unwrap();
        screen.send(Command::Train(TrainCommand::ShowResults(run)));
        screen.send(WindowCommand::DismissAll);
        screen.picture(&format!("train_results_{name}"));
        assert!(!screen.app.state().shows_error(), "{:?}", screen.app.state().notices);
        assert!(screen.app.state().cache.results.evaluation.is_some());
    }
}

#[test]
fn every_mode_is_drawn() {
    let (size, scale, name) = SIZES[0];
    let Some(mut screen) = Screen::open(size, scale, &Args::default()) else { return };
    screen.send(Intent::UsePaths(PathPurpose::Folder.into(), vec![patient()]));
    for mode in [Mode::Masking, Mode::Train] {
        screen.send(WindowCommand::SetMode(mode));
        screen.picture(&format!("{}_{name}", mode.name().to_lowercase()));
        assert!(!screen.app.state().shows_error());
    }
}
