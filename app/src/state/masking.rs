//! Masking mode: the controls, and what the engine found for the shown slice.

/// Everything that Masking mode shows.
#[derive(Clone, Debug, Default)]
pub struct MaskingState {}
