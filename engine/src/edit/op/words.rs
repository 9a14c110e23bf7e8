//! Names of operations, in operation lists and in words.

use super::{Boolean, LassoAction, Mode, Op};

impl Op {
    /// The name in operation lists.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Paint { .. } => "paint",
            Self::Erase { .. } => "erase",
            Self::ThresholdPaint { .. } => "threshold_paint",
            Self::AdaptivePaint { .. } => "adaptive_paint",
            Self::Fill { .. } => "fill",
            Self::FillHoles { .. } => "fill_holes",
            Self::Grow { .. } => "grow",
            Self::Shrink { .. } => "shrink",
            Self::Smooth { .. } => "smooth",
            Self::Interpolate { .. } => "interpolate",
            Self::RegionGrow { .. } => "region_grow",
            Self::ThresholdGrow { .. } => "threshold_grow",
            Self::Watershed { .. } => "watershed",
            Self::KeepComponent { .. } => "keep_component",
            Self::RemoveComponent { .. } => "remove_component",
            Self::KeepLargest { .. } => "keep_largest",
            Self::RemoveSmall { .. } => "remove_small",
            Self::Relabel { .. } => "relabel",
            Self::Boolean { .. } => "boolean",
            Self::Lasso { .. } => "lasso",
        }
    }

    /// The operation in words, such as `Grow by 2 mm`, without its [`Op::label`].
    pub fn action(&self) -> String {
        let by = |what: &str, mm: &f64| format!("{what} by {mm} mm");
        match self {
            Self::Paint { .. } => "Brush".to_owned(),
            Self::Erase { .. } => "Eraser".to_owned(),
            Self::ThresholdPaint { .. } => "Range brush".to_owned(),
            Self::AdaptivePaint { .. } => "Adaptive brush".to_owned(),
            Self::Fill { .. } => "Fill".to_owned(),
            Self::FillHoles { mode: Mode::Volume, .. } => "Fill holes".to_owned(),
            Self::FillHoles { mode: Mode::Slice, .. } => "Fill holes in slices".to_owned(),
            Self::Grow { mm, .. } => by("Grow", mm),
            Self::Shrink { mm, .. } => by("Shrink", mm),
            Self::Smooth { mm, .. } => by("Smooth", mm),
            Self::Interpolate { .. } => "Fill between slices".to_owned(),
            Self::RegionGrow { .. } => "Region growing".to_owned(),
            Self::ThresholdGrow { .. } => "Threshold growing".to_owned(),
            Self::Watershed { .. } => "Watershed".to_owned(),
            Self::KeepComponent { .. } => "Keep the component".to_owned(),
            Self::RemoveComponent { .. } => "Remove the component".to_owned(),
            Self::KeepLargest { .. } => "Keep the largest component".to_owned(),
            Self::RemoveSmall { ml, .. } => format!("Remove components below {ml} ml"),
            Self::Relabel { from, to: 0, .. } => format!("Erase label {from}"),
            Self::Relabel { from, to, .. } => format!("Relabel {from} as {to}"),
            Self::Boolean { operation: Boolean::Union, a, b, .. } => format!("Merge labels {a} and {b}"),
            Self::Boolean { operation: Boolean::Intersect, a, b, .. } => format!("Intersect labels {a} and {b}"),
            Self::Boolean { operation: Boolean::Subtract, a, b, .. } => format!("Subtract label {b} from {a}"),
            Self::Lasso { action: LassoAction::Fill, .. } => "Lasso".to_owned(),
            Self::Lasso { action: LassoAction::Erase, .. } => "Lasso eraser".to_owned(),
            Self::Lasso { action: LassoAction::Restore, .. } => "Restore inside lasso".to_owned(),
        }
    }

    /// The label that the operation changes; `None` if it changes any label, or if [`Op::action`] names its labels.
    pub fn label(&self) -> Option<u16> {
        match self {
            Self::Paint { label, .. }
            | Self::ThresholdPaint { label, .. }
            | Self::AdaptivePaint { label, .. }
            | Self::Fill { label, .. }
            | Self::FillHoles { label, .. }
            | Self::Grow { label, .. }
            | Self::Shrink { label, .. }
            | Self::Smooth { label, .. }
            | Self::Interpolate { label, .. }
            | Self::RegionGrow { label, .. }
            | Self::ThresholdGrow { label, .. }
            | Self::Watershed { label, .. } => Some(*label),
            Self::Erase { label, .. }
            | Self::KeepComponent { label, .. }
            | Self::RemoveComponent { label, .. }
            | Self::KeepLargest { label }
            | Self::RemoveSmall { label, .. }
            | Self::Lasso { label, action: LassoAction::Fill | LassoAction::Erase, .. } => *label,
            Self::Relabel { .. } | Self::Boolean { .. } | Self::Lasso { action: LassoAction::Restore, .. } => None,
        }
    }

    /// Action and label for a history list, such as `Grow by 2 mm, label 1`.
    pub fn title(&self) -> String {
        title(self.action(), self.label())
    }
}

/// The name of a step in a history list: an action and the label that it changes.
pub fn title(action: String, label: Option<u16>) -> String {
    match label {
        Some(label) => format!("{action}, label {label}"),
        None => action,
    }
}
