//! The actions of the palette, with their shortcuts: the one list that the help overlay shows too.

use super::Command;
use crate::scene::{ColourMap, Convention, PlaneMode, Preset};
use crate::state::view::Overlay;
use crate::state::{Mode, PaneId, PathPurpose, State, ToolKind};
use crate::theme::Theme;

/// Something to do, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The group it stands in.
    pub group: &'static str,
    /// What it does.
    pub label: String,
    /// Its keys, if it has any.
    pub shortcut: &'static str,
    /// What is sent.
    pub command: Command,
    /// False where it makes no sense now.
    pub enabled: bool,
}

/// Collects actions of one group after the other.
pub struct List(Vec<Action>);

impl List {
    /// Adds one that makes sense now.
    pub fn add(&mut self, group: &'static str, label: impl Into<String>, shortcut: &'static str, command: Command) {
        self.add_if(true, group, label, shortcut, command);
    }

    /// Adds one that makes sense if `enabled`.
    pub fn add_if(
        &mut self,
        enabled: bool,
        group: &'static str,
        label: impl Into<String>,
        shortcut: &'static str,
        command: Command,
    ) {
        self.0.push(Action { group, label: label.into(), shortcut, command, enabled });
    }
}

/// Everything that can be done, whether or not it makes sense now.
pub fn actions(state: &State) -> Vec<Action> {
    let mut list = List(Vec::new());
    file(&mut list, state);
    view(&mut list, state);
    images(&mut list, state);
    contrast(&mut list, state);
    overlay(&mut list, state);
    super::masking::actions(&mut list, state);
    super::train::actions(&mut list, state);
    super::timeline::actions(&mut list, state);
    super::runs::actions(&mut list, state);
    window(&mut list, state);
    list.0
}

fn file(list: &mut List, state: &State) {
    let document = state.document.as_ref();
    let open = document.is_some();
    let prediction = document.is_some_and(|d| d.prediction.is_some());
    let truth = document.is_some_and(|d| d.truth.is_some());
    let (file, cases) = ("File", !state.cases.cases.is_empty());
    list.add(file, "Open files…", "Ctrl+O", Command::Ask(PathPurpose::Files));
    list.add(file, "Open folder…", "Ctrl+Shift+O", Command::Ask(PathPurpose::Folder));
    list.add(file, "Open by path…", "Ctrl+L", Command::TypePath(PathPurpose::Files));
    list.add(file, "Open sample study", "", Command::OpenSample);
    list.add_if(open, file, "Open segmentation…", "", Command::Ask(PathPurpose::Mask));
    list.add_if(open, file, "Open reference…", "", Command::Ask(PathPurpose::Truth));
    list.add_if(open, file, "Open probability…", "", Command::Ask(PathPurpose::Probability));
    list.add_if(open, file, "Segment now", "Ctrl+Enter", Command::Segment);
    list.add(file, "Choose model…", "", Command::Ask(PathPurpose::Model));
    list.add_if(state.segment.model.is_some(), file, "Use the sample model", "", Command::UseSampleModel);
    list.add_if(prediction, file, "Save segmentation…", "Ctrl+S", Command::Save);
    list.add_if(prediction, file, "Remove segmentation", "", Command::RemoveMask { truth: false });
    list.add_if(truth, file, "Remove reference", "", Command::RemoveMask { truth: true });
    let probability = document.is_some_and(|d| d.probability.is_some());
    list.add_if(probability, file, "Remove probability", "", Command::RemoveProbability);
    for job in &state.jobs {
        list.add(file, format!("Cancel: {}", job.title), "", Command::CancelJob(job.id));
    }
    list.add_if(cases, file, "Next case", "Ctrl+Down", Command::StepCase(1));
    list.add_if(cases, file, "Previous case", "Ctrl+Up", Command::StepCase(-1));
    list.add_if(open, file, "Close case", "Ctrl+W", Command::CloseCase);
    list.add(file, "Quit", "Ctrl+Q", Command::Quit);
}

