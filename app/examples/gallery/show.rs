//! Pages of the gallery, arranged as in the application.

use amlp_viewer::theme::{self, HasTheme, Theme, font, icon, palette, size, space};
use amlp_viewer::widget::{
    Badge, ButtonKind, CardButton, Dialog, EmptyState, ErrorState, IconButton, ListRow, LoadingState, NumberField,
    ProgressRow, PropertyRow, PushButton, SearchField, Section, Segment, SegmentedControl, Select, Slider, StatusItem,
    StripChart, ThumbnailRow, Toggle, Tone, keycaps, overlay_text,
};
use egui::{
    Align, Align2, Color32, Frame, Layout, Margin, Panel, Rect, RichText, ScrollArea, Sense, Ui, UiBuilder, vec2,
};

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Workspace,
    Controls,
    Welcome,
}

const PAGES: [Segment<'static, Page>; 3] = [
    Segment::text(Page::Workspace, "Workspace").shortcut("F1"),
    Segment::text(Page::Controls, "Controls").shortcut("F2"),
    Segment::text(Page::Welcome, "Welcome").shortcut("F3"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Crosshair,
    Contrast,
    Pan,
    Zoom,
    Ruler,
    Ellipse,
}

const TOOLS: [Segment<'static, Tool>; 6] = [
    Segment::icon(Tool::Crosshair, "Crosshair", icon::CROSSHAIR).shortcut("1"),
    Segment::icon(Tool::Contrast, "Window and level", icon::CONTRAST).shortcut("2"),
    Segment::icon(Tool::Pan, "Pan", icon::MOVE).shortcut("3"),
    Segment::icon(Tool::Zoom, "Zoom", icon::ZOOM).shortcut("4"),
    Segment::icon(Tool::Ruler, "Ruler", icon::RULER).shortcut("5"),
    Segment::icon(Tool::Ellipse, "Ellipse", icon::ELLIPSE).shortcut("6"),
];

/// The gallery and the state of its controls.
pub struct Gallery {
    page: Page,
    dialog: bool,
    tool: Tool,
    plane: u8,
    filter: String,
    opacity: f32,
    window: f32,
    level: f32,
    epoch: u32,
    interpolate: bool,
    outline: bool,
    colour_map: u8,
    finding: usize,
    slice: usize,
    values: Vec<Option<f32>>,
}

impl Default for Gallery {
    fn default() -> Self {
        let value = |i: usize| {
            let x = i as f32;
            let inside = (24..118).contains(&i);
            inside.then(|| 0.72 + 0.2 * (x * 0.11).sin() - if i.is_multiple_of(23) { 0.4 } else { 0.0 })
        };
        Self {
            page: Page::Workspace,
            dialog: false,
            tool: Tool::Crosshair,
            plane: 0,
            filter: String::new(),
            opacity: 45.0,
            window: 350.0,
            level: 50.0,
            epoch: 12,
            interpolate: true,
            outline: false,
            colour_map: 0,
            finding: 1,
            slice: 86,
            values: (0..155).map(value).collect(),
        }
    }
}

impl Gallery {
    /// A gallery open at a page.
    pub fn new(page: Page, dialog: bool) -> Self {
        Self { page, dialog, ..Self::default() }
    }

    /// Draws the window.
    pub fn show(&mut self, ui: &mut Ui) {
        let t = theme::tokens(ui);
        let bar = Frame::new().fill(t.panel).inner_margin(Margin::symmetric(space::M as i8, 0));
        Panel::top("bar").exact_size(size::TOP_BAR).frame(bar).show(ui, |ui| self.top_bar(ui));
        Panel::bottom("status").exact_size(size::STATUS_LINE).frame(bar).show(ui, status_line);
        match self.page {
            Page::Workspace => self.workspace(ui),
            Page::Controls => self.controls(ui),
            Page::Welcome => welcome(ui),
        }
        if self.dialog {
            let dialog = Dialog::new("Replace STS_001_segmentation.nii.gz?", "Replace")
                .danger()
                .icon(icon::WARN, Tone::Warn)
                .text("A file of this name exists in the folder. Its contents will be lost.")
                .alternative("Save elsewhere");
            if dialog.show(ui.ctx(), |_| ()).is_some() {
                self.dialog = false;
            }
        }
    }

    fn top_bar(&mut self, ui: &mut Ui) {
        ui.horizontal_centered(|ui| {
            SegmentedControl::new("Page", &PAGES).show(ui, &mut self.page);
            ui.add_space(space::L);
            SegmentedControl::new("Tool", &TOOLS).icons_only().show(ui, &mut self.tool);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                let theme = ui.theme();
                ui.add(IconButton::new(icon::RIGHT_PANEL, "Right panel").shortcut("Ctrl+R").selected(true));
                ui.add(IconButton::new(icon::LEFT_PANEL, "Left panel").shortcut("Ctrl+L").selected(true));
                let glyph = if theme == Theme::Dark { icon::SUN } else { icon::MOON };
                if ui.add(IconButton::new(glyph, "Switch theme")).clicked() {
                    theme::install(ui.ctx(), theme.other());
                }
                ui.add(IconButton::new(icon::HELP, "Help").shortcut("?"));
                ui.add(IconButton::new(icon::COMMAND, "Command palette").shortcut("Ctrl+K"));
            });
        });
    }

    fn workspace(&mut self, ui: &mut Ui) {
        let t = theme::tokens(ui);
        let side = Frame::new().fill(t.panel).inner_margin(Margin::symmetric(space::M as i8, space::S as i8));
        let strip = Frame::new().fill(t.panel);
        Panel::left("left").exact_size(size::LEFT_PANEL).frame(side).show(ui, |ui| self.left(ui));
        Panel::right("right").exact_size(size::RIGHT_PANEL).frame(side).show(ui, |ui| self.right(ui));
        Panel::bottom("strip").exact_size(size::STRIP).frame(strip).show(ui, |ui| {
            let chart = StripChart::new("Dice per slice", &self.values).cursor(Some(self.slice));
            if let Some(slice) = chart.show(ui).chosen {
                self.slice = slice;
            }
        });
        egui::CentralPanel::default().frame(Frame::new().fill(t.window)).show(ui, panes);
    }

    fn left(&mut self, ui: &mut Ui) {
        SearchField::new(&mut self.filter, "Filter cases").shortcut("/").show(ui);
        ui.add_space(space::S);
        ui.spacing_mut().item_spacing.y = 2.0;
        Section::new("Cases").note("51").show(ui, |ui| {
            ui.add(ThumbnailRow::new("STS_001", "PET/CT · 3 findings").selected(true).status(
                icon::DONE,
                Tone::Ok,
                "accepted",
            ));
            ui.add(ThumbnailRow::new("STS_002", "PET/CT · 1 finding").status(icon::EDIT, Tone::Accent, "corrected"));
            ui.add(ThumbnailRow::new("STS_003 with a very long name", "MR · no segmentation").status(
                icon::WARN,
                Tone::Warn,
                "spacing differs",
            ));
        });
        Section::new("Layers").show_with(
            ui,
            |ui| drop(ui.add(IconButton::new(icon::ADD, "Add a layer").small())),
            |ui| {
                for (index, (name, value, shown)) in
                    [("PET", "0-10", true), ("Segmentation", "3", true), ("Reference", "2", false)]
                        .into_iter()
                        .enumerate()
                {
                    let row = ListRow::new(name).swatch(palette::LABELS[index]).trailing(value).dim(!shown);
                    row.show_with(ui, |ui| {
                        let (glyph, label) = if shown { (icon::EYE, "Hide") } else { (icon::EYE_OFF, "Show") };
                        ui.add(IconButton::new(glyph, &format!("{label} {name}")).small());
                    });
                }
            },
        );
        Section::new("Runs").closed().show(ui, |_| ());
        ui.add_space(space::S);
        ProgressRow::new("Segmenting STS_001", Some(0.42)).detail("38 / 91").show(ui);
    }

    fn right(&mut self, ui: &mut Ui) {
        ScrollArea::vertical().show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            Section::new("Image").show(ui, |ui| {
                ui.add(PropertyRow::new("Size", "256 × 256 × 91"));
                ui.add(PropertyRow::new("Spacing", "1.95 × 1.95 × 3.27").unit("mm"));
                ui.add(PropertyRow::new("At the crosshair", "4.21").unit("SUV"));
            });
            Section::new("Display").show(ui, |ui| self.display(ui));
            Section::new("Findings").note("3").show(ui, |ui| {
                for (index, (volume, color)) in [("12.4 ml", 0), ("3.1 ml", 1), ("0.08 ml", 2)].into_iter().enumerate()
                {
                    let title = format!("Lesion {}", index + 1);
                    let row = ListRow::new(&title).swatch(palette::LABELS[color]).trailing(volume);
                    if ui.add(row.selected(self.finding == index)).clicked() {
                        self.finding = index;
                    }
                }
                ui.add_space(space::S);
                ui.add(PushButton::primary("Segment").icon(icon::SEGMENT).fill_width());
            });
        });
    }

    fn display(&mut self, ui: &mut Ui) {
        let planes = [Segment::text(0, "Native"), Segment::text(1, "World")];
        SegmentedControl::new("Planes", &planes).fill_width().show(ui, &mut self.plane);
        ui.add_space(space::XS);
        NumberField::new(&mut self.window, "Window").range(1.0..=4000.0).unit("HU").show(ui);
        NumberField::new(&mut self.level, "Level").range(-1000.0..=3000.0).unit("HU").show(ui);
        Slider::new(&mut self.opacity, "Opacity", 0.0..=100.0)
            .step(5.0)
            .decimals(0)
            .unit("%")
            .shortcut("A / D")
            .show(ui);
        Slider::new(&mut self.epoch, "Epoch", 1..=40).show(ui);
        Select::new("Colours", &[(0, "Grey"), (1, "Hot"), (2, "Viridis"), (3, "PET")]).show(ui, &mut self.colour_map);
        ui.add(Toggle::new(&mut self.interpolate, "Interpolate"));
        ui.add(Toggle::new(&mut self.outline, "Outline only").shortcut("O"));
    }

    fn controls(&mut self, ui: &mut Ui) {
        let t = theme::tokens(ui);
        egui::CentralPanel::default().frame(Frame::new().fill(t.panel).inner_margin(space::XL)).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = space::M;
            ui.label(RichText::new("Title").font(font::title()));
            ui.label(RichText::new("Heading of a section").font(font::heading()));
            ui.label("Body text: 0123456789, the quick brown fox jumps over the lazy dog, 1.95 × 1.95 mm, σ = 0.4 µm²");
            ui.label(
                RichText::new("Caption text: 0123456789, R 17.6, P 35.3, S 12.1")
                    .font(font::caption())
                    .color(t.text_dim),
            );
            ui.label(RichText::new("Mono 0123456789 -1000.25 HU").font(font::mono()));
            ui.horizontal(|ui| {
                ui.add(PushButton::primary("Primary").icon(icon::SEGMENT));
                ui.add(PushButton::new("Secondary").icon(icon::SAVE).shortcut("Ctrl+S"));
                ui.add(PushButton::new("Quiet").kind(ButtonKind::Quiet).icon(icon::COPY));
                ui.add(PushButton::new("Danger").kind(ButtonKind::Danger).icon(icon::TRASH));
                ui.add_enabled(false, PushButton::primary("Disabled"));
                ui.add_enabled(false, PushButton::new("Disabled").icon(icon::SAVE));
                ui.add_enabled(false, IconButton::new(icon::PLAY, "Play"));
                if ui.add(PushButton::new("Open a dialog")).clicked() {
                    self.dialog = true;
                }
            });
            ui.horizontal(|ui| {
                for (text, tone) in [
                    ("to do", Tone::Neutral),
                    ("current", Tone::Accent),
                    ("accepted", Tone::Ok),
                    ("not trained on", Tone::Warn),
                    ("rejected", Tone::Error),
                ] {
                    ui.add(Badge::new(text).tone(tone));
                }
                ui.add(Badge::new("done").icon(icon::DONE).tone(Tone::Ok));
            });
            ui.horizontal(|ui| {
                for keys in ["Ctrl+Shift+Z", "N / P", "?", "Ctrl++", "PgUp"] {
                    keycaps(ui, keys);
                    ui.add_space(space::S);
                }
            });
            ui.horizontal_wrapped(|ui| {
                for (index, color) in palette::LABELS.iter().enumerate() {
                    let (rect, _) = ui.allocate_exact_size(vec2(44.0, 28.0), Sense::hover());
                    ui.painter().rect_filled(rect, 3.0, *color);
                    ui.painter().text(rect.center(), Align2::CENTER_CENTER, index + 1, font::number(), Color32::BLACK);
                }
            });
            ui.horizontal_wrapped(|ui| {
                for (name, glyph) in icon::ALL {
                    ui.add(IconButton::new(*glyph, name));
                }
            });
            ui.horizontal_top(|ui| {
                for disabled in [false, true] {
                    ui.allocate_ui(vec2(280.0, 260.0), |ui| {
                        if disabled {
                            ui.disable();
                        }
                        ui.push_id(disabled, |ui| ui.vertical(|ui| self.display(ui)));
                    });
                    ui.add_space(space::XL);
                }
            });
        });
    }
}

