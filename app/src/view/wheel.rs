//! Mouse wheel and trackpad: slices and zoom.

use egui::{Event, InputState, MouseWheelUnit};

/// Trackpad movement per slice, in points.
const POINTS_PER_NOTCH: f32 = 20.0;
/// Slices per page, as for PgUp.
const NOTCHES_PER_PAGE: f32 = 10.0;
/// Magnification per notch.
const ZOOM_PER_NOTCH: f64 = 1.15;

/// Wheel movement in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WheelMovement {
    /// Notches without Ctrl, positive away from the user.
    pub notches: f64,
    /// Shift was held for some of them.
    pub shift: bool,
    /// Magnification by Ctrl + wheel or pinch.
    pub zoom: Option<f64>,
}

/// Reads the wheel events of this frame.
pub fn turned(input: &InputState) -> WheelMovement {
    let mut turned = WheelMovement::default();
    for event in &input.events {
        match event {
            Event::MouseWheel { unit, delta, modifiers, .. } => {
                // Some systems report Shift + wheel as horizontal.
                let along = if delta.y == 0.0 && modifiers.shift { delta.x } else { delta.y };
                let notches = f64::from(match unit {
                    MouseWheelUnit::Line => along,
                    MouseWheelUnit::Point => along / POINTS_PER_NOTCH,
                    MouseWheelUnit::Page => along * NOTCHES_PER_PAGE,
                });
                if modifiers.command || modifiers.ctrl {
                    turned.zoom = Some(turned.zoom.unwrap_or(1.0) * ZOOM_PER_NOTCH.powf(notches));
                } else {
                    turned.notches += notches;
                    turned.shift |= modifiers.shift;
                }
            }
            Event::Zoom(factor) => turned.zoom = Some(turned.zoom.unwrap_or(1.0) * f64::from(*factor)),
            _ => {}
        }
    }
    turned
}

/// Accumulates fractions of a notch to whole slices.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Notches(f64);

impl Notches {
    /// Adds notches and returns the whole slices. A change of direction discards the fraction, so that the first notch
    /// back counts.
    pub fn take(&mut self, notches: f64) -> i64 {
        if notches * self.0 < 0.0 {
            self.0 = 0.0;
        }
        // Thirds and tenths of a notch must sum to one.
        let sum = self.0 + notches;
        let whole = (sum + 1e-6 * sum.signum()).trunc();
        self.0 = sum - whole;
        whole as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notch_is_a_slice_and_small_steps_add_up() {
        let mut wheel = Notches::default();
        assert_eq!([wheel.take(1.0), wheel.take(-1.0), wheel.take(3.0)], [1, -1, 3]);
        let steps: Vec<i64> = (0..10).map(|_| wheel.take(0.1)).collect();
        assert_eq!(steps, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((0..30).map(|_| wheel.take(-1.0 / 3.0)).sum::<i64>(), -10);
    }

    #[test]
    fn reversing_the_wheel_discards_the_fraction() {
        let mut wheel = Notches::default();
        assert_eq!(wheel.take(0.9), 0);
        assert_eq!(wheel.take(-1.0), -1);
        assert_eq!(wheel.take(0.0), 0);
    }

    fn after(events: Vec<Event>) -> WheelMovement {
        let ctx = egui::Context::default();
        let mut found = WheelMovement::default();
        let output = ctx.run_ui(egui::RawInput { events, ..Default::default() }, |ui| {
            found = ui.input(turned);
        });
        output.drop_without_applying_deltas();
        found
    }

    fn event(unit: MouseWheelUnit, y: f32, modifiers: egui::Modifiers) -> Event {
        Event::MouseWheel {
            unit,
            delta: egui::vec2(0.0, y),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers,
        }
    }

    #[test]
    fn lines_points_and_pages_are_counted_and_ctrl_zooms() {
        use MouseWheelUnit::{Line, Page, Point};
        let none = egui::Modifiers::NONE;
        let found = after(vec![event(Line, 2.0, none), event(Point, -10.0, none), event(Page, 1.0, none)]);
        assert_eq!(found, WheelMovement { notches: 11.5, shift: false, zoom: None });
        assert!(after(vec![event(Line, 1.0, egui::Modifiers::SHIFT)]).shift);
        let found = after(vec![event(Line, 1.0, egui::Modifiers::COMMAND), Event::Zoom(2.0)]);
        assert_eq!(found.notches, 0.0);
        assert!((found.zoom.unwrap_or(0.0) - 2.3).abs() < 1e-6);
    }
}
