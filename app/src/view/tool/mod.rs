//! Pointer tools: actions of a drag or a click on a pane.
//!
//! [`follow`] turns pointer events into `press`, `drag` and `release` of the tool that the button and the modifiers
//! select. Tools hold no data: a gesture is a [`Drag`], everything else is in the state behind the pane. A new tool is a
//! file here, an entry of [`ToolKind`] and an arm in [`Pane::tool`] of the panes that it works on.

mod brush;
mod click;
mod crosshair;
mod ellipse;
mod lasso;
mod pan;
mod pin;
mod ruler;
mod seeds;
mod window;
mod zoom;

use egui::{CursorIcon, Event, Key, Modifiers, Painter, PointerButton, Pos2, Response, Ui};
use glam::{DVec2, DVec3};

pub use brush::{Brush, ball_section};
pub use click::Click;
pub use crosshair::{Crosshair, crosshair_at};
pub use ellipse::Ellipse;
pub use lasso::Lasso;
pub use pan::Pan;
pub use pin::Pin;
pub use ruler::Ruler;
pub use seeds::Seeds;
pub use window::{Window, window_change};
pub use zoom::Zoom;

use crate::state::ToolKind;

/// A pointer tool on panes of type `P`.
pub trait Tool<P> {
    /// Shape of the pointer; `held` during a drag.
    fn cursor(&self, held: bool) -> CursorIcon;
    /// The button is pressed. A click is a press and a release at one position.
    fn press(&self, _pane: &mut P, _drag: &Drag) {}
    /// Whether `drag` needs every position of the pointer, not only the last one of a frame.
    fn traces(&self) -> bool {
        false
    }
    /// The pointer moved with the button down.
    fn drag(&self, _pane: &mut P, _drag: &Drag) {}
    /// The button is released. Not called when Escape cancels the drag.
    fn release(&self, _pane: &mut P, _drag: &Drag) {}
    /// Draws over the image during a drag.
    fn draw(&self, _pane: &P, _drag: &Drag, _painter: &Painter) {}
    /// Draws around the pointer over the pane, also during a drag.
    fn hover(&self, _pane: &P, _at: Pos2, _painter: &Painter) {}
}

/// A pane that tools work on.
pub trait Pane: Sized {
    /// Its implementation of a tool; `None` where the tool has no meaning.
    fn tool<'t>(&self, kind: ToolKind) -> Option<&'t dyn Tool<Self>>
    where
        Self: 't;
    /// World mm under a screen position.
    fn world_at(&self, at: Pos2) -> DVec3;
    /// Called before every press.
    fn take_focus(&mut self) {}
    /// Changes window/level by a pointer movement in points: right widens, down raises the level.
    fn change_window(&mut self, by: DVec2);
    /// Moves the image by `by` points.
    fn pan(&mut self, by: DVec2);
    /// Zooms by `factor` around `anchor`.
    fn zoom(&mut self, factor: f64, anchor: Pos2);
}

/// A gesture from press to release.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drag {
    /// The tool of the press: keys released or pressed since do not change it.
    pub tool: ToolKind,
    /// The mouse button that was pressed.
    pub button: PointerButton,
    /// The keys that were held at the press.
    pub modifiers: Modifiers,
    /// World mm under the press.
    pub start_mm: DVec3,
    /// Screen position of the press.
    pub from: Pos2,
    /// Screen position before the last movement.
    pub last: Pos2,
    /// Screen position now.
    pub now: Pos2,
}

/// A drag shorter than this (points) is a click.
const CLICK: f32 = 3.0;

impl Drag {
    fn new(tool: ToolKind, button: PointerButton, modifiers: Modifiers, start_mm: DVec3, at: Pos2) -> Self {
        Self { tool, button, modifiers, start_mm, from: at, last: at, now: at }
    }

    /// The last movement, in points.
    pub fn delta(&self) -> DVec2 {
        let delta = self.now - self.last;
        DVec2::new(f64::from(delta.x), f64::from(delta.y))
    }

    /// Whether it ends where it began.
    pub fn is_click(&self) -> bool {
        self.from.distance(self.now) < CLICK
    }
}