fn view(list: &mut List, state: &State) {
    let group = "View";
    let open = state.document.is_some();
    for (mode, key) in Mode::ALL.into_iter().zip(["F1", "F2", "F3"]) {
        list.add(group, format!("Mode: {}", mode.name()), key, Command::SetMode(mode));
    }
    for (tool, key) in ToolKind::ALL.into_iter().zip(["1", "2", "3", "4", "5", "6"]) {
        list.add(group, format!("Tool: {}", tool.name()), key, Command::SetTool(tool));
    }
    let active = state.active_pane();
    list.add_if(open, group, "Next slice", "Up", Command::StepSlice { pane: active, by: 1 });
    list.add_if(open, group, "Previous slice", "Down", Command::StepSlice { pane: active, by: -1 });
    list.add_if(open, group, "Ten slices on", "PgUp", Command::StepSlice { pane: active, by: 10 });
    list.add_if(open, group, "Ten slices back", "PgDn", Command::StepSlice { pane: active, by: -10 });
    list.add_if(open, group, "Fit all views", "F", Command::Fit);
    let maximise = state.view.maximised.is_none().then_some(active);
    list.add_if(open, group, "Maximise or restore the active view", "Enter", Command::Maximise(maximise));
    for pane in PaneId::REVIEW {
        list.add_if(open, group, format!("Only {}", pane.name()), "", Command::Maximise(Some(pane)));
    }
    let several = state.document.as_ref().is_some_and(|d| d.images.len() > 1);
    list.add_if(several, group, "Images side by side", "M", Command::ToggleLinked);
    list.add_if(open, group, "Play or stop", "C", Command::ToggleCine);
    for (convention, name) in [(Convention::Radiological, "Radiological"), (Convention::Neurological, "Neurological")] {
        list.add(group, format!("Convention: {name}"), "", Command::SetConvention(convention));
    }
    for (planes, name) in [(PlaneMode::Native, "as acquired"), (PlaneMode::World, "along the patient")] {
        list.add(group, format!("Planes: {name}"), "", Command::SetPlanes(planes));
    }
    let smooth = state.settings.interpolate;
    list.add(group, "Interpolation on or off", "I", Command::SetInterpolation(!smooth));
}

/// The images of a case that has several: which is shown, and which lies over it.
fn images(list: &mut List, state: &State) {
    let group = "View";
    let Some(document) = state.document.as_ref().filter(|d| d.images.len() > 1) else { return };
    for (index, image) in document.images.iter().enumerate().filter(|(index, _)| *index != document.shown) {
        list.add(group, format!("Show {}", image.name), "", Command::ShowImage(index));
        let fused = state.view.fused == Some(index);
        list.add_if(!fused, group, format!("Fuse {}", image.name), "", Command::Fuse(Some(index)));
    }
    list.add_if(state.view.fused.is_some(), group, "Fuse nothing", "", Command::Fuse(None));
}

fn contrast(list: &mut List, state: &State) {
    let group = "Contrast";
    let open = state.document.is_some();
    list.add_if(open, group, "Automatic contrast", "Ctrl+J", Command::AutoContrast);
    if let Some(document) = &state.document {
        for (at, preset) in Preset::of(&document.image().modality).iter().enumerate() {
            list.add(group, format!("Window: {}", preset.name()), "", Command::UsePreset(at));
        }
    }
    for map in ColourMap::ALL {
        list.add_if(open, group, format!("Colours: {}", map.name()), "", Command::SetColours(map));
    }
}

fn overlay(list: &mut List, state: &State) {
    let group = "Findings";
    let document = state.document.as_ref();
    let findings = document.and_then(|d| d.findings.as_ref()).is_some_and(|f| !f.list.is_empty());
    let both = document.is_some_and(|d| d.prediction.is_some() && d.truth.is_some());
    let strip = document.is_some_and(|d| d.comparison.is_some() || d.entropy.is_some());
    list.add_if(findings, group, "Next finding", "N", Command::StepFinding(1));
    list.add_if(findings, group, "Previous finding", "P", Command::StepFinding(-1));
    list.add_if(strip, group, "Worst slice", "W", Command::GoToWorst(0));
    list.add(group, "Overlay more opaque", "D", Command::ChangeOpacity(0.1));
    list.add(group, "Overlay more transparent", "A", Command::ChangeOpacity(-0.1));
    let (fill, outline) = (state.settings.fill, state.settings.outline);
    list.add(group, "Fill on or off", "", Command::SetLabelStyle { fill: !fill, outline });
    list.add(group, "Outline on or off", "", Command::SetLabelStyle { fill, outline: !outline });
    list.add(group, "Hide the overlay (hold)", "S", Command::HideOverlay(!state.view.hide_overlay));
    list.add_if(both, group, "Swap prediction and truth", "T", Command::SwapTruth);
    for overlay in Overlay::ALL {
        list.add_if(both, group, format!("Overlay: {}", overlay.name()), "", Command::SetOverlay(overlay));
    }
    let measured = !state.view.measures.is_empty();
    list.add_if(measured, group, "Remove the last measurement", "Backspace", Command::RemoveMeasure);
    list.add_if(measured, group, "Remove all measurements", "", Command::ClearMeasures);
}

