//! Icons by meaning.
//!
//! The drawings are Lucide's (<https://lucide.dev>, ISC licence), from the font that the crate `lucide-icons` carries.

use egui::{FontId, RichText};
use lucide_icons::Icon as Lucide;

use super::font;

/// A character of the icon font.
#[derive(Clone, Copy, Debug)]
pub struct Icon(Lucide);

impl PartialEq for Icon {
    fn eq(&self, other: &Self) -> bool {
        self.char() == other.char()
    }
}

impl Eq for Icon {}

impl Icon {
    /// Its character in [`font::icon_family`].
    #[must_use]
    pub fn char(self) -> char {
        self.0.into()
    }

    /// The icon as text of `size` points.
    #[must_use]
    pub fn text(self, size: f32) -> RichText {
        RichText::new(self.char()).font(Self::font(size))
    }

    /// The icon font at `size` points.
    #[must_use]
    pub fn font(size: f32) -> FontId {
        FontId::new(size, font::icon_family())
    }
}

macro_rules! icons {
    ($($(#[$doc:meta])* $name:ident = $lucide:ident;)*) => {
        $($(#[$doc])* pub const $name: Icon = Icon(Lucide::$lucide);)*

        /// Every icon with its name.
        pub const ALL: &[(&str, Icon)] = &[$((stringify!($name), $name)),*];
    };
}

icons! {
    /// Open a file.
    OPEN = FileUp;
    /// Open a folder.
    OPEN_FOLDER = FolderOpen;
    /// A folder of cases.
    FOLDER = Folder;
    /// A file.
    FILE = File;
    /// An image or volume.
    IMAGE = Image;
    /// Several images: a case or a cohort.
    IMAGES = Images;
    /// The sample study.
    SAMPLE = Microscope;
    /// Files opened before.
    RECENT = History;
    /// Search or filter.
    SEARCH = Search;
    /// The command palette.
    COMMAND = Command;
    /// Crosshair tool.
    CROSSHAIR = Crosshair;
    /// Window and level.
    CONTRAST = Contrast;
    /// Automatic contrast.
    AUTO_CONTRAST = WandSparkles;
    /// Pan.
    MOVE = Move;
    /// Zoom.
    ZOOM = ZoomIn;
    /// Fit to the pane.
    FIT = Scan;
    /// Ruler.
    RULER = Ruler;
    /// Ellipse region of interest.
    ELLIPSE = Circle;
    /// A brush.
    BRUSH = Brush;
    /// An eraser.
    ERASER = Eraser;
    /// A brush for values of a range.
    RANGE_BRUSH = Highlighter;
    /// A brush for similar values.
    ADAPTIVE_BRUSH = Wand;
    /// A line drawn around something.
    LASSO = Lasso;
    /// Fill an area.
    FILL = PaintBucket;
    /// Grow from a point.
    GROW = Sprout;
    /// A choice by one click.
    ONE_CLICK = MousePointerClick;
    /// Layers of a case.
    LAYERS = Layers;
    /// Shown.
    EYE = Eye;
    /// Hidden.
    EYE_OFF = EyeOff;
    /// Locked: edits leave it as it is.
    LOCKED = Lock;
    /// Not locked.
    UNLOCKED = LockOpen;
    /// Opacity and blending.
    BLEND = Blend;
    /// Colours.
    PALETTE = Palette;
    /// Play.
    PLAY = Play;
    /// Pause.
    PAUSE = Pause;
    /// Stop a job.
    STOP = Square;
    /// One step back.
    STEP_BACK = StepBack;
    /// One step forward.
    STEP_FORWARD = StepForward;
    /// To the first.
    SKIP_BACK = SkipBack;
    /// To the last.
    SKIP_FORWARD = SkipForward;
    /// Close, cancel, clear.
    CLOSE = X;
    /// Save.
    SAVE = Save;
    /// Export or download.
    DOWNLOAD = Download;
    /// A warning.
    WARN = TriangleAlert;
    /// An error.
    ERROR = CircleAlert;
    /// Information.
    INFO = Info;
    /// Done, chosen.
    CHECK = Check;
    /// Done, as a status.
    DONE = CircleCheck;
    /// Rejected, as a status.
    REJECTED = CircleX;
    /// To do, as a status.
    PENDING = CircleDashed;
    /// Light theme.
    SUN = Sun;
    /// Dark theme.
    MOON = Moon;
    /// Maximise a pane.
    MAXIMISE = Maximize2;
    /// Back to all panes.
    MINIMISE = Minimize2;
    /// Four panes.
    PANES = Grid2x2;
    /// Panes side by side.
    SIDE_BY_SIDE = Columns2;
    /// Columns of a table.
    COLUMNS = Columns3Cog;
    /// Ticked.
    TICKED = SquareCheck;
    /// Not ticked.
    UNTICKED = SquareDashed;
    /// Left.
    CHEVRON_LEFT = ChevronLeft;
    /// Right; a closed section.
    CHEVRON_RIGHT = ChevronRight;
    /// Up.
    CHEVRON_UP = ChevronUp;
    /// Down; an open section, a choice.
    CHEVRON_DOWN = ChevronDown;
    /// Left panel on or off.
    LEFT_PANEL = PanelLeft;
    /// Right panel on or off.
    RIGHT_PANEL = PanelRight;
    /// Bottom strip on or off.
    BOTTOM_PANEL = PanelBottom;
    /// Settings.
    SETTINGS = Settings;
    /// Controls of something.
    CONTROLS = SlidersHorizontal;
    /// Help.
    HELP = CircleQuestionMark;
    /// Keyboard shortcuts.
    KEYBOARD = Keyboard;
    /// A network, a trained run.
    BRAIN = Brain;
    /// Training.
    TRAIN = Activity;
    /// Patches and masking.
    GRID = Grid3x3;
    /// Review.
    REVIEW = ScanSearch;
    /// Segment now.
    SEGMENT = Sparkles;
    /// Curves.
    CURVES = ChartLine;
    /// Bars per slice.
    BARS = ChartColumn;
    /// A list.
    LIST = List;
    /// A finding.
    FINDING = Target;
    /// A flag on a case.
    FLAG = Flag;
    /// Delete.
    TRASH = Trash2;
    /// Swap segmentation and reference.
    SWAP = ArrowLeftRight;
    /// Rotate, flip, reset.
    ROTATE = RotateCw;
    /// Back to the default.
    RESET = RotateCcw;
    /// Try again, reload.
    RETRY = RefreshCw;
    /// Undo.
    UNDO = Undo2;
    /// Redo.
    REDO = Redo2;
    /// Edit.
    EDIT = Pencil;
    /// Add.
    ADD = Plus;
    /// Remove.
    REMOVE = Minus;
    /// Copy text.
    COPY = Copy;
    /// Linked panes.
    LINK = Link;
    /// Three-dimensional view.
    VOLUME = Box;
    /// A cohort.
    COHORT = Database;
    /// A patient.
    PATIENT = User;
    /// A label.
    LABEL = Tag;
    /// Pin a slice or a patch.
    PIN = Pin;
    /// A random seed.
    SEED = Dices;
    /// Screenshot.
    CAMERA = Camera;
    /// A processor as the device.
    CPU = Cpu;
    /// Memory.
    MEMORY = MemoryStick;
    /// Disk.
    DISK = HardDrive;
    /// Time.
    CLOCK = Clock;
    /// Busy.
    BUSY = LoaderCircle;
    /// More actions.
    MORE = Ellipsis;
    /// Filter a list.
    FILTER = ListFilter;
    /// Order a list.
    SORT = ArrowDownWideNarrow;
    /// A comment.
    COMMENT = MessageSquare;
    /// Outside link.
    EXTERNAL = ExternalLink;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_icon_has_a_glyph() {
        let ctx = egui::Context::default();
        crate::theme::install(&ctx, crate::theme::Theme::Dark);
        let output = ctx.run_ui(egui::RawInput::default(), |ui| {
            for (name, icon) in ALL {
                let found = ui.fonts_mut(|fonts| fonts.has_glyph(&Icon::font(16.0), icon.char()));
                assert!(found, "{name} has no glyph in the icon font");
            }
        });
        output.drop_without_applying_deltas();
    }

    #[test]
    fn no_two_names_share_a_drawing() {
        let chars: BTreeSet<char> = ALL.iter().map(|(_, icon)| icon.char()).collect();
        assert_eq!(chars.len(), ALL.len());
    }
}