/// The tool that a button selects. The left button uses the pane's tool, `left`, unless Space or Ctrl is held. The
/// right button zooms, except with edit tools.
pub fn of_button(button: PointerButton, modifiers: Modifiers, space: bool, left: ToolKind) -> Option<ToolKind> {
    match button {
        PointerButton::Middle => Some(ToolKind::Pan),
        PointerButton::Secondary if left.is_edit() => Some(left),
        PointerButton::Secondary => Some(ToolKind::Zoom),
        PointerButton::Primary if space => Some(ToolKind::Pan),
        PointerButton::Primary if modifiers.command || modifiers.ctrl => Some(ToolKind::Window),
        PointerButton::Primary => Some(left),
        PointerButton::Extra1 | PointerButton::Extra2 => None,
    }
}

fn selected(ui: &Ui, button: PointerButton, left: ToolKind) -> Option<ToolKind> {
    let (modifiers, space) = ui.input(|i| (i.modifiers, i.key_down(egui::Key::Space)));
    of_button(button, modifiers, space, left)
}

/// What the pointer does within a frame, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Press(PointerButton, Pos2),
    Move(Pos2),
    Release(PointerButton, Pos2),
    Escape,
}

fn steps(events: &[Event]) -> Vec<Step> {
    let step = |event: &Event| match *event {
        Event::PointerButton { button, pos, pressed: true, .. } => Some(Step::Press(button, pos)),
        Event::PointerButton { button, pos, pressed: false, .. } => Some(Step::Release(button, pos)),
        Event::PointerMoved(pos) => Some(Step::Move(pos)),
        Event::Key { key: Key::Escape, pressed: true, .. } => Some(Step::Escape),
        _ => None,
    };
    events.iter().filter_map(step).collect()
}

/// Hands this frame's pointer events on a pane to its tools, in order, so that a slow frame neither loses a stroke nor
/// cuts its corners. `drag` lives from press to release. The pane must sense drags only: egui delays the drags of a widget
/// that senses clicks too.
pub fn follow<P: Pane>(ui: &Ui, response: &Response, pane: &mut P, left: ToolKind, drag: &mut Option<Drag>) {
    if response.interact_pointer_pos().is_none() && ui.input(|i| i.pointer.latest_pos().is_none()) {
        *drag = None;
        return;
    }
    let steps = ui.input(|i| steps(&i.events));
    // `Response::dragged` is false in a frame with a release, even if another press follows it.
    let dragged = ui.ctx().is_being_dragged(response.id);
    let held = (0..steps.len()).rfind(|at| stays_down(&steps, *at));
    for (at, step) in steps.iter().enumerate() {
        match *step {
            Step::Press(button, pos) => {
                // egui reports a drag only if the button is still down at the end of the frame.
                let ours =
                    if stays_down(&steps, at) { held == Some(at) && dragged } else { is_over(ui, response, pos) };
                if ours && drag.is_none() {
                    *drag = press(ui, pane, button, left, pos);
                }
            }
            Step::Move(pos) => {
                let is_last = !matches!(steps.get(at + 1), Some(Step::Move(_)));
                moved(pane, drag, pos, is_last);
            }
            Step::Release(button, pos) => {
                if drag.is_some_and(|drag| drag.button == button) {
                    moved(pane, drag, pos, true);
                    release(pane, drag.take());
                }
            }
            Step::Escape => *drag = None,
        }
    }
    if !dragged {
        *drag = None;
    }
}

/// Continues a drag. Only the last movement of a frame counts, except for tools that trace a path.
fn moved<P: Pane>(pane: &mut P, drag: &mut Option<Drag>, now: Pos2, is_last: bool) {
    let Some(before) = *drag else { return };
    let tool = pane.tool(before.tool);
    let skips = !is_last && tool.is_none_or(|tool| !tool.traces());
    if skips || before.now == now {
        return;
    }
    let after = Drag { last: before.now, now, ..before };
    *drag = Some(after);
    if let Some(tool) = tool {
        tool.drag(pane, &after);
    }
}

fn release<P: Pane>(pane: &mut P, drag: Option<Drag>) {
    if let Some(drag) = drag
        && let Some(tool) = pane.tool(drag.tool)
    {
        tool.release(pane, &drag);
    }
}

/// Whether a step is a press that outlasts the frame.
fn stays_down(steps: &[Step], at: usize) -> bool {
    let Step::Press(button, _) = steps[at] else { return false };
    !steps[at..].iter().any(|step| matches!(step, Step::Release(released, _) if *released == button))
}