fn window(list: &mut List, state: &State) {
    let group = "Window";
    let other = if state.settings.theme == Theme::Dark { Theme::Light } else { Theme::Dark };
    list.add(group, "Light or dark theme", "", Command::SetTheme(other));
    list.add(group, "Left panel", "Ctrl+B", Command::ToggleLeft);
    list.add(group, "Right panel", "Ctrl+Alt+B", Command::ToggleRight);
    list.add(group, "Bottom strip", "", Command::ToggleStrip);
    list.add(group, "Command palette", "Ctrl+K", Command::OpenPalette);
    list.add(group, "Help: mouse and keys", "?", Command::OpenHelp);
    list.add(group, "Manual", "", Command::OpenManual);
    list.add(group, "Restart with the same view", "", Command::Restart);
    list.add(group, "Messages", "", Command::OpenLog);
    list.add(group, "About", "", Command::OpenAbout);
    list.add_if(!state.notices.is_empty(), group, "Close all toasts", "", Command::DismissAll);
}

/// Mouse gestures, for the help overlay.
pub const GESTURES: [(&str, &str); 13] = [
    ("Wheel", "one slice; down is towards feet, posterior, patient's left"),
    ("Left drag", "the active tool"),
    ("Ctrl + left drag", "window/level, in any tool"),
    ("Middle drag, Space + drag", "pan"),
    ("Right drag", "zoom"),
    ("Ctrl + wheel", "zoom around the pointer"),
    ("Shift + move", "the crosshair follows"),
    ("Double click", "maximise or restore a view"),
    ("Drop files", "open them; a mask goes onto the open image"),
    ("Esc", "close a dialog or the last message, show all views again, go back a page (Train)"),
    ("S (hold)", "hide the overlay"),
    ("Left, Right", "previous or next epoch (Masking, Train)"),
    ("Space, arrows", "on a patch view that has the keyboard, as after a click: pin a patch, go to the next one"),
];

/// The actions whose names hold every word of a query, best first.
pub fn matching<'a>(actions: &'a [Action], query: &str) -> Vec<&'a Action> {
    let words: Vec<String> = query.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let text = |action: &Action| format!("{} {}", action.group, action.label).to_lowercase();
    let fits = |action: &&Action| action.enabled && words.iter().all(|w| text(action).contains(w.as_str()));
    let mut found: Vec<&Action> = actions.iter().filter(fits).collect();
    // A name that starts with what was typed is meant more likely; otherwise the list's own order.
    let starts = |action: &Action| words.first().is_some_and(|w| action.label.to_lowercase().starts_with(w.as_str()));
    found.sort_by_key(|action| !starts(action));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_palette_finds_by_words_in_any_order() {
        let all = actions(&State::default());
        let found = matching(&all, "theme light");
        assert_eq!(found.first().map(|a| a.label.as_str()), Some("Light or dark theme"));
        assert_eq!(matching(&all, "open").first().map(|a| a.label.as_str()), Some("Open files…"));
        assert!(matching(&all, "no such thing").is_empty());
    }

    #[test]
    fn nothing_that_needs_a_case_is_offered_without_one() {
        let all = actions(&State::default());
        let offered = |label: &str| matching(&all, label).iter().any(|a| a.label.starts_with(label));
        assert!(!offered("Segment now") && !offered("Save segmentation") && !offered("Next finding"));
        assert!(offered("Open files") && offered("Quit"));
    }

    #[test]
    fn no_two_actions_share_keys() {
        let all = actions(&State::default());
        let mut keys: Vec<&str> = all.iter().map(|a| a.shortcut).filter(|s| !s.is_empty()).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
