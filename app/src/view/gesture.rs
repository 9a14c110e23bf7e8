//! What a drag means, and how far it goes.

use egui::{CursorIcon, Modifiers, PointerButton};
use glam::{DVec2, DVec3};

use crate::state::{MeasureKind, Modality, Tool, WindowLevel};

/// What a drag does from its beginning to its end, whatever keys are let go in between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drag {
    /// Moves the crosshair.
    Crosshair,
    /// Changes window and level.
    Window,
    /// Moves the picture.
    Pan,
    /// Magnifies around a place in the pane.
    Zoom(DVec2),
    /// Measures from a position in the patient.
    Measure(MeasureKind, DVec3),
}

/// What a drag that begins now would do; `None` where the tool has no use.
pub fn meant(button: PointerButton, modifiers: Modifiers, space: bool, tool: Tool, projection: bool) -> Option<Meant> {
    match button {
        PointerButton::Middle => Some(Meant::Pan),
        PointerButton::Secondary => Some(Meant::Zoom),
        PointerButton::Primary if space => Some(Meant::Pan),
        PointerButton::Primary if modifiers.command || modifiers.ctrl => Some(Meant::Window),
        PointerButton::Primary => match tool {
            Tool::Crosshair => Some(Meant::Crosshair),
            Tool::Window => Some(Meant::Window),
            Tool::Pan => Some(Meant::Pan),
            Tool::Zoom => Some(Meant::Zoom),
            // What is seen in a projection lies at any depth: no length there is a length in the patient.
            Tool::Ruler | Tool::Ellipse if projection => None,
            Tool::Ruler => Some(Meant::Measure(MeasureKind::Ruler)),
            Tool::Ellipse => Some(Meant::Measure(MeasureKind::Ellipse)),
        },
        PointerButton::Extra1 | PointerButton::Extra2 => None,
    }
}

/// A [`Drag`] before it has a beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// Moves the crosshair.
    Crosshair,
    /// Changes window and level.
    Window,
    /// Moves the picture.
    Pan,
    /// Magnifies.
    Zoom,
    /// Measures.
    Measure(MeasureKind),
}

impl Meant {
    /// The pointer's shape.
    pub fn cursor(self, held: bool) -> CursorIcon {
        match self {
            Self::Crosshair | Self::Measure(_) => CursorIcon::Crosshair,
            Self::Window => CursorIcon::AllScroll,
            Self::Pan if held => CursorIcon::Grabbing,
            Self::Pan => CursorIcon::Grab,
            Self::Zoom => CursorIcon::ZoomIn,
        }
    }
}

/// No scanner's numbers reach further; metal and padding values do, and must not set the pace.
const CT_SPAN_HU: f64 = 4096.0;
/// A span of values is crossed in this many points.
const POINTS_PER_SPAN: f64 = 1024.0;
/// Narrow windows are set more finely: never faster than through this many of their widths.
const WIDTHS_PER_SPAN: f64 = 12.0;

/// Change of width and level for a drag by `delta` points: to the right wider, down higher (darker). The pace follows
/// the scan's range of values.
pub fn window_change(delta: DVec2, window: WindowLevel, range: Option<[f64; 2]>, modality: &Modality) -> (f64, f64) {
    let span = range.map_or(255.0, |[low, high]| high - low);
    let span = if *modality == Modality::Ct { span.min(CT_SPAN_HU) } else { span };
    let pace = span.min(WIDTHS_PER_SPAN * window.width).max(f64::MIN_POSITIVE) / POINTS_PER_SPAN;
    (delta.x * pace, delta.y * pace)
}

/// Magnification for a drag by `dy` points: upwards larger, twofold in 100 points.
pub fn zoom_factor(dy: f64) -> f64 {
    (-dy / 100.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use PointerButton::{Middle, Primary, Secondary};

    #[test]
    fn buttons_and_modifiers_come_before_the_tool() {
        let none = Modifiers::NONE;
        for tool in Tool::ALL {
            assert_eq!(meant(Middle, none, false, tool, false), Some(Meant::Pan));
            assert_eq!(meant(Secondary, none, false, tool, false), Some(Meant::Zoom));
            assert_eq!(meant(Primary, none, true, tool, false), Some(Meant::Pan));
            assert_eq!(meant(Primary, Modifiers::COMMAND, false, tool, true), Some(Meant::Window));
        }
        let by_tool = Tool::ALL.map(|tool| meant(Primary, none, false, tool, false));
        let expected = [
            Meant::Crosshair,
            Meant::Window,
            Meant::Pan,
            Meant::Zoom,
            Meant::Measure(MeasureKind::Ruler),
            Meant::Measure(MeasureKind::Ellipse),
        ];
        assert_eq!(by_tool, expected.map(Some));
        assert_eq!(meant(Primary, none, false, Tool::Ruler, true), None);
    }

    #[test]
    fn contrast_follows_the_range_and_is_finer_in_narrow_windows() {
        let soft = WindowLevel { width: 350.0, level: 50.0 };
        let ct = |window, range| window_change(DVec2::new(10.0, -5.0), window, Some(range), &Modality::Ct);
        assert_eq!(ct(soft, [-1024.0, 3072.0]), (40.0, -20.0));
        assert_eq!(ct(soft, [-1024.0, 30_000.0]), (40.0, -20.0), "metal does not set the pace");
        let brain = ct(WindowLevel { width: 80.0, level: 40.0 }, [-1024.0, 3072.0]);
        assert_eq!(brain, (9.375, -4.6875));
        let mr = window_change(
            DVec2::new(1.0, 1.0),
            WindowLevel { width: 1000.0, level: 500.0 },
            Some([0.0, 2048.0]),
            &Modality::Other,
        );
        assert_eq!(mr, (2.0, 2.0));
    }

    #[test]
    fn up_magnifies_and_back_again() {
        assert_eq!(zoom_factor(-100.0), 2.0);
        assert!((zoom_factor(-37.0) * zoom_factor(37.0) - 1.0).abs() < 1e-12);
    }
}