fn status_line(ui: &mut Ui) {
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = space::L;
        ui.add(StatusItem::new(icon::CPU, "llvmpipe (software)").hint("Graphics adapter"));
        ui.add(StatusItem::new(icon::MEMORY, "1.2 GB"));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add(StatusItem::new(icon::BUSY, "Segmenting, 12 s left").tone(Tone::Accent));
        });
    });
}

/// Four panes: an image with its overlay, and the three states.
fn panes(ui: &mut Ui) {
    let whole = ui.available_rect_before_wrap();
    let gap = 1.0;
    let half = (whole.size() - vec2(gap, gap)) / 2.0;
    for (index, (x, y)) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)].into_iter().enumerate() {
        let rect = Rect::from_min_size(whole.min + vec2(x * (half.x + gap), y * (half.y + gap)), half);
        let mut ui = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(("pane", index)));
        theme::on_image(&mut ui);
        ui.painter().rect_filled(rect, 0.0, theme::tokens(&ui).image);
        match index {
            0 => image(&mut ui, rect),
            1 => drop(LoadingState::new("Reading STS_001_PET.nii.gz", Some(0.4)).cancel().show(&mut ui)),
            2 => drop(
                ErrorState::new(
                    "The image could not be read",
                    "STS_001_CT.nii.gz: the compressed data end after 3 145 728 of 11 927 552 bytes",
                )
                .retry("Try again")
                .show(&mut ui),
            ),
            _ => drop(
                EmptyState::new(icon::VOLUME, "No volume to project. Open an image first.")
                    .action("Open files", Some("Ctrl+O"))
                    .show(&mut ui),
            ),
        }
    }
}

