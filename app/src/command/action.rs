//! The actions with their shortcuts: one list for the palette, the help dialog and the manual.

use super::Command;
use crate::state::State;

/// An entry of the palette.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Heading under which help and manual list it.
    pub group: &'static str,
    /// Name in the palette.
    pub label: String,
    /// Shortcut; empty if it has none.
    pub shortcut: &'static str,
    /// Command to send.
    pub command: Command,
    /// False if it currently has no effect.
    pub enabled: bool,
}

/// Collects the actions of all topics.
pub struct ActionList(Vec<Action>);

impl ActionList {
    /// Adds an enabled action.
    pub fn add(
        &mut self,
        group: &'static str,
        label: impl Into<String>,
        shortcut: &'static str,
        command: impl Into<Command>,
    ) {
        self.add_if(true, group, label, shortcut, command);
    }

    /// Adds an action that is offered only if `enabled`.
    pub fn add_if(
        &mut self,
        enabled: bool,
        group: &'static str,
        label: impl Into<String>,
        shortcut: &'static str,
        command: impl Into<Command>,
    ) {
        self.0.push(Action { group, label: label.into(), shortcut, command: command.into(), enabled });
    }
}

/// All actions, including those that are disabled now.
pub fn actions(state: &State) -> Vec<Action> {
    let mut list = ActionList(Vec::new());
    super::file::actions(&mut list, state);
    super::series::actions(&mut list, state);
    super::view::actions(&mut list, state);
    super::overlay::actions(&mut list, state);
    super::review::actions(&mut list, state);
    super::labels::actions(&mut list, state);
    super::edit::actions(&mut list, state);
    super::autosave::actions(&mut list, state);
    super::masking::actions(&mut list, state);
    super::train::actions(&mut list, state);
    super::timeline::actions(&mut list, state);
    super::runs::actions(&mut list, state);
    super::study::actions(&mut list, state);
    super::window::actions(&mut list, state);
    list.0
}

/// Mouse gestures, for the help dialog and the manual.
pub const GESTURES: [(&str, &str); 19] = [
    ("Wheel", "next or previous slice; down goes towards the feet, the back or the patient's left"),
    ("Left drag", "the active tool"),
    ("Ctrl + left drag", "window/level, in any tool"),
    ("Middle drag, Space + drag", "pan"),
    ("Right drag", "zoom; with an edit tool, erase"),
    ("Shift + wheel", "brush size"),
    ("Alt + click", "with an edit tool, pick the label under the pointer"),
    ("Shift + left drag", "with the lasso, erase; with One click by strokes, draw around the lesion"),
    ("Wheel, Enter, Esc", "after One click: change the threshold, accept, discard"),
    ("Ctrl+Y", "redo, like Ctrl+Shift+Z"),
    ("Ctrl + wheel", "zoom around the pointer"),
    ("Shift + move", "move the crosshair with the pointer"),
    ("Double click", "maximise or restore a view"),
    ("Drag a series", "onto a view: add it to the open images if it is aligned with them, else open it alone"),
    ("Drop files", "open them; a mask is added to the open image"),
    ("Esc", "cancel the stroke, close a dialog or the last message, show all views, go back a page (Train)"),
    ("S (hold)", "hide the overlay"),
    ("Left, Right", "previous or next epoch (Masking, Train)"),
    ("Space, arrows", "after a click on a patch view: pin a patch, move to the next patch"),
];

/// The actions whose names contain every word of a query, best first.
pub fn matching<'a>(actions: &'a [Action], query: &str) -> Vec<&'a Action> {
    let words: Vec<String> = query.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let text = |action: &Action| format!("{} {}", action.group, action.label).to_lowercase();
    let fits = |action: &&Action| action.enabled && words.iter().all(|w| text(action).contains(w.as_str()));
    let mut found: Vec<&Action> = actions.iter().filter(fits).collect();
    // The name itself, then names that start with the query, then with its first word; otherwise list order.
    let typed = words.join(" ");
    let rank = |action: &Action| {
        let label = action.label.to_lowercase();
        let starts = |with: &str| label.starts_with(with);
        (label != typed, !starts(&typed), words.first().is_none_or(|word| !starts(word)))
    };
    found.sort_by_key(|action| rank(action));
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
    fn the_palette_lists_the_typed_name_first() {
        let action = |label: &str| Action {
            group: "Review",
            label: label.into(),
            shortcut: "",
            command: crate::command::WindowCommand::CloseDialog.into(),
            enabled: true,
        };
        let all = ["Add this case to the labels", "Add a label to the list", "Add a label"].map(action);
        let found: Vec<&str> = matching(&all, "add a label").iter().map(|action| action.label.as_str()).collect();
        assert_eq!(found, ["Add a label", "Add a label to the list", "Add this case to the labels"]);
    }

    #[test]
    fn actions_on_a_case_are_disabled_without_one() {
        let all = actions(&State::default());
        let offered = |label: &str| matching(&all, label).iter().any(|a| a.label.starts_with(label));
        assert!(!offered("Segment now") && !offered("Save segmentation as") && !offered("Next finding"));
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