/// Whether a press that ended within the frame reached the pane, and nothing in front of it.
fn is_over(ui: &Ui, response: &Response, at: Pos2) -> bool {
    let front = ui.ctx().layer_id_at(at).is_none_or(|layer| layer == response.layer_id);
    response.enabled() && front && response.interact_rect.contains(at)
}

fn press<P: Pane>(ui: &Ui, pane: &mut P, button: PointerButton, left: ToolKind, at: Pos2) -> Option<Drag> {
    let kind = selected(ui, button, left)?;
    pane.take_focus();
    let tool = pane.tool(kind)?;
    let drag = Drag::new(kind, button, ui.input(|i| i.modifiers), pane.world_at(at), at);
    tool.press(pane, &drag);
    Some(drag)
}

/// Shape of the pointer over a pane.
pub fn cursor<P: Pane>(ui: &Ui, pane: &P, left: ToolKind, drag: Option<&Drag>) -> CursorIcon {
    let kind = drag.map(|drag| drag.tool).or_else(|| selected(ui, PointerButton::Primary, left));
    let tool = kind.and_then(|kind| pane.tool(kind));
    tool.map_or(CursorIcon::NotAllowed, |tool| tool.cursor(drag.is_some()))
}

/// Draws the feedback of the dragging tool, and that of the left button's tool at the pointer.
pub fn draw<P: Pane>(pane: &P, left: ToolKind, drag: Option<&Drag>, pointer: Option<Pos2>, painter: &Painter) {
    if let Some(drag) = drag
        && let Some(tool) = pane.tool(drag.tool)
    {
        tool.draw(pane, drag, painter);
    }
    if let Some(at) = pointer
        && let Some(tool) = pane.tool(drag.map_or(left, |drag| drag.tool))
    {
        tool.hover(pane, at, painter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PointerButton::{Middle, Primary, Secondary};
    use egui::Sense;

    #[test]
    fn buttons_and_modifiers_come_before_the_tool() {
        let none = Modifiers::NONE;
        for tool in ToolKind::ALL.into_iter().chain(ToolKind::EDIT) {
            assert_eq!(of_button(Middle, none, false, tool), Some(ToolKind::Pan));
            let right = if tool.is_edit() { tool } else { ToolKind::Zoom };
            assert_eq!(of_button(Secondary, none, false, tool), Some(right));
            assert_eq!(of_button(Primary, none, true, tool), Some(ToolKind::Pan));
            assert_eq!(of_button(Primary, Modifiers::COMMAND, false, tool), Some(ToolKind::Window));
            assert_eq!(of_button(Primary, none, false, tool), Some(tool));
        }
    }

    /// Logs what its tools do.
    #[derive(Default)]
    struct Recorder(Vec<&'static str>);

    struct Log;

    impl Tool<Recorder> for Log {
        fn cursor(&self, _held: bool) -> CursorIcon {
            CursorIcon::Default
        }

        fn traces(&self) -> bool {
            true
        }

        fn press(&self, pane: &mut Recorder, _drag: &Drag) {
            pane.0.push("press");
        }

        fn drag(&self, pane: &mut Recorder, _drag: &Drag) {
            pane.0.push("drag");
        }

        fn release(&self, pane: &mut Recorder, drag: &Drag) {
            pane.0.push(if drag.is_click() { "click" } else { "release" });
        }
    }

    impl Pane for Recorder {
        fn tool<'t>(&self, kind: ToolKind) -> Option<&'t dyn Tool<Self>> {
            if kind == ToolKind::Window { Some(&Window) } else { Some(&Log) }
        }

        fn world_at(&self, _at: Pos2) -> DVec3 {
            DVec3::ZERO
        }

        fn change_window(&mut self, _by: DVec2) {
            self.0.push("window");
        }

        fn pan(&mut self, _by: DVec2) {
            self.0.push("pan");
        }

        fn zoom(&mut self, _factor: f64, _anchor: Pos2) {
            self.0.push("zoom");
        }
    }

    const START: Pos2 = egui::pos2(50.0, 50.0);
    const END: Pos2 = egui::pos2(80.0, 50.0);

    fn button(pos: Pos2, pressed: bool) -> Event {
        Event::PointerButton { pos, button: Primary, pressed, modifiers: Modifiers::NONE }
    }

    /// What a pane logs over frames, each with its modifiers and events.
    fn logged(frames: Vec<(Modifiers, Vec<Event>)>) -> Vec<&'static str> {
        let (ctx, mut pane, mut drag) = (egui::Context::default(), Recorder::default(), None);
        let area = egui::Rect::from_min_size(Pos2::ZERO, egui::vec2(100.0, 100.0));
        let hover = (Modifiers::NONE, vec![Event::PointerMoved(START)]);
        for (modifiers, events) in std::iter::once(hover).chain(frames) {
            let events = std::iter::once(Event::ModifiersChanged(modifiers)).chain(events).collect();
            let input = egui::RawInput { screen_rect: Some(area), events, ..Default::default() };
            let output = ctx.run_ui(input, |ui| {
                let response = ui.interact(area, egui::Id::unique("pane"), Sense::drag());
                follow(ui, &response, &mut pane, ToolKind::Crosshair, &mut drag);
            });
            output.drop_without_applying_deltas();
        }
        pane.0
    }

    #[test]
    fn a_drag_is_press_drag_and_release_of_its_tool() {
        let none = Modifiers::NONE;
        let moved = Event::PointerMoved(END);
        let press = (none, vec![button(START, true)]);
        let frames = vec![press.clone(), (none, vec![moved.clone()]), (none, vec![button(END, false)])];
        assert_eq!(logged(frames), ["press", "drag", "release"]);
        assert_eq!(logged(vec![press.clone(), (none, vec![button(START, false)])]), ["press", "click"]);
        assert_eq!(
            logged(vec![(none, vec![button(START, true), button(START, false)])]),
            ["press", "click"],
            "within one frame"
        );
        let escape = egui::Key::Escape;
        let escape = Event::Key { key: escape, physical_key: None, pressed: true, repeat: false, modifiers: none };
        let frames = vec![press, (none, vec![moved]), (none, vec![escape]), (none, vec![button(END, false)])];
        assert_eq!(logged(frames), ["press", "drag"], "Escape cancels");
    }

    const MIDDLE: Pos2 = egui::pos2(60.0, 70.0);
    const OUTSIDE: Pos2 = egui::pos2(150.0, 50.0);

    #[test]
    fn a_slow_frame_loses_no_stroke_and_no_corner_of_it() {
        let moved = Event::PointerMoved;
        let frame = |events: Vec<Event>| logged(vec![(Modifiers::NONE, events)]);
        let stroke = vec![button(START, true), moved(MIDDLE), moved(END), button(END, false)];
        assert_eq!(frame(stroke.clone()), ["press", "drag", "drag", "release"]);
        assert_eq!(frame([stroke.clone(), stroke.clone()].concat()).len(), 8, "two strokes");
        let click = [button(START, true), button(START, false)];
        assert_eq!(frame([&click[..], &click[..]].concat()), ["press", "click", "press", "click"]);
        // The second press outlasts the frame.
        let begun = [&click[..], &[moved(MIDDLE), button(MIDDLE, true), moved(END)]].concat();
        assert_eq!(frame(begun), ["press", "click", "press", "drag"]);
        let outside = vec![moved(OUTSIDE), button(OUTSIDE, true), moved(END), button(END, false)];
        assert!(frame(outside).is_empty(), "begun elsewhere");
        let none = Modifiers::NONE;
        let parts = vec![(none, vec![button(START, true)]), (none, stroke[1..].to_vec())];
        assert_eq!(logged(parts), ["press", "drag", "drag", "release"], "pressed in an earlier frame");
    }

    #[test]
    fn tools_that_trace_no_path_see_the_last_position_of_a_frame() {
        let events = vec![button(START, true), Event::PointerMoved(MIDDLE), Event::PointerMoved(END)];
        assert_eq!(logged(vec![(Modifiers::COMMAND, events)]), ["window"]);
    }

    #[test]
    fn escape_cancels_a_press_that_did_not_move() {
        let none = Modifiers::NONE;
        let key = Key::Escape;
        let escape = Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers: none };
        let frames = [vec![button(START, true)], vec![escape], vec![button(START, false)]];
        assert_eq!(logged(frames.map(|events| (none, events)).to_vec()), ["press"]);
    }

    #[test]
    fn a_drag_keeps_the_tool_of_its_press() {
        let moved = Event::PointerMoved(END);
        let frames = vec![(Modifiers::COMMAND, vec![button(START, true)]), (Modifiers::NONE, vec![moved])];
        assert_eq!(logged(frames), ["window"]);
    }
}