fn image(ui: &mut Ui, rect: Rect) {
    let t = theme::tokens(ui);
    let painter = ui.painter_at(rect);
    painter.circle_filled(rect.center(), rect.height() * 0.36, Color32::from_gray(96));
    painter.circle_filled(rect.center() + vec2(30.0, -20.0), rect.height() * 0.16, Color32::from_gray(235));
    let stroke = egui::Stroke::new(1.0, t.overlay_accent.gamma_multiply(0.8));
    painter.vline(painter.round_to_pixel_center(rect.center().x), rect.y_range(), stroke);
    painter.hline(rect.x_range(), painter.round_to_pixel_center(rect.center().y), stroke);
    let inner = rect.shrink(space::S);
    for (text, anchor, at) in [
        ("R", Align2::LEFT_CENTER, inner.left_center()),
        ("L", Align2::RIGHT_CENTER, inner.right_center()),
        ("A", Align2::CENTER_TOP, inner.center_top()),
        ("P", Align2::CENTER_BOTTOM, inner.center_bottom()),
    ] {
        overlay_text(&painter, at, anchor, text, font::heading(), t.overlay_text);
    }
    overlay_text(&painter, inner.left_top(), Align2::LEFT_TOP, "Axial  87 / 155", font::number(), t.overlay_text);
    overlay_text(
        &painter,
        inner.left_bottom(),
        Align2::LEFT_BOTTOM,
        "R 17.6, P 35.3, S 12.1",
        font::number_small(),
        t.overlay_dim,
    );
    overlay_text(
        &painter,
        rect.center() + vec2(34.0, -24.0),
        Align2::LEFT_BOTTOM,
        "over bright anatomy",
        font::caption(),
        t.overlay_measure,
    );
}

fn welcome(ui: &mut Ui) {
    let t = theme::tokens(ui);
    egui::CentralPanel::default().frame(Frame::new().fill(t.window)).show(ui, |ui| {
        let column = Rect::from_center_size(ui.max_rect().center(), vec2(440.0, 440.0));
        ui.scope_builder(UiBuilder::new().max_rect(column), |ui| {
            ui.spacing_mut().item_spacing.y = space::S;
            ui.label(RichText::new("Open a case").font(font::title()));
            ui.label(RichText::new("Files may be dropped anywhere in the window.").color(t.text_dim));
            ui.add_space(space::M);
            let open = |icon, title, subtitle| CardButton::new(icon, title, subtitle);
            ui.add(
                open(icon::SAMPLE, "Open sample study", "Fourteen public PET/CT cases with a trained model").primary(),
            );
            ui.add(open(icon::OPEN, "Open files", "NIfTI images and masks").shortcut("Ctrl+O"));
            ui.add(
                open(icon::OPEN_FOLDER, "Open folder", "A cohort, one folder or file per case")
                    .shortcut("Ctrl+Shift+O"),
            );
            ui.add_space(space::L);
            ui.label(RichText::new("Recent").font(font::caption()).color(t.text_dim));
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.add(
                ListRow::new("STS_001_PET.nii.gz").icon(icon::RECENT).subtitle("/data/sts/STS_001").trailing("today"),
            );
            ui.add(ListRow::new("BraTS20_Training_012").icon(icon::FOLDER).subtitle("/data/brats").trailing("3 Nov"));
        });
    });
}
